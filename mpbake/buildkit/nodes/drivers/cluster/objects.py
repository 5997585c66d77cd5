"""The cluster's descriptions of Deployments, pods and events, as far as mpbake reads them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from mpbake.base.text import one_line, without_colour
from mpbake.buildkit.nodes.drivers.back_end import Blockage
from mpbake.model.marks import ANNOTATION, annotated_mark
from mpbake.model.node_state import NodeResource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    Described = Mapping[str, Any]

_STARTING = {"", "ContainerCreating", "PodInitializing", "Completed"}
"""Reasons of waiting or terminated containers in a pod that is starting normally."""
_SETTINGS = {"serviceaccount": "serviceAccountName", "schedulername": "schedulerName"}
_PATIENCE = {
    "InvalidImageName": 0.0,
    "ErrImageNeverPull": 0.0,
    "ErrImagePull": 20.0,
    "ImagePullBackOff": 20.0,
    "CreateContainerConfigError": 20.0,
    "CreateContainerError": 20.0,
    "CrashLoopBackOff": 10.0,
}
"""Seconds for which a container may wait for a reason that rarely goes away by itself."""
_CRASHED = ("CrashLoopBackOff", "Error")
_ERROR_LINE = re.compile(r"^buildkitd: |\blevel=(error|fatal)\b")
_MOST_FOLDERS = 16
"""The number of ConfigMaps with folders, such as those of certificates, that mpbake looks for."""


def resource_of(described: Described) -> NodeResource:
    """Return the Deployment or StatefulSet that a cluster describes."""
    metadata, spec = described["metadata"], described["spec"]
    ready, wanted = described.get("status", {}).get("readyReplicas") or 0, spec.get("replicas", 1)
    pod = spec["template"]["spec"]
    waiting = f"not ready ({ready} of {wanted} pods)" if wanted else "scaled to 0"
    return NodeResource(
        id=metadata["uid"],
        name=metadata["name"],
        status="running" if ready and wanted else waiting,
        mark=annotated_mark(metadata.get("annotations") or {}),
        settings=tuple(sorted(_settings(wanted, pod, pod["containers"][0]))),
    )


def _settings(replicas: int, pod: Described, container: Described) -> Iterator[tuple[str, str]]:
    """Yield the options with which a Deployment was created, without unset options."""
    yield "image", container.get("image", "")
    yield "replicas", str(replicas)
    yield from ((name, pod[key]) for name, key in _SETTINGS.items() if pod.get(key))
    for kind, amounts in (container.get("resources") or {}).items():
        yield from ((f"{kind}.{resource}", str(amount)) for resource, amount in amounts.items())


_IMAGE = "moby/buildkit:buildx-stable-1"
_DEFAULTS = {
    "image": (_IMAGE, f"{_IMAGE}-rootless"),
    "replicas": ("1",),
    "schedulername": ("", "default-scheduler"),
    "serviceaccount": ("", "default"),
}
"""The values of options that are not set. The cluster itself fills in a default scheduler."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterOptions:
    """The options of a Deployment that a cluster reports in the notation of buildx. `settings` are its settings."""

    NAMES: ClassVar[tuple[str, ...]] = tuple(_DEFAULTS)
    settings: Mapping[str, str]

    def reports(self, option: str) -> bool:
        """Return whether a cluster reports the value of an option in the notation of buildx."""
        return option in _DEFAULTS

    def agrees(self, option: str, text: str) -> bool:
        """Return whether an option has the value `text`; an empty text is the default."""
        return self.value(option) in ((text,) if text else _DEFAULTS[option])

    def value(self, option: str) -> str:
        """Return the value of an option as text; empty if the option is not set."""
        return self.settings.get(option, "")


def is_scaled_down(described: Described) -> bool:
    """Whether a Deployment is scaled to 0."""
    return bool(described["spec"].get("replicas", 1) == 0)


def possible_config_maps(name: str) -> list[str]:
    """Return the names that buildx gives to the ConfigMaps of a Deployment: one with files, and one for each folder."""
    return [f"{name}-config", *(f"{name}-config-{number}" for number in range(1, _MOST_FOLDERS + 1))]


def marked_names(items: Iterable[Described]) -> list[str]:
    """Return the names of the objects that bear mpbake's mark. buildx gives ConfigMaps the mark of the Deployment."""
    marked = (item["metadata"] for item in items if ANNOTATION in (item["metadata"].get("annotations") or {}))
    return [metadata["name"] for metadata in marked]


def mounted_config_maps(described: Described) -> list[str]:
    """Return the names of the ConfigMaps that buildx created for a Deployment.

    The names start with the Deployment's name.
    """
    volumes = described["spec"]["template"]["spec"].get("volumes") or ()
    names = [volume["configMap"]["name"] for volume in volumes if volume.get("configMap")]
    return [name for name in names if name.startswith(described["metadata"]["name"])]


