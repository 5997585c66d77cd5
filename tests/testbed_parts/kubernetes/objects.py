"""Kubernetes objects as JSON: the status that a cluster adds to a Deployment or StatefulSet, and its pods."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

Object = dict[str, Any]

NAMESPACE = "default"
"""The only namespace."""
ARCHITECTURE = "kubernetes.io/arch"
"""The label by which a pod's nodeSelector chooses an architecture."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource:
    """A kind of object. `group` is empty for the core group of Kubernetes."""

    group: str
    kind: str
    plural: str

    @property
    def api_version(self) -> str:
        """The `apiVersion` of its objects."""
        return f"{self.group}/v1" if self.group else "v1"

    @property
    def qualified(self) -> str:
        """The name of the resource in messages."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


CONFIG_MAPS = Resource(group="", kind="ConfigMap", plural="configmaps")
PODS = Resource(group="", kind="Pod", plural="pods")
DEPLOYMENTS = Resource(group="apps", kind="Deployment", plural="deployments")
STATEFUL_SETS = Resource(group="apps", kind="StatefulSet", plural="statefulsets")
WORKLOADS = (DEPLOYMENTS, STATEFUL_SETS)
"""The kinds of objects that have pods."""
RESOURCES = (CONFIG_MAPS, PODS, *WORKLOADS)


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


def with_status(workload: Object) -> Object:
    """Return the Deployment or StatefulSet with its present status."""
    replicas = workload["spec"]["replicas"]
    ready = {"readyReplicas": replicas, "availableReplicas": replicas}
    return {**workload, "status": {"replicas": replicas, **(ready if _starts(workload) else {})}}


def pods_of(workload: Object) -> list[Object]:
    """Return the pods of a Deployment or StatefulSet. The same object always has the same pods."""
    return [_pod(workload, number) for number in range(workload["spec"]["replicas"])]


def workload_of(pod: Object) -> str:
    """Return the name of the Deployment or StatefulSet that a pod belongs to."""
    (owner,) = pod["metadata"]["ownerReferences"]
    name: str = owner["name"]
    return name if owner["kind"] == STATEFUL_SETS.kind else name.rpartition("-")[0]


def selected(item: Object, labels: str) -> bool:
    """Return whether the object has the labels `NAME=VALUE,…`. Raise ApiError if they are not of this form."""
    pairs = [part.partition("=") for part in filter(None, labels.split(","))]
    if not all(name.replace("-", "").isalnum() and sign for name, sign, _ in pairs):
        raise bad_request(f"no such selector here: {labels}")
    own = item["metadata"].get("labels", {})
    return all(own.get(name) == value for name, _, value in pairs)


def _starts(workload: Object) -> bool:
    """Return whether its images are pulled."""
    created = dt.datetime.fromisoformat(workload["metadata"]["creationTimestamp"])
    seconds = max(_pull_seconds(container["image"]) for container in workload["spec"]["template"]["spec"]["containers"])
    return seconds <= (dt.datetime.now(dt.UTC) - created).total_seconds()


def _pull_seconds(image: str) -> float:
    """Return the seconds that the pull of an image takes: with the registry `slow.invalid`, as many as its tag says."""
    registry, _, repository = image.partition("/")
    return float(repository.partition(":")[2]) if registry == "slow.invalid" else 0.0


def _pod(workload: Object, number: int) -> Object:
    metadata, template = workload["metadata"], workload["spec"]["template"]
    revision = _digest(json.dumps(template, sort_keys=True), 10)
    identity = _digest(f"{metadata['uid']} {revision} {number}", 32)
    numbered = workload["kind"] == STATEFUL_SETS.kind
    set_name = metadata["name"] if numbered else f"{metadata['name']}-{revision}"
    owner = {"apiVersion": "apps/v1", "kind": workload["kind"] if numbered else "ReplicaSet", "name": set_name}
    own = {
        "name": f"{set_name}-{number if numbered else identity[:5]}",
        "namespace": NAMESPACE,
        "uid": identity,
        "creationTimestamp": metadata["creationTimestamp"],
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
    state = {"running": {"startedAt": since}} if starts else {"waiting": {"reason": "ContainerCreating"}}
    containers = [
        {"name": container["name"], "image": container["image"], "ready": starts, "restartCount": 0, "state": state}
        for container in workload["spec"]["template"]["spec"]["containers"]
    ]
    conditions = [{"type": kind, "status": str(starts)} for kind in ("Ready", "ContainersReady")]
    return {"phase": "Running" if starts else "Pending", "conditions": conditions, "containerStatuses": containers}


def _digest(text: str, size: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:size]
