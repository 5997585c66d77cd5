"""What is written as HCL is read as the same expression."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from mpbake.conversion.hcl_text import hcl
from mpbake.conversion.reading import read_expression, read_hcl
from mpbake.conversion.reading.hcl.strings import normalized
from mpbake.conversion.syntax import (
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
    Template,
    Unary,
    Variable,
)

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).map(normalized)
NAMES = st.sampled_from(["a", "B", "x_1", "a-b", "größe", "TAG"])
OPERATORS = st.sampled_from(["||", "&&", "==", "!=", "<", ">", "<=", ">=", "+", "-", "*", "/", "%"])
LITERALS = (TEXTS | st.integers(0, 10**6) | st.sampled_from([0.5, 12.25]) | st.booleans() | st.none()).map(
    lambda value: Literal(value=value)
)


def _template(parts: list[Expression | str]) -> Expression:
    """Return a template of parts, with adjacent texts joined as the reader has them."""
    joined: list[Expression] = []
    for part in parts:
        if not isinstance(part, str):
            joined.append(part)
        elif part and joined and isinstance(joined[-1], Literal) and isinstance(joined[-1].value, str):
            joined[-1] = Literal(value=normalized(joined[-1].value + part))
        elif part:
            joined.append(Literal(value=part))
    if all(isinstance(part, Literal) for part in joined):
        return Literal(value=normalized("".join(str(part.value) for part in joined if isinstance(part, Literal))))
    return Template(parts=tuple(joined))


def _compound(inner: SearchStrategy[Expression]) -> SearchStrategy[Expression]:
    not_literal = inner.filter(lambda part: not isinstance(part, Literal))
    keys = TEXTS.map(lambda text: Literal(value=text))
    return st.one_of(
        st.builds(lambda items: ListOf(items=tuple(Item(value=item) for item in items)), st.lists(inner, max_size=3)),
        st.builds(
            lambda pairs: ObjectOf(pairs=tuple(Pair(key=key, value=value) for key, value in pairs)),
            st.lists(st.tuples(keys, inner), max_size=3),
        ),
        st.builds(lambda function, arguments: Call(function=function, arguments=tuple(arguments)), NAMES,
                  st.lists(inner, max_size=3)),
        st.builds(lambda condition, then, otherwise: Conditional(condition=condition, then=then, otherwise=otherwise),
                  inner, inner, inner),
        st.builds(lambda operator, left, right: Binary(operator=operator, left=left, right=right),
                  OPERATORS, inner, inner),
        st.builds(lambda operator, operand: Unary(operator=operator, operand=operand),
                  st.sampled_from(["!", "-"]), not_literal),
        st.builds(lambda operand, name: Attribute(operand=operand, name=name), not_literal, NAMES),
        st.builds(lambda operand, key: Index(operand=operand, key=key), not_literal, inner),
        st.builds(lambda collection, result, condition: ForList(
            key="", value="v", collection=collection, result=result, condition=condition),
            inner, inner, st.none() | inner),
        st.builds(lambda collection, key, result, grouped: ForObject(
            key="k", value="v", collection=collection, result_key=key, result=result, grouped=grouped),
            inner, inner, inner, st.booleans()),
        st.lists(not_literal | TEXTS, min_size=1, max_size=4).map(_template),
    )  # fmt: skip


EXPRESSIONS: SearchStrategy[Expression] = st.recursive(
    LITERALS | NAMES.map(lambda name: Name(name=name)), _compound, max_leaves=8
)


@settings(max_examples=80, deadline=None)
@given(EXPRESSIONS)
def test_an_expression_that_is_written_is_read_as_the_same(expression: Expression) -> None:
    text = hcl(expression)

    (block,) = read_hcl(f"a = {text}\n", "docker-bake.hcl").blocks
    assert isinstance(block, Variable)
    assert block.default == read_expression(text) == expression


@settings(max_examples=80, deadline=None)
@given(EXPRESSIONS)
def test_the_text_of_a_value_is_the_text_as_written(expression: Expression) -> None:
    text = hcl(expression)

    (block,) = read_hcl(f"a = {text} # after\n", "docker-bake.hcl").blocks
    assert isinstance(block, Variable)
    assert block.comments.after == "after"
    assert block.default is not None
    assert block.default.text in {text, text.removeprefix("(").removesuffix(")")}
