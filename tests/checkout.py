"""Folders of the checkout that the tests read."""

from __future__ import annotations

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
DOCS = CHECKOUT / "docs"
PLANS = CHECKOUT / "plans"
GOLDEN = CHECKOUT / "tests/unit/golden"
GRANT_ALL = {"MPBAKE_ALLOW": "all"}
"""The environment of a user who grants every right to every plan, for tests that are not about rights."""
