"""Values of attributes as written, and the merge of two values by the rule of their attribute."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, assert_never

from mpbake.base.references import parse_fields
from mpbake.resolve.bound_text import binding_of
from mpbake.spec.files.plan_files import SETTING
from mpbake.spec.tables.attributes import Attribute, Merge
from mpbake.spec.tables.target_tables import ATTRIBUTES
from mpbake.spec.tables.value_types import MARKER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mpbake.base.errors import KeyPath
    from mpbake.resolve.bound_text import Binding

_EXPRESSION = re.compile(r"\{\{.*?\}\}|\{#.*?#\}", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class WrittenValue:
    """The value of an attribute as written, with its templates, and the key of the table that contains the value.

    If several tables contribute to a list or table, `sources` maps the index or key of each entry to the entry's
    origin: the key of a table, and the index or key in this table.

    A template may replace a whole list or table. Until rendering, such a template counts as one entry: `placeholders`
    holds the index or key of each such entry (for a table, the key is a number).

    `inherited` is the value that this value replaced, wholly or in some keys, if this value may render to none. A value
    that is none does not count as written.
    """

    value: Any
    table_key: KeyPath
    sources: Mapping[int | str, tuple[KeyPath, int | str]] = field(default_factory=dict)
    placeholders: frozenset[int | str] = frozenset()
    inherited: WrittenValue | None = None

    def after(self, before: WrittenValue) -> WrittenValue:
        """Return this value with `before` as the value that applies if this value and all its parents are none."""
        chain = [self]
        while chain[-1].inherited is not None:
            chain.append(chain[-1].inherited)
        last = before
        for written in reversed(chain):
            last = replace(written, inherited=last)
        return last

    def expand(self, rendered: Any) -> tuple[Any, WrittenValue]:
        """Replace each placeholder in `rendered`, the rendered value, by the entries of its list or table.

        If a placeholder has become a value of another type, return this value alone, so that validation reports it.
        With `--set`, a placeholder may also become a single item.
        """
        if not self.placeholders:
            return rendered, self
        entries: list[tuple[int | str, Any, tuple[KeyPath, int | str]]] = []
        for key, value in _pairs(rendered):
            table_key, source_key = self.source(key)
            if value is None and key in self.placeholders:
                continue
            if key not in self.placeholders or (table_key[0] == SETTING and not isinstance(value, list)):
                entries.append((key, value, (table_key, source_key)))
            elif type(value) is not type(rendered):
                return value, WrittenValue(value=value, table_key=table_key)
            else:
                entries += [(item_key, item, (table_key, item_key)) for item_key, item in _pairs(value)]
        sources: dict[int | str, tuple[KeyPath, int | str]]
        if isinstance(rendered, dict):
            present = {key for key, value, _ in entries if value is not None}
            entries = [entry for entry in entries if entry[1] is not None or entry[0] not in present]
            values: Any = {key: value for key, value, _ in entries}
            sources = {key: source for key, _, source in entries}
        else:
            values = [value for _, value, _ in entries]
            sources = {index: source for index, (_, _, source) in enumerate(entries)}
        return values, WrittenValue(value=values, table_key=self.table_key, sources=sources, inherited=self.inherited)

    def source(self, key: int | str) -> tuple[KeyPath, int | str]:
        """Return the origin of an entry: the key of a table, and the index or key in this table."""
        return self.sources.get(key, (self.table_key, key))

    def keep_items(self, indices: Sequence[int]) -> WrittenValue:
        """Return this value; of a list, keep only the sources of the items at `indices`."""
        if not isinstance(self.value, list):
            return self
        sources: dict[int | str, tuple[KeyPath, int | str]]
        sources = {new: self.source(old) for new, old in enumerate(indices)}
        return replace(self, sources=sources)

    def has_items_of(self, table_key: KeyPath) -> bool:
        """Whether the value is a list with items from the table at `table_key`."""
        return isinstance(self.value, list) and any(entry.table_key == table_key for entry in _entries(self))

    def key_of(self, attribute: str, path: KeyPath) -> KeyPath:
        """Return the key in the plan of the value at `path` below the attribute."""
        if not path or path[0] not in self.sources:
            return (*self.table_key, attribute, *path)
        table_key, entry = self.sources[path[0]]
        if path[0] in self.placeholders:
            return (*table_key, attribute, *path[1:])
        return (*table_key, attribute, entry, *path[1:])


def merge_attributes(tables: Iterable[Mapping[str, WrittenValue]]) -> dict[str, WrittenValue]:
    """Merge the attributes of several tables; later tables win by the merge rule of each attribute."""
    merged: dict[str, WrittenValue] = {}
    for attributes in tables:
        for name, value in attributes.items():
            merged[name] = merge_values(ATTRIBUTES[name], merged[name], value) if name in merged else value
    return merged


def merge_values(attribute: Attribute, before: WrittenValue, after: WrittenValue) -> WrittenValue:
    """Merge two values of one attribute by its merge rule."""
    match attribute.merge:
        case Merge.REPLACE | Merge.OWN:
            return after.after(before) if _is_lone_template(after.value) else after
        case Merge.APPEND:
            entries = _appended(list(_entries(before)), _entries(after))
        case Merge.BY_KEY | Merge.BY_FIELD | Merge.BY_PLATFORM:  # inheritance itself merges the tables of platforms
            entries = _last_of_each_identity(attribute, [*_entries(before), *_entries(after)])
        case _:
            assert_never(attribute.merge)
    is_table = attribute.merge is Merge.BY_KEY
    keys = [entry.key if is_table and not entry.is_placeholder else index for index, entry in enumerate(entries)]
    values = [entry.value for entry in entries]
    return WrittenValue(
        value=dict(zip(keys, values, strict=True)) if is_table else values,
        table_key=after.table_key,
        sources={key: (entry.table_key, entry.key) for key, entry in zip(keys, entries, strict=True)},
        placeholders=frozenset(key for key, entry in zip(keys, entries, strict=True) if entry.is_placeholder),
        inherited=after.after(before).inherited if is_table and _needs_inherited(before, after) else None,
    )


def _needs_inherited(before: WrittenValue, after: WrittenValue) -> bool:
    """Whether an entry of a merged table may render to none, so that the entry of an earlier table applies."""
    if before.inherited is not None or after.inherited is not None:
        return True
    if not isinstance(before.value, dict) or not isinstance(after.value, dict):
        return False
    return any(key in before.value and _is_lone_template(value) for key, value in after.value.items())


def _is_lone_template(value: Any) -> bool:
    """Whether a value may be a single template, which can render to none."""
    return isinstance(value, str) and value.startswith("{{") and value.endswith("}}")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Entry:
    """An item of a list or a value of a table; `key` is its index or key in the table at `table_key`.

    A placeholder is a template that replaces the whole list or table.
    """

    key: int | str
    value: Any
    table_key: KeyPath
    is_placeholder: bool = False

    @property
    def place(self) -> tuple[KeyPath, int | str, Binding | None]:
        """The place of the entry in the plan, and the matrix row that it belongs to."""
        return self.table_key, self.key, binding_of(self.value)


def _entries(written: WrittenValue) -> Iterator[_Entry]:
    if isinstance(written.value, str):
        yield _Entry(key=0, value=written.value, table_key=written.table_key, is_placeholder=True)
        return
    for key, value in _pairs(written.value):
        table_key, source_key = written.source(key)
        yield _Entry(key=source_key, value=value, table_key=table_key, is_placeholder=key in written.placeholders)


def _pairs(value: Any) -> Iterable[tuple[int | str, Any]]:
    """Return the entries of a list or table with their indices or keys."""
    return value.items() if isinstance(value, dict) else enumerate(value)


def _appended(before: Sequence[_Entry], after: Iterable[_Entry]) -> list[_Entry]:
    """Append the entries of `after`, except entries from the same place in the plan as an entry of `before`.

    Without this exception, a list would double for each ancestor that two parents share. Equal entries from different
    places can be found only after rendering. Two rows of a matrix are different places.
    """
    known = {entry.place for entry in before}
    return [*before, *(entry for entry in after if entry.place not in known)]


def _last_of_each_identity(attribute: Attribute, entries: Sequence[_Entry]) -> list[_Entry]:
    """Keep the last entry of each identity, at the position of the first entry.

    If templates hide an identity, the last entry keeps its own position instead: a rendered template must not come
    after the entry that replaces it.
    """
    identities = [_identity(attribute, entry) for entry in entries]
    last: dict[tuple[int | str | None, int], _Entry] = {}
    for index, (identity, entry) in enumerate(zip(identities, entries, strict=True)):
        key = (identity, index if identity is None else -1)
        if None in identities:
            last.pop(key, None)
        last[key] = entry
    return list(last.values())


def _identity(attribute: Attribute, entry: _Entry) -> int | str | None:
    """Return the key or field by which an entry replaces an earlier entry; None while a template hides the field."""
    if entry.is_placeholder:
        return None
    return entry.key if attribute.merge is Merge.BY_KEY else _written_identity(attribute, str(entry.value))


def _written_identity(attribute: Attribute, text: str) -> str | None:
    """Return the identity of an entry that may contain templates; None if a template decides."""
    if not MARKER.search(text):
        return _literal_identity(attribute, text)
    if "{%" in text:
        return None
    try:
        identity = _literal_identity(attribute, _EXPRESSION.sub("{{", text))
    except ValueError:  # the template is valid only after rendering
        return None
    return None if MARKER.search(identity) else identity


def _literal_identity(attribute: Attribute, text: str) -> str:
    """Return the identity of an entry without templates. Raises ValueError if `text` is not a list of fields."""
    if not attribute.identity:
        return text.partition("=")[0]
    return parse_fields(text).get(attribute.identity) or text


def last_by_identity(name: str, texts: Sequence[str]) -> list[int]:
    """Return the indices of the rendered `texts` to keep: the last of each identity, at the position of the first."""
    attribute = ATTRIBUTES[name]
    if attribute.merge is not Merge.BY_FIELD:
        return list(range(len(texts)))
    return list({_literal_identity(attribute, text): index for index, text in enumerate(texts)}.values())
