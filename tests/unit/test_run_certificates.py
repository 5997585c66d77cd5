"""Certificates that a run would need, checked before it starts, and by `mpbake check`."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from mpbake.commands import check as check_command
from mpbake.commands.certificates import check_certificates
from mpbake.commands.load import load, selected
from mpbake.errors import PlanError
from mpbake.options import Options
from tests.unit.plans import in_short, text
from tests.unit.tls import issued
from tests.unit.worlds import world, written

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.tls import Certificates

PLAN = """\
version = 1
[builders.x]
driver = "remote"
[builders.x.nodes.intel]
endpoint = "tcp://intel:1"
platforms = ["linux/amd64"]
tls = { ca = "CERTS/ca.crt", cert = "CERTS/client.crt", key = "CERTS/client.key" }
[builders.x.nodes.arm]
endpoint = "tcp://arm:1"
platforms = ["linux/arm64"]
tls.ca = "CERTS/client.key"
tls.cert = "gone.crt"
tls.key = "CERTS/client.key"
[targets.web]
builder = "x"
platforms = ["linux/amd64", "linux/arm64"]
[targets.local]
"""


@pytest.fixture
def folder(tmp_path: Path, certificates: Certificates) -> Path:
    (tmp_path / "build.toml").write_text(PLAN.replace("CERTS", str(certificates.folder)))
    return tmp_path


def check(folder: Path, *names: str, platforms: tuple[str, ...] = ()) -> None:
    options = Options(names=names, platforms=platforms)
    document, plan = load(options, world(folder))
    check_certificates(document, selected(plan, options), datetime.now(UTC))


def test_what_is_wrong_is_told_with_its_line(folder: Path) -> None:
    with pytest.raises(PlanError) as caught:
        check(folder, "web")
    assert in_short(caught.value) == text(f"""
        build.toml:12: builders.x.nodes.arm.tls.cert: there is no file {folder}/gone.crt
            tls.cert = "gone.crt"
          = paths count from the folder of the file that states them
        """)


def test_only_nodes_that_may_be_used_count(folder: Path) -> None:
    check(folder, "web", platforms=("linux/amd64",))
    check(folder, "local")


def test_a_check_warns_of_what_a_run_warns_of(tmp_path: Path, certificates: Certificates) -> None:
    issued(certificates, tmp_path / "certs", days=(-1, 9))
    (tmp_path / "Dockerfile").touch()
    (tmp_path / "build.toml").write_text("""version = 1
[builders.x]
driver = "remote"
[builders.x.nodes.arm]
endpoint = "tcp://arm:1"
tls = { cert = "certs/client.crt", key = "certs/client.key" }
[targets.web]
builder = "x"
platforms = ["linux/arm64"]
tags = ["example.com/web"]
""")
    where = replace(world(tmp_path), now=lambda: datetime.now(UTC))
    assert check_command.main(Options(format="json"), where) == 0
    (found,) = json.loads(written(where.stdout))["diagnostics"]
    assert (found["code"], found["severity"]) == ("doubtful-certificate", "warning")
    assert found["key"] == ["builders", "x", "nodes", "arm", "tls", "cert"]
    assert found["message"].startswith('"CN=client" expires in 8 days, on ')
