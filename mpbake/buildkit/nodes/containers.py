"""The containers of docker-container nodes: found by name, known by mpbake's mark, never taken over."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from mpbake.base.errors import ImageUnavailable, Unreachable
from mpbake.base.text import duration, one_line, without_colour
from mpbake.buildkit.nodes.contexts import engine_of
from mpbake.buildkit.nodes.failure_causes import docker_command, hides_missing_engine, last_words, ssh_command
from mpbake.buildkit.nodes.first_start import PullProgress
from mpbake.buildkit.nodes.instances import INSPECT_TIMEOUT, node_text, unreachable
from mpbake.model.lifecycle import (
    MARK,
    VOLUME_LABEL,
    CacheRemoval,
    NodeResource,
    check_volume,
    container_name,
    owned_resource,
    volume_name,
)
from mpbake.model.plan import Driver
from mpbake.resolve import DEFAULT_BUILDER, DEFAULT_NODE

if TYPE_CHECKING:
    from mpbake.buildkit.nodes.first_start import NodeStart
    from mpbake.buildkit.process.docker import Completed, Docker
    from mpbake.model.plan import Node

PAUSED = "paused"
"""The status of a container that was paused by hand, which buildx does not start."""
_STOP_TIMEOUT = 60.0
_DEFAULT_IMAGE = "moby/buildkit:buildx-stable-1"
"""What buildx makes a container of that no image is declared for."""
_LAST_LINES = 10
_CONNECTION = "dial-stdio"
"""The command, of whatever program, by which buildx reaches BuildKit in a container."""


def is_shared(node: Node) -> bool:
    """Whether the container of `node` is that of the default builder: every plan builds in it that declares none.

    It is so by its name, even where a plan declares a builder of that name itself.
    """
    return node.driver is Driver.DOCKER_CONTAINER and node.buildx_name == f"{DEFAULT_BUILDER}-{DEFAULT_NODE}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Containers:
    """Looks at containers, and ends those that mpbake made."""

    docker: Docker

    def find(self, node: Node) -> NodeResource | None:
        """The container of `node`; None when there is none. Raises Unreachable."""
        found = self._run(node, "container", "inspect", "--format", "{{json .}}", container_name(node))
        if found.returncode:
            if "no such container" in found.stderr.lower():
                return None
            raise self._unreachable(node, found)
        return _container(json.loads(found.stdout))

    def _unreachable(self, node: Node, found: Completed) -> Unreachable:
        """The error of an engine out of reach; what docker hides about one behind ssh is asked for."""
        if not hides_missing_engine(node, found.stderr):
            return unreachable(node, found)
        asked = self.docker.run_program(ssh_command(node, "docker", "version"), timeout=INSPECT_TIMEOUT)
        return unreachable(node, found, f"{found.stderr}\nstderr={asked.stderr}")

    def own(self, node: Node) -> NodeResource | None:
        """The container of `node`, which mpbake made. Raises UsageError when it is somebody else's, Unreachable."""
        return owned_resource(node, self.find(node), "docker rm -f")

    def check_endpoint(self, node: Node) -> None:
        """See that the container runs that the endpoint of a remote node names, if it names one. Raises Unreachable.

        buildx would try for 20 seconds, and then say no more than that.
        """
        scheme, _, rest = node.endpoint.partition("://")
        if scheme != "docker-container":
            return
        name, _, query = rest.partition("?")
        command = ["container", "inspect", "--format", "{{.State.Status}}", "--", name]
        context = dict(parse_qsl(query)).get("context", "")
        found = self.docker.run(command, endpoint=context, timeout=INSPECT_TIMEOUT)
        said = found.stdout.strip()
        if found.returncode and "no such container" not in found.stderr.lower():
            raise unreachable(node, found)
        if said != "running":
            what = f"is {said}" if said else "does not exist"
            message = f"node {node.id} cannot be used: the container {one_line(name)} {what}"
            hint = 'start it; a plan makes containers with driver = "docker-container"'
            if said == PAUSED:
                hint = f"let it go on: {one_line(shlex.join(['docker', 'unpause', name]))}"
            raise Unreachable(message, hint=hint)

    def is_used(self, node: Node, made: NodeResource) -> bool:
        """Whether somebody builds in it. One that has ended may still list commands that ended with it.

        podman lists commands for five minutes after their end, so the processes decide; where they cannot be listed,
        the container counts as used.
        """
        if not made.busy or made.status not in {"running", PAUSED}:
            return False
        found = self._run(node, "container", "top", made.id)
        return bool(found.returncode) or _CONNECTION in found.stdout

    def fetch(self, node: Node, boot: NodeStart) -> None:
        """Have the engine pull the image of `node` if it has none. Raises NoImage.

        buildx pulls, too, when it creates a container, but says neither how far it is nor why it fails. An image that
        the engine has is left to buildx, which looks for a newer one, and uses what there is when it cannot get that.
        """
        image = dict(node.options).get("image", _DEFAULT_IMAGE)
        if not self._run(node, "image", "inspect", "--", image).returncode:
            return
        progress = PullProgress(image, lambda activity: boot.tell(self.docker.redact(activity)))
        progress.start()
        found = self.docker.run(
            ["pull", "--", image], endpoint=engine_of(node), timeout=boot.seconds, on_terminal=progress.feed
        )
        if found.timed_out:
            raise _slow_pull(node, self.docker.redact(one_line(image)), progress.amount)
        if found.returncode:
            error = unreachable(node, found)
            raise ImageUnavailable(error.message, hint=error.hint)

    def is_starting(self, node: Node) -> bool:
        """Whether the container of `node` runs and was never restarted, so that BuildKit in it may still answer."""
        state = "{{.State.Status}} {{.RestartCount}}"
        found = self._run(node, "container", "inspect", "--format", state, container_name(node))
        return found.stdout.split() == ["running", "0"]

    def unpause(self, node: Node, made: NodeResource) -> None:
        """Let what somebody has paused go on."""
        self._must(node, "container", "unpause", made.id)

    def stop(self, node: Node, made: NodeResource) -> None:
        """End what runs in it; BuildKit gets the time to write down its state."""
        if made.status == PAUSED:
            self.unpause(node, made)
        self._must(node, "container", "stop", made.id)

    def remove(self, node: Node, made: NodeResource) -> None:
        """Stop it and take it away; the volume with its cache stays. By its id: another of that name is spared."""
        if made.status in {"running", PAUSED}:
            self.stop(node, made)
        self._must(node, "container", "rm", "--force", made.id)

    def check_new(self, node: Node) -> None:
        """Check that `node`, which has no container, can have one with a cache of mpbake's own.

        Raises UsageError when the volume is somebody else's, Unreachable.
        """
        check_volume(node, self._labels_of_volume(node))

    def prepare(self, node: Node) -> None:
        """Make the volume for the cache of a new container, with mpbake's label. Raises as `check_new` does.

        docker would make it without a label when it creates the container, and nobody could tell whose it is.
        """
        labels = self._labels_of_volume(node)
        check_volume(node, labels)
        if labels is None:
            self._must(node, "volume", "create", "--label", f"{VOLUME_LABEL}={node.id}", volume_name(node))

    def forget_cache(self, node: Node) -> CacheRemoval:
        """Remove the volume with the cache of `node`, if mpbake made it."""
        labels = self._labels_of_volume(node)
        if labels is None:
            return CacheRemoval.NOTHING
        if VOLUME_LABEL not in labels:
            return CacheRemoval.FOREIGN
        self._must(node, "volume", "rm", volume_name(node))
        return CacheRemoval.REMOVED

    def _labels_of_volume(self, node: Node) -> dict[str, str] | None:
        """The labels of the volume for the cache of `node`; None when there is no volume. Raises Unreachable."""
        found = self._run(node, "volume", "inspect", "--format", "{{json .Labels}}", volume_name(node))
        if not found.returncode:
            return dict(json.loads(found.stdout) or {})
        if "no such volume" in found.stderr.lower():
            return None
        raise unreachable(node, found)

    def last_words(self, node: Node) -> str:
        """The end of its log, as far as it can be had."""
        found = self._run(node, "container", "logs", "--tail", str(_LAST_LINES), container_name(node))
        if found.returncode:
            return ""
        lines = without_colour(f"{found.stdout}{found.stderr}").strip().splitlines()
        return last_words("its log ends with", "\n".join(lines[-_LAST_LINES:]))

    def _must(self, node: Node, *command: str) -> None:
        found = self._run(node, *command, timeout=_STOP_TIMEOUT)
        if found.returncode:
            raise unreachable(node, found)

    def _run(self, node: Node, *command: str, timeout: float = INSPECT_TIMEOUT) -> Completed:
        return self.docker.run(list(command), endpoint=engine_of(node), timeout=timeout)


