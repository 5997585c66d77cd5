"""The resolved plan: names of nodes, variants of targets, and results other than images."""

from __future__ import annotations

from typing import Any

import pytest

from mpbake.base.platforms import parse_platform
from mpbake.model.plan import Builder, Check, Driver, Node, PlatformVariant, Target

AMD64, ARM64, S390X = map(parse_platform, ("linux/amd64", "linux/arm64", "linux/s390x"))
BUILDER = Builder(name="b", driver=Driver.REMOTE, nodes=(Node(builder="b", name="n", driver=Driver.REMOTE),))


def target_of(name: str = "web", **fields: Any) -> Target:
    return Target(name=name, builder=BUILDER, **fields)


@pytest.mark.parametrize(
    ("node", "buildx_name", "folder_name"),
    [
        (Node(builder="CI", name="amd_64", driver=Driver.REMOTE), "ci-amd_64", "ci-amd_64"),
        (Node(builder="CI", name="amd_64", driver=Driver.KUBERNETES), "ci-amd-64", "ci-amd-64"),
        (Node(builder="CI", name="Node0", driver=Driver.REMOTE, external=True), "Node0", "Node0@CI"),
    ],
)
def test_names_of_nodes(node: Node, buildx_name: str, folder_name: str) -> None:
    assert (node.buildx_name, node.folder_name) == (buildx_name, folder_name)


def test_platforms_are_grouped_by_variant() -> None:
    common, special = (
        PlatformVariant(attributes={"context": name}, links={}, source_key=tuple) for name in ("common", "special")
    )
    variants = {AMD64: common, ARM64: special, S390X: common}
    target = target_of(platforms=(AMD64, ARM64, S390X), variants=variants)
    assert target.split_by_variant(()) == [(common, (AMD64, S390X)), (special, (ARM64,))]
    assert target.split_by_variant((ARM64,)) == [(special, (ARM64,))]
    assert target.on((ARM64,)) is special
    assert target.varies


def test_a_target_without_variants_is_one_group() -> None:
    target = target_of(platforms=(AMD64, ARM64), attributes={"context": "."})
    ((variant, platforms),) = target.split_by_variant((ARM64,))
    assert (variant.attributes, platforms) == ({"context": "."}, (ARM64,))
    assert not target.varies


def test_links_are_followed() -> None:
    base = target_of("base", platforms=(AMD64,))
    middle = target_of("middle", platforms=(AMD64, ARM64), links={"base": base})
    web = target_of(links={"middle": middle})
    assert web.every_link == (middle,)
    assert web.platforms_of_links == {(AMD64,), (AMD64, ARM64)}
    assert repr(web) == "Target('web')"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, False),
        ({"push": True, "attributes": {"call": "build"}}, False),
        ({"outputs": ("type=local,dest=out",)}, True),
        ({"checks": (Check(run=("true",)),)}, True),
        ({"attributes": {"cache-to": ["type=inline"]}}, True),
        ({"attributes": {"call": "check"}}, True),
    ],
)
def test_results_other_than_images(fields: dict[str, Any], *, expected: bool) -> None:
    assert target_of(**fields).has_other_results is expected


@pytest.mark.parametrize(
    ("attributes", "dockerfile"),
    [
        ({"context": "web"}, ("", "web/Dockerfile")),
        ({"context": "web", "dockerfile": "/d/Dockerfile"}, ("", "/d/Dockerfile")),
        ({"context": "https://example.com/web.git"}, ("", "")),
        ({"context": ".", "dockerfile-inline": "FROM a"}, ("FROM a", "./Dockerfile")),
    ],
)
def test_the_dockerfile_of_a_variant(attributes: dict[str, str], dockerfile: tuple[str, str]) -> None:
    assert PlatformVariant(attributes=attributes, links={}, source_key=tuple).dockerfile == dockerfile
