"""Sends single HTTP requests: pooled connections, proxies, deadlines, bounded responses. The only user of urllib3."""

from __future__ import annotations

import importlib
import ssl
import threading
import time
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from mpbake import __version__
from mpbake.base.errors import Cancelled
from mpbake.base.text import duration, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import urllib3

    from mpbake.buildkit.registry.hosts import HostTls

Result = TypeVar("Result")

_CONNECT = 15.0
"""The timeout in seconds for opening a connection."""
_POLL = 0.05
"""Seconds between two checks whether the run was cancelled."""
_POOLED = 32
"""The maximum number of open connections to a host."""
_NEVER_SENT = {"ConnectTimeoutError", "LocationParseError", "NameResolutionError", "NewConnectionError", "ProxyError"}
"""The names of urllib3 errors that occur before anything is sent.

These are names because urllib3 is slow to import, and is imported only when needed.
"""
_PROXY_HINT = "set HTTPS_PROXY and HTTP_PROXY to an http:// or https:// URL, or exclude the registry with NO_PROXY"
_SPEAKS_HTTP = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"}
"""OpenSSL's reasons if the server answers in plain HTTP."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """An HTTP request. `largest` is the maximum size of the response body in bytes."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    largest: int = 4 * 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """An HTTP response; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


class NoResponseKind(Enum):
    """The kind of problem that prevented a response."""

    UNTRUSTED = "the certificate of the server is not trusted"
    PLAIN = "the server does not speak TLS"
    TIMEOUT = "the deadline is over"
    OTHER = "another problem, which may pass"


class NoResponse(Exception):
    """A request without a response.

    - `reason`: a short sentence without secrets.
    - `sent`: the request was sent, so the server may have carried it out.
    - `kind`: the kind of problem.
    - `hint`: what the user can do, if known.
    """

    def __init__(self, reason: str, *, sent: bool, kind: NoResponseKind = NoResponseKind.OTHER, hint: str = "") -> None:
        """Set the fields that the class describes."""
        super().__init__(reason)
        self.reason = reason
        self.sent = sent
        self.kind = kind
        self.hint = hint


class Transport:
    """Sends requests over pooled connections. Thread-safe."""

    def __init__(self, cancelled: Callable[[], bool] = lambda: False) -> None:
        self._cancelled = cancelled
        self._pools: dict[tuple[HostTls | None, str], urllib3.PoolManager] = {}
        self._lock = threading.Lock()

    def send(self, request: Request, tls: HostTls, proxy: str, seconds: float) -> Response:
        """Send `request` and return the response within `seconds`. Use `proxy` unless it is empty.

        Redirects are not followed. Raises NoResponse, and Cancelled as soon as the run is cancelled.
        """
        secure = tls if request.url.startswith("https:") else None
        return self._interruptible(lambda: self._exchange(request, self._pool(secure, proxy), seconds), seconds)

    def close(self) -> None:
        """Close idle connections."""
        with self._lock:
            pools, self._pools = self._pools, {}
        for pool in pools.values():
            pool.clear()

    def _interruptible(self, work: Callable[[], Result], seconds: float) -> Result:
        """Do `work` in a thread. Abandon the thread if the deadline has passed or the run is cancelled.

        Nothing else can interrupt a query to a name server or a read from a socket.
        """
        if self._cancelled():
            raise Cancelled("cancelled")
        results: list[Result] = []
        errors: list[BaseException] = []
        finished = threading.Event()

        def attempt() -> None:
            try:
                results.append(work())
            except BaseException as error:  # noqa: BLE001 - the waiting thread raises the error
                errors.append(error)
            finally:
                finished.set()

        threading.Thread(target=attempt, daemon=True, name="registry").start()
        end = time.monotonic() + seconds
        while not finished.wait(_POLL):
            if self._cancelled():
                raise Cancelled("cancelled")
            if time.monotonic() >= end:
                raise NoResponse(f"no answer within {duration(seconds)}", sent=True, kind=NoResponseKind.TIMEOUT)
        if errors:
            raise errors[0]
        return results[0]

    def _pool(self, tls: HostTls | None, proxy: str) -> urllib3.PoolManager:
        with self._lock:
            key = (tls, proxy)
            if key not in self._pools:
                self._pools[key] = _manager(tls, proxy)
            return self._pools[key]

    @staticmethod
    def _exchange(request: Request, pool: urllib3.PoolManager, seconds: float) -> Response:
        import urllib3  # noqa: PLC0415

        try:
            response = pool.request(
                request.method,
                request.url,
                body=request.body or None,
                headers={"User-Agent": f"mpbake/{__version__}", **request.headers},
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
                timeout=urllib3.Timeout(connect=min(_CONNECT, seconds), read=seconds),
            )
            body = response.read(request.largest + 1)
            headers = {name.lower(): value for name, value in response.headers.items()}
            if len(body) > request.largest:
                response.close()
                raise NoResponse(f"the response is larger than {request.largest} bytes", sent=True)
            response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise _no_response(error) from None
        return Response(status=response.status, headers=headers, body=body)


