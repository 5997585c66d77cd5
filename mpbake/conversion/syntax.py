"""The syntax of a bake file, as frozen values. All formats (HCL, JSON, Compose) are read into these values.

Every expression has its place in a file, and its text as written there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A position in a bake file. `line` and `column` count from 1; 0 means unknown."""

    file: str
    line: int = 0
    column: int = 0


NOWHERE = Place(file="")


@dataclass(frozen=True, kw_only=True, slots=True)
class Comments:
    """The comments of an entry, without comment markers, one text for each line.

    `before` are the lines above the entry; an empty text is an empty line between two comments, and a space is a
    comment without text. `after` is the comment at the end of the entry's first or last line.
    """

    before: tuple[str, ...] = ()
    after: str = ""


NO_COMMENTS = Comments()


# --- expressions ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class _Expression:
    """`text` is the expression as written in the file. Two expressions are equal if they mean the same."""

    place: Place = field(default=NOWHERE, compare=False)
    text: str = field(default="", compare=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Literal(_Expression):
    """A string without templates, a number, a boolean or null. Escapes are resolved: `$${` is `${`."""

    value: str | int | float | bool | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Name(_Expression):
    """A variable, a parameter, a loop variable, or the first part of a reference such as `target.web.tags`."""

    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Template(_Expression):
    """A string with at least one `${…}` or `%{…}`. Literal strings and expressions alternate as they are written."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class TemplateIf(_Expression):
    """`%{ if condition }…%{ else }…%{ endif }` in a template. `otherwise` is an empty literal without `else`."""

    condition: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, kw_only=True, slots=True)
class TemplateFor(_Expression):
    """`%{ for key, value in collection }…%{ endfor }` in a template. Without a key, `key` is empty."""

    key: str
    value: str
    collection: Expression
    body: Expression


@dataclass(frozen=True, kw_only=True, slots=True)
class Attribute(_Expression):
    """`operand.name`."""

    operand: Expression
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Index(_Expression):
    """`operand[key]`, also written `operand.0`."""

    operand: Expression
    key: Expression


@dataclass(frozen=True, kw_only=True, slots=True)
class Splat(_Expression):
    """`operand[*].rest` or `operand.*.rest`. `each` is the rest, applied to `Name(name=SPLAT_ITEM)`."""

    operand: Expression
    each: Expression


SPLAT_ITEM = "*"
"""The name of one item of the list in `Splat.each`. No other name in a bake file contains this character."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call(_Expression):
    """`function(arguments)`. With `expand`, the last argument is a list of arguments (`…`)."""

    function: str
    arguments: tuple[Expression, ...]
    expand: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Unary(_Expression):
    """`!operand` or `-operand`."""

    operator: str
    operand: Expression


@dataclass(frozen=True, kw_only=True, slots=True)
class Binary(_Expression):
    """`left operator right`, with one of `|| && == != < > <= >= + - * / %`."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditional(_Expression):
    """`condition ? then : otherwise`."""

    condition: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """An item of a list, with its comments."""

    value: Expression
    comments: Comments = field(default=NO_COMMENTS, compare=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class ListOf(_Expression):
    """`[a, b]`. `trailing` are the comments before the closing bracket."""

    items: tuple[Item, ...]
    trailing: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """An entry of an object, with its comments. The key of `name = value` is a `Literal`."""

    key: Expression
    value: Expression
    comments: Comments = field(default=NO_COMMENTS, compare=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectOf(_Expression):
    """`{ a = 1, (key) = 2 }`. `trailing` are the comments before the closing brace."""

    pairs: tuple[Pair, ...]
    trailing: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class ForList(_Expression):
    """`[for key, value in collection: result if condition]`. Without a key, `key` is empty."""

    key: str
    value: str
    collection: Expression
    result: Expression
    condition: Expression | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ForObject(_Expression):
    """`{for key, value in collection: result_key => result if condition}`. With `grouped`, equal keys make lists."""

    key: str
    value: str
    collection: Expression
    result_key: Expression
    result: Expression
    condition: Expression | None = None
    grouped: bool = False


Expression: TypeAlias = (
    Literal
    | Name
    | Template
    | TemplateIf
    | TemplateFor
    | Attribute
    | Index
    | Splat
    | Call
    | Unary
    | Binary
    | Conditional
    | ListOf
    | ObjectOf
    | ForList
    | ForObject
)


# --- the file ---------------------------------------------------------------------------------------------------------


class Format(StrEnum):
    """The format of an input file."""

    HCL = "hcl"
    JSON = "json"
    COMPOSE = "compose"


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """An attribute `name = value` of a block. A block in a target, such as `args { … }`, is an entry, too."""

    name: str
    value: Expression
    place: Place = NOWHERE
    comments: Comments = NO_COMMENTS


@dataclass(frozen=True, kw_only=True, slots=True)
class Validation:
    """A `validation` block of a variable."""

    condition: Expression
    error_message: Expression | None = None
    place: Place = NOWHERE
    comments: Comments = NO_COMMENTS


@dataclass(frozen=True, kw_only=True, slots=True)
class Variable:
    """A `variable` block. A `constant` is an attribute at the top level: the environment cannot change its value.

    `type` is a type expression, such as `list(string)`. `env` is the environment variable that sets the value, if it is
    not `name`: another variable has that name.
    """

    name: str
    default: Expression | None = None
    type: Expression | None = None
    description: Expression | None = None
    validations: tuple[Validation, ...] = ()
    constant: bool = False
    env: str = ""
    place: Place = NOWHERE
    comments: Comments = NO_COMMENTS


@dataclass(frozen=True, kw_only=True, slots=True)
class Function:
    """A `function` block. `variadic` is the name of `variadic_params`, or empty."""

    name: str
    params: tuple[str, ...]
    result: Expression
    variadic: str = ""
    place: Place = NOWHERE
    comments: Comments = NO_COMMENTS


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """A `group` block."""

    name: str
    targets: Expression
    description: Expression | None = None
    place: Place = NOWHERE
    comments: Comments = NO_COMMENTS


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A `target` block, with all attributes as written: also `inherits`, `matrix` and `name`.

    `trailing` are the comments before the closing brace.
    """

    name: str
    entries: tuple[Entry, ...]
    place: Place = NOWHERE
    comments: Comments = NO_COMMENTS
    trailing: tuple[str, ...] = ()


Block: TypeAlias = Variable | Function | Group | Target


@dataclass(frozen=True, kw_only=True, slots=True)
class Ignored:
    """A part of an input file that bake ignores, such as an unknown block or a key of a Compose service."""

    what: str
    place: Place


@dataclass(frozen=True, kw_only=True, slots=True)
class BakeFile:
    """One input file: its blocks in order, and the comments at its end.

    Comments at the top that are separated from the first block by an empty line are `heading`. `required` are the
    environment variables that bake requires although no block uses them: a Compose file can demand some for containers.
    `mentioned` are those that it only inserts there, such as the folder of a volume: bake refuses some empty values.
    """

    path: str
    format: Format
    blocks: tuple[Block, ...]
    heading: tuple[str, ...] = ()
    trailing: tuple[str, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    required: tuple[str, ...] = ()
    mentioned: tuple[str, ...] = ()
