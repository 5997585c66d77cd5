"""The choice between an engine that already runs and an engine that the testbed starts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from testbed.dockerd import start_engine
from testbed.engine import BUILDKIT_IMAGE, Engine, find_engine, is_root_on_linux, obtains_buildkit
from testbed.errors import TestbedError

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.place import Place


def ensure_engine(place: Place) -> Engine:
    """Return the engine of this testbed, running.

    This is the engine of the user's settings, if it can build for several platforms: with its containerd image store,
    or with a BuildKit container. Otherwise the testbed starts an engine, if possible. The choice is recorded.
    """
    kept = Engine.load(engine_file(place), place.environ)
    engine = start_engine(place, "main") if kept is not None and kept.own else _choose(place, kept)
    engine.save(engine_file(place))
    return engine


def engine_file(place: Place) -> Path:
    """Return the file that records the choice."""
    return place.root / "engine.json"


def _choose(place: Place, kept: Engine | None) -> Engine:
    engine = _with_buildkit(find_engine(place), kept)
    if engine is not None and (engine.store == "containerd" or engine.buildkit):
        place.say(f"using the engine at {engine.host}, which has the {engine.store} image store")
        return engine
    if is_root_on_linux():
        place.say("starting an engine of the testbed's own")
        return start_engine(place, "main")
    if engine is None:
        message = (
            "No Docker engine answers, and only root on Linux can start one.\n"
            "Start Docker, or set DOCKER_HOST, so that `docker info` succeeds."
        )
        raise TestbedError(message)
    message = (
        f"The engine at {engine.host} has the classic image store and can not pull {BUILDKIT_IMAGE}.\n"
        "Switch on its containerd image store, or load that image into it."
    )
    raise TestbedError(message)


def _with_buildkit(engine: Engine | None, kept: Engine | None) -> Engine | None:
    """Return the engine, with BuildKit's image if it can get it. This is tried only once, since it can take a while."""
    if engine is None:
        return None
    if kept is not None and kept.host == engine.host:
        return replace(engine, buildkit=kept.buildkit)
    return replace(engine, buildkit=obtains_buildkit(engine))
