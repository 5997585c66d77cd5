"""Parsing of manifests, indexes and configs."""

from __future__ import annotations

from typing import Any

import pytest

from mpbake.base.platforms import Platform, parse_platform, parse_platforms
from mpbake.buildkit.registry.manifests import attestation_types, in_buildkit_order, is_attestation
from tests.unit.indexes import MANY, ONE, attestation, config, entry, index
from tests.unit.registries import served_of


def platform(name: str) -> Platform:
    return parse_platform(name if "/" in name else f"linux/{name}")


PLAIN = {"name": "r/web:1", "manifest": {"digest": "sha256:1", "size": 855}, "image": config("arm", "v7")}


@pytest.mark.parametrize(
    ("data", "images"),
    [
        (MANY, {"amd64": "amd64", "arm64": "arm64"}),
        (ONE, {"amd64": "amd64"}),
        (PLAIN, {"linux/arm/v7": "linux/arm/v7"}),
        (index(entry("arm", "v6"), image=config("arm64")), {"linux/arm/v6": "arm64"}),
        (index(image={}), {}),
        (index(entry("amd64"), image=None), {"amd64": None}),
        # an entry without a platform
        (index({"digest": "sha256:b2cf", "size": 1}, image=config("amd64")), {"unknown/unknown": "amd64"}),
        (index({"digest": "x", "size": 1, "platform": None}, image=config("amd64")), {"unknown/unknown": "amd64"}),
        (index({"digest": "x", "platform": {"architecture": "arm64"}}, image=None), {"unknown/arm64": None}),
        # an artifact, whose config has no platform
        (PLAIN | {"image": {"architecture": "", "os": "", "config": {}}}, {"unknown/unknown": "unknown/unknown"}),
        (
            index(entry("amd64"), image={"architecture": "", "os": "", "config": {}}),
            {"linux/amd64": "unknown/unknown"},
        ),
        # each config belongs to the entry with its platform
        (
            index(entry("amd64"), entry("arm64"), image={"linux/amd64": config("amd64"), "linux/arm64": config("386")}),
            {"amd64": "amd64", "arm64": "386"},
        ),
    ],
)
def test_the_images_under_a_tag(data: dict[str, Any], images: dict[str, str | None]) -> None:
    served = served_of(data)
    assert served.digest == "sha256:1"
    assert {image.platform: image.configured for image in served.images} == {
        platform(name): None if own is None else platform(own) for name, own in images.items()
    }


def test_a_platform_that_is_none_is_shown_as_it_is_written() -> None:
    odd = entry("am\x1bd", system="a b")
    (alone,) = served_of(index(odd, image=config("", system="a b"))).images
    assert (str(alone.platform), str(alone.configured)) == ("a b/am\\x1bd", "a b/unknown")
    data = index(
        odd, entry("amd64"), image={"a b/am\x1bd": config("am\x1bd", system="a b"), "linux/amd64": config("amd64")}
    )
    assert [str(image.platform) for image in served_of(data).images] == ["a b/am\\x1bd", "linux/amd64"]
    assert all(image.configured == image.platform for image in served_of(data).images)
    ordered = in_buildkit_order(
        {"manifests": [odd, entry("amd64") | {"digest": "x"}]}, parse_platforms(["linux/amd64"])
    )
    assert [manifest["digest"] for manifest in ordered["manifests"]] == ["x", "sha256:am\x1bd"]


@pytest.mark.parametrize(
    ("marks", "is_one"),
    [
        ({"vnd.docker.reference.digest": "sha256:1", "vnd.docker.reference.type": "attestation-manifest"}, True),
        ({"vnd.docker.reference.digest": "sha256:1"}, False),
        ({}, False),
        (None, False),
    ],
)
def test_what_says_something_of_an_image(marks: dict[str, str] | None, *, is_one: bool) -> None:
    assert is_attestation({"annotations": marks}) is is_one


def test_labels_annotations_and_attestations() -> None:
    labelled = config("arm64") | {"config": {"Labels": {"a": "b"}}}
    image = entry("arm64") | {"annotations": {"c": "d"}}
    data = index(image, attestation("arm64"), attestation("arm64"), image=labelled)
    data["manifest"]["annotations"] = {"e": "f"}
    data["own"] = {"annotations": {"g": "h"}}
    served = served_of(data)
    assert served.annotations == {"e": "f"}
    assert served.statements == {"sha256:arm64": ("sha256:unknown", "sha256:unknown")}
    (served_image,) = served.images
    assert (served_image.labels, served_image.annotations) == (
        {"a": "b"},
        {"manifest-descriptor": {"c": "d"}, "manifest": {"g": "h"}},
    )
    assert served_of(PLAIN).images[0].labels == {}


def test_what_is_attested() -> None:
    layers = [
        {"annotations": {"in-toto.io/predicate-type": predicate}}
        for predicate in ("https://slsa.dev/provenance/v0.2", "https://spdx.dev/Document", "https://x.dev/y")
    ]
    assert attestation_types({"layers": layers}) == ("provenance", "sbom", "https://x.dev/y")
    assert attestation_types({}) == ()


def listed(digest: str, of: str = "") -> dict[str, Any]:
    """Return an entry of an index: an image, or an attestation manifest."""
    if not of:
        return entry(digest) | {"digest": digest}
    mark = {"vnd.docker.reference.digest": of, "vnd.docker.reference.type": "attestation-manifest"}
    return attestation() | {"digest": digest, "annotations": mark}


@pytest.mark.parametrize(
    ("entries", "order"),
    [
        ("amd64 arm64 amd64:1", "amd64 arm64 amd64:1"),
        ("arm64 amd64", "amd64 arm64"),
        ("amd64 amd64:1 arm64 arm64:1", "amd64 arm64 amd64:1 arm64:1"),
        (
            "amd64 386 amd64:1 386:1 amd64:2 arm64 arm64:1",
            "amd64 arm64 386 amd64:1 amd64:2 arm64:1 386:1",
        ),
        # undeclared platforms follow in their own order
        ("s390x riscv64 arm64", "arm64 s390x riscv64"),
        ("amd64:1 gone:1 amd64", "amd64 amd64:1 gone:1"),
        ("", ""),
    ],
)
def test_the_order_of_an_index(entries: str, order: str) -> None:
    manifests = [listed(name, name.partition(":")[0] if ":" in name else "") for name in entries.split()]
    declared = parse_platforms(["linux/amd64", "linux/arm64", "linux/386"])
    ordered = in_buildkit_order({"schemaVersion": 2, "manifests": manifests}, declared)
    assert [manifest["digest"] for manifest in ordered["manifests"]] == order.split()
    assert {**ordered, "manifests": []} == {"schemaVersion": 2, "manifests": []}


def test_what_is_no_index_has_no_order() -> None:
    assert in_buildkit_order({"layers": []}, ()) == {"layers": []}
