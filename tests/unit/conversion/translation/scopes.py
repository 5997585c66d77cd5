"""The scope of the expressions in expressions.txt, and the values of its variables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.conversion.reading.hcl.files import read_expression, read_hcl
from mpbake.conversion.syntax import Function, Literal, Variable
from mpbake.conversion.translation import (
    Bound,
    BoundFunction,
    Scope,
    template_name,
    translate_value,
    type_of_constraint,
)
from mpbake.conversion.translation.expressions import code_of
from mpbake.conversion.translation.types import STRING, list_of
from mpbake.resolve.template import Function as PlanFunction
from mpbake.resolve.template import Renderer
from tests.unit.conversion.translation.collect_values import CHANGED

if TYPE_CHECKING:
    from collections.abc import Mapping

CHANGED_VALUES = {**CHANGED, "FULL": False, "OFF": True, "N": 4}
"""The values of the variables that the environment `CHANGED` gives."""
HERE = Path(__file__).parent
FILE = read_hcl((HERE / "variables.hcl").read_text(encoding="utf-8"), "variables.hcl")
VARIABLES = {block.name: block for block in FILE.blocks if isinstance(block, Variable)}
FUNCTIONS = {block.name: block for block in FILE.blocks if isinstance(block, Function)}


def _bound(variable: Variable) -> Bound:
    name = template_name(variable.name.lower())
    if variable.type is not None:
        type_ = type_of_constraint(variable.type)
        return Bound(name=name, type=type_ if variable.default else type_.or_null())
    return Bound(name=name, type=code_of(variable.default or Literal(value=""), Scope()).type)


SCOPE = Scope(
    names={name: _bound(variable) for name, variable in VARIABLES.items()},
    functions={
        "tag": BoundFunction(name="tag_", result=STRING),
        "tags": BoundFunction(name="tags", result=list_of(STRING)),
    },
)


def values(changed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the variables by their names in the plan."""
    return {
        SCOPE.names[name].name: changed.get(name, translate_value(variable.default or Literal(value=None), SCOPE))
        for name, variable in VARIABLES.items()
    } | ({} if "UNSET" in changed else {"unset": None})


def renderer() -> Renderer:
    """Return a renderer with the functions of variables.hcl."""
    result = Renderer()
    for name, function in FUNCTIONS.items():
        inner = SCOPE.bind({parameter: Bound(name=parameter) for parameter in function.params}).bind(
            {function.variadic: Bound(name=function.variadic, type=list_of(STRING))} if function.variadic else {}
        )
        plan_function = PlanFunction(
            name=SCOPE.functions[name].name,
            params=function.params,
            variadic=function.variadic,
            result=translate_value(function.result, inner),
        )
        result.define(plan_function, [bound.name for bound in SCOPE.names.values()])
    return result


def rendered(value: Any, renderer: Renderer, scope: Mapping[str, Any]) -> Any:
    """Return a value of a plan with all its templates rendered."""
    match value:
        case str():
            return renderer.render(value, scope)
        case list():
            return [rendered(item, renderer, scope) for item in value]
        case dict():
            return {key: rendered(item, renderer, scope) for key, item in value.items()}
        case _:
            return value


def translated(line: str) -> Any:
    """Return the value of a plan for an expression in HCL."""
    return translate_value(read_expression(line), SCOPE)


def comparable(value: Any) -> Any:
    """Return a value that is equal only to values of the same type; all numbers have one type."""
    match value:
        case bool() | None:
            return (type(value).__name__, value)
        case dict():
            return {key: comparable(item) for key, item in value.items()}
        case list() | tuple() | range() | Iterator():
            return [comparable(item) for item in value]
        case _:
            return value
