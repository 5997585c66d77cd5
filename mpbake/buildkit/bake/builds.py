"""Builds build pieces and checks them, with bake calls on their nodes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import Cancelled, MpbakeError, NodeLost, Unreachable, UsageError
from mpbake.buildkit.bake.attempts import Attempts
from mpbake.buildkit.bake.bake_call import BakeCall
from mpbake.buildkit.bake.batch_rules import check_links, check_same_links
from mpbake.buildkit.bake.call_errors import CallErrors
from mpbake.buildkit.bake.call_results import build_outcome, keep_metadata, read_metadata
from mpbake.buildkit.bake.definition import (
    DefinitionContext,
    bake_definition,
    check_definition,
    load_definition,
    names_tags,
)
from mpbake.buildkit.bake.failures import is_image_failure
from mpbake.buildkit.bake.images.loaded_platforms import load_decision
from mpbake.buildkit.bake.images.published_bases import published_contexts
from mpbake.buildkit.bake.stall_watch import StallWatch
from mpbake.graph.links import linked_targets
from mpbake.graph.node_facts import declaration_conflicts
from mpbake.model.plan import Emulation
from mpbake.model.steps import BuildPiece, CheckPiece, Outcome
from mpbake.spec.drivers import unsupported_requests

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from mpbake.buildkit.bake.bake_call import Bake
    from mpbake.buildkit.bake.images.engine_images import EngineImages
    from mpbake.buildkit.bake.images.image_forms import ImageForms
    from mpbake.buildkit.bake.images.loaded_platforms import LoadDecision
    from mpbake.buildkit.nodes.instances.instances import ReadyNode
    from mpbake.buildkit.nodes.ready_nodes import ReadyNodes
    from mpbake.buildkit.registry.registries import Registries
    from mpbake.model.plan import Node, Target
    from mpbake.model.steps import Step, StepResult
    from mpbake.run.events import Reporter
    from mpbake.run.state.directory import State


@dataclass(frozen=True, kw_only=True, slots=True)
class PieceBuilder:
    """Builds build pieces and runs their checks. `repeat` returns a command that repeats a piece or a whole target.

    `published` holds the digests of the tags that the run has published so far. `images` keeps track of the images that
    engines build and push.
    """

    bake: Bake
    forms: ImageForms
    registries: Registries
    images: EngineImages
    state: State
    repeat: Callable[[BuildPiece | Target], str]
    published: dict[str, str] = field(default_factory=dict)

    @property
    def nodes(self) -> ReadyNodes:
        """The nodes of the run."""
        return self.forms.nodes

    @property
    def _attempts(self) -> Attempts:
        return Attempts(bake=self.bake, registries=self.registries)

    @property
    def _errors(self) -> CallErrors:
        return CallErrors(attempts=self._attempts, nodes=self.nodes, repeat=self.repeat)

    # --- pieces ---------------------------------------------------------------------------------------------------

    def build(
        self, pieces: Sequence[BuildPiece], inputs: Mapping[Step, StepResult], reporter: Reporter
    ) -> dict[Step, Outcome | MpbakeError]:
        """Build `pieces`, all on one node, in one bake call, and return the result of each.

        The result of a piece is BatchFailed in three cases: only another piece is at fault, the piece cannot share a
        definition with the others, or the piece links to a piece that cannot be built. Every piece comes after the
        pieces to which it links, and is built by its own definition.

        If an engine can load only one platform of a piece, a separate call loads that platform afterwards. If the node
        is lost during that load, NodeLost is the result of this piece alone. Raises NodeLost if the node is lost before
        all pieces are built, UsageError if the node has become foreign.
        """
        node = pieces[0].node
        ready_node = self._still_ready(node)
        built = {step.target for step in inputs if isinstance(step, BuildPiece) and step.node == node}
        context = self._context(ready_node, [piece.target for piece in pieces], built)
        context = replace(context, common={piece.target for piece in pieces if self.forms.is_common(piece)})
        results: dict[Step, Outcome | MpbakeError] = {}
        loads: dict[BuildPiece, LoadDecision] = {}
        targets: dict[str, Any] = {}
        for piece in pieces:
            try:
                check_links(piece, results)
                load = self._load_decision(piece, ready_node)
                own = self._targets(piece, context, load)
                check_same_links(own, targets, {accepted.target.name for accepted in loads})
            except Cancelled:
                raise
            except MpbakeError as refusal:
                results[piece] = refusal
            else:
                loads[piece] = load
                targets |= {name: own[name] for name in own if name not in targets}
        if not loads:
            return results
        return results | self._build(loads, ready_node, context, {"target": targets}, reporter)

    def archive_prefix(self, piece: BuildPiece) -> str:
        """Return the start of the file names of a build piece's archives."""
        return str(self.state.log(piece.key).with_suffix(""))

    def _load_decision(self, piece: BuildPiece, ready_node: ReadyNode) -> LoadDecision:
        """Return the platforms of a build piece to load. Raises Unreachable, and UsageError if it must not be built."""
        platforms = [placed.platform for placed in piece.platforms]
        conflicts = declaration_conflicts(piece.node, platforms, ready_node.facts)
        if conflicts and piece.target.builder.emulation is Emulation.FORBID:
            raise UsageError(
                "; ".join(conflicts), hint=f'allow emulation in builder "{piece.node.builder}", or add a native node'
            )
        driver = ready_node.facts.driver
        lacking = next(unsupported_requests(piece.target, platforms, driver, containerd_store=False), None)
        # mpbake queries the engine only if the answer matters.
        if lacking and not self.nodes.engines.facts(ready_node.endpoint).containerd_store:
            raise UsageError(lacking.message, hint=lacking.hint)
        return load_decision(piece, self.nodes.engines)

    def _targets(self, piece: BuildPiece, context: DefinitionContext, load: LoadDecision) -> dict[str, Any]:
        definition = bake_definition(piece, context, load=load.whole, archive_prefix=self.archive_prefix(piece))
        targets: dict[str, Any] = definition["target"]
        return targets

    def _build(
        self,
        loads: Mapping[BuildPiece, LoadDecision],
        ready_node: ReadyNode,
        context: DefinitionContext,
        definition: dict[str, Any],
        reporter: Reporter,
    ) -> dict[Step, Outcome | MpbakeError]:
        pieces = list(loads)
        log = self.state.log(_log_name(pieces))
        metadata = self.bake.docker.scratch / f"{log.stem}.json"
        stall_watch = self._stall_watch(pieces[0], ready_node, loads=any(load.whole for load in loads.values()))
        call = BakeCall(
            steps={piece.target.name: piece for piece in pieces},
            ready_node=ready_node,
            definition=definition,
            log=log,
            metadata=metadata,
            timeout=pieces[0].target.timeout,
            watch=stall_watch.watch,
            engine_error=stall_watch.engine_error,
            is_disconnected=stall_watch.is_disconnected,
        )
        if context.driver.rules.is_engine and not context.classic:
            self.images.remember_uploads([piece.target for piece in pieces if piece.target.push], ready_node)
        if any(piece.target.push for piece in pieces):
            self.registries.import_ahead()
        completed, progress = self._attempts.run(call, reporter)
        if completed.returncode:
            return self._errors.results(pieces, call, completed, progress)
        keep_metadata(metadata, log.with_suffix(".json"), self.bake.redact, reporter)
        built = read_metadata(metadata)
        results: dict[Step, Outcome | MpbakeError] = {}
        for piece, load in loads.items():
            outcome = build_outcome(piece, load, context, call, built)
            if len(pieces) > 1:
                outcome = replace(outcome, seconds=progress.seconds_of(piece.target.name))
            results[piece] = self._loaded(piece, outcome, load, context, call, reporter)
        return results

    # --- loading --------------------------------------------------------------------------------------------------

    def _loaded(
        self,
        piece: BuildPiece,
        outcome: Outcome,
        load: LoadDecision,
        context: DefinitionContext,
        call: BakeCall,
        reporter: Reporter,
    ) -> Outcome | MpbakeError:
        """Load the images of a build piece that the call has not loaded. Return `outcome`, or the error of the load."""
        if outcome.uploaded and context.driver.rules.is_engine:
            try:
                self._name(piece, outcome, call.ready_node)
            except Cancelled:
                raise
            except MpbakeError as error:
                return error
        return self._load(piece, load, context, call, reporter) or outcome

    def _name(self, piece: BuildPiece, outcome: Outcome, ready_node: ReadyNode) -> None:
        """Give an image its tags if the engine has built and pushed the image: so far, only the upload has a name."""
        if piece.target.load or any(names_tags(output, piece) for output in piece.target.outputs):
            self.images.name(piece.target, outcome.digest, ready_node)

    def _load(
        self, piece: BuildPiece, load: LoadDecision, context: DefinitionContext, built: BakeCall, reporter: Reporter
    ) -> MpbakeError | None:
        """Load one platform of a build piece that the call `built` has built. Return the error, if any."""
        if load.platform is None:
            return None
        definition = load_definition(piece, load.platform, context)
        stall_watch = self._stall_watch(piece, built.ready_node, loads=True)
        call = replace(
            built,
            steps={piece.target.name: piece},
            definition=definition,
            metadata=None,
            watch=stall_watch.watch,
            engine_error=stall_watch.engine_error,
            is_disconnected=stall_watch.is_disconnected,
        )
        return self._run_single(piece, call, reporter)

    # --- checks ---------------------------------------------------------------------------------------------------

    def check(self, step: CheckPiece, built: Outcome, reporter: Reporter) -> Outcome:
        """Run a check on the node of its build piece, whose outcome is `built`.

        If the node can pull the pushed image, the command of a check runs in that image, otherwise in the image in the
        cache. Raises NodeLost if the node is lost, BuildFailed, UsageError if the node has become foreign.
        """
        piece = step.piece
        ready_node = self._still_ready(piece.node)
        context = self._context(ready_node, [piece.target])
        name, definition = check_definition(step, context, built.uploaded)
        stall_watch = self._stall_watch(piece, ready_node, loads=False)
        call = BakeCall(
            steps={name: step},
            ready_node=ready_node,
            definition=definition,
            log=self.state.log(step.key),
            timeout=step.target.timeout,
            watch=stall_watch.watch,
            is_disconnected=stall_watch.is_disconnected,
        )
        error = self._run_single(piece, call, reporter)
        if error is not None and not step.lost and is_image_failure(error, built.uploaded):
            call = replace(call, definition=check_definition(step, context)[1])
            error = self._run_single(piece, call, reporter)
        if error is not None:
            raise error
        return Outcome(node=piece.node.id, log=str(call.log))

    # --- both -----------------------------------------------------------------------------------------------------

    def _context(
        self, ready_node: ReadyNode, targets: Sequence[Target], built: Collection[Target] = ()
    ) -> DefinitionContext:
        """Return the part of the run's history that the definitions of `targets` on a node need. Raises Unreachable."""
        with_links = dict.fromkeys(part for target in targets for part in (target, *linked_targets(target)))
        bases = {target: published_contexts(target, self.published) for target in with_links}
        driver = ready_node.facts.driver
        pushes = driver.rules.is_engine and any(target.push for target in targets)
        classic = pushes and not self.nodes.engines.facts(ready_node.endpoint).containerd_store
        return DefinitionContext(driver=driver, root=self.bake.root, bases=bases, built=built, classic=classic)

    def _still_ready(self, node: Node) -> ReadyNode:
        """Return the state of a node that was ready before. Raises NodeLost if the node no longer answers."""
        try:
            return self.nodes.ready(node)
        except Unreachable as error:
            raise NodeLost(error.message, hint=error.hint) from error

    def _run_single(self, piece: BuildPiece, call: BakeCall, reporter: Reporter) -> MpbakeError | None:
        """Make a call without tags for one `piece` that is already built. Return the error, if any."""
        completed, progress = self._attempts.run(call, reporter)
        return self._errors.error(piece, call, completed, progress) if completed.returncode else None

    def _stall_watch(self, piece: BuildPiece, ready_node: ReadyNode, *, loads: bool) -> StallWatch:
        """Return the watch for a build of `piece`. With the `docker` driver, no image is loaded into another engine."""
        loads = loads and not ready_node.facts.driver.rules.is_engine
        half = piece.target.stall_timeout / 2
        daemons = self.nodes.daemons(ready_node.node) if half else frozenset()
        return StallWatch(nodes=self.nodes, node=piece.node, half=half, loads=loads, daemons=daemons)


def _log_name(pieces: Sequence[BuildPiece]) -> str:
    others = ", ".join(piece.target.name for piece in pieces[1:])
    return f"{pieces[0].key}{f' with {others}' if others else ''}"
