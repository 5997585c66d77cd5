"""The part of HTTP/1.1 that buildx and kubectl use."""

from __future__ import annotations

import json
from asyncio import IncompleteReadError
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from asyncio import StreamReader
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A request. `path` is split at slashes. Header names are in lower case; of a repeated header the last counts."""

    method: str
    path: tuple[str, ...]
    query: Mapping[str, Sequence[str]]
    headers: Mapping[str, str]
    body: bytes

    def asks(self, name: str) -> str:
        """Return the value of a query parameter, or an empty text."""
        return self.query.get(name, ("",))[0]


async def read_request(reader: StreamReader) -> Request | None:
    """Return the next request of the connection, or None if the client has ended it."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ")
    url = urlsplit(target)
    headers = _headers(lines)
    return Request(
        method=method,
        path=tuple(unquote(part) for part in url.path.split("/") if part),
        query=parse_qs(url.query, keep_blank_values=True),
        headers=headers,
        body=await reader.readexactly(int(headers.get("content-length", "0"))),
    )


def answer(status: int, value: Any) -> bytes:
    """Return an answer with a JSON body that keeps the connection open."""
    body = json.dumps(value).encode()
    return head(status, {"Content-Type": "application/json", "Content-Length": str(len(body))}) + body


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """Return the status line and the headers of an answer."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {text}" for name, text in headers.items())]
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1")


def _headers(lines: Sequence[str]) -> dict[str, str]:
    parts = (line.partition(":") for line in lines)
    return {name.strip().lower(): text.strip() for name, _, text in parts}
