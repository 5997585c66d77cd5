"""Keep the variables of Compose files apart from those of other bake files.

A Compose file takes its values from the environment only: it does not see the variables of an HCL file. If both have a
variable of one name that differs, that of the Compose file gets another name.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from mpbake.conversion.syntax import Literal, Name, Variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mpbake.conversion.syntax import Block

_SUFFIX = "_COMPOSE"
_EMPTY = Literal(value="")


def separated(compose: Sequence[Block], others: Sequence[Block]) -> tuple[Block, ...]:
    """Return the blocks of Compose files, with other names for the variables that `others` define differently."""
    defined = {block.name: block for block in others if isinstance(block, Variable)}
    taken = {block.name for block in (*compose, *others)}
    names = {}
    for block in compose:
        if isinstance(block, Variable) and block.name in defined and not _are_alike(block, defined[block.name]):
            names[block.name] = _free_name(f"{block.name}{_SUFFIX}", taken)
    return tuple(_renamed_block(block, names) for block in compose) if names else tuple(compose)


def _are_alike(compose: Variable, other: Variable) -> bool:
    """Whether the environment gives both the same values."""
    default = _EMPTY if other.default is None and other.type is None else other.default
    return not other.constant and default == compose.default and not compose.validations


def _free_name(name: str, taken: Iterable[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _renamed_block(block: Block, names: Mapping[str, str]) -> Block:
    renamed = _renamed(block, names)
    if isinstance(block, Variable) and block.name in names:
        renamed = replace(renamed, name=names[block.name], env=block.name)
    return renamed  # type: ignore[no-any-return]


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Return a value with other names for variables, at any depth. Compose files have no local names."""
    match value:
        case Name(name=name):
            return replace(value, name=names.get(name, name))
        case tuple():
            return tuple(_renamed(item, names) for item in value)
        case _ if is_dataclass(value) and not isinstance(value, type):
            members = {member.name: getattr(value, member.name) for member in fields(value)}
            changed = {name: _renamed(member, names) for name, member in members.items()}
            return replace(value, **{name: member for name, member in changed.items() if member is not members[name]})
        case _:
            return value
