"""Approved plans: `run --plan-id`, `plan -o` and `run plan.json`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.errors import MpbakeError, NotApproved, PlanError, UsageError
from mpbake.base.platforms import parse_platforms
from mpbake.cli import loading
from mpbake.cli.commands import plan, run
from mpbake.cli.review import input_states, selection_review
from mpbake.cli.runs import approval
from mpbake.model.node_state import NodeRow
from mpbake.model.plan import Driver, Node
from mpbake.resolve import resolve_partially
from mpbake.review.probe import NodeProbe
from tests.unit.worlds import call, world, written

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

PLAN = """\
version = 1
include = ["common.toml"]
[variables]
tag = { default = "dev", env = "TAG" }
count = 1.5
names = { default = ["a"], type = "list" }
token = { default = "", env = "TOKEN", sensitive = true }
login = "me:{{ token }}"
[targets.web]
context = "web"
platforms = ["linux/amd64"]
tags = ["r/web:{{ tag }}"]
labels = { count = "{{ count }}", names = "{{ names | join(',') }}" }
cache-from = ["type=gha,token={{ token }}"]
contexts = { source = "https://{{ login }}@host/r.git", more = "more" }
secret = ["id=token,env=TOKEN"]
[groups]
default = ["web"]
"""
COMMON = "version = 1\n[targets.tool]\ncontext = 'web'\nplatforms = ['linux/amd64']\n"
SECRET = "supersecret-12"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a plan."""
    here = tmp_path / "plan"
    for name in ("web", "more"):
        (here / name).mkdir(parents=True)
    (here / "web/Dockerfile").write_text("FROM scratch\n")
    (here / "more/file").write_text("1")
    (here / "build.toml").write_text(PLAN)
    (here / "common.toml").write_text(COMMON)
    return here


