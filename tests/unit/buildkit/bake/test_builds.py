"""Bake calls on simulated nodes."""

from __future__ import annotations

import contextlib
import errno
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from mpbake.base.errors import BatchFailed, BuildFailed, MpbakeError, NodeLost, Unreachable, UsageError
from mpbake.buildkit.bake.bake_call import Bake
from mpbake.buildkit.bake.builds import PieceBuilder
from mpbake.buildkit.bake.images.engine_images import EngineImages
from mpbake.buildkit.bake.images.image_forms import ImageForms
from mpbake.buildkit.nodes.ready_nodes import ReadyNodes
from mpbake.buildkit.process.completed import Completed
from mpbake.buildkit.registry.authorization import Authorization
from mpbake.buildkit.registry.credentials import Credentials
from mpbake.buildkit.registry.transport import NoResponse, Response
from mpbake.model.steps import BuildPiece, CheckPiece, Outcome, StepResult, StepStatus, Verify
from mpbake.run.events import StepOutput, StepProgressed, Warned
from mpbake.run.state.directory import State
from tests.unit.dockers import FakeDocker, context_in_use, done, failed
from tests.unit.graphs import graph_of_text, piece_of
from tests.unit.rawjson import log, raw, vertex
from tests.unit.registries import MemoryRegistries, MemoryRegistry, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mpbake.buildkit.registry.client import RegistryClient
    from mpbake.buildkit.registry.transport import Request
    from mpbake.model.plan import Builder, Node
    from mpbake.model.steps import Step
    from mpbake.run.events import Event

PLAN = """
    [targets._t]
    builder = "x"
    platforms = ["linux/amd64"]
    [targets.web]
    inherits = ["_t"]
    tags = ["r/web:1"]
    push = true
    attest = ["type=provenance,disabled=true"]
    [targets.api]
    inherits = ["_t"]
    timeout = "1m"
    stall-timeout = "10s"
    [targets.tool]
    inherits = ["_t"]
    [builders.x]
    driver = "docker"
    """


class Baking(FakeDocker):
    """A docker whose bake writes `stderr` to standard error and returns `result`."""

    def __init__(self, stderr: bytes = b"", result: Completed | None = None, *, alive: bool = True) -> None:
        inspected = done("Platforms: linux/amd64\n")
        store = [["driver-type", "io.containerd.snapshotter.v1"]]
        engine = done(json.dumps({"OSType": "linux", "Architecture": "x86_64", "DriverStatus": store}))
        super().__init__({"context inspect": context_in_use("x"), "buildx inspect": inspected, "system info": engine})
        self.stderr = stderr
        self.result = result or done()
        self.alive = alive
        self.calls: list[dict[str, Any]] = []

    def run(self, arguments: Sequence[str], **settings: Any) -> Completed:
        if "bake" not in arguments:
            return super().run(arguments, **settings)
        kept = "--metadata-file" in arguments
        targets = list(arguments[arguments.index("-") + (3 if kept else 1) :])
        self.calls.append({"targets": targets, **settings})
        settings["on_stderr"](self.stderr)
        if not self.alive:
            self.answers["buildx inspect"] = failed("gone")
        if kept and not self.result.returncode:
            digests = {
                name: {"containerimage.digest": "sha256:0", "containerimage.descriptor": {"digest": f"sha256:{name}"}}
                for name in targets
            }
            Path(arguments[arguments.index("--metadata-file") + 1]).write_text(json.dumps(digests))
        return self.result


class Recorder:
    """A reporter that records the output and the activities of pieces, by target name."""

    def __init__(self) -> None:
        self.output: dict[str, str] = {}
        self.warnings: list[str] = []
        self.activities: list[str] = []

    def handle(self, event: Event) -> None:
        match event:
            case StepOutput():
                self.output[name_of(event.step)] = event.text
            case StepProgressed():
                self.activities.append(name_of(event.step))
            case Warned():
                self.warnings.append(event.message)
            case _:
                pytest.fail(f"unexpected event: {event}")


def name_of(step: Step) -> str:
    assert isinstance(step, BuildPiece)
    return step.target.name


RACE = b"""ERROR: failed to solve: failed to commit rykp55 to jrql9l during finalize: failed to stat active key during \
commit: snapshot rykp55 does not exist: not found
"""


def pieces_of(*names: str, plan: str = PLAN) -> list[BuildPiece]:
    result = [step for step in graph_of_text(plan).steps if isinstance(step, BuildPiece)]
    return [piece for name in names for piece in result if piece.target.name == name]


def builds_of(folder: Path, docker: Baking, registry: MemoryRegistry | None = None) -> PieceBuilder:
    for name in ("nodes", "run", "scratch"):
        (folder / name).mkdir(exist_ok=True)
    docker.scratch = folder / "scratch"
    return PieceBuilder(
        bake=Bake(docker=docker, root=folder, buildx=(0, 13)),
        forms=ImageForms(nodes=ReadyNodes(docker, folder / "nodes", {"HOME": str(folder)}, folder / "build.toml")),
        registries=MemoryRegistries(registry or MemoryRegistry()),
        images=EngineImages(docker, folder),
        state=State(nodes=folder / "nodes", run=folder / "run"),
        repeat=lambda what: f"again {what.target.name}" if isinstance(what, BuildPiece) else f"all of {what.name}",
    )


