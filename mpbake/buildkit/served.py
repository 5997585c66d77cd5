"""What `docker buildx imagetools` prints, as what is served or is to be. Pure."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from mpbake.errors import BuildFailed
from mpbake.expected import Served, ServedImage
from mpbake.platforms import Platform, platform_of
from mpbake.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_PREDICATES = {"slsa.dev/provenance": "provenance", "spdx.dev/document": "sbom"}
_DESCRIPTOR = "manifest-descriptor"
_PARTS = ("os", "architecture", "variant")


@contextlib.contextmanager
def understood(reference: str) -> Iterator[None]:
    """Within, what is served as `reference` is read, which may be anything. Raises BuildFailed where it is no image."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        said = f"{type(error).__name__}: {error}"
        raise BuildFailed(f"{reference} could not be read back: what is served is no image: {said}") from error


def parse_served(data: Mapping[str, Any]) -> Served:
    """Read `imagetools inspect --format '{{json .}}'`, of an index or of a single image."""
    manifest, configs = data["manifest"], _configs(data.get("image") or {})
    if "manifests" not in manifest:
        images = (_image({"digest": manifest["digest"], "platform": None}, each) for each in configs.values())
        return Served(digest=manifest["digest"], images=tuple(images))
    entries = [each for each in manifest["manifests"] if not is_attestation(each)]
    if len(entries) == 1 == len(configs):  # a single config says of itself what it is, which may be wrong
        configs = {_platform(entries[0].get("platform")): next(iter(configs.values()))}
    return Served(
        digest=manifest["digest"],
        images=tuple(_image(each, configs.get(_platform(each.get("platform")))) for each in entries),
        annotations=manifest.get("annotations") or {},
        statements=_statements(manifest["manifests"]),
    )


def _configs(image: Mapping[str, Any]) -> dict[Platform, Mapping[str, Any]]:
    """The configs of the images: buildx maps platforms to them only where there are several; one stands by itself."""
    if "architecture" in image:
        return {_platform(image): image}
    return {_platform(dict(zip(_PARTS, name.split("/"), strict=False))): config for name, config in image.items()}


def _image(entry: Mapping[str, Any], config: Mapping[str, Any] | None) -> ServedImage:
    platform = entry.get("platform") if entry.get("platform") or config is None or "size" in entry else config
    return ServedImage(
        platform=_platform(platform),
        digest=entry.get("digest", ""),
        configured=None if config is None else _platform(config),
        labels=((config or {}).get("config") or {}).get("Labels") or {},
        annotations={_DESCRIPTOR: entry.get("annotations") or {}},
    )


def _platform(stated: Mapping[str, Any] | None) -> Platform:
    """The platform that an entry or a config states. Anybody may push what is none: it stays as it is written."""
    try:
        return platform_of(stated or {})
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


def in_order(index: Mapping[str, Any], platforms: Sequence[Platform]) -> dict[str, Any]:
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


def first_of(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """The digests that must be put first, as few as can be, for what `found` lists to have the order of `wanted`."""
    goal, listed = ([each["digest"] for each in index.get("manifests", [])] for index in (wanted, found))
    for number in range(len(goal)):
        first = goal[:number]
        if [*first, *(each for each in listed if each not in first)] == goal:
            return first
    return goal


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
