"""The certificates and keys that a plan names: their paths, and the nodes that use them. Imports no cryptography."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mpbake.base.errors import UsageError
from mpbake.base.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mpbake.model.plan import Node, TlsFiles


class CertificateRole(StrEnum):
    """The usage of a certificate."""

    AUTHORITY = "CA"
    CLIENT = "client"
    SERVER = "server"


@dataclass(frozen=True, kw_only=True, slots=True)
class WantedCertificate:
    """A certificate that the plan names, of a client or of a deployed node.

    - `certificate`, `key`: the paths of the certificate's file and of its key's file.
    - `authority`: the path of the authority that signs the certificate.
    - `hosts`: the names and addresses under which clients reach a server.
    - `nodes`: the ids of the nodes that use the certificate.
    - `days`: renew the certificate this many days before it expires.
    """

    role: CertificateRole
    certificate: Path
    key: Path
    authority: Path
    name: str
    hosts: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    days: int


def server_files(node: Node) -> TlsFiles | None:
    """Return the certificate and key of the BuildKit that mpbake deploys for `node`, and its authority for clients.

    Return None if mpbake does not deploy the node, or if the node uses no TLS.
    """
    if node.deploy is None or not node.tls.is_set:
        return None
    return node.deploy.tls


def server_hosts(node: Node) -> tuple[str, ...]:
    """Return the names for the certificate of a node: the host of its endpoint, and `tls.servername`."""
    host = (urlsplit(node.endpoint).hostname or "").partition("%")[0]  # a certificate cannot contain an IPv6 zone
    return tuple(dict.fromkeys(name for name in (host, node.tls.servername.lower()) if name))


def key_beside(certificate: Path) -> Path:
    """Return the default path for the key of an authority: `certs/ca-key.pem` for `certs/ca.pem`."""
    return certificate.with_name(f"{certificate.stem}-key.pem")


def wanted_authorities(nodes: Iterable[Node]) -> tuple[Path, ...]:
    """Return the certificate authorities that the plan names for `nodes`, each once."""
    paths = (path for node in nodes for path in _authorities(node))
    return tuple(dict.fromkeys(paths))


def wanted_certificates(nodes: Sequence[Node]) -> tuple[WantedCertificate, ...]:
    """Return the certificates of the clients, and of the nodes that mpbake deploys, each once.

    Certificates whose authority the plan does not name are left out. Raises UsageError if the plan names one file for
    two purposes.
    """
    wanted: dict[Path, WantedCertificate] = {}
    for node in nodes:
        for certificate in (*_client(node), *_server(node)):
            other = wanted.get(certificate.certificate)
            wanted[certificate.certificate] = certificate if other is None else _merged(other, certificate)
    _check_paths(wanted.values(), wanted_authorities(nodes))
    return tuple(sorted(wanted.values(), key=lambda certificate: certificate.role is CertificateRole.SERVER))


def _authorities(node: Node) -> Iterator[Path]:
    server = server_files(node)
    yield from (_normal(path) for path in (node.tls.ca, server and server.ca) if path)


def _client(node: Node) -> Iterator[WantedCertificate]:
    server = server_files(node)
    authority = (server and server.ca) or node.tls.ca
    if node.tls.cert and node.tls.key and authority:
        yield WantedCertificate(
            role=CertificateRole.CLIENT,
            certificate=_normal(node.tls.cert),
            key=_normal(node.tls.key),
            authority=_normal(authority),
            name=node.tls.cert.stem,
            nodes=(node.id,),
            days=node.certificate_days,
        )


def _server(node: Node) -> Iterator[WantedCertificate]:
    files = server_files(node)
    authority = node.tls.ca
    if files and files.cert and files.key and authority:
        yield WantedCertificate(
            role=CertificateRole.SERVER,
            certificate=_normal(files.cert),
            key=_normal(files.key),
            authority=_normal(authority),
            name=node.id,
            hosts=server_hosts(node),
            nodes=(node.id,),
            days=node.certificate_days,
        )


def _merged(one: WantedCertificate, other: WantedCertificate) -> WantedCertificate:
    """Return one certificate for the nodes of two uses.

    Raises UsageError if purpose, key or authority of the uses differ.
    """
    differences = {
        "as the certificate of a client and of a server": one.role is not other.role,
        "with two keys": one.key != other.key,
        "with two authorities": one.authority != other.authority,
    }
    for difference, applies in differences.items():
        if applies:
            names = ", ".join(dict.fromkeys((*one.nodes, *other.nodes)))
            message = f"the plan names {one_line(str(one.certificate))} {difference} ({names})"
            raise UsageError(message, hint="name another file for one of them")
    hosts = tuple(dict.fromkeys((*one.hosts, *other.hosts)))
    nodes = tuple(dict.fromkeys((*one.nodes, *other.nodes)))
    return replace(one, hosts=hosts, nodes=nodes, days=max(one.days, other.days))


def _check_paths(wanted: Iterable[WantedCertificate], authorities: Iterable[Path]) -> None:
    """Raise UsageError if the plan names one path for two files, since one file would replace the other."""
    paths = [*authorities, *(path for item in wanted for path in (item.certificate, item.key))]
    for path, number in Counter(paths).items():
        if number > 1:
            message = f"the plan names {one_line(str(path))} for two purposes"
            raise UsageError(message, hint="name another file for one of them")


def _normal(path: Path) -> Path:
    return Path(os.path.normpath(path))
