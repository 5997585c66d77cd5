"""Strict, sandboxed Jinja2: the same values always give the same text, and a template cannot leave its box."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from jinja2 import StrictUndefined, TemplateError, meta, nodes
from jinja2.exceptions import SecurityError, UndefinedError
from jinja2.sandbox import MAX_RANGE, ImmutableSandboxedEnvironment, safe_range

from mpbake.text import did_you_mean, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    _Fill = Callable[[Mapping[str, Any]], Any]
    """Fills in one template with the values of a scope."""

_MARKER = re.compile(r"\{\{|\{%|\{#")
_BARE = re.compile(r"\{\{[ \t]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*\}\}")
_NOT_LITERAL = re.compile(r"\{[{%#]|\{\Z|\r")
_OF_JINJA = frozenset(
    {"true", "false", "none", "True", "False", "None", "not", "and", "or", "if", "else", "in", "is"}
) | {"self", "super", "caller", "loop", "varargs", "kwargs"}
"""Names that Jinja may take for something other than a variable."""
_MAX_RESULT = 1_000_000
_MAX_PRODUCT = 100_000_000
_WIDE = re.compile(r"[%{][^a-zA-Z}]*\d{5}")
_TOO_LONG = f"the template renders to more than {_MAX_RESULT} characters"
_PADDING = frozenset(
    {"ljust", "rjust", "center", "zfill", "expandtabs", "indent", "wordwrap", "batch", "slice", "tojson"}
)
_UNSTEADY = ("random", "pprint", "urlize", "xmlattr")


class TemplateProblem(ValueError):
    """A template that cannot be rendered; the text says why, for people, and in a second line what to do."""


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, with bounds on what one operation can make: a hostile plan must not eat the machine.

    What one rendering makes in all is bounded where it is put together.
    """

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.globals = {"range": self._range}
        self.filters = {name: _guarded(name, each) for name, each in self.filters.items() if name not in _UNSTEADY}
        self.ranged = 0

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" and (abs(left) > _MAX_RESULT or abs(right) > 64):
            msg = "a power this large is not allowed"
            raise SecurityError(msg)
        if operator == "*":
            for one, other in ((left, right), (right, left)):
                if hasattr(one, "__len__") and isinstance(other, int) and len(one) * other > _MAX_RESULT:
                    msg = "a repetition this long is not allowed"
                    raise SecurityError(msg)
        if operator == "%" and isinstance(left, str):
            _check_sizes("%", left)
        return super().call_binop(context, operator, left, right)

    def call(self, context: Any, called: Any, /, *given: Any, **named: Any) -> Any:
        method = getattr(called, "__wrapped__", called)  # the sandbox wraps `str.format`
        _check_sizes(getattr(method, "__name__", ""), getattr(method, "__self__", None), *given, *named.values())
        return super().call(context, called, *given, **named)

    def _range(self, *bounds: int) -> range:
        """Numbers to loop over: so many of them in one rendering, however the loops are nested."""
        found = safe_range(*bounds)
        self.ranged += len(found)
        if self.ranged > MAX_RANGE:
            msg = f"more than {MAX_RANGE} rounds of loops are not allowed"
            raise SecurityError(msg)
        return found


