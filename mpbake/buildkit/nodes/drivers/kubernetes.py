"""The back end of the kubernetes driver: Deployments and StatefulSets, through kubectl.

mpbake finds a Deployment by name, recognizes its own Deployments by their mark, and never takes over a foreign one.
buildx creates a Deployment, and later uses any Deployment with that name. buildx reports neither whether a Deployment
exists nor who created it.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import NodeMayBeInUse, Unreachable
from mpbake.base.text import one_line, without_colour
from mpbake.buildkit.nodes.causes import REFUSED, cause
from mpbake.buildkit.nodes.drivers.back_end import INSPECT_TIMEOUT, BackEnd, ask_instance, ask_nothing, boot_instance
from mpbake.buildkit.nodes.failure_causes import explain_by, log_paragraph, unreachable_by
from mpbake.buildkit.nodes.ownership import owned_resource
from mpbake.model.drivers.kubernetes import has_volume_claim, kubernetes_namespace
from mpbake.model.marks import annotated_mark
from mpbake.model.node_state import CacheRemoval, NodeResource

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mpbake.buildkit.nodes.causes import Cause
    from mpbake.buildkit.nodes.first_start import NodeStart
    from mpbake.buildkit.process.docker import Completed, Docker
    from mpbake.model.plan import Node

_REMOVE_TIMEOUT = 120.0
_LAST_LINES = 10
_STARTING = {"", "ContainerCreating", "PodInitializing", "Completed"}
"""Reasons of waiting or terminated containers in a pod that is starting normally."""
_SETTINGS = {"serviceaccount": "serviceAccountName", "schedulername": "schedulerName"}
_CLUSTER_CAUSES = (
    cause(
        r"\b(Err)?ImagePull|ErrImage|InvalidImageName",
        "",
        'set image = "…" in the builder to a BuildKit image that the cluster can pull',
    ),
    cause(
        r"\bUnschedulable\b",
        "",
        "check nodeselector, tolerations and requests: no machine of the cluster takes its pods",
    ),
    cause(
        r"no configuration has been provided|current-context|context \S+ does not exist|localhost:8080 was refused",
        "kubectl has no cluster to talk to",
        "set KUBECONFIG, and choose a context: kubectl config use-context NAME",
    ),
    cause(
        r"\bforbidden\b",
        "this user may not do that in the cluster",
        "give its role access to deployments, configmaps, pods and pods/exec; try: kubectl auth can-i --list",
    ),
    cause(
        r"unauthorized|must be logged in|asked for the client to provide credentials|getting credentials",
        "the cluster does not know this user",
        "log in to it again; try: kubectl get deployments",
    ),
    cause(
        r"namespaces? \S+ not found",
        "the namespace does not exist",
        "create it (kubectl create namespace), or name another with `namespace`",
    ),
    cause(
        r"replicas to be ready",
        "its pods do not become ready",
        "look at them (kubectl describe pods), or raise `timeout`",
    ),
    cause(
        r"was refused|unable to connect|no such host|timed? ?out|no route to host|connection refused",
        "the cluster does not answer",
        "check that it is up, and that the right context is in use; try: kubectl version",
    ),
)


def _causes(_: Node, __: str) -> tuple[Cause, ...]:
    return (REFUSED, *_CLUSTER_CAUSES)


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployments:
    """Finds and removes the Deployments of nodes. A Deployment with a volume claim is a StatefulSet."""

    docker: Docker
    can_stop: bool = False

    def find(self, node: Node) -> NodeResource | None:
        """Return the Deployment of `node`; None if there is none. Raises Unreachable."""
        described = self._described(node)
        return _resource(described) if described else None

    def own(self, node: Node) -> NodeResource | None:
        """Return the Deployment of `node`; None if there is none.

        Raises Unreachable, and UsageError if the Deployment is foreign.
        """
        return owned_resource(node, self.find(node), shlex.join([*_kubectl(node), "delete", _kind(node)]))

    def is_used(self, node: Node, made: NodeResource) -> bool:
        """Whether a client is connected to BuildKit in a pod. A buildx client runs a command in the pod to connect.

        Raises NodeMayBeInUse if a running pod cannot be queried, since a build may be running in the pod.
        """
        return any(self._is_used(node, made, pod["metadata"]["name"]) for pod in self._pods(node) if _runs(pod))

    def _is_used(self, node: Node, made: NodeResource, pod: str) -> bool:
        asked = self._run(node, "exec", pod, "--", "pgrep", "-f", "buildctl dial-stdio")
        if not asked.returncode:
            return True
        ended = f"command terminated with exit code {asked.returncode}"
        if asked.returncode == 1 and ended in asked.stderr:  # with any other output, kubectl itself has failed
            return False
        error = asked.stderr.strip().removesuffix(ended).strip()
        message, hint = explain_by(_causes, node, asked.error if asked.timed_out else error or asked.error)
        by_hand = f"if no build runs, run: {shlex.join([*_kubectl(node), 'delete', _kind(node), made.name])}"
        raise NodeMayBeInUse(
            f"{node.id}: mpbake cannot tell whether a build runs in the pod {pod}: {message}",
            hint="; or, ".join(filter(None, [hint, by_hand])),
        )

    def remove(self, node: Node, made: NodeResource) -> None:
        """Remove the Deployment and its ConfigMaps, and wait until all pods have terminated.

        Without the wait, buildx would still use the pods.
        """
        described = self._described(node)
        if not described or described["metadata"]["uid"] != made.id:
            return  # another process has removed or replaced the Deployment
        names = [f"{_kind(node)}/{made.name}", *(f"configmap/{name}" for name in _config_maps(described))]
        waiting = ("--ignore-not-found", "--cascade=foreground", f"--timeout={_REMOVE_TIMEOUT:.0f}s")
        self._must(node, "delete", *names, *waiting, timeout=_REMOVE_TIMEOUT + INSPECT_TIMEOUT)

    def fetch(self, node: Node, start: NodeStart) -> None:
        """Do nothing: the cluster decides which machine pulls the image when the cluster schedules the pods."""

    def is_starting(self, node: Node) -> bool:
        """Whether the pods of `node` run or are being created, all without a restart and with an assigned machine."""
        try:
            pods = self._pods(node)
        except Unreachable:
            return False
        return bool(pods) and all(map(_is_starting, pods))

    def check_new(self, node: Node) -> None:
        """Check nothing: the cache of a new Deployment is created together with the pods or the volume claim."""

    def prepare(self, node: Node) -> None:
        """Prepare nothing, for the same reason as in `check_new`."""

    def is_stopped(self, made: NodeResource) -> bool:  # noqa: ARG002 - as the interface says
        """Return False: the cluster keeps pods running."""
        return False

    def create(self, node: Node) -> None:
        """Do nothing: buildx creates the Deployment when the node starts."""

    def wait(self, node: Node, start: NodeStart) -> None:
        """Do not wait: buildx waits for the pods."""

    def resume(self, node: Node, made: NodeResource) -> None:
        """Do nothing: pods cannot be paused."""

    def stop(self, node: Node, made: NodeResource) -> None:
        """Do nothing: the cluster keeps pods running."""

    def forget_cache(self, node: Node) -> CacheRemoval:  # noqa: ARG002 - as the interface says
        """Remove nothing: the cache was removed with the pods, and the cluster itself handles volumes of claims."""
        return CacheRemoval.NOTHING

    def end_of_log(self, node: Node) -> str:
        """Return why the pods of `node` do not run, or the end of their log; empty if nothing is known."""
        try:
            troubles = [trouble for pod in self._pods(node) for trouble in _troubles(pod)]
        except Unreachable:
            return ""
        if troubles:
            return log_paragraph("its pods wait", "\n".join(dict.fromkeys(troubles)))
        logs = self._run(node, "logs", f"--selector={_selector(node)}", "--tail", str(_LAST_LINES))
        return "" if logs.returncode else log_paragraph("its log ends with", without_colour(logs.stdout).strip())

    def _described(self, node: Node) -> dict[str, Any]:
        """Return the cluster's description of the Deployment; empty if there is no Deployment."""
        completed = self._must(node, "get", f"{_kind(node)}/{node.buildx_name}", "--ignore-not-found", "--output=json")
        described: dict[str, Any] = json.loads(completed.stdout) if completed.stdout.strip() else {}
        return described

    def _pods(self, node: Node) -> list[dict[str, Any]]:
        completed = self._must(node, "get", "pods", f"--selector={_selector(node)}", "--output=json")
        pods: list[dict[str, Any]] = json.loads(completed.stdout)["items"]
        return pods

    def _must(self, node: Node, *command: str, timeout: float = INSPECT_TIMEOUT) -> Completed:
        completed = self._run(node, *command, timeout=timeout)
        if completed.returncode:
            raise unreachable_by(_causes, node, completed)
        return completed

    def _run(self, node: Node, *command: str, timeout: float = INSPECT_TIMEOUT) -> Completed:
        try:
            return self.docker.run_program([*_kubectl(node), *command], timeout=timeout)
        except Unreachable as error:
            raise Unreachable(
                f"{node.id}: {error.message}",
                hint="install kubectl: mpbake uses it to see who made a Deployment; buildx would use any of that name",
            ) from None


