"""`let`: names for the templates of one target or matrix row."""

from __future__ import annotations

import pytest

from tests.unit.plans import problems_of_text, resolve_text, target_of_text


def test_the_attributes_of_a_row_use_its_names() -> None:
    plan = resolve_text("""
        [variables]
        registry = "r.example"
        [targets.pg]
        matrix = { pg = ["15.2", "16.1"] }
        let = { image = "{{ registry }}/pg:{{ major }}", major = "{{ pg | split('.') | first }}", list = ["{{ pg }}"] }
        name = "pg-{{ major }}"
        description = "PostgreSQL {{ major }}"
        tags = "{{ [image] + ['r.example/pg:' ~ v for v in list] }}"
        platforms = ["linux/amd64", "linux/arm64"]
        args = { MAJOR = "{{ major }}" }
        [targets.pg.platform."linux/arm64"]
        args = { ARCH = "{{ major }}-{{ platform.arch }}" }
        """)
    assert list(plan.targets) == ["pg-15", "pg-16"]
    target = plan.targets["pg-16"]
    assert target.description == "PostgreSQL 16"
    assert target.tags == ("r.example/pg:16", "r.example/pg:16.1")
    variants = [variant.attributes["args"] for variant in target.variants.values()]
    assert variants == [{"MAJOR": "16"}, {"MAJOR": "16", "ARCH": "16-arm64"}]
    assert "let" not in target.attributes


PARENT = """
    [defaults.target.let]
    os = "alpine"
    [targets._p]
    let = { image = "{{ base }}-{{ os }}", base = "p" }
    args = { IMAGE = "{{ image }}" }
    [targets.web]
    inherits = ["_p"]
    """


@pytest.mark.parametrize(
    ("own", "settings", "image"),
    [
        ("", (), "p-alpine"),
        ("let = { base = 'w' }", (), "w-alpine"),
        ("let = { os = 'debian' }", (), "p-debian"),
        ("let = { os = '{{ none }}' }", (), "p-"),
        ("", ("web.let.base=set",), "set-alpine"),
        ("", ("_p.let.os=set",), "p-set"),
    ],
)
def test_names_are_inherited_by_key(own: str, settings: tuple[str, ...], image: str) -> None:
    assert target_of_text(PARENT + own, settings=settings).attributes["args"] == {"IMAGE": image}


def test_a_setting_changes_the_names_of_one_row() -> None:
    plan = resolve_text(
        """
        [targets.t]
        matrix = { v = ["1", "2"] }
        let = { x = "{{ v }}", y = "{{ x }}!" }
        name = "t-{{ v }}"
        args = { Y = "{{ y }}" }
        """,
        settings=["t-2.let.x=set"],
    )
    assert [target.attributes["args"]["Y"] for target in plan.targets.values()] == ["1!", "set!"]


def test_a_name_keeps_the_type_of_its_value() -> None:
    target = target_of_text("""
        [targets.web]
        let = { flag = false, number = 3, table = { A = "x", B = "{{ none }}" }, absent = "{{ none }}" }
        retries = "{{ number }}"
        no-cache = "{{ not flag }}"
        args = "{{ table | merge({'C': absent or 'c'}) }}"
        """)
    assert (target.retries, target.attributes["no-cache"]) == (3, True)
    assert target.attributes["args"] == {"A": "x", "C": "c"}


@pytest.mark.parametrize(
    ("let", "problem"),
    [
        (
            "{ a = '{{ b }}', b = '{{ a }}' }",
            "let.a: references form a cycle: a -> b -> a\n  = remove one of these references",
        ),
        ("{ a = '{{ a }}' }", "let.a: references form a cycle: a -> a\n  = remove one of these references"),
        ("{ v = 1 }", 'let.v: "v" is also a variable of the plan or of the matrix\n  = rename one of them'),
        ("{ plan = 1 }", 'let.plan: "plan" is also a variable of the plan or of the matrix\n  = rename one of them'),
        ("{ image = 1 }", 'let.image: "image" is also a function\n  = rename one of them'),
        ("{ git = 1 }", 'let.git: "git" is a reserved name in templates\n  = choose another name'),
        ("{ a-b = 1 }", 'let.a-b: "a-b" is not a valid variable name\n  = use letters, digits and underscores'),
        ("{ a = '{{ nope }}' }", 'let.a: unknown variable "nope"\n  = known variables: a, plan, v'),
        (
            "{ a = '{{ platform }}' }",
            (
                "let.a: `platform` is available only in some attributes of targets\n"
                "  = use it only in args, labels, contexts, dockerfile, target, cache-from and cache-to"
            ),
        ),
        (
            "{ a = 2020-01-01 }",
            "let.a: a variable cannot hold a date or time",
        ),
        ("['a']", "let: must be a table, not a list"),
    ],
)
def test_wrong_names(let: str, problem: str) -> None:
    message, _, hint = problem.partition("\n")
    lines = problems_of_text(f"""
        [variables]
        plan = 1
        [functions.image]
        result = ""
        [targets.web]
        matrix = {{ v = ["1"] }}
        name = "web-{{{{ v }}}}"
        let = {let}
        """).splitlines()
    assert lines == [f"build.toml:9: targets.web.{message}", f"    let = {let}", *([hint] if hint else [])]


def test_a_cycle_is_reported_once_for_all_rows() -> None:
    problems = problems_of_text("""
        [targets.web]
        matrix = { v = ["1", "2", "3"] }
        name = "web-{{ v }}"
        let = { a = "{{ b }}", b = "{{ a }}", c = "{{ a }}" }
        tags = ["r.example/{{ c }}"]
        """)
    assert problems.count("references form a cycle") == 1
    assert problems.count("build.toml") == 1


def test_a_matrix_does_not_use_names_of_let() -> None:
    assert problems_of_text("""
        [targets.web]
        let = { a = "1" }
        matrix = { v = ["{{ a }}"] }
        name = "web-{{ v }}"
        """).startswith('build.toml:4: targets.web.matrix.v[0]: unknown variable "a"')


def test_a_name_cannot_hold_a_sensitive_value() -> None:
    problem = problems_of_text("""
        [variables]
        token = { default = "sesame-open", sensitive = true }
        [targets.web]
        let = { a = "{{ token }}" }
        context = "https://{{ a }}@git.example/x.git"
        """)
    assert problem.startswith('build.toml:5: targets.web.let.a: variable "token" is sensitive')


def test_a_variable_of_a_matrix_cannot_be_a_function() -> None:
    assert problems_of_text("""
        [functions.image]
        result = ""
        [targets.web]
        matrix = { image = ["1"] }
        name = "web"
        """).startswith('build.toml:5: targets.web.matrix.image: "image" is also a function')
