"""Kubernetes objects as JSON: the fields that a cluster adds to a Deployment or StatefulSet, and its pods."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Object = dict[str, Any]

ARCHITECTURE = "kubernetes.io/arch"
"""The label by which a pod's nodeSelector chooses an architecture."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource:
    """A kind of object. `group` is empty for the core group of Kubernetes."""

    group: str
    kind: str
    plural: str
    short: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """The `apiVersion` of its objects."""
        return f"{self.group}/v1" if self.group else "v1"

    @property
    def qualified(self) -> str:
        """The name of the resource in messages."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


NAMESPACES = Resource(group="", kind="Namespace", plural="namespaces", short="ns", namespaced=False)
CONFIG_MAPS = Resource(group="", kind="ConfigMap", plural="configmaps", short="cm")
PODS = Resource(group="", kind="Pod", plural="pods", short="po")
DEPLOYMENTS = Resource(group="apps", kind="Deployment", plural="deployments", short="deploy")
STATEFUL_SETS = Resource(group="apps", kind="StatefulSet", plural="statefulsets", short="sts")
WORKLOADS = (DEPLOYMENTS, STATEFUL_SETS)
"""The kinds of objects that have pods."""
RESOURCES = (NAMESPACES, CONFIG_MAPS, PODS, *WORKLOADS)


class ApiError(Exception):
    """The error of a request. Clients use its reason, not its HTTP status."""

    def __init__(self, code: HTTPStatus, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason

    def status(self) -> Object:
        """The Status object that the API sends as the answer."""
        details = {"message": str(self), "reason": self.reason, "code": self.code.value}
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", **details}


def bad_request(message: str) -> ApiError:
    """Return the error for a malformed request."""
    return ApiError(HTTPStatus.BAD_REQUEST, "BadRequest", message)


def not_found(resource: Resource, name: str) -> ApiError:
    """Return the error for an object that does not exist."""
    return ApiError(HTTPStatus.NOT_FOUND, "NotFound", f'{resource.qualified} "{name}" not found')


def invalid(resource: Resource, name: str, why: str) -> ApiError:
    """Return the error for an object that breaks a rule."""
    message = f'{resource.kind}.{resource.group} "{name}" is invalid: {why}'
    return ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid", message)


def complete_workload(resource: Resource, workload: Object) -> None:
    """Return the object with a cluster's defaults and a status.

    Raise ApiError (Invalid) if a cluster would refuse it.
    """
    spec = workload.setdefault("spec", {})
    template = spec.setdefault("template", {})
    _check(resource, workload)
    _default(spec, {"replicas": 1, "revisionHistoryLimit": 10})
    if resource == DEPLOYMENTS:
        rolling = {"maxSurge": "25%", "maxUnavailable": "25%"}
        _default(spec, {"strategy": {"type": "RollingUpdate", "rollingUpdate": rolling}})
        _default(spec, {"progressDeadlineSeconds": 600})
    _default(template["spec"], {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "securityContext": {}})
    _default(template["spec"], {"schedulerName": "default-scheduler", "terminationGracePeriodSeconds": 30})
    for container in _containers(template["spec"]):
        _default(container, {"imagePullPolicy": "IfNotPresent", "resources": {}})
        _default(container, {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"})
    workload["status"] = _workload_status(workload)


def pods_of(workload: Object) -> list[Object]:
    """Return the pods of a Deployment or StatefulSet. The same object always has the same pods."""
    return [_pod(workload, number) for number in range(workload["spec"]["replicas"])]


def workload_of(pod: Object) -> str:
    """Return the name of the Deployment or StatefulSet that a pod belongs to."""
    (owner,) = pod["metadata"]["ownerReferences"]
    name: str = owner["name"]
    return name if owner["kind"] == STATEFUL_SETS.kind else name.rpartition("-")[0]


def selected(item: Object, labels: str, fields: str) -> bool:
    """Return whether the object matches the label and field selectors of a request.

    Set-based selectors raise ApiError.
    """
    if " in (" in labels or " notin (" in labels:
        raise bad_request(f"no such selector here: {labels}")
    own = item["metadata"].get("labels", {})
    return all(_holds(part, own.get) for part in _parts(labels)) and all(
        _holds(part, lambda path: _field(item, path)) for part in _parts(fields)
    )


def _check(resource: Resource, workload: Object) -> None:
    name, spec = workload["metadata"]["name"], workload["spec"]
    wanted = spec.get("selector", {}).get("matchLabels", {})
    labels = spec["template"].get("metadata", {}).get("labels", {})
    if not wanted:
        raise invalid(resource, name, "spec.selector: Required value")
    if not wanted.items() <= labels.items():
        why = "spec.template.metadata.labels: Invalid value: `selector` does not match template `labels`"
        raise invalid(resource, name, why)
    if not spec["template"].get("spec", {}).get("containers"):
        raise invalid(resource, name, "spec.template.spec.containers: Required value")


def _default(part: Object, defaults: Mapping[str, Any]) -> None:
    for name, value in defaults.items():
        if part.get(name) in (None, ""):
            part[name] = value


def _containers(pod_spec: Object) -> list[Object]:
    return [*pod_spec.get("initContainers", []), *pod_spec["containers"]]


def _workload_status(workload: Object) -> Object:
    replicas = workload["spec"]["replicas"]
    status = {"observedGeneration": 1, "replicas": replicas, "updatedReplicas": replicas}
    if _starts(workload):
        available = {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}
        return {**status, "readyReplicas": replicas, "availableReplicas": replicas, "conditions": [available]}
    available = {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable"}
    return {**status, "unavailableReplicas": replicas, "conditions": [available]}


def grown(workload: Object) -> Object:
    """Return the object as it is now: with a new status if its pods have become ready since its last one."""
    status = _workload_status(workload)
    return workload if status == workload["status"] else {**workload, "status": status}


def _starts(workload: Object) -> bool:
    """Return whether its images are pulled."""
    created = dt.datetime.fromisoformat(workload["metadata"]["creationTimestamp"])
    return _pull_seconds(workload) <= (dt.datetime.now(dt.UTC) - created).total_seconds()


def _pull_seconds(workload: Object) -> float:
    """Return the seconds that the pull of its images takes.

    An image of `slow.invalid` takes as many seconds as its tag says. Images of any other registry below .invalid, a
    domain that never exists, cannot be pulled.
    """
    images = [container["image"] for container in _containers(workload["spec"]["template"]["spec"])]
    return max(map(_seconds, images))


def _seconds(image: str) -> float:
    registry, _, repository = image.partition("/")
    if registry == "slow.invalid":
        return float(repository.partition(":")[2])
    return math.inf if registry.partition(":")[0].endswith(".invalid") else 0.0


def _pod(workload: Object, number: int) -> Object:
    metadata, template = workload["metadata"], workload["spec"]["template"]
    revision = _digest(json.dumps(template, sort_keys=True), 10)
    identity = _digest(f"{metadata['uid']} {revision} {number}", 32)
    numbered = workload["kind"] == STATEFUL_SETS.kind
    set_name = metadata["name"] if numbered else f"{metadata['name']}-{revision}"
    owner = {"apiVersion": "apps/v1", "kind": workload["kind"] if numbered else "ReplicaSet", "name": set_name}
    own = {
        "name": f"{set_name}-{number if numbered else identity[:5]}",
        "namespace": metadata["namespace"],
        "uid": identity,
        "labels": {**template["metadata"]["labels"], "pod-template-hash": revision},
        "creationTimestamp": metadata["creationTimestamp"],
        "resourceVersion": metadata["resourceVersion"],
        "ownerReferences": [{**owner, "uid": revision, "controller": True}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**template["metadata"], **own},
        "spec": {**template["spec"], "nodeName": "testbed"},
        "status": _pod_status(workload),
    }


def _pod_status(workload: Object) -> Object:
    starts, since = _starts(workload), workload["metadata"]["creationTimestamp"]
    hopeless = _pull_seconds(workload) == math.inf
    containers = workload["spec"]["template"]["spec"]["containers"]
    return {
        "phase": "Running" if starts else "Pending",
        "startTime": since,
        "hostIP": "127.0.0.1",
        "podIP": "127.0.0.1",
        "conditions": [{"type": kind, "status": str(starts)} for kind in ("Ready", "ContainersReady")],
        "containerStatuses": [
            _container_status(container, starts=starts, hopeless=hopeless, since=since) for container in containers
        ],
    }


def _container_status(container: Object, *, starts: bool, hopeless: bool, since: str) -> Object:
    waiting = {"reason": "ContainerCreating"}
    if hopeless:
        waiting = {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{container["image"]}"'}
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": starts,
        "started": starts,
        "restartCount": 0,
        "state": {"running": {"startedAt": since}} if starts else {"waiting": waiting},
    }


def _parts(selector: str) -> Iterator[tuple[str, str, str]]:
    """Return each condition of a selector as a name, an operator (`=`, `!=` or nothing), and a value."""
    for part in filter(None, selector.split(",")):
        sign = "!=" if "!=" in part else "=" if "=" in part else ""
        name, _, value = part.partition(sign or ",")
        yield name.strip(), sign, value.lstrip("=").strip()


def _holds(part: tuple[str, str, str], get: Any) -> bool:
    name, sign, value = part
    if not sign:
        return (get(name.removeprefix("!")) is None) == name.startswith("!")
    return bool((get(name) == value) == (sign == "="))


def _field(item: Object, path: str) -> Any:
    value: Any = item
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _digest(text: str, size: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:size]
