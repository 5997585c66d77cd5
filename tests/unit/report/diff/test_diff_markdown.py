"""The diff of two plans as Markdown: no text of a plan can be markup, and every comment fits."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpbake.report.diff import diff_markdown as module
from mpbake.report.diff.diff_markdown import LONGEST, diff_markdown
from mpbake.review.diff.plan_diff import PlanDiff, diff_documents
from mpbake.review.document.plan_document import empty_document
from tests.unit.documents import document_of, documents
from tests.unit.plans import text
from tests.unit.report.diff.test_diff_text import AFTER, BEFORE


def shown(before: str, after: str) -> str:
    return diff_markdown(diff_documents(document_of(before), document_of(after)))


def outside_of_blocks(markdown: str) -> list[str]:
    """Return the lines outside of code blocks, by the rules of CommonMark."""
    lines, fence = [], ""
    for line in markdown.splitlines():
        if fence:
            fence = "" if re.fullmatch(f" {{0,3}}{fence}`*\\s*", line) else fence
        elif match := re.match(" {0,3}(```+)", line):
            fence = match[1]
        else:
            lines.append(line)
    assert not fence
    return lines


def test_the_comment_of_a_change() -> None:
    diff = diff_documents(document_of(BEFORE, "web"), document_of(BEFORE.replace("web:latest", "web:edge"), "web"))
    assert (
        diff_markdown(diff)
        == text(
            f"""
        <!-- mpbake diff id={diff.digest} -->
        **Plan**: 1 target changed, 1 tag newly pushed, 1 tag no longer pushed

        Plan id: `{diff.before_id[:12]}` → `{diff.after_id}`

        ### Targets

        ```diff
        ! web
        -     tags: "r.io/web:latest"
        +     tags: "r.io/web:edge"
        ```

        ### Tags

        ```diff
        + r.io/web:edge (web)
        - r.io/web:latest (web)
        ```

        <details><summary><b>Steps</b>: 6 lines</summary>

        ```diff
        ! publish web
        -     tags: "r.io/web:latest"
        +     tags: "r.io/web:edge"
        ! verify web
        -     tags: "r.io/web:latest"
        +     tags: "r.io/web:edge"
        ```

        </details>
        """
        )
        + "\n"
    )


def test_a_changed_value_has_two_lines() -> None:
    assert "!  web\n" not in shown(BEFORE, AFTER)
    assert '-     args.VERSION: "1"\n+     args.VERSION: "2"\n' in shown(BEFORE, AFTER)


def test_security_is_first() -> None:
    assert re.findall("### (.*)", shown(BEFORE, AFTER))[:2] == ["Security", "Targets"]


def test_no_changes() -> None:
    diff = diff_documents(document_of(BEFORE), document_of(BEFORE))
    assert diff_markdown(diff) == f"<!-- mpbake diff id={diff.digest} -->\n**Plan**: no changes\n"


def test_a_new_plan_says_so() -> None:
    lines = diff_markdown(diff_documents(None, document_of(BEFORE))).splitlines()
    assert lines[1].startswith("**Plan**: a new plan: ")
    assert lines[3].startswith("Plan id: no plan → `")


# --- a hostile plan ---------------------------------------------------------------------------------------------------

HOSTILE = "@octocat closes #1 <img src=x onerror=alert(1)> ``` ```` --> </details> [x](http://e.io) | $x$ \n```\n# Big"


def hostile_document() -> dict[str, Any]:
    """Return a document with a hostile text at every place."""
    escaped = json.dumps(HOSTILE)[1:-1]
    written = json.dumps(document_of(BEFORE))
    for word in ("release", "web", "worker", "amd64", "intel", "r.io", "old"):
        written = written.replace(word, f"{word}{escaped}")
    document: dict[str, Any] = json.loads(written)
    document["warnings"] = [HOSTILE]
    document["targets"][0]["attributes"]["secret"] = [HOSTILE]
    document["grants"] = [{"allow": HOSTILE, "users": [HOSTILE]}]
    document[HOSTILE] = {HOSTILE: HOSTILE}
    return document


@pytest.mark.parametrize("reverse", [False, True])
def test_text_of_a_plan_is_no_markup(*, reverse: bool) -> None:
    before, after = empty_document(), hostile_document()
    diff = diff_documents(after, before) if reverse else diff_documents(before, after)
    markdown = diff_markdown(diff)
    assert "octocat" in markdown
    for line in outside_of_blocks(markdown):
        assert re.fullmatch(
            r"|<!-- mpbake diff id=[0-9a-f]{64} -->|\*\*Plan\*\*: [a-z0-9, ]+|Plan id: `[0-9a-f]+` → `[0-9a-f]+`"
            r"|### [A-Z][a-z ]+|<details><summary><b>[A-Z][a-z ]+</b>: \d+ lines?</summary>|</details>",
            line,
        )


@settings(max_examples=30)
@given(documents(), documents())
def test_blocks_end_where_they_should(before: dict[str, Any], after: dict[str, Any]) -> None:
    markdown = diff_markdown(diff_documents(before, after))
    assert all(not line.startswith(("+", "-", "!")) for line in outside_of_blocks(markdown))


# --- the length -------------------------------------------------------------------------------------------------------


def many(number: int, name: str = "target") -> dict[str, Any]:
    """Return a document with many different targets."""
    document = empty_document()
    target = document_of(BEFORE, "web")["targets"][0]
    targets = [{**target, "name": f"{name}{index}", "args": {"A": f"ü{index}" * 40}} for index in range(number)]
    return {**document, "targets": targets}


def test_a_long_section_is_folded() -> None:
    markdown = diff_markdown(diff_documents(empty_document(), many(10)))
    assert "<details><summary><b>Targets</b>: " in markdown
    assert "cut" not in markdown


def test_a_comment_that_is_too_long_is_cut_with_a_count() -> None:
    diff = diff_documents(empty_document(), many(3000))
    markdown = diff_markdown(diff)
    assert LONGEST - 1000 < len(markdown.encode()) <= LONGEST
    (total,) = (int(number) for number in re.findall(r"<b>Targets</b>: (\d+) lines", markdown))
    (cut,) = (int(number) for number in re.findall(r"(\d+) lines cut: `mpbake diff` prints all", markdown))
    assert cut == total - sum(line.startswith("+ ") for line in markdown.splitlines())


def test_security_is_cut_last() -> None:
    after = many(3000)
    after["grants"] = [{"allow": f"fs.read=/x{index}", "users": []} for index in range(100)]
    markdown = diff_markdown(diff_documents(empty_document(), after))
    assert "+ right fs.read=/x99" in markdown
    assert len(markdown.encode()) <= LONGEST


@settings(max_examples=30)
@given(documents(), documents(), st.integers(2000, 4000))
def test_every_comment_fits(before: dict[str, Any], after: dict[str, Any], longest: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LONGEST", longest)
        markdown = diff_markdown(diff_documents(before, after))
    assert len(markdown.encode()) <= max(longest, 400 * (len(markdown.split("### ")) + 12))
    outside_of_blocks(markdown)


def test_equal_diffs_have_one_marker() -> None:
    assert shown(BEFORE, AFTER) == shown(BEFORE, AFTER)
    assert shown(BEFORE, AFTER).partition("\n")[0] != shown(AFTER, BEFORE).partition("\n")[0]
    assert PlanDiff().digest != diff_documents(document_of(BEFORE), document_of(AFTER)).digest
