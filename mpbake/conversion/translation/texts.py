"""Translate HCL expressions to values of a plan: text with templates, lists, tables, numbers and flags."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mpbake.conversion.syntax import Expression, ListOf, Literal, ObjectOf, Template, TemplateFor, TemplateIf
from mpbake.conversion.translation.code import Code, literal_code, quoted
from mpbake.conversion.translation.expressions import code_of, condition_of, loop_of
from mpbake.conversion.translation.references import dereferenced

if TYPE_CHECKING:
    from mpbake.conversion.translation.scope import Scope

_ESCAPED = re.compile(r"\{\{|\{%|\{#|\r|\{$")
"""Characters of a text that templates would not take literally. A brace at the end could meet another brace."""


def translate_text(expression: Expression, scope: Scope) -> str:
    """Return the text of `expression`, with templates. Raises Untranslatable."""
    expression = dereferenced(expression, scope)
    match expression:
        case Literal(value=None):
            return "{{ none }}"
        case Literal(value=str() as value):
            return _literal_text(value, alone=True)
        case Literal():
            return literal_code(expression).text
        case Template(parts=(part,)):
            return translate_text(part, scope)
        case Template(parts=(part, Literal(value=""))) if not isinstance(part, TemplateIf | TemplateFor):
            return _in_braces(code_of(expression, scope))
        case Template(parts=parts):
            return "".join(_part(part, scope) for part in parts)
        case TemplateIf() | TemplateFor():
            return _part(expression, scope)
        case _:
            return _in_braces(code_of(expression, scope))


def translate_value(expression: Expression, scope: Scope) -> Any:
    """Return the value of `expression`: text with templates, a list, a table, a number or a boolean.

    A value that only a template can make is a text with one template. Raises Untranslatable.
    """
    expression = dereferenced(expression, scope)
    match expression:
        case Literal(value=bool() | int() as value):
            return value
        case Literal(value=float() as value):
            return int(value) if value == int(value) else value
        case Template(parts=(part,)):
            return translate_value(part, scope)
        case ListOf(items=items):
            return [translate_value(item.value, scope) for item in items]
        case ObjectOf(pairs=pairs) if all(isinstance(pair.key, Literal) for pair in pairs):
            return {_key(pair.key): translate_value(pair.value, scope) for pair in pairs}
        case Template() | TemplateIf() | TemplateFor():
            return translate_text(expression, scope)
        case _:
            code = code_of(expression, scope)
            return code.constant if isinstance(code.constant, bool | int) else _in_braces(code)


def _key(key: Expression) -> str:
    code = literal_code(key) if isinstance(key, Literal) else Code(text="")
    return code.constant if isinstance(code.constant, str) else code.text


def _part(part: Expression, scope: Scope) -> str:
    """Return a part of a string as text."""
    match dereferenced(part, scope):
        case Literal(value=str() as value):
            return _literal_text(value)
        case Template(parts=parts):
            return "".join(_part(inner, scope) for inner in parts)
        case TemplateIf() as choice:
            return _choice(choice, scope)
        case TemplateFor() as loop:
            inner, clause = loop_of(loop, scope)
            return f"{{% {clause} %}}{_part(loop.body, inner)}{{% endfor %}}"
        case other:
            return _in_braces(code_of(other, scope))


def _choice(choice: TemplateIf, scope: Scope) -> str:
    condition = condition_of(choice.condition, scope)
    then, otherwise = _part(choice.then, scope), _part(choice.otherwise, scope)
    rest = f"{{% else %}}{otherwise}" if otherwise else ""
    return f"{{% if {condition} %}}{then}{rest}{{% endif %}}"


def _in_braces(code: Code) -> str:
    if code.parts:
        return "".join(_in_braces(part) for part in code.parts)
    match code.constant:
        case None:
            return f"{{{{ {code.short or code.text} }}}}"
        case str() as text:
            return _literal_text(text)
        case _:
            return code.text


def _literal_text(text: str, *, alone: bool = False) -> str:
    """Return `text` so that templates take it literally. `alone` means that no template follows."""

    def escaped(match: re.Match[str]) -> str:
        if match.group() == "{" and alone:
            return "{"
        return f"{{{{ {quoted(match.group())} }}}}"

    return _ESCAPED.sub(escaped, text)
