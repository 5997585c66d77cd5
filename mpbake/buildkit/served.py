"""What `docker buildx imagetools inspect` prints, as what is served. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mpbake.expected import Served, ServedImage
from mpbake.platforms import Platform, parse_platform, platform_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREDICATES = {"slsa.dev/provenance": "provenance", "spdx.dev/document": "sbom"}
_DESCRIPTOR = "manifest-descriptor"


def parse_served(data: Mapping[str, Any]) -> Served:
    """Read `imagetools inspect --format '{{json .}}'`, of an index or of a single image."""
    manifest, configs = data["manifest"], _configs(data.get("image") or {})
    if "manifests" not in manifest:
        images = (_image({"digest": manifest["digest"], "platform": None}, each) for each in configs.values())
        return Served(digest=manifest["digest"], images=tuple(images))
    entries = [each for each in manifest["manifests"] if not _is_attestation(each)]
    if len(entries) == 1 == len(configs):  # a single config says of itself what it is, which may be wrong
        configs = {platform_of(entries[0].get("platform") or {}): next(iter(configs.values()))}
    return Served(
        digest=manifest["digest"],
        images=tuple(_image(each, configs.get(platform_of(each.get("platform") or {}))) for each in entries),
        annotations=manifest.get("annotations") or {},
        statements=_statements(manifest["manifests"]),
    )


def _configs(image: Mapping[str, Any]) -> dict[Platform, Mapping[str, Any]]:
    """The configs of the images: buildx maps platforms to them only where there are several; one stands by itself."""
    if "architecture" in image:
        return {platform_of(image): image}
    return {parse_platform(name): config for name, config in image.items()}


def _image(entry: Mapping[str, Any], config: Mapping[str, Any] | None) -> ServedImage:
    platform = entry.get("platform") if entry.get("platform") or config is None or "size" in entry else config
    return ServedImage(
        platform=platform_of(platform or {}),
        digest=entry.get("digest", ""),
        configured=None if config is None else platform_of(config),
        labels=((config or {}).get("config") or {}).get("Labels") or {},
        annotations={_DESCRIPTOR: entry.get("annotations") or {}},
    )


def _statements(entries: list[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """The attestation manifests of each image, by digest."""
    found: dict[str, tuple[str, ...]] = {}
    for entry in filter(_is_attestation, entries):
        of = entry["annotations"].get("vnd.docker.reference.digest", "")
        found[of] = (*found.get(of, ()), entry["digest"])
    return found


def attestation_types(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """What an attestation manifest attests: `provenance`, `sbom`, or the predicate as it is called."""
    layers = manifest.get("layers") or ()
    predicates = [(each.get("annotations") or {}).get("in-toto.io/predicate-type", "") for each in layers]
    return tuple(next((kind for part, kind in _PREDICATES.items() if part in one.lower()), one) for one in predicates)


def _is_attestation(entry: Mapping[str, Any]) -> bool:
    return (entry.get("annotations") or {}).get("vnd.docker.reference.type") == "attestation-manifest"