def git(folder: Path, *words: str) -> None:
    """Run git as a user runs it."""
    command = ["git", "-c", "user.name=me", "-c", "user.email=me@example.com", *words]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(folder: Path) -> Path:
    """Return the folder of a plan in a commit."""
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=one")
    return folder


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return a list of the runs that would start now. No run starts, and no node is asked."""
    runs: list[Any] = []

    def execute(command: Any, _: object) -> int:
        runs.append(command)
        return 0

    monkeypatch.setattr(run._RunCommand, "execute", execute)
    monkeypatch.setattr(approval, "probe_selection", lambda *_: NodeProbe())
    monkeypatch.setattr(plan, "probe_tags", lambda *_: ())
    return runs


def probe_of(platforms: str) -> NodeProbe:
    """Return the probe of a running default node that reports these platforms."""
    node = Node(builder="default", name="local", driver=Driver.DOCKER_CONTAINER)
    row = NodeRow(node=node, status="running", reported=parse_platforms(platforms.split()))
    return NodeProbe(rows=(row,))


def environment(**variables: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "TOKEN": SECRET, **variables}


def saved(folder: Path, env: Mapping[str, str] | None = None, **options: Any) -> dict[str, Any]:
    """Save a plan as plan.json, and return its content."""
    here = world(folder, env or environment())
    assert call(plan.main, here, **{"output": "plan.json", **options}) == 0
    assert SECRET not in written(here.stdout) + written(here.stderr)
    content: dict[str, Any] = json.loads((folder / "plan.json").read_bytes())
    return content


def run_saved(folder: Path, env: Mapping[str, str] | None = None, **options: Any) -> int:
    return call(run.main, world(folder, env or environment()), **{"names": ("plan.json",), **options})


def refusal(action: Callable[[], object], kind: type[MpbakeError] = NotApproved) -> str:
    """Return the message and hint of an error with exit code 3."""
    with pytest.raises(kind) as caught:
        action()
    assert caught.value.exit_code == 3
    return str(caught.value)


def plan_id(folder: Path, env: Mapping[str, str] | None = None, **options: Any) -> str:
    here = world(folder, env or environment())
    assert call(plan.main, here, **{"format": "json", **options}) == 0
    return str(json.loads(written(here.stdout))["id"])


# --- the id of a plan -------------------------------------------------------------------------------------------------


def test_a_run_with_the_id_of_its_plan_starts(folder: Path, executed: list[Any]) -> None:
    here = world(folder, environment())
    assert call(run.main, here, plan_id=plan_id(folder)) == 0
    (command,) = executed
    assert command.selection.targets[0].on(()).attributes["context"] == str(folder / "web"), (
        "a run needs absolute paths"
    )
    assert command.approval.facts == {}


@pytest.mark.parametrize("wrong", ["x", "0" * 63, "0" * 65, "A" * 64, "0" * 64 + "\n", "sha256:" + "0" * 64])
def test_a_text_that_is_no_id(folder: Path, wrong: str, executed: list[Any]) -> None:
    message = refusal(lambda: call(run.main, world(folder), plan_id=wrong), UsageError)
    assert message.startswith("--plan-id: not a plan id\n  = copy the whole id")
    assert not executed


def test_another_plan_is_refused(folder: Path, executed: list[Any]) -> None:
    approved = plan_id(folder)
    (folder / "web/Dockerfile").write_text("FROM other\n")
    now = plan_id(folder)
    assert refusal(lambda: call(run.main, world(folder, environment()), plan_id=approved)).split("\n") == [
        "the run would do something other than the approved plan",
        f"  approved      {approved}",
        f"  now           {now}",
        "  = see what changed since a revision: mpbake diff REV; then review `mpbake plan`, and approve its id",
    ]
    assert not executed


@pytest.mark.parametrize(
    "options",
    [{"names": ("tool",)}, {"push": True}, {"no_cache": True}, {"settings": ("web.args.A=1",)}],
)
def test_other_options_are_another_plan(folder: Path, options: dict[str, Any], executed: list[Any]) -> None:
    approved = plan_id(folder)
    refusal(lambda: call(run.main, world(folder, environment()), plan_id=approved, **options))
    assert not executed


def test_the_id_of_a_probed_plan(folder: Path, executed: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    probe = probe_of("linux/arm64 linux/amd64")
    for module in (approval, plan):
        monkeypatch.setattr(module, "probe_selection", lambda *_: probe)
    approved = plan_id(folder, probe=True)
    assert approved != plan_id(folder)
    assert call(run.main, world(folder, environment()), plan_id=approved) == 0
    (command,) = executed
    assert command.approval.facts == probe.facts
    (piece,) = next(iter(command.placements.values())).pieces
    assert piece.platforms[0].execution == "emulated", "the run executes the placement of the approved plan"
    monkeypatch.setattr(approval, "probe_selection", lambda *_: probe_of("linux/amd64"))
    message = refusal(lambda: call(run.main, world(folder, environment()), plan_id=approved))
    assert "\n  with --probe  " in message


def test_nodes_are_not_asked_for_the_id_of_an_unprobed_plan(
    folder: Path, executed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError

    approved = plan_id(folder)
    monkeypatch.setattr(approval, "probe_selection", fail)
    assert call(run.main, world(folder, environment()), plan_id=approved) == 0
    assert len(executed) == 1


def test_files_are_read_once(folder: Path, executed: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody changes the plan between the check and the run."""
    approved = plan_id(folder)
    review = selection_review.review_selection

    def change(*arguments: Any) -> Any:
        (folder / "build.toml").write_text(PLAN.replace("r/web", "evil/web"))
        (folder / "common.toml").write_text("broken")
        return review(*arguments)

    monkeypatch.setattr(approval, "review_selection", change)
    assert call(run.main, world(folder, environment()), plan_id=approved) == 0
    assert executed[0].selection.targets[0].tags == ("r/web:dev",)


def test_a_dockerfile_that_changes_before_the_builds(folder: Path, executed: list[Any]) -> None:
    assert call(run.main, world(folder, environment()), plan_id=plan_id(folder)) == 0
    executed[0].approval.check_again()
    (folder / "web/Dockerfile").write_text("FROM other\n")
    message = refusal(executed[0].approval.check_again)
    assert message.startswith("web/Dockerfile changed while the run was starting\n  = review the plan again")


