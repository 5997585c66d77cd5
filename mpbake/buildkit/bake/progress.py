"""BuildKit's progress as `buildx --progress rawjson` prints it: JSON objects over several lines, then plain text."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mpbake.base.text import duration, without_colour

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_TAIL = 30
_FRACTION = re.compile(r"\.(\d{1,6})\d*")
_HOUSEKEEPING = re.compile(r"\[(?:[^\]]+ )?internal\]|\[[^\]]*\] FROM |resolve image config")
_TARGET = re.compile(r"\[([A-Za-z0-9_-]+)[ \]]")
"""How the name of an operation begins where several targets are built."""
_READ = re.compile(r"internal\] load build definition")


@dataclass(kw_only=True, slots=True)
class _Vertex:
    """One operation of a build, as far as it has been heard of."""

    name: str
    began: str = ""
    ended: str = ""
    started: bool = False
    over: bool = False
    error: str = ""
    unfinished: bytes = b""
    tail: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgressUpdate:
    """News from a build: `said` are whole lines for the log, `activities` the operations that have begun, in order.

    `about` holds for each of the lines the name of the operation that it belongs to.
    """

    said: tuple[str, ...] = ()
    about: tuple[str, ...] = ()
    activities: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedOperation:
    """The operation that failed: its name, BuildKit's error, and the last lines of its own output."""

    name: str
    error: str
    tail: tuple[str, ...]


