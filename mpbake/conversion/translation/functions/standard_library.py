"""The functions of bake's standard library, and how a plan writes each of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from mpbake.conversion.translation.code import Code, Level
from mpbake.conversion.translation.functions import lists, texts
from mpbake.conversion.translation.functions.conversions import converted
from mpbake.conversion.translation.operators import both, calculated, compared, either, equal, minus, negated, ordered
from mpbake.conversion.translation.types import ANY, BOOL, NUMBER, STRING, Type, list_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_STRINGS = list_of(STRING)


@dataclass(frozen=True, kw_only=True, slots=True)
class StandardFunction:
    """A function of bake.

    `params` are the types to which bake converts the arguments; the last `optional` of them can be left out. `rest` is
    the type of further arguments. Either `form` is the text in a template, or `write` makes it; a function without
    both has no form in a plan, for the `reason`.
    """

    params: tuple[Type, ...] = ()
    optional: int = 0
    rest: Type | None = None
    form: str = ""
    level: Level = Level.FILTER
    result: Type = ANY
    write: Callable[..., Code] | None = None
    reason: str = ""

    def code(self, arguments: Sequence[Code]) -> Code:
        """Return a call with these arguments. Raises ValueError if a plan cannot express the call."""
        if self.reason:
            raise ValueError(self.reason)
        if not len(self.params) - self.optional <= len(arguments) or (
            self.rest is None and len(arguments) > len(self.params)
        ):
            msg = "the number of arguments is wrong"
            raise ValueError(msg)
        types = [*self.params, *[self.rest or ANY] * len(arguments)]
        values = [converted(code, type_) for code, type_ in zip(arguments, types, strict=False)]
        if self.write is not None:
            return self.write(*values)
        return Code(text=self.form.format(*values), level=self.level, type=self.result)


def _filter(form: str, result: Type = STRING, params: tuple[Type, ...] = (STRING,)) -> StandardFunction:
    """Return a function that is a filter in a plan."""
    return StandardFunction(params=params, form=form, result=result)


def _method(form: str, result: Type = STRING, params: tuple[Type, ...] = (STRING, STRING)) -> StandardFunction:
    """Return a function that is a call in a plan."""
    return StandardFunction(params=params, form=form, level=Level.PRIMARY, result=result)


def _written(write: Callable[..., Code], *params: Type, rest: Type | None = None) -> StandardFunction:
    return StandardFunction(params=params, rest=rest, write=write)


def _absent(reason: str) -> StandardFunction:
    return StandardFunction(rest=ANY, reason=reason)


def _contained(values: Code, value: Code) -> Code:
    return compared(f"{value:compare}", "in", values.searched or f"{values:compare}")


def _length(values: Code) -> Code:
    counted = Code(text=values.counted, level=Level.FILTER) if values.counted else values
    return Code(text=f"{counted:filter} | length", level=Level.FILTER, type=NUMBER)


def _joined(separator: Code, *values: Code) -> Code:
    items = lists.concatenated_lists(*values)
    argument = "" if separator.constant == "" else f"({separator.text})"
    return Code(text=f"{items:filter} | join{argument}", level=Level.FILTER, type=STRING)


def _json(value: Code) -> Code:
    if re.search("[<>&]", value.text):
        msg = "bake writes <, > and & as escapes in JSON"
        raise ValueError(msg)
    return Code(text=f"{value:filter} | json", level=Level.FILTER, type=STRING)


def _reversed_list(values: Code) -> Code:
    type_ = values.type
    result = replace(type_, items=tuple(reversed(type_.items))) if type_.is_sequence else ANY
    return Code(text=f"{values:filter} | reverse | list", level=Level.FILTER, type=result)


def _slice(values: Code, start: Code, end: Code) -> Code:
    first = "" if start.constant == 0 else start.text
    return Code(text=f"{values:primary}[{first}:{end.text}]", type=list_of(values.type.contents))


_NOT_FOUND = "the plan language has no form of it"

STANDARD_LIBRARY: Mapping[str, StandardFunction] = {
    # conditions
    "and": _written(both, BOOL, BOOL),
    "or": _written(either, BOOL, BOOL),
    "not": _written(negated, BOOL),
    "equal": _written(equal, ANY, ANY),
    "notequal": _written(lambda left, right: negated(equal(left, right)), ANY, ANY),
    "lessthan": _written(partial(ordered, "<"), NUMBER, NUMBER),
    "lessthanorequalto": _written(partial(ordered, "<="), NUMBER, NUMBER),
    "greaterthan": _written(partial(ordered, ">"), NUMBER, NUMBER),
    "greaterthanorequalto": _written(partial(ordered, ">="), NUMBER, NUMBER),
    "coalesce": _written(lists.first_value, rest=ANY),
    # numbers
    "absolute": _filter("{0:filter} | abs", NUMBER, (NUMBER,)),
    "add": _written(partial(calculated, "+"), NUMBER, NUMBER),
    "ceil": _filter("{0:filter} | round(0, 'ceil') | int", NUMBER, (NUMBER,)),
    "divide": _written(partial(calculated, "/"), NUMBER, NUMBER),
    "floor": _filter("{0:filter} | round(0, 'floor') | int", NUMBER, (NUMBER,)),
    "int": _filter("{0:filter} | int", NUMBER, (NUMBER,)),
    "log": _absent(_NOT_FOUND),
    "max": _written(partial(lists.extreme, "max"), rest=NUMBER),
    "min": _written(partial(lists.extreme, "min"), rest=NUMBER),
    "modulo": _written(partial(calculated, "%"), NUMBER, NUMBER),
    "multiply": _written(partial(calculated, "*"), NUMBER, NUMBER),
    "negate": _written(minus, NUMBER),
    "parseint": _written(lists.parsed_number, STRING, NUMBER),
    "pow": _written(lists.power, NUMBER, NUMBER),
    "signum": _written(lists.sign, NUMBER),
    "subtract": _written(partial(calculated, "-"), NUMBER, NUMBER),
    # texts
    "basename": _filter("{0:filter} | basename"),
    "chomp": _method("{0:primary}.rstrip('\\r\\n')", params=(STRING,)),
    "dirname": _filter("{0:filter} | dirname"),
    "format": _written(texts.formatted, STRING, rest=ANY),
    "indent": _written(texts.indented, NUMBER, STRING),
    "join": _written(_joined, STRING, rest=ANY),
    "lower": _filter("{0:filter} | lower"),
    "regex": _written(texts.searched, STRING, STRING),
    "regex_replace": _written(texts.replaced_pattern, STRING, STRING, STRING),
    "regexall": _written(texts.searched_all, STRING, STRING),
    "replace": _filter("{0:filter} | replace({1}, {2})", params=(STRING, STRING, STRING)),
    "reverse": _filter("{0:filter} | reverse"),
    "sanitize": _filter("{0:filter} | regex_replace('[^A-Za-z0-9_-]', '_')"),
    "semvercmp": _absent("semver takes only complete versions and compares prereleases in another way"),
    "split": _written(texts.split_text, STRING, STRING),
    "strlen": _filter("{0:filter} | length", NUMBER),
    "substr": _written(texts.substring, STRING, NUMBER, NUMBER),
    "title": _written(texts.titled, STRING),
    "trim": _filter("{0:filter} | trim({1})", params=(STRING, STRING)),
    "trimprefix": _method("{0:primary}.removeprefix({1})"),
    "trimspace": _filter("{0:filter} | trim"),
    "trimsuffix": _method("{0:primary}.removesuffix({1})"),
    "upper": _filter("{0:filter} | upper"),
    # encodings and digests
    "base64decode": _filter("{0:filter} | from_base64"),
    "base64encode": _filter("{0:filter} | base64"),
    "bcrypt": _absent("its result is random"),
    "csvdecode": _absent(_NOT_FOUND),
    "jsondecode": _filter("{0:filter} | from_json", ANY),
    "jsonencode": _written(_json, ANY),
    "md5": _filter("{0:filter} | md5"),
    "rsadecrypt": _absent(_NOT_FOUND),
    "sha1": _filter("{0:filter} | sha1"),
    "sha256": _filter("{0:filter} | sha256"),
    "sha512": _filter("{0:filter} | sha512"),
    "urlencode": _filter("{0:filter} | urlencode | replace('/', '%2F') | replace('%20', '+')"),
    "uuidv4": _absent("its result is random"),
    "uuidv5": _filter("{1:filter} | uuid5({0})", params=(STRING, STRING)),
    # lists
    "chunklist": _written(lists.chunks, ANY, NUMBER),
    "coalescelist": _written(lists.first_filled_list, rest=ANY),
    "compact": _filter("{0:filter} | select | list", _STRINGS, (_STRINGS,)),
    "concat": _written(lists.concatenated_lists, rest=ANY),
    "contains": _written(_contained, ANY, ANY),
    "distinct": _written(lists.distinct_items, ANY),
    "element": _written(lists.item_at, ANY, NUMBER),
    "flatten": _written(lists.flattened, ANY),
    "formatlist": _written(texts.formatted_list, STRING, rest=ANY),
    "hasindex": _written(lists.has_index, ANY, ANY),
    "indexof": _method("{0:primary}.index({1})", NUMBER, (ANY, ANY)),
    "length": _written(_length, ANY),
    "range": _written(lists.numbers, rest=NUMBER),
    "reverselist": _written(_reversed_list, ANY),
    "slice": _written(_slice, ANY, NUMBER, NUMBER),
    "sort": _filter("{0:filter} | sort(case_sensitive=true)", _STRINGS, (_STRINGS,)),
    # sets
    "sethaselement": _written(_contained, ANY, ANY),
    "setintersection": _written(lists.intersection, ANY, rest=ANY),
    "setproduct": _written(lists.product, rest=ANY),
    "setsubtract": _written(lists.difference, ANY, ANY),
    "setsymmetricdifference": _written(lists.symmetric_difference, ANY, ANY),
    "setunion": _written(lists.union, ANY, rest=ANY),
    # tables
    "keys": _written(lists.keys_of, ANY),
    "lookup": _written(lists.looked_up, ANY, STRING, ANY),
    "merge": _written(lists.merged_tables, rest=ANY),
    "values": _written(lists.values_of_table, ANY),
    "zipmap": _written(lists.zipped_table, ANY, ANY),
    # times
    "formatdate": _written(texts.date, STRING, STRING),
    "formattimestamp": _written(texts.date, STRING, ANY),
    "timeadd": _absent(_NOT_FOUND),
    "timestamp": _written(texts.now),
    # addresses and the machine
    "byteslen": _absent(_NOT_FOUND),
    "bytesslice": _absent(_NOT_FOUND),
    "cidrhost": _absent(_NOT_FOUND),
    "cidrnetmask": _absent(_NOT_FOUND),
    "cidrsubnet": _absent(_NOT_FOUND),
    "cidrsubnets": _absent(_NOT_FOUND),
    "homedir": _absent("a plan does not know the home folder"),
}
"""The functions whose arguments are all evaluated first, by name."""
