"""Builds and checks on nodes: which calls of bake they take, and whose fault it was that one failed."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import (
    BatchFailed,
    BuildFailed,
    Cancelled,
    MpbakeError,
    NodeLost,
    Unreachable,
    UsageError,
    system_error,
)
from mpbake.base.references import parse_reference
from mpbake.base.text import duration
from mpbake.buildkit.bake.bake_call import BakeCall
from mpbake.buildkit.bake.definition import (
    DefinitionContext,
    bake_definition,
    check_definition,
    dockerfiles,
    load_definition,
    names_tags,
    without_cache,
)
from mpbake.buildkit.bake.failures import (
    build_error,
    has_lost_result,
    is_doubtful,
    is_image_failure,
    is_push_failure,
    is_store_collision,
)
from mpbake.buildkit.bake.loaded_platforms import load_decision
from mpbake.buildkit.bake.progress import target_of
from mpbake.buildkit.bake.published_bases import published_contexts
from mpbake.buildkit.process.docker import Watch
from mpbake.buildkit.registry.client import repository_of
from mpbake.graph.delivery import repositories
from mpbake.graph.links import linked_targets
from mpbake.graph.placement import declaration_conflicts
from mpbake.model.plan import Emulation
from mpbake.model.steps import BuildPiece, CheckPiece, Delivery, Outcome
from mpbake.run.events import Warned
from mpbake.spec.drivers import unsupported_requests

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from mpbake.buildkit.bake.bake_call import Bake
    from mpbake.buildkit.bake.engine_images import EngineImages
    from mpbake.buildkit.bake.image_forms import ImageForms
    from mpbake.buildkit.bake.loaded_platforms import LoadDecision
    from mpbake.buildkit.bake.progress import Progress
    from mpbake.buildkit.nodes.instances import ReadyNode
    from mpbake.buildkit.nodes.ready_nodes import ReadyNodes
    from mpbake.buildkit.process.docker import Completed
    from mpbake.buildkit.registry.client import RegistryFailure
    from mpbake.buildkit.registry.registries import Registries
    from mpbake.model.plan import Node, Target
    from mpbake.model.steps import Step, StepResult
    from mpbake.run.events import Reporter
    from mpbake.run.state.directory import State

_PROBE = 20.0
"""Seconds in which a node must answer after a build that failed for no clear reason."""
_PUSH_PAUSES = (1.0, 4.0)
"""Seconds to wait before each retry of a push that failed, after BuildKit's own retries."""
_SHORTEST = 1.0
"""Seconds that a call has when it is made again, however little is left of its target's timeout."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PieceBuilder:
    """Builds pieces and runs their checks. `repeat` gives the command that does a piece, or a whole target, again.

    `published` holds the digests of the tags that the run has given so far. `images` keeps what engines build and push.
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
        """The nodes on which it builds."""
        return self.forms.nodes

    # --- pieces ---------------------------------------------------------------------------------------------------

    def build(
        self, pieces: Sequence[BuildPiece], inputs: Mapping[Step, StepResult], reporter: Reporter
    ) -> dict[Step, Outcome | MpbakeError]:
        """Build `pieces`, all of one node, in one call, and tell what became of each.

        Of several, one that failed only because another did is `Disturbed`; so is one that the others cannot share a
        definition with, and one that links to a piece which may not be built. A piece that others of the call link to
        comes before them, and its own definition counts. Of a piece that the engine takes no more than one platform of,
        that is loaded in a call of its own after: if the node is lost during that load, NodeLost is the result of this
        piece alone. Raises NodeLost when the node is lost before all pieces are built, UsageError when it is somebody
        else's by now.
        """
        node = pieces[0].node
        ready = self._ready_still(node)
        built = {step.target for step in inputs if isinstance(step, BuildPiece) and step.node == node}
        setting = self._setting(ready, [piece.target for piece in pieces], built)
        setting = replace(setting, common={piece.target for piece in pieces if self.forms.is_common(piece)})
        ends: dict[Step, Outcome | MpbakeError] = {}
        loads: dict[BuildPiece, LoadDecision] = {}
        targets: dict[str, Any] = {}
        for piece in pieces:
            try:
                _check_links(piece, ends)
                load = self._load_of(piece, ready)
                own = self._targets(piece, setting, load)
                _check_same(own, targets, {each.target.name for each in loads})
            except Cancelled:
                raise
            except MpbakeError as refusal:
                ends[piece] = refusal
            else:
                loads[piece] = load
                targets |= {name: own[name] for name in own if name not in targets}
        return ends | (self._build(loads, ready, setting, {"target": targets}, reporter) if loads else {})

    def _load_of(self, piece: BuildPiece, ready: ReadyNode) -> LoadDecision:
        """What is loaded of a piece that may be built. Raises UsageError where it may not, Unreachable."""
        platforms = [each.platform for each in piece.platforms]
        found = declaration_conflicts(piece.node, platforms, ready.facts)
        if found and piece.target.builder.emulation is Emulation.FORBID:
            raise UsageError("; ".join(found), hint=f'builder "{piece.node.builder}" says emulation = "forbid"')
        lacking = next(unsupported_requests(piece.target, platforms, ready.facts.driver, containerd_store=False), None)
        # The engine is asked only where that matters.
        if lacking and not self.nodes.engines.facts(ready.endpoint).containerd_store:
            raise UsageError(lacking.message, hint=lacking.hint)
        return load_decision(piece, self.nodes.engines)

    def _targets(self, piece: BuildPiece, setting: DefinitionContext, load: LoadDecision) -> dict[str, Any]:
        definition = bake_definition(piece, setting, load=load.whole, parts=self.parts_of(piece))
        found: dict[str, Any] = definition["target"]
        return found

    def parts_of(self, piece: BuildPiece) -> str:
        """How the names of a piece's parts of archives begin."""
        return str(self.state.log(piece.key).with_suffix(""))

    def _build(
        self,
        loads: Mapping[BuildPiece, LoadDecision],
        ready: ReadyNode,
        setting: DefinitionContext,
        definition: dict[str, Any],
        reporter: Reporter,
    ) -> dict[Step, Outcome | MpbakeError]:
        pieces = list(loads)
        log = self.state.log(_log_name(pieces))
        metadata = self.bake.docker.scratch / f"{log.stem}.json"
        vigil = self._vigil(pieces[0], ready, loads=any(load.whole for load in loads.values()))
        call = BakeCall(
            steps={piece.target.name: piece for piece in pieces},
            ready=ready,
            definition=definition,
            log=log,
            metadata=metadata,
            timeout=pieces[0].target.timeout,
            watch=vigil.watch,
            complaint=vigil.complaint,
        )
        if setting.driver.rules.is_engine and not setting.classic:
            self.images.keep_in_mind([piece.target for piece in pieces if piece.target.push], ready)
        if any(piece.target.push for piece in pieces):
            self.registries.import_ahead()
        found, progress = self._run(call, reporter)
        if found.returncode:
            return self._failures(pieces, call, found, progress)
        self._keep(metadata, log.with_suffix(".json"), reporter)
        built = _read_metadata(metadata)
        ends: dict[Step, Outcome | MpbakeError] = {}
        for piece, load in loads.items():
            outcome = _outcome(piece, load, setting, call, _built(built, piece.target.name))
            if len(pieces) > 1:
                outcome = replace(outcome, seconds=progress.seconds_of(piece.target.name))
            ends[piece] = self._end(piece, outcome, load, setting, call, reporter)
        return ends

    def _end(
        self,
        piece: BuildPiece,
        outcome: Outcome,
        load: LoadDecision,
        setting: DefinitionContext,
        call: BakeCall,
        reporter: Reporter,
    ) -> Outcome | MpbakeError:
        """Load a piece that was built, as far as its call did not: `outcome`, or the error of that."""
        if outcome.uploaded and setting.driver.rules.is_engine:
            try:
                self._name(piece, outcome, call.ready)
            except Cancelled:
                raise
            except MpbakeError as error:
                return error
        return self._load(piece, load, setting, call, reporter) or outcome

    def _name(self, piece: BuildPiece, outcome: Outcome, ready: ReadyNode) -> None:
        """Load an image that the engine has built and pushed: it is in the store under the name of the upload only."""
        if piece.target.load or any(names_tags(each, piece) for each in piece.target.outputs):
            self.images.name(piece.target, outcome.digest, ready)

    def _keep(self, metadata: Path, path: Path, reporter: Reporter) -> None:
        """Keep what buildx says of a build, without secrets: it repeats much of what it was told."""
        try:
            said = metadata.read_text(encoding="utf-8", errors="replace")
            path.write_text(self.bake.redact(said), encoding="utf-8")
        except FileNotFoundError:
            pass
        except OSError as failure:  # what was built is built
            reporter.handle(Warned(message=system_error(failure, str(path)).message))

    def _load(
        self, piece: BuildPiece, load: LoadDecision, setting: DefinitionContext, built: BakeCall, reporter: Reporter
    ) -> MpbakeError | None:
        """Load that of a built piece which was not loaded while it was built: the error of that."""
        if load.platform is None:
            return None
        definition = load_definition(piece, load.platform, setting)
        vigil = self._vigil(piece, built.ready, loads=True)
        call = replace(
            built,
            steps={piece.target.name: piece},
            definition=definition,
            metadata=None,
            watch=vigil.watch,
            complaint=vigil.complaint,
        )
        return self._single(piece, call, reporter)

    # --- checks ---------------------------------------------------------------------------------------------------

    def check(self, step: CheckPiece, built: Outcome, reporter: Reporter) -> Outcome:
        """Run a check on the node of its piece, as which `built` was made.

        A command runs in the image that a registry has, if it was uploaded and can be had, else in what the cache
        holds. Raises NodeLost when the node went away, BuildFailed, UsageError when the node is somebody else's by now.
        """
        piece = step.piece
        ready = self._ready_still(piece.node)
        setting = self._setting(ready, [piece.target])
        name, definition = check_definition(step, setting, built.uploaded)
        call = BakeCall(
            steps={name: step},
            ready=ready,
            definition=definition,
            log=self.state.log(step.key),
            timeout=step.target.timeout,
            watch=self._vigil(piece, ready, loads=False).watch,
        )
        error = self._single(piece, call, reporter)
        if error is not None and not step.lost and is_image_failure(error, built.uploaded):
            call = replace(call, definition=check_definition(step, setting)[1])
            error = self._single(piece, call, reporter)
        if error is not None:
            raise error
        return Outcome(node=piece.node.id, log=str(call.log))

    def _setting(
        self, ready: ReadyNode, targets: Sequence[Target], built: Collection[Target] = ()
    ) -> DefinitionContext:
        """What the run has done before, as far as it matters to `targets` on a node. Raises Unreachable."""
        every = dict.fromkeys(each for target in targets for each in (target, *linked_targets(target)))
        upon = {each: published_contexts(each, self.published) for each in every}
        driver = ready.facts.driver
        pushes = driver.rules.is_engine and any(target.push for target in targets)
        classic = pushes and not self.nodes.engines.facts(ready.endpoint).containerd_store
        return DefinitionContext(driver=driver, upon=upon, built=built, classic=classic)

    def _ready_still(self, node: Node) -> ReadyNode:
        """A node that has been made ready. Raises NodeLost where it does not answer any more."""
        try:
            return self.nodes.ready(node)
        except Unreachable as error:
            raise NodeLost(error.message, hint=error.hint) from error

    # --- calls ----------------------------------------------------------------------------------------------------

    def _run(self, call: BakeCall, reporter: Reporter) -> tuple[Completed, Progress]:
        """Make a call, and again where it failed for a reason that may be gone the next time."""
        begun = time.monotonic()
        found, progress = self._run_twice(call, reporter)
        for seconds in _PUSH_PAUSES:
            if not found.returncode or not self._may_push_now(call, found, progress):
                break
            reporter.handle(Warned(message=f"{', '.join(call.steps)}: the push failed: it is tried again"))
            self.bake.docker.pause(seconds)
            found, progress = self._run_twice(replace(call, timeout=_left(call, begun)), reporter)
        return found, progress

    def _run_twice(self, call: BakeCall, reporter: Reporter) -> tuple[Completed, Progress]:
        """Make a call, and once more where it failed for a reason of BuildKit's own that does not come again.

        Nothing is built anew for a `call` that only takes out of the cache what was built before.
        """
        begun = time.monotonic()
        found, progress = self.bake.run(call, reporter)
        if not found.returncode:
            return found, progress
        if is_store_collision(progress):
            told = "another build kept the same image at that moment: done again"
        elif call.metadata is not None and has_lost_result(progress):
            told = "BuildKit lost what another build had left: built again without the cache"
            at_fault = target_of(progress.failed.name) if progress.failed else ""
            names = [at_fault] if at_fault in call.steps else call.steps
            call = replace(call, definition=without_cache(call.definition, names))
        else:
            return found, progress
        reporter.handle(Warned(message=f"{', '.join(call.steps)}: {told}"))
        return self.bake.run(replace(call, timeout=_left(call, begun)), reporter)

    def _may_push_now(self, call: BakeCall, found: Completed, progress: Progress) -> bool:
        """Whether what failed is a push to registries that take uploads, or fail for a reason of their own.

        The registry is asked: what BuildKit says of its answer has no status.
        """
        if found.timed_out or found.stalled or not is_push_failure(progress):
            return False
        failures = self._push_failures(self._pushing(call, progress))
        return not any(failure.is_refusal or failure.lost is not None for failure in failures.values())

    @staticmethod
    def _pushing(call: BakeCall, progress: Progress) -> list[Target]:
        """The targets whose push may have failed: the one that BuildKit names, or all of a call."""
        targets = {name: step.target for name, step in call.steps.items() if isinstance(step, BuildPiece)}
        name = target_of(progress.failed.name) if progress.failed is not None else ""
        return [targets[name]] if name in targets else list(targets.values())

    def _push_failures(self, targets: Sequence[Target]) -> dict[str, RegistryFailure]:
        """Why repositories of some targets do not take uploads at the moment, by repository."""
        found = {}
        for target in targets:
            client = self.registries.client(target.builder)
            for name in repositories(target):
                if failure := client.probe(repository_of(name)):
                    found[name] = failure
        return found

    def _explained(self, error: MpbakeError, targets: Sequence[Target]) -> MpbakeError:
        """The error of a push, with what the registry itself answers; no tag has moved then."""
        error = error.saying("no tag has moved")
        for name, failure in self._push_failures(targets).items():
            if failure.lost is None:
                told = failure.error(f"push to {name}")
                hint = "; ".join(filter(None, (told.hint, error.hint)))
                kind = BuildFailed if told.exit_code == BuildFailed.exit_code else type(told)
                return kind(f"{error.message}\n{told.message}", hint=hint)
        return error

    def _single(self, piece: BuildPiece, call: BakeCall, reporter: Reporter) -> MpbakeError | None:
        """Make a call that gives no tags and is about a built `piece` alone, and return its error."""
        found, progress = self._run(call, reporter)
        return self._error(piece, call, found, progress) if found.returncode else None

    def _vigil(self, piece: BuildPiece, ready: ReadyNode, *, loads: bool) -> _Vigil:
        """Half of a stall-timeout is for the silence, half to answer; what an engine builds is loaded by itself."""
        loads = loads and not ready.facts.driver.rules.is_engine
        return _Vigil(nodes=self.nodes, node=piece.node, half=piece.target.stall_timeout / 2, loads=loads)

    def _failures(
        self, pieces: Sequence[BuildPiece], call: BakeCall, found: Completed, progress: Progress
    ) -> dict[Step, Outcome | MpbakeError]:
        """Whose fault it was that a call failed. Raises NodeLost when it was the node's."""
        culprit = _late(pieces, progress) if found.timed_out else _culprit(pieces, progress)
        first = culprit or pieces[0]
        error = self._error(first, call, found, progress)
        if isinstance(error, NodeLost):
            raise error
        if len(pieces) == 1:
            return {pieces[0]: error}
        culprit = None if is_store_collision(progress) or has_lost_result(progress) else culprit
        # An operation of a base bears the name of whichever target got to it first.
        within = linked_targets(culprit.target) if culprit else ()
        bases = {piece for piece in pieces if piece.target in within}
        known = culprit is not None and not bases
        what = f"another target of the same batch failed: {first.target.name}" if known else "the batch failed"
        alone = bases if culprit else set(pieces)
        ends: dict[Step, Outcome | MpbakeError] = {piece: BatchFailed(what, alone=piece in alone) for piece in pieces}
        return ends | ({first: error} if known else {})

    def _error(self, piece: BuildPiece, call: BakeCall, found: Completed, progress: Progress) -> MpbakeError:
        """What went wrong, as far as `piece` is to blame."""
        # A part alone is never pushed.
        again = self.repeat(piece.target if is_push_failure(progress) else piece)
        repeat = self.bake.redact(again)
        if complaint := call.complaint():
            message = f"cannot be loaded: {complaint.message}\nlog: {call.log}"
            return Unreachable(message, hint=f"{complaint.hint}; repeat with: {repeat}")
        if found.stalled:
            limit = duration(piece.target.stall_timeout)
            return self._lost(piece, f"no progress and no answer within {limit}", call.log)
        if found.timed_out:
            limit = duration(call.timeout)
            message = f"took longer than its timeout of {limit}\nlog: {call.log}"
            return BuildFailed(message, hint=f"where that is too short, raise timeout; repeat with: {repeat}")
        check = next((step for step in call.steps.values() if isinstance(step, CheckPiece)), None)
        files = {name: self.bake.redact(each) for name, each in dockerfiles(call.definition, self.bake.root).items()}
        error = build_error(progress, repeat, str(call.log), check, dockerfiles=files)
        if is_push_failure(progress) and not isinstance(error, NodeLost):
            error = self._explained(error, [piece.target])
        if isinstance(error, NodeLost):
            return NodeLost(f"node {piece.node.id} was lost: {error.message}", hint=error.hint)
        if is_doubtful(error) and not self.nodes.answers(piece.node, _PROBE):
            said = error.message.partition("\n")[0]
            return self._lost(piece, f"it does not answer any more: {said}", call.log)
        return error

    def _lost(self, piece: BuildPiece, what: str, log: Path) -> NodeLost:
        hint = f"is it up, and reachable from this machine? repeat with: {self.bake.redact(self.repeat(piece))}"
        return NodeLost(f"node {piece.node.id} was lost: {what}\nlog: {log}", hint=hint)


