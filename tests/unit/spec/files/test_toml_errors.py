"""The messages for files that are not valid TOML."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.plans import problems_of_bytes, problems_of_text, text

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            "version = 1\n\n[targets.web\ncontext = 'x'\n",
            """
            build.toml:3: not valid TOML: Expected ']' at the end of a table declaration
                [targets.web
              = close the name of the table with ]
            """,
        ),
        (
            "version = 1\n[targets.web]\ncontext = unquoted\n",
            """
            build.toml:3: not valid TOML: Invalid value
                context = unquoted
              = put text in quotes: name = "web"; write true and false in small letters
            """,
        ),
        (
            "version = 1\r\n[targets.web]\r\n[targets.web]\r\n",
            """
            build.toml:3: targets.web: is defined twice
                [targets.web]
              = keep one of them: the first is on line 2
            """,
        ),
        *(
            (
                f"version = 1\n{line}\n",
                f"""
                build.toml:2: not valid TOML: {message}
                    {line}
                  = put keys with characters other than A-Z, a-z, 0-9, - and _ in quotes
                """,
            )
            for line, message in (
                ("[targets.wüb]", "Expected ']' at the end of a table declaration"),
                ("[targets.web.platform.linux/arm64]", "Expected ']' at the end of a table declaration"),
                ("labels = { größe = '1' }", "Expected '=' after a key in a key/value pair"),
                ("labels = { ä = '1' }", "Invalid initial character for a key part"),
                ("öl = 1", "Invalid statement"),
                ("@types/x = 1", "Invalid statement"),
            )
        ),
        (
            "version = 1\n[targets.web x]\n",
            """
            build.toml:2: not valid TOML: Expected ']' at the end of a table declaration
                [targets.web x]
              = close the name of the table with ]
            """,
        ),
        *(
            (
                f"version = 1\n{line}\n",
                f"""
                build.toml:2: not valid TOML: {message} '\\x1b'
                    {line}
                  = write it as \\u001b in double quotes, or remove it
                """.replace("\x1b", "\\x1b"),
            )
            for line, message in (
                ('x = "a\x1bb"', "Illegal character"),
                ("x = 'a\x1bb'", "Found invalid character"),
                ('x = """a\x1bb"""', "Illegal character"),
            )
        ),
        *(
            (
                f"version = 1\n{line}\n",
                f"""
                build.toml:2: not valid TOML: Found invalid character '\\x1b'
                    {line}
                  = remove it: comments cannot contain this character
                """.replace("\x1b", "\\x1b"),
            )
            for line in ("# it's \x1b", 'x = "a" # \x1b', "x = [ # '\x1b'")
        ),
        *(
            (
                f"version = 1\nx = {quote}a\nb{quote}\n",
                f"""
                build.toml:2: not valid TOML: {message} '\\n'
                    x = {quote}a
                  = put text of several lines in three quotes: \"\"\"
                """,
            )
            for quote, message in (("'", "Found invalid character"), ('"', "Illegal character"))
        ),
        (
            "version = 1\na\0b = 1\n",
            r"""
            build.toml:2: not valid TOML: Expected '=' after a key in a key/value pair
                a\x00b = 1
              = write key = value
            """,
        ),
        (
            "version = 1\nx = ['a'\xa0]\n",
            """
            build.toml:2: not valid TOML: Unclosed array
                x = ['a'\xa0]
              = close the list with ]
            """,
        ),
        (
            "version = 1\nx = '''\n",
            """
            build.toml:3: not valid TOML: Expected "'''"
              = end the text with the quotes that it begins with
            """,
        ),
    ],
)
def test_a_mistake_of_syntax_has_its_line(tmp_path: Path, content: str, problem: str) -> None:
    assert problems_of_bytes(tmp_path, content.encode()) == text(problem)


@pytest.mark.parametrize(
    ("written", "line", "reason"),
    [
        ('["a"\n"b"]', 3, "a comma is missing"),
        ("[1 2]", 3, "a comma is missing"),
        ('["a", "b"\ntrue]', 3, "a comma is missing"),
        ('[["a"]\n["b"]]', 3, "a comma is missing"),
        ('{ a = "b" c = "d" }', 3, "a comma is missing"),
        ('["a"\npush = true', 4, "Unclosed array"),
        ('["a"\n"b" = 3', 4, "Unclosed array"),
        ('["a"\n[targets.b]', 4, "Unclosed array"),
        ('["a"; "b"]', 3, "Unclosed array"),
        ('["a"', 3, "Unclosed array"),
        ('{ a = "b"\nc = "d"', 4, "Unclosed inline table"),
    ],
)
def test_a_missing_comma_is_told_from_a_missing_bracket(written: str, line: int, reason: str) -> None:
    assert f"build.toml:{line}:" in (problems := problems_of_text(f"\n[targets.web]\ntags = {written}"))
    assert f"not valid TOML: {reason}\n" in problems
