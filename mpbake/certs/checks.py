"""Checks of the certificates and keys that a plan names for its nodes: whether, and until when, TLS can use them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Code
from mpbake.base.files import Kind, kind_of
from mpbake.base.text import one_line
from mpbake.certs.finding import AUTHORITY_HINT, PATH_HINT, RENEW_HINT, CertificateFinding, UnusableFile
from mpbake.certs.node_files import server_files, server_hosts
from mpbake.certs.reading import (
    end_text,
    ends_soon,
    fits,
    has_expired,
    is_authority,
    is_for_clients,
    is_for_servers,
    is_signed_by,
    is_worth_renewing,
    leads_to,
    read_certificates,
    read_private_key,
    subject_of,
    uncovered,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from cryptography.x509 import Certificate

    from mpbake.model.plan import Node, TlsFiles

    Validate = Callable[[Certificate], Iterator[CertificateFinding]]

_NO_AUTHORITY_HINT = "set tls.ca to the certificate that signed the node's own"
_CLIENT_HINT = "set tls.cert to one for clients (extendedKeyUsage = clientAuth), as `mpbake certs issue` makes"
_SERVER_HINT = "set deploy.tls.cert to one for servers (extendedKeyUsage = serverAuth), as `mpbake certs issue` makes"
_CLOCK_HINT = "check the clock of this machine"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Side:
    """The certificates of the client or the server of a connection, and the key of their table in the node's table."""

    place: tuple[str, ...]
    authorities: Sequence[Certificate]
    chain: Sequence[Certificate]


def client_findings(node: Node, now: datetime) -> list[CertificateFinding]:
    """Return the errors about the files of `tls` of `node`, or else the warnings.

    If any file is unusable, the findings are about unusable files only.
    """
    side, unusable = _read(node.tls, ("tls",))
    if unusable:
        return unusable
    faults = [*_authority_faults(side, now), *_own_faults(side, now)]
    faults += _purpose_faults(side, is_for_clients, "client", _CLIENT_HINT)
    return faults or list(_client_doubts(node, side, now))


def server_findings(node: Node, now: datetime, *, required: bool) -> list[CertificateFinding]:
    """Return the errors about the files of `deploy.tls` of `node`, or else the warnings.

    Without `required`, files that do not exist are not reported: only a machine that deploys the node needs them.
    """
    files = server_files(node)
    if files is None or not (required or all(kind_of(path) is not Kind.NOTHING for path in files.files.values())):
        return []
    client, client_unusable = _read(node.tls, ("tls",))
    is_shared = files.ca == node.tls.ca
    side, unusable = _read(replace(files, ca=None) if is_shared else files, ("deploy", "tls"))
    if unusable:
        return unusable
    side = replace(side, authorities=client.authorities) if is_shared else side
    faults = [] if is_shared else list(_authority_faults(side, now))
    faults += _own_faults(side, now)
    faults += _purpose_faults(side, is_for_servers, "server", _SERVER_HINT)
    faults += _name_faults(node, side)
    if not client_unusable:
        faults += _trust_faults(side, client, "tls.ca" if is_shared else "deploy.tls.ca")
    issued = replace(side, authorities=client.authorities)
    return faults or list(_end_doubts(issued, now, node.certificate_days, ("cert",)))


def first_end(node: Node) -> datetime | None:
    """Return when the first certificate of `tls` expires; None without certificates, or if a file is unusable."""
    side, unusable = _read(node.tls, ("tls",))
    ends = (certificate.not_valid_after_utc for certificate in (*side.authorities, *side.chain))
    return None if unusable else min(ends, default=None)


# --- reading ----------------------------------------------------------------------------------------------------------


def _read(files: TlsFiles, place: tuple[str, ...]) -> tuple[_Side, list[CertificateFinding]]:
    """Return the certificates of the client or the server, and findings about unusable files."""
    content: dict[str, Any] = {}
    findings = []
    for name, path in files.files.items():
        try:
            content[name] = read_private_key(path) if name == "key" else read_certificates(path)
        except UnusableFile as error:
            finding = error.finding(*place, name)
            is_missing = error.code is Code.MISSING_FILE
            findings.append(replace(finding, hint=_missing_hint(name)) if is_missing else finding)
    side = _Side(place=place, authorities=content.get("ca", ()), chain=content.get("cert", ()))
    if side.chain and "key" in content and not fits(content["key"], side.chain[0]):
        cert, key = (".".join((*place, name)) for name in ("cert", "key"))
        message, hint = f"does not belong to {cert}", f"set {key} to the key of {cert}"
        findings.append(CertificateFinding(key=(*place, "key"), message=message, hint=hint))
    return side, findings


def _missing_hint(name: str) -> str:
    """Return the hint for a missing file of `tls`: `ca`, `cert` or `key`."""
    return f"make it with `mpbake certs {'init' if name == 'ca' else 'issue'}`, or {PATH_HINT}"


