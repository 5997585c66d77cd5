"""Scan HCL: find comments, strings and templates, check brackets, and leave code that python-hcl2 can parse.

The grammar of python-hcl2 accepts newlines and comments only in some of the places where HCL has them, knows no strip
markers in templates, and refuses some escapes, repeated unary operators and `a -12`. So the scanner replaces in the
code:

- comments by spaces, and newlines within `( )`, `[ ]`, templates and `for` expressions too;
- strings and heredocs by a plain string of the same length: `templates` reads their content;
- letters outside ASCII in names by `x`: names are read from the source;
- of several unary operators in a row all but the last by spaces: `Scan.prefixes` keeps the others.

It also inserts a space between a minus and a number. `Code.offset` gives the position in the source.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mpbake.base.codes import Code as Problem
from mpbake.conversion.reading.hcl.scan import Draft, Quoting, Scan, Sequence, Span, String
from mpbake.conversion.reading.hcl.source import MAX_DEPTH

if TYPE_CHECKING:
    from mpbake.conversion.reading.hcl.scan import Code
    from mpbake.conversion.reading.hcl.source import Source

_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r]+)
    | (?P<newline>\n)
    | (?P<comment>\#[^\n]*|//[^\n]*|/\*.*?\*/)
    | (?P<heredoc><<(?P<flush>-?)(?P<marker>[^\W\d][\w-]*)\r?\n)
    | (?P<quote>")
    | (?P<open>[(\[{])
    | (?P<close>~?[}]|[)\]])
    | (?P<name>[^\W\d][\w-]*)
    | (?P<number>[0-9]+(?:\.[0-9]+)*(?:[eE][+-]?[0-9]+)?)
    | (?P<unary>(?:!(?!=)|-))
    | (?P<operator>=>|==|!=|<=|>=|&&|\|\||\.\.\.|::|[+*%<>?:=.,]|/(?!\*))
    """,
    re.VERBOSE | re.DOTALL,
)
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORD = re.compile(r"[\w.]+")
_FOR = re.compile(r"(?:\s++|\#[^\n]*+|//[^\n]*+|/\*.*?\*/)*+for\s", re.DOTALL)
_QUOTED_LITERAL = re.compile(r'(?:[^"\\$%\r\n]++|\\[^\r\n]|\$\$\{|%%\{|[$%](?!\{))+')
_BARE_LITERAL = re.compile(r"(?:[^$%]++|\$\$\{|%%\{|[$%](?!\{))+")
_HEREDOC_LITERAL = re.compile(r"(?:[^$%\n]++|\$\$\{|%%\{|[$%](?!\{))*\n?")
_SEQUENCE = re.compile(r"[$%]\{~?")
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_UNEXPECTED = {
    "\u201c": 'write straight quotes: "…"',
    "\u201d": 'write straight quotes: "…"',
    "\u2018": 'write straight quotes: "…"',
    "\u2019": 'write straight quotes: "…"',
    "'": 'write double quotes: "…"',
    ";": "remove the semicolon: a newline ends an attribute",
    "&": "write && for “and”",
    "|": "write || for “or”",
    "\\": "remove the backslash",
    "\u00a0": "replace the no-break space by a space",
}


def scan_file(source: Source) -> tuple[Code, Scan]:
    """Return the code of a whole file, and its comments and strings. Raises PlanError."""
    scanner = _Scanner(source)
    return scanner.code(0, None), scanner.scan


def scan_expression(source: Source) -> tuple[Code, Scan]:
    """Return the code of a text that is one expression. Raises PlanError."""
    scanner = _Scanner(source)
    return scanner.code(0, None, newlines=False), scanner.scan


def scan_template(source: Source) -> tuple[String, Scan]:
    """Return a text that is a template without quotes and escapes. Raises PlanError."""
    scanner = _Scanner(source)
    return scanner.bare(), scanner.scan


