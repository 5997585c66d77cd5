"""Saved plans: what is written can be read, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mpbake.review.document.plan_document import plan_id
from mpbake.review.saved_plan import (
    LARGEST_SAVED_PLAN,
    InputStates,
    Request,
    parse_saved_plan,
    saved_fields,
)

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
    document = {"format": 2, "targets": [], "steps": [], **saved_fields(REQUEST, INPUTS), **changes}
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
    assert parse_saved_plan(content(with_request(push=push))).request.push is push


def test_an_edited_document_is_refused() -> None:
    edited = saved() | {"targets": [{"name": "other"}]}
    assert refusal(content(edited)) == "somebody changed it after mpbake saved it: its id belongs to another plan"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ([], "it is not a saved plan"),
        ("text", "it is not a saved plan"),
        ({}, "it is not a saved plan"),
        ({"format": 2, "id": "x"}, "it is not a saved plan"),
        (saved(format=1), "another version of mpbake saved it"),
        (saved(format=[2]), "another version of mpbake saved it"),
        (saved(request=[]), "its request does not have the fields of a saved plan"),
        (
            saved(request=saved()["request"] | {"allow": ["all"]}),
            "its request does not have the fields of a saved plan",
        ),
        (saved(request={"files": ["build.toml"]}), "its request does not have the fields of a saved plan"),
        (saved(inputs=None), "its inputs do not have the fields of a saved plan"),
        (saved(inputs={"files": {}, "contexts": []}), "its inputs are not lists of a saved plan"),
        (saved(inputs={"files": [1], "contexts": []}), "its inputs do not have the fields of a saved plan"),
        (
            saved(inputs={"files": [{"path": "a", "sha256": 1}], "contexts": []}),
            "its inputs do not have the fields of a saved plan",
        ),
        (with_request(names=["--allow=all"]), "the field names of its request has an impossible value"),
        (with_request(names=["web\x1b[2J"]), "the field names of its request has an impossible value"),
        (with_request(names=["a\nb"]), "the field names of its request has an impossible value"),
        (with_request(names="web"), "the field names of its request is not a list of 10000 values at most"),
        (with_request(names=["a"] * 10_001), "the field names of its request is not a list of 10000 values at most"),
        (with_request(names=[["web"]]), "the field names of its request has an impossible value"),
        (with_request(platforms=["-x"]), "the field platforms of its request has an impossible value"),
        (with_request(builder="--privileged"), "the field builder of its request has an impossible value"),
        (with_request(publish="never"), "the field publish of its request has an impossible value"),
        (with_request(push="yes"), "the field push of its request is not true or false"),
        (with_request(load=1), "the field load of its request is not true or false"),
        (with_request(files=[]), "it names no plan file"),
        (with_request(files=[""]), "it names no plan file"),
        (with_request(files=["-f"]), "the field files of its request has an impossible value"),
        (with_request(settings=[1]), "the field settings of its request is not a list of texts"),
        (with_request(variables=[]), "the field variables of its request is not a table of texts"),
        (with_request(variables={"a": 1}), "the field variables of its request is not a table of texts"),
        (with_request(variables={"a=b": "c"}), "the field variables of its request has an impossible name"),
        (with_request(variables={"": "c"}), "the field variables of its request has an impossible name"),
        (with_request(environment={"-a": "c"}), "the field environment of its request has an impossible value"),
    ],
)
def test_hostile_content(document: Any, reason: str) -> None:
    assert refusal(content(document)) == reason


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
    assert refusal(text) == "it is not JSON"


def test_a_deep_document_and_a_large_one() -> None:
    deep: Any = []
    for _ in range(900):
        deep = [deep]
    document = saved() | {"targets": deep}
    assert refusal(content(document)).startswith(("somebody changed it", "it is nested too deep", "it is not JSON"))
    assert refusal(b" " * (LARGEST_SAVED_PLAN + 1)) == "it is larger than 32 MB"
