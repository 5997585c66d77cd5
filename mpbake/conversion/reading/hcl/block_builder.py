"""Build the blocks of a bake file from bodies, which all formats have. What bake ignores is listed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpbake.conversion.syntax import (
    NO_COMMENTS,
    Comments,
    Entry,
    Function,
    Group,
    Ignored,
    Item,
    ListOf,
    Literal,
    Name,
    Target,
    Validation,
    Variable,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mpbake.base.errors import Diagnostic
    from mpbake.conversion.reading.hcl.source import Source
    from mpbake.conversion.syntax import Block, Expression, Place

BLOCK_KINDS = ("variable", "function", "group", "target")
"""The blocks that bake reads. It ignores all others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Body:
    """The content of a file or block: attributes and nested blocks in order, and the comments at its end."""

    items: tuple[Entry | NestedBlock, ...]
    trailing: tuple[str, ...] = ()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The attributes."""
        return tuple(item for item in self.items if isinstance(item, Entry))

    @property
    def blocks(self) -> tuple[NestedBlock, ...]:
        """The nested blocks."""
        return tuple(item for item in self.items if isinstance(item, NestedBlock))


@dataclass(frozen=True, kw_only=True, slots=True)
class NestedBlock:
    """A block as written: `kind` is its first word, `labels` are the names behind it."""

    kind: str
    labels: tuple[str, ...]
    body: Body
    place: Place
    comments: Comments = NO_COMMENTS


class BlockBuilder:
    """Makes blocks of bodies, for all formats. It collects what bake ignores, and the problems."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.ignored: list[Ignored] = []
        self.problems: list[Diagnostic] = []

    def build(self, body: Body) -> tuple[Block, ...]:
        """Return the blocks of a file."""
        blocks = [self._constant(item) if isinstance(item, Entry) else self._block(item) for item in body.items]
        return tuple(block for block in blocks if block is not None)

    def _constant(self, entry: Entry) -> Variable | None:
        """Return an attribute at the top level as a variable, or None for a name that bake does not take."""
        if entry.name in BLOCK_KINDS:
            self.ignored.append(Ignored(what=f"the attribute `{entry.name}`", place=entry.place))
            return None
        return Variable(name=entry.name, default=entry.value, constant=True, place=entry.place, comments=entry.comments)

    def _block(self, block: NestedBlock) -> Block | None:
        """Return a block at the top level, or None if bake ignores it or if it has a problem."""
        if block.kind not in BLOCK_KINDS:
            self.ignored.append(Ignored(what=f"the block `{block.kind}`", place=block.place))
            return None
        if len(block.labels) != 1:
            number = "none" if not block.labels else f"{len(block.labels)}"
            hint = f'write {block.kind} "name" {{ … }}'
            self.add_problem(block.place, f"a `{block.kind}` block must have one name, not {number}", hint)
            return None
        match block.kind:
            case "variable":
                return self._variable(block)
            case "function":
                return self._function(block)
            case "group":
                return self._group(block)
            case _:
                return self._target(block)

    def _target(self, block: NestedBlock) -> Target:
        name, body = block.labels[0], block.body
        self._ignore_blocks(f'target "{name}"', body.blocks)
        return Target(
            name=name, entries=body.entries, place=block.place, comments=block.comments, trailing=body.trailing
        )

    def _variable(self, block: NestedBlock) -> Variable:
        name, body = block.labels[0], block.body
        entries = self._known(f'variable "{name}"', body, ("default", "type", "description"))
        validations = [self._validation(nested) for nested in body.blocks if nested.kind == "validation"]
        self._ignore_blocks(f'variable "{name}"', [nested for nested in body.blocks if nested.kind != "validation"])
        return Variable(
            name=name,
            default=entries.get("default"),
            type=entries.get("type"),
            description=entries.get("description"),
            validations=tuple(validation for validation in validations if validation is not None),
            place=block.place,
            comments=folded(block.comments, body),
        )

    def _validation(self, block: NestedBlock) -> Validation | None:
        entries = self._known("validation", block.body, ("condition", "error_message"))
        if "condition" not in entries:
            self._missing("validation", "condition", block.place)
            return None
        return Validation(
            condition=entries["condition"],
            error_message=entries.get("error_message"),
            place=block.place,
            comments=folded(block.comments, block.body),
        )

    def _function(self, block: NestedBlock) -> Function | None:
        name, body = block.labels[0], block.body
        owner = f'function "{name}"'
        entries = self._known(owner, body, ("params", "variadic_params", "result"))
        self._ignore_blocks(owner, body.blocks)
        missing = [attribute for attribute in ("params", "result") if attribute not in entries]
        for attribute in missing:
            self._missing(owner, attribute, block.place)
        if missing:
            return None
        variadic = entries.get("variadic_params")
        params = self._parameters(owner, entries["params"])
        return Function(
            name=name,
            params=tuple(self._parameter(owner, item.value) for item in params),
            variadic=self._parameter(owner, variadic) if variadic is not None else "",
            result=entries["result"],
            place=block.place,
            comments=folded(block.comments, body, params),
        )

    def _parameters(self, owner: str, value: Expression) -> tuple[Item, ...]:
        if isinstance(value, ListOf):
            return value.items
        self.add_problem(value.place, f"{owner}: `params` must be a list of names", "write params = [a, b]")
        return ()

    def _parameter(self, owner: str, value: Expression) -> str:
        match value:
            case Name(name=name) | Literal(value=str(name)):
                return name
            case _:
                self.add_problem(value.place, f"{owner}: a parameter must be a name", "write params = [a, b]")
                return ""

    def _group(self, block: NestedBlock) -> Group | None:
        name, body = block.labels[0], block.body
        owner = f'group "{name}"'
        entries = self._known(owner, body, ("targets", "description"))
        self._ignore_blocks(owner, body.blocks)
        if "targets" not in entries:
            self._missing(owner, "targets", block.place)
            return None
        return Group(
            name=name,
            targets=entries["targets"],
            description=entries.get("description"),
            place=block.place,
            comments=folded(block.comments, body),
        )

    def _known(self, owner: str, body: Body, names: Sequence[str]) -> dict[str, Expression]:
        """Return the attributes of a block by name. bake ignores others."""
        for entry in body.entries:
            if entry.name not in names:
                self.ignored.append(Ignored(what=f"`{entry.name}` of {owner}", place=entry.place))
        return {entry.name: entry.value for entry in body.entries if entry.name in names}

    def _ignore_blocks(self, owner: str, blocks: Iterable[NestedBlock]) -> None:
        for block in blocks:
            self.ignored.append(Ignored(what=f"the block `{block.kind}` of {owner}", place=block.place))

    def _missing(self, owner: str, attribute: str, place: Place) -> None:
        self.add_problem(place, f"{owner} has no `{attribute}`", f"add `{attribute} = …`")

    def add_problem(self, place: Place, message: str, hint: str) -> None:
        """Add a problem. Reading goes on, and fails at the end with all problems."""
        self.problems.append(self._source.problem_at(place, message, hint=hint))


def folded(comments: Comments, body: Body, items: Sequence[Item] = ()) -> Comments:
    """Return the comments of a block whose attributes and `items` have no comments of their own: theirs are added.

    The only comment behind an attribute becomes the one behind the block. A comment behind an item follows the item.
    """
    parts = [entry.comments for entry in body.entries]
    behind = [part.after for part in parts if part.after]
    after = behind[0] if not comments.after and len(behind) == 1 else comments.after
    before = list(comments.before)
    for part in parts:
        before.extend(part.before)
        if part.after and part.after is not after:
            before.append(part.after)
    for item in items:
        before.extend(line for line in item.comments.before if line)
        before.extend([f"{item.value.text}: {item.comments.after}"] if item.comments.after else [])
    return Comments(before=(*before, *body.trailing), after=after)
