"""The steps of a run, on simulated nodes and registries."""

from __future__ import annotations

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.errors import BuildFailed, Cancelled, NodeLost, Unreachable, UsageError
from mpbake.base.platforms import parse_platforms
from mpbake.base.references import parse_fields
from mpbake.buildkit.bake.bake_call import Bake
from mpbake.buildkit.bake.builds import PieceBuilder
from mpbake.buildkit.bake.images.engine_images import EngineImages
from mpbake.buildkit.bake.images.image_forms import ImageForms
from mpbake.buildkit.nodes.ready_nodes import ReadyNodes
from mpbake.buildkit.runner import BuildKitRunner, buildx_version, settle_default
from mpbake.model.plan import Driver, Node, TlsFiles
from mpbake.model.steps import BuildPiece, Outcome, StepResult, StepStatus
from mpbake.run.state.directory import State
from tests.unit.buildkit.bake.images.test_archives import part
from tests.unit.dockers import Baker, FakeDocker, container, context_in_use, done, failed
from tests.unit.graphs import graph_of_text
from tests.unit.plans import target_of_text
from tests.unit.registries import MemoryRegistries, MemoryRegistry, refusal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mpbake.buildkit.process.completed import Completed
    from mpbake.buildkit.registry.transport import Request
    from mpbake.graph.dag import BuildGraph
    from mpbake.model.steps import Step
    from mpbake.run.events import Event

BOTH = parse_platforms(["linux/amd64", "linux/arm64"])
PLAN = """
    [builders.x]
    driver = "DRIVER"
    [targets.web]
    builder = "x"
    platforms = ["linux/amd64", "linux/arm64"]
    tags = ["r/web:1", "s/web:1"]
    push = true
    """


def engine_with(cpus: Any) -> Completed:
    """Return the answer of an engine with that many CPUs."""
    return done(json.dumps({"OSType": "linux", "Architecture": "x86_64", "NCPU": cpus}))


class Silent:
    """A reporter that gets no event."""

    def handle(self, event: Event) -> None:
        pytest.fail(f"unexpected event: {event}")


def runner_with(
    docker: FakeDocker, folder: Path, *shared: str, registry: MemoryRegistry | None = None
) -> BuildKitRunner:
    """Return a runner whose folders are all `folder`."""
    docker.scratch = folder
    nodes, state = (
        ReadyNodes(docker, folder, {"HOME": str(folder)}, folder / "build.toml"),
        State(nodes=folder, run=folder),
    )
    bake = Bake(docker=docker, root=folder, buildx=(0, 13))
    registries, images = MemoryRegistries(registry or MemoryRegistry()), EngineImages(docker, folder)
    builds = PieceBuilder(
        bake=bake,
        forms=ImageForms(nodes=nodes),
        registries=registries,
        images=images,
        state=state,
        repeat=lambda _: "",
    )
    return BuildKitRunner(
        docker=docker, nodes=nodes, builds=builds, registries=registries, images=images, shared=frozenset(shared)
    )


def runner(
    folder: Path, answers: Mapping[str, Any], *shared: str, registry: MemoryRegistry | None = None
) -> BuildKitRunner:
    docker = FakeDocker(
        {
            **answers,
            "context inspect": context_in_use("desktop"),
            "container inspect": failed("No such container"),
            "buildx create": done(),
            "buildx inspect": done("Name: x\nPlatforms: linux/amd64*, linux/arm64\n"),
        }
    )
    return runner_with(docker, folder, *shared, registry=registry)


def step_of(graph: BuildGraph, start: str) -> Step:
    return next(step for step in graph.steps if step.key.startswith(start))


def result(step: Step, **outcome: Any) -> dict[Step, StepResult]:
    return {step: StepResult(step=step, status=StepStatus.DONE, seconds=1.0, outcome=Outcome(**outcome))}


def publish_and_verify(
    folder: Path, driver: Driver, registry: MemoryRegistry, docker: Mapping[str, Any] | None = None, **built: Any
) -> tuple[Outcome, Outcome]:
    """Return the outcomes of publishing and of verifying."""
    graph = graph_of_text(PLAN.replace("DRIVER", driver))
    build, publish, verify = (step_of(graph, start) for start in ("build", "publish", "verify"))
    this = runner(folder, docker or {}, registry=registry)
    outcome = result(build, **{"platforms": BOTH, "node": "x/local", **built})
    published = this.run(publish, outcome, Silent())
    inputs = {publish: StepResult(step=publish, status=StepStatus.DONE, seconds=1.0, outcome=published)}
    verified = this.run(verify, inputs, Silent())
    this.images.close()
    return published, verified


