"""Files of keys and certificates: keys that only their owner can read, and no file that replaces another unasked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mpbake.base.errors import UsageError, system_error
from mpbake.base.text import one_line

if TYPE_CHECKING:
    from pathlib import Path

_KEY_MODE = 0o600
_CERTIFICATE_MODE = 0o644
_PRIVATE_FOLDER = 0o700


def write_key(path: Path, pem: bytes, *, replace: bool = False) -> None:
    """Write a private key that only its owner can read. Raises UsageError if there is a file, unless `replace`."""
    _write(path, pem, _KEY_MODE, replace=replace)


def write_certificate(path: Path, pem: bytes, *, replace: bool = False) -> None:
    """Write a certificate. Raises UsageError if there is a file, unless `replace`."""
    _write(path, pem, _CERTIFICATE_MODE, replace=replace)


def keep_out_of_git(folder: Path, keys: list[Path]) -> None:
    """Add the keys below `folder` to its `.gitignore`, which is made if it is missing."""
    names = [f"/{key.name}" for key in keys if key.parent == folder]
    path = folder / ".gitignore"
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        missing = [name for name in names if name not in text.splitlines()]
        if missing:
            separator = "" if not text or text.endswith("\n") else "\n"
            path.write_text(text + separator + "\n".join(missing) + "\n", encoding="utf-8")
    except OSError as error:
        raise system_error(error, str(path)) from None


def _write(path: Path, pem: bytes, mode: int, *, replace: bool) -> None:
    """Create a file with its mode from the start: a key is never readable by others, not even for a moment."""
    try:
        path.parent.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        if replace:
            path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        hint = "mpbake does not overwrite it: move it away, or use --rekey for certificates"
        raise UsageError(f"{one_line(str(path))} exists already", hint=hint) from None
    except OSError as error:
        raise system_error(error, str(path)) from None
