"""Links between pages: each leads to a file and a heading that exist, and the index leads to every page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.checkout import CHECKOUT, DOCS
from tests.unit.docs.pages import INDEX, PAGES, anchors_of, links_of, name_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in links_of(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            broken.append(link)
    assert broken == []


def test_the_index_leads_to_every_page() -> None:
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in links_of(INDEX)}
    pages = {page for page in DOCS.iterdir() if page.is_file() and page != INDEX}
    assert sorted(map(name_of, pages - linked)) == []


def test_the_code_names_pages_that_exist() -> None:
    sources = [path for folder in ("mpbake", "benchmarks", "scripts") for path in (CHECKOUT / folder).rglob("*.py")]
    named = {
        name for path in sources for name in re.findall(r"docs/[\w.-]+\.(?:md|json)", path.read_text(encoding="utf-8"))
    }
    assert named
    assert [name for name in sorted(named) if not (CHECKOUT / name).exists()] == []