def test_a_changed_configuration_of_buildkitd_is_another_plan(folder: Path, executed: list[Any]) -> None:
    plan_text = PLAN.replace('context = "web"', 'context = "web"\nbuilder = "own"', 1)
    plan_text += '\n[builders.own]\nconfig = "buildkitd.toml"\n'
    (folder / "build.toml").write_text(plan_text)
    (folder / "buildkitd.toml").write_text("debug = true\n")
    approved = plan_id(folder)
    before = saved(folder)
    assert call(run.main, world(folder, environment()), plan_id=approved, allow=("all",)) == 0
    (folder / "buildkitd.toml").write_text('insecure-entitlements = ["security.insecure"]\n')
    assert plan_id(folder) != approved
    assert "node own/local" in refusal(lambda: run_saved(folder, allow=("all",)))
    assert before["builders"][0]["nodes"][0]["config_sha256"]
    assert len(executed) == 1


def test_a_run_without_an_id_resolves_the_plan_once(
    folder: Path, executed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved: list[bool] = []
    resolve = resolve_partially

    def count(plan_files: Any, *rest: Any) -> Any:
        resolved.append(plan_files.relative)
        return resolve(plan_files, *rest)

    monkeypatch.setattr(loading, "resolve_partially", count)
    assert call(run.main, world(folder, environment())) == 0
    assert resolved == [False]
    assert executed[0].approval is None


# --- what is saved ----------------------------------------------------------------------------------------------------


def test_a_saved_plan_is_the_plan_with_its_request(folder: Path) -> None:
    (folder / "values.toml").write_text("count = 8.10\nnames = ['x', 'y']\n")
    content = saved(
        folder,
        environment(TAG="7", OTHER="1", SOURCE_DATE_EPOCH="0"),
        names=("web",),
        variables=(f"token={SECRET}",),
        var_files=("values.toml",),
        settings=("web.args.A=1",),
        platforms=("linux/amd64",),
        push=True,
        publish="each",
    )
    assert content["request"] == {
        "files": ["build.toml"],
        "names": ["web"],
        "variables": {"count": "8.10", "names": '["x", "y"]'},
        "environment": {"SOURCE_DATE_EPOCH": "0", "TAG": "7"},
        "settings": ["web.args.A=1"],
        "platforms": ["linux/amd64"],
        "builder": "",
        "publish": "each",
        "push": True,
        "load": False,
        "no_cache": False,
        "pull": False,
        "probe": False,
    }
    assert {file["path"] for file in content["inputs"]["files"]} == {"build.toml", "common.toml"}
    assert content["inputs"]["contexts"] == []
    assert content["targets"][0]["labels"] == {"count": "8.10", "names": "x,y"}


def test_the_plan_is_printed_too(folder: Path) -> None:
    here = world(folder, environment())
    assert call(plan.main, here, output="plan.json") == 0
    assert written(here.stdout).startswith("plan: 1 target")
    printed = world(folder, environment())
    assert call(plan.main, printed, output="-") == 0
    assert written(printed.stdout) == (folder / "plan.json").read_text()


@pytest.mark.parametrize(
    ("env", "options"),
    [
        ({"TOKEN": SECRET}, {}),
        ({}, {"variables": (f"token={SECRET}",)}),
        ({"TOKEN": "overridden-secret"}, {"variables": (f"token={SECRET}",)}),
        ({}, {"var_files": ("secret.toml",)}),
        ({}, {"variables": (f"login=me:{SECRET}",)}),
        ({"TOKEN": SECRET}, {"names": ("*",), "push": True}),
        ({"TOKEN": SECRET}, {"format": "json"}),
    ],
)
def test_no_sensitive_value_is_saved(folder: Path, env: dict[str, str], options: dict[str, Any]) -> None:
    (folder / "secret.toml").write_text(f"token = '{SECRET}'\n")
    content = saved(folder, {"PATH": os.environ["PATH"], **env}, **options)
    text = json.dumps(content)
    assert SECRET not in text
    assert "overridden-secret" not in text
    assert not {"token", "login"} & content["request"]["variables"].keys()
    assert "TOKEN" not in content["request"]["environment"]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"settings": (f"web.labels.A={SECRET}",)}, "--set number 1"),
        ({"settings": ("web.labels.A=1", "web.contexts.A=https://me:pass-word@host")}, "--set number 2"),
        ({"variables": (f"tag={SECRET}",)}, "the variable tag"),
        ({"var_files": ("values.toml",)}, "the variable tag"),
    ],
)
def test_a_request_with_a_sensitive_value_is_refused(folder: Path, options: dict[str, Any], what: str) -> None:
    (folder / "values.toml").write_text(f"tag = '{SECRET}'\n")
    here = world(folder, environment())
    message = refusal(lambda: call(plan.main, here, output="plan.json", **options), UsageError)
    assert message.startswith(f"{what} contains a sensitive value, which a saved plan cannot hold\n")
    assert not (folder / "plan.json").exists()


