"""What a registry must serve of a target, and how what it serves differs from that. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mpbake.model.annotations import Annotation, parse_annotations
from mpbake.model.bake_fields import attestations_asked_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mpbake.base.platforms import Platform
    from mpbake.model.plan import Target

EVERYWHERE = ""
"""The key of labels that do not belong to one platform."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpectedImages:
    """What all tags of a target must name.

    Without `digest`, whatever the first tag names; without `platforms`, in whichever it is built. `labels` are by
    platform. `attestations` are their types, such as `sbom`, which every platform must have.
    """

    target: str
    tags: tuple[str, ...]
    digest: str = ""
    platforms: tuple[Platform, ...] = ()
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    annotations: tuple[Annotation, ...] = ()
    attestations: tuple[str, ...] = ()

    def labels_of(self, platform: Platform) -> Mapping[str, str]:
        """The labels that the image for `platform` must have."""
        return self.labels.get(str(platform), self.labels.get(EVERYWHERE, {}))


@dataclass(frozen=True, kw_only=True, slots=True)
class ServedImage:
    """One image under a tag: its platform by its entry in the index, and by its own config.

    `annotations` are by level: those of its descriptor and, where they were asked for, of its manifest. `attestations`
    are what was asked for as well.
    """

    platform: Platform
    digest: str = ""
    configured: Platform | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    attestations: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """What a registry serves under a tag. `statements` maps the digest of an image to those of its attestations."""

    digest: str
    images: tuple[ServedImage, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    statements: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mismatch:
    """One thing under a tag that is not as it must be; where there is nothing, `found` is empty."""

    tag: str
    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        """A line for people."""
        return f"{self.tag}: {self.what}: {self.found or 'nothing'}, not {self.expected}"


def expected_of(target: Target, platforms: Sequence[Platform], digest: str = "") -> ExpectedImages:
    """What must be served of `target`, which was built for `platforms`, or is to be."""
    variants = {str(each): target.on((each,)) for each in platforms} or {EVERYWHERE: target.on(())}
    return ExpectedImages(
        target=target.name,
        tags=target.tags,
        digest=digest,
        platforms=tuple(platforms),
        labels={name: variant.attributes.get("labels", {}) for name, variant in variants.items()},
        annotations=tuple(parse_annotations(target.attributes.get("annotations", ()))),
        attestations=tuple(attestations_asked_for(target.attributes.get("attest", ()))),
    )


def mismatches(expected: ExpectedImages, tag: str, served: Served, digest: str) -> Iterator[Mismatch]:
    """How what `tag` names differs from what it must; `digest` is that of all tags."""
    for what, wanted, found in _differences(expected, served, digest):
        yield Mismatch(tag=tag, what=what, expected=wanted, found=found)


def _differences(expected: ExpectedImages, served: Served, digest: str) -> Iterator[tuple[str, str, str]]:
    if served.digest != digest:
        yield "digest", digest, served.digest
    wanted, found = set(expected.platforms), {image.platform for image in served.images}
    if wanted and wanted != found:
        yield "platforms", _names(wanted), _names(found)
    own = [each for each in expected.annotations if each.kind == "index"]
    yield from _missing("annotation of the index", {each.key: each.value for each in own}, served.annotations)
    for image in served.images:
        if not wanted or image.platform in wanted:
            yield from _of_image(expected, image)


def _of_image(expected: ExpectedImages, image: ServedImage) -> Iterator[tuple[str, str, str]]:
    name = str(image.platform)
    if image.configured != image.platform:
        yield f"{name}: platform by its config", name, str(image.configured or "")
    yield from _missing(f"{name}: label", expected.labels_of(image.platform), image.labels)
    for kind in ("manifest", "manifest-descriptor"):
        own = [each for each in expected.annotations if each.kind == kind and each.is_for(image.platform)]
        wanted = {each.key: each.value for each in own}
        where = kind.rpartition("-")[2]
        yield from _missing(f"{name}: annotation of its {where}", wanted, image.annotations.get(kind, {}))
    for each in expected.attestations:
        if each not in image.attestations:
            yield f"{name}: attestation", each, ", ".join(image.attestations)


def _missing(what: str, wanted: Mapping[str, str], found: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for key, value in wanted.items():
        if found.get(key) != value:
            yield f"{what} {key}", value or '""', found.get(key, "")


def _names(platforms: Iterable[Platform]) -> str:
    return ", ".join(map(str, sorted(platforms)))
