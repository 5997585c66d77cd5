"""From a bake file to the text of a plan that a person could have written."""

from __future__ import annotations

from mpbake.conversion.plan.conversion import Conversion, Frozen, FrozenKey, Note, NoteKind
from mpbake.conversion.plan.convert import convert

__all__ = ["Conversion", "Frozen", "FrozenKey", "Note", "NoteKind", "convert"]
