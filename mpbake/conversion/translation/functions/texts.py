"""Functions of bake on texts whose form depends on the arguments: formats, regular expressions, times."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.conversion.translation.code import Code, Level, quoted, text_code
from mpbake.conversion.translation.functions.conversions import converted
from mpbake.conversion.translation.functions.patterns import can_be_absent, consumes_text, uncertain_groups
from mpbake.conversion.translation.loops import Loop, comprehension
from mpbake.conversion.translation.names import fresh_names, item_name, words_in
from mpbake.conversion.translation.operators import compared, concatenated
from mpbake.conversion.translation.types import NUMBER, STRING, Kind, Type, list_of, object_of, tuple_of

if TYPE_CHECKING:
    from collections.abc import Sequence


def literal_of(code: Code, what: str) -> str:
    """Return the value of a string literal. Raises ValueError for other expressions."""
    if isinstance(code.constant, str):
        return code.constant
    msg = f"{what} is not a literal"
    raise ValueError(msg)


def number_of(code: Code, what: str) -> int:
    """Return the value of an integer literal. Raises ValueError for other expressions."""
    constant = converted(code, NUMBER).constant if code.constant is not None else None
    if isinstance(constant, int) and not isinstance(constant, bool):
        return constant
    msg = f"{what} is not a literal"
    raise ValueError(msg)


# --- parts of texts ---------------------------------------------------------------------------------------------------


def substring(text: Code, offset: Code, length: Code) -> Code:
    """Return `text[offset:end]`."""
    size = number_of(length, "the length")
    start = offset.constant if isinstance(offset.constant, int) else None
    if start is None or start < 0:
        rest = f"{text:primary}[{offset.text}:]"
        whole = size < 0 or (size == 0 and start is not None)
        return Code(text=rest if whole else f"{rest}[:{size}]", type=STRING)
    first = str(start) if start else ""
    if size < 0:
        return Code(text=f"{text:primary}[{first}:]", type=STRING) if start else text
    return Code(text=f"{text:primary}[{first}:{start + size}]", type=STRING)


def split_text(separator: Code, text: Code) -> Code:
    """Return `text | split(separator)`. An empty separator gives the characters."""
    if separator.constant == "":
        return Code(text=f"{text:filter} | list", level=Level.FILTER, type=list_of(STRING))
    is_surely_text = text.type == STRING and bool(separator.constant)
    tight = f"{text:primary}.split({separator.text})" if is_surely_text else ""
    return Code(text=f"{text:filter} | split({separator.text})", level=Level.FILTER, type=list_of(STRING), tight=tight)


def indented(spaces: Code, text: Code) -> Code:
    """Return the text with spaces after each line break."""
    if spaces.constant is None:
        padding = Code(text=f"'\\n' ~ ' ' * {spaces:unary}", level=Level.CONCAT)
    else:
        padding = text_code("\n" + " " * number_of(spaces, "the number of spaces"))
    return Code(text=f"{text:filter} | replace('\\n', {padding.text})", level=Level.FILTER, type=STRING)


def titled(text: Code) -> Code:
    """Return the text with capital letters at the beginning of words. Other letters stay, unlike in Jinja's `title`."""
    if isinstance(text.constant, str) and text.constant.isascii():
        words = re.findall(r"\w+|\W+", text.constant)
        return text_code("".join(word[:1].upper() + word[1:] for word in words))
    (word,) = ["word"] if "word" not in words_in(text) else fresh_names("w", text)
    item = Code(text=f"{word}[:1] | upper ~ {word}[1:]", level=Level.CONCAT, type=STRING)
    loop = Loop(names=(word,), values=f"{text:filter} | regex_findall('[\\pL\\pN_]+|[^\\pL\\pN_]')")
    return Code(text=f"{comprehension(item, [loop]).text} | join", level=Level.FILTER, type=STRING)


# --- formats ----------------------------------------------------------------------------------------------------------

_VERB = re.compile(
    r"%(?P<flags>[-+ #0]*)(?P<width>\d*)(?P<precision>\.\d*)?(?:\[(?P<position>\d+)\])?(?P<letter>.)", re.DOTALL
)