def test_a_sensitive_environment_variable_in_another_variable(folder: Path) -> None:
    message = refusal(lambda: saved(folder, environment(TAG=SECRET)), UsageError)
    assert message.startswith("the environment variable TAG contains a sensitive value")


def test_an_untrusted_plan_records_no_environment(folder: Path) -> None:
    assert saved(folder, environment(TAG="7"), untrusted=True)["request"]["environment"] == {}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("build.toml", "-o build.toml: a saved plan needs a name that ends with .json\n  = try: -o plan.json"),
        ("plan", "-o plan: a saved plan needs a name that ends with .json\n  = try: -o plan.json"),
        ("no/plan.json", "-o no/plan.json: its folder does not exist\n  = name a file in a folder that exists"),
        ("package.json", "-o package.json exists, and is not a saved plan\n  = choose another name"),
        ("link.json", "-o link.json is a symlink\n  = remove the symlink, or choose another name"),
        ("folder.json", "-o folder.json exists, and is not a saved plan\n  = choose another name"),
        ("pipe.json", "-o pipe.json exists, and is not a saved plan\n  = choose another name"),
        ("metadata.json", "-o metadata.json exists, and is not a saved plan\n  = choose another name"),
    ],
)
def test_files_that_are_not_overwritten(folder: Path, name: str, message: str) -> None:
    (folder / "package.json").write_text("{}")
    (folder / "metadata.json").write_text('{"target": {"web": {"labels": {"a": "b"}}}}')
    (folder / "common.toml").write_text(COMMON)
    (folder / "link.json").symlink_to("build.toml")
    (folder / "folder.json").mkdir()
    os.mkfifo(folder / "pipe.json")
    before = {path.name: path.lstat().st_mtime_ns for path in folder.iterdir()}
    source = {"files": ("build.toml", name)} if name == "metadata.json" else {}
    assert refusal(lambda: call(plan.main, world(folder, environment()), output=name, **source), UsageError) == message
    assert {path.name: path.lstat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_saved_plan_is_replaced_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = saved(folder)
    assert saved(folder, variables=("tag=2",)) != first
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    before = (folder / "plan.json").read_bytes()
    with pytest.raises(MpbakeError, match="No space left"):
        saved(folder, variables=("tag=3",))
    assert (folder / "plan.json").read_bytes() == before
    assert {path.name for path in folder.iterdir()} == {"plan.json", "build.toml", "common.toml", "web", "more"}


# --- runs of saved plans ----------------------------------------------------------------------------------------------


def test_a_run_uses_the_recorded_request(folder: Path, executed: list[Any]) -> None:
    saved(
        folder,
        environment(TAG="7"),
        names=("web", "tool"),
        variables=("count=3",),
        settings=("web.args.A=1",),
        push=True,
        no_cache=True,
    )
    assert run_saved(folder, environment(TAG="8", TOKEN="another-secret")) == 0
    web, tool = executed[0].selection.targets
    assert (web.tags, web.push, tool.name) == (("r/web:7",), True, "tool")
    assert web.on(()).attributes["args"] == {"A": "1"}
    assert web.on(()).attributes["labels"]["count"] == "3"
    assert web.on(()).attributes["no-cache"] is True
    assert web.on(()).attributes["cache-from"] == ["type=gha,token=another-secret"]


def test_an_unset_variable_stays_unset(folder: Path, executed: list[Any]) -> None:
    saved(folder)
    assert run_saved(folder, environment(TAG="8")) == 0
    assert executed[0].selection.targets[0].tags == ("r/web:dev",)


def test_an_untrusted_run_uses_the_recorded_environment(folder: Path, executed: list[Any]) -> None:
    saved(folder, environment(TAG="7"))
    options = {"untrusted": True, "variables": ("token=another-secret",)}
    assert run_saved(folder, environment(TAG="8"), allow=("all",), **options) == 0
    assert executed[0].selection.targets[0].tags == ("r/web:7",)


def test_an_untrusted_run_reads_no_sensitive_variable(folder: Path, executed: list[Any]) -> None:
    saved(folder, untrusted=True)
    assert run_saved(folder, environment(), allow=("all",), untrusted=True) == 0
    assert executed[0].selection.targets[0].on(()).attributes["cache-from"] == ["type=gha,token="]


def test_a_secret_on_the_command_line(folder: Path, executed: list[Any]) -> None:
    saved(folder, variables=(f"token={SECRET}",))
    here = world(folder, {"PATH": os.environ["PATH"]})
    options = {"names": ("plan.json",), "variables": ("token=another-secret",), "allow": ("all",), "quiet": True}
    assert call(run.main, here, metadata_file="m.json", **options) == 0
    target = executed[0].selection.targets[0]
    assert target.on(()).attributes["cache-from"] == ["type=gha,token=another-secret"]
    assert executed[0].options.quiet
    assert executed[0].options.source.allow == ("all",)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"names": ("plan.json", "web")}, "a saved plan cannot be combined with other names"),
        ({"names": ("plan.json", "plan.json")}, "a saved plan cannot be combined with other names"),
        ({"push": False}, "--push or --no-push cannot be combined with a saved plan"),
        ({"load": True}, "--load cannot be combined with a saved plan"),
        ({"no_cache": True}, "--no-cache cannot be combined with a saved plan"),
        ({"pull": True}, "--pull cannot be combined with a saved plan"),
        ({"platforms": ("linux/arm64",)}, "--platform cannot be combined with a saved plan"),
        ({"builder": "ci"}, "--builder cannot be combined with a saved plan"),
        ({"publish": "each"}, "--publish cannot be combined with a saved plan"),
        ({"settings": ("web.args.A=1",)}, "--set cannot be combined with a saved plan"),
        ({"var_files": ("values.toml",)}, "--var-file cannot be combined with a saved plan"),
        ({"plan_id": "0" * 63}, "--plan-id: not a plan id"),
        ({"variables": ("tag=2",)}, "--var tag cannot be combined with a saved plan"),
        ({"variables": ("unknown=2",)}, "--var unknown cannot be combined with a saved plan"),
        ({"names": ("other.json",)}, "there is no saved plan other.json"),
    ],
)
def test_conflicting_options(folder: Path, options: dict[str, Any], what: str, executed: list[Any]) -> None:
    saved(folder, variables=("tag=1",))
    message = refusal(lambda: run_saved(folder, **options), UsageError)
    assert message.partition("\n")[0] == what
    assert "\n  = " in message
    assert not executed