@dataclass(kw_only=True, slots=True)
class _Vigil:
    """A silent build goes on as long as its node answers, and the engine in use, where it `loads` something into that.

    Each has `half` a stall-timeout for it; with 0 nobody is asked.
    """

    nodes: ReadyNodes
    node: Node
    half: float
    loads: bool
    _complaint: Unreachable | None = None

    @property
    def watch(self) -> Watch | None:
        return Watch(seconds=self.half, alive=self._is_alive) if self.half else None

    def complaint(self) -> Unreachable | None:
        """Why the engine does not answer, if it was the one that did not."""
        return self._complaint

    def _is_alive(self) -> bool:
        if not self.nodes.answers_at_last(self.node, self.half):
            return False
        self._complaint = self.nodes.engine_complaint(self.half) if self.loads else None
        return self._complaint is None


def _left(call: BakeCall, begun: float) -> float:
    """The seconds that are left of a call's timeout when it is made again; 0 where it has none."""
    return call.timeout and max(call.timeout - (time.monotonic() - begun), _SHORTEST)


_DELIVERY = ("output", "tags", "attest", "cache-to", "annotations")
"""Attributes that say what becomes of a result: they make no difference to those that link to it."""


def _check_links(piece: BuildPiece, ends: Mapping[Step, Outcome | MpbakeError]) -> None:
    """Raise Disturbed where `piece` links to one that has ended before anything was built."""
    refused = {each.target for each in ends if isinstance(each, BuildPiece)}
    name = next((each.name for each in linked_targets(piece.target) if each in refused), "")
    if name:
        raise BatchFailed(f"it links to {name}, which cannot be built", alone=True)


