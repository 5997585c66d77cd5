"""Hints for functions, filters and operators of bake and Ansible that templates write in another way."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from mpbake.base.codes import Code
from mpbake.resolve.template.filters import FilterError

if TYPE_CHECKING:
    from collections.abc import Mapping


class ForeignSyntaxError(FilterError):
    """A syntax that templates do not have. The hint says how to write the same."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message, hint, Code.TEMPLATE_SYNTAX)


FUNCTIONS: Mapping[str, str] = MappingProxyType(
    {
        "abs": "{{ x | abs }}",
        "absolute": "{{ x | abs }}",
        "add": "{{ a + b }}",
        "and": "{{ a and b }}",
        "base64decode": "{{ x | from_base64 }}",
        "base64encode": "{{ x | base64 }}",
        "basename": "{{ path | basename }}",
        "can": "{{ x is defined }}",
        "ceil": "{{ x | round(0, 'ceil') | int }}",
        "chomp": "{{ x | trim }}",
        "chunklist": "{{ items | batch(2) | list }}",
        "coalesce": "{{ b if a is none else a }}",
        "coalescelist": "{{ a or b }}",
        "compact": "{{ items | select | list }}",
        "concat": "{{ a + b }}",
        "contains": "{{ x in items }}",
        "dict": "{{ {'key': x} }}",
        "dirname": "{{ path | dirname }}",
        "distinct": "{{ items | unique | list }}",
        "divide": "{{ a / b }}",
        "element": "{{ items[0] }}",
        "equal": "{{ a == b }}",
        "flatten": "{{ items | flatten }}",
        "floor": "{{ x | round(0, 'floor') | int }}",
        "format": "{{ '%s-%s' | format(a, b) }}",
        "formatdate": "{{ epoch | timestamp('%Y-%m-%d') }}",
        "formatlist": "{{ ['v' ~ x for x in items] }}",
        "greaterthan": "{{ a > b }}",
        "greaterthanorequalto": "{{ a >= b }}",
        "hasindex": "{{ x in table }}",
        "index": "{{ items[0] }}",
        "indexof": "{{ items.index(x) }}",
        "join": "{{ items | join(',') }}",
        "jsondecode": "{{ x | from_json }}",
        "jsonencode": "{{ x | json }}",
        "keys": "{{ table.keys() | list }}",
        "length": "{{ items | length }}",
        "lessthan": "{{ a < b }}",
        "lessthanorequalto": "{{ a <= b }}",
        "lookup": "{{ table.get('key', 'default') }}",
        "lower": "{{ x | lower }}",
        "max": "{{ [a, b] | max }}",
        "md5": "{{ x | md5 }}",
        "merge": "{{ a | merge(b) }}",
        "min": "{{ [a, b] | min }}",
        "modulo": "{{ a % b }}",
        "multiply": "{{ a * b }}",
        "negate": "{{ -x }}",
        "notequal": "{{ a != b }}",
        "or": "{{ a or b }}",
        "parseint": "{{ x | int(base=10) }}",
        "pow": "{{ a ** b }}",
        "regex": "{{ x | regex_search('[0-9]+') }}",
        "regex_replace": "{{ x | regex_replace('[0-9]+', 'N') }}",
        "regexall": "{{ x | regex_findall('[0-9]+') }}",
        "replace": "{{ x | replace('a', 'b') }}",
        "reverse": "{{ x | reverse }}",
        "reverselist": "{{ items | reverse | list }}",
        "sanitize": "{{ x | regex_replace('[^A-Za-z0-9_-]', '_') }}",
        "semvercmp": "{{ (a | semver) >= b }}",
        "sethaselement": "{{ x in items }}",
        "setintersection": "{{ [x for x in items if x in others] }}",
        "setproduct": "{{ [[x, y] for x in items for y in others] }}",
        "setsubtract": "{{ [x for x in items if x not in others] }}",
        "setunion": "{{ (items + others) | unique | list }}",
        "sha1": "{{ x | sha1 }}",
        "sha256": "{{ x | sha256 }}",
        "sha512": "{{ x | sha512 }}",
        "slice": "{{ items[0:2] }}",
        "sort": "{{ items | sort }}",
        "split": "{{ x | split(',') }}",
        "strlen": "{{ x | length }}",
        "strrev": "{{ x | reverse }}",
        "substr": "{{ x[0:2] }}",
        "subtract": "{{ a - b }}",
        "title": "{{ x | title }}",
        "tostring": "{{ x | string }}",
        "trim": "{{ x | trim('/') }}",
        "trimprefix": "{{ x.removeprefix('v') }}",
        "trimspace": "{{ x | trim }}",
        "trimsuffix": "{{ x.removesuffix('v') }}",
        "try": "{{ x | default('a') }}",
        "upper": "{{ x | upper }}",
        "urlencode": "{{ x | urlencode }}",
        "uuidv5": "{{ x | uuid5('dns') }}",
        "values": "{{ table.values() | list }}",
        "zipmap": "{{ {k: v for k, v in items | zip(others)} }}",
    }
)
"""The form in templates of each function of bake, by the name of the function."""

