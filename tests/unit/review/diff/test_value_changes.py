"""The changes between two JSON values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpbake.review.diff.value_changes import Change, ChangeKind, is_same, value_changes
from tests.unit.documents import VALUES


def shown(before: Any, after: Any) -> list[str]:
    """Return the changes in short form: the path, the kind, and the values."""
    return [
        f"{'.'.join(change.path)} {change.kind}: {json.dumps(change.before)} -> {json.dumps(change.after)}"
        for change in value_changes(before, after)
    ]


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ("a", "a", []),
        ("a", "b", [' value: "a" -> "b"']),
        (1, True, [" value: 1 -> true"]),
        (1, 1.0, [" value: 1 -> 1.0"]),
        ({"a": 1}, {"b": 1}, ["b value: null -> 1", "a value: 1 -> null"]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": 3, "b": 1}}, ["a.c value: 2 -> 3"]),
        ({}, {"a": {"b": 1}}, ["a.b value: null -> 1"]),
        ({}, {"a": {}}, ["a value: null -> {}"]),
        ({}, {"a": []}, ["a value: null -> []"]),
        ({"a": ["x"]}, {}, ['a entry: "x" -> null']),
        ({"a": "x"}, {"a": ["x"]}, ['a value: "x" -> ["x"]']),
        (["a", "b"], ["b", "c"], [' entry: "a" -> null', ' entry: null -> "c"']),
        (["a", "b"], ["b", "a"], [' order: ["a", "b"] -> ["b", "a"]']),
        (["a", "a"], ["a"], [' entry: "a" -> null']),
        ([1], [True], [" entry: 1 -> null", " entry: null -> true"]),
        ([{"x": 1, "y": 2}], [{"y": 2, "x": 1}], []),
        (
            ["a", "b", "x"],
            ["y", "b", "a"],
            [' entry: "x" -> null', ' entry: null -> "y"', ' order: ["a", "b"] -> ["b", "a"]'],
        ),
    ],
)
def test_changes(before: Any, after: Any, changes: list[str]) -> None:
    assert shown(before, after) == changes


@given(VALUES)
def test_a_value_does_not_differ_from_a_copy(value: Any) -> None:
    copy = json.loads(json.dumps(value))
    assert is_same(value, copy)
    assert list(value_changes(value, copy)) == []


@given(VALUES, VALUES)
def test_different_values_differ(before: Any, after: Any) -> None:
    differs = json.dumps(before, sort_keys=True) != json.dumps(after, sort_keys=True)
    assert is_same(before, after) is not differs
    assert bool(list(value_changes(before, after))) is differs


@given(st.dictionaries(st.sampled_from("abc"), VALUES), st.dictionaries(st.sampled_from("abc"), VALUES))
def test_the_changes_lead_from_one_value_to_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    result = json.loads(json.dumps(before))
    for change in value_changes(before, after):
        apply(result, change)
    assert without_empty(result) == without_empty(after)


def apply(value: Any, change: Change) -> None:
    """Apply a change to a table. The order of entries is that of the test below."""
    *folders, key = change.path
    for name in folders:
        value = value.setdefault(name, {})
    match change.kind:
        case ChangeKind.VALUE if change.after is None:
            del value[key]
        case ChangeKind.VALUE:
            value[key] = change.after
        case ChangeKind.ENTRY if change.after is None:
            index = [json.dumps(entry, sort_keys=True) for entry in value[key]].index(
                json.dumps(change.before, sort_keys=True)
            )
            del value[key][index]
        case ChangeKind.ENTRY:
            value.setdefault(key, []).append(change.after)
        case ChangeKind.ORDER:
            pass


def without_empty(value: Any) -> str:
    """Return a value without empty tables, as text, with sorted lists at the paths of changes."""
    match value:
        case dict():
            entries = {key: without_empty(entry) for key, entry in value.items()}
            return json.dumps(
                {key: entry for key, entry in entries.items() if entry not in ("{}", "[]")}, sort_keys=True
            )
        case list():
            return json.dumps(sorted(json.dumps(entry, sort_keys=True) for entry in value))
        case _:
            return json.dumps(value)
