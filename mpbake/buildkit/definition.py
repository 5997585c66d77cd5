"""The bake definition of one piece: its target and, below it, just the targets it links to. Pure."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from mpbake.placement import alike, link_platforms, linked_platforms
from mpbake.plan import Driver
from mpbake.platforms import parse_platform
from mpbake.references import format_fields, is_local, parse_fields, parse_reference
from mpbake.steps import BuildPiece, Delivery

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from mpbake.plan import Target
    from mpbake.platforms import Platform

_ANNOTATION = re.compile(r"(?P<levels>[A-Za-z0-9_,\[\]/-]+):(?P<rest>[^=]+=.*)", re.DOTALL)
_LEVEL = re.compile(r"(?P<kind>index-descriptor|manifest-descriptor|index|manifest)(?:\[(?P<platform>[^\]]+)\])?")
_IN_THE_STORE = {"type": "image"}
# With it a piece of one platform behaves as a part of many: an index, manifest annotations, folders by platform.
_PART_OF_MANY = {"BUILDKIT_MULTI_PLATFORM": "1"}


def bake_definition(piece: BuildPiece, driver: Driver, built: Collection[Target] = ()) -> dict[str, Any]:
    """What buildx is told for `piece` on a node of `driver`.

    `built` are links that this run has already built on the node: they are taken from its cache even if they say
    `no-cache` or `pull`.
    """
    platforms = tuple(each.platform for each in piece.platforms)
    within = _within(piece.target, platforms)
    targets = {piece.target.name: _main(piece, driver, platforms, within)}
    for name, (target, wanted) in within.parts.items():
        targets[name] = _link(target, wanted, built, within)
    return {"target": targets}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Within:
    """What is built within a piece: targets, each for some platforms, by their names in the definition."""

    parts: Mapping[str, tuple[Target, tuple[Platform, ...]]]

    def name(self, link: Target, platforms: Sequence[Platform]) -> str:
        """What `link` is called for one who is built for `platforms`."""
        needed = set(link_platforms(link, platforms)[:1])
        return next(name for name, (target, group) in self.parts.items() if target is link and needed <= set(group))


def _within(target: Target, platforms: Sequence[Platform]) -> _Within:
    """What `target` links to, however far. What differs among the platforms that are needed is there several times."""
    linked = linked_platforms(target, platforms)
    taken = {target.name, *(link.name for link in linked)}
    parts = {}
    for link, wanted in linked.items():
        name = link.name
        for group in alike(link, wanted):
            parts[name] = (link, group)
            taken.add(name)
            name = next(each for each in map(f"{link.name}-{{}}".format, count(2)) if each not in taken)
    return _Within(parts=parts)


def _main(piece: BuildPiece, driver: Driver, platforms: tuple[Platform, ...], within: _Within) -> dict[str, Any]:
    target = piece.target
    found = _common(target, platforms, within)
    found["output"] = ["type=cacheonly"] if piece.shared else outputs(piece, driver)
    if piece.shared:
        found.pop("cache-to", None)
    elif driver is Driver.DOCKER or piece.delivery is not Delivery.UNTAGGED:
        found["tags"] = list(target.tags)
    if piece.of > 1:
        found["args"] = {**found.get("args", {}), **_PART_OF_MANY}
    if piece.of > 1 or _is_plain(piece):
        found["annotations"] = annotations_of_part(target, platforms)
    return found


def _is_plain(piece: BuildPiece) -> bool:
    """Whether the result is one image without an index around it, which refuses annotations of an index."""
    return len(piece.platforms) == 1 and piece.delivery is Delivery.KEEP


def _link(target: Target, platforms: Sequence[Platform], built: Collection[Target], within: _Within) -> dict[str, Any]:
    """A linked target is built for others only: it has no name, and exports neither itself nor its cache."""
    found = _common(target, platforms, within) | {"output": ["type=cacheonly"]}
    for name in ("cache-to", *(("no-cache", "pull") if target in built else ())):
        found.pop(name, None)
    return found


def _common(target: Target, platforms: Sequence[Platform], within: _Within) -> dict[str, Any]:
    variant = target.on(platforms)
    found = dict(variant.attributes)
    links = {context: f"target:{within.name(link, platforms)}" for context, link in variant.links.items()}
    if links:
        found["contexts"] = {**found.get("contexts", {}), **links}
    names = [str(each) for each in platforms]
    return found | ({"platforms": names} if names else {})


def outputs(piece: BuildPiece, driver: Driver) -> list[str]:
    """Where the results of a piece go."""
    target = piece.target
    found = []
    if piece.delivery is Delivery.TAGS:
        found.append(format_fields({"type": "image", "push": "true", **target.push_options}))
    elif piece.delivery is Delivery.UNTAGGED:
        fields = _IN_THE_STORE if driver is Driver.DOCKER else _by_digest(target)
        found.append(format_fields({**fields, **target.push_options}))
    if target.load:
        names = ",".join(target.tags) if piece.delivery is Delivery.UNTAGGED else ""
        found.append(format_fields({"type": "docker"} | ({"name": names} if names else {})))
    return [*found, *target.outputs] or ["type=cacheonly"]


def _by_digest(target: Target) -> dict[str, str]:
    fields = {"type": "image", "name": ",".join(repositories(target)), "push": "true"}
    # An engine's own image store would name the image too, and refuse when two pieces do so at once.
    return fields | {"push-by-digest": "true", "name-canonical": "true", "store": "false"}


def repositories(target: Target) -> list[str]:
    """The repositories that the tags of `target` name, each once, in their order."""
    return list(dict.fromkeys(parse_reference(tag).repository for tag in target.tags))


def annotations_of_part(target: Target, platforms: tuple[Platform, ...]) -> list[str]:
    """The annotations that a piece of several can carry: those of manifests, for its own platforms."""
    found = []
    for entry in target.attributes.get("annotations", ()):
        levels, rest = _levels(entry)
        own = [level for level in levels if not level.startswith("index") and _is_for(level, platforms)]
        if own:
            found.append(f"{','.join(own)}:{rest}")
    return found


def annotations_of_index(target: Target) -> list[str]:
    """The annotations of the index that joins the pieces, as `imagetools create` takes them."""
    found = []
    for entry in target.attributes.get("annotations", ()):
        levels, rest = _levels(entry)
        own = [level for level in levels if level.startswith("index")]
        if own:
            found.append(f"{','.join(own)}:{rest}")
    return found


def _levels(entry: str) -> tuple[list[str], str]:
    """Split `index,manifest[linux/arm64]:key=value`; without levels an annotation is the manifest's."""
    found = _ANNOTATION.fullmatch(entry)
    levels = found["levels"].split(",") if found else []
    if found and all(_LEVEL.fullmatch(level) for level in levels):
        return levels, found["rest"]
    return ["manifest"], entry


