"""The published schema: the plans that an editor accepts and refuses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING, Annotated, Any

import pytest
import tomli
from jsonschema import Draft7Validator
from pydantic import Field

from mpbake.cli.commands import schema as command
from mpbake.spec.reference import reference_text
from mpbake.spec.schema import plan_schema, schema_text
from mpbake.spec.tables.attributes import Attribute, Merge, Role
from mpbake.spec.tables.plan_tables import PlanSpec
from mpbake.spec.tables.target_tables import TargetSpec, attributes_of
from mpbake.spec.tables.value_types import Texts  # noqa: TC001 - pydantic reads annotations
from tests.checkout import CHECKOUT
from tests.unit.plans import refusals, text
from tests.unit.worlds import call, world, written

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = sorted((CHECKOUT / "plans").glob("*/build.toml"))


def refused(toml: str) -> list[str]:
    """Return the keys of a plan that the schema refuses."""
    return [problem.partition(": ")[0] for problem in refusals(tomli.loads("version = 1\n" + dedent(toml)))]


def test_the_schema_in_docs_is_this_one() -> None:
    stored = (CHECKOUT / "docs" / "build.schema.json").read_text(encoding="utf-8")
    assert stored == schema_text(), "docs/build.schema.json is not what the models say: run `make docs`"


def test_it_is_a_schema() -> None:
    Draft7Validator.check_schema(plan_schema())
    assert plan_schema()["$schema"] == "http://json-schema.org/draft-07/schema#"


def test_the_command_prints_it(tmp_path: Path) -> None:
    seen = world(tmp_path)
    assert call(command.main, seen, format="json") == 0
    assert written(seen.stdout) == schema_text()
    assert schema_text().endswith("}\n")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_every_example_plan_is_taken(path: Path) -> None:
    assert refusals(tomli.loads(path.read_text(encoding="utf-8"))) == []


def test_the_plan_of_the_readme_is_taken() -> None:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    _, _, rest = readme.partition("```toml\n")
    assert refusals(tomli.loads(rest.partition("```")[0])) == []


@pytest.mark.parametrize(
    "toml",
    [
        "[targets.web]",
        "variables = { a = 'x', b = 1, c = true, d = 0.5, e = [1], f = { default = { a = 1 } } }",
        "variables = { a = { default = 1, env = 'A', type = 'int', min = 1, max = 2.5 } }",
        "groups = { a = ['web'], b = '{{ all }}', c = { targets = ['web'], description = 'x' } }",
        "builders = { a = { driver = '{{ driver }}', emulation = '{% if x %}allow{% endif %}' } }",
        "targets = { a = { push = '{{ release }}', platforms = '{{ platforms }}', args = '{{ args }}' } }",
        "targets = { a = { args = { A = 1, B = true, C = 0.5, D = 'x' }, description = 7 } }",
        "targets = { a = { platforms = ['{{ platform }}', 'linux/amd64'] } }",
        "targets = { a = { matrix = { a = [1, 'b', true], b = '{{ versions }}' } } }",
        "targets = { a = { matrix = [{ a = 1, b = 'x' }, { a = '{{ newest }}', b = 'y' }] } }",
        "targets = { a = { platform = { 'linux/arm64' = { args = { A = 1 }, dockerfile = 'arm.Dockerfile' } } } }",
        "targets = { a = { checks = [{ run = ['php', '-v'] }, { target = 'test', platforms = ['linux/386'] }] } }",
        "targets = { a = { resources = { memory = '1g', cpu-shares = 5 }, extra-hosts = { db = '10.0.0.7' } } }",
        "defaults = { target = { builder = 'x', tags = '{{ tags }}', platform = { 'linux/386' = { target = 'x' } } } }",
        "include = ['a.toml', '../b.toml']",
    ],
)
def test_what_is_taken(toml: str) -> None:
    assert refused(toml) == []


@pytest.mark.parametrize(
    ("toml", "key"),
    [
        ("target = {}", "$"),
        ("targets = { a = { contxt = '.' } }", "$.targets.a"),
        ("targets = { a = { no_cache = true } }", "$.targets.a"),
        ("targets = { a = 1 }", "$.targets.a"),
        ("targets = { a = { push = 'yes' } }", "$.targets.a.push"),
        ("targets = { a = { push = 1 } }", "$.targets.a.push"),
        ("targets = { a = { tags = 'web' } }", "$.targets.a.tags"),
        ("targets = { a = { tags = [['web']] } }", "$.targets.a.tags"),
        ("targets = { a = { resources = { memry = '1g' } } }", "$.targets.a.resources"),
        ("builders = { a = { certificate-days = 36501 } }", "$.builders.a['certificate-days']"),
        ("targets = { a = { args = ['A=1'] } }", "$.targets.a.args"),
        ("targets = { a = { args = { A = ['x'] } } }", "$.targets.a.args"),
        ("targets = { a = { context = [] } }", "$.targets.a.context"),
        ("targets = { a = { inherits = 'b' } }", "$.targets.a.inherits"),
        ("targets = { a = { inherits = [1] } }", "$.targets.a.inherits"),
        ("targets = { a = { matrix = 'x' } }", "$.targets.a.matrix"),
        ("targets = { a = { matrix = ['x'] } }", "$.targets.a.matrix"),
        (
            "targets = { a = { platform = { 'linux/arm64' = { context = '.' } } } }",
            "$.targets.a.platform['linux/arm64']",
        ),
        ("targets = { a = { checks = { run = ['x'] } } }", "$.targets.a.checks"),
        ("targets = { a = { checks = [{ rn = ['x'] }] } }", "$.targets.a.checks[0]"),
        ("defaults = { target = { inherits = ['x'] } }", "$.defaults.target"),
        ("defaults = { target = { matrix = { a = [1] } } }", "$.defaults.target"),
        ("include = 'a.toml'", "$.include"),
        ("builders = []", "$.builders"),
        ("builders = { a = { driver = 'dokker' } }", "$.builders.a.driver"),
        ("builders = { a = { driver = 'automatic' } }", "$.builders.a.driver"),
        ("builders = { a = { emulation = true } }", "$.builders.a.emulation"),
        ("builders = { a = { nodes = { b = { zzz = 'x' } } } }", "$.builders.a.nodes.b"),
        ("builders = { a = { nodes = { b = { tls = { kez = 'x' } } } } }", "$.builders.a.nodes.b.tls"),
        ("defaults = { builder = { nodes = {} } }", "$.defaults.builder"),
        ("variables = { a = { default = 1, defalt = 1 } }", "$.variables.a"),
        ("variables = { a = { default = 1, type = '{{ b }}' } }", "$.variables.a"),
        ("groups = { a = 1 }", "$.groups.a"),
        ("groups = { a = 'web' }", "$.groups.a"),
        ("groups = { a = { description = 'x' } }", "$.groups.a"),
    ],
)
def test_what_is_refused(toml: str, key: str) -> None:
    assert refused(toml) == [key]


@pytest.mark.parametrize("data", [{}, {"version": 2}, {"version": "1"}, {"version": True}])
def test_the_version(data: dict[str, Any]) -> None:
    assert refusals(data) != []


def tables() -> list[dict[str, Any]]:
    schema = plan_schema()
    return [schema, *(definition for definition in schema["definitions"].values() if "properties" in definition)]


def test_every_table_and_key_is_described() -> None:
    definitions = plan_schema()["definitions"]
    for table in tables():
        assert table["description"]
        assert table["additionalProperties"] is False
        for key in table["properties"].values():
            described = definitions[key["$ref"].rpartition("/")[2]] if "$ref" in key else key
            assert described["description"]


def test_nothing_stands_beside_a_reference() -> None:
    def check(schema: Any) -> None:
        if isinstance(schema, dict):
            assert "$ref" not in schema or len(schema) == 1
            for part in schema.values():
                check(part)
        elif isinstance(schema, list):
            for part in schema:
                check(part)

    check({name: part for name, part in plan_schema().items() if name != "title"})


def test_defaults_that_say_something_are_shown() -> None:
    target = plan_schema()["definitions"]["target"]["properties"]
    assert target["push"]["default"] is False
    assert "default" not in target["context"]
    assert plan_schema()["definitions"]["builder"]["properties"]["emulation"]["default"] == "warn"


class MoreTargetSpec(TargetSpec):
    """The table of a target with one more attribute."""

    new_thing: Annotated[Texts, Attribute(merge=Merge.BY_FIELD, role=Role.SOURCE, identity="id")] = Field(
        default_factory=list, description="something that bake may learn"
    )


class MorePlanSpec(PlanSpec):
    """The tables of a plan with such targets."""

    targets: dict[str, MoreTargetSpec] = Field(  # type: ignore[assignment]  # the point of the test
        default_factory=dict, description="more targets"
    )


def test_an_attribute_is_declared_once() -> None:
    """An additional field gives a merge rule, a key of the schema and a row of the reference."""
    assert attributes_of(MoreTargetSpec)["new-thing"].merge is Merge.BY_FIELD
    schema = plan_schema(MorePlanSpec)
    plan = {"version": 1, "targets": {"web": {"new-thing": ["a"]}}}
    assert refusals(plan) != []
    assert list(Draft7Validator(schema).iter_errors(plan)) == []
    assert "new-thing" in json.dumps(schema["definitions"]["more-target"])
    assert (
        "| `new-thing` | list of text or template |  | merged by id | something that bake may learn |\n"
    ) in reference_text(MorePlanSpec)


FIELD = """
    new_thing: Annotated[Texts, Attribute(merge=Merge.BY_FIELD, role=Role.RUN, identity="id", since=(0, 99))] = Field(
        default_factory=list, description="something that bake may learn"
    )
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Return a copy of mpbake with one more attribute and no other change."""
    shutil.copytree(CHECKOUT / "mpbake", tmp_path / "mpbake", ignore=shutil.ignore_patterns("__pycache__"))
    tables = tmp_path / "mpbake" / "spec" / "tables" / "target_tables.py"
    before, class_, after = tables.read_text(encoding="utf-8").partition("class TargetDefaultsSpec(")
    header, blank, fields = after.partition('"""\n\n')
    tables.write_text(before + class_ + header + blank + FIELD + fields, encoding="utf-8")
    (tmp_path / "build.toml").write_text(
        text("""
        version = 1
        [defaults.target]
        new-thing = ["id=a"]
        [targets.web]
        new-thing = ["id=b,x=1"]
        checks = [{ run = ["web", "--version"] }]
        """)
    )
    return tmp_path


