"""The same plan gives the same text, JSON, Markdown and id in every environment, in real processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.checkout import CHECKOUT, PLANS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORMATS = ("text", "json", "markdown")

PROGRAM = """
import contextlib, io, json, os, sys
from pathlib import Path
from mpbake import __main__
_, folder, umask, *formats = sys.argv
os.umask(int(umask, 8))
printed = {}
for plan in sorted(Path(folder).glob("*/build.toml")):
    for name in formats:
        out = io.StringIO()
        sys.argv = ["mpbake", "plan", "release", "-C", str(plan.parent), "--format", name]
        with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
            __main__.main()
        printed[plan.parent.name + " as " + name] = out.getvalue()
json.dump(printed, sys.__stdout__)
"""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A checkout and an environment. `link` is the name of a symlink to the checkout; `mtime` that of all its files."""

    folder: str = "checkout"
    link: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    umask: str = "022"
    mtime: float = 0


CI = {"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "7", "GITHUB_SHA": "f" * 40, "RUNNER_OS": "Linux"}
PLACES = (
    Place(),
    Place(folder="a/much/deeper/folder/with a space/and ünïcode"),
    Place(folder="x"),
    Place(link="link"),
    Place(folder="checkout-2", link="a link"),
    Place(environment={"HOME": "/nonexistent"}),
    Place(environment={"HOME": "/", "USER": "somebody", "LOGNAME": "somebody", "HOSTNAME": "elsewhere"}),
    Place(environment={"LC_ALL": "C", "LANG": "C"}),
    Place(environment={"LC_ALL": "de_DE.UTF-8", "LANGUAGE": "de"}),
    Place(environment={"LC_ALL": "tr_TR.UTF-8", "PYTHONUTF8": "0"}),
    Place(environment={"TZ": "Pacific/Kiritimati"}),
    Place(environment={"TZ": "America/St_Johns", "SOURCE_DATE_EPOCH": "1"}),
    Place(umask="077"),
    Place(umask="000", mtime=1_000_000_000),
    Place(environment={"PYTHONHASHSEED": "1"}),
    Place(environment={"PYTHONHASHSEED": "4294967295"}),
    Place(environment={"COLUMNS": "20", "LINES": "5", "TERM": "dumb", "NO_COLOR": "1"}),
    Place(environment={"COLUMNS": "400", "TERM": "xterm-256color", "FORCE_COLOR": "1"}),
    Place(environment=CI),
    Place(environment={"GITLAB_CI": "true", "CI": "1", "CI_COMMIT_SHA": "e" * 40, "DOCKER_HOST": "tcp://10.9.9.9:1"}),
)


def printed(place: Place, tmp_path: Path) -> dict[str, str]:
    """Return what is printed for all plans in one process, whose environment is that of `place` alone."""
    folder = tmp_path / str(PLACES.index(place)) / place.folder
    shutil.copytree(PLANS, folder, ignore=shutil.ignore_patterns(".mpbake"))
    if place.mtime:
        for path in folder.rglob("*"):
            os.utime(path, (place.mtime, place.mtime))
    if place.link:
        link = folder.parent / place.link
        link.symlink_to(folder)
        folder = link
    environment = {"PATH": os.defpath, "PYTHONPATH": str(CHECKOUT), **place.environment}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), place.umask, *FORMATS],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
        env=environment,
        cwd="/",
    )
    assert result.stderr == ""
    output: dict[str, str] = json.loads(result.stdout)
    return output


@pytest.mark.allow_subprocess
def test_plans_are_the_same_in_twenty_environments(tmp_path: Path) -> None:
    assert len(PLACES) == 20
    with ThreadPoolExecutor(max_workers=4) as workers:
        first, *others = workers.map(lambda place: printed(place, tmp_path), PLACES)
    plans = sorted(path.parent.name for path in PLANS.glob("*/build.toml"))
    assert len(first) == len(plans) * len(FORMATS)
    assert all(first.values())
    for place, other in zip(PLACES[1:], others, strict=True):
        assert [name for name in first if other[name] != first[name]] == [], place
    ids = {json.loads(first[f"{plan} as json"])["id"] for plan in plans}
    assert len(ids) == len(plans)
    for plan in plans:
        plan_id = json.loads(first[f"{plan} as json"])["id"]
        assert all(plan_id in first[f"{plan} as {name}"] for name in FORMATS)
