"""The transformation of a template's syntax tree after which the budget also counts Jinja's built-in operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

if TYPE_CHECKING:
    from collections.abc import Sequence


class MeteringTransformer(NodeTransformer):
    """Wraps loops, slices, comparisons and the operator `~` in calls of the sandbox.

    Jinja alone does not count the work of these. The sandbox provides `loop_values`, `compared`, `concatenated` and
    `counted`.
    """

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802 - Jinja's name
        """Limit the iterations of a loop."""
        self.generic_visit(node)
        node.iter = _call_sandbox("loop_values", [node.iter])
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Compare:  # noqa: N802 - as above
        """Count the operands of a comparison; constants are small."""
        self.generic_visit(node)
        operands: tuple[nodes.Compare | nodes.Operand, ...] = (node, *node.ops)
        for operand in operands:
            if not isinstance(operand.expr, nodes.Const):
                operand.expr = _call_sandbox("compared", [operand.expr])
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Call:  # noqa: N802 - as above
        """Replace the operator `~` by a call."""
        self.generic_visit(node)
        return _call_sandbox("concatenated", node.nodes)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Expr:  # noqa: N802 - as above
        """Count the result of a slice."""
        self.generic_visit(node)
        return _call_sandbox("counted", [node]) if isinstance(node.arg, nodes.Slice) else node


def _call_sandbox(method: str, arguments: Sequence[nodes.Node]) -> nodes.Call:
    return nodes.Call(nodes.EnvironmentAttribute(method), arguments, [], None, None, lineno=1)
