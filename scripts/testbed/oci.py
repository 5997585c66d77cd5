"""Images made from files without an engine. The same files always give the same digest."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed.registry_client import RegistryClient

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """The files, symbolic links (path to target) and empty folders of an image. Paths have no leading slash."""

    files: Mapping[str, bytes]
    links: Mapping[str, str] = field(default_factory=dict)
    folders: Sequence[str] = ()

    def write_tar(self, file: IO[bytes]) -> None:
        """Write a tar archive of the tree. Every file is executable and has a date in 1970."""
        with tarfile.open(fileobj=file, mode="w") as tar:
            for path in self.folders:
                tar.addfile(_entry(path, kind=tarfile.DIRTYPE))
            for path, data in sorted(self.files.items()):
                tar.addfile(_entry(path, size=len(data)), io.BytesIO(data))
            for path, target in sorted(self.links.items()):
                tar.addfile(_entry(path, kind=tarfile.SYMTYPE, target=target))


@dataclass(frozen=True, kw_only=True, slots=True)
class Blob:
    """The content of a blob with its media type and its digest."""

    media_type: str
    data: bytes
    digest: str

    @classmethod
    def of(cls, media_type: str, data: bytes) -> Blob:
        """Return the blob of these bytes."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        return cls(media_type=media_type, data=data, digest=digest)

    @classmethod
    def document(cls, media_type: str, **content: object) -> Blob:
        """Return a manifest or an index."""
        document = {"schemaVersion": 2, "mediaType": media_type, **content}
        return cls.of(media_type, json.dumps(document).encode())

    def descriptor(self, **more: object) -> dict[str, object]:
        """Return the descriptor of the blob, for a manifest or an index."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data), **more}


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """An image of one layer for one platform."""

    platform: str
    layer: Blob
    config: Blob
    manifest: Blob


def build_image(platform: str, tree: Tree, run: Mapping[str, Any], *, compress: bool) -> Image:
    """Return an image of the tree. `run` is the part of the OCI configuration that describes its command."""
    archive = io.BytesIO()
    tree.write_tar(archive)
    plain = Blob.of(_LAYER, archive.getvalue())
    layer = Blob.of(f"{_LAYER}+gzip", gzip.compress(plain.data, mtime=0)) if compress else plain
    system, architecture, *_ = platform.split("/")
    content = {
        "architecture": architecture,
        "os": system,
        "config": run,
        "rootfs": {"type": "layers", "diff_ids": [plain.digest]},
        "history": [{"created_by": "mpbake testbed"}],
    }
    config = Blob.of(_CONFIG, json.dumps(content).encode())
    manifest = Blob.document(MANIFEST, config=config.descriptor(), layers=[layer.descriptor()])
    return Image(platform=platform, layer=layer, config=config, manifest=manifest)


def push_index(registry: RegistryClient, repository: str, tag: str, images: Sequence[Image]) -> None:
    """Upload the images, and an index of them under the tag."""
    for image in images:
        _push(registry, repository, image, image.manifest.digest)
    entries = [image.manifest.descriptor(platform=_platform(image.platform)) for image in images]
    registry.put_manifest(repository, tag, INDEX, Blob.document(INDEX, manifests=entries).data)


def push_image(registry: RegistryClient, repository: str, tag: str, image: Image) -> None:
    """Upload one image under the tag."""
    _push(registry, repository, image, tag)


def _push(registry: RegistryClient, repository: str, image: Image, name: str) -> None:
    for blob in (image.layer, image.config):
        registry.put_blob(repository, blob.data)
    registry.put_manifest(repository, name, MANIFEST, image.manifest.data)


def _entry(path: str, *, kind: bytes = tarfile.REGTYPE, size: int = 0, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    entry.type, entry.size, entry.linkname, entry.mode = kind, size, target, 0o755
    return entry


def _platform(name: str) -> dict[str, str]:
    return dict(zip(("os", "architecture", "variant"), name.split("/"), strict=False))
