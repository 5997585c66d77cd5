"""The state of tags after a step that moves tags: moved, perhaps moved, or not moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True, kw_only=True, slots=True)
class TagMoves:
    """The tags of a step, by state: `moved`, `unsure` (the tag may have moved, or may move later), `unmoved`.

    The same value appears in messages, in the metadata file and in the summary of a run.
    """

    moved: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()
    unmoved: tuple[str, ...] = ()

    def of(self, tags: Collection[str]) -> TagMoves:
        """Return the states of `tags` only."""
        return TagMoves(
            moved=tuple(tag for tag in self.moved if tag in tags),
            unsure=tuple(tag for tag in self.unsure if tag in tags),
            unmoved=tuple(tag for tag in self.unmoved if tag in tags),
        )

    def __bool__(self) -> bool:
        """Whether the step has any tag."""
        return bool(self.moved or self.unsure or self.unmoved)

    def __str__(self) -> str:
        """`moved: a; may have moved: b; not moved: c`; without unsure tags the second part is left out."""
        unsure = f"may have moved: {', '.join(self.unsure)}; " if self.unsure else ""
        return f"moved: {', '.join(self.moved) or 'none'}; {unsure}not moved: {', '.join(self.unmoved) or 'none'}"
