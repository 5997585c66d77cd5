"""A small client for registries."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from testbed.errors import TestbedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json, "
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json"
)
_SECONDS = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """The answer of a registry. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class RegistryClient:
    """A client of the registry at `host`. `login` is a name and a password, or None.

    With `ca`, the registry's certificate authority, the client uses TLS.
    """

    host: str
    login: tuple[str, str] | None
    ca: Path | None = None

    def tags(self, repository: str) -> list[str]:
        """Return the tags of the repository, sorted. The list is empty if the repository does not exist."""
        reply = self.ask("GET", f"/v2/{repository}/tags/list")
        if reply.status == http.HTTPStatus.NOT_FOUND:
            return []
        return sorted(json.loads(self._good(reply).body)["tags"] or [])

    def repositories(self) -> list[str]:
        """Return the names of all repositories with contents."""
        repositories: list[str] = json.loads(self._good(self.ask("GET", "/v2/_catalog?n=1000")).body)["repositories"]
        return repositories

    def manifest(self, reference: str) -> tuple[str, bytes]:
        """Return the digest and the bytes of REPOSITORY:TAG or REPOSITORY@DIGEST. Raise KeyError if it does not exist.

        The repository may have the registry's host in front of it.
        """
        repository, name = _split(reference.removeprefix(f"{self.host}/"))
        reply = self.ask("GET", f"/v2/{repository}/manifests/{name}", headers={"Accept": _MANIFESTS})
        if reply.status == http.HTTPStatus.NOT_FOUND:
            raise KeyError(reference)
        body = self._good(reply).body
        return f"sha256:{hashlib.sha256(body).hexdigest()}", body

    def has(self, reference: str) -> bool:
        """Return whether the registry has that manifest."""
        try:
            self.manifest(reference)
        except KeyError:
            return False
        return True

    def blob(self, repository: str, digest: str) -> bytes:
        """Return the bytes of a layer or a configuration."""
        return self._good(self.ask("GET", f"/v2/{repository}/blobs/{digest}")).body

    def put_blob(self, repository: str, data: bytes) -> None:
        """Upload a layer or a configuration."""
        started = self._good(self.ask("POST", f"/v2/{repository}/blobs/uploads/"))
        place = started.headers["location"].partition(self.host)[2] or started.headers["location"]
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        joint = "&" if "?" in place else "?"
        self._good(self.ask("PUT", f"{place}{joint}digest={digest}", body=data))

    def put_manifest(self, repository: str, name: str, media_type: str, data: bytes) -> None:
        """Upload a manifest or an index under a tag or its digest."""
        path = f"/v2/{repository}/manifests/{name}"
        self._good(self.ask("PUT", path, body=data, headers={"Content-Type": media_type}))

    def delete(self, repository: str, digest: str) -> None:
        """Delete a manifest, and every tag that names it."""
        self._good(self.ask("DELETE", f"/v2/{repository}/manifests/{digest}"))

    def ask(self, method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """Send one request, and return the answer whatever its status is."""
        connection = self._connection()
        try:
            sent = {"Host": self.host, **(headers or {}), **self._authorization()}
            connection.request(method, path, body=body or None, headers=sent)
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(status=answer.status, headers=named, body=answer.read())
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        host = self.host.replace("localhost", "127.0.0.1")
        if self.ca is None:
            return http.client.HTTPConnection(host, timeout=_SECONDS)
        trusting = ssl.create_default_context(cafile=str(self.ca))
        return http.client.HTTPSConnection(host, timeout=_SECONDS, context=trusting)

    def _authorization(self) -> dict[str, str]:
        if self.login is None:
            return {}
        return {"Authorization": f"Basic {base64.b64encode(':'.join(self.login).encode()).decode()}"}

    def _good(self, reply: Reply) -> Reply:
        if reply.status >= http.HTTPStatus.BAD_REQUEST:
            message = f"{self.host} answers {reply.status}: {reply.body.decode(errors='replace')}"
            raise TestbedError(message)
        return reply


def platforms_of(index: bytes) -> list[str]:
    """Return the platforms of an index, sorted, each as OS/ARCHITECTURE[/VARIANT].

    Entries of attestations do not count. A plain manifest has no platforms.
    """
    manifests = json.loads(index).get("manifests", [])
    named = ("/".join(_platform_parts(entry.get("platform", {}))) for entry in manifests)
    return sorted(name for name in named if name and name != "unknown/unknown")


def _platform_parts(platform: Mapping[str, str]) -> list[str]:
    parts = [platform.get(key, "") for key in ("os", "architecture", "variant")]
    return [part for part in parts if part]


def _split(reference: str) -> tuple[str, str]:
    repository, at, digest = reference.partition("@")
    if at:
        return repository, digest
    repository, _, tag = reference.rpartition(":")
    return repository, tag
