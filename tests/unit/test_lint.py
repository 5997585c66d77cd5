"""What is probably not meant."""

from __future__ import annotations

from textwrap import dedent

import pytest

from mpbake.lint import warnings_of
from mpbake.resolve import Inputs, resolve
from tests.unit.plans import read_text, text


def warned(toml: str) -> str:
    """The key and code of each warning of a plan, a line for each."""
    document, spec = read_text(toml)
    found = warnings_of(document, resolve(document, spec, Inputs()))
    places = [(each.code, each.location) for each in found]
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
