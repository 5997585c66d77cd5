"""The value of each variable: where it comes from, its type, and what it may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpbake.errors import UsageError
from mpbake.loader import read_value
from mpbake.resolve.naming import below, ordered
from mpbake.spec import PlanSpec, Problem, VariableSpec, VariableType
from mpbake.text import did_you_mean, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mpbake.resolve.inputs import Inputs
    from mpbake.resolve.rendering import Rendering


@dataclass(frozen=True, kw_only=True, slots=True)
class _Given:
    """A value from outside, and whose it is, in words."""

    value: Any
    origin: str


def resolve_variables(spec: PlanSpec, inputs: Inputs, rendering: Rendering) -> dict[str, Any]:
    """The value of each variable: `--var`, else `--var-file`, else its environment variable, else its default.

    A default may refer to other variables. Raises UsageError for a value of an unknown variable.
    """
    _check_known(inputs.variables, spec, "--var")
    _check_known(inputs.values, spec, "--var-file")
    values: dict[str, Any] = {}
    for name in _order(spec, rendering):
        values[name] = _Variable(name=name, spec=spec.variables[name]).value(inputs, values, rendering)
    return {name: values[name] for name in spec.variables}


def _check_known(given: Iterable[str], spec: PlanSpec, origin: str) -> None:
    unknown = set(given) - spec.variables.keys()
    if unknown:
        name = min(unknown)
        raise UsageError(
            f'{origin}: the plan has no variable "{one_line(name)}"',
            hint=did_you_mean(name, spec.variables, kind="variables"),
        )


def _order(spec: PlanSpec, rendering: Rendering) -> list[str]:
    """Variables after those that their defaults refer to; a cycle becomes a problem."""
    edges: dict[str, list[str]] = {}
    for name, variable in spec.variables.items():
        names = {each for text in _texts(variable.default) for each in rendering.renderer.names(text)}
        edges[name] = [each for each in spec.variables if each in names]
    return ordered(edges, below("variables"), rendering.problems)


def _texts(value: Any) -> Iterator[str]:
    """Every string in `value`, however deep."""
    match value:
        case str():
            yield value
        case list():
            yield from (text for each in value for text in _texts(each))
        case dict():
            yield from (text for each in value.values() for text in _texts(each))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Variable:
    """One variable of the plan on its way to a value."""

    name: str
    spec: VariableSpec

    def value(self, inputs: Inputs, values: Mapping[str, Any], rendering: Rendering) -> Any:
        """Its value, given those of the variables before it; what is wrong with it becomes a problem."""
        before = len(rendering.problems)
        default = rendering.value(self.spec.default, values, below("variables", self.name, "default"))
        given = self._given(inputs)
        found = self._checked(given, default) if len(rendering.problems) == before else default
        if isinstance(found, Problem):
            rendering.problems.append(found)
            return default
        return found

    def _given(self, inputs: Inputs) -> _Given | None:
        if self.name in inputs.variables:
            return _Given(value=inputs.variables[self.name], origin="--var")
        if self.name in inputs.values:
            return _Given(value=inputs.values[self.name], origin="--var-file")
        env = self.spec.env
        if env and env in inputs.environment:
            return _Given(value=inputs.environment[env], origin=f"the environment variable {one_line(env)}")
        return None

    def _checked(self, given: _Given | None, default: Any) -> Any:
        """The value in the variable's type, or the Problem that it has."""
        if not self.name.isidentifier():
            return self._problem(f'"{one_line(self.name)}" is no variable name', "use letters, digits and underscores")
        if given is None and default is None:
            env = f", or set {one_line(self.spec.env)}" if self.spec.env else ""
            return self._problem(f'variable "{self.name}" has no value', f"give it with --var {self.name}=…{env}")
        kind = VariableType(self.spec.type) if self.spec.type else type_of(default)
        where = given or _Given(value=default, origin="its default")
        try:
            value = _as_type(kind, where.value)
            _check_limits(self.spec, kind, value)
        except ValueError as error:
            taken = f'variable "{self.name}" cannot take "{one_line(str(where.value))}" from {where.origin}'
            return self._problem(f"{taken}: {error}")
        return value

    def _problem(self, message: str, hint: str = "") -> Problem:
        return Problem(key=("variables", self.name), message=message, hint=hint)


