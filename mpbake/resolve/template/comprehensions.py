"""Comprehensions, which Jinja lacks: `[tag(v) for v in versions if v]` and `{k: upper(v) for k, v in pairs}`.

The parser turns a comprehension into a call of the sandbox. The loop itself becomes a template of its own that reports
each item to the sandbox, so that Jinja's loops, and the limits on them, apply. The names that the loop uses are passed
as arguments of the call.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Protocol

from jinja2 import nodes
from jinja2.lexer import TOKEN_STRING, Lexer
from jinja2.parser import Parser

from mpbake.resolve.template.foreign import ForeignSyntaxError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jinja2 import Environment
    from jinja2.lexer import Token


_IS_RECURSIVE = False
"""Whether the loops of comprehensions are recursive loops of Jinja."""


class _Comprehensions(Protocol):
    """The sandbox, which keeps the loops of comprehensions."""

    def add_comprehension(self, loop: nodes.Template, *, is_table: bool) -> int:
        """Keep a loop, and return its number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Clause:
    """A `for … in …` of a comprehension, with its conditions."""

    target: nodes.Expr
    values: nodes.Expr
    conditions: tuple[nodes.Expr, ...]
    line: int


class ComprehensionParser(Parser):
    """Jinja's parser with comprehensions of lists and tables."""

    def parse_primary(self, with_namespace: bool = False) -> nodes.Expr:  # noqa: FBT001, FBT002 - Jinja's signature
        """Parse a value; a list or table may be a comprehension."""
        match self.stream.current.type:
            case "lbracket":
                return self._parse_list()
            case "lbrace":
                return self._parse_table()
            case _:
                return super().parse_primary(with_namespace=with_namespace)

    def _parse_list(self) -> nodes.Expr:
        line = self.stream.expect("lbracket").lineno
        self._refuse_leading_for("[", "]", "[value for name in values]")
        items: list[nodes.Expr] = []
        while self.stream.current.type != "rbracket":
            items.append(self.parse_expression())
            if len(items) == 1 and self.stream.current.test("name:for"):
                return self._parse_comprehension(items, "rbracket")
            if self.stream.current.type != "rbracket":
                self.stream.expect("comma")
        self.stream.expect("rbracket")
        return nodes.List(items, lineno=line)

    def _parse_table(self) -> nodes.Expr:
        line = self.stream.expect("lbrace").lineno
        self._refuse_leading_for("{", "}", "{key: value for key, value in table.items()}")
        pairs: list[nodes.Pair] = []
        while self.stream.current.type != "rbrace":
            key = self.parse_expression()
            self.stream.expect("colon")
            value = self.parse_expression()
            if not pairs and self.stream.current.test("name:for"):
                return self._parse_comprehension([key, value], "rbrace")
            pairs.append(nodes.Pair(key, value, lineno=key.lineno))
            if self.stream.current.type != "rbrace":
                self.stream.expect("comma")
        self.stream.expect("rbrace")
        return nodes.Dict(pairs, lineno=line)

    def _refuse_leading_for(self, opening: str, closing: str, form: str) -> None:
        if self.stream.current.test("name:for"):
            message = f"{opening}for … : …{closing} is not supported in templates"
            raise ForeignSyntaxError(message, f"put the value first: {{{{ {form} }}}}")

    def _parse_comprehension(self, items: list[nodes.Expr], closing: str) -> nodes.Expr:
        """Parse the clauses after `items`: the item of a list, or the key and value of a table."""
        clauses: list[_Clause] = []
        while self.stream.current.test("name:for"):
            clauses.append(self._parse_clause())
        self.stream.expect(closing)
        environment: _Comprehensions = self.environment  # type: ignore[assignment]
        number = environment.add_comprehension(_loop(items, clauses, self.environment), is_table=len(items) > 1)
        names = sorted(_free_names(items, clauses))
        values = [nodes.Pair(nodes.Const(name), nodes.Name(name, "load")) for name in names]
        return _call("comprehend", [nodes.Const(number), nodes.Dict(values)], items[0].lineno)

    def _parse_clause(self) -> _Clause:
        line = self.stream.expect("name:for").lineno
        target = self.parse_assign_target(extra_end_rules=("name:in",))
        self.stream.expect("name:in")
        values = self.parse_expression(with_condexpr=False)
        conditions: list[nodes.Expr] = []
        while self.stream.skip_if("name:if"):
            conditions.append(self.parse_expression(with_condexpr=False))
        return _Clause(target=target, values=values, conditions=tuple(conditions), line=line)


def _loop(items: list[nodes.Expr], clauses: list[_Clause], environment: Environment) -> nodes.Template:
    """Return the template that runs the clauses, the last of them innermost, and reports each item to the sandbox."""
    body: nodes.Node = nodes.ExprStmt(_call("collect", items, items[0].lineno), lineno=items[0].lineno)
    for clause in reversed(clauses):
        condition = reduce(nodes.And, clause.conditions) if clause.conditions else None
        body = nodes.For(clause.target, clause.values, [body], [], condition, _IS_RECURSIVE, lineno=clause.line)
    template = nodes.Template([body], lineno=1)
    template.set_environment(environment)
    return template


def _free_names(items: Iterable[nodes.Expr], clauses: Iterable[_Clause]) -> set[str]:
    """Return the names that a comprehension uses but does not bind."""
    free: set[str] = set()
    bound: set[str] = set()
    for clause in clauses:
        free |= _names(clause.values, "load") - bound
        bound |= {"loop"} | _names(clause.target, "store")
        for condition in clause.conditions:
            free |= _names(condition, "load") - bound
    return free.union(*(_names(item, "load") - bound for item in items))


def _names(node: nodes.Node, context: str) -> set[str]:
    """Return the names in an expression that are read (`load`) or bound (`store`)."""
    candidates = (node, *node.find_all(nodes.Name))
    return {name.name for name in candidates if isinstance(name, nodes.Name) and name.ctx == context}


def _call(method: str, arguments: list[nodes.Expr], line: int) -> nodes.Call:
    return nodes.Call(nodes.EnvironmentAttribute(method), arguments, [], None, None, lineno=line)


def numbers_of_comprehensions(tree: nodes.Node) -> Iterator[int]:
    """Yield the numbers of the comprehensions in a syntax tree, without comprehensions inside of them."""
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.EnvironmentAttribute) and call.node.name == "comprehend":
            yield call.args[0].value  # type: ignore[attr-defined]


_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_KNOWN_ESCAPES = frozenset("\\'\"abfnrtvxuUN01234567\n")


class TextLexer(Lexer):
    """Jinja's lexer, in which the backslash of an unknown escape stays without a warning of Python."""

    def wrap(
        self, stream: Iterable[tuple[int, str, str]], name: str | None = None, filename: str | None = None
    ) -> Iterator[Token]:
        """Convert tokens to values, as Jinja does."""
        return super().wrap((_with_known_escapes(*token) for token in stream), name, filename)


def _with_known_escapes(line: int, token: str, text: str) -> tuple[int, str, str]:
    if token != TOKEN_STRING or "\\" not in text:
        return line, token, text
    return line, token, _ESCAPE.sub(lambda match: match[0] if match[1] in _KNOWN_ESCAPES else f"\\{match[0]}", text)