def test_a_link_to_a_saved_plan_outside_of_the_folder(folder: Path, tmp_path: Path, executed: list[Any]) -> None:
    saved(folder)
    shutil.move(folder / "plan.json", tmp_path / "plan.json")
    (folder / "plan.json").symlink_to(tmp_path / "plan.json")
    message = refusal(lambda: run_saved(folder, allow=()), UsageError)
    assert message.startswith("plan.json is a link to a file outside of its folder\n  = ")
    assert not executed


def test_only_run_and_diff_take_a_saved_plan(folder: Path) -> None:
    message = refusal(lambda: call(plan.main, world(folder, environment()), names=("plan.json",)), UsageError)
    assert message == (
        "this command does not support saved plans: plan.json\n"
        "  = use `mpbake run plan.json` or `mpbake diff plan.json`, or name targets"
    )


def test_a_saved_plan_with_an_id(folder: Path, executed: list[Any]) -> None:
    """The file may come from anywhere if the id comes from the reviewer."""
    approved = saved(folder)["id"]
    assert run_saved(folder, plan_id=approved) == 0
    other = saved(folder, variables=("tag=2",))["id"]
    assert refusal(lambda: run_saved(folder, plan_id=approved)) == (
        f"plan.json is not the approved plan\n  approved  {approved}\n  saved     {other}\n"
        "  = get the saved plan again, or review it and approve its id"
    )
    assert len(executed) == 1


