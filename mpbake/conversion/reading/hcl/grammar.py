"""Parse code with python-hcl2: its parse tree as `Node`, and its syntax errors in the words of a reader of HCL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import UsageError
from mpbake.conversion.reading.hcl.syntax_errors import syntax_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from mpbake.conversion.reading.hcl.scan import Code
    from mpbake.conversion.reading.hcl.source import Source

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
        parse, unexpected_input = _python_hcl2()
        try:
            tree = parse(self._text)
        except unexpected_input as error:
            position = getattr(error, "pos_in_stream", None)
            end = position if isinstance(position, int) and position >= 0 else len(self._text)
            before = len(self._text[:end].rstrip())
            raise syntax_error(
                self._source,
                self._offset(end),
                self._offset(before - 1) + 1 if before > self._before else self._code.start,
                _expected(error),
                inner=bool(self._before),
            ) from None
        return self._node(tree)

    def _offset(self, position: int) -> int:
        last = self._code.offset(len(self._code.text))
        return min(max(self._code.offset(position - self._before), self._code.start), last)

    def _node(self, tree: Any) -> Node:
        """Return the tree of lark as nodes, without newlines. Tokens are a kind of text."""
        nodes: dict[int, Node] = {}
        for subtree in tree.iter_subtrees():
            parts = []
            for child in subtree.children:
                if isinstance(child, str):
                    parts.append(self._token(child))
                elif child.data != _NEWLINE:
                    parts.append(nodes[id(child)])
            start, end = (parts[0].start, parts[-1].end) if parts else (-1, -1)
            nodes[id(subtree)] = Node(kind=str(subtree.data), start=start, end=end, parts=tuple(parts))
        return nodes[id(tree)]

    def _token(self, token: Any) -> Node:
        start, end = self._offset(token.start_pos), self._offset(token.end_pos - 1) + 1
        return Node(kind=str(token.type), start=start, end=end)


def _expected(error: Any) -> frozenset[str]:
    """Return the names of the tokens that the grammar accepts instead."""
    for name in ("accepts", "expected", "allowed"):
        if names := getattr(error, name, None):
            return frozenset(names)
    return frozenset()


def _python_hcl2() -> tuple[Callable[[str], Any], type[Exception]]:
    """Return the parser, and the error that it raises for wrong syntax. Raises UsageError without python-hcl2."""
    try:
        from hcl2 import parses_to_tree  # noqa: PLC0415 - python-hcl2 is optional
        from lark.exceptions import UnexpectedInput  # noqa: PLC0415 - a dependency of python-hcl2
    except ImportError:
        msg = "reading a bake file in HCL needs the Python package python-hcl2, version 8.1.4 or newer"
        raise UsageError(msg, hint='run `pip install "mpbake[import]"`') from None
    return parses_to_tree, UnexpectedInput