def two_platforms() -> tuple[MemoryRegistry, str]:
    """Return a registry with the untagged images of the plan, and their digest."""
    registry = MemoryRegistry()
    digest = registry.add_index("r/web", "amd64", "arm64").digest
    registry.add_index("s/web", "amd64", "arm64")
    return registry, digest


def test_the_one_piece_of_a_target_is_tagged_as_it_is_and_read_back(tmp_path: Path) -> None:
    registry, digest = two_platforms()
    uploaded = f"r/web@{digest}"
    published, verified = publish_and_verify(
        tmp_path, Driver.DOCKER_CONTAINER, registry, digest=digest, uploaded=uploaded
    )
    tags = ("r/web:1", "s/web:1")
    assert published == Outcome(digest=digest, tags=tags, platforms=BOTH, node="x/local")
    assert (verified.digest, verified.tags, list(verified.images)) == (digest, tags, list(BOTH))
    assert [request for request in registry.asked if "PUT" in request] == ["PUT r/web:1", "PUT s/web:1"]


def test_an_index_that_somebody_else_has_pushed_meanwhile_is_noticed(tmp_path: Path) -> None:
    registry, digest = two_platforms()
    other = registry.add_index("r/web", "amd64", "arm64", os="other")

    def meanwhile(request: Request, _: int) -> None:
        if request.method == "GET" and request.url.endswith("/1"):
            registry.add("r/web", other, "1")

    registry.answer = meanwhile
    with pytest.raises(BuildFailed, match=f"r/web:1: digest: {other.digest}, not {digest}"):
        publish_and_verify(tmp_path, Driver.DOCKER_CONTAINER, registry, digest=digest, uploaded=f"r/web@{digest}")


def test_the_engine_has_pushed_what_it_has_built_and_gets_its_tags_afterwards(tmp_path: Path) -> None:
    registry, digest = two_platforms()
    docker = {f"image tag {digest}": done(), "image rm": done()}
    published, verified = publish_and_verify(
        tmp_path, Driver.DOCKER, registry, docker, digest=digest, uploaded=f"r/web@{digest}"
    )
    assert (published.digest, verified.digest) == (digest, digest)


def test_an_engine_with_the_classic_store_pushes_after_the_build_under_a_tag_that_nobody_uses(tmp_path: Path) -> None:
    registry = MemoryRegistry()
    image = registry.add_image("r/web", "amd64")
    registry.add_image("s/web", "amd64")
    listed = json.dumps(
        [{"RepoDigests": [f"r/web@sha256:{'0' * 64}", f"r/web@{image.digest}", f"s/web@{image.digest}"]}]
    )
    docker = {"image push": done(), "image tag sha256:0 ": done(), "image rm": done(), "image inspect": done(listed)}
    published, verified = publish_and_verify(
        tmp_path, Driver.DOCKER, registry, docker, image_id="sha256:0", platforms=BOTH[:1]
    )
    assert (published.digest, verified.digest) == (image.digest, image.digest)


@pytest.mark.parametrize("tries", [1, 2])
def test_a_push_of_an_engine_is_tried_again_unless_the_registry_refuses(tmp_path: Path, tries: int) -> None:
    registry = MemoryRegistry()
    image = registry.add_image("r/web", "amd64")
    registry.add_image("s/web", "amd64")
    results = iter([failed("unknown: "), done()])
    docker = {
        "image push": lambda _: next(results, done()),
        "image tag": done(),
        "image rm": done(),
        "image inspect": done(json.dumps([{"RepoDigests": [f"r/web@{image.digest}", f"s/web@{image.digest}"]}])),
    }
    if tries == 1:
        registry.answer = lambda request, _: refusal(403) if request.method == "POST" else None
        with pytest.raises(BuildFailed, match=r"^cannot push web to r/web: unknown:: docker\.io answers 403 "):
            publish_and_verify(tmp_path, Driver.DOCKER, registry, docker, image_id="sha256:0", platforms=BOTH[:1])
    else:
        publish_and_verify(tmp_path, Driver.DOCKER, registry, docker, image_id="sha256:0", platforms=BOTH[:1])
    assert not [request for request in registry.asked if "PUT" in request] or tries == 2