def test_another_plan_is_refused_with_its_difference(folder: Path, executed: list[Any]) -> None:
    saved(folder, names=("web", "tool"))
    (folder / "common.toml").write_text(COMMON + "pull = true\n")
    (folder / "web/Dockerfile").write_text("FROM other\n")
    first, changed, *differences, hint = refusal(lambda: run_saved(folder)).split("\n")
    assert first == "plan.json: the run would do something other than the saved plan"
    assert changed == "changed: plan file common.toml, Dockerfile web/Dockerfile"
    assert differences[0] == "2 targets changed"
    lines = [line.strip() for line in differences]
    assert lines.index("~ web") < lines.index("~ tool")
    assert any(line.startswith("~ dockerfile.sha256: ") for line in lines)
    assert "+ pull: true" in lines
    assert hint == "  = review the plan as it is now, and save it again: mpbake plan web tool -o plan.json"
    assert not executed


def test_a_comment_in_the_plan_changes_nothing(folder: Path, executed: list[Any]) -> None:
    saved(folder)
    (folder / "build.toml").write_text("# a comment\n" + PLAN)
    assert run_saved(folder) == 0
    assert len(executed) == 1


def test_a_variable_that_the_plan_no_longer_declares(folder: Path, executed: list[Any]) -> None:
    saved(folder, variables=("count=3",))
    (folder / "build.toml").write_text(PLAN.replace("count = 1.5\n", "").replace("{{ count }}", ""))
    message = refusal(lambda: run_saved(folder))
    assert message.startswith("plan.json: the plan no longer declares the variable count\n")
    assert not executed


def test_a_broken_plan_is_reported_as_usual(folder: Path) -> None:
    saved(folder)
    (folder / "build.toml").write_text("version = 1\n[targets.web]\ncontxt = 1\n")
    with pytest.raises(PlanError):
        run_saved(folder)


def test_a_probed_plan_is_compared_with_probed_nodes(
    folder: Path, executed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = {"now": "linux/amd64"}

    def probe(*_: object) -> Any:
        return probe_of(nodes["now"])

    for module in (approval, plan):
        monkeypatch.setattr(module, "probe_selection", probe)
    assert saved(folder, probe=True)["request"]["probe"] is True
    assert run_saved(folder) == 0
    nodes["now"] = "linux/arm64 linux/amd64"
    assert "\nchanged: node default/local\n" in refusal(lambda: run_saved(folder))
    assert len(executed) == 1


def test_a_folder_of_its_own(folder: Path, tmp_path: Path, executed: list[Any]) -> None:
    saved(folder)
    assert call(run.main, world(tmp_path, environment()), names=("plan.json",), directory="plan") == 0
    assert call(run.main, world(tmp_path, environment()), names=("plan/plan.json",)) == 0
    assert [command.plan.root for command in executed] == [folder, folder]


def test_a_plan_file_outside_of_the_folder(folder: Path, tmp_path: Path, executed: list[Any]) -> None:
    (tmp_path / "other").mkdir()
    here = world(folder, environment())
    assert call(plan.main, here, output="../other/plan.json") == 0
    options = {"names": ("other/plan.json",)}
    message = refusal(lambda: call(run.main, world(tmp_path, environment()), **options), UsageError)
    assert message == (
        "the saved plan names a plan file outside of its own folder: ../plan/build.toml\n"
        "  = name the plan file yourself: add -f FILE"
    )
    assert call(run.main, world(tmp_path, environment()), files=("plan/build.toml",), **options) == 0
    assert len(executed) == 1


def test_a_symlink_to_a_plan_file_outside_of_the_folder(folder: Path, tmp_path: Path) -> None:
    saved(folder)
    shutil.move(folder / "build.toml", tmp_path / "outside.toml")
    (folder / "build.toml").symlink_to(tmp_path / "outside.toml")
    assert "outside of its own folder: build.toml" in refusal(lambda: run_saved(folder), UsageError)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{}", "is not the JSON of a plan"),
        ("[" * 100_000, "is not the JSON of a plan"),
        ("", "is not the JSON of a plan"),
    ],
)
def test_hostile_files(folder: Path, content: str, reason: str, executed: list[Any]) -> None:
    (folder / "plan.json").write_text(content)
    message = refusal(lambda: run_saved(folder), UsageError)
    assert message == f"plan.json {reason}\n  = save the plan again: mpbake plan -o plan.json"
    assert not executed


