"""Make one table of a Compose file: of its documents, and of what it takes by `include` and `extends`."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from mpbake.base.text import did_you_mean, one_line
from mpbake.conversion.compose.merging import merged, with_pairs, without_reset
from mpbake.conversion.compose.paths import rebased
from mpbake.conversion.compose.texts import kind
from mpbake.conversion.compose.values import List, Mapping, Problems, Scalar, Value
from mpbake.conversion.compose.yaml.scalars import is_null
from mpbake.conversion.compose.yaml.yaml_text import read_yaml
from mpbake.conversion.syntax import Place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mpbake.conversion.compose.yaml.comments import CommentLines

Files: TypeAlias = Callable[[str], str | None]
"""Returns the text of a file, given its path relative to the folder where bake runs. None if there is no such file."""

_MOST_FILES = 50
_SHARED = ("services", "secrets")
"""The tables of an included file that bake reads."""


class Loader:
    """Loads a Compose file, and the files that it uses."""

    def __init__(self, files: Files, comments: CommentLines, problems: Problems) -> None:
        """`files` reads the other files; `comments` and `problems` learn the text of each file."""
        self._files = files
        self._comments = comments
        self._problems = problems
        self._open: list[str] = []
        self._extending: list[tuple[str, str]] = []
        self._count = 0

    def load_all(self, texts: Sequence[tuple[str, str]]) -> Mapping:
        """Return one table of files, given their paths and texts, with all that they take from others."""
        table = Mapping(pairs=(), place=Place(file=texts[0][0], line=1))
        for path, text in texts:
            table = self._load(text, path, table)
        return without_reset(table)

    def _load(self, text: str, path: str, table: Mapping) -> Mapping:
        """Return `table` merged with the documents of a file."""
        self._open.append(path)
        for document in self._documents(text, path):
            table = _tables(table, self._extended(self._included(document), path))
        self._open.pop()
        return table

    def _documents(self, text: str, path: str) -> list[Mapping]:
        self._problems.add_file(path, text)
        documents = read_yaml(text, path)
        self._comments.add_file(path, text, documents)
        tables = []
        for document in documents:
            if isinstance(document, Mapping):
                tables.append(document)
            else:
                message = f"is not a Compose file: it must be a table, not {kind(document)}"
                self._problems.add(document.place, message, "name a Compose file, or a bake file in HCL or JSON")
        return tables

    # --- other files ---

    def _other(self, path: Scalar) -> str | None:
        """Return the text of another file, or add a problem."""
        self._count += 1
        text = None
        if "$" in path.text or "://" in path.text:
            self._problems.add(path.place, f"`{one_line(path.text)}` is not the path of a file", "name a file")
        elif self._count > _MOST_FILES:
            self._problems.add(path.place, f"the file uses more than {_MOST_FILES} other files", "use fewer files")
        else:
            text = self._files(path.text)
            if text is None:
                self._problems.add(path.place, f"there is no file `{one_line(path.text)}`", "check the path")
        return text

    def _included(self, document: Mapping) -> Mapping:
        """Return a document merged over the files that it includes."""
        include = document.get("include")
        if include is None:
            return document
        pairs = tuple(pair for pair in document.pairs if pair[0].text != "include")
        result = with_pairs(document, pairs)
        if not isinstance(include, List):
            self._problems.add(include.place, f"`include` must be a list, not {kind(include)}")
            return result
        for entry in include.items:
            for table in self._included_tables(entry):
                shared = tuple((key, value) for key, value in table.pairs if key.text in _SHARED)
                result = _tables(with_pairs(table, shared), result)
        return result

    def _included_tables(self, entry: Value) -> list[Mapping]:
        """Return the table that an entry of `include` stands for, if its files can be read."""
        written = entry.get("path") if isinstance(entry, Mapping) else entry
        paths = written.items if isinstance(written, List) else (written,)
        folder = entry.get("project_directory") if isinstance(entry, Mapping) else None
        result: Mapping | None = None
        for path in paths:
            if not isinstance(path, Scalar):
                self._problems.add(entry.place, "an entry of `include` needs a path", "write `- FILE`, or `path: FILE`")
                continue
            if path.text in self._open:
                chain = " -> ".join([*self._open, path.text])
                self._problems.add(path.place, f"the files include each other: {one_line(chain)}", "remove one include")
                continue
            if (text := self._other(path)) is None:
                continue
            result = self._load(text, path.text, result or Mapping(pairs=(), place=path.place))
            folder = folder or Scalar(text=posixpath.dirname(path.text), place=path.place)
        if result is None:
            return []
        return [rebased(without_reset(result), folder.text if isinstance(folder, Scalar) else "")]

    # --- extends ---

    def _extended(self, document: Mapping, path: str) -> Mapping:
        """Return a document whose services have all that they extend."""
        services = document.get("services")
        if not isinstance(services, Mapping):
            return document
        pairs = []
        for key, service in services.pairs:
            extends = isinstance(service, Mapping) and service.get("extends") is not None
            pairs.append((key, self._service(key, services, path) if extends else service))
        table = with_pairs(services, tuple(pairs))
        return with_pairs(document, tuple((k, table if k.text == "services" else v) for k, v in document.pairs))

    def _service(self, name: Scalar, services: Mapping, path: str) -> Value:
        """Return a service merged over the service that it extends."""
        service = services.get(name.text)
        extends = service.get("extends") if isinstance(service, Mapping) else None
        if not isinstance(service, Mapping) or extends is None:
            return service if service is not None else Mapping(pairs=(), place=name.place)
        own = with_pairs(service, tuple(pair for pair in service.pairs if pair[0].text != "extends"))
        if (path, name.text) in self._extending:
            self._problems.add(extends.place, f"the service `{one_line(name.text)}` extends itself", "remove `extends`")
            return own
        self._extending.append((path, name.text))
        base = self._base(extends, services, path)
        self._extending.pop()
        return own if base is None else merged(base, own)

    def _base(self, extends: Value, services: Mapping, path: str) -> Value | None:
        """Return the service that `extends` names."""
        name = extends.get("service") if isinstance(extends, Mapping) else extends
        file = extends.get("file") if isinstance(extends, Mapping) else None
        if not isinstance(name, Scalar) or not (file is None or isinstance(file, Scalar)):
            self._problems.add(extends.place, "`extends` needs a service", "write `service: NAME`")
            return None
        if file is not None:
            return self._base_of_file(name, file)
        if services.get(name.text) is None:
            hint = did_you_mean(name.text, [key.text for key, _ in services.pairs])
            self._problems.add(name.place, f"there is no service `{one_line(name.text)}` to extend", hint)
            return None
        base = self._service(name, services, path)
        return None if isinstance(base, Scalar) and is_null(base) else base

    def _base_of_file(self, name: Scalar, file: Scalar) -> Value | None:
        if (text := self._other(file)) is None:
            return None
        table = Mapping(pairs=(), place=file.place)
        for document in self._documents(text, file.text):
            table = _tables(table, document)
        services = without_reset(table).get("services")
        if not isinstance(services, Mapping) or services.get(name.text) is None:
            self._problems.add(name.place, f"`{one_line(file.text)}` has no service `{one_line(name.text)}`")
            return None
        base = self._service(replace(name, place=file.place), services, file.text)
        moved = rebased(_single(replace(name, text="services"), _single(name, base)), posixpath.dirname(file.text))
        services = moved.get("services")
        return services.get(name.text) if isinstance(services, Mapping) else None


def _single(name: Scalar, value: Value) -> Mapping:
    return with_pairs(Mapping(pairs=(), place=name.place), ((name, value),))


def _tables(base: Mapping, over: Mapping) -> Mapping:
    result = merged(base, over)
    return result if isinstance(result, Mapping) else over
