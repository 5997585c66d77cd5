"""The output of runs in the docs: each command works, and its output equals the output on the page.

`UPDATE_GOLDEN=1` writes the real output into the pages. Times, digests and the names of runs are not compared. In the
tutorial, only the summary of a run without `--quiet` is compared, since the order of its lines varies.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.checkout import CHECKOUT, DOCS, PLANS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from testbed.testbed import Testbed

    from tests.engine.conftest import RunMpbake

_TUTORIAL = DOCS / "tutorial.md"
_COMMANDS = DOCS / "commands.md"
_README = CHECKOUT / "README.md"
_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
_DOCKERFILE = re.compile(r"^`(\w+/Dockerfile)`.*?^```dockerfile\n(.*?)^```", re.MULTILINE | re.DOTALL)
_VARYING = re.compile(r"(?:sha256:)?[0-9a-f]{64}|\b[0-9a-f]{12}\b|\b\d+\.\ds|\b\d{8}T\d{6}-\d+")
_SUMMARY = re.compile(r"^target  result .*?(?=^```)", re.MULTILINE | re.DOTALL)
# A registry that creates two repositories at the same time may answer 500 once.
_PROGRESS = re.compile(r"\d\.\ds  \w+ linux/|the push failed: mpbake retries it")
_EXCERPT = re.compile(r"^ +\d+ \|.*\n", re.MULTILINE)
"""The lines of a Dockerfile around a failure, as buildx prints them. Their number depends on the version of buildx."""
_SECONDS = 240


@dataclass(kw_only=True, slots=True)
class Reader:
    """A reader of a page, who follows it in a folder, with the registry and the base image of the testbed."""

    page: str
    folder: Path
    env: Mapping[str, str]
    registry: str
    working: Path

    def follow(self, block: str) -> str:
        """Run the commands of a block, and return them with their output."""
        commands = [line[2:] for line in block.splitlines() if line.startswith("$ ")]
        return "".join(f"$ {command}\n{self._shown(self._run(command))}" for command in commands)

    def _run(self, command: str) -> str:
        if command == "mpbake init":
            self._write_dockerfiles()
        if command == "mpbake check":
            self._edit_plan()
        errors = subprocess.STDOUT if command.startswith("mpbake") else subprocess.DEVNULL
        completed = subprocess.run(
            ("sh", "-c", self._here(command)),
            cwd=self.working,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if command.startswith("cd "):
            self.working /= command[3:]
        return completed.stdout

    def _write_dockerfiles(self) -> None:
        for path, text in _DOCKERFILE.findall(self.page):
            base = text.replace("busybox:1.37", self.env["BASE_IMAGE"])
            (self.working / path).write_text(base, encoding="utf-8")

    def _edit_plan(self) -> None:
        """Edit the plan as the page describes: set the registry, and publish with every run."""
        plan = self.working / "build.toml"
        text = plan.read_text(encoding="utf-8")
        assert text.count("localhost:5000/shop") == text.count("# push = true\n") == 1
        text = text.replace("localhost:5000/shop", self.registry).replace("# push = true\n", "push = true\n")
        plan.write_text(text, encoding="utf-8")

    def _here(self, command: str) -> str:
        return command.replace("localhost:5000/shop", self.registry)

    def _shown(self, output: str) -> str:
        """Return the output with the names on the page, and without spaces at the ends of lines."""
        named = output.replace(self.registry, "localhost:5000/shop").replace(str(self.folder), "/src")
        return "".join(f"{line.rstrip()}\n" for line in named.splitlines())


def comparable(block: str) -> str:
    """Return a block without the parts that differ between runs."""
    block = re.sub(r"^(\$ mpbake run\n).*?(?=^target )", r"\1", block, flags=re.MULTILINE | re.DOTALL)
    return re.sub(" {2,}", "  ", _VARYING.sub("…", _EXCERPT.sub("", block)))


def events_of(block: str) -> list[str]:
    """Return the lines of a run, sorted. Lines about the progress of builds are removed: they differ between runs."""
    return sorted(comparable(line) for line in block.splitlines() if not _PROGRESS.search(line))


@pytest.mark.one_release
def test_the_tutorial_shows_what_its_commands_print(
    testbed: Testbed, testbed_env: dict[str, str], tmp_path: Path
) -> None:
    program = tmp_path / "bin/mpbake"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mpbake "$@"\n')
    program.chmod(0o755)
    folder = tmp_path / "src"
    folder.mkdir()
    env = {
        **testbed_env,
        "PATH": f"{program.parent}:{testbed_env['PATH']}",
        "PYTHONPATH": str(CHECKOUT),
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }
    page = _TUTORIAL.read_text(encoding="utf-8")
    # the name is as long as the page's name, so that the columns have the same width
    registry = f"{testbed.registry.host}/tut"
    reader = Reader(page=page, folder=folder, env=env, registry=registry, working=folder)
    blocks = {block: reader.follow(block) for block in _BLOCK.findall(page)}
    if os.environ.get("UPDATE_GOLDEN"):
        _TUTORIAL.write_text(_BLOCK.sub(lambda match: f"```console\n{blocks[match[1]]}```", page), encoding="utf-8")
        return
    assert [comparable(block) for block in blocks] == [comparable(block) for block in blocks.values()]


@pytest.mark.one_release
def test_the_page_of_commands_and_the_readme_show_what_a_run_prints(
    testbed_env: dict[str, str], run_mpbake: RunMpbake, tmp_path: Path
) -> None:
    shutil.copytree(PLANS / "native", tmp_path / "plans/native", ignore=shutil.ignore_patterns(".mpbake"))
    command = "mpbake run release -C plans/native"
    completed = run_mpbake(command.split()[1:], env={"REGISTRY": f"{testbed_env['REGISTRY']}/shown"})
    assert completed.returncode == 0, completed.stderr
    shown = f"$ {command}\n{completed.stderr}{completed.stdout}"
    page = _COMMANDS.read_text(encoding="utf-8")
    (block,) = _BLOCK.findall(page)
    readme = _README.read_text(encoding="utf-8")
    if os.environ.get("UPDATE_GOLDEN"):
        _COMMANDS.write_text(page.replace(block, shown), encoding="utf-8")
        summary = shown[shown.index("\ntarget  ") + 1 :]
        _README.write_text(_SUMMARY.sub(lambda _: summary, readme), encoding="utf-8")
        return
    assert events_of(block) == events_of(shown)
    (summary,) = _SUMMARY.findall(readme)
    assert comparable(summary) in comparable(shown)
