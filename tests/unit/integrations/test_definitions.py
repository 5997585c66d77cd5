"""The definitions that GitHub, GitLab and pre-commit read: `action.yml`, `templates/mpbake.yml` and the hook."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from mpbake.integrations.gitlab import COMMANDS, METADATA, REVIEW
from tests.checkout import CHECKOUT
from tests.unit.integrations.test_github_event import pull_request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACTION = yaml.safe_load((CHECKOUT / "action.yml").read_text())
INSTALL, STEP = ACTION["runs"]["steps"]
SPEC, JOBS = yaml.safe_load_all((CHECKOUT / "templates/mpbake.yml").read_text())
INPUTS = SPEC["spec"]["inputs"]
(HOOK,) = yaml.safe_load((CHECKOUT / ".pre-commit-hooks.yaml").read_text())


# --- the GitHub Action ------------------------------------------------------------------------------------------------


def test_every_input_reaches_the_program() -> None:
    passed = {
        **STEP["env"],
        **{name: value for name, value in INSTALL["env"].items() if name != "ACTION_PATH"},
    }
    assert sorted(passed.values()) == sorted(f"${{{{ inputs.{name} }}}}" for name in ACTION["inputs"])
    for name, value in STEP["env"].items():
        assert value == f"${{{{ inputs.{name.removeprefix('INPUT_').lower().replace('_', '-')} }}}}"


def test_the_program_reads_every_input_and_sets_every_output() -> None:
    source = (CHECKOUT / "mpbake/integrations/github.py").read_text()
    read = set(
        re.findall(r'_input\(\w*\.?environment, "([\w-]+)"\)', source.replace("self.environment", "environment"))
    )
    assert read == ACTION["inputs"].keys() - {"python"}
    outputs = set(re.findall(r'set_output\("([\w-]+)"', source))
    assert outputs == ACTION["outputs"].keys()
    for name, output in ACTION["outputs"].items():
        assert output["value"] == f"${{{{ steps.{STEP['id']}.outputs.{name} }}}}"


@pytest.mark.parametrize("step", [INSTALL, STEP], ids=["install", "mpbake"])
def test_no_expression_is_part_of_a_shell_script(step: dict[str, Any]) -> None:
    assert step["shell"] == "bash"
    assert "${{" not in step["run"]


def test_everything_is_described() -> None:
    for table in (ACTION["inputs"], ACTION["outputs"], INPUTS):
        for name, entry in table.items():
            assert entry["description"].endswith("."), name


class Runner:
    """A runner with the folders that GitHub documents, whose workspace is a stranger's checkout."""

    def __init__(self, folder: Path) -> None:
        self.workspace, self.temp = folder / "workspace", folder / "temp"
        self.workspace.mkdir()
        (self.temp / "mpbake-action/venv/bin").mkdir(parents=True)
        (self.temp / "mpbake-action/venv/bin/python").symlink_to(sys.executable)
        event = folder / "event.json"
        event.write_text(json.dumps(pull_request(head="eve/web")))
        self.files = {name: folder / name for name in ("OUTPUT", "STEP_SUMMARY", "ENV", "PATH")}
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join([str(CHECKOUT), *filter(None, sys.path)]),
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_EVENT_NAME": "pull_request",
            "GITHUB_EVENT_PATH": str(event),
            "RUNNER_TEMP": str(self.temp),
            **{f"GITHUB_{name}": str(path) for name, path in self.files.items()},
        }

    def run(self, **inputs: str) -> subprocess.CompletedProcess[str]:
        """Run the second step of the action as the runner does, with the defaults of all other inputs."""
        values = {name: str(entry.get("default", "")) for name, entry in ACTION["inputs"].items()}
        values |= {"github-token": "secret-token", **{name.replace("_", "-"): value for name, value in inputs.items()}}
        given = {f"INPUT_{name.upper().replace('-', '_')}": value for name, value in values.items()}
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEP["run"]],
            cwd=self.workspace,
            env={**self.environment, **{name: given[name] for name in STEP["env"]}},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


@pytest.mark.allow_subprocess
def test_the_step_checks_a_real_plan(runner: Runner) -> None:
    (runner.workspace / "sub").mkdir()
    (runner.workspace / "sub/build.toml").write_text("version = 1\n[targets.web]\ncontexts = { x = 'target:y' }\n")
    completed = runner.run(command="check", working_directory="sub")
    assert completed.returncode == 3, completed.stderr
    assert completed.stdout.startswith("::error file=sub/build.toml,line=3,col=26,")
    assert runner.files["STEP_SUMMARY"].read_text() == "### mpbake check: 1 error\n\n"


