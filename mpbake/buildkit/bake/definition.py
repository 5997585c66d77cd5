"""The bake definition of one build piece: the target of the piece and the targets that it links to. Pure."""

from __future__ import annotations

import json
import posixpath
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from mpbake.base.references import format_fields, is_local_context, parse_fields
from mpbake.buildkit.bake.images.image_forms import in_common_form
from mpbake.graph.delivery import archives, repositories, upload_tags
from mpbake.graph.links import grouped_by_variant, link_platforms, linked_platforms
from mpbake.model.annotations import annotated_platform, parse_annotations, split_by_level
from mpbake.model.bake_fields import deletes, enforced_policies
from mpbake.model.grants import GrantKind, outermost
from mpbake.model.plan import Driver
from mpbake.model.steps import BuildPiece, Delivery
from mpbake.review.grants.attributes import agents, privileges, read_paths, written_paths
from mpbake.spec.tables.attributes import Role
from mpbake.spec.tables.target_tables import attributes_for

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from mpbake.base.platforms import Platform
    from mpbake.model.plan import Driver, Target
    from mpbake.model.steps import CheckPiece

CHECKED = "FROM checked"
"""The first line of the Dockerfile that mpbake writes for the command of a check."""
PIECE_ARCHIVE_SUFFIX = ".oci.tar"
"""The end of the file name of a build piece's archive, before the archives of all pieces are joined."""
_DOCKERFILE = "Dockerfile"
_NO_CACHE = attributes_for(Role.NO_CACHE)
_PULL = attributes_for(Role.PULL)
_UNATTESTED = "type=provenance,disabled=true"
_RUN_ENVIRONMENT = attributes_for(Role.RUN)
_RESULT = attributes_for(Role.RESULT)
_NAMING = ("docker", "image")
_ARCHIVES = ("docker", "oci")
# Makes BuildKit produce multi-platform output (an index, one folder per platform) even for a single platform.
_MULTI_PLATFORM_OUTPUT = {"BUILDKIT_MULTI_PLATFORM": "1"}


@dataclass(frozen=True, kw_only=True, slots=True)
class DefinitionContext:
    """The inputs of a definition besides the plan: the `driver` of the node, and the history of the run.

    - `root`: the folder of the plan.
    - `bases`: additional named contexts of targets, which refer to images that the run has published.
    - `built`: links that the run has built on the node. They come from the cache even if they set `no-cache` or `pull`.
    - `classic`: the engine has no containerd image store, so mpbake runs `docker push` after the build.
    - `common`: targets whose output must explicitly use the image format that every BuildKit release can write.
    """

    driver: Driver
    root: Path = Path()
    classic: bool = False
    bases: Mapping[Target, Mapping[str, str]] = field(default_factory=dict)
    built: Collection[Target] = ()
    common: Collection[Target] = ()


def bake_definition(
    piece: BuildPiece, context: DefinitionContext, *, load: bool = True, archive_prefix: str = ""
) -> dict[str, Any]:
    """Return the definition of `piece`.

    Without `load`, the image is not loaded into the engine even if the target sets `load`. `archive_prefix` is the
    start of the file names of archives that mpbake later joins with the archives of other build pieces.
    """
    platforms = tuple(placed.platform for placed in piece.platforms)
    links = _linked(piece.target, platforms)
    main = _main(piece, context, platforms, links)
    if not piece.shared:
        main["output"] = outputs(piece, context, load=load, archive_prefix=archive_prefix)
        main = in_common_form(main) if piece.target in context.common else main
    targets = {piece.target.name: main}
    for name, (target, wanted) in links.by_name.items():
        targets[name] = _link(target, wanted, context, links)
    return {"target": targets}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Links:
    """The linked targets in a definition, each with its platforms, by their names in the definition."""

    by_name: Mapping[str, tuple[Target, tuple[Platform, ...]]]

    def name(self, link: Target, platforms: Sequence[Platform]) -> str:
        """Return the name of `link` in the definition, for a target that is built for `platforms`."""
        needed = set(link_platforms(link, platforms)[:1])
        return next(name for name, (target, group) in self.by_name.items() if target is link and needed <= set(group))


