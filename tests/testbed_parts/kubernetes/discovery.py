"""The discovery documents of the cluster's API. kubectl reads them to learn which resources exist."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tests.testbed_parts.kubernetes.objects import RESOURCES, ApiError

if TYPE_CHECKING:
    from tests.testbed_parts.kubernetes.objects import Object, Resource

_APPS = {"groupVersion": "apps/v1", "version": "v1"}
_OPENAPI = {"paths": {f"{path}": {"serverRelativeURL": f"/openapi/v3/{path}"} for path in ("api/v1", "apis/apps/v1")}}
_VERBS = ("create", "delete", "get", "list")


def document(path: tuple[str, ...]) -> Object:
    """Return the document of that path. Raise ApiError (NotFound) if there is none."""
    match path:
        case ("api",):
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        case ("apis",):
            group = {"name": "apps", "versions": [_APPS], "preferredVersion": _APPS}
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group]}
        case ("api", "v1"):
            return _resources("")
        case ("apis", "apps", "v1"):
            return _resources("apps")
        case ("openapi", "v3"):
            return _OPENAPI
        case ("openapi", "v3", "api", "v1"):
            return _openapi("")
        case ("openapi", "v3", "apis", "apps", "v1"):
            return _openapi("apps")
    raise ApiError(HTTPStatus.NOT_FOUND, "NotFound", "the server could not find the requested resource")


def _resources(group: str) -> Object:
    version = f"{group}/v1" if group else "v1"
    listed = [_resource(resource) for resource in RESOURCES if resource.group == group]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": listed}


def _resource(resource: Resource) -> Object:
    return {
        "name": resource.plural,
        "singularName": resource.kind.lower(),
        "namespaced": True,
        "kind": resource.kind,
        "verbs": list(_VERBS),
    }


def _openapi(group: str) -> Object:
    """Return the smallest schema with which kubectl lets the cluster check the fields of an object."""
    of_group = [resource for resource in RESOURCES if resource.group == group]
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.32.0"},
        "paths": {f"/{resource.plural}": {"patch": _patch(resource)} for resource in of_group},
    }


def _patch(resource: Resource) -> Any:
    kind = {"group": resource.group, "version": "v1", "kind": resource.kind}
    parameter = {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}
    done = {"200": {"description": "OK"}}
    return {"parameters": [parameter], "responses": done, "x-kubernetes-group-version-kind": kind}
