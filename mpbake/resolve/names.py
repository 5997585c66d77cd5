"""Names, cycles and unknown references: problems that every table can have."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, cast

from mpbake.base.codes import Code
from mpbake.base.text import did_you_mean, one_line
from mpbake.spec.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mpbake.base.errors import KeyPath

_SOUGHT = 20
"""Wrong names for which the right one is sought."""


def topological_order(
    edges: Mapping[str, Iterable[str]], key: Callable[[str], KeyPath], problems: list[Problem]
) -> list[str]:
    """Names in topological order: what `edges` maps a name to comes before it.

    Of names that are all on cycles with one another, one cycle becomes a problem, printed as `a -> b -> a` (a matrix
    that needs itself has millions); the order then leaves the references between these names out of account.
    """
    left = {name: set(before) for name, before in edges.items()}
    while True:
        try:
            return list(TopologicalSorter({name: sorted(before) for name, before in left.items()}).static_order())
        except CycleError as error:
            path = _from_the_first(cast("list[str]", error.args[1])[:0:-1])
            message = f"a cycle: {one_line(' -> '.join(path))}"
            hint = "take one of these references away"
            problems.append(Problem(code=Code.CYCLE, key=key(path[0]), message=message, hint=hint, culprit=path[1]))
            tangle = _reachable(left, path[0]) & _reachable(_turned(left), path[0])
            for name in tangle:
                left[name] -= tangle


def _from_the_first(cycle: list[str]) -> list[str]:
    """The cycle closed, and turned so that it always starts at the same node."""
    start = cycle.index(min(cycle))
    return [*cycle[start:], *cycle[:start], cycle[start]]


def _reachable(edges: Mapping[str, Iterable[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += edges[name]
    return found


def _turned(edges: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """The edges the other way round."""
    turned: dict[str, list[str]] = {name: [] for name in edges}
    for name, before in edges.items():
        for each in before:
            turned[each].append(name)
    return turned


def key_below(*key: str) -> Callable[..., KeyPath]:
    """A function that puts a path (or one name) below `key`."""

    def join(path: KeyPath | str) -> KeyPath:
        return (*key, path) if isinstance(path, str) else (*key, *path)

    return join


def strings_in(value: Any) -> Iterator[str]:
    """Every string in `value`, however deep."""
    match value:
        case str():
            yield value
        case list():
            yield from (text for each in value for text in strings_in(each))
        case dict():
            yield from (text for each in value.values() for text in strings_in(each))


def name_problem(key: KeyPath, name: str, *, matrix: bool = False) -> Problem:
    """The problem of a name that cannot be one; `matrix` says that a template should have made it."""
    if matrix and not name:
        return Problem(
            code=Code.MATRIX_WITHOUT_NAME,
            key=key,
            message="a matrix needs a name for each of its targets",
            hint='for example name = "web-{{ version }}"',
        )
    message, hint = "is no name", "use letters, digits, - and _ (in templates: {{ x | replace('.', '-') }})"
    if name.startswith("-"):
        message, hint = "looks like an option of a command", "begin the name with a letter, a digit or _"
    return Problem(
        code=Code.BAD_NAME,
        key=key,
        message=f'"{one_line(name)}" {message}',
        hint=hint,
        of_key=key[-1:] == (name,),
    )


class UnknownReferences:
    """Problems of references to something that is not there: UNKNOWN_TARGET, UNKNOWN_BUILDER.

    Seeking the right name among thousands takes time: it is done once for each wrong one, and for the first few only.
    """

    def __init__(self, code: Code, known: Iterable[str]) -> None:
        """`known` are the names of all that there is."""
        self._code = code
        self._kind = code.removeprefix("unknown-")
        self._known = tuple(known)
        self._hints: dict[str, str] = {}

    def problem(self, name: str, key: KeyPath) -> Problem:
        """The problem of the reference at `key` to what would be called `name`."""
        if name not in self._hints:
            self._hints[name] = self._hint(name) if len(self._hints) < _SOUGHT else ""
        message = f'unknown {self._kind} "{one_line(name)}"'
        return Problem(code=self._code, key=key, message=message, hint=self._hints[name], culprit=name)

    def _hint(self, name: str) -> str:
        # A template is no answer where a target is asked for; where one was meant, it is.
        visible = [each for each in self._known if not each.startswith("_") or name.startswith("_")]
        return did_you_mean(name, visible, kind=f"{self._kind}s")
