"""The value of each variable: its source, its type and its limits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Code
from mpbake.base.errors import UsageError
from mpbake.base.redaction import MASK, scalars_in
from mpbake.base.text import did_you_mean, one_line, short_name
from mpbake.model.plan import Variable
from mpbake.resolve.functions import define_functions
from mpbake.resolve.names import key_below, strings_in, topological_order
from mpbake.resolve.template import RESERVED, Renderer
from mpbake.resolve.values import drop_absent
from mpbake.resolve.variable_values import InvalidValueError, as_type, check_limits, type_of
from mpbake.spec.problem import Problem
from mpbake.spec.tables.value_types import VariableType

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from mpbake.base.errors import KeyPath
    from mpbake.resolve.inputs import Inputs
    from mpbake.resolve.sensitive import Place
    from mpbake.resolve.values import ValueRenderer
    from mpbake.spec.tables.plan_tables import PlanSpec, VariableSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class _SourcedValue:
    """A value and its source, such as `--var`. The source is empty for a default."""

    value: Any
    source: str

    def text(self, shown: str) -> str:
        """Return the value as the subject of a sentence. `shown` is the printable value with its quotes."""
        return f"the value {shown} of {self.source}" if self.source else f"the default {shown}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Variables:
    """The values of all variables.

    `sensitive` are the variables that are declared sensitive or whose default refers to a sensitive variable. `secrets`
    are the values of these variables, including overridden values. `places` are the defaults that refer to a sensitive
    variable. `unknown` are the variables without a value of their type, or with a default that cannot be rendered: both
    are reported.
    """

    scope: dict[str, Any]
    sensitive: Mapping[str, VariableSpec]
    secrets: frozenset[str]
    places: frozenset[Place]
    unknown: frozenset[str]


_EXCERPT = 100
_REPLACEMENT = "none"
"""The replacement for a value with a reported error.