def _kubectl(node: Node) -> list[str]:
    """Return the start of a kubectl command line for the namespace of `node`."""
    namespace = kubernetes_namespace(node)
    return ["kubectl", *([f"--namespace={namespace}"] if namespace else [])]


def _kind(node: Node) -> str:
    return "statefulset" if has_volume_claim(node) else "deployment"


def _selector(node: Node) -> str:
    """Return the label that buildx gives to the pods of a Deployment."""
    return f"app={node.buildx_name}"


def _runs(pod: Mapping[str, Any]) -> bool:
    """Whether a container of a pod runs. A failed container that waits for a restart has no builds."""
    return any("running" in (status.get("state") or {}) for status in _statuses(pod, "containerStatuses"))


def _is_starting(pod: Mapping[str, Any]) -> bool:
    """Whether a pod is starting without an error. A pod whose containers have no state waits for a machine."""
    statuses = (*_statuses(pod, "initContainerStatuses"), *_statuses(pod, "containerStatuses"))
    states = [status.get("state") or {} for status in statuses]
    reasons = {(state.get("waiting") or state.get("terminated") or {}).get("reason", "") for state in states}
    return bool(states) and reasons <= _STARTING and not any(status.get("restartCount") for status in statuses)


def _resource(described: Mapping[str, Any]) -> NodeResource:
    metadata, spec = described["metadata"], described["spec"]
    ready, wanted = described.get("status", {}).get("readyReplicas") or 0, spec.get("replicas", 1)
    pod = spec["template"]["spec"]
    container = pod["containers"][0]
    return NodeResource(
        id=metadata["uid"],
        name=metadata["name"],
        status="running" if ready else f"not ready ({ready} of {wanted} pods)",
        mark=annotated_mark(metadata.get("annotations") or {}),
        settings=tuple(sorted(_settings(wanted, pod, container))),
    )