def built(folder: Path, docker: Baking, pieces: list[BuildPiece], reporter: Recorder | None = None) -> dict[str, Any]:
    """Return the results of pieces, by target name."""
    results = builds_of(folder, docker).build(pieces, {}, reporter or Recorder())
    assert set(results) == set(pieces)
    return {name_of(step): end for step, end in results.items()}


def test_one_piece(tmp_path: Path) -> None:
    docker, reporter = Baking(raw(vertex(1, "[1/2] RUN make", "1"), log(1, "cc\n"))), Recorder()
    (web,) = pieces_of("web")
    result = built(tmp_path, docker, [web], reporter)["web"]
    assert isinstance(result, Outcome)
    assert (result.digest, result.node, result.uploaded) == ("sha256:web", "x/local", "r/web@sha256:web")
    assert reporter.output == {"web": "=> [1/2] RUN make\n  cc"}
    assert reporter.activities == ["web"]
    (call,) = docker.calls
    assert call["targets"] == ["web"]
    assert list(json.loads(call["given"])["target"]) == ["web"]
    assert (call["timeout"], call["watch"].seconds) == (None, 150.0)


@pytest.mark.parametrize("may_start", [True, False])
def test_buildx_starts_git_only_where_it_may(tmp_path: Path, *, may_start: bool) -> None:
    docker = Baking()
    builds = builds_of(tmp_path, docker)
    builds = replace(builds, bake=replace(builds.bake, may_start_git=lambda _: may_start))
    builds.build(pieces_of("web"), {}, Recorder())
    assert docker.calls[0]["environment"].get("BUILDX_GIT_INFO") == (None if may_start else "false")


COLLISION = b"""ERROR: failed to solve: image "moby-dangling@sha256:a0": already exists
"""


class Racing(Baking):
    """A docker whose first `times` bake calls collide with another build."""

    def __init__(self, times: int, complaint: bytes) -> None:
        super().__init__()
        self.times = times
        self.complaint = complaint

    def run(self, arguments: Sequence[str], **settings: Any) -> Completed:
        stumbles = "bake" in arguments and len(self.calls) < self.times
        self.stderr, self.result = (self.complaint, failed("")) if stumbles else (b"", done())
        return super().run(arguments, **settings)


@pytest.mark.parametrize(("times", "calls", "kind"), [(0, 1, Outcome), (1, 2, Outcome), (2, 2, BuildFailed)])
def test_where_a_result_is_lost_it_is_built_again_without_the_cache(
    times: int, calls: int, kind: type, tmp_path: Path
) -> None:
    docker, reporter = Racing(times, RACE), Recorder()
    assert isinstance(built(tmp_path, docker, pieces_of("web"), reporter)["web"], kind)
    warnings = ["web: BuildKit lost the result of another build: mpbake builds again without the cache"]
    assert reporter.warnings == warnings[: calls - 1]
    assert [json.loads(call["given"])["target"]["web"].get("no-cache") for call in docker.calls] == [None, True][:calls]


@pytest.mark.parametrize(("times", "kind"), [(1, Outcome), (2, BuildFailed)])
def test_what_an_engine_took_from_another_build_at_that_moment_it_is_given_again(
    times: int, kind: type, tmp_path: Path
) -> None:
    docker, reporter = Racing(times, COLLISION), Recorder()
    assert isinstance(built(tmp_path, docker, pieces_of("web"), reporter)["web"], kind)
    assert reporter.warnings == ["web: another build stored the same image at that moment: mpbake builds again"]
    first, second = docker.calls
    assert first["given"] == second["given"]


def test_a_second_call_has_what_the_first_has_left_of_the_time(tmp_path: Path) -> None:
    docker = Racing(1, COLLISION)
    built(tmp_path, docker, pieces_of("api"))
    first, second = (call["timeout"] for call in docker.calls)
    assert 1 <= second < first == 60


def test_what_only_comes_out_of_the_cache_is_never_built_anew(tmp_path: Path) -> None:
    plan = PLAN.replace("push = true", "push = true\n    checks = [{ run = ['true'] }]")
    check = next(step for step in graph_of_text(plan).steps if isinstance(step, CheckPiece))
    for complaint, calls in ((RACE, 1), (COLLISION, 2)):
        docker = Racing(1, complaint)
        with pytest.raises(BuildFailed) if calls == 1 else contextlib.nullcontext():
            builds_of(tmp_path, docker).check(check, Outcome(), Recorder())
        assert len(docker.calls) == calls
        assert len({call["given"] for call in docker.calls}) == 1


def test_a_log_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    class Full(Baking):
        def run(self, arguments: Sequence[str], **settings: Any) -> Completed:
            result = super().run(arguments, **settings)
            if "bake" in arguments:
                raise OSError(errno.ENOSPC, "No space left on device")
            return result

    with pytest.raises(MpbakeError, match="No space left on device"):
        built(tmp_path, Full(), pieces_of("web"))


