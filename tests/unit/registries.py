"""Registries that only pretend: one in memory that speaks the protocol, and images as read back from one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from mpbake.buildkit.registry.authorization import Authorization
from mpbake.buildkit.registry.client import INDEX, MANIFEST, Client, Manifest
from mpbake.buildkit.registry.credentials import Credentials
from mpbake.buildkit.registry.hosts import Hosts
from mpbake.buildkit.registry.manifests import image_entries, parse_served
from mpbake.buildkit.registry.registries import Registries
from mpbake.buildkit.registry.transport import Response, Transport
from mpbake.buildkit.registry.verification import Verification
from tests.unit.dockers import FakeDocker, failed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mpbake.buildkit.registry.hosts import HostTls
    from mpbake.buildkit.registry.transport import Request
    from mpbake.model.expected_images import Served
    from mpbake.model.plan import Builder


class MemoryRegistry(Transport):
    """All registries there are, in memory. `answer` may answer a request in their place, or raise.

    `asked` are the requests so far: `PUT r/web:1`, without the host where that is Docker Hub.
    """

    def __init__(self, answer: Callable[[Request, int], Response | None] = lambda *_: None) -> None:
        super().__init__()
        self.answer = answer
        self.asked: list[str] = []
        self.requests: list[Request] = []
        self.manifests: dict[str, Manifest] = {}
        self.blobs: dict[str, bytes] = {}

    def send(self, request: Request, tls: HostTls, proxy: str, seconds: float) -> Response:
        """Answer as a registry does."""
        assert seconds > 0
        assert (tls.insecure, proxy) == (False, "")
        parts = urlsplit(request.url)
        host = "" if parts.netloc == "registry-1.docker.io" else f"{parts.netloc}/"
        path, _, name = parts.path.removeprefix("/v2/").rpartition("/")
        path, _, kind = path.rpartition("/")
        reference = f"{host}{path}{'@' if ':' in name else ':'}{name}"
        self.asked.append(f"{request.method} {reference}")
        self.requests.append(request)
        own = self.answer(request, len(self.asked))
        if own is not None:
            return own
        if kind == "uploads":
            return Response(status=202, headers={"location": f"{request.url}1"})
        if request.method == "PUT":
            return self._put(request, reference)
        if kind == "blobs":
            body = self.blobs.get(name)
            return not_found() if body is None else Response(status=200, headers={}, body=body)
        found = self.manifests.get(reference)
        if found is None:
            return not_found()
        headers = {"docker-content-digest": found.digest, "content-type": found.media_type}
        return Response(status=200, headers=headers, body=b"" if request.method == "HEAD" else found.content)

    def _put(self, request: Request, reference: str) -> Response:
        manifest = Manifest(content=request.body, media_type=request.headers["Content-Type"])
        self.manifests[reference] = manifest
        self.add(reference.partition("@")[0].rpartition(":")[0], manifest)
        return Response(status=201, headers={})

    def add(self, repository: str, manifest: Manifest, tag: str = "") -> str:
        """Have a repository hold a manifest, and a tag name it; its digest."""
        self.manifests[f"{repository}@{manifest.digest}"] = manifest
        if tag:
            self.manifests[f"{repository}:{tag}"] = manifest
        return manifest.digest

    def add_image(self, repository: str, architecture: str, **more: Any) -> Manifest:
        """Have a repository hold an image of one platform."""
        config = json.dumps({"architecture": architecture, "os": "linux", **more}).encode()
        digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
        self.blobs[digest] = config
        image = Manifest(
            content=json.dumps({"mediaType": MANIFEST, "config": {"digest": digest}, "layers": []}).encode(),
            media_type=MANIFEST,
        )
        self.add(repository, image)
        return image

    def add_index(self, repository: str, *architectures: str, tag: str = "", **more: Any) -> Manifest:
        """Have a repository hold an index of images."""
        entries = []
        for architecture in architectures:
            image = self.add_image(repository, architecture, **more)
            platform = {"architecture": architecture, "os": "linux"}
            entry = {"mediaType": MANIFEST, "digest": image.digest, "size": len(image.content), "platform": platform}
            entries.append(entry)
        content = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
        index = Manifest(content=content, media_type=INDEX)
        self.add(repository, index, tag)
        return index


def not_found() -> Response:
    return refusal(404, "MANIFEST_UNKNOWN", "manifest unknown")


def refusal(status: int, code: str = "DENIED", message: str = "told to fail", **headers: str) -> Response:
    """The answer of a registry that does not do what it is asked; of a header's name, - is written as _."""
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return Response(status=status, headers={name.replace("_", "-"): text for name, text in headers.items()}, body=body)


def client_of(registry: MemoryRegistry, pauses: list[float] | None = None) -> Client:
    """A client of somebody without any login, who does not wait; the waits are added to `pauses`."""
    credentials = Credentials({"HOME": "/nowhere"}, lambda *_: failed("no helper"))
    return Client(
        transport=registry,
        authorization=Authorization(registry, credentials),
        hosts=Hosts(environment={}),
        pause=([] if pauses is None else pauses).append,
    )


class MemoryRegistries(Registries):
    """Reaches the registries in memory for every builder."""

    def __init__(self, registry: MemoryRegistry) -> None:
        super().__init__(FakeDocker({}), {})
        self._memory = client_of(registry)

    def client(self, builder: Builder) -> Client:
        """The same for all."""
        del builder
        return self._memory


@dataclass(frozen=True, kw_only=True, slots=True)
class _Told:
    """What a tag names, with the digest that a test gives it."""

    digest: str
    data: Any


class FakeReading:
    """Reads what `answers` says of a tag, by its beginning: an index as `indexes` makes it, an error, or a function.

    What is read by digest is `said`. `asked` are the tags and references so far.
    """

    def __init__(self, answers: Mapping[str, Any], said: Any = None) -> None:
        self.answers = answers
        self.said = said
        self.asked: list[str] = []

    def manifest(self, tag: str) -> _Told:
        """What a tag names."""
        self.asked.append(tag)
        found = next(answer for start, answer in self.answers.items() if tag.startswith(start))
        found = found() if callable(found) else found
        if isinstance(found, Exception):
            raise found
        return _Told(digest=found["manifest"]["digest"], data=found)

    def served(self, tag: str, manifest: _Told) -> Served:
        """What it consists of."""
        del tag
        return served_of(manifest.data)

    def raw(self, reference: str) -> Any:
        """A manifest by digest."""
        self.asked.append(reference)
        return self.said


def verification_of(reading: FakeReading) -> Verification:
    """Compares what is read so."""
    return Verification(reader=cast("Any", reading))


def served_of(data: Any) -> Served:
    """What is served, from an index or an image as `indexes` makes it."""
    manifest, image = data["manifest"], data["image"]
    configs = {None: image} if image is None or "architecture" in image else image
    details = {}
    for number, entry in enumerate(image_entries(manifest) if "manifests" in manifest else [manifest]):
        config = list(configs.values())[number] if number < len(configs) else None
        details[entry["digest"]] = (data.get("own", {}), config)
    return parse_served(manifest["digest"], manifest, details)