def _linked(target: Target, platforms: Sequence[Platform]) -> _Links:
    """Return all direct and indirect links of `target`.

    A link that differs between platforms appears once per variant.
    """
    linked = linked_platforms(target, platforms)
    taken = {target.name, *(link.name for link in linked)}
    by_name = {}
    for link, wanted in linked.items():
        name = link.name
        for group in grouped_by_variant(link, wanted):
            by_name[name] = (link, group)
            taken.add(name)
            numbered = map(f"{link.name}-{{}}".format, count(2))
            name = next(candidate for candidate in numbered if candidate not in taken)
    return _Links(by_name=by_name)


def _main(
    piece: BuildPiece, context: DefinitionContext, platforms: tuple[Platform, ...], links: _Links
) -> dict[str, Any]:
    target = piece.target
    main = _common(target, platforms, context, links)
    main["output"] = ["type=cacheonly"]
    if piece.shared:
        main.pop("cache-to", None)
    elif context.classic or piece.delivery is Delivery.KEEP:
        main["tags"] = list(target.tags)
    if piece.piece_count > 1:
        main["args"] = {**main.get("args", {}), **_MULTI_PLATFORM_OUTPUT}
    if piece.piece_count > 1 or _is_plain(piece):
        main["annotations"] = piece_annotations(target, platforms)
    return main


def _is_plain(piece: BuildPiece) -> bool:
    """Whether the result is a single image without an index. Annotations of an index are an error for such an image."""
    return len(piece.platforms) == 1 and piece.delivery is Delivery.KEEP


def _link(target: Target, platforms: Sequence[Platform], context: DefinitionContext, links: _Links) -> dict[str, Any]:
    """Return the definition of a linked target: without tags, and without exporting the image or the cache."""
    # Without `pull`, an engine uses its own base image, even if that image is outdated: so `pull` is kept for engines.
    rebuilds = _NO_CACHE if context.driver.rules.is_engine else _NO_CACHE + _PULL
    omitted = _RESULT + (rebuilds if target in context.built else ())
    attributes = _common(target, platforms, context, links)
    kept = {name: value for name, value in attributes.items() if name not in omitted}
    return kept | {"output": ["type=cacheonly"], "attest": [_UNATTESTED]}


def check_definition(step: CheckPiece, context: DefinitionContext, uploaded: str = "") -> tuple[str, dict[str, Any]]:
    """Return the name and the definition of a check: a build from the checked target, without an output.

    The checked target and its links come from the node's cache, even if the targets set `no-cache` or `pull`.
    `uploaded` is the reference of the target's image in a registry. If `uploaded` is given, a command runs in the
    uploaded image, and nothing is built.
    """
    target = step.target
    targets = _as_built(target, step.platforms, context)
    checked = targets[target.name]
    name = f"{target.name}-check-{step.number}"
    while name in targets:
        name += "-"
    if not step.check.run:
        return name, {"target": targets | {name: _stage(step, checked)}}
    if uploaded:
        return name, {"target": {name: _command(step, checked, f"docker-image://{uploaded}")}}
    return name, {"target": targets | {name: _command(step, checked, f"target:{target.name}")}}


def _as_built(target: Target, platforms: tuple[Platform, ...], context: DefinitionContext) -> dict[str, dict[str, Any]]:
    """Return the definitions of a target and its links, all taken from the node's cache."""
    links = _linked(target, platforms)
    parts = {target.name: (target, platforms), **links.by_name}
    context = replace(context, built={part for part, _ in parts.values()})
    return {name: _link(part, wanted, context, links) for name, (part, wanted) in parts.items()}


def _command(step: CheckPiece, checked: dict[str, Any], image: str) -> dict[str, Any]:
    """Return the definition of a command that runs in `image`.

    The command has the environment, user and folder of the image, but not its entrypoint.
    """
    kept = ("platforms", "output", *_RUN_ENVIRONMENT)
    return {name: checked[name] for name in kept if name in checked} | {
        "context": ".",
        "contexts": {"checked": image},
        "dockerfile-inline": f"{CHECKED}\nRUN {_exec_form(step.check.run)}\n",
        "no-cache": True,
    }


def _exec_form(command: Sequence[str]) -> str:
    """Return a command as JSON, escaped so that the Dockerfile parser finds no here-document in the JSON."""
    return json.dumps(command).replace("<<", "\\u003c<")


