"""Render templates, and convert errors of templates to messages for plan authors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.exceptions import SecurityError, UndefinedError

from mpbake.base.codes import Code
from mpbake.base.text import closest_name, did_you_mean, is_unicode, one_line
from mpbake.resolve.template.budget import MAX_TEXT, Budget, PlanLimits
from mpbake.resolve.template.filters import FilterError, no_git
from mpbake.resolve.template.foreign import hint_for_filter, hint_for_name, hint_for_syntax
from mpbake.resolve.template.functions import CallableFunction, bind
from mpbake.resolve.template.sandbox import REMOVED_FILTERS, Sandbox
from mpbake.resolve.template.syntax_tree import ANY, calls_in, uses_of_functions
from mpbake.resolve.template.values import NOT_UNICODE, NUMBER_TOO_LARGE, rendered_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from mpbake.resolve.template.filters import AskGit
    from mpbake.resolve.template.functions import Function

    _Render = Callable[[Mapping[str, Any]], Any]
    """Renders one template with the values of a scope."""

RESERVED = frozenset({"git", "machine_platform", "platform", "range", "timestamp"})
"""Reserved names, which no variable may have. All but `platform` mean the same in every template."""
_PLATFORM_UNAVAILABLE = """\
`platform` is available only in some attributes of targets
use it only in args, labels, contexts, dockerfile, target, cache-from and cache-to"""
_MARKER = re.compile(r"\{\{|\{%|\{#")
_BARE_NAME = re.compile(r"\{\{[ \t]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*\}\}")
_NOT_LITERAL = re.compile(r"\{[{%#]|\{\Z|\r")
_JINJA_NAMES = frozenset(
    {"true", "false", "none", "True", "False", "None", "not", "and", "or", "if", "else", "in", "is"}
) | {"self", "super", "caller", "loop", "varargs", "kwargs"}
"""Names that Jinja may take for something other than a variable."""
_COSTLY_WORK = 2_000
"""The work of a rendering from which its result is kept for the same values."""
_SCALARS = frozenset({str, bool, int, type(None)})
_TOO_LONG = f"the template renders to more than {MAX_TEXT} characters"
_FAILURES = (
    TemplateError,
    ArithmeticError,
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    RuntimeError,  # endless recursion
    SyntaxError,  # nested deeper than Python's compiler allows
    MemoryError,
    NameError,  # Jinja writes an infinite constant as a name
)


class TemplateProblem(ValueError):
    """A template that cannot be rendered; the text holds the message and, on a second line, the hint.

    `culprit` is the part of the template that causes the problem, if known.
    """

    def __init__(self, text: str, code: Code, culprit: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.culprit = culprit


class _FunctionError(FilterError):
    """The failure of a function of the plan; the message names the function."""


class Renderer:
    """Renders templates with a scope of variables; compiles each distinct template once."""

    def __init__(
        self, *, git: AskGit = no_git, epoch: str = "", machine: str = "", limits: PlanLimits | None = None
    ) -> None:
        """Create the environment.

        `epoch` is the value of SOURCE_DATE_EPOCH, and `machine` the platform of this machine. Both may be empty.
        """
        self.budget = Budget(limits or PlanLimits())
        self._environment = Sandbox(git, epoch, machine, self.budget)
        self._compiled: dict[str, _Render] = {}
        self._functions: dict[str, Function] = {}
        self._variables_of_functions: dict[str, frozenset[str]] = {}
        self._names: dict[str, frozenset[str]] = {}
        self._scope: Mapping[str, Any] = {}
        self._costly: set[str] = set()
        self._results: dict[tuple[Any, ...], tuple[str, tuple[Any, ...]]] = {}

    def names(self, text: str) -> frozenset[str]:
        """Return the variables that `text` refers to, including `platform`.

        For a text with a syntax error, which `render` reports, these may be all words of the text.
        """
        if text not in self._names:
            own = self.own_names(text)
            functions = self.called([text]) if self._functions else ()
            self._names[text] = own.union(*(self._variables_of_functions[function] for function in functions))
        return self._names[text]

    def own_names(self, text: str) -> frozenset[str]:
        """Return the variables that `text` refers to, as `names` does, but without those of the functions it calls."""
        bare = _compile_bare_names(text)
        try:
            names = bare[1] if bare else meta.find_undeclared_variables(self._parse(text))
        except _FAILURES:
            names = frozenset(re.findall(r"\w+", text))
        return frozenset(names - self._environment.globals.keys())

    def called(self, texts: Iterable[str]) -> frozenset[str]:
        """Return the functions of the plan that `texts` call. If a text computes a name, return all functions."""
        uses: set[str] = set()
        for text in texts:
            if not any(name in text for name in self._functions) and "map" not in text:
                continue
            try:
                uses |= uses_of_functions(self._parse(text), self._environment)
            except _FAILURES:
                uses |= set(re.findall(r"\w+", text))
        return frozenset(self._functions if ANY in uses else uses & self._functions.keys())

    def words_for(self, variables: Collection[str]) -> frozenset[str]:
        """Return words, one of which a text contains if it refers to one of `variables`, directly or by a function."""
        functions = {name for name, used in self._variables_of_functions.items() if not used.isdisjoint(variables)}
        # The filter `map` can compute the name of a function.
        return frozenset({*variables, *functions, *(["map"] if functions else [])})

    def has_filter(self, name: str) -> bool:
        """Whether mpbake or Jinja has a filter called `name`."""
        return name in self._environment.filters and name not in self._functions

    def has_function(self, name: str) -> bool:
        """Whether the plan has a function called `name`."""
        return name in self._functions

    def define(self, function: Function, variables: Iterable[str] = ()) -> None:
        """Let templates call `function`. `variables` are the variables that its result depends on.

        The variables have the values of the scope of the template that calls the function.
        """
        self._variables_of_functions[function.name] = frozenset(variables)
        self._functions[function.name] = function
        self._names.clear()
        self._environment.define(function.name, CallableFunction(function, self._evaluated))

    def check_calls(self, text: str) -> None:
        """Check a text that is not rendered: its syntax, its filters, and the arguments of calls of functions.

        Raises TemplateProblem.
        """
        try:
            self._template(text)
            for name, arguments, keywords in calls_in(self._parse(text), self._environment):
                if name in self._functions:
                    function = self._functions[name]
                    bind(function, function.signature(), [None] * arguments, dict.fromkeys(keywords))
        except _FAILURES as error:
            raise self._problem_of(error, text, {}) from error

    def _evaluated(self, function: Function, values: dict[str, Any]) -> Any:
        """Return the result of a function; `values` are the values of its parameters."""
        self._environment.count_call(len(values))
        names = self._variables_of_functions[function.name] & self._scope.keys()
        variables = {name: self._scope[name] for name in names}
        try:
            return self._environment.counted(self._rendered(function.result, variables | values))
        except _FAILURES as error:
            if isinstance(error, _FunctionError):
                raise
            problem = self._problem_of(error, "", {})
            message, _, hint = str(problem).partition("\n")
            raise _FunctionError(
                f'in the function "{function.name}": {message}', hint, problem.code, culprit=function.name
            ) from error

    def _rendered(self, value: Any, scope: Mapping[str, Any]) -> Any:
        """Return the result of a function: a value with all templates in it rendered, without absent entries."""
        match value:
            case str() if _MARKER.search(value):
                return self._template(value)(scope)
            case list():
                items = [self._rendered(item, scope) for item in value]
                return [item for item in items if item is not None]
            case dict():
                entries = {key: self._rendered(item, scope) for key, item in value.items()}
                return {key: item for key, item in entries.items() if item is not None}
            case _:
                return value

    def _parse(self, text: str) -> nodes.Template:
        self.budget.spend_source(text)
        return self._environment.parse(text)

    def render(self, text: str, scope: Mapping[str, Any]) -> Any:
        """Render `text`. A lone `{{ … }}` gives the value of its expression, anything else a string.

        Raises TemplateProblem, and PlanTooLargeError if the limits of the plan are reached.
        """
        if not _MARKER.search(text):
            return text
        values = self._values_of_costly(text, scope)
        key = (text, *map(_identity, values)) if values else ()
        if key in self._results:
            return self._results[key][0]
        self.budget.reset()
        self._scope = scope
        try:
            result = self._template(text)(scope)
        except _FAILURES as error:
            raise self._problem_of(error, text, scope) from error
        if isinstance(result, str):
            _check_text(result)
            if key:
                self._results[key] = result, values
        if self.budget.spent > _COSTLY_WORK:
            self._costly.add(text)
        return result

    def _values_of_costly(self, text: str, scope: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the values on which the result of a costly template depends; nothing for any other template.

        Rows of a matrix and children inherit the same templates, often with the same values.
        """
        names = sorted(self.names(text)) if text in self._costly else ()
        return tuple(scope[name] for name in names) if all(name in scope for name in names) else ()

    def _problem_of(self, error: Exception, text: str, scope: Mapping[str, Any]) -> TemplateProblem:
        """Return the problem of a template that failed with `error`."""
        match error:
            case TemplateProblem():
                return error
            case UndefinedError():
                return self._undefined(str(error.message), text, scope)
            case FilterError():
                return TemplateProblem(str(error), error.code, error.culprit)
            case _:
                return self._failed(error, text)

    def _template(self, text: str) -> _Render:
        render = self._compiled.get(text)
        if render is None:
            render = self._compiled[text] = self._compile(text)
        return render

    def _compile(self, text: str) -> _Render:
        bare = _compile_bare_names(text)
        if bare is None:
            return self._compile_with_jinja(text)
        render, names = bare

        def render_or_explain(scope: Mapping[str, Any]) -> Any:
            if scope.keys() >= names:
                return render(scope)
            self._compiled[text] = with_jinja = self._compile_with_jinja(text)
            return with_jinja(scope)

        return render_or_explain

    def _compile_with_jinja(self, text: str) -> _Render:
        if self._is_one_expression(text):
            # A sign next to the braces is Jinja's white space control, not part of the expression.
            self.budget.spend_source(text)
            source = re.sub(r"^[-+]|[-+]$", "", text[2:-2])
            expression = self._environment.compile_expression(source, undefined_to_none=False)
            return lambda scope: self._environment.final_value(expression(scope))
        self.budget.spend_source(text)
        generate = self._environment.from_string(text).generate
        return lambda scope: _joined(generate(scope))

    def _is_one_expression(self, text: str) -> bool:
        if not (text.startswith("{{") and text.endswith("}}")):
            return False
        body = self._parse(text).body
        return len(body) == 1 and isinstance(body[0], nodes.Output) and len(body[0].nodes) == 1

    def _undefined(self, message: str, text: str, scope: Mapping[str, Any]) -> TemplateProblem:
        undefined_name = re.fullmatch(r"'(\w+)' is undefined", message)
        if undefined_name is None:
            quoted = re.search('"(.+?)"', message)
            return TemplateProblem(message, Code.UNDEFINED_VARIABLE, culprit=quoted[1] if quoted else "")
        name = undefined_name[1]
        hint = hint_for_name(name, text) or self._hint_for_unknown_variable(name, scope)
        explanation = _PLATFORM_UNAVAILABLE if name == "platform" else f'unknown variable "{name}"\n{hint}'
        return TemplateProblem(explanation, Code.UNDEFINED_VARIABLE, culprit=name)

    def _hint_for_unknown_variable(self, name: str, scope: Mapping[str, Any]) -> str:
        if name in self._environment.filters:
            return f"use {name} as a filter: {{{{ value | {name} }}}}"
        closest = closest_name(name, [*scope, *self._environment.globals])
        return did_you_mean(name, [closest] if closest else scope, kind="variables")

    def _failed(self, error: Exception, text: str) -> TemplateProblem:
        """Return the problem of a failed template, with Jinja's or Python's message if mpbake has no better message."""
        message = str(error.message if isinstance(error, TemplateSyntaxError) else error)
        unknown = re.match(r"No (filter|test) named '([\w.]+)'", message)
        if unknown is None:
            line = _line(text, error.lineno) if isinstance(error, TemplateSyntaxError) else ""
            message = NUMBER_TOO_LARGE if isinstance(error, NameError) else one_line(message)
            hint = hint_for_syntax(message, text) if isinstance(error, TemplateSyntaxError) else ""
            explanation = f"the template cannot be rendered: {message}" + (f"\n{hint}" if hint else "")
            return TemplateProblem(explanation, _code(error), culprit=line)
        kind, name = unknown.groups()
        if name in REMOVED_FILTERS:
            explanation = f'the filter "{name}" is not available\nsee docs/templates.md for the filters of mpbake'
        else:
            explanation = f'unknown {kind} "{name}"\n{self._hint_for_unknown_function(kind, name, text)}'
        return TemplateProblem(explanation, Code.UNKNOWN_FILTER, culprit=name)

    def _hint_for_unknown_function(self, kind: str, name: str, text: str) -> str:
        """Return a hint for an unknown filter or test. Jinja reads `value | semver.major` as one name with a dot."""
        known = self._environment.filters if kind == "filter" else self._environment.tests
        head, dot, rest = name.partition(".")
        if not (dot and head in known):
            hint = hint_for_filter(name) if kind == "filter" else ""
            return hint or did_you_mean(name, known, kind=f"{kind}s")
        value = re.search(rf"([\w.]+)\s*\|\s*{re.escape(name)}", text)
        return f"put the {kind} in parentheses: ({value[1] if value else 'value'} | {head}).{rest}"


