"""Single requests, to a real HTTP server on this machine."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from mpbake.base.errors import Cancelled
from mpbake.buildkit.registry.hosts import HostTls
from mpbake.buildkit.registry.transport import NoResponse, NoResponseKind, Request, Transport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.tls import Certificates

TLS = HostTls()


class Handler(BaseHTTPRequestHandler):
    """A handler whose answer depends on the path of the request."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Write no log."""

    def do_GET(self) -> None:
        if self.path == "/ends":
            self.close_connection = True
            return
        if self.path == "/never":
            time.sleep(3)
        body = b"x" * 100 if self.path == "/large" else f"{self.path} {self.headers['User-Agent']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Port", str(self.client_address[1]))
        self.end_headers()
        if self.path == "/drips":
            self.wfile.write(body[:1])
            self.wfile.flush()
            time.sleep(3)
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """A server that ignores connections closed by the client."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Print nothing: the test itself fails."""


@contextlib.contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Start the server and yield its URL."""
    server = Server(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def get(url: str) -> Request:
    return Request(method="GET", url=url, largest=99)


def test_connections_are_kept_and_used_again() -> None:
    transport = Transport()
    with serving() as url:
        first, second = (transport.send(get(f"{url}/a"), TLS, "", 5.0) for _ in range(2))
        transport.close()
    assert first.status == 200
    assert first.body.startswith(b"/a mpbake/")
    assert first.headers["port"] == second.headers["port"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/ends", "the connection ended before the answer"),
        ("/large", "the response is larger than 99 bytes"),
        ("/never", "no answer within 0.3s"),
        ("/drips", "no answer within 0.3s"),
    ],
)
def test_a_request_that_was_sent_may_have_been_carried_out(path: str, reason: str) -> None:
    with serving() as url:
        began = time.monotonic()
        with pytest.raises(NoResponse) as caught:
            Transport().send(get(f"{url}{path}"), TLS, "", 0.3)
        assert time.monotonic() - began < 2.5
    assert (caught.value.sent, caught.value.kind is NoResponseKind.TIMEOUT) == (True, "within" in reason)
    assert caught.value.reason in {reason, "no answer in time"}


def test_a_registry_that_is_not_there_was_sent_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(NoResponse, match=r"^connection refused$") as caught:
        Transport().send(get(f"http://127.0.0.1:{port}/"), TLS, "", 5.0)
    assert not caught.value.sent
    with pytest.raises(NoResponse) as caught:
        Transport().send(get("http://nobody.invalid/"), TLS, "", 5.0)
    assert not caught.value.sent


def test_a_run_that_is_cancelled_waits_for_no_answer() -> None:
    stopped = threading.Event()
    threading.Timer(0.2, stopped.set).start()
    with serving() as url:
        began = time.monotonic()
        with pytest.raises(Cancelled):
            Transport(stopped.is_set).send(get(f"{url}/never"), TLS, "", 60.0)
        with pytest.raises(Cancelled):
            Transport(stopped.is_set).send(get(f"{url}/a"), TLS, "", 60.0)
        assert time.monotonic() - began < 2.5


def server_context(certificates: Certificates, *, wants_client: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates.folder / "ca.crt"))
    context.load_cert_chain(certificates.folder / "server.crt", certificates.folder / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED if wants_client else ssl.CERT_NONE
    return context


def test_a_certificate_is_trusted_by_its_authority(certificates: Certificates) -> None:
    authority = str(certificates.folder / "ca.crt")
    with serving(server_context(certificates)) as url:
        for tls in (HostTls(authorities=(authority,)), HostTls(system_file=authority), HostTls(insecure=True)):
            assert Transport().send(get(f"{url}/a"), tls, "", 5.0).status == 200
        with pytest.raises(NoResponse, match=r"^its certificate is not trusted: ") as caught:
            Transport().send(get(f"{url}/a"), TLS, "", 5.0)
    assert (caught.value.sent, caught.value.kind) == (False, NoResponseKind.UNTRUSTED)


def test_a_client_certificate_is_shown(certificates: Certificates) -> None:
    names = [str(certificates.folder / name) for name in ("ca.crt", "client.crt", "client.key")]
    with serving(server_context(certificates, wants_client=True)) as url:
        tls = HostTls(authorities=(names[0],), pairs=((names[1], names[2]),))
        assert Transport().send(get(f"{url}/a"), tls, "", 5.0).status == 200
        with pytest.raises(NoResponse):
            Transport().send(get(f"{url}/a"), HostTls(authorities=(names[0],)), "", 5.0)


def test_a_server_without_tls_is_known() -> None:
    with serving() as url, pytest.raises(NoResponse, match=r"^it does not speak TLS$") as caught:
        Transport().send(get(url.replace("http", "https")), TLS, "", 5.0)
    assert caught.value.kind is NoResponseKind.PLAIN


def test_certificates_that_are_not_there_are_named() -> None:
    with pytest.raises(NoResponse, match=r"^certificates cannot be loaded: /nowhere/ca\.crt: No such file"):
        Transport().send(get("https://127.0.0.1:1/"), HostTls(authorities=("/nowhere/ca.crt",)), "", 5.0)


def test_a_proxy_is_asked_and_its_password_is_in_no_message() -> None:
    with serving() as url:
        proxy = url.replace("//", "//user:secret@")
        response = Transport().send(get("http://registry.example.com/a"), TLS, proxy, 5.0)
        assert response.body.startswith(b"http://registry.example.com/a ")
    with pytest.raises(NoResponse) as caught:
        Transport().send(get("http://registry.example.com/a"), TLS, proxy, 5.0)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "proxy", ["socks5://user:secret@127.0.0.1:1", "http://user:secret@127.0.0.1:abc", "http://user:secret@[x"]
)
def test_a_proxy_that_is_not_supported_is_told(proxy: str) -> None:
    with pytest.raises(NoResponse, match=r"^the proxy [a-z0-9]+://(127.0.0.1:\w+|\[x) is not supported$") as caught:
        Transport().send(get("https://registry.example.com/a"), TLS, proxy, 5.0)
    assert not caught.value.sent
    assert caught.value.hint.startswith("set HTTPS_PROXY and HTTP_PROXY to an http:// or https:// URL")
