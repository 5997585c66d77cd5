"""Outputs with `mode=delete` that would delete other files."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

import pytest

from mpbake.graph.preflight.deletions import deletion_problems
from tests.unit.plans import ROOT, resolve_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def found_in(toml: str, *names: str, real: Callable[[str], str] = posixpath.normpath) -> list[str]:
    """Return the messages for the targets in `names`, or for all targets."""
    plan = resolve_text(toml)
    targets = [plan.targets[name] for name in names or plan.targets]
    return [problem.message for problem in deletion_problems(targets, ROOT, real)]


def saying(dest: str, what: str) -> str:
    return f"web: its output type=local,dest={dest},mode=delete would delete {what}"


@pytest.mark.parametrize(
    ("dest", "context", "problems"),
    [
        ("out", "", []),
        ("../out", "", []),
        ("/plans", "", []),
        (".", "", [saying("/plan", "the folder of the plan")]),
        ("..", "", [saying("/plan/..", "the folder of the plan")]),
        ("/", "", [saying("/", "the folder of the plan")]),
        ("web", "web", [saying("/plan/web", "a build context, /plan/web")]),
        ("src", "src/web/", [saying("/plan/src", "a build context, /plan/src/web")]),
        ("web/out", "web", []),
        ("web", "https://example.com/web.git", []),
    ],
)
def test_a_plan_and_its_contexts_stay(dest: str, context: str, problems: Sequence[str]) -> None:
    toml = f"""
        [targets.web]
        context = "{context}"
        output = ["type=local,dest={dest},mode=delete"]
        """
    assert found_in(toml) == problems


def test_a_named_context_stays() -> None:
    toml = """
        [targets.web]
        contexts = { files = "out/files", image = "docker-image://alpine" }
        output = ["type=local,dest=out,mode=delete"]
        """
    assert found_in(toml) == [saying("/plan/out", "a build context, /plan/out/files")]


OTHERS = """
    [targets.web]
    output = ["type=local,dest=out,mode=delete"]
    cache-to = ["type=local,dest=cache"]
    [targets.same]
    output = ["out"]
    [targets.within]
    output = ["type=oci,dest=out/web.tar"]
    [targets.above]
    output = ["type=local,dest=."]
    [targets.cached]
    cache-to = ["type=local,dest=out/cache"]
    [targets.apart]
    output = ["type=local,dest=outer,mode=delete"]
    """


@pytest.mark.parametrize(
    ("other", "problems"),
    [
        ("same", [saying("/plan/out", 'what "same" writes')]),
        ("within", [saying("/plan/out", 'what "within" writes')]),
        ("cached", [saying("/plan/out", 'what "cached" writes')]),
        ("above", []),
        ("apart", []),
    ],
)
def test_what_another_target_of_the_run_writes_stays(other: str, problems: Sequence[str]) -> None:
    assert found_in(OTHERS, "web", other) == problems
    assert found_in(OTHERS, "web") == []


def test_rows_of_a_matrix_do_not_delete_what_each_other_writes() -> None:
    toml = """
        [targets.web]
        matrix = { v = ["1", "2"] }
        name = "web-{{ v }}"
        output = ["type=local,dest=out,mode=delete"]
        """
    assert len(found_in(toml)) == 2
    assert found_in(toml.replace("dest=out", "dest=out/{{ v }}")) == []


def test_another_output_of_the_same_target_stays() -> None:
    toml = """
        [targets.web]
        output = ["type=local,dest=out,mode=delete", "type=tar,dest=out/web.tar"]
        """
    assert found_in(toml) == [saying("/plan/out", 'what "web" writes')]


def test_a_folder_is_what_a_symlink_leads_to() -> None:
    toml = """
        [targets.web]
        output = ["type=local,dest=link,mode=delete"]
        """
    real = {"/plan/link": "/"}
    assert found_in(toml, real=lambda path: real.get(path, path)) == [saying("/plan/link", "the folder of the plan")]
