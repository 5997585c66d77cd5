"""The objects of a cluster, stored in a file, so that they stay when the cluster stops."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from tests.testbed_parts.kubernetes.objects import (
    NAMESPACES,
    PODS,
    RESOURCES,
    WORKLOADS,
    ApiError,
    bad_request,
    complete_workload,
    grown,
    invalid,
    not_found,
    pods_of,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.testbed_parts.kubernetes.objects import Object, Resource

_KEPT = ("uid", "creationTimestamp", "namespace", "name")


@dataclass(kw_only=True, slots=True)
class Store:
    """The objects of all namespaces. Objects without a namespace have the namespace ""."""

    file: Path
    _objects: dict[tuple[str, str, str], Object] = field(default_factory=dict)
    _version: int = 0

    @classmethod
    def load(cls, file: Path) -> Store:
        """Return the contents of the file. Without a file, return a new cluster with only the namespace `default`."""
        store = cls(file=file)
        if not file.exists():
            store.create(NAMESPACES, "", {"metadata": {"name": "default"}})
            return store
        by_kind = {resource.kind: resource for resource in RESOURCES}
        for item in json.loads(file.read_text()):
            metadata = item["metadata"]
            key = (by_kind[item["kind"]].plural, metadata.get("namespace", ""), metadata["name"])
            store._objects[key] = item
            store._version = max(store._version, int(metadata["resourceVersion"]))
        return store

    @property
    def version(self) -> str:
        """A version number that grows with each change."""
        return str(self._version)

    def list(self, resource: Resource, namespace: str) -> list[Object]:
        """Return all objects of the kind in the namespace, or in every namespace if it is empty, sorted by name."""
        if resource == PODS:
            workloads = [item for kind in WORKLOADS for item in self.list(kind, namespace)]
            return [pod for workload in workloads for pod in pods_of(workload)]
        self._grow()
        keys = sorted(key for key in self._objects if key[0] == resource.plural and namespace in {"", key[1]})
        return [self._objects[key] for key in keys]

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """Return one object. Raise ApiError (NotFound) if it does not exist."""
        for item in self.list(resource, namespace):
            if item["metadata"]["name"] == name:
                return item
        raise not_found(resource, name)

    def create(self, resource: Resource, namespace: str, item: Object) -> Object:
        """Add an object. Raise ApiError (AlreadyExists) if its name is taken."""
        _check_kept(resource)
        metadata = item.setdefault("metadata", {})
        if namespace:
            self.get(NAMESPACES, "", namespace)
            if metadata.setdefault("namespace", namespace) != namespace:
                raise bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request"
                )
        name = metadata.get("name", "")
        if not name:
            raise invalid(resource, "", "metadata.name: Required value: name or generateName is required")
        if (resource.plural, namespace, name) in self._objects:
            message = f'{resource.qualified} "{name}" already exists'
            raise ApiError(HTTPStatus.CONFLICT, "AlreadyExists", message)
        now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": now}
        return self._put(resource, namespace, item)

    def replace(self, resource: Resource, namespace: str, name: str, item: Object) -> Object:
        """Replace an object. Raise ApiError (Conflict) if the new one is based on an older version."""
        _check_kept(resource)
        before = self.get(resource, namespace, name)["metadata"]
        metadata = item.setdefault("metadata", {})
        if metadata.get("resourceVersion", before["resourceVersion"]) != before["resourceVersion"]:
            message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": the object has been modified'
            raise ApiError(HTTPStatus.CONFLICT, "Conflict", message)
        metadata |= {key: before[key] for key in _KEPT if key in before}
        return self._put(resource, namespace, item)

    def delete(self, resource: Resource, namespace: str, name: str) -> Object:
        """Remove an object and return it. A namespace is removed with its objects."""
        item = self.get(resource, namespace, name)
        _check_kept(resource)
        del self._objects[resource.plural, namespace, name]
        if resource == NAMESPACES:
            self._objects = {key: kept for key, kept in self._objects.items() if key[1] != name}
        self._save()
        return item

    def _grow(self) -> None:
        """Record the Deployments and StatefulSets whose pods have become ready in the meantime."""
        for key, item in self._objects.items():
            now = grown(item) if key[0] in {kind.plural for kind in WORKLOADS} else item
            if now is not item:
                self._version += 1
                now["metadata"] = {**item["metadata"], "resourceVersion": self.version}
                self._objects[key] = now

    def _put(self, resource: Resource, namespace: str, item: Object) -> Object:
        item |= {"apiVersion": resource.api_version, "kind": resource.kind}
        if resource in WORKLOADS:
            complete_workload(resource, item)
        if resource == NAMESPACES:
            item["status"] = {"phase": "Active"}
        self._version += 1
        item["metadata"] |= {"resourceVersion": self.version, "generation": 1}
        self._objects[resource.plural, namespace, item["metadata"]["name"]] = item
        self._save()
        return item

    def _save(self) -> None:
        written = self.file.with_suffix(".new")
        written.write_text(json.dumps(list(self._objects.values())))
        written.replace(self.file)


def _check_kept(resource: Resource) -> None:
    if resource == PODS:
        message = "pods come and go with their Deployments and StatefulSets here"
        raise ApiError(HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
