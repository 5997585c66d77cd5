"""Folders of the checkout that the tests read."""

from __future__ import annotations

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
DOCS = CHECKOUT / "docs"
PLANS = CHECKOUT / "plans"
GOLDEN = CHECKOUT / "tests/unit/golden"
