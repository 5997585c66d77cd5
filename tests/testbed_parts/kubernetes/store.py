"""The objects of a cluster, stored in a file, so that they stay when the cluster stops."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from tests.testbed_parts.kubernetes.objects import (
    NAMESPACE,
    PODS,
    RESOURCES,
    WORKLOADS,
    ApiError,
    not_found,
    pods_of,
    with_status,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.testbed_parts.kubernetes.objects import Object, Resource


@dataclass(frozen=True, kw_only=True, slots=True)
class Store:
    """The objects by resource and name. Pods are not stored: they follow from their Deployment or StatefulSet."""

    file: Path
    _objects: dict[tuple[str, str], Object] = field(default_factory=dict)

    @classmethod
    def load(cls, file: Path) -> Store:
        """Return the contents of the file. Without a file, return a cluster without objects."""
        store = cls(file=file)
        plurals = {resource.kind: resource.plural for resource in RESOURCES}
        for item in json.loads(file.read_text()) if file.exists() else ():
            store._objects[plurals[item["kind"]], item["metadata"]["name"]] = item
        return store

    def list(self, resource: Resource) -> list[Object]:
        """Return all objects of the kind as they are now, sorted by name."""
        if resource == PODS:
            return [pod for kind in WORKLOADS for workload in self.list(kind) for pod in pods_of(workload)]
        items = [item for (plural, _), item in sorted(self._objects.items()) if plural == resource.plural]
        return [with_status(item) if resource in WORKLOADS else item for item in items]

    def get(self, resource: Resource, name: str) -> Object:
        """Return one object. Raise ApiError (NotFound) if it does not exist."""
        for item in self.list(resource):
            if item["metadata"]["name"] == name:
                return item
        raise not_found(resource, name)

    def create(self, resource: Resource, item: Object) -> Object:
        """Add an object. Raise ApiError (AlreadyExists) if its name is taken."""
        key = (resource.plural, item["metadata"]["name"])
        if key in self._objects:
            message = f'{resource.qualified} "{key[1]}" already exists'
            raise ApiError(HTTPStatus.CONFLICT, "AlreadyExists", message)
        now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        item["metadata"] |= {"namespace": NAMESPACE, "uid": str(uuid.uuid4()), "creationTimestamp": now}
        self._objects[key] = item | {"apiVersion": resource.api_version, "kind": resource.kind}
        self._save()
        return self.get(resource, key[1])

    def delete(self, resource: Resource, name: str) -> Object:
        """Remove an object and return it. Raise ApiError (NotFound) if it does not exist."""
        item = self.get(resource, name)
        del self._objects[resource.plural, name]
        self._save()
        return item

    def _save(self) -> None:
        written = self.file.with_suffix(".new")
        written.write_text(json.dumps(list(self._objects.values())))
        written.replace(self.file)
