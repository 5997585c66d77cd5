"""The keys of the own and inherited values of a target."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.platforms import parse_platform
from mpbake.resolve.targets.parents import Inheritance
from mpbake.resolve.template import Renderer
from mpbake.resolve.values import ValueRenderer
from tests.unit.plans import problems_of_text, read_text, resolve_files, resolve_text, target_of_text, text

if TYPE_CHECKING:
    from pathlib import Path

    from mpbake.base.errors import KeyPath
    from mpbake.resolve.targets.inheritance import InheritedTable
    from mpbake.spec.problem import Problem

PLAN = """
    [targets._far]
    context = "far"
    args = { A = 1, B = 1, C = 1 }
    tags = ["far"]
    needs = ["one", "two"]
    secret = ["id=a", "id=b"]
    [targets._near]
    inherits = ["_far"]
    args = { A = 2, B = 2 }
    needs = ["three"]
    secret = ["id=b,src=near"]
    [targets.web]
    inherits = ["_near"]
    args = { A = 3 }
    needs = ["four"]
    secret = ["id=c"]
    """


def _merged(toml: str, name: str, problems: list[Problem]) -> InheritedTable:
    """Return a table of a plan with its inherited attributes, before templates are rendered."""
    _, spec = read_text(toml)
    renderer = ValueRenderer(templates=Renderer(), problems=problems)
    return Inheritance(spec, {}, renderer).layers(name, {}).merged(())


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("context",), ("_far", "context")),
        (("args", "A"), ("web", "args", "A")),
        (("args", "B"), ("_near", "args", "B")),
        (("args", "C"), ("_far", "args", "C")),
        (("args", "D"), ("web", "args", "D")),
        (("args",), ("web", "args")),
        (("tags", 0), ("_far", "tags", 0)),
        (("tags", 7), ("_far", "tags", 7)),
        (("needs", 0), ("_far", "needs", 0)),
        (("needs", 1), ("_far", "needs", 1)),
        (("needs", 2), ("_near", "needs", 0)),
        (("needs", 3), ("web", "needs", 0)),
        (("secret", 0), ("_far", "secret", 0)),
        (("secret", 1), ("_near", "secret", 0)),
        (("secret", 2), ("web", "secret", 0)),
        (("labels", "x"), ("web", "labels", "x")),
        ((), ("web",)),
    ],
)
def test_the_place_of_a_value(path: KeyPath, place: tuple[Any, ...]) -> None:
    problems: list[Any] = []
    web = _merged(PLAN, "web", problems)
    assert web.key_of(path) == ("targets", *place)
    assert web.raw["secret"] == ["id=a", "id=b,src=near", "id=c"]
    assert problems == []


def test_a_mistake_in_an_inherited_list_is_shown_where_it_stands() -> None:
    problems = problems_of_text("""
        [targets.ok]
        [targets._base]
        needs = ["okk"]
        [targets.web]
        inherits = ["_base"]
        needs = ["ok"]
    """)
    assert problems == (
        'build.toml:4: targets._base.needs[0]: unknown target "okk"\n    needs = ["okk"]\n  = did you mean "ok"?'
    )


def test_a_mistake_in_a_template_for_a_whole_list_is_shown_where_it_stands() -> None:
    problems = problems_of_text("""
        [targets.ok]
        [targets._base]
        needs = "{{ ['ok', 'okk'] }}"
        [targets.web]
        inherits = ["_base"]
        needs = ["ok"]
    """)
    assert problems == (
        'build.toml:4: targets._base.needs[1]: unknown target "okk"\n'
        "    needs = \"{{ ['ok', 'okk'] }}\"\n"
        '  = did you mean "ok"?'
    )


# --- defaults of all targets ------------------------------------------------------------------------------------------

DEFAULTS = """
    [defaults.target]
    context = "all"
    dockerfile = "all"
    args = { A = 0, D = 0 }
    no-cache-filter = ["all"]
    secret = ["id=all", "id=b"]
    tags = ["all"]
    [targets._image]
    context = "image"
    args = { A = 1, B = 1 }
    no-cache-filter = ["image"]
    [targets._other]
    args = { B = 2 }
    [targets.web]
    inherits = ["_image", "_other"]
    secret = ["id=b,env=B"]
    no-cache-filter = ["web"]
    [targets.plain]
    """


def test_defaults_rank_below_every_parent() -> None:
    targets = resolve_text(DEFAULTS).targets
    assert targets["web"].tags == ("all:latest",)
    assert targets["web"].attributes == {
        "context": "/plan/image",
        "dockerfile": "all",
        "args": {"A": "1", "D": "0", "B": "2"},
        "no-cache-filter": ["all", "image", "web"],
        "secret": ["id=all", "id=b,env=B"],
    }
    assert targets["plain"].attributes == {
        "context": "/plan/all",
        "dockerfile": "all",
        "args": {"A": "0", "D": "0"},
        "no-cache-filter": ["all"],
        "secret": ["id=all", "id=b"],
    }


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("dockerfile",), ("defaults", "target", "dockerfile")),
        (("context",), ("targets", "_image", "context")),
        (("args", "D"), ("defaults", "target", "args", "D")),
        (("args", "B"), ("targets", "_other", "args", "B")),
        (("no-cache-filter", 0), ("defaults", "target", "no-cache-filter", 0)),
        (("no-cache-filter", 1), ("targets", "_image", "no-cache-filter", 0)),
        (("secret", 1), ("targets", "web", "secret", 0)),
        (("labels",), ("targets", "web", "labels")),
    ],
)
def test_the_place_of_a_default(path: KeyPath, place: KeyPath) -> None:
    assert _merged(DEFAULTS, "web", []).key_of(path) == place


def test_a_mistake_in_the_defaults_is_told_once_and_where_it_stands() -> None:
    assert problems_of_text("""
        [defaults.target]
        builder = "relase"
        args = { A = "{{ nope }}" }
        [targets.web]
        [targets.db]
        """) == text("""
        build.toml:3: defaults.target.builder: unknown builder "relase"
            builder = "relase"
          = known builders: default
        build.toml:4: defaults.target.args.A: unknown variable "nope"
            args = { A = "{{ nope }}" }
          = there are no variables
        """)


def test_templates_of_the_defaults_are_filled_in_for_each_row() -> None:
    plan = resolve_text("""
        [defaults.target]
        labels = { row = "{{ v }}" }
        [targets.web]
        matrix = { v = [1, 2] }
        name = "web-{{ v }}"
        """)
    assert [target.attributes["labels"] for target in plan.targets.values()] == [{"row": "1"}, {"row": "2"}]


DIAMOND = """
    [variables]
    caches = ["user/some"]
    [targets._a]
    annotations = ["index:k=1", "index:k=1"]
    cache-from = ["user/all", "type=local,src=cache"]
    ulimits = ["nofile=1"]
    needs = ["one"]
    checks = [{ run = ["true"] }, { run = ["true"] }]
    [targets._b]
    inherits = ["_a"]
    annotations = ["index:k=2"]
    [targets._c]
    inherits = ["_a"]
    cache-from = "{{ caches }}"
    [targets.web]
    inherits = ["_a", "_b", "_c", "_c"]
    annotations = ["index:k=3", "index:k=3"]
    ulimits = ["nofile=1", "nofile=2"]
    cache-from = ["type=local,src=cache"]
    checks = [{ run = ["true"] }, { run = ["false"] }]
    [targets.one]
    """


def test_what_comes_by_way_of_two_parents_is_there_once() -> None:
    web = target_of_text(DIAMOND)
    assert web.attributes["annotations"] == ["index:k=1", "index:k=2", "index:k=3"]
    assert web.attributes["ulimits"] == ["nofile=1", "nofile=2"]
    assert web.attributes["cache-from"] == ["user/all", "type=local,src=/plan/cache", "user/some"]
    assert [need.name for need in web.needs] == ["one"]
    assert [check.run for check in web.checks] == [("true",), ("false",)]


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("annotations", 0), ("_a", "annotations", 0)),
        (("annotations", 1), ("_b", "annotations", 0)),
        (("annotations", 2), ("web", "annotations", 0)),
        (("cache-from", 1), ("_a", "cache-from", 1)),
        (("cache-from", 2), ("_c", "cache-from", 0)),
        (("ulimits", 0), ("_a", "ulimits", 0)),
        (("ulimits", 1), ("web", "ulimits", 1)),
        (("checks", 1), ("web", "checks", 1)),
    ],
)
def test_the_place_of_what_is_there_once(path: KeyPath, place: KeyPath) -> None:
    assert target_of_text(DIAMOND).source_key(path) == ("targets", *place)


def test_parents_of_parents_do_not_double_each_time() -> None:
    plan = "".join(f"\n[targets._{number}]\ninherits = ['_{number - 1}', '_{number - 1}']" for number in range(1, 60))
    table = _merged(f"\n[targets._0]\nneeds = ['{{{{ x }}}}']{plan}", "_59", [])
    assert table.raw["needs"] == ["{{ x }}"]


@pytest.mark.parametrize(
    ("tables", "attribute", "items"),
    [
        (
            """
            [targets._a]
            cache-from = ["type=registry,ref={{ r }}/c", "type=registry,ref=q/src"]
            [targets._b]
            cache-from = ["type=registry,ref={{ r }}/c", "type=registry,ref=q/src"]
            [targets.web]
            inherits = ["_a", "_b"]
            """,
            "cache-from",
            ["type=registry,ref=q/c", "type=registry,ref=q/src"],
        ),
        (
            """
            [targets._a]
            annotations = ["k={{ r }}", "l=1"]
            [targets.web]
            inherits = ["_a"]
            annotations = ["k=q", "m=1"]
            """,
            "annotations",
            ["k=q", "l=1", "m=1"],
        ),
        (
            """
            [targets._a]
            cache-from = ["type=local,src=c"]
            [targets.web]
            inherits = ["_a"]
            platforms = ["linux/386"]
            platform."linux/386".cache-from = ["type=local,src=./{{ platform.arch[:0] }}c", "x/y"]
            """,
            "cache-from",
            ["type=local,src=/plan/c", "x/y"],
        ),
    ],
)
def test_what_is_the_same_when_it_is_rendered_is_there_once(tables: str, attribute: str, items: list[str]) -> None:
    plan = '\n[variables]\nr = "q"\n' + dedent(tables)
    assert target_of_text(plan).attributes[attribute] == items


def test_equal_paths_of_two_files_are_two(tmp_path: Path) -> None:
    files = {
        "build.toml": """
            include = ["sub/more.toml"]
            [targets.web]
            inherits = ["_a"]
            cache-from = ["type=local,src=cache", "user/all"]
            """,
        "sub/more.toml": """
            [targets._a]
            cache-from = ["type=local,src=cache", "user/all"]
            """,
    }
    caches = resolve_files(tmp_path, files).targets["web"].attributes["cache-from"]
    first, second = (f"type=local,src={folder}/cache" for folder in (tmp_path / "sub", tmp_path))
    assert caches == [first, "user/all", second]


def test_what_is_set_for_an_output_counts_from_the_folder_of_the_plan(tmp_path: Path) -> None:
    files = {
        "build.toml": '\ninclude = ["inc/more.toml"]',
        "inc/more.toml": '\n[targets.w]\noutput = ["out"]\ncache-to = ["type=local,dest=a"]',
    }
    settings = ["w.output+=out", "w.output+=./inc/out", "w.cache-to+=type=local,dest=a"]
    web = resolve_files(tmp_path, files, settings=settings).targets["w"]
    assert web.outputs == tuple(f"type=local,dest={tmp_path}/{folder}" for folder in ("inc/out", "out"))
    assert web.attributes["cache-to"] == [f"type=local,dest={tmp_path}/{folder}" for folder in ("inc/a", "a")]
    assert [web.source_key(("output", at)) for at in (0, 1)] == [
        ("targets", "w", "output", 0),
        ("--set", 0, "output", 0),
    ]


def test_what_is_set_as_the_plan_has_it_already_is_there_once() -> None:
    plan = '\n[targets.web]\noutput = ["out"]\ncache-to = ["type=local,dest=a"]'
    web = target_of_text(plan, settings=["web.cache-to+=type=local,dest=a", "web.output+=out"])
    assert web.attributes["cache-to"] == ["type=local,dest=/plan/a"]
    assert web.outputs == ("type=local,dest=/plan/out",)


# --- platforms that differ --------------------------------------------------------------------------------------------

PLATFORMS = """
    [defaults.target.platform."linux/386"]
    target = "old"
    [targets._image]
    platforms = ["linux/amd64", "linux/arm64", "linux/386"]
    args = { A = 1, B = 1 }
    cache-from = ["user/all"]
    [targets._image.platform."linux/arm64"]
    args = { A = 2, C = 2 }
    cache-from = ["user/arm"]
    [targets.web]
    inherits = ["_image"]
    args = { A = 3, D = 3 }
    [targets.web.platform."linux/aarch64"]
    args = { C = 4 }
    cache-from = ["user/web"]
    dockerfile = "arm"
    """


@pytest.mark.parametrize(
    ("platform", "attributes"),
    [
        ("linux/amd64", {"args": {"A": "3", "B": "1", "D": "3"}, "cache-from": ["user/all"]}),
        (
            "linux/arm64",
            {
                "args": {"A": "2", "B": "1", "D": "3", "C": "4"},
                "cache-from": ["user/all", "user/arm", "user/web"],
                "dockerfile": "arm",
            },
        ),
        ("linux/386", {"args": {"A": "3", "B": "1", "D": "3"}, "cache-from": ["user/all"], "target": "old"}),
    ],
)
def test_a_platform_combines_with_the_rest_as_inheritance_does(platform: str, attributes: dict[str, Any]) -> None:
    web = target_of_text(PLATFORMS)
    assert web.on([parse_platform(platform)]).attributes == {"context": "/plan", **attributes}


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("args", "A"), ("targets", "_image", "platform", "linux/arm64", "args", "A")),
        (("args", "B"), ("targets", "_image", "args", "B")),
        (("args", "C"), ("targets", "web", "platform", "linux/aarch64", "args", "C")),
        (("args", "D"), ("targets", "web", "args", "D")),
        (("cache-from", 0), ("targets", "_image", "cache-from", 0)),
        (("cache-from", 1), ("targets", "_image", "platform", "linux/arm64", "cache-from", 0)),
        (("cache-from", 2), ("targets", "web", "platform", "linux/aarch64", "cache-from", 0)),
        (("dockerfile",), ("targets", "web", "platform", "linux/aarch64", "dockerfile")),
        (("platforms", 0), ("targets", "_image", "platforms", 0)),
    ],
)
def test_the_place_of_a_value_for_a_platform(path: KeyPath, place: KeyPath) -> None:
    assert target_of_text(PLATFORMS).on([parse_platform("linux/arm64")]).source_key(path) == place


def test_a_platform_written_in_two_ways() -> None:
    assert problems_of_text("""
        [targets.web]
        platforms = ["linux/amd64"]
        [targets.web.platform."linux/amd64"]
        args = { A = 1 }
        [targets.web.platform."linux/x86_64"]
        args = { B = 1 }
        """) == text("""
        build.toml:6: targets.web.platform."linux/x86_64": a second table for linux/amd64
            [targets.web.platform."linux/x86_64"]
          = merge the two tables
        """)


def test_two_tables_may_write_a_platform_in_two_ways() -> None:
    target = target_of_text("""
        [targets._image.platform."linux/x86_64"]
        args = { A = 1 }
        [targets.web]
        inherits = ["_image"]
        platforms = ["linux/amd64"]
        [targets.web.platform."linux/amd64"]
        args = { B = 1 }
        """)
    assert target.attributes["args"] == {"A": "1", "B": "1"}
