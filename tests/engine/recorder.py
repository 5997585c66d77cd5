"""The engine calls of a run: a docker command that records how it is called, and the requests that a registry gets."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.base.references import parse_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Call = tuple[str, ...]
"""An engine call: its kind, and what it is about."""

_SHIM = """\
#!/bin/sh
umask 077
record=$(mktemp "{folder}/XXXXXXXX")
printf '%s\\0' "$BUILDX_CONFIG" "$@" > "$record.part"
case "$*" in
  *" bake "*) cat > "$record.stdin"; mv "$record.part" "$record.call"; exec "{docker}" "$@" < "$record.stdin" ;;
esac
mv "$record.part" "$record.call"
exec "{docker}" "$@"
"""
_VALUE_OPTIONS = frozenset({"--builder", "--file", "-f", "--progress", "--metadata-file", "--allow", "--set"})
_CHECK = re.compile(r"(?P<target>.+)-check-(?P<number>\d+)-*")
_PUT = re.compile(r"PUT /v2/(?P<repository>.+)/manifests/(?P<name>[^/]+)")
_UPLOAD_TAG = "mpbake-upload-"


@dataclass(frozen=True, kw_only=True)
class DockerCall:
    """One docker command: its words, the buildx store that it uses, and the bake definition on its standard input."""

    words: tuple[str, ...]
    store: str
    definition: Mapping[str, Any]


class DockerRecorder:
    """A docker command for the start of PATH, which records each call in a folder and then runs the real docker."""

    def __init__(self, folder: Path, path: str) -> None:
        self._records = folder / "calls"
        self._bin = folder / "bin"
        self._path = path
        for each in (self._records, self._bin):
            each.mkdir(parents=True)
        docker = shutil.which("docker", path=path)
        assert docker is not None
        shim = self._bin / "docker"
        shim.write_text(_SHIM.format(folder=self._records, docker=docker))
        shim.chmod(0o755)

    @property
    def path(self) -> str:
        """The PATH with the recording docker first."""
        return f"{self._bin}{os.pathsep}{self._path}"

    def forget(self) -> None:
        """Start a new record."""
        for file in self._records.iterdir():
            file.unlink()

    def calls(self) -> list[DockerCall]:
        """Return all calls since the record began."""
        return [_read_call(file) for file in sorted(self._records.glob("*.call"))]


def _read_call(file: Path) -> DockerCall:
    store, *words = file.read_text().rstrip("\0").split("\0")
    stdin = file.with_suffix(".stdin")
    definition = json.loads(stdin.read_text()) if stdin.exists() else {}
    return DockerCall(words=tuple(words), store=store, definition=definition)


# --- what a run did ---------------------------------------------------------------------------------------------------


def observed_calls(calls: Iterable[DockerCall], requests: Iterable[str], registry: str) -> Counter[Call]:
    """Return the engine calls of a run, of the kinds that docs/review.md lists.

    `requests` are the requests that the registry at `registry` got, as METHOD PATH.
    """
    docker = [call for command in calls for call in _calls_of(command)]
    return Counter([*dict.fromkeys(call for call in docker if call[0] in _ONCE), *_repeated(docker)]) + Counter(
        _writes(requests, registry)
    )


_ONCE = ("bootstrap", "create")
"""Kinds of calls that may take several commands, such as several queries to a node."""
_STORES = frozenset({"cacheonly", "docker", "image"})
"""Types of outputs that write neither to a registry nor to a folder."""


def _repeated(calls: Iterable[Call]) -> Iterator[Call]:
    return (call for call in calls if call[0] not in _ONCE)


def _calls_of(command: DockerCall) -> Iterator[Call]:
    words = command.words[2:] if command.words[0] in {"--host", "--context"} else command.words
    match words:
        case ("buildx", "inspect", *_) if ".mpbake" in Path(command.store).parts:
            yield "bootstrap", _node(command)  # a probe has its stores in another folder
        case ("volume", "create", *_):
            yield "create", words[-1].removeprefix("buildx_buildkit_").removesuffix("_state")
        case ("image", "tag", _, name) | ("tag", _, name):
            if f":{_UPLOAD_TAG}" not in name:
                yield "name", name
        case ("buildx", "bake", *rest) if "--print" not in rest:
            yield from _of_bake(command, list(rest))
        case ("buildx", "imagetools" | "build" | "rm" | "prune", *_) | ("container", "stop" | "rm" | "create", *_):
            yield "unexpected", *words  # a plan lists none of these


def _node(command: DockerCall) -> str:
    return Path(command.store).name


def _of_bake(command: DockerCall, words: list[str]) -> Iterator[Call]:
    """Yield the calls of one bake call, which may build several pieces."""
    built = "--metadata-file" in words
    for name in _targets(words):
        target = command.definition["target"][name]
        platforms = ",".join(sorted(target.get("platforms", ())))
        outputs = [parse_fields(output) for output in target["output"]]
        check = _CHECK.fullmatch(name)
        if check and not built:
            yield "check", _node(command), check["target"], check["number"], platforms
        elif not built:
            yield "load", name, platforms
        else:
            yield "build", _node(command), name, platforms, _written(outputs)
            if any(_is_load(output) for output in outputs):
                yield "load", name, platforms


def _targets(words: list[str]) -> Iterator[str]:
    """Return the targets on the command line of bake."""
    rest = iter(words)
    for word in rest:
        if word in _VALUE_OPTIONS:
            next(rest)
        elif not word.startswith("-"):
            yield word


def _is_load(output: Mapping[str, str]) -> bool:
    return output["type"] == "docker" and "dest" not in output


def _written(outputs: Iterable[Mapping[str, str]]) -> str:
    """Return what a build writes, besides what it loads: the repositories that it pushes to, and local outputs."""
    kinds = []
    for output in outputs:
        if output.get("push") == "true":
            kinds += [f"push {name.partition(f':{_UPLOAD_TAG}')[0]}" for name in output["name"].split(",")]
        elif output["type"] not in _STORES:
            kinds.append(output["type"])
    return ",".join(sorted(kinds))


def _writes(requests: Iterable[str], registry: str) -> Iterator[Call]:
    """Yield the tags that a registry got, and the repository of each upload tag.

    An engine puts each manifest of an image under its upload tag, the index last, so an upload tag is counted once.
    """
    puts = [put for request in requests if (put := _PUT.fullmatch(request))]
    tags = [put for put in puts if ":" not in put["name"]]
    uploads = {(put["repository"], put["name"]) for put in tags if put["name"].startswith(_UPLOAD_TAG)}
    names = [(put["repository"], put["name"]) for put in tags]
    yield from (
        ("tag", f"{registry}/{repository}:{tag}") for repository, tag in names if (repository, tag) not in uploads
    )
    yield from (("upload", f"{registry}/{repository}") for repository, _ in uploads)


# --- what a plan lists ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """The engine calls that the document of a probed plan lists.

    `engine_platform` is the platform of the engine in use. If several nodes are equal, the schedule of the run picks
    one when a build starts. `observed` are the calls of the run, which tell these choices; nothing else is taken from
    them.
    """

    document: Mapping[str, Any]
    engine_platform: str
    observed: Counter[Call]

    def calls(self) -> Counter[Call]:
        """Return the calls. The node of a build is the first of its candidates, as in `as_planned`."""
        return Counter(call for step in self.document["steps"] for call in self._calls_of_step(step))

    def _calls_of_step(self, step: Mapping[str, Any]) -> Iterator[Call]:
        match step["kind"]:
            case "bootstrap":
                yield "bootstrap", step["node"].replace("/", "-")
                nodes = self.document["probe"]["nodes"]
                if any(node["id"] == step["node"] and node["status"] == "missing" for node in nodes):
                    yield "create", step["node"].replace("/", "-")
            case "build":
                yield from self._of_build(step)
            case "check":
                platforms = ",".join(sorted(step["platforms"]))
                yield "check", _node_of(self.document, step), step["target"], _number(step), platforms
            case "publish":
                yield from (("tag", tag) for tag in step["tags"])
                yield from (("upload", pattern.partition(f":{_UPLOAD_TAG}")[0]) for pattern in step["uploads"])
                yield from (("name", tag) for tag in step["names"])

    def _of_build(self, step: Mapping[str, Any]) -> Iterator[Call]:
        target = self._target(step)
        build = ("build", step["nodes"][0].replace("/", "-"), step["target"], _platforms(step), self._writes(step))
        if step["shared"]:
            yield from [build] * self._times(step)
            return
        yield build
        if step["load"] == "all":
            yield "load", step["target"], _platforms(step)
        elif step["load"] == "engine" and self.engine_platform in _platforms(step).split(","):
            yield "load", step["target"], self.engine_platform
        yield from (("tag", cache) for cache in _caches(target, _platforms(step).split(",")))

    def _target(self, step: Mapping[str, Any]) -> Mapping[str, Any]:
        return next(target for target in self.document["targets"] if target["name"] == step["target"])

    def _writes(self, step: Mapping[str, Any]) -> str:
        """Return what a build writes, besides what it loads."""
        target = self._target(step)
        writes = [] if step["shared"] else [parse_fields(output)["type"] for output in target["outputs"]]
        writes = [kind for kind in writes if kind not in _STORES]
        if step["delivery"] == "untagged":
            writes += [f"push {name}" for name in dict.fromkeys(tag.rpartition(":")[0] for tag in target["tags"])]
        return ",".join(sorted(writes))

    def _times(self, step: Mapping[str, Any]) -> int:
        """Return how often a shared build runs.

        It runs once on each node that builds a target which links to it, unless this node has built the target itself.
        """
        builds = [other for other in self.document["steps"] if other["kind"] == "build"]
        users = [other for other in builds if step["key"] in other["after"]]
        own = [other for other in builds if other["key"] in step["after"]]
        nodes = {node for user in users for node in self._nodes_of(user)}
        built = {node for other in own for node in self._nodes_of(other)}
        if any(self._writes(other) == "" for other in own):  # such a build looks like the shared build
            return len(nodes | built) - 1
        return len(nodes - built)

    def _nodes_of(self, step: Mapping[str, Any]) -> set[str]:
        """Return the nodes on which the run built the piece of a step."""
        like = (step["target"], _platforms(step), self._writes(step))
        return {call[1] for call in self.observed if call[0] == "build" and call[2:] == like}


def _platforms(step: Mapping[str, Any]) -> str:
    return ",".join(sorted(placed["platform"] for placed in step["platforms"]))


def _caches(target: Mapping[str, Any], platforms: Iterable[str]) -> Iterator[str]:
    """Yield the references of the caches in a registry that the build of some platforms writes."""
    variants = [target["variants"].get(platform, target) for platform in platforms] or [target]
    entries = dict.fromkeys(entry for variant in variants for entry in variant["attributes"].get("cache-to", ()))
    fields = map(parse_fields, entries)
    yield from (entry["ref"] for entry in fields if entry["type"] == "registry")


def _number(step: Mapping[str, Any]) -> str:
    return step["key"].rpartition("(")[2].rstrip(")")  # type: ignore[no-any-return]


def _node_of(document: Mapping[str, Any], check: Mapping[str, Any]) -> str:
    """Return the node of the build that a check follows."""
    builds = {step["key"]: step for step in document["steps"] if step["kind"] == "build"}
    (build,) = (builds[key] for key in check["after"] if key in builds and builds[key]["target"] == check["target"])
    return str(build["nodes"][0]).replace("/", "-")


def as_planned(calls: Counter[Call], document: Mapping[str, Any]) -> Counter[Call]:
    """Return the calls of a run with each build and check on the first of its candidate nodes.

    If several nodes are equal, the plan lists all of them, and the schedule of the run picks one when the build starts.
    The run prepares only the nodes that it uses: other candidates count as prepared.
    """
    builds = [step for step in document["steps"] if step["kind"] == "build"]

    def moved(call: Call) -> Call:
        if call[0] not in {"build", "check"}:
            return call
        kind, node, name, *rest = call
        platforms = rest[0] if kind == "build" else rest[1]
        for step in builds:
            nodes = [candidate.replace("/", "-") for candidate in (*step["nodes"], *step["spare"])]
            built = {placed["platform"] for placed in step["platforms"]}
            if step["target"] == name and node in nodes and set(platforms.split(",")) <= built:
                return kind, nodes[0], name, *rest
        return call

    used = {call[1] for call in calls if call[0] in {"build", "check"}}
    unused: dict[Call, int] = {
        ("bootstrap", node.replace("/", "-")): 1
        for step in builds
        for node in step["nodes"]
        if len(step["nodes"]) > 1 and node.replace("/", "-") not in used
    }
    return Counter[Call](moved(call) for call in calls.elements()) | Counter(unused)