def _is_for(level: str, platforms: tuple[Platform, ...]) -> bool:
    found = _LEVEL.fullmatch(level)
    return not (found and found["platform"]) or parse_platform(found["platform"]) in platforms


def entitlements(definition: dict[str, Any]) -> list[str]:
    """The privileges of RUN steps that a definition asks for; the network of the host is one by itself."""
    targets = definition["target"].values()
    found = [each for target in targets for each in target.get("entitlements", ())]
    found += ["network.host" for target in targets if target.get("network") == "host"]
    return list(dict.fromkeys(found))


def grants(definition: dict[str, Any], existing: Callable[[str], str]) -> list[str]:
    """The `--allow` values that newer buildx asks for: exactly what the plan names.

    `existing` gives the nearest folder that exists of a path that may not: buildx resolves what is granted.
    """
    found: dict[str, None] = {}
    for target in definition["target"].values():
        found |= dict.fromkeys(f"fs.read={existing(path)}" for path in _read_by(target))
        for name in ("output", "cache-to"):
            found |= dict.fromkeys(f"fs.write={existing(path)}" for path in _paths(target.get(name, ())))
        # buildx forwards the agent by itself for contexts such as git@github.com:team/web.git
        if target.get("ssh") or any(str(each).startswith("git@") for each in _contexts(target)):
            found["ssh"] = None
    return list(found)


def _contexts(target: dict[str, Any]) -> list[str]:
    return [target["context"], *target.get("contexts", {}).values()]


def _read_by(target: dict[str, Any]) -> Iterator[str]:
    """The local paths that a build of `target` reads."""
    yield from (path for path in _contexts(target) if is_local(path))
    for name in ("secret", "cache-from"):
        yield from _paths(target.get(name, ()))
    for entry in target.get("ssh", ()):
        yield from (path for path in entry.partition("=")[2].split(",") if path)
    dockerfile = str(target.get("dockerfile", ""))
    if dockerfile and is_local(dockerfile) and is_local(target["context"]):
        path = posixpath.normpath(posixpath.join(target["context"], dockerfile))
        if not path.startswith(f"{target['context'].rstrip('/')}/"):
            yield path


def _paths(entries: Iterable[str]) -> Iterable[str]:
    for entry in entries:
        fields = parse_fields(entry)
        names = ("src", "source", "dest") if fields.get("type") != "env" else ()  # then src names a variable
        yield from (fields[name] for name in names if fields.get(name, "-") not in ("", "-"))
