"""Commands on real files."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tomli

from mpbake import __main__
from mpbake.base.errors import MpbakeError, PlanError, UsageError
from mpbake.certs.finding import PATH_HINT
from mpbake.cli.commands import check, export, plan, run, show, verify
from mpbake.cli.commands import list as list_command
from mpbake.cli.loading import load_plan, resolution_inputs
from mpbake.cli.options import OverrideOptions, SourceOptions
from mpbake.cli.runs.repeat_command import repeat_command
from mpbake.cli.runs.run_events import make_reporter
from mpbake.cli.selection import make_graph, place_targets, preflight_input, select_for
from mpbake.graph import dag as graph
from mpbake.graph.dag import select_with_dependencies
from mpbake.graph.preflight.checks import Stage, preflight_warnings
from mpbake.model.reading import ReadAccess
from mpbake.report.plan import plan_text
from mpbake.run.events import Warned
from mpbake.spec.tables.plan_tables import PlanSpec
from tests.checkout import CHECKOUT
from tests.unit.graphs import TWO_NODES, facts_of, graph_of_text, piece_of
from tests.unit.plans import in_short, text
from tests.unit.report.test_reporters import Terminal
from tests.unit.worlds import call, deny_access, options_for, world, written

if TYPE_CHECKING:
    from collections.abc import Callable

    from mpbake.cli.world import World
    from mpbake.model.plan import Target

    Command = Callable[[Any, World], int]


PLAN = """\
version = 1
[variables]
tag = { default = "dev", env = "TAG" }
[groups]
default = ["web"]
[targets.web]
description = "the front end"
platforms = ["linux/amd64"]
tags = ["r/web:{{ tag }}"]
[targets.tool]
needs = ["web"]
"""

WEB = """\
plan: 1 target, 1 node, 2 steps
plan id: ID

nodes
  default/local  `docker` or `docker-container` driver, chosen when the run starts

steps
    1  bootstrap  default/local  check that it answers; if a container, create or start it if needed
    2  build      web            linux/amd64 (native or emulated: not known yet) on default/local
                                 no output: stays in the build cache (push, load or output would keep it)
"""


_ID = re.compile(r"(?<=^plan id: )[0-9a-f]{64}$", re.MULTILINE)


def without_id(output: str) -> str:
    """Return printed plans with `ID` in place of the plan id, which every new field of the plan document changes."""
    return _ID.sub("ID", output)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a plan, and an empty folder below it."""
    (tmp_path / "build.toml").write_text(PLAN)
    (tmp_path / "below").mkdir()
    return tmp_path


def output_of(command: Command, here: World, **options: Any) -> str:
    """Return the output of a command that succeeds."""
    assert call(command, here, **options) == 0
    assert written(here.stderr) == ""
    return written(here.stdout)


# --- plan and list ----------------------------------------------------------------------------------------------------


def test_plan(folder: Path) -> None:
    assert without_id(output_of(plan.main, world(folder))) == WEB
    assert without_id(output_of(plan.main, world(folder), names=("web",))) == WEB
    assert output_of(plan.main, world(folder), names=("t*",)).startswith("plan: 2 targets, 1 node, 3 steps\n")
    assert sorted(path.name for path in folder.iterdir()) == ["below", "build.toml"], "no file is touched"


