"""Merge bake files, and blocks of one name, as bake does. Also the names of the files that bake reads on its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.conversion.comments import replaced_comments
from mpbake.conversion.reading.compose_variables import separated
from mpbake.conversion.reading.merged_values import joined_lists, merged_tables, unless_null
from mpbake.conversion.syntax import (
    Comments,
    Entry,
    Format,
    Function,
    Group,
    ListOf,
    Literal,
    ObjectOf,
    Target,
    Variable,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from mpbake.conversion.syntax import BakeFile, Block, Expression

_COMPOSE_FILES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_BAKE_FILES = ("docker-bake.json", "docker-bake.hcl", "docker-bake.override.json", "docker-bake.override.hcl")

_TABLES = frozenset({"args", "contexts", "extra-hosts", "labels", "resources"})
"""The tables of a target that bake merges key by key."""
_LISTS = frozenset(
    {
        *("annotations", "attest", "cache-from", "entitlements", "inherits", "no-cache-filter", "policy", "secret"),
        *("ssh", "ulimits"),
    }
)
"""The lists of a target to which bake appends the later list. A later value replaces all other attributes."""
_NO_NULL = frozenset({"contexts"})
"""The tables in which bake does not take null as absent."""


def default_files(names: Collection[str]) -> list[str]:
    """Return those of the files `names` of a folder that bake reads without `-f`, in the order in which it does."""
    return [name for name in (*_COMPOSE_FILES, *_BAKE_FILES) if name in names]


def merged(files: Sequence[BakeFile]) -> BakeFile:
    """Return one file with the content of all, at least one, with at most one block of each kind and name.

    bake reads Compose files first. The place of a block is that of its first definition. Blocks of a target with
    different matrices stay apart: bake merges only those of their targets that have the same name.
    """
    ordered = sorted(files, key=lambda file: file.format is not Format.COMPOSE)
    first = ordered[0]
    compose: list[Block] = []
    others: list[Block] = []
    for file in ordered:
        blocks = compose if file.format is Format.COMPOSE else others
        blocks.extend(file.blocks if file is first else _with_heading(file))
    return replace(
        first,
        path=files[0].path,
        format=next((file.format for file in files if file.format is not Format.COMPOSE), Format.COMPOSE),
        blocks=_merged_blocks((*separated(compose, others), *others)),
        trailing=tuple(line for file in ordered for line in file.trailing),
        ignored=tuple(ignored for file in ordered for ignored in file.ignored),
        required=tuple(dict.fromkeys(name for file in ordered for name in file.required)),
        mentioned=tuple(dict.fromkeys(name for file in ordered for name in file.mentioned)),
    )


def _with_heading(file: BakeFile) -> Iterable[Block]:
    """Return the blocks of a later file. Its heading becomes the comment of its first block."""
    if not file.heading or not file.blocks:
        return file.blocks
    first, *others = file.blocks
    before = (*file.heading, *(("", *first.comments.before) if first.comments.before else ()))
    return (replace(first, comments=replace(first.comments, before=before)), *others)


def _merged_blocks(blocks: Iterable[Block]) -> tuple[Block, ...]:
    merged_blocks: dict[object, Block] = {}
    for block in blocks:
        key = _key(block)
        earlier = merged_blocks.get(key)
        merged_blocks[key] = block if earlier is None else _merged_pair(earlier, block)
    return tuple(merged_blocks.values())


def _key(block: Block) -> tuple[object, ...]:
    """Return what two blocks have in common if bake merges them."""
    match block:
        case Target(name=name, entries=entries):
            values = {entry.name: entry.value for entry in entries}
            return (Target, name, values.get("matrix"), values.get("name"))
        case _:
            return (type(block), block.name)


def _merged_pair(earlier: Block, later: Block) -> Block:
    """Return two blocks of one kind and name as one."""
    match earlier, later:
        case Target(), Target():
            return _merged_targets(earlier, later)
        case Variable(), Variable():
            return _merged_variables(earlier, later)
        case Function(), Function():
            return replace(later, comments=_joined_comments(_all_comments(earlier, earlier.result), later.comments))
        case Group(), Group():
            return replace(later, comments=_joined_comments(_all_comments(earlier, earlier.targets), later.comments))
        case _:
            raise AssertionError


def _merged_variables(earlier: Variable, later: Variable) -> Variable:
    """Return the later definition. An attribute at the top level sets the default of a variable in any order."""
    if earlier.constant == later.constant:
        comments = _all_comments(earlier, earlier.default)
        return replace(later, comments=_joined_comments(comments, later.comments))
    comments = _joined_comments(earlier.comments, later.comments)
    constant, variable = (earlier, later) if earlier.constant else (later, earlier)
    return replace(variable, default=constant.default, type=None, comments=comments)


def _merged_targets(earlier: Target, later: Target) -> Target:
    entries = {entry.name: entry for entry in earlier.entries}
    for entry in later.entries:
        before = entries.get(entry.name)
        entries[entry.name] = entry if before is None else _merged_entries(before, entry)
    return replace(
        earlier,
        entries=tuple(entries.values()),
        comments=_joined_comments(earlier.comments, later.comments),
        trailing=(*earlier.trailing, *later.trailing),
    )


def _merged_entries(earlier: Entry, later: Entry) -> Entry:
    if earlier.name in _TABLES:
        value = merged_tables(earlier.value, later.value, null_is_absent=earlier.name not in _NO_NULL)
    elif earlier.name in _LISTS:
        value = joined_lists(earlier.value, later.value)
    elif earlier.name == "description" and later.value == Literal(value=""):
        value = earlier.value
    else:
        value = unless_null(later.value, earlier.value)
    if isinstance(value, ListOf | ObjectOf) and value is not later.value:
        comments = _joined_comments(earlier.comments, later.comments)
    else:
        comments = _later_comments(earlier.comments, later.comments)
        if value is later.value:
            comments = replace(comments, before=(*replaced_comments(earlier.value), *comments.before))
    return replace(earlier, value=value, comments=comments)


def _all_comments(block: Variable | Function | Group, value: Expression | None) -> Comments:
    """Return the comments of a block, and those in its value, which a later block replaces."""
    lines = () if value is None else replaced_comments(value)
    return replace(block.comments, before=(*block.comments.before, *lines))


def _later_comments(earlier: Comments, later: Comments) -> Comments:
    """Return the comments of the value that stays: the later ones, or the earlier ones if the later value has none."""
    return later if later.before or later.after else earlier


def _joined_comments(earlier: Comments, later: Comments) -> Comments:
    """Return the comments of two blocks, or of two attributes whose values are joined."""
    if later == earlier:
        return earlier
    behind = (later.after,) if later.after and earlier.after else ()
    return Comments(before=(*earlier.before, *later.before, *behind), after=earlier.after or later.after)
