"""A stand-in for a Kubernetes cluster: its API, with pods whose `buildctl` leads to the BuildKit of an engine.

Run as `python -m testbed.cluster_api SETTINGS.json`; `cluster.py` writes the settings.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed import cluster_discovery, cluster_protobuf
from testbed.cluster_exec import Exec, upgrade
from testbed.cluster_http import answer, read_request
from testbed.cluster_objects import NAMESPACES, PODS, RESOURCES, ApiError, bad_request, selected
from testbed.cluster_programs import Programs
from testbed.cluster_settings import ClusterSettings
from testbed.cluster_store import Store

if TYPE_CHECKING:
    from testbed.cluster_http import Request
    from testbed.cluster_objects import Object, Resource

_LIMIT = 1 << 20  # of a request's head, and of what is read ahead


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What a path names: all objects of a kind, one of them, or a part of that one."""

    resource: Resource
    namespace: str
    name: str = ""
    part: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Api:
    """Answers requests, each connection in a task of its own."""

    store: Store
    programs: Programs

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until the client ends it or a command in a pod has taken it over and ended."""
        try:
            with suppress(OSError, ValueError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while (request := await read_request(reader)) is not None:
                    if (command := self._answer(request, writer)) is not None:
                        await command.run(reader, writer)
                        return
                    await writer.drain()
        finally:
            writer.close()

    def _answer(self, request: Request, writer: asyncio.StreamWriter) -> Exec | None:
        """Write the answer; the command to run, if it is one to which the connection is handed over."""
        try:
            target = _target(request.path)
            if target is not None and (target.resource, target.part) == (PODS, "exec"):
                pod = self.store.get(PODS, target.namespace, target.name)
                command = Exec.of(request, pod, self.programs)
                writer.write(upgrade())
                return command
            code, value = self._ask(request, target)
        except ApiError as error:
            code, value = error.code, error.status()
        writer.write(answer(code, value))
        return None

    def _ask(self, request: Request, target: Target | None) -> tuple[int, Any]:
        if target is None:
            return HTTPStatus.OK, cluster_discovery.document(request.path)
        if target.part:
            raise _unknown(request)
        match request.method:
            case "GET":
                return HTTPStatus.OK, self._read(request, target)
            case "POST" if not target.name and bool(target.namespace) == target.resource.namespaced:
                return HTTPStatus.CREATED, self.store.create(target.resource, target.namespace, _object(request))
            case "PUT" if target.name:
                item = _object(request)
                return HTTPStatus.OK, self.store.replace(target.resource, target.namespace, target.name, item)
            case "PATCH" if target.name:
                return HTTPStatus.OK, self._patch(request, target)
            case "DELETE" if target.name:
                return HTTPStatus.OK, _deleted(
                    target.resource, self.store.delete(target.resource, target.namespace, target.name)
                )
        raise _unknown(request)

    def _read(self, request: Request, target: Target) -> Object:
        if request.asks("watch") in {"1", "true"}:
            raise _unknown(request)
        if target.name:
            return self.store.get(target.resource, target.namespace, target.name)
        labels, fields = request.asks("labelSelector"), request.asks("fieldSelector")
        found = self.store.list(target.resource, target.namespace)
        return {
            "kind": f"{target.resource.kind}List",
            "apiVersion": target.resource.api_version,
            "metadata": {"resourceVersion": self.store.version},
            "items": [item for item in found if selected(item, labels, fields)],
        }

    def _patch(self, request: Request, target: Target) -> Object:
        if request.headers.get("content-type") != "application/merge-patch+json":
            message = "only patches of the type application/merge-patch+json are known here"
            raise ApiError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
        before = self.store.get(target.resource, target.namespace, target.name)
        return self.store.replace(target.resource, target.namespace, target.name, _merged(before, _object(request)))


def _target(path: tuple[str, ...]) -> Target | None:
    """What the path names; None for one about the API itself, or about nothing."""
    match path:
        case ("api", "v1", *rest):
            group = ""
        case ("apis", group, "v1", *rest):
            pass
        case _:
            return None
    resources = {resource.plural: resource for resource in RESOURCES if resource.group == group}
    match rest:
        case ["namespaces", namespace, plural, *names] if plural in resources and len(names) <= 2:
            name, part = (*names, "", "")[:2]
            return Target(resource=resources[plural], namespace=namespace, name=name, part=part)
        case ["namespaces", name] if not group:
            return Target(resource=NAMESPACES, namespace="", name=name)
        case [plural] if plural in resources:
            return Target(resource=resources[plural], namespace="")
    return None


def _object(request: Request) -> Object:
    if request.headers.get("content-type") == cluster_protobuf.MEDIA_TYPE:
        return cluster_protobuf.decode(request.body)
    try:
        value = json.loads(request.body)
    except ValueError as error:
        raise bad_request(f"the body of the request is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise bad_request("the body of the request is no object")
    return value


def _deleted(resource: Resource, item: Object) -> Object:
    details = {"name": item["metadata"]["name"], "kind": resource.plural, "uid": item["metadata"]["uid"]}
    group = {"group": resource.group} if resource.group else {}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details | group}


def _merged(before: Any, patch: Any) -> Any:
    """The value changed by a merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    old = before if isinstance(before, dict) else {}
    changed = {name: _merged(old.get(name), value) for name, value in patch.items() if value is not None}
    return {name: value for name, value in old.items() if name not in patch} | changed


def _unknown(request: Request) -> ApiError:
    message = f"{request.method} /{'/'.join(request.path)} is nothing that this stand-in for a cluster does"
    return ApiError(HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", message)


async def _main(settings: ClusterSettings) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    api = Api(store=Store.load(Path(settings.state)), programs=Programs.of(settings))
    server = await asyncio.start_server(api.serve, "127.0.0.1", settings.port, limit=_LIMIT, backlog=200)
    await ended.wait()
    server.close()  # the end of the loop cancels the connections


if __name__ == "__main__":
    asyncio.run(_main(ClusterSettings.load(json.loads(Path(sys.argv[1]).read_text()))))
