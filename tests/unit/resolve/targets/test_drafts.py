"""The drafts of targets: inheritance, matrix, templates and overrides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.errors import UsageError
from mpbake.base.platforms import parse_platforms
from mpbake.resolve.targets import matrix
from mpbake.spec.tables.attributes import Merge
from mpbake.spec.tables.target_tables import ATTRIBUTES
from tests.unit.plans import problems_of_text, resolve_files, resolve_text, target_of_text, text

if TYPE_CHECKING:
    from pathlib import Path

    from mpbake.model.plan import Target


def seen(target: Target, attribute: str) -> Any:
    """Return the resolved value of an attribute, or None if the target does not have it."""
    match attribute:
        case "builder":
            return target.builder.name
        case "platforms":
            return [str(platform) for platform in target.platforms]
        case "output":
            return list(target.outputs)
        case "needs":
            return [needed.name for needed in target.needs]
        case "checks":
            return [(check.run, check.target, list(map(str, check.platforms))) for check in target.checks]
        case "platform":
            return {str(platform): dict(target.on([platform]).attributes) for platform in target.platforms}
        case "tags":
            return list(target.tags)
        case "push" | "load" | "description" | "timeout" | "stall-timeout" | "retries":
            return getattr(target, attribute.replace("-", "_"))
        case _:
            return target.attributes.get(attribute)


# attribute, value of the parent, value of the target, result with only the parent's value, result with both values
INHERITED: list[tuple[str, str, str, Any, Any]] = [
    ("builder", '"one"', '"two"', "one", "two"),
    ("description", '"a"', '"b"', "a", "b"),
    ("context", '"a"', '"b"', "/plan/a", "/plan/b"),
    ("dockerfile", '"a"', '"b"', "a", "b"),
    ("dockerfile-inline", '"FROM a"', '"FROM b"', "FROM a", "FROM b"),
    (
        "contexts",
        '{ x = "docker-image://a", y = "docker-image://b" }',
        '{ y = "docker-image://c", z = "docker-image://d" }',
        {"x": "docker-image://a", "y": "docker-image://b"},
        {"x": "docker-image://a", "y": "docker-image://c", "z": "docker-image://d"},
    ),
    ("args", "{ A = 1, B = 1 }", "{ B = 2, C = 2 }", {"A": "1", "B": "1"}, {"A": "1", "B": "2", "C": "2"}),
    ("labels", "{ a = 1, b = 1 }", "{ b = 2 }", {"a": "1", "b": "1"}, {"a": "1", "b": "2"}),
    ("annotations", '["a=1", "b=1"]', '["b=1", "c=1"]', ["a=1", "b=1"], ["a=1", "b=1", "c=1"]),
    ("tags", '["a"]', '["b", "c"]', ["a:latest"], ["b:latest", "c:latest"]),
    ("platforms", '["linux/amd64"]', '["linux/arm64"]', ["linux/amd64"], ["linux/arm64"]),
    (
        "platform",
        '{ "linux/amd64" = { target = "a", args = { A = 1 } } }',
        '{ "linux/amd64" = { args = { B = 2 } }, "linux/arm64" = { target = "b" } }',
        {"linux/amd64": {"context": "/plan", "target": "a", "args": {"A": "1"}}, "linux/arm64": {"context": "/plan"}},
        {
            "linux/amd64": {"context": "/plan", "target": "a", "args": {"A": "1", "B": "2"}},
            "linux/arm64": {"context": "/plan", "target": "b"},
        },
    ),
    ("target", '"a"', '"b"', "a", "b"),
    ("cache-from", '["type=gha"]', '["user/app"]', ["type=gha"], ["type=gha", "user/app"]),
    ("cache-to", '["type=gha"]', '["type=inline"]', ["type=gha"], ["type=inline"]),
    (
        "secret",
        '["id=a,env=A", "id=b,env=A"]',
        '["id=b,env=B", "env=C,id=c"]',
        ["id=a,env=A", "id=b,env=A"],
        ["id=a,env=A", "id=b,env=B", "env=C,id=c"],
    ),
    ("ssh", '["default", "k=/a"]', '["k=/b", "l=/c"]', ["default", "k=/a"], ["default", "k=/b", "l=/c"]),
    (
        "attest",
        '["type=sbom", "type=provenance,mode=min"]',
        '["mode=max,type=provenance"]',
        ["type=sbom", "type=provenance,mode=min"],
        ["type=sbom", "mode=max,type=provenance"],
    ),
    ("output", '["type=local,dest=/a"]', '["type=tar,dest=/b"]', ["type=local,dest=/a"], ["type=tar,dest=/b"]),
    ("push", "true", "false", True, False),
    ("load", "true", "false", True, False),
    ("needs", '["other"]', '["another", "other"]', ["other"], ["other", "another"]),
    (
        "checks",
        '[{ run = ["a"] }]',
        '[{ target = "b", platforms = ["linux/386"] }]',
        [(("a",), "", [])],
        [(("a",), "", []), ((), "b", ["linux/386"])],
    ),
    ("enabled", "true", '"{{ 1 == 1 }}"', None, None),
    ("timeout", '"30m"', '"1h30m"', 1800.0, 5400.0),
    ("stall-timeout", "'1m'", '"{{ 2 }}m"', 60.0, 120.0),
    ("retries", "1", '"{{ 1 + 1 }}"', 1, 2),
    ("no-cache", "true", "false", True, None),
    ("no-cache-filter", '["a"]', '["b"]', ["a"], ["a", "b"]),
    ("pull", "true", "false", True, None),
    ("shm-size", '"1g"', '"2g"', "1g", "2g"),
    ("ulimits", '["nofile=1:2"]', '["nofile=3:4"]', ["nofile=1:2"], ["nofile=1:2", "nofile=3:4"]),
    ("network", '"none"', '"host"', "none", "host"),
    ("extra-hosts", '{ a = "1", b = "1" }', '{ b = "2" }', {"a": "1", "b": "1"}, {"a": "1", "b": "2"}),
    ("entitlements", '["network.host"]', '["device"]', ["network.host"], ["network.host", "device"]),
    (
        "resources",
        '{ memory = "1g", cpu-shares = 1 }',
        '{ memory = "2g" }',
        {"memory": "1g", "cpu-shares": 1},
        {"memory": "2g", "cpu-shares": 1},
    ),
    ("policy", '["reset=true"]', '["filename=a.rego"]', ["reset=true"], ["reset=true", "filename=a.rego"]),
    ("call", '"check"', '"outline"', "check", "outline"),
]

BUILDERS = """
[builders.one]
[builders.two]
"""
OTHERS = """
[targets.other]
[targets.another]
"""


def test_the_table_has_every_attribute_that_is_inherited() -> None:
    # `let` is tested in test_local_names.py: its names are not part of a target.
    inherited = [name for name, declared in ATTRIBUTES.items() if declared.merge is not Merge.OWN and name != "let"]
    assert sorted(row[0] for row in INHERITED) == sorted(inherited)


@pytest.mark.parametrize(("attribute", "parent", "own", "inherited", "merged"), INHERITED)
def test_how_an_attribute_is_inherited(attribute: str, parent: str, own: str, inherited: Any, merged: Any) -> None:
    around = {"tags": '["t"]', "platforms": '["linux/amd64", "linux/arm64"]'}
    lines = [f"{name} = {value}" for name, value in around.items() if name != attribute]
    common = "\n".join([BUILDERS, *([OTHERS] if attribute == "needs" else []), "[targets._p]", *lines, ""])
    child = f'{common}{attribute} = {parent}\n[targets.web]\ninherits = ["_p"]\n'
    assert seen(target_of_text(child), attribute) == inherited
    assert seen(target_of_text(f"{child}{attribute} = {own}"), attribute) == merged
    # a value that only the target has gives the same result as a value that only a parent has
    alone = f"{common}[targets.web]\ninherits = ['_p']\n{attribute} = {parent}"
    assert seen(target_of_text(alone), attribute) == inherited
    # defaults have the lowest rank (`needs` in the defaults would make a target need itself)
    if attribute in {"needs", "description"}:
        return
    general = f"{common}[defaults.target]\n{attribute} = {parent}\n[targets.web]\ninherits = ['_p']\n"
    assert seen(target_of_text(general), attribute) == inherited
    assert seen(target_of_text(f"{general}{attribute} = {own}"), attribute) == merged


def test_what_is_not_inherited() -> None:
    plan = resolve_text("""
        [targets.base]
        description = "the base"
        matrix = { v = ["1", "2"] }
        name = "base-{{ v }}"
        context = "base"
        [targets.middle]
        inherits = ["base"]
        [targets.web]
        inherits = ["middle"]
        """)
    assert list(plan.targets) == ["base-1", "base-2", "middle", "web"]
    assert plan.targets["base-1"].description == plan.targets["web"].description == "the base"
    assert plan.targets["web"].attributes == {"context": "/plan/base"}


def test_parents_count_from_left_to_right_and_the_own_value_last() -> None:
    plan = """
        [targets._a]
        context = "a"
        args = { ALL = "a", AB = "a", A = "a" }
        no-cache-filter = ["a"]
        [targets._b]
        context = "b"
        args = { ALL = "b", AB = "b", B = "b" }
        no-cache-filter = ["b"]
        [targets.web]
        inherits = ["_a", "_b"]
        args = { ALL = "web", WEB = "web" }
        no-cache-filter = ["web"]
        """
    assert target_of_text(plan).attributes == {
        "context": "/plan/b",
        "args": {"ALL": "web", "AB": "b", "A": "a", "B": "b", "WEB": "web"},
        "no-cache-filter": ["a", "b", "web"],
    }
    swapped = target_of_text(plan.replace('["_a", "_b"]', '["_b", "_a"]'))
    assert swapped.attributes["context"] == "/plan/a"
    assert swapped.attributes["args"]["AB"] == "a"
    assert swapped.attributes["no-cache-filter"] == ["b", "a", "web"]


def test_inheritance_goes_through_several_generations_in_any_order_of_the_file() -> None:
    plan = """
        [targets.web]
        inherits = ["_child"]
        [targets._child]
        inherits = ["_parent"]
        args = { C = 1 }
        [targets._parent]
        args = { P = 1, C = 0 }
        """
    assert target_of_text(plan).attributes["args"] == {"P": "1", "C": "1"}


def test_an_empty_value_of_the_target_replaces_the_inherited_one() -> None:
    plan = """
        [targets._p]
        context = "x"
        dockerfile = "x"
        tags = ["x"]
        output = ["type=local,dest=x"]
        [targets.web]
        inherits = ["_p"]
        context = ""
        dockerfile = ""
        tags = []
        output = []
        """
    target = target_of_text(plan)
    assert target.attributes == {"context": "/plan"}
    assert (target.tags, target.outputs) == ((), ())


def test_a_template_for_a_whole_list_or_table_combines_as_what_it_becomes() -> None:
    plan = """
        [variables]
        more = ["c=3"]
        common = { default = { A = "9", X = "1" } }
        [defaults.target]
        args = { X = "0", Y = "0" }
        [targets._p]
        annotations = ["a=1"]
        ulimits = "{{ more }}"
        args = "{{ common }}"
        labels = { a = "1" }
        secret = ["id=a,env=A", "id=b,env=B"]
        [targets.web]
        inherits = ["_p"]
        annotations = "{{ more }}"
        ulimits = ["b=2"]
        args = { X = "2", B = "2" }
        labels = "{{ {'a': 2, 'b': 2} }}"
        secret = "{{ ['id=b', 'id=c'] }}"
        """
    assert target_of_text(plan).attributes == {
        "context": "/plan",
        "annotations": ["a=1", "c=3"],
        "ulimits": ["c=3", "b=2"],
        "args": {"X": "2", "Y": "0", "A": "9", "B": "2"},
        "labels": {"a": "2", "b": "2"},
        "secret": ["id=a,env=A", "id=b", "id=c"],
    }


def test_two_templates_for_a_whole_list_or_table() -> None:
    plan = """
        [variables]
        one = ["id=1"]
        two = ["id=2"]
        [targets._p]
        annotations = "{{ one }}"
        args = "{{ {'A': '1', 'B': '1'} }}"
        secret = "{{ one }}"
        cache-to = "{{ ['user/one'] }}"
        [targets.web]
        inherits = ["_p"]
        annotations = "{{ two }}"
        args = "{{ {'B': '2'} }}"
        secret = "{{ two }}"
        cache-to = "{{ ['user/two'] }}"
        """
    assert target_of_text(plan).attributes == {
        "context": "/plan",
        "annotations": ["id=1", "id=2"],
        "args": {"A": "1", "B": "2"},
        "secret": ["id=1", "id=2"],
        "cache-to": ["user/two"],
    }


def test_a_platform_adds_to_a_template_for_a_whole_table_and_the_other_way_round() -> None:
    plan = """
        [variables]
        common = { default = { A = 1, B = 1 } }
        [targets.web]
        platforms = ["linux/amd64", "linux/arm64"]
        args = "{{ common }}"
        labels = { a = 1 }
        [targets.web.platform."linux/arm64"]
        args = { B = 2 }
        labels = "{{ {'p': platform} }}"
        """
    by_platform = variants(plan, settings=["web.args.A=3", "web.labels.a=4"])
    assert by_platform == {
        "linux/amd64": {"args": {"B": "1", "A": "3"}, "labels": {"a": "4"}},
        "linux/arm64": {"args": {"A": "3", "B": "2"}, "labels": {"p": "linux/arm64", "a": "4"}},
    }


def test_a_setting_for_all_platforms_overrules_a_template_among_what_one_differs_in() -> None:
    plan = """
        [targets._p.platform."linux/arm64"]
        args = "{{ {'A': 9, 'C': 9} }}"
        [targets.web]
        inherits = ["_p"]
        platforms = ["linux/amd64", "linux/arm64"]
        [targets.web.platform."linux/arm64"]
        args = { B = 2 }
        """
    assert variants(plan, settings=["web.args.A=3"]) == {
        "linux/amd64": {"args": {"A": "3"}},
        "linux/arm64": {"args": {"A": "3", "B": "2", "C": "9"}},
    }


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("{{ 'A' }}", ": must be a table, not text"),
        ("{{ [] }}", ": must be a table, not a list"),
        ("{{ nope }}", ': unknown variable "nope"'),
        ("{{ {'': 'x'} }}", '."": a name must not be empty'),
    ],
)
@pytest.mark.parametrize("above", ["", '[defaults.target]\nargs = { X = "1" }\n'])
def test_a_template_that_does_not_become_a_table(written: str, message: str, above: str) -> None:
    problems = problems_of_text(f'\n[targets.web]\nargs = "{written}"\n{above}')
    assert problems.startswith(f"build.toml:3: targets.web.args{message}\n")
    assert problems.count("build.toml:") == 1


def test_entries_under_a_condition_do_not_replace_one_another() -> None:
    plan = """
        [variables]
        release = true
        [targets._p]
        secret = ["{{ 'id=npm,env=NPM' if release }}", "{{ 'id=old,env=OLD' if not release }}", "id=git,env=OLD"]
        attest = ["{% if release %}type=sbom{% endif %}", "type=provenance,mode=min"]
        ssh = ["{{ 'Key=/a' }}", "key=/a"]
        [targets.web]
        inherits = ["_p"]
        secret = ["{{ 'id=pip,env=PIP' if release }}", "{{ 'id=git,env=GIT' if release }}"]
        attest = ["{{ 'type=provenance,mode=max' if release }}", "Type=sbom,Disabled=1"]
        ssh = ["Key=/b"]
        """
    assert target_of_text(plan).attributes == {
        "context": "/plan",
        "secret": ["id=npm,env=NPM", "id=git,env=GIT", "id=pip,env=PIP"],
        "attest": ["Type=sbom,Disabled=1", "type=provenance,mode=max"],
        "ssh": ["Key=/b", "key=/a"],
    }
    assert target_of_text(plan, variables={"release": "false"}).attributes["secret"] == [
        "id=old,env=OLD",
        "id=git,env=OLD",
    ]


def test_what_a_template_becomes_does_not_come_to_stand_after_what_follows_it() -> None:
    plan = """
        [targets._p]
        secret = ["id=a,env=ONE"]
        [targets._q]
        secret = ["{{ 'id=a,env=TWO' }}"]
        [targets.web]
        inherits = ["_p", "_q"]
        secret = ["ID=a,ENV=THREE"]
        """
    assert target_of_text(plan).attributes["secret"] == ["ID=a,ENV=THREE"]


@pytest.mark.parametrize(
    ("parent", "own", "merged"),
    [
        ('["id={{ v }},env=A"]', '["id={{ v }},env=B"]', ["id=1,env=B"]),
        ('["id=1,env=A"]', '["id={{ v }},env=B"]', ["id=1,env=B"]),
        ('["id=1,env={{ v }}"]', '["ID=1,env=B{{ v }}"]', ["ID=1,env=B1"]),
        ('["id={{ v }},env=A"]', '["id={{ v + 1 }},env=B"]', ["id=1,env=A", "id=2,env=B"]),
        # an identity without a template is known before rendering, and keeps its position
        ('["id=2,env=A", "id=1,env={{ v }}"]', '["id=2,env=B"]', ["id=2,env=B", "id=1,env=1"]),
        # text inside a template is no field
        ('["id=2,env=A"]', """["id=1,env={{ ',id=2,' | length }}"]""", ["id=2,env=A", "id=1,env=6"]),
        ("['\"id={{ v }}\"']", "['\"id={{ v }}\"']", ['"id=1"']),
        # quotes that are closed only after rendering
        (
            """['''"{{ 'id=1,env=A"' }}''']""",
            """['''"{{ 'id=1,env=B"' }}''']""",
            ['"id=1,env=A"', '"id=1,env=B"'],
        ),
        ('[""]', '["id=1,env=A"]', ["id=1,env=A"]),
    ],
)
def test_the_identity_of_an_entry_is_what_it_becomes(parent: str, own: str, merged: list[str]) -> None:
    plan = f"[variables]\nv = 1\n[targets._p]\nsecret = {parent}\n[targets.web]\ninherits = ['_p']\nsecret = {own}"
    assert target_of_text(plan).attributes["secret"] == merged


def test_templates_of_a_parent_are_filled_in_for_each_child() -> None:
    plan = resolve_text("""
        [targets._p]
        args = { V = "{{ v }}" }
        [targets.web]
        inherits = ["_p"]
        matrix = { v = ["1", "2"] }
        name = "web-{{ v }}"
        [targets.db]
        inherits = ["_p"]
        matrix = { v = ["x"] }
        name = "db-{{ v }}"
        """)
    values = {name: target.attributes["args"]["V"] for name, target in plan.targets.items()}
    assert values == {"web-1": "1", "web-2": "2", "db-x": "x"}


def test_an_unknown_parent() -> None:
    assert problems_of_text("""
        [targets._image]
        [targets.base]
        [targets.web]
        inherits = ["_image", "_imag", "bsae"]
        """) == text("""
        build.toml:5: targets.web.inherits[1]: unknown target "_imag"
            inherits = ["_image", "_imag", "bsae"]
          = did you mean "_image"?
        build.toml:5: targets.web.inherits[2]: unknown target "bsae"
            inherits = ["_image", "_imag", "bsae"]
          = did you mean "base"?
        """)


@pytest.mark.parametrize("order", [("a", "b", "c"), ("c", "b", "a"), ("b", "c", "a"), ("c", "a", "b")])
def test_a_cycle_of_parents_is_always_told_from_the_same_one(order: tuple[str, ...]) -> None:
    parents = {"a": "b", "b": "c", "c": "a"}
    plan = "\n" + "".join(f'[targets.{name}]\ninherits = ["{parents[name]}"]\n' for name in order)
    line = 3 + 2 * order.index("a")
    assert problems_of_text(plan) == (
        f"build.toml:{line}: targets.a.inherits: references form a cycle: a -> b -> c -> a\n"
        '    inherits = ["b"]\n'
        "  = remove one of these references"
    )


def test_several_cycles_are_all_told() -> None:
    assert problems_of_text("""
        [targets.self]
        inherits = ["self"]
        [targets._x]
        inherits = ["_y"]
        [targets._y]
        inherits = ["_x"]
        [targets.fine]
        inherits = ["_x"]
        """) == text("""
        build.toml:3: targets.self.inherits: references form a cycle: self -> self
            inherits = ["self"]
          = remove one of these references
        build.toml:5: targets._x.inherits: references form a cycle: _x -> _y -> _x
            inherits = ["_y"]
          = remove one of these references
        """)


def test_a_matrix_makes_a_target_for_each_combination_in_order() -> None:
    plan = resolve_text("""
        [targets.before]
        [targets.php]
        matrix = { php = ["8.1", "8.10"], os = ["alpine", "debian"] }
        name = "php-{{ php | replace('.', '-') }}-{{ os }}"
        description = "PHP {{ php }}"
        args = { PHP = "{{ php }}" }
        [targets.after]
        """)
    assert list(plan.targets) == [
        "before",
        "php-8-1-alpine",
        "php-8-1-debian",
        "php-8-10-alpine",
        "php-8-10-debian",
        "after",
    ]
    assert plan.targets["php-8-10-debian"].attributes["args"] == {"PHP": "8.10"}
    assert plan.targets["php-8-10-debian"].description == "PHP 8.10"


def test_values_of_a_matrix_keep_their_type_and_may_be_tables_or_empty() -> None:
    plan = resolve_text("""
        [targets.web]
        matrix = { v = [{ tag = "1", push = true }, { tag = "2", push = false }], suffix = ["", "-debug"] }
        name = "web{{ v.tag }}{{ suffix }}"
        tags = ["web:{{ v.tag }}"]
        platforms = ["{{ '' if suffix else 'linux/arm64' }}"]
        push = "{{ v.push and not suffix }}"
        """)
    summary = {
        name: (target.push, [str(platform) for platform in target.platforms]) for name, target in plan.targets.items()
    }
    assert summary == {
        "web1": (True, ["linux/arm64"]),
        "web1-debug": (False, []),
        "web2": (False, ["linux/arm64"]),
        "web2-debug": (False, []),
    }


def test_a_matrix_may_come_from_a_variable() -> None:
    plan = """
        [variables]
        versions = ["1", "2"]
        extra = "3"
        [targets.web]
        matrix = { v = "{{ versions }}", w = ["{{ extra }}", "4"] }
        name = "web-{{ v }}-{{ w }}"
        """
    assert list(resolve_text(plan).targets) == ["web-1-3", "web-1-4", "web-2-3", "web-2-4"]
    assert list(resolve_text(plan, variables={"versions": "9"}).targets) == ["web-9-3", "web-9-4"]


def test_a_matrix_of_one_row_may_have_the_name_of_its_table() -> None:
    plan = resolve_text("""
        [targets.web]
        matrix = { v = ["1"] }
        name = "web"
        """)
    assert (list(plan.targets), list(plan.groups)) == (["web"], [])


def test_an_empty_list_is_a_matrix_without_rows() -> None:
    assert problems_of_text("\n[targets.web]\nmatrix = []\n") == text("""
        build.toml:3: targets.web.matrix: must have at least one row
            matrix = []
        """)


def test_an_empty_matrix_table_is_no_matrix() -> None:
    plan = "\n[targets.web]\nmatrix = {}\n"
    assert list(resolve_text(plan).targets) == ["web"]


NO_NAME = """: a matrix needs a name for each of its targets
    {excerpt}
  = add a template, for example name = "web-{{{{ version }}}}\""""


