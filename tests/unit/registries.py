"""Fake registries: registries in memory with the real protocol, and a reader with prepared answers."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from mpbake.buildkit.registry.authorization import Authorization
from mpbake.buildkit.registry.client import INDEX, MANIFEST, Manifest, RegistryClient
from mpbake.buildkit.registry.credentials import Credentials
from mpbake.buildkit.registry.hosts import Hosts
from mpbake.buildkit.registry.manifests import image_entries, parse_served
from mpbake.buildkit.registry.registries import Registries
from mpbake.buildkit.registry.transport import NoResponse, Response, Transport
from mpbake.buildkit.registry.verification import Verification
from tests.unit.dockers import FakeDocker, failed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mpbake.buildkit.registry.hosts import HostTls
    from mpbake.buildkit.registry.transport import Request
    from mpbake.model.expected_images import Served
    from mpbake.model.plan import Builder


class MemoryRegistry(Transport):
    """All registries, in memory. The function `answer` may return an answer to a request, or raise.

    `asked` lists the requests so far as METHOD REFERENCE, such as `PUT r/web:1`. References omit the host of Docker
    Hub.
    """

    def __init__(self, answer: Callable[[Request, int], Response | None] = lambda *_: None) -> None:
        super().__init__()
        self.answer = answer
        self.asked: list[str] = []
        self.requests: list[Request] = []
        self.manifests: dict[str, Manifest] = {}
        self.blobs: dict[str, bytes] = {}

    def send(self, request: Request, tls: HostTls, proxy: str, seconds: float) -> Response:
        """Answer like a registry."""
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
        manifest = self.manifests.get(reference)
        if manifest is None:
            return not_found()
        headers = {"docker-content-digest": manifest.digest, "content-type": manifest.media_type}
        return Response(status=200, headers=headers, body=b"" if request.method == "HEAD" else manifest.content)

    def _put(self, request: Request, reference: str) -> Response:
        manifest = Manifest(content=request.body, media_type=request.headers["Content-Type"])
        self.manifests[reference] = manifest
        self.add(reference.partition("@")[0].rpartition(":")[0], manifest)
        return Response(status=201, headers={})

    def add(self, repository: str, manifest: Manifest, tag: str = "") -> str:
        """Add a manifest and a tag for it to a repository. Return its digest."""
        self.manifests[f"{repository}@{manifest.digest}"] = manifest
        if tag:
            self.manifests[f"{repository}:{tag}"] = manifest
        return manifest.digest

    def add_image(self, repository: str, architecture: str, **more: Any) -> Manifest:
        """Add an image for one platform to a repository."""
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
        """Add an index of images to a repository."""
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
    """Return the error response of a registry. In the names of headers, `_` stands for `-`."""
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return Response(status=status, headers={name.replace("_", "-"): text for name, text in headers.items()}, body=body)


def fails(*answers: Response | NoResponse | None) -> Callable[[Request, int], Response | None]:
    """Return a function that answers the first requests with `answers`. None means a normal response."""
    left = list(answers)

    def answer(_: Request, __: int) -> Response | None:
        end = left.pop(0) if left else None
        if isinstance(end, NoResponse):
            raise end
        return end

    return answer


def client_of(registry: MemoryRegistry, pauses: list[float] | None = None) -> RegistryClient:
    """Return a client without logins. It does not wait, but appends each wait to `pauses`."""
    credentials = Credentials({"HOME": "/nowhere"}, lambda *_: failed("no helper"))
    return RegistryClient(
        transport=registry,
        authorization=Authorization(registry, credentials),
        hosts=Hosts(environment={}),
        pause=([] if pauses is None else pauses).append,
    )


class MemoryRegistries(Registries):
    """A fake whose clients reach the registries in memory, for every builder."""

    def __init__(self, registry: MemoryRegistry) -> None:
        super().__init__(FakeDocker({}), {})
        self._memory = client_of(registry)

    def client(self, builder: Builder) -> RegistryClient:
        """Return the same client for all builders."""
        del builder
        return self._memory


@dataclass(frozen=True, kw_only=True, slots=True)
class _FakeManifest:
    """The manifest that a tag names, with a digest that the test sets."""

    digest: str
    data: Any


class FakeReading:
    """A fake reader of images. `answers` maps the start of a tag to an index from `indexes`, an error, or a function.

    A read by digest returns `by_digest`. `asked` lists the tags and references that were read.
    """

    def __init__(self, answers: Mapping[str, Any], by_digest: Any = None) -> None:
        self.answers = answers
        self.by_digest = by_digest
        self.asked: list[str] = []

    def manifest(self, tag: str) -> _FakeManifest:
        """Return the answer for a tag."""
        self.asked.append(tag)
        answer = next(answer for start, answer in self.answers.items() if tag.startswith(start))
        answer = answer() if callable(answer) else answer
        if isinstance(answer, Exception):
            raise answer
        return _FakeManifest(digest=answer["manifest"]["digest"], data=answer)

    def served(self, tag: str, manifest: _FakeManifest) -> Served:
        """Return the images of a manifest."""
        del tag
        return served_of(manifest.data)

    def raw(self, reference: str) -> Any:
        """Return the prepared answer for a digest."""
        self.asked.append(reference)
        return self.by_digest


def verification_of(reading: FakeReading) -> Verification:
    """Return a verification with a fake reader."""
    return Verification(reader=cast("Any", reading))


def served_of(data: Any) -> Served:
    """Return the served images of an index or image from `indexes`."""
    manifest, image = data["manifest"], data["image"]
    configs = {None: image} if image is None or "architecture" in image else image
    details = {}
    for number, entry in enumerate(image_entries(manifest) if "manifests" in manifest else [manifest]):
        config = list(configs.values())[number] if number < len(configs) else None
        details[entry["digest"]] = (data.get("own", {}), config)
    return parse_served(manifest["digest"], manifest, details)