def test_an_engine_pushes_one_image_at_a_time(tmp_path: Path) -> None:
    pushing, most = threading.Semaphore(1), []

    def push(_: Mapping[str, str]) -> Completed:
        most.append(pushing.acquire(blocking=False))
        time.sleep(0.02)
        pushing.release()
        return done()

    registry = MemoryRegistry()
    image = registry.add_image("r/web", "amd64")
    registry.add_image("s/web", "amd64")
    listed = done(json.dumps([{"RepoDigests": [f"r/web@{image.digest}", f"s/web@{image.digest}"]}]))
    answers = {"image push": push, "image tag": done(), "image rm": done(), "image inspect": listed}
    graph = graph_of_text(PLAN.replace("DRIVER", "docker").replace('"linux/amd64", "linux/arm64"', '"linux/amd64"'))
    build, publish = (step_of(graph, start) for start in ("build", "publish"))
    this = runner(tmp_path, answers, registry=registry)
    inputs = result(build, digest="sha256:1", platforms=BOTH[:1], node="x/local")
    with ThreadPoolExecutor() as workers:
        list(workers.map(lambda _: this.run(publish, inputs, Silent()), range(3)))
    assert most == [True] * 6  # each has two repositories


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("docker: 'buildx' is not a docker command.\nSee 'docker --help'", "docker buildx is not installed"),
        ("docker: unknown command: docker buildx\n\nRun 'docker --help'", "docker buildx is not installed"),
        ("unknown shorthand flag: 'x' in -x", "docker buildx is not installed"),
        ("exec format error", "docker buildx does not work: exec format error"),
    ],
)
def test_a_docker_without_buildx(output: str, message: str) -> None:
    with pytest.raises(Unreachable) as caught:
        buildx_version(FakeDocker({"buildx version": failed(output)}))
    assert caught.value.message == message


NODES = """
    [targets.web]
    builder = "x"
    [builders.x.nodes]
    good = {}
    gone = { endpoint = "ssh://gone" }
    foreign = { endpoint = "ssh://foreign" }
    """


