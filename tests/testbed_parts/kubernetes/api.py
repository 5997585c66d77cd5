"""The API of a simulated Kubernetes cluster. The `buildctl` in its pods leads to an engine's BuildKit.

Run it as `python -m tests.testbed_parts.kubernetes.api SETTINGS.json`. `cluster.py` writes the settings.
"""

from __future__ import annotations

import asyncio
import copy
import json
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tests.testbed_parts.kubernetes import discovery, protobuf
from tests.testbed_parts.kubernetes.exec import Exec
from tests.testbed_parts.kubernetes.http import answer, read_request
from tests.testbed_parts.kubernetes.objects import NAMESPACES, PODS, RESOURCES, ApiError, bad_request, selected
from tests.testbed_parts.kubernetes.programs import Programs
from tests.testbed_parts.kubernetes.settings import ClusterSettings
from tests.testbed_parts.kubernetes.store import Store
from tests.testbed_parts.kubernetes.watch import Watch

if TYPE_CHECKING:
    from tests.testbed_parts.kubernetes.http import Request
    from tests.testbed_parts.kubernetes.objects import Object, Resource

_LIMIT = 1 << 20  # the largest head of a request, and the most bytes that are read ahead
_WATCH_SECONDS = 1800


class Takeover(Protocol):
    """The answer to a request that takes over the connection of the request."""

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send the answer, and handle the connection until it ends."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """The resource in a path: all objects of a kind, one object, or a part of an object."""

    resource: Resource
    namespace: str
    name: str = ""
    part: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Api:
    """The API server. It handles each connection in a task of its own."""

    store: Store
    programs: Programs

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until the client ends it, or until a takeover of the connection has ended."""
        try:
            with suppress(OSError, ValueError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while (request := await read_request(reader)) is not None:
                    reply = self._reply(request)
                    if not isinstance(reply, bytes):
                        await reply.run(reader, writer)
                        return
                    writer.write(reply)
                    await writer.drain()
        finally:
            writer.close()

    def _reply(self, request: Request) -> bytes | Takeover:
        try:
            target = _target(request.path)
            if target is None:
                return answer(HTTPStatus.OK, discovery.document(request.path))
            if (target.resource, target.part) == (PODS, "exec"):
                pod = self.store.get(PODS, target.namespace, target.name)
                return Exec.of(request, pod, self.programs, lives=partial(self._lives, pod))
            if target.part or request.asks("dryRun"):
                raise _unknown(request)
            if request.method == "GET" and request.asks("watch") in {"1", "true"}:
                return self._watch(request, target)
            code, value = self._ask(request, target)
            return answer(code, value)
        except ApiError as error:
            return answer(error.code, error.status())

    def _ask(self, request: Request, target: Target) -> tuple[int, Object]:
        where = (target.resource, target.namespace)
        match request.method:
            case "GET" if target.name:
                return HTTPStatus.OK, self.store.get(*where, target.name)
            case "GET":
                return HTTPStatus.OK, self._list(request, target)
            case "POST" if not target.name and bool(target.namespace) == target.resource.namespaced:
                return HTTPStatus.CREATED, self.store.create(*where, _object(request))
            case "PUT" if target.name:
                return HTTPStatus.OK, self.store.replace(*where, target.name, _object(request))
            case "PATCH" if target.name:
                return HTTPStatus.OK, self._patch(request, target)
            case "DELETE" if target.name:
                return HTTPStatus.OK, _deleted(target.resource, self.store.delete(*where, target.name))
        raise _unknown(request)

    def _lives(self, pod: Object) -> bool:
        pods = self.store.list(PODS, pod["metadata"]["namespace"])
        return pod["metadata"]["uid"] in [other["metadata"]["uid"] for other in pods]

    def _list(self, request: Request, target: Target) -> Object:
        return {
            "kind": f"{target.resource.kind}List",
            "apiVersion": target.resource.api_version,
            "metadata": {"resourceVersion": self.store.version},
            "items": self._find(request, target),
        }

    def _watch(self, request: Request, target: Target) -> Watch:
        return Watch(
            find=lambda: self._find(request, target),
            since=int(request.asks("resourceVersion") or 0),
            seconds=float(request.asks("timeoutSeconds") or _WATCH_SECONDS),
        )

    def _find(self, request: Request, target: Target) -> list[Object]:
        labels, fields = request.asks("labelSelector"), request.asks("fieldSelector")
        items = self.store.list(target.resource, target.namespace)
        return [item for item in items if selected(item, labels, fields)]

    def _patch(self, request: Request, target: Target) -> Object:
        if request.headers.get("content-type") != "application/merge-patch+json":
            message = "only patches of the type application/merge-patch+json are known here"
            raise ApiError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
        before = copy.deepcopy(self.store.get(target.resource, target.namespace, target.name))
        return self.store.replace(target.resource, target.namespace, target.name, _merged(before, _object(request)))


def _target(path: tuple[str, ...]) -> Target | None:
    """Return the resource in the path. Return None if the path belongs to the API itself, or to nothing."""
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
    if request.headers.get("content-type") == protobuf.MEDIA_TYPE:
        return protobuf.decode(request.body)
    try:
        value = json.loads(request.body)
    except ValueError as error:
        raise bad_request(f"the body of the request is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise bad_request("the body of the request is not an object")
    return value


def _deleted(resource: Resource, item: Object) -> Object:
    details = {"name": item["metadata"]["name"], "kind": resource.plural, "uid": item["metadata"]["uid"]}
    group = {"group": resource.group} if resource.group else {}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details | group}


def _merged(before: Any, patch: Any) -> Any:
    """Return the value changed by a merge patch (RFC 7386)."""
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
    server.close()  # the tasks of open connections are cancelled when the loop ends


if __name__ == "__main__":
    asyncio.run(_main(ClusterSettings.load(json.loads(Path(sys.argv[1]).read_text()))))
