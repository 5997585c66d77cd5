"""Texts that bake takes for flags, such as `no-cache = "${NO_CACHE}"`: a plan needs true or false."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.conversion.plan.rewriting.references import with_result
from mpbake.conversion.syntax import Call, Expression, Item, ListOf, Literal, Template
from mpbake.conversion.translation import Kind, type_of

if TYPE_CHECKING:
    from mpbake.conversion.translation import Scope

_FLAGS = {"true": True, "1": True, "false": False, "0": False}
"""The texts that HCL converts to flags."""


def as_flag(expression: Expression, scope: Scope) -> Expression:
    """Return an expression that gives a flag, where the result of `expression` is a text.

    Any other expression is unchanged, such as a text that bake refuses.
    """
    return with_result(_without_quotes(expression), lambda result: _flag(_without_quotes(result), scope))


def _without_quotes(expression: Expression) -> Expression:
    """Return the only part of a template: it keeps its type."""
    match expression:
        case Template(parts=(part,)):
            return part
        case _:
            return expression


def _flag(result: Expression, scope: Scope) -> Expression:
    match result:
        case Literal(value=str() as text):
            return replace(result, value=_FLAGS.get(text, text))
        case _ if type_of(result, scope).kind is Kind.STRING and "contains" not in scope.functions:
            texts = tuple(Item(value=Literal(value=text)) for text, flag in _FLAGS.items() if flag)
            texts_for_true = ListOf(items=texts)
            return Call(function="contains", arguments=(texts_for_true, result), place=result.place, text=result.text)
        case _:
            return result
