"""The text of a bake file: its positions, and its errors."""

from __future__ import annotations

from bisect import bisect_right

from mpbake.base.codes import Code
from mpbake.base.errors import Diagnostic, Location, PlanError
from mpbake.conversion.syntax import Place

MAX_CHARACTERS = 4 * 1024 * 1024
"""The maximum size of a bake file. The largest public ones have some 100,000 characters."""
MAX_DEPTH = 50
"""The maximum number of brackets and strings around a value."""


class Source:
    """The text of a file. With `fixed`, the text has this place as a whole, such as a string in a JSON file."""

    def __init__(self, text: str, path: str, fixed: Place | None = None) -> None:
        self.text = text
        self.path = path
        self._fixed = fixed
        self._starts = [0]
        self._starts.extend(index + 1 for index, character in enumerate(text) if character == "\n")

    def line(self, offset: int) -> int:
        """Return the number of the line of the character at `offset`, from 1, within this text."""
        return bisect_right(self._starts, offset)

    def place(self, offset: int) -> Place:
        """Return the place of the character at `offset`."""
        if self._fixed is not None:
            return self._fixed
        line = self.line(offset)
        return Place(file=self.path, line=line, column=offset - self._starts[line - 1] + 1)

    def problem(
        self, offset: int, message: str, *, length: int = 1, hint: str = "", code: Code = Code.HCL_SYNTAX
    ) -> Diagnostic:
        """Return the problem of the `length` characters at `offset`."""
        return self.problem_at(self.place(offset), message, length=length, hint=hint, code=code)

    def problem_at(
        self, place: Place, message: str, *, length: int = 1, hint: str = "", code: Code = Code.HCL_SYNTAX
    ) -> Diagnostic:
        """Return the problem of the `length` characters at a place."""
        excerpt = "" if self._fixed is not None else self._line_text(place.line)
        location = Location(file=place.file, line=place.line, column=place.column, length=length, excerpt=excerpt)
        return Diagnostic(code=code, message=message, hint=hint, location=location)

    def _line_text(self, line: int) -> str:
        start = self._starts[line - 1]
        end = self.text.find("\n", start)
        return self.text[start : len(self.text) if end < 0 else end].rstrip("\r")

    def error(
        self, offset: int, message: str, *, length: int = 1, hint: str = "", code: Code = Code.HCL_SYNTAX
    ) -> PlanError:
        """Return the error with one problem, to be raised."""
        return PlanError([self.problem(offset, message, length=length, hint=hint, code=code)])


def read_source(text: str, path: str) -> Source:
    """Return the source of a whole file. Raises PlanError if the file is too large."""
    if len(text) > MAX_CHARACTERS:
        message = f"the file has more than {MAX_CHARACTERS // 1024**2} MB"
        hint = "split the file, and import its parts one after another"
        location = Location(file=path)
        raise PlanError([Diagnostic(code=Code.PLAN_TOO_LARGE, message=message, hint=hint, location=location)])
    return Source(text.removeprefix("\ufeff"), path)
