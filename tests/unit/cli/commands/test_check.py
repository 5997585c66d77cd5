"""The command `mpbake check`, and the exact text of every diagnostic.

The files in `golden/check/` contain its output: `examples.txt` for the wrong examples of `docs/diagnostics.md`, and a
file for each plan there. After a change, write them again with

    UPDATE_GOLDEN=1 pytest tests/unit/cli/commands/test_check.py

and read the differences in git.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

import pytest

from mpbake.base.errors import UsageError
from mpbake.cli.commands import check
from mpbake.spec.explanations import explanations
from tests.checkout import GOLDEN
from tests.unit.plans import text
from tests.unit.worlds import call, world, written

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_GOLDEN = GOLDEN / "check"
_PLANS = sorted(_GOLDEN.glob("*.toml"))
_EXAMPLES = {code: plan.wrong for code, plan in explanations().items() if plan.wrong}


def checked(
    folder: Path, plan: str, environment: Mapping[str, str] | None = None, **options: object
) -> tuple[str, int]:
    """Return the output for a plan beside a Dockerfile, and the exit code. The folder is shown as `/plan`."""
    (folder / "Dockerfile").touch()
    (folder / "build.toml").write_bytes(plan.encode())
    where = world(folder, environment)
    code = call(check.main, where, **options)
    return written(where.stdout).replace(str(folder), "/plan"), code


def same(name: str, printed: str) -> None:
    """Compare `printed` with the golden file, or write the golden file."""
    golden = _GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(printed, encoding="utf-8")
    assert printed == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("plan", _PLANS, ids=[plan.stem for plan in _PLANS])
def test_wrong_plans_are_explained_as_their_golden_files_show(plan: Path, tmp_path: Path) -> None:
    printed, code = checked(tmp_path, plan.read_text(encoding="utf-8"))
    assert code == (0 if plan.stem == "warnings" else 3)
    same(f"{plan.stem}.txt", printed)


def test_wrong_examples_are_explained_as_their_golden_file_shows(tmp_path: Path) -> None:
    plans = {
        code: plan if plan.startswith("\nversion =") else f"version = 1\n{plan}" for code, plan in _EXAMPLES.items()
    }
    printed = "\n".join(f"== {code}\n{checked(tmp_path, plan)[0]}" for code, plan in plans.items())
    same("examples.txt", printed)


def test_there_are_many_wrong_plans_and_no_golden_file_without_one() -> None:
    assert len(_PLANS) + len(_EXAMPLES) > 100
    assert {path.stem for path in _GOLDEN.glob("*.txt")} == {*(plan.stem for plan in _PLANS), "examples"}


GOOD = """
version = 1
[targets.web]
tags = ["example.com/web"]
"""
WRONG = """
version = 1
[targets.web]
tags = ["Web"]
"""
DOUBTFUL = """
version = 1
[targets.web]
"""


def test_a_good_plan(tmp_path: Path) -> None:
    assert checked(tmp_path, GOOD) == ("build.toml: 1 target, no problems\n", 0)
    assert checked(tmp_path, GOOD, format="github") == ("", 0)
    printed, code = checked(tmp_path, GOOD, format="json", strict=True)
    assert (json.loads(printed), code) == ({"format": 1, "diagnostics": []}, 0)


def test_a_fresh_checkout_lacks_secrets(tmp_path: Path) -> None:
    plan = """
version = 1
[builders.release]
driver = "remote"
[builders.release.nodes.arm64]
endpoint = "tcp://10.0.0.5:1234"
platforms = ["linux/arm64"]
tls = { ca = "certs/ca.crt", cert = "certs/client.crt", key = "certs/client.key" }
[targets.web]
builder = "release"
platforms = ["linux/arm64"]
secret = ["id=npm,src=npmrc", "id=NPM_TOKEN"]
tags = ["example.com/web"]
"""
    printed, code = checked(tmp_path, plan)
    assert (code, printed.count("[missing-file]")) == (3, 5)
    good = "build.toml: 1 target, no problems\n"
    assert checked(tmp_path, plan, without_secrets=True, strict=True) == (good, 0)
    wrong = plan.replace("builder =", "bilder =")
    assert "did you mean" in checked(tmp_path, wrong, without_secrets=True)[0]


def test_a_wrong_plan(tmp_path: Path) -> None:
    assert checked(tmp_path, WRONG) == (
        text("""
        build.toml:4:9: targets.web.tags[0]: "Web" is not an image name: write [registry/]repository[:tag], the \
