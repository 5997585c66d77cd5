"""docs/builders.md: every plan in it is one."""

from __future__ import annotations

import re

import pytest

from mpbake.cli.app import cli
from tests.checkout import CHECKOUT
from tests.unit.plans import resolve_text

PAGE = (CHECKOUT / "docs/builders.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("plan", re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
def test_every_plan_resolves(plan: str) -> None:
    assert resolve_text(plan.removeprefix("version = 1")).builders


def test_every_command_is_told_and_there_is_no_other() -> None:
    group = cli.get_command(None, "builders")  # type: ignore[arg-type]
    told = re.findall(r"^\| `mpbake builders ?(\w*)[^`]*` \|", PAGE, re.MULTILINE)
    assert sorted(told) == sorted(["", *group.commands])  # type: ignore[union-attr]
