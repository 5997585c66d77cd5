"""The published schema of plan documents."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from jsonschema import Draft7Validator

from mpbake.cli.commands import plan as plan_command
from mpbake.cli.commands import schema as schema_command
from mpbake.review.document.schema import document_schema, document_schema_text
from mpbake.review.expected import expected_document
from mpbake.review.probe import NodeProbe, ServedTag, probe_document
from mpbake.review.saved_plan import InputStates, Request, saved_fields
from tests.checkout import DOCS, PLANS
from tests.unit.graphs import graph_of_text, graphs, review_of
from tests.unit.review.test_probe import PROBE
from tests.unit.worlds import call, world, written

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mpbake.graph.dag import BuildGraph

SCHEMA = Draft7Validator(document_schema())

EVERYTHING = """
    [targets._image]
    builder = "release"
    platforms = ["linux/amd64", "linux/arm64"]
    args = { A = "{{ platform.arch }}" }
    labels = { l = "1" }
    contexts = { base = "target:base", other = "docker-image://alpine" }
    [targets.web]
    inherits = ["_image"]
    secret = ["id=t,env=TOKEN"]
    tags = ["r/web:1"]
    push = true
    output = ["type=registry,compression=zstd", "type=oci,dest=web.tar"]
    checks = [{ run = ["true"], platforms = ["linux/amd64"] }, { target = "test" }]
    [targets.base]
    [targets.other]
    inherits = ["_image"]
    needs = ["web"]
    [builders.release]
    driver = "remote"
    nodes.a = { endpoint = "tcp://a:1", platforms = ["linux/amd64"], tls = { ca = "ca.crt" } }
    nodes.b = { endpoint = "tcp://b:1", platforms = ["linux/arm64"], tls = { ca = "ca.crt", cert = "c", key = "k" }, \
deploy = { host = "ssh://b", tls = { ca = "ca.crt", cert = "s", key = "sk" } } }
    """

_OPTIONAL = {("probe",), ("expected",), ("request",), ("inputs",)}
FREE = (
    "variables",
    "environment",
    "args",
    "labels",
    "contexts",
    "attributes",
    "push_options",
    "tls",
    "options",
    "variants",
    "builds",
)
"""Tables whose keys a plan chooses."""


def everything() -> dict[str, Any]:
    """Return a document in which every field and every kind of step occurs."""
    graph = graph_of_text(EVERYTHING, "web", "other")
    document = copy.deepcopy(review_of(graph, ["a warning"]).document)
    document["grants"] = [{"allow": "ssh", "kind": "ssh", "value": "", "users": ["web.ssh"]}]
    document["probe"] = probe_document(PROBE, [ServedTag(tag="r/web:1", target="web", digest="sha256:1")])
    document["expected"] = expected_document(graph, {"web": {"linux/amd64": [1.0]}}, lambda: 2.0)
    inputs = InputStates(files={"build.toml": "0" * 64}, contexts={"web": ("1" * 40, "")})
    return document | saved_fields(Request(files=("build.toml",), variables={"v": "1"}), inputs)


def refusals(document: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in SCHEMA.iter_errors(document)]


def tables(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Yield every table in a JSON value, with its path."""
    if isinstance(value, dict):
        yield path, value
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        yield from tables(entry, (*path, key))


def test_the_schema_in_docs_is_this_one() -> None:
    stored = (DOCS / "plan.schema.json").read_text(encoding="utf-8")
    assert stored == document_schema_text(), "docs/plan.schema.json is not what the code says: run `make docs`"


def test_it_is_a_schema_that_describes_every_field() -> None:
    Draft7Validator.check_schema(document_schema())
    undescribed = [
        (path, name)
        for path, table in tables(document_schema())
        if path and path[-1] == "properties" and "if" not in path
        for name, field in table.items()
        if not field.get("description", "").endswith(".")
    ]
    assert undescribed == []


def test_the_command_prints_it(tmp_path: Path) -> None:
    seen = world(tmp_path)
    assert call(schema_command.main, seen, format="plan") == 0
    assert written(seen.stdout) == document_schema_text()


@pytest.mark.parametrize("path", sorted(PLANS.glob("*/build.toml")), ids=lambda path: path.parent.name)
def test_every_example_plan_is_valid(path: Path) -> None:
    here = world(path.parent)
    assert call(plan_command.main, here, names=("release",), format="json") == 0
    assert refusals(json.loads(written(here.stdout))) == []


@given(graph=graphs())
def test_every_plan_is_valid(graph: BuildGraph) -> None:
    assert refusals(review_of(graph).document) == []


def test_a_document_with_everything_is_valid_and_further_fields_are_accepted() -> None:
    document = everything()
    assert refusals(document) == []
    assert {step["kind"] for step in document["steps"]} == {"bootstrap", "build", "join", "check", "publish", "verify"}
    for _, table in tables(everything()):
        table["new field"] = "text"
    assert refusals(document) == []


def test_no_field_can_be_left_out_or_have_another_type() -> None:
    document = everything()
    accepted, tried = [], set()
    for path, table in tables(document):
        place = (tuple(key for key in path if isinstance(key, str)), table.get("kind"))
        for name in () if path and path[-1] in FREE else tuple(table):
            if (place, name) in tried:
                continue
            tried.add((place, name))
            value, field = table.pop(name), (*path, name)
            if SCHEMA.is_valid(document) and field not in _OPTIONAL:
                accepted.append((field, "left out"))
            table[name] = None
            if SCHEMA.is_valid(document) and field != ("request", "push"):
                accepted.append((field, "null"))
            table[name] = value
    assert accepted == []
    assert len(tried) > 130


def test_a_wrong_id_is_refused() -> None:
    assert refusals(everything() | {"id": "x"}) == ["$.id: 'x' does not match '^[0-9a-f]{64}$'"]
    assert refusals(everything() | {"format": 1}) == ["$.format: 2 was expected"]


def test_an_empty_probe_is_valid() -> None:
    assert refusals(everything() | {"probe": probe_document(NodeProbe(), ())}) == []
