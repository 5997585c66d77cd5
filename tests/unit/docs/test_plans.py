"""The plans in the README and in the docs. mpbake accepts each of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click
import pytest

from mpbake.cli.app import cli
from tests.checkout import DOCS
from tests.unit.docs.pages import PAGES, blocks_of, name_of
from tests.unit.plans import resolve_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_VERSION = "version = 1"
# A block that begins with the version is a complete plan. A plan with `include` needs other files.
_PLANS = [
    pytest.param(block, id=f"{name_of(page)}-{number}")
    for page in PAGES
    for number, block in enumerate(blocks_of(page, "toml"))
    if block.startswith(_VERSION) and "include = " not in block
]


@pytest.mark.parametrize("plan", _PLANS)
def test_every_plan_resolves(plan: str) -> None:
    _, _, rest = plan.partition("\n")
    resolve_text(rest)


@pytest.mark.parametrize("page", [DOCS / "builders.md", DOCS / "two-machines.md"], ids=name_of)
def test_every_plan_on_builders_declares_some(page: Path) -> None:
    plans = blocks_of(page, "toml")
    assert plans
    for plan in plans:
        assert plan.startswith(_VERSION)
        assert resolve_text(plan.partition("\n")[2]).builders


def test_the_reference_of_builders_lists_every_command_and_no_other() -> None:
    group = cli.get_command(None, "builders")  # type: ignore[arg-type]
    page = (DOCS / "builders-reference.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `mpbake builders ?(\w*)[^`]*` \|", page, re.MULTILINE)
    assert sorted(listed) == sorted(["", *group.commands])  # type: ignore[union-attr]


def test_the_page_of_commands_lists_every_command() -> None:
    page = (DOCS / "commands.md").read_text(encoding="utf-8")
    listed = {name for line in page.splitlines() for name in re.findall(r"`mpbake ([a-z]+)", line)}
    assert sorted(cli.list_commands(None)) == sorted(listed)  # type: ignore[arg-type]


def test_the_page_of_commands_lists_every_option() -> None:
    page = (DOCS / "commands.md").read_text(encoding="utf-8")
    missing = {option for option in _options(cli) if not re.search(rf"{re.escape(option)}(?![\w-])", page)}
    assert not missing - {"--help", "-h"}


def _options(command: click.Command) -> Iterator[str]:
    """Yield the options of a command and of its subcommands."""
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            yield from (*parameter.opts, *parameter.secondary_opts)
    if isinstance(command, click.Group):
        for name in command.list_commands(None):  # type: ignore[arg-type]
            yield from _options(command.get_command(None, name))  # type: ignore[arg-type]
