"""The errors of pydantic in the words of people who write plans."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from mpbake.base.codes import Code
from mpbake.base.text import closest_name, did_you_mean, one_line, short_name
from mpbake.spec.problem import Problem
from mpbake.spec.table import kebab
from mpbake.spec.value_types import Refused, kind_of

if TYPE_CHECKING:
    from pydantic import ValidationError

    from mpbake.base.errors import KeyPath


def problems_of(error: ValidationError, model: type[BaseModel], prefix: KeyPath = ()) -> list[Problem]:
    """The findings of pydantic in the words of the people who write plans."""
    return [_problem(dict(each), model, prefix) for each in error.errors(include_url=False)]


_EXPECTED = {
    "string_type": "text in quotes",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "list_type": "a list in square brackets",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}

_OF_KEY = "[key]"
"""How pydantic says that the key of a table is wrong rather than its value."""

_CODES = {
    "string_too_short": Code.BAD_NAME,
    "literal_error": Code.PLAN_VERSION,
    "greater_than_equal": Code.OUT_OF_RANGE,
    "less_than_equal": Code.OUT_OF_RANGE,
}


def _problem(found: dict[str, Any], model: type[BaseModel], prefix: KeyPath) -> Problem:
    path: KeyPath = tuple(found["loc"])
    if path[-1:] == (_OF_KEY,):
        return replace(_problem(found | {"loc": path[:-1]}, model, prefix), of_key=True)
    match found["type"]:
        case "extra_forbidden":
            return _unknown_key(path, model, prefix)
        case "missing":
            message, hint = f'"{path[-1]}" is missing', _remedy_for_missing(path)
            return Problem(code=Code.MISSING_KEY, key=prefix + path[:-1], message=message, hint=hint)
        case "value_error":
            error = found["ctx"]["error"]
            message, _, hint = str(error).partition("\n")
            # Any other ValueError is Python's own, about a number with more digits than it prints.
            code = error.code if isinstance(error, Refused) else Code.NUMBER_TOO_LONG
            return Problem(code=code, key=prefix + path, message=message, hint=hint)
        case kind:
            code = _CODES.get(kind, Code.WRONG_TYPE)
            lists_platforms = path[-1] == "platform" and not isinstance(found["input"], dict)
            hint = "what is built for stands in platforms" if lists_platforms else ""
            return Problem(code=code, key=prefix + path, message=_wrong_type(kind, found), hint=hint)


def _wrong_type(kind: str, found: dict[str, Any]) -> str:
    match kind:
        case "string_too_short":
            return "a name must not be empty"
        case "literal_error":
            return f"must be {found['ctx']['expected']}"
        case "greater_than_equal":
            return f"must be at least {found['ctx']['ge']}"
        case "less_than_equal":
            return f"must be at most {found['ctx']['le']}"
    expected = _EXPECTED.get(kind)
    return f"must be {expected}, not {kind_of(found['input'])}" if expected else one_line(found["msg"])


def _remedy_for_missing(path: KeyPath) -> str:
    return "write version = 1 at the top of the file" if path == ("version",) else ""


_FOREIGN = {
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
"""What other tools call the attributes of a target."""


def _remedy_for_unknown(name: str, known: list[str]) -> str:
    """The right key for what other tools call so, else the nearest one."""
    if name == "env" and "args" in known:
        return "build arguments stand in args, values for templates in [variables]"
    right = _FOREIGN.get(name, "")
    return f'did you mean "{right}"?' if right in known else did_you_mean(name, known, kind="keys")


def _unknown_key(path: KeyPath, model: type[BaseModel], prefix: KeyPath) -> Problem:
    name = str(path[-1])
    known = [kebab(each) for each in _model_at(model, path[:-1]).model_fields]
    code, kind = (Code.UNKNOWN_KEY, "key") if prefix + path[:-1] else (Code.UNKNOWN_TABLE, "table")
    message, hint = f'unknown {kind} "{short_name(name)}"', _remedy_for_unknown(name, known)
    if path[0] == "variables" and not closest_name(name, known):
        hint = f"if the table is the value, write default = {{ … }}; {hint}"
    return Problem(code=code, key=prefix + path, message=message, hint=hint, of_key=True)


def _model_at(model: type[BaseModel], path: KeyPath) -> type[BaseModel]:
    """The model that describes the table at `path` below `model`."""
    parts = list(path)
    while parts:
        annotation = model.model_fields[str(parts.pop(0)).replace("-", "_")].annotation
        if not isinstance(annotation, type) and parts:
            parts.pop(0)  # a table of tables: skip the user's own name
        model = _model_in(annotation)
    return model


def _model_in(annotation: Any) -> type[BaseModel]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(
        _model_in(each)
        for each in reversed(get_args(annotation))
        if get_args(each) or (isinstance(each, type) and issubclass(each, BaseModel))
    )
