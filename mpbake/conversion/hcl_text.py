"""Write expressions as HCL, for `bake --print`, which evaluates what the plan language cannot express. Pure.

The text of an expression in its file is not enough: a JSON file has another syntax.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, assert_never

from mpbake.conversion.syntax import (
    SPLAT_ITEM,
    Attribute,
    Binary,
    Call,
    Conditional,
    Expression,
    ForList,
    ForObject,
    Index,
    ListOf,
    Literal,
    Name,
    ObjectOf,
    Splat,
    Template,
    TemplateFor,
    TemplateIf,
    Unary,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_MARKERS = re.compile(r"([$%])\{")


def hcl(expression: Expression) -> str:  # noqa: C901, PLR0911, PLR0912 - one closed match
    """Return an expression as HCL on one line. Operators and conditionals are in parentheses."""
    match expression:
        case Literal(value=value):
            return _literal(value)
        case Name(name=name):
            return "" if name == SPLAT_ITEM else name
        case Template() | TemplateIf() | TemplateFor():
            return f'"{_template(expression)}"'
        case Attribute(operand=operand, name=name):
            return f"{hcl(operand)}.{name}"
        case Index(operand=operand, key=key):
            return f"{hcl(operand)}[{hcl(key)}]"
        case Splat(operand=operand, each=rest):
            return f"{hcl(operand)}[*]{hcl(rest)}"
        case Call(function=function, arguments=arguments, expand=expand):
            return f"{function}({_joined(arguments)}{'...' if expand else ''})"
        case Unary(operator=operator, operand=operand):
            return f"({operator}{hcl(operand)})"
        case Binary(operator=operator, left=left, right=right):
            return f"({hcl(left)} {operator} {hcl(right)})"
        case Conditional(condition=condition, then=then, otherwise=otherwise):
            return f"({hcl(condition)} ? {hcl(then)} : {hcl(otherwise)})"
        case ListOf(items=items):
            return f"[{_joined(item.value for item in items)}]"
        case ObjectOf(pairs=pairs):
            return f"{{{', '.join(f'({hcl(pair.key)}) = {hcl(pair.value)}' for pair in pairs)}}}"
        case ForList() | ForObject():
            return _loop(expression)
        case _:
            assert_never(expression)


def _joined(expressions: Iterable[Expression]) -> str:
    return ", ".join(map(hcl, expressions))


def _loop(loop: ForList | ForObject) -> str:
    names = ", ".join(name for name in (loop.key, loop.value) if name)
    condition = f" if {hcl(loop.condition)}" if loop.condition else ""
    head = f"for {names} in {hcl(loop.collection)} :"
    if isinstance(loop, ForList):
        return f"[{head} {hcl(loop.result)}{condition}]"
    grouped = "..." if loop.grouped else ""
    return f"{{{head} {hcl(loop.result_key)} => {hcl(loop.result)}{grouped}{condition}}}"


def _literal(value: str | float | bool | None) -> str:  # noqa: FBT001 - a literal may be a flag
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{_quoted(value)}"'
        case _:
            return repr(value)


def _quoted(text: str) -> str:
    """Return text for the inside of a quoted string."""
    return _MARKERS.sub(r"\1\1{", "".join(_ESCAPES.get(character, character) for character in text))


def _template(part: Expression) -> str:
    """Return a part of a template for the inside of a quoted string."""
    match part:
        case Literal(value=""):
            return '${""}'  # with a second part, a template is always text
        case Literal(value=str() as text):
            return _quoted(text)
        case Template(parts=parts):
            return _joined_parts(list(map(_template, parts)))
        case TemplateIf(condition=condition, then=then, otherwise=otherwise):
            return f"%{{ if {hcl(condition)} }}{_template(then)}%{{ else }}{_template(otherwise)}%{{ endif }}"
        case TemplateFor(key=key, value=value, collection=collection, body=body):
            names = ", ".join(name for name in (key, value) if name)
            return f"%{{ for {names} in {hcl(collection)} }}{_template(body)}%{{ endfor }}"
        case _:
            return f"${{{hcl(part)}}}"


def _joined_parts(parts: list[str]) -> str:
    """Join parts of a template. `$` before `${` would escape it, so such characters become a template of their own."""
    texts = []
    for text, following in zip(parts, [*parts[1:], ""], strict=True):
        start = len(text.rstrip("$%"))
        escapes = start < len(text) and following[:2] in {"${", "%{"}
        texts.append(f'{text[:start]}${{"{text[start:]}"}}' if escapes else text)
    return "".join(texts)
