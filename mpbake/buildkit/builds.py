"""Bake calls: one piece in each, or several pieces of one node."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.bake import dump
from mpbake.buildkit.complaints import build_error, is_doubtful
from mpbake.buildkit.definition import bake_definition, entitlements, grants
from mpbake.buildkit.docker import Watch
from mpbake.buildkit.engine import ask_engine
from mpbake.buildkit.progress import Progress, Update
from mpbake.drivers import unable
from mpbake.errors import BuildFailed, Disturbed, MpbakeError, NodeLost, UsageError
from mpbake.events import StepAdvanced, StepSaid
from mpbake.placement import contradictions
from mpbake.plan import Emulation
from mpbake.steps import BuildPiece, Delivery, Outcome
from mpbake.text import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mpbake.buildkit.docker import Completed, Docker
    from mpbake.buildkit.instances import Ready
    from mpbake.buildkit.nodes import Nodes
    from mpbake.events import Reporter
    from mpbake.state import State
    from mpbake.steps import Step, StepResult

_WITH_GRANTS = (0, 19)
_WITH_ENTITLEMENTS = (0, 17)
_PROBE = 20.0
"""Seconds in which a node must answer after a build that failed for no clear reason."""
_TARGET = re.compile(r"\[([A-Za-z0-9_-]+)[ \]]")
"""How the name of an operation begins where several targets are built."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Builds:
    """Makes bake calls on nodes.

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

    def build(
        self, pieces: Sequence[BuildPiece], inputs: Mapping[Step, StepResult], reporter: Reporter
    ) -> dict[Step, Outcome | MpbakeError]:
        """Build `pieces`, all of one node, in one call, and tell what became of each.

        Of several, one that failed only because another did is `Disturbed`; so is one that the others cannot share a
        definition with. Raises NodeLost when the node went away, and whatever `Nodes.ready` raises.
        """
        node = pieces[0].node
        ready = self.nodes.ready(node)
        built = [step.target for step in inputs if isinstance(step, BuildPiece) and step.node == node]
        ends: dict[Step, Outcome | MpbakeError] = {}
        targets: dict[str, Any] = {}
        for piece in pieces:
            own = bake_definition(piece, ready.facts.driver, built)["target"]
            refusal = self._refusal(piece, ready) or _conflict(own, targets)
            if refusal is None:
                targets |= own
            else:
                ends[piece] = refusal
        rest = [piece for piece in pieces if piece not in ends]
        return ends | (self._bake(rest, ready, {"target": targets}, reporter) if rest else {})

    def _refusal(self, piece: BuildPiece, ready: Ready) -> MpbakeError | None:
        """What the node must not do, or its driver cannot; its engine is asked only where that matters."""
        platforms = [each.platform for each in piece.platforms]
        found = contradictions(piece.node, platforms, ready.facts)
        if found and piece.target.builder.emulation is Emulation.FORBID:
            return UsageError("; ".join(found), hint=f'builder "{piece.node.builder}" says emulation = "forbid"')
        lacking = next(unable(piece.target, platforms, ready.facts.driver, containerd_store=False), None)
        if lacking and not ask_engine(self.docker, ready.endpoint).containerd_store:
            return UsageError(lacking.message, hint=lacking.hint)
        return None

    def _bake(
        self, pieces: Sequence[BuildPiece], ready: Ready, definition: dict[str, Any], reporter: Reporter
    ) -> dict[Step, Outcome | MpbakeError]:
        log = self.state.log(_log_name(pieces))
        metadata = self.docker.scratch / f"{log.stem}.json"
        command = ["buildx", "--builder", ready.builder, "bake", "--file", "-", "--progress", "rawjson"]
        command += ["--metadata-file", str(metadata)]
        command += [part for grant in self._grants(definition) for part in ("--allow", grant)]
        with _Follower(pieces, reporter, log, self.hide).open() as follower:
            found = self.docker.run(
                [*command, *(piece.target.name for piece in pieces)],
                endpoint=ready.endpoint,
                environment=ready.environment,
                given=dump(definition),
                cwd=self.root,
                timeout=pieces[0].target.timeout or None,
                on_stderr=follower.feed,
                watch=self._watch(pieces[0]),
            )
        if found.returncode:
            return self._failures(pieces, found, follower.progress, log)
        _keep(metadata, log.with_suffix(".json"), self.hide)
        return {piece: _outcome(piece, ready, metadata, log) for piece in pieces}

    def _grants(self, definition: dict[str, Any]) -> list[str]:
        """What the plan asks for and this buildx wants to be told."""
        found = entitlements(definition) if self.buildx >= _WITH_ENTITLEMENTS else []
        return [*found, *(grants(definition, _existing) if self.buildx >= _WITH_GRANTS else [])]

    def _watch(self, piece: BuildPiece) -> Watch | None:
        """A silent build goes on as long as its node answers: half the time is for the silence, half to answer."""
        half = piece.target.stall_timeout / 2
        return Watch(seconds=half, alive=lambda: self.nodes.answers(piece.node, half)) if half else None

    def _failures(
        self, pieces: Sequence[BuildPiece], found: Completed, progress: Progress, log: Path
    ) -> dict[Step, Outcome | MpbakeError]:
        """Whose fault it was that a call failed. Raises NodeLost when it was the node's."""
        error = self._error(_culprit(pieces, progress) or pieces[0], found, progress, log)
        if isinstance(error, NodeLost):
            raise error
        if len(pieces) == 1:
            return {pieces[0]: error}
        culprit = None if found.timed_out else _culprit(pieces, progress)
        what = f"{culprit.target.name}, of the same call, failed" if culprit else "a call of several targets failed"
        ends: dict[Step, Outcome | MpbakeError] = {piece: Disturbed(what) for piece in pieces}
        return ends | ({culprit: error} if culprit else {})

    def _error(self, piece: BuildPiece, found: Completed, progress: Progress, log: Path) -> MpbakeError:
        repeat = self.hide(self.repeat(piece))
        if found.stalled:
            return self._lost(piece, f"no progress and no answer within {duration(piece.target.stall_timeout)}", log)
        if found.timed_out:
            limit = duration(piece.target.timeout)
            return BuildFailed(f"took longer than its timeout of {limit}\nlog: {log}", hint=repeat)
        tags = piece.target.tags if piece.delivery is Delivery.TAGS else ()
        error = build_error(progress, tags, repeat, str(log))
        if not isinstance(error, NodeLost) and is_doubtful(error) and not self.nodes.answers(piece.node, _PROBE):
            return self._lost(piece, f"it does not answer any more: {error.message.partition(chr(10))[0]}", log)
        return error

    def _lost(self, piece: BuildPiece, what: str, log: Path) -> NodeLost:
        hint = f"is it up, and reachable from this machine? repeat with: {self.hide(self.repeat(piece))}"
        return NodeLost(f"node {piece.node.id} was lost during the build: {what}\nlog: {log}", hint=hint)


