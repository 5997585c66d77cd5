"""Targets of a bake file as tables of a plan."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from mpbake.conversion.plan.blocks import blocks_of, entry_of, matrix_entry
from mpbake.conversion.plan.conversion import FrozenKey, Note, NoteKind
from mpbake.conversion.plan.fields import FIELD_LISTS, with_field_texts
from mpbake.conversion.plan.flags import as_flag
from mpbake.conversion.plan.naming.patterns import literal_name
from mpbake.conversion.plan.naming.scopes import plan_words, row_names
from mpbake.conversion.plan.naming.target_names import LINK
from mpbake.conversion.plan.outputs import OutputForms, no_outputs, output_forms, outputs_of
from mpbake.conversion.plan.rewriting.line_ends import with_plain_lines
from mpbake.conversion.plan.rewriting.list_functions import drops_empty_texts
from mpbake.conversion.plan.rewriting.references import with_items, with_result, with_text
from mpbake.conversion.plan.rewriting.walks import literal_pairs, possible_texts
from mpbake.conversion.plan.text.document import Array, KeyValue, Section, Table, Value
from mpbake.conversion.plan.values import ROW, Content, Position
from mpbake.conversion.syntax import BakeFile, Comments, Entry, Expression, Index, ListOf, Literal, Name, Target
from mpbake.conversion.translation import sparse_list, sparse_table, template_name
from mpbake.spec.tables.target_tables import ATTRIBUTES, ValueKind, value_kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mpbake.conversion.plan.naming.names import Names
    from mpbake.conversion.plan.values import Values
    from mpbake.conversion.translation import Scope

_CONTENTS = {"args": Content.ENTRIES, "labels": Content.ENTRIES, "resources": Content.VALUE}
_CONTENTS_OF_KINDS = {ValueKind.TEXT: Content.TEXT, ValueKind.LIST: Content.TEXTS, ValueKind.MAP: Content.TEXTS}
_WITHOUT_NULL = frozenset({"args", "labels"})
"""Tables of which bake and mpbake leave null out."""
_BUILD = "build"
_LET = "let"
_WORKING_FOLDER = "cwd://"


@dataclass(frozen=True, kw_only=True)
class TargetConverter:
    """Converts the targets of a file. `notes` collects what a target loses."""

    file: BakeFile
    names: Names
    scope: Scope
    values: Values
    notes: list[Note]

    def section(self, target: Target) -> Section:
        """Return the table of a target."""
        position = self._position(target)
        self.values.row_values.clear()
        entries, without_output = self._without_output(target)
        frozen_rows = self._frozen_rows(target, position)
        entries = [entry for entry in entries if not frozen_rows or entry.name not in ("matrix", "name")]
        pairs = [*frozen_rows, *(pair for entry in entries for pair in self._entry(target, entry, position))]
        pairs += without_output
        return Section(
            path=("targets", self.names.targets[target.name]),
            pairs=tuple(self._with_row_values(target, pairs, position)),
            comments=target.comments,
            trailing=target.trailing,
        )

    def _position(self, target: Target) -> Position:
        key = FrozenKey(block="target", name=target.name)
        matrix = matrix_entry(target)
        if matrix is None:
            return Position(key=key, scope=self.scope, place=target.place)
        rows = row_names(matrix, self.scope)
        plan_names = {name: bound.name for name, bound in rows.items()}
        scope = self.scope.bind(rows)
        row = template_name(ROW, plan_words(scope))
        return Position(key=key, scope=scope, place=target.place, target=target.name, rows=plan_names, row=row)

    def _frozen_rows(self, target: Target, position: Position) -> list[KeyValue]:
        """Return the matrix of a target and the names of its rows, if the plan cannot express the names."""
        name = entry_of(target, "name")
        if name is None or not position.rows:
            return []
        rows = self.values.rows(name, position.below("name", place=name.place))
        if rows is None:
            return []
        matrix, comments = rows
        return [
            KeyValue(key="matrix", value=matrix, comments=Comments(before=comments)),
            KeyValue(key="name", value=f"{{{{ {position.row} }}}}"),
        ]

    def _with_row_values(self, target: Target, pairs: list[KeyValue], position: Position) -> list[KeyValue]:
        """Add the values that are frozen for each row, and give the row's name to the expressions that select them."""
        if not self.values.row_values:
            return pairs
        row = f"{{{{ {position.row} }}}}"
        name = next((pair.value for pair in pairs if pair.key == "name"), target.name)
        local = self.values.row_values if name == row else {position.row: name, **self.values.row_values}
        single = next((pair.value for pair in pairs if pair.key == _LET), Table())
        written = single.pairs if isinstance(single, Table) else ()
        names = (*written, *(KeyValue(key=key, value=local[key]) for key in local))
        let = KeyValue(key=_LET, value=Table(pairs=names))
        pairs = [pair for pair in pairs if pair.key != _LET]
        named = [replace(pair, value=row) if pair.key == "name" else pair for pair in pairs]
        index = next((index for index, pair in enumerate(named) if pair.key == "name"), 0)
        return [*named[:index], let, *named[index:]]

    @cached_property
    def _output_forms(self) -> OutputForms:
        families = ([target, *self._ancestors(target)] for target in self._targets.values())
        return output_forms(families, self.names.untagged)

    @cached_property
    def _targets(self) -> dict[str, Target]:
        return blocks_of(self.file, Target)

    # --- entries ------------------------------------------------------------------------------------------------------

    def _entry(self, target: Target, entry: Entry, position: Position) -> Iterator[KeyValue]:
        """Yield the keys for an attribute of a target."""
        below = position.below(entry.name, place=entry.place)
        if entry.name not in ATTRIBUTES or not ATTRIBUTES[entry.name].is_of_bake:
            self._note(
                NoteKind.IGNORED, f'the target "{target.name}": bake ignores the attribute "{entry.name}"', entry
            )
        elif isinstance(entry.value, Literal) and entry.value.value is None:
            text = f'the target "{target.name}": null means that "{entry.name}" is not written'
            self._note(NoteKind.IGNORED, text, entry)
        elif entry.name == "output":
            yield from self._outputs(target, entry, below)
        elif not (entry.name == "description" and isinstance(entry.value, Literal) and entry.value.value == ""):
            if entry.name == "contexts":
                self.notes.extend(self._broken_links(target, entry))
            expression = _with_entries(entry.name, self._rewritten(entry, below.scope), below.scope)
            if entry.name == "matrix":
                yield self._matrix(expression, entry, below, is_named=entry_of(target, "name") is not None)
            else:
                content = _CONTENTS.get(entry.name) or _CONTENTS_OF_KINDS.get(value_kind(entry.name), Content.VALUE)
                yield self.values.pair(entry.name, expression, below, entry.comments, content)

    def _without_output(self, target: Target) -> tuple[list[Entry], list[KeyValue]]:
        """Return the entries of a target, and the keys that turn off all outputs if the target only makes a report.

        bake then ignores `output`, but a plan must not have it.
        """
        ancestors = self._ancestors(target)
        call = _call(target) or next(filter(None, map(_call, ancestors)), _BUILD)
        if call == _BUILD:
            return list(target.entries), self._inherited_output(target)
        for entry in target.entries:
            if entry.name == "output":
                text = f'the target "{target.name}": bake ignores `output` because of call = "{call}"'
                self._note(NoteKind.IGNORED, text, entry)
        entries = [entry for entry in target.entries if entry.name != "output"]
        outputs = no_outputs(ancestors if _call(target) else (), self._output_forms)
        values: dict[str, Value] = dict.fromkeys(outputs.flags, False)
        if outputs.texts is not None:
            values["output"] = Array()
        return entries, [KeyValue(key=key, value=value) for key, value in values.items()]

    def _inherited_output(self, target: Target) -> list[KeyValue]:
        """Return the keys for a target without `output`, if its parents do not give it the outputs that bake gives it.

        bake refuses to push an image without tags. So a target without tags does not push in the plan, and its children
        with tags push by themselves.
        """
        if entry_of(target, "output"):
            return []
        ancestors = self._ancestors(target)
        if target.name in self.names.untagged:
            outputs = outputs_of(target, ancestors, self._output_forms, untagged=True)
        else:
            source = self._source_of_output(target)
            if source is None or not any(map(self._lacks_push, ancestors)):
                return []
            entries = tuple(entry for entry in source.entries if entry.name == "output")
            outputs = outputs_of(replace(target, entries=entries), ancestors, self._output_forms)
            if outputs is None or not outputs.flags.get("push"):
                return []
        if outputs is None:
            return []
        self.notes.extend(outputs.notes)
        before = tuple(f"bake: {note.text}" for note in outputs.notes)
        push = self._flag("push", outputs.flags["push"], self._position(target))
        return [replace(push, comments=Comments(before=(*before, *push.comments.before)))]

    def _lacks_push(self, target: Target) -> bool:
        """Whether a target turns off a push in the plan, because it has no tags."""
        return target.name in self.names.untagged and self._source_of_output(target) is not None

    def _source_of_output(self, target: Target, visited: frozenset[str] = frozenset()) -> Target | None:
        """Return the target whose `output` a target has: itself, or a parent, as far as the parents are literal."""
        if entry_of(target, "output"):
            return target
        visited |= {target.name}
        for name in reversed([*_possible_parents(target, self._targets)]):
            source = None if name in visited else self._source_of_output(self._targets[name], visited)
            if source:
                return source
        return None

    def _matrix(self, expression: Expression, entry: Entry, position: Position, *, is_named: bool) -> KeyValue:
        """Return a matrix. Its lists cannot use the values of a row.

        Without `name`, bake accepts only a matrix with a single row: its values are names of the target.
        """
        outside = replace(position, scope=self.scope, rows={})
        if not is_named and literal_pairs(expression) is not None:
            pair = self.values.pair(_LET, with_items(expression, _first_item), outside, entry.comments)
        else:
            pair = self.values.pair(entry.name, expression, outside, entry.comments)
        if not isinstance(pair.value, Table):
            return pair
        renamed = (replace(key, key=position.rows.get(key.key, key.key)) for key in pair.value.pairs)
        return replace(pair, value=replace(pair.value, pairs=tuple(renamed)))

    def _outputs(self, target: Target, entry: Entry, position: Position) -> Iterator[KeyValue]:
        """Yield the keys for the output of a target, and those that turn off inherited outputs."""
        is_untagged = target.name in self.names.untagged
        outputs = outputs_of(target, self._ancestors(target), self._output_forms, untagged=is_untagged)
        if outputs is None:
            return
        self.notes.extend(outputs.notes)
        lost = tuple(f"bake: {note.text}" for note in outputs.notes)
        comments = replace(entry.comments, before=(*entry.comments.before, *lost)) if lost else entry.comments
        pairs = [self._flag(flag, value, position) for flag, value in outputs.flags.items()]
        if outputs.texts is not None:
            pairs.append(self.values.pair("output", outputs.texts, position, content=Content.TEXTS))
        if pairs:
            inner = pairs[0].comments
            before = (*comments.before, *inner.before)
            pairs[0] = replace(pairs[0], comments=replace(comments, before=before))
        yield from pairs

    def _flag(self, name: str, value: bool | Expression, position: Position) -> KeyValue:  # noqa: FBT001 - the value
        if isinstance(value, bool):
            return KeyValue(key=name, value=value)
        return self.values.pair(name, as_flag(value, position.scope), position)

    def _rewritten(self, entry: Entry, scope: Scope) -> Expression:
        """Return the value of an entry, in the terms of a plan."""
        value = entry.value
        match entry.name:
            case "inherits":
                return with_items(value, lambda item: with_text(item, self._parent))
            case "contexts":
                return with_items(value, lambda item: with_text(item, self._context))
            case "context":
                return with_result(value, lambda item: with_text(_command_context(item), _local_path))
            case "dockerfile-inline":
                return with_plain_lines(value)
            case name if name in FIELD_LISTS:
                return with_field_texts(name, value)
            case name if name in ATTRIBUTES and value_kind(name) is ValueKind.FLAG:
                return as_flag(value, scope)
            case _:
                return value

    def _parent(self, name: str) -> str:
        return self.names.targets.get(name, f"_{name.lstrip('_')}" if name in self.names.missing else name)

    def _context(self, text: str) -> str:
        if text.startswith(LINK):
            name = text.removeprefix(LINK)
            return LINK + self.names.targets.get(name, name)
        return _local_path(text)

    def _broken_links(self, target: Target, entry: Entry) -> Iterator[Note]:
        """Yield a note for each context that links to a target that no file defines."""
        for key, value in (literal_pairs(entry.value) or {}).items():
            text = value.value if isinstance(value, Literal) else None
            name = text.removeprefix(LINK) if isinstance(text, str) and text.startswith(LINK) else ""
            if name and name not in self.names.targets and not self.names.rows.matches(name):
                text = (
                    f'the target "{name}", to which the context "{key}" of "{target.name}" links: '
                    "import the file that defines it as well, or remove the context"
                )
                yield Note(kind=NoteKind.LOST, text=text, place=value.place)

    def _ancestors(self, target: Target) -> list[Target]:
        """Return the targets that a target may inherit, directly or indirectly."""
        reached: dict[str, Target] = {}
        pending = [target]
        while pending:
            for name in _possible_parents(pending.pop(), self._targets):
                if name not in reached and name != target.name:
                    reached[name] = self._targets[name]
                    pending.append(self._targets[name])
        return list(reached.values())

    def _note(self, kind: NoteKind, text: str, entry: Entry) -> None:
        self.notes.append(Note(kind=kind, text=text, place=entry.place))


