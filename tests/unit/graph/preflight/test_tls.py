"""Certificates and configurations of nodes, checked before a run and by `mpbake check`."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.codes import Code
from mpbake.base.errors import PlanError
from mpbake.certs.finding import PATH_HINT
from mpbake.cli.commands import check as check_command
from mpbake.cli.loading import load_plan
from mpbake.cli.options import OverrideOptions, SourceOptions
from mpbake.cli.selection import select_for
from mpbake.graph.preflight.tls import deployment_problems
from mpbake.model.plan import Deployment, Driver, Node
from tests.unit.plans import check_files, in_short, text
from tests.unit.tls import issued
from tests.unit.worlds import NOON, call, world, written

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
    (folder / "Dockerfile").touch()
    plan_files, plan = load_plan(SourceOptions(), world(folder))
    check_files(plan_files, select_for(plan, names, OverrideOptions(platforms=platforms)), {}, datetime.now(UTC))


def test_what_is_wrong_is_told_with_its_line(folder: Path, certificates: Certificates) -> None:
    with pytest.raises(PlanError) as caught:
        check(folder, "web")
    assert in_short(caught.value) == text(f"""
        build.toml:11: builders.x.nodes.arm.tls.ca: is not a certificate
            tls.ca = "{certificates.folder}/client.key"
          = use a PEM file: text that begins with -----BEGIN
        build.toml:12: builders.x.nodes.arm.tls.cert: there is no file {folder}/gone.crt
            tls.cert = "gone.crt"
          = make it with `mpbake certs issue`, or {PATH_HINT}
        """)


def test_only_nodes_that_may_be_used_count(folder: Path) -> None:
    check(folder, "web", platforms=("linux/amd64",))
    check(folder, "local")


CONFIGURED = """\
version = 1
[defaults.builder]
config = "common.toml"
[builders.own]
config = "own.toml"
[builders.common.nodes.one]
platforms = ["linux/amd64"]
[builders.common.nodes.two]
platforms = ["linux/arm64"]
endpoint = "two"
config = "two.toml"
[builders.other.nodes.one]
buildkitd = { debug = true }
[targets._all]
tags = ["x"]
[targets.a]
builder = "own"
[targets.b]
builder = "common"
platforms = ["linux/amd64", "linux/arm64"]
[targets.c]
builder = "other"
[targets.d]
"""


def test_configurations_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text(CONFIGURED)
    missing = {
        "own": (5, "builders.own.config"),
        "common": (3, "defaults.builder.config"),
        "two": (11, "builders.common.nodes.two.config"),
    }
    messages = {
        name: text(f"""
            build.toml:{line}: {key}: there is no file {tmp_path}/{name}.toml
                config = "{name}.toml"
              = correct the path: it is relative to the folder of the file that contains it
            """)
        for name, (line, key) in missing.items()
    }

    def problems_of(*names: str, platforms: tuple[str, ...] = ()) -> str:
        with pytest.raises(PlanError) as caught:
            check(tmp_path, *names, platforms=platforms)
        return in_short(caught.value)

    assert problems_of("a", "b") == "\n".join(messages[name] for name in ("common", "own", "two"))
    assert problems_of("b", platforms=("linux/arm64",)) == messages["two"]
    check(tmp_path, "c", "d")
    for name in missing:
        (tmp_path / f"{name}.toml").touch()
    check(tmp_path, "*")


def test_a_check_tells_of_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").touch()
    (tmp_path / "build.toml").write_text(CONFIGURED)
    where = world(tmp_path)
    assert call(check_command.main, where, format="json") == 3
    errors = [
        diagnostic
        for diagnostic in json.loads(written(where.stdout))["diagnostics"]
        if diagnostic["severity"] == "error"
    ]
    assert [(error["code"], error["line"]) for error in errors] == [("missing-file", line) for line in (3, 5, 11)]


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
    assert call(check_command.main, where, format="json") == 0
    (diagnostic,) = json.loads(written(where.stdout))["diagnostics"]
    assert (diagnostic["code"], diagnostic["severity"]) == ("doubtful-certificate", "warning")
    assert diagnostic["key"] == ["builders", "x", "nodes", "arm", "tls", "cert"]
    assert diagnostic["message"].startswith('"CN=client" expires in 8 days, on ')


def test_files_outside_of_the_plans_folder_are_not_read(certificates: Certificates) -> None:
    node = Node(builder="b", name="n", driver=Driver.REMOTE, endpoint="tcp://n:1", tls=certificates.tls())
    deployed = replace(
        node, deploy=Deployment(host="h", container="c", volume="v", tls=replace(certificates.tls(), ca=None))
    )
    (problem,) = deployment_problems([deployed], NOON, lambda _: False)
    assert (problem.code, problem.key) == (Code.UNREAD_FILE, ("builders", "b", "nodes", "n", "deploy", "tls"))
    assert problem.message == "mpbake does not check deploy.tls.cert, deploy.tls.key: outside of the plan's folder"
    assert problem.hint == f"to check these files, add: --allow fs.read={certificates.folder}"
    # A file that only the client uses is reported by another check, but the comparison needs it.
    server = deployed.deploy.tls.files.values() if deployed.deploy else ()
    assert list(deployment_problems([deployed], NOON, lambda path: path in server)) == []


def test_check_reads_granted_certificates_only(folder: Path, certificates: Certificates) -> None:
    plan = PLAN.replace("gone.crt", "CERTS/client.crt").replace("CERTS", str(certificates.folder))
    (folder / "build.toml").write_text(plan)
    ungranted = checked(folder)
    message = "mpbake does not check tls.ca, tls.cert, tls.key: outside of the plan's folder [unread-file]"
    assert f"warning: builders.x.nodes.intel.tls: {message}\n" in ungranted
    assert "    the same: builders.x.nodes.arm.tls\n" in ungranted
    assert "not a certificate" not in ungranted
    granted = checked(folder, allow=(f"fs.read={certificates.folder}",))
    assert "unread-file" not in granted
    assert "builders.x.nodes.arm.tls.ca: is not a certificate" in granted


def checked(folder: Path, **options: Any) -> str:
    here = world(folder)
    call(check_command.main, here, **options)
    return written(here.stdout)
