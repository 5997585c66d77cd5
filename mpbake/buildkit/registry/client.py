"""What mpbake asks of registries: manifests, blobs, tags. Failures are retried here, and explained as errors."""

from __future__ import annotations

import contextlib
import hashlib
import http
import math
import time
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mpbake.base.errors import BuildFailed, Cancelled, MpbakeError, NoSuchTag, Unreachable
from mpbake.base.json_text import parse_json
from mpbake.base.references import parse_reference
from mpbake.base.text import one_line, shortened
from mpbake.buildkit.registry.authorization import PULL, PUSH, RegistryAccess, TokenRefused
from mpbake.buildkit.registry.transport import NoResponse, Request, resolve_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mpbake.buildkit.registry.authorization import Authorization
    from mpbake.buildkit.registry.hosts import Endpoint, Hosts
    from mpbake.buildkit.registry.transport import Response, Transport

INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEXES = (INDEX, DOCKER_INDEX)
_ACCEPT = f"{INDEX}, {MANIFEST}, {DOCKER_INDEX}, {DOCKER_MANIFEST}"

SECONDS = 300.0
"""Seconds in which a registry must answer a request that changes something."""
READING = 30.0
"""Seconds in which a registry must answer a request that only reads."""
PAUSES = (0.5, 1.0, 2.0, 2.0)
"""Seconds to wait before each retry."""
LONGEST_WAIT = 60.0
"""Seconds in all that mpbake waits because a registry limits its rate."""
_RATE_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds to wait for a registry that limits its rate and does not say for how long."""
_RETRIED = frozenset({500, 502, 503, 504})
_UNSETTLED = frozenset({408, 499})
"""Client errors that a proxy gives when it stops waiting for a server that may still carry out the request."""
_OWN_ERRORS = frozenset({500, 501, 503})
"""Server errors that settle a request if the registry itself gives them, and not a proxy."""
_RATE_LIMITED = 429
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
_LARGEST_CONFIG = 16 * 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """A manifest or an index, byte for byte."""

    content: bytes = field(repr=False)
    media_type: str

    @property
    def digest(self) -> str:
        """`sha256:…` of the content."""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"

    @property
    def is_index(self) -> bool:
        """Whether it lists other manifests."""
        return self.media_type in INDEXES


@dataclass(frozen=True, kw_only=True, slots=True)
class Repository:
    """A repository of a registry; `path` is what the registry calls it."""

    registry: str
    path: str
    name: str
    """What users call it: `localhost:5000/team/web`, `web`."""

    def access(self, actions: tuple[str, ...]) -> RegistryAccess:
        """What a request for `actions` needs."""
        return RegistryAccess(registry=self.registry, path=self.path, actions=actions)


def repository_of(reference: str) -> Repository:
    """The repository of a reference, with or without a tag or a digest."""
    found = parse_reference(reference.partition("@")[0])
    return Repository(registry=found.registry, path=found.path, name=found.repository)


@dataclass(frozen=True, kw_only=True, slots=True)
class RegistryFailure:
    """Why a registry did not do what it was asked: the `status` of its answer, or 0 and no answer.

    `lost` says why there is no answer, `login` why the user's login could not be read. `settled` says that the request
    has not been carried out and never will be, as far as its answer tells. `after` is the header Retry-After.
    """

    registry: str
    status: int = 0
    words: str = ""
    lost: NoResponse | None = None
    login: MpbakeError | None = None
    settled: bool = True
    after: str = ""

    @property
    def is_refusal(self) -> bool:
        """Whether another attempt is pointless: not allowed, not found, not valid, or no login that can be read."""
        return self.login is not None or (400 <= self.status < 500 and self.status != _RATE_LIMITED)

    def retry_after(self, now: float) -> float:
        """The seconds that the header asks to wait, given as a number or a date; 0 where it says nothing."""
        text = self.after.strip()
        if text.isdigit():
            return max(float(text), 0.1)
        with contextlib.suppress(ValueError, TypeError):
            return max(parsedate_to_datetime(text).timestamp() - now, 0.1)
        return 0.0

    def __str__(self) -> str:
        """A sentence: `localhost:5000 answers 403 Forbidden: DENIED`."""
        if self.lost is not None:
            return f"{self.registry}: {self.lost.reason}"
        if self.login is not None:
            return self.login.message
        return f"{self.registry} answers {self.status} {_phrase(self.status)}{f': {self.words}' if self.words else ''}"

    def error(self, what: str) -> MpbakeError:
        """The error of `what` was tried: exit code 5 where the registry is out of reach, else 1."""
        message = f"{what}: {self}"
        if self.lost is not None:
            return Unreachable(message, hint=_connection_hint(self.lost))
        if self.login is not None:
            return type(self.login)(message, hint=self.login.hint)
        if self.status in {401, 403}:
            return BuildFailed(message, hint="check docker login and the repository's rights")
        if self.status == _RATE_LIMITED:
            return BuildFailed(message, hint="the registry limits the rate of requests: try again later")
        if self.status == 404:
            return NoSuchTag(message)
        if self.status in _RETRIED:
            kind = BuildFailed if self.status == 500 else Unreachable
            return kind(message, hint="the registry, or a proxy before it, fails at the moment: try again later")
        return BuildFailed(message)


class RequestFailed(Exception):
    """A request that failed for good, after all retries."""

    def __init__(self, failure: RegistryFailure) -> None:
        """Keeps the failure."""
        super().__init__(str(failure))
        self.failure = failure


@dataclass(frozen=True, kw_only=True, slots=True)
class Client:
    """Asks registries, with the user's logins; safe to use from several threads.

    `pause` waits some seconds, or until the run is cancelled. `seconds` is how long a request may take that changes
    something, `reading` how long one that does not. Every method raises RequestFailed.
    """

    transport: Transport
    authorization: Authorization
    hosts: Hosts
    pause: Callable[[float], object]
    seconds: float = SECONDS
    reading: float = READING
    now: Callable[[], float] = time.time
    pauses: tuple[float, ...] = PAUSES
    redact: Callable[[str], str] = str

    @property
    def once(self) -> Client:
        """The same client, without retries."""
        return replace(self, pauses=())

    def with_hosts(self, hosts: Hosts) -> Client:
        """The same client for registries that are reached in another way."""
        return replace(self, hosts=hosts)

    def manifest(self, repository: Repository, name: str) -> Manifest:
        """The manifest or index with a tag or digest."""
        response = self._ask("GET", repository, f"manifests/{name}", headers={"Accept": _ACCEPT})
        found = Manifest(content=response.body, media_type=_media_type(response))
        _check_digest(repository, name, found.digest.partition(":")[2])
        return found

    def digest(self, repository: Repository, tag: str) -> str:
        """The digest that a tag names; empty where there is no such tag."""
        try:
            response = self._ask("HEAD", repository, f"manifests/{tag}", headers={"Accept": _ACCEPT})
            return response.headers.get("docker-content-digest") or self.manifest(repository, tag).digest
        except RequestFailed as error:
            if error.failure.status == 404:
                return ""
            raise

    def blob(self, repository: Repository, digest: str) -> bytes:
        """A small blob, such as an image's config."""
        body = self._ask("GET", repository, f"blobs/{digest}", largest=_LARGEST_CONFIG).body
        _check_digest(repository, digest, hashlib.sha256(body).hexdigest())
        return body

    def put(self, repository: Repository, tag: str, manifest: Manifest) -> None:
        """Have a tag name a manifest, whose parts the repository has already. A failure tells whether it is settled."""
        self._ask(
            "PUT",
            repository,
            f"manifests/{tag}",
            headers={"Content-Type": manifest.media_type},
            body=manifest.content,
            actions=PUSH,
        )

    def probe(self, repository: Repository) -> RegistryFailure | None:
        """Why the repository does not take an upload at the moment, if it does not; nothing is left of the attempt."""
        try:
            response = self._once("POST", repository, "blobs/uploads/", actions=PUSH)
        except RequestFailed as error:
            return error.failure
        with contextlib.suppress(RequestFailed):
            if location := response.headers.get("location"):
                self._once("DELETE", repository, location, actions=PUSH)
        return None

    # --- attempts -------------------------------------------------------------------------------------------------

    def _ask(  # noqa: PLR0913 - the parts of a request
        self,
        method: str,
        repository: Repository,
        where: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        actions: tuple[str, ...] = PULL,
        largest: int = 4 * 1024 * 1024,
    ) -> Response:
        """Send a request, and again where the registry fails for a reason of its own."""
        request = Request(method=method, url=where, headers=headers or {}, body=body, largest=largest)
        pauses, rate_pauses, waited, settled = iter(self.pauses), iter(_RATE_PAUSES), 0.0, True
        while True:
            try:
                return self._attempt(request, repository, actions)
            except RequestFailed as error:
                failure = error.failure
            settled = settled and failure.settled
            if failure.status == _RATE_LIMITED and self.pauses:
                seconds = failure.retry_after(self.now()) or next(rate_pauses, math.inf)
                waited += seconds
                seconds = seconds if waited <= LONGEST_WAIT else math.inf
            else:
                seconds = next(pauses, math.inf) if _is_retried(failure) else math.inf
            if seconds == math.inf:
                raise RequestFailed(replace(failure, settled=settled))
            self.pause(seconds)

    def _once(self, method: str, repository: Repository, where: str, *, actions: tuple[str, ...] = PULL) -> Response:
        return self._attempt(Request(method=method, url=where), repository, actions)

    def _attempt(self, request: Request, repository: Repository, actions: tuple[str, ...]) -> Response:
        """Send a request once. Raises RequestFailed for anything but success."""
        endpoint = self.hosts.endpoint(repository.registry)
        seconds = self.reading if request.method in {"GET", "HEAD"} else self.seconds
        try:
            url = resolve_url(f"{endpoint.url}/v2/{repository.path}/", request.url)
            response = self._authorized(replace(request, url=url), repository.access(actions), endpoint, seconds)
        except NoResponse as lost:
            failure = RegistryFailure(registry=repository.registry, lost=lost, settled=not lost.sent)
            raise RequestFailed(failure) from None
        except TokenRefused as refused:
            # The registry has only answered with a challenge by then.
            raise RequestFailed(replace(self._failure(repository, refused.response), settled=True)) from None
        except Cancelled:
            raise
        except MpbakeError as error:
            raise RequestFailed(RegistryFailure(registry=repository.registry, login=error)) from None
        if not 200 <= response.status < 300:
            raise RequestFailed(self._failure(repository, response))
        return response

    def _failure(self, repository: Repository, response: Response) -> RegistryFailure:
        return RegistryFailure(
            registry=repository.registry,
            status=response.status,
            words=self.redact(_words(response)),
            settled=_is_settled(response),
            after=response.headers.get("retry-after", ""),
        )

    def _authorized(self, request: Request, access: RegistryAccess, endpoint: Endpoint, seconds: float) -> Response:
        """Send a request; if the registry itself answers with a challenge, log in and send the request again.

        mpbake ignores the challenge of any other server, where a redirect or an upload's location may lead: the
        realm that a challenge names gets the password.
        """
        known = self.authorization.header(access)
        response, server = self._followed(_signed(request, known), endpoint, seconds)
        if response.status != http.HTTPStatus.UNAUTHORIZED or server != _server(endpoint.url):
            return response
        challenge = response.headers.get("www-authenticate", "")
        header = self.authorization.answer(access, challenge, endpoint, self.hosts, seconds)
        return self._followed(_signed(request, header), endpoint, seconds)[0] if header else response

    def _followed(self, request: Request, endpoint: Endpoint, seconds: float) -> tuple[Response, _Server]:
        """Send a request and follow redirects if it only reads; return the response and the server that sent it.

        No server but the endpoint's gets the Authorization header.
        """
        if _server(request.url) != _server(endpoint.url):
            request = _signed(request, "")
        for _ in range(_MOST_REDIRECTS):
            response = self.transport.send(request, endpoint.tls, endpoint.proxy, seconds)
            location = response.headers.get("location", "")
            before = _server(request.url)
            if response.status not in _REDIRECTS or request.method not in {"GET", "HEAD"} or not location:
                return response, before
            url = resolve_url(request.url, location)
            after = _server(url)
            if after[0] not in {"http", "https"} or (before[0], after[0]) == ("https", "http"):
                raise NoResponse("it redirects to a server without TLS", sent=True)
            if before != after:
                request = _signed(request, "")
                endpoint = self.hosts.other(url)
            request = replace(request, url=url)
        raise NoResponse("it redirects too often", sent=True)


