"""Groups, and the selection of targets by name."""

from __future__ import annotations

import re

import pytest

from mpbake.base.errors import UsageError
from mpbake.model.plan import Group
from mpbake.resolve import select_targets
from tests.unit.plans import problems_of_text, resolve_text, text

PLAN = """
    [variables]
    chosen = ["db", "tool"]
    [groups]
    default = ["site", "tool"]
    site = ["web-*", "db"]
    all = ["*"]
    nested = { targets = ["php", "site"], description = "more than the site" }
    computed = "{{ chosen }}"
    optional = ["db", "{{ '' }}"]
    nothing = []
    [targets._template]
    [targets.web-one]
    [targets.db]
    [targets.web-two]
    [targets.php]
    description = "both versions"
    matrix = { v = ["1", "2"] }
    name = "php-{{ v }}"
    [targets.tool]
    """


def names_of(group: str) -> list[str]:
    return [target.name for target in resolve_text(PLAN).groups[group].targets]


@pytest.mark.parametrize(
    ("group", "names"),
    [
        ("default", ["web-one", "web-two", "db", "tool"]),
        ("site", ["web-one", "web-two", "db"]),
        ("all", ["web-one", "db", "web-two", "php-1", "php-2", "tool"]),
        ("nested", ["php-1", "php-2", "web-one", "web-two", "db"]),
        ("computed", ["db", "tool"]),
        ("optional", ["db"]),
        ("nothing", []),
        ("php", ["php-1", "php-2"]),
    ],
)
def test_the_targets_of_a_group(group: str, names: list[str]) -> None:
    assert names_of(group) == names


def test_matrices_come_first_then_groups_in_the_order_of_the_file() -> None:
    plan = resolve_text(PLAN)
    assert list(plan.groups) == [
        "php",
        "default",
        "site",
        "all",
        "nested",
        "computed",
        "optional",
        "nothing",
    ]
    assert plan.groups["nested"].description == "more than the site"
    assert plan.groups["php"] == Group(
        name="php", targets=(plan.targets["php-1"], plan.targets["php-2"]), description="both versions"
    )


def test_a_pattern_of_a_group_may_stand_for_rows() -> None:
    plan = resolve_text("""
        [groups]
        old = ["php-[12]*"]
        [targets.php]
        matrix = { v = ["1", "2", "3"] }
        name = "php-{{ v }}"
        """)
    assert [target.name for target in plan.groups["old"].targets] == ["php-1", "php-2"]


def test_a_group_may_have_the_name_of_a_template() -> None:
    plan = resolve_text("""
        [groups]
        _image = ["web"]
        [targets._image]
        [targets.web]
        """)
    assert list(plan.groups) == ["_image"]


@pytest.mark.parametrize(
    ("groups", "problem"),
    [
        ('all = ["wbe"]', 'all[0]: unknown target "wbe"\n  = did you mean "web"?'),
        ('all = ["web", "x-*"]', 'all[1]: unknown target "x-*"\n  = known targets: all, db, web'),
        ('all = ["_template"]', 'all[0]: unknown target "_template"\n  = known targets: all, db, web'),
        ('all = { targets = ["wbe"] }', 'all.targets[0]: unknown target "wbe"\n  = did you mean "web"?'),
        ('all = ["{{ nope }}"]', 'all[0]: unknown variable "nope"\n  = known variables: n'),
        ('all = "{{ nope }}"', 'all: unknown variable "nope"\n  = known variables: n'),
        ('all = "{{ n }}"', "all: must be a list of names"),
        ("all = \"{{ 'web' }}\"", "all: must be a list of names"),
        ('all = ["{{ n }}"]', "all: must be a list of names"),
        ('all = { targets = ["{{ [] }}"] }', "all.targets: must be a list of names"),
        ('all = ["all"]', "all: references form a cycle: all -> all\n  = remove one of these references"),
        (
            '"a b" = []',
            (
                '"a b": "a b" is not a valid name\n'
                "  = use letters, digits, - and _ (in templates: {{ x | replace('.', '-') }})"
            ),
        ),
    ],
)
def test_a_wrong_group(groups: str, problem: str) -> None:
    message, _, hint = problem.partition("\n")
    plan = f"\n[variables]\nn = 1\n[targets.web]\n[targets.db]\n[targets._template]\n[groups]\n{groups}"
    expected = f"build.toml:8: groups.{message}\n    {groups}" + (f"\n{hint}" if hint else "")
    assert problems_of_text(plan) == expected


