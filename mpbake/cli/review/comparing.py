"""The two plans that `mpbake diff` compares: that of the working tree, and that of a revision or a saved plan."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import UsageError
from mpbake.base.files import Kind, is_file
from mpbake.base.text import one_line, short_name
from mpbake.cli.folder import folder_of, plan_file
from mpbake.cli.loading import read_source, resolution_inputs, shown_path
from mpbake.cli.options import SAVED_SUFFIX, OverrideOptions
from mpbake.cli.review.saved_requests import (
    overrides_of,
    plan_files_of,
    read_saved_plan,
    saved_plan_path,
    variables_of,
    with_recorded_environment,
)
from mpbake.cli.review.selection_review import review_selection
from mpbake.cli.selection import select_for
from mpbake.resolve import has_default_group, resolve_partially, select_targets
from mpbake.resolve.git_tree import open_revision
from mpbake.review.document.plan_document import empty_document
from mpbake.review.document.saved_document import read_document
from mpbake.review.saved_plan import parse_request
from mpbake.spec.files.discovery import FILE_NAMES
from mpbake.spec.files.loader import read_plan
from mpbake.spec.files.toml_values import top_level_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mpbake.cli.options import DiffOptions
    from mpbake.cli.world import World
    from mpbake.model.plan import Plan
    from mpbake.resolve.git_tree import GitTree
    from mpbake.review.saved_plan import Request
    from mpbake.spec.files.plan_files import PlanFiles

    """A plan document."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparedPlan:
    """A plan and its files. `revision` is empty for the plan of the working tree."""

    files: PlanFiles
    plan: Plan
    revision: str = ""

    def document(self, names: Sequence[str], options: DiffOptions, world: World) -> dict[str, Any]:
        """Return the plan document of the targets that `names` select. Raises PlanError, UsageError."""
        if not any(not name.startswith("!") for name in names):
            return empty_document()
        try:
            selection = select_for(self.plan, names, options.overrides)
        except UsageError as error:
            raise _located(error, self.revision) from None
        return review_selection(self.files, selection, {}, world).document

    def selects(self, name: str) -> bool:
        """Whether a name from the command line selects targets."""
        try:
            return bool(select_targets(self.plan, [name.removeprefix("!")]))
        except UsageError:
            return False


def plan_of_working_tree(options: DiffOptions, world: World, request: Request | None = None) -> ComparedPlan:
    """Read and resolve the plan of the working tree. Raises PlanError, UsageError.

    With the request of a saved plan, variables that are not sensitive take only its values of the environment.
    """
    read = read_source(options.source, world, options.overrides)
    if request is not None:
        read = with_recorded_environment(read, request)
    plan_files, plan = read.plan(relative=True)
    return ComparedPlan(files=plan_files, plan=plan)


def plan_of_revision(revision: str, current: ComparedPlan, options: DiffOptions, world: World) -> ComparedPlan | None:
    """Read the plan of a git revision, and resolve it with the current values and options.

    Return None if the revision has no plan file where `current` has one. Raises PlanError, UsageError.
    """
    tree = open_revision(current.files.root, revision, world.environment)
    paths = _paths_in(tree, current.files, options, world)
    if not paths:
        return None
    shown = short_name(revision)

    def show(path: Path) -> str:
        return f"{shown}:{shown_path(path, world.folder)}"

    access = replace(current.files.access, tree=tree)
    plan_files, spec = read_plan(paths, show=show, settings=options.source.settings, access=access)
    plan_files = replace(plan_files, relative=True)
    inputs = resolution_inputs(options.source, options.overrides, world, current.files.access, spec)
    try:
        partial_plan = resolve_partially(plan_files, spec, inputs)
    except UsageError as error:
        raise _located(error, revision) from None
    world.redactor.add(partial_plan.plan.sensitive)
    plan = partial_plan.plan_or_raise()
    dockerfiles = (
        variant.dockerfile[1] for target in plan.targets.values() for variant, _ in target.split_by_variant(())
    )
    tree.prefetch_digests(plan_files.root / path for path in dockerfiles if path)
    return ComparedPlan(files=plan_files, plan=plan, revision=revision)


def _located(error: UsageError, revision: str) -> UsageError:
    """Return an error about the plan of a revision."""
    return UsageError(f"{short_name(revision)}: {error.message}", hint=error.hint) if revision else error


