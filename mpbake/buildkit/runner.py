"""Runs the steps of a plan on real nodes and registries."""

from __future__ import annotations

import contextlib
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from mpbake.base.errors import MpbakeError, NodeLost, Unreachable
from mpbake.base.references import parse_fields, parse_reference
from mpbake.buildkit.bake.bake_call import Bake
from mpbake.buildkit.bake.builds import PieceBuilder
from mpbake.buildkit.bake.definition import PIECE_ARCHIVE_SUFFIX, piece_archive
from mpbake.buildkit.bake.git_info import may_start_git
from mpbake.buildkit.bake.images.archives import form_in, join_archives
from mpbake.buildkit.bake.images.engine_images import EngineImages
from mpbake.buildkit.bake.images.image_forms import ImageForms, form_of
from mpbake.buildkit.nodes.engines.contexts import engine_of
from mpbake.buildkit.nodes.ready_nodes import ReadyNodes
from mpbake.buildkit.nodes.services import side_by_side
from mpbake.buildkit.process.completed import CommandFailed
from mpbake.buildkit.process.docker import Docker
from mpbake.buildkit.process.environment import child_environment, telemetry_variables
from mpbake.buildkit.registry.image_reader import ImageReader
from mpbake.buildkit.registry.publishing import TagPublisher
from mpbake.buildkit.registry.registries import Registries
from mpbake.buildkit.registry.verification import Verification
from mpbake.graph.delivery import archives, repositories
from mpbake.graph.node_facts import NodeFacts, declaration_conflicts
from mpbake.model.annotations import index_annotations
from mpbake.model.bake_fields import is_set
from mpbake.model.expected_images import expected_of
from mpbake.model.plan import AUTOMATIC_DRIVER
from mpbake.model.steps import BootstrapNode, BuildPiece, CheckPiece, JoinArchives, Outcome, Publish, Step, Verify
from mpbake.run.events import NodeProgressed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mpbake.base.platforms import Platform
    from mpbake.buildkit.bake.images.image_forms import ImageForm
    from mpbake.buildkit.nodes.instances.instances import ReadyNode
    from mpbake.buildkit.registry.client import RegistryClient
    from mpbake.model.plan import Driver, Node, Plan, Target
    from mpbake.model.steps import StepResult
    from mpbake.review.grants import Rights
    from mpbake.run.events import Reporter
    from mpbake.run.state.directory import State

