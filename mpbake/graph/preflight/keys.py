"""Preflight checks of private keys: only their owner can read them, and git does not commit them."""

from __future__ import annotations

import shlex
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpbake.base.codes import Code
from mpbake.base.files import is_file, is_folder
from mpbake.base.text import one_line
from mpbake.resolve.git import GitRepository, has_repository
from mpbake.resolve.template.filters import FilterError
from mpbake.spec.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mpbake.base.errors import KeyPath
    from mpbake.model.plan import Node
    from mpbake.model.reading import MayRead

_OTHERS = 0o077
_KEY_NAMES = ("*-key.pem", "*.key")
_PRIVATE = b"PRIVATE KEY-----"
_FIRST_BYTES = 4096
_MOST_NAMES = 100
"""The maximum number of keys in one folder that mpbake checks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _KeyFile:
    """A private key, and the key in the plan that names it or a certificate beside it."""

    path: Path
    at: KeyPath


def key_problems(nodes: Iterable[Node], environment: Mapping[str, str], may_read: MayRead) -> Iterator[Problem]:
    """Yield warnings about the keys that the plan names for `nodes`, and about keys beside their certificates.

    `environment` is the environment of git, which runs only in folders that belong to a repository. Files and folders
    that mpbake may not read are not checked.
    """
    by_folder: dict[Path, list[_KeyFile]] = {}
    for key in _key_files(nodes, may_read):
        by_folder.setdefault(key.path.parent, []).append(key)
    for folder, keys in by_folder.items():
        exposed = _exposed_to_git(folder, [key.path.name for key in keys], environment)
        for key in keys:
            yield from _mode_problems(key)
            if key.path.name in exposed:
                message, hint = exposed[key.path.name]
                yield Problem(code=Code.EXPOSED_KEY, key=key.at, message=message, hint=hint)


def _key_files(nodes: Iterable[Node], may_read: MayRead) -> Iterable[_KeyFile]:
    """Return the existing keys, each once, with symlinks resolved."""
    keys: dict[Path, _KeyFile] = {}
    folders: dict[Path, KeyPath] = {}
    for node in nodes:
        for at, path in _named(node):
            if at[-1] == "key" and may_read(path) and is_file(path):
                real = path.resolve()
                keys.setdefault(real, _KeyFile(path=real, at=at))
            folders.setdefault(path.parent, at)
    for folder, at in folders.items():
        for path in _keys_in(folder, may_read) if may_read(folder) else ():
            keys.setdefault(path, _KeyFile(path=path, at=at))
    return keys.values()


def _named(node: Node) -> Iterator[tuple[KeyPath, Path]]:
    """Yield the files for TLS that the plan names for a node."""
    tables = {("tls",): node.tls, ("deploy", "tls"): node.deploy.tls if node.deploy else None}
    for place, files in tables.items():
        for name, path in files.files.items() if files else ():
            yield ("builders", node.builder, "nodes", node.name, *place, name), path


def _keys_in(folder: Path, may_read: MayRead) -> list[Path]:
    """Return the private keys in `folder` that mpbake may read, recognized by name and content."""
    if not is_folder(folder):
        return []
    try:
        paths = sorted({path for pattern in _KEY_NAMES for path in folder.glob(pattern) if may_read(path)})
        return [path.resolve() for path in paths[:_MOST_NAMES] if is_file(path) and _is_private(path)]
    except OSError:
        return []


def _is_private(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _PRIVATE in file.read(_FIRST_BYTES)
    except PermissionError:
        return True  # other users cannot read an unreadable key either, but git may track the key


def _mode_problems(key: _KeyFile) -> Iterator[Problem]:
    try:
        mode = stat.S_IMODE(key.path.stat().st_mode)
    except OSError:
        return
    if mode & _OTHERS:
        message = f"other users of this machine can read the key {one_line(key.path.name)} (mode {mode:o})"
        hint = f"run: {one_line(shlex.join(['chmod', '600', str(key.path)]))}"
        yield Problem(code=Code.EXPOSED_KEY, key=key.at, message=message, hint=hint)


def _exposed_to_git(folder: Path, names: Sequence[str], environment: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return messages and hints for keys in `folder` that git tracks or does not ignore.

    Return nothing if git does not work, since without git nobody commits a key.
    """
    if not has_repository(folder):
        return {}
    repository = GitRepository(folder, environment)
    try:
        unignored = repository.unignored(names)
        tracked = repository.tracked(sorted(unignored)) if unignored else frozenset()
    except FilterError:
        return {}
    return {name: _git_message(folder / name, is_tracked=name in tracked) for name in unignored}


def _git_message(path: Path, *, is_tracked: bool) -> tuple[str, str]:
    name = one_line(path.name)
    if is_tracked:
        command = one_line(shlex.join(["git", "rm", "--cached", str(path)]))
        hint = f"run: {command}; if it was pushed, replace the authority (docs/certificates.md)"
        return f"git tracks the key {name}: everyone with a clone has it", hint
    hint = f"add it to {one_line(str(path.parent))}/.gitignore"
    return f"git does not ignore the key {name}: a commit may include it", hint
