"""OCI annotations as plans state them: `index,manifest[linux/arm64]:key=value`. Pure."""

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
    """One annotation at one level; without `platform`, of every manifest."""

    kind: str
    key: str
    value: str
    platform: Platform | None = None

    def is_for(self, platform: Platform) -> bool:
        """Whether it belongs to what is built for `platform`."""
        return self.platform in {None, platform}


def levels(entry: str) -> tuple[list[str], str]:
    """Split `index,manifest[linux/arm64]:key=value`; without levels an annotation is the manifest's."""
    found = _ANNOTATION.fullmatch(entry)
    written = found["levels"].split(",") if found else []
    if found and all(_LEVEL.fullmatch(level) for level in written):
        return written, found["rest"]
    return ["manifest"], entry


def annotated_platform(level: str) -> Platform | None:
    """The platform that a level names, if it names one."""
    found = _LEVEL.fullmatch(level)
    return parse_platform(found["platform"]) if found and found["platform"] else None


def index_annotations(entries: Iterable[str]) -> dict[str, dict[str, str]]:
    """The annotations of an index that joins pieces, and of its descriptor, by level."""
    found: dict[str, dict[str, str]] = {"index": {}, "index-descriptor": {}}
    for each in parse_annotations(entries):
        if each.kind in found:
            found[each.kind][each.key] = each.value
    return found


def parse_annotations(entries: Iterable[str]) -> Iterator[Annotation]:
    """Each of `entries` at each of its levels."""
    for level, rest in by_level(entries):
        key, _, value = rest.partition("=")
        yield Annotation(kind=level.partition("[")[0], key=key, value=value, platform=annotated_platform(level))


def by_level(entries: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each level of each of `entries`, and what is annotated there, both as written."""
    for entry in entries:
        written, rest = levels(entry)
        yield from ((level, rest) for level in written)
