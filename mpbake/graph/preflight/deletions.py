"""Outputs with `mode=delete`: what they would delete besides results of earlier builds. Pure."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from mpbake.base.codes import Code
from mpbake.base.references import is_local_context
from mpbake.base.text import one_line
from mpbake.model.bake_fields import Paths, deletes, paths_of
from mpbake.spec.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from mpbake.model.plan import Target


def deletion_problems(
    targets: Iterable[Target], root: Path, real: Callable[[str], str] = posixpath.normpath
) -> Iterator[Problem]:
    """The problems of outputs that would delete the plan in `root`, a build context, or what another output writes.

    `real` gives the path that a path leads to.
    """
    targets = tuple(targets)
    if not any(deletes(entry) for target in targets for entry in target.outputs):  # nearly every plan
        return
    written = [(target, entry, path) for target in targets for entry, path in _written(target)]
    read = {path: f"a build context, {path}" for path in _contexts(targets)} | {str(root): "the folder of the plan"}
    for output in (each for each in written if deletes(each[1])):
        target, entry, folder = output
        others = [(each[2], f'what "{each[0].name}" writes') for each in written if each != output]
        found = next((what for path, what in (*others, *read.items()) if _holds(real(folder), real(path))), "")
        if found:
            yield Problem(
                code=Code.OUTPUT_DELETES,
                key=target.where(("output",)),
                message=f"{target.name}: its output {one_line(entry)} would delete {one_line(found)}",
                hint="give it a folder of its own, or take mode=delete away",
            )


def _contexts(targets: Sequence[Target]) -> Iterator[str]:
    """The folders of this machine that `targets` are built from."""
    for attributes in (variant.attributes for target in targets for variant, _ in target.split_by_variant(())):
        for context in (attributes.get("context", ""), *attributes.get("contexts", {}).values()):
            if context and is_local_context(context):
                yield posixpath.normpath(context)


def _written(target: Target) -> Iterator[tuple[str, str]]:
    """Each output and cache of `target` that is written on this machine, and the path where."""
    for entry in (*target.outputs, *target.attributes.get("cache-to", ())):
        yield from ((entry, posixpath.normpath(path)) for _, path in paths_of(Paths.FIELDS, [entry]))


def _holds(folder: str, path: str) -> bool:
    """Whether `path` is `folder`, or lies in it."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")
