"""The value of each variable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mpbake.errors import UsageError
from mpbake.spec import PlanSpec, Problem
from mpbake.text import did_you_mean, one_line

if TYPE_CHECKING:
    from mpbake.resolve.inputs import Inputs


def resolve_variables(spec: PlanSpec, inputs: Inputs, problems: list[Problem]) -> dict[str, Any]:
    """The value of each variable: `--var`, else its environment variable, else its default."""
    unknown = inputs.variables.keys() - spec.variables.keys()
    if unknown:
        name = min(unknown)
        raise UsageError(
            f'--var: the plan has no variable "{one_line(name)}"',
            hint=did_you_mean(name, spec.variables, kind="variables"),
        )
    values: dict[str, Any] = {}
    for name, variable in spec.variables.items():
        given, origin = _given(name, variable.env, inputs)
        values[name] = variable.default
        if given is not None:
            try:
                values[name] = _as_type_of(variable.default, given)
            except ValueError as error:
                message = f'variable "{one_line(name)}" cannot take "{one_line(given)}" from {origin}: {error}'
                problems.append(Problem(key=("variables", name), message=message))
        if not name.isidentifier():
            hint = "use letters, digits and underscores"
            problems.append(
                Problem(key=("variables", name), message=f'"{one_line(name)}" is no variable name', hint=hint)
            )
    return values


def _given(name: str, env: str, inputs: Inputs) -> tuple[str | None, str]:
    if name in inputs.variables:
        return inputs.variables[name], "--var"
    return inputs.environment.get(env) if env else None, f"the environment variable {env}"


def _as_type_of(default: object, text: str) -> Any:
    match default:
        case bool():
            if text.lower() in {"true", "1", "yes", "on"}:
                return True
            if text.lower() in {"false", "0", "no", "off", ""}:
                return False
            msg = "it is not true or false"
            raise ValueError(msg)
        case int():
            return _number(int, text, "a whole number")
        case float():
            return _number(float, text, "a number")
        case list():
            return [item.strip() for item in text.split(",") if item.strip()]
        case _:
            return text


def _number(kind: type[int | float], text: str, name: str) -> int | float:
    try:
        return kind(text)
    except ValueError:
        msg = f"it is not {name}"
        raise ValueError(msg) from None
