"""A plan in the language of Graphviz: `mpbake plan --format dot | dot -Tsvg`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.report.plan.pictures.picture import COLOURS, LEGEND, Box, Limits, Picture, picture_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mpbake.review.plan_review import PlanReview

_LIMITS = Limits(boxes=1000, arrows=3000)
"""Graphviz has no limit, but takes minutes for larger graphs, and nobody can read them."""


def plan_dot(review: PlanReview) -> str:
    """Return the plan as a directed graph. A plan with many steps is drawn as targets."""
    picture = picture_of(review.document, _LIMITS)
    return (
        "\n".join(
            [
                "digraph plan {",
                f"  // mpbake plan id={review.plan_id}",
                "  rankdir=LR;",
                '  node [shape=box, style="rounded,filled", fontname="sans-serif", fontsize=11];',
                '  graph [fontname="sans-serif", fontsize=11, style=rounded, color="#d1d9e0"];',
                *_frames(picture),
                *(f"  {before} -> {after};" for before, after in picture.arrows),
                *_legend(picture),
                "}",
            ]
        )
        + "\n"
    )


def _frames(picture: Picture) -> Iterator[str]:
    for number, (title, boxes) in enumerate(picture.frames.items(), 1):
        if title:
            yield f"  subgraph cluster_f{number} {{"
            yield f"    label={_quoted([title])};"
        yield from (f"    {_box(box)}" for box in boxes)
        if title:
            yield "  }"


def _legend(picture: Picture) -> Iterator[str]:
    if not picture.frames:
        return
    yield "  subgraph cluster_legend {"
    yield "    label=legend;"
    yield from (f"    {_box(Box(id=f'l{style}', style=style, lines=(LEGEND[style],)))}" for style in picture.styles)
    yield "  }"
    if picture.note:
        yield f"  note [shape=note, label={_quoted(picture.note.split('; '))}];"


def _box(box: Box) -> str:
    inside, outline = COLOURS[box.style]
    return f'{box.id} [label={_quoted(box.lines)}, fillcolor="{inside}", color="{outline}"];'


def _quoted(lines: Iterable[str]) -> str:
    r"""Return a label. Graphviz reads `\` and `"` in labels, and also character references such as `&amp;`."""
    texts = (line.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;") for line in lines)
    label = "\\n".join(texts)
    return f'"{label}"'
