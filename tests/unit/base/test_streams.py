"""Standard streams that are full, closed, or limited to a small character set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkout import CHECKOUT

pytestmark = pytest.mark.allow_subprocess
FULL = "standard output: No space left on device"
CLOSED = "standard output: Bad file descriptor"


def shell(folder: Path, command: str) -> tuple[int, str]:
    """Run a shell command with this `mpbake`. Return its exit code and both output streams together."""
    (folder / "build.toml").write_text('version = 1\n[targets.web]\ndescription = "é"\n', encoding="utf-8")
    environment = {"PATH": os.defpath, "PYTHONPATH": str(CHECKOUT)}
    script = f'mpbake() {{ "{sys.executable}" -m mpbake "$@"; }}\n{command}'
    completed = subprocess.run(["sh", "-c", script], cwd=folder, env=environment, capture_output=True, check=False)
    return completed.returncode, (completed.stdout + completed.stderr).decode()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
@pytest.mark.parametrize("words", ["--help", "--version", "list", "schema", "list --help"])
def test_output_that_is_full(tmp_path: Path, words: str) -> None:
    assert shell(tmp_path, f"mpbake {words} > /dev/full") == (1, f"error: {FULL}\n")
    assert shell(tmp_path, f"PYTHONIOENCODING=ascii mpbake {words} > /dev/full") == (1, f"error: {FULL}\n")


@pytest.mark.parametrize("words", ["--help", "--version", "list"])
def test_output_that_is_closed(tmp_path: Path, words: str) -> None:
    assert shell(tmp_path, f"mpbake {words} >&-") == (1, f"error: {CLOSED}\n")


@pytest.mark.parametrize("end", ["2>&-", ">&- 2>&- <&-", "2>/dev/full"])
def test_the_exit_code_is_that_of_the_error_though_nobody_reads_it(tmp_path: Path, end: str) -> None:
    assert shell(tmp_path, f"mpbake list nothing {end}") == (3, "")


def test_characters_that_cannot_be_written_are_escaped(tmp_path: Path) -> None:
    code, output = shell(tmp_path, "PYTHONIOENCODING=ascii mpbake list")
    assert (code, output.split()[-1]) == (0, r"\xe9")