@pytest.mark.parametrize("order", [("a", "b", "c"), ("c", "b", "a"), ("b", "c", "a")])
def test_a_cycle_of_groups_is_always_told_from_the_same_one(order: tuple[str, ...]) -> None:
    after = {"a": "b", "b": "c", "c": "a"}
    lines = [f'{name} = ["web", "{after[name]}"]' for name in order]
    assert problems_of_text("\n[targets.web]\n[groups]\n" + "\n".join(lines)) == (
        f"build.toml:{4 + order.index('a')}: groups.a: references form a cycle: a -> b -> c -> a\n"
        '    a = ["web", "b"]\n'
        "  = remove one of these references"
    )


SAME_NAME = """
    [groups]
    web = ["web", "api"]
    all = ["web"]
    [targets.web]
    [targets.api]
    needs = ["web"]
    [targets.web-2]
    """


@pytest.mark.parametrize(
    ("names", "selected"),
    [
        (["web"], ["web", "api"]),
        (["all"], ["web", "api"]),
        (["web*"], ["web", "web-2"]),
        (["[w]eb"], ["web"]),
        (["*", "!web"], ["web-2"]),
        (["*", "![w]eb"], ["api", "web-2"]),
    ],
)
def test_a_group_and_a_target_of_one_name(names: list[str], selected: list[str]) -> None:
    plan = resolve_text(SAME_NAME)
    assert [target.name for target in select_targets(plan, names)] == selected
    assert [target.name for target in plan.targets["api"].needs] == ["web"]


def test_a_group_with_the_name_of_a_disabled_target() -> None:
    plan = resolve_text(SAME_NAME.replace("[targets.web]", "[targets.web]\n    enabled = false").replace("needs", "#"))
    assert [target.name for target in select_targets(plan, ["web"])] == ["api"]


def test_a_group_with_the_name_of_a_matrix() -> None:
    plan = resolve_text("""
        [groups]
        php = ["php", "web"]
        php-1 = ["php-1", "web"]
        all = ["php"]
        [targets.php]
        matrix = { v = ["1", "2"] }
        name = "php-{{ v }}"
        [targets.web]
        needs = ["php"]
        """)
    groups = {name: [target.name for target in group.targets] for name, group in plan.groups.items()}
    assert groups == {
        "php": ["php-1", "php-2", "web"],
        "php-1": ["php-1", "web"],
        "all": ["php-1", "php-2", "web"],
    }
    assert [target.name for target in plan.targets["web"].needs] == ["php-1", "php-2"]


def test_a_row_of_a_matrix_cannot_have_the_name_of_the_whole() -> None:
    assert problems_of_text("""
        [targets.php]
        matrix = { suffix = ["", "-debug"] }
        name = "php{{ suffix }}"
        """) == text("""
        build.toml:2: targets.php: "php" is both a target and a matrix
            [targets.php]
          = give each row of the matrix its own name
        """)


def test_a_row_of_another_matrix_neither() -> None:
    assert problems_of_text("""
        [targets.php]
        matrix = { v = ["1", "2"] }
        name = "php-{{ v }}"
        [targets.other]
        matrix = { v = ["php", "x"] }
        name = "{{ v }}"
        """) == text("""
        build.toml:5: targets.other: "php" is both a target and a matrix
            [targets.other]
          = give each row of the matrix its own name
        """)


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ([], ["web-one", "web-two", "db", "tool"]),
        (["default"], ["web-one", "web-two", "db", "tool"]),
        (["db"], ["db"]),
        (["php"], ["php-1", "php-2"]),
        (["php-2", "php"], ["php-2", "php-1"]),
        (["web-*"], ["web-one", "web-two"]),
        (["tool", "site", "tool"], ["tool", "web-one", "web-two", "db"]),
        (["?b"], ["db"]),
    ],
)
def test_what_is_typed_means_targets(typed: list[str], names: list[str]) -> None:
    assert [target.name for target in select_targets(resolve_text(PLAN), typed)] == names


def test_a_target_named_default_is_taken_when_nothing_is_typed() -> None:
    plan = resolve_text("\n[targets.web]\n[targets.default]")
    assert select_targets(plan, []) == (plan.targets["default"],)


