"""What is known of tags after a step that moves them: which name the new image, which may, and which do not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True, kw_only=True, slots=True)
class TagMoves:
    """Every tag of a step, in one of three states: `moved`, `unsure` (it may have moved, or may yet), not moved.

    Messages, the metadata file and the table of a run all show this value.
    """

    moved: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()
    unmoved: tuple[str, ...] = ()

    def of(self, tags: Collection[str]) -> TagMoves:
        """The part of this that is about some tags."""
        return TagMoves(
            moved=tuple(tag for tag in self.moved if tag in tags),
            unsure=tuple(tag for tag in self.unsure if tag in tags),
            unmoved=tuple(tag for tag in self.unmoved if tag in tags),
        )

    def __bool__(self) -> bool:
        """Whether it is about any tag."""
        return bool(self.moved or self.unsure or self.unmoved)

    def __str__(self) -> str:
        """`moved: a; may have moved: b; not moved: c`; the second part only where there are any."""
        unsure = f"may have moved: {', '.join(self.unsure)}; " if self.unsure else ""
        return f"moved: {', '.join(self.moved) or 'none'}; {unsure}not moved: {', '.join(self.unmoved) or 'none'}"