def import_urllib3() -> None:
    """Import urllib3, which takes a twentieth of a second. A run does this in a thread while it builds."""
    importlib.import_module("urllib3")


def _manager(tls: HostTls | None, proxy: str) -> urllib3.PoolManager:
    import urllib3  # noqa: PLC0415

    context = None if tls is None else ssl_context(tls)
    if tls is not None and tls.insecure:  # the plan itself sets `insecure`
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    if not proxy:
        return urllib3.PoolManager(maxsize=_POOLED, ssl_context=context)
    try:
        return _proxied(proxy, context)
    except (urllib3.exceptions.HTTPError, ValueError):
        scheme, colon, rest = proxy.rpartition("://")
        reason = f"the proxy {one_line(scheme + colon + rest.rpartition('@')[2])} is not supported"
        raise NoResponse(reason, sent=False, hint=_PROXY_HINT) from None


def _proxied(proxy: str, context: ssl.SSLContext | None) -> urllib3.ProxyManager:
    """Return a pool for a proxy. Raises ValueError or urllib3's HTTPError if the URL of the proxy is not supported."""
    import urllib3  # noqa: PLC0415

    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}" if parts.username else ""
    headers = urllib3.make_headers(proxy_basic_auth=login) if login else None
    bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "", "", ""))
    return urllib3.ProxyManager(bare, maxsize=_POOLED, ssl_context=context, proxy_headers=headers)


def resolve_url(base: str, reference: str) -> str:
    """Resolve `reference` relative to `base`. Raises NoResponse if the result is not a URL."""
    try:
        url = urljoin(base, reference)
        _ = urlsplit(url).port
    except ValueError:
        raise NoResponse("it names an invalid URL", sent=False) from None
    return url


@cache
def ssl_context(tls: HostTls) -> ssl.SSLContext:
    """Return the TLS context for a host. Raises NoResponse if a certificate file cannot be loaded."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        if not (tls.system_file or tls.system_folder):
            context.load_default_certs()
        for file, folder in ((tls.system_file, ""), ("", tls.system_folder), *((ca, "") for ca in tls.authorities)):
            if file or folder:
                context.load_verify_locations(cafile=file or None, capath=folder or None)
        for certificate, key in tls.pairs:
            context.load_cert_chain(certificate, key)
    except OSError as error:
        names = ", ".join((*tls.authorities, *(name for pair in tls.pairs for name in pair))) or tls.system_file
        raise NoResponse(f"certificates cannot be loaded: {names}: {error.strerror or error}", sent=False) from None
    return context


def _no_response(error: Exception) -> NoResponse:
    """Convert an error of urllib3 or the system to NoResponse.

    The error's own text is not used, since it may contain whole URLs.
    """
    root = _root(error)
    sent = type(error).__name__ not in _NEVER_SENT
    if isinstance(root, ssl.SSLCertVerificationError):
        reason = f"its certificate is not trusted: {root.verify_message}"
        return NoResponse(reason, sent=False, kind=NoResponseKind.UNTRUSTED)
    if isinstance(root, ssl.SSLError):
        if (root.reason or "") in _SPEAKS_HTTP:
            return NoResponse("it does not speak TLS", sent=sent, kind=NoResponseKind.PLAIN)
        return NoResponse(f"TLS: {(root.reason or 'error').replace('_', ' ').lower()}", sent=sent)
    if isinstance(root, TimeoutError) or "Timeout" in type(error).__name__:
        reason = "no answer in time" if sent else "no connection in time"
        return NoResponse(reason, sent=sent, kind=NoResponseKind.TIMEOUT)
    if isinstance(root, OSError) and root.strerror:
        return NoResponse(root.strerror.lower(), sent=sent)
    return NoResponse("the connection ended before the answer", sent=sent)


def _root(error: BaseException) -> BaseException:
    """Return the innermost cause of `error` that Python or urllib3 recorded."""
    seen = {error}
    while True:
        wrapped = (argument for argument in error.args if isinstance(argument, Exception))
        inner = error.__cause__ or error.__context__ or next(wrapped, None)
        if inner is None or inner in seen:
            return error
        seen.add(inner)
        error = inner
