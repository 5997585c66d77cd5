"""Say what is wrong with a bake file in HCL that the grammar refuses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpbake.base.errors import PlanError
    from mpbake.conversion.reading.hcl.source import Source

_NAME_VALUE = "write `{name} = value`"
_EXPECTATIONS = (
    ({"EQ", "DBLQUOTE", "LBRACE"}, "expected `=` or `{{` after `{name}`, not {shown}", _NAME_VALUE),
    ({"EQ"}, "expected `=` and a value after `{name}`, not {shown}", _NAME_VALUE),
    (
        {"DBLQUOTE", "LSQB"},
        "expected a value, not {shown}",
        'write text in quotes ("…"), a number, a list [ … ] or a name',
    ),
    ({"LBRACE"}, "expected `{{` after `{name}`, not {shown}", 'write `name = value`, or a block: target "web" {{ … }}'),
    (
        {"INT_LITERAL", "NAME"},
        "expected a name after `.`, not {shown}",
        "write `variable.name`, or a number such as 1.0",
    ),
    ({"COMMA", "IN"}, "expected `in` after the names of `for`, not {shown}", "write [for item in list : item]"),
    ({"COMMA", "RSQB"}, "expected `,` or `]`, not {shown}", "write a comma between the items of a list"),
    ({"COMMA"}, "expected `,` or `)`, not {shown}", "write a comma between arguments"),
    (
        {"COLON"},
        "expected `:` and a value, not {shown}",
        "write x ? a : b for a condition, or [for item in list : item]",
    ),
    (
        {"FOR_OBJECT_ARROW"},
        "expected `=>` and a value, not {shown}",
        "write {{for key, value in table : key => value}}",
    ),
    ({"IF", "RSQB"}, "expected `if` or `]`, not {shown}", "write [for item in list : item]"),
    ({"RPAR"}, "expected an operator or `{end}`, not {shown}", "add what is missing before {shown}"),
)
"""Sets of tokens that the grammar expects, with message and hint. The first set that is expected as a whole counts."""
_UNEXPECTED = {
    "{": 'write a block without `=`: target "web" { … }',
    ",": "remove the comma: a new line ends an attribute",
}
_WORD = re.compile(r"\w[\w.-]*|[-+*/=!<>:]=|=>|&&|\|\||\.\.\.|.")
_QUOTED_KEY = re.compile(r"(?P<key>\"[^\"\n]*\")[ \t]*=(?!=)")
_CONFLICT = re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE)
_DOCKERFILE = re.compile(r"(?:FROM|ARG)\s+[\w$]")
_YAML = re.compile(r"(?:---|[\w-]+:(?:\s|$))")


def syntax_error(source: Source, offset: int, before: int, expected: frozenset[str], *, inner: bool) -> PlanError:
    """Return the error at `offset`, where the grammar expects other tokens. `inner` means: in a template sequence.

    If the code before it ends at `before` in an earlier line, something is missing there.
    """
    while source.text[offset : offset + 1] in {" ", "\t"}:
        offset += 1
    if (match := _QUOTED_KEY.match(source.text, offset)) and _begins_line(source.text, offset):
        message = f"the attribute {match['key'][:40]} must have no quotes"
        return source.error(offset, message, length=len(match["key"]), hint="write it without quotes")
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
    offset = _first_line(text)
    if _DOCKERFILE.match(text, offset):
        hint = "name the bake file, in HCL or JSON"
        return source.error(offset, "the file is a Dockerfile, not a bake file", hint=hint)
    if text.startswith(("{{", "{%"), offset):
        hint = "import the file that the template renders to"
        return source.error(offset, "the file is a template of another tool, not a bake file", length=2, hint=hint)
    if text.startswith(("{", "["), offset):
        hint = "give the file a name that ends with .json"
        return source.error(offset, "the file is JSON, and its name says HCL", hint=hint)
    if _YAML.match(text, offset):
        hint = "give the file a name that ends with .yaml if it is a Compose file"
        return source.error(offset, "the file is YAML, not HCL", hint=hint)
    return None


def _begins_line(text: str, offset: int) -> bool:
    return not text[max(offset - 1000, 0) : offset].rpartition("\n")[2].strip()


def _first_line(text: str) -> int:
    """Return the offset of the first line that is neither empty nor a comment of HCL or YAML."""
    offset = 0
    for line in text.splitlines(keepends=True):
        if line.strip() and not line.lstrip().startswith("#"):
            return offset + len(line) - len(line.lstrip())
        offset += len(line)
    return offset


def _words(source: Source, offset: int, word: str, expected: frozenset[str], *, inner: bool) -> tuple[str, str]:
    """Return the message and the hint."""
    if word == ":=":
        return "expected `=`, not `:=`", "write `name = value`"
    if word == ":" and inner and source.text.startswith(":-", offset):
        return "HCL has no `:-` for a default", 'give the variable a default, or write ${x != "" ? x : "default"}'
    if word.strip() and not word.startswith("#"):
        shown = f"`{word[:40]}`"
    else:
        shown = "the end of the line" if offset < len(source.text) else "the end"
    name, line = _name_before(source.text, offset)
    if "LBRACE" in expected and "EQ" not in expected and re.search(r"=\s*\S+\s+$", line):
        hint = "write text in quotes, and each attribute in a line of its own"
        return f"expected an operator or a new line before `{name}`", hint
    names = {"name": name, "shown": shown, "end": "}" if inner else ")"}
    for tokens, message, hint in _EXPECTATIONS:
        if tokens <= expected:
            return message.format_map(names), hint.format_map(names)
    default = "remove it, or write each attribute in a line of its own"
    if not source.text[:offset].rpartition("\n")[2].strip():
        default = 'write an attribute (name = value) or a block (target "web" { … }) here'
    return f"{shown} is not expected here", _UNEXPECTED.get(word, default)


def _name_before(text: str, offset: int) -> tuple[str, str]:
    """Return the name or text in quotes before `offset`, and what is before it in its line."""
    line = text[max(offset - 1000, 0) : offset].rstrip().rpartition("\n")[2]
    match = re.search(r"([\w.-]+|\"[^\"]*\")$", line)
    return (match.group(1)[:40], line[: match.start()]) if match else ("the name", line)
