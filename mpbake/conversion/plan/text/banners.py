"""Comments that head a whole part of a file, such as `==== Variables ====`: above the header of the part."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.conversion.plan.text.document import KeyValue, Section
from mpbake.conversion.syntax import BakeFile, Comments, Format

if TYPE_CHECKING:
    from collections.abc import Sequence

_Lines = tuple[str, ...]
_RULE = re.compile(r"([^\w\s])\1|#|\s*$")
"""The start of a line of a banner: a sign that is repeated, the second `#` of `##`, or a comment without text."""
_PART = re.compile(r"\b(?:variables?|arg(?:ument)?s?|inputs?|parameters?|functions?|groups?|targets?)\b", re.IGNORECASE)
_RULES = " #=-*~+_/\u2500\u2550"
_LONGEST_TITLE = 60


def with_title_of_first_part(file: BakeFile) -> BakeFile:
    """Return a file in HCL whose heading is about the file: a title of the first part moves to the first block."""
    paragraphs = _paragraphs(file.heading)
    if file.format is not Format.HCL or not file.blocks or not paragraphs:
        return file
    *others, last = paragraphs
    is_about_part = bool(others) or (_is_banner(last) and bool(_PART.search(" ".join(last))))
    if not is_about_part or not _is_title(last):
        return file
    first, *blocks = file.blocks
    before = _joined([last, first.comments.before])
    first = replace(first, comments=replace(first.comments, before=before))
    return replace(file, blocks=(first, *blocks), heading=_joined(others))


def section_of_list(name: str, pairs: Sequence[KeyValue]) -> Section:
    """Return the section `[name]` of entries. What heads all of them stands above its header."""
    first, *others = pairs
    *above, last = _paragraphs(first.comments.before) or [()]
    if _is_banner(last):
        above, last = [*above, last], ()
    first = replace(first, comments=replace(first.comments, before=last))
    return Section(path=(name,), pairs=(first, *others), comments=Comments(before=_joined(above)))


def _is_banner(paragraph: _Lines) -> bool:
    """Whether a paragraph begins or ends with a rule, such as `-----`, or is a title in the style `## Title`."""
    return bool(paragraph) and any(map(is_rule, (paragraph[0], paragraph[-1])))


def is_rule(line: str) -> bool:
    """Whether a comment begins with a rule, such as `----- test` or `## Test`."""
    return bool(_RULE.match(line))


def _is_title(paragraph: _Lines) -> bool:
    """Whether a paragraph is one short line, perhaps between rules."""
    texts = [text for line in paragraph if (text := line.strip(_RULES))]
    return len(texts) <= 1 and all(len(text) <= _LONGEST_TITLE for text in texts)


def _paragraphs(lines: _Lines) -> list[_Lines]:
    """Return the comments between empty lines."""
    paragraphs: list[list[str]] = [[]]
    for line in lines:
        if line:
            paragraphs[-1].append(line)
        else:
            paragraphs.append([])
    return [tuple(paragraph) for paragraph in paragraphs if paragraph]


def _joined(paragraphs: Sequence[_Lines]) -> _Lines:
    """Return the lines of paragraphs, with an empty line between two of them."""
    lines: list[str] = []
    for paragraph in filter(None, paragraphs):
        lines += ["", *paragraph] if lines else paragraph
    return tuple(lines)
