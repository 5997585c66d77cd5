"""Reading a saved plan. Its content can be hostile."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings

from mpbake.review.diff.plan_diff import diff_documents
from mpbake.review.document.saved_document import read_document
from tests.unit.documents import VALUES, document_of, documents

if TYPE_CHECKING:
    from collections.abc import Callable

PLAN = """
[targets.web]
tags = ["r.io/web:1"]
push = true
platforms = ["linux/amd64"]
checks = [{ run = ["true"] }]
"""
SAVE_AGAIN = "save the plan again: mpbake plan -o plan.json"


def refusal(text: str) -> str:
    with pytest.raises(ValueError, match=r"\n") as caught:
        read_document(text)
    return str(caught.value)


def test_a_saved_plan_is_the_same_plan() -> None:
    document = document_of(PLAN)
    assert read_document(json.dumps(document, indent=2)) == document


def test_the_id_is_computed_again() -> None:
    document = document_of(PLAN)
    assert read_document(json.dumps({**document, "id": "<b>evil</b>"})) == document


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '"x"', "{}", '{"format": NaN}', "[" * 100_000, '{"a":' * 100_000, "1" * 5000, "\ufeff{}"],
)
def test_what_is_no_plan(text: str) -> None:
    assert refusal(text) == f"is not the JSON of a plan\n{SAVE_AGAIN}"


@pytest.mark.parametrize("number", [1, 3, True, "2", 2.5])
def test_another_format(number: Any) -> None:
    text = json.dumps({**document_of(PLAN), "format": number})
    assert refusal(text) == f"is not a plan in format 2, the only one that this mpbake supports\n{SAVE_AGAIN}"


CHANGES: dict[str, tuple[str, Callable[[Any], object]]] = {
    "missing": ("targets", lambda document: document.pop("targets")),
    "no list": ("grants", lambda document: document.update(grants={})),
    "no table": ("builders", lambda document: document.update(builders=[1])),
    "no text": ("registries", lambda document: document["registries"][0].update(name=1)),
    "no name": ("targets", lambda document: document["targets"][0].update(name="")),
    "twice": ("two targets with one name", lambda document: document["targets"].append(document["targets"][0])),
    "nodes": ("nodes", lambda document: document["builders"][0]["nodes"].append({})),
    "node twice": (
        "two nodes with one id",
        lambda document: document["builders"][0]["nodes"].append(document["builders"][0]["nodes"][0]),
    ),
    "contexts": ("targets", lambda document: document["targets"][0].update(contexts={"a": 1})),
    "secrets": ("targets", lambda document: document["targets"][0]["attributes"].update(secret="x")),
    "variants": ("variants of targets", lambda document: document["targets"][0].update(variants={"a": []})),
    "kind": ("steps", lambda document: document["steps"][0].update(kind="delete")),
    "step": ("steps", lambda document: document["steps"][0].pop("node")),
    "placed": ("steps", lambda document: document["steps"][1].update(platforms=["linux/amd64"])),
    "warnings": ("warnings", lambda document: document.update(warnings=[1])),
    "null": ("null, or values that are nested too deeply", lambda document: document.update(other=[None])),
    "deep": (
        "null, or values that are nested too deeply",
        lambda document: document.update(other=json.loads("[" * 100 + "]" * 100)),
    ),
}


@pytest.mark.parametrize(("part", "change"), CHANGES.values(), ids=CHANGES)
def test_a_wrong_shape(part: str, change: Callable[[Any], object]) -> None:
    document = document_of(PLAN)
    change(document)
    assert refusal(json.dumps(document)) == f"is not a complete plan: {part}\n{SAVE_AGAIN}"


@settings(max_examples=30)
@given(documents())
def test_every_plan_document_is_accepted_and_can_be_compared(document: dict[str, Any]) -> None:
    read = read_document(json.dumps(document))
    assert not diff_documents(read, document)


@settings(max_examples=20)
@given(documents(), documents(), VALUES)
def test_whatever_is_accepted_can_be_compared(document: dict[str, Any], after: dict[str, Any], value: Any) -> None:
    for name in document.keys() - {"format"}:
        for place in (document, *(document[name] if isinstance(document[name], list) else ())):
            for key in list(place) if isinstance(place, dict) else ():
                changed = copy.deepcopy(document)
                if place is document:
                    changed[key] = value
                else:
                    changed[name][document[name].index(place)][key] = value
                try:
                    read = read_document(json.dumps(changed))
                except ValueError:
                    continue
                diff_documents(read, after)
                diff_documents(after, read)