class Network(FakeDocker):
    """A docker that reaches several engines with their own answers."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        asked = {"buildx inspect": answers["buildx"], "system info": failed("no answer")}
        super().__init__({"context inspect": context_in_use("x"), "buildx create": done(), **asked})
        self.containers = answers

    def run(self, arguments: Any, **settings: Any) -> Completed:
        if arguments[0] == "container":
            self.answers["container"] = self.containers.get(settings["endpoint"], failed("No such container"))
        return super().run(arguments, **settings)


def network(folder: Path, buildx: Any) -> BuildKitRunner:
    docker = Network({"ssh://gone": failed("no route"), "ssh://foreign": container("A=1"), "buildx": buildx})
    return runner_with(docker, folder)


def test_nodes_that_fail_are_silent_or_left_out_and_fail_in_their_own_step(tmp_path: Path) -> None:
    good, gone, foreign = target_of_text(NODES).builder.nodes
    this = network(tmp_path, done("Platforms: linux/amd64*\n"))
    for node in (good, gone, foreign):  # in sequence, since the network is not thread-safe
        this.make_ready([node], Silent())
    facts = this.make_ready([good, gone, foreign], Silent())
    assert {node: report.unreachable for node, report in facts.items()} == {"x/good": False, "x/gone": True}
    assert this.make_ready([], Silent()) == {}
    with pytest.raises(Unreachable, match="x/gone"):
        this.nodes.ready(gone)
    with pytest.raises(UsageError, match="x/foreign"):
        this.nodes.ready(foreign)


def test_a_probe_that_is_cancelled_is_over(tmp_path: Path) -> None:
    good, *_ = target_of_text(NODES).builder.nodes
    with pytest.raises(Cancelled):
        network(tmp_path, Cancelled("cancelled")).make_ready([good], Silent())


def test_the_engine_is_asked_only_for_targets_of_the_default_builder(tmp_path: Path) -> None:
    this = runner(tmp_path, {"system info": done('{"OSType":"linux","Architecture":"x86_64"}')})
    assert isinstance(this.docker, FakeDocker)
    settle_default(this.nodes, [target_of_text(PLAN.replace("DRIVER", "docker"))])
    assert this.docker.commands == []
    settle_default(this.nodes, [target_of_text("[targets.web]")])
    assert this.docker.commands == [
        "system info --format {{json .}}",
        "context inspect",
        "buildx inspect desktop",  # BuildKit may be missing in an engine with the classic image store
    ]


@pytest.mark.parametrize(
    ("driver", "info", "weight"),
    [
        (Driver.DOCKER, engine_with(12), 12),
        (Driver.DOCKER_CONTAINER, engine_with(2), 2),
        (Driver.DOCKER, failed("no answer"), 0),
        (Driver.DOCKER, engine_with("<no value>"), 0),
        (Driver.REMOTE, failed("nobody asks"), 0),
    ],
)
def test_the_weight_of_a_node_is_the_number_of_cpus_of_its_engine(
    driver: Driver, info: Completed, weight: int, tmp_path: Path
) -> None:
    plan = PLAN.replace("DRIVER", driver)
    if driver is Driver.REMOTE:
        plan += f'[builders.x.nodes.local]\n    endpoint = "unix://{tmp_path}/socket"'
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{tmp_path}/socket")
        listener.listen()
        bootstrap = step_of(graph_of_text(plan), "bootstrap")
        outcome = runner(tmp_path, {"system info": info}, "x/local").run(bootstrap, {}, Silent())
    assert (outcome.slots, outcome.weight, outcome.platforms) == (0, weight, BOTH)


def test_the_cpus_of_a_node_without_an_equal_are_not_asked_for(tmp_path: Path) -> None:
    this = runner(tmp_path, {})
    outcome = this.run(step_of(graph_of_text(PLAN.replace("DRIVER", "docker")), "bootstrap"), {}, Silent())
    assert (outcome.slots, outcome.weight) == (0, 0)
    assert isinstance(this.docker, FakeDocker)
    assert not any(command.startswith("system info") for command in this.docker.commands)


def test_slots_in_the_plan_need_not_be_asked_for(tmp_path: Path) -> None:
    plan = PLAN.replace('driver = "DRIVER"', 'driver = "docker"\n    slots = 3')
    assert runner(tmp_path, {}).run(step_of(graph_of_text(plan), "bootstrap"), {}, Silent()).slots == 3


def test_an_engine_behind_tls_is_asked_for_its_cpus_through_its_context(tmp_path: Path) -> None:
    node = Node(
        builder="x",
        name="n",
        driver=Driver.DOCKER_CONTAINER,
        endpoint="tcp://far:2376",
        tls=TlsFiles(ca=tmp_path / "ca.crt"),
    )
    this = runner(tmp_path, {"system info": engine_with(8)}, "x/n")
    assert this._cpus(node) == 8
    assert isinstance(this.docker, FakeDocker)
    assert this.docker.settings[-1]["endpoint"] == "mpbake-x-n"


# --- builds, checks and results on this machine -----------------------------------------------------------------------

CHECKED = """
    [targets.web]
    builder = "x"
    platforms = ["linux/amd64", "linux/arm64"]
    tags = ["r/web:1"]
    no-cache = true
    timeout = "90s"
    checks = [{ run = ["php", "-v"] }]
    [builders.x]
    """


class Listener:
    """A reporter that records events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def handle(self, event: Event) -> None:
        self.events.append(event)


ENGINE = {
    "context inspect": context_in_use("desktop"),
    "container inspect": failed("No such container"),
    "buildx create": done(),
    "buildx inspect": done("Name: x\nPlatforms: linux/amd64*, linux/arm64\n"),
    "system info": done('{"OSType":"linux","Architecture":"x86_64"}'),
}


def test_a_check_runs_where_its_piece_was_built_and_out_of_the_cache(tmp_path: Path) -> None:
    docker = Baker(ENGINE)
    graph = graph_of_text(CHECKED, facts={"x/local": "linux/amd64 linux/arm64"})
    build, check = step_of(graph, "build"), step_of(graph, "check")
    outcome = runner_with(docker, tmp_path).run(check, result(build, digest="sha256:1"), Listener())
    assert (outcome.node, outcome.log) == ("x/local", str(tmp_path / "check-web-linux-amd64-linux-arm64-1.log"))
    assert docker.commands[-1] == "buildx bake --builder x-local --progress rawjson --file - web-check-1"
    assert docker.settings[-1]["timeout"] == 90.0
    assert "no-cache" not in docker.definitions[0]["target"]["web"]
    assert docker.definitions[0]["target"]["web-check-1"]["no-cache"] is True


