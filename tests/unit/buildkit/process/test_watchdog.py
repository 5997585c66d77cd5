"""The register of child processes that the watchdog must end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mpbake.buildkit.process.watchdog import alive

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("register", "children"),
    [
        ("", set()),
        ("+12\n", {12}),
        ("+12\n+13\n-12\n", {13}),
        ("+12\n-12\n", set()),
        ("-12\n", set()),
        # a process number that is used again
        ("+12\n-12\n+12\n", {12}),
        ("+12\n+12\n-12\n", set()),
        # lines that name no child, and incomplete lines
        ("+\n-\nx12\n+a\n+1a\n12\n", {12} - {12}),
        ("+12\n+1", {1, 12}),
        ("+12\n+", {12}),
    ],
)
def test_children_that_have_started_and_not_ended(tmp_path: Path, register: str, children: set[int]) -> None:
    file = tmp_path / "children"
    file.write_text(register)
    assert alive(file) == children


def test_a_register_that_is_damaged(tmp_path: Path) -> None:
    file = tmp_path / "children"
    file.write_bytes(b"+12\n\xff\xfe\0\n+\xb2\n+13\n")
    assert alive(file) == {12, 13}


def test_no_register(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        alive(tmp_path / "children")
