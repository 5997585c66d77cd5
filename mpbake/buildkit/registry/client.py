"""A client for registries: manifests, blobs and tags. Retries failed requests, and converts failures to errors."""

from __future__ import annotations

import contextlib
import hashlib
import http
import math
import time
from dataclasses import dataclass, field, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, assert_never

from mpbake.base.errors import BuildFailed, Cancelled, MpbakeError, NoSuchTag, Unreachable
from mpbake.base.json_text import parse_json
from mpbake.base.references import parse_reference
from mpbake.base.text import one_line, shortened
from mpbake.buildkit.registry.authorization import PULL, PUSH, RegistryAccess, TokenRefused
from mpbake.buildkit.registry.authorized_requests import AuthorizedRequests
from mpbake.buildkit.registry.hints import RIGHTS_HINT, SERVER_ERROR_HINT
from mpbake.buildkit.registry.transport import NoResponse, NoResponseKind, Request, resolve_url

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mpbake.buildkit.registry.authorization import Authorization
    from mpbake.buildkit.registry.hosts import Hosts
    from mpbake.buildkit.registry.transport import Response, Transport

INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEXES = (INDEX, DOCKER_INDEX)
_ACCEPT = f"{INDEX}, {MANIFEST}, {DOCKER_INDEX}, {DOCKER_MANIFEST}"

WRITE_TIMEOUT = 300.0
"""Seconds within which a registry must answer a request that changes something."""
READ_TIMEOUT = 30.0
"""Seconds within which a registry must answer a request that only reads."""
RETRY_PAUSES = (0.5, 1.0, 2.0, 2.0)
"""Seconds to wait before each retry."""
LONGEST_WAIT = 60.0
"""The maximum total seconds that a request waits because of rate limits."""
_RATE_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds to wait before each retry after a response 429 without a Retry-After header."""
_RETRIED = frozenset({500, 502, 503, 504})
_MAYBE_APPLIED = frozenset({408, 499})
"""Client errors of a proxy that stopped waiting for its server. The server may still carry out the request."""
_OWN_ERRORS = frozenset({500, 501, 503})
"""Server errors after which a request is certainly not carried out, if the registry itself sends them, not a proxy."""
_RATE_LIMITED = 429
_DIGEST_INVALID = "DIGEST_INVALID"
"""The code of an error about a digest. mpbake moves tags without a digest in the request, so the registry is at fault.

