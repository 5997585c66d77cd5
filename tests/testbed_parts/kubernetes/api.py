"""The API of a simulated Kubernetes cluster. The `buildctl` in its pods leads to an engine's BuildKit.

Run it as `python -m tests.testbed_parts.kubernetes.api SETTINGS.json`. `cluster.py` writes the settings.
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
from typing import TYPE_CHECKING

from tests.testbed_parts.kubernetes import discovery, protobuf
from tests.testbed_parts.kubernetes.exec import Exec
from tests.testbed_parts.kubernetes.http import answer, read_request
from tests.testbed_parts.kubernetes.objects import NAMESPACE, PODS, RESOURCES, ApiError, selected
from tests.testbed_parts.kubernetes.programs import Programs
from tests.testbed_parts.kubernetes.settings import ClusterSettings
from tests.testbed_parts.kubernetes.store import Store

if TYPE_CHECKING:
    from tests.testbed_parts.kubernetes.http import Request
    from tests.testbed_parts.kubernetes.objects import Object, Resource

_LIMIT = 1 << 20  # the largest head of a request, and the most bytes that are read ahead


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """The resource in a path: all objects of a kind, one object, or a part of an object."""

    resource: Resource
    name: str = ""
    part: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Api:
    """The API server. It handles each connection in a task of its own."""

    store: Store
    programs: Programs

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until the client ends it, or until a command in a pod has ended."""
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

    def _reply(self, request: Request) -> bytes | Exec:
        try:
            target = _target(request.path)
            if target is None:
                return answer(HTTPStatus.OK, discovery.document(request.path))
            if (target.resource, target.part) == (PODS, "exec"):
                return Exec.of(request, self.store.get(PODS, target.name), self.programs)
            if target.part or request.asks("dryRun") or request.asks("watch") or request.asks("fieldSelector"):
                raise _unknown(request)
            code, value = self._ask(request, target)
            return answer(code, value)
        except ApiError as error:
            return answer(error.code, error.status())

    def _ask(self, request: Request, target: Target) -> tuple[int, Object]:
        match request.method:
            case "GET" if target.name:
                return HTTPStatus.OK, self.store.get(target.resource, target.name)
            case "GET":
                return HTTPStatus.OK, self._list(target.resource, request.asks("labelSelector"))
            case "POST" if not target.name and target.resource != PODS:
                return HTTPStatus.CREATED, self.store.create(target.resource, protobuf.decode(request.body))
            case "DELETE" if target.name and target.resource != PODS:
                return HTTPStatus.OK, _deleted(target.resource, self.store.delete(target.resource, target.name))
        raise _unknown(request)

    def _list(self, resource: Resource, labels: str) -> Object:
        items = [item for item in self.store.list(resource) if selected(item, labels)]
        return {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": {}, "items": items}


def _target(path: tuple[str, ...]) -> Target | None:
    """Return the resource in the path. Return None if the path belongs to the API itself, or to nothing."""
    match path:
        case ("api", "v1", "namespaces", namespace, plural, *names):
            group = ""
        case ("apis", group, "v1", "namespaces", namespace, plural, *names):
            pass
        case _:
            return None
    resources = {resource.plural: resource for resource in RESOURCES if resource.group == group}
    if namespace != NAMESPACE or plural not in resources or len(names) > 2:
        return None
    name, part = (*names, "", "")[:2]
    return Target(resource=resources[plural], name=name, part=part)


def _deleted(resource: Resource, item: Object) -> Object:
    details = {"name": item["metadata"]["name"], "kind": resource.plural, "uid": item["metadata"]["uid"]}
    group = {"group": resource.group} if resource.group else {}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details | group}


def _unknown(request: Request) -> ApiError:
    message = f"the simulated cluster does not support {request.method} /{'/'.join(request.path)}"
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