def is_owned_by(pod: Described, controller: str) -> bool:
    """Whether a pod belongs to a `controller`: `ReplicaSet` or `StatefulSet`.

    The pods of a Deployment and of a StatefulSet of the same name have the same labels.
    """
    owners = pod["metadata"].get("ownerReferences") or ()
    return not owners or any(owner.get("kind") == controller for owner in owners)


def daemon_ids(pods: Iterable[Described]) -> frozenset[str]:
    """Return an id of each running BuildKit in `pods`. The id changes when BuildKit restarts."""
    return frozenset(
        f"{pod['metadata'].get('uid', '')}/{status.get('containerID', '')}"
        for pod in pods
        for status in _statuses(pod, "containerStatuses")
        if "running" in (status.get("state") or {})
    )


def has_running_container(pod: Described) -> bool:
    """Whether any container of a pod runs. A failed container that waits for a restart has no builds."""
    return any("running" in (status.get("state") or {}) for status in _statuses(pod, "containerStatuses"))


def is_starting(pod: Described) -> bool:
    """Whether a pod is starting without an error. A pod whose containers have no state waits for a machine."""
    reasons = {(state.get("waiting") or state.get("terminated") or {}).get("reason", "") for state in _states(pod)}
    restarts = any(status.get("restartCount") for status in _every_status(pod))
    return bool(_every_status(pod)) and reasons <= _STARTING and not restarts


def is_creating(pod: Described) -> bool:
    """Whether a pod has a machine, but no container of the pod runs yet."""
    return any((state.get("waiting") or {}).get("reason") == "ContainerCreating" for state in _states(pod))


def crashed_containers(pod: Described) -> list[str]:
    """Return the names of the containers of a pod that ended with an error.

    The previous log of such a container contains the reason.
    """
    return [
        status.get("name", "")
        for status in _every_status(pod)
        if ((status.get("state") or {}).get("waiting") or {}).get("reason") in _CRASHED and status.get("restartCount")
    ]


def troubles_of(pod: Described) -> Iterator[str]:
    """Yield the reasons why a pod does not run: no machine accepts the pod, or a container does not start."""
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            yield one_line(f"pod {name}: {condition.get('reason', '')}: {condition.get('message', '')}")
    for state in _states(pod):
        stopped = state.get("waiting") or state.get("terminated")
        if stopped and stopped.get("reason") != "Completed":
            yield one_line(f"pod {name}: {stopped.get('reason', '')}: {stopped.get('message', '')}".rstrip(": "))


def refusals_of(described: Described) -> list[str]:
    """Return why the cluster creates no pods for a Deployment: a quota, a policy, a missing service account."""
    conditions = (described.get("status") or {}).get("conditions") or ()
    return [
        one_line(condition.get("message", ""))
        for condition in conditions
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True"
    ]


def event_messages(events: Iterable[Described]) -> list[str]:
    """Return the messages of `events`, each once, the latest last."""
    texts = (f"{event.get('reason', '')}: {event.get('message', '')}" for event in events)
    return list(dict.fromkeys(map(one_line, texts)))


def end_with_errors(log: str, count: int) -> str:
    """Return at most `count` lines of a log: its last lines, and earlier lines that report an error of BuildKit.

    The two streams of a container arrive in any order: the error may precede a long help text.
    """
    lines = [line for line in without_colour(log).splitlines() if line.strip()]
    errors = [number for number, line in enumerate(lines) if _ERROR_LINE.search(line)][-count:]
    others = [number for number in range(len(lines)) if number not in errors]
    last = others[max(len(others) - (count - len(errors)), 0) :]
    return "\n".join(lines[number] for number in sorted([*errors, *last]))


def blockage_of(pods: Iterable[Described]) -> Blockage | None:
    """Return why pods will not start; None if no reason is known."""
    for pod in pods:
        for state in _states(pod):
            reason = (state.get("waiting") or {}).get("reason", "")
            if reason in _PATIENCE:
                return Blockage(reason=f"its pods do not start: {reason}", patience=_PATIENCE[reason])
    return None


REFUSAL = Blockage(reason="the cluster creates no pods for it", patience=10.0)
"""The blockage of a Deployment for which the cluster refuses to create pods."""


def _states(pod: Described) -> list[Described]:
    return [status.get("state") or {} for status in _every_status(pod)]


def _every_status(pod: Described) -> tuple[Described, ...]:
    return (*_statuses(pod, "initContainerStatuses"), *_statuses(pod, "containerStatuses"))


def _statuses(pod: Described, kind: str) -> Sequence[Described]:
    return (pod.get("status") or {}).get(kind) or ()
