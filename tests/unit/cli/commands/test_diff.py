"""`mpbake diff` in real git repositories, and with saved plans."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.errors import MpbakeError, PlanError, UsageError
from mpbake.cli.commands import diff, plan
from tests.unit.resolve.test_git import SYSTEM, everything, new_repository, run, sprung
from tests.unit.worlds import call, world, written

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.allow_subprocess

PLAN = """\
version = 1
include = ["more.toml"]
[variables]
version = { default = "1", env = "VERSION" }
[targets.web]
context = "web"
tags = ["r.io/web:{{ version }}"]
labels = { commit = "{{ git.commit }}" }
push = true
"""
MORE = '[targets.api]\ncontext = "api"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a repository with a plan in its second commit."""
    folder = new_repository(tmp_path / "plan")
    (folder / "web").mkdir()
    (folder / "web/Dockerfile").write_text("FROM a\n")
    (folder / "more.toml").write_text("version = 1\n" + MORE)
    save(folder, PLAN)
    commit(folder)
    return folder


def save(folder: Path, toml: str) -> None:
    (folder / "build.toml").write_text(toml)


def commit(folder: Path) -> None:
    run(folder, "add", "--all")
    run(folder, "commit", "--quiet", "--message=more")


def shown(
    folder: Path, against: str = "HEAD", *names: str, environment: dict[str, str] | None = None, **options: Any
) -> str:
    """Return the output of `mpbake diff` in a folder, which it must not change."""
    here = world(folder, {**SYSTEM, **(environment or {})})
    before = everything(folder)
    assert call(diff.main, here, against=against, names=names, **options) == 0
    assert everything(folder) == before
    assert written(here.stderr) == ""
    return written(here.stdout)


def refusal(folder: Path, against: str = "HEAD", *names: str, **options: Any) -> str:
    with pytest.raises(MpbakeError) as caught:
        call(diff.main, world(folder, SYSTEM), against=against, names=names, **options)
    assert caught.value.exit_code == 3
    if isinstance(caught.value, PlanError):
        return str(caught.value)
    return f"{caught.value.message}\n{caught.value.hint}"


# --- a revision -------------------------------------------------------------------------------------------------------


def test_nothing_has_changed(folder: Path) -> None:
    assert shown(folder) == "no changes\n"
    run(folder, "commit", "--quiet", "--allow-empty", "--message=other")
    assert shown(folder, "HEAD~1") == "no changes\n", "both plans have the commit of now"


def test_changed_files(folder: Path) -> None:
    save(folder, PLAN.replace('default = "1"', 'default = "2"'))
    (folder / "more.toml").write_text("version = 1\n" + MORE + 'args = { A = "1" }\n')
    (folder / "web/Dockerfile").write_text("FROM b\n")
    assert (
        shown(folder).partition("\ntags\n")[0]
        == """\
2 targets changed, 1 tag newly pushed, 1 tag no longer pushed

targets
  ~ api
      + args.A: "1"
  ~ web
      - tags: "r.io/web:1"
      + tags: "r.io/web:2"
      ~ dockerfile.sha256: 7d1c06d0b2f8 -> 3d35a4ce7c4b
""".replace("7d1c06d0b2f8 -> 3d35a4ce7c4b", digests("FROM a\n", "FROM b\n"))
    )
    commit(folder)
    assert shown(folder) == "no changes\n"
    assert shown(folder, "HEAD~1").startswith("2 targets changed, ")


def digests(before: str, after: str) -> str:
    import hashlib

    return " -> ".join(hashlib.sha256(text.encode()).hexdigest()[:12] for text in (before, after))


