"""Properties of attributes in addition to the type: merge rule, role, and support by buildx versions and drivers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from mpbake.model.bake_fields import PathAccess, Paths

if TYPE_CHECKING:
    from collections.abc import Callable

    from mpbake.model.plan import Driver

Version = tuple[int, int]
"""The major and minor version of buildx: the patch version makes no difference to its features."""


def version_text(version: Version) -> str:
    """Return a version as text: `0.17`."""
    return ".".join(map(str, version))


class Merge(Enum):
    """How the value of an attribute combines with the inherited value."""

    REPLACE = "the last wins"
    APPEND = "appended"
    BY_KEY = "merged by key"
    BY_FIELD = "merged by a field of each entry"
    BY_PLATFORM = "merged by platform, then as each attribute says"
    OWN = "not inherited"


class Role(Enum):
    """The purpose of an attribute. The role decides which bake definitions contain the attribute.

    A bake definition contains the target itself, the targets that it links to, or a generated check.
    """

    PLAN = "used by mpbake; in no definition"
    SOURCE = "the input of a build: in the definitions of the target and of linked targets"
    RUN = "the environment of RUN steps: in the same definitions, and in a check that runs a command"
    NO_CACHE = "rebuilds cached steps: omitted for targets that the node has already built in the same run"
    PULL = "pulls base images again: omitted like NO_CACHE, but not with the `docker` driver"
    RESULT = "data in the image or beside the image: in the definition of the target only"
    DESTINATION = "the destination of the image: written by mpbake for each build piece"


class Scope(Enum):
    """Which variables the templates of an attribute can use."""

    PARENTS = "the variables of the plan and of the matrix row: the attribute names the tables to inherit"
    PLAN = "the variables of the plan: the attribute makes the rows of a matrix"
    LOCAL = "the variables of the plan and of the matrix row: the attribute makes names for the others"
    TARGET = "the variables of the plan and of the matrix row, and the names in `let`"


class Exposure(Enum):
    """The readers of an attribute's value. Sensitive values are allowed in PRIVATE attributes only."""

    PRIVATE = "is neither printed nor part of the image"
    PRINTED = "is printed or passed as an argument"
    LISTED = "is printed and listed by registries"
    IMAGE = "can be read by everyone who can pull the image"
    HISTORY = "is stored in the history of the image"


@dataclass(frozen=True, kw_only=True, slots=True)
class Attribute:
    """Properties of a target's attribute besides the type. No other module lists names of attributes.

    `identity` is the field by which BY_FIELD merges. `access` says what a build does with the paths in the value.
    `of_bake`: bake has an attribute of this name, too, although its role is PLAN. `refers`: the value names other
    tables of the plan. `bake_variables`: `${VARIABLE}` in the value is probably a
    variable of bake, and not of a shell. `strict` raises ValueError for a value that no known release supports; since
    later releases may support the value, the error becomes a warning. `since` is the first buildx that knows the
    attribute, if mpbake supports older versions: an older buildx ignores the attribute without a message.
    """

    merge: Merge
    role: Role
    identity: str = ""
    paths: Paths = Paths.NONE
    access: PathAccess = PathAccess.NEEDS
    scope: Scope = Scope.TARGET
    exposure: Exposure = Exposure.PRINTED
    of_bake: bool = False
    refers: bool = False
    bake_variables: bool = False
    strict: Callable[[str], object] | None = None
    since: Version = (0, 0)

    @property
    def to_bake(self) -> bool:
        """Whether BuildKit gets the value under the same name."""
        return self.role not in {Role.PLAN, Role.DESTINATION}

    @property
    def is_of_bake(self) -> bool:
        """Whether bake has an attribute of this name. bake ignores all other attributes in its files."""
        return self.of_bake or self.role is not Role.PLAN

    @property
    def sensitive(self) -> bool:
        """Whether a sensitive value is allowed."""
        return self.exposure is Exposure.PRIVATE


class OptionForm(Enum):
    """The form of a driver option's value on buildx's command line."""

    PLAIN = "key=value; a table: key.name=value for each name in it"
    PAIRS = "one value: name=value,name=value"
    ROWS = "one value: a row of pairs for each table, with semicolons between them"


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """Properties of an option of nodes besides the type: the drivers with support, and the form for buildx.

    `to_driver`: buildx gets the value as a `--driver-opt` of the same name. `of_client`: only the buildx on this
    machine uses the option, so the option does not change the node itself.
    """

    drivers: tuple[Driver, ...]
    to_driver: bool = True
    of_client: bool = False
    form: OptionForm = OptionForm.PLAIN

    def __str__(self) -> str:
        """Return the drivers as text: `docker-container, kubernetes`."""
        return ", ".join(self.drivers)


@dataclass(frozen=True, kw_only=True, slots=True)
class OptionSince:
    """The first buildx that supports an option of nodes, or a part of an option. Older releases reject the option.

    The version applies to `drivers`; if `drivers` is empty, to all drivers that support the option.
    """

    version: Version
    drivers: tuple[Driver, ...] = ()

    def __str__(self) -> str:
        """Return the version as text: `from buildx 0.14`, or `with kubernetes from buildx 0.28`."""
        drivers = f"with {', '.join(self.drivers)} " if self.drivers else ""
        return f"{drivers}from buildx {version_text(self.version)}"
