"""The environment variables that a Compose file refers to, as variables and expressions of a bake file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mpbake.conversion.compose.interpolation import Parts, Reference, references
from mpbake.conversion.secret_names import looks_secret
from mpbake.conversion.syntax import (
    Binary,
    Comments,
    Conditional,
    Expression,
    Literal,
    Name,
    Template,
    Validation,
    Variable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.conversion.syntax import Place

PROJECT = "COMPOSE_PROJECT_NAME"
"""A variable that bake sets itself, unless the environment sets it."""
_PROJECT_OF_BAKE = "bake"


@dataclass(kw_only=True, slots=True)
class _Uses:
    """How a file uses one variable, and where first."""

    place: Place
    references: set[tuple[str, Parts]] = field(default_factory=set)
    """The operators and words of all references."""
    optional: bool = False
    """Whether an entry is left out while the variable is not set."""
    required: dict[str, Reference] = field(default_factory=dict)
    """References with `?` or `:?` that Compose always evaluates, by operator."""

    def tells_unset(self) -> bool:
        """Whether the file distinguishes an unset variable from an empty one."""
        return self.optional or any(
            operator in {"-", "+", "?"} and (word or operator == "?") for operator, word in self.references
        )

    def only_default(self) -> str | None:
        """Return the text that replaces an unset variable, if all uses agree on it and it is not empty."""
        if self.optional or len(self.references) != 1:
            return None
        operator, word = next(iter(self.references))
        return word[0] if operator == "-" and len(word) == 1 and isinstance(word[0], str) else None


class Variables:
    """The variables of a file. Add all uses first: they decide which values a variable can have."""

    def __init__(self, dotenv: Mapping[str, str]) -> None:
        """`dotenv` has the values of the file `.env`."""
        self._dotenv = dotenv
        self._uses: dict[str, _Uses] = {}

    def add(self, parts: Parts, place: Place) -> None:
        """Add the references of a text."""
        for reference in references(parts):
            self._of(reference.name, place).references.add((reference.operator, reference.word))
        for part in parts:
            if isinstance(part, Reference) and "?" in part.operator:
                self.require(part)

    def require(self, reference: Reference) -> bool:
        """Add that a variable must be set, if the file uses it otherwise or `.env` sets it; return whether."""
        if reference.name in self._uses:
            self._uses[reference.name].required.setdefault(reference.operator, reference)
        return reference.name in self._uses or reference.name in self._dotenv or reference.name == PROJECT

    def knows(self, name: str) -> bool:
        """Return whether a target uses a variable."""
        return name in self._uses

    def add_optional(self, name: str, place: Place) -> None:
        """Add an entry that has the value of a variable, and is left out while the variable is not set."""
        self._of(name, place).optional = True

    def _of(self, name: str, place: Place) -> _Uses:
        return self._uses.setdefault(name, _Uses(place=place))

    def declared(self) -> tuple[Variable, ...]:
        """Return the variables, in the order of their first uses."""
        return tuple(self._declared(name, uses) for name, uses in self._uses.items())

    def _declared(self, name: str, uses: _Uses) -> Variable:
        required = list(uses.required.values())
        comment = ""
        if name in self._dotenv and looks_secret(name):
            default: str | None = ""
            comment = "the value in .env may be a secret, so it is not here"
            required = [Reference(name=name, operator=":?")]
        elif name in self._dotenv:
            default, comment = self._dotenv[name], "from .env"
        elif (only := uses.only_default()) is not None:
            default = only
        else:
            default = None if self._can_be_null(name) else ""
        return Variable(
            name=name,
            default=Literal(value=default, place=uses.place),
            validations=()
            if name == PROJECT
            else tuple(_validation(name, reference, uses.place) for reference in required),
            place=uses.place,
            comments=Comments(after=comment),
        )

    def _can_be_null(self, name: str) -> bool:
        uses = self._uses[name]
        return name not in self._dotenv and name != PROJECT and uses.tells_unset() and uses.only_default() is None

    def optional(self, name: str, place: Place) -> Expression:
        """Return the value of a variable, or null if it is not set."""
        return self._project(place) if name == PROJECT else Name(name=name, place=place, text=name)

    def expression(self, parts: Parts, place: Place, text: str) -> Expression:
        """Return the value of a text with references. `text` is how it is written."""
        expressions = tuple(self._part(part, place) for part in parts)
        match expressions:
            case ():
                return Literal(value="", place=place, text=text)
            case (Literal(value=value),):
                return Literal(value=value, place=place, text=text)
            case (expression,):
                return expression
            case _:
                return Template(parts=expressions, place=place, text=text)

    def _part(self, part: str | Reference, place: Place) -> Expression:
        if isinstance(part, str):
            return Literal(value=part, place=place, text=part)
        text = _written(part)
        word = self.expression(part.word, place, "".join(map(_written, part.word)))
        value = self.optional(part.name, place)
        empty = Literal(value="", place=place)
        match part.operator:
            case "+" | ":+" if not part.word:
                return empty
            case ":-" if part.word and part.name != PROJECT:
                result = (self._is_filled(part.name, place), value, word)
            case "-" if part.word and self._can_be_null(part.name):
                result = (self._is_set(part.name, place), value, word)
            case ":+" if part.name != PROJECT:
                result = (self._is_filled(part.name, place), word, empty)
            case "+" if self._can_be_null(part.name):
                result = (self._is_set(part.name, place), word, empty)
            case ":+" | "+" if part.name == PROJECT or part.name in self._dotenv:
                return word
            case "+":
                return empty
            case _ if self._can_be_null(part.name) and "?" not in part.operator:
                result = (self._is_set(part.name, place), value, empty)
            case _:
                return value
        condition, then, otherwise = result
        return Conditional(condition=condition, then=then, otherwise=otherwise, place=place, text=text)

    def _is_set(self, name: str, place: Place) -> Expression:
        return _compare(Name(name=name, place=place, text=name), None)

    def _is_filled(self, name: str, place: Place) -> Expression:
        variable = Name(name=name, place=place, text=name)
        filled = _compare(variable, "")
        if not self._can_be_null(name):
            return filled
        return Binary(operator="&&", left=_compare(variable, None), right=filled, place=place)

    def _project(self, place: Place) -> Expression:
        variable = Name(name=PROJECT, place=place, text=PROJECT)
        bake = Literal(value=_PROJECT_OF_BAKE, place=place, text=_PROJECT_OF_BAKE)
        return Conditional(
            condition=_compare(variable, ""), then=variable, otherwise=bake, place=place, text=f"${{{PROJECT}}}"
        )


def _compare(variable: Name, value: str | None) -> Expression:
    return Binary(operator="!=", left=variable, right=Literal(value=value, place=variable.place), place=variable.place)


def _validation(name: str, reference: Reference, place: Place) -> Validation:
    """Return the condition of `${NAME:?message}` or `${NAME?message}`. Its text is that of the reference."""
    message = "".join(part if isinstance(part, str) else _written(part) for part in reference.word)
    compared = Literal(value="" if reference.operator == ":?" else None, place=place)
    variable = Name(name=name, place=place, text=name)
    condition = Binary(operator="!=", left=variable, right=compared, place=place, text=_written(reference))
    return Validation(
        condition=condition,
        error_message=Literal(value=message, place=place) if message else None,
        place=place,
    )


def _written(part: str | Reference) -> str:
    """Return a part as it is written in Compose."""
    if isinstance(part, str):
        return part.replace("$", "$$")
    return f"${{{part.name}{part.operator}{''.join(map(_written, part.word))}}}"