def _settings(replicas: int, pod: Mapping[str, Any], container: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the options with which a Deployment was created, without unset options."""
    yield "image", container.get("image", "")
    yield "replicas", str(replicas)
    yield from ((name, pod[key]) for name, key in _SETTINGS.items() if pod.get(key))
    for kind, amounts in (container.get("resources") or {}).items():
        yield from ((f"{kind}.{resource}", str(amount)) for resource, amount in amounts.items())


def _config_maps(described: Mapping[str, Any]) -> list[str]:
    """Return the names of the ConfigMaps that buildx created for a Deployment.

    The names start with the Deployment's name.
    """
    volumes = described["spec"]["template"]["spec"].get("volumes") or ()
    names = [volume["configMap"]["name"] for volume in volumes if volume.get("configMap")]
    return [name for name in names if name.startswith(described["metadata"]["name"])]


def _statuses(pod: Mapping[str, Any], kind: str) -> Sequence[Mapping[str, Any]]:
    return (pod.get("status") or {}).get(kind) or ()


def _troubles(pod: Mapping[str, Any]) -> Iterator[str]:
    """Yield the reasons why a pod does not run: no machine accepts the pod, or a container does not start."""
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            yield one_line(f"pod {name}: {condition.get('reason', '')}: {condition.get('message', '')}")
    containers = (*_statuses(pod, "initContainerStatuses"), *_statuses(pod, "containerStatuses"))
    for state in (container.get("state") or {} for container in containers):
        stopped = state.get("waiting") or state.get("terminated")
        if stopped and stopped.get("reason") != "Completed":
            yield one_line(f"pod {name}: {stopped.get('reason', '')}: {stopped.get('message', '')}".rstrip(": "))


def _manager(docker: Docker) -> Deployments:
    return Deployments(docker=docker)


KUBERNETES_BACK_END = BackEnd(
    causes=_causes, manager=_manager, survey=ask_nothing, ask=ask_instance, connect=boot_instance
)