def test_what_buildx_says_of_a_build_need_not_be_kept(tmp_path: Path) -> None:
    docker, reporter, (web,) = Baking(), Recorder(), pieces_of("web")
    (builds_of(tmp_path, docker).state.log(web.key).with_suffix(".json")).mkdir(parents=True)
    assert isinstance(built(tmp_path, docker, [web], reporter)["web"], Outcome)
    (warning,) = reporter.warnings
    assert warning.endswith(".json: Is a directory")


def test_deadlines_are_those_of_the_target(tmp_path: Path) -> None:
    docker = Baking()
    built(tmp_path, docker, pieces_of("api"))
    assert (docker.calls[0]["timeout"], docker.calls[0]["watch"].seconds) == (60.0, 5.0)
    docker = Baking()
    built(tmp_path, docker, pieces_of("api", plan=PLAN.replace('"10s"', '"0s"')))
    assert docker.calls[0]["watch"] is None


def test_several_pieces_in_one_call(tmp_path: Path) -> None:
    output = raw(vertex(1, "[web 1/2] RUN a", "1"), vertex(2, "[tool 1/2] RUN b", "1"), log(2, "b\n"), log(1, "a\n"))
    docker, reporter = Baking(output), Recorder()
    result = built(tmp_path, docker, pieces_of("web", "tool"), reporter)
    assert {name: end.digest for name, end in result.items()} == {"web": "sha256:web", "tool": "sha256:tool"}
    assert docker.calls[0]["targets"] == ["web", "tool"]
    assert reporter.output == {"web": "=> [web 1/2] RUN a\n  a", "tool": "=> [tool 1/2] RUN b\n  b"}
    assert len({end.log for end in result.values()}) == 1


COMPLAINT = b'ERROR: failed to solve: process "/bin/sh -c make" did not complete successfully: exit code: 2\n'


def test_only_the_target_at_fault_has_failed(tmp_path: Path) -> None:
    output = raw(vertex(1, "[tool 1/2] RUN make", "1", error="exit code: 2")) + COMPLAINT
    result = built(tmp_path, Baking(output, failed("")), pieces_of("web", "tool", "api"))
    assert {name: type(end) for name, end in result.items()} == {
        "web": BatchFailed,
        "tool": BuildFailed,
        "api": BatchFailed,
    }
    assert "exit code: 2" in result["tool"].message
    assert result["tool"].hint == "repeat with: again tool"
    assert result["web"].message == "another target of the same batch failed: tool"


def test_where_nobody_is_plainly_at_fault_each_is_built_by_itself(tmp_path: Path) -> None:
    result = built(tmp_path, Baking(COMPLAINT, failed("")), pieces_of("web", "tool"))
    assert {type(end) for end in result.values()} == {BatchFailed}
    late = Completed(returncode=1, stdout="", stderr="", timed_out=True)
    result = built(tmp_path, Baking(COMPLAINT, late), pieces_of("web", "tool"))
    assert {type(end) for end in result.values()} == {BatchFailed}


def test_a_timeout(tmp_path: Path) -> None:
    late = Completed(returncode=1, stdout="", stderr="", timed_out=True)
    result = built(tmp_path, Baking(b"", late), pieces_of("api"))["api"]
    assert isinstance(result, BuildFailed)
    assert result.message.startswith("took longer than its timeout of 1m00s\n")
    assert result.hint == "raise timeout if that is too short; repeat with: again api"


LATE = Completed(returncode=1, stdout="", stderr="", timed_out=True)
STALLED = Completed(returncode=1, stdout="", stderr="", stalled=True)
WORKING = raw(vertex(1, "[1/2] RUN make", "1"))
GONE = b"ERROR: rpc error: code = Unavailable desc = EOF\n"


@pytest.mark.parametrize(
    ("docker", "line"),
    [
        (Baking(WORKING, LATE), "took longer than its timeout of 1m00s"),
        (Baking(WORKING, STALLED), "node x/local was lost: no progress"),
        (Baking(WORKING + GONE, failed("")), "node x/local was lost: rpc"),
        (
            Baking(WORKING + b"ERROR: context canceled\n", failed(""), alive=False),
            "node x/local was lost: it no longer answers",
        ),
    ],
)
def test_a_build_that_was_stopped_says_nothing_of_tags(docker: Baking, line: str, tmp_path: Path) -> None:
    plan = PLAN.replace("push = true", 'push = true\n    timeout = "1m"')
    try:
        message = built(tmp_path, docker, pieces_of("web", plan=plan))["web"].message
    except NodeLost as lost:
        message = lost.message
    assert message.startswith(line)
    assert "moved" not in message


class Replaced(ReadyNodes):
    """A node that answers, but with another BuildKit than at the start of the build."""

    def daemons(self, node: Node) -> frozenset[str]:
        return frozenset({f"{node.id} 1"})

    def serves(self, node: Node, daemons: frozenset[str]) -> bool:
        assert daemons == {f"{node.id} 1"}
        return False


class Silent(Baking):
    """A docker whose bake is silent until its watch ends it."""

    def run(self, arguments: Sequence[str], **settings: Any) -> Completed:
        completed = super().run(arguments, **settings)
        if "bake" not in arguments or settings["watch"].alive():
            return completed
        return STALLED


