"""The index that joins what several nodes have built: the bytes that `docker buildx imagetools create` writes. Pure."""

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
_PLATFORM = ("architecture", "os", "os.version", "os.features", "variant")
# Go writes these as escapes, so that JSON can stand in HTML.
_ESCAPED = {ord(each): f"\\u{ord(each):04x}" for each in "<>&\u2028\u2029"}


def entries_of(manifest: Manifest, platform: Mapping[str, str] | None) -> list[dict[str, Any]]:
    """What an index lists; of an image without an index, the image itself, with its `platform`.

    Raises ValueError, LookupError or TypeError where it is no such thing.
    """
    if manifest.is_index:
        return [dict(entry) for entry in parse_json(manifest.content)["manifests"]]
    entry = {"mediaType": manifest.media_type, "digest": manifest.digest, "size": len(manifest.content)}
    return [entry | ({"platform": dict(platform)} if platform else {})]


def joined_index(
    entries: Iterable[Mapping[str, Any]], annotations: Mapping[str, str], platforms: Sequence[Platform]
) -> Manifest:
    """One index of all entries: the images in the order of `platforms`, then what attests of each.

    It is Docker's kind of index where all entries are Docker's; that kind carries no annotations.
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
    """JSON as Go's encoder indents it with two blanks."""
    return json.dumps(value, indent=2, ensure_ascii=False).translate(_ESCAPED).encode()


def _ordered(entry: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The fields of a descriptor in the order in which Go writes them; maps are sorted, what is empty is left out."""
    found = {name: entry[name] for name in (*names, *(each for each in entry if each not in names)) if entry.get(name)}
    if "platform" in found:
        found["platform"] = _ordered(found["platform"], _PLATFORM)
    if "annotations" in found:
        found["annotations"] = dict(sorted(found["annotations"].items()))
    return found