repository in lower case [bad-image-name]
            tags = ["Web"]
                    ^^^^^
        1 error; fix this and run mpbake check again: there may be more
        """)
        + "\n",
        3,
    )
    assert checked(tmp_path, WRONG, format="github")[1] == 3
    assert checked(tmp_path, WRONG, format="json")[1] == 3


LATER = "loopback-registry tag-twice loopback-registry"
STAGES = """version = 1
[builders.far.nodes.n]
endpoint = "ssh://n.example.com"
[targets._parent]
context = "of-parent"
[targets.web]
needs = ["nobody"]
context = "of-web"
[targets.child]
inherits = ["_parent"]
output = ["out"]
[targets.user]
contexts = { web = "target:web" }
context = "of-user"
output = ["out"]
[targets.one]
tags = ["localhost:5000/a"]
push = true
builder = "far"
[targets.two]
tags = ["localhost:5000/a:latest"]
push = true
builder = "far"
"""


@pytest.mark.parametrize(
    ("written", "instead", "codes"),
    [
        # mpbake checks targets without errors further, but not targets with errors and not targets that link to those
        ("", "", "missing-folder unknown-target loopback-registry tag-twice loopback-registry"),
        ('context = "of-parent"', 'context = "of-parent"\nneeds = ["no"]', "unknown-target " * 2 + LATER),
        (
            '"far"\n[targets.two]',
            '"fra"\n[targets.two]',
            "missing-folder unknown-target unknown-builder tag-twice loopback-registry",
        ),
        ('builder = "far"\n', 'builder = "far"\nretries = 99\n', "out-of-range"),
        (
            "[builders",
            "[variables]\nv = { type = 'int', default = 'x' }\n[builders",
            "variable-type unknown-target tag-twice",
        ),
    ],
)
def test_what_is_sound_is_looked_at_though_something_else_is_wrong(
    tmp_path: Path, written: str, instead: str, codes: str
) -> None:
    printed, code = checked(tmp_path, STAGES.replace(written, instead, 1))
    assert (re.findall(r"\[([a-z-]+)\]$", printed, re.MULTILINE), code) == (codes.split(), 3)
    assert printed.endswith(" and run mpbake check again: there may be more\n")


def test_where_all_was_looked_at_nothing_more_may_be_found(tmp_path: Path) -> None:
    printed, _ = checked(tmp_path, "version = 1\n[targets.web]\ncontext = 'missing'\noutput = ['out']\n")
    assert printed.endswith("\nbuild.toml: 1 target, 1 error\n")


def test_warnings_leave_a_plan_good_unless_asked_otherwise(tmp_path: Path) -> None:
    printed, code = checked(tmp_path, DOUBTFUL)
    assert code == 0
    assert printed.endswith("\nbuild.toml: 1 target, 1 warning\n")
    assert checked(tmp_path, DOUBTFUL, strict=True) == (printed, 3)


def test_a_warning_that_many_places_share_is_printed_once(tmp_path: Path) -> None:
    plan = "version = 1\n" + "".join(f"[targets.t{number}]\n" for number in range(20))
    printed, code = checked(tmp_path, plan)
    assert code == 0
    head, _, rest = printed.partition("\n")
    assert head.startswith("build.toml:2:10: warning: targets.t0: the result goes nowhere: ")
    assert [line.strip() for line in rest.splitlines()] == [
        "[targets.t0]",
        "^^",
        '= add tags or an output, or set output = ["type=cacheonly"] if only the cache matters',
        "the same: targets.t1, targets.t2, targets.t3 and 16 more",
        "build.toml: 20 targets, 20 warnings",
    ]
    assert len(json.loads(checked(tmp_path, plan, format="json")[0])["diagnostics"]) == 20
    assert checked(tmp_path, plan, format="github")[0].count("::warning ") == 20


def test_what_is_printed_for_other_line_ends_is_the_same(tmp_path: Path) -> None:
    plan = (_GOLDEN / "meaning.toml").read_text()
    assert checked(tmp_path, plan.replace("\n", "\r\n")) == checked(tmp_path, plan)


def test_variables_count_as_for_every_command(tmp_path: Path) -> None:
    plan = "version = 1\nvariables.tag = { env = 'TAG' }\n[targets.web]\ntags = ['example.com/web:{{ tag }}']\n"
    assert checked(tmp_path, plan)[1] == 3
    assert checked(tmp_path, plan, variables=("tag=1",))[1] == 0
    assert checked(tmp_path, plan, {"TAG": "2"})[1] == 0
    printed, code = checked(tmp_path, plan, {"TAG": "a b"})
    assert code == 3
    assert "build.toml:4:9: targets.web.tags[0]: " in printed


def test_a_secret_that_is_only_named_is_looked_for(tmp_path: Path) -> None:
    plan = "version = 1\n[targets.web]\nsecret = ['id=TOKEN']\noutput = ['out']\n"
    printed, code = checked(tmp_path, plan)
    assert code == 3
    assert "TOKEN is neither a set variable nor a file in the plan's folder [missing-file]" in printed
    assert checked(tmp_path, plan, {"TOKEN": ""})[1] == 0


def test_a_file_that_cannot_be_read_is_a_diagnostic_too(tmp_path: Path) -> None:
    printed, code = checked(tmp_path, GOOD, files=("nowhere.toml",), format="json")
    assert code == 3
    (diagnostic,) = json.loads(printed)["diagnostics"]
    assert (diagnostic["code"], diagnostic["file"], diagnostic["line"]) == ("file-unreadable", "nowhere.toml", 0)


def test_a_mistake_of_the_command_line_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='unknown variable "tga"'):
        checked(tmp_path, GOOD, variables=("tga=1",))
