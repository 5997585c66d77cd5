"""Sends requests to a registry with authorization: answers challenges and follows redirects."""

from __future__ import annotations

import http
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mpbake.buildkit.registry.transport import NoResponse, resolve_url

if TYPE_CHECKING:
    from mpbake.buildkit.registry.authorization import Authorization, RegistryAccess
    from mpbake.buildkit.registry.hosts import Endpoint, Hosts
    from mpbake.buildkit.registry.transport import Request, Response, Transport

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5

_Server = tuple[str, str]
"""The scheme and host of a URL, with the port if the URL contains one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AuthorizedRequests:
    """Sends requests to registries with the user's logins. Thread-safe."""

    transport: Transport
    authorization: Authorization
    hosts: Hosts

    def send(self, request: Request, access: RegistryAccess, endpoint: Endpoint, seconds: float) -> Response:
        """Send a request. If the registry itself answers with a challenge, log in and send the request again.

        mpbake ignores the challenge of any other server, for example after a redirect or at an upload's location, since
        the password is sent to the realm in the challenge. Raises NoResponse, and the errors of `Authorization.answer`.
        """
        known = self.authorization.header(access)
        response, server = self._follow(_signed(request, known), endpoint, seconds)
        if response.status != http.HTTPStatus.UNAUTHORIZED or server != _server(endpoint.url):
            return response
        challenge = response.headers.get("www-authenticate", "")
        header = self.authorization.answer(access, challenge, endpoint, self.hosts, seconds)
        return self._follow(_signed(request, header), endpoint, seconds)[0] if header else response

    def _follow(self, request: Request, endpoint: Endpoint, seconds: float) -> tuple[Response, _Server]:
        """Send a request, and follow redirects if the request only reads.

        Return the response and the server that sent it. Only the server of `endpoint` receives the Authorization
        header.
        """
        if _server(request.url) != _server(endpoint.url):
            request = _signed(request, "")
        for _ in range(_MOST_REDIRECTS):
            response = self.transport.send(request, endpoint.tls, endpoint.proxy, seconds)
            location = response.headers.get("location", "")
            current = _server(request.url)
            if response.status not in _REDIRECTS or request.method not in {"GET", "HEAD"} or not location:
                return response, current
            url = resolve_url(request.url, location)
            following = _server(url)
            if following[0] not in {"http", "https"} or (current[0], following[0]) == ("https", "http"):
                raise NoResponse("it redirects to a server without TLS", sent=True)
            if current != following:
                request = _signed(request, "")
                endpoint = self.hosts.other(url)
            request = replace(request, url=url)
        raise NoResponse("it redirects too often", sent=True)


def _server(url: str) -> _Server:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _signed(request: Request, header: str) -> Request:
    """Return the request with `header` as its Authorization header; without the header if `header` is empty."""
    others = {name: value for name, value in request.headers.items() if name != "Authorization"}
    return replace(request, headers=others | ({"Authorization": header} if header else {}))
