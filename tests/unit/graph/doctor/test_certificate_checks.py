"""Certificates of nodes, as doctor judges them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.unit.doctors import facts_of, lines_of
from tests.unit.tls import Certificates, issued

if TYPE_CHECKING:
    from pathlib import Path

    from mpbake.graph.doctor.facts import Facts

PLAN = """
    [builders.far]
    driver = "remote"
    nodes.a.endpoint = "tcp://127.0.0.1:1234"
    nodes.a.platforms = ["linux/amd64"]
    nodes.a.tls = {{ ca = "{0}/ca.crt", cert = "{0}/client.crt", key = "{0}/client.key" }}
    [targets.web]
    builder = "far"
    platforms = ["linux/amd64"]
    """


def facts(folder: Path, *warnings: str) -> Facts:
    """Return the facts of a plan with certificates in a folder; the node has given these warnings."""
    found = facts_of(PLAN.format(folder), now=datetime.now(UTC))
    report = replace(found.reports["far/a"], warnings=warnings)
    return replace(found, nodes={"far/a": report})


def test_the_days_that_are_left(certificates: Certificates) -> None:
    line = lines_of(facts(certificates.folder), "certificates")
    end = (datetime.now(UTC) + timedelta(days=365)).year
    assert line.startswith("ok: far/a: its certificates expire in 36")
    assert str(end) in line


@pytest.mark.parametrize(
    ("days", "finding"),
    [
        ((-20, -10), 'missing: far/a: tls.cert: "CN=client" expired on '),
        ((-20, 10), 'warning: far/a: tls.cert: "CN=client" expires in 9 days, on '),
    ],
)
def test_the_end_of_a_certificate(
    certificates: Certificates, tmp_path: Path, days: tuple[int, int], finding: str
) -> None:
    issued(certificates, tmp_path / "certs", days=days)
    found = lines_of(facts(tmp_path / "certs"), "certificates")
    assert found.startswith(finding)
    assert "\n" not in found


def test_a_node_that_was_not_asked_because_of_its_certificates(certificates: Certificates, tmp_path: Path) -> None:
    issued(certificates, tmp_path / "certs", days=(-20, -10))
    asked = facts(tmp_path / "certs")
    row = replace(asked.reports["far/a"].row, trouble="far/a: tls.cert: expired", reported=())
    broken = replace(asked, nodes={"far/a": replace(asked.reports["far/a"], row=row)})
    assert lines_of(broken, "nodes") == "unknown: far/a: not asked, since its certificates cannot be used"


def test_the_certificate_of_the_node_itself(certificates: Certificates) -> None:
    message = "far/a: the node's own certificate expires in 3 days, on 2026-08-04"
    assert lines_of(facts(certificates.folder, message), "certificates").startswith(f"warning: {message} = ")


def test_one_fault_is_reported_once(certificates: Certificates, tmp_path: Path) -> None:
    """The check of the connection repeats what the files say."""
    issued(certificates, tmp_path / "certs", days=(-20, 10))
    message = lines_of(facts(tmp_path / "certs"), "certificates").removeprefix("warning: ").partition(" = ")[0]
    assert lines_of(facts(tmp_path / "certs", message), "certificates").count("expires in") == 1