def test_a_matrix_needs_names() -> None:
    assert problems_of_text("""
        [targets.web]
        matrix = { v = ["1", "2"] }
        """) == "build.toml:2: targets.web" + NO_NAME.format(excerpt="[targets.web]")


def test_a_name_that_comes_out_empty() -> None:
    name = """name = "{{ '' if v == '2' else v }}\""""
    assert problems_of_text(f"""
        [targets.web]
        matrix = {{ v = ["1", "2"] }}
        {name}
        """) == "build.toml:2: targets.web" + NO_NAME.format(excerpt="[targets.web]")


def test_a_name_that_is_none() -> None:
    assert problems_of_text("""
        [targets.php]
        matrix = { php = ["8.1", "8.2"] }
        name = "php-{{ php }}"
        """) == text("""
        build.toml:4: targets.php.name: "php-8.1" is not a valid name
            name = "php-{{ php }}"
          = use letters, digits, - and _ (in templates: {{ x | replace('.', '-') }})
        build.toml:4: targets.php.name: "php-8.2" is not a valid name
            name = "php-{{ php }}"
          = use letters, digits, - and _ (in templates: {{ x | replace('.', '-') }})
        """)


def test_two_rows_of_one_name() -> None:
    assert problems_of_text("""
        [targets.php]
        matrix = { php = ["8.1", "8.1"], os = ["a", "b"] }
        name = "php-{{ os }}"
        """) == text("""
        build.toml:2: targets.php: two targets are called "php-a"
            [targets.php]
          = give each row of the matrix its own name
        build.toml:2: targets.php: two targets are called "php-b"
            [targets.php]
          = give each row of the matrix its own name
        """)


