"""The settings of targets as short lines and complete."""

from __future__ import annotations

from typing import Any

import pytest

from mpbake.base.platforms import parse_platforms
from mpbake.report.plan.plan_text import plan_text
from mpbake.report.plan.settings import every_setting, setting_lines, variant_of
from tests.unit.graphs import graph_of_text, review_of


def document(toml: str) -> dict[str, Any]:
    """Return the first target of the plan document of a plan."""
    target: dict[str, Any] = review_of(graph_of_text(toml)).document["targets"][0]
    return target


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ("", []),
        ('context = "."\nnetwork = "default"\ncall = "build"\ndockerfile = "Dockerfile"', []),
        ('labels = { a = "b" }\nannotations = ["a=b"]\nsecret = ["id=t"]\nssh = ["default"]', []),
        ('context = "web"', ["context web"]),
        (
            'context = "web"\ndockerfile = "web.Dockerfile"\ntarget = "prod"',
            ["context web, dockerfile web.Dockerfile, stage prod"],
        ),
        ('dockerfile-inline = "FROM scratch"', ["inline Dockerfile"]),
        ('args = { A = "1", B = "" }\npull = true', ["args A=1, B=; pull"]),
        (
            'args = { A1 = "", A2 = "", A3 = "", A4 = "", A5 = "", A6 = "", A7 = "", A8 = "" }',
            ["args A1=, A2=, A3=, A4=, A5=, A6= and 2 more"],
        ),
        (f'args = {{ A = "{"x" * 100}" }}', [f"args A={'x' * 79}…"]),
        (
            f'context = "{"c" * 30}"\nargs = {{ A = "{"x" * 40}" }}\nno-cache = true\npull = false',
            [f"context {'c' * 30}", f"args A={'x' * 40}", "no-cache"],
        ),
        ('contexts = { a = "docker-image://alpine" }', ["contexts a=docker-image://alpine"]),
        ('extra-hosts = { "a.b" = "1.2.3.4" }\nshm-size = "1g"', ["shm-size 1g; extra-hosts a.b=1.2.3.4"]),
        ('cache-from = ["type=local,src=c", "r/x"]', ["cache-from type=local,src=c, r/x"]),
        (r'args = { A = "\u001b[31m\n\u202e" }', [r"args A=\x1b[31m\n\u202e"]),
    ],
)
def test_short_lines(attributes: str, expected: list[str]) -> None:
    assert setting_lines(document("\n[targets.web]\n" + attributes)) == expected


def test_all_settings() -> None:
    target = document("""
        [targets.web]
        context = "web"
        args = { A = "1" }
        contexts = { base = "target:base" }
        cache-from = ["r/x", "r/y"]
        pull = true
        [targets.base]
        """)
    assert every_setting(target) == [
        ("context", "web"),
        ("cache-from", "r/x"),
        ("cache-from", "r/y"),
        ("pull", "true"),
        ("args.A", "1"),
        ("contexts.base", "target:base"),
    ]


def test_platforms_with_their_own_values() -> None:
    target = document("""
        [targets.web]
        platforms = ["linux/amd64", "linux/arm64"]
        platform."linux/arm64".args.A = "1"
        """)
    amd64, arm64 = parse_platforms(["linux/amd64", "linux/arm64"])
    assert setting_lines(variant_of(target, [amd64])) == []
    assert setting_lines(variant_of(target, [arm64])) == ["args A=1"]
    assert variant_of(target, []) is target


def test_the_plan_tells_the_settings_of_a_target_once_for_each_variant_and_those_of_links() -> None:
    shown = plan_text(
        review_of(
            graph_of_text(
                """
        [targets.same]
        platforms = ["linux/amd64", "linux/arm64"]
        builder = "x"
        args = { A = "same" }
        contexts = { base = "target:base" }
        [targets.base]
        args = { A = "linked" }
        [targets.other]
        platforms = ["linux/amd64", "linux/arm64"]
        builder = "x"
        args = { A = "{{ platform.arch }}" }
        [builders.x]
        nodes.a = { endpoint = "unix:///a", platforms = ["linux/amd64"] }
        nodes.b = { endpoint = "unix:///b", platforms = ["linux/arm64"] }
        """,
                "same",
                "other",
            )
        )
    )
    lines = [line.strip() for line in shown.splitlines() if "args" in line]
    assert lines == ["args A=same", "args A=amd64", "args A=arm64", "base  args A=linked"]
