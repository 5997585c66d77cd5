"""The filters for regular expressions. They use RE2, since a plan may be hostile: RE2 never backtracks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mpbake.base.text import one_line, short_name
from mpbake.resolve.patterns import BadPatternError, compile_pattern
from mpbake.resolve.template.filters import EXCERPT, FilterError, input_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_MAX_PATTERN = 500
_MAX_SEARCHED = 100_000
_CALL_WORK = 200
_COMPILATION_WORK = 20_000
_INSTRUCTION_WORK = 10
_MAX_CACHED = 1000
_CONTROL = re.compile(r"[\0-\b\x0e-\x1f]")
"""Characters that a pattern never needs. Jinja makes them of `\\b` and `\\1`."""
_REFERENCE = re.compile(r"\$(?:(\$)|(\d+)|([A-Za-z_]\w*)|\{(\w+)\}|)")


class RegexFilters:
    """The filters `regex_search`, `regex_findall` and `regex_replace` of one sandbox.

    `spend` counts work, in characters. RE2 needs time in proportion to the text and the size of the pattern, for each
    match.
    """

    def __init__(self, spend: Callable[[int], None]) -> None:
        self._spend = spend
        self._patterns: dict[str, Any] = {}

    def filters(self) -> Mapping[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"regex_search": self.search, "regex_findall": self.find_all, "regex_replace": self.replace}

    def search(self, value: object, pattern: object, group: int | str = 0) -> str | None:
        """Return the first match of `pattern`, or a `group` of this match. If nothing matches, return None."""
        compiled = self._compiled("regex_search", pattern)
        match = next(self._matches(compiled, _searched("regex_search", value)), None)
        if match is None:
            return None
        try:
            text: str | None = match.group(group)
        except (IndexError, KeyError, TypeError):
            raise _unknown_group(str(group)) from None
        return text

    def find_all(self, value: object, pattern: object) -> list[str] | list[list[str]]:
        """Return all matches of `pattern`. With one group, return the texts of the group; with more, a list for each.

        A group that is not part of the match is an empty text.
        """
        compiled = self._compiled("regex_findall", pattern)
        matches = list(self._matches(compiled, _searched("regex_findall", value)))
        if compiled.groups > 1:
            return [list(match.groups(default="")) for match in matches]
        return [(match[1] or "") if compiled.groups else match[0] for match in matches]

    def replace(self, value: object, pattern: object, replacement: object) -> str:
        """Replace all matches of `pattern`. `$1`, `${1}` and `${name}` stand for a group, `$$` for a dollar sign."""
        compiled = self._compiled("regex_replace", pattern)
        template = input_text("regex_replace", replacement)
        if "\\" in template or _CONTROL.search(template):
            raise FilterError("a replacement cannot contain a backslash", "write $1 for the first group")
        text = _searched("regex_replace", value)
        pieces: list[str] = []
        end = 0
        for match in self._matches(compiled, text):
            piece = text[end : match.start()] + _expanded(template, match)
            self._spend(len(piece))
            pieces.append(piece)
            end = match.end()
        return "".join([*pieces, text[end:]])

    def _compiled(self, name: str, pattern: object) -> Any:
        text = input_text(name, pattern)
        self._spend(_CALL_WORK)
        if text in self._patterns:
            return self._patterns[text]
        if len(text) > _MAX_PATTERN:
            raise FilterError(f"the pattern has more than {_MAX_PATTERN} characters", "shorten it")
        if _CONTROL.search(text):
            hint = r"in a template, write \\b for the end of a word"
            raise FilterError(f"the pattern {one_line(text)} contains a control character", hint)
        self._spend(_COMPILATION_WORK)
        try:
            compiled = compile_pattern(text)
        except BadPatternError as error:
            hint = "write a regular expression of RE2: https://github.com/google/re2/wiki/Syntax"
            raise FilterError(f"the pattern {one_line(text)} is invalid: {error}", hint) from None
        self._spend(_INSTRUCTION_WORK * compiled.programsize)
        if len(self._patterns) < _MAX_CACHED:
            self._patterns[text] = compiled
        return compiled

    def _matches(self, compiled: Any, text: str) -> Iterator[Any]:
        """Yield the matches, and count the search for each of them.

        As in Go, an empty match directly after another match does not count.
        """
        size = 1 + compiled.programsize // 2
        self._spend(len(text) * size)
        end = -1
        for match in compiled.finditer(text):
            self._spend((len(text) - match.start()) * size)
            if match.end() > end:
                yield match
            end = match.end()


def _searched(name: str, value: object) -> str:
    text = input_text(name, value)
    if len(text) > _MAX_SEARCHED:
        raise FilterError(f"{name} takes at most {_MAX_SEARCHED} characters", "search a shorter text")
    return text


def _expanded(template: str, match: Any) -> str:
    """Return a replacement with the groups of `match`."""
    return _REFERENCE.sub(lambda reference: _group(reference, match), template)


def _group(reference: re.Match[str], match: Any) -> str:
    """Return the text for a `reference` in a replacement, such as `$1`."""
    if reference[1]:
        return "$"
    name = reference[2] or reference[3] or reference[4]
    if not name:
        raise FilterError("a replacement contains a lone $", "write $$ for a dollar sign, and $1 for the first group")
    try:
        text: str | None = match.group(int(name) if name.isdigit() else name)
    except (IndexError, KeyError):
        raise _unknown_group(name) from None
    return text or ""


def _unknown_group(name: str) -> FilterError:
    return FilterError(f'the pattern has no group "{short_name(name, EXCERPT)}"', "number the groups from 1")