def _stage(step: CheckPiece, checked: dict[str, Any]) -> dict[str, Any]:
    """Return the definition of a check that is a stage of the same Dockerfile.

    `no-cache` applies to this stage only.
    """
    attributes = step.target.on(step.platforms).attributes
    stage = step.check.target
    fresh = attributes.get("no-cache") or stage in attributes.get("no-cache-filter", ())
    return checked | {"target": stage} | ({"no-cache-filter": [stage]} if fresh else {})


def _common(target: Target, platforms: Sequence[Platform], context: DefinitionContext, links: _Links) -> dict[str, Any]:
    variant = target.on(platforms)
    definition = dict(variant.attributes)
    if "annotations" in definition:
        definition["annotations"] = [f"{level}:{rest}" for level, rest in split_by_level(definition["annotations"])]
    if "policy" in definition:
        definition["policy"] = enforced_policies(definition["policy"])
    linked = {name: f"target:{links.name(link, platforms)}" for name, link in variant.links.items()}
    contexts = {**context.bases.get(target, {}), **definition.get("contexts", {}), **linked}
    if contexts:
        definition["contexts"] = contexts
    names = [str(platform) for platform in platforms]
    return definition | ({"platforms": names} if names else {})


def outputs(piece: BuildPiece, context: DefinitionContext, *, load: bool = True, archive_prefix: str = "") -> list[str]:
    """Return the outputs of a build piece; see `bake_definition`.

    The published image is last, since BuildKit reports only the digest of its last exporter.
    """
    image = _image(piece, context)
    entries = [format_fields(_load_output(piece))] if piece.target.load and load else []
    entries += _local_outputs(piece, archive_prefix)
    if context.driver.rules.is_engine and image:
        entries = [entry for entry in entries if not names_tags(entry, piece)]
    if piece.delivery is Delivery.UNTAGGED and not context.classic:
        entries = [_named(entry, piece.target.tags) for entry in entries]
    return [*entries, *([format_fields(image)] if image else [])] or ["type=cacheonly"]


def names_tags(output: str, piece: BuildPiece) -> bool:
    """Return whether an output gives an image in an engine the tags of its target.

    If the builder of the Docker engine pushes an image, the engine's store already contains that image, which gets the
    tags there. A second image would differ.
    """
    fields = parse_fields(output)
    plain = fields.get("type") in _NAMING and not {"name", "dest", "context"} & set(fields)
    return plain or fields == _load_output(piece)


def _load_output(piece: BuildPiece) -> dict[str, str]:
    """Return the output that loads a build piece. If the piece is built without tags, the output names the tags."""
    names = ",".join(piece.target.tags) if piece.delivery is Delivery.UNTAGGED else ""
    return {"type": "docker"} | ({"name": names} if names else {})


def _image(piece: BuildPiece, context: DefinitionContext) -> dict[str, str]:
    """Return the output that pushes a build piece's image, or stores it for a later push; empty without a push."""
    options = piece.target.push_options
    match piece.delivery:
        case Delivery.KEEP:
            return {}
        case Delivery.UNTAGGED if context.driver.rules.is_engine:
            return _pushed_by_engine(piece, context)
        case Delivery.UNTAGGED:
            return {**_pushed_by_digest(piece), **options}
        case _:
            assert_never(piece.delivery)


def _local_outputs(piece: BuildPiece, archive_prefix: str) -> list[str]:
    """Return the outputs on this machine.

    For an archive that mpbake joins later, the output is a file of this build piece.
    """
    joined = archives(piece.target) if piece.piece_count > 1 else ()
    part = {
        output: {"dest": piece_archive(archive_prefix, number), "tar": "true"} for number, output in enumerate(joined)
    }
    return [
        format_fields({**parse_fields(output), **part[output]}) if output in part else output
        for output in piece.target.outputs
    ]


def _named(output: str, tags: Sequence[str]) -> str:
    """Return an output that stores an image under `tags`, although the build itself has no tags."""
    fields = parse_fields(output)
    if fields.get("type") not in _ARCHIVES or "name" in fields or not tags:
        return output
    return format_fields({**fields, "name": ",".join(tags)})


def piece_archive(archive_prefix: str, number: int) -> str:
    """Return the file for a build piece's images of the `number`-th archive of its target."""
    return f"{archive_prefix}.{number}{PIECE_ARCHIVE_SUFFIX}"


def load_definition(piece: BuildPiece, platform: Platform, context: DefinitionContext) -> dict[str, Any]:
    """Return the definition that loads one platform of a build piece from the cache, after the piece was built."""
    target = piece.target
    targets = _as_built(target, (platform,), context)
    targets[target.name] |= {"tags": list(target.tags), "output": ["type=docker"]}
    return {"target": targets}


