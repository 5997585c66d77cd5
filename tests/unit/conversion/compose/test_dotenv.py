"""Files such as `.env`."""

from __future__ import annotations

import pytest

from mpbake.conversion.compose.yaml.dotenv import read_dotenv


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("", {}),
        ("A=1\nB = 2 \n", {"A": "1", "B": "2"}),
        ("\ufeffA=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("# A=1\n\n  export A=2 # two\nB=a#b", {"A": "2", "B": "a#b"}),
        ("A: 1", {"A": "1"}),
        ("A=", {"A": ""}),
        ("A=\nB=2", {"A": "", "B": "2"}),
        ("A\nB=2", {"B": "2"}),
        ("A='x $B \\n'", {"A": "x $B \\n"}),
        ('A="x\\ty\\"z"', {"A": 'x\ty"z'}),
        ('A="two\nlines"\nB=2', {"A": "two\nlines", "B": "2"}),
        ("A=1\nB=${A}2\nC=${X:-d}\nD=$A$$A", {"A": "1", "B": "12", "C": "d", "D": "1$A"}),
        ("A=${X:+set}\nB=${HOST}", {"A": "", "B": "me"}),
        ('A="\\$X"', {"A": "$X"}),
        ("A=${", {"A": "${"}),
        ("!\nA=1", {"A": "1"}),
    ],
)
def test_variables_are_read(text: str, variables: dict[str, str]) -> None:
    assert read_dotenv(text, {"HOST": "me"}) == variables
