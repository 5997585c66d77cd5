"""The error of an expression that a plan cannot express."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpbake.conversion.syntax import Expression


class Untranslatable(ValueError):
    """`expression` has no exact form in a plan. `reason` is a phrase such as "the plan language has no bcrypt"."""

    def __init__(self, expression: Expression, reason: str) -> None:
        super().__init__(reason)
        self.expression = expression
        self.reason = reason
