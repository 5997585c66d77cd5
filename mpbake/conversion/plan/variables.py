"""Variables of a bake file as variables of a plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpbake.conversion.plan.conversion import FrozenKey, Note, NoteKind
from mpbake.conversion.plan.rewriting.preparation import LOCAL_PLATFORM
from mpbake.conversion.plan.text.document import KeyValue, Table, Value, as_value
from mpbake.conversion.plan.validations import Subject, constraints_of, merged_constraints
from mpbake.conversion.plan.values import NONE, Content, Position
from mpbake.conversion.syntax import Comments, Expression, ListOf, Literal, Variable
from mpbake.conversion.translation import Kind, Type, type_of_constraint

if TYPE_CHECKING:
    from mpbake.conversion.plan.values import Values
    from mpbake.conversion.syntax import Place
    from mpbake.conversion.translation import Bound, Scope

_MACHINE_PLATFORM = "{{ machine_platform() | replace('arm64', 'arm64/v8') }}"
_TYPE_NAMES = {
    Kind.STRING: "string",
    Kind.NUMBER: "int",
    Kind.BOOL: "bool",
    Kind.LIST: "list",
    Kind.SET: "list",
    Kind.TUPLE: "list",
    Kind.MAP: "map",
    Kind.OBJECT: "map",
}


@dataclass(frozen=True, kw_only=True)
class VariableConverter:
    """Converts the variables of a file. `notes` collects what the plan cannot check.

    `unchecked` collects the places of the conditions among this.
    """

    scope: Scope
    values: Values
    notes: list[Note]
    unchecked: list[Place]

    def pair(self, variable: Variable) -> KeyValue:
        """Return the declaration of a variable: its value alone, or a table."""
        bound = self.scope.names[variable.name]
        position = Position(
            key=FrozenKey(block="variable", name=variable.name, path=("default",)),
            scope=self.scope,
            place=variable.place,
        )
        default = self._default(variable, position)
        table = {"default": default.value}
        type_name = _type_name(variable, bound, default.value)
        if type_name:
            table = {"type": type_name, **table}
        if _comes_from_environment(variable, bound.type):
            table["env"] = variable.env or variable.name
        if isinstance(variable.description, Literal) and variable.description.value:
            table["description"] = str(variable.description.value)
        constraints, lines = self._constraints(variable, bound)
        table |= {key: as_value(value) for key, value in constraints.items()}
        before = (*variable.comments.before, *default.comments.before, *lines)
        comments = Comments(before=before, after=variable.comments.after or default.comments.after)
        return KeyValue(key=bound.name, value=_short(table), comments=comments)

    def _default(self, variable: Variable, position: Position) -> KeyValue:
        if variable.name == LOCAL_PLATFORM:
            return KeyValue(key="default", value=_MACHINE_PLATFORM)
        if variable.default is None:
            return KeyValue(key="default", value=NONE if variable.type is not None else "")
        declared = None if variable.type is None else type_of_constraint(variable.type)
        default, content = _converted(variable.default, declared)
        return self.values.pair("default", default, position, content=content)

    def _constraints(self, variable: Variable, bound: Bound) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return the constraints of a variable, and comments with the conditions that the plan cannot check."""
        subject = Subject(
            name=variable.name,
            is_text=bound.type.kind is Kind.STRING,
            is_whole=bound.type.kind is Kind.NUMBER and not _is_fraction(variable.default),
        )
        known = [constraints_of(validation.condition, subject) for validation in variable.validations]
        merged, left_over = merged_constraints([constraint for constraint in known if constraint is not None])
        fitting = [index for index, constraint in enumerate(known) if constraint is not None]
        lost = {index for index, constraint in enumerate(known) if constraint is None} | {fitting[i] for i in left_over}
        lines = []
        for index, validation in enumerate(variable.validations):
            lines += [line for line in validation.comments.before if line]
            if index in lost:
                condition = " ".join(validation.condition.text.split())
                lines.append(f"bake checks: {condition}")
                text = f'mpbake cannot check the validation of "{variable.name}": {condition}'
                self.notes.append(Note(kind=NoteKind.LOST, text=text, place=validation.place))
                self.unchecked.append(validation.condition.place)
        return merged, tuple(lines)


def _comes_from_environment(variable: Variable, type_: Type) -> bool:
    """Whether bake takes the value from the environment. It refuses to do so for a list or object without `type`."""
    return not variable.constant and (variable.type is not None or not (type_.is_sequence or type_.is_table))


def _is_fraction(default: Expression | None) -> bool:
    return isinstance(default, Literal) and isinstance(default.value, float) and default.value != int(default.value)


def _converted(default: Expression, declared: Type | None) -> tuple[Expression, Content]:
    """Return a default as a value of the declared type, as far as it is literal, and what it must give."""
    kind = declared.kind if declared else Kind.ANY
    match default:
        case Literal(value=str() as text) if kind is Kind.NUMBER:
            return Literal(value=float(text), place=default.place, text=default.text), Content.VALUE
        case Literal(value="true" | "false" as text) if kind is Kind.BOOL:
            return Literal(value=text == "true", place=default.place, text=default.text), Content.VALUE
        case ListOf() if kind is Kind.SET:
            return _as_set(default), Content.VALUE
    if kind is Kind.STRING:
        return default, Content.TEXT
    element = declared.element if declared else None
    return default, Content.TEXTS if element and element.kind is Kind.STRING else Content.VALUE


def _as_set(items: ListOf) -> ListOf:
    """Return a literal list as bake orders a set: sorted, each item once."""
    if not all(isinstance(item.value, Literal) and isinstance(item.value.value, str) for item in items.items):
        return items
    by_text = {str(item.value.value): item for item in items.items if isinstance(item.value, Literal)}
    return ListOf(
        items=tuple(by_text[text] for text in sorted(by_text)),
        trailing=items.trailing,
        place=items.place,
        text=items.text,
    )


def _type_name(variable: Variable, bound: Bound, default: Value) -> str:
    """Return the type that the plan must name, or an empty text if the default implies it."""
    kind = bound.type.kind
    if kind is Kind.STRING or kind not in _TYPE_NAMES or variable.constant or not isinstance(default, str):
        return ""
    keeps_type = default != NONE and default.startswith("{{") and default.endswith("}}")
    return "" if keeps_type else _TYPE_NAMES[kind]


def _short(table: dict[str, Value]) -> Value:
    """Return the short form of a variable if it only has a default that is no table."""
    if table.keys() == {"default"} and not isinstance(table["default"], Table):
        return table["default"]
    return Table(pairs=tuple(KeyValue(key=key, value=value) for key, value in table.items()))
