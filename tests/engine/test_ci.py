"""The output of a run in a GitHub workflow, of real builds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.testbed import Testbed

    from tests.engine.conftest import RunMpbake

PLAN = """
version = 1
[targets.bad]
context = "bad"
platforms = ["linux/amd64"]
[targets.good]
context = "good"
platforms = ["linux/amd64"]
"""
_GROUP = re.compile(r"^::group::build (\w+) .*\n((?:.*\n)*?)::endgroup::$", re.MULTILINE)
"""A group: the target, and the output of its build. A build that is retried has several groups."""


def test_groups_and_annotations_of_real_builds(testbed: Testbed, run_mpbake: RunMpbake, tmp_path: Path) -> None:
    base = testbed.env()["BASE_IMAGE"]
    commands = {"good": "echo one; echo '::set-output name=a::b'; echo ' ##[error]c'", "bad": "echo two && exit 3"}
    for name, command in commands.items():
        (tmp_path / "sub" / name).mkdir(parents=True)
        (tmp_path / "sub" / name / "Dockerfile").write_text(f"FROM {base}\nENV X=1\nRUN {command}\n")
    (tmp_path / "sub/build.toml").write_text(PLAN)
    job = {"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(tmp_path)}

    completed = run_mpbake(["run", "good", "bad"], cwd=tmp_path / "sub", env=job)

    assert completed.returncode == 1
    groups: dict[str, str] = {}
    for target, output in re.findall(_GROUP, completed.stderr):
        groups[target] = groups.get(target, "") + output
    assert groups.keys() == {"good", "bad"}
    assert "\n  one\n|   ::set-output name=a::b\n   #\\x23[error]c\n" in groups["good"]
    assert "\n  two\n" in groups["bad"]
    assert "  one\n" not in groups["bad"]
    output = completed.stderr + completed.stdout
    commands_found = re.findall(r"^\s*::(?!group|endgroup).*|.*##\[.*", output, re.MULTILINE)
    (annotation,) = [line for line in commands_found if not line.startswith("::warning")]
    assert annotation.startswith("::error file=sub/bad/Dockerfile,line=3,title=build bad linux/amd64 on ")
    assert annotation.endswith("exit code: 3%0Arepeat with: mpbake run bad")
    assert "1 done, 1 failed" in completed.stdout
