"""The text of a bake file: its positions, and its errors."""

from __future__ import annotations

import re
from bisect import bisect_right

from mpbake.base.codes import Code
from mpbake.base.errors import Diagnostic, Location, PlanError
from mpbake.conversion.syntax import Place

MAX_HCL = 500_000
"""The maximum number of characters of a file in HCL, which take some ten seconds. Large public files have 30,000."""
MAX_JSON = 8_000_000
"""The maximum number of characters of a file in JSON. A program may have written it."""
MAX_DEPTH = 50
"""The maximum number of brackets and strings around a value."""


class Source:
    """The text of a file. With `within`, the text is a value of another file: that line is its place and excerpt."""

    def __init__(
        self, text: str, path: str, *, within: tuple[Place, str] | None = None, code: Code = Code.HCL_SYNTAX
    ) -> None:
        self.text = text
        self.path = path
        self._within = within
        self._code = code
        self._starts = [0]
        self._starts.extend(match.end() for match in re.finditer("\n", text))

    def line(self, offset: int) -> int:
        """Return the number of the line of the character at `offset`, from 1, within this text."""
        return bisect_right(self._starts, offset)

    def place(self, offset: int) -> Place:
        """Return the place of the character at `offset`."""
        if self._within is not None:
            return self._within[0]
        line = self.line(offset)
        return Place(file=self.path, line=line, column=offset - self._starts[line - 1] + 1)

    def line_text(self, line: int) -> str:
        """Return a line of the text."""
        start = self._starts[line - 1]
        end = self.text.find("\n", start)
        return self.text[start : len(self.text) if end < 0 else end].rstrip("\r")

    def problem(
        self, offset: int, message: str, *, length: int = 1, hint: str = "", code: Code | None = None
    ) -> Diagnostic:
        """Return the problem of the `length` characters at `offset`."""
        return self.problem_at(self.place(offset), message, length=length, hint=hint, code=code)

    def problem_at(
        self, place: Place, message: str, *, length: int = 1, hint: str = "", code: Code | None = None
    ) -> Diagnostic:
        """Return the problem of the `length` characters at a place. Without `code`, the syntax is wrong."""
        excerpt = self.line_text(place.line) if self._within is None else self._within[1]
        location = Location(file=place.file, line=place.line, column=place.column, length=length, excerpt=excerpt)
        return Diagnostic(code=code or self._code, message=message, hint=hint, location=location)

    def error(
        self, offset: int, message: str, *, length: int = 1, hint: str = "", code: Code | None = None
    ) -> PlanError:
        """Return the error with one problem, to be raised."""
        return PlanError([self.problem(offset, message, length=length, hint=hint, code=code)])


def read_source(text: str, path: str, code: Code = Code.HCL_SYNTAX, most: int = MAX_HCL) -> Source:
    """Return the source of a whole file, whose errors have `code`.

    Raises PlanError if the file has more than `most` characters.
    """
    if len(text) > most:
        message = f"the file has more than {most:,} characters"
        hint = "split the file, and import its parts one after another"
        problem = Diagnostic(code=Code.PLAN_TOO_LARGE, message=message, hint=hint, location=Location(file=path))
        raise PlanError([problem])
    return Source(text.removeprefix("\ufeff"), path, code=code)