def _pushed_by_engine(piece: BuildPiece, context: DefinitionContext) -> dict[str, str]:
    """Return the output for the `docker` driver: it stores the image and, except in the classic store, pushes."""
    options = {name: value for name, value in piece.target.push_options.items() if name != "store"}
    push = {} if context.classic else {"name": ",".join(upload_tags(piece.target, context.root)), "push": "true"}
    return {"type": "image", **push, **options}


def _pushed_by_digest(piece: BuildPiece) -> dict[str, str]:
    fields = {"type": "image", "name": ",".join(repositories(piece.target)), "push": "true"}
    # Otherwise an engine's image store would also name the image, which fails for two build pieces at once.
    fields |= {"push-by-digest": "true", "name-canonical": "true", "store": "false"}
    return fields | ({"oci-mediatypes": "true"} if piece.piece_count > 1 and _makes_oci_manifests(piece.target) else {})


def _makes_oci_manifests(target: Target) -> bool:
    """Whether the target's annotations require OCI media types, even for a build piece without annotations."""
    return any(
        annotation.kind != "manifest" for annotation in parse_annotations(target.attributes.get("annotations", ()))
    )


def piece_annotations(target: Target, platforms: tuple[Platform, ...]) -> list[str]:
    """Return the annotations that one of several build pieces can carry: those of its platforms' manifests."""
    own = (None, *platforms)
    entries = split_by_level(target.attributes.get("annotations", ()))
    return [
        f"{level}:{rest}"
        for level, rest in entries
        if not level.startswith("index") and annotated_platform(level) in own
    ]


def without_cache(definition: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return `definition` with `no-cache` set for the targets `names`, but not for their links."""
    targets = {
        name: target | ({"no-cache": True} if name in names else {}) for name, target in definition["target"].items()
    }
    return {**definition, "target": targets}


def entitlements(definition: dict[str, Any]) -> list[str]:
    """Return the privileges of RUN steps in a definition. `network = "host"` also counts as a privilege."""
    uses = [use for target in definition["target"].values() for use in privileges(target)]
    return list(dict.fromkeys(privilege for _, privilege in uses))


def grants(
    definition: dict[str, Any], root: str, real: Callable[[str], str], existing: Callable[[str], str] = str
) -> list[str]:
    """Return the `--allow` values that newer buildx requires: exactly the paths and the agent that the definition uses.

    buildx itself allows every path in the folder of the call, `root`. `real` resolves a path as when the rights of the
    plan were checked. buildx resolves allowed paths too, so `existing` returns the nearest existing folder of a path.
    """
    allowed: dict[str, None] = {}
    for target in definition["target"].values():
        for right, uses in ((GrantKind.READ, read_paths(target)), (GrantKind.WRITE, written_paths(target))):
            outside = outermost((path for _, path in uses), root, real)
            allowed |= dict.fromkeys(f"{right}={existing(path)}" for path in outside)
        if target.get("ssh") or any(agents(target)):
            allowed[str(GrantKind.SSH)] = None
        if any(map(deletes, target.get("output", ()))):
            allowed["buildx.local.delete"] = None
    return list(allowed)


@dataclass(frozen=True, kw_only=True, slots=True)
class DockerfilePath:
    """The path of a target's Dockerfile: relative to the folder of the plan, or absolute.

    If the Dockerfile is remote or inline, the file is not `local`, and `path` is its name.
    """

    path: str
    local: bool = True


def dockerfiles(definition: dict[str, Any], root: Path) -> dict[str, DockerfilePath]:
    """Return the Dockerfile of each target in a definition, for a plan in the folder `root`."""
    return {name: _dockerfile(target, str(root)) for name, target in definition["target"].items()}


def _dockerfile(target: dict[str, Any], root: str) -> DockerfilePath:
    if "dockerfile-inline" in target:
        return DockerfilePath(path=_DOCKERFILE, local=False)
    context, name = str(target["context"]), str(target.get("dockerfile", _DOCKERFILE))
    if not (is_local_context(context) and is_local_context(name)):
        return DockerfilePath(path=name, local=False)
    path = posixpath.normpath(posixpath.join(context, name))
    return DockerfilePath(path=path.removeprefix(f"{root.rstrip('/')}/"))