def _slow_pull(node: Node, image: str, amount: str) -> ImageUnavailable:
    """The error of a pull that took longer than the `boot-timeout` of `node`; `amount` is what had arrived."""
    arrived = f"only {amount} arrived" if amount else "nothing arrived"
    message = f"{node_text(node)} cannot be used: pulling {image} takes too long: {arrived} within "
    docker = docker_command(node)
    hint = f"give it longer with boot-timeout; or pull it beforehand: {docker} pull {image}"
    return ImageUnavailable(f"{message}{duration(node.boot_timeout)}", hint=hint)


def _container(found: dict[str, Any]) -> NodeResource:
    variables = dict(each.partition("=")[::2] for each in found["Config"]["Env"] or ())
    return NodeResource(
        id=found["Id"],
        name=found["Name"].lstrip("/"),
        status=found["State"]["Status"],
        mark=variables.get(MARK, ""),
        busy=bool(found.get("ExecIDs")),
        settings=_settings(found["Config"].get("Image", ""), found.get("HostConfig", {}), variables),
    )


def _settings(image: str, host: dict[str, Any], variables: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """What a container says of the options that it was made with; what is not set is left out."""
    policy = host.get("RestartPolicy") or {}
    found = {
        "image": image,
        "network": host.get("NetworkMode"),
        "memory": host.get("Memory"),
        "memory-swap": host.get("MemorySwap"),
        "cpu-quota": host.get("CpuQuota"),
        "cpu-period": host.get("CpuPeriod"),
        "cpu-shares": host.get("CpuShares"),
        "cpuset-cpus": host.get("CpusetCpus"),
        "cpuset-mems": host.get("CpusetMems"),
        "cgroup-parent": host.get("CgroupParent"),
        "restart-policy": policy.get("Name"),
    }
    found |= {f"env.{name}": value for name, value in variables.items() if name != MARK}
    return tuple(sorted((name, str(value)) for name, value in found.items() if value))