def _with_entries(name: str, expression: Expression, scope: Scope) -> Expression:
    """Return the value of an attribute as a list or table with an entry for each that it may have, if possible."""
    if drops_empty_texts(name):
        return sparse_list(expression, scope)
    return sparse_table(expression, scope) if name in _WITHOUT_NULL else expression


def _call(target: Target) -> str:
    """Return the literal `call` of a target, or an empty text."""
    calls = (entry.value.value for entry in target.entries if entry.name == "call" and isinstance(entry.value, Literal))
    return str(next(calls, None) or "").partition(",")[0]


def _first_item(values: Expression) -> Expression:
    match values:
        case ListOf(items=(item,)):
            return item.value
        case _:
            return Index(operand=values, key=Literal(value=0), place=values.place, text=values.text)


def _possible_parents(target: Target, targets: Mapping[str, Target]) -> Iterator[str]:
    for entry in target.entries:
        if entry.name == "inherits":
            for pattern in possible_texts(entry.value):
                literal = literal_name(pattern)
                if literal is None:
                    yield from (name for name in targets if re.fullmatch(pattern, name))
                elif literal in targets:
                    yield literal


def _command_context(expression: Expression) -> Expression:
    """Return `.` for the variable of bake that holds the folder of the command."""
    match expression:
        case Name(name="BAKE_CMD_CONTEXT"):
            return Literal(value=".", place=expression.place, text=expression.text)
        case _:
            return expression


def _local_path(text: str) -> str:
    """Return a path without the marker of bake for the current folder, which is the plan's folder."""
    return (text.removeprefix(_WORKING_FOLDER) or ".") if text.startswith(_WORKING_FOLDER) else text