def formatted(format_: Code, *arguments: Code) -> Code:
    """Return the text that `format` makes.

    A template as format cannot insert verbs. Any other expression must have only verbs that Python has, too.
    """
    pieces = format_.parts or (format_,)
    if not any(isinstance(piece.constant, str) for piece in pieces):
        values = [converted(code, STRING) if code.type.kind is Kind.BOOL else code for code in arguments]
        form = f"{format_:filter} | format({', '.join(code.text for code in values)})"
        return Code(text=form, level=Level.FILTER, type=STRING)
    parts: list[Code] = []
    position = 0
    for piece in pieces:
        if isinstance(piece.constant, str):
            codes, position = _format_parts(piece.constant, arguments, position)
            parts += codes
        else:
            parts.append(piece)
    return concatenated(_merged(parts)).typed(STRING)


def _format_parts(format_: str, arguments: Sequence[Code], position: int) -> tuple[list[Code], int]:
    """Return the parts of a format, and the position of the last argument in it."""
    parts: list[Code] = []
    end = 0
    for verb in _VERB.finditer(format_):
        parts.append(text_code(format_[end : verb.start()]))
        end = verb.end()
        if verb["letter"] == "%":
            parts.append(text_code("%"))
            continue
        position = int(verb["position"]) if verb["position"] else position + 1
        if not 1 <= position <= len(arguments):
            msg = "the format has more verbs than arguments"
            raise ValueError(msg)
        parts.append(_verb_code(verb, arguments[position - 1]))
    return [*parts, text_code(format_[end:])], position


def _merged(parts: Sequence[Code]) -> list[Code]:
    """Join literals that follow each other."""
    merged: list[Code] = []
    for part in parts:
        if merged and isinstance(part.constant, str) and isinstance(merged[-1].constant, str):
            merged[-1] = text_code(merged[-1].constant + part.constant)
        else:
            merged.append(part)
    return merged


def _verb_code(verb: re.Match[str], argument: Code) -> Code:
    flags, width, letter = verb["flags"], verb["width"], verb["letter"]
    plain = not (flags or width or verb["precision"])
    number = argument.type.kind is Kind.NUMBER or letter in "dxXo"
    if letter == "v" and plain and argument.type.kind in {Kind.STRING, Kind.NUMBER, Kind.BOOL}:
        return converted(argument, STRING) if argument.constant is not None else argument
    if letter == "s" and plain:
        return converted(argument, STRING) if argument.constant is not None else argument
    if letter == "t" and plain and argument.type.kind is Kind.BOOL:
        return argument
    if letter == "d" and plain:
        return converted(argument, NUMBER)
    if letter in "vq" and plain and argument.type.kind is not Kind.ANY:
        return Code(text=f"{argument:filter} | json", level=Level.FILTER, type=STRING)
    if letter in "dxXo" and number and not verb["precision"] and "#" not in flags:
        operand = converted(argument, NUMBER)
    elif letter == "s" and width and set(flags) <= {"-"} and not verb["precision"]:
        operand = converted(argument, STRING)
    else:
        msg = f"the plan language has no format {verb.group()}"
        raise ValueError(msg)
    return Code(text=f"{quoted(f'%{flags}{width}{letter}')} | format({operand.text})", level=Level.FILTER, type=STRING)


def formatted_list(format_: Code, *arguments: Code) -> Code:
    """Return the list that `formatlist` makes: one text for each item of the lists in the arguments."""
    lists = [argument for argument in arguments if argument.type.is_sequence]
    if any(argument.type.kind is Kind.ANY for argument in arguments):
        msg = "it is not known which arguments of formatlist are lists"
        raise ValueError(msg)
    if not lists:
        text = formatted(format_, *arguments)
        return Code(text=f"[{text.text}]", type=list_of(STRING), items=(text,))
    is_single = len(lists) == 1
    names = [item_name(lists[0], *arguments)] if is_single else fresh_names("abcdef"[: len(lists)], *arguments)
    bound = iter(names)
    operands = [
        Code(text=next(bound), type=argument.type.contents) if argument.type.is_sequence else argument
        for argument in arguments
    ]
    values = lists[0].at(Level.OR if is_single else Level.FILTER)
    if not is_single:
        values = f"{values} | zip({', '.join(code.text for code in lists[1:])})"
    loop = Loop(names=tuple(names), values=values)
    return comprehension(formatted(format_, *operands), [loop]).typed(list_of(STRING))


