"""Nodes made ready: created when missing, started when stopped, left alone when right, never taken over.

Each node has a buildx instance of its own, in a private BUILDX_CONFIG: buildx then cannot choose another node, and a
dead one delays nobody. An instance only refers to a node; containers carry mpbake's mark themselves.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.buildkit.connection import check_connection
from mpbake.buildkit.engine import ask_engine, current_context
from mpbake.errors import Cancelled, MpbakeError, Unreachable, UsageError
from mpbake.placement import NodeFacts, default_driver
from mpbake.plan import Driver
from mpbake.platforms import parse_platform
from mpbake.text import one_line, without_colour

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mpbake.buildkit.docker import Completed, Docker
    from mpbake.plan import Node, Target

MARK = "MPBAKE_NODE"
"""Environment variable of a node's container: a fingerprint of its declaration, so that every machine knows it."""

_INSPECT_TIMEOUT = 60.0
_BOOT_TIMEOUT = 600.0  # an image may have to be pulled
_NO_IMAGE = re.compile(r"resolve reference|pull access|manifest unknown|https?://\S+/v2/|No such image")
_CONFIG = "buildkitd.default.toml"


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready:
    """A node that answers: what it said, how buildx is told to use it, and what had to be done."""

    node: Node
    facts: NodeFacts
    builder: str
    store: Path
    note: str = "running"
    warnings: tuple[str, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """What a buildx call needs in its environment to find the builder."""
        return {"BUILDX_CONFIG": str(self.store)}

    @property
    def endpoint(self) -> str:
        """The engine that the docker command itself must talk to; for other drivers than docker, any will do."""
        return self.node.endpoint if self.node.driver is Driver.DOCKER else ""


class Nodes:
    """Makes nodes ready, each once for a run; safe to use from several threads. `folder` holds the instances."""

    def __init__(self, docker: Docker, folder: Path, environment: Mapping[str, str]) -> None:
        self._docker = docker
        self._folder = folder
        self._environment = environment
        self._automatic = Driver.DOCKER
        self._no_engine: Unreachable | None = None
        self._ready: dict[str, Ready | MpbakeError] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def settle_default(self, targets: Sequence[Target]) -> None:
        """Decide which driver the default builder of `targets` has, where the plan leaves it to the engine.

        Where the engine does not answer, its node will say so: what does not need it goes on.
        """
        try:
            self._automatic = default_driver(targets, ask_engine(self._docker))
        except Unreachable as error:
            self._no_engine = error

    def ready(self, node: Node) -> Ready:
        """Make sure that `node` exists and answers. Raises Unreachable, or UsageError when it is somebody else's."""
        with self._lock:
            lock = self._locks.setdefault(node.id, threading.Lock())
        with lock:
            found = self._ready.get(node.id) or self._try(node)
            if isinstance(found, MpbakeError):
                raise found
            return found

    def _try(self, node: Node) -> Ready | MpbakeError:
        """What became of `node`; what failed once is not tried again in this run."""
        try:
            self._ready[node.id] = self._make_ready(node)
        except Cancelled:
            raise
        except MpbakeError as error:
            self._ready[node.id] = error
        return self._ready[node.id]

    def tidy(self) -> None:
        """Remove what buildx writes down of each build, which nobody reads in a private store."""
        for ready in self._ready.values():
            if isinstance(ready, Ready):
                shutil.rmtree(ready.store / "refs", ignore_errors=True)

    def _make_ready(self, declared: Node) -> Ready:
        if declared.driver is Driver.AUTOMATIC and self._no_engine is not None:
            raise self._no_engine
        node = replace(declared, driver=self._automatic) if declared.driver is Driver.AUTOMATIC else declared
        match node.driver:
            case Driver.DOCKER:
                return self._engine_node(node)
            case Driver.REMOTE:
                check_connection(node)
                return self._instance_node(node, note="running")
            case _:
                return self._container_node(node)

    # --- the engine's own builder ---------------------------------------------------------------------------------

    def _engine_node(self, node: Node) -> Ready:
        """The builder that every engine has. Its store is always made anew: it may have come with a checkout."""
        builder = node.endpoint or current_context(self._docker, self._environment)
        shutil.rmtree(self._folder_of(node))
        ready = Ready(
            node=node,
            facts=NodeFacts(driver=node.driver),
            builder="default" if "://" in builder else builder,
            store=self._folder_of(node),
        )
        return replace(ready, facts=self._inspect(ready))

    # --- containers -----------------------------------------------------------------------------------------------

    def _container_node(self, node: Node) -> Ready:
        """A BuildKit container, on whichever engine: known by its mark, made when missing."""
        container = f"buildx_buildkit_{node.buildx_name}"
        found = self._docker.run(
            ["container", "inspect", "--format", "{{json .Config.Env}}\n{{.State.Status}}", container],
            endpoint=node.endpoint,
            timeout=_INSPECT_TIMEOUT,
        )
        if found.returncode:
            if "no such container" not in found.stderr.lower():
                raise _unreachable(node, found)
            return self._instance_node(node, note="created")
        variables, _, status = found.stdout.strip().partition("\n")
        warnings = self._check_mark(node, container, json.loads(variables))
        return replace(
            self._instance_node(node, note="running" if status == "running" else "started"), warnings=warnings
        )

    def _check_mark(self, node: Node, container: str, variables: list[str]) -> tuple[str, ...]:
        mark = next((each.partition("=")[2] for each in variables if each.startswith(f"{MARK}=")), "")
        if not mark:
            raise UsageError(
                f"{node.id}: a container {container} exists that mpbake did not make; it is left as it is",
                hint=f"rename the builder or the node, or remove it: docker rm -f {container}",
            )
        if mark == _fingerprint(node):
            return ()
        remedy = f"docker rm -f {container} lets mpbake make it anew (its cache stays)"
        return (f"{node.id} runs with other options than the plan declares; {remedy}",)

    # --- buildx instances -----------------------------------------------------------------------------------------

    def _instance_node(self, node: Node, note: str) -> Ready:
        ready = Ready(
            node=node,
            facts=NodeFacts(driver=node.driver),
            builder=node.buildx_name,
            store=self._folder_of(node),
            note=note,
        )
        endpoint = node.endpoint or self._own_endpoint()
        if not self._is_right(ready, endpoint):
            self._create(ready, endpoint)
        return replace(ready, facts=self._inspect(ready, "--bootstrap"))

    def _own_endpoint(self) -> str:
        """The engine in use, by name or URL, so that an instance does not follow the user to another one."""
        return self._environment.get("DOCKER_HOST") or current_context(self._docker, self._environment)

    def _is_right(self, ready: Ready, endpoint: str) -> bool:
        """Whether the instance on disk says just what the plan says; it may have come with a checkout."""
        path = ready.store / "instances" / ready.builder
        try:
            found = json.loads(path.read_bytes())
            (node,) = found["Nodes"]
            options, files = node["DriverOpts"] or {}, node["Files"] or {}
            flags = set(node["Flags"] or ())
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return (
            (found["Name"], found["Driver"], node["Name"]) == (ready.builder, str(ready.node.driver), ready.builder)
            and (node["Endpoint"], node["Platforms"] or []) == (endpoint, [])
            and options == _options(ready.node)
            and flags <= {"--allow-insecure-entitlement=network.host"}
            and files == self._expected_files(ready.node)
        )

    def _expected_files(self, node: Node) -> dict[str, str]:
        config = self._user_config()
        if node.driver is not Driver.DOCKER_CONTAINER or config is None:
            return {}
        return {"buildkitd.toml": base64.b64encode(config.read_bytes()).decode()}

    def _user_config(self) -> Path | None:
        """The user's own defaults for BuildKit containers, which apply to mpbake's too."""
        environment = self._environment
        folder = environment.get("BUILDX_CONFIG")
        if not folder:
            docker = environment.get("DOCKER_CONFIG") or Path(environment.get("HOME", "/"), ".docker")
            folder = str(Path(docker, "buildx"))
        path = Path(folder, _CONFIG)
        return path if path.is_file() else None

    def _create(self, ready: Ready, endpoint: str) -> None:
        """Write the instance anew. Only the entry goes; what it refers to is not touched."""
        shutil.rmtree(ready.store)
        store = self._folder_of(ready.node)
        config = self._user_config()
        if config is not None:
            shutil.copyfile(config, store / _CONFIG)
        command = ["buildx", "create", "--name", ready.builder, "--node", ready.builder]
        command += ["--driver", str(ready.node.driver)]
        for key, value in _options(ready.node).items():
            command += ["--driver-opt", _option(key, value)]
        found = self._docker.run([*command, endpoint], environment=ready.environment, timeout=_INSPECT_TIMEOUT)
        if found.returncode:
            raise _unreachable(ready.node, found)

    def _folder_of(self, node: Node) -> Path:
        path = self._folder / node.buildx_name
        if path.is_symlink():
            path.unlink()
        path.mkdir(mode=0o700, exist_ok=True)
        shutil.rmtree(path / "refs", ignore_errors=True)  # of a run that was killed
        return path

    def _inspect(self, ready: Ready, *flags: str) -> NodeFacts:
        found = self._docker.run(
            ["buildx", "inspect", ready.builder, *flags],
            endpoint=ready.endpoint,
            environment=ready.environment,
            timeout=_BOOT_TIMEOUT if flags else _INSPECT_TIMEOUT,
        )
        said = _parse_inspect(found.stdout)
        if found.returncode or "error" in said or not said.get("platforms"):
            raise _unreachable(ready.node, found, said.get("error", ""))
        platforms = tuple(parse_platform(each.rstrip("*")) for each in said["platforms"].split(", "))
        version = next((value for key, value in said.items() if key in {"buildkit version", "buildkit"}), "")
        return NodeFacts(driver=ready.node.driver, platforms=platforms, version=version)


def _options(node: Node) -> dict[str, str]:
    if node.driver is Driver.REMOTE:
        files = {"cacert": node.tls.ca, "cert": node.tls.cert, "key": node.tls.key}
        options = {key: str(path) for key, path in files.items() if path is not None}
        return options | ({"servername": node.tls.servername} if node.tls.servername else {})
    declared = {"image": node.image, "network": node.network}
    return {key: value for key, value in declared.items() if value} | {f"env.{MARK}": _fingerprint(node)}


def _option(key: str, value: str) -> str:
    """One `--driver-opt`, which buildx reads as a line of CSV."""
    option = f"{key}={value}"
    return f'"{option.replace(chr(34), chr(34) * 2)}"' if {",", '"'} & set(option) else option


def _fingerprint(node: Node) -> str:
    declared: dict[str, Any] = {"driver": node.driver, "image": node.image, "network": node.network}
    return hashlib.sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest()[:16]


def _parse_inspect(text: str) -> dict[str, str]:
    """The `Key: value` lines of `buildx inspect`; keys in lower case, those of the node win."""
    pairs = (line.partition(":") for line in text.splitlines() if not line.startswith(" "))
    return {key.strip().lower(): value.strip() for key, colon, value in pairs if colon}


def _unreachable(node: Node, found: Completed, complaint: str = "") -> Unreachable:
    said = without_colour(complaint or found.error) if not found.timed_out else "no answer in time"
    where = one_line(node.endpoint) or "the engine in use"
    return Unreachable(f"node {node.id} ({node.driver}, {where}) cannot be used: {said}", hint=_remedy(node, said))


def _remedy(node: Node, said: str) -> str:
    if node.driver is Driver.DOCKER_CONTAINER and _NO_IMAGE.search(said):
        return 'name a BuildKit image that can be had with image = "…" in the builder, or in [defaults.builder]'
    if node.endpoint.startswith("ssh://"):
        return f"try: docker -H {one_line(node.endpoint)} version"
    if "daemon" in said.lower():
        return "is the Docker engine running, and may this user use it? try: docker info"
    if node.driver is Driver.REMOTE:
        return "check the address, and that the certificates belong together and have not expired"
    return ""
