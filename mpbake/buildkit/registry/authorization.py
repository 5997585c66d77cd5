"""Authorizes requests: with basic authentication, or with bearer tokens from the registry's token server."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from mpbake.base.json_text import parse_json
from mpbake.base.references import is_loopback
from mpbake.buildkit.registry.transport import NoResponse, Request, resolve_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.buildkit.registry.credentials import Credentials, Login
    from mpbake.buildkit.registry.hosts import Endpoint, Hosts
    from mpbake.buildkit.registry.transport import Response, Transport

PULL = ("pull",)
PUSH = ("pull", "push")
_CLIENT_ID = "mpbake"
_CHALLENGE_PARAMETER = re.compile(r'([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')
_SCHEME = re.compile(r"(?:^|,)\s*(?P<scheme>Bearer|Basic)\b", re.IGNORECASE)
_FORM_HEADERS = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, kw_only=True, slots=True)
class RegistryAccess:
    """The access that a request requires: actions on a repository of a registry."""

    registry: str
    path: str
    actions: tuple[str, ...] = PULL

    @property
    def scope(self) -> str:
        """The scope in the notation of token servers: `repository:team/web:pull,push`."""
        return f"repository:{self.path}:{','.join(self.actions)}"


class TokenRefused(Exception):
    """The token server denied a token. `response` is the server's response."""

    def __init__(self, response: Response) -> None:
        """Store the response of the token server."""
        super().__init__(response.status)
        self.response = response


class Authorization:
    """Creates Authorization headers, and keeps headers that registries accepted. Thread-safe."""

    def __init__(self, transport: Transport, credentials: Credentials) -> None:
        self._transport = transport
        self._credentials = credentials
        self._headers: dict[RegistryAccess, str] = {}
        self._lock = threading.Lock()

    def header(self, access: RegistryAccess) -> str:
        """Return the header that the registry last accepted for this access; empty before the first challenge."""
        return self._headers.get(access, "")

    def has_login(self, access: RegistryAccess) -> bool:
        """Whether the user has a login for this access. Raises BuildFailed as `Credentials.login` does."""
        return bool(self._credentials.login(access.registry, access.path, access.actions))

    def answer(self, access: RegistryAccess, challenge: str, endpoint: Endpoint, hosts: Hosts, seconds: float) -> str:
        """Return the header that answers the challenge of a registry at `endpoint`; empty if there is no login.

        Raises TokenRefused, NoResponse, and BuildFailed as `Credentials.login` does.
        """
        login = self._credentials.login(access.registry, access.path, access.actions)
        scheme, parameters = parse_challenge(challenge)
        header = ""
        if scheme == "basic":
            header = login.basic
        elif scheme == "bearer" and login.bearer:
            header = f"Bearer {login.bearer}"
        elif scheme == "bearer":
            realm = _realm(parameters, login, endpoint)
            query = {"service": parameters.get("service", ""), "scope": parameters.get("scope") or access.scope}
            request = _token_request(realm, {name: value for name, value in query.items() if value}, login)
            header = f"Bearer {self._fetch_token(request, hosts.other(realm), seconds)}"
        with self._lock:
            self._headers[access] = header
        return header

    def _fetch_token(self, request: Request, server: Endpoint, seconds: float) -> str:
        """Get a token from a token server. Raises TokenRefused, NoResponse."""
        response = self._transport.send(request, server.tls, server.proxy, seconds)
        if response.status != 200:
            raise TokenRefused(replace(response, body=b""))
        try:
            answer = dict(parse_json(response.body))
            return str(answer.get("token") or answer["access_token"])
        except (ValueError, TypeError, LookupError):
            raise NoResponse("its token server does not return a token", sent=False) from None


def _realm(parameters: Mapping[str, str], login: Login, endpoint: Endpoint) -> str:
    """Return the URL of the token server in a challenge.

    Raises NoResponse if the URL is invalid or unsafe for `login`.
    """
    realm = resolve_url("", parameters.get("realm", ""))
    parts = urlsplit(realm)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise NoResponse("it names no token server", sent=False)
    if parts.scheme == "http" and endpoint.url.startswith("https:") and login and not is_loopback(realm):
        raise NoResponse("its token server would get the password without TLS", sent=False)
    return realm


def _token_request(realm: str, query: Mapping[str, str], login: Login) -> Request:
    """Return the request for a token. As in docker, an identity token is sent in a form, a password in a header."""
    if login.identity:
        form = {**query, "grant_type": "refresh_token", "client_id": _CLIENT_ID, "refresh_token": login.identity}
        return Request(method="POST", url=realm, headers=_FORM_HEADERS, body=urlencode(form).encode())
    if login.basic:
        query = {**query, "account": login.name}
    url = f"{realm}{'&' if urlsplit(realm).query else '?'}{urlencode(query)}"
    return Request(method="GET", url=url, headers={"Authorization": login.basic} if login.basic else {})


def parse_challenge(text: str) -> tuple[str, dict[str, str]]:
    """Return the scheme (in lower case) and the parameters of a WWW-Authenticate header.

    A bearer challenge is preferred.
    """
    starts = [match.start("scheme") for match in _SCHEME.finditer(text)]
    challenges: list[tuple[str, dict[str, str]]] = []
    for start, end in zip(starts, [*starts[1:], len(text)], strict=False):
        scheme, _, rest = text[start:end].partition(" ")
        parameters = {match[1].lower(): match[2] or match[3] or "" for match in _CHALLENGE_PARAMETER.finditer(rest)}
        challenges.append((scheme.strip(", ").lower(), parameters))
    bearer = [challenge for challenge in challenges if challenge[0] == "bearer"]
    return next(iter([*bearer, *challenges]), ("", {}))