@pytest.mark.parametrize("names", [("web",), ("web", "tool")])
def test_a_build_whose_buildkit_was_replaced_is_lost(names: tuple[str, ...], tmp_path: Path) -> None:
    builds = builds_of(tmp_path, docker := Silent(WORKING))
    nodes = Replaced(docker, tmp_path / "nodes", {"HOME": str(tmp_path)}, tmp_path / "build.toml")
    builds = replace(builds, forms=ImageForms(nodes=nodes))
    with pytest.raises(NodeLost) as caught:
        builds.build(pieces_of(*names), {}, Recorder())
    reason = "its BuildKit was replaced, or lost the connection to this build"
    assert caught.value.message.startswith(f"node x/local was lost: {reason}\nlog: ")


def test_a_silent_build_whose_buildkit_works_continues(tmp_path: Path) -> None:
    assert isinstance(built(tmp_path, Silent(WORKING), pieces_of("web"))["web"], Outcome)


REFUSED = b'ERROR: failed to solve: failed to push r/web:1: failed to do request: Head "https://r/v2": no such host\n'


def test_a_push_is_done_again_by_a_run_of_the_whole_target(tmp_path: Path) -> None:
    result = built(tmp_path, Baking(REFUSED, failed("")), pieces_of("web"))["web"]
    assert isinstance(result, Unreachable)
    assert result.hint.endswith("; repeat with: all of web")
    assert result.message.endswith("\nno tag has moved")


class Registering(Racing):
    """A docker whose first bake calls cannot push."""

    def __init__(self, times: int) -> None:
        super().__init__(times, b"ERROR: failed to solve: failed to push r/web:mpbake-upload: unknown: \n")


@pytest.mark.parametrize(
    ("answer", "calls", "line"),
    [
        (None, 3, ""),
        (503, 3, "push to r/web: docker.io answers 503 Service Unavailable: DENIED told to fail"),
        (429, 3, "push to r/web: docker.io answers 429 Too Many Requests: DENIED told to fail"),
        (403, 1, "push to r/web: docker.io answers 403 Forbidden: DENIED told to fail"),
        (401, 1, "push to r/web: docker.io answers 401 Unauthorized: DENIED told to fail"),
        (NoResponse("connection refused", sent=False), 1, ""),
    ],
)
def test_a_push_that_failed_is_tried_again_unless_the_registry_refuses(
    answer: int | NoResponse | None, calls: int, line: str, tmp_path: Path
) -> None:
    """The message of BuildKit contains no HTTP status."""

    def asked(_: Request, __: int) -> Response | None:
        if isinstance(answer, NoResponse):
            raise answer
        return refusal(answer) if answer else None

    docker, reporter = Registering(9), Recorder()
    (web,) = pieces_of("web")
    error = builds_of(tmp_path, docker, MemoryRegistry(asked)).build([web], {}, reporter)[web]
    assert isinstance(error, MpbakeError)
    assert (len(docker.calls), line in error.message) == (calls, True)
    assert ("check docker login" in error.hint) == (answer in {401, 403})
    assert reporter.warnings == ["web: the push failed: mpbake retries it"] * (calls - 1)
    docker = Registering(2)
    if calls == 3:
        assert isinstance(builds_of(tmp_path, docker, MemoryRegistry(asked)).build([web], {}, reporter)[web], Outcome)


class BrokenHelper(Credentials):
    """A credential helper that fails."""

    def __init__(self) -> None:
        super().__init__({}, lambda *_: failed("no helper"))

    def login(self, *_: object) -> NoReturn:
        """Always fail."""
        raise BuildFailed("docker-credential-x get r: no keyring", hint="run `docker login`")


class Logins(MemoryRegistries):
    """Registries in memory, with a broken credential helper."""

    def client(self, builder: Builder) -> RegistryClient:
        """Return a client that cannot log in."""
        client = super().client(builder)
        return replace(client, authorization=Authorization(client.transport, BrokenHelper()))


@pytest.mark.parametrize("names", [("web",), ("web", "api")])
def test_a_login_that_cannot_be_read_hides_no_error_of_a_push(names: tuple[str, ...], tmp_path: Path) -> None:
    """Only the registry of r/web asks for a login."""
    plan = PLAN.replace("[targets.api]", "[targets.api]\n    tags = ['r/api:1']\n    push = true")
    challenge = Response(status=401, headers={"www-authenticate": 'Basic realm="r"'})
    registry = MemoryRegistry(lambda request, _: challenge if "/r/web/" in request.url else None)
    docker, pieces = Registering(9), pieces_of(*names, plan=plan)
    builds = replace(builds_of(tmp_path, docker), registries=Logins(registry))
    results = builds.build(pieces, {}, Recorder())
    assert len(docker.calls) == 1, "it is not retried"
    if len(names) > 1:
        assert {type(end) for end in results.values()} == {BatchFailed}
        return
    error = results[pieces[0]]
    assert isinstance(error, BuildFailed)
    first, *_, last = error.message.splitlines()
    assert "failed to push r/web" in first
    assert last == "push to r/web: docker-credential-x get r: no keyring"
    assert error.hint.startswith("run `docker login`; ")


