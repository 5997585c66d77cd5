"""Runs in CI jobs: the output of real builds, the GitHub Action, and a release whose parts come from two jobs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from testbed.registry_client import platforms_of

from tests.checkout import CHECKOUT, DOCS
from tests.engine.test_plans import BOTH, copy_of
from tests.unit.docs.pages import blocks_of

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
    assert "\n  one\n  \\x3a:set-output name=a::b\n   #\\x23[error]c\n" in groups["good"]
    assert "\n  two\n" in groups["bad"]
    assert "  one\n" not in groups["bad"]
    output = completed.stderr + completed.stdout
    commands_found = re.findall(r"^\s*::(?!group|endgroup).*|.*##\[.*", output, re.MULTILINE)
    (annotation,) = [line for line in commands_found if not line.startswith("::warning")]
    assert annotation.startswith("::error file=sub/bad/Dockerfile,line=3,title=build bad linux/amd64 on ")
    assert annotation.endswith("exit code: 3%0Arepeat with: mpbake run bad")
    assert "1 done, 1 failed" in completed.stdout


@pytest.mark.one_release
def test_the_action_releases_with_two_nodes(testbed: Testbed, testbed_env: dict[str, str], tmp_path: Path) -> None:
    copy_of("native", tmp_path)
    files = {f"GITHUB_{name}": str(tmp_path / name) for name in ("OUTPUT", "STEP_SUMMARY")}
    job = {
        **testbed_env,
        **files,
        "PYTHONPATH": str(CHECKOUT),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "push",
        "RUNNER_TEMP": str(tmp_path),
        "INPUT_COMMAND": "run",
        "INPUT_TARGETS": "release",
        "INPUT_WORKING_DIRECTORY": "native",
        "INPUT_ALLOW": "all",
        "INPUT_UNTRUSTED": "false",
    }

    completed = subprocess.run(
        (sys.executable, "-P", "-m", "mpbake.integrations.github"),
        cwd=tmp_path,
        env=job,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert completed.returncode == 0, completed.stdout + completed.stderr
    digests = {name: testbed.registry.client.manifest(f"native/{name}:1.0")[0] for name in ("web", "worker")}
    output = (tmp_path / "OUTPUT").read_text()
    assert f"\n{json.dumps(digests)}\n" in output
    summary = (tmp_path / "STEP_SUMMARY").read_text()
    assert summary.startswith("### mpbake run: done, 2 targets\n")
    assert f"| `web` | `done` | `{digests['web']}` | " in summary
    assert "`linux/arm64 on release/linux-arm64`" in summary
    assert completed.stderr.count("::group::build web linux/") == 2


@pytest.mark.one_release
def test_a_release_whose_parts_come_from_two_jobs(
    testbed: Testbed, testbed_env: dict[str, str], run_mpbake: RunMpbake, repository: str, tmp_path: Path
) -> None:
    """The page about CI has the plan, and the commands that join the parts."""
    page = DOCS / "ci.md"
    (plan,) = [block for block in blocks_of(page, "toml") if "part = " in block]
    (join,) = re.findall(r"- name: join and verify\n +run: \|\n((?: {10}.*\n)+)", page.read_text())
    for job in ("linux/amd64", "linux/arm64", "join"):
        folder = tmp_path / job / "web"
        folder.mkdir(parents=True)
        (folder / "Dockerfile").write_text(f"FROM {testbed.env()['BASE_IMAGE']}\nENV PART=1\n")
        (folder.parent / "build.toml").write_text(plan)
    env = {**testbed_env, "REGISTRY": repository, "VERSION": "v1"}
    for platform in BOTH:
        variables = ["--var", "version=v1", "--var", f"part=-{platform.partition('/')[2]}"]
        completed = run_mpbake(["run", "web", "--platform", platform, *variables], cwd=tmp_path / platform, env=env)
        assert completed.returncode == 0, completed.stderr

    script = join.replace("mpbake verify", f"{sys.executable} -m mpbake verify")
    env |= {"PYTHONPATH": str(CHECKOUT), "XDG_STATE_HOME": str(tmp_path / "state")}
    joined = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=tmp_path / "join",
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert (joined.returncode, joined.stdout) == (0, "web: 1 tag as the plan says\n"), joined.stderr
    assert platforms_of(testbed.registry.client.manifest(f"{repository}/web:v1")[1]) == BOTH
