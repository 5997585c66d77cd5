"""The platforms that are loaded into the engine in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mpbake.base.platforms import parse_platform
from mpbake.buildkit.bake.images.loaded_platforms import LoadDecision, load_decision, load_of
from mpbake.buildkit.nodes.engines.engine import Engines
from mpbake.graph.node_facts import EngineFacts
from mpbake.graph.placement import place
from tests.unit.dockers import FakeDocker, done
from tests.unit.graphs import TWO_NODES
from tests.unit.plans import target_of_text

if TYPE_CHECKING:
    from mpbake.model.steps import BuildPiece

AMD64 = parse_platform("linux/amd64")


def pieces(platforms: str, builder: str = "default", attributes: str = "load = true") -> tuple[BuildPiece, ...]:
    names = ", ".join(f'"linux/{name}"' for name in platforms.split())
    plan = f"[targets.web]\nbuilder = '{builder}'\nplatforms = [{names}]\n{attributes}\n{TWO_NODES}"
    return place(target_of_text(plan), {}).pieces


def engine(*, containerd: bool = True, platform: str = "linux/amd64") -> EngineFacts:
    return EngineFacts(platform=parse_platform(platform), containerd_store=containerd)


def test_the_containerd_store_takes_all_platforms_of_one_piece() -> None:
    (piece,) = pieces("amd64 arm64")
    assert load_of(piece, engine()) == LoadDecision(whole=True)


def test_the_classic_store_takes_the_engines_own() -> None:
    (piece,) = pieces("amd64 arm64")
    assert load_of(piece, engine(containerd=False)) == LoadDecision(platform=AMD64)


@pytest.mark.parametrize("containerd", [True, False])
def test_of_several_pieces_one_is_loaded(*, containerd: bool) -> None:
    decisions = [load_of(piece, engine(containerd=containerd)) for piece in pieces("amd64 arm64", "release")]
    assert decisions == [LoadDecision(platform=AMD64), LoadDecision()]


def test_what_is_not_built_for_the_engine_is_said_once() -> None:
    decisions = [load_of(piece, engine(platform="linux/s390x")) for piece in pieces("amd64 arm64", "release")]
    assert [decision.warning for decision in decisions] == [
        "web: not loaded, since it is not built for the engine's linux/s390x",
        "",
    ]


def test_the_engine_is_asked_once_and_only_if_it_matters() -> None:
    docker = FakeDocker({"system info": done('{"OSType":"linux","Architecture":"x86_64"}')})
    engines = Engines(docker)
    (single,), (several,), (none,) = pieces("amd64"), pieces("amd64 arm64"), pieces("amd64 arm64", attributes="")
    assert (load_decision(single, engines), load_decision(none, engines), docker.commands) == (
        LoadDecision(whole=True),
        LoadDecision(),
        [],
    )
    assert load_decision(several, engines) == load_decision(several, engines) == LoadDecision(platform=AMD64)
    assert len(docker.commands) == 1
