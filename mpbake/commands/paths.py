"""What a plan names on this machine and is not there: told before anything starts, and with its line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.errors import PlanError
from mpbake.placement import linked_platforms
from mpbake.references import is_local, parse_fields
from mpbake.spec import Problem
from mpbake.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mpbake.loader import Document
    from mpbake.plan import Target


def check_paths(document: Document, targets: Iterable[Target]) -> None:
    """Raise PlanError for every folder and file that `targets`, or what they link to, name and that is missing."""
    everything = dict.fromkeys(each for target in targets for each in (target, *linked_platforms(target, ())))
    problems = [problem for target in everything for problem in _missing(target)]
    if problems:
        raise PlanError(document.diagnose(each) for each in problems)


def _missing(target: Target) -> Iterator[Problem]:
    attributes = target.attributes
    context = str(attributes["context"])
    if is_local(context):
        yield from _missing_context(target, context)
    for name, value in attributes.get("contexts", {}).items():
        if is_local(value) and not Path(value).is_dir():
            yield _problem(target, ("contexts", name), f"there is no folder {value}")
    for index, entry in enumerate(attributes.get("secret", ())):
        fields = parse_fields(entry)
        source = fields.get("src") or fields.get("source")
        if source and fields.get("type") != "env" and not Path(source).is_file():
            yield _problem(target, ("secret", index), f"there is no file {source}")


def _missing_context(target: Target, context: str) -> Iterator[Problem]:
    if not Path(context).is_dir():
        yield _problem(target, ("context",), f"there is no folder {context}")
    elif "dockerfile-inline" not in target.attributes:
        dockerfile = str(target.attributes.get("dockerfile", "Dockerfile"))
        path = Path(context, dockerfile)
        if is_local(dockerfile) and not path.is_file():
            yield _problem(target, ("dockerfile",), f"there is no Dockerfile {path}")


def _problem(target: Target, path: tuple[str | int, ...], message: str) -> Problem:
    hint = "paths count from the plan's folder, that of a Dockerfile from its context"
    return Problem(key=("targets", target.table, *path), message=f"{target.name}: {one_line(message)}", hint=hint)
