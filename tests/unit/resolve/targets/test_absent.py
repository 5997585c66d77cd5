"""Values that are none are left out, and inherited values apply."""

from __future__ import annotations

from typing import Any

import pytest

from mpbake.base.platforms import parse_platform
from tests.unit.plans import problems_of_text, read_text, resolve_text, target_of_text

NONE = "{{ none }}"


@pytest.mark.parametrize(
    ("written", "attributes"),
    [
        ("args = { A = '{{ none }}', B = '' }", {"args": {"B": ""}}),
        ("args = { A = '{{ none }}' }", {}),
        ("args = '{{ none }}'", {}),
        ("args = { A = 'a{{ none }}' }", {"args": {"A": "a"}}),
        ('args = \'{{ {"A": none, "B": "b"} }}\'', {"args": {"B": "b"}}),
        ("labels = { a = '{{ x }}', b = \"{{ x or 'b' }}\" }", {"labels": {"b": "b"}}),
        ("target = '{{ none }}'", {}),
        ("no-cache = '{{ none }}'", {}),
        ("retries = '{{ none }}'", {}),
        ("cache-from = ['{{ none }}', 'type=local,src=a', '{{ x }}']", {"cache-from": ["type=local,src=/plan/a"]}),
        ("cache-from = \"{{ ['type=local,src=a', none] }}\"", {"cache-from": ["type=local,src=/plan/a"]}),
        ("cache-from = '{{ none }}'", {}),
        ("attest = ['{{ none }}', 'type=sbom']", {"attest": ["type=sbom"]}),
        ("secret = ['{{ none }}']", {}),
        ("resources = { memory = '{{ none }}' }", {}),
    ],
)
def test_none_leaves_an_entry_or_attribute_out(written: str, attributes: dict[str, Any]) -> None:
    plan = f"\n[variables]\nx = '{NONE}'\n[targets.web]\ncontext = '.'\n{written}"
    assert target_of_text(plan).attributes == {"context": "/plan"} | attributes


@pytest.mark.parametrize(
    ("parent", "own", "expected"),
    [
        (
            "args = { A = 'p', B = 'p' }",
            "args = { A = '{{ none }}', C = '{{ none }}' }",
            {"args": {"A": "p", "B": "p"}},
        ),
        ("args = { A = '{{ none }}' }", "args = { A = '{{ none }}' }", {}),
        ("args = { A = 'p' }", "args = '{{ none }}'", {"args": {"A": "p"}}),
        ('args = \'{{ {"A": "p"} }}\'', "args = { A = '{{ none }}' }", {"args": {"A": "p"}}),
        ("args = { A = 'p' }", "args = '{{ {\"A\": none} }}'", {"args": {"A": "p"}}),
        ("target = 'p'", "target = '{{ none }}'", {"target": "p"}),
        ("target = '{{ none }}'", "target = '{{ none }}'", {}),
        ("cache-to = ['type=inline']", "cache-to = '{{ none }}'", {"cache-to": ["type=inline"]}),
        ("cache-to = ['type=inline']", "cache-to = ['{{ none }}']", {}),
        ("cache-from = ['type=gha']", "cache-from = '{{ none }}'", {"cache-from": ["type=gha"]}),
    ],
)
def test_an_inherited_value_applies(parent: str, own: str, expected: dict[str, Any]) -> None:
    for before in (
        f"[targets._p]\n{parent}\n[targets.web]\ninherits = ['_p']",
        f"[defaults.target]\n{parent}\n[targets.web]",
    ):
        target = target_of_text(f"\n{before}\ncontext = '.'\n{own}")
        assert target.attributes == {"context": "/plan"} | expected


def test_the_last_value_that_is_not_none_applies() -> None:
    plan = resolve_text("""
        [variables]
        x = "{{ none }}"
        [defaults.target]
        target = "default"
        args = { A = "default" }
        [targets._a]
        args = { A = "a", B = "a" }
        [targets._b]
        inherits = ["_a"]
        target = "{{ x }}"
        args = { A = "{{ x }}", B = "b" }
        [targets.web]
        inherits = ["_b"]
        target = "{{ x }}"
        args = { A = "{{ x }}", B = "{{ x }}" }
        [targets.two]
        inherits = ["_a", "_b"]
        args = { B = "{{ x }}" }
        """)
    for name in ("web", "two"):
        assert plan.targets[name].attributes["target"] == "default"
        assert plan.targets[name].attributes["args"] == {"A": "a", "B": "b"}


def test_a_long_chain_of_values_that_are_none() -> None:
    chain = "".join(
        f"[targets._t{number}]\ninherits = ['_t{number - 1}']\ntarget = '{NONE}'\nargs = {{ A = '{NONE}' }}\n"
        for number in range(1, 1200)
    )
    target = target_of_text(f"""
[targets._t0]
target = "first"
args = {{ A = "first" }}
[targets._other]
target = "other"
args = {{ A = "other", B = "{NONE}" }}
{chain}
[targets.web]
inherits = ["_other", "_t1199"]
""")
    assert target.attributes["target"] == "first"
    assert target.attributes["args"] == {"A": "first"}


def test_where_an_inherited_value_is_written() -> None:
    toml = """
        [targets._p]
        args = { A = "p" }
        target = "p"
        [targets.web]
        inherits = ["_p"]
        args = { A = "{{ none }}" }
        target = "{{ none }}"
        """
    target = target_of_text(toml)
    assert target.source_key(("args", "A")) == ("targets", "_p", "args", "A")
    assert target.source_key(("target",)) == ("targets", "_p", "target")
    assert read_text(toml)[0].locate(target.source_key(("args", "A"))).line == 3


