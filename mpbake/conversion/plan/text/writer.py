"""Write a TOML document with comments, in the form that people write: short lines, one table below another."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.base.toml_text import toml_key, toml_value
from mpbake.conversion.plan.text.banners import is_rule
from mpbake.conversion.plan.text.document import Array, ArrayItem, Document, KeyValue, Section, Table, Value
from mpbake.conversion.plan.text.folding import folded_template
from mpbake.conversion.syntax import NO_COMMENTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WIDTH = 100
"""The length of a line, if its content can be divided."""
TABLE_WIDTH = 80
"""The length of a line with an inline table of several keys. A longer table gets a header and a line for each key."""
ENTRY_WIDTH = 120
"""The same for tables that stand one below another, such as variables, and for arrays of one text."""
_VARIABLES = ("variables",)
_DOTTED = frozenset({"matrix"})
_LISTS_OF_TABLES = (_VARIABLES, ("groups",))
"""Tables with one entry a line, so that short tables in them look alike."""
_INDENT = "  "
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def document_text(document: Document) -> str:
    """Return the text of a document."""
    blocks = ["\n".join(_section(section)) for section in document.sections]
    parts = [_comment_text(document.heading), *blocks, _comment_text(document.trailing)]
    return "\n\n".join(part for part in parts if part) + "\n"


def value_text(value: Value) -> str:
    """Return a value on one line, without its comments."""
    match value:
        case Table():
            pairs = ", ".join(f"{toml_key(pair.key)} = {value_text(pair.value)}" for pair in value.pairs)
            return f"{{ {pairs} }}" if pairs else "{}"
        case Array():
            return f"[{', '.join(value_text(item.value) for item in value.items)}]"
        case str():
            return _string(value)
        case _:
            return toml_value(value)


def is_short(pair: KeyValue, width: int = TABLE_WIDTH) -> bool:
    """Whether a key and its value fit on one line, with all their comments."""
    return not _has_comments(pair.value) and len(_line(pair)) <= width


def _line(pair: KeyValue, key: str = "") -> str:
    return f"{key or toml_key(pair.key)} = {value_text(pair.value)}{_after(pair.comments.after)}"


def _section(section: Section) -> Iterator[str]:
    """Yield the lines of a section, and of the tables in it that need a header of their own."""
    yield from _comments(section.comments.before)
    below = _below(section)
    has_lines = not section.pairs or len(below) < len(section.pairs) or section.trailing or section.comments.after
    if section.path and has_lines:
        yield f"[{_dotted(section.path)}]{_after(section.comments.after)}"
    body = list(_body(section))
    yield from body if has_lines else body[1:]


def _below(section: Section) -> list[KeyValue]:
    """Return the keys of a section whose values have a header of their own, below the others."""
    return [pair for pair in section.pairs if _needs_header(pair, _width(section)) and not _is_dotted(pair, section)]


def _width(section: Section) -> int:
    return ENTRY_WIDTH if section.path in _LISTS_OF_TABLES else TABLE_WIDTH


def _body(section: Section) -> Iterator[str]:
    below = _below(section)
    for index, pair in enumerate(pair for pair in section.pairs if pair not in below):
        if index and section.path in _LISTS_OF_TABLES and _is_paragraph(pair.comments.before):
            yield ""
        yield from _pair(pair, section)
    yield from _comments(section.trailing)
    for pair in below:
        yield ""
        path = (*section.path, pair.key)
        if isinstance(pair.value, Table):
            table, comments = pair.value, pair.comments
            yield from _section(Section(path=path, pairs=table.pairs, comments=comments, trailing=table.trailing))
        else:
            yield from _tables(path, pair)


def _is_paragraph(comments: tuple[str, ...]) -> bool:
    """Whether an empty line separates comments from the entry above: several lines, or a title."""
    return len(comments) > 1 or any(map(is_rule, comments))


def _tables(path: tuple[str, ...], pair: KeyValue) -> Iterator[str]:
    """Yield the lines of an array of tables, each below a header of its own."""
    assert isinstance(pair.value, Array)  # noqa: S101 - `_needs_header` decides
    yield from _comments(pair.comments.before)
    for index, item in enumerate(pair.value.items):
        assert isinstance(item.value, Table)  # noqa: S101
        if index:
            yield ""
        yield from _comments(item.comments.before)
        yield f"[[{_dotted(path)}]]{_after(item.comments.after)}"
        yield from _body(Section(path=path, pairs=item.value.pairs, trailing=item.value.trailing))
    yield from _comments(pair.value.trailing)


def _needs_header(pair: KeyValue, width: int) -> bool:
    """Whether a value is written below a header: a table, or an array of tables, that is too long for one line."""
    match pair.value:
        case Table():
            return not _is_inline(pair, width)
        case Array() as array:
            tables = [item for item in array.items if isinstance(item.value, Table)]
            return bool(tables) and len(tables) == len(array.items) and not all(map(_fits_as_item, tables))
        case _:
            return False


def _is_inline(pair: KeyValue, width: int) -> bool:
    return not isinstance(pair.value, Table) or is_short(
        pair, max(width, WIDTH) if len(pair.value.pairs) == 1 else width
    )


def _is_dotted(pair: KeyValue, section: Section) -> bool:
    """Whether the values of a table are written as `matrix.php = […]`: it stays in its place among the other keys."""
    if not isinstance(pair.value, Table) or _is_inline(pair, _width(section)):
        return False
    may_be_dotted = pair.key in _DOTTED or section.path == _VARIABLES
    return may_be_dotted and not any(_needs_header(inner, TABLE_WIDTH) for inner in pair.value.pairs)


def _dotted_pairs(pair: KeyValue) -> Iterator[KeyValue]:
    """Yield the keys of a table with dotted keys. Its comments go to the first."""
    assert isinstance(pair.value, Table)  # noqa: S101 - `_is_dotted` decides
    for index, inner in enumerate(pair.value.pairs):
        before = (*(() if index else _own(pair)), *inner.comments.before)
        comments = replace(inner.comments, before=before)
        yield replace(inner, key=f"{toml_key(pair.key)}.{toml_key(inner.key)}", comments=comments)


def _fits_as_item(item: ArrayItem) -> bool:
    length = len(_INDENT) + len(value_text(item.value)) + 1 + len(_after(item.comments.after))
    return length <= WIDTH and not _has_comments(item.value)


def _pair(pair: KeyValue, section: Section) -> Iterator[str]:
    if _is_dotted(pair, section):
        for inner in _dotted_pairs(pair):
            yield from _plain_pair(inner, inner.key)
        yield from _comments(pair.value.trailing if isinstance(pair.value, Table) else ())
    else:
        yield from _plain_pair(pair, toml_key(pair.key))


def _plain_pair(pair: KeyValue, key: str) -> Iterator[str]:
    yield from _comments(pair.comments.before)
    if isinstance(pair.value, str) and not is_short(pair, WIDTH):
        pair = replace(pair, value=folded_template(pair.value, WIDTH))
    if _is_one_line(pair) or not isinstance(pair.value, Array) or not pair.value.items:
        yield _line(pair, key)
        if isinstance(pair.value, Array):
            yield from _comments(pair.value.trailing)
        return
    yield f"{key} = [{_after(pair.comments.after)}"
    yield from _items(pair.value, _INDENT)
    yield "]"


def _is_one_line(pair: KeyValue) -> bool:
    """Whether a value has one line. An array of one text gains nothing from a line of its own for the text."""
    is_one_text = isinstance(pair.value, Array) and [type(item.value) for item in pair.value.items] == [str]
    return is_short(pair, ENTRY_WIDTH if is_one_text else WIDTH)


def _items(array: Array, indent: str) -> Iterator[str]:
    """Yield a line for each item of an array. An inner array that is too long is divided, too."""
    for item in array.items:
        yield from _comments(item.comments.before, indent)
        line = f"{indent}{_item_text(item, indent)},{_after(item.comments.after)}"
        if isinstance(item.value, Array) and item.value.items and (len(line) > WIDTH or _has_comments(item.value)):
            yield f"{indent}[{_after(item.comments.after)}"
            yield from _items(item.value, indent + _INDENT)
            yield f"{indent}],"
        else:
            yield from _comments(_inner_comments(item.value), indent)
            yield line
    yield from _comments(array.trailing, indent)


def _item_text(item: ArrayItem, indent: str) -> str:
    """Return an item of an array. A long template has several lines."""
    text = value_text(item.value)
    if not isinstance(item.value, str) or len(indent) + len(text) <= WIDTH or _CONTROL.search(item.value):
        return text
    folded = folded_template(item.value, WIDTH, indent)
    return text if folded == item.value else _quoted_lines(folded)


def _inner_comments(value: Value) -> tuple[str, ...]:
    """Return the comments in a table that must stay on one line."""
    match value:
        case Table():
            inner = [line for pair in value.pairs for line in (*_own(pair), *_inner_comments(pair.value))]
            return (*inner, *value.trailing)
        case Array():
            inner = [line for item in value.items for line in (*_own(item), *_inner_comments(item.value))]
            return (*inner, *value.trailing)
        case _:
            return ()


def _own(commented: KeyValue | ArrayItem) -> tuple[str, ...]:
    comments = commented.comments
    return (*comments.before, comments.after) if comments.after else comments.before


def _has_comments(value: Value) -> bool:
    return bool(_inner_comments(value))


def without_comments(value: Value) -> Value:
    """Return a value without the comments in it."""
    match value:
        case Table():
            pairs = (replace(pair, value=without_comments(pair.value), comments=NO_COMMENTS) for pair in value.pairs)
            return Table(pairs=tuple(pairs))
        case Array():
            return Array(items=tuple(ArrayItem(value=without_comments(item.value)) for item in value.items))
        case _:
            return value


def _comment_text(lines: Iterable[str]) -> str:
    return "\n".join(_comments(lines))


def _comments(lines: Iterable[str], indent: str = "") -> Iterator[str]:
    """Yield comments. An empty text is an empty line, and a space is a comment without text."""
    for line in lines:
        text = _CONTROL.sub("", line).rstrip()
        marker = "#" if not text or text.startswith("#") else "# "
        yield f"{indent}{marker}{text}" if line else ""


def _after(comment: str) -> str:
    text = _CONTROL.sub("", comment).strip()
    return f" # {text}" if text else ""


def _dotted(path: Iterable[str]) -> str:
    return ".".join(map(toml_key, path))


def _string(text: str) -> str:
    """Return a string in the form that needs the fewest escapes: basic, literal, or with several lines."""
    if _CONTROL.search(text):
        return toml_value(text)
    if "\n" in text:
        return _lines_string(text)
    if ('"' in text or "\\" in text) and "'" not in text:
        return f"'{text}'"
    if "\\" in text and "'''" not in text and not text.endswith("'"):
        return f"'''{text}'''"
    return toml_value(text)


def _lines_string(text: str) -> str:
    return _quoted_lines(f"\n{text}")


def _quoted_lines(text: str) -> str:
    """Return a text of several lines in quotes. TOML drops a line end at its start."""
    if "'''" not in text and not text.endswith("'"):
        return f"'''{text}'''" if "\\" in text or '"' in text else f'"""{text}"""'
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"""{escaped}"""'
