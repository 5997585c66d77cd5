"""The bake definition of one piece: its target and, below it, just the targets it links to. Pure."""

from __future__ import annotations

import json
import posixpath
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any, assert_never

from mpbake.base.references import format_fields, is_local_context, parse_fields
from mpbake.buildkit.bake.image_forms import in_common_form
from mpbake.graph.delivery import archives, repositories, upload_tags
from mpbake.graph.links import grouped_by_variant, link_platforms, linked_platforms
from mpbake.model.annotations import annotated_platform, by_level, parse_annotations
from mpbake.model.bake_fields import PathAccess, Paths, deletes, enforced_policies, paths_of
from mpbake.model.steps import BuildPiece, Delivery
from mpbake.spec.spec import ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mpbake.base.platforms import Platform
    from mpbake.model.plan import Driver, Target
    from mpbake.model.steps import CheckPiece

CHECKED = "FROM checked"
"""How the Dockerfile begins that is made for a command of a check."""
PART = ".oci.tar"
"""How the names of such files end."""
_DOCKERFILE = "Dockerfile"
_BUILT_AGAIN = ("no-cache", "no-cache-filter", "pull")
# Where it does not pull, an engine takes an image of its own of that name, however old.
_BUILT_AGAIN_BY_AN_ENGINE = ("no-cache", "no-cache-filter")
_UNATTESTED = "type=provenance,disabled=true"
_SURROUNDINGS = ("network", "extra-hosts", "shm-size", "ulimits", "resources")
_NAMING = ("docker", "image")
_ARCHIVES = ("docker", "oci")
# With it a piece of one platform behaves as a part of many: an index, manifest annotations, folders by platform.
_PART_OF_MANY = {"BUILDKIT_MULTI_PLATFORM": "1"}


@dataclass(frozen=True, kw_only=True, slots=True)
class DefinitionContext:
    """What a definition depends on besides the plan: the `driver` of the node, and what the run has done before.

    `upon` are named contexts that targets get besides their own: images that it has published. `built` are links that
    it has built on the node: they are taken from the cache even if they say `no-cache` or `pull`. `classic` says that
    an engine's own builder has the classic image store: `docker push` pushes from there after the build. `common` are
    targets that state the form of images that all BuildKit releases can write.
    """

    driver: Driver
    classic: bool = False
    upon: Mapping[Target, Mapping[str, str]] = field(default_factory=dict)
    built: Collection[Target] = ()
    common: Collection[Target] = ()


def bake_definition(
    piece: BuildPiece, setting: DefinitionContext, *, load: bool = True, parts: str = ""
) -> dict[str, Any]:
    """What buildx is told for `piece`.

    Without `load`, the image does not go into the engine even if its target says so. `parts` is the beginning of the
    names of the archives that are to be joined with those of other pieces.
    """
    platforms = tuple(each.platform for each in piece.platforms)
    within = _within(piece.target, platforms)
    main = _main(piece, setting, platforms, within)
    if not piece.shared:
        main["output"] = outputs(piece, setting, load=load, parts=parts)
        main = in_common_form(main) if piece.target in setting.common else main
    targets = {piece.target.name: main}
    for name, (target, wanted) in within.parts.items():
        targets[name] = _link(target, wanted, setting, within)
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
        for group in grouped_by_variant(link, wanted):
            parts[name] = (link, group)
            taken.add(name)
            name = next(each for each in map(f"{link.name}-{{}}".format, count(2)) if each not in taken)
    return _Within(parts=parts)


def _main(
    piece: BuildPiece, setting: DefinitionContext, platforms: tuple[Platform, ...], within: _Within
) -> dict[str, Any]:
    target = piece.target
    found = _common(target, platforms, setting, within)
    found["output"] = ["type=cacheonly"]
    if piece.shared:
        found.pop("cache-to", None)
    elif setting.classic or piece.delivery is Delivery.KEEP:
        found["tags"] = list(target.tags)
    if piece.of > 1:
        found["args"] = {**found.get("args", {}), **_PART_OF_MANY}
    if piece.of > 1 or _is_plain(piece):
        found["annotations"] = annotations_of_part(target, platforms)
    return found


def _is_plain(piece: BuildPiece) -> bool:
    """Whether the result is one image without an index around it, which refuses annotations of an index."""
    return len(piece.platforms) == 1 and piece.delivery is Delivery.KEEP


def _link(target: Target, platforms: Sequence[Platform], setting: DefinitionContext, within: _Within) -> dict[str, Any]:
    """A linked target is built for others only: it has no name, and exports neither itself nor its cache."""
    found = _common(target, platforms, setting, within) | {"output": ["type=cacheonly"], "attest": [_UNATTESTED]}
    again = _BUILT_AGAIN_BY_AN_ENGINE if setting.driver.rules.is_engine else _BUILT_AGAIN
    for name in ("cache-to", *(again if target in setting.built else ())):
        found.pop(name, None)
    return found


