"""The value of each variable: where it comes from, its type, and what it may be."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Code
from mpbake.base.errors import UsageError
from mpbake.base.redaction import MASK, SHORTEST, scalars_in
from mpbake.base.text import did_you_mean, one_line, short_name
from mpbake.model.plan import Variable
from mpbake.resolve.names import key_below, strings_in, topological_order
from mpbake.resolve.template import RESERVED, Renderer
from mpbake.resolve.values import drop_empty_strings
from mpbake.spec.problem import Problem
from mpbake.spec.toml_values import WrittenFloat, read_value
from mpbake.spec.value_types import VariableType

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from mpbake.base.errors import KeyPath
    from mpbake.resolve.inputs import Inputs
    from mpbake.resolve.sensitive import Place
    from mpbake.resolve.values import ValueRenderer
    from mpbake.spec.plan_tables import PlanSpec, VariableSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class _Given:
    """A value from outside, and whose it is, in words."""

    value: Any
    origin: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Variables:
    """The values of all variables.

    `sensitive` are those that are, or whose default refers to one that is; `secrets` is what they hold, or would hold
    if something else did not come first; `places` are the defaults that refer to one.
    """

    scope: dict[str, Any]
    sensitive: Mapping[str, VariableSpec]
    secrets: frozenset[str]
    places: frozenset[Place]


_EXCERPT = 100
_STAND_IN = "none"
"""What a variable without a value holds: a text that may stand anywhere."""


def resolve_variables(spec: PlanSpec, inputs: Inputs, rendering: ValueRenderer) -> Variables:
    """The value of each variable: `--var`, else `--var-file`, else its environment variable, else its default.

    A default may refer to other variables. Raises UsageError for a value of an unknown variable.
    """
    _check_known(dict.fromkeys(inputs.variables, "--var"), spec)
    _check_known({name: _var_file(name, inputs) for name in inputs.values}, spec)
    values: dict[str, Any] = {}
    sensitive: dict[str, VariableSpec] = {}
    secrets: set[str] = set()
    places: set[Place] = set()
    references = _references(spec, rendering)
    for name in topological_order(references, key_below("variables"), rendering.problems):
        declared = spec.variables[name]
        secret = declared.sensitive or not sensitive.keys().isdisjoint(references[name])
        variable = _Variable(name=name, spec=declared, sensitive=secret)
        on_a_cycle = dict.fromkeys(references[name], "")  # that is told already, so they are not unknown, too
        values[name] = variable.value(inputs, on_a_cycle | values, rendering)
        if secret:
            sensitive[name] = declared
            places |= {(("variables", name, "default"), each) for each in strings_in(declared.default)}
            secrets |= variable.secrets(inputs, values[name])
        if values[name] is None:  # that is told already, so what is made of it is not wrong, too
            values[name] = _STAND_IN
    scope = {name: values[name] for name in spec.variables}
    return Variables(scope=scope, sensitive=sensitive, secrets=frozenset(secrets), places=frozenset(places))


def declared_variables(spec: PlanSpec, sensitive: Container[str]) -> tuple[Variable, ...]:
    """The variables of a plan, for people; of those that are `sensitive`, without the default."""
    return tuple(
        Variable(
            name=name,
            default=None if name in sensitive else each.default,
            env=each.env,
            sensitive=name in sensitive,
            description=each.description,
        )
        for name, each in spec.variables.items()
    )


def given_secrets(spec: PlanSpec, inputs: Inputs) -> frozenset[str]:
    """What is given from outside to variables that are sensitive, or whose default refers to one that is.

    This is known before anything is resolved. A true or false is no secret.
    """
    if not any(each.sensitive for each in spec.variables.values()):
        return frozenset()
    renderer = Renderer()
    names = {name: _names_in(each, renderer) for name, each in spec.variables.items()}
    sensitive = {name for name, each in spec.variables.items() if each.sensitive}
    while more := {name for name, used in names.items() if used & sensitive} - sensitive:
        sensitive |= more
    variables = (_Variable(name=name, spec=spec.variables[name]) for name in sensitive if not _is_bool(spec, name))
    return frozenset(text for each in variables for text in each.secrets(inputs, None))


def _names_in(variable: VariableSpec, renderer: Renderer) -> set[str]:
    """What the default of a variable refers to."""
    return {name for text in strings_in(variable.default) for name in renderer.names(text)}


def _is_bool(spec: PlanSpec, name: str) -> bool:
    variable = spec.variables[name]
    return VariableType.BOOL in {variable.type, type_of(variable.default)}


def _var_file(name: str, inputs: Inputs) -> str:
    """The option that gives a variable, as it was written."""
    return f"--var-file {one_line(inputs.files.get(name, ''))}".rstrip()


def _check_known(given: Mapping[str, str], spec: PlanSpec) -> None:
    """That all variables which are `given`, each by an option, are in the plan."""
    unknown = given.keys() - spec.variables.keys()
    if unknown:
        name = min(unknown)
        raise UsageError(
            f'{given[name]}: the plan has no variable "{one_line(name)}"',
            hint=did_you_mean(name, spec.variables, kind="variables"),
        )


def _references(spec: PlanSpec, rendering: ValueRenderer) -> dict[str, list[str]]:
    """The variables to which the default of each refers."""
    found: dict[str, list[str]] = {}
    for name, variable in spec.variables.items():
        names = _names_in(variable, rendering.renderer)
        found[name] = [each for each in spec.variables if each in names]
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class _Variable:
    """One variable of the plan on its way to a value."""

    name: str
    spec: VariableSpec
    sensitive: bool = False

    def value(self, inputs: Inputs, values: Mapping[str, Any], rendering: ValueRenderer) -> Any:
        """Its value, given those of the variables before it; what is wrong with it becomes a problem."""
        before = len(rendering.problems)
        default = drop_empty_strings(
            rendering.value(self.spec.default, values, key_below("variables", self.name, "default"))
        )
        given = self._given(inputs)
        found = self._checked(given, default) if len(rendering.problems) == before else default
        if isinstance(found, Problem):
            rendering.problems.append(found)
            return default
        return found

    def secrets(self, inputs: Inputs, value: Any) -> set[str]:
        """What to hide when `value` is the variable's: also what was given and not taken. A bool has no secret."""
        given = [] if isinstance(value, bool) else [each.value for each in self._offers(inputs)]
        return set(scalars_in([value, *given]))

    def _given(self, inputs: Inputs) -> _Given | None:
        return next(self._offers(inputs), None)

    def _offers(self, inputs: Inputs) -> Iterator[_Given]:
        """The values from outside, the one that counts first."""
        if self.name in inputs.variables:
            yield _Given(value=inputs.variables[self.name], origin="--var")
        if self.name in inputs.values:
            yield _Given(value=inputs.values[self.name], origin=_var_file(self.name, inputs))
        env = self.spec.env
        if env and env in inputs.environment:
            yield _Given(value=inputs.environment[env], origin=f"the environment variable {one_line(env)}")

    def _checked(self, given: _Given | None, default: Any) -> Any:
        """The value in the variable's type, or the Problem that it has."""
        if not self.name.isidentifier():
            message = f'"{one_line(self.name)}" is no variable name'
            return self._problem(Code.BAD_VARIABLE_NAME, message, "use letters, digits and underscores")
        if self.name in RESERVED:
            message = f'"{self.name}" has a meaning of its own in templates'
            return self._problem(Code.BAD_VARIABLE_NAME, message, "call the variable something else")
        if given is None and default is None:
            env = f", or set {one_line(self.spec.env)}" if self.spec.env else ""
            message = f'variable "{self.name}" has no value'
            return self._problem(Code.VARIABLE_WITHOUT_VALUE, message, f"give it with --var {self.name}=…{env}")
        kind = VariableType(self.spec.type) if self.spec.type else type_of(default)
        where = given or _Given(value=default, origin="its default")
        try:
            value = _as_type(kind, where.value)
            _check_limits(self.spec, kind, value)
        except _Refused as error:
            shown = MASK if self.sensitive else short_name(str(where.value), _EXCERPT)
            taken = f'variable "{self.name}" cannot take "{shown}" from {where.origin}'
            return self._problem(error.code, f"{taken}: {error}", culprit="" if given else str(default))
        return value

    def _problem(self, code: Code, message: str, hint: str = "", culprit: str = "") -> Problem:
        """`culprit` is the default that is wrong; without one, the variable itself is marked."""
        key: KeyPath = ("variables", self.name)
        return Problem(code=code, key=key, message=message, hint=hint, culprit=culprit, of_key=not culprit)


