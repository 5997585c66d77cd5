"""The page with five bake files and their plans: the blocks are the files in tests/data/bake."""

from __future__ import annotations

import os
import re

import pytest

from tests.checkout import CHECKOUT, DOCS
from tests.unit.docs.pages import blocks_of

PAGE = DOCS / "bake-examples.md"
BAKE_FILES = CHECKOUT / "tests/data/bake"
NAMES = ("languages", "databases", "pipeline", "typed", "ci")


@pytest.mark.parametrize(("language", "file"), [("hcl", "docker-bake.hcl"), ("toml", "build.toml")])
def test_the_blocks_on_the_page_are_the_files_of_the_tests(language: str, file: str) -> None:
    """With `UPDATE_GOLDEN=1`, write the files into the page.

    `tests/engine/test_import_corpus.py` compares each bake file with its plan.
    """
    files = [(BAKE_FILES / name / file).read_text(encoding="utf-8") for name in NAMES]
    if os.environ.get("UPDATE_GOLDEN"):
        texts = iter(files)
        page = PAGE.read_text(encoding="utf-8")
        fence = re.compile(rf"^```{language}\n(.*?)^```", re.MULTILINE | re.DOTALL)
        PAGE.write_text(fence.sub(lambda _: f"```{language}\n{next(texts)}```", page), encoding="utf-8")
    assert blocks_of(PAGE, language) == files