class _Scanner:
    """Reads the source from the front to the end. `_end` is the offset behind the last token that was read."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._text = source.text
        self._end = 0
        self._depth = 0
        self.scan = Scan()

    def code(self, start: int, sequence: int | None, *, newlines: bool = True) -> Code:
        """Read code up to the end of the text; with `sequence`, up to the brace of the template sequence there."""
        draft = Draft(start=start, keeps=[newlines and sequence is None], prefixes=self.scan.prefixes)
        self._end = start
        while self._end < len(self._text):
            token = _TOKEN.match(self._text, self._end)
            if token is None:
                raise self._unexpected(self._end)
            if sequence is not None and not draft.brackets and token["close"] in {"}", "~}"}:
                return draft.finished()
            self._end = token.end()
            self._add(draft, token, sequence)
        if sequence is not None:
            raise self._unclosed_sequence(sequence)
        if draft.brackets:
            bracket, offset = draft.brackets[-1]
            raise self._source.error(
                offset, f"`{bracket}` is never closed", hint=f"add `{_CLOSING[bracket]}` where it ends"
            )
        return draft.finished()

    def _add(self, draft: Draft, token: re.Match[str], sequence: int | None) -> None:
        kind, text, start = str(token.lastgroup), token.group(), token.start()
        match kind:
            case "space" | "newline" | "comment":
                if kind == "comment":
                    self.scan.comments.append(Span(start=start, end=token.end()))
                draft.add(text if kind == "space" or (kind == "newline" and draft.keeps[-1]) else " " * len(text))
                return
            case "quote" | "heredoc":
                self._string(draft, token, sequence)
            case "open":
                self._open(draft, text, start)
            case "close":
                self._close(draft, text, start, sequence)
            case "name":
                draft.add(text if text.isascii() else re.sub(r"[^\x00-\x7f]", "x", text))
            case "number":
                self._number(draft, text, start)
            case "unary" if text == "!" or not draft.after_operand:
                draft.add_unary(text, start)
                if text == "-" and self._text[self._end : self._end + 1].isdigit():
                    draft.insert_space()
                return
            case _:
                draft.add(text)
                if text == "-":
                    draft.insert_space()
        draft.after_operand = kind in {"name", "number", "quote", "heredoc", "close"}
        draft.unary = None

    def _open(self, draft: Draft, bracket: str, start: int) -> None:
        draft.add(bracket)
        draft.brackets.append((bracket, start))
        draft.keeps.append(bracket == "{" and not _FOR.match(self._text, self._end))
        self._check_depth(start, len(draft.brackets))

    def _close(self, draft: Draft, bracket: str, start: int, sequence: int | None) -> None:
        if bracket == "~}":
            raise self._source.error(start, "`~` is not expected here", hint="remove it: only templates have `~}`")
        opened, offset = draft.brackets.pop() if draft.brackets else ("", 0)
        if opened and _CLOSING[opened] == bracket:
            draft.keeps.pop()
            draft.add(bracket)
            return
        if not opened and sequence is not None:
            raise self._unclosed_sequence(sequence)
        if not opened:
            raise self._source.error(start, f"`{bracket}` closes nothing", hint="remove it, or add what it closes")
        line = self._source.place(offset).line
        raise self._source.error(
            start,
            f"expected `{_CLOSING[opened]}`, which closes `{opened}` in line {line}, not `{bracket}`",
            hint=f"write `{_CLOSING[opened]}`, or close `{opened}` before",
        )

    def _number(self, draft: Draft, text: str, start: int) -> None:
        after = self._text[self._end : self._end + 1]
        if _NUMBER.fullmatch(text) and not (after.isalnum() or after == "_"):
            draft.add(text)
            return
        written = _WORD.match(self._text, start)
        word = written.group() if written else text
        raise self._source.error(
            start,
            f"`{word[:40]}` is not a number",
            length=len(word),
            hint='write a decimal number such as 10 or 0.5, or text in quotes: "…"',
        )

    def _string(self, draft: Draft, token: re.Match[str], sequence: int | None) -> None:
        start = token.start()
        self._check_depth(start, len(draft.brackets) + 1)
        depth, self._depth = self._depth, self._depth + len(draft.brackets) + 1
        if token["quote"]:
            string = self._quoted(start, sequence)
        else:
            string = self._heredoc(start, token["marker"], flush=token["flush"] == "-")
        self._depth = depth
        self._end = string.end
        self.scan.strings[start] = string
        draft.add('"' + "x" * (string.end - start - 2) + '"')

    def _quoted(self, start: int, sequence: int | None) -> String:
        parts: list[Span | Sequence] = []
        position = start + 1
        while True:
            if literal := _QUOTED_LITERAL.match(self._text, position):
                parts.append(Span(start=position, end=literal.end()))
                position = literal.end()
            if self._text.startswith('"', position):
                return String(start=start, end=position + 1, quoting=Quoting.QUOTED, parts=tuple(parts))
            if not _SEQUENCE.match(self._text, position):
                break
            parts.append(self._sequence(position))
            position = self._end
        if sequence is not None:
            raise self._unclosed_sequence(sequence)
        raise self._source.error(
            start,
            "the string is not closed in its line",
            length=position - start,
            hint='add `"` where it, or a string before it, ends; write text of several lines as a heredoc: <<EOT',
        )

    def _heredoc(self, start: int, marker: str, *, flush: bool) -> String:
        parts: list[Span | Sequence] = []
        position, line_starts = self._end, True
        closing = re.compile(rf"[^\S\n]*{re.escape(marker)}(?=[^\S\n]*(?:\n|\Z))")
        while position < len(self._text):
            if line_starts and (end := closing.match(self._text, position)):
                quoting = Quoting.FLUSH_HEREDOC if flush else Quoting.HEREDOC
                return String(start=start, end=end.end(), quoting=quoting, parts=tuple(parts))
            literal = _HEREDOC_LITERAL.match(self._text, position)
            if literal and literal.group():
                parts.append(Span(start=position, end=literal.end()))
                position, line_starts = literal.end(), literal.group().endswith("\n")
            else:
                parts.append(self._sequence(position))
                position, line_starts = self._end, False
        raise self._source.error(
            start,
            f"the heredoc is never closed: no line has only `{marker}`",
            length=2 + flush + len(marker),
            hint=f"add a line `{marker}` where the text ends",
        )

    def bare(self) -> String:
        """Read the whole text as a template without quotes."""
        parts: list[Span | Sequence] = []
        position = 0
        while position < len(self._text):
            literal = _BARE_LITERAL.match(self._text, position)
            if literal is None:
                parts.append(self._sequence(position))
                position = self._end
                continue
            lines = re.finditer(r"[^\n]*\n|[^\n]+", literal.group())
            parts.extend(Span(start=position + line.start(), end=position + line.end()) for line in lines)
            position = literal.end()
        return String(start=0, end=len(self._text), quoting=Quoting.BARE, parts=tuple(parts))

    def _sequence(self, start: int) -> Sequence:
        """Read the template sequence that starts at `start`."""
        strips_before = self._text.startswith("~", start + 2)
        self._check_depth(start, 1)
        self._depth += 1
        code = self.code(start + 2 + strips_before, start)
        self._depth -= 1
        strips_after = self._text[self._end] == "~"
        self._end += 1 + strips_after
        return Sequence(
            start=start,
            end=self._end,
            code=code,
            directive=self._text[start] == "%",
            strips_before=strips_before,
            strips_after=strips_after,
        )

    def _unclosed_sequence(self, start: int) -> Exception:
        opening = self._text[start : start + 2]
        return self._source.error(
            start,
            f"the template `{opening}` is not closed",
            length=2,
            hint=f"add `}}` where it ends, or write `{opening[0]}{opening}` for the text `{opening}`",
        )

    def _unexpected(self, offset: int) -> Exception:
        if self._text.startswith("/*", offset):
            return self._source.error(offset, "the comment is never closed", length=2, hint="add `*/` where it ends")
        character = self._text[offset]
        shown = f"`{character}`" if character.isprintable() else f"the character U+{ord(character):04X}"
        hint = _UNEXPECTED.get(character, "remove it, or put it into quotes")
        return self._source.error(offset, f"{shown} is not expected here", hint=hint)

    def _check_depth(self, offset: int, brackets: int) -> None:
        if self._depth + brackets > MAX_DEPTH:
            message = f"values are nested more than {MAX_DEPTH} levels deep"
            raise self._source.error(offset, message, hint="use fewer levels", code=Problem.TOO_DEEP)
