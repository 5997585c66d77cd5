"""A problem of a plan before its location in a file is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpbake.base.codes import Code
    from mpbake.base.errors import KeyPath


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """A problem with the value at `key`, or with the key itself (`of_key`).

    `culprit` is the part of the value that causes the problem, if known. A follow-up is not printed: the value depends
    on another value that has a problem.
    """

    code: Code
    key: KeyPath
    message: str
    hint: str = ""
    culprit: str = ""
    of_key: bool = False
    is_follow_up: bool = False
