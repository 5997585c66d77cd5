"""The list of preflight checks, which `mpbake check`, `mpbake plan` and `mpbake run` share."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

from mpbake.base.codes import Severity
from mpbake.base.errors import PlanError
from mpbake.graph.preflight.base_images import foreign_bases, unlinked_bases
from mpbake.graph.preflight.deletions import deletion_problems
from mpbake.graph.preflight.keys import key_problems
from mpbake.graph.preflight.paths import missing_paths, written_folders
from mpbake.graph.preflight.shared_tags import dependencies_on_shared_tags
from mpbake.graph.preflight.tls import certificate_problems, deployment_problems
from mpbake.resolve import tags_pushed_twice
from mpbake.spec.drivers import node_warnings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from mpbake.base.platforms import Platform
    from mpbake.graph.placement import Placement
    from mpbake.model.plan import Node, Target
    from mpbake.spec.files.plan_files import PlanFiles
    from mpbake.spec.problem import Problem


class Stage(Enum):
    """The points in commands at which checks run."""

    CHECK_TARGETS = auto()
    """`mpbake check`: every target without errors, even if the plan has errors elsewhere."""
    CHECK_PLAN = auto()
    """`mpbake check`: the plan as a whole, after its targets, if the plan has no errors."""
    PLAN = auto()
    """`mpbake plan`, which reads only the plan."""
    RUN = auto()
    """`mpbake run`, before anything is changed."""
    RUN_PLACED = auto()
    """`mpbake run`, after the nodes have reported their platforms."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PreflightInput:
    """The targets to check, and all other input of the checks.

    `placements` are the known placements; `nodes` are the used nodes; `only` maps a target to platforms that replace
    its declared platforms; `together` says that all tags move together.
    """

    plan_files: PlanFiles
    targets: Mapping[str, Target]
    placements: Sequence[Placement]
    environment: Mapping[str, str]
    now: datetime
    nodes: Sequence[Node] = ()
    only: Mapping[Target, Sequence[Platform]] = field(default_factory=dict)
    together: bool = False

    def may_read(self, path: Path) -> bool:
        """Return whether the checks may read a file that the plan names. See `ReadAccess`."""
        return self.plan_files.access.may_read(path)


@dataclass(frozen=True, kw_only=True, slots=True)
class PreflightCheck:
    """A check, its name, and the stages at which the check runs."""

    name: str
    find: Callable[[PreflightInput], Iterable[Problem]]
    stages: frozenset[Stage]


def _check(name: str, find: Callable[[PreflightInput], Iterable[Problem]], *stages: Stage) -> PreflightCheck:
    return PreflightCheck(name=name, find=find, stages=frozenset(stages))


def _placement_problems(subject: PreflightInput) -> Iterator[Problem]:
    for placement in subject.placements:
        yield from (*placement.problems, *placement.warnings)


def _deletions_by_path(subject: PreflightInput) -> Iterator[Problem]:
    """Find outputs with `mode=delete` that would delete other files. Reads nothing; paths may be relative."""
    root = str(subject.plan_files.root)
    return deletion_problems(
        subject.targets.values(), subject.plan_files.root, lambda path: posixpath.normpath(posixpath.join(root, path))
    )


def _deletions_by_link(subject: PreflightInput) -> Iterator[Problem]:
    """Find outputs with `mode=delete` that would delete other files, also through symlinks in the file system."""
    return deletion_problems(subject.targets.values(), subject.plan_files.root, os.path.realpath)


def _deletions_of_each(subject: PreflightInput) -> Iterator[Problem]:
    """Check deletions of each target separately: targets with the same output folder may never be built in one run."""
    for target in subject.targets.values():
        yield from deletion_problems([target], subject.plan_files.root, os.path.realpath)


def _shared_tags(subject: PreflightInput) -> Iterable[Problem]:
    return dependencies_on_shared_tags(subject.targets.values()) if subject.together else ()


def _missing_paths(subject: PreflightInput) -> Iterator[Problem]:
    return missing_paths(subject.targets.values(), subject.plan_files.root, subject.environment)


def _missing_paths_of_plan(subject: PreflightInput) -> Iterator[Problem]:
    """Find missing paths, but not folders that other targets of the plan write: a later run may read them."""
    targets = subject.targets.values()
    return missing_paths(targets, subject.plan_files.root, subject.environment, written_folders(targets))


def _certificates(subject: PreflightInput) -> Iterator[Problem]:
    return certificate_problems(subject.targets.values(), subject.only, subject.now, subject.may_read)


def _deployments(subject: PreflightInput) -> Iterator[Problem]:
    return deployment_problems(subject.nodes, subject.now, subject.may_read)


def _private_keys(subject: PreflightInput) -> Iterator[Problem]:
    return key_problems(subject.nodes, subject.environment, subject.may_read)


def _foreign_bases(subject: PreflightInput) -> Iterator[Problem]:
    return foreign_bases(subject.targets.values(), subject.may_read)


def _unlinked_bases(subject: PreflightInput) -> Iterator[Problem]:
    return unlinked_bases(subject.targets, subject.may_read)


PREFLIGHT_CHECKS = (
    # While `mpbake check` resolves the plan, it already reports tags that two targets push.
    _check("tags", lambda subject: tags_pushed_twice(subject.targets.values()), Stage.PLAN, Stage.RUN),
    _check("base images for other platforms", _foreign_bases, Stage.CHECK_TARGETS, Stage.RUN_PLACED),
    _check("placement", _placement_problems, Stage.CHECK_TARGETS, Stage.PLAN, Stage.RUN, Stage.RUN_PLACED),
    _check("shared tags", _shared_tags, Stage.CHECK_PLAN, Stage.PLAN, Stage.RUN),
    _check("deletions", _deletions_by_path, Stage.PLAN),
    _check("deletions through symlinks", _deletions_by_link, Stage.RUN),
    _check("deletions of single targets", _deletions_of_each, Stage.CHECK_TARGETS),
    _check("missing paths", _missing_paths, Stage.RUN),
    _check("missing paths of a plan", _missing_paths_of_plan, Stage.CHECK_TARGETS),
    _check("certificates", _certificates, Stage.CHECK_TARGETS, Stage.RUN),
    _check("certificates of deployments", _deployments, Stage.CHECK_PLAN),
    _check("private keys", _private_keys, Stage.CHECK_PLAN),
    _check("base images without a link", _unlinked_bases, Stage.CHECK_PLAN),
    _check("nodes", lambda subject: node_warnings(subject.nodes), Stage.CHECK_PLAN, Stage.PLAN, Stage.RUN_PLACED),
)
"""Every preflight check that needs no node. Warnings appear in this order."""


def preflight_problems(subject: PreflightInput, *stages: Stage) -> Iterator[Problem]:
    """Run the checks of `stages`, and yield the problems."""
    for check in PREFLIGHT_CHECKS:
        if not check.stages.isdisjoint(stages):
            yield from check.find(subject)


def preflight_warnings(subject: PreflightInput, stage: Stage) -> tuple[str, ...]:
    """Run the checks of a stage, and return the messages of all warnings. Raises PlanError with every error."""
    problems = list(preflight_problems(subject, stage))
    errors = [problem for problem in problems if problem.code.severity is Severity.ERROR]
    if errors:
        raise PlanError(subject.plan_files.diagnose(error) for error in errors)
    return tuple(dict.fromkeys(problem.message for problem in problems))
