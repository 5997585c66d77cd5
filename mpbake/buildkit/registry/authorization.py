"""How a request proves who sends it: basic authentication, or bearer tokens from the registry's token server."""

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
_CLIENT = "mpbake"
_PARAMETER = re.compile(r'([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')
_SCHEME = re.compile(r"(?:^|,)\s*(?P<scheme>Bearer|Basic)\b", re.IGNORECASE)
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, kw_only=True, slots=True)
class RegistryAccess:
    """What a request needs: some actions on a repository of a registry."""

    registry: str
    path: str
    actions: tuple[str, ...] = PULL

    @property
    def scope(self) -> str:
        """As token servers call it: `repository:team/web:pull,push`."""
        return f"repository:{self.path}:{','.join(self.actions)}"


class TokenRefused(Exception):
    """The token server does not give a token; `response` is what it answers."""

    def __init__(self, response: Response) -> None:
        """Keeps the response."""
        super().__init__(response.status)
        self.response = response


class Authorization:
    """Keeps the Authorization headers that registries accepted; safe to use from several threads."""

    def __init__(self, transport: Transport, credentials: Credentials) -> None:
        self._transport = transport
        self._credentials = credentials
        self._headers: dict[RegistryAccess, str] = {}
        self._lock = threading.Lock()

    def header(self, access: RegistryAccess) -> str:
        """The header that was accepted for such a request before; empty before the first challenge."""
        return self._headers.get(access, "")

    def answer(self, access: RegistryAccess, challenge: str, endpoint: Endpoint, hosts: Hosts, seconds: float) -> str:
        """The header that answers the challenge of a registry at `endpoint`; empty where there is no login for it.

        Raises Refused, NoResponse, and BuildFailed as `Credentials.login` does.
        """
        login = self._credentials.login(access.registry, access.path, access.actions)
        scheme, parameters = parse_challenge(challenge)
        header = ""
        if scheme == "basic":
            header = login.basic
        elif scheme == "bearer" and login.bearer:
            header = f"Bearer {login.bearer}"
        elif scheme == "bearer":
            header = f"Bearer {self._token(access, parameters, login, endpoint, hosts, seconds)}"
        with self._lock:
            self._headers[access] = header
        return header

    def _token(
        self,
        access: RegistryAccess,
        parameters: Mapping[str, str],
        login: Login,
        endpoint: Endpoint,
        hosts: Hosts,
        seconds: float,
    ) -> str:
        realm = resolve_url("", parameters.get("realm", ""))
        parts = urlsplit(realm)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise NoResponse("it names no token server", sent=False)
        if parts.scheme == "http" and endpoint.url.startswith("https:") and login and not is_loopback(realm):
            raise NoResponse("its token server would get the password without TLS", sent=False)
        asked = {"service": parameters.get("service", ""), "scope": parameters.get("scope") or access.scope}
        request = _token_request(realm, {name: value for name, value in asked.items() if value}, login)
        server = hosts.other(realm)
        response = self._transport.send(request, server.tls, server.proxy, seconds)
        if response.status != 200:
            raise TokenRefused(replace(response, body=b""))
        try:
            said = dict(parse_json(response.body))
            return str(said.get("token") or said["access_token"])
        except (ValueError, TypeError, LookupError):
            raise NoResponse("its token server does not give a token", sent=False) from None


def _token_request(realm: str, asked: Mapping[str, str], login: Login) -> Request:
    """An identity token is sent as a form, a password in a header, as docker does."""
    if login.identity:
        form = {**asked, "grant_type": "refresh_token", "client_id": _CLIENT, "refresh_token": login.identity}
        return Request(method="POST", url=realm, headers=_FORM, body=urlencode(form).encode())
    if login.basic:
        asked = {**asked, "account": login.name}
    url = f"{realm}{'&' if urlsplit(realm).query else '?'}{urlencode(asked)}"
    return Request(method="GET", url=url, headers={"Authorization": login.basic} if login.basic else {})


def parse_challenge(text: str) -> tuple[str, dict[str, str]]:
    """Scheme, in lower case, and parameters of a WWW-Authenticate header; of several challenges the bearer one."""
    starts = [match.start("scheme") for match in _SCHEME.finditer(text)]
    challenges: list[tuple[str, dict[str, str]]] = []
    for start, end in zip(starts, [*starts[1:], len(text)], strict=False):
        scheme, _, rest = text[start:end].partition(" ")
        parameters = {match[1].lower(): match[2] or match[3] or "" for match in _PARAMETER.finditer(rest)}
        challenges.append((scheme.strip(", ").lower(), parameters))
    return next((each for each in challenges if each[0] == "bearer"), challenges[0] if challenges else ("", {}))