@pytest.mark.parametrize("first", ["web-1", "web"])
def test_a_row_with_the_name_of_another_target(first: str) -> None:
    assert problems_of_text(f"""
        [targets.{first}]
        [targets.matrix]
        matrix = {{ v = ["{first}", "other"] }}
        name = "{{{{ v }}}}"
        """) == text(f"""
        build.toml:3: targets.matrix: two targets are called "{first}"
            [targets.matrix]
          = give each row of the matrix its own name
        """)


@pytest.mark.parametrize(
    ("matrix", "problem"),
    [
        ("{ v = [] }", "v: must be a list with at least one value"),
        ('{ v = "{{ [] }}" }', "v: must be a list with at least one value"),
        ("{ v = \"{{ 'text' }}\" }", "v: must be a list with at least one value"),
        ('{ v = "{{ 7 }}" }', "v: must be a list with at least one value"),
        ("{ taken = [1] }", 'taken: "taken" is also a variable of the plan\n  = rename one of them'),
        ('{ v = ["{{ w }}"], w = [1] }', 'v[0]: unknown variable "w"\n  = known variables: taken'),
        ('{ v = "{{ nope }}" }', 'v: unknown variable "nope"\n  = known variables: taken'),
    ],
)
def test_a_wrong_matrix(matrix: str, problem: str) -> None:
    message, _, hint = problem.partition("\n")
    problems = problems_of_text(f"""
        [variables]
        taken = 1
        [targets.web]
        name = "x{{{{ v }}}}{{{{ nothing }}}}"
        matrix = {matrix}
        """)
    expected = f"build.toml:6: targets.web.matrix.{message}\n    matrix = {matrix}" + (f"\n{hint}" if hint else "")
    assert problems.startswith(expected)
    assert "nothing" not in problems.replace(expected, "")


