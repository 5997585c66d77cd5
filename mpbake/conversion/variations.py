"""Choose other values for the variables of a bake file, for the proof that a plan follows each of them. Pure."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from mpbake.conversion.secret_names import looks_secret
from mpbake.conversion.syntax import (
    Attribute,
    BakeFile,
    Binary,
    Call,
    Conditional,
    Expression,
    Index,
    ListOf,
    Literal,
    Name,
    ObjectOf,
    Target,
    Template,
    Variable,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_MOST_COMPARED = 2
"""The maximum number of values of one variable that come from comparisons in the file."""
_FEW = 20
"""The number of variables that all get the empty text and another text."""
_NOT_SETTABLE = frozenset({"BAKE_CMD_CONTEXT", "BAKE_LOCAL_PLATFORM"})
"""The variables that bake sets itself."""
_DEBUG = "DEBUG"
"""A variable that docker sets to `1` if it has any other value that is not empty."""
_UNRELATED = "another"
"""The other text for a secret: the report prints values, so no value may be made from a secret."""
_LAST_NUMBER = re.compile(r"\d+(?!.*\d)")
_OPPOSITES = {
    "true": "false",
    "false": "true",
    "1": "0",
    "0": "1",
    "yes": "no",
    "no": "yes",
    "linux/amd64": "linux/arm64",
    "linux/arm64": "linux/amd64",
}
_COMPARISONS = frozenset({"==", "!="})
_COMPARING = frozenset({"equal", "notequal", "contains", "index"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Variation:
    """A value for one variable of a bake file, as text in the environment.

    Without a variable: tags and labels for the targets that docker/metadata-action fills in CI.
    """

    variable: str = ""
    value: str = ""


def variations(file: BakeFile, environment: Mapping[str, str]) -> tuple[Variation, ...]:
    """Return other values for each variable that the environment can set, in the order of the variables.

    The values follow the type of the variable: another text, also the empty one; the other flag; the next number.
    Values with which the file compares a variable come first. In a file with many variables, only those that it
    compares with the empty text get the empty text, and those that it compares with texts get no other text.
    `environment` has the present values.
    """
    compared = _compared_values(file)
    variables = [block for block in file.blocks if isinstance(block, Variable) and is_settable(block)]
    are_few = len(variables) <= _FEW
    return tuple(
        Variation(variable=variable.name, value=value)
        for variable in variables
        for value in _other_values(
            variable, environment.get(variable.name), compared.get(variable.name, ()), with_other=are_few
        )
        if value or are_few or "" in compared.get(variable.name, ())
    )


def is_settable(variable: Variable) -> bool:
    """Whether the environment can set a variable under its name: no constant, and none that bake sets."""
    return not variable.constant and not variable.env and variable.name not in _NOT_SETTABLE


def needed_values(file: BakeFile, environment: Mapping[str, str]) -> tuple[Variation, ...]:
    """Return a value for each variable without one, such as a tag that every run must set.

    A default with blanks or angle brackets is no value, but says what the value is. The value is the first literal with
    which the file compares the variable, a platform for a variable in `platforms`, or any text.
    """
    compared = _compared_values(file)
    platforms = _platform_names(file)
    values = {name: "other" for name in file.required if not environment.get(name)}
    for variable in file.blocks:
        if not isinstance(variable, Variable) or not is_settable(variable) or environment.get(variable.name):
            continue
        default = _default_text(variable)
        is_unset = variable.default in (None, _EMPTY, _NULL) or (default and _PLACEHOLDER.search(default))
        if is_unset and _kind(variable):
            likely = (*compared.get(variable.name, ()), *([_PLATFORM] if variable.name in platforms else []))
            values[variable.name] = next(iter(_other_values(variable, "", likely, with_other=False)))
    return tuple(Variation(variable=name, value=value) for name, value in values.items())


_ON = "1"
_PLACEHOLDER = re.compile(r"[\s<>]")
_EMPTY, _NULL = Literal(value=""), Literal(value=None)
_PLATFORM = "linux/amd64"


def _other_values(variable: Variable, present: str | None, compared: Iterable[str], *, with_other: bool) -> list[str]:
    """Return other values of a variable; `compared` are the literals with which the file compares it.

    `with_other`: also a text that is none of them.
    """
    kind = _kind(variable)
    current = _default_text(variable) if present is None else present
    match kind:
        case "bool":
            values = ["false" if current == "true" else "true"]
        case "number":
            values = [*_likely(compared, current), _next_number(current)]
        case "string":
            likely = _likely(compared, current)
            other = _UNRELATED if current and looks_secret(variable.name) else _other_text(current)
            values = [*likely, *([other] if with_other or not likely else []), "" if current else other]
        case "list":
            values = ["first", "first,second"]
        case _:
            values = []
    if variable.name == _DEBUG:
        values = [_ON if value else "" for value in values if (kind, value) != ("bool", "false")]
    return [value for value in dict.fromkeys(values) if value != current]


def _likely(compared: Iterable[str], current: str) -> list[str]:
    """Return the first values with which the file compares a variable, without the present one and the empty text."""
    return [value for value in compared if value not in {current, ""}][:_MOST_COMPARED]


def _kind(variable: Variable) -> str:
    """Return the type of a variable that the environment can set: `string`, `number`, `bool` or `list`; else empty.

    Without a type, the default decides. bake takes no list and no table without a declared type from the environment.
    """
    match variable.type:
        case Name(name="string" | "number" | "bool" as name):
            return name
        case Call(function="list" | "set", arguments=(Name(name="string"),)):
            return "list"
        case None:
            pass
        case _:
            return ""
    match variable.default:
        case Literal(value=bool()):
            return "bool"
        case Literal(value=int() | float()):
            return "number"
        case None | Literal() | Template() | Name() | Call() | Conditional() | Attribute() | Index():
            return "string"
        case Binary(operator=operator):
            return "number" if operator in {"+", "-", "*", "/", "%"} else "bool"
        case _:
            return ""


def _default_text(variable: Variable) -> str:
    match variable.default:
        case Literal(value=bool() as flag):
            return "true" if flag else "false"
        case Literal(value=str() | int() | float() as value):
            return str(value)
        case _:
            return ""


def _next_number(text: str) -> str:
    try:
        return str(int(text) + 1)
    except ValueError:
        return "7"


def _other_text(text: str) -> str:
    """Return another text of the same form: a version keeps its dots, a platform is another platform."""
    if text in _OPPOSITES:
        return _OPPOSITES[text]
    match = _LAST_NUMBER.search(text)
    if match and len(match.group()) < 5:
        return f"{text[: match.start()]}{int(match.group()) + 1}{text[match.end() :]}"
    return f"{text}2" if text else "other"


def _compared_values(file: BakeFile) -> dict[str, tuple[str, ...]]:
    """Return the literals with which the file compares each name, in their order."""
    values: dict[str, dict[str, None]] = {}
    for expression in _expressions(file.blocks):
        match expression:
            case Binary(operator=operator, left=left, right=right) if operator in _COMPARISONS:
                operands: tuple[Expression, ...] = (left, right)
            case Call(function=function, arguments=arguments) if function in _COMPARING:
                operands = arguments
            case Call(function="lookup", arguments=(table, key, *_)) | Index(operand=table, key=key):
                operands = (table, key)
            case _:
                continue
        literals = [text for operand in operands for text in _literals(operand)]
        for name in _names(operands):
            values.setdefault(name, {}).update(dict.fromkeys(literals))
    return {name: tuple(literals) for name, literals in values.items()}


def _platform_names(file: BakeFile) -> frozenset[str]:
    """Return the variables that are a platform of a target as a whole."""
    entries = (entry for block in file.blocks if isinstance(block, Target) for entry in block.entries)
    lists = (entry.value for entry in entries if entry.name == "platforms")
    values = [item.value for value in lists if isinstance(value, ListOf) for item in value.items]
    parts = (value.parts[0] if isinstance(value, Template) and len(value.parts) == 1 else value for value in values)
    return frozenset(part.name for part in parts if isinstance(part, Name))


def _names(operands: Iterable[Expression]) -> Iterator[str]:
    yield from (operand.name for operand in operands if isinstance(operand, Name))


def _literals(expression: Expression) -> Iterator[str]:
    """Yield the texts of a literal, or of the literals in a list, or of the keys of a table."""
    match expression:
        case Literal(value=bool() as flag):
            yield "true" if flag else "false"
        case Literal(value=str() | int() | float() as value):
            yield str(value)
        case ListOf(items=items):
            for item in items:
                yield from _literals(item.value)
        case ObjectOf(pairs=pairs):
            for pair in pairs:
                yield from _literals(pair.key)
        case _:
            return


def _expressions(value: Any) -> Iterator[Expression]:
    """Yield all expressions in a part of a bake file, outer expressions first."""
    queue = deque([value])
    while queue:
        part = queue.popleft()
        if isinstance(part, Expression):
            yield part
        if isinstance(part, tuple):
            queue.extend(part)
        elif is_dataclass(part):
            queue.extend(getattr(part, entry.name) for entry in fields(part))
