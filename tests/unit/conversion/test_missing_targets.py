"""Why a bake file has no target that bake could build."""

from __future__ import annotations

import pytest

from mpbake.conversion.missing_targets import missing_targets
from mpbake.conversion.reading import read_hcl


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            'target "a" { inherits = ["b"] }\ntarget "b" { inherits = ["a"] }\n',
            "docker-bake.hcl:1: the targets inherit each other: a -> b -> a",
            "remove one of these references",
        ),
        (
            'target "x" { inherits = ["a", "y"] }\ntarget "a" { inherits = ["gone", "a"] }\n',
            "docker-bake.hcl:2: the targets inherit each other: a -> a",
            "remove one of these references",
        ),
        ('\ntargets "a" {}\n', "docker-bake.hcl:2: bake ignores the block `targets`", "write `target`"),
        ('Target "a" {}\n', "docker-bake.hcl:1: bake ignores the block `Target`", "write `target`"),
        (
            'variable "A" {}\nother "a" {}\n',
            "docker-bake.hcl: no target that bake could build",
            "name all files that bake gets, in the same order",
        ),
    ],
)
def test_the_message_says_what_to_change(text: str, message: str, hint: str) -> None:
    assert missing_targets(read_hcl(text, "docker-bake.hcl")) == (message, hint)
