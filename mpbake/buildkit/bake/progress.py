"""Parses BuildKit's progress from `buildx --progress rawjson`: JSON over several lines, then plain text."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mpbake.base.text import duration, without_colour

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_TAIL = 30
_FRACTION = re.compile(r"\.(\d{1,6})\d*")
_HOUSEKEEPING = re.compile(r"\[(?:[^\]]+ )?internal\]|\[[^\]]*\] FROM |resolve image config")
_TARGET_OPERATION = re.compile(r"\[([A-Za-z0-9_-]+)[ \]]")
"""The start of an operation's name in a call that builds several targets."""
_READ = re.compile(r"internal\] load build definition")


@dataclass(kw_only=True, slots=True)
class _Vertex:
    """The current state of one operation of a build."""

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
    """New progress: whole `lines` for the log, and `activities`, the operations that have started, in order.

    `operations` holds the name of the operation of each line.
    """

    lines: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    activities: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedOperation:
    """The operation that failed: its name, BuildKit's error, and the last lines of the operation's output."""

    name: str
    error: str
    tail: tuple[str, ...]


class Progress:
    """Follows a build by parsing the standard error of buildx. `redact` is applied to every text.

    Redaction happens here because later code cuts lines into rows and columns, which may contain only half of a secret.
    """

    def __init__(self, redact: Callable[[str], str] = str) -> None:
        self._redact = redact
        self._pending = b""
        self._object: list[str] = []
        self._vertexes: dict[str, _Vertex] = {}
        self._text: list[str] = []

    @property
    def text(self) -> str:
        """All output that is not JSON: buildx's own error, with lines of the Dockerfile."""
        return self._redact("\n".join([*self._text, *self._object]))

    @property
    def reading(self) -> tuple[str, ...]:
        """The operations so far that read a Dockerfile."""
        vertexes = self._vertexes.values()
        return tuple(vertex.name for vertex in vertexes if vertex.started and _READ.search(vertex.name))

    @property
    def failed(self) -> FailedOperation | None:
        """The first operation that failed for a reason of its own, not because another operation failed."""
        for vertex in self._vertexes.values():
            if vertex.error and "context canceled" not in vertex.error:
                tail = [*vertex.tail, self._line(vertex.unfinished)] if vertex.unfinished else vertex.tail
                return FailedOperation(name=vertex.name, error=vertex.error, tail=tuple(tail))
        return None

    def seconds_of(self, target: str) -> float:
        """Return the seconds during which at least one operation of `target` ran; 0 if the duration is unknown."""
        own = [vertex for vertex in self._vertexes.values() if operation_target(vertex.name) == target]
        spans = [(_moment(vertex.began), _moment(vertex.ended)) for vertex in own if vertex.began and vertex.ended]
        return _covered(sorted((began.timestamp(), ended.timestamp()) for began, ended in spans))

    def unfinished(self) -> set[str]:
        """Return the targets with an operation that has started but not ended."""
        return {
            operation_target(vertex.name) for vertex in self._vertexes.values() if vertex.started and not vertex.over
        }

    def feed(self, data: bytes) -> ProgressUpdate:
        """Process the next bytes, and return the new progress."""
        *lines, self._pending = (self._pending + data).split(b"\n")
        entries: list[tuple[str, str]] = []
        begun: list[str] = []
        for status in self._objects(line.decode(errors="replace") for line in lines):
            begun += self._update_vertexes(status, entries)
            self._update_logs(status, entries)
        return _update(entries, begun)

    def close(self) -> ProgressUpdate:
        """Process the remaining bytes. An incomplete line counts as a line."""
        update = self.feed(b"\n") if self._pending else ProgressUpdate()
        unfinished = [vertex for vertex in self._vertexes.values() if vertex.unfinished]
        rest = [(vertex.name, f"  {self._line(vertex.unfinished)}") for vertex in unfinished]
        return _update([*zip(update.operations, update.lines, strict=True), *rest], update.activities)

    def _objects(self, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Yield the JSON objects in `lines`. Other lines are stored as text."""
        for line in lines:
            if self._object or line.startswith("{"):
                self._object.append(line)
                if line == "}" or (len(self._object) == 1 and line.endswith("}")):
                    source, self._object = "\n".join(self._object), []
                    yield from self._parsed(source)
            elif line.strip():
                self._text.append(without_colour(line))

    def _parsed(self, source: str) -> Iterator[dict[str, Any]]:
        try:
            status = json.loads(source)
        except ValueError:
            self._text.append(without_colour(source))
            return
        yield status

    def _update_vertexes(self, status: dict[str, Any], entries: list[tuple[str, str]]) -> list[str]:
        """Process the operations in a status. Return the names of operations that have started and are real work."""
        begun = []
        for news in status.get("vertexes") or ():
            vertex = self._vertexes.setdefault(news["digest"], _Vertex(name=self._name(news.get("name", ""))))
            if news.get("started") and not vertex.started:
                vertex.started = True
                entries.append((vertex.name, f"=> {vertex.name}"))
                # BuildKit reports cached results at once, without any work.
                if not (news.get("cached") or _HOUSEKEEPING.match(vertex.name)):
                    begun.append(vertex.name)
            vertex.began = vertex.began or news.get("started") or ""
            vertex.ended = news.get("completed") or vertex.ended
            if news.get("error"):
                vertex.error = self._redact(without_colour(news["error"]))
            if news.get("completed") and not vertex.over:
                vertex.over = True
                entries.append((vertex.name, f"=> {vertex.name}: {self._ending(news)}"))
        return begun

    def _update_logs(self, status: dict[str, Any], entries: list[tuple[str, str]]) -> None:
        for log in status.get("logs") or ():
            vertex = self._vertexes.setdefault(log["vertex"], _Vertex(name=""))
            data = vertex.unfinished + base64.b64decode(log.get("data") or "")
            *lines, vertex.unfinished = data.split(b"\n")
            redacted = [self._line(line) for line in lines]
            vertex.tail = [*vertex.tail, *redacted][-_TAIL:]
            entries += [(vertex.name, f"  {line}") for line in redacted]

    def _line(self, data: bytes) -> str:
        return self._redact(without_colour(data.decode(errors="replace")))

    def _name(self, text: str) -> str:
        return " ".join(self._redact(without_colour(text)).split())

    def _ending(self, vertex: dict[str, Any]) -> str:
        if vertex.get("error"):
            return f"ERROR {self._name(vertex['error'])}"
        if vertex.get("cached"):
            return "cached"
        return f"done {duration(_seconds(vertex['started'], vertex['completed']))}" if vertex.get("started") else "done"


def operation_target(operation: str) -> str:
    """Return the target of an operation in a call with several targets; empty if the operation belongs to no target."""
    name = _TARGET_OPERATION.match(operation)
    return name[1] if name else ""


def _update(entries: list[tuple[str, str]], begun: Sequence[str]) -> ProgressUpdate:
    operations = tuple(operation for operation, _ in entries)
    return ProgressUpdate(lines=tuple(line for _, line in entries), operations=operations, activities=tuple(begun))


def _seconds(started: str, completed: str) -> float:
    return (_moment(completed) - _moment(started)).total_seconds()


def _covered(spans: Sequence[tuple[float, float]]) -> float:
    """Return the total length of sorted time spans. Overlapping time counts once."""
    total, until = 0.0, 0.0
    for began, ended in spans:
        total += max(ended - max(began, until), 0.0)
        until = max(until, ended)
    return round(total, 3)


def _moment(text: str) -> datetime:
    """Parse a time from Go, which prints up to nine digits of a second. Python parses only six."""
    return datetime.fromisoformat(_FRACTION.sub(lambda digits: f".{digits[1]:0<6}", text))
