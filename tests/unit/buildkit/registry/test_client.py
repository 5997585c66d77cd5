"""Requests to registries: their contents, retries and errors."""

from __future__ import annotations

from dataclasses import replace
from email.utils import formatdate

import pytest

from mpbake.base.errors import BuildFailed, NoSuchTag, Unreachable
from mpbake.buildkit.registry.client import INDEX, Manifest, RequestFailed, repository_of
from mpbake.buildkit.registry.transport import NoResponse, NoResponseKind, Response
from tests.unit.registries import MemoryRegistry, client_of, fails, refusal

WEB = repository_of("r/web")
IMAGE = Manifest(content=b'{"manifests": []}', media_type=INDEX)
REFUSED = NoResponse("connection refused", sent=False)
ENDED = NoResponse("the connection ended before the answer", sent=True)
LATE = NoResponse("no answer in time", sent=True, kind=NoResponseKind.TIMEOUT)


@pytest.mark.parametrize(
    ("reference", "registry", "path"),
    [
        ("web:1", "docker.io", "library/web"),
        ("team/web", "docker.io", "team/web"),
        ("index.docker.io/web@sha256:1", "docker.io", "library/web"),
        ("localhost:5000/team/web:1", "localhost:5000", "team/web"),
    ],
)
def test_the_repository_of_a_reference(reference: str, registry: str, path: str) -> None:
    repository = repository_of(reference)
    assert (repository.registry, repository.path) == (registry, path)


def test_a_tag_is_moved_by_one_request() -> None:
    registry = MemoryRegistry()
    client_of(registry).put(WEB, "1", IMAGE)
    (request,) = registry.requests
    assert (request.method, request.url) == ("PUT", "https://registry-1.docker.io/v2/r/web/manifests/1")
    assert (request.body, request.headers) == (IMAGE.content, {"Content-Type": INDEX})
    assert client_of(registry).digest(WEB, "1") == IMAGE.digest
    assert client_of(registry).digest(WEB, "2") == ""
    assert client_of(registry).manifest(WEB, IMAGE.digest) == IMAGE


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("body", [b"", b"not JSON", b'{"errors": []}', b'{"errors": [{"code": "UNKNOWN"}]}'])
def test_a_registry_that_fails_is_asked_again_whatever_it_says(status: int, body: bytes) -> None:
    pauses: list[float] = []
    registry = MemoryRegistry(fails(*[Response(status=status, headers={}, body=body)] * 4))
    client_of(registry, pauses).put(WEB, "1", IMAGE)
    assert pauses == [0.5, 1.0, 2.0, 2.0]
    assert len(registry.asked) == 5


def test_a_put_without_a_digest_is_retried_if_the_registry_rejects_its_digest() -> None:
    pauses: list[float] = []
    client_of(MemoryRegistry(fails(refusal(400, "DIGEST_INVALID"))), pauses).put(WEB, "1", IMAGE)
    assert pauses == [0.5]


@pytest.mark.parametrize("end", [REFUSED, ENDED])
def test_a_connection_that_breaks_is_made_again(end: NoResponse) -> None:
    pauses: list[float] = []
    client_of(MemoryRegistry(fails(end, end)), pauses).put(WEB, "1", IMAGE)
    assert pauses == [0.5, 1.0]


@pytest.mark.parametrize(
    "end",
    [
        refusal(401),
        refusal(403),
        refusal(404),
        refusal(400),
        refusal(405),
        LATE,
        NoResponse("not trusted", sent=False, kind=NoResponseKind.UNTRUSTED),
        NoResponse("no TLS", sent=False, kind=NoResponseKind.PLAIN),
    ],
)
def test_what_will_not_be_better_is_not_retried(end: Response | NoResponse) -> None:
    pauses: list[float] = []
    registry = MemoryRegistry(fails(end))
    with pytest.raises(RequestFailed):
        client_of(registry, pauses).put(WEB, "1", IMAGE)
    assert (pauses, len(registry.asked)) == ([], 1)


@pytest.mark.parametrize(
    ("after", "seconds"),
    [("3", 3.0), (" 7 ", 7.0), ("0", 0.1), (formatdate(1005, usegmt=True), 5.0), ("", 1.0), ("soon", 1.0)],
)
def test_a_limited_rate_is_waited_for_as_long_as_the_registry_says(after: str, seconds: float) -> None:
    pauses: list[float] = []
    registry = MemoryRegistry(fails(refusal(429, retry_after=after)))
    replace(client_of(registry, pauses), now=lambda: 1000.0).put(WEB, "1", IMAGE)
    assert pauses == [seconds]


@pytest.mark.parametrize(
    ("after", "waited"), [("25", [25.0, 25.0]), ("61", []), ("", [1.0, 2.0, 4.0, 8.0, 15.0, 30.0])]
)
def test_a_limited_rate_is_not_waited_for_longer_than_a_minute(after: str, waited: list[float]) -> None:
    pauses: list[float] = []
    with pytest.raises(RequestFailed) as caught:
        client_of(MemoryRegistry(lambda *_: refusal(429, retry_after=after)), pauses).put(WEB, "1", IMAGE)
    assert pauses == waited
    error = caught.value.failure.error("cannot move the tag r/web:1")
    assert type(error) is BuildFailed
    assert str(error) == (
        "cannot move the tag r/web:1: docker.io answers 429 Too Many Requests: DENIED told to fail\n"
        "  = run again later: the registry limits the rate of requests"
    )


