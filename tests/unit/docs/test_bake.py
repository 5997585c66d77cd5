"""The page about leaving bake: its bake file, and the plan that `mpbake import` makes of it."""

from __future__ import annotations

import os
import re

from mpbake.base.json_text import parse_json
from mpbake.conversion.plan import Conversion, convert
from mpbake.conversion.proof import Comparison, Proof
from mpbake.conversion.reading import read_hcl
from mpbake.report.importing.import_json import import_json
from mpbake.report.importing.import_report import ImportReport
from tests.checkout import DOCS
from tests.unit.docs.pages import blocks_of
from tests.unit.plans import resolve_text

PAGE = DOCS / "bake.md"


def test_the_plan_on_the_page_is_the_import_of_the_bake_file() -> None:
    before, after = blocks_of(PAGE, "hcl")[0], blocks_of(PAGE, "toml")[0]
    plan = convert(read_hcl(before, "docker-bake.hcl")).text
    if os.environ.get("UPDATE_GOLDEN"):
        PAGE.write_text(PAGE.read_text(encoding="utf-8").replace(after, plan), encoding="utf-8")
        return
    assert after == plan


def test_the_plan_on_the_page_resolves() -> None:
    plan = blocks_of(PAGE, "toml")[0].partition("version = 1\n")[2]
    assert sorted(resolve_text(plan).targets) == ["api", "web-22", "web-24"]


def test_the_page_lists_every_field_of_the_result() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("### The result for programs")[2].partition("\n## ")[0]
    listed = {name for line in section.splitlines() for name in re.findall(r"`(\w+)`", line.partition(" | ")[0])}
    report = ImportReport(conversion=Conversion(text=""), proof=Proof(comparisons=(Comparison(),)))
    assert parse_json(import_json(report)).keys() == listed
