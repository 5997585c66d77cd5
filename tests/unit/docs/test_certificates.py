"""`docs/certificates.md`: its commands make certificates that work, and print what the page shows.

`UPDATE_GOLDEN=1` writes the real output into the page.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from mpbake.certs.inventory import CertificateStatus, inventory
from mpbake.cli.commands import certs as command
from mpbake.cli.loading import load_plan
from mpbake.cli.options import SourceOptions
from tests.checkout import DOCS
from tests.unit.certs.test_store import mode
from tests.unit.docs.pages import blocks_of
from tests.unit.worlds import NOON, call, world, written

if TYPE_CHECKING:
    from pathlib import Path

PAGE = DOCS / "certificates.md"
TOOLS = {"openssl": "openssl", "cfssl": "cfssljson", "step": "step"}
"""The tools of the page, and a program that each needs."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder `shop` with the plan of the page."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "build.toml").write_text(blocks_of(PAGE, "toml")[0])
    return folder


def test_the_page_shows_what_is_printed(folder: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    for block in blocks_of(PAGE, "console"):
        commands = re.findall(r"^\$ mpbake certs (\w+)$", block, re.MULTILINE)
        shown = "".join(f"$ mpbake certs {action}\n{printed(folder, action)}" for action in commands)
        page = page.replace(block, shown)
    if os.environ.get("UPDATE_GOLDEN"):
        PAGE.write_text(page, encoding="utf-8")
    assert page == PAGE.read_text(encoding="utf-8")


def printed(folder: Path, action: str) -> str:
    """Return what an action prints. A user shows certificates some time after their issue."""
    minutes = 5 if action == "show" else 0
    here = replace(world(folder), now=lambda: NOON + timedelta(minutes=minutes))
    assert call(command.main, here, action=action) == 0
    return written(here.stdout)


def script_of(tool: str) -> str:
    """Return the commands of the page for a tool."""
    page = PAGE.read_text(encoding="utf-8")
    (script,) = re.findall(rf"^With \*\*{tool}\*\*.*?^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return str(script)


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.allow_subprocess
def test_certificates_of_another_tool(folder: Path, tool: str) -> None:
    if not shutil.which(TOOLS[tool]):
        pytest.skip(f"{tool} is not installed")
    subprocess.run(["sh", "-euc", script_of(tool)], cwd=folder, check=True, capture_output=True)
    here = replace(world(folder), now=lambda: datetime.now(UTC))
    _, plan = load_plan(SourceOptions(), here)
    found = inventory(plan.builders["release"].nodes, here.now())
    assert found.findings == ()
    assert [(row.role, row.status, row.stated and row.stated.usages) for row in found.rows] == [
        ("CA", CertificateStatus.VALID, ("CA",)),
        ("client", CertificateStatus.VALID, ("client",)),
        ("server", CertificateStatus.VALID, ("server",)),
    ]
    assert {mode(path) for path in (folder / "certs").glob("*-key.pem")} == {0o600}
    assert call(command.main, here, action="issue") == 0
    assert written(here.stdout).count("kept") == 2


def test_every_tool_of_the_page_is_tried() -> None:
    assert re.findall(r"^With \*\*(\w+)\*\*", PAGE.read_text(encoding="utf-8"), re.MULTILINE) == list(TOOLS)