def test_a_plan_that_asks_nobody_ends_as_python_does(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal handler of mpbake would only record the signal, and mpbake would print the plan anyway."""
    before = str(signal.getsignal(signal.SIGTERM))
    monkeypatch.setattr(plan_text, "plan_text", lambda *_: str(signal.getsignal(signal.SIGTERM)))
    assert output_of(plan.main, world(folder)) == before


def test_plan_explained(folder: Path) -> None:
    shown = output_of(plan.main, world(folder), explain="web")
    assert shown.startswith("web on builder ")
    assert "chosen: best node" in shown
    two = output_of(plan.main, world(folder), explain="*", platforms=("linux/amd64",))
    assert two.count("\nlinux/amd64\n") == 2


def test_list(folder: Path) -> None:
    assert (
        output_of(list_command.main, world(folder))
        == text("""
        groups
          default  web

        targets
          web   the front end
          tool  the node's own platform on default

        variables
          tag  "dev", or from TAG
        """)
        + "\n"
    )


@pytest.mark.parametrize(
    ("where", "options"),
    [
        ("below", {}),
        (".", {"directory": "below"}),
        ("below", {"directory": ".."}),
        ("below", {"files": ("../build.toml",)}),
        (".", {"directory": "below", "files": ("../build.toml",)}),
    ],
)
def test_where_the_plan_is(folder: Path, where: str, options: dict[str, Any]) -> None:
    assert without_id(output_of(plan.main, world(folder / where), **options)) == WEB


def test_no_plan_of_a_folder_that_a_path_only_leads_through(folder: Path) -> None:
    (folder / "below/aside").mkdir()
    (folder / "below/build.toml").write_text("version = 1\n[targets.wrong]\n")
    (folder / "x").mkdir()
    assert load_plan(SourceOptions(directory="below/../x"), world(folder))[1].file == folder / "build.toml"
    assert load_plan(SourceOptions(directory="../../x"), world(folder / "below/aside"))[1].file == folder / "build.toml"


@pytest.mark.parametrize(
    "options",
    [{"directory": "link"}, {"files": ("link/build.toml",)}, {"files": ("link/../below/build.toml",)}],
)
def test_a_plan_has_one_path_however_it_is_reached(folder: Path, options: dict[str, Any]) -> None:
    """The real path counts, since mpbake finds the records of a plan by its path."""
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere/link").symlink_to(folder / "below")
    (folder / "below/build.toml").write_text(PLAN)
    assert load_plan(SourceOptions(**options), world(folder / "elsewhere"))[1].file == folder / "below/build.toml"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("-", "-f -: a plan cannot be read from standard input\n  = write it to a file"),
        (
            "https://example.org/build.toml",
            "-f https://example.org/build.toml: a plan must be a local file\n  = download it first",
        ),
    ],
)
def test_a_plan_is_a_file(folder: Path, name: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_plan(SourceOptions(files=(name,)), world(folder))
    assert str(caught.value) == expected


@pytest.mark.parametrize(("quiet", "expected"), [(False, True), (True, False)])
def test_what_is_passed_over_is_told(folder: Path, *, quiet: bool, expected: bool) -> None:
    (folder / "below/build.toml").write_text('[package]\nversion = "1.2"\n')
    (folder / "mpbake.toml").write_text(PLAN)
    here = world(folder / "below")
    assert call(plan.main, here, quiet=quiet) == 0
    assert without_id(written(here.stdout)) == WEB
    words = text("""
        warning: the plan is ../build.toml, since build.toml has neither version = 1 nor any other key of a plan
        warning: the plan is ../build.toml, and not ../mpbake.toml beside it
        """)
    assert written(here.stderr) == (f"{words}\n" if expected else "")


def test_a_part_of_a_plan_is_not_passed_over_for_another_project(folder: Path) -> None:
    (folder / "below/build.toml").write_text('include = ["common.toml"]\n[defaults.target]\n[variables]\n')
    (folder / "below/common.toml").write_text(PLAN)
    with pytest.raises(PlanError) as caught:
        call(plan.main, world(folder / "below"))
    assert str(caught.value).startswith('build.toml: "version" is missing [')


def test_what_is_passed_over_is_told_before_what_is_wrong(folder: Path) -> None:
    (folder / "below/build.toml").write_text("")
    (folder / "build.toml").write_text("version = 2\n")
    here = world(folder / "below")
    with pytest.raises(PlanError):
        call(plan.main, here)
    assert written(here.stderr).startswith("warning: the plan is ../build.toml, since build.toml has neither ")


def test_a_plan_that_is_a_link_stays_where_that_lies(folder: Path) -> None:
    (folder / "below/mine.toml").symlink_to("../build.toml")
    source = SourceOptions(files=("below/mine.toml",), allow=("fs.read=../build.toml",))
    assert load_plan(source, world(folder))[1].root == folder / "below"


@pytest.mark.parametrize("options", [{}, {"files": ("build.toml",)}, {"directory": "."}])
def test_a_plan_that_is_a_link_to_a_file_of_the_user_is_not_read(folder: Path, options: dict[str, Any]) -> None:
    (folder.parent / "npmrc").write_text("//registry/:_authToken=hunter2\n")
    (folder / "build.toml").unlink()
    (folder / "build.toml").symlink_to(folder.parent / "npmrc")
    for main in (plan.main, show.main, list_command.main, export.main):
        with pytest.raises(PlanError) as caught:
            call(main, world(folder), **options)
        assert str(caught.value) == (
            f"build.toml: is a link to {folder.parent}/npmrc, outside of its folder [outside-file]\n"
            "  = if you trust the plan with this file, add: --allow fs.read=../npmrc"
        )


def test_a_file_of_variables_that_is_a_link(folder: Path) -> None:
    (folder.parent / "secret.toml").write_text("tag = 'hunter2'\n")
    (folder / "vars.toml").symlink_to("../secret.toml")
    with pytest.raises(UsageError) as caught:
        call(plan.main, world(folder), var_files=("vars.toml",))
    assert str(caught.value) == (
        f"--var-file vars.toml is a link to {folder.parent}/secret.toml, outside of its folder\n"
        "  = if you trust the plan with this file, add: --allow fs.read=../secret.toml"
    )
    granted = {"var_files": ("vars.toml",), "allow": ("fs.read=../secret.toml",)}
    assert "web:hunter2" in output_of(plan.main, world(folder), push=True, **granted)
    assert "web:hunter2" in output_of(plan.main, world(folder), push=True, var_files=("../secret.toml",))


def test_a_grant_that_does_not_exist(folder: Path) -> None:
    with pytest.raises(UsageError) as caught:
        call(plan.main, world(folder), allow=("fs.reed=x",))
    assert str(caught.value) == '--allow: unknown right "fs.reed"\n  = did you mean "fs.read"?'


def test_an_untrusted_plan_reads_no_variable(folder: Path) -> None:
    here = world(folder, {"TAG": "hunter2", "TOKEN": "hunter2"})
    assert "web:hunter2" in output_of(plan.main, here, push=True)
    here = world(folder, {"TAG": "hunter2", "TOKEN": "hunter2"})
    assert "web:dev" in output_of(plan.main, here, push=True, untrusted=True)
    here = world(folder, {"TAG": "hunter2"})
    assert "web:mine" in output_of(plan.main, here, push=True, untrusted=True, variables=("tag=mine",))
    (folder / "build.toml").write_text(f"{PLAN}[variables.token]\nenv = 'TOKEN'\n")
    with pytest.raises(PlanError) as caught:
        call(plan.main, world(folder, {"TOKEN": "hunter2"}), untrusted=True)
    problem = 'variables.token: variable "token" has no value'
    hint = "pass --var token=…: with --untrusted, mpbake does not read TOKEN"
    assert in_short(caught.value) == f"build.toml:12: {problem}\n    [variables.token]\n  = {hint}"


@pytest.mark.parametrize(
    ("where", "options", "shown"),
    [
        (".", {}, "build.toml"),
        (".", {"files": ("build.toml",)}, "build.toml"),
        (".", {"directory": "below"}, "build.toml"),
        ("below", {}, "../build.toml"),
        ("below", {"files": ("../build.toml",)}, "../build.toml"),
    ],
)
def test_messages_call_the_plan_as_seen_from_where_people_are(
    folder: Path, where: str, options: dict[str, Any], shown: str
) -> None:
    (folder / "build.toml").write_text("version = 2\n")
    with pytest.raises(PlanError) as caught:
        call(plan.main, world(folder / where), **options)
    assert str(caught.value).startswith(f"{shown.format(folder=folder)}:1:11: version: must be 1 [plan-version]\n")


def test_paths_of_a_plan_count_from_its_folder(folder: Path) -> None:
    plan_files, result = load_plan(SourceOptions(), world(folder / "below"))
    assert (plan_files.path, result.root) == (folder / "build.toml", folder)
    assert result.targets["web"].attributes["context"] == str(folder)


def test_no_plan(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"^no build\.toml or mpbake\.toml in "):
        call(plan.main, world(tmp_path))
    with pytest.raises(PlanError) as caught:
        call(plan.main, world(tmp_path), files=("other.toml",))
    assert str(caught.value) == "other.toml: cannot be read: No such file or directory [file-unreadable]"
    with pytest.raises(UsageError) as missing:
        call(plan.main, world(tmp_path), directory="nowhere")
    assert str(missing.value) == "there is no folder nowhere"


def test_a_folder_in_one_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deny_access(monkeypatch, tmp_path / "p")
    with pytest.raises(UsageError) as caught:
        call(plan.main, world(tmp_path), directory="p/x")
    assert str(caught.value) == "p/x cannot be read: Permission denied"


def test_a_name_that_means_nothing(folder: Path) -> None:
    with pytest.raises(UsageError) as caught:
        call(plan.main, world(folder), names=("wen",))
    assert str(caught.value) == 'unknown target or group "wen"\n  = did you mean "web"?'


# --- show and export --------------------------------------------------------------------------------------------------


@pytest.fixture
def files(folder: Path) -> Path:
    """Return a plan with two more files: one that the plan includes, and one for a second `-f`."""
    (folder / "build.toml").write_text(PLAN.replace("[variables]", 'include = ["below/common.toml"]\n[variables]'))
    (folder / "below" / "common.toml").write_text(
        text("""
        version = 1
        [defaults.target]
        labels = { team = "core" }
        [targets._image]
        context = "src"
        args = { A = "1", B = "1" }
        [targets.web]
        inherits = ["_image"]
        """)
    )
    (folder / "local.toml").write_text('version = 1\n[targets.web]\nargs = { B = "2" }\n')
    return folder


def test_show(files: Path) -> None:
    assert (
        output_of(show.main, world(files), names=("web",))
        == text("""
        [targets.web]
        description = "the front end"
        builder = "default"
        context = "below/src"
        args = { A = "1", B = "1" }
        labels = { team = "core" }
        tags = ["r/web:dev"]
        platforms = ["linux/amd64"]
        """)
        + "\n"
    )
    assert output_of(show.main, world(files)) == output_of(show.main, world(files), names=("default",))
    assert output_of(show.main, world(files), names=("*",)).count("[targets.") == 2


def test_paths_stay_as_the_plan_states_them(tmp_path: Path) -> None:
    for name in ("build.toml", "more/build.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(
            text(f"""
            version = 1
            [targets.{name[:4]}]
            context = "src"
            contexts = {{ up = "../lib", own = "{tmp_path}/lib", image = "docker-image://x" }}
            secret = ["id=a,src=token"]
            output = ["type=local,dest=out"]
            """)
        )
    options = {"names": ("*",), "files": ("build.toml", "more/build.toml")}
    shown = output_of(show.main, world(tmp_path), **options)
    assert tomli.loads(shown)["targets"] == {
        "buil": {
            "builder": "default",
            "context": "src",
            "contexts": {"up": "../lib", "own": f"{tmp_path}/lib", "image": "docker-image://x"},
            "secret": ["id=a,src=token"],
            "output": ["type=local,dest=out"],
        },
        "more": {
            "builder": "default",
            "context": "more/src",
            "contexts": {"up": "more/../lib", "own": f"{tmp_path}/lib", "image": "docker-image://x"},
            "secret": ["id=a,src=more/token"],
            "output": ["type=local,dest=more/out"],
        },
    }
    exported = json.loads(output_of(export.main, world(tmp_path), **options))["target"]
    assert [target["context"] for target in exported.values()] == ["src", "more/src"]


def test_show_where_each_value_comes_from(files: Path) -> None:
    shown = output_of(
        show.main,
        world(files),
        names=("web",),
        origin=True,
        files=("build.toml", "local.toml"),
        settings=("web.args.C=3", "web.tags+=r/more"),
        push=True,
        no_cache=True,
    )
    origins = [line.partition("  # ") for line in shown.splitlines() if "  # " in line]
    assert [(line.partition(" =")[0].strip(), origin) for line, _, origin in origins] == [
        ("description", "build.toml:8"),
        ("builder", "default"),
        ("context", "below/common.toml:5 (targets._image)"),
        ("args.A", "below/common.toml:6 (targets._image)"),
        ("args.B", "local.toml:3"),
        ("args.C", "--set web.args.C=3"),
        ("labels", "below/common.toml:3 (defaults.target)"),
        ('"r/web:dev",', "build.toml:10"),
        ('"r/more:latest",', "--set web.tags+=r/more"),
        ("platforms", "build.toml:9"),
        ("push", "--push"),
        ("no-cache", "--no-cache"),
    ]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"builder": "default"}, 'builder = "default"  # --builder'),
        ({"load": True}, "load = true  # --load"),
        ({"pull": True}, "pull = true  # --pull"),
        ({"platforms": ("linux/arm64",)}, 'platforms = ["linux/arm64"]  # --platform'),
        ({"platforms": ("linux/arm64",)}, 'labels = { load = "x", platforms = "y" }  # build.toml:3'),
        ({"load": True, "push": True}, 'labels = { load = "x", platforms = "y" }  # build.toml:3'),
    ],
)
def test_what_options_change_comes_from_them(tmp_path: Path, options: dict[str, Any], line: str) -> None:
    (tmp_path / "build.toml").write_text(
        text("""
        version = 1
        [targets.web]
        labels = { load = "x", platforms = "y" }
        tags = ["web"]
        """)
    )
    shown = output_of(show.main, world(tmp_path), names=("web",), origin=True, **options)
    assert line in [" ".join(shown_line.split()).replace(" # ", "  # ") for shown_line in shown.splitlines()]


def test_export(files: Path) -> None:
    here = world(files)
    assert call(export.main, here) == 0
    assert written(here.stderr) == "warning: tool: bake has no needs: not exported\n"
    result = json.loads(written(here.stdout))
    assert result["group"] == {"default": {"targets": ["web"]}}
    assert result["target"] == {
        "web": {
            "description": "the front end",
            "context": "below/src",
            "args": {"A": "1", "B": "1"},
            "labels": {"team": "core"},
            "tags": ["r/web:dev"],
            "platforms": ["linux/amd64"],
        },
        "tool": {"context": ".", "labels": {"team": "core"}},
    }


@pytest.mark.parametrize("name", ["web", "tool", "far"])
def test_export_warns_of_what_is_masked_where_something_is(tmp_path: Path, name: str) -> None:
    (tmp_path / "build.toml").write_text("""
version = 1
[variables]
token = { default = "hunter2hunter2", sensitive = true }
[targets.web]
cache-from = ["type=s3,secret_access_key={{ token }}"]
[targets.far]
context = "https://me:pass-word@example.org/x.git"
[targets.tool]
""")
    here = world(tmp_path)
    assert call(export.main, here, names=(name,)) == 0
    masked = "warning: sensitive values are printed as ***: the output cannot build with them\n"
    assert written(here.stderr) == ("" if name == "tool" else masked)


def test_export_of_some_targets_as_the_command_line_has_them(files: Path) -> None:
    shown = output_of(
        export.main,
        world(files),
        names=("web",),
        platforms=("linux/arm64",),
        settings=("web.args={ A = 5 }", "web.platforms=['linux/arm64', 'linux/amd64']"),
        push=True,
    )
    (name, web), *others = json.loads(shown)["target"].items()
    assert (name, others) == ("web", [])
    assert (web["platforms"], web["args"], web["output"]) == (["linux/arm64"], {"A": "5"}, ["type=registry"])


def test_a_later_file_wins(files: Path) -> None:
    def args(*names: str) -> Any:
        result = json.loads(output_of(export.main, world(files), names=("web",), files=names))
        return result["target"]["web"]["args"]

    assert args("build.toml") == {"A": "1", "B": "1"}
    assert args("build.toml", "local.toml") == {"A": "1", "B": "2"}


def test_what_is_set_must_mean_something(folder: Path) -> None:
    with pytest.raises(UsageError) as unread:
        call(plan.main, world(folder), settings=("web.tags",))
    assert str(unread.value).startswith("--set web.tags: is not GLOB.KEY=VALUE\n")
    with pytest.raises(PlanError) as unmatched:
        call(plan.main, world(folder), settings=("wbe.tags=x",))
    assert in_short(unmatched.value) == ('--set wbe.tags=x: no target matches "wbe"\n  = did you mean "web"?')


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "environment", "tag"),
    [
        ((), {}, "dev"),
        ((), {"TAG": "env"}, "env"),
        (("tag=1.0",), {"TAG": "env"}, "1.0"),
        (("tag=1", "tag=2"), {}, "2"),
        (("tag=a",), {"tag": "x"}, "a"),
    ],
)
def test_variables(folder: Path, variables: tuple[str, ...], environment: dict[str, str], tag: str) -> None:
    lines = output_of(plan.main, world(folder, environment), variables=variables, push=True).splitlines()
    assert [line.split()[-1] for line in lines if " tag r/" in line] == [f"r/web:{tag}"]


@pytest.mark.parametrize("assignment", ["tag", "=x", "", "\x1b[31m"])
def test_a_variable_without_a_value(assignment: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolution_inputs(
            SourceOptions(variables=("a=b", assignment)),
            OverrideOptions(),
            world(Path("/")),
            ReadAccess(folder=Path("/")),
            PlanSpec(version=1),
        )
    hint = "write --var NAME=VALUE; the text is not shown, since it may be a secret"
    assert str(caught.value) == f"--var number 2 is not NAME=VALUE\n  = {hint}"


def test_a_value_that_is_no_text() -> None:
    with pytest.raises(UsageError) as caught:
        resolution_inputs(
            SourceOptions(variables=("a=b", "tag=x\udcff")),
            OverrideOptions(),
            world(Path("/")),
            ReadAccess(folder=Path("/")),
            PlanSpec(version=1),
        )
    hint = "pass UTF-8 text; the value is not shown, since it may be a secret"
    assert str(caught.value) == f"--var tag: it contains bytes that are not UTF-8\n  = {hint}"


def test_which_file_a_value_comes_from(folder: Path) -> None:
    (folder / "one.toml").write_text("tag = 'one'")
    (folder / "two.toml").write_text("tag = 'two'")
    (folder / "wrong.toml").write_text("tga = 'x'")
    (folder / "list.toml").write_text("tag = [1]")

    def refused(*files: str) -> str:
        with pytest.raises(MpbakeError) as caught:
            call(plan.main, world(folder), var_files=files)
        return in_short(caught.value) if isinstance(caught.value, PlanError) else str(caught.value)

    shown = output_of(show.main, world(folder), var_files=("one.toml", "two.toml", "one.toml"))
    assert '"r/web:one"' in shown
    hint = '  = did you mean "tag"?'
    assert refused("one.toml", "wrong.toml") == f'--var-file wrong.toml: unknown variable "tga"\n{hint}'
    assert 'variable "tag": the value "[1]" of --var-file list.toml is not text' in refused("one.toml", "list.toml")


def test_a_platform_that_looks_misspelt(folder: Path) -> None:
    (folder / "build.toml").write_text("version = 1\n[targets.web]\n")
    words = 'warning: --platform linux/amd46: unknown architecture "amd46", did you mean "amd64"?\n'
    assert words in output_of(plan.main, world(folder), names=("web",), platforms=("linux/amd46,linux/e2k",))


@pytest.mark.parametrize("name", ["\udcff", "!\udcff", "web\udcff*"])
def test_a_name_that_is_no_text(folder: Path, name: str) -> None:
    with pytest.raises(UsageError, match="unknown target or group"):
        call(plan.main, world(folder), names=("web", name))


def test_a_value_may_hold_an_equals_sign() -> None:
    result = resolution_inputs(
        SourceOptions(variables=("a=b=c", "d=")),
        OverrideOptions(),
        world(Path("/")),
        ReadAccess(folder=Path("/")),
        PlanSpec(version=1),
    )
    assert result.variables == {"a": "b=c", "d": ""}


def test_overrides() -> None:
    overrides = OverrideOptions(
        push=False,
        load=True,
        no_cache=True,
        pull=True,
        builder="ci",
    )
    result = resolution_inputs(
        SourceOptions(), overrides, world(Path("/"), {"A": "1"}), ReadAccess(folder=Path("/")), PlanSpec(version=1)
    )
    assert result.environment == {"A": "1"}
    assert dataclasses.asdict(result.overrides) == {
        "push": False,
        "load": True,
        "no_cache": True,
        "pull": True,
        "publish": "",
        "builder": "ci",
        "platforms": (),
    }


BOTH = "web.platforms=['linux/amd64', 'linux/arm64']"


def test_platforms_are_read_once_each(folder: Path) -> None:
    overrides = OverrideOptions(platforms=("linux/x86_64,linux/arm64", "linux/arm64/v8,"))
    _, loaded = load_plan(SourceOptions(settings=(BOTH,)), world(folder), overrides)
    chosen = select_for(loaded, (), overrides)
    (web,) = chosen.targets
    assert (web.name, list(map(str, chosen.only[web]))) == ("web", ["linux/amd64", "linux/arm64"])
    assert chosen.warnings == ()


@pytest.mark.parametrize("command", [plan.main, run.main])
def test_a_platform_that_is_none(folder: Path, command: Command) -> None:
    with pytest.raises(UsageError) as caught:
        call(command, world(folder), platforms=("amd64",))
    assert str(caught.value) == (
        '--platform: "amd64" is not a platform: write os/architecture[/variant], such as linux/arm64'
    )


def test_platforms_of_the_command_line(folder: Path) -> None:
    shown = output_of(plan.main, world(folder), platforms=("linux/arm64",), names=("web",), settings=(BOTH,))
    assert "build      web            linux/arm64 (native or emulated: not known yet) on default/local\n" in shown


@pytest.mark.parametrize("command", [plan.main, run.main, show.main, export.main])
def test_a_target_is_built_for_its_own_platforms_only(folder: Path, command: Command) -> None:
    with pytest.raises(UsageError) as caught:
        call(command, world(folder), platforms=("linux/amd46",), names=("tool", "web"))
    assert str(caught.value) == (
        '--platform linux/amd46: web is built for linux/amd64 only\n  = did you mean "linux/amd64"?'
    )


MATRIX = """\
version = 1
[targets.php]
matrix = { v = ["1", "2", "3"] }
name = "php-{{ v }}"
[targets.base]
needs = ["php-3"]
[targets.web]
needs = ["php"]
[targets.app]
needs = ["web"]
[targets.link]
contexts = { base = "target:base" }
[targets.within]
contexts = { php = "target:php-1" }
"""


@pytest.mark.parametrize("command", [plan.main, run.main, verify.main])
@pytest.mark.parametrize(
    ("names", "message", "hint"),
    [
        (["web", "!php-1"], "web needs php-1", "exclude web as well, or keep php-1"),
        (["*", "!php-1"], "web needs php-1", "exclude web, app as well, or keep php-1"),
        (["!php", "app"], "web needs php-1, php-2, php-3", "exclude app as well, or keep php-1, php-2, php-3"),
        (["app", "!web", "!php-1"], "web needs php-1; app needs web", "exclude app as well, or keep web, php-1"),
        (["link", "!php-3"], "base needs php-3", "exclude link as well, or keep php-3"),
        (["link", "web", "!php-3"], "web needs php-3; base needs php-3", "exclude link, web as well, or keep php-3"),
    ],
)
def test_what_is_needed_cannot_be_left_out(
    tmp_path: Path, command: Command, names: list[str], message: str, hint: str
) -> None:
    (tmp_path / "build.toml").write_text(MATRIX)
    with pytest.raises(UsageError) as caught:
        call(command, world(tmp_path), names=tuple(names))
    assert (caught.value.message, caught.value.hint) == (f"excluded targets are needed: {message}", hint)


def test_a_long_chain_to_what_is_left_out_is_walked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = (f"[targets.t{number}]\nneeds = ['t{number - 1}']\n" for number in range(1, 101))
    (tmp_path / "build.toml").write_text(f"version = 1\n[targets.t0]\n{''.join(chain)}")
    walked: list[str] = []
    dependencies = graph._dependencies  # only the number of calls shows that each target is read once

    def counted(target: Target) -> tuple[Target, ...]:
        walked.append(target.name)
        return dependencies(target)

    monkeypatch.setattr(graph, "_dependencies", counted)
    with pytest.raises(UsageError) as caught:
        call(plan.main, world(tmp_path), names=("*", "!t0"))
    assert caught.value.hint.startswith("exclude t1, t2, ")
    assert len(walked) <= 101
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("names", "result"),
    [
        (["php", "web", "!web"], ["php-1", "php-2", "php-3"]),
        (["within", "!php-1"], ["within"]),
        (["link", "!base"], ["php-3", "link"]),
    ],
)
def test_what_is_built_within_another_may_be_left_out(tmp_path: Path, names: list[str], result: list[str]) -> None:
    (tmp_path / "build.toml").write_text(MATRIX)
    chosen = select_for(load_plan(SourceOptions(), world(tmp_path))[1], names, OverrideOptions())
    assert [target.name for target in chosen.targets] == result


def test_a_platform_that_there_is_elsewhere(folder: Path) -> None:
    with pytest.raises(UsageError) as caught:
        call(plan.main, world(folder), platforms=("linux/386",), names=("web",), settings=(BOTH,))
    assert str(caught.value) == "--platform linux/386: web is built for linux/amd64, linux/arm64 only"


def test_platforms_of_the_command_line_leave_what_is_needed_whole(folder: Path) -> None:
    shown = output_of(plan.main, world(folder), platforms=("linux/arm64",), names=("tool",))
    assert "build      web            linux/amd64 (native or emulated" in shown
    assert "build      tool           linux/arm64 (native or emulated" in shown


def test_leaving_out_platforms_of_what_is_pushed_is_warned_of(folder: Path) -> None:
    asked = {"platforms": ("linux/arm64",), "names": ("web",), "settings": (BOTH,), "push": True}
    shown = output_of(plan.main, world(folder), **asked)
    warning = "web: --platform omits linux/amd64: r/web:dev will lack them; add --no-push to only build"
    assert warning in " ".join(shown.split())
    data = json.loads(output_of(plan.main, world(folder), **asked, format="json"))
    assert data["warnings"] == [warning]


# --- targets that cannot be placed ------------------------------------------------------------------------------------


def test_what_cannot_be_placed_is_a_problem_of_the_plan(tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text(
        "version = 1\n"
        + text("""
        [targets._image]
        builder = "release"
        platforms = ["linux/amd64", "linux/arm64"]
        output = ["type=tar,dest=x.tar"]
        [targets.web]
        inherits = ["_image"]
        [targets.php]
        inherits = ["_image"]
        matrix = { v = ["1", "2"] }
        name = "php-{{ v }}"
        platforms = [
            "linux/arm64",
            "linux/amd64",
        ]
        """)
        + TWO_NODES
    )
    with pytest.raises(PlanError) as caught:
        call(plan.main, world(tmp_path), names=("*",))
    output = "type=tar,dest=x.tar"
    problem = f"its output {output} is one file, but its platforms are built on several nodes"
    hint = "use type=local, which writes a folder for each platform, or build one platform with --platform"
    assert in_short(caught.value) == text(f"""
        build.toml:5: targets._image.output: web: {problem} (intel, arm)
            output = ["type=tar,dest=x.tar"]
          = {hint}
        build.toml:5: targets._image.output: php-1: {problem} (arm, intel)
            output = ["type=tar,dest=x.tar"]
          = {hint}
        build.toml:5: targets._image.output: php-2: {problem} (arm, intel)
            output = ["type=tar,dest=x.tar"]
          = {hint}
        """)


DOCKERS_OWN_PATTERN = """\
version = 1
[groups]
default = ["image-local"]
both = ["image", "image-all"]
[targets.image]
tags = ["user/app:latest"]
[targets.image-local]
inherits = ["image"]
output = ["type=docker"]
[targets.image-all]
inherits = ["image"]
platforms = ["linux/amd64", "linux/arm64"]
[targets.user]
needs = ["image"]
tags = ["user/app"]
"""


@pytest.mark.parametrize("name", ["image", "image-local", "image-all"])
def test_only_selected_targets_count_for_a_tag_that_two_push(tmp_path: Path, name: str) -> None:
    (tmp_path / "build.toml").write_text(DOCKERS_OWN_PATTERN)
    here = world(tmp_path)
    assert call(plan.main, here, names=(name,), push=True) == 0
    assert "tag user/app:latest" in written(here.stdout)


@pytest.mark.parametrize("names", [("image", "image-all"), ("both",), ("image*",), ("user",)])
@pytest.mark.parametrize("command", [plan.main, run.main])
def test_two_selected_targets_do_not_push_one_tag(tmp_path: Path, names: tuple[str, ...], command: Command) -> None:
    (tmp_path / "build.toml").write_text(DOCKERS_OWN_PATTERN)
    with pytest.raises(PlanError) as caught:
        call(command, world(tmp_path), names=names, push=True)
    assert "both push user/app:latest [tag-twice]" in str(caught.value)


def test_warnings_of_placement_come_with_the_graph(tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text("version = 1\n[targets.web]\nplatforms = ['linux/amd64', 'linux/arm64']\n")
    plan_files, result = load_plan(SourceOptions(), world(tmp_path))
    facts = facts_of({"default/local": "linux/amd64 linux/arm64"})
    chosen = select_with_dependencies(tuple(result.targets.values()))
    placements = place_targets(chosen, facts)
    graph = make_graph(chosen, placements)
    subject = preflight_input(plan_files, chosen, placements.values(), world(tmp_path))
    warnings = preflight_warnings(subject, Stage.RUN_PLACED)
    assert [step.key for step in graph.steps][1:] == ["build web linux/amd64,linux/arm64 on default/local"]
    assert warnings == ("web: linux/arm64 emulated on default/local: 5 to 10 times slower than native",)


CHECKED = """version = 1
groups.default = ["web"]
[targets.web]
platforms = ["linux/amd64", "linux/arm64"]
tags = ["r/web"]
checks = [{ run = ["true"] }, { run = ["false"], platforms = ["linux/CHECKED"] }]
"""
NEVER_RUN = "web: this check never runs: the target is not built for linux/amd65"


@pytest.mark.parametrize("inputs", [{}, {"platforms": ("linux/arm64",)}])
def test_a_check_that_never_runs_is_told_wherever_it_would_have_run(tmp_path: Path, inputs: dict[str, Any]) -> None:
    (tmp_path / "build.toml").write_text(CHECKED.replace("CHECKED", "amd65"))
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    assert f"warning: {NEVER_RUN}" in output_of(plan.main, world(tmp_path), **inputs)
    assert json.loads(output_of(plan.main, world(tmp_path), format="json", **inputs))["warnings"] == [NEVER_RUN]
    assert f"{NEVER_RUN} [check-never-run]" in output_of(check.main, world(tmp_path))


def test_a_check_of_another_platform_than_those_asked_for_needs_no_word(tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text(CHECKED.replace("CHECKED", "amd64"))
    assert "never" not in output_of(plan.main, world(tmp_path), platforms=("linux/arm64",))
    setting = ('web.platforms=["linux/arm64"]',)
    assert "this check never runs" in output_of(plan.main, world(tmp_path), settings=setting)


# --- run, without an engine -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "piece", "words"),
    [
        ({}, "web linux/amd64", "mpbake run web --platform linux/amd64 --no-push"),
        ({}, "tool", "mpbake run tool"),
        (
            {"directory": "a dir", "files": ("b.toml", "c"), "builder": "ci", "variables": ("a=b c", "d=")},
            "tool",
            "mpbake run -C 'a dir' --builder ci -f b.toml -f c --var 'a=b c' --var d= tool",
        ),
        (
            {"settings": ("web.args.A=b c", "*.tags+=x")},
            "tool",
            "mpbake run --set 'web.args.A=b c' --set '*.tags+=x' tool",
        ),
        ({"platforms": ("linux/amd64",)}, "tool", "mpbake run tool --platform linux/amd64"),
        ({"push": False}, "tool", "mpbake run tool --no-push"),
        ({"push": True}, "tool", "mpbake run tool --push"),
        (
            {"no_cache": True, "pull": True, "load": True, "push": True},
            "tool",
            "mpbake run tool --no-cache --pull --load --push",
        ),
        # a part of an image is neither pushed nor loaded in place of the image
        (
            {"no_cache": True, "pull": True, "load": True, "push": True, "var_files": ("a b",)},
            "web",
            "mpbake run --var-file 'a b' web --platform linux/amd64 --no-cache --pull --no-push",
        ),
        # the same holds for a shared piece
        ({"push": True, "load": True}, "base", "mpbake run base --platform linux/amd64 --no-push"),
    ],
)
def test_the_command_that_does_a_piece_again(options: dict[str, Any], piece: str, words: str) -> None:
    graph = graph_of_text(
        f"""
        [targets.web]
        builder = "release"
        platforms = ["linux/amd64", "linux/arm64"]
        contexts = {{ base = "target:base" }}
        [targets.tool]
        builder = "release"
        platforms = ["linux/amd64"]
        contexts = {{ base = "target:base" }}
        [targets.base]
        builder = "release"
        platforms = ["linux/amd64", "linux/arm64"]
        {TWO_NODES}
        """,
        "web",
        "tool",
    )
    result = piece_of(graph, piece.partition(" ")[0])
    assert repeat_command(options_for("run", **options), result) == words


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "mpbake run web"),
        ({"files": ("a.toml",), "push": True, "load": True}, "mpbake run -f a.toml web --load --push"),
        ({"platforms": ("linux/amd64", "linux/arm64")}, "mpbake run web --platform linux/amd64 --platform linux/arm64"),
    ],
)
def test_the_command_that_does_a_whole_target_again(options: dict[str, Any], words: str) -> None:
    graph = graph_of_text(f"""
        [targets.web]
        builder = "release"
        platforms = ["linux/amd64", "linux/arm64"]
        {TWO_NODES}
        """)
    assert repeat_command(options_for("run", **options), piece_of(graph, "web").target) == words


@pytest.mark.parametrize(
    ("environment", "options", "coloured"),
    [
        ({}, {}, True),
        ({}, {"no_color": True}, False),
        ({"NO_COLOR": "1"}, {}, False),
        ({"NO_COLOR": ""}, {}, True),
    ],
)
def test_colours(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], options: dict[str, Any], *, coloured: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    terminal = Terminal()
    here = dataclasses.replace(world(Path("/"), environment, live=True), stderr=terminal)
    make_reporter(options_for("run", **options), here, Path("/")).handle(Warned(message="slow"))
    assert ("\x1b[33m" in terminal.getvalue()) is coloured
    assert terminal.screen() == "warning: slow"


@pytest.mark.parametrize(
    ("live", "quiet", "output"), [(False, False, "    1.0s  warning: slow\n"), (True, True, ""), (False, True, "")]
)
def test_plain_lines_where_nobody_watches(*, live: bool, quiet: bool, output: str) -> None:
    here = world(Path("/"), live=live)
    make_reporter(options_for("run", quiet=quiet), here, Path("/")).handle(Warned(message="slow"))
    assert written(here.stderr) == output


# --- through the command line -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "environment"),
    [
        ("plan -C {folder} web", {}),
        ("plan -f {folder}/build.toml", {}),
        ("run --dry-run -C {folder}", {}),
        ("run", {"MPBAKE_DRY_RUN": "1", "MPBAKE_DIRECTORY": "{folder}"}),
        ("plan", {"MPBAKE_FILE": "{folder}/build.toml", "TAG": "x"}),
    ],
)
def test_in_words_and_variables(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    words: str,
    environment: dict[str, str],
) -> None:
    for name in [name for name in os.environ if name.startswith("MPBAKE_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value.format(folder=folder))
    monkeypatch.setattr(sys, "argv", ["mpbake", *words.format(folder=folder).split()])
    with pytest.raises(SystemExit) as caught:
        __main__.main()
    assert caught.value.code == 0
    captured = capsys.readouterr()
    assert (without_id(captured.out), captured.err) == (WEB, "")


@pytest.mark.allow_subprocess
def test_a_plan_needs_no_docker(folder: Path) -> None:
    script = """
import sys, contextlib
from mpbake import __main__
from mpbake.graph import dag as graph
for words in (["list"], ["plan"], ["run", "--dry-run"]):
    sys.argv = ["mpbake", *words]
    with contextlib.suppress(SystemExit):
        __main__.main()
print([name for name in ("python_on_whales", "rich") if name in sys.modules])
"""
    environment = {"PATH": os.defpath, "PYTHONPATH": str(CHECKOUT)}
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment, cwd=folder
    )
    listed = output_of(list_command.main, world(folder))
    assert without_id(result.stdout) == f"{listed}{WEB}{WEB}[]\n"


def test_a_run_that_another_one_keeps_out_starts_nothing(folder: Path) -> None:
    (folder / ".mpbake").write_text("")
    (folder / "Dockerfile").write_text("")
    with pytest.raises(MpbakeError, match="is not a folder"):
        call(run.main, world(folder))


def test_what_is_missing_is_told_before_a_run_touches_anything(folder: Path) -> None:
    with pytest.raises(PlanError) as caught:
        call(run.main, world(folder))
    assert in_short(caught.value) == text(f"""
        build.toml:6: targets.web.dockerfile: web: there is no Dockerfile {folder}/Dockerfile
            [targets.web]
          = {PATH_HINT}; the path of a Dockerfile is relative to the build context
        """)
    assert sorted(path.name for path in folder.iterdir()) == ["below", "build.toml"]
