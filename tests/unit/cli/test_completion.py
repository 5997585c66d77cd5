"""Shell completion: a separate process gets the words of the command line in its environment, as from a shell."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.checkout import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.allow_subprocess
PLAN = """
version = 1
[variables]
token = { default = "hunter2", sensitive = true }
[builders.farm]
driver = "docker-container"
nodes.local = {}
[groups]
both = ["web", "tool"]
[targets.web]
builder = "farm"
[targets.tool]
[targets._hidden]
"""


def complete(folder: Path, words: str, *, how: str = "bash_complete", **environment: str) -> tuple[int, str, str]:
    """Return the exit code, the completions and the errors for the last word of `words`, which may be empty."""
    typed = words.split(" ")
    environment |= {"PATH": os.defpath, "PYTHONPATH": str(CHECKOUT), "HOME": str(folder), "_MPBAKE_COMPLETE": how}
    environment |= {"COMP_WORDS": words, "COMP_CWORD": str(len(typed) - 1)}
    command = [sys.executable, "-m", "mpbake"]
    completed = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return completed.returncode, completed.stdout, completed.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell(tmp_path: Path, shell: str) -> None:
    code, script, _ = complete(tmp_path, "", how=f"{shell}_source")
    assert code == 0
    assert f"_MPBAKE_COMPLETE={shell}_complete" in script


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("mpbake ru", ["run"]),
        ("mpbake run --push --pu", ["--pull", "--publish"]),
        ("mpbake run ", ["both", "web", "tool"]),
        ("mpbake show web t", ["tool"]),
        ("mpbake run both !w", ["!web"]),
        ("mpbake plan --explain w", ["web"]),
        ("mpbake run --builder ", ["farm"]),
        ("mpbake builders rm ", ["farm"]),
        ("mpbake certs i", ["init", "issue"]),
        ("mpbake certs issue ", ["farm"]),
        ("mpbake certs issue --re", ["--rekey"]),
        ("mpbake builders -f other.toml rm ", ["other"]),
        ("mpbake run -C below -f ../other.toml ", ["image"]),
        ("mpbake run -f broken.toml ", []),
        ("mpbake run -f none.toml ", []),
    ],
)
def test_what_may_come_next(tmp_path: Path, words: str, completed: list[str]) -> None:
    (tmp_path / "build.toml").write_text(PLAN)
    (tmp_path / "broken.toml").write_text("version = 1\n[targets.web]\nno = 1")
    (tmp_path / "other.toml").write_text("version = 1\n[builders.other.nodes.local]\n[targets.image]")
    (tmp_path / "below").mkdir()
    code, completions, errors = complete(tmp_path, words)
    assert (code, completions.split(), errors) == (0, [f"plain,{name}" for name in completed], "")


@pytest.mark.parametrize(("option", "kind"), [("-f", "file"), ("--var-file", "file"), ("-C", "dir")])
def test_paths_are_the_shells_own_affair(tmp_path: Path, option: str, kind: str) -> None:
    assert complete(tmp_path, f"mpbake run {option} b")[1] == f"{kind},b\n"
    assert complete(tmp_path, "mpbake certs init --ca-key b")[1] == "file,b\n"


def test_builders_of_buildx_are_completed(tmp_path: Path) -> None:
    store = tmp_path / "buildx/instances"
    store.mkdir(parents=True)
    for name in ("ci", "release"):
        (store / name).write_text("{}")
    completed = complete(tmp_path, "mpbake import --builder r", BUILDX_CONFIG=str(tmp_path / "buildx"))
    assert completed == (0, "plain,release\n", "")


def test_nothing_is_said_between_the_words(tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text(PLAN)
    (tmp_path / "mpbake.toml").write_text(PLAN)
    assert complete(tmp_path, "mpbake run t") == (0, "plain,tool\n", "")
    contradiction = {"MPBAKE_PUSH": "1", "MPBAKE_NO_PUSH": "1"}
    assert complete(tmp_path, "mpbake run ", **contradiction) == (1, "", "")


def test_only_what_names_depend_on_is_evaluated(tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text("""
version = 1
[variables]
php = ["8.1", "8.2"]
[functions.image]
params = ["series"]
result = "php-{{ series }}"
[builders.farm]
nodes.local = { endpoint = "{{ broken" }
[groups]
both = ["php-*"]
[targets.php]
matrix = { version = "{{ php }}" }
let = { series = "{{ version | replace('.', '-') }}" }
name = "{{ image(series) }}"
labels = { a = "{{ 'a' * 900000 ~ version }}", b = "{{ git.commit }}", c = "{{ broken" }
args = { A = "{% for i in range(99999) %}{{ i | string | length }}{% endfor %}" }
[targets.off]
enabled = false
""")
    names = ("both", "php", "php-8-1", "php-8-2")
    assert sorted(complete(tmp_path, "mpbake run ")[1].split()) == [f"plain,{name}" for name in names]
    assert complete(tmp_path, "mpbake run --builder ")[1].split() == ["plain,farm"]
