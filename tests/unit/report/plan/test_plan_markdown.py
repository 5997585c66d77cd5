"""Plans as Markdown, for comments."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from markdown_it import MarkdownIt

from mpbake.cli.commands import plan as plan_command
from mpbake.report.plan.plan_markdown import plan_markdown
from tests.checkout import GOLDEN, PLANS, example_plan
from tests.unit.graphs import graph_of_text, review_of
from tests.unit.review.test_document_schema import EVERYTHING, everything
from tests.unit.worlds import call, world, written

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from markdown_it.token import Token

    from mpbake.review.plan_review import PlanReview

_NAMES = sorted(path.parent.name for path in PLANS.glob("*/build.toml"))
_LIMIT = 65_536

HOSTILE = "x</code></details><img src=y onerror=z>`|@team fixes #12 https://x.org/a/issues/1 ![i](j) [k](l) <!-- $$m$$"
"""A text that would do everything that Markdown can, if it could."""


def review_of_text(toml: str, *names: str, **fields: Any) -> PlanReview:
    review = review_of(graph_of_text(toml, *names))
    return replace(review, document=review.document | fields)


@pytest.mark.parametrize("name", _NAMES)
def test_example_plans_are_printed_as_their_golden_files_show(name: str, tmp_path: Path) -> None:
    here = world(example_plan(name, tmp_path))
    assert call(plan_command.main, here, names=("release",), format="markdown") == 0
    printed = written(here.stdout)
    golden = GOLDEN / f"{name}.md"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(printed, encoding="utf-8")
    assert printed == golden.read_text(encoding="utf-8")


def test_the_first_line_names_the_id() -> None:
    review = review_of_text("[targets.web]")
    lines = plan_markdown(replace(review, title="release")).splitlines()
    assert lines[0] == f"<!-- mpbake plan id={review.plan_id} -->"
    assert lines[2] == "### mpbake plan `release`"
    assert lines[4] == "1 target · 1 node · nothing is published"
    assert plan_markdown(review).splitlines()[2] == "### mpbake plan"


def test_what_is_unusual_comes_before_everything_else() -> None:
    review = review_of_text("\n[targets.web]\ncontext = '../x'\nsecret = ['id=t,env=TOKEN']", warnings=["web: slow"])
    shown = plan_markdown(review)
    parts = ["#### Unusual", "**secret**", "**read**", "- ⚠️ `web: slow`", "| target |", "<details>"]
    places = [shown.index(part) for part in parts]
    assert places == sorted(places)
    assert "Unusual" not in plan_markdown(review_of_text("\n[targets.web]\ncontext = 'x'"))


def test_everything_is_shown() -> None:
    review = replace(review_of_text(EVERYTHING, "web", "other"), document=everything())
    shown = plan_markdown(review)
    for part in (
        "| **right** | `web.ssh` | `ssh` |",
        "| **secret** | `web` | `t from the environment variable TOKEN` |",
        "`linux/amd64` native on `release/a`<br>`linux/arm64` native on `release/b`",
        "| `base` |",
        "| `release/b` | `remote` | `tcp://b:1` | `linux/arm64` |",
        "| `r/web:1` | `moves from sha256:1` |",
        "| `x/a` | `BuildKit v0.20` | `linux/amd64, linux/386 native; linux/arm64 EMULATED` |",
        "| `replace` | `container x-b` | `differs: memory: 4g -> 8g` |",
        "| `web` `linux/arm64` | `args.A` | `arm64` |",
        "`release/a declares it`",
        "| join | `web` | `type=oci,dest=web.tar` |",
        "| check | `web` | `linux/amd64` `true` |",
        "| check | `web` | `linux/arm64` `stage test` |",
        "| verify | `web` | `linux/amd64`, `linux/arm64`: 1 tag, one digest |",
        "expected time: about 2.0s, estimated from earlier runs on this machine",
        "1. `build ",
        "- ⚠️ `a warning`",
    ):
        assert part in shown
    assert shown.endswith(f"plan id: `{review.plan_id}`\n")


def test_emulation_stands_out() -> None:
    facts = {"default/local": "linux/amd64 linux/arm64"}
    graph = graph_of_text("\n[targets.web]\nplatforms = ['linux/amd64', 'linux/arm64']", facts=facts)
    shown = plan_markdown(review_of(graph, (), facts))
    assert "`linux/amd64` native · `linux/arm64` **EMULATED**" in shown
    assert "| `linux/amd64` native, `linux/arm64` **EMULATED** on `default/local` |" in shown


# --- text of the plan is harmless -------------------------------------------------------------------------------------


_FREE = {"args", "labels", "contexts", "options", "tls", "push_options"}
_FIXED = {"id", "key", "after", "kind", "how", "state", "delivery", "load", "path", "uses", "emulation"}


def hostile(value: Any, name: str = "", attack: str = HOSTILE) -> Any:
    """Return a copy of a plan document in which every text that a plan chooses is hostile."""
    match value:
        case dict() if name in _FREE:
            return {**dict.fromkeys(value, attack), attack: attack}
        case dict():
            return {key: hostile(entry, key, attack) for key, entry in value.items()}
        case list():
            return [hostile(entry, name, attack) for entry in value]
        case str() if name in _FIXED:
            return value
        case str() if name in {"target", "name", "builder"}:
            return f"{value}{attack}"
        case str() if value:
            return attack
        case _:
            return value


def outside_code(tokens: list[Token]) -> Iterator[str]:
    """Yield every text on the page that is not code, and every piece of HTML."""
    is_code = False
    for token in tokens:
        if token.children:
            yield from outside_code(token.children)
        elif token.type == "html_inline" and token.content in {"<code>", "</code>"}:
            is_code = token.content == "<code>"
        elif token.type not in {"code_inline", "fence"} and not is_code:
            yield token.content


def test_no_text_of_a_plan_leaves_its_code() -> None:
    document = hostile(everything()) | {"id": "0" * 64}
    shown = plan_markdown(PlanReviewOf(document))
    assert shown.count(HOSTILE[:20]) == 0, "the text contains a backtick, so it is escaped everywhere"
    tokens = MarkdownIt("commonmark").enable("table").parse(shown)
    texts = list(outside_code(tokens))
    assert not [text for text in texts if re.search(r"onerror|@team|#12|x\.org|\$\$|\]\(", text)]
    html = {text.strip() for text in texts if text.startswith("<")}
    assert {re.sub(r"<summary>.*</summary>", "<summary>", text) for text in html} <= {
        f"<!-- mpbake plan id={'0' * 64} -->",
        "<details>\n<summary>",
        "</details>",
        "<br>",
    }


def PlanReviewOf(document: dict[str, Any]) -> PlanReview:  # noqa: N802
    return replace(review_of_text("[targets.web]"), document=document, title=HOSTILE)


def test_tables_keep_their_columns() -> None:
    shown = plan_markdown(PlanReviewOf(hostile(everything())))
    tokens = MarkdownIt("commonmark").enable("table").parse(shown)
    rows = [token for token in tokens if token.type == "tr_open"]
    assert len(rows) == sum(line.startswith("| ") for line in shown.splitlines()) - shown.count("\n| --- |")


# --- a comment has a limit --------------------------------------------------------------------------------------------


def targets_of(number: int, **changes: Any) -> PlanReview:
    """Return the review of a plan of many targets, made from one."""
    review = review_of_text("\n[targets.web]\ntags = ['r/web:1']\npush = true\nargs = { A = '1' }")
    document = review.document
    (target,) = document["targets"]
    steps = [step for step in document["steps"] if step["kind"] != "bootstrap"]
    return replace(
        review,
        document=document
        | {
            "targets": [target | {"name": f"web{index}"} | changes for index in range(number)],
            "steps": [
                step | {"target": f"web{index}", "key": f"{step['key']} {index}", "after": []}
                for index in range(number)
                for step in steps
            ],
        },
    )


def test_a_large_plan_loses_its_steps_then_its_settings_then_targets() -> None:
    small, without_steps, without_settings, cut = (
        plan_markdown(targets_of(number)) for number in (50, 250, 700, 10_000)
    )
    assert "in order</summary>" in small
    assert "settings of targets" in small
    assert "in order</summary>" not in without_steps
    assert "settings of targets" in without_steps
    assert "_Without steps, which <code>mpbake plan</code> prints" in without_steps
    assert "settings of targets" not in without_settings
    assert "_Without steps and settings, which" in without_settings
    assert "`web699`" in without_settings
    shown = cut.count("\n| `web")
    assert 500 < shown < 10_000
    assert f"… and {10_000 - shown} more targets" in cut
    for text in (small, without_steps, without_settings, cut):
        assert len(text) < _LIMIT
        assert len(text.encode()) < _LIMIT


@pytest.mark.parametrize(
    "changes",
    [
        {"tags": [f"r/web:{'x' * 120}{number}" for number in range(5000)]},
        {"name": "x" * 100_000},
        {"outputs": ["type=local,dest=" + "ä" * 50_000]},
        {"args": {f"A{number}": "漢" * 10_000 for number in range(200)}},
    ],
)
def test_no_value_is_too_long(changes: dict[str, Any]) -> None:
    text = plan_markdown(targets_of(300, **changes))
    assert len(text.encode()) < _LIMIT


def test_many_remarks_warnings_and_nodes_are_counted() -> None:
    review = targets_of(2)
    grants = [
        {"allow": f"fs.read=/{number:050}", "kind": "fs.read", "value": "/", "users": ["web0"]}
        for number in range(5000)
    ]
    (builder,) = review.document["builders"]
    nodes = [builder["nodes"][0] | {"id": f"x/{number:050}"} for number in range(5000)]
    more = {
        "grants": grants,
        "warnings": [f"warning {number:050}" for number in range(5000)],
        "builders": [builder | {"nodes": nodes}],
    }
    text = plan_markdown(replace(review, document=review.document | more))
    assert len(text.encode()) < _LIMIT
    for noun in ("line", "warning", "node"):
        assert re.search(rf"… and 4\d\d\d more {noun}s", text)