def test_what_platforms_differ_in_is_no_reference_of_a_matrix_without_rows() -> None:
    assert problems_of_text("""
        [targets.m]
        matrix = { v = ["{{ q }}"] }
        name = "m-{{ v }}"
        platforms = ["linux/amd64"]
        contexts = { x = "target:gone" }
        needs = ["lost"]
        [targets.m.platform."linux/amd64"]
        contexts = { x = "docker-image://y" }
        """) == text("""
        build.toml:3: targets.m.matrix.v[0]: unknown variable "q"
            matrix = { v = ["{{ q }}"] }
          = there are no variables
        build.toml:7: targets.m.needs[0]: unknown target "lost"
            needs = ["lost"]
          = known targets: m
        """)


def test_everything_wrong_with_a_matrix_at_once() -> None:
    assert problems_of_text("""
        [variables]
        a = 1
        [targets.web.matrix]
        a = [1]
        b = []
        c = [1, "{{ nope }}"]
        """) == text("""
        build.toml:5: targets.web.matrix.a: "a" is also a variable of the plan
            a = [1]
          = rename one of them
        build.toml:6: targets.web.matrix.b: must be a list with at least one value
            b = []
        build.toml:7: targets.web.matrix.c[1]: unknown variable "nope"
            c = [1, "{{ nope }}"]
          = did you mean "a"?
        """).replace('did you mean "a"?', "known variables: a")


