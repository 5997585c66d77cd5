"""Problems of a Compose file have a place, and say what to do."""

from __future__ import annotations

import sys
from textwrap import dedent

import pytest

from mpbake.base.codes import Code
from mpbake.base.errors import PlanError, UsageError
from mpbake.conversion.compose import read_compose
from tests.unit.conversion.compose.files import problems, read

LAUGHS = "\n".join(
    [
        'a0: &a0 ["x", "x", "x", "x", "x", "x", "x", "x", "x", "x"]',
        *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)),
    ]
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("services:\n\tweb:\n", "2:1: is not YAML: a tab cannot indent a line"),
        ("services:\n  web:\n    image: a: b\n", "3:13: is not YAML: a second `key:` in one line"),
        ('services:\n  web:\n    image: "a\n', "4:1: is not YAML: a quote is not closed (it starts in line 3)"),
        ("services: [a\nb: 1", "2:2: is not YAML: a list is not closed (it starts in line 1)"),
        ("services: {a: 1\nb: 1", "2:2: is not YAML: a table is not closed (it starts in line 1)"),
        ("services:\n  web:\n    build: .\n   image: x\n", "4:4: is not YAML: the indentation does not fit"),
        ("services:\n  web:\n    image: @x\n", "3:12: is not YAML: no value begins with `@`"),
        ('services:\n  web:\n    image: "\\q"\n', "3:14: is not YAML: `\\q` is no escape sequence"),
        ("services:\n  web\n  api: x", "3:6: is not YAML: a second `key:` in one line"),
        ("%YAML 2.0\n---\na: 1", "1:1: is not YAML: only YAML 1 is supported"),
        ("a: 1\nb: \x07", "2:4: is not text: character 0x07"),
        ("a: *b", "1:4: there is no anchor `&b` before this alias"),
        ("a: &a\n  b: *a", "2:6: the value of `&a` contains itself"),
        ("a: 1\nb: 2\na: 3", "3:1: the key `a` occurs twice in this table: it is also in line 1"),
        ("a: { <<: x }", "1:6: `<<` needs a table or a list of tables"),
        ("? [a]\n: b", "1:3: a key of a table must be text"),
        ("services: { web: { build: ., 80: x } }", "1:30: the key `80` is not text"),
        (LAUGHS, "5:5: the file has more than 100,000 values after its aliases are replaced"),
        ("a: " + "[" * 100_000, "1:54: lists and tables are nested more than 50 levels deep"),
        ("a: " + "{" * 100_000, "1:54: lists and tables are nested more than 50 levels deep"),
    ],
)  # fmt: skip
def test_what_is_no_yaml_has_one_problem(text: str, found: str) -> None:
    assert problems(text) == [found]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["1:1: the file is empty"]),
        ("# nothing\n---\n", ["1:1: the file is empty"]),
        ("hello", ["1:1: is not a Compose file: it must be a table, not text"]),
        ("- a", ["1:1: is not a Compose file: it must be a table, not a list"]),
        ("version: '3'", ["1:1: is not a Compose file: it has no `services`"]),
        ("services:", ["1:1: is not a Compose file: it has no `services`"]),
        ("services: []", ["1:11: `services` must be a table, not a list"]),
        ("services: { web: x }", ["1:13: the service `web` must be a table, not text"]),
        ("services: { a b: { build: . } }", ["1:13: `a b` is no name of a service"]),
        ("services: { db: { image: x } }", ["1:13: no service has `build`, so bake has nothing to build"]),
        (
            "services: { db: {}, web: { build: . } }",
            ["1:13: the service `db` has neither `build` nor `image`"],
        ),
        ("services: { web: { build: [a] } }", ["1:27: `build` must be text or a table, not a list"]),
        ("services: { web: { build: ., image: 5 } }", ["1:37: `image` must be text, not a number"]),
        ("services: { web: { build: ., image: 'a:${' } }", ["1:37: `${` must begin the name of a variable"]),
        ("services: { web: { build: ., ports: ['${1}'] } }", ["1:38: `${` must begin the name of a variable"]),
        ("services: { web: { build: ., extends: web } }", ["1:39: the service `web` extends itself"]),
        ("services: { web: { build: ., extends: wep } }", ["1:39: there is no service `wep` to extend"]),
        ("services: { web: { build: ., extends: {} } }", ["1:39: `extends` needs a service"]),
        (
            "services: { web: { extends: { service: a, file: no.yaml } } }",
            ["1:18: the service `web` has neither `build` nor `image`"],
        ),
        ("include: no.yaml\nservices: { web: { build: . } }", ["1:10: `include` must be a list, not text"]),
        ("include: [no.yaml]\nservices: { web: { build: . } }", ["1:11: there is no file `no.yaml`"]),
        ("include: [{}]\nservices: { web: { build: . } }", ["1:11: an entry of `include` needs a path"]),
        (
            "include: ['${A}', https://example.com/a.yaml]\nservices: { web: { build: . } }",
            [
                "1:11: `${A}` is not the path of a file",
                "1:19: `https://example.com/a.yaml` is not the path of a file",
            ],
        ),
    ],
)
def test_what_is_no_compose_file_has_problems(text: str, found: list[str]) -> None:
    if "no.yaml }" in text:
        found = ["1:49: there is no file `no.yaml`"]
    assert problems(text) == found


