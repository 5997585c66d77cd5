"""The explanations of diagnostics: every code has one, and its examples have the problem that it explains."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import tomli

from mpbake.base.codes import Code
from mpbake.cli.commands import check
from mpbake.spec.explanations import Explanation, diagnostics_page, explanations
from tests.checkout import CHECKOUT, DOCS
from tests.unit.worlds import call, world, written

if TYPE_CHECKING:
    from pathlib import Path

_DOCS = DOCS / "diagnostics.md"
EXPLANATIONS = explanations()
SHOWN = [(code, explanation) for code, explanation in EXPLANATIONS.items() if not explanation.advice]
FOLDER = CHECKOUT / "mpbake" / "spec" / "diagnostics"


def codes_of(folder: Path, plan: str) -> set[str]:
    """Return the codes that `mpbake check` reports for a plan in a folder with a Dockerfile."""
    (folder / "Dockerfile").touch()
    (folder / "build.toml").write_text(plan if plan.startswith("version =") else f"version = 1\n{plan}")
    where = world(folder)
    call(check.main, where, format="json")
    return {diagnostic["code"] for diagnostic in json.loads(written(where.stdout))["diagnostics"]}


def test_the_page_in_docs_is_this_one() -> None:
    assert _DOCS.read_text(encoding="utf-8") == diagnostics_page()


def test_what_the_page_shows_is_what_is_printed(tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text('version = 1\n[targets.web]\ntags = ["Web"]\n')
    where = world(tmp_path)
    assert call(check.main, where) == 3
    assert f"```console\n$ mpbake check\n{written(where.stdout)}```\n" in diagnostics_page()


def test_every_code_is_explained_once() -> None:
    described = [code for path in FOLDER.glob("*.toml") for code in tomli.loads(path.read_text(encoding="utf-8"))]
    assert sorted(described) == sorted(Code)
    assert list(EXPLANATIONS) == list(Code)


@pytest.mark.parametrize("explanation", EXPLANATIONS.values(), ids=list(EXPLANATIONS))
def test_an_explanation_has_either_examples_or_advice(explanation: Explanation) -> None:
    assert explanation.text.endswith(".")
    assert bool(explanation.wrong) == bool(explanation.right) == (not explanation.advice)


@pytest.mark.parametrize(("code", "explanation"), SHOWN, ids=[code for code, _ in SHOWN])
def test_a_wrong_example_draws_its_code_alone_and_a_right_one_draws_none(
    code: Code, explanation: Explanation, tmp_path: Path
) -> None:
    assert codes_of(tmp_path, explanation.wrong) == {code}
    assert codes_of(tmp_path, explanation.right) == set()