def _conflict(own: Mapping[str, Any], others: Mapping[str, Any]) -> MpbakeError | None:
    """Where a target that two pieces link to is not the same for both."""
    name = next((name for name in own if name in others and own[name] != others[name]), "")
    return Disturbed(f"it links to {name} in another way than others of the same call") if name else None


def _culprit(pieces: Sequence[BuildPiece], progress: Progress) -> BuildPiece | None:
    """The piece whose operation failed first, or None where that cannot be told."""
    name = _target_of(progress.failed.name) if progress.failed is not None else ""
    return next((piece for piece in pieces if piece.target.name == name), None)


def _target_of(operation: str) -> str:
    found = _TARGET.match(operation)
    return found[1] if found else ""


def _outcome(piece: BuildPiece, ready: Ready, metadata: Path, log: Path) -> Outcome:
    return Outcome(
        digest=_digest(metadata, piece.target.name),
        node=piece.node.id,
        tags=piece.target.tags if piece.delivery is Delivery.TAGS else (),
        platforms=tuple(each.platform for each in piece.platforms) or ready.facts.platforms[:1],
        log=str(log),
    )


def _log_name(pieces: Sequence[BuildPiece]) -> str:
    others = ", ".join(piece.target.name for piece in pieces[1:])
    return f"{pieces[0].key}{f' with {others}' if others else ''}"


def _existing(path: str) -> str:
    """`path`, or the nearest folder above it that exists."""
    found = Path(path)
    while not found.exists() and found != found.parent:
        found = found.parent
    return str(found)


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
    """Writes a call's log and tells the reporter, as the bytes come; `hide` sees every text first.

    What belongs to no piece is told of the first.
    """

    def __init__(
        self, pieces: Sequence[BuildPiece], reporter: Reporter, path: Path, hide: Callable[[str], str]
    ) -> None:
        self.progress = Progress(hide)
        self._pieces = {piece.target.name: piece for piece in pieces}
        self._first = pieces[0]
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
            self._log.write("\n".join(update.said) + "\n")
            self._log.flush()  # people follow it, and a full disk is to be noticed now
        said: dict[BuildPiece, list[str]] = {}
        for operation, line in zip(update.about, update.said, strict=True):
            said.setdefault(self._piece(operation), []).append(line)
        for piece, lines in said.items():
            self._reporter.handle(StepSaid(step=piece, text="\n".join(lines)))
        if update.activity:
            self._reporter.handle(StepAdvanced(step=self._piece(update.activity), activity=update.activity))

    def _piece(self, operation: str) -> BuildPiece:
        if len(self._pieces) == 1:
            return self._first
        return self._pieces.get(_target_of(operation), self._first)