def test_all_problems_of_a_build_are_found() -> None:
    text = """
        services:
          web:
            build:
              context: [.]
              dockerfil: x
              args: 5
              labels: { a: [b] }
              platforms: linux/amd64
              tags: [1, [a]]
              shm_size: big
              secrets: [nope, 5, other, { target: x }]
              ssh: [key]
              ulimits: [a]
              extra_hosts: [host]
              pull: maybe
              provenance: [a]
              dockerfile: a
              dockerfile_inline: FROM a
              additional_contexts: { a: [b] }
              x-bake: []
        secrets:
          other: { external: true }
    """
    assert [found.partition(": ")[2] for found in problems(text)] == [
        "`context` must be text, not a list",
        "`build` has no key `dockerfil`",
        "`args` must be a table or a list, not a number",
        "the label `a` must be text, not a list",
        "`platforms` must be a list, not text",
        "`tags` must be a list of text: this item is a number",
        "`tags` must be a list of text: this item is a list",
        "`shm_size` must be a size",
        "there is no secret `nope`",
        "there is no secret `5`",
        "bake cannot read the external secret `other`",
        "a secret needs a name",
        "the ssh key `key` has no path",
        "`ulimits` must be a table, not a list",
        "the host `host` has no address",
        "`pull` must be true or false",
        "`provenance` must be text, true or false, not a list",
        "`build` has both `dockerfile` and `dockerfile_inline`",
        "the context `a` must be text",
        "`x-bake` must be a table, not a list",
    ]


def test_a_problem_shows_its_line_and_a_hint() -> None:
    with pytest.raises(PlanError) as raised:
        read("services:\n  web:\n    build:\n      dockerfil: x\n")
    assert str(raised.value) == dedent(
        """\
        compose.yaml:4:7: `build` has no key `dockerfil` [compose-values]
            dockerfil: x
            ^
          = did you mean "dockerfile"?"""
    )
    assert raised.value.diagnostics[0].code is Code.COMPOSE_VALUES


def test_a_problem_of_another_file_has_the_place_in_it() -> None:
    others = {"a/b.yaml": "services:\n  api:\n    build:\n      tags: x\n", "c.yaml": "include: [c.yaml]\n"}
    text = "include: [a/b.yaml, c.yaml]\nservices: { web: { build: . } }"
    with pytest.raises(PlanError) as raised:
        read(text, others=others)
    (problem,) = raised.value.diagnostics
    assert str(problem.location) == "c.yaml:1:11"
    assert problem.message == "the files include each other: compose.yaml -> c.yaml -> c.yaml"
    with pytest.raises(PlanError) as raised:
        read(text.replace(", c.yaml", ""), others=others)
    (problem,) = raised.value.diagnostics
    assert str(problem.location) == "a/b.yaml:4:13"
    assert problem.location is not None
    assert problem.location.excerpt == "      tags: x"


def test_endless_includes_end() -> None:
    others = {f"{n}.yaml": f"include: [{n + 1}.yaml]\n" for n in range(1000)}
    (problem,) = problems("include: [0.yaml]\nservices: { web: { build: . } }", others=others)
    assert problem.endswith("the file uses more than 50 other files")


def test_without_ruamel_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ruamel.yaml", None)
    with pytest.raises(UsageError) as raised:
        read_compose("a: 1", "compose.yaml")
    assert raised.value.hint == 'run `pip install "mpbake[import]"`'
