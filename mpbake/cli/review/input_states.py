"""The state of the inputs of a plan: digests of its plan files, and what git says about the contexts of its targets."""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import MpbakeError
from mpbake.base.references import is_local_context
from mpbake.base.text import one_line
from mpbake.resolve.git import GitRepository, has_repository
from mpbake.resolve.template.filters import FilterError
from mpbake.review.saved_plan import InputStates

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mpbake.review.document.plan_document import Document
    from mpbake.spec.files.plan_files import PlanFiles

_LARGEST_CHANGES = 1024**3
"""The maximum size in bytes of all changed files of a context together."""
_CHUNK = 1024**2


def input_states(
    plan_files: PlanFiles, document: Document, environment: Mapping[str, str], saved: Path | None
) -> InputStates:
    """Return the state of the inputs of a plan. `saved` is the saved plan itself, which belongs to no context.

    Raises MpbakeError if git cannot tell.
    """
    root = plan_files.root
    files = {os.path.relpath(file.path, root): _text_digest(file.text) for file in plan_files.sources}
    if not has_repository(root):
        return InputStates(files=files, contexts={})
    repository = GitRepository(root, environment)
    try:
        contexts = {path: _context_state(repository, root, path, saved) for path in local_contexts(document, root)}
    except FilterError as error:
        message, _, hint = str(error).partition("\n")
        raise MpbakeError(message, hint=hint) from None
    return InputStates(files=files, contexts=contexts)


def _text_digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def local_contexts(document: Document, root: Path) -> list[str]:
    """Return the paths of all contexts in the folder of the plan, relative to this folder, sorted, each once."""
    folder = os.path.realpath(root)
    paths = {posixpath.normpath(context) for context in _contexts(document) if is_local_context(context)}
    inside = (path for path in paths if Path(os.path.realpath(root / path)).is_relative_to(folder))
    return sorted(path for path in inside if not path.startswith("/"))


def _contexts(document: Document) -> Iterator[str]:
    for target in document["targets"]:
        for variant in (target, *target["variants"].values()):
            yield variant["attributes"].get("context", ".")
            yield from variant["contexts"].values()


def _context_state(repository: GitRepository, root: Path, path: str, saved: Path | None) -> tuple[str, str]:
    """Return the id of the git tree of a context, and a digest of the changes since the commit; empty if none.

    A context that is a symlink has the state of the folder to which it leads.
    """
    path = os.path.relpath(os.path.realpath(root / path), os.path.realpath(root))
    own = os.path.realpath(saved) if saved else ""
    names = {os.path.relpath(file, root): file for file in repository.changes(path) if os.path.realpath(file) != own}
    digest, left = hashlib.sha256(), _LARGEST_CHANGES
    for name in sorted(names):
        digest.update(os.fsencode(name) + b"\0")
        for file in _files(names[name]):
            left = _add_file(digest, file, left)
    return repository.tree("" if path == "." else path), digest.hexdigest() if names else ""


def _files(path: Path) -> Iterator[Path]:
    """Yield a changed file. For a repository in the context, yield its folder and its files, also the ignored ones."""
    yield path
    for folder, folders, files in os.walk(path) if path.is_dir() and not path.is_symlink() else ():
        folders[:] = sorted(name for name in folders if name != ".git")
        yield from (Path(folder, name) for name in sorted((*folders, *files)))


def _add_file(digest: Any, file: Path, left: int) -> int:
    """Add the mode and the content of a file to a digest. Return how many bytes may follow. Raises MpbakeError.

    A symlink is not followed, and nothing but a regular file is read.
    """
    try:
        mode = file.lstat().st_mode
    except OSError:  # a removed file
        digest.update(b"none\0")
        return left
    digest.update(os.fsencode(file.name) + b"\0")
    digest.update(f"{stat.S_IFMT(mode)} {bool(mode & stat.S_IXUSR)}\0".encode())
    if stat.S_ISLNK(mode):
        digest.update(os.fsencode(file.readlink()) + b"\0")
    if not stat.S_ISREG(mode):
        return left
    content = hashlib.sha256()
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    with open(os.open(file, flags), "rb") as stream:  # noqa: PTH123 - a descriptor
        while chunk := stream.read(_CHUNK):
            content.update(chunk)
            left -= len(chunk)
            if left < 0:
                message = f"the changes since the commit are too large to save: {one_line(str(file))}"
                raise MpbakeError(message, hint="commit them, or let git ignore them")
    digest.update(content.digest())
    return left
