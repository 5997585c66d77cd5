"""A stand-in for the comments of a code host, as a server on this machine."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TOKEN = "ghs_" + "s3cr3t" * 6
PAGE = 2
"""Comments on a page."""


@dataclass(kw_only=True)
class Host:
    """Comments, as GitHub and GitLab list them, and the requests so far.

    `failures` holds the statuses of the next answers, for the methods in `failing`. `next_page` replaces the address of
    the next page.
    """

    url: str = ""
    user: str = "bot"
    comments: list[dict[str, Any]] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    failures: list[int] = field(default_factory=list)
    failing: tuple[str, ...] = ("GET", "POST", "PATCH", "PUT")
    headers: dict[str, str] = field(default_factory=dict)
    answer: bytes | None = None
    next_page: str = ""

    def add(self, body: str, author: str = "bot") -> None:
        """Add a comment of an author."""
        number = len(self.comments) + 1
        author_id = 1 if author == self.user else 2
        self.comments.append({"id": number, "body": body, "user": {"login": author}, "author": {"id": author_id}})

    @property
    def bodies(self) -> list[str]:
        """The texts of all comments."""
        return [comment["body"] for comment in self.comments]


@contextmanager
def running_host() -> Iterator[Host]:
    """Start a code host without comments, and stop it after the block."""
    host = Host()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(host))
    host.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(host: Host) -> type[BaseHTTPRequestHandler]:
    """Return a class that answers requests from `host`."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            sent = json.loads(self.rfile.read(length)) if length else {}
            host.requests.append((self.command, self.path))
            host.tokens |= {self.headers.get("Authorization", ""), self.headers.get("PRIVATE-TOKEN", "")}
            if host.failures and self.command in host.failing:
                self._write(host.failures.pop(0), {"message": "no\x1b[31m\nway"}, host.headers)
            elif host.answer is not None:
                self._write(200, host.answer, {})
            else:
                self._write(200, *_served(host, self.command, self.path, sent))

        def _write(self, status: int, body: Any, headers: Mapping[str, str]) -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    for method in ("GET", "POST", "PATCH", "PUT"):
        setattr(Handler, f"do_{method}", Handler.handle_any)
    return Handler


def _served(host: Host, method: str, path: str, sent: Mapping[str, Any]) -> tuple[Any, dict[str, str]]:
    """Return the body and the headers of an answer."""
    url = urlsplit(path)
    if url.path.endswith("/user"):
        return {"id": 1}, {}
    if method == "GET":
        page = int(parse_qs(url.query).get("page", ["1"])[0])
        following = host.next_page or f"{host.url}{url.path}?page={page + 1}"
        links = {"Link": f'<{host.url}/x>; rel="prev", <{following}>; rel="next"'}
        return host.comments[(page - 1) * PAGE : page * PAGE], links if len(host.comments) > page * PAGE else {}
    if method == "POST":
        host.add(sent["body"], host.user)
        return host.comments[-1], {}
    comment = host.comments[int(url.path.rpartition("/")[2]) - 1]
    comment["body"] = sent["body"]
    return comment, {}