The replacement is valid everywhere, so that no follow-up errors appear.
"""
_FAILED = object()


def resolve_variables(spec: PlanSpec, inputs: Inputs, renderer: ValueRenderer) -> Variables:
    """Return the value of each variable: `--var`, else `--var-file`, else its environment variable, else its default.

    A default may refer to other variables. Raises UsageError for a value of an unknown variable.
    """
    _check_known(dict.fromkeys(inputs.variables, "--var"), spec)
    _check_known({name: _var_file(name, inputs) for name in inputs.values}, spec)
    values: dict[str, Any] = {}
    sensitive: dict[str, VariableSpec] = {}
    secrets: set[str] = set()
    places: set[Place] = set()
    unknown: set[str] = set()
    references = _references(spec, renderer)
    for name in topological_order(references, key_below("variables"), renderer.problems):
        declared = spec.variables[name]
        is_sensitive = declared.sensitive or not sensitive.keys().isdisjoint(references[name])
        variable = _Variable(name=name, spec=declared, sensitive=is_sensitive)
        # Variables on a cycle are reported already, and must not also be reported as unknown.
        cyclic = dict.fromkeys(references[name], "")
        problems_before = len(renderer.problems)
        value = variable.value(inputs, cyclic | values, replace(renderer, unknown=frozenset(unknown)))
        values[name] = None if value is _FAILED else value
        if is_sensitive:
            sensitive[name] = declared
            places |= {(("variables", name, "default"), text) for text in strings_in(declared.default)}
            secrets |= variable.secrets(inputs, values[name])
        if values[name] is None and len(renderer.problems) > problems_before:
            # The problem is reported already, so do not report the uses of the variable as well.
            values[name] = _REPLACEMENT
            if value is _FAILED or declared.type not in {"", VariableType.STRING}:
                unknown.add(name)
    scope = {name: values[name] for name in spec.variables}
    return Variables(
        scope=scope,
        sensitive=sensitive,
        secrets=frozenset(secrets),
        places=frozenset(places),
        unknown=frozenset(unknown),
    )


def declared_variables(spec: PlanSpec, sensitive: Container[str]) -> tuple[Variable, ...]:
    """Return the variables of a plan for display; `sensitive` variables have no default."""
    return tuple(
        Variable(
            name=name,
            default=None if name in sensitive else variable.default,
            env=variable.env,
            sensitive=name in sensitive,
            description=variable.description,
        )
        for name, variable in spec.variables.items()
    )


def given_secrets(spec: PlanSpec, inputs: Inputs) -> frozenset[str]:
    """Return the values that sensitive variables get from outside the plan.

    A variable is also sensitive if its default refers to a sensitive variable. The returned values are known before the
    plan is resolved. The value of a bool is not a secret.
    """
    names = (name for name in sensitive_variables(spec) if not _is_bool(spec, name))
    variables = (_Variable(name=name, spec=spec.variables[name]) for name in names)
    return frozenset(text for variable in variables for text in variable.secrets(inputs, None))


def sensitive_variables(spec: PlanSpec) -> frozenset[str]:
    """Return the names of the variables that are declared sensitive or whose default refers to a sensitive variable."""
    sensitive = {name for name, variable in spec.variables.items() if variable.sensitive}
    if not sensitive:
        return frozenset()
    renderer = Renderer()
    define_functions(spec, renderer, [])
    references = {name: _names_in(variable, renderer) for name, variable in spec.variables.items()}
    while dependent := {name for name, names in references.items() if names & sensitive} - sensitive:
        sensitive |= dependent
    return frozenset(sensitive)


def _names_in(variable: VariableSpec, renderer: Renderer) -> set[str]:
    """Return the names that the default of a variable refers to."""
    return {name for text in strings_in(variable.default) for name in renderer.names(text)}


def _is_bool(spec: PlanSpec, name: str) -> bool:
    variable = spec.variables[name]
    return VariableType.BOOL in {variable.type, type_of(variable.default)}


def _var_file(name: str, inputs: Inputs) -> str:
    """Return the option that sets a variable, as written: `--var-file FILE`."""
    return f"--var-file {one_line(inputs.files.get(name, ''))}".rstrip()


def _check_known(options: Mapping[str, str], spec: PlanSpec) -> None:
    """Raise UsageError for an undeclared variable; `options` maps each variable to the option on the command line."""
    unknown = options.keys() - spec.variables.keys()
    if unknown:
        name = min(unknown)
        raise UsageError(
            f'{options[name]}: unknown variable "{one_line(name)}"',
            hint=did_you_mean(name, spec.variables, kind="variables"),
        )


def _references(spec: PlanSpec, renderer: ValueRenderer) -> dict[str, list[str]]:
    """Return, for each variable, the variables that its default refers to."""
    positions = {name: position for position, name in enumerate(spec.variables)}
    return {
        name: sorted(positions.keys() & _names_in(variable, renderer.templates), key=positions.__getitem__)
        for name, variable in spec.variables.items()
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class _Variable:
    """A declared variable whose value is not known yet."""

    name: str
    spec: VariableSpec
    sensitive: bool = False

    def value(self, inputs: Inputs, values: Mapping[str, Any], renderer: ValueRenderer) -> Any:
        """Return the value, or None if there is no value of the variable's type. Report problems.

        The result is `_FAILED` if the default cannot be rendered.
        `values` are the values of variables that the default may refer to.
        """
        problems_before = len(renderer.problems)
        default = drop_absent(renderer.render(self.spec.default, values, key_below("variables", self.name, "default")))
        outside = next(self._outside_values(inputs), None)
        failures = renderer.problems[problems_before:]
        if outside and all(problem.code is Code.TEMPLATE_FAILED for problem in failures):
            del renderer.problems[problems_before:]  # nothing needs this default
        elif failures:
            return _FAILED
        result = self._checked(outside, default, inputs)
        if not isinstance(result, Problem):
            return result
        renderer.problems.append(result)
        try:
            return as_type(VariableType(self.spec.type), default) if self.spec.type else default
        except InvalidValueError:
            return None

    def secrets(self, inputs: Inputs, value: Any) -> set[str]:
        """Return the texts to redact: `value`, and the overridden values from outside. A bool has no secrets."""
        outside = [] if isinstance(value, bool) else [sourced.value for sourced in self._outside_values(inputs)]
        return set(scalars_in([value, *outside]))

    def _outside_values(self, inputs: Inputs) -> Iterator[_SourcedValue]:
        """Yield the values from outside the plan, by descending precedence."""
        if self.name in inputs.variables:
            yield _SourcedValue(value=inputs.variables[self.name], source="--var")
        if self.name in inputs.values:
            yield _SourcedValue(value=inputs.values[self.name], source=_var_file(self.name, inputs))
        env = self.spec.env
        if env and env in inputs.environment and not inputs.untrusted:
            yield _SourcedValue(value=inputs.environment[env], source=f"the environment variable {one_line(env)}")

    def _checked(self, outside: _SourcedValue | None, default: Any, inputs: Inputs) -> Any:
        """Return the value, converted to the variable's type, or a Problem."""
        if not self.name.isidentifier():
            message = f'"{one_line(self.name)}" is not a valid variable name'
            return self._problem_of_variable(Code.BAD_VARIABLE_NAME, message, "use letters, digits and underscores")
        if self.name in RESERVED:
            message = f'"{self.name}" is a reserved name in templates'
            return self._problem_of_variable(Code.BAD_VARIABLE_NAME, message, "rename the variable")
        if outside is None and self.spec.default is None:
            message = f'variable "{self.name}" has no value'
            hint = f"pass --var {self.name}=…{self._hint_about_environment(inputs)}"
            return self._problem_of_variable(Code.VARIABLE_WITHOUT_VALUE, message, hint)
        variable_type = VariableType(self.spec.type) if self.spec.type else type_of(default)
        sourced = outside or _SourcedValue(value=default, source="")
        if sourced.value is None:  # the default {{ none }}, a value of every type
            if not self.spec.required:
                return None
            message = f'variable "{self.name}": the default is none, but the variable is required'
            return self._problem_of_variable(Code.VARIABLE_EMPTY, message, f"pass --var {self.name}=…")
        try:
            value = as_type(variable_type, sourced.value)
            check_limits(self.spec, variable_type, value)
        except InvalidValueError as error:
            shown = f'"{MASK if self.sensitive else short_name(str(sourced.value), _EXCERPT)}"'
            if error.code is Code.SENSITIVE_TOO_SHORT:
                shown = "(not shown)"
            message = f'variable "{self.name}": {error.sentence(sourced.text(shown))}'
            return self._problem_of_variable(error.code, message, culprit="" if outside else str(default))
        return value

    def _hint_about_environment(self, inputs: Inputs) -> str:
        if not self.spec.env:
            return ""
        env = one_line(self.spec.env)
        return f": with --untrusted, mpbake does not read {env}" if inputs.untrusted else f", or set {env}"

    def _problem_of_variable(self, code: Code, message: str, hint: str = "", culprit: str = "") -> Problem:
        """Return a problem that marks `culprit`, the invalid default, or else the variable's name."""
        key: KeyPath = ("variables", self.name)
        return Problem(code=code, key=key, message=message, hint=hint, culprit=culprit, of_key=not culprit)
