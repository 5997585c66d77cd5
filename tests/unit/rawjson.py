"""The standard error of `docker buildx bake --progress rawjson`, built from parts."""

from __future__ import annotations

import base64
import json
from typing import Any


def raw(*parts: dict[str, Any] | str, one_line: bool = False) -> bytes:
    """Return objects as buildx prints them: over several lines, or in one line (newer buildx). Plain text stays."""
    indent = None if one_line else 2
    return "".join(
        part if isinstance(part, str) else json.dumps(part, indent=indent, ensure_ascii=False) + "\n" for part in parts
    ).encode()


def vertex(number: int, name: str, started: str = "", completed: str = "", **more: Any) -> dict[str, Any]:
    """Return the state of an operation. Times are seconds after 13:08."""
    vertex = {"digest": _digest(number), "name": name, **more}
    if started:
        vertex["started"] = _time(started)
    if completed:
        vertex["completed"] = _time(completed)
    return {"vertexes": [vertex]}


def status(number: int, name: str, completed: str = "") -> dict[str, Any]:
    """Return the state of a part of an operation."""
    status = {"id": name, "vertex": _digest(number), "current": 0, "timestamp": _time("1"), "started": _time("1")}
    return {"statuses": [status | ({"completed": _time(completed)} if completed else {})]}


def log(number: int, data: bytes | str) -> dict[str, Any]:
    """Return the output of an operation."""
    encoded = base64.b64encode(data.encode() if isinstance(data, str) else data).decode()
    return {"logs": [{"vertex": _digest(number), "stream": 1, "data": encoded, "timestamp": _time("1")}]}


def _digest(number: int) -> str:
    return f"sha256:{number:064x}"


def _time(second: str) -> str:
    seconds, _, fraction = second.partition(".")
    return f"2026-11-24T13:08:{int(seconds):02d}{'.' if fraction else ''}{fraction}Z"


EXCERPT = """\
Dockerfile:2
--------------------
   1 |     FROM localhost:5000/base:1
   2 | >>> RUN echo ERROR: hello; exit 3
   3 |     RUN true
--------------------
"""

PROCESS = 'process "/bin/sh -c echo ERROR: hello; exit 3" did not complete successfully: exit code: 3'

PUSHED = raw(
    vertex(1, "[internal] load local bake definitions", "1.762851784"),
    status(1, "reading from stdin"),
    status(1, "reading from stdin", completed="1.763337685"),
    vertex(1, "[internal] load local bake definitions", "1.762851784", "1.763350754"),
    vertex(2, "[internal] load build definition from Dockerfile"),
    vertex(2, "[internal] load build definition from Dockerfile", "1.8", "1.85"),
    vertex(3, "[1/2] FROM localhost:5000/base:1@sha256:5dc4", "1.9", "1.9", cached=True),
    vertex(4, "[2/2] RUN make", "2"),
    log(4, "one\ntw"),
    log(4, b"o\n\x1b[31mred\x1b[0m 10%\r100%\nno new"),
    log(4, "line"),
    vertex(4, "[2/2] RUN make", "2", "12.25"),
    vertex(5, "exporting to image", "12.3"),
    status(5, "pushing manifest for localhost:5000/web:1@sha256:24b1"),
    status(5, "pushing manifest for localhost:5000/web:1@sha256:24b1", completed="13"),
    status(5, "pushing manifest for docker.io/library/web:latest@sha256:24b1", completed="13"),
    vertex(5, "exporting to image", "12.3", "13.4"),
)

FAILED = raw(
    vertex(1, "[1/3] FROM localhost:5000/base:1@sha256:5dc4", "1", "1", cached=True),
    vertex(2, "[2/3] RUN echo ERROR: hello; exit 3", "1"),
    log(2, "ERROR: hello\n\x1b[31mla"),
    log(2, b"st \xe6\xbc"),
    log(2, b"\xa2"),
    vertex(2, "[2/3] RUN echo ERROR: hello; exit 3", "1", "1.2", error=PROCESS),
    EXCERPT,
    f"ERROR: failed to solve: {PROCESS}\n",
)
