"""A proxy in front of the testbed's registry. It records requests, and fails or delays them as a test asks."""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Literal, cast

from testbed.errors import TestbedError
from testbed.registry_client import RegistryClient

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterator, Mapping

Fault = Literal["refuses", "dies", "accepts", "late", "hangs"]

_SECONDS = 60
_TRIES = 10
_PARTS = 100
_LARGE = 1 << 20
"""The size in bytes from which a blob arrives slowly, if a test sets `blob_seconds`."""
_TLS = b"\x16"
"""The first byte of a connection that begins with a TLS handshake."""
_TAG = re.compile(r"/v2/.+/manifests/[^:/]+")
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class FaultyRegistry:
    """A registry that forwards each request to the registry at `behind`, except requests that shall fail.

    `fails` gets the number of a request, from 1, and says whether it fails. `asked` lists the requests so far as METHOD
    PATH. `given` lists the content and the path of each manifest that a client put under a tag. The registry refuses an
    index for the path `guarded`. A large blob takes `blob_seconds` to arrive.

    `fault` says how a request fails. `refuses`: the answer has `status` and `headers`. `dies`: the connection ends
    before the request is forwarded. `accepts`: the request is forwarded, then the connection ends. `late`: the request
    is forwarded, but the client gets no answer. `hangs`: the request is not forwarded, and the client gets no answer.
    If `after` is set, this request and the requests that follow it fail, `lasts` requests in all, whatever their
    numbers.
    """

    def __init__(self, behind: str) -> None:
        self.behind = behind.replace("localhost", "127.0.0.1")
        self.asked: list[str] = []
        self.given: list[tuple[str, bytes]] = []
        self.guarded = ""
        self.fails: Callable[[int], bool] = ().__contains__
        self.status = 403
        self.fault: Fault = "refuses"
        self.headers: dict[str, str] = {}
        self.after, self.lasts = "", 1
        self.blob_seconds = 0.0
        self._late = 0.0
        self._before: dict[str, tuple[float, str]] = {}
        self._lock = threading.Lock()
        self.host = ""

    def reset(
        self,
        fails: Callable[[int], bool],
        fault: Fault = "refuses",
        *,
        status: int = 403,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Clear the record of requests, and set which requests fail in which way."""
        with self._lock:
            self.asked, self.given, self.guarded, self.after = [], [], "", ""
            self.fails, self.fault, self.status, self.headers = fails, fault, status, dict(headers or {})

    def note(self, method: str, path: str, body: bytes) -> bool:
        """Record a request, and return whether it fails."""
        with self._lock:
            self.asked.append(f"{method} {path}")
            if method == "PUT" and _TAG.fullmatch(path):
                self.given.append((path, body))
                if path == self.guarded and "manifests" in json.loads(body):
                    return True
            return self._fails_since_after() if self.after else self.fails(len(self.asked))

    def _fails_since_after(self) -> bool:
        """Return whether the latest request is one of the `lasts` requests from `after` on."""
        return self.after in self.asked and len(self.asked) - self.asked.index(self.after) <= self.lasts

    def delay(self, seconds: float) -> None:
        """From now on, serve the old content of a tag for `seconds` after the tag has moved."""
        with self._lock:
            self._late, self._before = seconds, {}

    def give(self, path: str) -> None:
        """Remember the current digest of a tag that is about to move, so that `read` can serve it for a while."""
        with self._lock:
            then, digest = self._before.get(path, (-math.inf, ""))
            if time.monotonic() - then >= self._late:
                digest = self._digest(path)
            self._before[path] = (time.monotonic(), digest)

    def read(self, path: str) -> str:
        """Return the path of the manifest that readers of a tag get now. It is empty if they find no manifest yet."""
        with self._lock:
            then, digest = self._before.get(path, (-math.inf, ""))
            if time.monotonic() - then >= self._late:
                return path
            return digest and f"{path.rpartition('/')[0]}/{digest}"

    def _digest(self, path: str) -> str:
        repository, tag = path.removeprefix("/v2/").split("/manifests/")
        client = RegistryClient(host=self.behind, login=None)
        for _ in range(_TRIES):
            # the real registry sometimes answers 500 if a client pushes several images at the same time
            with contextlib.suppress(TestbedError):
                try:
                    return client.manifest(f"{repository}:{tag}")[0]
                except KeyError:
                    return ""
            time.sleep(0.2)
        message = f"{self.behind} does not say what {path} is"
        raise TestbedError(message)


@contextlib.contextmanager
def faulty_registry(behind: str, *, address: str = "127.0.0.1") -> Iterator[FaultyRegistry]:
    """Serve a faulty registry on a free port of `address`, until the `with` block ends.

    `address` belongs to this machine.
    """
    faulty = FaultyRegistry(behind)

    class Handler(_Handler):
        registry = faulty

    server = _Server((address, 0), Handler)
    server.daemon_threads = True
    name = "localhost" if address == "127.0.0.1" else address
    faulty.host = f"{name}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield faulty
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    """A server that reports no error if a client closes the connection."""

    def handle_error(self, *_: object) -> None:
        """Print nothing: the test itself fails."""


class _Handler(BaseHTTPRequestHandler):
    """A handler for one connection."""

    protocol_version = "HTTP/1.1"
    registry: FaultyRegistry

    def log_message(self, *_: object) -> None:
        """Write no log."""

    def handle_one_request(self) -> None:
        """Answer a TLS handshake with plain HTTP, which BuildKit expects before it uses plain HTTP."""
        if cast("io.BufferedReader", self.rfile).peek(1)[:1] == _TLS:
            self.wfile.write(b"HTTP/1.0 400 Bad Request\r\n\r\n")
            self.close_connection = True
        else:
            super().handle_one_request()

    def _pass_on(self) -> None:
        body = self._body()
        fails = self.registry.note(self.command, self.path, body)
        if fails and self.registry.fault not in {"accepts", "late"}:
            self._fail()
            return
        path = self.path
        if _TAG.fullmatch(path) and self.command == "PUT":
            self.registry.give(path)
        elif _TAG.fullmatch(path):
            path = self.registry.read(path)
        if not path:
            self._refuse(404, "MANIFEST_UNKNOWN", "not yet")
            return
        connection = http.client.HTTPConnection(self.registry.behind, timeout=_SECONDS)
        try:
            connection.putrequest(self.command, path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():  # a request can have several headers of the same name
                if name.lower() not in _HOP_BY_HOP:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            content = answer.read()
            if fails:
                self._withhold()
                return
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _HOP_BY_HOP:
                    self.send_header(name, value)
            length = answer.getheader("Content-Length", "0") if self.command == "HEAD" else str(len(content))
            self.send_header("Content-Length", length)
            self.end_headers()
            self._send(content)
        finally:
            connection.close()

    def _send(self, content: bytes) -> None:
        """Write a body; a blob of more than 1 MiB takes the `blob_seconds` of the registry."""
        size = max(len(content) // _PARTS, _LARGE)
        for start in range(0, len(content), size):
            self.wfile.write(content[start : start + size])
            if len(content) > _LARGE and "/blobs/" in self.path:
                time.sleep(self.registry.blob_seconds * size / len(content))

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def _fail(self) -> None:
        if self.registry.fault == "refuses":
            self._refuse(self.registry.status, "DENIED", "told to fail")
        else:
            self._withhold()

    def _withhold(self) -> None:
        """End the connection without an answer."""
        if self.registry.fault in {"hangs", "late"}:
            cast("io.BufferedReader", self.rfile).peek(1)  # until the client closes the connection
        self.close_connection = True

    def _refuse(self, status: int, code: str, message: str) -> None:
        content = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in self.registry.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


for _method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
    setattr(_Handler, f"do_{_method}", _Handler._pass_on)
