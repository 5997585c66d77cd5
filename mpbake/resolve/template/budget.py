"""The budget of one rendering: a plan may be hostile and must not exhaust memory or processor time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jinja2.exceptions import SecurityError
from jinja2.sandbox import MAX_RANGE

from mpbake.resolve.template.values import ITEM_WEIGHT, is_collection, is_lazy_sequence, weight

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MAX_TEXT = 1_000_000
"""The maximum number of characters of a text and of a rendered template."""
TEXT_TOO_LONG = "texts this long are not allowed here"
_MAX_WORK = 100_000_000
_ARGUMENT_WEIGHT = 100
"""The number of characters that an argument counts for, in addition to the characters of its value."""
_MAX_DIGITS = 1_000
"""The maximum number of digits that `round` may keep."""
_SIZED = frozenset(
    {"ljust", "rjust", "center", "zfill", "expandtabs", "indent", "wordwrap", "batch", "slice", "tojson"}
    | {"round", "to_bytes"}
)
"""Functions whose numeric arguments determine the size of the result."""


class Budget:
    """Counts the work of one rendering, in characters made or read, and the iterations of loops.

    The methods of the budget raise SecurityError when the budget is exhausted.
    """

    __slots__ = ("_iterations", "_work")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start a new rendering."""
        self._iterations = self._work = 0

    def spend(self, work: int) -> None:
        """Count `work` characters."""
        self._work += work
        if self._work > _MAX_WORK:
            raise SecurityError(TEXT_TOO_LONG)

    def spend_arguments(self, number: int) -> None:
        """Count a call with this number of arguments."""
        self.spend(_ARGUMENT_WEIGHT * number)

    def count_iterations(self, number: int) -> None:
        """Count iterations of a loop, or calls of a macro."""
        self._iterations += number
        if self._iterations > MAX_RANGE:
            raise SecurityError(f"more than {MAX_RANGE} rounds of loops are not allowed")

    def contents(self, value: Any) -> Iterator[Any]:
        """Yield `value` and, at any depth, all values in it; count each of them."""
        pending = [value]
        while pending:
            item = pending.pop()
            self.spend(weight(item))
            yield item
            if is_collection(item):
                pending += [*item.keys(), *item.values()] if isinstance(item, Mapping) else item

    def read(self, value: Any) -> None:
        """Count `value` and all values that it contains."""
        for _ in self.contents(value):
            pass

    def check_arguments(self, name: str, *values: Any) -> int:
        """Refuse a call that makes a huge text from small texts: padding, or long texts inserted into long texts.

        `name` is the function to call with `values`. Returns the maximum number of characters that the function may
        make of each item of a lazy argument.
        """
        self.spend_arguments(len(values))
        product = 1
        for value in values:
            size = sum(map(weight, self.contents(value)))
            if name in _SIZED and isinstance(value, int):
                size = abs(value)
                if size > (_MAX_DIGITS if name == "round" else MAX_TEXT):
                    raise SecurityError("a number this large is not allowed here")
                self.spend(size)
            product *= size + 1
        if product > _MAX_WORK:
            raise SecurityError(TEXT_TOO_LONG)
        return product

    def metered_arguments(
        self, cost: int, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments; lazy arguments are counted as they are evaluated (see `metered`)."""
        return (
            tuple([self.metered(value, cost) for value in args]),
            {name: self.metered(value, cost) for name, value in kwargs.items()},
        )

    def metered(self, value: Any, cost: int) -> Any:
        """Return `value`; each item of a lazy sequence counts when it is evaluated, with an additional `cost`."""
        return self._metered_items(value, cost) if is_lazy_sequence(value) else value

    def _metered_items(self, items: Iterable[Any], cost: int) -> Iterator[Any]:
        for item in items:
            self.spend(ITEM_WEIGHT + cost)
            self.read(item)
            yield item
