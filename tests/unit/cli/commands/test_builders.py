"""The command `mpbake builders`: its options, its output and its actions for builders in several states."""

from __future__ import annotations

import contextlib
import io
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import mpbake.cli.commands.builders
from mpbake.base.errors import LockHeld, MpbakeError, PlanError, Unreachable, UsageError
from mpbake.buildkit.builders.survey import BuilderState
from mpbake.buildkit.nodes.records import MadeNode, Record, record_of
from mpbake.cli.commands import builders as command
from mpbake.cli.named_builders import named_builders
from mpbake.cli.options import BuildersOptions
from mpbake.model.node_state import Action, Change, NodeRow, ResourceKind
from mpbake.model.plan import Builder, Driver, Node
from mpbake.report.plan.builder_text import DEFAULT_BUILDER_TEXT
from mpbake.run.executor import StopRequest
from mpbake.run.state.directory import open_state
from tests.unit.cli.test_app import Called, plain_environment, typed
from tests.unit.dockers import FakeDocker, done
from tests.unit.plans import resolve_text, text
from tests.unit.worlds import call, options_for, world, written

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mpbake.base.platforms import Platform
    from mpbake.cli.world import World

__all__ = ["plain_environment"]


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("builders", {"action": "list"}),
        ("builders -f a.toml --var x=1", {"action": "list", "files": ("a.toml",), "variables": ("x=1",)}),
        ("builders up", {"action": "up"}),
        ("builders up ci release", {"action": "up", "names": ("ci", "release")}),
        ("builders up --adopt ci", {"action": "up", "names": ("ci",), "adopt": True}),
        ("builders -f a.toml up", {"action": "up", "files": ("a.toml",)}),
        ("builders up -f a.toml", {"action": "up", "files": ("a.toml",)}),
        ("builders -f a.toml up -f b.toml", {"action": "up", "files": ("b.toml",)}),
        ("builders plan --detailed-exitcode", {"action": "plan", "detailed_exitcode": True}),
        ("builders stop ci", {"action": "stop", "names": ("ci",)}),
        ("builders rm --keep-state", {"action": "rm", "keep_state": True}),
        ("builders rm ci --forget", {"action": "rm", "names": ("ci",), "forget": True}),
        ("builders prune", {"action": "prune"}),
        ("builders prune --forget", {"action": "prune", "forget": True}),
    ],
)
def test_options(monkeypatch: pytest.MonkeyPatch, words: str, options: dict[str, Any]) -> None:
    called = Called()
    monkeypatch.setattr(mpbake.cli.commands.builders, "main", called.main)
    assert typed(monkeypatch, *words.split()) == 7
    assert called.options == options_for("builders", **options)


def test_a_command_line_wins_over_the_environment_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    called = Called()
    monkeypatch.setattr(mpbake.cli.commands.builders, "main", called.main)
    monkeypatch.setenv("MPBAKE_FILE", "env.toml")
    for words, file in (("builders up", "env"), ("builders -f a.toml up", "a"), ("builders up -f a.toml", "a")):
        assert typed(monkeypatch, *words.split()) == 7
        assert called.options.source.files == (f"{file}.toml",)


NODE = Node(builder="ci", name="local", driver=Driver.DOCKER_CONTAINER)
CI = Builder(name="ci", driver=Driver.DOCKER_CONTAINER, nodes=(NODE,))
START = Change(action=Action.START, kind=ResourceKind.CONTAINER, name="c", reason="it is exited", node=NODE)


def shown(folder: Path, state: BuilderState, **options: Any) -> tuple[int, str, str]:
    """Return the exit code and the output of `builders plan` for a builder in this state."""
    here = world(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "survey_builder", lambda *_, adopt: state if adopt else pytest.fail("not for adoption"))
        code = command._act(_Pretended(), resolve_text(""), (CI,), BuildersOptions(action="plan", **options), here)  # type: ignore[arg-type]
    return code, written(here.stdout), written(here.stderr)


@dataclass
class _Services:
    """Services that only report the version of buildx."""

    docker: FakeDocker


class _Pretended:
    """A workspace whose methods are never called."""

    services = plan = bring_up = stop = remove = None
    platforms: Mapping[str, Sequence[Platform]] = MappingProxyType({})


def test_the_plan_of_builders(tmp_path: Path) -> None:
    nothing = BuilderState(builder=CI, nodes=())
    assert shown(tmp_path, nothing, detailed_exitcode=True) == (
        0,
        "ci (docker-container)\n  as declared\nnothing to do\n",
        "",
    )
    something = BuilderState(builder=CI, nodes=(), changes=(START,), warnings=("tls.cert expires",))
    assert shown(tmp_path, something) == (
        0,
        "ci (docker-container)\n  > start container c: it is exited\n1 to start\n",
        "warning: tls.cert expires\n",
    )
    assert shown(tmp_path, something, detailed_exitcode=True)[0] == 2


