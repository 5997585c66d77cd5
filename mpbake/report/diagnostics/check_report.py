"""The result of `mpbake check`, which every format of diagnostics prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpbake.base.errors import Diagnostic


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckReport:
    """The diagnostics of a plan in the order of their locations.

    `file` and `targets` describe the plan if mpbake could resolve it. `complete` is False if errors prevented some
    checks.
    """

    diagnostics: tuple[Diagnostic, ...]
    file: str = ""
    targets: int = 0
    complete: bool = False
