"""The functions of a plan, as values that templates can call."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Code
from mpbake.base.text import short_name
from mpbake.base.toml_text import toml_value
from mpbake.resolve.template.filters import EXCERPT, FilterError
from mpbake.resolve.template.values import is_lazy_sequence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True, kw_only=True, slots=True)
class Function:
    """A function that a plan declares. `result` is a value with templates.

    Parameters with a value in `defaults` are optional. If `variadic` is not empty, this parameter is the list of all
    further arguments.
    """

    name: str
    params: Sequence[str] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    variadic: str = ""
    result: Any = ""

    def signature(self) -> inspect.Signature:
        """Return the parameters in Python's form. Raises ValueError if the parameters are invalid."""
        parameters = [
            inspect.Parameter(
                name,
                inspect.Parameter.POSITIONAL_OR_KEYWORD,
                default=self.defaults.get(name, inspect.Parameter.empty),
            )
            for name in self.params
        ]
        if self.variadic:
            parameters.append(inspect.Parameter(self.variadic, inspect.Parameter.VAR_POSITIONAL))
        return inspect.Signature(parameters)

    def shown(self) -> str:
        """Return the form of a call: `tag(name, suffix="")`."""
        optional = {name: f"{name}={toml_value(value)}" for name, value in self.defaults.items()}
        parameters = [optional.get(name, name) for name in self.params]
        return f"{self.name}({', '.join([*parameters, *([f'*{self.variadic}'] if self.variadic else [])])})"


class CallableFunction:
    """A function of a plan in templates: callable, without attributes that templates can read.

    `evaluate` returns the result for the values of the parameters.
    """

    __slots__ = ("_evaluate", "_function", "_signature")

    def __init__(self, function: Function, evaluate: Callable[[Function, dict[str, Any]], Any]) -> None:
        self._function = function
        self._signature = function.signature()
        self._evaluate = evaluate

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Return the result for these arguments. Raises FilterError for wrong arguments."""
        bound = bind(self._function, self._signature, args, kwargs)
        bound.apply_defaults()
        values = {
            name: list(value) if isinstance(value, tuple) or is_lazy_sequence(value) else value
            for name, value in bound.arguments.items()
        }
        return self._evaluate(self._function, values)

    def __repr__(self) -> str:
        """Raise FilterError: a function cannot be printed."""
        name = self._function.name
        raise FilterError(f'the function "{name}" is not a value', f"call it: {self._function.shown()}", culprit=name)


def bind(
    function: Function, signature: inspect.Signature, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> inspect.BoundArguments:
    """Return the values of the parameters. Raises FilterError if the arguments do not fit."""
    try:
        return signature.bind(*args, **kwargs)
    except TypeError as error:
        reason = short_name(str(error), EXCERPT)
        message = f'the function "{function.name}": {reason}'
        hint = f"call it as {function.shown()}"
        raise FilterError(message, hint, Code.WRONG_ARGUMENTS, culprit=function.name) from None


_INJECTED = ("context", "environment", "eval_ctx")
"""The names of the first parameters of filters for which Jinja passes the value itself."""


def wrong_filter_arguments(
    name: str, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> FilterError | None:
    """Return the error of a filter that was called with too many, too few or unknown arguments; else None."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # a builtin without a known signature
        return None
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        reason = short_name(str(error), EXCERPT)
    else:
        return None
    empty, variadic = inspect.Parameter.empty, (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    required = [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.name not in _INJECTED and parameter.default is empty and parameter.kind not in variadic
    ]
    call = f"{name}({', '.join(required[1:])})" if required[1:] else name
    return FilterError(
        f'the filter "{name}": {reason}', f"write {{{{ value | {call} }}}}", Code.WRONG_ARGUMENTS, culprit=name
    )
