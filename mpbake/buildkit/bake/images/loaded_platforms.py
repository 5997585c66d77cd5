"""Decides which platforms of a build piece are loaded into the engine in use, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpbake.base.platforms import Platform
    from mpbake.buildkit.nodes.engines.engine import Engines
    from mpbake.graph.node_facts import EngineFacts
    from mpbake.model.steps import BuildPiece


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadDecision:
    """The platforms to load: all during the build, one after the build, or none. `warning` is the reason for none."""

    whole: bool = False
    platform: Platform | None = None
    warning: str = ""


def load_decision(piece: BuildPiece, engines: Engines) -> LoadDecision:
    """Decide which platforms of `piece` to load. Query the engine in use only if the answer matters.

    Raises Unreachable.
    """
    if not piece.target.load or piece.shared:
        return LoadDecision()
    if piece.piece_count == 1 and len(piece.platforms) <= 1:
        return LoadDecision(whole=True)
    return load_of(piece, engines.facts())


def load_of(piece: BuildPiece, engine: EngineFacts) -> LoadDecision:
    """Decide which platforms of `piece` to load into `engine`.

    An engine with the containerd image store loads all platforms of one solve. Any other engine loads only the engine's
    own platform.
    """
    if piece.piece_count == 1 and engine.containerd_store:
        return LoadDecision(whole=True)
    built = [placed.platform for placed in piece.platforms]
    if engine.platform in built:
        return LoadDecision(platform=engine.platform)
    if engine.platform not in piece.target.platforms and piece.target.platforms[:1] == tuple(built[:1]):
        return LoadDecision(
            warning=f"{piece.target.name}: not loaded, since it is not built for the engine's {engine.platform}"
        )
    return LoadDecision()
