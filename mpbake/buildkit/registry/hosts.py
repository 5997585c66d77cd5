"""How each registry host is reached: scheme, TLS settings, proxy. Pure, but for the names of files in `certs.d`."""

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
"""The host that serves what names on Docker Hub mean."""
_CERTIFICATES = "/etc/docker/certs.d"


@dataclass(frozen=True, kw_only=True, slots=True)
class HostTls:
    """Whom to trust, and the client certificates to show. `system_…` replace the system's own authorities."""

    insecure: bool = False
    authorities: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    system_file: str = ""
    system_folder: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class HostSettings:
    """What `buildkitd.registry."HOST"` says of a host; `http` is None where it does not say."""

    http: bool | None = None
    insecure: bool = False
    authorities: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """Where the registry of some references answers: `https://registry-1.docker.io`, and how to connect."""

    url: str
    tls: HostTls
    proxy: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hosts:
    """The hosts as this user's `environment` and the `settings` of a builder have them."""

    environment: Mapping[str, str]
    settings: Mapping[str, HostSettings] = field(default_factory=dict)

    def endpoint(self, registry: str) -> Endpoint:
        """How to reach the registry that references name as `registry`."""
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
        """How to reach another server that a registry names: for tokens, or where a blob lies."""
        parts = urlsplit(url)
        known = self.endpoint(parts.netloc)
        return Endpoint(url=f"{parts.scheme}://{parts.netloc}", tls=known.tls, proxy=proxy_for(url, self.environment))


def registry_settings(configs: Iterable[str]) -> dict[str, HostSettings]:
    """What the texts of some `buildkitd.toml` say of registries, by host; the first one to name a host counts."""
    found: dict[str, HostSettings] = {}
    for text in configs:
        try:
            table = tomllib.loads(text).get("registry")
        except tomllib.TOMLDecodeError:
            continue  # BuildKit itself says what is wrong with it
        for host, values in table.items() if isinstance(table, dict) else ():
            if isinstance(values, dict):
                found.setdefault(host, _settings(values))
    return found


def _settings(values: Mapping[str, Any]) -> HostSettings:
    http = values.get("http")
    pairs = [each for each in values.get("keypair") or () if isinstance(each, dict)]
    return HostSettings(
        http=http if isinstance(http, bool) else None,
        insecure=values.get("insecure") is True,
        authorities=tuple(str(each) for each in values.get("ca") or ()),
        pairs=tuple((str(each["cert"]), str(each["key"])) for each in pairs if "cert" in each and "key" in each),
    )


def _certificates(registry: str, environment: Mapping[str, str]) -> HostSettings:
    """The certificates that docker uses for a host: `*.crt` are authorities, `*.cert` and `*.key` are pairs."""
    home = environment.get("XDG_CONFIG_HOME") or f"{environment.get('HOME', '')}/.config"
    folders = [Path(folder) / registry for folder in (_CERTIFICATES, f"{home}/docker/certs.d")]
    files = [path for folder in folders if folder.is_dir() for path in sorted(folder.iterdir())]
    authorities = [str(path) for path in files if path.suffix == ".crt"]
    pairs = [(str(path), str(path.with_suffix(".key"))) for path in files if path.suffix == ".cert"]
    return HostSettings(authorities=tuple(authorities), pairs=tuple(pairs))


def proxy_for(url: str, environment: Mapping[str, str]) -> str:
    """The proxy for a URL, as Go and so docker choose it; empty where there is none."""
    parts = urlsplit(url)
    name = f"{parts.scheme}_proxy"
    proxy = environment.get(name.upper()) or environment.get(name) or ""
    if not proxy or is_loopback(url):
        return ""
    excluded = environment.get("NO_PROXY") or environment.get("no_proxy") or ""
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    without = any(_excludes(each.strip().lower(), parts.hostname or "", port) for each in excluded.split(","))
    return "" if without else proxy


def _excludes(rule: str, host: str, port: int) -> bool:
    """Whether an entry of NO_PROXY is about a host: `*`, an address, a network, a domain; a port may follow."""
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
