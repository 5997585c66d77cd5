"""Check that the person who runs mpbake has granted the rights that a plan needs, or ask for them on a terminal."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mpbake.base.errors import MpbakeError, NotGranted
from mpbake.base.files import cached_real_path
from mpbake.base.text import one_line
from mpbake.cli.review.remembered_grants import content_digest, grants_file, read_grants
from mpbake.report.plan.grant_text import question, refusal
from mpbake.resolve.builders.node_options import named_files, read_config
from mpbake.review.grants import PlanContext, Rights, grants_of_builders, needed_grants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from mpbake.cli.world import World
    from mpbake.model.grants import Allowances, Grant
    from mpbake.model.plan import Builder, Target
    from mpbake.spec.files.plan_files import PlanFiles

    Needs = Callable[[PlanFiles, Callable[[str], str]], tuple[Grant, ...]]
    """Returns the rights that a plan needs, with a function that resolves paths."""

_YES = ("y", "yes")


@dataclass(frozen=True, kw_only=True, slots=True)
class Granted:
    """A plan whose rights are granted: `plan_files` may read what is granted, and `rights` are for a run."""

    plan_files: PlanFiles
    rights: Rights


def plan_grants(plan_files: PlanFiles, targets: Iterable[Target]) -> tuple[Grant, ...]:
    """Return the rights that a run of `targets` needs, with paths as in the plan, for the review of a plan."""
    of_files = plan_files.access.real
    real = cached_real_path() if of_files is os.path.realpath else of_files
    return needed_grants(targets, plan_files.root, real, _context(plan_files, as_written=True))


def grant_run(plan_files: PlanFiles, targets: Sequence[Target], world: World) -> Granted:
    """Check that the rights for a run of `targets` are granted; on a terminal, ask for them. Raises NotGranted."""
    builders = {target.builder.name: target.builder for target in targets}.values()
    return _grant(
        plan_files, world, builders, lambda files, real: needed_grants(targets, files.root, real, _context(files))
    )


def grant_up(plan_files: PlanFiles, builders: Sequence[Builder], world: World) -> Granted:
    """Check that the rights to reconcile `builders` are granted; on a terminal, ask for them. Raises NotGranted."""
    return _grant(
        plan_files, world, builders, lambda files, real: grants_of_builders(builders, files.root, real, _context(files))
    )


def _context(plan_files: PlanFiles, *, as_written: bool = False) -> PlanContext:
    def named_in(config: Path) -> Iterable[Path]:
        if not plan_files.access.may_read(config):
            return ()
        try:
            return named_files(read_config(config, plan_files.access.tree.read))
        except MpbakeError:  # a preflight check reports the error
            return ()

    files = tuple(file.path for file in plan_files.sources)
    return PlanContext(files=files, named_in=named_in, as_written=as_written)


def _grant(plan_files: PlanFiles, world: World, builders: Iterable[Builder], needs: Needs) -> Granted:
    """Ask for missing rights until none is missing: a granted configuration may name files that need rights."""
    real = cached_real_path()
    while True:
        missing = plan_files.access.allowances.missing(needs(plan_files, real), real)
        if not missing:
            rights = Rights(
                root=plan_files.root,
                allowances=plan_files.access.allowances,
                context=_context(plan_files),
                real=real,
            )
            return Granted(plan_files=plan_files, rights=rights)
        digest = content_digest(plan_files, _configurations(plan_files, builders))
        plan_files = _with_rights(plan_files, _answered(plan_files, missing, digest, world, real))


def _configurations(plan_files: PlanFiles, builders: Iterable[Builder]) -> Iterator[bytes]:
    """Yield the contents of the configurations of buildkitd that `builders` name and that mpbake may read."""
    files = dict.fromkeys(node.config_file for builder in builders for node in builder.nodes if node.config_file)
    for file in files:
        if plan_files.access.may_read(file):
            with contextlib.suppress(OSError):  # a preflight check reports the error
                yield plan_files.access.tree.read(file)


def _answered(
    plan_files: PlanFiles, missing: Sequence[Grant], digest: str, world: World, real: Callable[[str], str]
) -> frozenset[Grant]:
    """Return the rights `missing`, if they were granted earlier for the `digest` of the plan or are granted now.

    Raises NotGranted.
    """
    remembered = read_grants(grants_file(world.environment, plan_files.root))
    unknown = remembered.allowances(digest, plan_files.root).missing(missing, real)
    if not unknown:
        return frozenset(missing)
    if remembered.warning:
        world.stderr.write(f"warning: {remembered.warning}\n")
    if not (world.asks and _ask(unknown, world)):
        message, hint = refusal(unknown)
        raise NotGranted(message, hint=hint)
    try:
        # a right with a sensitive value is not stored
        remembered.add(digest, [grant for grant in missing if world.redactor.redact(grant.text) == grant.text])
    except OSError as error:
        world.stderr.write(f"warning: the answer is not remembered: {one_line(str(error))}\n")
    return frozenset(missing)


def _ask(grants: Sequence[Grant], world: World) -> bool:
    """Ask for rights on the terminal, and return the answer. Ctrl-C and the end of the input mean no."""
    try:
        world.stderr.write(question(grants))
        world.stderr.flush()
        answer = world.stdin.readline()
    except (KeyboardInterrupt, OSError, UnicodeDecodeError):
        answer = ""
    if not answer.endswith("\n"):
        world.stderr.write("\n")
    return answer.strip().lower() in _YES


def _with_rights(plan_files: PlanFiles, grants: frozenset[Grant]) -> PlanFiles:
    allowances: Allowances = plan_files.access.allowances
    allowances = replace(allowances, grants=allowances.grants | grants)
    return replace(plan_files, access=replace(plan_files.access, allowances=allowances))