FILTERS: Mapping[str, str] = MappingProxyType(
    {
        "b64decode": "{{ x | from_base64 }}",
        "b64encode": "{{ x | base64 }}",
        "bool": "{{ x in ['1', 'true', 'yes'] }}",
        "combine": "{{ a | merge(b) }}",
        "dict2items": "{{ table.items() | list }}",
        "difference": "{{ [x for x in items if x not in others] }}",
        "hash": "{{ x | sha256 }}",
        "intersect": "{{ [x for x in items if x in others] }}",
        "items2dict": "{{ {row.key: row.value for row in rows} }}",
        "product": "{{ [[x, y] for x in items for y in others] }}",
        "regex": "{{ x | regex_search('[0-9]+') }}",
        "strftime": "{{ epoch | timestamp('%Y-%m-%d') }}",
        "ternary": "{{ a if condition else b }}",
        "to_json": "{{ x | json }}",
        "to_nice_json": "{{ x | json }}",
        "to_uuid": "{{ x | uuid5('dns') }}",
        "toJson": "{{ x | json }}",
        "union": "{{ (items + others) | unique | list }}",
        "version": "{{ (a | semver) >= b }}",
        "zip_longest": "{{ items | zip(others) }}",
    }
)
"""The form in templates of each filter of Ansible, by the name of the filter."""

_SYNTAX: tuple[tuple[str, str, str], ...] = (
    (r"unexpected char '\?'", r"\?\?", "write {{ a or b }}"),
    (r"unexpected char '\?'", "", "write {{ a if condition else b }}"),
    ("unexpected char '&'", "", "write {{ a and b }}"),
    (r"expected token 'name', got '\|'", r"\|\|", "write {{ a or b }}"),
    ("unexpected char '!'", "", "write {{ not a }}"),
    (r"unexpected char '\$'", "", "write the name of a variable without $: {{ tag }}"),
    ("expected name or number", r"\.\.\.", "write {{ name(*items) }}"),
    ("expected name or number", r"\.\*", "write {{ items | map(attribute='name') | list }}"),
    (r"unexpected '\*'", r"\[\*\]", "write {{ items | map(attribute='name') | list }}"),
    (
        "expected token ','",
        r"\bis (not )?\w+ for\b",
        "put the test in parentheses: {{ [(x is defined) for x in items] }}",
    ),
    ("got '='", "=>", "write {{ {key: value for key, value in table.items()} }}"),
    (r"unexpected '\.'", r"\{\{-?\s*\.", "write the name of a variable without a dot: {{ tag }}"),
)
"""Patterns for a message of Jinja and for the template, and a hint: the first row that matches both applies."""


def hint_for_syntax(message: str, template: str) -> str:
    """Return a hint for a syntax error of Jinja in `template`, or an empty text."""
    rows = ((re.search(error, message) and re.search(text, template), hint) for error, text, hint in _SYNTAX)
    return next((hint for matches, hint in rows if matches), "")


def hint_for_name(name: str, template: str) -> str:
    """Return a hint for an unknown name in `template` that bake knows, or an empty text."""
    if name in {"null", "nil"}:
        return "write none: {{ x is none }}"
    if name == "BAKE_LOCAL_PLATFORM":
        return "write {{ machine_platform() }}"
    called = name in FUNCTIONS and re.search(rf"\b{re.escape(name)}\s*\(", template)
    return f"write {FUNCTIONS[name]}" if called else ""


def hint_for_filter(name: str) -> str:
    """Return a hint for an unknown filter that Ansible or bake knows, or an empty text."""
    form = FILTERS.get(name) or FUNCTIONS.get(name)
    return f"write {form}" if form else ""