def test_a_broken_matrix_draws_no_further_complaints() -> None:
    assert problems_of_text("""
        [targets.php]
        matrix = { v = [] }
        name = "php-{{ v }}"
        push = true
        [targets.web]
        needs = ["php"]
        contexts = { base = "target:php" }
        [groups]
        all = ["php", "web"]
        """) == text("""
        build.toml:3: targets.php.matrix.v: must be a list with at least one value
            matrix = { v = [] }
        """)


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ("tags = ['a/API:{{ v }}']", 'tags[0]: "a/API:1.0" is not an image name: write '),
        ("tags = ['a/api:x y']", 'tags[0]: "a/api:x y" is not an image name: write '),
        ("timeout = 'soon{{ v }}'", 'timeout: "soon1.0" is not a duration: write '),
        ("push = '{{ v }}'", "push: must be true or false, not text"),
    ],
)
def test_a_value_that_is_wrong_in_every_row_is_told_once_and_alone(wrong: str, problem: str) -> None:
    problems = problems_of_text(
        f"""
        [targets.api]
        {wrong}
        matrix = {{ v = ["1.0", "2.0", "3.0"] }}
        name = "api-{{{{ v | replace('.', '-') }}}}"
        [targets.web]
        needs = ["api-1-0", "api-2-0"]
        contexts = {{ base = "target:api-3-0" }}
        [groups]
        default = ["api-*", "api-3-0", "api"]
        """,
        settings=("api-2-0.args.A=1",),
    )
    assert problems.startswith(f"build.toml:3: targets.api.{problem}")
    assert problems.count("build.toml:") == 1


