"""Warnings about probable mistakes."""

from __future__ import annotations

from textwrap import dedent

import pytest

from mpbake.graph.preflight.lint import lint_warnings
from mpbake.resolve import Inputs, parse_overrides, resolve
from tests.unit.plans import read_text, text


def warned(toml: str) -> str:
    """Return a line with the key and the code of each warning of a plan."""
    plan_files, spec = read_text(toml)
    warnings = lint_warnings(plan_files, resolve(plan_files, spec, Inputs()))
    places = [(warning.code, warning.location) for warning in warnings]
    return "\n".join(f"{place.line} {'.'.join(map(str, place.key))}: {code}" for code, place in places if place)


def test_variables_are_used_wherever_a_template_stands() -> None:
    assert warned(
        """
        [variables]
        tag = "1"
        by_default = "{{ by_another }}"
        by_another = { default = "x" }
        in_key = "x"
        in_text = "x"
        builder = "ci"
        group = "web"
        row = "1"
        here = true
        inline = "alpine"
        of_platform = "x"
        unused = "x"
        [variables.also_unused]
        default = "{{ by_default }}"
        [groups]
        all = ["{{ group }}"]
        [builders.ci]
        image = "{{ in_text }}"
        [targets.web]
        enabled = "{{ here }}"
        builder = "{{ builder }}"
        matrix = { v = ["{{ row }}"] }
        name = "web"
        tags = ["r/web:{{ tag | upper }}"]
        labels = { "{{ in_key }}" = "in_key" }
        dockerfile-inline = '''
        FROM {{ inline }}
        '''
        platforms = ["linux/amd64"]
        platform."linux/amd64".args = { A = "{{ of_platform }}" }
        """
    ) == text("""
        6 variables.in_key: unused-variable
        14 variables.unused: unused-variable
        15 variables.also_unused: unused-variable
        27 targets.web.labels.{{ in_key }}: template-in-key
        """)


def test_templates_are_used_by_those_who_inherit_them() -> None:
    assert (
        warned("""
        [targets._base]
        [targets._image]
        inherits = ["_base"]
        [targets._unused]
        inherits = ["_image"]
        [targets.web]
        inherits = ["_image"]
        tags = ["r/web"]
        """)
        == "5 targets._unused: unused-template"
    )


@pytest.mark.parametrize(
    "use",
    [
        'tags = ["r/web"]',
        "load = true",
        'output = ["out"]',
        'output = ["type=cacheonly"]',
        'cache-to = ["type=local,dest=out"]',
        'checks = [{ run = ["true"] }]',
        "enabled = false",
        '[targets.api]\ntags = ["r/api"]\nneeds = ["web"]',
        '[targets.api]\ntags = ["r/api"]\ncontexts = { web = "target:web" }',
        """
        [targets.api]
        tags = ["r/api"]
        platforms = ["linux/amd64"]
        platform."linux/amd64".contexts = { web = "target:web" }
        """,
    ],
)
def test_what_is_of_use(use: str) -> None:
    assert warned(f"\n[targets.web]\n{dedent(use)}") == ""


def test_what_goes_nowhere_is_told_once_for_each_table() -> None:
    assert warned("""
        [targets.web]
        context = "web"
        [targets.php]
        matrix = { v = ["7", "8"] }
        name = "php-{{ v }}"
        [targets.lib]
        matrix = { v = ["7", "8"] }
        name = "lib-{{ v }}"
        [targets.api]
        contexts = { lib = "target:lib-8" }
        tags = ["r/api"]
        """) == text("""
        2 targets.web: goes-nowhere
        4 targets.php: goes-nowhere
        7 targets.lib: goes-nowhere
        """)


def test_what_is_needed_has_its_use_and_who_needs_it_has_none_by_that() -> None:
    assert warned('\n[targets.a]\nneeds = ["b"]\n[targets.b]') == "2 targets.a: goes-nowhere"


