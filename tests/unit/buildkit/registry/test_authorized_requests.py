"""Authorization challenges and redirects of registries."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mpbake.buildkit.registry.authorization import Authorization
from mpbake.buildkit.registry.client import INDEX, Manifest, RequestFailed, repository_of
from mpbake.buildkit.registry.credentials import Credentials, Login
from mpbake.buildkit.registry.transport import Response
from tests.unit.dockers import failed
from tests.unit.registries import MemoryRegistry, client_of, fails

if TYPE_CHECKING:
    from collections.abc import Callable

    from mpbake.buildkit.registry.client import RegistryClient

WEB = repository_of("r/web")
IMAGE = Manifest(content=b'{"manifests": []}', media_type=INDEX)


def redirect(location: str) -> Response:
    return Response(status=307, headers={"location": location})


def test_a_blob_may_lie_elsewhere_where_no_login_is_shown() -> None:
    registry = MemoryRegistry()
    image = registry.add_image("r/web", "amd64")
    (digest,) = registry.blobs
    registry.answer = fails(
        Response(status=401, headers={"www-authenticate": 'Bearer realm="https://auth/token"'}),
        Response(status=200, headers={}, body=b'{"token": "t0"}'),
        redirect(f"https://cdn.example.com/v2/r/web/blobs/{digest}"),
    )
    assert b"amd64" in client_of(registry).blob(WEB, digest)
    assert image.media_type
    hosts = [request.url.partition("://")[2].partition("/")[0] for request in registry.requests]
    assert hosts == ["registry-1.docker.io", "auth", "registry-1.docker.io", "cdn.example.com"]
    assert [request.headers.get("Authorization") for request in registry.requests] == [None, None, "Bearer t0", None]


@pytest.mark.parametrize("location", ["http://cdn.example.com/x", "ftp://x/y"])
def test_a_redirect_leads_to_no_server_without_tls(location: str) -> None:
    with pytest.raises(RequestFailed, match="redirects to a server without TLS"):
        client_of(MemoryRegistry(lambda *_: redirect(location))).blob(WEB, "sha256:1")
    with pytest.raises(RequestFailed, match="redirects too often"):
        client_of(MemoryRegistry(lambda request, _: redirect(request.url))).blob(WEB, "sha256:1")


@pytest.mark.parametrize("location", ["https://x:abc/", "https://[x/", "https://x:99999/"])
def test_a_redirect_to_an_invalid_url_is_told(location: str) -> None:
    with pytest.raises(RequestFailed, match="it names an invalid URL"):
        client_of(MemoryRegistry(lambda *_: redirect(location))).blob(WEB, "sha256:1")
    started = Response(status=202, headers={"location": location})
    assert client_of(MemoryRegistry(lambda *_: started)).probe(WEB) is None
    challenge = Response(status=401, headers={"www-authenticate": f'Bearer realm="{location}"'})
    with pytest.raises(RequestFailed, match="it names an invalid URL"):
        client_of(MemoryRegistry(lambda *_: challenge)).blob(WEB, "sha256:1")


def test_a_request_that_changes_something_follows_no_redirect() -> None:
    with pytest.raises(RequestFailed, match="answers 307"):
        client_of(MemoryRegistry(lambda *_: redirect("https://other/"))).put(WEB, "1", IMAGE)


def test_a_token_that_is_no_longer_good_is_renewed() -> None:
    unauthorized = Response(status=401, headers={"www-authenticate": 'Bearer realm="https://auth/token"'})
    token = Response(status=200, headers={}, body=b'{"access_token": "t"}')
    registry = MemoryRegistry(fails(unauthorized, token, None, None, unauthorized, token, None))
    client = client_of(registry)
    for tag in "123":
        client.put(WEB, tag, IMAGE)
    headers = [request.headers.get("Authorization", "") for request in registry.requests]
    assert headers == ["", "", "Bearer t", "Bearer t", "Bearer t", "", "Bearer t"]


class Known(Credentials):
    """Credentials with one login for all registries."""

    def __init__(self) -> None:
        super().__init__({}, lambda *_: failed("no helper"))

    def login(self, *_: object) -> Login:
        """Return the same login for all registries."""
        return Login(name="user", password="secret")


FOREIGN = Response(status=401, headers={"www-authenticate": 'Bearer realm="https://evil.example.com/token"'})


def ask_for_blob(client: RegistryClient) -> None:
    with pytest.raises(RequestFailed, match="answers 401 Unauthorized"):
        client.blob(WEB, "sha256:1")


def ask_for_upload(client: RegistryClient) -> None:
    assert client.probe(WEB) is None


@pytest.mark.parametrize(
    ("ask", "first"),
    [
        (ask_for_blob, redirect("https://evil.example.com/blob")),
        (ask_for_blob, redirect("https://registry-1.docker.io:444/blob")),
        (ask_for_upload, Response(status=202, headers={"location": "https://evil.example.com/upload"})),
    ],
)
def test_only_the_registry_itself_is_answered_with_a_login(
    ask: Callable[[RegistryClient], None], first: Response
) -> None:
    registry = MemoryRegistry(fails(first, FOREIGN))
    ask(replace(client_of(registry), authorization=Authorization(registry, Known())))
    assert len(registry.requests) == 2
    assert not any("Authorization" in request.headers for request in registry.requests)
