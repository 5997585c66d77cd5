"""The result of a conversion: the text of a plan, and what its reader must know about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from mpbake.conversion.syntax import NOWHERE, Expression, Place

if TYPE_CHECKING:
    from collections.abc import Mapping


class NoteKind(StrEnum):
    """What the conversion did with a part of the bake file."""

    RENAMED = "renamed"
    IGNORED = "ignored"  # bake ignores the part as well
    LOST = "lost"


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """A sentence, without full stop, about a part of the bake file that the plan does not have as written."""

    kind: NoteKind
    text: str
    place: Place = NOWHERE


@dataclass(frozen=True, kw_only=True, slots=True)
class FrozenKey:
    """Where an expression is: the kind of its block (`variable`, `target`, `group`), its name, and the path in it."""

    block: str
    name: str
    path: tuple[str | int, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Frozen:
    """An expression that must be evaluated, since the plan language cannot express it.

    `target` is the bake target with a matrix in which the expression has a value for each row, or empty. `names` maps
    the names of the matrix to their names in the plan. `written` says that the plan has the value.
    """

    key: FrozenKey
    expression: Expression
    reason: str
    place: Place = NOWHERE
    target: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    written: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversion:
    """A plan in TOML, and the names that the blocks of the bake file have in it, by their names in the bake file.

    `unchecked` are the conditions of validations that the plan does not check. `uses_time` says that the plan calls
    `timestamp()`, which needs SOURCE_DATE_EPOCH.
    `targets` are the targets and matrices that can be built, `templates` the targets that only give values to others.
    """

    text: str
    targets: Mapping[str, str] = field(default_factory=dict)
    templates: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    frozen: tuple[Frozen, ...] = ()
    notes: tuple[Note, ...] = ()
    unchecked: tuple[Place, ...] = ()
    uses_time: bool = False