def test_templates_as_bake_writes_them() -> None:
    assert warned("""
        [variables]
        Tag = "1"
        [defaults.target]
        cache-from = ["type=registry,ref=r/c:${ TAG }"]
        [targets.web]
        tags = ["r/web:{{ Tag }}"]
        args = { A = "${tag}", B = "${HOME}", C = "$tag {{ Tag }}" }
        context = "${tag}"
        platforms = ["linux/amd64"]
        platform."linux/amd64".labels = { a = "x${TAG}${TAG}" }
        """) == text("""
        5 defaults.target.cache-from.0: bake-template
        8 targets.web.args.A: bake-template
        11 targets.web.platform.linux/amd64.labels.a: bake-template
        """)


def test_the_name_of_the_variable_is_told() -> None:
    plan_files, spec = read_text(
        '\n[variables]\nTag = "1"\n[targets.web]\nload = true\nargs = { A = "${TAG}{{ Tag }}" }'
    )
    (warning,) = lint_warnings(plan_files, resolve(plan_files, spec, Inputs()))
    assert (warning.message, warning.hint) == ("${TAG} is taken literally", "write {{ Tag }} for the variable")


MISSPELT = """
[targets._base]
platform."linux/arm46".args = { A = "1" }
[targets.web]
inherits = ["_base"]
platforms = ["linux/arm64"]
tags = ["r/web"]
"""


def test_tables_for_platforms_that_nothing_is_built_for() -> None:
    assert warned(MISSPELT) == "3 targets._base.platform.linux/arm46: platform-not-built"
    defaults = MISSPELT.replace("targets._base", "defaults.target").replace('inherits = ["_base"]\n', "")
    assert warned(defaults) == "3 defaults.target.platform.linux/arm46: platform-not-built"


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("arm46", "aarch64"),
        ('platforms = ["linux/arm64"]', 'platforms = ["linux/arm64", "{{ \'linux/amd64\' if false }}"]'),
        (
            'tags = ["r/web"]',
            'tags = ["r/web"]\n[targets.old]\ninherits = ["_base"]\nenabled = false\nplatforms = ["linux/arm64"]',
        ),
        (
            'tags = ["r/web"]',
            'tags = ["r/web"]\n[targets.new]\ninherits = ["web"]\nload = true\nplatforms = ["linux/arm46"]',
        ),
    ],
)
def test_tables_for_platforms_that_may_be_built_for(written: str, instead: str) -> None:
    plan = MISSPELT.replace(written, instead)
    misspelt = "11 targets.new.platforms.0: doubtful-value" if "[targets.new]" in plan else ""
    assert warned(plan) == misspelt


def test_platforms_of_the_command_line_are_no_fault_of_the_plan() -> None:
    settings = ('web.platforms=["linux/amd64"]',)
    plan_files, spec = read_text(MISSPELT.replace("arm46", "arm64"), settings=settings)
    plan = resolve(plan_files, spec, Inputs(set_overrides=parse_overrides(settings)))
    assert lint_warnings(plan_files, plan) == ()


def test_values_that_look_misspelt_or_that_nobody_knows() -> None:
    assert warned(
        """
        [targets.web]
        tags = ["web"]
        platforms = ["linux/amd46", "linux/amd64", "linx/arm64", "plan9/vax", "{{ 'linux/amd46' }}"]
        ulimits = ["nofile=1:2", "x=1", "{{ 'y' }}=", ""]
        entitlements = ["device=gpu", "nix"]
        call = "describe"
        checks = [{ run = ["x"] }, { run = ["y"], platforms = ["linux/amd64", "linux/arm46"] }]
        """
    ) == text("""
        4 targets.web.platforms.0: doubtful-value
        4 targets.web.platforms.2: doubtful-value
        5 targets.web.ulimits.1: doubtful-value
        6 targets.web.entitlements.1: doubtful-value
        7 targets.web.call: doubtful-value
        8 targets.web.checks.1.platforms.1: doubtful-value
        """)
