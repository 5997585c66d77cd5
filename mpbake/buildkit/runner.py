"""Does the steps of a run on real nodes and registries."""

from __future__ import annotations

import contextlib
import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from mpbake.bake import dump
from mpbake.buildkit.complaints import build_error
from mpbake.buildkit.definition import bake_definition, entitlements, grants
from mpbake.buildkit.docker import Docker
from mpbake.buildkit.environment import child_environment
from mpbake.buildkit.nodes import Nodes
from mpbake.buildkit.progress import Progress, Update
from mpbake.buildkit.registry import Registry
from mpbake.errors import BuildFailed, Cancelled, MpbakeError, Unreachable, UsageError
from mpbake.events import StepAdvanced, StepSaid
from mpbake.placement import contradictions
from mpbake.plan import Driver, Emulation
from mpbake.steps import BootstrapNode, BuildPiece, Delivery, Outcome, Publish, Step, Verify
from mpbake.text import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mpbake.buildkit.nodes import Ready
    from mpbake.events import Reporter
    from mpbake.placement import NodeFacts
    from mpbake.plan import Node, Target
    from mpbake.platforms import Platform
    from mpbake.state import State
    from mpbake.steps import StepResult

OLDEST_BUILDX = (0, 13)
_WITH_GRANTS = (0, 19)
_WITH_ENTITLEMENTS = (0, 17)
_VERSION = re.compile(r"\bv?(\d+)\.(\d+)\.\d+")


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildKitRunner:
    """A StepRunner for real builds.

    `root` is the plan's folder; `repeat` gives the command that does a piece again. What docker says goes through
    `hide` before anybody reads it.
    """

    docker: Docker
    nodes: Nodes
    state: State
    root: Path
    repeat: Callable[[BuildPiece], str]
    buildx: tuple[int, int]
    hide: Callable[[str], str] = str

    def run(self, step: Step, inputs: Mapping[Step, StepResult], reporter: Reporter) -> Outcome:
        """Do one step; see StepRunner."""
        match step:
            case BootstrapNode():
                return self._bootstrap(step)
            case BuildPiece():
                return self._build(step, inputs, reporter)
            case Publish():
                return self._publish(step, inputs)
            case Verify():
                return self._verify(step, inputs)
            case _:
                assert_never(step)

    def cancel(self) -> None:
        """End every docker process; see StepRunner."""
        self.docker.cancel()

    def probe(self, nodes: Sequence[Node]) -> dict[str, NodeFacts]:
        """Make `nodes` ready, side by side, and tell what they are, by node id.

        A node that fails is left out: its own step will fail, and with it only what needs it.
        """
        with ThreadPoolExecutor(max_workers=max(len(nodes), 1)) as workers:
            found = workers.map(self._facts, nodes)
        return {node.id: facts for node, facts in zip(nodes, found, strict=True) if facts is not None}

    def _facts(self, node: Node) -> NodeFacts | None:
        try:
            return self.nodes.ready(node).facts
        except Cancelled:
            raise
        except MpbakeError:
            return None

    def settle_default(self, targets: Sequence[Target]) -> None:
        """Decide which driver the default builder has, where `targets` use it."""
        automatic = [target for target in targets if target.builder.driver is Driver.AUTOMATIC]
        if automatic:
            self.nodes.settle_default(automatic)

    def _bootstrap(self, step: BootstrapNode) -> Outcome:
        ready = self.nodes.ready(step.node)
        warnings = contradictions(step.node, step.node.platforms, ready.facts)
        return Outcome(node=step.node.id, note=ready.note, warnings=(*ready.warnings, *warnings))

    # --- build ----------------------------------------------------------------------------------------------------

    def _grants(self, definition: dict[str, Any]) -> list[str]:
        """What the plan asks for and this buildx wants to be told."""
        found = entitlements(definition) if self.buildx >= _WITH_ENTITLEMENTS else []
        return [*found, *(grants(definition, _existing) if self.buildx >= _WITH_GRANTS else [])]

    def _build(self, piece: BuildPiece, inputs: Mapping[Step, StepResult], reporter: Reporter) -> Outcome:
        ready = self.nodes.ready(piece.node)
        _check_emulation(piece, ready)
        built = [step.target for step in inputs if isinstance(step, BuildPiece) and step.node == piece.node]
        definition = bake_definition(piece, ready.facts.driver, built)
        log = self.state.log(piece.key)
        metadata = self.docker.scratch / f"{log.stem}.json"
        command = ["buildx", "--builder", ready.builder, "bake", "--file", "-", "--progress", "rawjson"]
        command += ["--metadata-file", str(metadata)]
        command += [part for grant in self._grants(definition) for part in ("--allow", grant)]
        repeat = self.hide(self.repeat(piece))
        with _Follower(piece, reporter, log, self.hide).open() as follower:
            found = self.docker.run(
                [*command, piece.target.name],
                endpoint=ready.endpoint,
                environment=ready.environment,
                given=dump(definition),
                cwd=self.root,
                timeout=piece.target.timeout or None,
                on_stderr=follower.feed,
            )
        if found.timed_out:
            limit = duration(piece.target.timeout)
            raise BuildFailed(f"took longer than its timeout of {limit}\nlog: {log}", hint=repeat)
        if found.returncode:
            tags = piece.target.tags if piece.delivery is Delivery.TAGS else ()
            raise build_error(follower.progress, tags, repeat, str(log))
        _keep(metadata, log.with_suffix(".json"), self.hide)
        platforms = tuple(each.platform for each in piece.platforms) or ready.facts.platforms[:1]
        return Outcome(
            digest=_digest(metadata, piece.target.name),
            node=piece.node.id,
            tags=piece.target.tags if piece.delivery is Delivery.TAGS else (),
            platforms=platforms,
            log=str(log),
        )

    # --- publish and verify ---------------------------------------------------------------------------------------

    def _publish(self, step: Publish, inputs: Mapping[Step, StepResult]) -> Outcome:
        pieces = _pieces(inputs)
        ready = self.nodes.ready(pieces[0].node)
        registry = Registry(docker=self.docker, through=ready)
        if ready.facts.driver is Driver.DOCKER:
            registry.push(step.target)
            digest = inputs[pieces[0]].outcome.digest
        else:
            digest = registry.join(step.target, [inputs[piece].outcome.digest for piece in pieces])
        return Outcome(digest=digest, tags=step.target.tags, platforms=_platforms(inputs), node=pieces[0].node.id)

    def _verify(self, step: Verify, inputs: Mapping[Step, StepResult]) -> Outcome:
        before = next(iter(inputs.values()))
        node = next(node for node in step.target.builder.nodes if node.id == before.outcome.node)
        ready = self.nodes.ready(node)
        registry = Registry(docker=self.docker, through=ready)
        platforms = _platforms(inputs)
        digest = registry.verify(step.target, platforms, before.outcome.digest)
        return Outcome(digest=digest, tags=step.target.tags, platforms=platforms)


