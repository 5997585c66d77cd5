"""Syntax trees of templates: the functions that they use, and the calls by which the budget counts operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

from mpbake.resolve.template.comprehensions import numbers_of_comprehensions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mpbake.resolve.template.sandbox import Sandbox

ANY = "*"
"""The use of a function whose name is known only when the template is rendered."""


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


def trees_in(tree: nodes.Template, sandbox: Sandbox) -> Iterator[nodes.Template]:
    """Yield a syntax tree, and the trees of all comprehensions in it."""
    pending = [tree]
    while pending:
        current = pending.pop()
        yield current
        pending += [sandbox.comprehension(number) for number in numbers_of_comprehensions(current)]


def uses_of_functions(tree: nodes.Template, sandbox: Sandbox) -> set[str]:
    """Return the names that a template uses as functions or filters, and `ANY` if it computes such a name.

    The filter `map` takes the name of another filter.
    """
    uses: set[str] = set()
    for current in trees_in(tree, sandbox):
        uses |= {name.name for name in current.find_all(nodes.Name)}
        for applied in current.find_all(nodes.Filter):
            uses |= {applied.name, *_mapped(applied)}
    return uses


def _mapped(applied: nodes.Filter) -> set[str]:
    """Return the filters that `map` applies."""
    if applied.name != "map":
        return set()
    if applied.dyn_args or applied.dyn_kwargs:
        return {ANY}
    return {str(name.value) if isinstance(name, nodes.Const) else ANY for name in applied.args[:1]}


def calls_in(tree: nodes.Template, sandbox: Sandbox) -> Iterator[tuple[str, int, list[str]]]:
    """Yield the calls of functions by name, and of filters: name, number of arguments, and names of arguments.

    The value that a filter is applied to counts as an argument. Calls with `*list` or `**table` are left out.
    """
    for current in trees_in(tree, sandbox):
        for applied in current.find_all(nodes.Filter):
            if not (applied.dyn_args or applied.dyn_kwargs):
                yield applied.name, len(applied.args) + 1, [str(argument.key) for argument in applied.kwargs]
        for call in current.find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and not (call.dyn_args or call.dyn_kwargs):
                yield call.node.name, len(call.args), [argument.key for argument in call.kwargs]
