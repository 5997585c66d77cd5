"""What the names in a bake file are called in the plan."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mpbake.conversion.translation.types import ANY, Type

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mpbake.conversion.syntax import Expression

KEYWORDS = frozenset(
    {"true", "false", "none", "True", "False", "None", "and", "or", "not", "if", "else", "elif", "in", "is", "for"}
    | {"loop", "self", "super", "caller", "varargs", "kwargs", "recursive"}
)
"""Words that templates may take for something other than a variable."""
GLOBALS = frozenset({"git", "machine_platform", "platform", "range", "timestamp"})
"""Names that mean the same in every template of a plan."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bound:
    """A variable, parameter or local name of a bake file: its name in the plan, and its type."""

    name: str
    type: Type = ANY


@dataclass(frozen=True, kw_only=True, slots=True)
class BoundFunction:
    """A function of a bake file: its name in the plan, the types of its parameters, and the type of its result.

    With `variadic`, the last parameter takes any number of arguments.
    """

    name: str
    params: tuple[Type, ...] = ()
    variadic: bool = False
    result: Type = ANY


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """The names that an expression can use, by their names in the bake file.

    `targets` are the attributes of targets that other expressions refer to: `target.base.args` is
    `targets["base"]["args"]`. `local` are the names that exist only in a part of the file.
    """

    names: Mapping[str, Bound] = field(default_factory=dict)
    functions: Mapping[str, BoundFunction] = field(default_factory=dict)
    targets: Mapping[str, Mapping[str, Expression]] = field(default_factory=dict)
    local: frozenset[str] = frozenset()

    def bind(self, names: Mapping[str, Bound]) -> Scope:
        """Return this scope with more names, which hide names of the same spelling and exist only here."""
        return replace(self, names={**self.names, **names}, local=self.local | names.keys())


def template_name(name: str, taken: Collection[str] = ()) -> str:
    """Return `name` as a name in templates: a word that means nothing else and is not in `taken`."""
    word = re.sub(r"\W", "_", name, flags=re.ASCII)
    if not re.match("[A-Za-z_]", word):
        word = f"_{word}"
    if word in KEYWORDS | GLOBALS:
        word = f"{word}_"
    candidate, number = word, 2
    while candidate in taken:
        candidate, number = f"{word.rstrip('_')}_{number}", number + 1
    return candidate
