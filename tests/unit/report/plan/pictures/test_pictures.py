"""Plans as graphs, in the languages of Mermaid and Graphviz."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.cli.commands import plan as plan_command
from mpbake.report.plan.pictures.dot import plan_dot
from mpbake.report.plan.pictures.mermaid import plan_mermaid
from mpbake.report.plan.pictures.picture import Limits, picture_of
from tests.checkout import GOLDEN, example_plan
from tests.unit.graphs import graph_of_text, review_of
from tests.unit.plans import text
from tests.unit.report.plan.test_plan_markdown import HOSTILE, hostile, targets_of
from tests.unit.review.test_document_schema import everything
from tests.unit.worlds import call, world, written

if TYPE_CHECKING:
    from pathlib import Path

    from mpbake.review.plan_review import PlanReview

_SUFFIXES = {"mermaid": "mmd", "dot": "dot"}


@pytest.mark.parametrize("name", ["native", "together"])
@pytest.mark.parametrize("language", _SUFFIXES)
def test_example_plans_are_drawn_as_their_golden_files_show(name: str, language: str, tmp_path: Path) -> None:
    here = world(example_plan(name, tmp_path))
    assert call(plan_command.main, here, names=("release",), format=language) == 0
    printed = written(here.stdout)
    golden = GOLDEN / f"{name}.{_SUFFIXES[language]}"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(printed, encoding="utf-8")
    assert printed == golden.read_text(encoding="utf-8")


def review_of_text(toml: str, **facts: str) -> PlanReview:
    reported = {f"{builder}/local": platforms for builder, platforms in facts.items()}
    return review_of(graph_of_text(toml, facts=reported), (), reported)


@pytest.mark.parametrize(
    ("facts", "style"),
    [
        ({}, "unknown"),
        ({"default": "linux/amd64 linux/arm64"}, "emulated"),
        ({"default": "linux/arm64"}, "native"),
    ],
)
def test_the_way_of_building_has_a_colour_and_a_legend(facts: dict[str, str], style: str) -> None:
    review = review_of_text("\n[targets.web]\nplatforms = ['linux/arm64']", **facts)
    mermaid, dot = plan_mermaid(review), plan_dot(review)
    assert f"]:::{style}\n" in mermaid
    assert f"    l{style}[" in mermaid
    assert f"    l{style} [" in dot
    assert ("EMULATED" in mermaid) == (style == "emulated") == ("EMULATED" in dot)


def test_a_picture_of_targets() -> None:
    review = review_of_text(
        """
        [targets.web]
        platforms = ["linux/amd64", "linux/arm64"]
        tags = ["r/web:1", "r/web:2"]
        push = true
        [targets.tool]
        needs = ["web"]
        """,
        default="linux/amd64 linux/arm64",
    )
    picture = picture_of(review.document, Limits(boxes=2, arrows=9))
    (boxes,) = picture.frames.values()
    assert [(box.id, box.style, box.lines) for box in boxes] == [
        ("t1", "emulated", ("web", "linux/amd64, linux/arm64", "EMULATED: linux/arm64", "2 tags")),
        ("t2", "native", ("tool", "linux/amd64")),
    ]
    assert picture.arrows == [("t1", "t2")]
    assert picture.note == "5 steps drawn as targets"


def test_a_large_plan_is_drawn_as_targets_then_cut() -> None:
    review = targets_of(150)
    assert '    t150["web149<br/>1 tag"]' in plan_mermaid(review)
    assert "450 steps drawn as targets" in plan_mermaid(review)
    assert "s450 [" in plan_dot(review)
    large = targets_of(10_000)
    assert "30000 steps drawn as targets<br/>9800 more targets left out" in plan_mermaid(large)
    assert r"30000 steps drawn as targets\n9000 more targets left out" in plan_dot(large)


def test_arrows_are_counted() -> None:
    names = [f"t{number}" for number in range(60)]
    steps = [
        {"key": name, "kind": "verify", "target": name, "after": names[:index], "platforms": [], "tags": []}
        for index, name in enumerate(names)
    ]
    picture = picture_of({"steps": steps}, Limits(boxes=1000, arrows=400))
    assert len(picture.arrows) == 400
    assert picture.note == "60 steps drawn as targets; 1370 more arrows left out"


def test_a_mermaid_text_is_never_too_long() -> None:
    review = targets_of(190)
    names = {"name": "ü" * 79}
    steps = [step | {"target": f"{'@' * 70}{number}"} for number, step in enumerate(review.document["steps"])]
    document = review.document | {"steps": steps, "targets": [target | names for target in review.document["targets"]]}
    drawn = plan_mermaid(replace(review, document=document))
    assert len(drawn) < 50_000
    assert "more targets left out" in drawn


def test_nothing_to_do() -> None:
    review = review_of_text("")
    assert plan_mermaid(review) == f"%% mpbake plan id={review.plan_id}\nflowchart LR\n"
    assert plan_dot(review).splitlines()[-2:] == [
        '  graph [fontname="sans-serif", fontsize=11, style=rounded, color="#d1d9e0"];',
        "}",
    ]


# --- text of the plan is harmless -------------------------------------------------------------------------------------

_MERMAID = (
    r"%% mpbake plan id=[0-9a-f]{64}",
    r"flowchart LR",
    r'  subgraph \w+\["LABEL"\]',
    r"  end",
    r'    \w+\["LABEL"\]:::\w+',
    r'  note\["LABEL"\]',
    r"  \w+ --> \w+",
    r"  classDef \w+ fill:#\w{6},stroke:#\w{6},color:#\w{6}",
)
_MERMAID_LABEL = r"(?:[A-Za-z0-9 .,:/()_\-\u0080-\U0010ffff]|#\d+;|<br/>)*"
_DOT = (
    r"digraph plan \{",
    r"  // mpbake plan id=[0-9a-f]{64}",
    r"  rankdir=LR;",
    r"  (node|graph) \[[^\]]*\];",
    r"  subgraph \w+ \{",
    r"    label=legend;",
    r'    label="LABEL";',
    r'    \w+ \[label="LABEL", fillcolor="#\w{6}", color="#\w{6}"\];',
    r'  note \[shape=note, label="LABEL"\];',
    r"  \}",
    r"  \w+ -> \w+;",
    r"\}",
)
_DOT_LABEL = r'(?:[^"\\&]|\\["\\n]|&amp;)*'


def lines_outside(printed: str, grammar: tuple[str, ...], label: str) -> list[str]:
    """Return the lines that are no statement of the grammar."""
    statement = re.compile("|".join(f"(?:{line.replace('LABEL', label)})" for line in grammar))
    return [line for line in printed.splitlines() if not statement.fullmatch(line)]


@pytest.mark.parametrize(
    "attack", [HOSTILE, 'a"]; end\n  click s1 "javascript:x" %% \\', '&quot;&#34; \\" \x1b[2J \\N\\G']
)
def test_no_text_of_a_plan_leaves_its_label(attack: str) -> None:
    document: Any = hostile(everything(), attack=attack) | {"id": "0" * 64}
    review = replace(review_of_text("[targets.web]"), document=document)
    assert lines_outside(plan_mermaid(review), _MERMAID, _MERMAID_LABEL) == []
    assert lines_outside(plan_dot(review), _DOT, _DOT_LABEL) == []


def test_the_grammars_know_an_attack() -> None:
    assert lines_outside('    s1["a"]; click"]:::plain', _MERMAID, _MERMAID_LABEL)
    assert lines_outside('    label="a"; URL="x";', _DOT, _DOT_LABEL)


def test_mermaid_and_dot_of_a_small_plan() -> None:
    review = review_of_text("\n[targets.web]\nplatforms = ['linux/amd64']\ntags = ['r/web:1']\npush = true")
    assert (
        plan_mermaid(review)
        == text(f"""
        %% mpbake plan id={review.plan_id}
        flowchart LR
          subgraph f1["nodes"]
            s1["bootstrap default/local"]:::plain
          end
          subgraph f2["target web"]
            s2["build linux/amd64<br/>on default/local"]:::unknown
            s3["publish<br/>r/web:1"]:::registry
            s4["verify"]:::registry
          end
          s1 --> s2
          s2 --> s3
          s3 --> s4
          subgraph legend["legend"]
            lunknown["native or emulated: not known yet"]:::unknown
            lregistry["tags in a registry"]:::registry
            lplain["other steps"]:::plain
          end
          classDef unknown fill:#fff8c5,stroke:#9a6700,color:#1f2328
          classDef registry fill:#ddf4ff,stroke:#0969da,color:#1f2328
          classDef plain fill:#f6f8fa,stroke:#59636e,color:#1f2328
        """)
        + "\n"
    )
    assert '    s3 [label="publish\\nr/web:1", fillcolor="#ddf4ff", color="#0969da"];' in plan_dot(review)


def test_the_own_platform_of_a_node_is_native() -> None:
    review = review_of_text("\n[targets.web]")
    for drawn in (plan_mermaid(review), plan_dot(review)):
        assert "own platform" in drawn
        assert "not known yet" not in drawn
