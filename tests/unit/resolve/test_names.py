"""Topological order, cycles, names, and the keys of values."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpbake.base.codes import Code
from mpbake.resolve.names import UnknownReferences, key_below, name_problem, topological_order
from mpbake.spec.problem import Problem
from tests.unit.plans import problems_of_text

if TYPE_CHECKING:
    from mpbake.base.errors import KeyPath


def key(name: str) -> KeyPath:
    return ("key", name)


@pytest.mark.parametrize(
    ("edges", "order"),
    [
        ({}, []),
        ({"a": [], "b": []}, ["a", "b"]),
        ({"b": [], "a": []}, ["b", "a"]),
        ({"a": ["b"], "b": ["c"], "c": []}, ["c", "b", "a"]),
        ({"a": ["c", "b", "c"], "b": [], "c": []}, ["b", "c", "a"]),
    ],
)
def test_what_is_referred_to_comes_first(edges: dict[str, list[str]], order: list[str]) -> None:
    problems: list[Problem] = []
    assert topological_order(edges, key, problems) == order
    assert not problems


@pytest.mark.parametrize("names", list(itertools.permutations("abc")))
def test_a_cycle_starts_at_the_least_name_and_what_is_left_is_ordered(names: tuple[str, ...]) -> None:
    edges = {name: {"a": ["c"], "b": ["a"], "c": ["b"]}[name] for name in names} | {"d": ["a"]}
    problems: list[Problem] = []
    assert set(topological_order(edges, key, problems)) == {"a", "b", "c", "d"}
    message, hint = "references form a cycle: a -> c -> b -> a", "remove one of these references"
    assert problems == [Problem(code=Code.CYCLE, key=("key", "a"), message=message, hint=hint, culprit="c")]


def after_all(edges: dict[str, list[str]], name: str) -> set[str]:
    """Return all names that `name` refers to, directly or indirectly."""
    reachable_names: set[str] = set()
    for _ in edges:
        reachable_names |= {after for reached in (name, *reachable_names) for after in edges[reached]}
    return reachable_names


@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"))))
def test_every_graph_is_ordered_in_the_end(graph: dict[str, list[str]]) -> None:
    edges = {name: [predecessor for predecessor in before if predecessor in graph] for name, before in graph.items()}
    problems: list[Problem] = []
    order = topological_order(edges, key, problems)
    assert sorted(order) == sorted(edges)
    knots = []
    for problem in problems:
        path = problem.message.removeprefix("references form a cycle: ").split(" -> ")
        assert problem.key == ("key", path[0])
        assert (path[0], min(path)) == (path[-1], path[0])
        steps = list(itertools.pairwise(path))
        assert all(after in edges[name] for name, after in steps)
        knots.append(
            {name for name in edges if path[0] in after_all(edges, name) and name in after_all(edges, path[0])}
        )
    assert sum(map(len, knots)) == len(set().union(*knots))
    for name, before in edges.items():
        knot = next((knot_names for knot_names in knots if name in knot_names), set())
        assert all(order.index(predecessor) < order.index(name) for predecessor in before if predecessor not in knot)
    again: list[Problem] = []
    assert topological_order(edges, key, again) == order
    assert again == problems


def test_control_characters_of_a_cycle_are_escaped() -> None:
    problems: list[Problem] = []
    topological_order({"a\nb": ["\x00"], "\x00": ["a\nb"]}, key, problems)
    assert problems[0].message == r"references form a cycle: \x00 -> a\nb -> \x00"


def test_below_takes_a_name_or_a_path() -> None:
    where = key_below("builders", "release")
    assert where("driver") == ("builders", "release", "driver")
    assert where(("nodes", "a", 0)) == ("builders", "release", "nodes", "a", 0)
    assert where(()) == ("builders", "release")


NAME_HINT = "use letters, digits, - and _ (in templates: {{ x | replace('.', '-') }})"


@pytest.mark.parametrize(
    ("name", "matrix", "message", "hint"),
    [
        ("8.1", False, '"8.1" is not a valid name', NAME_HINT),
        ("8.1", True, '"8.1" is not a valid name', NAME_HINT),
        ("", False, '"" is not a valid name', NAME_HINT),
        (
            "",
            True,
            "a matrix needs a name for each of its targets",
            'add a template, for example name = "web-{{ version }}"',
        ),
        ("\x1b\n", False, r'"\x1b\n" is not a valid name', NAME_HINT),
        ("-x", False, '"-x" looks like a command-line option', "start the name with a letter, a digit or _"),
    ],
)
def test_a_bad_name(name: str, message: str, hint: str, *, matrix: bool) -> None:
    code = Code.MATRIX_WITHOUT_NAME if matrix and not name else Code.BAD_NAME
    assert name_problem(("x",), name, matrix=matrix) == Problem(code=code, key=("x",), message=message, hint=hint)


@pytest.mark.parametrize(
    ("known", "hint"),
    [
        (["web", "_web"], 'did you mean "web"?'),
        (["_wep"], "there are no targets"),
        ([], "there are no targets"),
        (["db"], "known targets: db"),
    ],
)
def test_an_unknown_name_is_compared_with_what_is_not_hidden(known: list[str], hint: str) -> None:
    assert UnknownReferences(Code.UNKNOWN_TARGET, known).problem("wep", ("x",)) == Problem(
        code=Code.UNKNOWN_TARGET, key=("x",), message='unknown target "wep"', hint=hint, culprit="wep"
    )


@pytest.mark.parametrize(
    ("known", "hint"),
    [
        (["web", "_web"], 'did you mean "_web"?'),
        (["_db", "db"], "known targets: _db, db"),
        ([], "there are no targets"),
    ],
)
def test_a_hidden_name_is_compared_with_everything(known: list[str], hint: str) -> None:
    assert UnknownReferences(Code.UNKNOWN_TARGET, known).problem("_wep", ("x",)) == Problem(
        code=Code.UNKNOWN_TARGET, key=("x",), message='unknown target "_wep"', hint=hint, culprit="_wep"
    )


def test_the_right_names_are_sought_for_the_first_wrong_ones_only() -> None:
    unknown = UnknownReferences(Code.UNKNOWN_TARGET, ["web"])
    hints = [unknown.problem(f"web{number}", ("x",)).hint for number in range(100)]
    assert hints == ['did you mean "web"?'] * 20 + [""] * 80
    assert unknown.problem("web0", ("y",)).hint == 'did you mean "web"?', "once found it is known"


@pytest.mark.parametrize("name", ["-x", "--push", "-"])
def test_names_of_targets_and_groups_do_not_look_like_options(name: str) -> None:
    for toml in (f"\n[targets.web]\n[groups]\n{name} = ['web']", f"\n[targets.{name}]"):
        assert f'"{name}" looks like a command-line option' in problems_of_text(toml)


def test_a_matrix_makes_no_name_that_looks_like_an_option() -> None:
    problems = problems_of_text("\n[targets.web]\nmatrix = { v = ['-x'] }\nname = '{{ v }}'")
    assert '"-x" looks like a command-line option' in problems
