"""The errors of wrong bake files in HCL: what is wrong, where, and what to do."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mpbake.base.codes import Code
from mpbake.base.errors import PlanError, UsageError
from mpbake.conversion.reading import read_hcl
from mpbake.conversion.reading.hcl.source import MAX_HCL
from tests.unit.conversion.reading.bakefiles import error

if TYPE_CHECKING:
    from types import ModuleType

_VALUE = 'write text in quotes ("…"), a number, a list [ … ] or a name'
_ITEM = 'write an attribute (name = value) or a block (target "web" { … }) here'
_LINE = "remove it, or write each attribute in a line of its own"
_BLOCK = 'write `name = value`, or a block: target "web" { … }'


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        (
            'target "a" {\n  context = "."\n  "foo" = "x"\n}',
            "3:3",
            'the attribute "foo" must have no quotes',
            "write it without quotes",
        ),
        # Strings and templates
        (
            'a = "x',
            "1:5",
            "the string is not closed in its line",
            'add `"` where it, or a string before it, ends; write text of several lines as a heredoc: <<EOT',
        ),
        (
            'a = ["x:${TAG", "y"]',
            "1:9",
            "the template `${` is not closed",
            "add `}` where it ends, or write `$${` for the text `${`",
        ),
        (
            "a = <<EOT\n${x\nEOT\n",
            "2:1",
            "the template `${` is not closed",
            "add `}` where it ends, or write `$${` for the text `${`",
        ),
        ("a = <<EOT\n x\n EOT2\n", "1:5", "the heredoc is never closed: no line has only `EOT`",
         "add a line `EOT` where the text ends"),
        (r'a = "C:\dir"', "1:8", r"`\d` is not an escape sequence",
         r"write \\ for a backslash; HCL knows \n \r \t \" \\ \uXXXX and \UXXXXXXXX"),
        (r'a = "\u12"', "1:6", r"`\u` needs 4 hexadecimal digits",
         r"write \\ for a backslash; HCL knows \n \r \t \" \\ \uXXXX and \UXXXXXXXX"),
        (r'a = "\ud800"', "1:6", r"`\ud800` is no character of Unicode", "remove it"),
        ('a = "${}"', "1:8", "expected a value, not `}`", _VALUE),
        ('a = "${x y}"', "1:10", "expected an operator or `}`, not `y`", "add what is missing before `y`"),
        ('a = "${TAG:-x}"', "1:11", "HCL has no `:-` for a default",
         'give the variable a default, or write ${x != "" ? x : "default"}'),
        ('a = "%{ if x }y"', "1:6", "`%{ if }` has no `%{ endif }`", "add `%{ endif }` where it ends"),
        ('a = "%{ for x in y }"', "1:6", "`%{ for }` has no `%{ endfor }`", "add `%{ endfor }` where it ends"),
        ('a = "%{ endif }"', "1:6", "`%{ endif }` belongs to no `%{ if … }`", "remove it, or add what it ends"),
        ('a = "%{ if x }%{ else }%{ else }%{ endif }"', "1:24", "`%{ else }` belongs to no `%{ if … }`",
         "remove it, or add what it ends"),
        ('a = "%{ while x }"', "1:6", "`while` is not a template directive",
         "write if, else, endif, for or endfor; write %%{ for the text %{"),
        ('a = "100 %{}"', "1:10", "`%{` needs a directive",
         "write if, else, endif, for or endfor; write %%{ for the text %{"),
        ('a = "%{ for x }%{ endfor }"', "1:6", "`%{ for … }` needs names, `in` and a list",
         "write `%{ for item in list }` or `%{ for key, value in table }`"),
        # Brackets
        ('target "x" {\n  args = {\n  }\n', "1:12", "`{` is never closed", "add `}` where it ends"),
        ("a = [1, 2)\n", "1:10", "expected `]`, which closes `[` in line 1, not `)`",
         "write `]`, or close `[` before"),
        ("a = 1\n}\n", "2:1", "`}` closes nothing", "remove it, or add what it closes"),
        ("a = 1 /* b\n", "1:7", "the comment is never closed", "add `*/` where it ends"),
        # Attributes
        ('target "x" {\n  context: "."\n}\n', "2:10", "expected `=` or `{` after `context`, not `:`",
         "write `context = value`"),
        ('target "x" {\n  context := "."\n}\n', "2:11", "expected `=`, not `:=`", "write `name = value`"),
        ('target "x" {\n  context "."\n}\n', "2:14", 'expected `{` after `"."`, not the end of the line', _BLOCK),
        ("a =\nb = 1\n", "1:4", "expected a value, not the end of the line", _VALUE),
        ("a = x y", "1:8", "expected an operator or a new line before `y`",
         "write text in quotes, and each attribute in a line of its own"),
        ("a = 1,\nb = 2\n", "1:6", "`,` is not expected here", "remove the comma: a new line ends an attribute"),
        ("a = 1 b = 2\n", "1:7", "expected a new line before `b`", "write it in a line of its own"),
        ('a = "x" "y"', "1:9", '`"` is not expected here', _LINE),
        ("a += 1", "1:3", "expected `=` or `{` after `a`, not `+=`", "write `a = value`"),
        ('"a" = 1', "1:1", 'the attribute "a" must have no quotes', "write it without quotes"),
        ('target = "x" {\n}\n', "1:14", "`{` is not expected here", 'write a block without `=`: target "web" { … }'),
        ('target "x" = {\n}\n', "1:12", 'expected `{` after `"x"`, not `=`', _BLOCK),
        # Values
        ("a = 0x10", "1:5", "`0x10` is not a number",
         'write a decimal number such as 10 or 0.5, or text in quotes: "…"'),
        ("a = 1.2.3", "1:5", "`1.2.3` is not a number",
         'write a decimal number such as 10 or 0.5, or text in quotes: "…"'),
        ("a = 5MB", "1:5", "`5MB` is not a number",
         'write a decimal number such as 10 or 0.5, or text in quotes: "…"'),
        ("a = 1.", "1:7", "expected a name after `.`, not the end", "write `variable.name`, or a number such as 1.0"),
        ("a = 'x'", "1:5", "`'` is not expected here", 'write double quotes: "…"'),
        ("a = \u201cx\u201d", "1:5", "`\u201c` is not expected here", 'write straight quotes: "…"'),
        ("a = x ? y\n", "1:10", "expected `:` and a value, not the end of the line",
         "write x ? a : b for a condition, or [for item in list : item]"),
        ("a = [1 2]", "1:8", "expected `,` or `]`, not `2`", "write a comma between the items of a list"),
        ("a = f(1 2)", "1:9", "expected `,` or `)`, not `2`", "write a comma between arguments"),
        ("a = {b}", "1:7", "expected `=` and a value after `b`, not `}`", "write `b = value`"),
        ("a = { b = 1 c = 2 }", "1:13", "expected `,` or a new line before `c`",
         "write each entry in a line of its own"),
        ("a = { b.c = 1 }", "1:7", "the key `b.c` is neither a name nor text in quotes",
         "write text in quotes, or an expression in parentheses"),
        ("a = [for x of y : x]", "1:12", "expected `in` after the names of `for`, not `of`",
         "write [for item in list : item]"),
        ("a = {for x in y : x}", "1:20", "expected `=>` and a value, not `}`",
         "write {for key, value in table : key => value}"),
        ("a = [for x in y : x => 1]", "1:21", "expected `if` or `]`, not `=>`", "write [for item in list : item]"),
        ("a = \x01", "1:5", "the character U+0001 is not expected here", "remove it, or put it into quotes"),
        # Blocks
        ("target {\n}\n", "1:1", "a `target` block must have one name, not none", 'write target "name" { … }'),
        ('group "a" "b" {\n}\n', "1:1", "a `group` block must have one name, not 2", 'write group "name" { … }'),
        ('target "a${b}" {\n}\n', "1:8", "the name of a block must not be a template", "write the name itself"),
        ('group "a" {\n}\n', "1:1", 'group "a" has no `targets`', "add `targets = …`"),
        ('function "f" {\n  params = []\n}\n', "1:1", 'function "f" has no `result`', "add `result = …`"),
        ('function "f" {\n  params = x\n  result = 1\n}\n', "2:12", 'function "f": `params` must be a list of names',
         "write params = [a, b]"),
        ('function "f" {\n  params = [1]\n  result = 1\n}\n', "2:13", 'function "f": a parameter must be a name',
         "write params = [a, b]"),
        ('variable "x" {\n  validation {\n  }\n}\n', "2:3", "validation has no `condition`", "add `condition = …`"),
        # Other files
        ("# c\nFROM alpine\nRUN true\n", "2:1", "the file is a Dockerfile, not a bake file",
         "name the bake file, in HCL or JSON"),
        ("# c\n\nservices:\n  web:\n    build: .\n", "3:1", "the file is YAML, not HCL",
         "give the file a name that ends with .yaml if it is a Compose file"),
        ("FROM alpine\nRUN echo 'x' \\\n  {\n", "1:1", "the file is a Dockerfile, not a bake file",
         "name the bake file, in HCL or JSON"),
        ("name: 'x'\n", "1:1", "the file is YAML, not HCL",
         "give the file a name that ends with .yaml if it is a Compose file"),
        (
            '{{ $versions := list "1" }}\ntarget "web" {}\n',
            "1:1",
            "the file is a template of another tool, not a bake file",
            "import the file that the template renders to",
        ),
        ('{"target": {}}', "1:1", "the file is JSON, and its name says HCL",
         "give the file a name that ends with .json"),
        ('target "a" {\n<<<<<<< HEAD\n  tags = [\n=======\n', "2:1", "the file has a merge conflict",
         "resolve the conflict first"),
    ],
)  # fmt: skip
def test_a_wrong_file(text: str, place: str, message: str, hint: str) -> None:
    first, *excerpt = error(text).split("\n")

    assert first == f"docker-bake.hcl:{place}: {message} [hcl-syntax]".replace("\x01", "\\x01")
    assert excerpt[-1] == f"  = {hint}"
    assert len(message) < 100


def test_an_attribute_that_a_block_has_twice_has_a_code_of_its_own() -> None:
    assert error('target "x" {\n  context = "."\n  context = "b"\n}\n') == (
        "docker-bake.hcl:3:3: `context` is already set in line 2 [duplicate-key]\n"
        '    context = "b"\n'
        "    ^^^^^^^\n"
        "  = remove one of them"
    )


def test_all_problems_of_the_blocks_are_reported_at_once() -> None:
    with pytest.raises(PlanError) as raised:
        read_hcl('target {\n}\ngroup "g" {\n}\na = 1\na = 2\n', "docker-bake.hcl")
    assert [diagnostic.location.line for diagnostic in raised.value.diagnostics if diagnostic.location] == [1, 3, 6]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a = " + "1" * 1000, Code.NUMBER_TOO_LONG),
        ("a = 1e999999999", Code.NUMBER_TOO_LONG),
        ("a = " + "{ b = " * 200 + "}" * 200, Code.TOO_DEEP),
        ("#" * (MAX_HCL + 1), Code.PLAN_TOO_LARGE),
    ],
)
def test_a_file_that_would_exhaust_the_reader_is_refused(text: str, code: Code) -> None:
    with pytest.raises(PlanError) as raised:
        read_hcl(text, "docker-bake.hcl")
    assert [diagnostic.code for diagnostic in raised.value.diagnostics] == [code]


@pytest.mark.parametrize("text", ["\n" * 20_000 + "x", "#\n" * 20_000 + "- x", "a = " + "!" * 20_000, "/*" * 20_000])
def test_an_error_after_many_lines_is_found_soon(text: str) -> None:
    assert error(text)


def test_without_python_hcl2_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hcl2", cast("ModuleType", None))

    with pytest.raises(UsageError) as raised:
        read_hcl("a = 1\n", "docker-bake.hcl")
    assert raised.value.hint == 'run `pip install "mpbake[import]"`'


PIECES = st.sampled_from(
    [
        *('target "web" {\n', "a = ", "b", '"', "${", "%{", " if x", "}", "{", "[", "]", "(", ")", ",", "\n", " "),
        *("=", ":", "=>", "?", "...", "<<E\n", "E\n", "for ", "in ", "#", "/*", "*/", "~", "\\", "1", ".", "*", "-"),
        *("!", "é", "$$", "\r\n", "\x00", "\ufeff"),
    ]
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(PIECES, max_size=25).map("".join))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    try:
        read_hcl(text, "docker-bake.hcl")
    except PlanError as problem:
        for diagnostic in problem.diagnostics:
            assert diagnostic.hint
            assert diagnostic.location is not None
            assert 1 <= diagnostic.location.line <= text.count("\n") + 1