def _check_same(own: Mapping[str, Any], others: Mapping[str, Any], built: Collection[str]) -> None:
    """Raise Disturbed where a target that two pieces link to is not the same for both.

    Of one that is itself `built` by the call it does not matter what becomes of its result.
    """
    for name in own.keys() & others.keys():
        ignored = _DELIVERY if name in built else ()
        one, other = ({key: each[key] for key in each if key not in ignored} for each in (own[name], others[name]))
        if one != other:
            raise BatchFailed(f"it links to {name} in another way than others of the same batch", alone=True)


def _culprit(pieces: Sequence[BuildPiece], progress: Progress) -> BuildPiece | None:
    """The piece whose operation failed first, or that of something which it alone links to; None if that is unknown."""
    name = target_of(progress.failed.name) if progress.failed is not None else ""
    own = [piece for piece in pieces if piece.target.name == name]
    users = [piece for piece in pieces if any(link.name == name for link in linked_targets(piece.target))]
    return own[0] if own else users[0] if len(users) == 1 else None


def _late(pieces: Sequence[BuildPiece], progress: Progress) -> BuildPiece | None:
    """The piece that used up the time of its call: the only one that was still being built, if there is one."""
    late = [piece for piece in pieces if piece.target.name in progress.unfinished()]
    return late[0] if len(late) == 1 else None


