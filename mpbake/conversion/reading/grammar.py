"""Parse code with python-hcl2: its parse tree as `Node`, and its syntax errors in the words of a reader of HCL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Code as Problem
from mpbake.base.errors import UsageError
from mpbake.conversion.reading.syntax_errors import syntax_error

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from mpbake.conversion.reading.scanner import Code
    from mpbake.conversion.reading.source import Source

MAX_LEVELS = 200
"""The maximum depth of a parse tree. A chain of 150 operators is below it."""

_NEWLINE = "new_line_or_comment"
_WRAPPER = "_=("
"""What makes an expression a body, which is all that python-hcl2 parses."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A rule of the grammar with its parts, or a token without parts. `start` and `end` are offsets in the source."""

    kind: str
    start: int
    end: int
    parts: tuple[Node, ...] = ()

    def first(self, kind: str) -> Node | None:
        """Return the first part of this kind."""
        return next((part for part in self.parts if part.kind == kind), None)

    def all(self, kind: str) -> tuple[Node, ...]:
        """Return all parts of this kind."""
        return tuple(part for part in self.parts if part.kind == kind)


def parse_body(code: Code, source: Source) -> Node:
    """Return the `body` of a file. Raises PlanError, and UsageError without python-hcl2."""
    tree = _Parser(source, code, code.text, 0).tree()
    body = tree.first("body")
    assert body is not None  # noqa: S101 - the grammar says so
    return body


def parse_expression(code: Code, source: Source) -> Node:
    """Return an expression: a template sequence, or a whole text. Raises PlanError, and UsageError without python-hcl2.

    The expression is an `expr_term` in parentheses that are not in the source.
    """
    tree = _Parser(source, code, f"{_WRAPPER}{code.text})", len(_WRAPPER)).tree()
    node = tree
    while node.kind != "expr_term":
        node = node.parts[-1]
    return node


class _Parser:
    """Parses `text`, which has the code from position `before` on."""

    def __init__(self, source: Source, code: Code, text: str, before: int) -> None:
        self._source = source
        self._code = code
        self._text = text
        self._before = before

    def tree(self) -> Node:
        hcl2 = _hcl2()
        from lark.exceptions import UnexpectedInput  # noqa: PLC0415 - python-hcl2 is optional

        try:
            tree = hcl2.parses_to_tree(self._text)
        except UnexpectedInput as error:
            position = error.pos_in_stream
            end = len(self._text) if position is None or position < 0 else position
            raise syntax_error(self._source, self._offset(end), _expected(error), inner=bool(self._before)) from None
        return self._node(tree)

    def _offset(self, position: int) -> int:
        last = self._code.offset(len(self._code.text))
        return min(max(self._code.offset(position - self._before), self._code.start), last)

    def _node(self, tree: Any) -> Node:
        """Return the tree of lark as nodes, without newlines."""
        nodes: dict[int, Node] = {}
        levels: dict[int, int] = {}
        for subtree in tree.iter_subtrees():
            parts = [self._part(child, nodes) for child in subtree.children if getattr(child, "data", "") != _NEWLINE]
            level = 1 + max((levels.get(id(child), 0) for child in subtree.children), default=0)
            start = parts[0].start if parts else -1
            if level > MAX_LEVELS:
                message = f"an expression has more than {MAX_LEVELS} levels"
                hint = "divide it: give a part of it to a variable"
                raise self._source.error(start, message, hint=hint, code=Problem.TOO_DEEP)
            levels[id(subtree)] = level
            end = parts[-1].end if parts else -1
            nodes[id(subtree)] = Node(kind=str(subtree.data), start=start, end=end, parts=tuple(parts))
        return nodes[id(tree)]

    def _part(self, child: Any, nodes: Mapping[int, Node]) -> Node:
        if hasattr(child, "data"):
            return nodes[id(child)]
        end = self._offset(child.end_pos - 1) + 1
        return Node(kind=str(child.type), start=self._offset(child.start_pos), end=end)


def _expected(error: Any) -> frozenset[str]:
    """Return the names of the tokens that the grammar accepts instead."""
    for name in ("accepts", "expected", "allowed"):
        if names := getattr(error, name, None):
            return frozenset(names)
    return frozenset()


def _hcl2() -> ModuleType:
    try:
        import hcl2  # noqa: PLC0415 - python-hcl2 is optional
    except ImportError:
        msg = "reading a bake file in HCL needs the Python package python-hcl2"
        raise UsageError(msg, hint='run pip install "mpbake[import]"') from None
    return hcl2