def _guarded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that refuses sizes which would fill the memory."""

    @functools.wraps(function)
    def guarded(*given: Any, **named: Any) -> Any:
        _check_sizes(name, *given, *named.values())
        return function(*given, **named)

    return guarded


def _check_sizes(name: str, *values: Any) -> None:
    """Refuse what would make a huge text of small ones: padding, wide formats, long texts put into long texts.

    `name` is that of the function that is to be called with `values`.
    """
    length = 1
    for value in values:
        if name in _PADDING and isinstance(value, int) and abs(value) > _MAX_RESULT:
            msg = "a number this large is not allowed here"
            raise SecurityError(msg)
        if isinstance(value, str):
            length *= len(value) + 1
            if _WIDE.search(value):
                msg = "a width of this many digits is not allowed"
                raise SecurityError(msg)
    if length > _MAX_PRODUCT:
        msg = "texts this long are not allowed here"
        raise SecurityError(msg)


class Renderer:
    """Renders strings over one set of variables at a time; each distinct template is compiled once."""

    def __init__(self) -> None:
        """Make the environment; nothing is compiled yet."""
        self._environment = _Sandbox(
            undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True, finalize=_defined
        )
        self._compiled: dict[str, _Fill] = {}

    def names(self, text: str) -> frozenset[str]:
        """The variables that `text` refers to; none where it cannot be read, which rendering will tell."""
        try:
            return frozenset(meta.find_undeclared_variables(self._environment.parse(text)))
        except TemplateError:
            return frozenset()

    def render(self, text: str, scope: Mapping[str, Any]) -> Any:
        """Fill in `text`. One lone `{{ … }}` gives the expression's own value, anything else a string.

        Raises TemplateProblem.
        """
        if not _MARKER.search(text):
            return text
        self._environment.ranged = 0
        try:
            result = self._template(text)(scope)
        except TemplateProblem:
            raise
        except UndefinedError as error:
            raise TemplateProblem(_undefined(error, scope)) from error
        except (
            TemplateError,
            ArithmeticError,
            TypeError,
            ValueError,
            LookupError,
            AttributeError,
            RuntimeError,  # a recursion without end
            SyntaxError,  # nested deeper than Python's compiler takes
            MemoryError,
        ) as error:
            msg = f"the template cannot be rendered: {one_line(str(error))}"
            raise TemplateProblem(msg) from error
        if isinstance(result, str) and len(result) > _MAX_RESULT:
            raise TemplateProblem(_TOO_LONG)
        return result

    def _template(self, text: str) -> _Fill:
        found = self._compiled.get(text)
        if found is None:
            found = self._compiled[text] = self._compile(text)
        return found

    def _compile(self, text: str) -> _Fill:
        plain = _plain(text)
        if plain is None:
            return self._by_jinja(text)
        fill, names = plain

        def fill_or_explain(scope: Mapping[str, Any]) -> Any:
            if scope.keys() >= names:
                return fill(scope)
            self._compiled[text] = by_jinja = self._by_jinja(text)
            return by_jinja(scope)

        return fill_or_explain

    def _by_jinja(self, text: str) -> _Fill:
        if self._is_one_expression(text):
            # A sign that touches the braces is Jinja's white space control, not part of the expression.
            source = re.sub(r"^[-+]|[-+]$", "", text[2:-2])
            expression = self._environment.compile_expression(source, undefined_to_none=False)
            return lambda scope: _defined(expression(scope))
        generate = self._environment.from_string(text).generate
        return lambda scope: _joined(generate(scope))

    def _is_one_expression(self, text: str) -> bool:
        if not (text.startswith("{{") and text.endswith("}}")):
            return False
        body = self._environment.parse(text).body
        return len(body) == 1 and isinstance(body[0], nodes.Output) and len(body[0].nodes) == 1


def _joined(parts: Iterable[str]) -> str:
    """All of `parts`, as long as they are not too many: a loop may never end otherwise."""
    found: list[str] = []
    length = 0
    for part in parts:
        found.append(part)
        length += len(part)
        if length > _MAX_RESULT:
            raise TemplateProblem(_TOO_LONG)
    return "".join(found)


def _plain(text: str) -> tuple[_Fill, frozenset[str]] | None:
    """What fills in `text`, and the names that it needs; None unless all templates in it are bare `{{ name }}`.

    Most templates of a plan are that, and Jinja takes half a millisecond to compile one. Whatever Jinja might see in
    another way (a name that is undefined or has a meaning of its own, a line break to normalise) is left to it.
    """
    parts = _BARE.split(text)  # a literal, a name, a literal, a name, … a literal
    names = frozenset(parts[1::2])
    if names & _OF_JINJA or any(_NOT_LITERAL.search(each) for each in parts[::2]):
        return None
    if len(parts) == 3 and not parts[0] and not parts[2]:
        return lambda scope: scope[parts[1]], names
    return lambda scope: "".join([str(scope[part]) if at % 2 else part for at, part in enumerate(parts)]), names


def _defined(value: Any) -> Any:
    """`value`; UndefinedError where it, or something in it, is undefined, and TypeError where it is a function."""
    if isinstance(value, StrictUndefined):
        str(value)  # raises UndefinedError with the name
    if callable(value):
        msg = "a function is no value: it must be called"
        raise TypeError(msg)
    if isinstance(value, list | tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            _defined(item)
    return value


def _undefined(error: UndefinedError, scope: Mapping[str, Any]) -> str:
    name = re.fullmatch(r"'(\w+)' is undefined", str(error.message))
    if name is None:
        return one_line(str(error.message))
    return f'there is no variable "{name[1]}"\n{did_you_mean(name[1], scope, kind="variables")}'
