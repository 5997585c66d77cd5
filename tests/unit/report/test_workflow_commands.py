"""Workflow commands, and output in which GitHub's runner finds none."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mpbake.base.ci_commands import without_commands
from mpbake.base.text import without_colour
from mpbake.report.workflow_commands import workflow_command

COMMANDS = "add-mask|add-matcher|debug|endgroup|error|group|set-output|stop-commands|warning"


def is_command(line: str) -> bool:
    """Return whether the runner finds a command in a line, by the rules of actions/runner, `ActionCommand.cs`."""
    new, old = line.lstrip(), line.partition("##[")[2]
    return bool(re.match(rf"::(?:{COMMANDS})(?: .*?)?::", new) or re.match(rf"(?:{COMMANDS})(?: .*?)?\]", old))


PIECES = st.sampled_from(["::", "##[", "#", "[", "]", " ", "\t", "\u2003", "\x85", "\x1c", "\r", "error", "group", "x"])


@given(st.lists(PIECES, max_size=8).map("".join))
@example("\x85::error::")
@example("a\r::error::b")
def test_no_output_of_a_build_is_a_command(output: str) -> None:
    """`without_colour` converts the output of builds before a reporter sees it."""
    for line in without_colour(output).split("\n"):
        assert not is_command(without_commands(line))
        assert "\r" not in line


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (("endgroup", ""), "::endgroup::"),
        (("group", "50%\nof a\r"), "::group::50%25%0Aof a%0D"),
        (("error", "a: b, c", {"file": "a,b:c%", "line": 3, "title": ""}), "::error file=a%2Cb%3Ac%25,line=3::a: b, c"),
        (("warning", "\x1b[31m", {"title": "x\ny"}), r"::warning title=x%0Ay::\x1b[31m"),
    ],
)
def test_commands(arguments: tuple[str, str], command: str) -> None:
    assert workflow_command(*arguments) == command