def check_definition(step: CheckPiece, setting: DefinitionContext, uploaded: str = "") -> tuple[str, dict[str, Any]]:
    """What buildx is told for a check, and under which name: a build upon the checked target that goes nowhere.

    That target, and what it links to, come from the node's cache, even if they say `no-cache` or `pull`. With
    `uploaded`, the reference of its image in a registry, a command runs upon that, and nothing else is built.
    """
    target = step.target
    targets = _as_built(target, step.platforms, setting)
    checked = targets[target.name]
    name = f"{target.name}-check-{step.number}"
    while name in targets:
        name += "-"
    if not step.check.run:
        return name, {"target": targets | {name: _stage(step, checked)}}
    if uploaded:
        return name, {"target": {name: _command(step, checked, f"docker-image://{uploaded}")}}
    return name, {"target": targets | {name: _command(step, checked, f"target:{target.name}")}}


def _as_built(target: Target, platforms: tuple[Platform, ...], setting: DefinitionContext) -> dict[str, dict[str, Any]]:
    """A target and all that it links to, which the node's cache holds: nothing of it is built anew, or exported."""
    within = _within(target, platforms)
    parts = {target.name: (target, platforms), **within.parts}
    setting = replace(setting, built={each for each, _ in parts.values()})
    found = {name: _link(each, wanted, setting, within) for name, (each, wanted) in parts.items()}
    return {name: {key: each[key] for key in each if key != "annotations"} for name, each in found.items()}


def _command(step: CheckPiece, checked: dict[str, Any], image: str) -> dict[str, Any]:
    """A command that runs in `image`: its environment, user and folder apply, its entrypoint does not."""
    kept = ("platforms", "output", *_SURROUNDINGS)
    return {name: checked[name] for name in kept if name in checked} | {
        "context": ".",
        "contexts": {"checked": image},
        "dockerfile-inline": f"{CHECKED}\nRUN {_exec_form(step.check.run)}\n",
        "no-cache": True,
    }


def _exec_form(command: Sequence[str]) -> str:
    """A command as JSON in which a Dockerfile's parser finds no here-document."""
    return json.dumps(command).replace("<<", "\\u003c<")


def _stage(step: CheckPiece, checked: dict[str, Any]) -> dict[str, Any]:
    """A stage of the same Dockerfile; what says that it is not cached goes for this stage alone."""
    attributes = step.target.on(step.platforms).attributes
    stage = step.check.target
    fresh = attributes.get("no-cache") or stage in attributes.get("no-cache-filter", ())
    return checked | {"target": stage} | ({"no-cache-filter": [stage]} if fresh else {})


def _common(
    target: Target, platforms: Sequence[Platform], setting: DefinitionContext, within: _Within
) -> dict[str, Any]:
    variant = target.on(platforms)
    found = dict(variant.attributes)
    if "annotations" in found:
        found["annotations"] = [f"{level}:{rest}" for level, rest in by_level(found["annotations"])]
    if "policy" in found:
        found["policy"] = enforced_policies(found["policy"])
    links = {context: f"target:{within.name(link, platforms)}" for context, link in variant.links.items()}
    contexts = {**setting.upon.get(target, {}), **found.get("contexts", {}), **links}
    if contexts:
        found["contexts"] = contexts
    names = [str(each) for each in platforms]
    return found | ({"platforms": names} if names else {})


def outputs(piece: BuildPiece, setting: DefinitionContext, *, load: bool = True, parts: str = "") -> list[str]:
    """Where the results of a piece go; see `bake_definition`.

    The image that is published comes last: of several exporters BuildKit tells the digest of the last one.
    """
    image = _image(piece, setting)
    found = [format_fields(_loaded_by(piece))] if piece.target.load and load else []
    found += _local_outputs(piece, parts)
    if setting.driver.rules.is_engine and image:
        found = [each for each in found if not names_tags(each, piece)]
    if piece.delivery is Delivery.UNTAGGED and not setting.classic:
        found = [_named(each, piece.target.tags) for each in found]
    return [*found, *([format_fields(image)] if image else [])] or ["type=cacheonly"]


def names_tags(output: str, piece: BuildPiece) -> bool:
    """Whether an output names an image in an engine by its tags.

    What the engine's own builder pushes is in its store already, and gets the tags there: a second image would differ.
    """
    fields = parse_fields(output)
    plain = fields.get("type") in _NAMING and not {"name", "dest", "context"} & set(fields)
    return plain or fields == _loaded_by(piece)


def _loaded_by(piece: BuildPiece) -> dict[str, str]:
    """The output that loads a piece; what is not built under its tags says them itself."""
    names = ",".join(piece.target.tags) if piece.delivery is Delivery.UNTAGGED else ""
    return {"type": "docker"} | ({"name": names} if names else {})


def _image(piece: BuildPiece, setting: DefinitionContext) -> dict[str, str]:
    """The output that pushes the image of a piece, or keeps it to be pushed; none where nothing is."""
    options = piece.target.push_options
    match piece.delivery:
        case Delivery.KEEP:
            return {}
        case Delivery.UNTAGGED if setting.driver.rules.is_engine:
            return _by_an_engine(piece, setting)
        case Delivery.UNTAGGED:
            return {**_by_digest(piece), **options}
        case _:
            assert_never(piece.delivery)


