"""Convert a bake file to a plan: the order of its tables, and the notes on what differs."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mpbake.conversion.plan.blocks import blocks_of
from mpbake.conversion.plan.conversion import Conversion, FrozenKey, Note, NoteKind
from mpbake.conversion.plan.naming.names import plan_names
from mpbake.conversion.plan.naming.scopes import parameters, plan_scope
from mpbake.conversion.plan.rewriting.list_functions import list_functions
from mpbake.conversion.plan.rewriting.preparation import prepared
from mpbake.conversion.plan.rewriting.references import with_items, with_text
from mpbake.conversion.plan.targets import TargetConverter
from mpbake.conversion.plan.text.banners import section_of_list, with_title_of_first_part
from mpbake.conversion.plan.text.document import Array, Document, KeyValue, Section, Table, Value, as_value
from mpbake.conversion.plan.text.writer import document_text
from mpbake.conversion.plan.values import Content, Position, Values
from mpbake.conversion.plan.variables import VariableConverter
from mpbake.conversion.syntax import BakeFile, Comments, Expression, Function, Group, ListOf, Literal, Target, Variable
from mpbake.conversion.translation import sparse_list

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mpbake.conversion.plan.naming.names import Names
    from mpbake.conversion.syntax import Place
    from mpbake.conversion.translation import Scope

_VERSION = Section(path=(), pairs=(KeyValue(key="version", value=1),))
_TIME = re.compile(r"\{[{%](?:(?![}%]\}).)*?(?<!\| )\btimestamp\(", re.DOTALL)
"""A call of the function in a template. The filter of the same name gets the time as its input."""
_FROM_ANOTHER_FILE = "Its values come from another file, such as -f meta.json of docker/metadata-action."


def convert(file: BakeFile, frozen: Mapping[FrozenKey, Any] | None = None) -> Conversion:
    """Return the plan of a bake file.

    `frozen` are the values of the expressions that the plan language cannot express. The result lists these
    expressions. As long as the value of one is missing, the plan has an empty text instead.
    """
    file, notes = prepared(with_title_of_first_part(file))
    names = plan_names(file)
    converter = _Converter(file, names, Values(known=frozen or {}))
    text = document_text(converter.document())
    buildable = {name: plan_name for name, plan_name in names.targets.items() if name not in names.templates}
    return Conversion(
        text=text,
        targets=buildable,
        templates={name: names.targets[name] for name in names.targets if name in names.templates},
        groups=names.groups,
        variables=names.variables,
        frozen=tuple(converter.values.frozen),
        notes=(*notes, *converter.notes),
        unchecked=tuple(converter.unchecked),
        uses_time=bool(_TIME.search(text)),
    )


class _Converter:
    """Converts the blocks of a file, and collects notes."""

    def __init__(self, file: BakeFile, names: Names, values: Values) -> None:
        self._file = file
        self._names = names
        self._scope: Scope = plan_scope(file, names)
        self._list_functions = list_functions(file)
        self.values = values
        self.unchecked: list[Place] = []
        self.notes = [*names.notes, *_ignored(file)]

    def document(self) -> Document:
        """Return the whole plan."""
        sections = [_VERSION, *self._variables(), *self._functions(), *self._groups(), *self._targets()]
        return Document(heading=self._file.heading, sections=tuple(sections), trailing=self._file.trailing)

    def _variables(self) -> Iterator[Section]:
        converter = VariableConverter(scope=self._scope, values=self.values, notes=self.notes, unchecked=self.unchecked)
        pairs = [converter.pair(variable) for variable in blocks_of(self._file, Variable).values()]
        if pairs:
            yield section_of_list("variables", pairs)

    def _functions(self) -> Iterator[Section]:
        for name, function in blocks_of(self._file, Function).items():
            if name in self._scope.functions:
                yield self._function(function)
            else:
                text = f'the plan cannot express the function "{name}": its calls are evaluated'
                self.notes.append(Note(kind=NoteKind.LOST, text=text, place=function.place))

    def _function(self, function: Function) -> Section:
        bound = parameters(function, self._scope)
        position = Position(
            key=FrozenKey(block="function", name=function.name, path=("result",)),
            scope=self._scope.bind(bound),
            place=function.place,
        )
        pairs = []
        if function.params:
            pairs.append(KeyValue(key="params", value=as_value([bound[name].name for name in function.params])))
        if function.variadic:
            pairs.append(KeyValue(key="variadic-param", value=bound[function.variadic].name))
        is_list = function.name in self._list_functions
        result = sparse_list(function.result, position.scope) if is_list else function.result
        pairs.append(self.values.pair("result", result, position))
        path = ("functions", self._names.functions[function.name])
        return Section(path=path, pairs=tuple(pairs), comments=function.comments)

    def _groups(self) -> Iterator[Section]:
        pairs = [self._group(group) for group in blocks_of(self._file, Group).values()]
        if pairs:
            yield section_of_list("groups", pairs)

    def _group(self, group: Group) -> KeyValue:
        members = self._names.members
        known, unknown = self._known_members(group)
        targets = with_items(known, lambda item: with_text(item, lambda name: members.get(name, name)))
        position = Position(
            key=FrozenKey(block="group", name=group.name, path=("targets",)), scope=self._scope, place=group.place
        )
        pair = self.values.pair("targets", targets, position, content=Content.TEXTS)
        value: Value = pair.value
        if isinstance(group.description, Literal) and group.description.value:
            description = KeyValue(key="description", value=str(group.description.value))
            value = Table(pairs=(KeyValue(key="targets", value=pair.value), description))
        elif not isinstance(value, Array):
            value = Table(pairs=(KeyValue(key="targets", value=value),))
        before = (*group.comments.before, *unknown, *pair.comments.before)
        return KeyValue(
            key=self._names.groups[group.name],
            value=value,
            comments=Comments(before=before, after=group.comments.after),
        )

    def _known_members(self, group: Group) -> tuple[Expression, list[str]]:
        """Return the members of a group that exist, and comments about the others."""
        if not isinstance(group.targets, ListOf):
            return group.targets, []
        items = group.targets.items
        unknown = [item for item in items if _is_unknown(item.value, self._names)]
        lines = [f"bake: {item.value.text} is neither a target nor a group" for item in unknown]
        for item, line in zip(unknown, lines, strict=True):
            text = f'the group "{group.name}" lists {line.removeprefix("bake: ").replace(" is n", ", which is n", 1)}'
            self.notes.append(Note(kind=NoteKind.LOST, text=text, place=item.value.place))
        return replace(group.targets, items=tuple(item for item in items if item not in unknown)), lines

    def _targets(self) -> Iterator[Section]:
        for name in self._names.missing:
            comments = Comments(before=(_FROM_ANOTHER_FILE,))
            yield Section(path=("targets", f"_{name.lstrip('_')}"), comments=comments)
        converter = TargetConverter(
            file=self._file, names=self._names, scope=self._scope, values=self.values, notes=self.notes
        )
        for target in blocks_of(self._file, Target).values():
            yield converter.section(target)


def _is_unknown(member: Expression, names: Names) -> bool:
    return isinstance(member, Literal) and bool(member.value) and not names.is_known(str(member.value))


def _ignored(file: BakeFile) -> Iterator[Note]:
    for part in file.ignored:
        yield Note(kind=NoteKind.IGNORED, text=f"bake ignores {part.what}", place=part.place)
