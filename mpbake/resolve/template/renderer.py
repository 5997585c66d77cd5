"""Templates filled in, and what is wrong with them told in words for people."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.exceptions import SecurityError, UndefinedError

from mpbake.base.codes import Code
from mpbake.base.text import closest_name, did_you_mean, is_unicode, one_line
from mpbake.resolve.template.filters import FilterError, no_git
from mpbake.resolve.template.sandbox import MAX_TEXT, NO_UNICODE, TOO_LARGE, UNSTEADY, Sandbox, rendered_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mpbake.resolve.template.filters import AskGit

    _Fill = Callable[[Mapping[str, Any]], Any]
    """Fills in one template with the values of a scope."""

RESERVED = frozenset({"git", "platform", "range", "timestamp"})
"""Names with a meaning of their own, which no variable may have. All but `platform` mean the same in every template."""
_PLATFORM = """\
`platform` is known only in some attributes of targets
it may stand in args, labels, contexts, dockerfile, target, cache-from and cache-to"""
_MARKER = re.compile(r"\{\{|\{%|\{#")
_BARE = re.compile(r"\{\{[ \t]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*\}\}")
_NOT_LITERAL = re.compile(r"\{[{%#]|\{\Z|\r")
_OF_JINJA = frozenset(
    {"true", "false", "none", "True", "False", "None", "not", "and", "or", "if", "else", "in", "is"}
) | {"self", "super", "caller", "loop", "varargs", "kwargs"}
"""Names that Jinja may take for something other than a variable."""
_TOO_LONG = f"the template renders to more than {MAX_TEXT} characters"
_FAILURES = (
    TemplateError,
    ArithmeticError,
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    RuntimeError,  # a recursion without end
    SyntaxError,  # nested deeper than Python's compiler takes
    MemoryError,
    NameError,  # Jinja writes an infinite constant as a name
)


class TemplateProblem(ValueError):
    """A template that cannot be rendered; the text says why, for people, and in a second line what to do.

    `culprit` is the part of the template that is to blame, if any.
    """

    def __init__(self, text: str, code: Code, culprit: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.culprit = culprit


class Renderer:
    """Renders strings over one set of variables at a time; each distinct template is compiled once."""

    def __init__(self, *, git: AskGit = no_git, epoch: str = "") -> None:
        """Make the environment; nothing is compiled yet. `epoch` is what SOURCE_DATE_EPOCH holds, if anything."""
        self._environment = Sandbox(git, epoch)
        self._compiled: dict[str, _Fill] = {}

    def names(self, text: str) -> frozenset[str]:
        """The variables that `text` refers to, `platform` among them.

        Of a text that cannot be read, which rendering will tell, these may be all words in it.
        """
        plain = _plain(text)
        try:
            found = plain[1] if plain else meta.find_undeclared_variables(self._environment.parse(text))
        except _FAILURES:
            found = frozenset(re.findall(r"\w+", text))
        return frozenset(found - self._environment.globals.keys())

    def render(self, text: str, scope: Mapping[str, Any]) -> Any:
        """Fill in `text`. One lone `{{ … }}` gives the expression's own value, anything else a string.

        Raises TemplateProblem.
        """
        if not _MARKER.search(text):
            return text
        self._environment.begin()
        try:
            result = self._template(text)(scope)
        except TemplateProblem:
            raise
        except UndefinedError as error:
            raise self._undefined(str(error.message), scope) from error
        except FilterError as error:
            raise TemplateProblem(str(error), error.code, error.culprit) from error
        except _FAILURES as error:
            raise self._failed(error, text) from error
        if isinstance(result, str):
            _check_text(result)
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
            return lambda scope: self._environment.defined(expression(scope))
        generate = self._environment.from_string(text).generate
        return lambda scope: _joined(generate(scope))

    def _is_one_expression(self, text: str) -> bool:
        if not (text.startswith("{{") and text.endswith("}}")):
            return False
        body = self._environment.parse(text).body
        return len(body) == 1 and isinstance(body[0], nodes.Output) and len(body[0].nodes) == 1

    def _undefined(self, message: str, scope: Mapping[str, Any]) -> TemplateProblem:
        found = re.fullmatch(r"'(\w+)' is undefined", message)
        if found is None:
            asked = re.search('"(.+?)"', message)
            return TemplateProblem(message, Code.UNDEFINED_VARIABLE, culprit=asked[1] if asked else "")
        name = found[1]
        text = f'there is no variable "{name}"\n{self._instead(name, scope)}'
        return TemplateProblem(_PLATFORM if name == "platform" else text, Code.UNDEFINED_VARIABLE, culprit=name)

    def _instead(self, name: str, scope: Mapping[str, Any]) -> str:
        """A remedy for the name of something that is no variable."""
        if name in self._environment.filters:
            return f"{name} is a filter: {{{{ value | {name} }}}}"
        near = closest_name(name, [*scope, *self._environment.globals])
        return did_you_mean(name, [near] if near else scope, kind="variables")

    def _failed(self, error: Exception, text: str) -> TemplateProblem:
        """What is wrong with a template, in Jinja's or Python's words where there are no better ones."""
        message = str(error)
        found = re.match(r"No (filter|test) named '([\w.]+)'", message)
        if found is None:
            line = _line(text, error.lineno) if isinstance(error, TemplateSyntaxError) else ""
            message = TOO_LARGE if isinstance(error, NameError) else one_line(message)
            return TemplateProblem(f"the template cannot be rendered: {message}", _code(error), culprit=line)
        kind, name = found.groups()
        if name in UNSTEADY:
            said = f'the filter "{name}" is not to be had\nmpbake took it away: see docs/templates.md'
        else:
            said = f'there is no {kind} "{name}"\n{self._other(kind, name, text)}'
        return TemplateProblem(said, Code.UNKNOWN_FILTER, culprit=name)

    def _other(self, kind: str, name: str, text: str) -> str:
        """A remedy for a filter or test that there is none of."""
        known = self._environment.filters if kind == "filter" else self._environment.tests
        head, dot, rest = name.partition(".")
        if not (dot and head in known):
            return did_you_mean(name, known, kind=f"{kind}s")
        value = re.search(rf"([\w.]+)\s*\|\s*{re.escape(name)}", text)
        return f"a part of what a {kind} gives: ({value[1] if value else 'value'} | {head}).{rest}"


def _check_text(text: str) -> None:
    """Refuse what is too long, and what cannot be written."""
    if len(text) > MAX_TEXT:
        raise TemplateProblem(_TOO_LONG, Code.TEMPLATE_TOO_LARGE)
    if not is_unicode(text):
        raise TemplateProblem(f"the template cannot be rendered: {NO_UNICODE}", Code.TEMPLATE_FAILED)


def _joined(parts: Iterable[str]) -> str:
    """All of `parts`, as long as they are not too many: a loop may never end otherwise."""
    found: list[str] = []
    length = 0
    for part in parts:
        found.append(part)
        length += len(part)
        if length > MAX_TEXT:
            raise TemplateProblem(_TOO_LONG, Code.TEMPLATE_TOO_LARGE)
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
    return lambda scope: _joined(rendered_text(scope[part]) if at % 2 else part for at, part in enumerate(parts)), names


def _line(text: str, number: int) -> str:
    """A line of a template, as Jinja counts them."""
    return "".join(re.split(r"\r\n|\r|\n", text)[number - 1 : number]).strip()


def _code(error: Exception) -> Code:
    match error:
        case SecurityError() | OverflowError() | NameError():
            return Code.TEMPLATE_SANDBOX
        case TemplateSyntaxError() | SyntaxError():
            return Code.TEMPLATE_SYNTAX
        case _:
            return Code.TEMPLATE_FAILED
