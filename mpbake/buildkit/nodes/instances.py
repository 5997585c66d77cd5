"""buildx instances of single nodes, each in a folder of its own: what buildx keeps of a node, and how it answers.

Such an instance lists one node, so buildx cannot choose another, and a dead node delays nobody. It only refers to the
node: its folder can go at any time.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import stat
import tempfile
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import Unreachable, UsageError
from mpbake.base.files import read_bounded
from mpbake.base.platforms import reported_platform
from mpbake.base.text import duration
from mpbake.buildkit.nodes.buildx_store import BuildxStore, store_folder
from mpbake.buildkit.nodes.contexts import engine_of
from mpbake.buildkit.nodes.declaration import create_arguments, declare
from mpbake.buildkit.nodes.drivers.back_end import INSPECT_TIMEOUT
from mpbake.buildkit.nodes.endpoints import Endpoints
from mpbake.buildkit.nodes.failure_causes import node_text
from mpbake.buildkit.nodes.first_start import BootProgress
from mpbake.buildkit.nodes.node_errors import unusable
from mpbake.buildkit.process.environment import workflow_variables
from mpbake.graph.placement import NodeFacts, default_driver
from mpbake.model.node_state import ADDED_FLAG
from mpbake.model.plan import CONTAINER_DRIVER, ENGINE_DRIVER
from mpbake.spec.loader import same_values

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from mpbake.buildkit.nodes.first_start import NodeStart
    from mpbake.buildkit.process.docker import Completed, Docker
    from mpbake.graph.placement import EngineFacts
    from mpbake.model.plan import Driver, Node, Target

_MAX_PARALLELISM = re.compile(r"^[>\s]*max-parallelism\s*=\s*(\d+)", re.MULTILINE)
_CONFIG = "buildkitd.default.toml"
_KEPT_CONFIG = "buildkitd.toml"
_AT_REST = {"inactive", "stopped"}
"""What buildx calls a node that was not started yet, or not again."""
_LOGINS = "config"
_CLIENT = ".buildNodeID"
"""A number that buildx makes up once. BuildKit is sent what has changed in a folder since the same client sent it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadyNode:
    """A node that answers: what it said, how buildx is told to use it, and what had to be done.

    `workflow` is what buildx is told of the workflow run in case that it makes the node's container.
    """

    node: Node
    facts: NodeFacts
    builder: str
    store: Path
    note: str = "running"
    warnings: tuple[str, ...] = ()
    workflow: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What a buildx call needs in its environment to find the builder, and to make what it lives in."""
        return {"BUILDX_CONFIG": str(self.store), **self.workflow}

    @property
    def endpoint(self) -> str:
        """The engine that the docker command itself must talk to; for other drivers than docker, any will do."""
        return self.node.endpoint if self.node.driver.rules.is_engine else ""


class Instances:
    """Makes instances below `folder`, and asks them; safe to use from several threads, for one node from one."""

    def __init__(self, docker: Docker, folder: Path, environment: Mapping[str, str]) -> None:
        self.docker = docker
        self._folder = folder
        self._environment = environment
        self.endpoints = Endpoints(docker, environment)
        self._buildkit: bool | None = None
        self._asking = threading.Lock()
        self._ours: set[Path] = set()

    def engine(self, node: Node) -> ReadyNode:
        """The builder that every engine has, asked. Its store is always made anew: it may have come with a checkout.

        Raises Unreachable, and UsageError where the engine has no BuildKit.
        """
        ready = self._own_builder(node, self._folder_of(node))
        found, said = self._ask(ready)
        if _lacks_buildkit(said):
            raise UsageError(
                f"node {node.id}: this engine has no BuildKit of its own, as podman has none",
                hint=f'set driver = "{CONTAINER_DRIVER}" in its builder: BuildKit then runs in a container',
            )
        return replace(ready, facts=self._facts(node, found, said))

    def default_driver(self, targets: Sequence[Target], engine: EngineFacts) -> Driver:
        """Return the driver of the default builder of `targets` on the `engine` in use, which may have no BuildKit."""
        driver = default_driver(targets, engine)
        if driver.rules.is_engine and not engine.containerd_store and not self._has_buildkit(targets[0]):
            return CONTAINER_DRIVER
        return driver

    def _has_buildkit(self, target: Target) -> bool:
        """Ask buildx whether the engine in use has a BuildKit of its own. buildx starts nothing for that."""
        with self._asking:
            if self._buildkit is None:
                node = replace(target.builder.nodes[0], driver=ENGINE_DRIVER)
                with tempfile.TemporaryDirectory(prefix="mpb") as folder:
                    said = self._ask(self._own_builder(node, Path(folder)))[1]
                self._buildkit = not _lacks_buildkit(said)
            return self._buildkit

    def _own_builder(self, node: Node, store: Path) -> ReadyNode:
        """The builder that the engine of `node` has, not yet asked."""
        builder = node.endpoint or self.endpoints.context_in_use()
        return ReadyNode(
            node=node,
            facts=NodeFacts(driver=node.driver),
            builder="default" if "://" in builder else builder,
            store=store,
        )

    def written(self, node: Node) -> ReadyNode:
        """The instance of `node` as declared, made anew when it is anything else; the node itself is not asked."""
        ready = ReadyNode(
            node=node,
            facts=NodeFacts(driver=node.driver),
            builder=node.buildx_name,
            store=self._folder_of(node, f"instances/{node.buildx_name}"),
            workflow=workflow_variables(self._environment, node),
        )
        endpoint = self.endpoint(node)
        if node.driver.rules.connects_on_create:
            # buildx has nothing to add, and would connect twice before it writes this down.
            BuildxStore(folder=ready.store).put(ready.builder, _entry(node, endpoint))
        elif not self._is_right(ready, endpoint):
            self._create(ready, endpoint)
        return ready

    def booted(self, ready: ReadyNode, boot: NodeStart) -> ReadyNode:
        """Create and start the node if need be, and return `ready` with what the node says of itself.

        `inspect` stops asking the node 20 seconds after its own begin, however long the start takes. If it has no
        answer after a start that succeeded, the node is asked again.
        Raises Unreachable, or UsageError where buildx does not take it as declared.
        """
        progress = BootProgress(lambda step: boot.tell(self.docker.redact(step)))
        found, said = self._ask(ready, "--bootstrap", timeout=boot.seconds, on_stderr=progress.feed)
        if found.timed_out:
            raise _late(ready.node, self.docker.redact(progress.step))
        if not found.returncode and not said.get("platforms"):
            return self.asked(ready, min(boot.seconds, INSPECT_TIMEOUT))
        found = replace(found, stderr=self.docker.redact(progress.text))
        return replace(ready, facts=self._facts(ready.node, found, said))

    def asked(self, ready: ReadyNode, timeout: float = INSPECT_TIMEOUT) -> ReadyNode:
        """`ready` with what the node says of itself within so many seconds; one that does not run is not started.

        Raises Unreachable.
        """
        return replace(ready, facts=self._inspect(ready, timeout=timeout))

    def external(self, node: Node, boot: NodeStart) -> ReadyNode:
        """A node of a builder that somebody else made, which answers; it is booted through that builder only."""
        if node.driver.rules.is_engine:
            return self.engine(node)
        original = self._original(node)
        if node.driver.rules.is_placed_by_buildx:
            return self.booted(original, boot)
        copy = self._copied(node)
        try:
            return self.asked(copy)
        except Unreachable:
            self.booted(original, boot)
            return self.asked(copy)

    def seen(self, node: Node) -> ReadyNode:
        """A node of a builder that somebody else made, as it is; one that does not run is not started.

        Its `note` is then what buildx calls it. Raises Unreachable.
        """
        if node.driver.rules.is_engine:
            return self.engine(node)
        ready = self._original(node) if node.driver.rules.is_placed_by_buildx else self._copied(node)
        found, said = self._ask(ready)
        status = said.get("status", "")
        if status in _AT_REST and not found.returncode and "error" not in said:
            return replace(ready, note=status)
        return replace(ready, facts=self._facts(ready.node, found, said))

    def _original(self, node: Node) -> ReadyNode:
        """The builder that somebody else made, as the user's own buildx keeps it."""
        return ReadyNode(
            node=node,
            facts=NodeFacts(driver=node.driver),
            builder=node.builder.lower(),
            store=store_folder(self._environment),
        )

    def _copied(self, node: Node) -> ReadyNode:
        """An instance of one node of another's builder, as buildx keeps it there. Raises Unreachable."""
        found = BuildxStore(folder=store_folder(self._environment)).read(node.builder) or {"Nodes": ()}
        single = next((each for each in found["Nodes"] or () if each.get("Name") == node.name), None)
        if single is None:
            raise Unreachable(f"node {node.id}: buildx keeps no such builder any more", hint="try: docker buildx ls")
        ready = ReadyNode(
            node=node, facts=NodeFacts(driver=node.driver), builder=node.name, store=self._folder_of(node)
        )
        entry = {**found, "Name": node.name, "Nodes": [{**single, "Platforms": None}]}
        BuildxStore(folder=ready.store).put(node.name, entry)
        return ready

    def endpoint(self, node: Node) -> str:
        """Return the endpoint of `node` for buildx; empty for kubernetes, which has none. Raises Unreachable.

        The engine in use is named by its docker context or URL, so that an instance never follows the user elsewhere.
        """
        if not node.driver.rules.endpoint.schemes:
            return ""
        return engine_of(node) or self.endpoints.in_use()

    def _is_right(self, ready: ReadyNode, endpoint: str) -> bool:
        """Whether the instance on disk says just what the plan says, to buildx too; it may have come with a checkout.

        Go takes `endpoint` for `Endpoint`, and puts together what is said twice: neither may be there. Of what buildx
        adds by itself there are flags, and the configuration in words of its own. buildx also replaces the endpoint
        `default` by its URL, and the user may have changed from a context to DOCKER_HOST: endpoints are compared by the
        engine that they lead to.
        """
        path = ready.store / "instances" / ready.builder
        try:
            found = json.loads(read_bounded(path, pipe=False, link=False).decode(), object_pairs_hook=_said_once)
            (single,) = found["Nodes"]
            flags, files = list(single["Flags"] or ()), dict(single["Files"] or {})
            if self.endpoints.same(str(single["Endpoint"]), endpoint):
                endpoint = single["Endpoint"]
            configured = self._is_configured(ready.node, files)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return False
        wanted = _entry(ready.node, endpoint, flags, files)
        return (
            configured
            and [each for each in flags if each != ADDED_FLAG] == list(declare(ready.node).flags)
            and _as_text({"Dynamic": False, **found}) == _as_text(wanted)
        )

    def _is_configured(self, node: Node, files: Mapping[str, str]) -> bool:
        """Whether `files` are what buildx keeps of the configuration of `node`.

        It writes that in its own way, and files that are named in it under new names: then nobody can tell.
        """
        config = self._config(node)
        if not config or files.keys() != {_KEPT_CONFIG}:
            return not config and not files
        return same_values(base64.b64decode(files[_KEPT_CONFIG], validate=True).decode(), config)

    def _user_config(self) -> Path | None:
        """The user's own defaults for BuildKit containers, which apply to mpbake's too."""
        path = store_folder(self._environment) / _CONFIG
        return path if path.is_file() else None

    def _create(self, ready: ReadyNode, endpoint: str) -> None:
        """Write the instance anew. Only the entry goes; what it refers to is not touched."""
        store = ready.store
        _clear(store, {store / _CLIENT})
        self._link_logins(store)
        config = self._user_config()
        if config is not None:
            shutil.copyfile(config, store / _CONFIG)
        command = ["buildx", "create", "--name", ready.builder, "--node", ready.builder]
        command += ["--driver", str(ready.node.driver)]
        command += create_arguments(declare(ready.node), store / _KEPT_CONFIG)
        found = self.docker.run(
            [*command, *([endpoint] if endpoint else [])], environment=ready.environment, timeout=INSPECT_TIMEOUT
        )
        if found.returncode:
            raise unusable(ready.node, found, "")

    def _folder_of(self, node: Node, *kept: str) -> Path:
        """The folder of `node`. What an earlier run left in it goes, but for the files that are to be `kept`.

        It may have come with a checkout, and buildx reads more than one would think. What is of this run stays: others
        may be using it just now.
        """
        path = self._folder / node.folder_name
        if path not in self._ours:
            if not _is_real_folder(path):
                path.unlink(missing_ok=True)
            path.mkdir(mode=0o700, exist_ok=True)
            _clear(path, {path / each for each in (_CLIENT, *kept)})
            self._link_logins(path)
            self._ours.add(path)
        return path

    def _link_logins(self, store: Path) -> None:
        """Let buildx find the user's logins for single repositories, which it looks for beside its builders."""
        logins = store_folder(self._environment) / _LOGINS
        if logins.is_dir():
            (store / _LOGINS).symlink_to(logins.absolute())

    def _inspect(self, ready: ReadyNode, timeout: float = INSPECT_TIMEOUT) -> NodeFacts:
        found, said = self._ask(ready, timeout=timeout)
        return self._facts(ready.node, found, said)

    def _ask(
        self,
        ready: ReadyNode,
        *flags: str,
        timeout: float = INSPECT_TIMEOUT,
        on_stderr: Callable[[bytes], None] | None = None,
    ) -> tuple[Completed, dict[str, str]]:
        """What buildx says of a builder, as it stands and by its keys."""
        command = ["buildx", "inspect", ready.builder, *flags]
        found = self.docker.run(
            command, endpoint=ready.endpoint, environment=ready.environment, timeout=timeout, on_stderr=on_stderr
        )
        return found, _joined(found.stdout) if ready.node.driver.rules.is_placed_by_buildx else parse_inspect(
            found.stdout
        )

    def _facts(self, node: Node, found: Completed, said: Mapping[str, str]) -> NodeFacts:
        """What `node` says of itself. Raises Unreachable where that is nothing, UsageError as `booted` does."""
        if found.returncode or "error" in said or not said.get("platforms"):
            raise unusable(node, found, said.get("error") or found.stderr or _rest(said))
        platforms = tuple(reported_platform(each.rstrip("*")) for each in said["platforms"].split(", "))
        version = next((value for key, value in said.items() if key in {"buildkit version", "buildkit"}), "")
        slots = _slots(f"{found.stdout}\n{self._config(node)}")
        return NodeFacts(driver=node.driver, platforms=platforms, version=version, slots=slots)

    def _config(self, node: Node) -> str:
        """The configuration of buildkitd that `node` is made with, as far as it is known here."""
        declared = declare(node).config
        ours = node.driver.rules.takes_default_config and not node.external
        default = self._user_config() if ours and not declared else None
        return default.read_text(encoding="utf-8", errors="replace") if default else declared


