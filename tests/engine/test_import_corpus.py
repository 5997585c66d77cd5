"""`mpbake import` on the bake files in tests/data/bake: the plan builds the same, and reads as its golden file does.

    UPDATE_GOLDEN=1 pytest tests/engine/test_import_corpus.py

`scripts/bake_corpus` does the same with public bake files. These tests need a buildx, and no engine.
"""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from bake_corpus.cases import Case, Importer, importer, read_cases
from testbed.packages import tool_path

from tests.checkout import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

BAKE_FILES = CHECKOUT / "tests/data/bake"
CASES = {case.name: case for case in read_cases(BAKE_FILES / "cases.toml")}
_ANY = "0.0"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Importer:
    """Return an importer with the buildx under test."""
    buildx = tool_path("docker-buildx", os.environ)
    assert buildx is not None
    return importer(buildx, tmp_path_factory.mktemp("import"), os.environ)


def _marked(case: Case) -> Any:
    """Return the name of a case. A file that every buildx accepts is imported with one release only."""
    return pytest.param(case.name, marks=pytest.mark.one_release) if case.buildx == _ANY else case.name


@pytest.mark.parametrize("name", [_marked(case) for case in CASES.values()])
def test_the_plan_of_a_bake_file(name: str, run: Importer) -> None:
    case = CASES[name]
    if _version(run.buildx) < _numbers(case.buildx):
        pytest.skip(f"buildx {case.buildx} is the first that accepts this file")
    outcome = run.outcome(case, BAKE_FILES)
    assert (outcome.result, outcome.targets, outcome.problems) == (case.result, case.targets, ())
    assert outcome.text == _golden(case, outcome.text)


def test_every_folder_is_a_case() -> None:
    folders = {path.parent.name for path in BAKE_FILES.glob("*/*") if path.suffix in {".hcl", ".json", ".yaml", ".yml"}}
    assert folders == {case.folder for case in CASES.values()}


def _golden(case: Case, text: str) -> str:
    path: Path = BAKE_FILES / case.folder / "build.toml"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    return path.read_text(encoding="utf-8")


def _version(buildx: str) -> tuple[int, ...]:
    completed = subprocess.run([buildx, "version"], capture_output=True, text=True, check=True)
    match = re.search(r"\bv?(\d+\.\d+)", completed.stdout)
    assert match is not None
    return _numbers(match[1])


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
