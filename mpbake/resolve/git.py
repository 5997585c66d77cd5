"""Facts about the plan's Git repository."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, assert_never

from mpbake.base.text import one_line
from mpbake.resolve.git_program import USE_A_VARIABLE, GitProgram, git_error
from mpbake.resolve.template.filters import FilterError, SemanticVersion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mpbake.resolve.template.filters import GitFact

_FILTER_OFF = {"clean": "", "smudge": "", "process": "", "required": "false"}
_MAX_STATUS_OUTPUT = 50_000
_MAX_PATHS = 100
_MODIFIED = b" M "
_BRANCHES = "refs/heads/"


def has_repository(folder: Path) -> bool:
    """Whether `folder` seems to belong to a git repository. Starts no program."""
    return any(os.path.lexists(place / ".git") for place in (folder, *folder.parents))


class GitRepository:
    """The git repository that a folder belongs to."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._program = GitProgram(folder, environment)

    def fact(self, name: GitFact) -> str | bool:
        """Return a fact about the current state of the repository; nothing is cached. Raises FilterError.

        `commit` is a full hash. `branch` is empty if no branch is checked out. `tag` is the highest tag at the commit,
        or empty. `dirty` says whether a tracked file differs from the commit.
        """
        match name:
            case "commit":
                return self._commit()
            case "branch":
                return self._branch()
            case "tag":
                return self._tag()
            case "dirty":
                return self._dirty()
            case _:
                assert_never(name)

    def tracked(self, names: Sequence[str]) -> frozenset[str]:
        """Return the files of the folder that git tracks. Raises FilterError."""
        output = self._program.run("ls-files", "-z", "--cached", "--", *(f":(literal){name}" for name in names)).stdout
        return frozenset(os.fsdecode(name) for name in output.split(b"\0") if name)

    def unignored(self, names: Sequence[str]) -> frozenset[str]:
        """Return the files called `names` in the folder that git does not ignore, whether these files exist or not.

        Raises FilterError. git never ignores a tracked file.
        """
        paths = [f"./{name}" for name in names]  # a name that begins with `:` has another meaning
        ignored = self._program.run("check-ignore", "--", *paths, allowed_codes=(0, 1)).text.splitlines()
        if len(ignored) in {0, len(names)}:
            return frozenset() if ignored else frozenset(names)
        # git quotes unusual names in its output, so its exit code is the answer for each name.
        return frozenset(
            name
            for name, path in zip(names, paths, strict=True)
            if self._program.run("check-ignore", "--quiet", "--", path, allowed_codes=(0, 1)).code
        )

    def tree(self, path: str) -> str:
        """Return the id of the git tree of a folder, at the current commit; empty if the commit does not have it.

        `path` is relative to the folder of this repository object. Raises FilterError.
        """
        result = self._program.run("rev-parse", "--verify", "--quiet", f"HEAD:./{path}", allowed_codes=(0, 1))
        return result.text

    def changes(self, path: str) -> list[Path]:
        """Return the files below a folder that differ from the commit, and those that git neither has nor ignores.

        Filters are off, so a filtered file may be listed although nobody has changed it. Raises FilterError.
        """
        filters_off = {f"filter.{name}.{key}": value for name in self._filters() for key, value in _FILTER_OFF.items()}
        options = ("--porcelain", "-z", "--untracked-files=all", "--ignore-submodules=dirty", "--no-renames")
        output = self._program.run("status", *options, "--", f":(literal){path}", configuration=filters_off).stdout
        top = self._folder / self._program.run("rev-parse", "--show-cdup").text
        return [top / os.fsdecode(entry[3:]) for entry in output.split(b"\0")[:-1]]  # after two letters and a blank

    def _commit(self) -> str:
        result = self._program.run("rev-parse", "--verify", "--quiet", "HEAD^{commit}", allowed_codes=(0, 1))
        if result.code:
            raise git_error("the plan's git repository has no commit yet", "create a commit first")
        return result.text

    def _branch(self) -> str:
        reference = self._program.run("symbolic-ref", "--quiet", "HEAD", allowed_codes=(0, 1)).text
        return reference.removeprefix(_BRANCHES) if reference.startswith(_BRANCHES) else ""

    def _tag(self) -> str:
        commit = self._commit()
        tags = self._program.run("for-each-ref", f"--points-at={commit}", "--format=%(refname:lstrip=2)", "refs/tags")
        return max(tags.text.splitlines(), key=_tag_rank, default="")

    def _dirty(self) -> bool:
        self._check_work_tree()
        filters = self._filters()
        filters_off = {f"filter.{name}.{key}": value for name in filters for key, value in _FILTER_OFF.items()}
        # Untracked files do not belong to a commit, and changes inside a submodule belong to the submodule.
        options = ("--porcelain", "-z", "--untracked-files=no", "--ignore-submodules=dirty", "--no-renames")
        result = self._program.run("status", *options, configuration=filters_off, max_output=_MAX_STATUS_OUTPUT)
        changes = result.stdout.split(b"\0")[:-1]  # the rest after the last zero byte is empty or incomplete
        modified = [os.fsdecode(change.removeprefix(_MODIFIED)) for change in changes if change.startswith(_MODIFIED)]
        if len(modified) < len(changes):
            return True
        return bool(changes) and self._is_modified(modified[:_MAX_PATHS], filters)

    def _check_work_tree(self) -> None:
        """Raise FilterError if git would read another folder than the one with `.git`: `core.worktree` may name any."""
        work_tree = self._program.run("rev-parse", "--show-toplevel").text
        own = next((place for place in (self._folder, *self._folder.parents) if os.path.lexists(place / ".git")), None)
        if own is None or os.path.realpath(work_tree) != os.path.realpath(own):
            message = "the configuration of the plan's git repository names another folder as its work tree"
            raise git_error(message, f"unset core.worktree, or {USE_A_VARIABLE}")

    def _filters(self) -> list[str]:
        """Return the filters in git's configuration, which mpbake disables, since `git status` would run them."""
        result = self._program.run(
            "config", "--null", "--name-only", "--get-regexp", r"^filter\..*\.", allowed_codes=(0, 1)
        )
        keys = {os.fsdecode(key) for key in result.stdout.split(b"\0") if key}
        if any("=" in key for key in keys):  # `git -c` would take the text after `=` for the value
            raise git_error("a filter in git's configuration has an equals sign in its name", "rename the filter")
        return sorted({key.removeprefix("filter.").rpartition(".")[0] for key in keys})

    def _is_modified(self, paths: Sequence[str], filters: Sequence[str]) -> bool:
        """Whether one of `paths` is really modified. Raises FilterError if git cannot tell.

        While `filters` are off, git reports `paths` as modified. The content of a filtered file differs between
        repository and folder, so git cannot compare the file without the filter.
        """
        up = self._program.run("rev-parse", "--show-cdup").text
        result = self._program.run("check-attr", "-z", "filter", "--", *(f"{up}{path}" for path in paths))
        used = [os.fsdecode(value) for value in result.stdout.split(b"\0")[2::3]]  # path, name, value, path, …
        if any(filter_name not in filters for filter_name in used):
            return True
        message = f'git cannot tell whether {one_line(paths[0])} has changed without the filter "{one_line(used[0])}"'
        raise git_error(message, f"run `git status` once, which updates git's index, or {USE_A_VARIABLE}")


def _tag_rank(tag: str) -> tuple[bool, str, str]:
    """Return the sort key of a tag: a version sorts by precedence and above all other tags.

    Digits in other tags compare as numbers.
    """
    try:
        return True, SemanticVersion(tag), tag
    except FilterError:
        return False, re.sub("[0-9]+", lambda digits: digits[0].lstrip("0").zfill(20), tag), tag
