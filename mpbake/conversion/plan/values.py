"""From expressions to values of a TOML document. What the plan language cannot express is frozen."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from mpbake.conversion.comments import comments_in
from mpbake.conversion.plan.conversion import Frozen, FrozenKey
from mpbake.conversion.plan.naming.scopes import plan_words
from mpbake.conversion.plan.rewriting.walks import literal_pairs, names_in
from mpbake.conversion.plan.text.document import Array, ArrayItem, KeyValue, Table, Value, as_value
from mpbake.conversion.syntax import (
    NO_COMMENTS,
    Comments,
    Expression,
    ListOf,
    Literal,
    Name,
    ObjectOf,
    Pair,
    Place,
)
from mpbake.conversion.translation import Untranslatable, template_name, translate_text, translate_value
from mpbake.spec.tables.value_types import as_literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.conversion.translation import Scope

ROW = "row"
"""The name in `let` that holds the name of a matrix row, for values that are frozen for each row."""


NONE = "{{ none }}"
"""The value of a plan that stands for null."""


class Content(Enum):
    """What an expression must give: text, a list or table of texts, or a value of any type.

    In a table of `ENTRIES`, such as `args`, a plan takes whole numbers and flags for texts.
    """

    TEXT = "text"
    TEXTS = "texts"
    ENTRY = "entry"
    ENTRIES = "entries"
    VALUE = "value"


_ITEMS = {Content.TEXTS: Content.TEXT, Content.ENTRIES: Content.ENTRY}
_TRANSLATED_AS_TEXT = frozenset({Content.TEXT, Content.ENTRY})


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """The position of an expression: its key, its place in the bake file, and the names that it can use.

    `target` is the bake target with a matrix that contains the expression, and `rows` the names of its matrix in the
    plan, by their names in the bake file. `row` is the name in `let` that holds the name of the matrix row.
    """

    key: FrozenKey
    scope: Scope
    place: Place
    target: str = ""
    rows: Mapping[str, str] = field(default_factory=dict)
    row: str = ROW

    def below(self, *path: str | int, place: Place | None = None) -> Position:
        """Return the position of an entry or item of the value at this position."""
        key = replace(self.key, path=(*self.key.path, *path))
        return replace(self, key=key, place=place or self.place)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Translated:
    """A value, and the comments that it needs."""

    value: Value
    comments: tuple[str, ...] = ()


@dataclass(kw_only=True)
class Values:
    """Translates expressions, and collects those that must be evaluated.

    `known` are the values of frozen expressions, as bake gives them. `row_values` collects, for the target that is
    being converted, the names in `let` for values that differ from row to row.
    """

    known: Mapping[FrozenKey, Any]
    frozen: list[Frozen] = field(default_factory=list)
    row_values: dict[str, Value] = field(default_factory=dict)

    def pair(
        self,
        key: str,
        expression: Expression,
        position: Position,
        comments: Comments = NO_COMMENTS,
        content: Content = Content.VALUE,
    ) -> KeyValue:
        """Return a key with the value of an expression."""
        translated = self._translated(expression, position, content)
        return KeyValue(key=key, value=translated.value, comments=_with_lines(comments, translated.comments))

    def _translated(self, expression: Expression, position: Position, content: Content) -> _Translated:
        items = _ITEMS.get(content, content)
        match expression:
            case ListOf():
                return _Translated(value=self._array(expression, position, items))
            case ObjectOf() if literal_pairs(expression) is not None:
                return _Translated(value=self._table(expression, position, items))
            case Literal(value=None):
                return _Translated(value=NONE)
            case Literal(value=bool() | int() as value) if content is Content.ENTRY:
                return _Translated(value=value)
        convert = translate_text if content in _TRANSLATED_AS_TEXT else translate_value
        try:
            translated = as_value(convert(expression, position.scope))
            return _Translated(value=translated, comments=tuple(comments_in(expression)))
        except Untranslatable as error:
            return self._frozen(expression, position, error)

    def _array(self, expression: ListOf, position: Position, content: Content) -> Array:
        items = []
        for index, item in enumerate(expression.items):
            translated = self._translated(item.value, position.below(index, place=item.value.place), content)
            comments = _with_lines(item.comments, translated.comments)
            items.append(ArrayItem(value=translated.value, comments=comments))
        return Array(items=tuple(items), trailing=expression.trailing)

    def _table(self, expression: ObjectOf, position: Position, content: Content) -> Table:
        pairs: dict[str, KeyValue] = {}
        for pair in expression.pairs:
            name = str(pair.key.value) if isinstance(pair.key, Literal) else ""
            below = position.below(name, place=pair.value.place)
            pairs[name] = self.pair(name, pair.value, below, pair.comments, content)
        return Table(pairs=tuple(pairs.values()), trailing=expression.trailing)

    # --- freezing -----------------------------------------------------------------------------------------------------

    def _frozen(self, expression: Expression, position: Position, error: Untranslatable) -> _Translated:
        """Return the value of an expression as bake evaluates it, with a comment that contains the expression."""
        comments = tuple(f"bake: {line}".rstrip() for line in _lines(expression.text))
        if names_in(expression).isdisjoint(position.rows):
            evaluated = self._evaluated(replace(position, target="", rows={}), expression, error.reason)
            return _Translated(value="" if evaluated is None else as_value(_without_none(evaluated)), comments=comments)
        evaluated = self._evaluated(position, expression, error.reason)
        name = _name_of_row_values(position.key, [*self.row_values, *plan_words(position.scope)])
        self.row_values[name] = "" if evaluated is None else as_value(_without_none(evaluated))
        return _Translated(value=f"{{{{ {name}[{position.row}] }}}}", comments=comments)

    def _evaluated(self, position: Position, expression: Expression, reason: str) -> Any:
        """List an expression as frozen, and return its value in the notation of a plan, or None if it is not known."""
        known = self.known.get(position.key)
        place = expression.place if expression.place.line else position.place
        self.frozen.append(
            Frozen(
                key=position.key,
                expression=expression,
                reason=reason,
                place=place,
                target=position.target,
                names=position.rows,
                written=position.key in self.known,
            )
        )
        return as_literal(known)

    def rows(self, name: Expression, position: Position) -> tuple[Array, tuple[str, ...]] | None:
        """Return the rows of a matrix with their names, and comments, or None if the plan can express the names.

        A row then has the name as one more value.
        """
        try:
            translate_text(name, position.scope)
        except Untranslatable as error:
            keys = [Pair(key=Literal(value=key), value=Name(name=key, text=key)) for key in position.rows]
            row = Pair(key=Literal(value=position.row), value=name)
            table = ObjectOf(pairs=(*keys, row), place=name.place, text=name.text)
            evaluated = self._evaluated(position, table, error.reason) or {}
            names = {**position.rows, position.row: position.row}
            renamed = [{names[key]: row[key] for key in names if key in row} for row in evaluated.values()]
            array = as_value(_without_none(renamed))
            comments = tuple(f"bake: {line}".rstrip() for line in _lines(name.text))
            return (array, comments) if isinstance(array, Array) else None
        return None


def _lines(text: str) -> list[str]:
    """Return the lines of an expression, without the indentation that all lines after the first share."""
    first, *rest = text.splitlines() or [""]
    indent = min((len(line) - len(line.lstrip()) for line in rest if line.strip()), default=0)
    return [first, *(line[indent:] for line in rest)]


def _with_lines(comments: Comments, lines: tuple[str, ...]) -> Comments:
    return replace(comments, before=(*comments.before, *lines)) if lines else comments


def _without_none(value: Any) -> Any:
    """Return JSON data with the plan's form of null."""
    match value:
        case None:
            return NONE
        case dict():
            return {key: _without_none(item) for key, item in value.items()}
        case list():
            return [_without_none(item) for item in value]
        case _:
            return value


def _name_of_row_values(key: FrozenKey, taken: list[str]) -> str:
    """Return a name for the values of an attribute in each row, such as `tags_of_row`."""
    words = [part for part in key.path if isinstance(part, str)]
    word = "".join(character if character.isalnum() else "_" for character in words[-1])
    name = template_name(f"{word.lower()}_of_row")
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}_{number}", number + 1
    return candidate
