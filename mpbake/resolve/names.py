"""Names, cycles and unknown references: problems that every kind of table can have."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, cast

from mpbake.base.codes import Code
from mpbake.base.text import did_you_mean, one_line
from mpbake.spec.problem import Problem
from mpbake.spec.tables.value_types import MARKER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mpbake.base.errors import KeyPath
    from mpbake.model.plan import Target

_MAX_SUGGESTIONS = 20
"""The maximum number of unknown names for which mpbake searches a similar known name."""


def topological_order(
    edges: Mapping[str, Iterable[str]], key: Callable[[str], KeyPath], problems: list[Problem]
) -> list[str]:
    """Return the names in topological order: `edges` maps each name to the names that must come before.

    Each group of names that all depend on each other becomes one problem with one cycle, printed as `a -> b -> a` (a
    matrix that needs itself has millions of cycles). The order then ignores the references within this group.
    """
    remaining = {name: set(predecessors) for name, predecessors in edges.items()}
    while True:
        try:
            sorter = TopologicalSorter({name: sorted(predecessors) for name, predecessors in remaining.items()})
            return list(sorter.static_order())
        except CycleError as error:
            cycle = cast("list[str]", error.args[1])[:0:-1]
            problems.append(cycle_problem(cycle, key))
            component = _reachable(remaining, cycle[0]) & _reachable(_reversed_edges(remaining), cycle[0])
            for name in component:
                remaining[name] -= component


def is_on_cycle(name: str, edges: Mapping[str, Iterable[str]]) -> bool:
    """Whether `name` depends on itself, directly or through other names."""
    return any(name in _reachable(edges, successor) for successor in edges[name])


def cycle_problem(cycle: list[str], key: Callable[[str], KeyPath]) -> Problem:
    """Return the problem of names that refer to each other in a cycle. `key` returns the key of a name's references."""
    path = _closed_cycle(cycle)
    message, hint = f"references form a cycle: {one_line(' -> '.join(path))}", "remove one of these references"
    return Problem(code=Code.CYCLE, key=key(path[0]), message=message, hint=hint, culprit=path[1])


def _closed_cycle(cycle: list[str]) -> list[str]:
    """Return the cycle as a closed path that starts at its smallest name, so that the output is deterministic."""
    start = cycle.index(min(cycle))
    return [*cycle[start:], *cycle[:start], cycle[start]]


def _reachable(edges: Mapping[str, Iterable[str]], start: str) -> set[str]:
    reached: set[str] = set()
    pending = [start]
    while pending:
        name = pending.pop()
        if name not in reached:
            reached.add(name)
            pending += edges[name]
    return reached


def _reversed_edges(edges: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    backward: dict[str, list[str]] = {name: [] for name in edges}
    for name, predecessors in edges.items():
        for predecessor in predecessors:
            backward[predecessor].append(name)
    return backward


def key_below(*key: str) -> Callable[..., KeyPath]:
    """Return a function that appends a path (or one name) to `key`."""

    def join(path: KeyPath | str) -> KeyPath:
        return (*key, path) if isinstance(path, str) else (*key, *path)

    return join


def strings_in(value: Any) -> Iterator[str]:
    """Yield every string in `value` at any depth, except the keys of tables."""
    match value:
        case str():
            yield value
        case list():
            yield from (text for item in value for text in strings_in(item))
        case dict():
            yield from (text for item in value.values() for text in strings_in(item))


def could_be(written: str, name: str) -> bool:
    """Whether a name in the plan, which may be a template, could be `name`."""
    beginning, *templates = MARKER.split(written)
    return name.startswith(beginning) if templates else name == written


def written_parents(inherits: str | Iterable[str]) -> list[str]:
    """Return the names in `inherits` as written: a list, or one template for the whole list."""
    return [inherits] if isinstance(inherits, str) else list(inherits)


def parent_graph(tables: Mapping[str, Iterable[str]], targets: Mapping[str, Target]) -> dict[str, set[str]]:
    """Return the tables that each table may inherit directly. `tables` maps each table to its parents as written.

    A row of a matrix stands for its table, by the names of `targets`. A template is a node of its own, called like its
    beginning with two braces: it leads to all tables that it may name.
    """
    graph: dict[str, set[str]] = {}
    for table, parents in tables.items():
        graph[table] = set()
        for parent in parents:
            beginning, *templates = MARKER.split(parent)
            if not templates:
                graph[table].add(targets[parent].table if parent in targets else parent)
                continue
            graph[table].add(node := beginning + "{{")
            if node not in graph:
                named = {name for name in tables if name.startswith(beginning)}
                graph[node] = named | {row.table for name, row in targets.items() if name.startswith(beginning)}
    return graph


def name_problem(key: KeyPath, name: str, *, matrix: bool = False) -> Problem:
    """Return the problem of an invalid name. With `matrix`, the name comes from a template of a matrix."""
    if matrix and not name:
        return Problem(
            code=Code.MATRIX_WITHOUT_NAME,
            key=key,
            message="a matrix needs a name for each of its targets",
            hint='add a template, for example name = "web-{{ version }}"',
        )
    message, hint = "is not a valid name", "use letters, digits, - and _ (in templates: {{ x | replace('.', '-') }})"
    if name.startswith("-"):
        message, hint = "looks like a command-line option", "start the name with a letter, a digit or _"
    return Problem(
        code=Code.BAD_NAME,
        key=key,
        message=f'"{one_line(name)}" {message}',
        hint=hint,
        of_key=key[-1:] == (name,),
    )


class UnknownReferences:
    """Makes the problems of references to unknown names: UNKNOWN_TARGET, UNKNOWN_BUILDER.

    The search for a similar name among thousands of names is slow, so it runs once for each unknown name, and only for
    the first `_MAX_SUGGESTIONS` unknown names.
    """

    def __init__(self, code: Code, known: Iterable[str]) -> None:
        """`known` are all names that a reference may use."""
        self._code = code
        self._kind = code.removeprefix("unknown-")
        self._known = tuple(known)
        self._hints: dict[str, str] = {}

    def problem(self, name: str, key: KeyPath) -> Problem:
        """Return the problem of the reference at `key` to the unknown `name`."""
        if name not in self._hints:
            self._hints[name] = self._hint(name) if len(self._hints) < _MAX_SUGGESTIONS else ""
        message = f'unknown {self._kind} "{one_line(name)}"'
        return Problem(code=self._code, key=key, message=message, hint=self._hints[name], culprit=name)

    def _hint(self, name: str) -> str:
        # A name with a leading underscore is a template table: other tables inherit from it, but it is not a target.
        candidates = [known for known in self._known if not known.startswith("_") or name.startswith("_")]
        return did_you_mean(name, candidates, kind=f"{self._kind}s")
