"""The index for images of several nodes, byte for byte as `docker buildx imagetools create` writes it. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mpbake.base.json_text import parse_json
from mpbake.buildkit.registry.client import DOCKER_INDEX, INDEX, Manifest
from mpbake.buildkit.registry.manifests import in_buildkit_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mpbake.base.platforms import Platform

_DOCKER = "application/vnd.docker."
_FIELDS = ("mediaType", "digest", "size", "urls", "annotations", "data", "platform", "artifactType")
_PLATFORM_FIELDS = ("architecture", "os", "os.version", "os.features", "variant")
# Go escapes these characters in JSON, for use in HTML.
_ESCAPED = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def entries_of(manifest: Manifest, platform: Mapping[str, str] | None) -> list[dict[str, Any]]:
    """Return the entries of an index; for a single image, an entry with the image's `platform`.

    Raises ValueError, LookupError or TypeError if the content is not an index.
    """
    if manifest.is_index:
        return [dict(entry) for entry in parse_json(manifest.content)["manifests"]]
    entry = {"mediaType": manifest.media_type, "digest": manifest.digest, "size": len(manifest.content)}
    return [entry | ({"platform": dict(platform)} if platform else {})]


def joined_index(
    entries: Iterable[Mapping[str, Any]], annotations: Mapping[str, str], platforms: Sequence[Platform]
) -> Manifest:
    """Return an index of all entries: images in the order of `platforms`, then the attestations of each image.

    If all entries have Docker's media types, the index has Docker's media type and no annotations.
    """
    by_digest: dict[str, dict[str, Any]] = {}
    for entry in entries:
        known = by_digest.setdefault(entry["digest"], dict(entry))
        merged = {**(known.get("annotations") or {}), **(entry.get("annotations") or {})}
        known |= {**known, **entry} | ({"annotations": merged} if merged else {})
    is_docker = all(str(entry.get("mediaType")).startswith(_DOCKER) for entry in by_digest.values())
    media_type = DOCKER_INDEX if is_docker else INDEX
    listed = in_buildkit_order({"manifests": list(by_digest.values())}, platforms)["manifests"]
    index = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "manifests": [_ordered(entry, _FIELDS) for entry in listed],
        **({"annotations": dict(sorted(annotations.items()))} if annotations and not is_docker else {}),
    }
    return Manifest(content=go_json(index), media_type=media_type)


def go_json(value: Any) -> bytes:
    """Format a value as JSON like Go's encoder, with an indent of two blanks."""
    return json.dumps(value, indent=2, ensure_ascii=False).translate(_ESCAPED).encode()


def _ordered(entry: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the fields of a descriptor in Go's order: first `names`, then other fields.

    Sort annotations, drop empty fields.
    """
    others = [name for name in entry if name not in names]
    ordered = {name: entry[name] for name in (*names, *others) if entry.get(name)}
    if "platform" in ordered:
        ordered["platform"] = _ordered(ordered["platform"], _PLATFORM_FIELDS)
    if "annotations" in ordered:
        ordered["annotations"] = dict(sorted(ordered["annotations"].items()))
    return ordered