@pytest.mark.allow_subprocess
def test_a_checkout_cannot_replace_modules_or_read_the_token(runner: Runner) -> None:
    """The plan asks for the token of the action by its name, and the checkout has modules with the names of others."""
    for name in ("json.py", "click.py", "sitecustomize.py", "mpbake.py"):
        (runner.workspace / name).write_text("raise SystemExit('a module of the checkout')\n")
    (runner.workspace / "build.toml").write_text(
        'version = 1\n[variables]\nx = { env = "INPUT_GITHUB_TOKEN", default = "no-token" }\n'
        '[targets.web]\ntags = ["r/{{ x }}!"]\n'
    )
    for untrusted in ("auto", "false"):
        completed = runner.run(command="check", untrusted=untrusted)
        assert completed.returncode == 3, completed.stderr
        assert "r/no-token!" in completed.stdout  # the message about the wrong tag shows the value
        assert "a module of the checkout" not in completed.stdout + completed.stderr
        assert "secret-token" not in completed.stdout + completed.stderr


@pytest.mark.allow_subprocess
def test_wrong_inputs_are_annotations(runner: Runner) -> None:
    completed = runner.run(command="paln")
    assert completed.returncode == 3
    assert completed.stdout == '::error title=mpbake action::the input `command` is paln%0Adid you mean "plan"?\n'


@pytest.mark.allow_subprocess
@pytest.mark.parametrize(
    ("python", "message"),
    [
        ("no-such-python", "there is no no-such-python on this runner"),
        ("old", "mpbake needs Python 3.11 or newer, and this is Python 3.10.4"),
    ],
)
def test_the_installation_says_which_python_it_needs(tmp_path: Path, python: str, message: str) -> None:
    old = tmp_path / "old"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.10.4\nexit 1\n')
    old.chmod(0o755)
    completed = subprocess.run(
        [CHECKOUT / "action/install", tmp_path / "installed"],
        env={"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "PYTHON": python},
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 3
    assert completed.stdout == f"::error title=mpbake action::{message}: add a step with actions/setup-python\n"


# --- the GitLab component ---------------------------------------------------------------------------------------------


def texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, entry in value.items():
            yield key
            yield from texts_in(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from texts_in(entry)
    else:
        yield str(value)


def scripts_in(job: dict[str, Any]) -> list[str]:
    return [*job.get("before_script", ()), *job.get("script", ())]


def test_the_component_uses_exactly_its_inputs() -> None:
    used = {name for text in texts_in(JOBS) for name in re.findall(r"\$\[\[ inputs\.([\w-]+) \]\]", text)}
    assert used == INPUTS.keys()
    source = (CHECKOUT / "mpbake/integrations/gitlab.py").read_text()
    read = {f"INPUT_{name}" for name in re.findall(r'value\("(\w+)"\)', source)} - {"INPUT_ARGS"}
    (hidden,) = [job for name, job in JOBS.items() if name.startswith(".")]
    assert hidden["variables"].keys() == read | {"INPUT_PACKAGE", "INPUT_REVIEW"}
    assert {entry["expand"] for entry in hidden["variables"].values()} == {False}


def test_no_input_of_the_component_is_part_of_a_shell_script() -> None:
    scripts = [line for job in JOBS.values() for line in scripts_in(job)]
    assert len(scripts) >= 6
    assert "$[[" not in "".join(scripts)


def test_the_jobs_of_the_component() -> None:
    scripts = {name.rpartition(":")[2]: scripts_in(job)[-1] for name, job in JOBS.items() if ":" in name}
    calls = {name: script.partition("mpbake.integrations.gitlab ")[2] for name, script in scripts.items()}
    assert calls == {"check": "check", "review": '"$INPUT_REVIEW"', "run": "run"}
    assert {"check", "run", *INPUTS["review"]["options"]} - {"none"} == set(COMMANDS)
    artifacts = {path for job in JOBS.values() for path in job.get("artifacts", {}).get("paths", ())}
    assert artifacts == {REVIEW, METADATA}


# --- the pre-commit hook ----------------------------------------------------------------------------------------------


def test_the_hook() -> None:
    python, safe, option, module = HOOK["entry"].split()
    assert (python, safe, option) == ("python", "-P", "-m")
    assert callable(importlib.import_module(module).main)
    names = ("build.toml", "a/mpbake.toml", "rebuild.toml", "build.toml.orig", "a/build.tom")
    assert [name for name in names if re.search(HOOK["files"], name)] == ["build.toml", "a/mpbake.toml"]
