"""The budget of templates: a plan may be hostile and must not exhaust memory or processor time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jinja2.exceptions import SecurityError
from jinja2.sandbox import MAX_RANGE

from mpbake.base.codes import Code
from mpbake.base.errors import Diagnostic, PlanError
from mpbake.resolve.template.values import ITEM_WEIGHT, is_collection, is_lazy_sequence, weight

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mpbake.base.errors import KeyPath

MAX_TEXT = 1_000_000
"""The maximum number of characters of a text and of a rendered template."""
TEXT_TOO_LONG = "texts this long are not allowed here"
PLAN_TOO_LARGE_HINT = "split the plan, or use fewer and shorter values (docs/templates.md lists the limits)"
_TOO_MUCH_WORK = "the templates of this plan take too much work"
_TOO_MUCH_KEPT = "the values of all targets together are too large"
_MAX_WORK = 25_000_000
_FREE_WORK = 10_000
"""The work of a rendering that does not count for the plan: a plan may have many small templates."""
_FREE_SOURCE = 200
"""The length of a template that does not count for the plan when the template is compiled."""
_SOURCE_WEIGHT = 600
"""The work of compiling one more character of a template."""
_ITERATION_WEIGHT = 150
"""The characters that an iteration of a loop counts for."""
_KEPT_ITEM = 16
"""The characters that a list item or a key counts for in a resolved plan."""
_KEPT_UNICODE = 4
"""The characters that a character outside of ASCII counts for in a resolved plan."""
_ARGUMENT_WEIGHT = 300
"""The number of characters that an argument counts for, in addition to the characters of its value."""
_MAX_DIGITS = 1_000
"""The maximum number of digits that `round` may keep."""
_SIZED = frozenset(
    {"ljust", "rjust", "center", "zfill", "expandtabs", "indent", "wordwrap", "batch", "slice", "tojson"}
    | {"round", "to_bytes"}
)
"""Functions whose numeric arguments determine the size of the result."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanLimits:
    """The limits of all templates of a plan together.

    `work` limits the characters that the templates make or read, `kept` the characters of all values of the targets.
    """

    work: int = 30_000_000
    kept: int = 20_000_000


class PlanTooLargeError(PlanError):
    """The templates of a plan, or the values of its targets, exceed the limits of a plan.

    `key` is the key of the value at which the limit was reached, if known.
    """

    def __init__(self, message: str, *, key: KeyPath = ()) -> None:
        super().__init__([Diagnostic(code=Code.PLAN_TOO_LARGE, message=message, hint=PLAN_TOO_LARGE_HINT)])
        self.text = message
        self.key = key


class Budget:
    """Counts the work of renderings, in characters made or read, and the iterations of loops.

    The methods of the budget raise SecurityError when the budget of one rendering is exhausted, and PlanTooLargeError
    when the budget of the plan is.
    """

    __slots__ = ("_iterations", "_kept", "_limit", "_limits", "_plan_work", "_work")

    def __init__(self, limits: PlanLimits) -> None:
        self._limits = limits
        self._plan_work = self._kept = self._work = 0
        self.reset()

    def reset(self) -> None:
        """Start a new rendering."""
        self._plan_work += max(self._work - _FREE_WORK, 0)
        self._iterations = self._work = 0
        self._limit = min(_MAX_WORK, self._limits.work - self._plan_work + _FREE_WORK)

    @property
    def spent(self) -> int:
        """The work of the present rendering."""
        return self._work

    def spend(self, work: int) -> None:
        """Count `work` characters."""
        self._work += work
        if self._work > self._limit:
            if self._limit < _MAX_WORK:
                raise PlanTooLargeError(_TOO_MUCH_WORK)
            raise SecurityError(TEXT_TOO_LONG)

    def spend_source(self, text: str) -> None:
        """Count the compilation of a template."""
        self._plan_work += _SOURCE_WEIGHT * max(len(text) - _FREE_SOURCE, 0)
        if self._plan_work > self._limits.work:
            raise PlanTooLargeError(_TOO_MUCH_WORK)

    def keep(self, text: str) -> None:
        """Count `text`, which becomes part of the resolved plan.

        A text that many targets share counts for each target, since each target is printed.
        """
        self._keep(len(text) if text.isascii() else _KEPT_UNICODE * len(text))

    def keep_items(self, number: int) -> None:
        """Count the places of list items or keys of tables, which become part of the resolved plan."""
        self._keep(_KEPT_ITEM * number)

    def keep_result(self, value: Any) -> None:
        """Count the result of a template, which becomes part of the resolved plan."""
        pending = [value]
        while pending:
            match pending.pop():
                case str() as text:
                    self.keep(text)
                case list() as items:
                    self.keep_items(len(items))
                    pending += items
                case dict() as table:
                    self.keep_items(len(table))
                    pending += [*table, *table.values()]

    def _keep(self, characters: int) -> None:
        self._kept += characters
        if self._kept > self._limits.kept:
            raise PlanTooLargeError(_TOO_MUCH_KEPT)

    def spend_arguments(self, number: int) -> None:
        """Count a call with this number of arguments."""
        self.spend(_ARGUMENT_WEIGHT * number)

    def count_iterations(self, number: int) -> None:
        """Count iterations of a loop, or calls of a macro."""
        self._iterations += number
        if self._iterations > MAX_RANGE:
            raise SecurityError(f"more than {MAX_RANGE} rounds of loops are not allowed")
        self.spend(_ITERATION_WEIGHT * number)

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
