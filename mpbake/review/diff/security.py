"""The changes of a plan that concern security: grants, secrets, ssh, entitlements and registries."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mpbake.review.document.plan_document import Document


class SecurityKind(StrEnum):
    """The subject of a change. The order is the order in a diff."""

    GRANT = "grant"
    """A right on the machine that runs mpbake, as a value of `--allow`."""
    SECRET = "secret"  # noqa: S105 - a word
    """A secret for a build."""
    SSH = "ssh"
    """An ssh agent or key for a build."""
    ENTITLEMENT = "entitlement"
    """A right of a build on its node."""
    REGISTRY = "registry"
    """A registry that the plan names."""


_ATTRIBUTES = {"secret": SecurityKind.SECRET, "ssh": SecurityKind.SSH, "entitlements": SecurityKind.ENTITLEMENT}


@dataclass(frozen=True, kw_only=True, slots=True)
class SecurityChange:
    """A right that is new, or that is no longer needed.

    `users` are the targets or attributes that newly have the right or no longer have it; for a registry, its uses.
    `known`: the other plan has this right too, for other users.
    """

    kind: SecurityKind
    value: str
    is_new: bool
    users: tuple[str, ...] = ()
    known: bool = False


def security_changes(before: Document, after: Document) -> Iterator[SecurityChange]:
    """Yield what is new, then what is gone, each in the order of kinds and then of the documents."""
    old, new = _rights(before), _rights(after)
    for here, there, is_new in ((new, old, True), (old, new, False)):
        for kind in SecurityKind:
            for value in (right for right_kind, right in here if right_kind is kind):
                others = there.get((kind, value))
                users = tuple(user for user in here[kind, value] if user not in (others or {}))
                if users or others is None:
                    yield SecurityChange(kind=kind, value=value, is_new=is_new, users=users, known=others is not None)


def _rights(document: Document) -> dict[tuple[SecurityKind, str], dict[str, None]]:
    """Return the users of each right."""
    rights: dict[tuple[SecurityKind, str], dict[str, None]] = {}
    for kind, value, user in _uses(document):
        rights.setdefault((kind, value), {}).update({user: None} if user else {})
    return rights


def _uses(document: Document) -> Iterator[tuple[SecurityKind, str, str]]:
    """Yield each right with each of its users; with an empty user for a right without users."""
    for grant in document["grants"]:
        yield from ((SecurityKind.GRANT, grant["allow"], user) for user in grant["users"] or [""])
    for target in document["targets"]:
        for variant in (target, *target["variants"].values()):
            for attribute, kind in _ATTRIBUTES.items():
                for value in variant["attributes"].get(attribute, ()):
                    yield kind, str(value), target["name"]
    for registry in document["registries"]:
        yield from ((SecurityKind.REGISTRY, registry["name"], use) for use in registry["uses"] or [""])
