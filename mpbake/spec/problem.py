"""A problem of a plan before its place in a file is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpbake.base.codes import Code
    from mpbake.base.errors import KeyPath


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Something wrong at `key`, not yet tied to a file.

    `culprit` is the part of the value that is to blame, if any; `of_key` says that it is the key itself.
    """

    code: Code
    key: KeyPath
    message: str
    hint: str = ""
    culprit: str = ""
    of_key: bool = False