def test_a_command_that_prints_of_pushing_pushes_nothing(tmp_path: Path) -> None:
    output = raw(vertex(1, "[1/2] RUN echo pushing manifest", "1", error="exit code: 2")) + COMPLAINT
    result = built(tmp_path, Baking(output, failed("")), pieces_of("web"))["web"]
    assert result.hint == "repeat with: again web"


@pytest.mark.parametrize("names", [("api",), ("api", "tool")])
@pytest.mark.parametrize(
    ("docker", "message"),
    [
        (
            lambda: Baking(b"", Completed(returncode=1, stdout="", stderr="", stalled=True)),
            "node x/local was lost: no progress and no answer within 10.0s",
        ),
        (
            lambda: Baking(b"ERROR: context canceled\n", failed(""), alive=False),
            "node x/local was lost: it no longer answers: context canceled",
        ),
        (
            lambda: Baking(b"ERROR: rpc error: code = Unavailable desc = EOF\n", failed("")),
            "node x/local was lost: rpc error: code = Unavailable desc = EOF",
        ),
    ],
)
def test_a_node_that_goes_away(
    names: tuple[str, ...], docker: Callable[[], Baking], message: str, tmp_path: Path
) -> None:
    with pytest.raises(NodeLost, match=f"^{re.escape(message)}"):
        built(tmp_path, docker(), pieces_of(*names))


def test_a_node_that_goes_away_is_told_of_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NodeLost) as result:
        built(tmp_path, Baking(GONE, failed("")), pieces_of("api"))
    assert result.value.hint == ("check that the node is up and reachable from this machine; repeat with: again api")


def test_what_has_failed_by_itself_has_failed_whatever_became_of_its_node(tmp_path: Path) -> None:
    result = built(tmp_path, Baking(COMPLAINT, failed(""), alive=False), pieces_of("api"))["api"]
    assert type(result) is BuildFailed


def test_a_strange_failure_on_a_node_that_answers(tmp_path: Path) -> None:
    result = built(tmp_path, Baking(b"ERROR: context canceled\n", failed("")), pieces_of("api"))["api"]
    assert type(result) is BuildFailed


def test_what_is_emulated_against_a_declaration_is_built_where_that_is_not_forbidden(tmp_path: Path) -> None:
    plan = PLAN.replace('driver = "docker"', 'driver = "docker"\nnodes.local = { platforms = ["linux/arm64"] }')
    result = built(tmp_path, Baking(), pieces_of("tool", plan=plan.replace('["linux/amd64"]', '["linux/arm64"]')))
    assert isinstance(result["tool"], Outcome)


def test_links_are_taken_from_the_cache_where_they_were_built_on_this_node(tmp_path: Path) -> None:
    plan = (
        PLAN
        + """
    [targets.base]
    inherits = ["_t"]
    no-cache = true
    [targets.one]
    inherits = ["_t"]
    needs = ["web"]
    contexts = { base = "target:base" }
    """
    )
    graph = graph_of_text(plan)
    base, one = piece_of(graph, "base"), piece_of(graph, "one")
    verify = next(step for step in graph.before[one] if isinstance(step, Verify))
    elsewhere = replace(base, nodes=(replace(base.node, name="other"),))
    for before, fresh in ((base, None), (elsewhere, True)):
        docker = Baking()
        inputs: dict[Step, StepResult] = {
            step: StepResult(step=step, status=StepStatus.DONE) for step in (before, verify)
        }
        builds_of(tmp_path, docker).build([one], inputs, Recorder())
        assert json.loads(docker.calls[0]["given"])["target"]["base"].get("no-cache") is fresh


def test_what_would_be_emulated_where_that_is_forbidden_fails_alone(tmp_path: Path) -> None:
    plan = PLAN.replace(
        'driver = "docker"', 'driver = "docker"\nemulation = "forbid"\nnodes.local = { platforms = ["linux/arm64"] }'
    )
    docker = Baking()
    result = built(tmp_path, docker, pieces_of("tool", plan=plan.replace("linux/amd64", "linux/arm64")))["tool"]
    assert isinstance(result, UsageError)
    assert docker.calls == []


def test_a_link_that_two_pieces_mean_differently_is_built_apart(tmp_path: Path) -> None:
    plan = (
        PLAN
        + """
    [targets.base]
    builder = "x"
    no-cache = true
    [targets.one]
    inherits = ["_t"]
    contexts = { base = "target:base" }
    [targets.two]
    builder = "x"
    platforms = ["linux/386"]
    contexts = { base = "target:base" }
    """
    )
    docker = Baking()
    result = built(tmp_path, docker, pieces_of("one", "two", plan=plan))
    assert isinstance(result["one"], Outcome)
    assert isinstance(result["two"], BatchFailed)
    assert docker.calls[0]["targets"] == ["one"]


