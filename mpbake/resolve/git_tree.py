"""The files of a git revision, read from git's objects. The working tree is neither read nor changed.

Git's settings for files have no effect: no filter, no text conversion, no replacement of objects.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.base.errors import UsageError
from mpbake.base.files import Kind
from mpbake.base.text import is_unicode, short_name
from mpbake.resolve.git_program import MAX_INPUT, MAX_OUTPUT, USE_A_VARIABLE, GitProgram
from mpbake.resolve.template.filters import FilterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    Parts = tuple[str, ...]
    """The parts of a path that is relative to the top of the repository."""

_NO_REPLACEMENT = {"core.useReplaceRefs": "false"}
_MAX_LINKS = 40
"""The maximum number of symlinks in a path, as on Linux."""
_MAX_PATH_LENGTH = 4096
MAX_SIZE = 16 * 1024 * 1024
"""The maximum size in bytes of all files that are read from a revision together."""
_MAX_CALLS = 1000
"""The maximum number of calls of git that read one path or one file."""
_PATHS_AT_ONCE = 200
_HEADER = 200
"""The maximum length in bytes of the header and end of an object in the output of `git cat-file`."""
_SUBMODULE_MODE = 0o160000
_SUBMODULE = "it is in a submodule, whose files are not part of the revision"
_OUTSIDE = "it is outside of the repository"
_LEAVES = "it leads through a symlink to a path outside of the repository"
_LOOP = "it leads through a cycle of symlinks"
_LACKING = "this clone lacks its content: run `git fetch --refetch`"
_COMPARE_WITH_FILE = "compare with a saved plan: mpbake diff plan.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Entry:
    """An entry of a tree of git. `size` is the size of a file in bytes; None if the clone lacks the object."""

    mode: int
    name: str
    size: int | None = None


_TOP = _Entry(mode=stat.S_IFDIR, name="")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Position:
    """A path without symlinks. `entry` is None if there is nothing; `reason` says why the path cannot be read."""

    parts: Parts = ()
    entry: _Entry | None = None
    reason: str = ""


def open_revision(folder: Path, revision: str, environment: Mapping[str, str]) -> GitTree:
    """Return the files of a revision of the repository that `folder` belongs to. Raises UsageError."""
    program = GitProgram(folder, environment)
    with _usage_errors():
        commit = _commit(program, revision)
        top = program.run("rev-parse", "--show-toplevel").stdout.removesuffix(b"\n")
    return GitTree(program, commit, Path(os.path.realpath(os.fsdecode(top))))


class GitTree:
    """The files of a commit, with the absolute paths that they have in the working tree.

    Symlinks are followed as long as they stay in the repository.
    """

    def __init__(self, program: GitProgram, commit: str, top: Path) -> None:
        self.commit = commit
        self._program = program
        self._top = top
        self._entries: dict[Parts, _Entry | None] = {(): _TOP}
        self._contents: dict[str, bytes] = {}
        self._digests: dict[str, str] = {}
        self._calls = 0
        self._size = 0

    def kind(self, path: Path) -> Kind:
        """Return the kind of file at `path`. Raises UsageError if git fails."""
        position = self._resolve(path)
        if position.entry is None:
            return Kind.LOOSE_LINK if position.reason in {_LEAVES, _LOOP} else Kind.NOTHING
        return Kind.FOLDER if stat.S_ISDIR(position.entry.mode) else Kind.FILE

    def access_error(self, path: Path) -> str:
        """Return the reason why `path` cannot be read, or an empty string. Raises UsageError if git fails."""
        return self._resolve(path).reason

    def real_path(self, path: Path) -> str:
        """Return `path` without symlinks. Raises UsageError if git fails."""
        position = self._resolve(path)
        return os.path.normpath(path) if position.reason else str(self._top.joinpath(*position.parts))

    def read(self, path: Path) -> bytes:
        """Return the content of a file. Raises OSError with a readable reason, and UsageError if git fails."""
        entry = self._file(path)
        if entry.name not in self._contents:
            self._count_call()
            self._load(entry)
        return self._contents[entry.name]

    def sha256(self, path: Path) -> str:
        """Return the SHA-256 of a file. Raises OSError, and UsageError if git fails."""
        entry = self._file(path)
        if entry.name not in self._digests:
            self._digests[entry.name] = hashlib.sha256(self.read(path)).hexdigest()
        return self._digests[entry.name]

    def _file(self, path: Path) -> _Entry:
        position = self._resolve(path)
        if position.reason:
            raise OSError(errno.EACCES, position.reason)
        if position.entry is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        if stat.S_ISDIR(position.entry.mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        return position.entry

    def prefetch_digests(self, paths: Iterable[Path]) -> None:
        """Compute the digests of many files with few calls of git. Files that are absent or too large are left out.

        Raises UsageError if git fails.
        """
        wanted = [parts for path in dict.fromkeys(paths) if (parts := self._parts(path)) is not None]
        for depth in range(1, max(map(len, wanted), default=0) + 1):
            folders = {parts[:depth] for parts in wanted if len(parts) >= depth}
            self._look_up(sorted(parts for parts in folders if self._is_folder(parts[:-1])))
        entries = (self._entries.get(parts) for parts in wanted)
        files = {entry.name: entry for entry in entries if entry and stat.S_ISREG(entry.mode)}
        for chunk in self._chunks(list(files.values())):
            with contextlib.suppress(OSError):  # `read` reports an object that the clone lacks
                for entry, content in zip(chunk, self._blobs(chunk), strict=True):
                    self._digests[entry.name] = hashlib.sha256(content).hexdigest()

    def _chunks(self, entries: Sequence[_Entry]) -> Iterator[list[_Entry]]:
        """Group files so that one call of git reads a group. Files that are too large, or missing, are left out."""
        chunk: list[_Entry] = []
        size, most = 0, MAX_INPUT // (len(self.commit) + 1)
        for entry in entries:
            if entry.size is None or entry.size > MAX_SIZE:
                continue
            if chunk and (len(chunk) == most or size + entry.size > MAX_SIZE):
                yield chunk
                chunk, size = [], 0
            chunk.append(entry)
            size += entry.size
        if chunk:
            yield chunk

    def _is_folder(self, parts: Parts) -> bool:
        entry = self._entries.get(parts)
        return entry is not None and stat.S_ISDIR(entry.mode)

    def _parts(self, path: Path) -> Parts | None:
        """Return the parts of a path below the top of the repository; None for any other path."""
        normal = Path(os.path.normpath(path))
        return normal.relative_to(self._top).parts if normal.is_relative_to(self._top) else None

    def _resolve(self, path: Path) -> _Position:
        """Follow the symlinks in a path."""
        wanted = self._parts(path)
        if wanted is None:
            return _Position(reason=_OUTSIDE)
        waiting, links = list(reversed(wanted)), 0
        at: Parts = ()
        while waiting:
            if (part := waiting.pop()) in {"", "."}:
                continue
            if part == "..":
                if not at:
                    return _Position(reason=_LEAVES)
                at = at[:-1]
                continue
            entry = self._entry((*at, part)) if self._is_folder(at) else None
            if entry is None:
                return _Position(parts=(*at, part, *reversed(waiting)))
            if entry.mode == _SUBMODULE_MODE:
                return _Position(parts=(*at, part), reason=_SUBMODULE)
            if not stat.S_ISLNK(entry.mode):
                at = (*at, part)
                continue
            links += 1
            if links > _MAX_LINKS:
                return _Position(reason=_LOOP)
            target = self._link(entry)
            if target is None:
                return _Position(reason=_LEAVES)
            waiting += reversed(target)
        return _Position(parts=at, entry=self._entries[at])

    def _link(self, entry: _Entry) -> Sequence[str] | None:
        """Return the parts of the target of a symlink; None if the target is absolute or too long."""
        if entry.size is None or entry.size > _MAX_PATH_LENGTH:
            return None
        self._load(entry)
        target = os.fsdecode(self._contents[entry.name])
        return None if target.startswith("/") else target.split("/")

    def _entry(self, parts: Parts) -> _Entry | None:
        """Return what the tree has at a path without symlinks."""
        if parts not in self._entries:
            self._count_call()
            self._look_up([parts])
        return self._entries[parts]

    def _count_call(self) -> None:
        """Count a call of git for one path or file. Raises UsageError after too many calls."""
        self._calls += 1
        if self._calls > _MAX_CALLS:
            message = f"the plan reads more than {_MAX_CALLS} paths of the revision"
            raise UsageError(message, hint="include fewer files, and use fewer symlinks")

    def _look_up(self, paths: Sequence[Parts]) -> None:
        """Store the entries of the tree at `paths`, whose parents are folders."""
        self._entries.update((parts, None) for parts in paths if not _is_possible(parts))
        unknown = [parts for parts in paths if parts not in self._entries]
        for start in range(0, len(unknown), _PATHS_AT_ONCE):
            chunk = unknown[start : start + _PATHS_AT_ONCE]
            patterns = [f":(literal){'/'.join(parts)}" for parts in chunk]
            options = ("-z", "--long", "--full-tree", self.commit, "--")
            with _usage_errors():
                output = self._program.run("ls-tree", *options, *patterns, configuration=_NO_REPLACEMENT).stdout
            self._entries.update(dict.fromkeys(chunk))
            self._entries.update(_entries_in(output))

    def _load(self, entry: _Entry) -> None:
        """Store the content of a file. Raises OSError if it is missing, or too large together with all others."""
        if entry.name in self._contents:
            return
        if entry.size is None:
            raise OSError(errno.ENOENT, _LACKING)
        if self._size + entry.size > MAX_SIZE:
            raise OSError(errno.EFBIG, f"the files of the revision are larger than {MAX_SIZE // 1024**2} MB together")
        (self._contents[entry.name],) = self._blobs([entry])
        self._size += entry.size

    def _blobs(self, entries: Sequence[_Entry]) -> Iterator[bytes]:
        """Yield the content of each file. Raises OSError for an object that the clone lacks."""
        given = "".join(f"{entry.name}\n" for entry in entries).encode()
        most = sum((entry.size or 0) + _HEADER for entry in entries)
        with _usage_errors():
            output = self._program.run(
                "cat-file", "--batch", configuration=_NO_REPLACEMENT, given=given, max_output=max(most, MAX_OUTPUT)
            ).stdout
        at = 0
        for entry in entries:
            size = entry.size or 0
            header = f"{entry.name} blob {size}\n".encode()
            if not output.startswith(header, at):
                raise OSError(errno.ENOENT, _LACKING)
            at += len(header)
            yield output[at : at + size]
            at += size + 1


def _is_possible(parts: Parts) -> bool:
    """Whether a file of the working tree can have this path."""
    return not any("\0" in part for part in parts) and sum(map(len, parts)) <= _MAX_PATH_LENGTH


def _entries_in(output: bytes) -> Iterator[tuple[Parts, _Entry]]:
    """Yield each entry of a list of `git ls-tree --long -z`."""
    for line in output.split(b"\0")[:-1]:
        fields, _, path = line.partition(b"\t")
        mode, _, name, size = fields.split()
        entry = _Entry(mode=int(mode, 8), name=name.decode(), size=int(size) if size.isdigit() else None)
        yield tuple(os.fsdecode(path).split("/")), entry


def _commit(program: GitProgram, revision: str) -> str:
    """Return the name of the commit that a revision names. Raises UsageError, FilterError."""
    is_possible = revision and not revision.startswith("-") and "\0" not in revision and is_unicode(revision)
    if is_possible:
        options = ("--verify", "--quiet", "--end-of-options")
        result = program.run("rev-parse", *options, f"{revision}^{{commit}}", allowed_codes=(0, 1))
        if not result.code:
            return result.text
    message = f'the git repository has no revision "{short_name(revision)}"'
    if is_possible and program.run("rev-parse", "--is-shallow-repository").text == "true":
        hint = "this clone is shallow: fetch the revision, such as with `git fetch --depth=1 origin main:main`"
    elif revision == "HEAD":
        hint = "commit the plan first: the repository has no commit yet"
    else:
        hint = (
            "name a branch, a tag or a commit, such as HEAD~1 or origin/main, or a saved plan, whose name ends in .json"
        )
    raise UsageError(message, hint=hint)


@contextlib.contextmanager
def _usage_errors() -> Iterator[None]:
    """Convert errors of git into UsageError."""
    try:
        yield
    except FilterError as error:
        message, _, hint = str(error).partition("\n")
        raise UsageError(message, hint=hint.replace(USE_A_VARIABLE, _COMPARE_WITH_FILE)) from None
