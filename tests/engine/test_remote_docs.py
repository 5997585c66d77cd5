"""The page about two bare machines: its commands work, in order, and print what the page shows.

`UPDATE_GOLDEN=1` writes the real output into the page. Times, digests, dates and fingerprints are not compared.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.checkout import CHECKOUT, DOCS
from tests.engine.test_deploy import Fleet, fleet, layers_of, machines
from tests.engine.test_docs import comparable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

pytestmark = pytest.mark.newest
__all__ = ["fleet", "machines"]

_PAGE = DOCS / "remote.md"
_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
_PLAN = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)
_VARYING = re.compile(r"SHA-256 [0-9a-f]{16}|\d{4}-\d\d-\d\d")
_PROGRESS = re.compile(r"waiting for BuildKit|: pulling ")
_IMAGES = ("moby/buildkit:v0.30.0", "moby/buildkit:v0.31.0")
_TESTBED = re.compile(r"^  config .*\n", re.MULTILINE)
"""The remark on the configuration that the registry of the testbed needs. The plan of the page has no such key."""
_SECONDS = 240


def _names(fleet: Fleet) -> dict[str, str]:
    """The names on the page, each with the name in the testbed."""
    return {
        "root@10.20.30.41": "root@build1",
        "root@10.20.30.42": "root@build2",
        "10.20.30.41": fleet.one.address,
        "10.20.30.42": fleet.two.address,
        "registry.example.com": fleet.registry,
    }


def _here(text: str, names: Mapping[str, str]) -> str:
    for shown, real in names.items():
        text = text.replace(shown, real)
    return text


def _shown(text: str, names: Mapping[str, str]) -> str:
    for shown, real in names.items():
        text = text.replace(real, shown)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def _lines(block: str) -> list[str]:
    """Return the lines of a block, sorted, since nodes work at the same time; without progress and what varies."""
    lines = [line for line in block.splitlines() if line and not _PROGRESS.search(line)]
    return sorted(comparable(_VARYING.sub("…", line)) for line in lines)


def test_every_command_of_the_page(fleet: Fleet, testbed_env: dict[str, str], tmp_path: Path) -> None:
    for machine in (fleet.one, fleet.two):
        machine.docker("pull", "--quiet", fleet.image)
        for image in _IMAGES:
            machine.docker("tag", fleet.image, image)
    names, page = _names(fleet), _PAGE.read_text(encoding="utf-8")
    # The registry of the testbed has no TLS.
    config = f'buildkitd = {{ registry."{fleet.registry}" = {{ http = true }} }}'
    plan = _here(_PLAN.findall(page)[0], names).replace("deploy = {", f"deploy = {{ {config},")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/build.toml").write_text(plan)
    (tmp_path / "shop/Dockerfile").write_text(
        f"FROM {fleet.registry}/base:1\nRUN cat /proc/sys/kernel/random/uuid >/id\n"
    )
    program = tmp_path / "bin/mpbake"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mpbake "$@"\n')
    program.chmod(0o755)
    env = {
        **testbed_env,
        "PATH": f"{program.parent}:{testbed_env['PATH']}",
        "PYTHONPATH": str(CHECKOUT),
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }

    def run(command: str) -> str:
        done = subprocess.run(
            ("sh", "-ec", _here(command, names)),
            cwd=tmp_path / "shop",
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        output = done.stdout
        if command.startswith("mpbake run"):
            output = output[output.index("\ntarget  ") + 1 :]
            layers.append(layers_of(fleet, "web"))
        return f"$ {command}\n{_TESTBED.sub('', _shown(output, names))}"

    def follow(block: str) -> str:
        return "".join(run(line[2:]) for line in block.splitlines() if line.startswith("$ "))

    layers: list[list[str]] = []
    followed = [follow(block) for block in _BLOCK.findall(page)]
    assert layers == [layers[0], layers[0]], "a new image of BuildKit keeps the cache"
    if os.environ.get("UPDATE_GOLDEN"):
        outputs = iter(followed)
        _PAGE.write_text(_BLOCK.sub(lambda _: f"```console\n{next(outputs)}```", page), encoding="utf-8")
        return
    for shown, printed in zip(_BLOCK.findall(page), followed, strict=True):
        assert _lines(printed) == _lines(shown), printed
    for machine in (fleet.one, fleet.two):
        assert machine.docker("ps", "--all", "--quiet") == ""