def test_an_adoption_is_listed_and_is_no_change(tmp_path: Path) -> None:
    adopt = Change(action=Action.ADOPT, kind=ResourceKind.ENTRY, name="ci", reason="made by hand")
    state = BuilderState(builder=CI, nodes=(), changes=(adopt,))
    assert shown(tmp_path, state, detailed_exitcode=True) == (
        0,
        text("""
            ci (docker-container)
              = adopt builder ci: made by hand
            1 to adopt; to adopt, run: mpbake builders up --adopt
            """)
        + "\n",
        "",
    )
    assert shown(tmp_path, replace(state, changes=(adopt, START)), detailed_exitcode=True)[0] == 2


def test_what_is_not_known_is_not_called_as_declared(tmp_path: Path) -> None:
    gone = BuilderState(builder=CI, nodes=(), unclear=("node ci/local",), errors=(Unreachable("gone"),))
    unknown = "  ? node ci/local: its actual state is not known\n"
    assert shown(tmp_path, gone)[1] == f"ci (docker-container)\n{unknown}1 not known\n"
    some = replace(gone, changes=(START,))
    assert shown(tmp_path, some)[1] == (
        f"ci (docker-container)\n  > start container c: it is exited\n{unknown}1 to start, 1 not known\n"
    )


@pytest.mark.parametrize(
    ("errors", "code"),
    [
        ([Unreachable("gone", hint="start it")], 5),
        ([Unreachable("gone"), UsageError("foreign")], 3),
        ([LockHeld("busy")], 4),
        ([LockHeld("busy"), Unreachable("gone")], 5),
        ([MpbakeError("odd")], 1),
    ],
)
def test_trouble(tmp_path: Path, errors: list[MpbakeError], code: int) -> None:
    result = shown(
        tmp_path, BuilderState(builder=CI, nodes=(), changes=(START,), errors=tuple(errors)), detailed_exitcode=True
    )
    assert result[0] == code, "errors count more than changes"
    assert result[2] == "".join(f"error: {error}\n" for error in errors)


def test_each_of_several_faults_is_an_error(tmp_path: Path) -> None:
    faults = [
        UsageError("no CA", hint="make it"),
        UsageError("no cert", hint="issue"),
        UsageError("no key", hint="issue"),
    ]
    error = UsageError.joined(faults)
    result = shown(tmp_path, BuilderState(builder=CI, nodes=(), errors=(error,)))
    assert result[0] == 3
    assert result[2] == "error: no CA\n  = make it\nerror: no cert\nerror: no key\n  = issue\n"
    assert str(error) == "no CA\n  = make it\nno cert\nno key\n  = issue"


@pytest.mark.parametrize("action", ["up", "stop", "rm"])
def test_without_builders_of_ones_own_there_is_nothing_to_do(tmp_path: Path, action: str) -> None:
    here, plan = world(tmp_path), resolve_text("[builders.theirs]\nexternal = true")
    chosen = named_builders(plan, ())
    assert command._act(_Pretended(), plan, chosen, BuildersOptions(action=action), here) == 0  # type: ignore[arg-type]
    assert (written(here.stdout), written(here.stderr)) == ("nothing to do\n", "")


PLAN = """
    [builders.ci]
    [builders.theirs]
    external = true
    [targets.web]
    """


def test_which_builders() -> None:
    plan = resolve_text(PLAN)
    assert [builder.name for builder in named_builders(plan, ())] == ["ci", "theirs"]
    assert [builder.name for builder in named_builders(plan, ("theirs",))] == ["theirs"]
    assert [builder.name for builder in named_builders(plan, ("ci", "ci"))] == ["ci"]
    assert [builder.name for builder in command._own(named_builders(plan, ()), BuildersOptions(action="rm"))] == ["ci"]


