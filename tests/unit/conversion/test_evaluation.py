"""Expressions as HCL, and what bake answers about them."""

from __future__ import annotations

import base64
import json

import pytest

from mpbake.conversion.evaluation import evaluated, evaluation_text
from mpbake.conversion.hcl_text import hcl
from mpbake.conversion.plan.conversion import Frozen, FrozenKey
from mpbake.conversion.reading import read_expression, read_hcl


@pytest.mark.parametrize(
    "text",
    [
        '"a \\"quoted\\" text\\n"',
        '"$${x} and %%{y}"',
        '"${a}-${b}"',
        '"${a}"',
        '"%{ if a }x%{ else }y%{ endif }"',
        '"%{ for k, v in m }${k}=${v},%{ endfor }"',
        "1",
        "-1.5",
        "true",
        "null",
        "a.b.c",
        'a["x-y"]',
        "a[0]",
        "a[*].b.c",
        "f(a, [b], {c = 1})",
        "f(a...)",
        "!a",
        "-a",
        "a + b * c",
        "(a + b) * c",
        'a == "x" && !b || c',
        "a ? b : c ? d : e",
        "[for v in a : upper(v) if v != null]",
        "[for k, v in a : k]",
        "{for k, v in a : k => v...}",
        '{ a = 1, "b-c" = [2], (d) = 3 }',
    ],
)
def test_an_expression_is_the_same_after_writing_and_reading(text: str) -> None:
    expression = read_expression(text)
    written = hcl(expression)
    assert "\n" not in written
    assert read_expression(written) == expression


FILE = read_hcl(
    """
    target "web" {
      matrix = { v = ["1", "2"] }
      name   = "web-${v}"
    }
    """,
    "docker-bake.hcl",
)


def frozen(text: str, target: str = "") -> Frozen:
    key = FrozenKey(block="target", name=target or "app", path=("args", text))
    return Frozen(key=key, expression=read_expression(text), reason="random", target=target)


def answer(value: object) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


def test_each_expression_is_an_argument_of_a_target_of_its_own() -> None:
    text = evaluation_text([frozen("upper(a)"), frozen("v", "web")], FILE)
    targets = {block.name: block for block in read_hcl(text, "x.hcl").blocks}
    assert list(targets) == ["mpbake-import-0", "mpbake-import-1"]
    assert "value = base64encode(jsonencode(upper(a)))" in text
    assert 'name = "mpbake-import-1-web-${v}"' in text


def test_the_answers_are_the_values_of_the_expressions() -> None:
    entries = [frozen("upper(a)"), frozen("v", "web")]
    targets = {
        "mpbake-import-0": {"args": {"value": answer({"a": ["${b}"]})}},
        "mpbake-import-1-web-1": {"args": {"value": answer(1), "row": "web-1"}},
        "mpbake-import-1-web-2": {"args": {"value": answer(None), "row": "web-2"}},
        "mpbake-import-11-x": {"args": {"value": answer("other"), "row": "x"}},
    }
    assert evaluated(entries, targets) == {
        entries[0].key: {"a": ["${b}"]},
        entries[1].key: {"web-1": 1, "web-2": None},
    }