def test_an_edited_plan_is_refused(folder: Path, executed: list[Any]) -> None:
    content = saved(folder)
    content["targets"][0]["tags"] = ["evil/web:1"]
    (folder / "plan.json").write_text(json.dumps(content))
    assert "was changed after mpbake saved it" in refusal(lambda: run_saved(folder), UsageError)
    assert not executed


def test_an_edited_request_is_another_plan(folder: Path, executed: list[Any]) -> None:
    """The id does not include the request, but the request leads to another plan than the document."""
    content = saved(folder)
    content["request"] |= {"push": True, "variables": {"tag": "latest"}}
    (folder / "plan.json").write_text(json.dumps(content))
    assert "1 tag newly pushed" in refusal(lambda: run_saved(folder))
    assert not executed


# --- git --------------------------------------------------------------------------------------------------------------


@pytest.mark.allow_subprocess
class TestContexts:
    """Git's state of the contexts belongs to a saved plan."""

    def test_an_unchanged_checkout(self, repository: Path, executed: list[Any], tmp_path: Path) -> None:
        content = saved(repository)
        assert [context["path"] for context in content["inputs"]["contexts"]] == ["more", "web"]
        assert all(len(context["tree"]) == 40 for context in content["inputs"]["contexts"])
        assert [context["changes"] for context in content["inputs"]["contexts"]] == ["", ""]
        git(tmp_path, "clone", "--quiet", str(repository), "clone")
        shutil.copy(repository / "plan.json", tmp_path / "clone")
        assert run_saved(tmp_path / "clone") == 0
        assert len(executed) == 1

    @pytest.mark.parametrize("change", ["edit", "add", "remove", "mode", "link", "commit"])
    def test_a_changed_context(self, repository: Path, change: str, executed: list[Any]) -> None:
        saved(repository)
        file = repository / "more/file"
        match change:
            case "edit" | "commit":
                file.write_text("2")
            case "add":
                (repository / "more/new").write_text("")
            case "remove":
                file.unlink()
            case "mode":
                file.chmod(0o755)
            case "link":
                (repository / "more/link").symlink_to("/etc/passwd")
        if change == "commit":
            git(repository, "commit", "--quiet", "--all", "--message=two")
        assert refusal(lambda: run_saved(repository)).split("\n")[:2] == [
            "plan.json: the run would do something other than the saved plan",
            "changed: context more",
        ]
        assert not executed

    def test_a_changed_folder_to_which_a_context_links(self, repository: Path, executed: list[Any]) -> None:
        (repository / "link").symlink_to("more")
        (repository / "build.toml").write_text(PLAN.replace('"web"', '"link"', 1).replace('"more"', '"web"'))
        (repository / "more/Dockerfile").write_text("FROM scratch\n")
        git(repository, "add", "--all")
        git(repository, "commit", "--quiet", "--message=two")
        saved(repository)
        (repository / "more/file").write_text("2")
        assert "\nchanged: context link" in refusal(lambda: run_saved(repository))
        assert not executed

    def test_a_changed_repository_in_a_context(self, repository: Path, executed: list[Any]) -> None:
        nested = repository / "more/nested"
        nested.mkdir()
        git(nested, "init", "--quiet")
        (nested / "file").write_text("1")
        saved(repository)
        assert run_saved(repository) == 0
        (nested / "file").write_text("2")
        assert "\nchanged: context more\n" in refusal(lambda: run_saved(repository))
        assert len(executed) == 1

    def test_the_same_changes_are_the_same_state(self, repository: Path, executed: list[Any]) -> None:
        (repository / "more/file").write_text("2")
        (repository / "more/new").write_text("x")
        saved(repository)
        git(repository, "add", "more/new")
        assert run_saved(repository) == 0
        (repository / "more/new").write_text("y")
        refusal(lambda: run_saved(repository))
        assert len(executed) == 1

    def test_ignored_files_do_not_count(self, repository: Path, executed: list[Any]) -> None:
        (repository / ".git/info/exclude").write_text("*.log\n")
        saved(repository)
        (repository / "more/a.log").write_text("1")
        assert run_saved(repository) == 0
        assert len(executed) == 1

    def test_the_saved_plan_belongs_to_no_context(self, repository: Path, executed: list[Any]) -> None:
        (repository / "build.toml").write_text(PLAN.replace('context = "web"', 'dockerfile = "web/Dockerfile"'))
        git(repository, "commit", "--quiet", "--all", "--message=two")
        assert saved(repository)["inputs"]["contexts"][0]["changes"] == ""
        saved(repository)
        assert run_saved(repository) == 0
        assert len(executed) == 1

    def test_a_context_that_changes_before_the_builds(self, repository: Path, executed: list[Any]) -> None:
        saved(repository)
        assert run_saved(repository) == 0
        executed[0].approval.check_again()
        (repository / "more/file").write_text("2")
        assert "\nchanged: context more\n" in refusal(executed[0].approval.check_again)

    def test_an_uncommitted_repository(self, folder: Path, executed: list[Any]) -> None:
        git(folder, "init", "--quiet")
        trees = {context["tree"] for context in saved(folder)["inputs"]["contexts"]}
        assert trees == {""}
        assert run_saved(folder) == 0
        (folder / "more/file").write_text("2")
        refusal(lambda: run_saved(folder))
        assert len(executed) == 1

    def test_no_program_of_the_checkout_runs(self, repository: Path, executed: list[Any]) -> None:
        """A filter would run for each changed file, and a file-system monitor for each query."""
        program = repository / "more/program"
        program.write_text(f"#!/bin/sh\ntouch {repository}/ran\ncat\n")
        program.chmod(0o755)
        (repository / ".gitattributes").write_text("* filter=evil\n")
        for key in ("filter.evil.clean", "filter.evil.process", "core.fsmonitor"):
            git(repository, "config", key, str(program))
        (repository / "more/file").write_text("2")
        saved(repository)
        assert run_saved(repository) == 0
        assert not (repository / "ran").exists()
        assert len(executed) == 1

    def test_too_many_changes(self, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (repository / "more/large").write_bytes(b"0" * 2048)
        monkeypatch.setattr(input_states, "_LARGEST_CHANGES", 1024)
        with pytest.raises(MpbakeError, match=r"the changes since the commit are too large to save: .*/more/large"):
            saved(repository)

    def test_odd_files(self, repository: Path, executed: list[Any]) -> None:
        (repository / "more/loop").symlink_to("loop")
        (repository / "more/-f\n\udcff").write_text("x")
        os.mkfifo(repository / "more/pipe")
        os.mkfifo(repository / "web/pipe")
        saved(repository)
        assert run_saved(repository) == 0
        assert len(executed) == 1

    def test_git_that_cannot_answer(self, repository: Path) -> None:
        env = environment() | {"PATH": ""}
        with pytest.raises(MpbakeError, match="git is not on the PATH"):
            saved(repository, env)
        assert not (repository / "plan.json").exists()