# --- regular expressions ----------------------------------------------------------------------------------------------


def groups_of(pattern: Code) -> tuple[str, ...]:
    """Return the names of the groups of a pattern; a group without name is an empty text. Raises ValueError."""
    text = literal_of(pattern, "the pattern")
    without_classes = re.sub(r"\\.|\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\]", "", text, flags=re.DOTALL)
    if "\\Q" in text:
        msg = "the pattern contains \\Q"
        raise ValueError(msg)
    groups = re.findall(r"\((?!\?)|\(\?P?<(\w+)>", without_classes)
    return tuple(groups)


def _search(pattern: Code, text: Code, group: int | str = 0) -> Code:
    if group == 0:
        return Code(text=f"{text:filter} | regex_search({pattern.text})", level=Level.FILTER, type=STRING)
    position = group - 1 if isinstance(group, int) else group
    type_ = STRING.or_null() if can_be_absent(literal_of(pattern, "the pattern"), position) else STRING
    argument = group if isinstance(group, int) else quoted(group)
    return Code(text=f"{text:filter} | regex_search({pattern.text}, {argument})", level=Level.FILTER, type=type_)


def searched(pattern: Code, text: Code) -> Code:
    """Return what `regex` gives: the match, a list of groups, or a table of named groups."""
    groups = groups_of(pattern)
    if not groups:
        return _search(pattern, text)
    if groups[0]:
        found = {group: _search(pattern, text, group) for group in groups}
        entries = ", ".join(f"{quoted(group)}: {code.text}" for group, code in found.items())
        return Code(text=f"{{{entries}}}", type=object_of({group: code.type for group, code in found.items()}))
    codes = tuple(_search(pattern, text, number) for number in range(1, len(groups) + 1))
    text_of_list = f"[{', '.join(code.text for code in codes)}]"
    return Code(text=text_of_list, type=tuple_of(code.type for code in codes), items=codes)


def group_of(group: int | str, pattern: Code, text: Code) -> Code:
    """Return one group of the match."""
    groups = groups_of(pattern)
    if isinstance(group, int) and group < len(groups) and not any(groups):
        return _search(pattern, text, group + 1)
    if isinstance(group, str) and group in groups:
        return _search(pattern, text, group)
    msg = f"the pattern has no group {group}"
    raise ValueError(msg)


def matches(pattern: Code, text: Code) -> Code:
    """Return whether a text matches a pattern."""
    search = _search(pattern, text)
    truth = search if consumes_text(literal_of(pattern, "the pattern")) else None
    return compared(f"({search.text})", "is not", "none", truth=truth)


def searched_or(pattern: Code, text: Code, group: int | str, default: Code) -> Code:
    """Return a match, or a group of it, or `default` if the text does not match."""
    found = group_of(group, pattern, text) if group != "" else searched(pattern, text)
    if found.type.kind is not Kind.STRING:
        msg = "a template cannot test whether this expression fails"
        raise ValueError(msg)
    if default.constant == "" or consumes_text(literal_of(pattern, "the pattern"), group):
        return Code(text=f"{found:or} or {default:or}", level=Level.OR, type=STRING)
    known = f"({found.text}) is not none"
    return Code(text=f"{found:or} if {known} else {default.text}", level=Level.CONDITIONAL, type=STRING)


def searched_all(pattern: Code, text: Code) -> Code:
    """Return what `regexall` gives: a list of matches, of lists of groups, or of tables of named groups."""
    groups = groups_of(pattern)
    found = Code(text=f"{text:filter} | regex_findall({pattern.text})", level=Level.FILTER, type=list_of(STRING))
    if not groups:
        return found
    absent = uncertain_groups(literal_of(pattern, "the pattern"))
    types = [STRING.or_null() if is_absent else STRING for is_absent in absent]
    if not groups[0] and len(groups) > 1 and not any(absent):
        return found.typed(list_of(tuple_of(types)))
    (match,) = fresh_names("m", found)
    values = [match] if len(groups) == 1 else [f"{match}[{index}]" for index in range(len(groups))]
    values = [f"{value} or none" if is_absent else value for value, is_absent in zip(values, absent, strict=True)]
    if groups[0]:
        item = f"{{{', '.join(f'{quoted(name)}: {value}' for name, value in zip(groups, values, strict=True))}}}"
        type_: Type = object_of(dict(zip(groups, types, strict=True)))
    else:
        item, type_ = f"[{', '.join(values)}]", tuple_of(types)
    code = comprehension(Code(text=item, type=type_), [Loop(names=(match,), values=found.text)])
    return replace(code, type=list_of(type_), counted=found.text)