OLDEST_BUILDX = (0, 13)
_INFO_TIMEOUT = 10.0
_VERSION_TIMEOUT = 30.0
_NO_BUILDX = re.compile(r"is not a docker command|unknown command|unknown flag|unknown shorthand flag", re.IGNORECASE)
_VERSION = re.compile(r"\bv?(\d+)\.(\d+)\.\d+")


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildKitRunner:
    """A StepRunner for real builds. `default` is the driver of the default builder, if a target uses that builder.

    `shared` holds the IDs of nodes that share a builder with other nodes: mpbake divides work by CPU count only among
    these nodes. `uploaded` maps each target that `docker push` has pushed to the digests of its images by repository.
    """

    docker: Docker
    nodes: ReadyNodes
    builds: PieceBuilder
    registries: Registries
    images: EngineImages
    default: Driver = AUTOMATIC_DRIVER
    shared: frozenset[str] = frozenset()
    uploaded: dict[Target, dict[str, str]] = field(default_factory=dict)

    @property
    def buildx(self) -> tuple[int, int]:
        """The version of buildx."""
        return self.builds.bake.buildx

    def run(self, step: Step, inputs: Mapping[Step, StepResult], reporter: Reporter) -> Outcome:
        """Run one step; see StepRunner."""
        match step:
            case BootstrapNode():
                return self._bootstrap(step, reporter)
            case BuildPiece():
                result = self.run_together([step], inputs, reporter)[step]
                if isinstance(result, MpbakeError):
                    raise result
                return result
            case JoinArchives():
                return self._join(step, inputs)
            case CheckPiece():
                return self._check(step, inputs, reporter)
            case Publish():
                return self._publish(step, inputs, reporter)
            case Verify():
                return self._verify(step, inputs)
            case _:
                assert_never(step)

    def run_together(
        self, pieces: Sequence[BuildPiece], inputs: Mapping[Step, StepResult], reporter: Reporter
    ) -> dict[Step, Outcome | MpbakeError]:
        """Build several build pieces on one node in one bake call; see StepRunner."""
        with self._reset_lost_node(pieces[0].node):
            results = self.builds.build(pieces, inputs, reporter)
        if any(isinstance(result, NodeLost) for result in results.values()):
            self.nodes.forget(pieces[0].node)
        return results

    @contextlib.contextmanager
    def _reset_lost_node(self, node: Node) -> Iterator[None]:
        """If `node` is lost during the block, forget its state, so that the next use prepares the node again."""
        try:
            yield
        except NodeLost:
            self.nodes.forget(node)
            raise

    def finish(self) -> None:
        """Wait until all images in engines have their tags; see StepRunner."""
        self.images.finish()

    def cancel(self) -> None:
        """End every docker process; see StepRunner."""
        self.docker.cancel()

    def make_ready(self, nodes: Sequence[Node], reporter: Reporter) -> dict[str, NodeFacts]:
        """Prepare `nodes` in parallel, and return their facts by node ID.

        An unreachable node gets `unreachable=True`. A node with any other error is missing from the result; its
        bootstrap step fails later, and the steps that depend on this step fail too.
        """
        facts = {}
        for node, result in zip(nodes, side_by_side(partial(self._ready, reporter), nodes), strict=True):
            if isinstance(result, Unreachable):
                facts[node.id] = NodeFacts(driver=node.driver, unreachable=True)
            elif not isinstance(result, MpbakeError):
                ready_node, _ = result
                facts[node.id] = ready_node.facts
        return facts

    def node_error(self, node: Node) -> MpbakeError | None:
        """Return the reason why a probed node cannot be used; None if the node can be used."""
        try:
            self.nodes.ready(node)
        except MpbakeError as error:
            return error
        return None

    def _bootstrap(self, step: BootstrapNode, reporter: Reporter) -> Outcome:
        try:
            ready_node, cpus = self._ready(reporter, step.node)
        except Unreachable:
            self.nodes.forget(step.node)  # a retry may reach the node again
            raise
        facts = ready_node.facts
        return Outcome(
            node=step.node.id,
            note=ready_node.note,
            slots=step.node.slots or facts.slots,
            weight=cpus,
            platforms=facts.platforms,
            warnings=(*ready_node.warnings, *declaration_conflicts(step.node, step.node.platforms, facts)),
        )

    def _ready(self, reporter: Reporter, node: Node) -> tuple[ReadyNode, int]:
        """Prepare a node for builds. Return the node and the CPU count of its engine.

        The two queries run in parallel because each is slow over ssh. Raises Unreachable, UsageError.
        """
        with ThreadPoolExecutor(max_workers=1) as pool:
            cpus = pool.submit(self._cpus, node)
            ready_node = self.nodes.ready(
                node, lambda activity: reporter.handle(NodeProgressed(node=node, activity=activity))
            )
        return ready_node, cpus.result() or self._cpus(ready_node.node)

    def _cpus(self, node: Node) -> int:
        """Return the CPU count of a node's engine; 0 if the count does not matter or is unknown.

        The count is unknown, for example, before the docker context of the node is created.
        """
        has_engine = node.driver.rules.endpoint.is_engine
        if node.slots or node.id not in self.shared or not has_engine:
            return 0
        try:
            return self.nodes.engines.facts(engine_of(node), _INFO_TIMEOUT).cpus
        except Unreachable:
            return 0

    # --- checks and archives --------------------------------------------------------------------------------------

    def _check(self, step: CheckPiece, inputs: Mapping[Step, StepResult], reporter: Reporter) -> Outcome:
        (built,) = inputs.values()
        with self._reset_lost_node(step.piece.node):
            return self.builds.check(step, built.outcome, reporter)

    def _join(self, step: JoinArchives, inputs: Mapping[Step, StepResult]) -> Outcome:
        """Join the archives of all build pieces, and remove the archives of single pieces."""
        prefixes = {piece: self.builds.archive_prefix(piece) for piece in _pieces(inputs)}
        annotations = index_annotations(step.target.attributes.get("annotations", ()))
        digest = ""
        for number, output in enumerate(archives(step.target)):
            fields = parse_fields(output)
            files = {piece: Path(piece_archive(prefix, number)) for piece, prefix in prefixes.items()}
            self.builds.forms.check(step.target, _built_on(inputs), partial(_form_in_file, files))
            archives_of_pieces = list(files.values())
            digest = join_archives(
                archives_of_pieces, Path(fields["dest"]), annotations, tar=is_set(fields, "tar", default=True)
            )
            for archive in archives_of_pieces:
                archive.unlink(missing_ok=True)
        return Outcome(digest=digest)

    # --- publish and verify ---------------------------------------------------------------------------------------

    def _publish(self, step: Publish, inputs: Mapping[Step, StepResult], reporter: Reporter) -> Outcome:
        # With `publish = together`, the publish step of the first target uploads all targets.
        for target in step.together if step.target is step.together[0] else ():
            self._check_form(target, _of_target(target, inputs))
            self._upload(target, _of_target(target, inputs))
        own = _of_target(step.target, inputs)
        node, ready_node = self._instance_of(own)
        digest = TagPublisher(client=self._client(step.target)).publish(step, self._sources(step.target, own))
        if ready_node.facts.driver.rules.is_engine and not step.target.load:
            built = next(iter(own.values())).outcome
            self.images.name_later(step.target, built.digest or built.image_id, ready_node, reporter)
        return Outcome(digest=digest, tags=step.target.tags, platforms=_platforms(own), node=node.id)

    def _sources(self, target: Target, own: Mapping[BuildPiece, StepResult]) -> Mapping[str, Sequence[str]]:
        """Return the digests of the build pieces of a target in each of its repositories."""
        if target in self.uploaded:
            return {repository: [digest] for repository, digest in self.uploaded[target].items()}
        digests = [result.outcome.digest for result in own.values()]
        return dict.fromkeys(repositories(target), digests)

    def _check_form(self, target: Target, own: Mapping[BuildPiece, StepResult]) -> None:
        """Raise BuildFailed if the pushed build pieces of a target differ in form.

        No tag may point to an index of such pieces.
        """
        reader = ImageReader(client=self._client(target))
        repository = parse_reference(target.tags[0])

        def form(piece: BuildPiece) -> ImageForm:
            index = reader.raw(repository.at(own[piece].outcome.digest))
            return form_of(index, lambda digest: reader.raw(repository.at(digest)))

        self.builds.forms.check(target, _built_on(own), form)

    def _upload(self, target: Target, own: Mapping[BuildPiece, StepResult]) -> None:
        """Push the image of a target from an engine with the classic image store. Other nodes have already pushed."""
        _, ready_node = self._instance_of(own)
        built = next(iter(own.values())).outcome
        if not built.uploaded:
            with self.nodes.pushing(ready_node):
                self.uploaded[target] = self.images.upload(target, built.image_id, ready_node, self._client(target))

    def _instance_of(self, own: Mapping[BuildPiece, StepResult]) -> tuple[Node, ReadyNode]:
        """Return the node that built the first of the build pieces, and the node's instance."""
        node = next(iter(own)).node
        return node, self.nodes.instance(node)

    def _client(self, target: Target) -> RegistryClient:
        return self.registries.client(target.builder)

    def _verify(self, step: Verify, inputs: Mapping[Step, StepResult]) -> Outcome:
        published = next(iter(inputs.values()))
        platforms = _platforms(inputs)
        expected = expected_of(step.target, platforms, published.outcome.digest)
        reader = ImageReader(client=self._client(step.target))
        served = Verification(reader=reader).wait(expected, self.docker.pause)
        self.builds.published.update(dict.fromkeys(step.target.tags, served.digest))
        images = {image.platform: image.digest for image in served.images}
        return Outcome(digest=served.digest, tags=step.target.tags, platforms=platforms, images=images)


