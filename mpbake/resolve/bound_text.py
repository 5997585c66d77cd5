"""Texts of a plan that bring values of their own for the variables in their templates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from mpbake.resolve.names import strings_in
from mpbake.spec.tables.value_types import MARKER

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Binding:
    """Values of variables. Two bindings are equal only if they are the same object."""

    values: Mapping[str, Any]


class BoundText(str):
    """A template that uses the values of its `binding`, whatever other values the variables have where it is rendered.

    The templates of a matrix row keep the values of this row when another target inherits them.
    """

    __slots__ = ("binding",)

    def __new__(cls, text: str, binding: Binding) -> Self:
        """Bind the template `text`."""
        bound = super().__new__(cls, text)
        bound.binding = binding
        return bound

    binding: Binding


def bound(value: Any, binding: Binding) -> Any:
    """Return `value`, at any depth with its templates bound. A template that is bound already stays as it is."""
    match value:
        case BoundText():
            return value
        case str():
            return BoundText(value, binding) if MARKER.search(value) else value
        case list():
            return [bound(item, binding) for item in value]
        case dict():
            return {key: bound(item, binding) for key, item in value.items()}
        case _:
            return value


def binding_of(value: Any) -> Binding | None:
    """Return the binding of the first template in `value` that has one, at any depth."""
    return next((text.binding for text in strings_in(value) if isinstance(text, BoundText)), None)
