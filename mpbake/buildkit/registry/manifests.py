"""What registries serve, parsed from manifests and configs. Pure."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import BuildFailed
from mpbake.base.platforms import Platform, platform_of_entry
from mpbake.base.text import one_line
from mpbake.model.expected_images import Served, ServedImage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_PREDICATES = {"slsa.dev/provenance": "provenance", "spdx.dev/document": "sbom"}
_DESCRIPTOR = "manifest-descriptor"
_PARTS = ("os", "architecture", "variant")


@contextlib.contextmanager
def parsing(reference: str) -> Iterator[None]:
    """Within, what is served as `reference` is read, which may be anything. Raises BuildFailed where it is no image."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        said = f"{type(error).__name__}: {error}"
        raise BuildFailed(f"{reference} could not be read back: what is served is no image: {said}") from error


def parse_served(
    digest: str, data: Mapping[str, Any], details: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any] | None]]
) -> Served:
    """Put together what a registry serves: an index, or a single image, and by digest each image's manifest and config.

    A single image states its platform nowhere else than in its config.
    """
    if "manifests" not in data:
        manifest, config = details[digest]
        return Served(digest=digest, images=(_image({"digest": digest, "platform": config}, manifest, config),))
    return Served(
        digest=digest,
        images=tuple(_image(entry, *details[entry["digest"]]) for entry in image_entries(data)),
        annotations=data.get("annotations") or {},
        statements=_statements(data["manifests"]),
    )


def image_entries(index: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The entries of an index that are images."""
    return [entry for entry in index["manifests"] if not is_attestation(entry)]


def has_config(manifest: Mapping[str, Any]) -> bool:
    """Whether a manifest is that of an image, which has a config."""
    return "manifests" not in manifest and "config" in manifest


def _image(entry: Mapping[str, Any], manifest: Mapping[str, Any], config: Mapping[str, Any] | None) -> ServedImage:
    return ServedImage(
        platform=_platform(entry.get("platform")),
        digest=entry.get("digest", ""),
        configured=None if config is None else _platform(config),
        labels=((config or {}).get("config") or {}).get("Labels") or {},
        annotations={_DESCRIPTOR: entry.get("annotations") or {}, "manifest": annotations_of(manifest)},
    )


def _platform(stated: Mapping[str, Any] | None) -> Platform:
    """The platform that an entry or a config states. Anybody may push what is none: it stays as it is written."""
    try:
        return platform_of_entry(stated or {})
    except ValueError:
        system, architecture, variant = (one_line((stated or {}).get(part) or "") for part in _PARTS)
        return Platform(os=system or "unknown", architecture=architecture or "unknown", variant=variant)


def _statements(entries: list[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """The attestation manifests of each image, by digest."""
    found: dict[str, tuple[str, ...]] = {}
    for entry in filter(is_attestation, entries):
        of = entry["annotations"].get("vnd.docker.reference.digest", "")
        found[of] = (*found.get(of, ()), entry["digest"])
    return found


def in_buildkit_order(index: Mapping[str, Any], platforms: Sequence[Platform]) -> dict[str, Any]:
    """`index` as BuildKit orders one that a single node makes: images as `platforms` are, then what attests of each."""
    entries = index.get("manifests", [])
    place = {platform: number for number, platform in enumerate(platforms)}
    images = [each for each in entries if not is_attestation(each)]
    images.sort(key=lambda each: place.get(_platform(each.get("platform")), len(place)))
    digests = [each["digest"] for each in images]
    statements = _statements(entries)
    digests += [one for each in digests for one in statements.get(each, ())]
    rank = {digest: number for number, digest in enumerate(digests)}
    ranked = sorted(entries, key=lambda each: rank.get(each["digest"], len(rank)))
    return {**index, "manifests": ranked} if entries else dict(index)


def annotations_of(manifest: Mapping[str, Any]) -> dict[str, str]:
    """What a manifest says of itself."""
    return {str(key): str(value) for key, value in (manifest.get("annotations") or {}).items()}


def attestation_types(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """What an attestation manifest attests: `provenance`, `sbom`, or the predicate as it is called."""
    layers = manifest.get("layers") or ()
    predicates = [(each.get("annotations") or {}).get("in-toto.io/predicate-type", "") for each in layers]
    return tuple(next((kind for part, kind in _PREDICATES.items() if part in one.lower()), one) for one in predicates)


def is_attestation(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of an index is no image, but says something of one."""
    return (entry.get("annotations") or {}).get("vnd.docker.reference.type") == "attestation-manifest"
