"""Folders of the checkout that the tests read."""

from __future__ import annotations

import shutil
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
DOCS = CHECKOUT / "docs"
PLANS = CHECKOUT / "plans"
GOLDEN = CHECKOUT / "tests/unit/golden"
GRANT_ALL = {"MPBAKE_ALLOW": "all"}
"""The environment of a user who grants every right to every plan, for tests that are not about rights."""


def example_plan(name: str, folder: Path) -> Path:
    """Return a copy of an example plan, without the records of its runs, such as those of `make demo`."""
    return Path(shutil.copytree(PLANS / name, folder / name, ignore=shutil.ignore_patterns(".mpbake")))
