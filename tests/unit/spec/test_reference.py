"""The Markdown reference: every table and key, made from the models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mpbake.cli.commands import schema as command
from mpbake.spec.reference import reference_text
from mpbake.spec.tables.attributes import version_text
from mpbake.spec.tables.plan_tables import PlanSpec
from mpbake.spec.tables.target_tables import ATTRIBUTES
from tests.checkout import CHECKOUT
from tests.unit.worlds import call, world, written

if TYPE_CHECKING:
    from pathlib import Path


def section(header: str) -> str:
    _, _, rest = reference_text().partition(f"\n## {header}\n")
    return rest.partition("\n## ")[0]


def keys(header: str) -> list[str]:
    rows = [line.split("`")[1] for line in section(header).splitlines() if line.startswith("| `")]
    assert rows
    return rows


def test_the_reference_in_docs_is_this_one() -> None:
    stored = (CHECKOUT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert stored == reference_text(), "docs/reference.md is not what the models say: run `make docs`"


def test_the_command_prints_it(tmp_path: Path) -> None:
    seen = world(tmp_path)
    assert call(command.main, seen, format="markdown") == 0
    assert written(seen.stdout) == reference_text()


def test_targets_stand_in_the_order_of_the_model() -> None:
    assert keys("[targets.NAME]") == list(ATTRIBUTES)


def test_the_top_of_the_file() -> None:
    assert keys("The top of the file") == list(PlanSpec.model_fields)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("The top of the file", "| `version` | `1` | required | version of the plan format |"),
        ("[targets.NAME]", "| `push` | true or false or template | `false` | the last wins | "),
        ("[targets.NAME]", "| `secret` | list of text or template |  | merged by id | "),
        ("[targets.NAME]", "| `attest` | list of text or template |  | merged by type | "),
        ("[targets.NAME]", "| `ssh` | list of text or template |  | merged by name | "),
        ("[targets.NAME]", "| `inherits` | list of text or template |  | not inherited | "),
        ("[targets.NAME]", "| `annotations` | list of text or template |  | appended | "),
        ("[targets.NAME]", "| `args` | table of text or template |  | merged by key | "),
        ("[groups.NAME]", "| `targets` | list of text or template | required | "),
        ("[builders.NAME]", "| `nodes` | table of tables |  | "),
        ("[builders.NAME.nodes.NAME]", "| `tls` | table |  | Files for mutual TLS with a remote node"),
        ("[builders.NAME.nodes.NAME.tls]", "| `ca` | text |  | "),
        ("[targets.NAME]", "| `platform` | table of tables |  | merged by platform, then as each attribute says | "),
        ("[targets.NAME]", "| `checks` | list of tables |  | appended | "),
        ("[targets.NAME.platform.NAME]", "| `args` | table of text or template |  | build arguments |"),
        ("[[targets.NAME.checks]]", "| `run` | list of text |  | "),
    ],
)
def test_rows(header: str, row: str) -> None:
    assert row in section(header)


def test_defaults_of_targets_are_not_told_twice() -> None:
    own = ("inherits", "description", "matrix", "exclude", "name")
    assert section("[defaults.target]").splitlines()[-1] == (
        f"The same keys as in `[targets.NAME]`, without {', '.join(f'`{name}`' for name in own)}."
    )
    assert "[defaults.target." not in reference_text()


def test_tables_below_a_target_follow_it() -> None:
    headers = [line for line in reference_text().splitlines() if line.startswith("## ")]
    assert headers[-3:] == ["## [targets.NAME]", "## [targets.NAME.platform.NAME]", "## [[targets.NAME.checks]]"]


def test_what_needs_a_newer_buildx_says_so() -> None:
    rows = [line for line in section("[targets.NAME]").splitlines() if "From buildx" in line]
    versions = {row.split("`")[1]: row.rpartition("From buildx ")[2].removesuffix(" |") for row in rows}
    assert versions == {
        name: version_text(attribute.since) for name, attribute in ATTRIBUTES.items() if any(attribute.since)
    }


def test_what_paths_count_from() -> None:
    (row,) = (line for line in section("[targets.NAME]").splitlines() if line.startswith("| `cache-to`"))
    assert "Local paths: the src, source and dest fields" in row


def test_the_page_for_those_who_come_from_bake_is_true() -> None:
    """The page lists all attributes of mpbake. It marks the other attributes of bake as missing."""
    page = (CHECKOUT / "docs" / "bake.md").read_text(encoding="utf-8")
    section = page.partition("## Attributes of a target\n")[2].partition("\n## ")[0]
    rows = [line.split("|") for line in section.splitlines() if line.startswith("| `")]
    there = {name for row in rows if "not there yet" not in row[3] for name in row[1].split("`")[1::2]}
    absent = {name for row in rows if "not there yet" in row[3] for name in row[1].split("`")[1::2]}
    assert {name for name, attribute in ATTRIBUTES.items() if attribute.to_bake} <= there <= set(ATTRIBUTES)
    assert absent.isdisjoint(ATTRIBUTES)