def test_a_link_that_two_pieces_mean_alike_is_built_in_their_one_call(tmp_path: Path) -> None:
    links = "\n".join(
        f'[targets.{name}]\ninherits = ["_t"]\ncontexts = {{ base = "target:base" }}' for name in ("one", "two")
    )
    docker = Baking()
    result = built(tmp_path, docker, pieces_of("one", "two", plan=f"{PLAN}\n[targets.base]\n{links}"))
    assert {type(end) for end in result.values()} == {Outcome}
    assert [call["targets"] for call in docker.calls] == [["one", "two"]]
    assert Path(result["one"].log).name.count("one") == 1, "each is named once"


class Said(Baking):
    """A docker whose buildx writes this metadata."""

    def __init__(self, metadata: str) -> None:
        super().__init__()
        self.answers["container inspect"] = failed("No such container")
        self.answers["buildx create"] = done()
        self.answers["buildx inspect"] = done("Platforms: linux/arm64, linux/amd64\n")
        self.metadata = metadata

    def run(self, arguments: Sequence[str], **settings: Any) -> Completed:
        result = super().run(arguments, **settings)
        if "--metadata-file" in arguments:
            Path(arguments[arguments.index("--metadata-file") + 1]).write_text(self.metadata)
        return result


OCI, DOCKER = "application/vnd.oci.image", "application/vnd.docker.distribution"


@pytest.mark.parametrize(("store", "uploaded"), [("io.containerd.snapshotter.v1", "r/web@sha256:1"), ("overlay2", "")])
def test_an_engine_with_the_containerd_store_pushes_what_it_builds(store: str, uploaded: str, tmp_path: Path) -> None:
    own = {"containerimage.digest": "sha256:1", "containerimage.descriptor": {"digest": "sha256:1"}}
    docker = Said(json.dumps({"web": own}))
    result = docker.answers["system info"]
    docker.answers["system info"] = replace(result, stdout=result.stdout.replace("io.containerd.snapshotter.v1", store))
    end = built(tmp_path, docker, pieces_of("web"))["web"]
    assert (end.digest, end.image_id, end.uploaded) == ("sha256:1", "sha256:1", uploaded)
    (output,) = json.loads(docker.calls[0]["given"])["target"]["web"]["output"]
    assert ("mpbake-upload" in output) == bool(uploaded)


@pytest.mark.parametrize("metadata", ["", "{}", '{"web": {"containerimage.digest": "sha256:id"}}'])
def test_where_no_digest_is_known_nothing_can_be_found_by_it(metadata: str, tmp_path: Path) -> None:
    plan = PLAN.replace('driver = "docker"', "").replace(
        "push = true", "push = true\n    checks = [{ run = ['true'] }]"
    )
    result = built(tmp_path, Said(metadata), pieces_of("web", plan=plan))["web"]
    assert (result.digest, result.uploaded) == ("", "")


def test_what_says_no_platforms_was_built_for_that_of_its_node(tmp_path: Path) -> None:
    result = built(tmp_path, Said("{}"), pieces_of("web", plan=PLAN.replace('platforms = ["linux/amd64"]', "")))["web"]
    assert [str(platform) for platform in result.platforms] == ["linux/arm64"]


def test_what_the_engines_image_store_cannot_do_is_told_before_it_is_tried(tmp_path: Path) -> None:
    docker = Baking()
    docker.answers["system info"] = done('{"OSType":"linux","Architecture":"x86_64"}')
    plan = PLAN.replace("[targets.web]", "[targets.web]\ncache-to = ['type=local,dest=c']")
    pieces = pieces_of("web", "tool", plan=plan)
    results = built(tmp_path, docker, pieces)
    assert isinstance(results["web"], UsageError)
    assert "the docker driver does not support cache-to type=local,dest=" in results["web"].message
    assert isinstance(results["tool"], Outcome), "what can be done is done"
    assert [call["targets"] for call in docker.calls] == [["tool"]]
    assert docker.commands[-1] == "system info --format {{json .}}"


# --- loads and checks -------------------------------------------------------------------------------------------------

LOADING = """
    [targets._t]
    builder = "x"
    platforms = ["linux/amd64", "linux/arm64"]
    stall-timeout = "10s"
    [targets.web]
    inherits = ["_t"]
    tags = ["r/web:1"]
    load = true
    checks = [{ run = ["true"] }]
    [targets.tool]
    inherits = ["_t"]
    [builders.x]
    """


class Store(Baking):
    """A container node beside an engine with the classic image store. A load into the engine returns `load`."""

    def __init__(self, load: Completed | None = None) -> None:
        super().__init__()
        self.answers |= {
            "container inspect": failed("No such container"),
            "buildx create": done(),
            "buildx inspect": done("Platforms: linux/amd64, linux/arm64\n"),
            "system info": done('{"OSType":"linux","Architecture":"x86_64"}'),
        }
        self.load = load or done()

    def run(self, arguments: Sequence[str], **settings: Any) -> Completed:
        if "bake" in arguments and "--metadata-file" not in arguments:
            self.result = self.load
        return super().run(arguments, **settings)


def test_pieces_whose_operations_begin_in_one_message_are_each_told_of(tmp_path: Path) -> None:
    begun = [vertex(number, f"[{name} 2/2] RUN x", "1") for number, name in enumerate(("web", "web", "api"), 1)]
    both = {"vertexes": [status for status in begun for status in status["vertexes"]]}
    reporter = Recorder()
    built(tmp_path, Baking(raw(both)), pieces_of("web", "api"), reporter)
    assert reporter.activities == ["web", "api"]