_Server = tuple[str, str]
"""The scheme and host of a URL, with its port if the URL names one."""


def _server(url: str) -> _Server:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _check_digest(repository: Repository, name: str, found: str) -> None:
    """Raise RequestFailed where a registry serves something else under a digest."""
    kind, _, wanted = name.partition(":")
    if kind == "sha256" and wanted != found:
        lost = NoResponse(f"what it serves as {name} has another digest", sent=False)
        raise RequestFailed(RegistryFailure(registry=repository.registry, lost=lost))


def _signed(request: Request, header: str) -> Request:
    others = {name: value for name, value in request.headers.items() if name != "Authorization"}
    return replace(request, headers=others | ({"Authorization": header} if header else {}))


def _is_retried(failure: RegistryFailure) -> bool:
    """Whether a request may succeed when it is sent again; not where a deadline is over, or TLS does not work."""
    lost = failure.lost
    if lost is None:
        return failure.status in _RETRIED
    return not (lost.untrusted or lost.plain or lost.timed_out)


def _is_settled(response: Response) -> bool:
    """Whether an error response tells that the registry has not carried out the request and never will.

    The response of a proxy does not: the registry may still be at work. A registry's own 5xx has its JSON errors.
    """
    if 400 <= response.status < 500:
        return response.status not in _UNSETTLED
    return response.status in _OWN_ERRORS and bool(_first_error(response))


def _words(response: Response) -> str:
    """The code and message of a registry's error response; empty if it has none."""
    first = _first_error(response)
    said = " ".join(str(first[key]) for key in ("code", "message") if first.get(key))
    return shortened(one_line(said), 300)


def _first_error(response: Response) -> dict[str, Any]:
    """The first entry of a registry's JSON `errors`; empty if the body is something else."""
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
    """The media type of a manifest: its own word counts, since proxies change headers."""
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        if said := parse_json(response.body).get("mediaType"):
            return str(said)
    return response.headers.get("content-type", "").partition(";")[0].strip()


def _connection_hint(lost: NoResponse) -> str:
    if lost.hint:
        return lost.hint
    if lost.untrusted:
        return (
            "this machine does not trust the registry's certificate: name its CA with "
            'buildkitd.registry."HOST".ca in the builder, add it to the certificates of the system, '
            "or name it with SSL_CERT_FILE"
        )
    if lost.plain:
        return 'the registry does not speak TLS: say so with buildkitd.registry."HOST".http = true in the builder'
    return "is the registry up and reachable from this machine?"