@pytest.mark.parametrize(
    ("choose", "message"),
    [
        (
            lambda plan: named_builders(plan, ("theirz",)),
            'no builder "theirz" is declared\n  = did you mean "theirs"?',
        ),
        (
            lambda plan: named_builders(plan, ("default",)),
            f'no builder "default" is declared\n  = {DEFAULT_BUILDER_TEXT}',
        ),
        (
            lambda plan: command._own(
                named_builders(plan, ("theirs",)), BuildersOptions(action="rm", names=("theirs",))
            ),
            'builder "theirs" is external, and mpbake never changes it\n  = change it with docker buildx',
        ),
    ],
)
def test_builders_that_cannot_be_meant(choose: Callable[[Any], object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose(resolve_text(PLAN))
    assert str(caught.value) == text(message)


def test_what_is_to_be_pruned() -> None:
    made = MadeNode(name="old", driver="docker-container", engine="")
    record = Record(builder="ci", plan="/plan/build.toml", nodes=(made,))
    builders = resolve_text(PLAN).builders
    assert command._is_stale(record, None)
    assert command._is_stale(record, builders["ci"])
    assert not command._is_stale(record, builders["theirs"]), "mpbake never changes an external builder"
    assert not command._is_stale(record_of(builders["ci"], Path("/plan/build.toml"), None), builders["ci"])


@pytest.mark.parametrize(
    ("action", "asked"), [("plan", True), ("up", True), ("list", False), ("stop", False), ("rm", False)]
)
def test_what_makes_builders_first_asks_what_buildx_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str, *, asked: bool
) -> None:
    (tmp_path / "build.toml").write_text("version = 1\n[builders.old]\n[builders.new]\ndefault-load = true\n")
    docker = FakeDocker({"buildx version": done("github.com/docker/buildx v0.13.1 abc\n")})
    monkeypatch.setattr(
        command, "_open_workspace", lambda *_: contextlib.nullcontext(SimpleNamespace(services=_Services(docker)))
    )
    monkeypatch.setattr(command, "_act", lambda *_: 0)
    if asked:
        with pytest.raises(PlanError) as caught:
            call(command.main, world(tmp_path), action=action)
        assert (
            "build.toml:4:16: builders.new.default-load: new: default-load of the docker-container driver needs buildx"
            in str(caught.value)
        )
    else:
        assert call(command.main, world(tmp_path), action=action) == 0
    assert docker.commands == (["buildx version"] if asked else [])
    assert call(command.main, world(tmp_path), action=action, names=("old",)) == 0, "only the named builder counts"


def test_a_plan_without_builders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "build.toml").write_text("version = 1\n[targets.web]\n")
    monkeypatch.setattr(command, "_open_workspace", lambda *_: contextlib.nullcontext(_Pretended()))
    here = world(tmp_path)
    assert call(command.main, here, action="list") == 0
    assert written(here.stdout) == (f"no builder is declared; {DEFAULT_BUILDER_TEXT}\n")


class Hesitant(io.StringIO):
    """A stream that lets other threads run after each character."""

    def write(self, text: str) -> int:
        for character in text:
            super().write(character)
            time.sleep(0.001)
        return len(text)


def hesitant_world(folder: Path) -> World:
    """Return a world with such streams."""
    return replace(world(folder, {"HOME": str(folder)}), stdout=Hesitant(), stderr=Hesitant())


NAMES = ("amd", "arm", "riscv")


def test_lines_of_several_threads_stay_whole(tmp_path: Path) -> None:
    here = hesitant_world(tmp_path)
    with command._open_workspace(resolve_text(""), here, StopRequest()) as site, ThreadPoolExecutor() as workers:
        list(workers.map(lambda name: site.say(f"{name}: stopped"), NAMES))
    assert sorted(written(here.stderr).splitlines()) == [f"{name}: stopped" for name in NAMES]


def test_changes_of_several_builders_stay_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def bring_up(_: object, builder: Builder, tell: Callable[[BuilderState], None], *, adopt: bool) -> BuilderState:
        assert not adopt
        state = BuilderState(builder=builder, nodes=())
        tell(state)
        return state

    monkeypatch.setattr(command, "reconcile", bring_up)
    here = hesitant_world(tmp_path)
    chosen = tuple(replace(CI, name=name) for name in NAMES)
    assert command._act(_Pretended(), resolve_text(""), chosen, BuildersOptions(action="up"), here) == 0  # type: ignore[arg-type]
    for name in NAMES:
        assert f"{name} (docker-container)\n  as declared\n" in written(here.stdout)


@pytest.mark.parametrize("action", ["stop", "rm", "prune"])
def test_nothing_is_taken_away_from_a_run(action: str, tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text("version = 1\n[builders.ci]\n")
    this = world(tmp_path)
    with open_state(tmp_path, this.now()), pytest.raises(LockHeld):
        call(command.main, this, action=action)


def test_the_list_prints_warnings_below_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "build.toml").write_text("version = 1\n[builders.a]\n[builders.b]\n[targets.web]\n")

    def listed(_: Any, builder: Builder, *__: Any) -> list[NodeRow]:
        warnings = (f"{builder.name}/local: a certificate expires", "shared")
        return [NodeRow(node=builder.nodes[0], status="running", warnings=warnings)]

    monkeypatch.setattr(command, "inventory", listed)
    here = world(tmp_path)
    assert call(command.main, here, action="list") == 0
    assert written(here.stderr) == (
        "warning: a/local: a certificate expires\nwarning: shared\nwarning: b/local: a certificate expires\n"
    )
    assert "expires" not in written(here.stdout)