_REFERENCE = re.compile(r"\$(?:(?P<dollar>\$)|(?P<name>\w+)|\{(?P<braced>\w+)\}|)")


def replaced_pattern(text: Code, pattern: Code, replacement: Code) -> Code:
    """Return `text | regex_replace(pattern, replacement)`."""
    if isinstance(replacement.constant, str):
        if "\\" in replacement.constant:
            msg = "the replacement contains a backslash"
            raise ValueError(msg)
        groups = groups_of(pattern)
        replacement = text_code(_REFERENCE.sub(lambda match: _reference(match, groups), replacement.constant))
    form = f"{text:filter} | regex_replace({pattern.text}, {replacement.text})"
    return Code(text=form, level=Level.FILTER, type=STRING)


def _reference(match: re.Match[str], groups: Sequence[str]) -> str:
    """Return a reference to a group as mpbake writes it. Go takes the longest name, and drops unknown groups."""
    name = match["name"] or match["braced"]
    if name is None:
        return "$$"
    known = int(name) <= len(groups) if name.isdigit() else name in groups
    if not known:
        return ""
    return f"${name}" if match["name"] else f"${{{name}}}"


# --- times ------------------------------------------------------------------------------------------------------------

_DATE_TOKEN = re.compile(r"''|'(?:[^']|'')*'|([A-Za-z])\1*|[^A-Za-z']+", re.DOTALL)
_DATE_CODES = {
    "YYYY": "%Y",
    "YY": "%y",
    "MM": "%m",
    "DD": "%d",
    "hh": "%H",
    "mm": "%M",
    "ss": "%S",
    "Z": "Z",
    "ZZZ": "UTC",
    "ZZZZ": "+0000",
    "ZZZZZ": "+00:00",
}
_ISO_8601 = "%Y-%m-%dT%H:%M:%SZ"
NOW = "timestamp()"


def now() -> Code:
    """Return the time of the build: a plan reads SOURCE_DATE_EPOCH, not the clock."""
    return Code(text=NOW, type=STRING)


def date(format_: Code, time: Code) -> Code:
    """Return a time in a format of `formatdate`. The time is text in UTC, or a number of seconds."""
    codes = _date_format(literal_of(format_, "the format"))
    argument = "" if codes == _ISO_8601 else quoted(codes)
    if time.text == NOW:
        return Code(text=f"timestamp({argument})", type=STRING)
    form = f"{time:filter} | timestamp" + (f"({argument})" if argument else "")
    return Code(text=form, level=Level.FILTER, type=STRING)


def _date_format(format_: str) -> str:
    if format_ == "X":
        return "%s"
    codes = ""
    for token in _DATE_TOKEN.finditer(format_):
        text = token.group()
        if text.startswith("'"):
            codes += (text[1:-1].replace("''", "'") or "'").replace("%", "%%")
        elif not text[0].isalpha():
            codes += text.replace("%", "%%")
        elif text in _DATE_CODES:
            codes += _DATE_CODES[text]
        else:
            msg = f'timestamp has no form of "{text}"'
            raise ValueError(msg)
    return codes


TIME_FIELDS = {
    "year": "%Y",
    "year_day": "%j",
    "month": "%m",
    "day": "%d",
    "hour": "%H",
    "minute": "%M",
    "second": "%S",
    "iso_year": "%G",
    "iso_week": "%V",
}


def time_field(seconds: Code, name: str) -> Code:
    """Return a field of `unixtimestampparse`."""
    number = converted(seconds, NUMBER)
    if name == "rfc3339":
        return Code(text=f"{number:filter} | timestamp", level=Level.FILTER, type=STRING)
    if name not in TIME_FIELDS:
        msg = f"the plan language has no {name} of a time"
        raise ValueError(msg)
    form = f"{number:filter} | timestamp({quoted(TIME_FIELDS[name])}) | int"
    return Code(text=form, level=Level.FILTER, type=NUMBER)
