"""Decide which certificates of a plan to issue, renew or keep, and write them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from mpbake.base.codes import Code
from mpbake.base.errors import UsageError, system_error
from mpbake.base.files import is_file, read_bounded
from mpbake.certs.authority import Authority, CertificateRequest
from mpbake.certs.finding import UnusableFile
from mpbake.certs.node_files import CertificateRole
from mpbake.certs.reading import (
    end_text,
    ends_soon,
    fits,
    has_expired,
    is_for_clients,
    is_for_servers,
    is_signed_by,
    is_worth_renewing,
    parse_certificates,
    read_certificates,
    read_private_key,
    uncovered,
)
from mpbake.certs.store import create_certificate, create_pair, replace_certificate, replace_pair

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from cryptography.x509 import Certificate

    from mpbake.certs.node_files import WantedCertificate

    Show = Callable[[Path], str]

_REPLACE_KEY_HINT = "move it away and repeat the command, or replace all keys with --rekey"
_REPLACE_HINT = "move the certificate and its key away and repeat the command, or replace all keys with --rekey"


class IssueAction(StrEnum):
    """The action for a certificate."""

    ISSUE = "issued"
    """mpbake issues a first certificate, for a new key or for an existing key."""
    RENEW = "renewed"
    """mpbake issues a new certificate for the existing key."""
    REKEY = "rekeyed"
    """A new key and a new certificate replace the existing key and certificate."""
    KEEP = "kept"


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """The action for a certificate, and the reason. `existing` is the certificate that stays or is renewed."""

    wanted: WantedCertificate
    action: IssueAction
    reason: str = ""
    existing: Certificate | None = None

    @property
    def keeps_key(self) -> bool:
        """Whether the action issues a new certificate for the existing key."""
        return self.action is IssueAction.RENEW or (self.action is IssueAction.ISSUE and is_file(self.wanted.key))


@dataclass(frozen=True, kw_only=True, slots=True)
class IssueOrder:
    """The user's request: new keys if `rekey`, and new certificates that are valid for `days` from `now` on.

    `show` returns the path of a file for messages, and `init_command` is the command that makes the authority.
    """

    now: datetime
    days: int
    rekey: bool
    show: Show
    init_command: str = "mpbake certs init"


def open_authority(certificate: Path, key: Path, order: IssueOrder) -> Authority:
    """Return the authority whose certificate and key are in two files.

    Raises UsageError if the authority cannot issue certificates now.
    """
    file, key_file = order.show(certificate), order.show(key)
    try:
        certificates = read_certificates(certificate)
    except UnusableFile as error:
        if error.code is Code.MISSING_FILE:
            hint = f"run `{order.init_command}`, or set tls.ca to an existing one"
            raise UsageError(f"there is no certificate authority {file}", hint=hint) from None
        raise UsageError(error.about(file), hint=error.hint) from None
    try:
        private = read_private_key(key)
    except UnusableFile as error:
        if error.code is Code.MISSING_FILE:
            hint = "name the key: --ca-key PATH; or issue certificates with the tool that made the authority"
            raise UsageError(f"there is no key {key_file} of the authority {file}", hint=hint) from None
        raise UsageError(error.about(key_file), hint=error.hint) from None
    try:
        authority = Authority(certificates, private)
        authority.check_validity(order.now)
    except UsageError as error:
        raise UsageError(f"{file}, {key_file}: {error.message}", hint=error.hint) from None
    return authority


def decide(wanted: WantedCertificate, authority: Certificate, order: IssueOrder) -> Decision:
    """Decide the action for a certificate.

    Without `order.rekey` only certificates of this authority are renewed, with the same key. Raises UsageError for an
    unusable certificate that mpbake replaces only at the user's request.
    """
    new = IssueAction.REKEY if order.rekey else IssueAction.ISSUE
    try:
        existing = read_certificates(wanted.certificate)[0]
    except UnusableFile as error:
        if error.code is Code.MISSING_FILE:
            return Decision(wanted=wanted, action=new if is_file(wanted.key) else IssueAction.ISSUE)
        if order.rekey:
            return Decision(wanted=wanted, action=IssueAction.REKEY)
        hint = error.hint if error.is_unreadable else _REPLACE_HINT
        raise UsageError(error.about(order.show(wanted.certificate)), hint=hint) from None
    if order.rekey:
        return Decision(wanted=wanted, action=IssueAction.REKEY)
    _check_existing(wanted, existing, authority, order.show)
    reason = _renewal_reason(wanted, existing, authority, order)
    return Decision(
        wanted=wanted, action=IssueAction.RENEW if reason else IssueAction.KEEP, reason=reason, existing=existing
    )


def carry_out(decision: Decision, authority: Authority, order: IssueOrder) -> datetime:
    """Carry out the action. Return when the current certificate expires. Raises UsageError, MpbakeError."""
    wanted = decision.wanted
    if decision.action is IssueAction.KEEP and decision.existing is not None:
        return decision.existing.not_valid_after_utc
    keeps_key = decision.keeps_key
    key = _existing_key(wanted, order.show) if keeps_key else b""
    request = CertificateRequest(name=wanted.name, role=wanted.role, hosts=wanted.hosts)
    pair = authority.issue(request, order.now, order.days, key)
    if decision.action is IssueAction.REKEY:
        replace_pair(pair, wanted.certificate, wanted.key)
    elif decision.action is IssueAction.RENEW:
        replace_certificate(wanted.certificate, pair.certificate)
    elif keeps_key:
        create_certificate(wanted.certificate, pair.certificate)
    else:
        create_pair(pair, wanted.certificate, wanted.key)
    return parse_certificates(pair.certificate)[0].not_valid_after_utc


def _existing_key(wanted: WantedCertificate, show: Show) -> bytes:
    try:
        read_private_key(wanted.key)
        return read_bounded(wanted.key, pipe=False)
    except UnusableFile as error:
        hint = error.hint if error.is_unreadable else _REPLACE_KEY_HINT
        raise UsageError(error.about(show(wanted.key)), hint=hint) from None
    except OSError as error:
        raise system_error(error, show(wanted.key)) from None


def _check_existing(wanted: WantedCertificate, existing: Certificate, authority: Certificate, show: Show) -> None:
    """Raise UsageError if an existing certificate is unusable for a reason that only the user can judge."""
    file = show(wanted.certificate)
    if not is_signed_by(existing, authority):
        message = f"{file} is signed by an authority other than {show(wanted.authority)}"
        raise UsageError(message, hint=f"{_REPLACE_HINT}; or name its own authority in the plan")
    suits = is_for_servers(existing) if wanted.role is CertificateRole.SERVER else is_for_clients(existing)
    if not suits:
        raise UsageError(f"{file} is not a {wanted.role} certificate", hint=f"{_REPLACE_HINT}; or name another file")
    try:
        key = read_private_key(wanted.key)
    except UnusableFile as error:
        message = f"{file} exists, but not its key {show(wanted.key)}"
        if error.code is not Code.MISSING_FILE:
            message = error.about(show(wanted.key))
        hint = error.hint if error.is_unreadable else f"copy the key to this place; or {_REPLACE_HINT}"
        raise UsageError(message, hint=hint) from None
    if not fits(key, existing):
        message = f"the key {show(wanted.key)} does not belong to {file}"
        raise UsageError(message, hint=f"{_REPLACE_HINT}; or name its own key in the plan")


def _renewal_reason(wanted: WantedCertificate, existing: Certificate, authority: Certificate, order: IssueOrder) -> str:
    """Return why a certificate of this authority must be renewed; empty if no renewal is necessary."""
    end = existing.not_valid_after_utc
    if has_expired(existing, order.now):
        return f"the old one expired on {end:%Y-%m-%d}"
    if missing := uncovered(existing, wanted.hosts):
        return f"the old one did not contain {', '.join(missing)}"
    new_end = min(order.now + timedelta(days=order.days), authority.not_valid_after_utc)
    if ends_soon(existing, order.now, wanted.days) and is_worth_renewing(existing, new_end):
        return f"the old one {end_text(existing, order.now)}"
    return ""
