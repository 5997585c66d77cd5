"""The values of a YAML document with their places, and the problems that a reader of these values collects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from mpbake.base.codes import Code
from mpbake.base.errors import Diagnostic, Location, PlanError
from mpbake.base.text import LONGEST_NAME, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mpbake.conversion.syntax import Place


@dataclass(frozen=True, kw_only=True, slots=True)
class Scalar:
    """A scalar as written, without quotes. `plain` is whether YAML derives its type from its text.

    `last_line` is the number of the line where the scalar ends, `last_column` the number of characters before the end.
    """

    text: str
    place: Place = field(compare=False)
    plain: bool = False
    tag: str = ""
    last_line: int = field(default=0, compare=False)
    last_column: int = field(default=0, compare=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class List:
    """A list. `size` is the number of its values at all levels, aliases included."""

    items: tuple[Value, ...]
    place: Place = field(compare=False)
    tag: str = ""
    size: int = field(default=1, compare=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mapping:
    """A table, with its merge keys (`<<`) resolved: the keys are unique. `size` as in `List`."""

    pairs: tuple[tuple[Scalar, Value], ...]
    place: Place = field(compare=False)
    tag: str = ""
    size: int = field(default=1, compare=False)

    def get(self, name: str) -> Value | None:
        """Return the value of the key `name`, or None."""
        return next((value for key, value in self.pairs if key.text == name), None)

    def key(self, name: str) -> Scalar | None:
        """Return the key `name` itself, or None."""
        return next((key for key, _ in self.pairs if key.text == name), None)


Value: TypeAlias = Scalar | List | Mapping


def size(value: Value) -> int:
    """Return the number of values that `value` consists of, itself included."""
    return 1 if isinstance(value, Scalar) else value.size


def scalars(value: Value) -> Iterator[Scalar]:
    """Yield all scalars in `value` except keys, once for each place where they are written."""
    seen: set[int] = set()
    stack = [value]
    while stack:
        part = stack.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        match part:
            case Scalar():
                yield part
            case List():
                stack.extend(reversed(part.items))
            case Mapping():
                stack.extend(value for _, value in reversed(part.pairs))


class Problems:
    """The problems of a Compose file and of the files that it uses, with the lines that their messages quote."""

    def __init__(self) -> None:
        """Start without files and problems."""
        self._lines: dict[str, list[str]] = {}
        self._diagnostics: list[Diagnostic] = []

    def add_file(self, path: str, text: str) -> None:
        """Add a file whose problems quote its lines."""
        self._lines[path] = text.splitlines()

    def add(self, place: Place, message: str, hint: str = "", code: Code = Code.COMPOSE_VALUES) -> None:
        """Add a problem at `place`."""
        self._diagnostics.append(self.diagnostic(place, message, hint, code))

    def diagnostic(self, place: Place, message: str, hint: str, code: Code) -> Diagnostic:
        """Return a problem with the line where it is."""
        lines = self._lines.get(place.file, [])
        excerpt = shortened(lines[place.line - 1], LONGEST_NAME) if 0 < place.line <= len(lines) else ""
        location = Location(file=place.file, line=place.line, column=place.column, excerpt=excerpt)
        return Diagnostic(code=code, message=message, hint=hint, location=location)

    def check(self) -> None:
        """Raise PlanError if there are problems."""
        if self._diagnostics:
            raise PlanError(self._diagnostics)
