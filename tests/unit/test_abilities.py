"""Attributes that the buildx which was found does not know."""

from __future__ import annotations

import pytest

from mpbake.commands.abilities import check_buildx
from mpbake.errors import PlanError
from mpbake.resolve import Inputs, resolve
from mpbake.spec import ATTRIBUTES, Holds, holds
from tests.unit.plans import in_short, read_text, text

PLAN = """
    [targets._image]
    network = "none"
    [targets.web]
    inherits = ["_image"]
    contexts = { base = "target:base" }
    entitlements = ["network.host"]
    [targets.base]
    extra-hosts = { db = "10.0.0.7" }
    [targets.other]
    resources = { memory = "1g" }
    """


def complaints(toml: str, version: tuple[int, int], *names: str) -> str:
    """What is wrong with a run of the targets called `names` on this buildx; nothing when nothing is."""
    document, spec = read_text(toml)
    plan = resolve(document, spec, Inputs())
    try:
        check_buildx(document, [plan.targets[name] for name in names], version)
    except PlanError as error:
        return in_short(error)
    return ""


def test_everything_that_would_be_ignored_at_once_and_where_it_stands() -> None:
    assert complaints(PLAN, (0, 16), "web") == text("""
        build.toml:3: targets._image.network: web: network works since buildx 0.17; the one found is 0.16, and would \
ignore it
            network = "none"
          = install buildx 0.17 or newer, or take network away
        build.toml:7: targets.web.entitlements: web: entitlements works since buildx 0.17; the one found is 0.16, and \
would ignore it
            entitlements = ["network.host"]
          = install buildx 0.17 or newer, or take entitlements away
        build.toml:9: targets.base.extra-hosts: base: extra-hosts works since buildx 0.25; the one found is 0.16, and \
would ignore it
            extra-hosts = { db = "10.0.0.7" }
          = install buildx 0.25 or newer, or take extra-hosts away
        """)


@pytest.mark.parametrize(
    ("version", "names", "attributes"),
    [
        ((0, 13), ["web"], ["network", "entitlements", "extra-hosts"]),
        ((0, 17), ["web"], ["extra-hosts"]),
        ((0, 24), ["web", "base"], ["extra-hosts"]),
        ((0, 25), ["web"], []),
        ((1, 0), ["web", "other"], []),
        # what is not built asks for nothing
        ((0, 25), ["other"], ["resources"]),
    ],
)
def test_what_is_asked_of_each_version(version: tuple[int, int], names: list[str], attributes: list[str]) -> None:
    found = complaints(PLAN, version, *names)
    assert [line.partition("take ")[2].removesuffix(" away") for line in found.splitlines() if "install" in line] == (
        attributes
    )


@pytest.mark.parametrize("name", [name for name, each in ATTRIBUTES.items() if any(each.since)])
def test_each_attribute_works_from_its_version_on(name: str) -> None:
    values = {Holds.TEXT: "'none'", Holds.MAP: "{ memory = '1g' }", Holds.LIST: "['x']"}
    plan = f"\n[targets.web]\n{name} = {values[holds(name)]}"
    major, minor = ATTRIBUTES[name].since
    assert complaints(plan, (major, minor), "web") == ""
    assert f"web: {name} works since buildx {major}.{minor}; " in complaints(plan, (major, minor - 1), "web")


@pytest.mark.parametrize("written", ["network = ''", "entitlements = []", "extra-hosts = {}"])
def test_what_is_empty_asks_for_nothing(written: str) -> None:
    assert complaints(f"\n[targets.web]\n{written}", (0, 13), "web") == ""


def test_platforms_that_differ_ask_for_the_same() -> None:
    plan = """
        [targets.web]
        platforms = ["linux/amd64", "linux/arm64"]
        args = { A = "{{ platform }}" }
        network = "none"
        """
    assert complaints(plan, (0, 16), "web").count("works since") == 1
