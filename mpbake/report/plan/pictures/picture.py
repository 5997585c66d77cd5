"""The graph of a plan as boxes and arrows, for languages that draw graphs. Pure.

A picture shows each step in the frame of its target. A picture of a large plan shows only targets, and at most a number
of them that the language can draw.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

from mpbake.base.text import count, one_line, shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mpbake.model.steps import StepVerb
    from mpbake.review.document.plan_document import Document

_LONGEST_LINE = 80
_MOST_LINES = 4
_NODES = "nodes"
LEGEND = {
    "native": "native",
    "emulated": "EMULATED",
    "unknown": "native or emulated: not known yet",
    "registry": "tags in a registry",
    "plain": "other steps",
}
"""The styles of boxes, with their meaning."""
COLOURS = {
    "native": ("#dafbe1", "#1a7f37"),
    "emulated": ("#ffebe9", "#cf222e"),
    "unknown": ("#fff8c5", "#9a6700"),
    "registry": ("#ddf4ff", "#0969da"),
    "plain": ("#f6f8fa", "#59636e"),
}
"""The colours of each style: inside, and outline."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """A box: its style, and the lines in it. The lines are printable, but not escaped for any language."""

    id: str
    style: str
    lines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """Frames of boxes by title, and arrows between the ids of boxes. A box in the frame without a title has no frame.

    `note` says what the picture leaves out.
    """

    frames: Mapping[str, Sequence[Box]]
    arrows: Sequence[tuple[str, str]] = ()
    note: str = ""

    @property
    def styles(self) -> list[str]:
        """The styles that occur, in the order of the legend."""
        used = {box.style for boxes in self.frames.values() for box in boxes}
        return [style for style in LEGEND if style in used]


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How many boxes and arrows a language can draw."""

    boxes: int
    arrows: int


def picture_of(document: Document, limits: Limits) -> Picture:
    """Return the picture of a plan: of its steps or, if there are too many, of its targets."""
    steps = document["steps"]
    arrows = sum(len(step["after"]) for step in steps)
    if len(steps) <= limits.boxes and arrows <= limits.arrows:
        return _steps(steps)
    return _cut(_targets(document), limits, len(steps))


# --- steps ------------------------------------------------------------------------------------------------------------


def _steps(steps: Iterable[Document]) -> Picture:
    ids = {step["key"]: f"s{number}" for number, step in enumerate(steps, 1)}
    frames: dict[str, list[Box]] = {}
    for step in steps:
        title = _NODES if step["kind"] == "bootstrap" else _line(f"target {step['target']}")
        box = Box(id=ids[step["key"]], style=_style(step), lines=tuple(map(_line, _lines(step))))
        frames.setdefault(title, []).append(box)
    return Picture(
        frames=frames, arrows=[(ids[before], ids[step["key"]]) for step in steps for before in step["after"]]
    )


def _style(step: Document) -> str:
    verb: StepVerb = step["kind"]
    match verb:
        case "build":
            return _worst(placed["how"] for placed in step["platforms"])
        case "publish" | "verify":
            return "registry"
        case "bootstrap" | "join" | "check":
            return "plain"
        case _:
            assert_never(verb)


def _worst(ways: Iterable[str]) -> str:
    """Return the way of building that matters most to a reviewer. Every node runs its own platform natively."""
    used = set(ways)
    return next((how for how in ("emulated", "unknown") if how in used), "native")


def _lines(step: Document) -> list[str]:
    verb: StepVerb = step["kind"]
    match verb:
        case "bootstrap":
            return [f"bootstrap {step['node']}"]
        case "build":
            others = f" or {count(len(step['nodes']) - 1, 'equal node')}" if len(step["nodes"]) > 1 else ""
            shared = ["into the cache"] if step["shared"] else []
            return [f"build {_platforms(step)}", f"on {step['nodes'][0]}{others}", *shared]
        case "publish":
            return ["publish", *_some(step["tags"])]
        case "check":
            return [f"check {' '.join(step['run']) or step['stage']}"]
        case "join" | "verify":
            return [verb]
        case _:
            assert_never(verb)


def _platforms(step: Document) -> str:
    emulated = {"emulated": " EMULATED"}
    placed = [f"{placed['platform']}{emulated.get(placed['how'], '')}" for placed in step["platforms"]]
    return ", ".join(placed) or "the node's own platform"


def _some(texts: Sequence[str]) -> list[str]:
    more = [f"… and {len(texts) - _MOST_LINES} more"] if len(texts) > _MOST_LINES else []
    return [*texts[:_MOST_LINES], *more]


def _line(text: str) -> str:
    return one_line(shortened(text, _LONGEST_LINE))


# --- targets ----------------------------------------------------------------------------------------------------------


@dataclass(kw_only=True, slots=True)
class _TargetBox:
    """The facts about a target in its box: its platforms with the way of building, and its number of tags."""

    ways: dict[str, str] = field(default_factory=dict)
    tags: int = 0
    before: dict[str, None] = field(default_factory=dict)


def _targets(document: Document) -> dict[str, _TargetBox]:
    """Return the targets that have steps, with the targets that come before them."""
    owners = {step["key"]: step.get("target", "") for step in document["steps"]}
    targets: dict[str, _TargetBox] = {}
    for step in document["steps"]:
        if step["kind"] == "bootstrap":
            continue
        target = targets.setdefault(step["target"], _TargetBox())
        target.before |= {owners[key]: None for key in step["after"] if owners[key] not in ("", step["target"])}
        if step["kind"] == "build":
            target.ways |= {placed["platform"]: placed["how"] for placed in step["platforms"]}
        if step["kind"] == "publish":
            target.tags = len(step["tags"])
    return targets


def _cut(targets: Mapping[str, _TargetBox], limits: Limits, steps: int) -> Picture:
    """Return the picture of the first targets, with as many arrows as the language can draw."""
    shown = list(targets)[: limits.boxes]
    ids = {name: f"t{number}" for number, name in enumerate(shown, 1)}
    every_arrow = [(ids[before], ids[name]) for name in shown for before in targets[name].before if before in ids]
    arrows = every_arrow[: limits.arrows]
    left_out = [
        f"{count(steps, 'step')} drawn as targets",
        *([f"{len(targets) - len(shown)} more targets left out"] if len(shown) < len(targets) else []),
        *([f"{len(every_arrow) - len(arrows)} more arrows left out"] if len(arrows) < len(every_arrow) else []),
    ]
    boxes = [_target_box(ids[name], name, targets[name]) for name in shown]
    return Picture(frames={"": boxes}, arrows=arrows, note="; ".join(left_out))


def _target_box(box_id: str, name: str, target: _TargetBox) -> Box:
    emulated = [platform for platform, how in target.ways.items() if how == "emulated"]
    lines = [
        name,
        ", ".join(target.ways),
        *([f"EMULATED: {', '.join(emulated)}"] if emulated else []),
        *([count(target.tags, "tag")] if target.tags else []),
    ]
    return Box(id=box_id, style=_worst(target.ways.values()), lines=tuple(_line(line) for line in lines if line))