def _pieces(inputs: Mapping[Step, StepResult]) -> list[BuildPiece]:
    return [step for step in inputs if isinstance(step, BuildPiece)]


def _of_target(target: Target, inputs: Mapping[Step, StepResult]) -> dict[BuildPiece, StepResult]:
    return {piece: inputs[piece] for piece in _pieces(inputs) if piece.target is target}


def _built_on(inputs: Mapping[Any, StepResult]) -> dict[BuildPiece, Node]:
    """Return the node that built each build piece."""
    return {
        piece: next(node for node in piece.target.builder.nodes if node.id == inputs[piece].outcome.node)
        for piece in _pieces(inputs)
    }


def _form_in_file(files: Mapping[BuildPiece, Path], piece: BuildPiece) -> ImageForm:
    """Return the form of a build piece's images, read from the piece's archive."""
    return form_in(files[piece])


def _platforms(inputs: Mapping[Any, StepResult]) -> tuple[Platform, ...]:
    return tuple(platform for result in inputs.values() for platform in result.outcome.platforms)


def buildx_version(docker: Docker) -> tuple[int, int]:
    """Return the version of buildx. Raises Unreachable if buildx is missing or too old."""
    try:
        version = _VERSION.search(docker.call(lambda client: client.buildx.version(), timeout=_VERSION_TIMEOUT))
    except CommandFailed as failure:
        if not _NO_BUILDX.search(failure.completed.stderr):
            message = f"docker buildx does not work: {failure.completed.error}"
            raise Unreachable(message, hint="try: docker buildx version") from None
        version = None
    if version is None:
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


