"""Saved plans: what is written can be read, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.report.diff.diff_text import diff_text
from mpbake.review.changed_inputs import changed_inputs
from mpbake.review.diff.plan_diff import diff_documents
from mpbake.review.document.plan_document import empty_document, plan_id
from mpbake.review.saved_plan import (
    LARGEST_SAVED_PLAN,
    InputStates,
    Request,
    is_plan_document,
    parse_saved_plan,
    saved_fields,
)
from tests.unit.graphs import TWO_NODES, graph_of_text, review_of

if TYPE_CHECKING:
    from collections.abc import Iterator

PLAN = """
[targets.web]
builder = "release"
platforms = ["linux/amd64", "linux/arm64"]
tags = ["r/web:1"]
push = true
checks = [{ run = ["true"] }]
secret = ["id=token,env=TOKEN"]
contexts = { base = "target:base" }
[targets.base]
builder = "release"
platforms = ["linux/amd64", "linux/arm64"]
"""
REQUEST = Request(
    files=("build.toml", "below/more.toml"),
    names=("web", "php-*", "!php-8"),
    variables={"tag": "1\n2", "list": '["a"]'},
    environment={"TAG": "x"},
    settings=("web.args.A=-1\n",),
    platforms=("linux/amd64",),
    builder="ci",
    publish="together",
    push=False,
    load=True,
    probe=True,
)
INPUTS = InputStates(files={"build.toml": "0" * 64}, contexts={"web": ("1" * 40, ""), ".": ("", "2" * 64)})


def saved(**changes: Any) -> dict[str, Any]:
    """Return the content of a saved plan in which some fields are changed, and which has a matching id."""
    document = {**empty_document(), **saved_fields(REQUEST, INPUTS), **changes}
    return {"id": plan_id(document), **document}


def content(document: Any) -> bytes:
    return json.dumps(document).encode()


def refusal(text: bytes) -> str:
    """Return the reason why a text is no saved plan."""
    with pytest.raises(ValueError, match=r".+") as caught:
        parse_saved_plan(text)
    return str(caught.value)


def with_request(**changes: Any) -> dict[str, Any]:
    return saved(request=saved()["request"] | changes)


def test_what_is_saved_can_be_read() -> None:
    parsed = parse_saved_plan(content(saved()))
    assert parsed.request == REQUEST
    assert parsed.inputs == INPUTS
    assert parsed.document == json.loads(content(saved()))


@pytest.mark.parametrize("push", [True, False, None])
def test_every_push(push: bool | None) -> None:  # noqa: FBT001 - a value of the request
    fields = saved_fields(replace(REQUEST, push=push), INPUTS)
    assert parse_saved_plan(content(saved(**fields))).request.push is push


def test_an_edited_document_is_refused() -> None:
    edited = saved() | {"warnings": ["other"]}
    assert refusal(content(edited)) == "was changed after mpbake saved it: its id belongs to another plan"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ([], "is not the JSON of a plan"),
        ("text", "is not the JSON of a plan"),
        ({}, "is not the JSON of a plan"),
        ({"format": 2, "id": "x"}, "is not a complete plan: warnings"),
        (empty_document(), "is not a saved plan: `--format json` printed it, without the command line"),
        (saved(format=1), "is not a plan in format 2, the only one that this mpbake supports"),
        (saved(format=[2]), "is not a plan in format 2, the only one that this mpbake supports"),
        (saved(request=[]), "is not a saved plan: its request does not have the fields of a saved plan"),
        (
            saved(request=saved()["request"] | {"allow": ["all"]}),
            "is not a saved plan: its request does not have the fields of a saved plan",
        ),
        (
            saved(request={"files": ["build.toml"]}),
            "is not a saved plan: its request does not have the fields of a saved plan",
        ),
        (saved(inputs=1), "is not a saved plan: its inputs do not have the fields of a saved plan"),
        (saved(inputs={"files": {}, "contexts": []}), "is not a saved plan: its inputs are not lists of a saved plan"),
        (
            saved(inputs={"files": [1], "contexts": []}),
            "is not a saved plan: its inputs do not have the fields of a saved plan",
        ),
        (
            saved(inputs={"files": [{"path": "a", "sha256": 1}], "contexts": []}),
            "is not a saved plan: its inputs do not have the fields of a saved plan",
        ),
        (
            with_request(names=["--allow=all"]),
            "is not a saved plan: the field names of its request has an impossible value",
        ),
        (
            with_request(names=["web\x1b[2J"]),
            "is not a saved plan: the field names of its request has an impossible value",
        ),
        (with_request(names=["a\nb"]), "is not a saved plan: the field names of its request has an impossible value"),
        (
            with_request(names="web"),
            "is not a saved plan: the field names of its request is not a list, or is too long",
        ),
        (
            with_request(names=["a"] * 10_001),
            "is not a saved plan: the field names of its request is not a list, or is too long",
        ),
        (with_request(names=[["web"]]), "is not a saved plan: the field names of its request has an impossible value"),
        (
            with_request(platforms=["-x"]),
            "is not a saved plan: the field platforms of its request has an impossible value",
        ),
        (
            with_request(builder="--privileged"),
            "is not a saved plan: the field builder of its request has an impossible value",
        ),
        (
            with_request(publish="never"),
            "is not a saved plan: the field publish of its request has an impossible value",
        ),
        (with_request(push="yes"), "is not a saved plan: the field push of its request is not true or false"),
        (with_request(load=1), "is not a saved plan: the field load of its request is not true or false"),
        (with_request(files=[]), "names no plan file"),
        (with_request(files=[""]), "names no plan file"),
        (with_request(files=["-f"]), "is not a saved plan: the field files of its request has an impossible value"),
        (with_request(settings=[1]), "is not a saved plan: the field settings of its request is not a list of texts"),
        (with_request(variables=[]), "is not a saved plan: the field variables of its request is not a table of texts"),
        (
            with_request(variables={"a": 1}),
            "is not a saved plan: the field variables of its request is not a table of texts",
        ),
        (
            with_request(variables={"a=b": "c"}),
            "is not a saved plan: the field variables of its request has an impossible name",
        ),
        (
            with_request(variables={"": "c"}),
            "is not a saved plan: the field variables of its request has an impossible name",
        ),
        (
            with_request(environment={"-a": "c"}),
            "is not a saved plan: the field environment of its request has an impossible value",
        ),
    ],
)
def test_hostile_content(document: Any, reason: str) -> None:
    # the reader of plan documents, which mpbake diff uses too, checks some of the fields first
    assert refusal(content(document)) in {reason, "is not a complete plan: request"}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff\xfe{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"1" * 10_000,
        b'{"format": NaN',
    ],
)
def test_text_that_is_no_json(text: bytes) -> None:
    assert refusal(text) in {"is not the JSON of a plan", "is not UTF-8 text"}


def test_a_deep_document_and_a_large_one() -> None:
    deep: Any = []
    for _ in range(900):
        deep = [deep]
    for place in ("targets", "warnings", "more"):
        document = saved() | {place: deep}
        assert refusal(content(document)).startswith("is not a complete plan: ")
    assert refusal(b" " * (LARGEST_SAVED_PLAN + 1)) == "is larger than 32 MB"


def test_what_looks_like_a_plan() -> None:
    assert is_plan_document(content(saved() | {"format": 1, "id": "edited"}))
    for text in (b"{}", b"[]", b"", b"[" * 100_000, b"\xff", content({"id": 1, "format": 2})):
        assert not is_plan_document(text)


def variants_of(value: Any) -> Iterator[Any]:
    """Yield copies of a JSON value in which one part is removed or has another type."""
    yield from (1, "x", [], {}, True, [1], {"a": 1})
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, entry in list(entries):
        if isinstance(value, dict):
            yield {other: value[other] for other in value if other != name}
        for variant in variants_of(entry):
            changed = value.copy()
            changed[name] = variant
            yield changed


def test_a_document_of_any_shape_is_refused_or_compared() -> None:
    """The id of a hostile document matches, so only its shape protects the code that compares it."""
    now = review_of(graph_of_text(PLAN + TWO_NODES)).document
    compared = refused = 0
    for variant in variants_of({name: value for name, value in now.items() if name not in {"id", "format"}}):
        document = {"format": 2, **(variant if isinstance(variant, dict) else {}), **saved_fields(REQUEST, INPUTS)}
        try:
            other = parse_saved_plan(content({"id": plan_id(document), **document}))
        except ValueError:
            refused += 1
            continue
        changed_inputs(other.inputs, INPUTS, other.document, now)
        diff_text(diff_documents(other.document, now))
        compared += 1
    assert compared > 500
    assert refused > 500