def _paths_in(tree: GitTree, current: PlanFiles, options: DiffOptions, world: World) -> list[Path]:
    """Return the files of the plan in a revision; none if the plan did not exist.

    Without `-f`, the plan may have had the other default name.
    """
    if options.source.files:
        folder = folder_of(options.source.directory, world)
        paths = [plan_file(folder, name) for name in options.source.files]
        return [path for path in paths if _exists(tree, path)] if _exists(tree, paths[0]) else []
    if _exists(tree, current.path):
        return [current.path]
    others = (current.root / name for name in FILE_NAMES)
    return [path for path in others if tree.kind(path) is Kind.FILE and _may_be_plan(tree, path)][:1]


def _exists(tree: GitTree, path: Path) -> bool:
    """Whether a tree has something at `path`, or a reason why it cannot be read."""
    return tree.kind(path) is not Kind.NOTHING or bool(tree.access_error(path))


def _may_be_plan(tree: GitTree, path: Path) -> bool:
    """Whether a file with a default name may be a plan: it is no file of another tool, or it cannot be read."""
    try:
        return "version" in top_level_keys(tree.read(path).decode("utf-8-sig"))
    except OSError:
        return True
    except (ValueError, RecursionError):
        return False


def names_on_each_side(
    names: Sequence[str], current: ComparedPlan, other: ComparedPlan | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names that select targets of `current`, and those that select targets of `other`.

    Without names, both are the group `default`, or all targets if one of the plans has no such group. Raises UsageError
    for a name that neither plan knows.
    """
    plans = [current, *([other] if other else [])]
    if all(name.startswith("!") for name in names) and not all(has_default_group(plan.plan) for plan in plans):
        names = ("*", *names)
    elif all(name.startswith("!") for name in names):
        names = ("default", *names)
    for name in names:
        if name != "*" and not any(plan.selects(name) for plan in plans):
            select_targets(current.plan, [name.removeprefix("!")])
    here, there = (tuple(name for name in names if plan and plan.selects(name)) for plan in (current, other))
    return here, there


def request_of(document: dict[str, Any], options: DiffOptions) -> Request | None:
    """Return the request that a saved plan records; None for a plan that was printed as JSON. Raises UsageError."""
    if "request" not in document:
        return None
    try:
        return parse_request(document["request"])
    except ValueError as error:
        raise UsageError(f"{short_name(options.against)} {error}", hint="save the plan again") from None


def with_request(options: DiffOptions, request: Request | None, world: World) -> DiffOptions:
    """Return the options with the files, values and options of a saved plan. The values of `options` win.

    Raises UsageError for a plan file that must not or cannot be read.
    """
    if request is None:
        return options
    recorded, given = overrides_of(request), options.overrides
    path = saved_plan_path(options.against, options.source, world)
    unset = OverrideOptions()
    values = {
        option.name: getattr(given, option.name)
        for option in fields(OverrideOptions)
        if getattr(given, option.name) != getattr(unset, option.name)
    }
    return replace(
        options,
        names=options.names or request.names,
        source=replace(
            options.source,
            files=options.source.files or _recorded_files(request, path),
            variables=(*variables_of(request), *options.source.variables),
            settings=(*request.settings, *options.source.settings),
        ),
        overrides=replace(recorded, **values),
    )


def _recorded_files(request: Request, path: Path) -> tuple[str, ...]:
    """Return the plan files that a saved plan names; none if mpbake finds the plan as usual. Raises UsageError.

    The saved plan may be a copy in another folder, where the plan files are not. If it names only a file with a default
    name, mpbake then finds this file as usual.
    """
    only = request.files[0] if len(request.files) == 1 else ""
    if Path(only).name in FILE_NAMES and not is_file(path.parent / only):
        return ()
    try:
        files = plan_files_of(request, path)
    except UsageError:
        if Path(only).name in FILE_NAMES:
            return ()
        raise
    for name, file in zip(request.files, files, strict=True):
        if not is_file(Path(file)):
            message = f"the saved plan names a plan file that is not beside it: {one_line(name)}"
            raise UsageError(message, hint="name the plan file yourself: add -f FILE")
    return files


def saved_document(options: DiffOptions, world: World) -> dict[str, Any]:
    """Return the plan document in the saved plan that the command line names. Raises UsageError."""
    note = f"; a name that ends in {SAVED_SUFFIX} is not a revision"
    content = read_saved_plan(options.against, options.source, world, note=note)
    shown = short_name(options.against)
    try:
        return read_document(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise UsageError(f"{shown} is not UTF-8 text", hint="name a plan that mpbake saved") from None
    except ValueError as error:
        message, _, hint = str(error).partition("\n")
        raise UsageError(f"{shown} {message}", hint=hint) from None
