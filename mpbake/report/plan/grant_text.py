"""The rights that a plan needs, as text: the question on a terminal, and the error without an answer."""

from __future__ import annotations

import shlex
from itertools import groupby
from typing import TYPE_CHECKING

from mpbake.base.text import abbreviated, columns, count, one_line, shortened
from mpbake.review.grants.meanings import MEANINGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mpbake.model.grants import Grant

_MOST_LINES = 18
_WIDTH = 100
_LONGEST_VALUE = 70
_MOST_USERS = 3


def question(grants: Sequence[Grant]) -> str:
    """Return the question whether a plan may have `grants`: one screen, the most dangerous rights first."""
    lines: list[str] = []
    hidden = len(grants)
    for line, is_grant in _grouped(grants):
        if len(lines) == _MOST_LINES:
            break
        lines.append(shortened(line, _WIDTH))
        hidden -= is_grant
    more = [f"  and {count(hidden, 'other right')}: `mpbake plan` lists them"] if hidden else []
    first = "This plan needs rights on this machine, to:"
    return "\n".join([first, *lines, *more, "mpbake remembers a yes until a file of the plan changes. Allow? [y/N] "])


def _grouped(grants: Sequence[Grant]) -> Iterator[tuple[str, bool]]:
    """Yield lines of the question, each with whether it is a grant, and not a heading."""
    for kind, group in groupby(grants, key=lambda grant: grant.kind):
        yield f"  {MEANINGS[kind]}", False
        rows = [(shortened(text, _LONGEST_VALUE), users) for text, users in map(_row, group)]
        yield from ((line, True) for line in columns(rows, indent="    "))


def _row(grant: Grant) -> tuple[str, str]:
    return one_line(grant.text), abbreviated(grant.users, most=_MOST_USERS)


def refusal(grants: Sequence[Grant]) -> tuple[str, str]:
    """Return the message and the hint of the error for a plan whose rights `grants` are not granted."""
    verb = "is" if len(grants) == 1 else "are"
    first = f"the plan needs {count(len(grants), 'right')} on this machine that {verb} not granted:"
    rows = columns([_row(grant) for grant in grants], indent="  ")
    return "\n".join([first, *rows]), f"if you trust the plan with them, add: {allow_options(grants)}"


def allow_options(grants: Sequence[Grant]) -> str:
    """Return the options that grant `grants`, quoted for a shell. Control characters are escaped."""
    return " ".join(f"--allow {one_line(shlex.quote(grant.text))}" for grant in grants)
