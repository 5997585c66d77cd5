"""The authorization of requests."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from mpbake.buildkit.registry.authorization import PUSH, Authorization, RegistryAccess, TokenRefused, parse_challenge
from mpbake.buildkit.registry.credentials import Credentials, Login
from mpbake.buildkit.registry.hosts import Hosts
from mpbake.buildkit.registry.transport import NoResponse, Response
from tests.unit.dockers import failed
from tests.unit.registries import MemoryRegistry

BEARER = 'Bearer realm="https://auth.example.com/token?a=b",service="r",scope="repository:web:pull"'
ACCESS = RegistryAccess(registry="r.example.com", path="web", actions=PUSH)


class Known(Credentials):
    """Credentials with one login for all registries."""

    def __init__(self, login: Login) -> None:
        super().__init__({}, lambda *_: failed(""))
        self._login = login

    def login(self, *_: object) -> Login:
        """Return the same login for all registries."""
        return self._login


def answered(
    login: Login, challenge: str, body: bytes = b'{"token": "t"}', status: int = 200
) -> tuple[str, MemoryRegistry]:
    server = MemoryRegistry(lambda *_: Response(status=status, headers={}, body=body))
    hosts = Hosts(environment={})
    authorization = Authorization(server, Known(login))
    header = authorization.answer(ACCESS, challenge, hosts.endpoint(ACCESS.registry), hosts, 5.0)
    assert authorization.header(ACCESS) == header
    return header, server


@pytest.mark.parametrize(
    ("text", "scheme", "parameters"),
    [
        ("", "", {}),
        ("Negotiate", "", {}),
        ('Basic realm="x"', "basic", {"realm": "x"}),
        ('bearer realm="https://a/t",service=s', "bearer", {"realm": "https://a/t", "service": "s"}),
        ('Basic realm="x", Bearer realm="y"', "bearer", {"realm": "y"}),
        ('Bearer scope="a b,c"', "bearer", {"scope": "a b,c"}),
    ],
)
def test_challenges(text: str, scheme: str, parameters: dict[str, str]) -> None:
    assert parse_challenge(text) == (scheme, parameters)


def test_a_password_is_shown_as_it_is_where_that_is_asked_for() -> None:
    header, server = answered(Login(name="me", password="pw"), 'Basic realm="x"')
    assert (header, server.asked) == ("Basic bWU6cHc=", [])
    assert answered(Login(), 'Basic realm="x"')[0] == ""
    assert answered(Login(), "")[0] == ""


def test_a_token_is_asked_for_with_the_password() -> None:
    header, server = answered(Login(name="me", password="pw"), BEARER)
    (request,) = server.requests
    assert header == "Bearer t"
    assert (request.method, request.headers) == ("GET", {"Authorization": "Basic bWU6cHc="})
    query = parse_qs(urlsplit(request.url).query)
    assert query == {"a": ["b"], "service": ["r"], "scope": ["repository:web:pull"], "account": ["me"]}


def test_anybody_may_ask_for_a_token() -> None:
    header, server = answered(Login(), 'Bearer realm="https://auth/token"', b'{"access_token": "t"}')
    assert header == "Bearer t"
    assert server.requests[0].url == "https://auth/token?scope=repository%3Aweb%3Apull%2Cpush"
    assert server.requests[0].headers == {}


def test_an_identity_token_is_sent_as_a_form() -> None:
    _, server = answered(Login(identity="secret"), BEARER)
    (request,) = server.requests
    assert request.method == "POST"
    assert "secret" not in request.url
    form = parse_qs(request.body.decode())
    assert (form["grant_type"], form["refresh_token"], form["client_id"]) == (["refresh_token"], ["secret"], ["mpbake"])


def test_a_token_that_is_there_is_used() -> None:
    header, server = answered(Login(bearer="mine"), BEARER)
    assert (header, server.asked) == ("Bearer mine", [])


@pytest.mark.parametrize(
    ("challenge", "body", "message"),
    [
        ("Bearer service=x", b"{}", "it names no token server"),
        ('Bearer realm="file:///etc"', b"{}", "it names no token server"),
        ('Bearer realm="http://auth.example.com/"', b"{}", "would get the password without TLS"),
        (BEARER, b"{}", "its token server does not return a token"),
        (BEARER, b"[", "its token server does not return a token"),
    ],
)
def test_what_is_no_token(challenge: str, body: bytes, message: str) -> None:
    with pytest.raises(NoResponse, match=message):
        answered(Login(name="me", password="pw"), challenge, body)


def test_a_token_server_may_refuse() -> None:
    with pytest.raises(TokenRefused) as caught:
        answered(Login(name="me", password="pw"), BEARER, b"the password is wrong", 401)
    assert (caught.value.response.status, caught.value.response.body) == (401, b"")