def test_rows_whose_name_is_wrong_too_may_be_what_a_name_means_that_begins_so() -> None:
    assert problems_of_text(
        """
        [targets.api]
        matrix = { v = [1, 2] }
        name = "api-{{ nope }}"
        [targets.web]
        needs = ["api-1"]
        [groups]
        default = ["api-*", "ap-1"]
        """,
        settings=("api-2.args.A=1",),
    ) == text("""
        build.toml:4: targets.api.name: unknown variable "nope"
            name = "api-{{ nope }}"
          = known variables: v
        build.toml:8: groups.default[1]: unknown target "ap-1"
            default = ["api-*", "ap-1"]
          = known targets: api, default, web
        """)


def test_a_matrix_has_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = """
        [targets.web]
        matrix = { a = [1, 2, 3], b = [1, 2] }
        name = "web-{{ a }}-{{ b }}"
        """
    monkeypatch.setattr(matrix, "MAX_ROWS", 6)
    assert len(resolve_text(plan).targets) == 6
    monkeypatch.setattr(matrix, "MAX_ROWS", 5)
    assert problems_of_text(plan) == text("""
        build.toml:3: targets.web.matrix: makes 6 targets; at most 5 are allowed
            matrix = { a = [1, 2, 3], b = [1, 2] }
        """)


def test_a_huge_matrix_is_refused_before_it_is_made() -> None:
    axes = ", ".join(f'a{number} = "{{{{ range(1000) | list }}}}"' for number in range(5))
    assert problems_of_text(f"\n[targets.web]\nmatrix = {{ {axes} }}").startswith(
        f"build.toml:3: targets.web.matrix: makes {1000**5} targets; at most 20000 are allowed\n"
    )


def test_a_nested_matrix_has_a_largest_depth() -> None:
    deep = "[" * 60 + "]" * 60
    assert problems_of_text(f"\n[targets.web]\nmatrix = {{ v = [{deep}] }}") == (
        f"build.toml:3: targets.web.matrix.v: nested too deeply\n    matrix = {{ v = [{deep}] }}"
    )


PLAN = """
    [builders.big]
    [targets.web]
    tags = ["web:1"]
    platforms = ["linux/amd64"]
    push = true
    output = ["type=registry", "type=image,push=true", "type=local,dest=/out"]
    [targets.tool]
    output = ["type=local,dest=/out"]
    """


@pytest.mark.parametrize(
    ("overrides", "web", "tool"),
    [
        ({}, (True, ("type=local,dest=/out",)), (False, ("type=local,dest=/out",))),
        ({"push": True}, (True, ("type=local,dest=/out",)), (False, ("type=local,dest=/out",))),
        ({"push": False}, (False, ("type=local,dest=/out",)), (False, ("type=local,dest=/out",))),
    ],
)
def test_push_overridden(overrides: dict[str, Any], web: Any, tool: Any) -> None:
    targets = resolve_text(PLAN, **overrides).targets
    assert (targets["web"].push, targets["web"].outputs) == web
    assert (targets["tool"].push, targets["tool"].outputs) == tool


@pytest.mark.parametrize(
    "output", ["type=image,push=1", "type=image,push=T", "TYPE=image,PUSH=True", "push=,type=image"]
)
def test_pushing_is_overridden_however_it_is_written(output: str) -> None:
    plan = f"\n[targets.web]\ntags = ['web:1']\noutput = ['{output}', 'out']"
    pushed, kept = target_of_text(plan), target_of_text(plan, push=False)
    assert (pushed.push, pushed.push_options, pushed.outputs) == (True, {}, ("type=local,dest=/plan/out",))
    assert (kept.push, kept.push_options, kept.outputs) == (False, {}, ("type=local,dest=/plan/out",))


def test_a_field_that_is_neither_true_nor_false() -> None:
    assert problems_of_text("""
        [targets.web]
        output = ["out", "type=image,push=yes"]
        attest = ["type=sbom,disabled={{ 'no' }}"]
        """) == text("""
        build.toml:3: targets.web.output[1]: push: "yes" is neither true nor false
            output = ["out", "type=image,push=yes"]
          = write push=true or push=false
        """)
    assert problems_of_text("""
        [targets.web]
        attest = ["type=sbom,disabled={{ 'no' }}"]
        """) == text("""
        build.toml:3: targets.web.attest[0]: disabled: "no" is neither true nor false
            attest = ["type=sbom,disabled={{ 'no' }}"]
          = write disabled=true or disabled=false
        """)


