"""Convert pydantic's errors to problems in the words of plan authors."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from mpbake.base.codes import Code
from mpbake.base.text import closest_name, did_you_mean, one_line, short_name
from mpbake.spec.problem import Problem
from mpbake.spec.tables.table import kebab
from mpbake.spec.tables.value_types import InvalidValue, type_in_words

if TYPE_CHECKING:
    from pydantic import ValidationError

    from mpbake.base.errors import KeyPath


def problems_of(error: ValidationError, model: type[BaseModel], prefix: KeyPath = ()) -> list[Problem]:
    """Return the errors of a table that `model` describes. `prefix` is the key of the table in the plan."""
    return [_problem_of_error(dict(details), model, prefix) for details in error.errors(include_url=False)]


_EXPECTED = {
    "string_type": "text in quotes",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "list_type": "a list in square brackets",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}

_KEY_MARK = "[key]"
"""The last part of pydantic's path if an error is about a key of a table and not about its value."""

_CODES = {
    "string_too_short": Code.BAD_NAME,
    "literal_error": Code.PLAN_VERSION,
    "greater_than_equal": Code.OUT_OF_RANGE,
    "less_than_equal": Code.OUT_OF_RANGE,
}


def _problem_of_error(details: dict[str, Any], model: type[BaseModel], prefix: KeyPath) -> Problem:
    path: KeyPath = tuple(details["loc"])
    if path[-1:] == (_KEY_MARK,):
        return replace(_problem_of_error(details | {"loc": path[:-1]}, model, prefix), of_key=True)
    match details["type"]:
        case "extra_forbidden":
            return _unknown_key(path, model, prefix)
        case "missing":
            message, hint = f'"{path[-1]}" is missing', _hint_for_missing(path)
            return Problem(code=Code.MISSING_KEY, key=prefix + path[:-1], message=message, hint=hint)
        case "value_error":
            error = details["ctx"]["error"]
            message, _, hint = str(error).partition("\n")
            # Python itself raises any other ValueError: the number has more digits than Python converts to text.
            code = error.code if isinstance(error, InvalidValue) else Code.NUMBER_TOO_LONG
            return Problem(code=code, key=prefix + path, message=message, hint=hint)
        case kind:
            code = _CODES.get(kind, Code.WRONG_TYPE)
            means_platforms = path[-1] == "platform" and not isinstance(details["input"], dict)
            hint = "list the platforms of the target in `platforms`" if means_platforms else ""
            return Problem(code=code, key=prefix + path, message=_type_message(kind, details), hint=hint)


def _type_message(kind: str, details: dict[str, Any]) -> str:
    match kind:
        case "string_too_short":
            return "a name must not be empty"
        case "literal_error":
            return f"must be {details['ctx']['expected']}"
        case "greater_than_equal":
            return f"must be at least {details['ctx']['ge']}"
        case "less_than_equal":
            return f"must be at most {details['ctx']['le']}"
    expected = _EXPECTED.get(kind)
    return f"must be {expected}, not {type_in_words(details['input'])}" if expected else one_line(details["msg"])


def _hint_for_missing(path: KeyPath) -> str:
    return "write version = 1 at the top of the file" if path == ("version",) else ""


_OTHER_TOOLS = {
    "build-args": "args",
    "buildargs": "args",
    "build_args": "args",
    "depends-on": "needs",
    "depends_on": "needs",
    "depends": "needs",
    "image": "tags",
    "images": "tags",
    "file": "dockerfile",
    "outputs": "output",
    "secrets": "secret",
}
"""The attribute of a target by its name in other tools."""


def _hint_for_unknown(name: str, known: list[str]) -> str:
    """Suggest the key that other tools call `name`, or the closest known key."""
    if name == "env" and "args" in known:
        return "put build arguments in `args`, and values for templates in [variables]"
    key = _OTHER_TOOLS.get(name, "")
    return f'did you mean "{key}"?' if key in known else did_you_mean(name, known, kind="keys")


def _unknown_key(path: KeyPath, model: type[BaseModel], prefix: KeyPath) -> Problem:
    name = str(path[-1])
    known = [kebab(field) for field in _model_at(model, path[:-1]).model_fields]
    code, kind = (Code.UNKNOWN_KEY, "key") if prefix + path[:-1] else (Code.UNKNOWN_TABLE, "table")
    message, hint = f'unknown {kind} "{short_name(name)}"', _hint_for_unknown(name, known)
    if path[0] == "variables" and not closest_name(name, known):
        hint = f"write default = {{ … }} if the table is the value; {hint}"
    return Problem(code=code, key=prefix + path, message=message, hint=hint, of_key=True)


def _model_at(model: type[BaseModel], path: KeyPath) -> type[BaseModel]:
    """Return the model of the table at `path` in a table that `model` describes."""
    parts = list(path)
    while parts:
        annotation = model.model_fields[str(parts.pop(0)).replace("-", "_")].annotation
        if not isinstance(annotation, type) and parts:
            parts.pop(0)  # in a table of tables, the next part is a name from the plan
        model = _model_in(annotation)
    return model


def _model_in(annotation: Any) -> type[BaseModel]:
    """Return the model in the type of a field: the type itself, or the last model among its arguments."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(
        _model_in(argument)
        for argument in reversed(get_args(annotation))
        if get_args(argument) or (isinstance(argument, type) and issubclass(argument, BaseModel))
    )
