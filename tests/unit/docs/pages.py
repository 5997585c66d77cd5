"""The pages for users, with their anchors and links."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.checkout import CHECKOUT, DOCS

if TYPE_CHECKING:
    from pathlib import Path

FOLDERS = ("", "docs", "plans", "scripts/testbed")
PAGES = sorted(page for folder in FOLDERS for page in (CHECKOUT / folder).glob("*.md"))
INDEX = DOCS / "README.md"

_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def name_of(page: Path) -> str:
    """Return the path of a page in the checkout, as the name of a test case."""
    return page.relative_to(CHECKOUT).as_posix()


def prose_of(page: Path) -> str:
    """Return the text of a page without its blocks of code."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def blocks_of(page: Path, language: str) -> list[str]:
    """Return the blocks of code in this language."""
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def links_of(page: Path) -> list[str]:
    """Return the link targets of a page, except addresses of web sites."""
    return [link for link in _LINK.findall(prose_of(page)) if "://" not in link]


def anchors_of(page: Path) -> set[str]:
    """Return the anchors that GitHub derives from the headings of a page."""
    headings = (_LINK.sub(r"\1", heading) for heading in _HEADING.findall(prose_of(page)))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