def settle_default(nodes: ReadyNodes, targets: Sequence[Target]) -> Driver:
    """Choose the driver of the default builder if `targets` use this builder, and return the driver."""
    automatic = [target for target in targets if target.builder.driver.rules.is_automatic]
    return nodes.settle_default(automatic) if automatic else AUTOMATIC_DRIVER


@contextlib.contextmanager
def open_runner(  # noqa: PLR0913, PLR0917 - each parameter is one input of a run
    targets: Sequence[Target],
    state: State,
    plan: Plan,
    environment: Mapping[str, str],
    repeat: Callable[[BuildPiece | Target], str],
    redact: Callable[[str], str],
    when_stopped: Callable[[Callable[[], None]], None],
    rights: Rights,
) -> Iterator[BuildKitRunner]:
    """Yield a runner for `targets` of `plan`. When the block ends, the runner's processes have ended.

    `redact` is applied to all output. `when_stopped` receives the function that cancels the running processes. `rights`
    are the rights of the run.
    """
    docker = Docker(child_environment(environment, targets), state.run, redact)
    nodes = ReadyNodes(docker, state.nodes, environment, plan.file)
    registries = Registries(docker, environment, redact)
    images = EngineImages(docker, plan.root)
    when_stopped(docker.cancel)
    try:
        with ThreadPoolExecutor(max_workers=1) as pool:
            buildx = pool.submit(buildx_version, docker)
            default = settle_default(nodes, targets)
        telemetry = telemetry_variables(environment)
        bake = Bake(
            docker=docker,
            root=plan.root,
            buildx=buildx.result(),
            redact=redact,
            telemetry=telemetry,
            rights=rights,
            may_start_git=cache(partial(may_start_git, environment=environment)),
        )
        builds = PieceBuilder(
            bake=bake, forms=ImageForms(nodes=nodes), registries=registries, images=images, state=state, repeat=repeat
        )
        builders = {target.builder.name: target.builder for target in targets}.values()
        shared = frozenset(node.id for builder in builders if len(builder.nodes) > 1 for node in builder.nodes)
        yield BuildKitRunner(
            docker=docker,
            nodes=nodes,
            builds=builds,
            registries=registries,
            images=images,
            default=default,
            shared=shared,
        )
    finally:
        images.close()
        registries.close()
        docker.close()
        nodes.tidy()
        # After an error, archives of build pieces may remain that were not joined.
        for archive in state.run.glob(f"*{PIECE_ARCHIVE_SUFFIX}"):
            archive.unlink(missing_ok=True)