def test_a_node_that_is_lost_during_a_check_is_made_ready_anew(tmp_path: Path) -> None:
    graph = graph_of_text(CHECKED, facts={"x/local": "linux/amd64 linux/arm64"})
    docker = Baker(ENGINE, stderr=b"ERROR: rpc error: code = Unavailable desc = EOF\n", returncode=1)
    this = runner_with(docker, tmp_path)
    for _ in range(2):
        with pytest.raises(NodeLost):
            this.run(step_of(graph, "check"), result(step_of(graph, "build")), Listener())
    assert sum("--bootstrap" in command for command in docker.commands) == 2


def test_a_node_that_is_lost_during_a_load_is_made_ready_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graph_of_text(CHECKED, facts={"x/local": "linux/amd64 linux/arm64"})
    docker = Baker(ENGINE)
    this, piece = runner_with(docker, tmp_path), step_of(graph, "build")
    assert isinstance(piece, BuildPiece)
    monkeypatch.setattr(PieceBuilder, "build", lambda *_: {piece: NodeLost("gone")})
    for _ in range(2):
        this.nodes.ready(piece.node)
        with pytest.raises(NodeLost):
            this.run(piece, {}, Listener())
    assert sum("--bootstrap" in command for command in docker.commands) == 2


def test_a_check_that_fails_shows_its_output(tmp_path: Path) -> None:
    status = {
        "vertexes": [{"digest": "sha256:1", "name": "[web-check-1 1/1] RUN php", "started": "2026-01-01T00:00:00Z"}],
        "logs": [{"vertex": "sha256:1", "data": "bm8gcGhwIGhlcmUK"}],
    }
    failure = {"vertexes": [{"digest": "sha256:1", "name": "[web-check-1 1/1] RUN php", "error": "exit code: 127"}]}
    stderr = f"{json.dumps(status)}\n{json.dumps(failure)}\nERROR: failed to solve: exit code: 127\n"
    docker = Baker(ENGINE, stderr=stderr.encode(), returncode=1)
    graph = graph_of_text(CHECKED, facts={"x/local": "linux/amd64 linux/arm64"})
    listener = Listener()
    with pytest.raises(BuildFailed) as caught:
        runner_with(docker, tmp_path).run(step_of(graph, "check"), result(step_of(graph, "build")), listener)
    assert "output of [web-check-1 1/1] RUN php:\n  no php here\n" in str(caught.value)
    assert listener.events


def test_the_engines_own_platform_is_loaded_after(tmp_path: Path) -> None:
    docker = Baker(ENGINE)
    plan = CHECKED.replace('checks = [{ run = ["php", "-v"] }]', "load = true")
    build = step_of(graph_of_text(plan, facts={"x/local": "linux/amd64 linux/arm64"}), "build")
    outcome = runner_with(docker, tmp_path).run(build, {}, Listener())
    assert outcome.digest == "sha256:1"
    first, second = (definition["target"]["web"] for definition in docker.definitions)
    assert (first["output"], first["no-cache"], first["platforms"]) == (
        ["type=cacheonly"],
        True,
        ["linux/amd64", "linux/arm64"],
    )
    assert (second["output"], second["tags"], second["platforms"]) == (["type=docker"], ["r/web:1"], ["linux/amd64"])
    assert "no-cache" not in second


def test_parts_of_an_archive_are_joined_and_gone(tmp_path: Path) -> None:
    output = f'output = ["type=oci,dest={tmp_path}/out/web.tar"]\nargs = {{ P = "{{{{ platform }}}}" }}'
    plan = CHECKED.replace('checks = [{ run = ["php", "-v"] }]', output)
    graph = graph_of_text(plan, facts={"x/local": "linux/amd64 linux/arm64"})
    docker = Baker(ENGINE)
    this = runner_with(docker, tmp_path)
    inputs: dict[Step, StepResult] = {}
    for step, machine in zip(graph.steps[1:3], ("amd64", "arm64"), strict=True):
        outcome = this.run(step, {}, Listener())
        (output,) = docker.definitions[-1]["target"]["web"]["output"]
        dest = tmp_path / parse_fields(output)["dest"]
        assert (dest.parent, dest.name.endswith(".0.oci.tar")) == (tmp_path, True)
        part(tmp_path, machine).rename(dest)
        inputs |= {step: StepResult(step=step, status=StepStatus.DONE, outcome=outcome)}
    joined = this.run(step_of(graph, "join"), inputs, Listener())
    assert joined.digest.startswith("sha256:")
    assert (tmp_path / "out/web.tar").is_file()
    assert list(tmp_path.glob("*.oci.tar")) == []
