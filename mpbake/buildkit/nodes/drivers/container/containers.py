"""The containers of nodes: finds, starts, stops and removes them, with their volumes and images.

mpbake finds a container by its name, recognizes its own containers by their mark, and never takes over a foreign
container.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import ImageUnavailable, Unreachable
from mpbake.base.text import duration, one_line, without_colour
from mpbake.buildkit.nodes.adoption import ActualResource, adopted_mark
from mpbake.buildkit.nodes.drivers.back_end import INSPECT_TIMEOUT
from mpbake.buildkit.nodes.drivers.container.causes import container_causes
from mpbake.buildkit.nodes.drivers.container.files import archive, copied_files
from mpbake.buildkit.nodes.drivers.container.options import (
    DEFAULT_IMAGE,
    NAMES,
    ContainerOptions,
    container_of,
)
from mpbake.buildkit.nodes.engines.contexts import engine_of
from mpbake.buildkit.nodes.failure_causes import (
    hides_missing_engine,
    log_paragraph,
    node_text,
    ssh_command,
    unreachable_by,
)
from mpbake.buildkit.nodes.first_start import PullProgress
from mpbake.buildkit.nodes.ownership import check_volume, docker_by_hand, owned_resource
from mpbake.buildkit.process.completed import CommandFailed
from mpbake.model.existing_builders import CONFIG_FOLDER
from mpbake.model.marks import VOLUME_LABEL
from mpbake.model.node_resources import docker_command, resource_name, volume_name
from mpbake.model.node_state import CacheRemoval

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mpbake.buildkit.nodes.causes import Causes
    from mpbake.buildkit.nodes.drivers.back_end import Blockage
    from mpbake.buildkit.nodes.first_start import NodeStart
    from mpbake.buildkit.process.client import DockerCommands
    from mpbake.buildkit.process.completed import Completed
    from mpbake.buildkit.process.docker import Docker
    from mpbake.model.existing_builders import ExistingNode
    from mpbake.model.node_state import NodeResource
    from mpbake.model.plan import Node

_PAUSED = "paused"
"""The status of a container that was paused by hand, which buildx does not start."""
RUNNING = frozenset({"running", "restarting", _PAUSED})
_CHANGE_TIMEOUT = 60.0
"""Seconds for a command that changes or removes a container or a volume."""
_LAST_LINES = 10
ADOPTED_FILE = "mpbake-node"
"""The file in `/etc` of a container that holds the mark of an adopted container."""
_MISSING_PATH = re.compile(r"could not find the file|no such file", re.IGNORECASE)
_CONNECTION = "dial-stdio"
"""The argument of the command by which any client reaches BuildKit in a container."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Containers:
    """Finds, starts, stops and removes the containers of nodes. `causes` are the known causes of an engine's errors."""

    docker: Docker
    causes: Causes = container_causes
    can_stop: bool = True

    def find(self, node: Node) -> NodeResource | None:
        """Return the container of `node`; None if there is none. Raises Unreachable."""
        return self._find_named(node, resource_name(node))

    def _find_named(self, node: Node, name: str) -> NodeResource | None:
        """Return the container with this name on the engine of `node`; None if there is none. Raises Unreachable."""
        described = self._described(node, name)
        if described is None:
            return None
        made = container_of(described)
        return made if made.mark else replace(made, mark=self._adopted_mark(node, made))

    def _described(self, node: Node, name: str) -> dict[str, Any] | None:
        """Return docker's description of a container; None if there is none. Raises Unreachable."""
        inspected = self._run(node, "container", "inspect", "--format", "{{json .}}", name)
        if not inspected.returncode:
            return dict(json.loads(inspected.stdout))
        if "no such container" in inspected.stderr.lower():
            return None
        raise self._unreachable(node, inspected)

    def _adopted_mark(self, node: Node, made: NodeResource) -> str:
        """Return the mark that `adopt` has put into a container; empty if mpbake has not adopted the container."""
        files = self._files_in(node, made, f"/etc/{ADOPTED_FILE}")
        return files.get(ADOPTED_FILE, b"").decode(errors="replace").strip()

    def _files_in(self, node: Node, made: NodeResource, path: str) -> dict[str, bytes]:
        """Return the file or the files of the folder at `path` in a container; none if the path does not exist.

        Raises Unreachable.
        """

        def copy(folder: Path) -> None:
            copied = self._run(node, "container", "cp", f"{made.id}:{path}", str(folder))
            if copied.returncode and not _MISSING_PATH.search(copied.stderr):
                raise unreachable_by(self.causes, node, copied)

        return copied_files(copy)

    def foreign(self, node: Node, existing: ExistingNode) -> NodeResource | None:
        """Return the container of `node` with the mark that `adopt` gives it; None if there is none."""
        described = self._described(node, resource_name(node))
        if described is None:
            return None
        made, config = container_of(described), described["Config"]
        files = self._files_in(node, made, CONFIG_FOLDER)
        actual = ActualResource(
            options=ContainerOptions(config=config, host=described.get("HostConfig", {})),
            names=NAMES,
            flags=config.get("Cmd") or (),
            files={name.removeprefix(f"{PurePosixPath(CONFIG_FOLDER).name}/"): data for name, data in files.items()},
        )
        return replace(made, mark=adopted_mark(node, existing, actual))

    def adopt(self, node: Node, made: NodeResource | None) -> None:
        """Mark a container that was made by hand, and its cache volume, as mpbake's. Raises Unreachable.

        docker can neither label an existing container nor an existing volume. So a file in the container holds the
        mark, and an empty volume beside the volume has the label. Without a container, only the volume is marked.
        """
        volume = volume_name(node)
        labels = self._labels_of_volume(node, volume)
        if labels is not None and VOLUME_LABEL not in labels:
            self._make_volume(node, _twin(volume))
        if made is not None:
            self._change(
                node, "container", "cp", "-", f"{made.id}:/etc", given=archive({ADOPTED_FILE: made.mark.encode()}, 0)
            )

    def _unreachable(self, node: Node, completed: Completed) -> Unreachable:
        """Return the error of an engine that does not answer.

        If docker hides the reason, query the engine's machine.
        """
        if not hides_missing_engine(node, completed.stderr):
            return unreachable_by(self.causes, node, completed)
        far = self.docker.run_program(ssh_command(node, "docker", "version"), timeout=INSPECT_TIMEOUT)
        return unreachable_by(self.causes, node, completed, f"{completed.stderr}\nstderr={far.stderr}")

    def own(self, node: Node) -> NodeResource | None:
        """Return the container of `node`; None if there is none.

        Raises Unreachable, and UsageError if the container is foreign.
        """
        return owned_resource(node, self.find(node), f"{docker_by_hand(node)} rm -f")

    def is_used(self, node: Node, made: NodeResource) -> bool:
        """Whether a client is connected to BuildKit in the container.

        A stopped container may still list commands that ended with the container. podman lists a command for five
        minutes after its end, so the processes decide. If the processes cannot be listed, the container counts as used.
        """
        if not made.busy or made.status not in {"running", _PAUSED}:
            return False
        top = self._run(node, "container", "top", made.id)
        return bool(top.returncode) or _CONNECTION in top.stdout

    def image(self, node: Node) -> str:
        """Return the image of the container of `node`."""
        return dict(node.options).get("image", DEFAULT_IMAGE)

    def fetch(self, node: Node, start: NodeStart) -> None:
        """Pull the image of `node` if the node's engine does not have the image. Raises ImageUnavailable.

        buildx also pulls when it creates a container, but reports neither progress nor the reason of a failure. If the
        engine has the image, buildx itself looks for a newer image, and uses the present image if that fails.
        """
        image = self.image(node)
        if not self._run(node, "image", "inspect", "--", image).returncode:
            return
        progress = PullProgress(image, lambda activity: start.tell(self.docker.redact(activity)))
        progress.start()
        pulled = self.docker.run(
            ["pull", "--", image], endpoint=engine_of(node), timeout=start.seconds, on_terminal=progress.feed
        )
        if pulled.timed_out:
            raise _slow_pull(node, self.docker.redact(one_line(image)), progress.amount)
        if pulled.returncode:
            error = unreachable_by(self.causes, node, pulled)
            raise ImageUnavailable(error.message, hint=error.hint)

    def is_starting(self, node: Node) -> bool:
        """Whether the container of `node` runs and was never restarted, so that its BuildKit may still answer."""
        state = "{{.State.Status}} {{.RestartCount}}"
        inspected = self._run(node, "container", "inspect", "--format", state, resource_name(node))
        return inspected.stdout.split() == ["running", "0"]

    def blockage(self, node: Node) -> Blockage | None:
        """Return None: `is_starting` and the pull show all reasons."""

    def daemons(self, node: Node) -> frozenset[str]:  # noqa: ARG002 - as the interface says
        """Return no ids: if a container ends, docker closes the connections of its clients."""
        return frozenset()

    def serves(self, node: Node, daemons: frozenset[str]) -> bool:  # noqa: ARG002 - as the interface says
        """Return True, for the same reason as in `daemons`."""
        return True

    def is_stopped(self, made: NodeResource) -> bool:
        """Whether nothing runs in the container."""
        return made.status not in RUNNING

    def is_paused(self, made: NodeResource) -> bool:
        """Whether the container was paused by hand."""
        return made.status == _PAUSED

    def resume(self, node: Node, made: NodeResource) -> None:
        """Resume a container that was paused by hand."""
        self._unpause(node, made)

    def _unpause(self, node: Node, made: NodeResource) -> None:
        if made.status == _PAUSED:
            self._must(node, lambda client: client.container.unpause(made.id))

    def pulled_image(self, node: Node) -> str:  # noqa: ARG002 - as the interface says
        """Return an empty string: `fetch` pulls the image before a container is replaced."""
        return ""

    def check_replacement(self, node: Node) -> None:
        """Check nothing: the image is already pulled, and the engine checks options when the container is created."""

    def remove_leftovers(self, node: Node) -> tuple[str, ...]:  # noqa: ARG002 - as the interface says
        """Remove nothing: `forget_cache` removes the volumes."""
        return ()

    def create(self, node: Node) -> None:
        """Do nothing: buildx creates the container when the node starts."""

    def wait(self, node: Node, start: NodeStart) -> None:
        """Do not wait: buildx waits until BuildKit in the container answers."""

    def stop(self, node: Node, made: NodeResource) -> None:
        """Stop the container, with time for BuildKit to write its state to disk."""
        self._unpause(node, made)
        self._must(node, lambda client: client.container.stop(made.id))

    def remove(self, node: Node, made: NodeResource) -> None:
        """Stop and remove the container, but keep the cache volume.

        The container is removed by id, so a newer container with the same name is kept.
        """
        if made.status in {"running", _PAUSED}:
            self.stop(node, made)
        self._must(node, lambda client: client.container.remove(made.id, force=True))

    def check_new(self, node: Node) -> None:
        """Check that mpbake can create a container for `node`, with its own cache volume.

        Raises UsageError if mpbake did not create an existing volume, and Unreachable.
        """
        check_volume(node, volume_name(node), self._labels_of_volume(node, volume_name(node)))

    def prepare(self, node: Node) -> None:
        """Create the cache volume of a new container, with mpbake's label. Raises as `check_new` does.

        Otherwise docker would create the volume without a label together with the container, and nothing would show
        that mpbake owns the volume.
        """
        labels = self._labels_of_volume(node, volume_name(node))
        check_volume(node, volume_name(node), labels)
        if labels is None:
            self._make_volume(node, volume_name(node))

    def _make_volume(self, node: Node, name: str) -> None:
        self._change(node, "volume", "create", "--label", f"{VOLUME_LABEL}={node.id}", name)

    def forget_cache(self, node: Node) -> CacheRemoval:
        """Remove the cache volume of `node`, if mpbake created the volume."""
        return self._remove_volume(node, volume_name(node))

    def _remove_volume(self, node: Node, name: str) -> CacheRemoval:
        """Remove a volume of `node`, if mpbake created the volume."""
        labels = self._read_labels(node, name)
        if labels is None:
            return CacheRemoval.NOTHING
        is_adopted = VOLUME_LABEL not in labels and self._is_adopted(node, name)
        if VOLUME_LABEL not in labels and not is_adopted:
            return CacheRemoval.FOREIGN
        self._must(node, lambda client: client.volume.remove(name))
        if is_adopted:
            self._must(node, lambda client: client.volume.remove(_twin(name)))
        return CacheRemoval.REMOVED

    def _labels_of_volume(self, node: Node, name: str) -> dict[str, str] | None:
        """Return the labels of a volume of `node`; None if there is no volume. Raises Unreachable.

        An adopted volume counts as labelled.
        """
        labels = self._read_labels(node, name)
        is_adopted = labels is not None and VOLUME_LABEL not in labels and self._is_adopted(node, name)
        return {**(labels or {}), VOLUME_LABEL: node.id} if is_adopted else labels

    def _is_adopted(self, node: Node, volume: str) -> bool:
        """Whether mpbake has adopted a volume that lacks mpbake's label."""
        return VOLUME_LABEL in (self._read_labels(node, _twin(volume)) or {})

    def _read_labels(self, node: Node, name: str) -> dict[str, str] | None:
        inspected = self._run(node, "volume", "inspect", "--format", "{{json .Labels}}", name)
        if not inspected.returncode:
            return dict(json.loads(inspected.stdout) or {})
        if "no such volume" in inspected.stderr.lower():
            return None
        raise unreachable_by(self.causes, node, inspected)

    def end_of_log(self, node: Node) -> str:
        """Return the end of the container's log; empty if there is none."""
        logs = self._run(node, "container", "logs", "--tail", str(_LAST_LINES), resource_name(node))
        if logs.returncode:
            return ""
        lines = without_colour(f"{logs.stdout}{logs.stderr}").strip().splitlines()
        return log_paragraph("its log ends with", "\n".join(lines[-_LAST_LINES:]))

    def _must(self, node: Node, request: Callable[[DockerCommands], None]) -> None:
        """Make a typed call to the engine of `node`. Raises Unreachable if the command fails."""
        try:
            self.docker.call(request, endpoint=engine_of(node), timeout=_CHANGE_TIMEOUT)
        except CommandFailed as failure:
            raise unreachable_by(self.causes, node, failure.completed) from None

    def _change(self, node: Node, *command: str, given: bytes = b"") -> None:
        """Run a command that changes a container or a volume. Raises Unreachable if the command fails."""
        changed = self._run(node, *command, timeout=_CHANGE_TIMEOUT, given=given)
        if changed.returncode:
            raise unreachable_by(self.causes, node, changed)

    def _run(self, node: Node, *command: str, timeout: float = INSPECT_TIMEOUT, given: bytes = b"") -> Completed:
        return self.docker.run(list(command), endpoint=engine_of(node), timeout=timeout, given=given)


def _twin(volume: str) -> str:
    """Return the name of the empty volume whose label says that mpbake has adopted `volume`."""
    return f"{volume}_adopted"


def _slow_pull(node: Node, image: str, amount: str) -> ImageUnavailable:
    """Return the error of a pull that took longer than the `boot-timeout` of `node`, with the `amount` that arrived."""
    arrived = f"only {amount} arrived" if amount else "nothing arrived"
    message = f"{node_text(node)} cannot be used: pulling {image} takes too long: {arrived} within "
    docker = docker_command(node)
    hint = f"raise boot-timeout; or pull it beforehand: {docker} pull {image}"
    return ImageUnavailable(f"{message}{duration(node.boot_timeout)}", hint=hint)
