"""Expected images, and their differences from served images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mpbake.base.platforms import parse_platform
from mpbake.model.annotations import Annotation, parse_annotations
from mpbake.model.expected_images import ExpectedImages, Served, ServedImage, expected_of, mismatches
from tests.unit.plans import target_of_text

AMD64, ARM64 = parse_platform("linux/amd64"), parse_platform("linux/arm64")


def test_what_a_plan_declares() -> None:
    target = target_of_text("""
        [targets.web]
        tags = ["r/web:1"]
        platforms = ["linux/amd64", "linux/arm64"]
        labels = { on = "{{ platform.arch }}" }
        annotations = ["index,manifest[linux/arm64]:a=b=c", "d=e"]
        attest = ["type=sbom,generator=x", "type=provenance,disabled=1"]
        """)
    assert expected_of(target, (AMD64, ARM64), "sha256:1") == ExpectedImages(
        target="web",
        tags=("r/web:1",),
        digest="sha256:1",
        platforms=(AMD64, ARM64),
        labels={"linux/amd64": {"on": "amd64"}, "linux/arm64": {"on": "arm64"}},
        annotations=(
            Annotation(kind="index", key="a", value="b=c"),
            Annotation(kind="manifest", key="a", value="b=c", platform=ARM64),
            Annotation(kind="manifest", key="d", value="e"),
        ),
        attestations=("sbom",),
    )


def test_labels_where_nobody_knows_the_platform() -> None:
    expected = expected_of(target_of_text("[targets.web]\nlabels = { a = 'b' }"), ())
    assert expected.labels_of(ARM64) == {"a": "b"}


EXPECTED = ExpectedImages(
    target="web",
    tags=("r/web:1",),
    platforms=(AMD64, ARM64),
    labels={"linux/amd64": {"a": "1"}, "linux/arm64": {"a": "2"}},
    annotations=tuple(
        parse_annotations(["index:i=x", "manifest[linux/arm64]:m=x", "manifest-descriptor:d=x", "index-descriptor:n=x"])
    ),
    attestations=("sbom",),
)


def image(name: str, label: str, **more: Any) -> ServedImage:
    platform = parse_platform(name)
    annotations = {"manifest": {"m": "x"}, "manifest-descriptor": {"d": "x"}}
    image = ServedImage(
        platform=platform, configured=platform, labels={"a": label}, annotations=annotations, attestations=("sbom",)
    )
    return replace(image, **more)


GOOD = Served(
    digest="sha256:1", images=(image("linux/amd64", "1"), image("linux/arm64", "2")), annotations={"i": "x", "j": "y"}
)


@pytest.mark.parametrize(
    ("served", "differences"),
    [
        (GOOD, []),
        (replace(GOOD, images=GOOD.images[::-1]), []),
        (replace(GOOD, digest="sha256:2"), ["digest: sha256:2, not sha256:1"]),
        (replace(GOOD, images=GOOD.images[:1]), ["platforms: linux/amd64, not linux/amd64, linux/arm64"]),
        (replace(GOOD, images=()), ["platforms: nothing, not linux/amd64, linux/arm64"]),
        (
            replace(GOOD, images=(*GOOD.images, image("linux/386", "3"))),
            ["platforms: linux/386, linux/amd64, linux/arm64, not linux/amd64, linux/arm64"],
        ),
        (
            replace(
                GOOD, images=(image("linux/amd64", "1", configured=ARM64), image("linux/arm64", "2", configured=None))
            ),
            [
                "linux/amd64: platform by its config: linux/arm64, not linux/amd64",
                "linux/arm64: platform by its config: nothing, not linux/arm64",
            ],
        ),
        (
            replace(GOOD, images=(image("linux/amd64", "2"), image("linux/arm64", "2", labels={}))),
            ["linux/amd64: label a: 2, not 1", "linux/arm64: label a: nothing, not 2"],
        ),
        (
            replace(GOOD, annotations={}, images=(image("linux/amd64", "1", annotations={}), GOOD.images[1])),
            [
                "annotation of the index i: nothing, not x",
                "linux/amd64: annotation of its descriptor d: nothing, not x",
            ],
        ),
        (
            replace(GOOD, images=(GOOD.images[0], image("linux/arm64", "2", annotations={}, attestations=("x",)))),
            [
                "linux/arm64: annotation of its manifest m: nothing, not x",
                "linux/arm64: annotation of its descriptor d: nothing, not x",
                "linux/arm64: attestation: x, not sbom",
            ],
        ),
    ],
)
def test_differences(served: Served, differences: list[str]) -> None:
    lines = list(map(str, mismatches(EXPECTED, "r/web:1", served, "sha256:1")))
    assert lines == [f"r/web:1: {difference}" for difference in differences]


def test_any_platform_will_do_where_none_is_known() -> None:
    assert list(mismatches(replace(EXPECTED, platforms=()), "r/web:1", GOOD, "sha256:1")) == []