def _check_emulation(piece: BuildPiece, ready: Ready) -> None:
    """Raise UsageError where the node would have to emulate what its builder forbids to emulate."""
    found = contradictions(piece.node, [each.platform for each in piece.platforms], ready.facts)
    if found and piece.target.builder.emulation is Emulation.FORBID:
        raise UsageError("; ".join(found), hint=f'builder "{piece.node.builder}" says emulation = "forbid"')


def _existing(path: str) -> str:
    """`path`, or the nearest folder above it that exists."""
    found = Path(path)
    while not found.exists() and found != found.parent:
        found = found.parent
    return str(found)


def _pieces(inputs: Mapping[Step, StepResult]) -> list[BuildPiece]:
    return [step for step in inputs if isinstance(step, BuildPiece)]


def _platforms(inputs: Mapping[Step, StepResult]) -> tuple[Platform, ...]:
    return tuple(platform for result in inputs.values() for platform in result.outcome.platforms)


def _keep(metadata: Path, path: Path, hide: Callable[[str], str]) -> None:
    """Keep what buildx says of a build, without secrets: it repeats much of what it was told."""
    with contextlib.suppress(FileNotFoundError):
        path.write_text(hide(metadata.read_text(encoding="utf-8", errors="replace")), encoding="utf-8")


def _digest(metadata: Path, target: str) -> str:
    """What was built, from buildx's metadata file. The classic image store knows only an image's id: that is none."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        found = json.loads(metadata.read_bytes())[target]
        if "containerimage.descriptor" in found:
            return str(found["containerimage.digest"])
    return ""


class _Follower:
    """Writes a build's log and tells the reporter, as the bytes come; `hide` sees every text first."""

    def __init__(self, piece: BuildPiece, reporter: Reporter, path: Path, hide: Callable[[str], str]) -> None:
        self.progress = Progress(hide)
        self._piece = piece
        self._reporter = reporter
        self._path = path

    @contextlib.contextmanager
    def open(self) -> Iterator[_Follower]:
        """The log is complete when the block is left, however it is left."""
        with self._path.open("w", encoding="utf-8") as self._log:
            try:
                yield self
            finally:
                self._tell(self.progress.close())
                self._log.write(self.progress.text + "\n")

    def feed(self, data: bytes) -> None:
        """Take in what buildx wrote."""
        self._tell(self.progress.feed(data))

    def _tell(self, update: Update) -> None:
        if update.said:
            text = "\n".join(update.said)
            self._log.write(text + "\n")
            self._log.flush()  # people follow it, and a full disk is to be noticed now
            self._reporter.handle(StepSaid(step=self._piece, text=text))
        if update.activity:
            self._reporter.handle(StepAdvanced(step=self._piece, activity=update.activity))


def buildx_version(docker: Docker) -> tuple[int, int]:
    """The version of buildx. Raises Unreachable when it is missing or too old."""
    found = docker.run(["buildx", "version"], timeout=30)
    version = _VERSION.search(found.stdout)
    if found.returncode or version is None:
        raise Unreachable(
            "docker buildx is not installed", hint="install it: https://docs.docker.com/build/buildx/install/"
        )
    number = (int(version[1]), int(version[2]))
    if number < OLDEST_BUILDX:
        oldest = ".".join(map(str, OLDEST_BUILDX))
        raise Unreachable(
            f"docker buildx {version[1]}.{version[2]} is too old", hint=f"install buildx {oldest} or newer"
        )
    return number


@contextlib.contextmanager
def open_runner(
    targets: Sequence[Target],
    state: State,
    root: Path,
    environment: Mapping[str, str],
    repeat: Callable[[BuildPiece], str],
    hide: Callable[[str], str],
) -> Iterator[BuildKitRunner]:
    """A runner for `targets`; no process of it is left when the block is left. What is said goes through `hide`."""
    docker = Docker(child_environment(environment, targets), state.run, hide)
    nodes = Nodes(docker, state.nodes, environment)
    try:
        yield BuildKitRunner(
            docker=docker,
            nodes=nodes,
            state=state,
            root=root,
            repeat=repeat,
            buildx=buildx_version(docker),
            hide=hide,
        )
    finally:
        docker.close()
        nodes.tidy()
