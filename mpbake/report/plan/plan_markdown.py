"""A plan as Markdown, for a comment on a pull request: what is unusual first, the rest in folded sections. Pure.

A bot finds its own comment by the first line, which names the plan id. Every text of the plan is code, so that it has
no effect on the page. A comment that would be too long leaves out steps, then settings, then cuts tables.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from mpbake.base.text import count, join_shared
from mpbake.report.markdown import code, fitting, folded, html_code, longest_fitting, paragraphs, table
from mpbake.report.plan import markdown_rows as rows_of
from mpbake.report.plan.probe_rows import expected_text, path_texts
from mpbake.review.remarks import remarks_on

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mpbake.report.plan.markdown_rows import Row
    from mpbake.review.document.plan_document import Document
    from mpbake.review.plan_review import PlanReview
    from mpbake.review.remarks import Remark

_MOST_ROWS = 1000
"""The maximum number of rows of a table. A comment has no room for more."""
_OPEN_TARGETS = 20
"""The maximum number of targets whose table is not folded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Extent:
    """How much of a plan a comment shows: `rows` is the maximum number of rows of each table."""

    steps: bool = True
    settings: bool = True
    rows: int = _MOST_ROWS


def plan_markdown(review: PlanReview) -> str:
    """Return the plan as Markdown of less than 65,536 characters."""
    remarks = remarks_on(review.document)
    extents = (_Extent(), _Extent(steps=False), _Extent(steps=False, settings=False))
    text = fitting([partial(_comment, review, remarks, extent) for extent in extents])
    if text is None:
        text = longest_fitting(lambda rows: _comment(review, remarks, replace(extents[-1], rows=rows)), _MOST_ROWS)
    return text


def _comment(review: PlanReview, remarks: Sequence[Remark], extent: _Extent) -> str:
    document = review.document
    title = f"### mpbake plan {code(rows_of.short(review.title))}" if review.title else "### mpbake plan"
    return paragraphs(
        f"<!-- mpbake plan id={review.plan_id} -->",
        title,
        rows_of.summary(document),
        _unusual(remarks, extent),
        _warnings(review, extent),
        _targets(document, extent),
        _nodes(document, extent),
        _probe(document, extent),
        _settings(document, extent) if extent.settings else "",
        _steps(document, extent) if extent.steps else "",
        _expected(document, extent),
        _left_out(extent),
        f"plan id: `{review.plan_id}`",
    )


def _cut(header: Sequence[str], rows: Sequence[Row] | Iterator[Row], total: int, noun: str, extent: _Extent) -> str:
    """Return a table of at most `extent.rows` rows, and the number of rows that are cut."""
    shown = list(islice(rows, extent.rows))
    more = f"… and {count(total - len(shown), f'more {noun}')}" if len(shown) < total else ""
    return paragraphs(table(header, shown) if shown else "", more).rstrip("\n")


def _unusual(remarks: Sequence[Remark], extent: _Extent) -> str:
    if not remarks:
        return ""
    rows = (rows_of.remark_row(remark) for remark in remarks)
    return f"#### Unusual\n\n{_cut(['', 'of', 'what'], rows, len(remarks), 'line', extent)}"


def _warnings(review: PlanReview, extent: _Extent) -> str:
    names = {target["name"] for target in review.document["targets"]}
    warnings = join_shared(review.warnings, names)
    lines = [f"- ⚠️ {code(rows_of.short(warning))}" for warning in warnings[: extent.rows]]
    more = len(warnings) - len(lines)
    return "\n".join([*lines, *([f"- … and {count(more, 'more warning')}"] if more else [])])


def _targets(document: Document, extent: _Extent) -> str:
    targets = document["targets"]
    rows = rows_of.target_rows(document)
    text = _cut(["target", "built", "tags and outputs"], rows, len(targets), "target", extent)
    return text if len(targets) <= _OPEN_TARGETS else folded(count(len(targets), "target"), text)


def _nodes(document: Document, extent: _Extent) -> str:
    nodes = [(builder, node) for builder in document["builders"] for node in builder["nodes"]]
    rows = (rows_of.node_row(*entry) for entry in nodes)
    header = ["node", "driver", "endpoint", "platforms", "settings"]
    return folded(count(len(nodes), "node"), _cut(header, rows, len(nodes), "node", extent)) if nodes else ""


def _probe(document: Document, extent: _Extent) -> str:
    """Return what nodes and registries report, the tags first: these are the effect of the run."""
    probe = document.get("probe")
    if not probe:
        return ""
    tags, nodes, changes = probe["tags"], probe["nodes"], rows_of.change_rows(document)
    tag_rows = (rows_of.tag_row(tag) for tag in tags)
    parts = [
        f"**Tags now**\n\n{_cut(['tag', 'now'], tag_rows, len(tags), 'tag', extent)}" if tags else "",
        _cut(["node now", "BuildKit", "platforms"], rows_of.probed_rows(document), len(nodes), "node", extent),
        _cut(["to do", "resource", "why"], changes, len(changes), "change", extent),
    ]
    return paragraphs(*parts).rstrip("\n")


def _settings(document: Document, extent: _Extent) -> str:
    rows = list(islice(rows_of.setting_rows(document), extent.rows + 1))
    more = "… and more" if len(rows) > extent.rows else ""
    text = paragraphs(table(["target", "setting", "value"], rows[: extent.rows]), more).rstrip("\n")
    return folded("settings of targets", text) if rows else ""


def _steps(document: Document, extent: _Extent) -> str:
    steps = document["steps"]
    text = _cut(["", "step", "of", "what", "after"], rows_of.step_rows(document), len(steps), "step", extent)
    return folded(f"{count(len(steps), 'step')}, in order", text) if steps else ""


def _expected(document: Document, extent: _Extent) -> str:
    text = expected_text(document)
    path = path_texts(document)
    lines = [f"{number}. {code(step)}" for number, step in enumerate(path[: extent.rows], 1)]
    more = [f"… and {count(len(path) - len(lines), 'more step')}"] if len(path) > len(lines) else []
    return folded(f"expected time: {text}", "\n".join(["The critical path:", "", *lines, *more])) if text else ""


def _left_out(extent: _Extent) -> str:
    """Return a sentence about the parts for which the comment has no room."""
    parts = [*([] if extent.steps else ["steps"]), *([] if extent.settings else ["settings"])]
    names = html_code("mpbake plan")
    return f"_Without {' and '.join(parts)}, which {names} prints: the comment would be too long._" if parts else ""
