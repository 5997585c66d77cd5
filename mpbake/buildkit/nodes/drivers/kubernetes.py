"""The back end of the kubernetes driver: Deployments and StatefulSets, through kubectl.

mpbake finds a Deployment by name, recognizes its own Deployments by their mark, and never takes over a foreign one.
buildx creates a Deployment, and later uses any Deployment with that name. buildx reports neither whether a Deployment
exists nor who created it.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import NodeMayBeInUse, Unreachable, UsageError
from mpbake.base.text import one_line
from mpbake.buildkit.nodes.adoption import ActualResource, adopted_mark
from mpbake.buildkit.nodes.drivers.back_end import (
    INSPECT_TIMEOUT,
    BackEnd,
    Blockage,
    ask_instance,
    ask_nothing,
    boot_instance,
)
from mpbake.buildkit.nodes.drivers.cluster.causes import cluster_causes
from mpbake.buildkit.nodes.drivers.cluster.client_query import CLIENT_QUERY, client_answer, exit_text
from mpbake.buildkit.nodes.drivers.cluster.in_use import cluster_in_use
from mpbake.buildkit.nodes.drivers.cluster.manifest import (
    deployment_manifest,
    is_rejected,
    is_rejected_pod,
    pod_manifest,
    rejection_text,
    says_nothing_against,
)
from mpbake.buildkit.nodes.drivers.cluster.objects import (
    REFUSAL,
    ClusterOptions,
    blockage_of,
    crashed_containers,
    daemon_ids,
    end_with_errors,
    event_messages,
    has_running_container,
    is_creating,
    is_owned_by,
    is_scaled_down,
    is_starting,
    marked_names,
    mounted_config_maps,
    possible_config_maps,
    refusals_of,
    resource_of,
    troubles_of,
)
from mpbake.buildkit.nodes.failure_causes import explain_by, log_paragraph, unreachable_by
from mpbake.buildkit.nodes.ownership import owned_resource
from mpbake.model.drivers.kubernetes import declared_replicas, has_volume_claim, kubernetes_namespace
from mpbake.model.marks import ANNOTATION, annotation_value
from mpbake.model.node_resources import resource_word
from mpbake.model.node_state import CacheRemoval

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.base.errors import MpbakeError
    from mpbake.buildkit.nodes.first_start import NodeStart
    from mpbake.buildkit.process.completed import Completed
    from mpbake.buildkit.process.docker import Docker
    from mpbake.model.existing_builders import ExistingNode
    from mpbake.model.node_state import NodeResource
    from mpbake.model.plan import Node

_REMOVE_TIMEOUT = 120.0
_READ_LINES = 100
_LAST_LINES = 10
_OWNERS = {"deployment": "ReplicaSet", "statefulset": "StatefulSet"}
"""The kind of object that owns the pods: of a Deployment, and of a StatefulSet."""
_TWINS = {"deployment": "statefulset", "statefulset": "deployment"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployments:
    """Finds and removes the Deployments of nodes. A Deployment with a volume claim is a StatefulSet."""

    docker: Docker
    can_stop: bool = False

    def find(self, node: Node) -> NodeResource | None:
        """Return the Deployment of `node`; None if there is none. Raises Unreachable."""
        described = self._described(node)
        return resource_of(described) if described else None

    def own(self, node: Node) -> NodeResource | None:
        """Return the Deployment of `node`; None if there is none.

        Raises Unreachable, and UsageError if the Deployment is foreign.
        """
        return owned_resource(node, self.find(node), shlex.join([*_kubectl(node), "delete", _kind(node)]))

    def foreign(self, node: Node, existing: ExistingNode) -> NodeResource | None:
        """Return the Deployment of `node` with the mark that `adopt` gives it; None if there is none.

        The cluster writes amounts and tolerations in its own notation, so buildx's store is the source for these.
        """
        described = self._described(node)
        if not described:
            return None
        made = resource_of(described)
        options = ClusterOptions(settings=dict(made.settings))
        actual = ActualResource(options=options, names=options.NAMES, flags=existing.flags, files=existing.files)
        return replace(made, mark=adopted_mark(node, existing, actual))

    def adopt(self, node: Node, made: NodeResource | None) -> None:
        """Mark a Deployment that was made by hand, and its ConfigMaps, as mpbake's. Its pods keep running."""
        described = self._described(node)
        if made is None or not described or described["metadata"]["uid"] != made.id:
            return  # another process has removed or replaced the Deployment
        names = [*(f"configmap/{name}" for name in mounted_config_maps(described)), f"{_kind(node)}/{made.name}"]
        self._must(node, "annotate", "--overwrite", *names, f"{ANNOTATION}={annotation_value(made.mark)}")

    def is_used(self, node: Node, made: NodeResource) -> bool:
        """Whether a client is connected to BuildKit in a pod. A buildx client runs a command in the pod to connect.

        Raises NodeMayBeInUse if a running pod cannot be queried, since a build may be running in the pod.
        """
        names = [pod["metadata"]["name"] for pod in self._pods(node) if has_running_container(pod)]
        return any(self._is_used(node, made, name) for name in names)

    def _is_used(self, node: Node, made: NodeResource, pod: str) -> bool:
        asked = self._ask_for_client(node, pod)
        answer = client_answer(asked)
        if answer is not None:
            return answer
        error = asked.stderr.strip().removesuffix(exit_text(asked)).strip()
        message, hint = explain_by(cluster_causes, node, asked.error if asked.timed_out else error or asked.error)
        by_hand = f"if no build runs, run: {shlex.join([*_kubectl(node), 'delete', _kind(node), made.name])}"
        raise NodeMayBeInUse(
            f"{node.id}: mpbake cannot tell whether a build runs in the pod {pod}: {message}",
            hint="; or, ".join(filter(None, [hint, by_hand])),
        )

    def _has_client(self, node: Node, pod: str) -> bool | None:
        """Whether a client is connected to BuildKit in `pod`; None if the pod cannot be queried."""
        return client_answer(self._ask_for_client(node, pod))

    def _ask_for_client(self, node: Node, pod: str) -> Completed:
        return self._run(node, "exec", pod, "--", *CLIENT_QUERY)

    def remove(self, node: Node, made: NodeResource) -> None:
        """Remove the Deployment and its ConfigMaps, and wait until all pods have terminated.

        Without the wait, buildx would still use the pods.
        """
        described = self._described(node)
        if not described or described["metadata"]["uid"] != made.id:
            return  # another process has removed or replaced the Deployment
        config_maps = dict.fromkeys([*mounted_config_maps(described), *self._marked_config_maps(node)])
        if self._has_twin(node):
            config_maps = {}
        names = [f"{_kind(node)}/{made.name}", *(f"configmap/{name}" for name in config_maps)]
        waiting = ("--ignore-not-found", "--cascade=foreground", f"--timeout={_REMOVE_TIMEOUT:.0f}s")
        self._must(node, "delete", *names, *waiting, timeout=_REMOVE_TIMEOUT + INSPECT_TIMEOUT)

    def remove_leftovers(self, node: Node) -> tuple[str, ...]:
        """Remove ConfigMaps of a Deployment that was never created, or that somebody removed by hand.

        Return their names.
        """
        if self.find(node) is not None or self._has_twin(node):
            return ()
        names = self._marked_config_maps(node)
        if names:
            self._must(node, "delete", *(f"configmap/{name}" for name in names), "--ignore-not-found")
        return tuple(f"ConfigMap {name}" for name in names)

    def _marked_config_maps(self, node: Node) -> list[str]:
        """Return the names of the ConfigMaps of `node` that bear mpbake's mark; none if the user may not read them."""
        names = possible_config_maps(node.buildx_name)
        completed = self._run(node, "get", "configmap", *names, "--ignore-not-found", "--output=json")
        if completed.returncode or not completed.stdout.strip():
            return []
        listed = json.loads(completed.stdout)
        return marked_names(listed.get("items", [listed]))

    def _has_twin(self, node: Node) -> bool:
        """Whether there are both a Deployment and a StatefulSet with the name of `node`, which share ConfigMaps.

        If the user has no right to query the other kind, mpbake has not created an object of this kind.
        """
        twin = f"{_TWINS[_kind(node)]}/{node.buildx_name}"
        completed = self._run(node, "get", twin, "--ignore-not-found", "--output=name")
        return not completed.returncode and bool(completed.stdout.strip())

    def fetch(self, node: Node, start: NodeStart) -> None:
        """Do nothing: the cluster decides which machine pulls the image when the cluster schedules the pods."""

    def pulled_image(self, node: Node) -> str:
        """Return the image that the cluster pulls for `node`; empty if the plan does not name one."""
        return dict(node.options).get("image", "")

    def check_replacement(self, node: Node) -> None:
        """Check that the cluster would accept a new Deployment and its pods, without creating them.

        Raises UsageError if the cluster rejects the Deployment, and Unreachable if the cluster cannot be asked.
        """
        manifest = deployment_manifest(node)
        created = self._dry_run(node, manifest)
        if created.returncode and not says_nothing_against(created.stderr):
            raise self._rejection(node, created)
        pod = self._dry_run(node, pod_manifest(manifest))
        if pod.returncode and is_rejected_pod(pod.stderr):
            raise self._rejection(node, pod)

    def _dry_run(self, node: Node, manifest: Mapping[str, Any]) -> Completed:
        command = [*_kubectl(node), "create", "--dry-run=server", "--output=name", "--filename=-"]
        return self.docker.run_program(command, timeout=INSPECT_TIMEOUT, given=json.dumps(manifest))

    def _rejection(self, node: Node, completed: Completed) -> MpbakeError:
        """Return the error of a dry run: UsageError if the cluster rejects the object, else Unreachable."""
        error = unreachable_by(cluster_causes, node, completed)
        if not is_rejected(completed.stderr):
            return error
        reason = one_line(rejection_text(completed.stderr))
        message = f"{node.id}: the cluster would reject the new {resource_word(node)}, so the old one stays: {reason}"
        return UsageError(message, hint=error.hint or "correct the options of the builder or the node")

    def is_starting(self, node: Node) -> bool:
        """Whether the pods of `node` run or are being created, all without a restart and with an assigned machine."""
        try:
            pods = self._pods(node)
        except Unreachable:
            return False
        return bool(pods) and all(map(is_starting, pods))

    def blockage(self, node: Node) -> Blockage | None:
        """Return why the pods of `node` will not start; None if they may start."""
        try:
            described = self._described(node)
            if not described:
                return None
            if is_scaled_down(described):
                return Blockage(reason=f"its {resource_word(node)} is scaled to 0")
            return REFUSAL if self._refusals(node, described) else blockage_of(self._pods(node))
        except Unreachable:
            return None

    def _refusals(self, node: Node, described: Mapping[str, Any]) -> list[str]:
        """Return why the cluster creates no pods. For a StatefulSet, only events contain the reason."""
        events = self._events(described, "reason=FailedCreate", node) if has_volume_claim(node) else []
        return refusals_of(described) or events

    def _events(self, described: Mapping[str, Any], kind: str, node: Node) -> list[str]:
        """Return the messages of events about an object; none if the user may not read events."""
        selector = f"--field-selector=involvedObject.uid={described['metadata'].get('uid', '')},{kind}"
        completed = self._run(node, "get", "events", selector, "--sort-by=.lastTimestamp", "--output=json")
        return [] if completed.returncode else event_messages(json.loads(completed.stdout)["items"])

    def daemons(self, node: Node) -> frozenset[str]:
        """Return an id of each running BuildKit of `node`; none if the cluster does not say."""
        try:
            return daemon_ids(self._pods(node))
        except Unreachable:
            return frozenset()

    def serves(self, node: Node, daemons: frozenset[str]) -> bool:
        """Whether one of the `daemons` still runs and has a client; True if the cluster does not say.

        If a pod is replaced, or if the connection to a pod breaks, older buildx waits forever for the build.
        """
        try:
            pods = [pod for pod in self._pods(node) if daemon_ids([pod]) & daemons]
            return any(self._has_client(node, pod["metadata"]["name"]) is not False for pod in pods)
        except Unreachable:
            return True

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
        """Scale up a Deployment that was scaled to 0 by hand. buildx would only wait for its pods."""
        described = self._described(node)
        if described and is_scaled_down(described):
            command = ["scale", f"{_kind(node)}/{made.name}", f"--replicas={declared_replicas(node)}"]
            try:
                self._must(node, *command)
            except Unreachable as error:
                by_hand = f"scale it up by hand: {one_line(shlex.join([*_kubectl(node), *command]))}"
                raise Unreachable(error.message, hint="; or, ".join(filter(None, [error.hint, by_hand]))) from None

    def stop(self, node: Node, made: NodeResource) -> None:
        """Do nothing: the cluster keeps pods running."""

    def forget_cache(self, node: Node) -> CacheRemoval:  # noqa: ARG002 - as the interface says
        """Remove nothing: the cache was removed with the pods, and the cluster itself handles volumes of claims."""
        return CacheRemoval.NOTHING

    def end_of_log(self, node: Node) -> str:
        """Return why the pods of `node` do not run, and the end of the log of a pod; empty if nothing is known."""
        try:
            described, pods = self._described(node), self._pods(node)
        except Unreachable:
            return ""
        refused = self._refusals(node, described) if described else []
        troubles = [*refused, *(trouble for pod in pods for trouble in troubles_of(pod))]
        creating = [pod for pod in pods if is_creating(pod)]
        events = [message for pod in creating for message in self._events(pod, "type=Warning", node)]
        crashed = [(pod["metadata"]["name"], name) for pod in pods for name in crashed_containers(pod)]
        paragraphs = [
            log_paragraph("its pods wait", "\n".join(dict.fromkeys(troubles))),
            log_paragraph("the cluster reports", "\n".join(dict.fromkeys(events))),
        ]
        if crashed:
            pod, container = crashed[0]
            paragraphs.append(self._log(node, "--previous", f"--container={container}", pod))
        elif not troubles and not events:
            paragraphs.append(self._log(node, f"--selector={_selector(node)}"))
        return "\n".join(filter(None, paragraphs))

    def _log(self, node: Node, *which: str) -> str:
        logs = self._run(node, "logs", *which, "--tail", str(_READ_LINES))
        return "" if logs.returncode else log_paragraph("its log ends with", end_with_errors(logs.stdout, _LAST_LINES))

    def _described(self, node: Node) -> dict[str, Any]:
        """Return the cluster's description of the Deployment; empty if there is no Deployment."""
        completed = self._must(node, "get", f"{_kind(node)}/{node.buildx_name}", "--ignore-not-found", "--output=json")
        described: dict[str, Any] = json.loads(completed.stdout) if completed.stdout.strip() else {}
        return described

    def _pods(self, node: Node) -> list[dict[str, Any]]:
        """Return the cluster's descriptions of the pods of `node`."""
        completed = self._must(node, "get", "pods", f"--selector={_selector(node)}", "--output=json")
        pods: list[dict[str, Any]] = json.loads(completed.stdout)["items"]
        return [pod for pod in pods if is_owned_by(pod, _OWNERS[_kind(node)])]

    def _must(self, node: Node, *command: str, timeout: float = INSPECT_TIMEOUT) -> Completed:
        completed = self._run(node, *command, timeout=timeout)
        if completed.returncode:
            raise unreachable_by(cluster_causes, node, completed)
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


def _manager(docker: Docker) -> Deployments:
    return Deployments(docker=docker)


KUBERNETES_BACK_END = BackEnd(
    causes=cluster_causes,
    manager=_manager,
    survey=ask_nothing,
    ask=ask_instance,
    connect=boot_instance,
    cluster=cluster_in_use,
)
