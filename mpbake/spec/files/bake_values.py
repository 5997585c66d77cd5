"""Values of images in a JSON bake file, such as the files that docker/metadata-action writes: given with `-f`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Code
from mpbake.base.errors import Diagnostic, Location
from mpbake.base.text import one_line
from mpbake.spec.tables.value_types import as_literal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from mpbake.base.errors import KeyPath

_ATTRIBUTES = ("tags", "labels", "annotations", "args")
"""The attributes that a bake file can give to targets: none of them decides what a build reads, writes or runs."""
_MOVE = "to make a plan of a bake file: mpbake import FILE"


def first_file_problem(shown: str) -> Diagnostic:
    """Return the problem of a bake file that comes before the plan."""
    message = "is JSON: the first -f must be a plan in TOML"
    hint = f"name the plan first: -f build.toml -f {one_line(shown)}; {_MOVE}"
    return Diagnostic(code=Code.BAKE_VALUES, message=message, hint=hint, location=Location(file=shown))


def bake_problems(data: Mapping[str, Any], shown: str, tables: Collection[str]) -> Iterator[Diagnostic]:
    """Yield the problems of a bake file for a plan that has the target tables `tables`."""

    def problem(key: KeyPath, message: str, hint: str) -> Diagnostic:
        return Diagnostic(code=Code.BAKE_VALUES, message=message, hint=hint, location=Location(file=shown, key=key))

    for name in data:
        if name != "target":
            yield problem((name,), "a bake file after -f can contain only `target`", _MOVE)
    targets = data.get("target", {})
    if not isinstance(targets, dict) or not all(isinstance(target, dict) for target in targets.values()):
        yield problem(("target",), "must be a table of targets", _MOVE)
        return
    for name, target in targets.items():
        if _table_of(name, tables) is None:
            template = f"[targets._{one_line(name)}]"
            hint = f"add {template}, and inherit it in the targets that need its values"
            yield problem(("target", name), f'the plan has no target or template "{one_line(name)}"', hint)
        for attribute in target.keys() - set(_ATTRIBUTES):
            message = f'a bake file after -f cannot set "{one_line(attribute)}"'
            hint = f"put it into the plan: a bake file can set {', '.join(_ATTRIBUTES)}"
            yield problem(("target", name, attribute), message, hint)


def plan_tables(data: Mapping[str, Any], tables: Collection[str]) -> dict[str, Any]:
    """Return the values of a bake file without problems as tables of a plan.

    A value belongs to the target of the same name or to the template, whose name has a leading underscore. Every text
    is taken literally: titles and branches come from others, and must not become templates.
    """
    targets = {_table_of(name, tables): as_literal(target) for name, target in data.get("target", {}).items()}
    return {"version": 1, "targets": targets}


def _table_of(name: str, tables: Collection[str]) -> str | None:
    return next((table for table in (name, f"_{name}") if table in tables), None)
