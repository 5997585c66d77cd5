"""A plan as a Mermaid flowchart, which GitHub and GitLab draw in Markdown. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mpbake.report.plan.pictures.picture import COLOURS, LEGEND, Box, Limits, Picture, picture_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mpbake.review.plan_review import PlanReview

_STEPS = Limits(boxes=200, arrows=400)
"""Mermaid draws at most 500 arrows and reads at most 50,000 characters, unless a page allows more."""
_LONGEST = 48_000
_HARMLESS = re.compile(r"[^A-Za-z0-9 .,:/()_\-\u0080-\U0010ffff]")


def plan_mermaid(review: PlanReview) -> str:
    """Return the plan as a flowchart. A plan with many steps is drawn as targets."""
    boxes = _STEPS.boxes
    text = _flowchart(review, _STEPS)
    while len(text) > _LONGEST:
        boxes //= 2
        text = _flowchart(review, Limits(boxes=boxes, arrows=_STEPS.arrows))
    return text


def _flowchart(review: PlanReview, limits: Limits) -> str:
    picture = picture_of(review.document, limits)
    return (
        "\n".join(
            [
                f"%% mpbake plan id={review.plan_id}",
                "flowchart LR",
                *_frames(picture),
                *(f"  {before} --> {after}" for before, after in picture.arrows),
                *_legend(picture),
                *(f"  classDef {style} {_colours(style)}" for style in picture.styles),
            ]
        )
        + "\n"
    )


def _frames(picture: Picture) -> Iterator[str]:
    for number, (title, boxes) in enumerate(picture.frames.items(), 1):
        if title:
            yield f'  subgraph f{number}["{_escape(title)}"]'
        yield from (f"    {_box(box)}" for box in boxes)
        if title:
            yield "  end"


def _legend(picture: Picture) -> Iterator[str]:
    if not picture.frames:
        return
    yield '  subgraph legend["legend"]'
    yield from (f"    {_box(Box(id=f'l{style}', style=style, lines=(LEGEND[style],)))}" for style in picture.styles)
    yield "  end"
    if picture.note:
        yield f'  note["{_label(picture.note.split("; "))}"]'


def _box(box: Box) -> str:
    return f'{box.id}["{_label(box.lines)}"]:::{box.style}'


def _label(lines: Iterable[str]) -> str:
    return "<br/>".join(map(_escape, lines))


def _escape(text: str) -> str:
    """Replace every character that has a meaning in Mermaid, Markdown or HTML by its number."""
    return _HARMLESS.sub(lambda match: f"#{ord(match.group())};", text)


def _colours(style: str) -> str:
    inside, outline = COLOURS[style]
    return f"fill:{inside},stroke:{outline},color:#1f2328"