def test_pieces_that_share_a_call_are_loaded_each_in_its_own(tmp_path: Path) -> None:
    docker = Store()
    result = built(tmp_path, docker, pieces_of("web", "tool", plan=LOADING))
    assert {name: end.digest for name, end in result.items()} == {"web": "sha256:web", "tool": "sha256:tool"}
    assert [call["targets"] for call in docker.calls] == [["web", "tool"], ["web"]]
    shared, load = (json.loads(call["given"])["target"]["web"] for call in docker.calls)
    assert (shared["output"], load["output"], load["platforms"]) == (
        ["type=cacheonly"],
        ["type=docker"],
        ["linux/amd64"],
    )
    assert docker.calls[1]["watch"].seconds == 5.0


def test_what_cannot_be_loaded_fails_alone(tmp_path: Path) -> None:
    result = built(tmp_path, Store(failed("")), pieces_of("web", "tool", plan=LOADING))
    assert isinstance(result["web"], BuildFailed)
    assert isinstance(result["tool"], Outcome)


class Frozen(Store):
    """A docker whose engine stops answering. Then every bake call that loads an image into the engine stalls."""

    def run(self, arguments: Sequence[str], **settings: Any) -> Completed:
        result = super().run(arguments, **settings)
        if "bake" not in arguments:
            return result
        self.answers["system info"] = failed("", timed_out=True)
        return result if settings["watch"].alive() else STALLED


@pytest.mark.parametrize("platforms", ['"linux/amd64"', '"linux/amd64", "linux/arm64"'])
def test_an_engine_that_falls_silent_while_it_is_loaded_into_is_not_the_nodes_fault(
    platforms: str, tmp_path: Path
) -> None:
    docker = Frozen()
    plan = LOADING.replace('"linux/amd64", "linux/arm64"', platforms).replace('"10s"', '"0.1s"')
    result = built(tmp_path, docker, pieces_of("web", plan=plan))["web"]
    assert type(result) is Unreachable
    assert result.message.startswith("cannot be loaded: the Docker engine does not answer: no answer in time\nlog: ")
    assert result.hint.endswith("try: docker info; repeat with: again web")
    assert isinstance(built(tmp_path, Frozen(), pieces_of("tool", plan=plan))["tool"], Outcome), "it loads nothing"


def test_an_engine_is_asked_when_one_of_several_is_loaded_into_it(tmp_path: Path) -> None:
    plan = LOADING.replace(', "linux/arm64"', "").replace('"10s"', '"0.1s"')
    result = built(tmp_path, Frozen(), pieces_of("web", "tool", plan=plan))
    assert {type(end) for end in result.values()} == {BatchFailed}


def test_an_engine_is_not_asked_where_nothing_is_loaded_into_it(tmp_path: Path) -> None:
    """The engine is not asked for a check, or if the engine itself is the node that builds."""
    plan = LOADING.replace('"10s"', '"0.1s"')
    check = next(step for step in graph_of_text(plan).steps if isinstance(step, CheckPiece))
    assert isinstance(builds_of(tmp_path, Frozen()).check(check, Outcome(), Recorder()), Outcome)
    plan = plan.replace(', "linux/arm64"', "").replace("[builders.x]", '[builders.x]\ndriver = "docker"')
    assert isinstance(built(tmp_path, Frozen(), pieces_of("web", plan=plan))["web"], Outcome)


def test_a_node_that_falls_silent_while_something_is_loaded_was_lost(tmp_path: Path) -> None:
    class Gone(Frozen):
        def run(self, arguments: Sequence[str], **settings: Any) -> Completed:
            if "bake" in arguments:
                self.answers["buildx inspect"] = failed("gone")
            return super().run(arguments, **settings)

    plan = LOADING.replace(', "linux/arm64"', "").replace('"10s"', '"0.1s"')
    with pytest.raises(NodeLost, match=r"^node x/local was lost: no progress and no answer within 0\.1s\n"):
        built(tmp_path, Gone(), pieces_of("web", plan=plan))


def test_a_node_that_is_lost_during_the_load_of_one_piece_costs_only_that_piece(tmp_path: Path) -> None:
    class Gone(Store):
        def run(self, arguments: Sequence[str], **settings: Any) -> Completed:
            if "bake" in arguments and "--metadata-file" not in arguments:
                self.answers["buildx inspect"] = failed("gone")
            return super().run(arguments, **settings)

    result = built(tmp_path, Gone(STALLED), pieces_of("tool", "web", plan=LOADING))
    assert isinstance(result["tool"], Outcome)
    assert isinstance(result["web"], NodeLost)


def test_an_engine_that_does_not_answer_fails_only_what_is_to_be_loaded(tmp_path: Path) -> None:
    docker = Store()
    docker.answers["system info"] = failed("no engine")
    result = built(tmp_path, docker, pieces_of("web", "tool", plan=LOADING))
    assert isinstance(result["web"], Unreachable)
    assert isinstance(result["tool"], Outcome)
    assert [call["targets"] for call in docker.calls] == [["tool"]]