def test_a_problem_of_an_inherited_value_is_reported_where_it_is_written() -> None:
    assert problems_of_text("""
        [targets._p]
        args = { A = "{{ nope }}" }
        [targets.web]
        inherits = ["_p"]
        args = { A = "{{ none }}" }
        """) == (
        'build.toml:3: targets._p.args.A: unknown variable "nope"\n    args = { A = "{{ nope }}" }\n'
        "  = there are no variables"
    )


def test_none_on_one_platform() -> None:
    target = target_of_text("""
        [targets.web]
        platforms = ["linux/amd64", "{{ 'linux/386' if false else none }}", "linux/arm64"]
        args = { A = "all", B = "{{ 'arm' if platform.arch == 'arm64' else none }}" }
        [targets.web.platform."linux/arm64"]
        args = { A = "{{ none }}" }
        """)
    assert list(map(str, target.platforms)) == ["linux/amd64", "linux/arm64"]
    args = {str(platform): variant.attributes["args"] for platform, variant in target.variants.items()}
    assert args == {"linux/amd64": {"A": "all"}, "linux/arm64": {"A": "all", "B": "arm"}}
    assert parse_platform("linux/386") not in target.variants


def test_none_in_a_matrix_a_group_a_check_and_a_builder() -> None:
    plan = resolve_text("""
        [builders.b]
        driver = "docker-container"
        image = "{{ none }}"
        flags = ["{{ none }}", "--debug"]
        env = { A = "{{ none }}" }
        [groups]
        some = ["{{ none }}", "web-a"]
        empty = "{{ none }}"
        [targets.web]
        matrix = { v = ["a", "{{ none }}", "b"], suffix = [""] }
        name = "web-{{ v }}{{ suffix }}"
        checks = [{ run = ["a", "{{ none }}"], platforms = ["{{ none }}"] }]
        [targets.row]
        matrix = [{ v = "a", x = "{{ none }}" }]
        name = "row-{{ v }}{{ 'none' if x is none }}"
        [targets.row2]
        matrix = { v = [1, 2] }
        exclude = [{ v = "{{ none }}" }]
        name = "row2-{{ v }}"
        """)
    assert list(plan.targets) == ["web-a", "web-b", "row-anone", "row2-1", "row2-2"]
    assert [target.name for target in plan.groups["some"].targets] == ["web-a"]
    assert plan.groups["empty"].targets == ()
    assert plan.targets["web-a"].checks[0].run == ("a",)
    (node,) = plan.builders["b"].nodes
    assert "--debug" in str(node)


def test_the_name_of_a_row_cannot_be_none() -> None:
    assert "a matrix needs a name for each of its targets" in problems_of_text("""
        [targets.web]
        matrix = { v = ["a"] }
        name = "{{ none }}"
        """)


# --- variables --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "value"),
    [({}, "none:true"), ({"X": ""}, "empty:false"), ({"X": "x"}, "x:false")],
)
@pytest.mark.parametrize("constraint", ["", ", choices = ['', 'x']", ", pattern = '^x?$'", ", type = 'string'"])
def test_an_unset_variable_differs_from_an_empty_one(environment: dict[str, str], value: str, constraint: str) -> None:
    target = target_of_text(
        f"""
        [variables]
        x = {{ default = "{NONE}", env = "X"{constraint} }}
        [targets.web]
        args = {{ X = "{{{{ 'none' if x is none else x or 'empty' }}}}:{{{{ x is none }}}}" }}
        """,
        environment=environment,
    )
    assert target.attributes["args"] == {"X": value}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [("list", "a,b", ["a", "b"]), ("int", "5", 5), ("bool", "yes", True), ("map", "{a = 1}", {"a": 1})],
)
def test_none_is_a_value_of_every_type(kind: str, text: str, value: Any) -> None:
    plan = f"""
        [variables]
        x = {{ default = "{NONE}", type = "{kind}" }}
        [targets.web]
        args = {{ X = "{{{{ 'none' if x is none else x | tojson }}}}" }}
        """
    assert target_of_text(plan).attributes["args"] == {"X": "none"}
    given = target_of_text(plan, variables={"x": text}).attributes["args"]["X"]
    assert given == {"list": '["a", "b"]', "int": "5", "bool": "true", "map": '{"a": 1}'}[kind], value


def test_a_default_may_refer_to_a_variable_that_is_none() -> None:
    target = target_of_text(f"""
        [variables]
        x = "{NONE}"
        y = "{{{{ x }}}}"
        z = ["{{{{ x }}}}", "a"]
        [targets.web]
        args = {{ Y = "{{{{ y is none }}}}", Z = "{{{{ z | join }}}}" }}
        """)
    assert target.attributes["args"] == {"Y": "true", "Z": "a"}


def test_a_required_variable_cannot_be_none() -> None:
    assert problems_of_text(f"""
        [variables]
        x = {{ default = "{NONE}", required = true }}
        [targets.web]
        args = {{ X = "{{{{ x }}}}" }}
        """) == (
        'build.toml:3: variables.x: variable "x": the default is none, but the variable is required\n'
        f'    x = {{ default = "{NONE}", required = true }}\n  = pass --var x=…'
    )


def test_a_sensitive_variable_may_be_none() -> None:
    plan = resolve_text(f"""
        [variables]
        token = {{ default = "{NONE}", sensitive = true, env = "TOKEN" }}
        [targets.web]
        context = "https://{{{{ token }}}}@git.example/x.git"
        """)
    assert "none" not in plan.sensitive
