"""The images that a registry must serve for a target, and a comparison with the served images. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mpbake.model.annotations import Annotation, parse_annotations
from mpbake.model.bake_fields import enabled_attestations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mpbake.base.platforms import Platform
    from mpbake.model.plan import Target

_ANY_PLATFORM = ""
"""The key of labels that belong to every platform."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpectedImages:
    """The image that all tags of a target must name.

    - `digest`: empty means the digest that the first tag names.
    - `platforms`: empty means any platforms.
    - `labels`: the expected labels by platform.
    - `attestations`: the types of attestations, such as `sbom`, that every platform must have.
    """

    target: str
    tags: tuple[str, ...]
    digest: str = ""
    platforms: tuple[Platform, ...] = ()
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    annotations: tuple[Annotation, ...] = ()
    attestations: tuple[str, ...] = ()

    def labels_of(self, platform: Platform) -> Mapping[str, str]:
        """Return the labels that the image for `platform` must have."""
        return self.labels.get(str(platform), self.labels.get(_ANY_PLATFORM, {}))


@dataclass(frozen=True, kw_only=True, slots=True)
class ServedImage:
    """One image under a tag, as a registry serves it.

    - `platform`: the platform in the index entry; `configured`: the platform in the image's config.
    - `annotations`: the annotations by level: `manifest-descriptor` and, if mpbake has read the manifest, `manifest`.
    - `attestations`: the types of the image's attestations, if mpbake has read the attestations.
    """

    platform: Platform
    digest: str = ""
    configured: Platform | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    attestations: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """The image or index that a registry serves under a tag.

    `statements` maps the digest of an image to the digests of its attestation manifests.
    """

    digest: str
    images: tuple[ServedImage, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    statements: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mismatch:
    """One difference between the expected and the served image: `attribute` of `tag`.

    `actual` is empty if the served image does not have the attribute.
    """

    tag: str
    attribute: str
    expected: str
    actual: str

    def __str__(self) -> str:
        """One line of a message: `TAG: platforms: linux/amd64, not linux/amd64, linux/arm64`."""
        return f"{self.tag}: {self.attribute}: {self.actual or 'nothing'}, not {self.expected}"


def expected_of(target: Target, platforms: Sequence[Platform], digest: str = "") -> ExpectedImages:
    """Return the images that a registry must serve for `target`, built for `platforms`."""
    variants = {str(platform): target.on((platform,)) for platform in platforms} or {_ANY_PLATFORM: target.on(())}
    return ExpectedImages(
        target=target.name,
        tags=target.tags,
        digest=digest,
        platforms=tuple(platforms),
        labels={name: variant.attributes.get("labels", {}) for name, variant in variants.items()},
        annotations=tuple(parse_annotations(target.attributes.get("annotations", ()))),
        attestations=tuple(enabled_attestations(target.attributes.get("attest", ()))),
    )


def mismatches(expected: ExpectedImages, tag: str, served: Served, digest: str) -> Iterator[Mismatch]:
    """Yield the differences between the expected image and the image that `tag` names. All tags must have `digest`."""
    for attribute, wanted, actual in _differences(expected, served, digest):
        yield Mismatch(tag=tag, attribute=attribute, expected=wanted, actual=actual)


_Difference = tuple[str, str, str]
"""An attribute, its expected value, and its actual value."""


def _differences(expected: ExpectedImages, served: Served, digest: str) -> Iterator[_Difference]:
    if served.digest != digest:
        yield "digest", digest, served.digest
    wanted, actual = set(expected.platforms), {image.platform for image in served.images}
    if wanted and wanted != actual:
        yield "platforms", _sorted_names(wanted), _sorted_names(actual)
    annotations = _pairs(annotation for annotation in expected.annotations if annotation.kind == "index")
    yield from _differing("annotation of the index", annotations, served.annotations)
    for image in served.images:
        if not wanted or image.platform in wanted:
            yield from _image_differences(expected, image)


def _image_differences(expected: ExpectedImages, image: ServedImage) -> Iterator[_Difference]:
    name = str(image.platform)
    if image.configured != image.platform:
        yield f"{name}: platform by its config", name, str(image.configured or "")
    yield from _differing(f"{name}: label", expected.labels_of(image.platform), image.labels)
    own = [annotation for annotation in expected.annotations if annotation.applies_to(image.platform)]
    for kind in ("manifest", "manifest-descriptor"):
        wanted = _pairs(annotation for annotation in own if annotation.kind == kind)
        place = kind.rpartition("-")[2]
        yield from _differing(f"{name}: annotation of its {place}", wanted, image.annotations.get(kind, {}))
    for attestation in expected.attestations:
        if attestation not in image.attestations:
            yield f"{name}: attestation", attestation, ", ".join(image.attestations)


def _pairs(annotations: Iterable[Annotation]) -> dict[str, str]:
    return {annotation.key: annotation.value for annotation in annotations}


def _differing(attribute: str, wanted: Mapping[str, str], actual: Mapping[str, str]) -> Iterator[_Difference]:
    for key, value in wanted.items():
        if actual.get(key) != value:
            yield f"{attribute} {key}", value or '""', actual.get(key, "")


def _sorted_names(platforms: Iterable[Platform]) -> str:
    return ", ".join(map(str, sorted(platforms)))
