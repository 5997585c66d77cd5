"""Jinja's sandbox with limits on the work of a rendering.

All values that a rendering makes or reads count against the budget of the rendering, including lazily evaluated items
and iterations of loops. Operations that could make a huge result at once are checked in advance.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from jinja2 import Environment, Template, TemplateSyntaxError, Undefined, nodes
from jinja2.environment import TemplateExpression
from jinja2.filters import make_attrgetter
from jinja2.nodes import EvalContext
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment

from mpbake.resolve.template.amplification import (
    SLOW_FILTERS,
    bounded_range,
    check_format,
    check_percent_format,
    check_power,
    check_product,
)
from mpbake.resolve.template.comprehensions import ComprehensionParser, TextLexer
from mpbake.resolve.template.data_filters import DATA_FILTERS, LINEAR_FILTERS, to_json
from mpbake.resolve.template.filters import FILTERS, ISO_8601, SemanticVersion, known_machine, source_date
from mpbake.resolve.template.functions import CallableFunction, wrong_filter_arguments
from mpbake.resolve.template.regexes import RegexFilters
from mpbake.resolve.template.syntax_tree import MeteringTransformer
from mpbake.resolve.template.values import (
    ITEM_WEIGHT,
    GitFacts,
    UndefinedValue,
    check_value,
    is_collection,
    is_lazy_sequence,
    rendered_text,
    weight,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from jinja2.lexer import Lexer

    from mpbake.resolve.template.budget import Budget
    from mpbake.resolve.template.filters import AskGit

REMOVED_FILTERS = ("random", "pprint", "urlize", "xmlattr")
"""Filters of Jinja whose results vary, or that have no use in a plan."""
_CALL_WEIGHT = 1000
"""The characters that a call of a function of the plan counts for."""
_TYPE_TESTS = frozenset(
    {"boolean", "callable", "defined", "escaped", "false", "filter", "float", "integer", "iterable", "mapping", "none"}
    | {"number", "sameas", "sequence", "string", "test", "true", "undefined"}
)
"""Jinja tests that read only the type of a value, not the contents of the value."""


class Sandbox(ImmutableSandboxedEnvironment):
    """The Jinja environment for the templates of one plan."""

    intercepted_binops = frozenset({"+", "-", "*", "**", "//", "%"})

    def __init__(self, git: AskGit, epoch: str, machine: str, budget: Budget) -> None:
        super().__init__(undefined=UndefinedValue, autoescape=False, keep_trailing_newline=True, finalize=self.printed)
        self._budget = budget
        self._epoch = epoch
        self._machine = machine
        self._lexer = TextLexer(self)
        self._comprehensions: list[_Comprehension] = []
        self._collected: list[Any] = []
        self.globals = {
            "git": GitFacts(git),
            "machine_platform": self._machine_platform,
            "range": bounded_range,
            "timestamp": self._timestamp,
        }
        filters = {name: function for name, function in self.filters.items() if name not in REMOVED_FILTERS}
        filters |= {"string": self.printed, "join": self._join, "sum": self._sum, **FILTERS}
        filters |= {**DATA_FILTERS, "json": self._json, **RegexFilters(self._budget.spend).filters()}
        self.filters = {name: self._guarded_filter(name, function) for name, function in filters.items()}
        tests: dict[str, Any] = {name: test for name, test in self.tests.items() if name not in _TYPE_TESTS}
        self.tests |= {name: self._counted_test(test) for name, test in tests.items()}

    @property
    def lexer(self) -> Lexer:
        """The lexer of templates."""
        return self._lexer

    def compile_expression(self, source: str, undefined_to_none: bool = True) -> TemplateExpression:  # noqa: FBT001, FBT002 - Jinja's signature
        """Compile one expression, as Jinja does, but with comprehensions."""
        parser = ComprehensionParser(self, source, state="variable")
        expression = parser.parse_expression()
        if not parser.stream.eos:
            msg = "chunk after expression"
            raise TemplateSyntaxError(msg, parser.stream.current.lineno)
        template = nodes.Template([nodes.Assign(nodes.Name("result", "store"), expression, lineno=1)], lineno=1)
        template.set_environment(self)
        return TemplateExpression(self.from_string(template), undefined_to_none)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        return ComprehensionParser(self, source, name, filename).parse()

    def final_value(self, value: Any) -> Any:
        """Return the result of a lone expression, as `evaluated` does. A version becomes plain text."""
        evaluated = self.evaluated(value)
        return str(evaluated) if isinstance(evaluated, SemanticVersion) else evaluated

    def evaluated(self, value: Any) -> Any:
        """Return a value of a template. Raises UndefinedError or TypeError for an invalid value or content.

        A lazy sequence, such as the result of the filter `map`, becomes a list, so that its items are evaluated inside
        the sandbox.
        """
        if type(value) is Undefined:
            return ""  # the result of an `if` without `else`
        evaluated = list(value) if is_lazy_sequence(value) else value
        for item in self._budget.contents(evaluated):
            check_value(item)
        return evaluated

    def printed(self, value: Any) -> str:
        """Return `value` as part of a text. Raises as `final_value` does."""
        text = value if isinstance(value, str) else rendered_text(self.final_value(value))
        self._budget.spend(len(text))
        return text

    def concatenated(self, *values: Any) -> str:
        """Return the result of the operator `~`."""
        return self.concat([self.printed(value) for value in values])

    def concat(self, parts: Iterable[str]) -> str:
        """Return the text of a block whose output is captured."""
        texts = list(parts)
        self._budget.spend(sum(map(len, texts)))
        return "".join(texts)

    def loop_values(self, values: Any) -> Collection[Any]:
        """Return the values of a loop and count its iterations; nested loops share one limit for each rendering."""
        sized = values if hasattr(values, "__len__") else list(values)
        self._budget.count_iterations(len(sized))
        return cast("Collection[Any]", sized)

    def compared(self, value: Any) -> Any:
        """Return `value`, the operand of a comparison or search.

        Count all its contents, since Jinja may read them all.
        """
        self._budget.read(value)
        return self._budget.metered(value, 0)

    def counted(self, value: Any) -> Any:
        """Count a new `value`, and return it."""
        self._budget.spend(weight(value))
        return value

    def add_comprehension(self, loop: nodes.Template, *, is_table: bool) -> int:
        """Keep the loop of a comprehension, and return its number."""
        self._comprehensions.append(_Comprehension(loop=loop, is_table=is_table))
        return len(self._comprehensions) - 1

    def comprehension(self, number: int) -> nodes.Template:
        """Return the syntax tree of a comprehension's loop."""
        return self._comprehensions[number].loop

    def comprehend(self, number: int, names: dict[str, Any]) -> Any:
        """Return the list or table that a comprehension makes; `names` are the values that the comprehension uses."""
        comprehension = self._comprehensions[number]
        if comprehension.template is None:
            comprehension.template = self.from_string(comprehension.loop)
        self._collected.append({} if comprehension.is_table else [])
        try:
            for _ in comprehension.template.root_render_func(comprehension.template.new_context(names)):
                pass
        finally:
            collected = self._collected.pop()
        return collected

    def collect(self, *item: Any) -> None:
        """Add an item to the list, or a key and its value to the table, of the innermost comprehension."""
        value = list(item[-1]) if is_lazy_sequence(item[-1]) else item[-1]
        self._budget.spend(ITEM_WEIGHT + weight(value))
        if len(item) > 1:
            self._collected[-1][item[0]] = value
        else:
            self._collected[-1].append(value)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Evaluate an operator that can make large values from small values."""
        match operator:
            case "**":
                check_power(left, right)
            case "*":
                check_product(left, right)
            case "%" if isinstance(left, str):
                self._budget.spend(ITEM_WEIGHT * left.count("%"))
                check_percent_format(left)
                self._budget.check_arguments("%", left, right)
            case "+" | "-" | "//" | "%":
                self._budget.spend(weight(left) + weight(right))
        return self.counted(super().call_binop(context, operator, left, right))

    def call(self, context: Any, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call a method, a function or a macro."""
        method = getattr(function, "__wrapped__", function)  # the sandbox wraps `str.format`
        name, owner = getattr(method, "__name__", ""), getattr(method, "__self__", None)
        if isinstance(function, LoopContext):
            args = (self.loop_values(args[0]), *args[1:])
        elif isinstance(function, Macro):
            self._budget.count_iterations(1)
            self._budget.spend_arguments(len(args) + len(kwargs))
        elif isinstance(function, CallableFunction) or owner is self:
            return super().call(context, function, *args, **kwargs)
        elif name == "get" and isinstance(owner, dict):
            self._budget.spend_arguments(len(args))
            self._budget.read(args[:1])  # the table and the default are not read
        else:
            if name in {"format", "format_map"} and isinstance(owner, str):
                self._budget.spend(ITEM_WEIGHT * owner.count("{"))
                check_format(owner)
            cost = self._budget.check_arguments(name, owner, *args, *kwargs.values())
            args, kwargs = self._budget.metered_arguments(cost, args, kwargs)
        return self.counted(super().call(context, function, *args, **kwargs))

    def _generate(self, source: nodes.Template, *rest: Any, **options: Any) -> str:
        return super()._generate(MeteringTransformer().visit(source), *rest, **options)

    def _guarded_filter(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a filter that refuses too large arguments and counts its result."""

        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                return call(*args, **kwargs)
            except TypeError as error:
                raise wrong_filter_arguments(name, function, args, kwargs) or error from None

        def call(*args: Any, **kwargs: Any) -> Any:
            if name in LINEAR_FILTERS:
                return self._call_linear(function, args, kwargs)
            cost = self._budget.check_arguments(name, *args, *kwargs.values())
            if name in SLOW_FILTERS:
                self._budget.spend(SLOW_FILTERS[name](str(_filter_input(args))))
            if name == "format":
                check_percent_format(str(args[0]))
            args, kwargs = self._budget.metered_arguments(cost, args, kwargs)
            return self.counted(function(*args, **kwargs))

        return guarded

    def _call_linear(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call a filter whose result is at most as large as its arguments; count both."""
        metered = (self._budget.metered(value, 0) for value in args)
        values = [list(value) if is_lazy_sequence(value) else value for value in metered]
        self._budget.read([*values, *kwargs.values()])
        result = function(*values, **kwargs)
        self._budget.read(result)
        return result

    def _counted_test(self, function: Callable[..., bool]) -> Callable[..., bool]:
        """Return a test that counts the values that it reads."""

        @functools.wraps(function)
        def counted(*args: Any, **kwargs: Any) -> bool:
            for value in (*args, *kwargs.values()):
                self._budget.read(value)
            args, kwargs = self._budget.metered_arguments(0, args, kwargs)
            return function(*args, **kwargs)

        return counted

    def _join(self, value: Iterable[Any], d: str = "", attribute: str | int | None = None) -> str:
        """Jinja's filter `join`; its parameters have Jinja's names."""
        items = value if attribute is None else map(make_attrgetter(self, attribute), value)
        return self.printed(d).join([self.printed(item) for item in items])

    def _sum(self, iterable: Iterable[Any], attribute: str | int | None = None, start: Any = 0) -> Any:
        """Jinja's filter `sum`; its parameters have Jinja's names.

        Each partial sum of lists is a copy, which counts against the budget.
        """
        items = iterable if attribute is None else map(make_attrgetter(self, attribute), iterable)
        if not is_collection(start):
            return sum(items, start)
        total = start
        for item in items:
            total = self.counted(total + item)
        return total

    def _json(self, value: Any) -> str:
        return to_json(self.evaluated(value))

    def define(self, name: str, function: CallableFunction) -> None:
        """Add a function of the plan: templates can call it as a function and as a filter."""
        self.globals[name] = self.filters[name] = function

    def count_call(self, arguments: int) -> None:
        """Count a call of a function of the plan."""
        self._budget.count_iterations(1)
        self._budget.spend(_CALL_WEIGHT)
        self._budget.spend_arguments(arguments)

    def _timestamp(self, format: str = ISO_8601) -> str:  # noqa: A002 - the name of strftime's parameter
        return source_date(self._epoch, format)

    def _machine_platform(self) -> str:
        return known_machine(self._machine)


@dataclass(kw_only=True, slots=True)
class _Comprehension:
    """The loop of a comprehension, which is compiled at its first use."""

    loop: nodes.Template
    is_table: bool
    template: Template | None = None


def _filter_input(args: Sequence[Any]) -> Any:
    """Return the value that a filter is applied to: some filters get a context or environment as first argument."""
    return args[1] if isinstance(args[0], Environment | Context | EvalContext) else args[0]