class Progress:
    """Follows one build. Feed it the bytes of standard error as they come; every text of them goes through `hide`.

    It is the last to see whole lines: what makes rows and columns of them may cut a secret in two.
    """

    def __init__(self, redact: Callable[[str], str] = str) -> None:
        self._hide = redact
        self._pending = b""
        self._object: list[str] = []
        self._vertexes: dict[str, _Vertex] = {}
        self._text: list[str] = []

    @property
    def text(self) -> str:
        """What was no JSON: buildx's own complaint, with the lines of the Dockerfile."""
        return self._hide("\n".join([*self._text, *self._object]))

    @property
    def reading(self) -> tuple[str, ...]:
        """The operations so far that read a Dockerfile."""
        return tuple(each.name for each in self._vertexes.values() if each.started and _READ.search(each.name))

    @property
    def failed(self) -> FailedOperation | None:
        """The first operation that failed by itself, not because others did."""
        for vertex in self._vertexes.values():
            if vertex.error and "context canceled" not in vertex.error:
                tail = [*vertex.tail, self._line(vertex.unfinished)] if vertex.unfinished else vertex.tail
                return FailedOperation(name=vertex.name, error=vertex.error, tail=tuple(tail))
        return None

    def seconds_of(self, target: str) -> float:
        """The seconds in which at least one operation of `target` was under way; 0 while nothing is known of it."""
        own = [each for each in self._vertexes.values() if target_of(each.name) == target]
        spans = [(_moment(each.began), _moment(each.ended)) for each in own if each.began and each.ended]
        return _covered(sorted((began.timestamp(), ended.timestamp()) for began, ended in spans))

    def unfinished(self) -> set[str]:
        """The targets of which an operation has begun and not ended."""
        return {target_of(each.name) for each in self._vertexes.values() if each.started and not each.over}

    def feed(self, data: bytes) -> ProgressUpdate:
        """Take in the next bytes and say what is new in them."""
        *lines, self._pending = (self._pending + data).split(b"\n")
        said: list[tuple[str, str]] = []
        begun: list[str] = []
        for status in self._objects(line.decode(errors="replace") for line in lines):
            begun += self._vertexes_of(status, said)
            self._logs_of(status, said)
        return _update(said, begun)

    def close(self) -> ProgressUpdate:
        """Nothing more comes: what was incomplete is taken as it is."""
        update = self.feed(b"\n") if self._pending else ProgressUpdate()
        unfinished = [vertex for vertex in self._vertexes.values() if vertex.unfinished]
        rest = [(vertex.name, f"  {self._line(vertex.unfinished)}") for vertex in unfinished]
        return _update([*zip(update.about, update.said, strict=True), *rest], update.activities)

    def _objects(self, lines: Any) -> Any:
        """The JSON objects among `lines`; other lines are kept as text."""
        for line in lines:
            if self._object or line.startswith("{"):
                self._object.append(line)
                if line == "}" or (len(self._object) == 1 and line.endswith("}")):
                    source, self._object = "\n".join(self._object), []
                    yield from self._parsed(source)
            elif line.strip():
                self._text.append(without_colour(line))

    def _parsed(self, source: str) -> Any:
        try:
            found = json.loads(source)
        except ValueError:
            self._text.append(without_colour(source))
            return
        yield found

    def _vertexes_of(self, status: dict[str, Any], said: list[tuple[str, str]]) -> list[str]:
        """Take in what a status says of operations; the names of those that have begun, and are more than a look."""
        begun = []
        for each in status.get("vertexes") or ():
            vertex = self._vertexes.setdefault(each["digest"], _Vertex(name=self._name(each.get("name", ""))))
            if each.get("started") and not vertex.started:
                vertex.started = True
                said.append((vertex.name, f"=> {vertex.name}"))
                # BuildKit says at once what it finds in its cache: nothing is done for that.
                if not (each.get("cached") or _HOUSEKEEPING.match(vertex.name)):
                    begun.append(vertex.name)
            vertex.began = vertex.began or each.get("started") or ""
            vertex.ended = each.get("completed") or vertex.ended
            if each.get("error"):
                vertex.error = self._hide(without_colour(each["error"]))
            if each.get("completed") and not vertex.over:
                vertex.over = True
                said.append((vertex.name, f"=> {vertex.name}: {self._ending(each)}"))
        return begun

    def _logs_of(self, status: dict[str, Any], said: list[tuple[str, str]]) -> None:
        for each in status.get("logs") or ():
            vertex = self._vertexes.setdefault(each["vertex"], _Vertex(name=""))
            data = vertex.unfinished + base64.b64decode(each.get("data") or "")
            *lines, vertex.unfinished = data.split(b"\n")
            shown = [self._line(line) for line in lines]
            vertex.tail = [*vertex.tail, *shown][-_TAIL:]
            said += [(vertex.name, f"  {line}") for line in shown]

    def _line(self, data: bytes) -> str:
        return self._hide(without_colour(data.decode(errors="replace")))

    def _name(self, text: str) -> str:
        return " ".join(self._hide(without_colour(text)).split())

    def _ending(self, vertex: dict[str, Any]) -> str:
        if vertex.get("error"):
            return f"ERROR {self._name(vertex['error'])}"
        if vertex.get("cached"):
            return "cached"
        return f"done {duration(_seconds(vertex['started'], vertex['completed']))}" if vertex.get("started") else "done"


def target_of(operation: str) -> str:
    """The target that an operation of a call of several belongs to; empty where it belongs to none."""
    found = _TARGET.match(operation)
    return found[1] if found else ""


def _update(said: list[tuple[str, str]], begun: Sequence[str]) -> ProgressUpdate:
    said_by = tuple(name for name, _ in said)
    return ProgressUpdate(said=tuple(line for _, line in said), about=said_by, activities=tuple(begun))


def _seconds(started: str, completed: str) -> float:
    return (_moment(completed) - _moment(started)).total_seconds()


def _covered(spans: Sequence[tuple[float, float]]) -> float:
    """The length of what `spans`, which are sorted, cover together."""
    total, until = 0.0, 0.0
    for began, ended in spans:
        total += max(ended - max(began, until), 0.0)
        until = max(until, ended)
    return round(total, 3)


def _moment(text: str) -> datetime:
    """Go prints up to nine digits of a second; Python reads six."""
    return datetime.fromisoformat(_FRACTION.sub(lambda found: f".{found[1]:0<6}", text))
