"""Markdown for comments on GitHub and GitLab, in which no text of a plan can have an effect. Pure.

Texts of a plan are always shown as code: there, neither GitHub nor GitLab makes links, mentions, references to issues,
images or HTML of them.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from mpbake.base.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

LONGEST_COMMENT = 65_000
"""The maximum number of bytes of a comment. GitHub accepts 65,536 characters; the rest is for a bot's own words."""

_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
_NOT_IN_BACKTICKS = re.compile(r"[`|\\]|^ | $|^$")


def code(text: str) -> str:
    """Return `text` as inline code, also for a cell of a table."""
    line = one_line(text)
    return f"`{line}`" if not _NOT_IN_BACKTICKS.search(line) else f"<code>{_PUNCTUATION.sub(_reference, line)}</code>"


def _reference(match: re.Match[str]) -> str:
    """Return a character reference. The empty comment keeps GitHub from a link to an address such as `a@b.org`."""
    return f"{'<!-- -->' * (match.group() == '@')}&#{ord(match.group())};"


def codes(texts: Iterable[str], separator: str = ", ") -> str:
    """Return each text as inline code."""
    return separator.join(map(code, texts))


def html_code(text: str) -> str:
    """Return `text` as code inside a line of HTML, such as the summary of `folded`."""
    return f"<code>{html.escape(one_line(text))}</code>"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table. Cells are Markdown without line breaks; use `code` for texts of a plan."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def folded(summary: str, body: str, *, is_open: bool = False) -> str:
    """Return a section that the reader unfolds. `summary` is a line of HTML, `body` is Markdown."""
    return f"<details{' open' * is_open}>\n<summary>{summary}</summary>\n\n{body}\n\n</details>"


def paragraphs(*parts: str) -> str:
    """Join the parts that are not empty."""
    return "\n\n".join(part for part in parts if part) + "\n"


def size(text: str) -> int:
    """Return the size of a comment in bytes: at least the number of characters, however a service counts them."""
    return len(text.encode("utf-8", "surrogatepass"))


def fitting(forms: Iterable[Callable[[], str]], limit: int = LONGEST_COMMENT) -> str | None:
    """Return the first form of a text that fits into `limit` bytes; None if none does. Give the longest form first."""
    return next((text for text in (form() for form in forms) if size(text) <= limit), None)


def longest_fitting(form: Callable[[int], str], most: int, limit: int = LONGEST_COMMENT) -> str:
    """Return `form(number)` for the largest `number` up to `most` whose text fits into `limit` bytes.

    A larger number must give a longer text. If not even `form(0)` fits, return it anyway.
    """
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if size(form(middle)) <= limit else (low, middle - 1)
    return form(low)
