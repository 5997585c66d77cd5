"""The errors of bake."""

from __future__ import annotations

import pytest

from mpbake.conversion.bake_errors import BakeProblem, read_bake_error


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (
            'docker-bake.hcl:2,16-23: Unknown variable; There is no variable named "TAGG"., and 4 other diagnostic(s)',
            BakeProblem(text='there is no variable "TAGG"', file="docker-bake.hcl", line=2, unknown="variable"),
        ),
        (
            'docker-bake.hcl:2,16-23: Unknown variable; There is no variable named "TAGG". Did you mean "TAG"?',
            BakeProblem(
                text='there is no variable "TAGG"', file="docker-bake.hcl", line=2, unknown="variable", near="TAG"
            ),
        ),
        (
            'tmpab.hcl:3,9-5,2: Call to unknown function; There is no function named "nosuch".',
            BakeProblem(text='there is no function "nosuch"', unknown="function"),
        ),
        (
            "docker-bake.hcl:8,72-75: Invalid index; The index is too large., and 1 other diagnostic(s)",
            BakeProblem(text="Invalid index; The index is too large", file="docker-bake.hcl", line=8),
        ),
        ("failed to find target x", BakeProblem(text="failed to find target x")),
    ],
)
def test_the_first_problem_has_a_place_and_a_text(message: str, problem: BakeProblem) -> None:
    assert read_bake_error(message, ("docker-bake.hcl",)) == problem


def test_only_a_bake_file_is_a_place() -> None:
    message = "a.hcl:2,1-3: Invalid name; no"
    assert read_bake_error(message, ("a.hcl",)).place == "a.hcl:2"
    assert read_bake_error(message, ("b.hcl",)).place == ""