CHALLENGE = Response(status=401, headers={"www-authenticate": 'Bearer realm="https://auth/token"'})


def bare(status: int, body: bytes = b"<html>") -> Response:
    """Return the error response of a proxy."""
    return Response(status=status, headers={}, body=body)


@pytest.mark.parametrize(
    ("answers", "not_applied"),
    [
        ([refusal(403)], True),
        ([refusal(429)] * 9, True),
        ([refusal(500)] * 9, True),
        ([refusal(501)], True),
        ([refusal(503)] * 9, True),
        ([bare(403)], True),
        ([bare(429)] * 9, True),
        ([bare(408)], False),
        ([bare(499)], False),
        ([refusal(408)], False),
        ([bare(500)] * 9, False),
        ([bare(501)], False),
        ([bare(503)] * 9, False),
        ([bare(503, b'{"errors": []}')] * 9, False),
        ([bare(503, b'{"errors": ["x"]}')] * 9, False),
        *(([bare(status)], False) for status in range(520, 525)),
        ([refusal(520)], False),
        ([bare(307)], False),
        ([CHALLENGE, bare(502)] * 9, True),
        ([bare(504), *[CHALLENGE, bare(502)] * 9], False),
        ([refusal(502)] * 9, False),
        ([refusal(504)] * 9, False),
        ([REFUSED] * 9, True),
        ([ENDED] * 9, False),
        ([LATE], False),
        ([ENDED, refusal(403)], False),
        ([refusal(504), *[REFUSED] * 9], False),
    ],
)
def test_a_failure_says_whether_the_request_may_have_been_carried_out(
    answers: list[Response | NoResponse], *, not_applied: bool
) -> None:
    with pytest.raises(RequestFailed) as caught:
        client_of(MemoryRegistry(fails(*answers))).put(WEB, "1", IMAGE)
    assert caught.value.failure.not_applied is not_applied


LOGIN = "check docker login and your rights in the repository"
FAILS = "run again later: the registry, or a proxy in front of it, does not work"


@pytest.mark.parametrize(
    ("end", "kind", "message", "hint"),
    [
        (refusal(401), BuildFailed, "docker.io answers 401 Unauthorized: DENIED told to fail", LOGIN),
        (refusal(403), BuildFailed, "docker.io answers 403 Forbidden: DENIED told to fail", LOGIN),
        (refusal(404, "X", ""), NoSuchTag, "docker.io answers 404 Not Found: X", ""),
        (refusal(500), BuildFailed, "docker.io answers 500 Internal Server Error: DENIED told to fail", FAILS),
        (refusal(502), Unreachable, "docker.io answers 502 Bad Gateway: DENIED told to fail", FAILS),
        (refusal(400, "A\x1b", "b\nc"), BuildFailed, "docker.io answers 400 Bad Request: A\\x1b b\\nc", ""),
        (Response(status=499, headers={}), BuildFailed, "docker.io answers 499 ", ""),
        (
            REFUSED,
            Unreachable,
            "docker.io: connection refused",
            "check that the registry is up and reachable from this machine",
        ),
    ],
)
def test_what_a_failure_says(end: Response | NoResponse, kind: type[Exception], message: str, hint: str) -> None:
    with pytest.raises(RequestFailed) as caught:
        client_of(MemoryRegistry(fails(*[end] * 9))).put(WEB, "1", IMAGE)
    error = caught.value.failure.error("this")
    assert (type(error), error.message, error.hint) == (kind, f"this: {message}", hint)


def test_what_a_registry_says_goes_through_hide() -> None:
    client = replace(client_of(MemoryRegistry(fails(refusal(400)))), redact=lambda text: text.replace("told", "***"))
    with pytest.raises(RequestFailed, match=r"DENIED \*\*\* to fail"):
        client.put(WEB, "1", IMAGE)


def test_what_has_another_digest_is_not_taken() -> None:
    registry = MemoryRegistry()
    wrong = f"sha256:{'0' * 64}"
    registry.manifests[f"r/web@{wrong}"] = IMAGE
    registry.blobs[wrong] = b"{}"
    for ask in (client_of(registry).manifest, client_of(registry).blob):
        with pytest.raises(RequestFailed, match=f"the content of {wrong} does not match its digest"):
            ask(WEB, wrong)


def test_a_probe_begins_an_upload_and_gives_it_up() -> None:
    registry = MemoryRegistry()
    assert client_of(registry).probe(WEB) is None
    assert registry.asked == ["POST r/web/blobs:", "DELETE r/web/blobs:1"]
    failure = client_of(MemoryRegistry(fails(refusal(403)))).probe(WEB)
    assert failure is not None
    assert (failure.status, failure.is_refusal) == (403, True)


def test_a_hint_of_the_transport_goes_before_the_usual_one() -> None:
    lost = NoResponse("the proxy is not supported", sent=False, hint="set HTTPS_PROXY")
    with pytest.raises(RequestFailed) as caught:
        client_of(MemoryRegistry(fails(*[lost] * 9))).put(WEB, "1", IMAGE)
    assert caught.value.failure.error("this").hint == "set HTTPS_PROXY"
