"""The bake files of `mpbake import`: find them, read them, and merge them as bake does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mpbake.base.codes import Code
from mpbake.base.errors import Diagnostic, Location, PlanError, UsageError
from mpbake.base.files import read_bounded
from mpbake.base.text import one_line
from mpbake.conversion.compose import read_compose_files
from mpbake.conversion.reading import default_files, merged, read_bake_json, read_hcl

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mpbake.conversion.syntax import BakeFile

_LOCAL = "cwd://"
_COMPOSE = (".yaml", ".yml")


def bake_files(names: Sequence[str], folder: Path) -> tuple[str, ...]:
    """Return the names of the bake files: `names`, or the files that bake takes in `folder` without any name.

    Raises UsageError.
    """
    if not names:
        found = tuple(default_files(os.listdir(folder)))  # noqa: PTH208 - names, not paths
        if not found:
            hint = "name it: mpbake import FILE; for a first plan without one, run `mpbake init`"
            raise UsageError(f"there is no bake file in {one_line(str(folder))}", hint=hint)
        return found
    for name in names:
        if name == "-":
            raise UsageError("-: a bake file cannot be read from standard input", hint="write it to a file")
        if "://" in name.removeprefix(_LOCAL):
            raise UsageError(f"{one_line(name)}: a bake file must be a local file", hint="download it first")
    return tuple(name.removeprefix(_LOCAL) for name in names)


def read_bake_files(names: Sequence[str], folder: Path) -> BakeFile:
    """Return the merged content of bake files. Relative names start at `folder`.

    Raises PlanError with the place in a file that cannot be read, UsageError if a library is missing.
    """
    compose = tuple(name for name in names if name.lower().endswith(_COMPOSE))
    others = tuple((name,) for name in names if name not in compose)
    files: list[BakeFile] = []
    problems: list[Diagnostic] = []
    for group in (compose, *others) if compose else others:
        try:
            files.append(_read(group, folder))
        except PlanError as error:
            problems += error.diagnostics
    if problems:
        raise PlanError(problems)
    return merged(files)


def _read(names: Sequence[str], folder: Path) -> BakeFile:
    """Return the content of one file, or of Compose files, which bake merges before it reads their targets."""
    texts = [(name, _text(folder / name, name)) for name in names]
    name, text = texts[0]
    if name.lower().endswith(_COMPOSE):
        return read_compose_files(texts, _optional_text(folder)(".env") or "", _optional_text(folder))
    is_json = name.lower().endswith(".json") or (not name.lower().endswith(".hcl") and text.lstrip().startswith("{"))
    return read_bake_json(text, name) if is_json else read_hcl(text, name)


def _optional_text(folder: Path) -> Callable[[str], str | None]:
    """Return a function that reads a file of the folder; it returns None for a file that cannot be read."""

    def read(name: str) -> str | None:
        try:
            return read_bounded(folder / name).decode()
        except (OSError, ValueError):
            return None

    return read


def _text(path: Path, shown: str) -> str:
    """Return the text of a file. Raises PlanError."""
    try:
        return read_bounded(path).decode("utf-8-sig")
    except FileNotFoundError:
        hint = "name each file separately, as in -f a.hcl -f b.hcl" if "," in shown else "check the name, or use -C DIR"
        raise _unreadable(shown, Code.FILE_UNREADABLE, "there is no such file", hint) from None
    except IsADirectoryError:
        raise _unreadable(
            shown, Code.FILE_UNREADABLE, "is a folder", "name a bake file, or run in the folder with -C DIR"
        ) from None
    except OSError as error:
        hint = "change its permissions, or run mpbake as its owner" if isinstance(error, PermissionError) else ""
        raise _unreadable(shown, Code.FILE_UNREADABLE, f"cannot be read: {error.strerror}", hint) from None
    except UnicodeDecodeError:
        raise _unreadable(shown, Code.FILE_ENCODING, "is not UTF-8", "save the file as UTF-8") from None


def _unreadable(shown: str, code: Code, message: str, hint: str) -> PlanError:
    return PlanError([Diagnostic(code=code, message=message, hint=hint, location=Location(file=shown))])
