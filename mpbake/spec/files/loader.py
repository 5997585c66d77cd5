"""Read the files of a plan and all included files, and check each file against the tables of a plan."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from mpbake import __version__
from mpbake.base.codes import Code
from mpbake.base.errors import Diagnostic, Location, PlanError
from mpbake.base.file_tree import FILE_SYSTEM
from mpbake.base.files import Kind
from mpbake.base.text import one_line
from mpbake.model.reading import ReadAccess
from mpbake.spec.files.bake_values import bake_problems, first_file_problem, plan_tables
from mpbake.spec.files.json_values import JSON_SUFFIX, parse_json_table
from mpbake.spec.files.plan_files import PlanFile, PlanFiles
from mpbake.spec.files.plan_limits import PlanSize
from mpbake.spec.files.toml_values import parse_toml, read_file, read_text
from mpbake.spec.problem import Problem
from mpbake.spec.tables.plan_tables import PlanSpec, version_range
from mpbake.spec.tables.validation import problems_of
from mpbake.spec.tables.value_types import AS_WRITTEN

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

_MAX_DEPTH = 50
"""The maximum depth of nested includes."""


def read_plan(
    paths: Sequence[Path],
    *,
    show: Callable[[Path], str] = str,
    settings: Sequence[str] = (),
    access: ReadAccess | None = None,
) -> tuple[PlanFiles, PlanSpec]:
    """Read and check the files of a plan and all included files. Values of later files win.

    A JSON file after the first file is a bake file with values of images. `show` returns the name of a file for
    messages; `settings` are the values of `--set`, for messages. `access` holds the tree of the files, and decides
    which included files mpbake may read; by default, only those in the folder of the first file. Raises PlanError with
    all problems of syntax, keys and types.
    """
    if paths[0].suffix == JSON_SUFFIX:
        raise PlanError([first_file_problem(show(paths[0]))])
    access = access or ReadAccess(folder=paths[0].parent)
    reader = _Reader(access, show)
    for path in paths:
        reader.read_named(path)
    files = reader.finish()
    main = next(file for file in files if file.path == paths[0])
    plan_files = PlanFiles(main=main, sources=files, settings=tuple(settings), access=access)
    try:
        return plan_files, PlanSpec.model_validate(plan_files.data, context=dict(AS_WRITTEN))
    except ValidationError as error:
        raise PlanError(plan_files.diagnose(problem) for problem in problems_of(error, PlanSpec)) from None


class _Reader:
    """Reads each file once, after the files that it includes."""

    def __init__(self, access: ReadAccess, show: Callable[[Path], str]) -> None:
        self._access = access
        self._tree = access.tree
        self._show = show
        self._size = PlanSize()
        self._open: dict[str, Path] = {}
        self._files: dict[str, PlanFile] = {}
        self._problems: list[Diagnostic] = []

    def read_named(self, path: Path) -> None:
        """Read a file of the plan that is not included, and the files that it includes. Collect all problems."""
        if self._access.may_read_named(path):
            self.read(path)
            return
        shown = self._show(path)
        message = f"is a link to {one_line(self._tree.real_path(path))}, outside of its folder"
        hint = self._access.remedy(path)
        location = Location(file=shown)
        self._problems.append(Diagnostic(code=Code.OUTSIDE_FILE, message=message, hint=hint, location=location))

    def read(self, path: Path) -> None:
        """Read `path` and the files that it includes, and collect all problems."""
        real_path = self._tree.real_path(path)  # several symlinks to a file are the same file, and cannot make a cycle
        if real_path in self._files:
            return
        try:
            file = self._read_file(path)
        except PlanError as error:
            self._problems += error.diagnostics
            return
        self._open[real_path] = path
        for index, name in _included(file):
            self._include(file, index, name)
        del self._open[real_path]
        self._files[real_path] = file

    def finish(self) -> tuple[PlanFile, ...]:
        """Return the files; a later file overrides earlier files. Raises PlanError with all problems."""
        tables = {name for file in self._files.values() for name in _target_tables(file)}
        files = tuple(self._with_plan_tables(file, tables) for file in self._files.values())
        for file in files:
            self._check_requirement(file)
            if len(files) > 1:
                self._check_head(file)
        if self._problems:
            raise PlanError(self._problems)
        return files

    def _read_file(self, path: Path) -> PlanFile:
        shown = self._show(path)
        own = self._access.is_inside(path) or (not self._open and self._access.stays(path))
        text = read_text(path, shown, self._read)
        self._size.add(text, shown)
        if path.suffix == JSON_SUFFIX:
            return PlanFile(path=path, shown=shown, text=text, data=parse_json_table(text, shown), quotable=False)
        data = parse_toml(text, shown, quotable=own)
        # Of a granted file from elsewhere, which may be anything, mpbake shows lines only if it is a plan.
        return PlanFile(path=path, shown=shown, text=text, data=data, quotable=own or "version" in data)

    def _read(self, path: Path) -> bytes:
        return read_file(path) if self._tree is FILE_SYSTEM else self._tree.read(path)

    def _with_plan_tables(self, file: PlanFile, tables: Collection[str]) -> PlanFile:
        """Return a file of the plan; the values of a bake file become tables of a plan with the target `tables`."""
        if file.path.suffix != JSON_SUFFIX:
            return file
        problems = list(bake_problems(file.data, file.shown, tables))
        self._problems += problems
        return replace(file, data={"version": 1} if problems else plan_tables(file.data, tables))

    def _include(self, file: PlanFile, index: int, name: str) -> None:
        path = Path(os.path.normpath(file.path.parent / name))
        if not self._access.may_read(path):
            message, hint = self._access.problem(path, self._show(path)), self._access.remedy(path)
            self._report(file, Problem(code=Code.OUTSIDE_FILE, key=("include", index), message=message, hint=hint))
            return
        kind = self._tree.kind(path)
        code, message, hint = Code.BAD_INCLUDE, "", "write the path relative to the file that includes it"
        real_path = self._tree.real_path(path) if kind is Kind.FILE else ""
        if real_path in self._open:
            cycle = [*self._open][[*self._open].index(real_path) :]
            names = [self._show(self._open[part]) for part in (*cycle, real_path)]
            code, message, hint = Code.CYCLE, f"a cycle: {one_line(' -> '.join(names))}", "remove one of the includes"
        elif len(self._open) > _MAX_DEPTH:
            code, message, hint = Code.TOO_DEEP, f"files include each other more than {_MAX_DEPTH} levels deep", ""
        elif reason := self._tree.access_error(path):
            message, hint = f"{one_line(self._show(path))} cannot be read: {reason}", ""
        elif kind in {Kind.NOTHING, Kind.LOOSE_LINK}:
            message = f"there is no file {one_line(self._show(path))}"
        elif kind is not Kind.FILE:
            message = f"{one_line(self._show(path))} is not a file"
        elif path.suffix == JSON_SUFFIX:
            message, hint = f"{one_line(self._show(path))} is not a plan", "name a bake file with -f, after the plan"
        else:
            self.read(path)
            return
        self._report(file, Problem(code=code, key=("include", index), message=message, hint=hint))

    def _check_requirement(self, file: PlanFile) -> None:
        """Check that this version of mpbake supports the file.

        In an unsupported file, all other problems would mislead.
        """
        required = file.data.get("requires")
        if isinstance(required, str) and not _is_met(required):
            message = f"requires mpbake {one_line(required)}, but this is {__version__}"
            hint = f"install mpbake {one_line(required)}"
            self._report(file, Problem(code=Code.OTHER_MPBAKE, key=("requires",), message=message, hint=hint))

    def _check_head(self, file: PlanFile) -> None:
        """Check the keys at the top of each file: in the merged plan only the keys of the last file are visible."""
        head = {name: file.data[name] for name in ("version", "requires", "include") if name in file.data}
        try:
            PlanSpec.model_validate(head, context=dict(AS_WRITTEN))
        except ValidationError as error:
            for problem in problems_of(error, PlanSpec):
                self._report(file, problem)

    def _report(self, file: PlanFile, problem: Problem) -> None:
        self._problems.append(PlanFiles(main=file, sources=(file,), access=self._access).diagnose(problem))


def _target_tables(file: PlanFile) -> Iterable[str]:
    """Return the names of the tables under `[targets]` of a file, if these are tables."""
    tables = file.data.get("targets")
    return tables if isinstance(tables, dict) else ()


def _is_met(required: str) -> bool:
    """Return whether `required` allows this version of mpbake.

    True for an invalid range, which another check reports.
    """
    try:
        return version_range(required).contains(__version__, prereleases=True)
    except ValueError:
        return True


def _included(file: PlanFile) -> Iterator[tuple[int, str]]:
    """Yield each valid entry of `include` with its index, each name once. Validation reports invalid entries."""
    include = file.data.get("include", [])
    names: set[str] = set()
    for index, name in enumerate(include if isinstance(include, list) else []):
        if isinstance(name, str) and name and "://" not in name and name not in names:
            names.add(name)
            yield index, name