def _local_outputs(piece: BuildPiece, parts: str) -> list[str]:
    """The outputs on this machine; of an archive that is joined, this piece's part."""
    joined = archives(piece.target) if piece.of > 1 else ()
    part = {each: {"dest": archive_part(parts, number), "tar": "true"} for number, each in enumerate(joined)}
    return [
        format_fields({**parse_fields(each), **part[each]}) if each in part else each for each in piece.target.outputs
    ]


def _named(output: str, tags: Sequence[str]) -> str:
    """An output that holds an image under its `tags`, of a build that is not given them."""
    fields = parse_fields(output)
    if fields.get("type") not in _ARCHIVES or "name" in fields or not tags:
        return output
    return format_fields({**fields, "name": ",".join(tags)})


def archive_part(parts: str, number: int) -> str:
    """The file of a piece's part of the archive that is the `number`-th of its target."""
    return f"{parts}.{number}{PART}"


def load_definition(piece: BuildPiece, platform: Platform, setting: DefinitionContext) -> dict[str, Any]:
    """What buildx is told to load one platform of a piece that has been built: all of it comes from the cache."""
    target = piece.target
    targets = _as_built(target, (platform,), setting)
    targets[target.name] |= {"tags": list(target.tags), "output": ["type=docker"]}
    return {"target": targets}


def _by_an_engine(piece: BuildPiece, setting: DefinitionContext) -> dict[str, str]:
    """The output of an engine's own builder, which always stores the image, and pushes it if it can."""
    options = {name: value for name, value in piece.target.push_options.items() if name != "store"}
    push = {} if setting.classic else {"name": ",".join(upload_tags(piece.target)), "push": "true"}
    return {"type": "image", **push, **options}


def _by_digest(piece: BuildPiece) -> dict[str, str]:
    fields = {"type": "image", "name": ",".join(repositories(piece.target)), "push": "true"}
    # An engine's own image store would name the image too, and refuse when two pieces do so at once.
    fields |= {"push-by-digest": "true", "name-canonical": "true", "store": "false"}
    return fields | ({"oci-mediatypes": "true"} if piece.of > 1 and _is_in_oci_terms(piece.target) else {})


def _is_in_oci_terms(target: Target) -> bool:
    """Whether annotations make all manifests of one node OCI's; its pieces may carry none of them."""
    return any(each.kind != "manifest" for each in parse_annotations(target.attributes.get("annotations", ())))


def annotations_of_part(target: Target, platforms: tuple[Platform, ...]) -> list[str]:
    """The annotations that a piece of several can carry: those of manifests, for its own platforms."""
    mine = (None, *platforms)
    entries = by_level(target.attributes.get("annotations", ()))
    return [
        f"{level}:{rest}"
        for level, rest in entries
        if not level.startswith("index") and annotated_platform(level) in mine
    ]


def without_cache(definition: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    """`definition` with the targets of these names built without the cache; what they link to stays as it is."""
    targets = {
        name: each | ({"no-cache": True} if name in names else {}) for name, each in definition["target"].items()
    }
    return {**definition, "target": targets}


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
        if any(map(deletes, target.get("output", ()))):
            found["buildx.local.delete"] = None
    return list(found)


def dockerfiles(definition: dict[str, Any], root: Path) -> dict[str, str]:
    """Where the Dockerfile of each target of a definition is: on this machine as seen from `root`, else its name."""
    return {name: _dockerfile(target, str(root)) for name, target in definition["target"].items()}


def _dockerfile(target: dict[str, Any], root: str) -> str:
    if "dockerfile-inline" in target:
        return _DOCKERFILE
    context, name = str(target["context"]), str(target.get("dockerfile", _DOCKERFILE))
    if not (is_local_context(context) and is_local_context(name)):
        return name
    path = posixpath.normpath(posixpath.join(context, name))
    return path.removeprefix(f"{root.rstrip('/')}/")


def _contexts(target: dict[str, Any]) -> list[str]:
    return [target["context"], *target.get("contexts", {}).values()]


def _read_by(target: dict[str, Any]) -> Iterator[str]:
    """The local paths that a build of `target` reads."""
    for name, value in target.items():
        if name in ATTRIBUTES and ATTRIBUTES[name].access is not PathAccess.WRITES:
            yield from (path for _, path in paths_of(ATTRIBUTES[name].paths, value))
    dockerfile = str(target.get("dockerfile", ""))
    if dockerfile and is_local_context(dockerfile) and is_local_context(target["context"]):
        path = posixpath.normpath(posixpath.join(target["context"], dockerfile))
        if not path.startswith(f"{target['context'].rstrip('/')}/"):
            yield path


def _paths(entries: Iterable[str]) -> Iterable[str]:
    return (path for _, path in paths_of(Paths.FIELDS, [*entries]))
