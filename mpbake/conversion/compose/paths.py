"""Make the paths of an included or extended Compose file relative to the folder where bake runs."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.conversion.compose.merging import as_table, long_build, with_pairs
from mpbake.conversion.compose.values import List, Mapping, Scalar, Value

if TYPE_CHECKING:
    from collections.abc import Callable

_REMOTE = ("https://", "http://", "git://", "ssh://", "github.com/", "git@", "service:", "target:", "/", "~", "$")


def rebased(table: Mapping, folder: str) -> Mapping:
    """Return the table of a Compose file in `folder` with the paths that bake reads relative to another folder."""
    if folder in {"", "."}:
        return table
    table = _changed(table, "services", lambda services: _each(services, lambda service: _service(service, folder)))
    return _changed(table, "secrets", lambda secrets: _each(secrets, lambda secret: _file(secret, folder)))


def _service(service: Value, folder: str) -> Value:
    if not isinstance(service, Mapping):
        return service
    service = _changed(service, "build", lambda build: _build(long_build(build), folder))
    return _changed(service, "env_file", lambda files: _env_files(files, folder))


def _build(build: Value, folder: str) -> Value:
    if not isinstance(build, Mapping):
        return build
    if build.get("context") is None:
        context = Scalar(text=folder, place=build.place)
        build = with_pairs(build, ((Scalar(text="context", place=build.place), context), *build.pairs))
    else:
        build = _changed(build, "context", lambda context: _path(context, folder))
    return _changed(
        build, "additional_contexts", lambda table: _each(as_table(table, "="), lambda path: _path(path, folder))
    )


def _env_files(files: Value, folder: str) -> Value:
    match files:
        case List():
            return replace(files, items=tuple(_env_files(file, folder) for file in files.items))
        case Mapping():
            return _changed(files, "path", lambda path: _path(path, folder))
        case _:
            return _path(files, folder)


def _file(secret: Value, folder: str) -> Value:
    return _changed(secret, "file", lambda path: _path(path, folder)) if isinstance(secret, Mapping) else secret


def _path(path: Value, folder: str) -> Value:
    if not isinstance(path, Scalar) or not path.text or "://" in path.text or path.text.startswith(_REMOTE):
        return path
    return replace(path, text=posixpath.normpath(posixpath.join(folder, path.text)))


def _changed(table: Mapping, name: str, change: Callable[[Value], Value]) -> Mapping:
    """Return a table with the value of the key `name` changed, if it has one."""
    return with_pairs(table, tuple((key, change(value) if key.text == name else value) for key, value in table.pairs))


def _each(table: Value, change: Callable[[Value], Value]) -> Value:
    if not isinstance(table, Mapping):
        return table
    return with_pairs(table, tuple((key, change(value)) for key, value in table.pairs))
