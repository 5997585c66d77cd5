"""Turn the values of a Compose file into expressions, and check their types."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.conversion.compose.interpolation import BadReferenceError, Parts, Reference, parse
from mpbake.conversion.compose.values import List, Mapping, Problems, Scalar, Value
from mpbake.conversion.compose.yaml.scalars import printed, resolved
from mpbake.conversion.syntax import Call, Expression, Item, ListOf, Literal, Template

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mpbake.conversion.compose.variables import Variables
    from mpbake.conversion.compose.yaml.comments import CommentLines
    from mpbake.conversion.syntax import Place

BAD_REFERENCE = ("`${` must begin the name of a variable", "write `$${` for a literal `${`")
"""The message and hint for a text that Compose refuses."""

_TRUE = frozenset({"true", "y", "yes", "on"})
_FALSE = frozenset({"false", "n", "no", "off"})
_WORDS = re.compile(r"\s+")


class Texts:
    """Makes expressions from values, collects the variables that they use, and adds problems with their types."""

    def __init__(self, variables: Variables, comments: CommentLines, problems: Problems) -> None:
        """All three are those of the file."""
        self.variables = variables
        self.comments = comments
        self.problems = problems

    def text(self, value: Value, what: str) -> Expression:
        """Return a value that must be text. `what` names the value in messages."""
        if not isinstance(value, Scalar):
            self.problems.add(value.place, f"{what} must be text, not {kind(value)}")
            return Literal(value="", place=value.place)
        if not isinstance(resolved(value), str):
            self.problems.add(value.place, f"{what} must be text, not {kind(value)}", "put the value in quotes")
        return self.plain(value)

    def plain(self, scalar: Scalar, prefix: str = "") -> Expression:
        """Return a scalar of any type as text, with the literal text `prefix` before it."""
        text = printed(scalar)
        parts = self.parts(scalar, text)
        if prefix:
            parts = (prefix + parts[0], *parts[1:]) if parts and isinstance(parts[0], str) else (prefix, *parts)
        return self.variables.expression(parts, scalar.place, prefix + text)

    def parts(self, scalar: Scalar, text: str) -> Parts:
        """Return the parts of `text`, a part of `scalar`, and collect its variables."""
        try:
            parts = parse(text)
        except BadReferenceError:
            self.problems.add(scalar.place, *BAD_REFERENCE)
            return ()
        self.variables.add(parts, scalar.place)
        return parts

    def path(self, scalar: Scalar, what: str) -> Expression:
        """Return a local path. `~` at its start is the home directory."""
        expression = self.text(scalar, what)
        if not scalar.text.startswith("~"):
            return expression
        home = Scalar(text="${HOME}" + scalar.text[1:], place=scalar.place)
        return self.plain(home)

    def flag(self, value: Value, what: str) -> Expression:
        """Return true, false or a text with references."""
        if isinstance(value, Scalar):
            content = resolved(value)
            word = content.lower() if isinstance(content, str) else content
            if word is True or word in _TRUE:
                return Literal(value=True, place=value.place, text=value.text)
            if word is False or word in _FALSE:
                return Literal(value=False, place=value.place, text=value.text)
            if isinstance(content, str) and "$" in content:
                return self.plain(value)
        self.problems.add(value.place, f"{what} must be true or false")
        return Literal(value=False, place=value.place)

    def items(self, value: Value, what: str) -> Iterator[Scalar]:
        """Yield the items of a list of texts."""
        if not isinstance(value, List):
            if not (isinstance(value, Scalar) and resolved(value) is None):
                self.problems.add(value.place, f"{what} must be a list, not {kind(value)}", "write `[…]`")
            return
        for item in value.items:
            if isinstance(item, Scalar) and isinstance(resolved(item), str):
                yield item
            else:
                hint = "put the item in quotes" if isinstance(item, Scalar) else ""
                self.problems.add(item.place, f"{what} must be a list of text: this item is {kind(item)}", hint)

    def words(self, value: Value, what: str) -> tuple[Item, ...] | Expression:
        """Return the items of a list, or of a text with words between spaces."""
        if not isinstance(value, Scalar):
            return tuple(self.item(item) for item in self.items(value, what))
        text = printed(value)
        parts = self.parts(value, text)
        if len(parts) == 1 and isinstance(parts[0], Reference):
            whole = self.variables.expression(parts, value.place, text)
            space = Literal(value=" ", place=value.place)
            return Call(function="split", arguments=(space, whole), place=value.place, text=text)
        words = _split_words(parts)
        return tuple(Item(value=self.variables.expression(word, value.place, text)) for word in words)

    def item(self, scalar: Scalar, prefix: str = "") -> Item:
        """Return an item of a list, with its comments."""
        return Item(value=self.plain(scalar, prefix), comments=self.comments.of(scalar, scalar))

    def pairs(self, value: Value, what: str, separators: str = "=") -> Iterator[tuple[Scalar, Value | None]]:
        """Yield the entries of a table, or of a list of texts `KEY=VALUE`. Without a value, the value is None."""
        match value:
            case Mapping():
                for key, entry in value.pairs:
                    yield key, (None if isinstance(entry, Scalar) and resolved(entry) is None else entry)
            case Scalar() if resolved(value) is not None:
                self.problems.add(value.place, f"{what} must be a table or a list, not {kind(value)}")
            case _:
                for item in self.items(value, what):
                    key, part = split_pair(item, separators)
                    yield key, part

    def list_of(self, items: tuple[Item, ...], place: Place) -> ListOf:
        """Return a list."""
        return ListOf(items=items, place=place)

    def joined(self, place: Place, *parts: str | Expression) -> Expression:
        """Return texts and expressions as one text."""
        flat: list[Expression] = []
        for part in parts:
            expression = Literal(value=part, place=place) if isinstance(part, str) else part
            pieces = expression.parts if isinstance(expression, Template) else (expression,)
            for piece in pieces:
                last = flat[-1] if flat else None
                if isinstance(piece, Literal) and isinstance(last, Literal):
                    flat[-1] = Literal(value=f"{last.value}{piece.value}", place=place)
                else:
                    flat.append(piece)
        return flat[0] if len(flat) == 1 else Template(parts=tuple(flat), place=place)


def split_pair(scalar: Scalar, separators: str = "=") -> tuple[Scalar, Scalar | None]:
    """Split `KEY=VALUE` at the first of `separators` that the text contains."""
    text = scalar.text
    for separator in separators:
        name, found, rest = text.partition(separator)
        if found:
            return replace(scalar, text=name, plain=False), replace(scalar, text=rest, plain=False)
    return scalar, None


def _split_words(parts: Parts) -> list[Parts]:
    """Split a text with references at its spaces. References are not split."""
    words: list[list[str | Reference]] = [[]]
    for part in parts:
        if isinstance(part, Reference):
            words[-1].append(part)
            continue
        first, *others = _WORDS.split(part)
        words[-1].append(first)
        words.extend([other] for other in others)
    cleaned = (tuple(part for part in word if part != "") for word in words)
    return [word for word in cleaned if word]


def kind(value: Value) -> str:
    """Return what kind of value it is, in words."""
    match value:
        case Mapping():
            return "a table"
        case List():
            return "a list"
    match resolved(value):
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