def type_of(value: Any) -> VariableType:
    """The type that a default gives its variable."""
    match value:
        case bool():
            return VariableType.BOOL
        case int():
            return VariableType.INT
        case float():
            return VariableType.FLOAT
        case list():
            return VariableType.LIST
        case dict():
            return VariableType.MAP
        case _:
            return VariableType.STRING


def _as_type(kind: VariableType, value: Any) -> Any:
    """`value`, text from outside or a value of TOML, as `kind`. Raises ValueError with the end of a sentence."""
    if isinstance(value, str):
        return _read(kind, value)
    if kind is VariableType.STRING and isinstance(value, int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if type_of(value) is not kind and (kind, type_of(value)) != (VariableType.FLOAT, VariableType.INT):
        msg = f"it is not {_ARTICLES[kind]}"
        raise ValueError(msg)
    return value


_ARTICLES = {
    VariableType.STRING: "text",
    VariableType.INT: "a whole number",
    VariableType.FLOAT: "a number",
    VariableType.BOOL: "true or false",
    VariableType.LIST: "a list",
    VariableType.MAP: "a table",
}
_BOOLS = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(("false", "0", "no", "off", ""), False)


def _read(kind: VariableType, text: str) -> Any:
    found: Any = None
    match kind:
        case VariableType.STRING:
            return text
        case VariableType.BOOL:
            found = _BOOLS.get(text.lower())
        case VariableType.INT | VariableType.FLOAT:
            found = _number(int if kind is VariableType.INT else float, text)
        case VariableType.LIST:
            # TOML where the text is a list of TOML, else items between commas.
            found = read_value(text) if text.lstrip().startswith("[") else [each.strip() for each in text.split(",")]
            found = [each for each in found if each != ""] if isinstance(found, list) else None
        case VariableType.MAP:
            found = read_value(text) if text.lstrip().startswith("{") else None
    if found is None:
        msg = f"it is not {_ARTICLES[kind]}"
        raise ValueError(msg)
    return found


def _number(kind: type[int | float], text: str) -> int | float | None:
    try:
        return kind(text)
    except ValueError:
        return None


def _check_limits(spec: VariableSpec, kind: VariableType, value: Any) -> None:
    """Raises ValueError where `value` is not what the plan allows."""
    if spec.required and value in ("", [], {}):
        msg = "it must not be empty"
        raise ValueError(msg)
    if spec.choices and value not in spec.choices:
        msg = f"it must be one of {', '.join(one_line(str(each)) for each in spec.choices)}"
        raise ValueError(msg)
    if spec.min is not None or spec.max is not None:
        _check_range(spec, kind, value)
    if spec.pattern:
        _check_pattern(spec.pattern, kind, value)


def _check_range(spec: VariableSpec, kind: VariableType, value: Any) -> None:
    if kind not in {VariableType.INT, VariableType.FLOAT}:
        msg = "min and max are for numbers"
        raise ValueError(msg)
    if spec.min is not None and value < spec.min:
        msg = f"it must be at least {spec.min}"
        raise ValueError(msg)
    if spec.max is not None and value > spec.max:
        msg = f"it must be at most {spec.max}"
        raise ValueError(msg)


def _check_pattern(pattern: str, kind: VariableType, value: Any) -> None:
    # RE2 takes linear time whatever the pattern: a plan may be hostile. Imported late: few plans have patterns.
    import re2  # noqa: PLC0415

    if kind is not VariableType.STRING:
        msg = "pattern is for text"
        raise ValueError(msg)
    options = re2.Options()
    options.log_errors = False
    try:
        found = re2.compile(pattern, options=options).search(value)
    except re2.error as error:
        msg = f"the pattern {one_line(pattern)} cannot be read: {one_line(_said(error))}"
        raise ValueError(msg) from None
    if found is None:
        msg = f"it does not match {one_line(pattern)}"
        raise ValueError(msg)


def _said(error: Exception) -> str:
    """RE2 gives its complaint as bytes."""
    said = error.args[0] if error.args else ""
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)
