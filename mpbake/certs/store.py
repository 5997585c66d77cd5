"""Write keys, which only their owner can read, and certificates.

A replaced file is never missing, not even for a moment.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.base.errors import UsageError, system_error
from mpbake.base.files import read_bounded
from mpbake.base.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mpbake.certs.authority import KeyPair

_KEY_MODE = 0o600
_CERTIFICATE_MODE = 0o644
_TEMPORARY = ".mpbake-"
"""The prefix for the names of incomplete files."""
_GIT_SPECIAL = re.compile(r"([\\*?\[\] !#])")


def create_pair(pair: KeyPair, certificate: Path, key: Path) -> None:
    """Write a new key and a new certificate.

    If one of the two files cannot be written, neither is. Raises UsageError if one of the files exists.
    """
    _create(key, pair.key, _KEY_MODE)
    try:
        _create(certificate, pair.certificate, _CERTIFICATE_MODE)
    except BaseException:
        key.unlink(missing_ok=True)
        raise


def create_certificate(path: Path, pem: bytes) -> None:
    """Write a new certificate. Raises UsageError if the file exists."""
    _create(path, pem, _CERTIFICATE_MODE)


def replace_pair(pair: KeyPair, certificate: Path, key: Path) -> None:
    """Write a key and a certificate, and replace existing files.

    The old files stay until the new files are complete.
    """
    try:
        with _prepared(key, pair.key, _KEY_MODE) as new_key:
            replace_certificate(certificate, pair.certificate)
            new_key.replace(key)
    except OSError as error:
        raise system_error(error, one_line(str(key))) from None


def replace_certificate(path: Path, pem: bytes) -> None:
    """Write a certificate, and replace an existing file.

    The old file stays until the new file is complete. A symlink is replaced, not followed.
    """
    try:
        with _prepared(path, pem, _CERTIFICATE_MODE) as new:
            new.replace(path)
    except OSError as error:
        raise system_error(error, one_line(str(path))) from None


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder, so that other commands wait before they write certificates into this folder.

    Makes no lock file.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise system_error(error, one_line(str(folder))) from None
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def keep_out_of_git(folder: Path, keys: Iterable[Path]) -> bool:
    """Add the keys in `folder` to the `.gitignore` in `folder`. Return whether `.gitignore` was changed or made.

    Raises UsageError for a `.gitignore` that is a symlink, since git does not read such a file.
    """
    path = folder / ".gitignore"
    lines = [f"/{_TEMPORARY}*", *(_ignored(key.name) for key in keys if key.parent == folder)]
    try:
        make_folder(folder)
        text = read_bounded(path, pipe=False, link=False).decode(errors="replace") if os.path.lexists(path) else ""
        missing = [line for line in dict.fromkeys(lines) if line not in text.splitlines()]
        if missing:
            separator = "" if not text or text.endswith("\n") else "\n"
            _append(path, separator + "".join(f"{line}\n" for line in missing))
    except OSError as error:
        if error.errno == errno.ELOOP:
            message = f"{one_line(str(path))} is a symlink, which git does not follow"
            raise UsageError(message, hint="replace it by a file") from None
        raise system_error(error, one_line(str(path))) from None
    return bool(missing)


def _ignored(name: str) -> str:
    """Return the line of `.gitignore` that ignores a file of this name in the same folder."""
    return "/" + _GIT_SPECIAL.sub(r"\\\1", name).replace("\n", "?")


def _append(path: Path, text: str) -> None:
    """Append a text in one write, so that commands that run at the same time keep each other's lines."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, _CERTIFICATE_MODE), "ab", buffering=0) as file:  # noqa: PTH123 - a descriptor
        file.write(text.encode())


def make_folder(folder: Path) -> None:
    """Make a folder with the usual mode, unless it exists: its certificates are public, and each key has its own mode.

    Raises UsageError, MpbakeError.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        message = f"{one_line(str(folder))} is not a folder"
        raise UsageError(message, hint="move it away, or set other paths in the plan") from None
    except OSError as error:
        raise system_error(error, one_line(str(folder))) from None


def _create(path: Path, pem: bytes, mode: int) -> None:
    """Create a whole file, or none. Raises UsageError if a file or a symlink has the path."""
    try:
        if os.path.lexists(path):
            raise FileExistsError  # noqa: TRY301 - handled like a file that appears later
        with _prepared(path, pem, mode) as new:
            _link(new, path, pem, mode)
    except FileExistsError:
        message = f"{one_line(str(path))} exists already, and mpbake does not overwrite it"
        raise UsageError(message, hint="move it away, or set another path in the plan") from None
    except OSError as error:
        raise system_error(error, one_line(str(path))) from None


def _link(new: Path, path: Path, pem: bytes, mode: int) -> None:
    """Give a complete file the name `path`. Raises FileExistsError, OSError."""
    try:
        path.hardlink_to(new)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with open(os.open(path, flags, mode), "wb") as file:  # noqa: PTH123 - a descriptor
            try:
                file.write(pem)
                file.flush()
            except OSError:
                path.unlink()
                raise


@contextlib.contextmanager
def _prepared(path: Path, pem: bytes, mode: int) -> Iterator[Path]:
    """Yield a complete temporary file beside `path`.

    Remove the file at the end of the block, unless the block has renamed it. Other users can never read the file of a
    key, not even for a moment. Raises OSError.
    """
    make_folder(path.parent)
    descriptor, name = tempfile.mkstemp(prefix=_TEMPORARY, dir=path.parent)  # with the mode of a key
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            if mode != _KEY_MODE:
                os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