def _outcome(
    piece: BuildPiece, load: LoadDecision, setting: DefinitionContext, call: BakeCall, built: tuple[str, str]
) -> Outcome:
    image, digest = built
    is_pushed = piece.delivery is Delivery.UNTAGGED and not setting.classic
    return Outcome(
        digest=digest,
        kept=image,
        uploaded=parse_reference(piece.target.tags[0]).at(digest) if is_pushed and digest else "",
        node=piece.node.id,
        platforms=tuple(each.platform for each in piece.platforms) or call.ready.facts.platforms[:1],
        log=str(call.log),
        warnings=(load.warning,) if load.warning else (),
    )


def _log_name(pieces: Sequence[BuildPiece]) -> str:
    others = ", ".join(piece.target.name for piece in pieces[1:])
    return f"{pieces[0].key}{f' with {others}' if others else ''}"


def _read_metadata(path: Path) -> Any:
    """What buildx's metadata file says, by target; nothing where it cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        return json.loads(path.read_bytes())
    return {}


def _built(metadata: Any, target: str) -> tuple[str, str]:
    """What an image that was built is called by its content, and its digest, from buildx's metadata.

    The classic image store knows only an image's id: that is no digest. For an engine that pushes, buildx overwrites
    `containerimage.digest` by what the tag of the upload names by then, which another run may have pushed.
    """
    image = ""
    with contextlib.suppress(LookupError, TypeError, AttributeError):
        found = metadata[target]
        image = str(found["containerimage.digest"])
        digest = str(found["containerimage.descriptor"]["digest"])
        return digest, digest
    return image, ""
