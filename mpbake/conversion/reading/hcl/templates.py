"""Read the templates of strings: `${…}`, and `%{…}` with if, else and for."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mpbake.base.codes import Code as Problem
from mpbake.conversion.reading.hcl.scan import Sequence
from mpbake.conversion.reading.hcl.strings import normalized, string_parts
from mpbake.conversion.syntax import Expression, Literal, Name, Template, TemplateFor, TemplateIf

if TYPE_CHECKING:
    from collections.abc import Callable

    from mpbake.conversion.reading.hcl.scan import Code, String
    from mpbake.conversion.reading.hcl.source import Source

MAX_DIRECTIVES = 10
"""The maximum number of `%{ if … }` and `%{ for … }` around a text."""

_NAME = re.compile(r"\s*([A-Za-z_][\w-]*)\s*", re.ASCII)
_KEYWORDS = frozenset({"true", "false", "null"})
_DIRECTIVE = re.compile(r"\s*([A-Za-z]*)(?![\w-])\s*", re.ASCII)
_FOR = re.compile(r"([^\W\d][\w-]*)\s*(?:,\s*([^\W\d][\w-]*)\s*)?(?<=[\s,\w-])\bin(?![\w-])\s*")


@dataclass(kw_only=True, slots=True)
class _Block:
    """The parts of a template, or of one branch of a directive. `opening` is the directive that opens the branch.

    The content begins at `begin`; the literal text that is not yet a part begins at `start`.
    """

    opening: Sequence | None = None
    keyword: str = ""
    begin: int
    start: int
    parts: list[Expression] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    condition: Expression | None = None
    then: Expression | None = None
    names: tuple[str, str] = ("", "")


class TemplateReader:
    """Reads the strings of one source. `parse` reads the expression of a sequence."""

    def __init__(self, source: Source, parse: Callable[[Code], Expression]) -> None:
        self._source = source
        self._parse = parse

    def read(self, string: String) -> Expression:
        """Return a string as a literal or a template."""
        begin = string.parts[0].start if string.parts else string.start
        stack = [_Block(begin=begin, start=begin)]
        for part in string_parts(string, self._source):
            if isinstance(part, str):
                stack[-1].text.append(part)
                continue
            self._flush(stack[-1], part.start)
            if part.directive:
                self._directive(stack, part)
            else:
                stack[-1].parts.append(self._interpolation(part.code))
                stack[-1].start = part.end
        block = stack[-1]
        if block.opening is not None:
            ending = "endfor" if block.keyword == "for" else "endif"
            raise self._source.error(
                block.opening.start,
                f"`%{{ {block.keyword} }}` has no `%{{ {ending} }}`",
                length=2,
                hint=f"add `%{{ {ending} }}` where it ends",
            )
        self._flush(block, string.end)
        return self._whole(block, string)

    def _whole(self, block: _Block, string: String) -> Expression:
        place, text = self._source.place(string.start), self._source.text[string.start : string.end]
        match block.parts:
            case []:
                return Literal(value="", place=place, text=text)
            case [Literal(value=str(value))] if not any(isinstance(part, Sequence) for part in string.parts):
                return Literal(value=value, place=place, text=text)
            case [_] if len(string.parts) > 1 and not isinstance(block.parts[0], TemplateIf | TemplateFor):
                # Text that is empty after stripping makes a string of the value all the same.
                return Template(parts=(*block.parts, Literal(value="")), place=place, text=text)
            case parts:
                return Template(parts=tuple(parts), place=place, text=text)

    def _flush(self, block: _Block, end: int) -> None:
        """Add the literal text that is collected as one part."""
        if text := normalized("".join(block.text)):
            written = self._source.text[block.start : end]
            block.parts.append(Literal(value=text, place=self._source.place(block.start), text=written))
        block.text.clear()

    def _branch(self, block: _Block, end: int) -> Expression:
        """Return a branch of a directive, which is text in any case."""
        place = self._source.place(block.begin)
        match block.parts:
            case []:
                return Literal(value="", place=place)
            case [Literal() as literal]:
                return literal
            case parts:
                return Template(parts=tuple(parts), place=place, text=self._source.text[block.begin : end])

    def _interpolation(self, code: Code) -> Expression:
        if (match := _NAME.fullmatch(code.text)) and match.group(1) not in _KEYWORDS:
            start = code.offset(match.start(1))
            name = self._source.text[start : start + len(match.group(1))]
            return Name(name=name, place=self._source.place(start), text=name)
        return self._parse(code)

    def _directive(self, stack: list[_Block], sequence: Sequence) -> None:
        match = _DIRECTIVE.match(sequence.code.text)
        keyword = match.group(1) if match else ""
        rest = sequence.code.rest(match.end() if match else 0)
        block = stack[-1]
        match keyword:
            case "if":
                self._open(stack, self._opened(sequence, "if", self._interpolation(rest)), sequence)
            case "for":
                self._open(stack, self._for(sequence, rest), sequence)
            case "else" if block.keyword == "if" and block.then is None:
                block.then = self._branch(block, sequence.start)
                block.parts, block.keyword = [], "else"
                block.begin = block.start = sequence.end
            case "endif" if block.keyword in {"if", "else"}:
                stack.pop()
                self._close(stack[-1], sequence, self._if(block, sequence))
            case "endfor" if block.keyword == "for":
                stack.pop()
                self._close(stack[-1], sequence, self._loop(block, sequence))
            case _:
                raise self._misplaced(keyword, sequence)

    def _close(self, outer: _Block, sequence: Sequence, expression: Expression) -> None:
        """Add a directive that ends with `sequence`."""
        outer.parts.append(expression)
        outer.start = sequence.end

    def _if(self, block: _Block, end: Sequence) -> TemplateIf:
        assert block.opening is not None and block.condition is not None  # noqa: S101, PT018 - a directive opened it
        last = self._branch(block, end.start)
        then, otherwise = (last, Literal(value="")) if block.then is None else (block.then, last)
        start = block.opening.start
        return TemplateIf(
            condition=block.condition,
            then=then,
            otherwise=otherwise,
            place=self._source.place(start),
            text=self._source.text[start : end.end],
        )

    def _for(self, sequence: Sequence, rest: Code) -> _Block:
        match = _FOR.match(rest.text)
        if match is None:
            raise self._source.error(
                sequence.start,
                "`%{ for … }` needs names, `in` and a list",
                length=2,
                hint="write `%{ for item in list }` or `%{ for key, value in table }`",
            )
        names = [self._written(rest, match, group) for group in (1, 2) if match.group(group)]
        block = self._opened(sequence, "for", self._interpolation(rest.rest(match.end())))
        block.names = (names[0], names[1]) if len(names) == 2 else ("", names[0])
        return block

    def _open(self, stack: list[_Block], block: _Block, sequence: Sequence) -> None:
        if len(stack) > MAX_DIRECTIVES:
            message = f"template directives are nested more than {MAX_DIRECTIVES} levels deep"
            raise self._source.error(sequence.start, message, length=2, hint="use fewer levels", code=Problem.TOO_DEEP)
        stack.append(block)

    def _opened(self, sequence: Sequence, keyword: str, condition: Expression) -> _Block:
        return _Block(opening=sequence, keyword=keyword, begin=sequence.end, start=sequence.end, condition=condition)

    def _written(self, code: Code, match: re.Match[str], group: int) -> str:
        return self._source.text[code.offset(match.start(group)) : code.offset(match.end(group))]

    def _loop(self, block: _Block, end: Sequence) -> TemplateFor:
        assert block.opening is not None and block.condition is not None  # noqa: S101, PT018 - a directive opened it
        start = block.opening.start
        key, value = block.names
        return TemplateFor(
            key=key,
            value=value,
            collection=block.condition,
            body=self._branch(block, end.start),
            place=self._source.place(start),
            text=self._source.text[start : end.end],
        )

    def _misplaced(self, keyword: str, sequence: Sequence) -> Exception:
        if keyword in {"else", "endif", "endfor"}:
            opening = "for" if keyword == "endfor" else "if"
            message, hint = f"`%{{ {keyword} }}` belongs to no `%{{ {opening} … }}`", "remove it, or add what it ends"
        else:
            message = f"`{keyword}` is not a template directive" if keyword else "`%{` needs a directive"
            hint = "write if, else, endif, for or endfor; write %%{ for the text %{"
        return self._source.error(sequence.start, message, length=2, hint=hint)