def test_without_a_push_the_other_outputs_keep_their_folders(tmp_path: Path) -> None:
    files = {
        "build.toml": 'version = 1\ninclude = ["sub/more.toml"]',
        "sub/more.toml": 'version = 1\n[targets.web]\ntags = ["web"]\noutput = ["type=registry", "in-sub"]',
    }
    plan = resolve_files(tmp_path, files, settings=["web.output+=outside"], push=False)
    assert plan.targets["web"].outputs == (
        f"type=local,dest={tmp_path}/sub/in-sub",
        f"type=local,dest={tmp_path}/outside",
    )


def test_push_turns_on_what_has_tags_and_does_not_push_yet() -> None:
    plan = """
        [targets.tagged]
        tags = ["tagged"]
        [targets.plain]
        """
    pushed = {name: target.push for name, target in resolve_text(plan, push=True).targets.items()}
    assert pushed == {"tagged": True, "plain": False}


@pytest.mark.parametrize("name", ["load", "no_cache", "pull"])
def test_flags_overridden(name: str) -> None:
    attribute = name.replace("_", "-")
    flag: dict[str, Any] = {name: True}
    before = resolve_text(PLAN).targets.values()
    after = resolve_text(PLAN, **flag).targets.values()
    assert not any(seen(target, attribute) for target in before)
    assert all(seen(target, attribute) is True for target in after)


def test_a_flag_that_the_plan_sets_stays_set() -> None:
    target = target_of_text("\n[targets.web]\nload = true\nno-cache = true\npull = true\n")
    assert (target.load, target.attributes["no-cache"], target.attributes["pull"]) == (True, True, True)


def test_the_builder_overridden() -> None:
    targets = resolve_text(PLAN, builder="big").targets
    assert {target.builder.name for target in targets.values()} == {"big"}


def test_an_unknown_builder_given() -> None:
    with pytest.raises(UsageError) as caught:
        resolve_text(PLAN, builder="bgi")
    assert str(caught.value) == '--builder bgi: unknown builder "bgi"\n  = did you mean "big"?'


@pytest.mark.parametrize("tag", ["r/web:${TAG}", "r/web:{{ '${TAG}' }}"])
def test_a_value_that_is_refused_and_written_in_the_way_of_bake(tag: str) -> None:
    assert problems_of_text(f'\n[targets.web]\ntags = ["{tag}"]').endswith("\n  = write templates as {{ TAG }}")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('name = "other"', "build.toml:3: targets.web.name: `name` requires `matrix`"),
        (
            'matrix = { "a-b" = [1] }\nname = "x"',
            'build.toml:3: targets.web.matrix.a-b: "a-b" is not a valid variable name',
        ),
        ('context = "target:base"', "build.toml:3: targets.web.context: a target cannot be the main context"),
    ],
)
def test_what_looks_right_and_is_not(lines: str, message: str) -> None:
    assert problems_of_text(f"\n[targets.web]\n{lines}").startswith(message)


def test_a_number_is_text_as_it_was_written() -> None:
    target = target_of_text("""
        [variables]
        python = 3.10
        mode = 0o755
        [targets.web]
        args = { A = 8.10, B = 1e3, C = "{{ python }}", D = "py{{ python }}", E = 0x10, F = 1_000 }
        labels = { A = "{{ mode }}", B = "m{{ mode }}", C = "{{ mode + 1 }}", D = 0b11 }
        retries = 0x2
    """)
    assert target.attributes["args"] == {
        "A": "8.10",
        "B": "1e3",
        "C": "3.10",
        "D": "py3.10",
        "E": "0x10",
        "F": "1000",
    }
    assert target.attributes["labels"] == {"A": "0o755", "B": "m0o755", "C": "494", "D": "0b11"}
    assert target.retries == 2


# --- platforms that differ --------------------------------------------------------------------------------------------


def variants(toml: str, **inputs: Any) -> dict[str, Any]:
    """Return the attributes of each platform of `web`, without its context.

    Return nothing if the platforms do not differ.
    """
    by_platform = target_of_text(toml, **inputs).variants
    return {
        str(platform): {name: value for name, value in variant.attributes.items() if name != "context"}
        for platform, variant in by_platform.items()
    }


def test_a_template_may_name_the_platform() -> None:
    assert variants("""
        [targets.web]
        platforms = ["linux/amd64", "linux/arm"]
        args = { P = "{{ platform }}", OS = "{{ platform.os }}", ARCH = "{{ platform.arch }}" }
        labels = { variant = "{{ platform.variant }}" }
        dockerfile = "Dockerfile.{{ platform.arch }}"
        target = "{{ 'small' if platform == 'linux/arm/v7' else '' }}"
        cache-to = ["type=local,dest=cache-{{ platform.slug }}"]
        """) == {
        "linux/amd64": {
            "args": {"P": "linux/amd64", "OS": "linux", "ARCH": "amd64"},
            "labels": {"variant": ""},
            "dockerfile": "Dockerfile.amd64",
            "cache-to": ["type=local,dest=/plan/cache-linux-amd64"],
        },
        "linux/arm/v7": {
            "args": {"P": "linux/arm/v7", "OS": "linux", "ARCH": "arm"},
            "labels": {"variant": "v7"},
            "dockerfile": "Dockerfile.arm",
            "target": "small",
            "cache-to": ["type=local,dest=/plan/cache-linux-arm-v7"],
        },
    }


def test_platforms_on_which_the_same_comes_out_do_not_differ() -> None:
    plan = """
        [targets.web]
        platforms = ["linux/amd64", "linux/arm64"]
        args = { OS = "{{ platform.os }}" }
        [targets.web.platform."linux/amd64"]
        target = "x"
        [targets.web.platform."linux/arm64"]
        target = "x"
        """
    assert variants(plan) == {}
    assert target_of_text(plan).attributes == {"context": "/plan", "args": {"OS": "linux"}, "target": "x"}


