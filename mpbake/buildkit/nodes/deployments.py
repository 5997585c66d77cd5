"""The Deployments of kubernetes nodes: found by name, known by mpbake's mark, never taken over; through kubectl.

buildx makes a Deployment, and afterwards uses whatever has its name: it neither says what there is nor whose it is.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import NodeMayBeInUse, Unreachable
from mpbake.base.text import one_line, without_colour
from mpbake.buildkit.nodes.failure_causes import explain, last_words
from mpbake.buildkit.nodes.instances import INSPECT_TIMEOUT, unreachable
from mpbake.model.lifecycle import (
    CacheRemoval,
    NodeResource,
    annotated_mark,
    has_volume_claim,
    kubernetes_namespace,
    owned_resource,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mpbake.buildkit.nodes.first_start import NodeStart
    from mpbake.buildkit.process.docker import Completed, Docker
    from mpbake.model.plan import Node

_REMOVE_TIMEOUT = 120.0
_LAST_LINES = 10
_ON_THE_WAY = {"", "ContainerCreating", "PodInitializing", "Completed"}
"""Reasons for which a container of a pod waits, or has ended, while all is well."""
_SETTINGS = {"serviceaccount": "serviceAccountName", "schedulername": "schedulerName"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployments:
    """Looks at Deployments, and ends those that mpbake made. With a claim for its volume one is a StatefulSet."""

    docker: Docker

    def find(self, node: Node) -> NodeResource | None:
        """The Deployment of `node`; None when there is none. Raises Unreachable."""
        found = self._described(node)
        return _made(found) if found else None

    def own(self, node: Node) -> NodeResource | None:
        """The Deployment of `node`, which mpbake made. Raises UsageError when it is somebody else's, Unreachable."""
        return owned_resource(node, self.find(node), shlex.join([*_kubectl(node), "delete", _kind(node)]))

    def is_used(self, node: Node, made: NodeResource) -> bool:
        """Whether somebody builds in it: buildx reaches BuildKit by a command that it runs in a pod.

        Raises MayBeUsed where a pod runs and does not say: what cannot be asked may be building.
        """
        return any(self._is_used(node, made, pod["metadata"]["name"]) for pod in self._pods(node) if _runs(pod))

    def _is_used(self, node: Node, made: NodeResource, pod: str) -> bool:
        found = self._run(node, "exec", pod, "--", "pgrep", "-f", "buildctl dial-stdio")
        if not found.returncode:
            return True
        ended = f"command terminated with exit code {found.returncode}"
        if found.returncode == 1 and ended in found.stderr:  # else kubectl itself has failed
            return False
        why = found.stderr.strip().removesuffix(ended).strip()
        said, hint = explain(node, found.error if found.timed_out else why or found.error)
        by_hand = f"if nothing does: {shlex.join([*_kubectl(node), 'delete', _kind(node), made.name])}"
        raise NodeMayBeInUse(
            f"{node.id}: the pod {pod} does not say whether something builds in it: {said}",
            hint="; or, ".join(filter(None, [hint, by_hand])),
        )

    def remove(self, node: Node, made: NodeResource) -> None:
        """Take it away with its configuration, and wait until its pods are gone: buildx would go on to use them."""
        found = self._described(node)
        if not found or found["metadata"]["uid"] != made.id:
            return  # somebody else was quicker
        gone = [f"{_kind(node)}/{made.name}", *(f"configmap/{name}" for name in _configuration(found))]
        waiting = ("--ignore-not-found", "--cascade=foreground", f"--timeout={_REMOVE_TIMEOUT:.0f}s")
        self._must(node, "delete", *gone, *waiting, timeout=_REMOVE_TIMEOUT + INSPECT_TIMEOUT)

    def fetch(self, node: Node, boot: NodeStart) -> None:
        """Nothing: which machine needs the image, the cluster finds out when it has the pods."""

    def is_starting(self, node: Node) -> bool:
        """Whether the pods of `node` run or are being created, and none was ever restarted or cannot be placed."""
        try:
            pods = self._pods(node)
        except Unreachable:
            return False
        return bool(pods) and all(map(_is_starting, pods))

    def check_new(self, node: Node) -> None:
        """Nothing: the cache of a new Deployment is made with its pods, or with its claim."""

    def prepare(self, node: Node) -> None:
        """Nothing, as `check_new`."""

    def forget_cache(self, node: Node) -> CacheRemoval:  # noqa: ARG002 - as the keeper of containers does
        """Nothing: it went with the pods, and claims of volumes are the cluster's own affair."""
        return CacheRemoval.NOTHING

    def last_words(self, node: Node) -> str:
        """What keeps its pods from running, else the end of their log, as far as it can be had."""
        try:
            troubles = [trouble for pod in self._pods(node) for trouble in _troubles(pod)]
        except Unreachable:
            return ""
        if troubles:
            return last_words("its pods wait", "\n".join(dict.fromkeys(troubles)))
        found = self._run(node, "logs", f"--selector={_selector(node)}", "--tail", str(_LAST_LINES))
        return "" if found.returncode else last_words("its log ends with", without_colour(found.stdout).strip())

    def _described(self, node: Node) -> dict[str, Any]:
        """What the cluster says of it; nothing when there is none."""
        found = self._must(node, "get", f"{_kind(node)}/{node.buildx_name}", "--ignore-not-found", "--output=json")
        described: dict[str, Any] = json.loads(found.stdout) if found.stdout.strip() else {}
        return described

    def _pods(self, node: Node) -> list[dict[str, Any]]:
        found = self._must(node, "get", "pods", f"--selector={_selector(node)}", "--output=json")
        pods: list[dict[str, Any]] = json.loads(found.stdout)["items"]
        return pods

    def _must(self, node: Node, *command: str, timeout: float = INSPECT_TIMEOUT) -> Completed:
        found = self._run(node, *command, timeout=timeout)
        if found.returncode:
            raise unreachable(node, found)
        return found

    def _run(self, node: Node, *command: str, timeout: float = INSPECT_TIMEOUT) -> Completed:
        try:
            return self.docker.run_program([*_kubectl(node), *command], timeout=timeout)
        except Unreachable as error:
            raise Unreachable(
                f"{node.id}: {error.message}",
                hint="install it: without it nobody can tell whose a Deployment is; buildx would use any of that name",
            ) from None


