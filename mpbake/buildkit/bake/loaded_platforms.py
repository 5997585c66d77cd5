"""Which platforms of a piece are loaded into the engine in use, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpbake.base.platforms import Platform
    from mpbake.buildkit.nodes.engine import Engines
    from mpbake.graph.node_facts import EngineFacts
    from mpbake.model.steps import BuildPiece


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadDecision:
    """What is loaded of a piece: all of it while it is built, or `platform` of it after, or nothing, and why."""

    whole: bool = False
    platform: Platform | None = None
    warning: str = ""


def load_decision(piece: BuildPiece, engines: Engines) -> LoadDecision:
    """What is loaded of `piece`; the engine in use is asked only where that matters. Raises Unreachable."""
    if not piece.target.load or piece.shared:
        return LoadDecision()
    if piece.of == 1 and len(piece.platforms) <= 1:
        return LoadDecision(whole=True)
    return load_of(piece, engines.facts())


def load_of(piece: BuildPiece, engine: EngineFacts) -> LoadDecision:
    """An engine with the containerd image store takes all platforms of one solve; else its own platform is loaded."""
    if piece.of == 1 and engine.containerd_store:
        return LoadDecision(whole=True)
    built = [each.platform for each in piece.platforms]
    if engine.platform in built:
        return LoadDecision(platform=engine.platform)
    if engine.platform not in piece.target.platforms and piece.target.platforms[:1] == tuple(built[:1]):
        return LoadDecision(
            warning=f"{piece.target.name}: not loaded, since it is not built for the engine's {engine.platform}"
        )
    return LoadDecision()