def _identity(value: Any) -> tuple[type, Any]:
    """Return a key for a value. A value that is not text, an integer, a flag or none equals only itself."""
    return type(value), value if type(value) in _SCALARS else id(value)


def _check_text(text: str) -> None:
    """Raise TemplateProblem for a text that is too long or not valid Unicode."""
    if len(text) > MAX_TEXT:
        raise TemplateProblem(_TOO_LONG, Code.TEMPLATE_TOO_LARGE)
    if not is_unicode(text):
        raise TemplateProblem(f"the template cannot be rendered: {NOT_UNICODE}", Code.TEMPLATE_FAILED)


def _joined(parts: Iterable[str]) -> str:
    """Join `parts`, and stop at the maximum length of a text; otherwise a loop might never end."""
    texts: list[str] = []
    length = 0
    for part in parts:
        texts.append(part)
        length += len(part)
        if length > MAX_TEXT:
            raise TemplateProblem(_TOO_LONG, Code.TEMPLATE_TOO_LARGE)
    return "".join(texts)


def _compile_bare_names(text: str) -> tuple[_Render, frozenset[str]] | None:
    """Compile a text in which all templates are bare `{{ name }}`, without Jinja. Return function and names, or None.

    Most templates of a plan are bare names, and Jinja needs half a millisecond to compile a template. If Jinja might
    give another result, Jinja compiles the text: for undefined and reserved names, and for line breaks, which Jinja
    normalizes.
    """
    parts = _BARE_NAME.split(text)  # a literal, a name, a literal, a name, … a literal
    names = frozenset(parts[1::2])
    if names & _JINJA_NAMES or any(_NOT_LITERAL.search(literal) for literal in parts[::2]):
        return None
    if len(parts) == 3 and not parts[0] and not parts[2]:
        return lambda scope: scope[parts[1]], names

    def render(scope: Mapping[str, Any]) -> str:
        return _joined(rendered_text(scope[part]) if index % 2 else part for index, part in enumerate(parts))

    return render, names


def _line(text: str, number: int) -> str:
    """Return a line of a template; lines are counted as Jinja counts them."""
    return "".join(re.split(r"\r\n|\r|\n", text)[number - 1 : number]).strip()


def _code(error: Exception) -> Code:
    match error:
        case SecurityError() | OverflowError() | NameError():
            return Code.TEMPLATE_SANDBOX
        case TemplateSyntaxError() | SyntaxError():
            return Code.TEMPLATE_SYNTAX
        case _:
            return Code.TEMPLATE_FAILED
