"""Workflow commands."""

from __future__ import annotations

import pytest

from mpbake.report.workflow_commands import workflow_command


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
