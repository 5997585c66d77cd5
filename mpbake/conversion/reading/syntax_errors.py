"""Say what is wrong with a bake file in HCL that the grammar refuses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpbake.base.errors import PlanError
    from mpbake.conversion.reading.source import Source

_VALUE = "DBLQUOTE"
_NAME_VALUE = "write `{name} = value`"
_EXPECTATIONS = (
    ({"EQ", _VALUE, "LBRACE"}, "expected `=` or `{{` after `{name}`, not {shown}", _NAME_VALUE),
    ({"EQ"}, "expected `=` and a value after `{name}`, not {shown}", _NAME_VALUE),
    ({_VALUE}, "expected a value, not {shown}", 'write text in quotes ("…"), a number, a list [ … ] or a name'),
    ({"LBRACE"}, "expected `{{` after `{name}`, not {shown}", 'write `name = value`, or a block: target "web" {{ … }}'),
    (
        {"INT_LITERAL", "NAME"},
        "expected a name after `.`, not {shown}",
        "write `variable.name`, or a number such as 1.0",
    ),
    ({"COMMA", "RSQB"}, "expected `,` or `]`, not {shown}", "write a comma between the items of a list"),
    ({"COMMA"}, "expected `,` or `)`, not {shown}", "write a comma between arguments"),
    ({"COLON"}, "expected `:` and a value, not {shown}", "write a condition with both results: a ? b : c"),
    ({"RPAR"}, "expected an operator or `{end}`, not {shown}", "add what is missing before {shown}"),
)
"""Sets of tokens that the grammar expects, with message and hint. The first set that is expected as a whole counts."""
_UNEXPECTED = {
    "{": 'write a block without `=`: target "web" { … }',
    ",": "remove the comma: a new line ends an attribute",
    '"': "write the name of an attribute or block without quotes",
}
_WORD = re.compile(r"\w[\w.-]*|[=!<>]=|=>|&&|\|\||:=|.")
_CONFLICT = re.compile(r"^(?:<{7} |={7}$|>{7} )", re.MULTILINE)
_DOCKERFILE = re.compile(r"\s*(?:(?:#[^\n]*)?\n\s*)*(?:FROM|ARG)\s+\S", re.ASCII)
_YAML = re.compile(r"\s*(?:(?:#[^\n]*|---)?\n\s*)*[\w-]+:(?:\s|$)", re.ASCII)


def syntax_error(source: Source, offset: int, expected: frozenset[str], *, inner: bool) -> PlanError:
    """Return the error at `offset`, where the grammar expects other tokens. `inner` means: in a template sequence.

    If the code before `offset` ends in an earlier line, something is missing there.
    """
    if error := other_format(source):
        return error
    while source.text[offset : offset + 1] in {" ", "\t"}:
        offset += 1
    before = len(source.text[:offset].rstrip())
    if before and source.line(before - 1) < source.line(min(offset, len(source.text))):
        offset = before
    match = _WORD.match(source.text, offset)
    word = match.group() if match else ""
    message, hint = _words(source, offset, word, expected, inner=inner)
    return source.error(offset, message, length=max(len(word), 1), hint=hint)


def other_format(source: Source) -> PlanError | None:
    """Return the error of a text that is no HCL at all, or that a merge left behind."""
    text = source.text
    if conflict := _CONFLICT.search(text):
        hint = "resolve the conflict first"
        return source.error(conflict.start(), "the file has a merge conflict", length=7, hint=hint)
    if _DOCKERFILE.match(text):
        return source.error(0, "the file is a Dockerfile, not a bake file", hint="name the bake file, in HCL or JSON")
    if text.lstrip().startswith(("{", "[")):
        hint = "give the file a name that ends with .json"
        return source.error(0, "the file is JSON, and its name says HCL", hint=hint)
    if _YAML.match(text):
        hint = "give the file a name that ends with .yaml if it is a Compose file"
        return source.error(0, "the file is YAML, not HCL", hint=hint)
    return None


def _words(source: Source, offset: int, word: str, expected: frozenset[str], *, inner: bool) -> tuple[str, str]:
    """Return the message and the hint."""
    if word == ":=":
        return "expected `=`, not `:=`", "write `name = value`"
    if word == ":" and inner and source.text.startswith(":-", offset):
        return "HCL has no `:-` for a default", 'give the variable a default, or write ${x != "" ? x : "default"}'
    shown = f"`{word[:40]}`" if word.strip() else "the end of the line" if offset < len(source.text) else "the end"
    names = {"name": _name_before(source.text, offset), "shown": shown, "end": "}" if inner else ")"}
    for tokens, message, hint in _EXPECTATIONS:
        if tokens <= expected:
            return message.format_map(names), hint.format_map(names)
    hint = _UNEXPECTED.get(word, 'write an attribute (name = value) or a block (target "web" { … }) here')
    return f"{shown} is not expected here", hint


def _name_before(text: str, offset: int) -> str:
    match = re.search(r"([\w.-]+|\"[^\"\n]*\")\s*$", text[max(offset - 200, 0) : offset])
    return match.group(1)[:40] if match else "the name"
