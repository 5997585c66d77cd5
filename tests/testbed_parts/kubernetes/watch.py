"""The watch requests of a cluster: a client gets events as they happen."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from tests.testbed_parts.kubernetes.http import head

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.testbed_parts.kubernetes.objects import Object

_POLL_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class Watch:
    """A watch of the objects that `find` returns. It starts with the first change after the version `since`."""

    find: Callable[[], list[Object]]
    since: int
    seconds: float

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send events until the client ends the connection, or until the requested time is over."""
        writer.write(head(HTTPStatus.OK, {"Content-Type": "application/json", "Connection": "close"}))
        loop = asyncio.get_running_loop()
        end = loop.time() + self.seconds
        known = {uid: item for uid, item in self._found().items() if _version(item) <= self.since}
        while not reader.at_eof() and loop.time() < end:
            current = self._found()
            for event in changes(known, current):
                writer.write(json.dumps(event).encode() + b"\n")
            await writer.drain()
            known = current
            await asyncio.sleep(_POLL_SECONDS)

    def _found(self) -> dict[str, Object]:
        return {item["metadata"]["uid"]: item for item in self.find()}


def changes(before: Mapping[str, Object], after: Mapping[str, Object]) -> Iterator[Object]:
    """Yield the events between two states. A state maps uids to objects."""
    for uid, item in before.items():
        if uid not in after:
            yield {"type": "DELETED", "object": item}
    for uid, item in after.items():
        if uid not in before:
            yield {"type": "ADDED", "object": item}
        elif _version(item) != _version(before[uid]):
            yield {"type": "MODIFIED", "object": item}


def _version(item: Object) -> int:
    return int(item["metadata"]["resourceVersion"])
