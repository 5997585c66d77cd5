"""Find the plan of a folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpbake.base.codes import Code
from mpbake.base.errors import Diagnostic, PlanError
from mpbake.base.files import Kind, kind_of, read_bounded
from mpbake.model.reading import ReadAccess
from mpbake.spec.files.plan_limits import MAX_BYTES, PlanSize
from mpbake.spec.files.toml_values import top_level_keys
from mpbake.spec.tables.plan_tables import PlanSpec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILE_NAMES = ("build.toml", "mpbake.toml")
"""The names of plan files, the preferred name first."""
_KEYS = frozenset(field.alias or name for name, field in PlanSpec.model_fields.items())
_FOREIGN = "has neither version = 1 nor any other key of a plan"
_HEADER = re.compile(r"^[ \t]*\[", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanLocation:
    """The plan file that mpbake uses if the command line names none, and other files that a user may have meant.

    `passed_over` are files in folders below the plan's folder, each with the reason; `beside` are other plan files in
    the same folder.
    """

    path: Path
    passed_over: Mapping[Path, str]
    beside: tuple[Path, ...]


def find_plan(folder: Path) -> PlanLocation:
    """Return the plan of `folder` or of the nearest folder above it. Raises PlanError if there is none.

    `build.toml` is a common name, so mpbake passes over files of other tools, and also over folders and devices. mpbake
    does not report a `build.toml` of another tool beside a plan called `mpbake.toml`: this second name exists for such
    folders.
    """
    passed_over: dict[Path, str] = {}
    for parent in (folder, *folder.parents):
        kinds = {parent / name: kind_of(parent / name) for name in FILE_NAMES}
        access = ReadAccess(folder=parent)
        plans = [path for path, kind in kinds.items() if kind is Kind.FILE and not _is_foreign(path, access)]
        if plans:
            return PlanLocation(path=plans[0], passed_over=passed_over, beside=tuple(plans[1:]))
        others = {path: kind for path, kind in kinds.items() if kind is not Kind.NOTHING}
        passed_over |= {path: _FOREIGN if kind is Kind.FILE else f"is {kind}" for path, kind in others.items()}
    raise PlanError([_no_plan(folder, passed_over)])


def _is_foreign(path: Path, access: ReadAccess) -> bool:
    """Whether a file is readable TOML without any key of a plan.

    Unreadable files, and links that leave their folder, are reported later.
    """
    if not access.may_read(path):
        return False
    try:
        text = read_bounded(path, pipe=False, most=MAX_BYTES).decode("utf-8-sig")
        PlanSize().add(text, path.name)
        return not (_begins_as_plan(text) or _KEYS & top_level_keys(text))
    except (OSError, ValueError, RecursionError, PlanError):
        return False


def _begins_as_plan(text: str) -> bool:
    """Whether a key of a plan comes before the first table, as in most plans. Such a file is parsed only once."""
    header = _HEADER.search(text)
    try:
        return not _KEYS.isdisjoint(top_level_keys(text[: header.start()] if header else ""))
    except (ValueError, RecursionError):  # the line was not a header, but belongs to a longer value
        return False


def _no_plan(folder: Path, passed_over: Mapping[Path, str]) -> Diagnostic:
    reasons = ", ".join(f"{path} {reason}" for path, reason in passed_over.items())
    return Diagnostic(
        code=Code.NO_PLAN,
        message=f"no {' or '.join(FILE_NAMES)} in {folder} or any folder above it"
        + (f" (passed over: {reasons})" if reasons else ""),
        hint="run `mpbake init` to write a first plan, or name a plan with -f FILE",
    )
