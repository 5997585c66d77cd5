"""Files that a fresh checkout lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mpbake.base.codes import Code
from mpbake.graph.preflight.secret_files import is_missing_secret
from mpbake.spec.problem import Problem

if TYPE_CHECKING:
    from mpbake.base.errors import KeyPath


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (("builders", "release", "nodes", "arm64", "tls", "key"), True),
        (("builders", "release", "nodes", "arm64", "deploy", "cert"), True),
        (("builders", "release", "tls", "ca"), True),
        (("builders", "tls", "nodes", "tls", "config"), False),
        (("builders", "tls", "config"), False),
        (("targets", "web", "secret", 0), True),
        (("targets", "web", "platform", "linux/arm64", "secret", 0), True),
        (("defaults", "target", "ssh", 0), True),
        (("targets", "secret", "dockerfile"), False),
        (("targets", "secret"), False),
        ((), False),
    ],
)
def test_which_files_are_secret(key: KeyPath, *, expected: bool) -> None:
    assert is_missing_secret(Problem(code=Code.MISSING_FILE, key=key, message="")) is expected
    assert not is_missing_secret(Problem(code=Code.EXPOSED_KEY, key=key, message=""))
