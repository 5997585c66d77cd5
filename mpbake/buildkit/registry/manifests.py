"""Parses manifests, indexes and configs from registries. Pure."""

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
    """Guard code that parses the untrusted content of `reference`.

    Raises BuildFailed if the content is not an image.
    """
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        detail = f"{type(error).__name__}: {error}"
        raise BuildFailed(f"{reference} cannot be read: the registry returned an invalid manifest: {detail}") from error


def parse_served(
    digest: str, data: Mapping[str, Any], details: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any] | None]]
) -> Served:
    """Parse an index or a single image from a registry.

    `details` holds the manifest and config of each image, by digest. For a single image, only the config contains the
    platform.
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
    """Return the entries of an index that are images."""
    return [entry for entry in index["manifests"] if not is_attestation(entry)]


def has_config(manifest: Mapping[str, Any]) -> bool:
    """Whether a manifest has a config. Only manifests of images have a config."""
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
    """Return the platform in an entry or config.

    A push may contain an invalid platform, so it is returned as written.
    """
    try:
        return platform_of_entry(stated or {})
    except ValueError:
        system, architecture, variant = (one_line((stated or {}).get(part) or "") for part in _PARTS)
        return Platform(os=system or "unknown", architecture=architecture or "unknown", variant=variant)


def _statements(entries: list[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Return the digests of the attestation manifests of each image, by the digest of the image."""
    statements: dict[str, tuple[str, ...]] = {}
    for entry in filter(is_attestation, entries):
        image = entry["annotations"].get("vnd.docker.reference.digest", "")
        statements[image] = (*statements.get(image, ()), entry["digest"])
    return statements


def in_buildkit_order(index: Mapping[str, Any], platforms: Sequence[Platform]) -> dict[str, Any]:
    """Sort the entries of `index` as BuildKit does for a build on a single node.

    The images come first, in the order of `platforms`, then the attestations of each image.
    """
    entries = index.get("manifests", [])
    position = {platform: number for number, platform in enumerate(platforms)}
    images = [entry for entry in entries if not is_attestation(entry)]
    images.sort(key=lambda image: position.get(_platform(image.get("platform")), len(position)))
    digests = [image["digest"] for image in images]
    statements = _statements(entries)
    digests += [statement for digest in digests for statement in statements.get(digest, ())]
    rank = {digest: number for number, digest in enumerate(digests)}
    ranked = sorted(entries, key=lambda entry: rank.get(entry["digest"], len(rank)))
    return {**index, "manifests": ranked} if entries else dict(index)


def annotations_of(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the annotations in a manifest."""
    return {str(key): str(value) for key, value in (manifest.get("annotations") or {}).items()}


def attestation_types(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the types in an attestation manifest: `provenance`, `sbom`, or the name of another predicate."""
    layers = manifest.get("layers") or ()
    predicates = [(layer.get("annotations") or {}).get("in-toto.io/predicate-type", "") for layer in layers]
    return tuple(map(_attestation_type, predicates))


def _attestation_type(predicate: str) -> str:
    return next((kind for part, kind in _PREDICATES.items() if part in predicate.lower()), predicate)


def is_attestation(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of an index is an attestation manifest."""
    return (entry.get("annotations") or {}).get("vnd.docker.reference.type") == "attestation-manifest"
