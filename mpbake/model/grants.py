"""Grants: rights on this machine that a plan needs beyond an ordinary build, and that the command line allows."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from mpbake.base.files import real_path
from mpbake.base.text import did_you_mean, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

EVERYTHING = "all"
"""The value of `--allow` that grants everything."""


class GrantKind(StrEnum):
    """A kind of right, by its name in `--allow`. Rights that buildx knows have buildx's names.

    The order is the order in which people are asked: the most dangerous rights come first.
    """

    INSECURE = "security.insecure"
    """Run RUN steps with all privileges."""
    PRIVILEGE = "entitlement"
    """Give RUN steps another privilege, which mpbake does not know."""
    DEVICE = "device"
    """Give a device to RUN steps; without a name, every device."""
    HOST_NETWORK = "network.host"
    """Run RUN steps in the network of the host."""
    WRITE = "fs.write"
    """Write to a path outside of the plan's folder, or to files of git, of mpbake or of the plan."""
    READ = "fs.read"
    """Read a path outside of the plan's folder."""
    VARIABLE = "env"
    """Pass an environment variable to builds as a secret."""
    SSH = "ssh"
    """Use the ssh agent."""
    EMULATORS = "builder.emulators"
    """Run this image with all privileges to install emulators."""
    BUILDER_IMAGE = "builder.image"
    """Start this image as a node."""
    BUILDER_FLAGS = "builder.flags"
    """Start the nodes of a builder with flags of the plan."""
    BUILDER_CONFIG = "builder.config"
    """Start the nodes of a builder with a buildkitd configuration of the plan."""
    BUILDER_ENV = "builder.env"
    """Start the nodes of a builder with environment variables of the plan."""
    BUILDER_NETWORK = "builder.network"
    """Connect a node to this network of Docker."""
    ENDPOINT = "endpoint"
    """Use this Docker engine, cluster or BuildKit."""
    EXTERNAL = "external"
    """Use this existing buildx builder."""

    @property
    def has_value(self) -> bool:
        """Whether the right names what it is for, such as a path."""
        return self not in _WITHOUT_VALUE

    @property
    def needs_value(self) -> bool:
        """Whether `--allow` must name what the right is for."""
        return self.has_value and self is not GrantKind.DEVICE

    @property
    def is_path(self) -> bool:
        """Whether the value is a path. A granted folder includes everything in it."""
        return self in {GrantKind.READ, GrantKind.WRITE}


_WITHOUT_VALUE = frozenset({GrantKind.SSH, GrantKind.INSECURE, GrantKind.HOST_NETWORK})


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """One right that a plan needs. `value` is empty for a kind without values. `users` name what needs the right.

    A relative path starts at the plan's folder.
    """

    kind: GrantKind
    value: str = ""
    users: tuple[str, ...] = field(default=(), compare=False)

    @property
    def text(self) -> str:
        """The grant as a value of `--allow`, such as `fs.read=/etc/ssl`."""
        return f"{self.kind}={self.value}" if self.value else str(self.kind)


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowances:
    """The grants of the person who runs mpbake. `everything`: every right is granted.

    `folder` is the folder of the plan: a relative path in a grant starts there.
    """

    grants: frozenset[Grant] = frozenset()
    everything: bool = False
    folder: str = "/"

    def covers(self, grant: Grant, real: Callable[[str], str] = real_path) -> bool:
        """Return whether the right is granted. `real` resolves a path; paths are compared after that."""
        if self.everything or grant in self.grants:
            return True
        if grant.kind is GrantKind.DEVICE:
            return Grant(kind=GrantKind.DEVICE) in self.grants
        if not grant.kind.is_path:
            return False
        wanted = real(posixpath.join(self.folder, grant.value))
        return any(
            contains(real(posixpath.join(self.folder, allowed.value)), wanted)
            for allowed in self.grants
            if allowed.kind is grant.kind
        )

    def missing(self, grants: Iterable[Grant], real: Callable[[str], str] = real_path) -> tuple[Grant, ...]:
        """Return the rights among `grants` that are not granted."""
        return tuple(grant for grant in grants if not self.covers(grant, real))


def contains(folder: str, path: str) -> bool:
    """Whether `path` is `folder` or is inside it. Both are absolute and resolved."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def outermost(paths: Iterable[str], folder: str, real: Callable[[str], str] = real_path) -> list[str]:
    """Return the resolved paths outside of `folder`, without paths inside other paths. Relative ones start there."""
    resolved = dict.fromkeys(real(posixpath.join(folder, path)) for path in paths)
    outside = [path for path in resolved if not contains(real(folder), path)]
    return [path for path in outside if not any(contains(other, path) for other in outside if other != path)]


def parse_allowances(texts: Iterable[str], folder: str) -> Allowances:
    """Return the grants that the values of `--allow` name. Relative paths start at `folder`, the plan's folder.

    Raises ValueError with a message for users, whose second line is the hint.
    """
    values = list(dict.fromkeys(texts))
    grants = frozenset(parse_grant(text) for text in values if text != EVERYTHING)
    return Allowances(grants=grants, everything=EVERYTHING in values, folder=folder)


def parse_grant(text: str) -> Grant:
    """Return the grant that a value of `--allow` names. Raises ValueError as `parse_allowances` does."""
    name, equals, value = text.partition("=")
    if name == EVERYTHING:
        msg = f"{EVERYTHING} takes no value\nwrite {EVERYTHING}"
        raise ValueError(msg)
    if name not in [*GrantKind]:
        msg = (
            f'unknown right "{one_line(name)}"\n{did_you_mean(name, [EVERYTHING, *map(str, GrantKind)], kind="rights")}'
        )
        raise ValueError(msg)
    kind = GrantKind(name)
    if (kind.needs_value or equals) and kind.has_value and not value:
        msg = f"{kind} needs a value\nwrite {kind}=VALUE"
        raise ValueError(msg)
    if equals and not kind.has_value:
        msg = f"{kind} takes no value\nwrite {kind}"
        raise ValueError(msg)
    return Grant(kind=kind, value=value)