def _kubectl(node: Node) -> list[str]:
    """The command that speaks of what is where `node` is."""
    namespace = kubernetes_namespace(node)
    return ["kubectl", *([f"--namespace={namespace}"] if namespace else [])]


def _kind(node: Node) -> str:
    return "statefulset" if has_volume_claim(node) else "deployment"


def _selector(node: Node) -> str:
    """The label that buildx gives to the pods of a Deployment."""
    return f"app={node.buildx_name}"


def _runs(pod: Mapping[str, Any]) -> bool:
    """Whether a container of a pod runs. One that has failed and waits to be tried again has no builds."""
    return any("running" in (each.get("state") or {}) for each in _statuses(pod, "containerStatuses"))


def _is_starting(pod: Mapping[str, Any]) -> bool:
    """Whether nothing is wrong with a pod so far. One whose containers have no state yet waits for a machine."""
    statuses = (*_statuses(pod, "initContainerStatuses"), *_statuses(pod, "containerStatuses"))
    states = [each.get("state") or {} for each in statuses]
    reasons = {(state.get("waiting") or state.get("terminated") or {}).get("reason", "") for state in states}
    return bool(states) and reasons <= _ON_THE_WAY and not any(each.get("restartCount") for each in statuses)


def _made(found: Mapping[str, Any]) -> NodeResource:
    spec = found["spec"]
    ready, wanted = found.get("status", {}).get("readyReplicas") or 0, spec.get("replicas", 1)
    pod = spec["template"]["spec"]
    container = pod["containers"][0]
    return NodeResource(
        id=found["metadata"]["uid"],
        name=found["metadata"]["name"],
        status="running" if ready else f"not ready ({ready} of {wanted} pods)",
        mark=annotated_mark(found["metadata"].get("annotations") or {}),
        settings=tuple(sorted(_settings(wanted, pod, container))),
    )


def _settings(replicas: int, pod: Mapping[str, Any], container: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a Deployment says of the options that it was made with; what is not set is left out."""
    yield "image", container.get("image", "")
    yield "replicas", str(replicas)
    yield from ((name, pod[key]) for name, key in _SETTINGS.items() if pod.get(key))
    for kind, amounts in (container.get("resources") or {}).items():
        yield from ((f"{kind}.{what}", str(amount)) for what, amount in amounts.items())


def _configuration(found: Mapping[str, Any]) -> list[str]:
    """The ConfigMaps that buildx made for it: they bear its name."""
    volumes = found["spec"]["template"]["spec"].get("volumes") or ()
    names = [each["configMap"]["name"] for each in volumes if each.get("configMap")]
    return [name for name in names if name.startswith(found["metadata"]["name"])]


def _statuses(pod: Mapping[str, Any], kind: str) -> Sequence[Mapping[str, Any]]:
    return (pod.get("status") or {}).get(kind) or ()


def _troubles(pod: Mapping[str, Any]) -> Iterator[str]:
    """Why a pod does not run: no machine takes it, or one of its containers does not start."""
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            yield one_line(f"pod {name}: {condition.get('reason', '')}: {condition.get('message', '')}")
    containers = (*_statuses(pod, "initContainerStatuses"), *_statuses(pod, "containerStatuses"))
    for state in (each.get("state") or {} for each in containers):
        held = state.get("waiting") or state.get("terminated")
        if held and held.get("reason") != "Completed":
            yield one_line(f"pod {name}: {held.get('reason', '')}: {held.get('message', '')}".rstrip(": "))
