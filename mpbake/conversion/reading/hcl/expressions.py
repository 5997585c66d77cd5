"""Make expressions of the parse tree of python-hcl2."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.base.codes import Code as Problem
from mpbake.conversion.reading.hcl.argument_comments import has_entries, with_comments
from mpbake.conversion.reading.hcl.comments import CommentMap
from mpbake.conversion.reading.hcl.grammar import parse_expression
from mpbake.conversion.reading.hcl.numbers import number_literal
from mpbake.conversion.reading.hcl.templates import TemplateReader
from mpbake.conversion.syntax import (
    SPLAT_ITEM,
    Attribute,
    Binary,
    Call,
    Conditional,
    Expression,
    ForList,
    ForObject,
    Index,
    Item,
    ListOf,
    Literal,
    Name,
    ObjectOf,
    Pair,
    Place,
    Splat,
    Unary,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mpbake.conversion.reading.hcl.grammar import Node
    from mpbake.conversion.reading.hcl.scan import Code, Scan, String
    from mpbake.conversion.reading.hcl.source import Source

MAX_LEVELS = 150
"""The maximum depth of an expression. Lists in lists take two levels each, operators in a row one each."""

_CONSTANTS = {"true": True, "false": False, "null": None}


class ExpressionReader:
    """Reads the expressions of one source."""

    def __init__(self, source: Source, scan: Scan) -> None:
        self.source = source
        self.comments = CommentMap(scan.comments, source)
        self._scan = scan
        self._templates = TemplateReader(source, self.parse)
        self._levels = 0

    def parse(self, code: Code) -> Expression:
        """Return the expression that is the whole of `code`."""
        return self.read(parse_expression(code, self.source))

    def template(self, string: String) -> Expression:
        """Return a string as a literal or a template."""
        return self._templates.read(string)

    def text(self, node: Node) -> str:
        """Return the text of a node as written."""
        return self.source.text[node.start : node.end]

    def place(self, node: Node) -> Place:
        """Return the place of a node."""
        return self.source.place(node.start)

    def read(self, node: Node) -> Expression:
        """Return the expression of a node. Raises PlanError if it is nested too deeply."""
        self._enter(1, node)
        expression = self._read(node)
        self._levels -= 1
        return expression

    def _enter(self, levels: int, node: Node) -> None:
        self._levels += levels
        if self._levels > MAX_LEVELS:
            message = f"an expression has more than {MAX_LEVELS} levels"
            hint = "divide it: give a part of it to a variable"
            raise self.source.error(node.start, message, hint=hint, code=Problem.TOO_DEEP)

    def _read(self, node: Node) -> Expression:  # noqa: C901, PLR0911, PLR0912 - one case for each kind
        match node.kind:
            case "expr_term":
                return self.read(_inside(node))
            case "string":
                return self.template(self._scan.strings[node.start])
            case "identifier":
                return Name(name=self.text(node), place=self.place(node), text=self.text(node))
            case "literal_value":
                return Literal(value=_CONSTANTS[self.text(node)], place=self.place(node), text=self.text(node))
            case "int_lit" | "float_lit":
                return number_literal(self.text(node), node.start, self.source)
            case "tuple":
                return self._list(node)
            case "object":
                return self._object(node)
            case "for_tuple_expr" | "for_object_expr":
                return self._for(node)
            case "function_call":
                return self._call(node)
            case "conditional":
                condition, then, otherwise = (self.read(node.parts[index]) for index in (0, 2, 4))
                return Conditional(
                    condition=condition, then=then, otherwise=otherwise, place=self.place(node), text=self.text(node)
                )
            case "binary_op":
                return self._binary(node)
            case "unary_op":
                return self._unary(node)
            case _:
                return self._access(node)

    def _list(self, node: Node) -> ListOf:
        items = [part for part in node.parts[1:-1] if part.kind != "COMMA"]
        values = [self.read(item) for item in items]
        attached = self.comments.attach(_spans(items), node.start, node.end)
        return ListOf(
            items=tuple(
                Item(value=value, comments=comments) for value, comments in zip(values, attached.entries, strict=True)
            ),
            trailing=attached.trailing,
            place=self.place(node),
            text=self.text(node),
        )

    def _object(self, node: Node) -> ObjectOf:
        elements = node.all("object_elem")
        self._check_separators(node)
        pairs = [(self._key(element.parts[0]), self.read(element.parts[2])) for element in elements]
        attached = self.comments.attach(_spans(elements), node.start, node.end)
        return ObjectOf(
            pairs=tuple(
                Pair(key=key, value=value, comments=comments)
                for (key, value), comments in zip(pairs, attached.entries, strict=True)
            ),
            trailing=attached.trailing,
            place=self.place(node),
            text=self.text(node),
        )

    def _check_separators(self, node: Node) -> None:
        """Raise PlanError if two entries of an object are in one line without a comma."""
        for before, after in zip(node.parts, node.parts[1:], strict=False):
            if before.kind == after.kind == "object_elem" and self._same_line(before, after):
                message = f"expected `,` or a new line before `{self.text(after.parts[0])[:40]}`"
                raise self.source.error(after.start, message, hint="write each entry in a line of its own")

    def _same_line(self, before: Node, after: Node) -> bool:
        return self.source.line(before.end - 1) == self.source.line(after.start)

    def _key(self, node: Node) -> Expression:
        """Return the key of an entry of an object: a name is text; an expression needs parentheses."""
        term = node.parts[0]
        if term.kind == "expr_term" and term.parts[0].kind != "LPAR":
            inner = term.parts[0]
            if inner.kind in {"identifier", "literal_value", "int_lit"}:
                return Literal(value=self.text(inner), place=self.place(inner), text=self.text(inner))
            if inner.kind != "string":
                message = f"the key `{self.text(inner)[:40]}` is neither a name nor text in quotes"
                hint = "write text in quotes, or an expression in parentheses"
                raise self.source.error(inner.start, message, length=inner.end - inner.start, hint=hint)
        if term.kind == "keyword":
            return Literal(value=self.text(term), place=self.place(term), text=self.text(term))
        return self.read(term)

    def _for(self, node: Node) -> ForList | ForObject:
        introduction = node.parts[1]
        names = [self.text(part) for part in introduction.all("identifier")]
        key, value = names if len(names) == 2 else ("", names[0])
        collection = self.read(introduction.parts[-2])
        condition_node = node.first("for_cond")
        condition = self.read(condition_node.parts[-1]) if condition_node else None
        place, text = self.place(node), self.text(node)
        if node.kind == "for_tuple_expr":
            result = self.read(node.parts[2])
            return ForList(
                key=key, value=value, collection=collection, result=result, condition=condition, place=place, text=text
            )
        return ForObject(
            key=key,
            value=value,
            collection=collection,
            result_key=self.read(node.parts[2]),
            result=self.read(node.parts[4]),
            condition=condition,
            grouped=node.first("ELLIPSIS") is not None,
            place=place,
            text=text,
        )

    def _call(self, node: Node) -> Call:
        opening = next(index for index, part in enumerate(node.parts) if part.kind == "LPAR")
        arguments = node.first("arguments")
        parts = arguments.parts if arguments else ()
        written = [part for part in parts if part.kind not in {"COMMA", "ELLIPSIS"}]
        values = [self.read(part) for part in written]
        if len(values) > 1 and all(map(has_entries, values)):
            values = self._with_comments(values, _spans(written), (node.parts[opening].start, node.end))
        return Call(
            function="".join(self.text(part) for part in node.parts[:opening]),
            arguments=tuple(values),
            expand=bool(parts) and parts[-1].kind == "ELLIPSIS",
            place=self.place(node),
            text=self.text(node),
        )

    def _with_comments(
        self, arguments: list[Expression], spans: list[tuple[int, int]], call: tuple[int, int]
    ) -> list[Expression]:
        """Return the arguments of a call with the comments between them."""
        attached = self.comments.attach(spans, *call)
        *first, last = attached.entries
        last = replace(last, before=(*last.before, *attached.trailing))
        return [with_comments(value, lines) for value, lines in zip(arguments, (*first, last), strict=True)]

    def _binary(self, node: Node) -> Expression:
        """Return a chain of operators of one precedence, from left to right."""
        chain = []
        while node.kind == "binary_op":
            chain.append(node)
            node = node.parts[0]
        self._enter(len(chain), node)
        left = self.read(node)
        for operation in reversed(chain):
            operator, right = operation.parts[1].parts
            left = Binary(
                operator=self.text(operator).strip(),
                left=left,
                right=self.read(right),
                place=self.place(operation),
                text=self.text(operation),
            )
        self._levels -= len(chain)
        return left

    def _unary(self, node: Node) -> Expression:
        operator, operand = node.parts
        signs = self._scan.prefixes.get(operator.start, "") + self.text(operator)
        self._enter(len(signs), node)
        result = self.read(operand)
        for sign in reversed(signs):
            result = self._signed(sign, result, node)
        self._levels -= len(signs)
        return result

    def _signed(self, sign: str, operand: Expression, node: Node) -> Expression:
        place, text = self.place(node), self.text(node)
        match operand:
            case Literal(value=int() | float() as number) if sign == "-" and not isinstance(number, bool):
                return Literal(value=-number, place=place, text=text)
            case _:
                return Unary(operator=sign, operand=operand, place=place, text=text)

    def _access(self, node: Node) -> Expression:
        """Return an attribute, an item or a splat of an operand."""
        operand, access = self.read(node.parts[0]), node.parts[1]
        start = node.start
        match access.kind:
            case "full_splat":
                return self._splat(operand, access.parts[1:], start, access.end)
            case "attr_splat":
                steps = access.parts[1:]
                split = next((index for index, step in enumerate(steps) if step.kind == "braces_index"), len(steps))
                end = steps[split - 1].end if split else access.parts[0].end
                result = self._splat(operand, steps[:split], start, end)
                return self._steps(result, steps[split:], start)
            case _:
                return self._steps(operand, [access], start)

    def _splat(self, operand: Expression, steps: Sequence[Node], start: int, end: int) -> Splat:
        each = self._steps(Name(name=SPLAT_ITEM), steps, start)
        return Splat(operand=operand, each=each, place=self.source.place(start), text=self.source.text[start:end])

    def _steps(self, operand: Expression, steps: Sequence[Node], start: int) -> Expression:
        if steps:
            self._enter(len(steps), steps[-1])
            self._levels -= len(steps)
        for step in steps:
            place, text = self.source.place(start), self.source.text[start : step.end]
            if step.kind == "get_attr":
                operand = Attribute(operand=operand, name=self.text(step.parts[1]), place=place, text=text)
            else:
                key = self._index(step.parts[1])
                operand = Index(operand=operand, key=key, place=place, text=text)
        return operand

    def _index(self, node: Node) -> Expression:
        """Return the key of an access: `operand[key]`, or a number as in `operand.0`."""
        if node.kind == "INT_LITERAL":
            return number_literal(self.text(node), node.start, self.source)
        return self.read(node)


def _inside(node: Node) -> Node:
    """Return what is in an `expr_term`, without parentheses."""
    return node.parts[1] if node.parts[0].kind == "LPAR" else node.parts[0]


def _spans(nodes: Sequence[Node]) -> list[tuple[int, int]]:
    return [(node.start, node.end) for node in nodes]
