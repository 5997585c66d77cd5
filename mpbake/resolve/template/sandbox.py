"""Jinja's sandbox with bounds: a plan may be hostile, and must not eat the machine.

What one rendering makes and looks at is counted, also what is worked out item by item, and so are its rounds of loops;
whatever could make much of little at one blow is checked before.
"""

from __future__ import annotations

import functools
import re
import string
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from jinja2 import Environment, StrictUndefined, Undefined, nodes
from jinja2.exceptions import SecurityError
from jinja2.filters import make_attrgetter
from jinja2.nodes import EvalContext
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import MAX_RANGE, ImmutableSandboxedEnvironment, safe_range
from jinja2.visitor import NodeTransformer

from mpbake.base.text import did_you_mean, is_unicode, one_line
from mpbake.base.toml_text import toml_value
from mpbake.resolve.template.filters import (
    FILTERS,
    GIT_FACTS,
    ISO_8601,
    VERSION_PARTS,
    FilterError,
    SemanticVersion,
    source_date,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mpbake.resolve.template.filters import AskGit

MAX_TEXT = 1_000_000
"""Characters of a text, and of what one rendering gives."""
UNSTEADY = ("random", "pprint", "urlize", "xmlattr")
"""Filters that would not always give the same, or are of no use."""
_MAX_WORK = 100_000_000
_ITEM = 250  # characters that an item of a list counts for
_NUMBER = 25  # characters that an item of a range counts for
_ARGUMENT = 100  # characters that one counts for, beside its own
_MAX_BITS = 10_000
_MAX_DIGITS = 1_000  # that `round` leaves
_MAX_STEP = 2**53  # numbers beyond it, evenly spaced, can be made to fall together in a set, which then takes for ever
_LONGEST_WIDTH = 4  # digits
_SIZED = frozenset(
    {"ljust", "rjust", "center", "zfill", "expandtabs", "indent", "wordwrap", "batch", "slice", "tojson"}
    | {"round", "to_bytes"}
)
_OF_TYPES = frozenset(
    {"boolean", "callable", "defined", "escaped", "false", "filter", "float", "integer", "iterable", "mapping", "none"}
    | {"number", "sameas", "sequence", "string", "test", "true", "undefined"}
)
"""Tests that look at what a value is, not at what is in it."""
TOO_LARGE = "a number this large is not allowed"
_TOO_LONG = "texts this long are not allowed here"


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment of the templates of one plan."""

    intercepted_binops = frozenset({"+", "-", "*", "**", "//", "%"})

    def __init__(self, git: AskGit, epoch: str) -> None:
        super().__init__(undefined=_Undefined, autoescape=False, keep_trailing_newline=True, finalize=self.printed)
        self._epoch = epoch
        self.globals = {"git": _Git(git), "range": _range, "timestamp": self._timestamp}
        filters = {name: each for name, each in self.filters.items() if name not in UNSTEADY}
        filters |= {"string": self.printed, "join": self._join, "sum": self._sum, **FILTERS}
        self.filters = {name: self._guarded(name, each) for name, each in filters.items()}
        tests: dict[str, Any] = {name: each for name, each in self.tests.items() if name not in _OF_TYPES}
        self.tests |= {name: self._counted(each) for name, each in tests.items()}
        self.begin()

    def begin(self) -> None:
        """One rendering begins: all that is counted starts at nothing."""
        self._rounds = self._work = 0

    def defined(self, value: Any) -> Any:
        """`value` that a template gives; UndefinedError or TypeError where it, or something in it, is none.

        What filters such as `map` have yet to work out becomes a list: it must happen here, in the sandbox. A version
        becomes text like any other.
        """
        if type(value) is Undefined:
            return ""  # what an `if` without `else` gives
        found = list(value) if _is_lazy(value) else value
        for each in self._everything(found):
            _check_value(each)
        return str(found) if isinstance(found, SemanticVersion) else found

    def printed(self, value: Any) -> str:
        """`value` as it stands in a text; raises as `defined` does."""
        text = value if isinstance(value, str) else rendered_text(self.defined(value))
        self._spend(len(text))
        return text

    def joined(self, *values: Any) -> str:
        """What the operator `~` makes."""
        return self.concat([self.printed(each) for each in values])

    def _join(self, value: Iterable[Any], d: str = "", attribute: str | int | None = None) -> str:
        """Jinja's filter `join`, its parameters under Jinja's names."""
        items = value if attribute is None else map(make_attrgetter(self, attribute), value)
        return self.printed(d).join([self.printed(each) for each in items])

    def _sum(self, iterable: Iterable[Any], attribute: str | int | None = None, start: Any = 0) -> Any:
        """Jinja's filter `sum`, its parameters under Jinja's names. Of lists, each sum is a copy of the one before."""
        items = iterable if attribute is None else map(make_attrgetter(self, attribute), iterable)
        if not _is_collection(start):
            return sum(items, start)
        total = start
        for each in items:
            total = self.made(total + each)
        return total

    def concat(self, parts: Iterable[str]) -> str:
        """What a block that is kept for later makes."""
        found = list(parts)
        self._spend(sum(map(len, found)))
        return "".join(found)

    def rounds(self, values: Any) -> Collection[Any]:
        """What a loop goes through: so much of it in one rendering, however the loops are nested."""
        found = values if hasattr(values, "__len__") else list(values)
        self._count(len(found))
        return cast("Collection[Any]", found)

    def compared(self, value: Any) -> Any:
        """`value`, which is compared with another one or searched: all that is in it may be looked at."""
        self._look_through(value)
        return self._pulled(value, 0)

    def made(self, value: Any) -> Any:
        """`value`, which is new, and counts."""
        self._spend(_weight(value))
        return value

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """The operators that make large things of small ones."""
        match operator:
            case "**":
                _check_power(left, right)
            case "*":
                _check_product(left, right)
            case "%" if isinstance(left, str):
                self._spend(_ITEM * left.count("%"))
                _check_percent_format(left)
                self._check_sizes("%", left, right)
            case "+" | "-" | "//" | "%":
                self._spend(_weight(left) + _weight(right))
        return self.made(super().call_binop(context, operator, left, right))

    def call(self, context: Any, called: Any, /, *given: Any, **named: Any) -> Any:
        """Call a method, a function or a macro."""
        method = getattr(called, "__wrapped__", called)  # the sandbox wraps `str.format`
        name, owner = getattr(method, "__name__", ""), getattr(method, "__self__", None)
        if isinstance(called, LoopContext):
            given = (self.rounds(given[0]), *given[1:])
        elif isinstance(called, Macro):
            self._count(1)
            self._spend(_ARGUMENT * (len(given) + len(named)))
        elif owner is self:
            return super().call(context, called, *given, **named)
        else:
            if name in {"format", "format_map"} and isinstance(owner, str):
                self._spend(_ITEM * owner.count("{"))
                _check_format(owner)
            price = self._check_sizes(name, owner, *given, *named.values())
            given, named = self._all_pulled(price, given, named)
        return self.made(super().call(context, called, *given, **named))

    def _generate(self, source: nodes.Template, *rest: Any, **options: Any) -> str:
        return super()._generate(_Counted().visit(source), *rest, **options)

    def _guarded(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A filter that refuses what is too large, and whose results count."""

        @functools.wraps(function)
        def guarded(*given: Any, **named: Any) -> Any:
            price = self._check_sizes(name, *given, *named.values())
            if name in _EFFORTS:
                self._spend(_EFFORTS[name](str(_filtered(given))))
            if name == "format":
                _check_percent_format(str(given[0]))
            given, named = self._all_pulled(price, given, named)
            return self.made(function(*given, **named))

        return guarded

    def _counted(self, function: Callable[..., bool]) -> Callable[..., bool]:
        """A test that counts what it looks at."""

        @functools.wraps(function)
        def counted(*given: Any, **named: Any) -> bool:
            for each in (*given, *named.values()):
                self._look_through(each)
            given, named = self._all_pulled(0, given, named)
            return function(*given, **named)

        return counted

    def _timestamp(self, format: str = ISO_8601) -> str:  # noqa: A002 - what people know it as
        return source_date(self._epoch, format)

    def _check_sizes(self, name: str, *values: Any) -> int:
        """Refuse what would make a huge text of small ones: padding, long texts put into long texts.

        `name` is that of the function that is to be called with `values`. Gives what it may make of each item of those
        of them that have yet to be worked out.
        """
        self._spend(_ARGUMENT * len(values))
        product = 1
        for value in values:
            size = sum(map(_weight, self._everything(value)))
            if name in _SIZED and isinstance(value, int):
                size = abs(value)
                if size > (_MAX_DIGITS if name == "round" else MAX_TEXT):
                    raise SecurityError("a number this large is not allowed here")
                self._spend(size)
            product *= size + 1
        if product > _MAX_WORK:
            raise SecurityError(_TOO_LONG)
        return product

    def _all_pulled(
        self, price: int, given: Sequence[Any], named: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments as `_pulled` gives them."""
        return (
            tuple([self._pulled(each, price) for each in given]),
            {name: self._pulled(each, price) for name, each in named.items()},
        )

    def _pulled(self, value: Any, price: int) -> Any:
        """`value`; where it has yet to be worked out, each item counts when it is, and for `price` more."""
        return self._items(value, price) if _is_lazy(value) else value

    def _items(self, values: Iterable[Any], price: int) -> Iterator[Any]:
        for each in values:
            self._spend(_ITEM + price)
            self._look_through(each)
            yield each

    def _look_through(self, value: Any) -> None:
        for _ in self._everything(value):
            pass

    def _everything(self, value: Any) -> Iterator[Any]:
        """`value` and all that is in it, however deep, as long as it is not too much to go through."""
        waiting = [value]
        while waiting:
            each = waiting.pop()
            self._spend(_weight(each))
            yield each
            if _is_collection(each):
                waiting += [*each.keys(), *each.values()] if isinstance(each, Mapping) else each

    def _spend(self, work: int) -> None:
        self._work += work
        if self._work > _MAX_WORK:
            raise SecurityError(_TOO_LONG)

    def _count(self, rounds: int) -> None:
        self._rounds += rounds
        if self._rounds > MAX_RANGE:
            raise SecurityError(f"more than {MAX_RANGE} rounds of loops are not allowed")


class _Counted(NodeTransformer):
    """Has loops, slices, comparisons and the operator `~` go through the sandbox, which Jinja does itself."""

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802 - called by this name
        self.generic_visit(node)
        node.iter = _call("rounds", [node.iter])
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Compare:  # noqa: N802 - as above
        self.generic_visit(node)
        compared: tuple[nodes.Compare | nodes.Operand, ...] = (node, *node.ops)
        for each in compared:
            if not isinstance(each.expr, nodes.Const):
                each.expr = _call("compared", [each.expr])
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Call:  # noqa: N802 - as above
        self.generic_visit(node)
        return _call("joined", node.nodes)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Expr:  # noqa: N802 - as above
        self.generic_visit(node)
        return _call("made", [node]) if isinstance(node.arg, nodes.Slice) else node


def _range(*given: int) -> range:
    """Jinja's `range`, for numbers that people count with."""
    if any(isinstance(each, int) and abs(each) > _MAX_STEP for each in given):
        raise SecurityError(TOO_LARGE)
    return safe_range(*given)


def _call(name: str, given: Sequence[nodes.Node]) -> nodes.Call:
    """A call of one of the sandbox's own methods."""
    return nodes.Call(nodes.EnvironmentAttribute(name), given, [], None, None, lineno=1)


class _Git:
    """`git` as templates see it: a few attributes, each looked up once, when it is first used."""

    def __init__(self, ask: AskGit) -> None:
        self._ask = ask
        self._told: dict[str, str | bool | FilterError] = {}

    def __getattr__(self, name: str) -> str | bool:
        if name not in GIT_FACTS:
            raise AttributeError(name)
        if name not in self._told:
            try:
                self._told[name] = self._ask(name)
            except FilterError as refused:
                self._told[name] = refused
        told = self._told[name]
        if isinstance(told, FilterError):
            message, _, hint = str(told).partition("\n")
            raise FilterError(message, hint, told.code, culprit=f"git.{name}")
        return told

    def __repr__(self) -> str:
        """What would print it: there is nothing to print."""
        known = ", ".join(f"git.{each}" for each in GIT_FACTS)
        raise FilterError("git is no value", f"known: {known}", culprit="git")


class _Undefined(StrictUndefined):
    """What is not there; of an attribute or a key, the message tells in a second line the nearest that is."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        owner, names = _inventory(self._undefined_obj)
        if self._undefined_hint or not owner:
            return one_line(super()._undefined_message)
        name = str(self._undefined_name)
        return f'{owner} has no "{one_line(name)}"\n{did_you_mean(name, names)}'


def _inventory(value: Any) -> tuple[str, Iterable[str]]:
    """What to call `value`, and what may be asked of it; nothing where Jinja's own words must do."""
    match value:
        case _Git():
            return "git", GIT_FACTS
        case SemanticVersion():
            return "a version", VERSION_PARTS
        case Mapping():
            return "the table", [each for each in value if isinstance(each, str)]
        case _:
            return "", ()


# --- what values are, and how large -----------------------------------------------------------------------------------

NO_UNICODE = "what it gives is no text: half a character (a surrogate) is in it"


def rendered_text(value: Any) -> str:
    """A value as it stands in a text: text as it is, none as nothing, anything else as TOML writes it."""
    if isinstance(value, str):
        return value
    return "" if value is None else toml_value(_plain(value))


def _plain(value: Any) -> Any:
    """`value`, all lists and tables in it being those of Python itself; TypeError where something in it is no value."""
    match value:
        case None:
            raise TypeError("none is no value")
        case bytes():
            raise TypeError("bytes are no text")
        case Mapping():
            return {rendered_text(key): _plain(each) for key, each in value.items()}
        case _ if _is_collection(value):
            return [_plain(each) for each in value]
        case _:
            return value


def _check_value(value: Any) -> None:
    """Refuse what no value of a plan can be: what is undefined, and what is yet to be called or worked out."""
    if isinstance(value, StrictUndefined | _Git):
        str(value)  # raises what there is to say
    if isinstance(value, Undefined):
        raise TypeError("an if without else gives nothing here: add one")
    if callable(value):
        raise TypeError("a function is no value: it must be called")
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        raise SecurityError(TOO_LARGE)
    if isinstance(value, str) and not is_unicode(value):
        raise ValueError(NO_UNICODE)
    if isinstance(value, Iterator):
        raise TypeError("what has yet to be worked out is no value: add | list")


def _weight(value: Any) -> int:
    """The characters of `value`, without what is in it; SecurityError for a number that is too large to work with."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        raise SecurityError(TOO_LARGE)
    if isinstance(value, range):
        return _NUMBER * len(value)
    return _ITEM * len(value) if _is_collection(value) else 0


def _is_collection(value: Any) -> bool:
    return isinstance(value, Collection) and not isinstance(value, str | bytes | range | Undefined | Context)


def _is_lazy(value: Any) -> bool:
    """Whether `value` is what filters such as `map` have yet to work out."""
    return isinstance(value, Iterator) and not callable(value)


# --- what makes much of little ----------------------------------------------------------------------------------------

_PERCENT = re.compile(r"%(?:%|(?:\([^()]*\))?[-+ #0]*(\*|\d*)(?:\.(\*|\d*))?)")
_WIDTH = re.compile(r"\d+|\{")
_BLANKS = re.compile(r"[\t\n\v\f\r ]+")
_EFFORTS: Mapping[str, Callable[[str], int]] = {
    "format": lambda text: _ITEM * text.count("%"),
    "striptags": lambda text: len(text) * text.count("<") // 16,
    "title": lambda text: 5 * len(text),
    "wordwrap": lambda text: len(text) * max(map(len, _BLANKS.split(text))),
}
"""What the filters count for that take longer over a text than others."""


def _filtered(given: Sequence[Any]) -> Any:
    """What a filter is given, behind what Jinja puts before it."""
    return given[1] if isinstance(given[0], Environment | Context | EvalContext) else given[0]


def _check_power(base: Any, exponent: Any) -> None:
    if abs(base) > MAX_TEXT or abs(exponent) > 64:
        raise SecurityError("a power this large is not allowed")


def _check_product(left: Any, right: Any) -> None:
    for one, other in ((left, right), (right, left)):
        if hasattr(one, "__len__") and isinstance(other, int) and len(one) * other > MAX_TEXT:
            raise SecurityError("a repetition this long is not allowed")
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > _MAX_BITS:
        raise SecurityError(TOO_LARGE)


def _check_percent_format(text: str) -> None:
    """Refuse the large widths of `%9d`, and those that a value gives: `%*d`."""
    fields = [each for each in _PERCENT.finditer(text) if each[1] is not None]
    if any(text.startswith("(", each.end()) for each in fields):
        raise SecurityError("a name with a parenthesis in it is not allowed here")
    _check_widths(width for each in fields for width in each.groups(""))


def _check_format(text: str) -> None:
    """Refuse the large widths of `{:9}`, and those that a value gives: `{:{}}`."""
    fields = string.Formatter().parse(text)
    _check_widths(width for _, _, specification, _ in fields for width in _WIDTH.findall(specification or ""))


def _check_widths(widths: Iterable[str]) -> None:
    """`widths` are digits, or what stands in their place."""
    total = 0
    for each in widths:
        if each in {"*", "{"} or len(each) > _LONGEST_WIDTH:
            raise SecurityError("a width of this many digits is not allowed")
        total += int(each or 0)
        if total > MAX_TEXT:
            raise SecurityError(_TOO_LONG)
