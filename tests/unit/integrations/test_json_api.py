"""Requests to the API of a code host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.errors import BuildFailed, MpbakeError, Unreachable, UsageError
from mpbake.integrations.json_api import JsonApi
from tests.unit.integrations.hosts import TOKEN, Host, running_host

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def host() -> Iterator[Host]:
    with running_host() as running:
        yield running


def api_of(host: Host, **fields: Any) -> JsonApi:
    waited: list[float] = []
    settings = {"base": host.url, "hints": {401: "check the token", 403: "give rights"}, **fields}
    return JsonApi(host="GitHub", headers={"Authorization": f"Bearer {TOKEN}"}, pause=waited.append, **settings)


def test_all_pages_are_read(host: Host) -> None:
    for number in range(5):
        host.add(f"comment {number}")
    assert [item["body"] for item in api_of(host).items("/comments")] == host.bodies
    assert [path for _, path in host.requests] == ["/comments", "/comments?page=2", "/comments?page=3"]
    assert host.tokens == {f"Bearer {TOKEN}", ""}


def test_the_token_is_not_sent_to_the_server_of_a_next_page(host: Host) -> None:
    with running_host() as other:
        for number in range(3):
            host.add(str(number))
        host.next_page = f"{other.url}/steal"
        with pytest.raises(BuildFailed, match="next page on another server"):
            list(api_of(host).items("/comments"))
        assert other.requests == []


def test_the_token_is_not_sent_after_a_redirect(host: Host) -> None:
    with running_host() as other:
        host.failures, host.headers = [302], {"Location": f"{other.url}/steal"}
        with pytest.raises(BuildFailed, match="refused to list comments: 302"):
            list(api_of(host).items("/comments"))
        assert other.requests == []


@pytest.mark.parametrize(
    ("status", "kind", "hint"),
    [
        (401, BuildFailed, "check the token"),
        (403, BuildFailed, "give rights"),
        (404, BuildFailed, ""),
        (429, Unreachable, "the rate limit of GitHub is used up: run the job again later"),
        (500, Unreachable, "GitHub has a failure: run the job again later"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_refusals(host: Host, status: int, kind: type[MpbakeError], hint: str, method: str) -> None:
    host.failures = [status] * 3
    what = {"GET": "list comments", "POST": "create a comment", "PATCH": "update a comment"}[method]
    with pytest.raises(kind) as caught:
        api_of(host).send(method, "/comments/1", {"body": "x"})
    assert caught.value.message == f"GitHub refused to {what}: {status} no\\x1b[31m\\nway"
    assert caught.value.hint == hint
    assert TOKEN not in f"{caught.value} {caught.value.__dict__} {api_of(host)!r}"
    assert len(host.requests) == (3 if kind is Unreachable and method != "POST" else 1)


def test_a_used_up_rate_limit_is_told_from_missing_rights(host: Host) -> None:
    host.failures, host.headers = [403] * 3, {"x-ratelimit-remaining": "0"}
    with pytest.raises(Unreachable, match="403"):
        api_of(host).get("/comments/1")


def test_a_short_failure_is_retried(host: Host) -> None:
    host.failures = [502, 503]
    host.add("x")
    assert [item["body"] for item in api_of(host).items("/comments")] == ["x"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [(b"<html>", "did not answer with JSON"), (b"{}", "did not answer with a list"), (b"", "did not answer with JSON")],
)
def test_other_servers(host: Host, answer: bytes, message: str) -> None:
    host.answer = answer
    with pytest.raises(BuildFailed, match=message):
        list(api_of(host).items("/comments"))


def test_a_server_that_does_not_answer() -> None:
    with running_host() as host:
        pass
    with pytest.raises(Unreachable, match=r"GitHub does not answer: .*refused"):
        api_of(host).get("/user")


@pytest.mark.parametrize("base", ["http://api.example.com", "file:///etc", "", "ftp://localhost", "http://127.0.0.1.x"])
def test_the_token_is_not_sent_without_encryption(base: str) -> None:
    with pytest.raises(UsageError, match="is not an https URL"):
        JsonApi(host="GitHub", base=base, headers={})