def test_parts_of_archives_are_told_apart_in_a_shared_call(tmp_path: Path) -> None:
    archive = 'output = ["type=oci,dest=NAME.tar"]\nargs = { P = "{{ platform }}" }'
    plan = "\n".join(f"[targets.{name}]\nbuilder = 'x'\n{archive.replace('NAME', name)}" for name in ("a", "b"))
    plan += '\nplatforms = ["linux/amd64", "linux/arm64"]\n[builders.x]'
    plan = plan.replace("[targets.b]", 'platforms = ["linux/amd64", "linux/arm64"]\n[targets.b]')
    pieces = [piece for piece in pieces_of("a", "b", plan=plan) if str(piece.platforms[0].platform) == "linux/amd64"]
    docker = Store()
    built(tmp_path, docker, pieces)
    outputs = [target["output"][0] for target in json.loads(docker.calls[0]["given"])["target"].values()]
    assert len(set(outputs)) == 2
    for piece, output in zip(pieces, outputs, strict=True):
        assert f"dest={builds_of(tmp_path, docker).archive_prefix(piece)}.0" in output


def test_a_check_is_watched_as_its_build_was(tmp_path: Path) -> None:
    check = next(step for step in graph_of_text(LOADING).steps if isinstance(step, CheckPiece))
    docker = Store()
    builds_of(tmp_path, docker).check(check, Outcome(), Recorder())
    assert docker.calls[0]["targets"] == ["web-check-1"]
    assert docker.calls[0]["watch"].seconds == 5.0
    stalled = Store(Completed(returncode=1, stdout="", stderr="", stalled=True))
    with pytest.raises(NodeLost, match=r"^node x/local was lost: no progress and no answer within 10\.0s\n"):
        builds_of(tmp_path, stalled).check(check, Outcome(), Recorder())


def test_what_was_pushed_without_a_tag_is_known_by_its_digest(tmp_path: Path) -> None:
    plan = LOADING.replace("load = true", "push = true")
    assert built(tmp_path, Store(), pieces_of("web", plan=plan))["web"].uploaded == "r/web@sha256:web"
    assert built(tmp_path, Store(), pieces_of("tool", plan=plan))["tool"].uploaded == ""
    plan = PLAN.replace("push = true", "push = true\n    checks = [{ run = ['true'] }]")
    assert built(tmp_path, Baking(), pieces_of("web", plan=plan))["web"].uploaded == "r/web@sha256:web"


def test_a_check_that_cannot_have_what_was_uploaded_is_upon_what_the_cache_holds(tmp_path: Path) -> None:
    plan = PLAN.replace("push = true", "push = true\n    checks = [{ run = ['true'] }]")
    check = next(step for step in graph_of_text(plan).steps if isinstance(step, CheckPiece))
    complaint = b"ERROR: failed to solve: r/web@sha256:1: failed to resolve source metadata for r/web@sha256:1: 503 B\n"
    built = Outcome(uploaded="r/web@sha256:1")
    docker = Racing(1, complaint)
    builds_of(tmp_path, docker).check(check, built, Recorder())
    contexts = [json.loads(call["given"])["target"]["web-check-1"]["contexts"]["checked"] for call in docker.calls]
    assert contexts == ["docker-image://r/web@sha256:1", "target:web"]
    for other, step in ((complaint.replace(b"sha256:1", b"sha256:2"), check), (complaint, replace(check, lost=True))):
        docker = Racing(1, other)
        with pytest.raises(Unreachable, match="503"):
            builds_of(tmp_path, docker).check(step, built, Recorder())
        assert len(docker.calls) == 1


def test_a_check_is_upon_what_was_uploaded(tmp_path: Path) -> None:
    check = next(step for step in graph_of_text(LOADING).steps if isinstance(step, CheckPiece))
    for lost, uploaded, source in (
        (False, "r/web@sha256:1", "docker-image://r/web@sha256:1"),
        (False, "", "target:web"),
        (True, "r/web@sha256:1", "docker-image://r/web@sha256:1"),
        (True, "", "target:web"),
    ):
        docker = Store()
        built = Outcome(uploaded=uploaded)
        builds_of(tmp_path, docker).check(replace(check, lost=lost), built, Recorder())
        definition = json.loads(docker.calls[0]["given"])["target"]
        assert definition["web-check-1"]["contexts"] == {"checked": source}


def test_a_node_that_cannot_be_had_any_more_was_lost(tmp_path: Path) -> None:
    """Another step may have noticed the loss of the node before. A step starts only if its node was ready."""
    check = next(step for step in graph_of_text(LOADING).steps if isinstance(step, CheckPiece))
    docker = Store()
    docker.answers |= {"buildx inspect": failed("no route to host"), "container logs": done("")}
    builds = builds_of(tmp_path, docker)
    with pytest.raises(NodeLost, match="x/local"):
        builds.check(check, Outcome(), Recorder())
    with pytest.raises(NodeLost, match="x/local"):
        builds.build([check.piece], {}, Recorder())
