"""Patterns for the names of targets. Most patterns match only one name, so they need no search."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_LITERAL = re.compile(r"(?:[\w-]|\\.)*")


@dataclass(frozen=True, kw_only=True, slots=True)
class NamePatterns:
    """Regular expressions for names. Those that match only one name are in `literal`, as this name."""

    literal: frozenset[str] = frozenset()
    computed: tuple[re.Pattern[str], ...] = ()

    def matches(self, name: str) -> bool:
        """Whether one of the patterns is for a name."""
        return name in self.literal or any(pattern.fullmatch(name) for pattern in self.computed)


def name_patterns(patterns: Iterable[str]) -> NamePatterns:
    """Return some regular expressions, each once."""
    names = {pattern: literal_name(pattern) for pattern in patterns}
    return NamePatterns(
        literal=frozenset(name for name in names.values() if name is not None),
        computed=tuple(re.compile(pattern, re.DOTALL) for pattern, name in names.items() if name is None),
    )


def literal_name(pattern: str) -> str | None:
    """Return the only name that a regular expression matches, or None if it may match several."""
    return re.sub(r"\\(.)", r"\1", pattern) if _LITERAL.fullmatch(pattern) else None