def test_platforms_that_are_alike_share_what_is_built() -> None:
    target = target_of_text("""
        [targets.web]
        platforms = ["linux/amd64", "linux/386", "linux/arm64"]
        args = { X86 = "{{ platform.arch != 'arm64' }}" }
        """)
    sides = [list(map(str, platforms)) for _, platforms in target.split_by_variant(target.platforms)]
    assert sides == [["linux/amd64", "linux/386"], ["linux/arm64"]]


def test_a_table_for_a_platform_that_is_not_built_changes_nothing() -> None:
    plan = """
        [targets.web]
        platforms = ["linux/amd64", "linux/386"]
        args = { A = 1 }
        [targets.web.platform."linux/arm64"]
        args = { A = 2 }
        """
    assert variants(plan) == {}
    assert target_of_text(plan).attributes["args"] == {"A": "1"}
    # unless the command line requests this platform
    target = target_of_text(plan, platforms=parse_platforms(["linux/arm64"]))
    assert target.on(parse_platforms(["linux/arm64"])).attributes["args"] == {"A": "2"}
    assert list(map(str, target.platforms)) == ["linux/amd64", "linux/386"]
    # mpbake does not check the values of other platforms
    assert [list(map(str, platforms)) for _, platforms in target.split_by_variant(())] == [["linux/amd64", "linux/386"]]


@pytest.mark.parametrize("inputs", [{}, {"platforms": parse_platforms(["linux/arm64"])}])
@pytest.mark.parametrize("written", ['args = { A = "{{ platform }}" }', 'platform."linux/arm64".args = { A = 1 }'])
def test_what_differs_must_say_which_platforms_it_is_for(written: str, inputs: dict[str, Any]) -> None:
    assert problems_of_text(f"\n[targets.web]\n{written}", **inputs) == text("""
        build.toml:2: targets.web.platforms: values depend on the platform, but `platforms` is not set
            [targets.web]
          = set `platforms`, for example platforms = ["linux/amd64", "linux/arm64"]
        """)


@pytest.mark.parametrize(
    "written",
    [
        'tags = ["web:{{ platform.arch }}"]',
        'context = "{{ platform.arch }}"',
        'platforms = ["{{ platform }}"]',
        'secret = ["id=a,src={{ platform.slug }}"]',
        'description = "{{ platform }}"',
        "dockerfile-inline = 'FROM x:{{ platform.arch }}'",
    ],
)
def test_where_the_platform_is_not_known(written: str) -> None:
    key = written.partition(" ")[0] + ("[0]" if "[" in written else "")
    assert problems_of_text(f"\n[targets.web]\n{written}") == text(f"""
        build.toml:3: targets.web.{key}: `platform` is available only in some attributes of targets
            {written}
          = use it only in args, labels, contexts, dockerfile, target, cache-from and cache-to
        """)


@pytest.mark.parametrize(
    "written",
    ["[variables]\nplatform = 'x'", "[targets.web]\nname = 'x-{{ platform }}'\nmatrix = { platform = ['a', 'b'] }"],
)
def test_the_name_is_taken(written: str) -> None:
    problems = problems_of_text(f"\n{written}").partition("\n")[0]
    assert problems.endswith('"platform" is a reserved name in templates')


def test_a_mistake_that_all_platforms_share_is_told_once() -> None:
    assert (
        problems_of_text("""
        [targets.web]
        platforms = ["linux/amd64", "linux/arm64"]
        args = { A = "{{ platform.arhc }}" }
        cache-to = ['type=local,"dest={{ platform.slug }}']
        """).count("build.toml:")
        == 2
    )


def test_a_mistake_on_one_platform_only_stands_where_it_is_written() -> None:
    assert problems_of_text("""
        [targets.web]
        platforms = ["linux/amd64", "linux/arm64"]
        [targets.web.platform."linux/arm64"]
        args = { A = "{{ nope }}" }
        contexts = { base = "target:bsae" }
        [targets.base]
        """).startswith('build.toml:5: targets.web.platform."linux/arm64".args.A: unknown variable "nope"\n')


def test_rows_of_a_matrix_differ_each_for_itself() -> None:
    plan = resolve_text("""
        [targets.web]
        matrix = { v = [1, 2] }
        name = "web-{{ v }}"
        platforms = ["linux/amd64", "linux/arm64"]
        args = { A = "{{ v }}-{{ platform.arch if v == 2 else 'all' }}" }
        """)
    args = {
        name: [variant.attributes["args"]["A"] for variant in target.variants.values()]
        for name, target in plan.targets.items()
    }
    assert args == {"web-1": [], "web-2": ["2-amd64", "2-arm64"]}


def test_an_item_that_comes_out_empty_moves_no_other(tmp_path: Path) -> None:
    """A path is relative to the folder of the file that contains it. An empty item must not shift these folders."""
    plan = resolve_files(
        tmp_path,
        {
            "build.toml": """
                include = ["sub/image.toml"]
                [targets.web]
                inherits = ["_image"]
                secret = ["id=own,src=own"]
                cache-from = ["type=local,src=own"]
                platforms = ["linux/amd64", "linux/arm64"]
                """,
            "sub/image.toml": """
                [targets._image]
                secret = ["{{ '' }}", "id=image,src=image"]
                cache-from = ["{{ '' if platform.arch == 'arm64' else 'type=local,src=image' }}"]
                """,
        },
    )
    web = plan.targets["web"]
    assert web.attributes["secret"] == [f"id=image,src={tmp_path}/sub/image", f"id=own,src={tmp_path}/own"]
    assert [variant.attributes["cache-from"] for variant in web.variants.values()] == [
        [f"type=local,src={tmp_path}/sub/image", f"type=local,src={tmp_path}/own"],
        [f"type=local,src={tmp_path}/own"],
    ]