@pytest.mark.parametrize(
    ("typed", "message", "hint"),
    [
        (["wbe-one"], 'unknown target or group "wbe-one"', 'did you mean "web-one"?'),
        (["db", "x*"], 'unknown target or group "x*"', "known groups and targets: db, release, web-one"),
        (["_template"], 'unknown target or group "_template"', "known groups and targets: db, release, web-one"),
        (["empty"], 'unknown target or group "empty"', "known groups and targets: db, release, web-one"),
        (["a\nb\x00"], r'unknown target or group "a\nb\x00"', "known groups and targets: db, release, web-one"),
        ([""], 'unknown target or group ""', "known groups and targets: db, release, web-one"),
        ([], 'the plan has no group "default"', "name what to build; groups and targets: release, web-one, db"),
    ],
)
def test_what_is_typed_means_nothing(typed: list[str], message: str, hint: str) -> None:
    plan = resolve_text("""
        [groups]
        release = ["db"]
        [targets.web-one]
        [targets.db]
        [targets._template]
        """)
    with pytest.raises(UsageError) as caught:
        select_targets(plan, typed)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_of_many_names_the_first_are_told() -> None:
    plan = resolve_text("".join(f"[targets.t{number}]\n" for number in range(40)))
    with pytest.raises(UsageError) as caught:
        select_targets(plan, [])
    assert (
        caught.value.hint
        == "name what to build; groups and targets: t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11 and 28 more"
    )


def test_nothing_typed_for_a_plan_without_targets() -> None:
    with pytest.raises(UsageError) as caught:
        select_targets(resolve_text(""), [])
    assert caught.value.hint == "name what to build; groups and targets: none"


@pytest.mark.parametrize(
    ("names", "outcome"),
    [
        (["php-*", "!php-2"], ["php-1", "php-3"]),
        (["!php-2", "php-*"], ["php-1", "php-3"]),
        (["!php-*"], ["web"]),
        (["php", "web", "!all-but-web"], ["web"]),
        (["web", "!php-9*"], 'unknown target or group "php-9*"'),
        (["web", "!web"], "no target is selected"),
        (["empty"], "no target is selected"),
    ],
)
def test_an_exclamation_mark_leaves_out(names: list[str], outcome: list[str] | str) -> None:
    plan = resolve_text("""
        [groups]
        default = ["*"]
        all-but-web = ["php"]
        empty = []
        [targets.php]
        matrix = { v = ["1", "2", "3"] }
        name = "php-{{ v }}"
        [targets.web]
        """)
    if isinstance(outcome, list):
        assert [target.name for target in select_targets(plan, names)] == outcome
    else:
        with pytest.raises(UsageError, match=re.escape(outcome)):
            select_targets(plan, names)


def test_what_is_disabled_is_not_in_the_plan() -> None:
    plan = """
        [variables]
        debug = false
        [groups]
        default = ["web", "debug", "php"]
        [targets.web]
        [targets.debug]
        enabled = "{{ debug }}"
        [targets.php]
        matrix = { v = ["1", "2"] }
        name = "php-{{ v }}"
        enabled = "{{ debug or v == '2' }}"
        """
    resolved = resolve_text(plan)
    assert list(resolved.targets) == ["web", "php-2"]
    assert [target.name for target in select_targets(resolved, [])] == ["web", "php-2"]
    with pytest.raises(UsageError, match='target "debug" is disabled'):
        select_targets(resolved, ["debug"])
    assert list(resolve_text(plan, variables={"debug": "yes"}).targets) == ["web", "debug", "php-1", "php-2"]


def test_a_reference_to_a_disabled_target() -> None:
    assert problems_of_text("""
        [targets.base]
        enabled = false
        [targets.web]
        needs = ["base"]
        contexts = { base = "target:base" }
        """) == text("""
        build.toml:5: targets.web.needs[0]: target "base" is disabled
            needs = ["base"]
          = enable it under the same condition as this target, or remove the reference
        build.toml:6: targets.web.contexts.base: target "base" is disabled
            contexts = { base = "target:base" }
          = enable it under the same condition as this target, or remove the reference
        """)


def test_enabled_is_true_or_false() -> None:
    assert problems_of_text("""
        [targets.web]
        enabled = "{{ 'yes' }}"
        """).startswith("build.toml:3: targets.web.enabled: must be true or false, not text")