def test_the_plan_lies_below_the_top_of_the_repository(folder: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    run(tmp_path, "init", "--quiet", "outer")
    folder.rename(outer / "below")
    (outer / "below/.git").rename(tmp_path / "unused")
    run(outer, "add", "--all")
    run(outer, "commit", "--quiet", "--message=one")
    assert shown(outer / "below") == "no changes\n"
    (outer / "below/web/Dockerfile").unlink()
    assert "dockerfile.sha256" in shown(outer / "below")
    here = world(outer, SYSTEM)
    call(diff.main, here, directory="below")
    assert "dockerfile.sha256" in written(here.stdout)


def test_values_and_options_are_those_of_now(folder: Path) -> None:
    assert shown(folder, environment={"VERSION": "7"}) == "no changes\n"
    assert shown(folder, settings=("*.args.B=1",), push=False, platforms=("linux/amd64",)) == "no changes\n"
    (folder / "v.toml").write_text('version = "8"\n')
    save(folder, PLAN.replace("web:{{", "site:{{"))
    assert '+ tags: "r.io/site:8"' in shown(folder, var_files=("v.toml",))


def test_a_plan_that_did_not_exist(folder: Path) -> None:
    (folder / "build.toml").rename(folder / "other.toml")
    text = shown(folder, "HEAD", files=("other.toml",))
    assert text.startswith("a new plan: 1 new for security, 2 targets added, ")
    assert "  + web\n" in text


def test_a_plan_file_with_another_default_name(folder: Path) -> None:
    run(folder, "mv", "build.toml", "mpbake.toml")
    assert shown(folder) == "no changes\n"
    commit(folder)
    (folder / "mpbake.toml").rename(folder / "build.toml")
    assert shown(folder) == "no changes\n"


def test_a_file_of_another_tool_was_no_plan(folder: Path) -> None:
    save(folder, "[package]\nname = 'x'\n")
    commit(folder)
    (folder / "build.toml").rename(folder / "mpbake.toml")
    (folder / "mpbake.toml").write_text(PLAN)
    assert shown(folder).startswith("a new plan: ")


def test_files_named_on_the_command_line(folder: Path) -> None:
    (folder / "ci.toml").write_text('version = 1\n[targets.web]\nargs = { CI = "1" }\n')
    text = shown(folder, files=("build.toml", "ci.toml"))
    assert '+ args.CI: "1"' in text
    assert text.startswith("1 target changed\n")


def test_a_broken_plan_of_a_revision(folder: Path) -> None:
    save(folder, PLAN + "colour = 'red'\n")
    commit(folder)
    save(folder, PLAN)
    assert refusal(folder).startswith('HEAD:build.toml:10:1: targets.web.colour: unknown key "colour"')


def test_an_unknown_builder_in_the_revision(folder: Path) -> None:
    save(folder, PLAN + '[builders.fleet]\ndriver = "docker-container"\n')
    assert refusal(folder, builder="fleet").startswith('HEAD: --builder fleet: unknown builder "fleet"\n')


# --- names ------------------------------------------------------------------------------------------------------------


def test_a_target_that_one_side_has(folder: Path) -> None:
    save(folder, PLAN + '[targets.new]\ncontext = "web"\n')
    assert shown(folder, "HEAD", "new").startswith("1 target added, 1 builder added, 1 node added\n")
    assert shown(folder, "HEAD", "web") == "no changes\n"
    assert shown(folder, "HEAD", "!new") == "no changes\n"
    commit(folder)
    save(folder, PLAN)
    assert shown(folder, "HEAD", "new").startswith("1 target removed, ")
    assert refusal(folder, "HEAD", "nothing").startswith('unknown target or group "nothing"\n')


def test_without_names_the_default_group_is_compared(folder: Path) -> None:
    group = '[groups]\ndefault = ["web"]\n'
    save(folder, PLAN + group)
    (folder / "more.toml").write_text("version = 1\n" + MORE + 'args = { A = "1" }\n')
    assert shown(folder).startswith("1 target changed\n"), "the revision has no such group: all targets are compared"
    commit(folder)
    (folder / "more.toml").write_text("version = 1\n" + MORE)
    assert shown(folder) == "no changes\n"


def test_a_target_is_not_taken_for_a_revision(folder: Path) -> None:
    assert refusal(folder, "web") == (
        'the git repository has no revision "web"\nwrite the revision before the target: mpbake diff HEAD web'
    )


@pytest.mark.parametrize("revision", ["--output=x", "-h", "--upload-pack=x", "HEAD;touch x", "$(touch x)"])
def test_a_revision_is_no_option(folder: Path, revision: str) -> None:
    before = everything(folder)
    assert refusal(folder, revision).startswith(f'the git repository has no revision "{revision}"\n')
    assert everything(folder) == before


def test_no_repository(tmp_path: Path) -> None:
    save(tmp_path, "version = 1\n[targets.web]\n")
    assert refusal(tmp_path) == "the plan is not in a git repository\ncompare with a saved plan: mpbake diff plan.json"
    run(tmp_path, "init", "--quiet")
    assert refusal(tmp_path) == (
        'the git repository has no revision "HEAD"\ncommit the plan first: the repository has no commit yet'
    )


# --- a saved plan -----------------------------------------------------------------------------------------------------


def saved(folder: Path, *names: str) -> Path:
    """Save the plan of a folder, which has no default group, by `mpbake plan --format json`."""
    here = world(folder, SYSTEM)
    call(plan.main, here, format="json", names=names or ("*",))
    path = folder.with_name("saved.json")
    path.write_text(written(here.stdout))
    return path


def test_a_saved_plan(folder: Path) -> None:
    path = saved(folder)
    assert shown(folder, str(path)) == "no changes\n"
    assert shown(folder, "../saved.json") == "no changes\n"
    save(folder, PLAN.replace('context = "web"', 'context = "site"'))
    assert '~ context: "web" -> "site"' in shown(folder, str(path))
    assert shown(folder, str(saved(folder, "api")), "api") == "no changes\n"


def test_a_plan_that_mpbake_saved(folder: Path) -> None:
    call(plan.main, world(folder, {**SYSTEM, "VERSION": "5"}), output="s.json", names=("web",), push=False)
    assert shown(folder, "s.json", environment={"VERSION": "6"}) == "no changes\n"
    save(folder, PLAN.replace('context = "web"', 'context = "site"'))
    assert shown(folder, "s.json").startswith("1 target changed\n")


def test_the_request_of_a_saved_plan_is_repeated(folder: Path) -> None:
    options = {"names": ("web",), "variables": ("version=5",), "settings": ("web.args.A=1",), "output": "s.json"}
    call(plan.main, world(folder, SYSTEM), **options)
    assert shown(folder, "s.json") == "no changes\n"
    assert '+ tags: "r.io/web:6"' in shown(folder, "s.json", variables=("version=6",))
    assert "tag no longer pushed" in shown(folder, "s.json", push=False)
    document = json.loads((folder / "s.json").read_text())
    (folder / "s.json").write_text(json.dumps({**document, "request": {**document["request"], "push": "x"}}))
    assert refusal(folder, "s.json").startswith("s.json ")


def test_the_files_of_a_saved_plan_are_compared(folder: Path) -> None:
    (folder / "other.toml").write_text(PLAN.replace('context = "web"', 'context = "site"'))
    call(plan.main, world(folder, SYSTEM), names=("web",), files=("other.toml",), output="s.json")
    assert shown(folder, "s.json") == "no changes\n"
    assert shown(folder, "s.json", files=("build.toml",)).startswith("1 target changed")
    (folder / "copy").mkdir()
    (folder / "s.json").rename(folder / "copy/s.json")
    assert refusal(folder, "copy/s.json") == (
        "the saved plan names a plan file that is not beside it: other.toml\nname the plan file yourself: add -f FILE"
    )
    assert shown(folder, "copy/s.json", files=("other.toml",)) == "no changes\n"


def test_a_copy_of_a_saved_plan_in_another_folder(folder: Path) -> None:
    call(plan.main, world(folder, SYSTEM), names=("web",), output="s.json")
    (folder / "copy").mkdir()
    (folder / "s.json").rename(folder / "copy/s.json")
    assert shown(folder, "copy/s.json") == "no changes\n"


def test_a_saved_plan_names_a_file_outside_of_its_folder(folder: Path) -> None:
    (folder / "other.toml").write_text(PLAN)
    (folder / "copy").mkdir()
    call(plan.main, world(folder, SYSTEM), names=("web",), files=("other.toml",), output="copy/s.json")
    assert refusal(folder, "copy/s.json") == (
        "the saved plan names a plan file outside of its own folder: ../other.toml\n"
        "name the plan file yourself: add -f FILE"
    )


def test_untrusted_keeps_the_recorded_environment(folder: Path) -> None:
    call(plan.main, world(folder, {**SYSTEM, "VERSION": "5"}), names=("web",), output="s.json")
    assert shown(folder, "s.json", environment={"VERSION": "6"}, untrusted=True) == "no changes\n"


def test_a_saved_plan_needs_no_repository(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    save(tmp_path / "plain", "version = 1\n[targets.web]\n")
    assert shown(tmp_path / "plain", str(saved(tmp_path / "plain")), environment={"PATH": ""}) == "no changes\n"


def test_saved_plans_that_cannot_be_read(folder: Path) -> None:
    assert refusal(folder, "x.json") == (
        "there is no saved plan x.json\n"
        "save it first: mpbake plan -o x.json; a name that ends in .json is not a revision"
    )
    (folder / "x.json").write_bytes(b"\xff")
    assert refusal(folder, "x.json") == "x.json is not UTF-8 text\nname a plan that mpbake saved"
    (folder / "x.json").write_text('{"secret": 1')
    assert refusal(folder, "x.json").startswith("x.json is not the JSON of a plan\nsave the plan again: ")
    (folder / "dir.json").mkdir()
    assert refusal(folder, "dir.json").startswith("dir.json cannot be read: Is a directory\n")
    assert refusal(folder, "a\0.json").startswith("a\\x00.json cannot be read: ")
    os.mkfifo(folder / "pipe.json")
    assert refusal(folder, "pipe.json").startswith("pipe.json cannot be read: it is a pipe\n")


def test_a_link_to_another_file_is_not_read(folder: Path) -> None:
    (folder / "x.json").symlink_to(saved(folder))
    assert "outside" in refusal(folder, "x.json")
    assert shown(folder, "x.json", allow=("fs.read=..",)) == "no changes\n"


def test_a_branch_with_the_end_of_a_saved_plan(folder: Path) -> None:
    run(folder, "branch", "x.json")
    assert shown(folder, "x.json^{commit}") == "no changes\n"


# --- output -----------------------------------------------------------------------------------------------------------


def test_the_exit_code(folder: Path) -> None:
    assert call(diff.main, world(folder, SYSTEM), detailed_exitcode=True) == 0
    save(folder, PLAN + 'target = "x"\n')
    assert call(diff.main, world(folder, SYSTEM), detailed_exitcode=True) == 2
    assert call(diff.main, world(folder, SYSTEM)) == 0


def test_formats(folder: Path) -> None:
    save(folder, PLAN + 'target = "x"\n')
    assert shown(folder, format="markdown").startswith("<!-- mpbake diff id=")
    assert json.loads(shown(folder, format="json"))["differs"] is True


def test_sensitive_values_of_both_plans_are_redacted(folder: Path) -> None:
    secret = '[variables.token]\nsensitive = true\ndefault = "{}"\n'
    use = '[targets.t]\nargs = {{ TOKEN = "{}" }}\n'
    save(folder, PLAN + secret.format("hunter2") + use.format("x{{ token }}"))
    commit(folder)
    save(folder, PLAN + secret.format("swordfish") + use.format("y{{ token }}") + 'labels = { a = "hunter2" }\n')
    try:
        text = shown(folder, format="json")
    except PlanError as error:
        text = str(error)
    assert "hunter2" not in text
    assert "swordfish" not in text


def test_rights_are_first(folder: Path) -> None:
    save(folder, PLAN + 'entitlements = ["security.insecure"]\nsecret = ["id=t,env=TOKEN"]\n')
    assert shown(folder).splitlines()[2:7] == [
        "security",
        "  + right security.insecure (for web.entitlements)",
        "  + right env=TOKEN (for web.secret)",
        "  + secret id=t,env=TOKEN (for web)",
        "  + entitlement security.insecure (for web)",
    ]


def test_a_hostile_repository_runs_nothing(folder: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.write_text('#!/bin/sh\ntouch "$0.sprung"\n')
    trap.chmod(0o755)
    for setting in ("filter.a.smudge", "filter.a.clean", "diff.a.textconv", "core.fsmonitor", "core.pager"):
        run(folder, "config", setting, str(trap))
    (folder / ".git/info/attributes").write_text("* filter=a diff=a\n")
    assert shown(folder).startswith(("no changes\n", "1 target"))
    assert not sprung(trap)


def test_a_usage_error_is_no_traceback(folder: Path) -> None:
    (folder / ".git/HEAD").write_text("nonsense\n")
    with pytest.raises((UsageError, PlanError)):
        call(diff.main, world(folder, SYSTEM))
