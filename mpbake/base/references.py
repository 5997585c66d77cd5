"""Image references (`registry/repository:tag`) and BuildKit's comma-separated `key=value` lists."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
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
_REFERENCE = re.compile(
    rf"(?P<repository>(?:{_HOST}/)?{_COMPONENT}(?:/{_COMPONENT})*)(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}}))?",
)
_DOCKER_HUB = "docker.io"
_FLAGS = dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True) | dict.fromkeys(
    ("0", "f", "F", "FALSE", "false", "False"), False
)
_REMOTE = re.compile(r"(?:[a-z][a-z0-9+.-]*://|git@|github\.com/|target:)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """A repository with a tag; without one, Docker means `latest`."""

    repository: str
    tag: str

    def __str__(self) -> str:
        """`localhost:5000/team/web:1.2`."""
        return f"{self.repository}:{self.tag}"

    def at(self, digest: str) -> str:
        """The same repository, by content: `localhost:5000/team/web@sha256:…`."""
        return f"{self.repository}@{digest}"

    @property
    def registry(self) -> str:
        """The host that serves it, with its port if any: `localhost:5000`; `docker.io` where none is named."""
        return self._split()[0]

    @property
    def path(self) -> str:
        """What the registry calls the repository: `team/web`; `library/web` for `web` on Docker Hub."""
        host, path = self._split()
        official = host == _DOCKER_HUB and "/" not in path
        return f"{'library/' if official else ''}{path}"

    @property
    def canonical(self) -> str:
        """The one spelling of all that mean the same: `docker.io/library/web:1` for `web:1` and `docker.io/web:1`."""
        return f"{self.registry}/{self.path}:{self.tag}"

    @property
    def familiar(self) -> str:
        """The spelling by which BuildKit looks for a context of that name: `web` for `docker.io/library/web:latest`."""
        host, path = self._split()
        folder, _, name = path.partition("/")
        path = name if folder == "library" and "/" not in name else path
        return f"{path if host == _DOCKER_HUB else self.repository}{'' if self.tag == 'latest' else f':{self.tag}'}"

    def _split(self) -> tuple[str, str]:
        """Host and path, told apart as Docker does."""
        host, slash, path = self.repository.partition("/")
        if not slash or not (host == "localhost" or "." in host or ":" in host or host != host.lower()):
            return _DOCKER_HUB, self.repository
        return (_DOCKER_HUB if host == f"index.{_DOCKER_HUB}" else host), path


def parse_reference(text: str) -> Reference:
    """Read a name to be given to an image. Raises ValueError with a sentence for people."""
    found = _REFERENCE.fullmatch(text)
    if found is None:
        msg = (
            f'"{one_line(text)}" is not an image name: write [registry/]repository[:tag], the repository in lower case'
        )
        raise ValueError(msg)
    return Reference(repository=found["repository"], tag=found["tag"] or "latest")


def is_loopback(url: str) -> bool:
    """Whether the host of a URL is the machine itself, whichever that is."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or host.endswith(".localhost") or ip_address(host).is_loopback
    except ValueError:  # the name of another host, or no URL
        return False


def has_host(url: str) -> bool:
    """Whether a URL names a host that can be one, and a port if any that can be one."""
    try:
        parts = urlsplit(url)
        return (parts.hostname or "-")[0] != "-" and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def is_local_context(context: str) -> bool:
    """Whether a build context is a folder of this machine (not git, http, an image, a layout or a link)."""
    return not _REMOTE.match(context)


def parse_fields(text: str) -> dict[str, str]:
    """Read `type=local,"dest=a,b"` as BuildKit does; a field without `=` stands for itself with an empty value.

    Keys may be written in upper case. Raises ValueError with a sentence for people.
    """
    return named_fields(split_fields(text))


def named_fields(fields: Iterable[str]) -> dict[str, str]:
    """Fields that `split_fields` gives by their keys, which may be written in upper case."""
    return {key.strip().lower(): value for key, _, value in (each.partition("=") for each in fields)}


def parse_flag(text: str) -> bool:
    """The value of a field that is true or false, as Go reads it. Raises ValueError with a sentence for people."""
    if text not in _FLAGS:
        msg = f'"{short_name(text)}" is neither true nor false'
        raise ValueError(msg)
    return _FLAGS[text]


def split_fields(text: str) -> list[str]:
    """The fields of `type=local,"dest=a,b"` as they stand. Raises ValueError as `parse_fields` does."""
    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        msg = f'"{one_line(text)}" is not a list of key=value fields separated by commas'
        raise ValueError(msg) from error


def format_fields(fields: dict[str, str]) -> str:
    """The inverse of `parse_fields`."""
    buffer = io.StringIO()
    parts = [f"{key}={value}" if value else key for key, value in fields.items()]
    csv.writer(buffer, lineterminator="").writerow(parts)
    return buffer.getvalue()
