"""The connection settings of registry hosts: scheme, TLS, proxy.

Pure, except for reading the file names in `certs.d`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mpbake.base.references import is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DOCKER_HUB = "docker.io"
HUB_HOST = "registry-1.docker.io"
"""The host that serves the images of Docker Hub."""
_CERTIFICATES = "/etc/docker/certs.d"


@dataclass(frozen=True, kw_only=True, slots=True)
class HostTls:
    """The TLS settings of a host.

    - `insecure`: do not verify the host's certificate.
    - `authorities`: files with CA certificates to trust in addition to the system's certificates.
    - `pairs`: client certificates, each a certificate file and a key file.
    - `system_file`, `system_folder`: replacements for the system's CA certificates.
    """

    insecure: bool = False
    authorities: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    system_file: str = ""
    system_folder: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class HostSettings:
    """The settings `buildkitd.registry."HOST"` of a host. `http` is None if the plan does not set `http`."""

    http: bool | None = None
    insecure: bool = False
    authorities: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """The URL of a registry's server, such as `https://registry-1.docker.io`, and the connection settings."""

    url: str
    tls: HostTls
    proxy: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hosts:
    """The registry hosts, configured by the user's `environment` and the `settings` of a builder."""

    environment: Mapping[str, str]
    settings: Mapping[str, HostSettings] = field(default_factory=dict)

    def endpoint(self, registry: str) -> Endpoint:
        """Return the endpoint of a registry. `registry` is the name in image references."""
        settings = self.settings.get(registry, HostSettings())
        host = HUB_HOST if registry == DOCKER_HUB else registry
        http = is_loopback(f"//{host}") if settings.http is None else settings.http
        url = f"{'http' if http else 'https'}://{host}"
        own = HostSettings() if http else _certificates(registry, self.environment)
        tls = HostTls(
            insecure=settings.insecure,
            authorities=(*settings.authorities, *own.authorities),
            pairs=(*settings.pairs, *own.pairs),
            system_file=self.environment.get("SSL_CERT_FILE", ""),
            system_folder=self.environment.get("SSL_CERT_DIR", "").partition(":")[0],
        )
        return Endpoint(url=url, tls=tls, proxy=proxy_for(url, self.environment))

    def other(self, url: str) -> Endpoint:
        """Return the endpoint of another server that a registry names: a token server or a blob store."""
        parts = urlsplit(url)
        known = self.endpoint(parts.netloc)
        return Endpoint(url=f"{parts.scheme}://{parts.netloc}", tls=known.tls, proxy=proxy_for(url, self.environment))


def registry_settings(configs: Iterable[str]) -> dict[str, HostSettings]:
    """Return the registry settings in `configs`, texts of `buildkitd.toml` files, by host.

    The first file with a host wins.
    """
    settings: dict[str, HostSettings] = {}
    for text in configs:
        try:
            table = tomllib.loads(text).get("registry")
        except tomllib.TOMLDecodeError:
            continue  # BuildKit itself reports an invalid file
        for host, values in table.items() if isinstance(table, dict) else ():
            if isinstance(values, dict):
                settings.setdefault(host, _settings(values))
    return settings


def _settings(values: Mapping[str, Any]) -> HostSettings:
    http = values.get("http")
    pairs = [pair for pair in values.get("keypair") or () if isinstance(pair, dict)]
    return HostSettings(
        http=http if isinstance(http, bool) else None,
        insecure=values.get("insecure") is True,
        authorities=tuple(map(str, values.get("ca") or ())),
        pairs=tuple((str(pair["cert"]), str(pair["key"])) for pair in pairs if "cert" in pair and "key" in pair),
    )


def _certificates(registry: str, environment: Mapping[str, str]) -> HostSettings:
    """Return docker's certificates for a host: `*.crt` are CAs, `*.cert` with `*.key` are client pairs."""
    home = environment.get("XDG_CONFIG_HOME") or f"{environment.get('HOME', '')}/.config"
    folders = [Path(folder) / registry for folder in (_CERTIFICATES, f"{home}/docker/certs.d")]
    files = [path for folder in folders if folder.is_dir() for path in sorted(folder.iterdir())]
    authorities = [str(path) for path in files if path.suffix == ".crt"]
    pairs = [(str(path), str(path.with_suffix(".key"))) for path in files if path.suffix == ".cert"]
    return HostSettings(authorities=tuple(authorities), pairs=tuple(pairs))


def proxy_for(url: str, environment: Mapping[str, str]) -> str:
    """Return the proxy for a URL by the rules of Go, which docker uses; empty if there is none."""
    parts = urlsplit(url)
    name = f"{parts.scheme}_proxy"
    proxy = environment.get(name.upper()) or environment.get(name) or ""
    if not proxy or is_loopback(url):
        return ""
    excluded = environment.get("NO_PROXY") or environment.get("no_proxy") or ""
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    is_excluded = any(_excludes(rule.strip().lower(), parts.hostname or "", port) for rule in excluded.split(","))
    return "" if is_excluded else proxy


def _excludes(rule: str, host: str, port: int) -> bool:
    """Whether an entry of NO_PROXY matches a host: `*`, an address, a network or a domain, with an optional port."""
    if rule in {"", "*"}:
        return rule == "*"
    try:
        return ip_address(host) in ip_network(rule, strict=False)
    except ValueError:
        pass
    name, colon, number = rule.rpartition(":")
    if colon and number.isdigit():
        if int(number) != port:
            return False
        rule = name
    rule = rule.strip("[]").removeprefix("*")
    return host.endswith(rule) if rule.startswith(".") else host == rule or host.endswith(f".{rule}")