# --- findings ---------------------------------------------------------------------------------------------------------


def _authority_faults(side: _Side, now: datetime) -> Iterator[CertificateFinding]:
    key = (*side.place, "ca")
    for certificate in side.authorities:
        yield from _validity_faults(key, certificate, now, AUTHORITY_HINT)
        if not is_authority(certificate):
            message = f"{_quoted(certificate)} is not a certificate authority"
            yield CertificateFinding(key=key, message=message, hint=_NO_AUTHORITY_HINT)


def _own_faults(side: _Side, now: datetime) -> Iterator[CertificateFinding]:
    for certificate in side.chain:
        yield from _validity_faults((*side.place, "cert"), certificate, now, RENEW_HINT)


def _validity_faults(
    key: tuple[str, ...], certificate: Certificate, now: datetime, hint: str
) -> Iterator[CertificateFinding]:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if has_expired(certificate, now):
        yield CertificateFinding(key=key, message=f"{_quoted(certificate)} expired on {end:%Y-%m-%d}", hint=hint)
    elif now < begin:
        message = f"{_quoted(certificate)} is not valid before {begin:%Y-%m-%d %H:%M} UTC"
        yield CertificateFinding(key=key, message=message, hint=_CLOCK_HINT)


def _purpose_faults(
    side: _Side, suits: Callable[[Certificate], bool], role: str, hint: str
) -> Iterator[CertificateFinding]:
    if side.chain and not suits(side.chain[0]):
        message = f"{_quoted(side.chain[0])} is not a {role} certificate"
        yield CertificateFinding(key=(*side.place, "cert"), message=message, hint=hint)


def _name_faults(node: Node, side: _Side) -> Iterator[CertificateFinding]:
    for host in uncovered(side.chain[0], server_hosts(node)) if side.chain else ():
        message = f"{_quoted(side.chain[0])} does not contain the name {one_line(host)}"
        hint = "run `mpbake certs issue`, or set tls.servername to a name in it"
        yield CertificateFinding(key=(*side.place, "cert"), message=message, hint=hint)


def _trust_faults(server: _Side, client: _Side, verifier: str) -> Iterator[CertificateFinding]:
    """Yield a fault for a client that does not trust the server's authority, and vice versa.

    `verifier` is the key in the plan of the authority by which the node verifies its clients.
    """
    if server.chain and client.authorities and not leads_to(server.chain, client.authorities):
        message = "is not signed by tls.ca, so clients of the node would refuse it"
        hint = "run `mpbake certs issue --rekey`, or set tls.ca to the authority that signed it"
        yield CertificateFinding(key=(*server.place, "cert"), message=message, hint=hint)
    if client.chain and server.authorities and not leads_to(client.chain, server.authorities):
        message = f"is not signed by {verifier}, so the node would refuse it"
        hint = f"run `mpbake certs issue --rekey`, or set {verifier} to the authority that signed it"
        yield CertificateFinding(key=(*client.place, "cert"), message=message, hint=hint)


def _client_doubts(node: Node, side: _Side, now: datetime) -> Iterator[CertificateFinding]:
    yield from _end_doubts(side, now, node.certificate_days, ("ca", "cert"))
    is_untrusted = side.chain and side.authorities and not leads_to(side.chain, side.authorities)
    if is_untrusted and server_files(node) is None:
        message = "is not signed by tls.ca, so the node must trust another authority for its clients"
        hint = "set tls.cert to a certificate that tls.ca signed"
        yield _doubt((*side.place, "cert"), message, hint)


def _end_doubts(side: _Side, now: datetime, days: int, names: Sequence[str]) -> Iterator[CertificateFinding]:
    """Yield a warning for each certificate that expires within `days`, in the files called `names`.

    A certificate that expires with its authority gets none: only a new authority helps.
    """
    files = {"ca": (side.authorities, AUTHORITY_HINT), "cert": (side.chain, RENEW_HINT)}
    for name in names:
        certificates, hint = files[name]
        for certificate in certificates:
            if ends_soon(certificate, now, days) and not (name == "cert" and _ends_with_issuer(side, certificate)):
                yield _doubt((*side.place, name), f"{_quoted(certificate)} {end_text(certificate, now)}", hint)


def _ends_with_issuer(side: _Side, certificate: Certificate) -> bool:
    """Whether one of the authorities has signed `certificate`, and does not outlast it."""
    return any(
        is_signed_by(certificate, authority) and not is_worth_renewing(certificate, authority.not_valid_after_utc)
        for authority in side.authorities
    )


def _doubt(key: tuple[str, ...], message: str, hint: str) -> CertificateFinding:
    return CertificateFinding(key=key, message=message, hint=hint, code=Code.DOUBTFUL_CERTIFICATE)


def _quoted(certificate: Certificate) -> str:
    return f'"{subject_of(certificate)}"'