class _Refused(ValueError):
    """A value that a variable cannot take; the text is the end of a sentence."""

    def __init__(self, text: str, code: Code) -> None:
        super().__init__(text)
        self.code = code


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
    """`value`, text from outside or a value of TOML, as `kind`. Raises _Refused."""
    if isinstance(value, str):
        return _read(kind, value)
    if kind is VariableType.STRING and isinstance(value, int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if type_of(value) is not kind and (kind, type_of(value)) != (VariableType.FLOAT, VariableType.INT):
        msg = f"it is not {_ARTICLES[kind]}"
        raise _Refused(msg, Code.VARIABLE_TYPE)
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
            found = _number(kind, text.strip())
        case VariableType.LIST:
            # TOML where the text is a list of TOML, else items between commas.
            found = read_value(text) if text.lstrip().startswith("[") else [each.strip() for each in text.split(",")]
            found = [each for each in found if each != ""] if isinstance(found, list) else None
        case VariableType.MAP:
            found = read_value(text) if text.lstrip().startswith("{") else None
    if found is None:
        msg = f"it is not {_ARTICLES[kind]}"
        raise _Refused(msg, Code.VARIABLE_TYPE)
    return found


_LEADING_ZEROS = re.compile(r"[+-]?0[0-9]")
_FLOAT = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def _number(kind: VariableType, text: str) -> int | float | None:
    """The number that `text` from outside is, if it is one. Raises _Refused where it would be text of another kind."""
    if _LEADING_ZEROS.match(text):
        msg = "a number has no leading zeros; if it is text, put the default in quotes"
        raise _Refused(msg, Code.VARIABLE_TYPE)
    try:
        if kind is VariableType.INT:
            return int(text)
        return WrittenFloat(text) if _FLOAT.fullmatch(text) else float(text)
    except ValueError:
        return None


def _check_limits(spec: VariableSpec, kind: VariableType, value: Any) -> None:
    """Raises _Refused where `value` is not what the plan allows."""
    if spec.required and value in ("", [], {}):
        msg = "it must not be empty"
        raise _Refused(msg, Code.VARIABLE_EMPTY)
    if spec.choices and not any(_is_choice(value, each) for each in spec.choices):
        msg = f"it must be one of {', '.join(one_line(str(each)) for each in spec.choices)}"
        raise _Refused(msg, Code.VARIABLE_CHOICE)
    if spec.min is not None or spec.max is not None:
        _check_range(spec, kind, value)
    if spec.pattern:
        _check_pattern(spec.pattern, kind, value)
    if spec.sensitive and any(0 < len(text.strip()) < SHORTEST for text in strings_in(value)):
        msg = f"it is sensitive and too short to be hidden: {SHORTEST} characters are needed"
        raise _Refused(msg, Code.SENSITIVE_TOO_SHORT)


def _is_choice(value: Any, choice: Any) -> bool:
    """Whether `value` is `choice`; where there may be a point in it as it is written: 8.10 is not 8.1."""
    return bool(value == choice) and (not isinstance(value, float) or str(value) == str(choice))


def _check_range(spec: VariableSpec, kind: VariableType, value: Any) -> None:
    if kind not in {VariableType.INT, VariableType.FLOAT}:
        msg = "min and max are for numbers"
        raise _Refused(msg, Code.VARIABLE_LIMIT)
    if spec.min is not None and value < spec.min:
        msg = f"it must be at least {spec.min}"
        raise _Refused(msg, Code.VARIABLE_RANGE)
    if spec.max is not None and value > spec.max:
        msg = f"it must be at most {spec.max}"
        raise _Refused(msg, Code.VARIABLE_RANGE)


def _check_pattern(pattern: str, kind: VariableType, value: Any) -> None:
    # RE2 takes linear time whatever the pattern: a plan may be hostile. Imported late: few plans have patterns.
    import re2  # noqa: PLC0415

    if kind is not VariableType.STRING:
        msg = "pattern is for text"
        raise _Refused(msg, Code.VARIABLE_LIMIT)
    options = re2.Options()
    options.log_errors = False
    try:
        found = re2.compile(pattern, options=options).search(value)
    except re2.error as error:
        msg = f"the pattern {one_line(pattern)} cannot be read: {one_line(_said(error))}"
        raise _Refused(msg, Code.BAD_PATTERN) from None
    if found is None:
        msg = f"it does not match {one_line(pattern)}"
        raise _Refused(msg, Code.VARIABLE_PATTERN)


def _said(error: Exception) -> str:
    """RE2 gives its complaint as bytes."""
    said = error.args[0] if error.args else ""
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)