DEFINITIONS = """
import json
from pathlib import Path
from mpbake.buildkit.bake.definition import DefinitionContext, bake_definition, check_definition
from mpbake.model.plan import Driver
from mpbake.model.steps import BuildPiece, CheckPiece
from tests.unit.graphs import graph_of_text

graph = graph_of_text(Path("build.toml").read_text().removeprefix("version = 1\\n"))
context = DefinitionContext(driver=Driver.DOCKER_CONTAINER)
(piece,) = (step for step in graph.steps if isinstance(step, BuildPiece))
(check,) = (step for step in graph.steps if isinstance(step, CheckPiece))
name, checked = check_definition(check, context)
print(json.dumps([bake_definition(piece, context)["target"]["web"], checked["target"][name]]))
"""


@pytest.mark.allow_subprocess
def test_a_declared_attribute_arrives_everywhere(package: Path) -> None:
    """The attribute is merged, set, shown and exported. It is in the schema, the reference and all bake definitions."""

    def python(*words: str) -> str:
        command = [sys.executable, *words]
        environment = {"PATH": os.defpath, "PYTHONPATH": f"{package}{os.pathsep}{CHECKOUT}"}
        return subprocess.run(
            command, capture_output=True, text=True, check=True, env=environment, cwd=package, timeout=60
        ).stdout

    def printed(*words: str) -> str:
        return python("-m", "mpbake", *words)

    assert 'new-thing = ["id=a", "id=b,x=1"]\n' in printed("show", "web")
    assert 'new-thing = ["id=a", "id=b,x=2"]\n' in printed("show", "web", "--set", "web.new-thing+=id=b,x=2")
    assert 'new-thing = ["id=c"]\n' in printed("show", "web", "--set", 'web.new-thing=["id=c"]')
    exported = json.loads(printed("export", "web", "--set", "*.new-thing+=id=c"))
    assert exported["target"]["web"]["new-thing"] == ["id=a", "id=b,x=1", "id=c"]
    planned = json.loads(printed("plan", "web", "--format", "json"))
    assert planned["targets"][0]["attributes"]["new-thing"] == ["id=a", "id=b,x=1"]
    assert "new-thing" in json.loads(printed("schema"))["definitions"]["target"]["properties"]
    (row,) = (line for line in printed("schema", "--format", "markdown").splitlines() if "`new-thing`" in line)
    assert row.endswith("| merged by id | something that bake may learn. From buildx 0.99 |")
    target, check = json.loads(python("-c", DEFINITIONS))
    assert target["new-thing"] == check["new-thing"] == ["id=a", "id=b,x=1"]
