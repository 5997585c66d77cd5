"""Image references (`registry/repository:tag`) and BuildKit's comma-separated `key=value` lists."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mpbake.base.text import one_line, short_name

if TYPE_CHECKING:
    from collections.abc import Iterable

# The grammar of the distribution project's reference package: host[:port]/path components, then a tag.
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::\d+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_IMAGE_REFERENCE = re.compile(
    rf"(?P<repository>(?:{_HOST}/)?{_COMPONENT}(?:/{_COMPONENT})*)(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}}))?",
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_DOCKER_HUB = "docker.io"
_FLAGS = dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True) | dict.fromkeys(
    ("0", "f", "F", "FALSE", "false", "False"), False
)
_REMOTE_CONTEXT = re.compile(r"(?:[a-z][a-z0-9+.-]*://|git@|github\.com/|target:)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """A repository and a tag. Docker's default tag is `latest`."""

    repository: str
    tag: str

    def __str__(self) -> str:
        """`localhost:5000/team/web:1.2`."""
        return f"{self.repository}:{self.tag}"

    def at(self, digest: str) -> str:
        """Return the reference by digest: `localhost:5000/team/web@sha256:…`."""
        return f"{self.repository}@{digest}"

    @property
    def registry(self) -> str:
        """The registry's host, with a port if the reference names one: `localhost:5000`; `docker.io` without a host."""
        return self._split()[0]

    @property
    def path(self) -> str:
        """The name of the repository in the registry: `team/web`; `library/web` for `web` on Docker Hub."""
        host, path = self._split()
        official = host == _DOCKER_HUB and "/" not in path
        return f"{'library/' if official else ''}{path}"

    @property
    def canonical(self) -> str:
        """The same text for all equivalent references: `docker.io/library/web:1` for `web:1` and `docker.io/web:1`."""
        return f"{self.registry}/{self.path}:{self.tag}"

    @property
    def familiar(self) -> str:
        """The short form in which BuildKit looks up a named context: `web` for `docker.io/library/web:latest`."""
        host, path = self._split()
        folder, _, name = path.partition("/")
        path = name if folder == "library" and "/" not in name else path
        return f"{path if host == _DOCKER_HUB else self.repository}{'' if self.tag == 'latest' else f':{self.tag}'}"

    def _split(self) -> tuple[str, str]:
        """Split into host and path by Docker's rule."""
        host, slash, path = self.repository.partition("/")
        if not slash or not (host == "localhost" or "." in host or ":" in host or host != host.lower()):
            return _DOCKER_HUB, self.repository
        return (_DOCKER_HUB if host == f"index.{_DOCKER_HUB}" else host), path


def parse_reference(text: str) -> Reference:
    """Parse the name of an image. Raises ValueError with a message for users."""
    match = _IMAGE_REFERENCE.fullmatch(text)
    if match is None:
        msg = (
            f'"{one_line(text)}" is not an image name: write [registry/]repository[:tag], the repository in lower case'
        )
        raise ValueError(msg)
    return Reference(repository=match["repository"], tag=match["tag"] or "latest")


def check_pullable(text: str) -> None:
    """Raise ValueError with a message for users if `text` does not name an image to pull, perhaps by its digest."""
    name, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        msg = f'"{one_line(digest)}" is not the digest of an image: write sha256: and 64 hexadecimal digits'
        raise ValueError(msg)
    parse_reference(name)


@lru_cache(maxsize=1024)
def is_loopback(url: str) -> bool:
    """Whether the host of a URL is `localhost` or a loopback address."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or host.endswith(".localhost") or ip_address(host).is_loopback
    except ValueError:  # another host's name, or not a URL
        return False


def has_host(url: str) -> bool:
    """Whether the host of a URL and the port, if there is one, are valid."""
    try:
        parts = urlsplit(url)
        return (parts.hostname or "-")[0] != "-" and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def is_local_context(context: str) -> bool:
    """Whether a build context is a folder on this machine (not git, http, an image, an OCI layout or a link)."""
    return not _REMOTE_CONTEXT.match(context)


def parse_fields(text: str) -> dict[str, str]:
    """Parse `type=local,"dest=a,b"` as BuildKit does; a field without `=` becomes a key with an empty value.

    Keys become lower case. Raises ValueError with a message for users.
    """
    return named_fields(split_fields(text))


def named_fields(fields: Iterable[str]) -> dict[str, str]:
    """Convert fields, such as `split_fields` returns, to a mapping; keys become lower case."""
    return {key.strip().lower(): value for key, _, value in (field.partition("=") for field in fields)}


def parse_flag(text: str) -> bool:
    """Parse a boolean field as Go does. Raises ValueError with a message for users."""
    if text not in _FLAGS:
        msg = f'"{short_name(text)}" is neither true nor false'
        raise ValueError(msg)
    return _FLAGS[text]


def split_fields(text: str) -> list[str]:
    """Split `type=local,"dest=a,b"` into its fields, unchanged. Raises ValueError as `parse_fields` does."""
    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        msg = f'"{one_line(text)}" is not a list of key=value fields separated by commas'
        raise ValueError(msg) from error


def format_fields(fields: dict[str, str]) -> str:
    """Format fields as a comma-separated list: the inverse of `parse_fields`.

    buildx refuses a field without `=`, except a single one, such as the SSH agent `default`.
    """
    buffer = io.StringIO()
    is_single = len(fields) == 1
    parts = [key if is_single and not value else f"{key}={value}" for key, value in fields.items()]
    csv.writer(buffer, lineterminator="").writerow(parts)
    return buffer.getvalue()