A registry that stores files returns this error if another push writes a link at the same moment
(https://github.com/distribution/distribution/issues/4489).
"""
_LARGEST_CONFIG = 16 * 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """A manifest or an index, byte for byte."""

    content: bytes = field(repr=False)
    media_type: str

    @property
    def digest(self) -> str:
        """The digest of the content, `sha256:…`."""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"

    @property
    def is_index(self) -> bool:
        """Whether the manifest is an index, which lists other manifests."""
        return self.media_type in INDEXES


@dataclass(frozen=True, kw_only=True, slots=True)
class Repository:
    """A repository of a registry.

    `path` is the name in the registry, such as `library/web`. `name` is the name that users write, such as `web` or
    `localhost:5000/team/web`.
    """

    registry: str
    path: str
    name: str

    def access(self, actions: tuple[str, ...]) -> RegistryAccess:
        """Return the access that a request for `actions` requires."""
        return RegistryAccess(registry=self.registry, path=self.path, actions=actions)


def repository_of(reference: str) -> Repository:
    """Return the repository of a reference with or without a tag or digest."""
    parsed = parse_reference(reference.partition("@")[0])
    return Repository(registry=parsed.registry, path=parsed.path, name=parsed.repository)


@dataclass(frozen=True, kw_only=True, slots=True)
class RegistryFailure:
    """Why a request to a registry failed.

    - `status`: the HTTP status of the response; 0 if there was no response.
    - `code`: the code of the registry's error; `detail`: the code and the message.
    - `lost`: why there was no response.
    - `login_error`: why the user's login could not be read.
    - `not_applied`: True if the registry certainly did not carry out the request and never will.
    - `retry_header`: the value of the Retry-After header.
    """

    registry: str
    status: int = 0
    code: str = ""
    detail: str = ""
    lost: NoResponse | None = None
    login_error: MpbakeError | None = None
    not_applied: bool = True
    retry_header: str = ""

    @property
    def is_refusal(self) -> bool:
        """Whether a retry cannot succeed: access denied, not found, invalid, or no readable login."""
        is_temporary = self.status == _RATE_LIMITED or self.code == _DIGEST_INVALID
        return self.login_error is not None or (400 <= self.status < 500 and not is_temporary)

    def retry_after(self, now: float) -> float:
        """Return the seconds to wait according to the Retry-After header, a number or a date; 0 for any other value."""
        text = self.retry_header.strip()
        if text.isdigit():
            return max(float(text), 0.1)
        with contextlib.suppress(ValueError, TypeError):
            return max(parsedate_to_datetime(text).timestamp() - now, 0.1)
        return 0.0

    def __str__(self) -> str:
        """Return the failure as a sentence, such as `localhost:5000 answers 403 Forbidden: DENIED`."""
        if self.lost is not None:
            return f"{self.registry}: {self.lost.reason}"
        if self.login_error is not None:
            return self.login_error.message
        detail = f": {self.detail}" if self.detail else ""
        return f"{self.registry} answers {self.status} {_phrase(self.status)}{detail}"

    def error(self, operation: str) -> MpbakeError:
        """Return the error of a failed operation, with exit code 5 if the registry is unreachable, else 1."""
        message = f"{operation}: {self}"
        if self.lost is not None:
            return Unreachable(message, hint=_connection_hint(self.lost))
        if self.login_error is not None:
            return type(self.login_error)(message, hint=self.login_error.hint)
        if self.status in {401, 403}:
            return BuildFailed(message, hint=RIGHTS_HINT)
        if self.status == _RATE_LIMITED:
            return BuildFailed(message, hint="run again later: the registry limits the rate of requests")
        if self.status == 404:
            return NoSuchTag(message)
        if self.status in _RETRIED:
            kind = BuildFailed if self.status == 500 else Unreachable
            return kind(message, hint=SERVER_ERROR_HINT)
        return BuildFailed(message)


class RequestFailed(Exception):
    """A request that failed after all retries."""

    def __init__(self, failure: RegistryFailure) -> None:
        """Store the failure."""
        super().__init__(str(failure))
        self.failure = failure


@dataclass(frozen=True, kw_only=True, slots=True)
class RegistryClient:
    """A client for registries that uses the user's logins. Thread-safe.

    - `pause`: waits some seconds, or until the run is cancelled.
    - `write_timeout`, `read_timeout`: seconds for a request that changes something, and for a request that only reads.
    - `pauses`: seconds to wait before each retry.

    Every method raises RequestFailed, unless it says otherwise.
    """

    transport: Transport
    authorization: Authorization
    hosts: Hosts
    pause: Callable[[float], object]
    write_timeout: float = WRITE_TIMEOUT
    read_timeout: float = READ_TIMEOUT
    now: Callable[[], float] = time.time
    pauses: tuple[float, ...] = RETRY_PAUSES
    redact: Callable[[str], str] = str

    @property
    def without_retries(self) -> RegistryClient:
        """A copy of this client that does not retry."""
        return replace(self, pauses=())

    def with_hosts(self, hosts: Hosts) -> RegistryClient:
        """Return a copy of this client with other host settings."""
        return replace(self, hosts=hosts)

    def manifest(self, repository: Repository, name: str) -> Manifest:
        """Return the manifest or index for a tag or digest."""
        response = self._send(_manifest_request("GET", name), repository)
        manifest = Manifest(content=response.body, media_type=_media_type(response))
        _check_digest(repository, name, manifest.digest.partition(":")[2])
        return manifest

    def digest(self, repository: Repository, tag: str) -> str:
        """Return the digest of a tag; empty if the tag does not exist."""
        try:
            response = self._send(_manifest_request("HEAD", tag), repository)
            return response.headers.get("docker-content-digest") or self.manifest(repository, tag).digest
        except RequestFailed as error:
            if error.failure.status == 404:
                return ""
            raise

    def blob(self, repository: Repository, digest: str) -> bytes:
        """Return a small blob, such as an image's config."""
        body = self._send(Request(method="GET", url=f"blobs/{digest}", largest=_LARGEST_CONFIG), repository).body
        _check_digest(repository, digest, hashlib.sha256(body).hexdigest())
        return body

    def put(self, repository: Repository, tag: str, manifest: Manifest) -> None:
        """Move a tag to a manifest whose contents are already in the repository. For the error, see `not_applied`."""
        headers = {"Content-Type": manifest.media_type}
        request = Request(method="PUT", url=f"manifests/{tag}", headers=headers, body=manifest.content)
        self._send(request, repository, PUSH)

    def probe(self, repository: Repository) -> RegistryFailure | None:
        """Start an upload to the repository and cancel the upload. Return the failure; None if uploads work.

        Raises nothing but Cancelled.
        """
        try:
            response = self._attempt(Request(method="POST", url="blobs/uploads/"), repository, PUSH)
        except RequestFailed as error:
            return error.failure
        with contextlib.suppress(RequestFailed):
            if location := response.headers.get("location"):
                self._attempt(Request(method="DELETE", url=location), repository, PUSH)
        return None

    def has_login(self, repository: Repository) -> bool:
        """Whether the user has a login for pushes to the repository. Raises BuildFailed if the login cannot be read."""
        return self.authorization.has_login(repository.access(PUSH))

    def server_time(self, registry: str) -> datetime | None:
        """Return the date and time of a registry's server; None if the response contains no date. Raises NoResponse."""
        endpoint = self.hosts.endpoint(registry)
        request = Request(method="GET", url=f"{endpoint.url}/v2/")
        response = self.transport.send(request, endpoint.tls, endpoint.proxy, self.read_timeout)
        try:
            return parsedate_to_datetime(response.headers.get("date", "")).astimezone(UTC)
        except (ValueError, TypeError):
            return None

    # --- attempts -------------------------------------------------------------------------------------------------

    def _send(self, request: Request, repository: Repository, actions: tuple[str, ...] = PULL) -> Response:
        """Send a request. Retry if the connection or the registry fails, or if the registry limits the rate.

        The URL of the request may be relative to the repository, such as `manifests/TAG`.
        """
        pauses, rate_pauses, waited, not_applied = iter(self.pauses), iter(_RATE_PAUSES), 0.0, True
        while True:
            try:
                return self._attempt(request, repository, actions)
            except RequestFailed as error:
                failure = error.failure
            not_applied = not_applied and failure.not_applied
            if failure.status == _RATE_LIMITED and self.pauses:
                seconds = failure.retry_after(self.now()) or next(rate_pauses, math.inf)
                waited += seconds
                seconds = seconds if waited <= LONGEST_WAIT else math.inf
            else:
                seconds = next(pauses, math.inf) if _is_retried(failure) else math.inf
            if seconds == math.inf:
                raise RequestFailed(replace(failure, not_applied=not_applied))
            self.pause(seconds)

    def _attempt(self, request: Request, repository: Repository, actions: tuple[str, ...]) -> Response:
        """Send a request once. Raises RequestFailed if the request fails."""
        endpoint = self.hosts.endpoint(repository.registry)
        timeout = self.read_timeout if request.method in {"GET", "HEAD"} else self.write_timeout
        requests = AuthorizedRequests(transport=self.transport, authorization=self.authorization, hosts=self.hosts)
        try:
            url = resolve_url(f"{endpoint.url}/v2/{repository.path}/", request.url)
            response = requests.send(replace(request, url=url), repository.access(actions), endpoint, timeout)
        except NoResponse as lost:
            failure = RegistryFailure(registry=repository.registry, lost=lost, not_applied=not lost.sent)
            raise RequestFailed(failure) from None
        except TokenRefused as refused:
            # The registry has only answered with a challenge, so the request was not applied.
            raise RequestFailed(replace(self._failure(repository, refused.response), not_applied=True)) from None
        except Cancelled:
            raise
        except MpbakeError as error:
            raise RequestFailed(RegistryFailure(registry=repository.registry, login_error=error)) from None
        if not 200 <= response.status < 300:
            raise RequestFailed(self._failure(repository, response))
        return response

    def _failure(self, repository: Repository, response: Response) -> RegistryFailure:
        return RegistryFailure(
            registry=repository.registry,
            status=response.status,
            code=str(_first_error(response).get("code", "")),
            detail=self.redact(_detail(response)),
            not_applied=_is_not_applied(response),
            retry_header=response.headers.get("retry-after", ""),
        )


def _manifest_request(method: str, name: str) -> Request:
    return Request(method=method, url=f"manifests/{name}", headers={"Accept": _ACCEPT})


def _check_digest(repository: Repository, name: str, actual: str) -> None:
    """If `name` is a digest, raise RequestFailed if the content from the registry has another digest."""
    kind, _, wanted = name.partition(":")
    if kind == "sha256" and wanted != actual:
        hint = "check the storage of the registry, or a proxy or mirror in front of it"
        lost = NoResponse(f"the content of {name} does not match its digest", hint=hint, sent=False)
        raise RequestFailed(RegistryFailure(registry=repository.registry, lost=lost))


def _is_retried(failure: RegistryFailure) -> bool:
    """Whether a retry may succeed, which is impossible after a timeout or a TLS error."""
    lost = failure.lost
    if lost is None:
        return failure.status in _RETRIED or failure.code == _DIGEST_INVALID
    return lost.kind is NoResponseKind.OTHER


def _is_not_applied(response: Response) -> bool:
    """Whether an error response proves that the registry did not carry out the request and never will.

    The response of a proxy proves nothing, since the registry may still be at work. A 5xx response comes from the
    registry itself if the response contains the registry's JSON errors.
    """
    if 400 <= response.status < 500:
        return response.status not in _MAYBE_APPLIED
    return response.status in _OWN_ERRORS and bool(_first_error(response))


def _detail(response: Response) -> str:
    """Return the code and message in a registry's error response; empty if there are none."""
    first = _first_error(response)
    text = " ".join(str(first[key]) for key in ("code", "message") if first.get(key))
    return shortened(one_line(text), 300)


def _first_error(response: Response) -> dict[str, Any]:
    """Return the first entry of a registry's JSON `errors`; empty if the body has another format."""
    try:
        return dict(parse_json(response.body)["errors"][0])
    except (ValueError, LookupError, TypeError, AttributeError):
        return {}


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""


def _media_type(response: Response) -> str:
    """Return the media type of a manifest. The field `mediaType` wins over the header, since proxies change headers."""
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        if media_type := parse_json(response.body).get("mediaType"):
            return str(media_type)
    return response.headers.get("content-type", "").partition(";")[0].strip()


def _connection_hint(lost: NoResponse) -> str:
    if lost.hint:
        return lost.hint
    match lost.kind:
        case NoResponseKind.UNTRUSTED:
            return (
                'set buildkitd.registry."HOST".ca in the builder, set SSL_CERT_FILE, or add the CA to the certificates '
                "of the system: this machine does not trust the registry's certificate"
            )
        case NoResponseKind.PLAIN:
            return 'set buildkitd.registry."HOST".http = true in the builder: the registry does not speak TLS'
        case NoResponseKind.TIMEOUT | NoResponseKind.OTHER:
            return "check that the registry is up and reachable from this machine"
        case _:
            assert_never(lost.kind)