def _lacks_buildkit(said: Mapping[str, str]) -> bool:
    """Whether buildx would build in a container, because the engine has no BuildKit; it names no driver in an error."""
    return said.get("driver") == CONTAINER_DRIVER


def _slots(said: str) -> int:
    """How many things BuildKit does at once, from its configuration, which newer buildx shows; 0 when that is silent.

    The first to say so counts: what the node runs with comes before what it was declared with.
    """
    found = _MAX_PARALLELISM.search(said)
    return int(found[1]) if found else 0


def parse_inspect(text: str) -> dict[str, str]:
    """The `Key: value` lines of `buildx inspect`; keys in lower case, those of the node win."""
    pairs = (line.partition(":") for line in text.splitlines() if not line.startswith(" "))
    return {key.strip().lower(): value.strip() for key, colon, value in pairs if colon}


def _entry(
    node: Node, endpoint: str, flags: Sequence[str] = (), files: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What buildx keeps of a builder with just this node, in every version since 0.13."""
    single = {
        "Name": node.buildx_name,
        "Endpoint": endpoint,
        "Platforms": None,
        "DriverOpts": dict(declare(node).options) or None,
        "Flags": list(flags) or None,
        "Files": files or None,
    }
    return {"Name": node.buildx_name, "Driver": str(node.driver), "Nodes": [single], "Dynamic": False}


def _said_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Raises ValueError when it has two values of one name."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(pairs)
    return found


def _as_text(entry: Mapping[str, Any]) -> str:
    """The same for just the same entries; to Python alone False is 0 too."""
    return json.dumps(entry, sort_keys=True)


def _clear(folder: Path, kept: Collection[Path]) -> None:
    """Take away all that is below `folder`, but for regular files that are to be `kept`. No symlink is followed."""
    for each in folder.iterdir():
        if not _is_real_folder(each):
            if each not in kept or not stat.S_ISREG(each.lstat().st_mode):
                each.unlink()
        elif any(each in path.parents for path in kept):
            _clear(each, kept)
        else:
            shutil.rmtree(each)


def _is_real_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _joined(text: str) -> dict[str, str]:
    """What `buildx inspect` says of a builder as a whole: what one of its nodes is and has, it is and has."""
    nodes = parse_nodes(text)
    platforms = [platform for each in nodes for platform in each.get("platforms", "").split(", ") if platform]
    found = {key: value for each in nodes for key, value in each.items()}
    if any(each.get("status") == "running" for each in nodes):
        found["status"] = "running"
    return {**parse_inspect(text), **found, "platforms": ", ".join(dict.fromkeys(platforms))}


def parse_nodes(text: str) -> list[dict[str, str]]:
    """What `buildx inspect` says of each node of a builder."""
    _, _, nodes = text.partition("\nNodes:\n")
    return [parse_inspect(f"Name:{part}") for part in re.split(r"^Name:", nodes, flags=re.MULTILINE)[1:]]


def _rest(said: Mapping[str, str]) -> str:
    """What buildx complains of when it says nothing else of a node than that it does not run."""
    return f"buildx calls it {said['status']}" if said.get("status") in _AT_REST else ""


def _late(node: Node, step: str) -> Unreachable:
    """The error of a node that did not answer within its `boot-timeout`; `step` is what buildx was doing."""
    message = f"{node_text(node)} cannot be used: no answer within {duration(node.boot_timeout)}"
    message += f" ({step})" if step else ""
    hints = [node.driver.rules.log_hint(node), "give it longer with boot-timeout"]
    return Unreachable(message, hint="; or ".join(filter(None, hints)))
