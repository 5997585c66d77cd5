"""Translate HCL expressions to values and templates of a plan that mean the same."""

from __future__ import annotations

from mpbake.conversion.translation.errors import Untranslatable
from mpbake.conversion.translation.inference import inside, type_of, with_inferred_types
from mpbake.conversion.translation.scope import Bound, BoundFunction, Scope, template_name
from mpbake.conversion.translation.sparse import sparse_list, sparse_table
from mpbake.conversion.translation.texts import translate_text, translate_value
from mpbake.conversion.translation.types import ANY, Kind, Type, type_of_constraint, type_of_value

__all__ = [
    "ANY",
    "Bound",
    "BoundFunction",
    "Kind",
    "Scope",
    "Type",
    "Untranslatable",
    "inside",
    "sparse_list",
    "sparse_table",
    "template_name",
    "translate_text",
    "translate_value",
    "type_of",
    "type_of_constraint",
    "type_of_value",
    "with_inferred_types",
]
