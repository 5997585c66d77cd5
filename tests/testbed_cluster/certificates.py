"""The certificates and kubeconfig files of a cluster."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID
from testbed.certs import Authority, write_certificate, write_key

from tests.testbed_cluster.settings import API_SERVICE, NODE, Settings

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509 import ObjectIdentifier

_CLIENTS = {"admin": ("admin", "system:masters"), "node": (f"system:node:{NODE}", "system:nodes")}
"""For each client its user name and its group."""


def write_certificates(settings: Settings) -> None:
    """Write the keys and certificates, and the kubeconfig files of the clients, unless they exist."""
    last = kubeconfig(settings, "node")
    if last.exists():
        return
    authority = Authority.create()
    write_certificate(_file(settings, "ca.crt"), authority.certificate)
    _issue(settings, authority, "apiserver", usage=ExtendedKeyUsageOID.SERVER_AUTH)
    _write_signing_key(settings, Authority.create().key)
    for file, (name, group) in _CLIENTS.items():
        _issue(settings, authority, file, user=name, group=group)
        write_kubeconfig(kubeconfig(settings, file), settings, user=_certificate_user(settings, file))


def write_kubeconfig(path: Path, settings: Settings, *, user: dict[str, str], server: str = "") -> None:
    """Write a kubeconfig file with this user, for the API of the cluster or for another `server`."""
    authority = base64.b64encode(_file(settings, "ca.crt").read_bytes()).decode()
    cluster = {"server": server or settings.api, "certificate-authority-data": authority}
    content: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "testbed",
        "clusters": [{"name": "testbed", "cluster": cluster}],
        "users": [{"name": "testbed", "user": user}],
        "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": "testbed", "namespace": "default"}}],
    }
    path.write_text(json.dumps(content))  # every client reads YAML, and JSON is YAML


def kubeconfig(settings: Settings, client: str) -> Path:
    """Return the path of a client's kubeconfig file: `admin` for users, `node` for kubelet."""
    return settings.file(f"{client}.kubeconfig")


def _write_signing_key(settings: Settings, key: ec.EllipticCurvePrivateKey) -> None:
    """Write the key that signs the tokens of service accounts, and its public part."""
    write_key(_file(settings, "service-accounts.key"), key)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    _file(settings, "service-accounts.pub").write_bytes(public)


def _certificate_user(settings: Settings, file: str) -> dict[str, str]:
    parts = {"client-certificate-data": "crt", "client-key-data": "key"}
    return {
        name: base64.b64encode(_file(settings, f"{file}.{end}").read_bytes()).decode() for name, end in parts.items()
    }


def _issue(
    settings: Settings,
    authority: Authority,
    file: str,
    *,
    user: str = "",
    group: str = "",
    usage: ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
) -> None:
    addresses = (settings.address, "127.0.0.1", API_SERVICE)
    key, certificate = authority.issue(user or file, usage, organization=group, addresses=addresses)
    write_key(_file(settings, f"{file}.key"), key)
    write_certificate(_file(settings, f"{file}.crt"), certificate)


def _file(settings: Settings, name: str) -> Path:
    return settings.file(f"pki/{name}")
