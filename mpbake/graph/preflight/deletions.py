"""Preflight checks of outputs with `mode=delete`: files that an output would delete besides earlier results. Pure."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from mpbake.base.codes import Code
from mpbake.base.references import is_local_context
from mpbake.base.text import one_line
from mpbake.model.bake_fields import Paths, deletes, paths_of
from mpbake.model.grants import contains
from mpbake.spec.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from mpbake.model.plan import Target


def deletion_problems(
    targets: Iterable[Target], root: Path, real: Callable[[str], str] = posixpath.normpath
) -> Iterator[Problem]:
    """Yield a problem for each output that would delete the plan in `root`, a build context, or another output.

    `real` resolves a path, for example its symlinks.
    """
    targets = tuple(targets)
    if not any(deletes(entry) for target in targets for entry in target.outputs):  # true for nearly every plan
        return
    written = [(target, entry, path) for target in targets for entry, path in _written_paths(target)]
    read = {path: f"a build context, {path}" for path in _contexts(targets)} | {str(root): "the folder of the plan"}
    for output in written:
        target, entry, folder = output
        if not deletes(entry):
            continue
        others = [(other[2], f'what "{other[0].name}" writes') for other in written if other != output]
        kept = (*others, *read.items())
        victim = next((name for path, name in kept if contains(real(folder), real(path))), "")
        if victim:
            yield Problem(
                code=Code.OUTPUT_DELETES,
                key=target.source_key(("output",)),
                message=f"{target.name}: its output {one_line(entry)} would delete {one_line(victim)}",
                hint="give it a folder of its own, or remove mode=delete",
            )


def _contexts(targets: Sequence[Target]) -> Iterator[str]:
    """Yield the folders of this machine from which `targets` are built."""
    for attributes in (variant.attributes for target in targets for variant, _ in target.split_by_variant(())):
        for context in (attributes.get("context", ""), *attributes.get("contexts", {}).values()):
            if context and is_local_context(context):
                yield posixpath.normpath(context)


def _written_paths(target: Target) -> Iterator[tuple[str, str]]:
    """Yield each output and cache entry of `target` that is written on this machine, with its path."""
    for entry in (*target.outputs, *target.attributes.get("cache-to", ())):
        yield from ((entry, posixpath.normpath(path)) for _, path in paths_of(Paths.FIELDS, [entry]))
