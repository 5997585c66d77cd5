"""OCI annotations in the notation of plans: `index,manifest[linux/arm64]:key=value`. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpbake.base.platforms import Platform, parse_platform

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ANNOTATION = re.compile(r"(?P<levels>[A-Za-z0-9_,\[\]/-]+):(?P<rest>[^=]+=.*)", re.DOTALL)
_LEVEL = re.compile(r"(?P<kind>index-descriptor|manifest-descriptor|index|manifest)(?:\[(?P<platform>[^\]]+)\])?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Annotation:
    """An annotation at one level (`kind`), such as `index` or `manifest`.

    `platform` limits the annotation to the manifests of one platform; None means every manifest.
    """

    kind: str
    key: str
    value: str
    platform: Platform | None = None

    def applies_to(self, platform: Platform) -> bool:
        """Whether the annotation belongs to the image for `platform`."""
        return self.platform in {None, platform}


def split_levels(entry: str) -> tuple[list[str], str]:
    """Split `index,manifest[linux/arm64]:key=value` into levels and `key=value`. The default level is `manifest`."""
    match = _ANNOTATION.fullmatch(entry)
    levels = match["levels"].split(",") if match else []
    if match and all(_LEVEL.fullmatch(level) for level in levels):
        return levels, match["rest"]
    return ["manifest"], entry


def annotated_platform(level: str) -> Platform | None:
    """Return the platform in a level such as `manifest[linux/arm64]`, or None."""
    match = _LEVEL.fullmatch(level)
    return parse_platform(match["platform"]) if match and match["platform"] else None


def index_annotations(entries: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the annotations of an index and of its descriptor, by level: `index`, `index-descriptor`."""
    annotations: dict[str, dict[str, str]] = {"index": {}, "index-descriptor": {}}
    for annotation in parse_annotations(entries):
        if annotation.kind in annotations:
            annotations[annotation.kind][annotation.key] = annotation.value
    return annotations


def parse_annotations(entries: Iterable[str]) -> Iterator[Annotation]:
    """Parse `entries` into one annotation for each level of each entry."""
    for level, pair in split_by_level(entries):
        key, _, value = pair.partition("=")
        yield Annotation(kind=level.partition("[")[0], key=key, value=value, platform=annotated_platform(level))


def split_by_level(entries: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each level of each entry with its `key=value`, both as written."""
    for entry in entries:
        levels, pair = split_levels(entry)
        yield from ((level, pair) for level in levels)
