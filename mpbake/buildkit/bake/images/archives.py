"""Joins archives of OCI image layouts, one for each build piece of a target. Uses neither Docker nor networks."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from mpbake.base.errors import BuildFailed
from mpbake.base.files import whole_file
from mpbake.buildkit.bake.images.image_forms import form_of
from mpbake.buildkit.registry.client import INDEX, INDEXES
from mpbake.buildkit.registry.manifests import is_attestation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from mpbake.buildkit.bake.images.image_forms import ImageForm

_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


@dataclass(frozen=True, kw_only=True, slots=True)
class _Layout:
    """An archive of an OCI image layout, open for reading."""

    tar: tarfile.TarFile

    def read(self, name: str) -> bytes:
        file = self.tar.extractfile(name)
        if file is None:
            raise KeyError(name)
        return file.read()

    def top(self) -> dict[str, Any]:
        """Return the descriptor of the image or index in the archive."""
        descriptor: dict[str, Any] = json.loads(self.read("index.json"))["manifests"][0]
        return descriptor

    def entries(self) -> list[dict[str, Any]]:
        """Return the entries of the index in the archive; without an index, the only image."""
        top = self.top()
        if top["mediaType"] not in INDEXES:
            return [{key: value for key, value in top.items() if key != "annotations"}]
        entries: list[dict[str, Any]] = json.loads(self.read(_blob(top["digest"])))["manifests"]
        return entries


def form_in(part: Path) -> ImageForm:
    """Return the form of the images in an archive. Raises OSError, and BuildFailed if the archive is not a layout."""
    try:
        with tarfile.open(part) as tar:
            layout = _Layout(tar=tar)
            return form_of({"manifests": layout.entries()}, lambda digest: json.loads(layout.read(_blob(digest))))
    except (tarfile.TarError, LookupError, ValueError, TypeError) as error:
        raise BuildFailed(f"{part} cannot be read: {type(error).__name__}: {error}") from error


def join_archives(
    parts: Sequence[Path], dest: Path, annotations: Mapping[str, Mapping[str, str]], *, tar: bool = True
) -> str:
    """Write one layout with the images of all `parts` to `dest`, and return the digest of the index.

    `dest` is a tar archive, or a folder if `tar` is False. `annotations` holds the annotations of the index and of its
    descriptor, under `index` and `index-descriptor`. An archive is written whole or not at all. Raises OSError, and
    BuildFailed if a part is not a layout.
    """
    with ExitStack() as stack:
        try:
            layouts = [_Layout(tar=stack.enter_context(tarfile.open(part))) for part in parts]
            index = _index([entry for layout in layouts for entry in layout.entries()], annotations.get("index", {}))
            digest = f"sha256:{hashlib.sha256(index).hexdigest()}"
            own = {**layouts[0].top().get("annotations", {}), **annotations.get("index-descriptor", {})}
            descriptor = {"mediaType": INDEX, "digest": digest, "size": len(index)} | (
                {"annotations": own} if own else {}
            )
            files = {
                "oci-layout": _LAYOUT,
                "index.json": json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor]}).encode(),
                _blob(digest): index,
            }
            (_write_tar if tar else _write_folder)(dest, files, layouts)
        except (tarfile.TarError, KeyError, IndexError, ValueError, TypeError) as error:
            raise BuildFailed(f"{dest}: the pieces could not be joined: {type(error).__name__}: {error}") from error
    return digest


def _index(entries: Sequence[dict[str, Any]], annotations: Mapping[str, str]) -> bytes:
    """Return an index in BuildKit's order: images first, then the attestations of the images."""
    attestations = [entry for entry in entries if is_attestation(entry)]
    images = [entry for entry in entries if entry not in attestations]
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [*images, *attestations]}
    return json.dumps(index | ({"annotations": dict(annotations)} if annotations else {}), indent=2).encode()


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _blobs(layouts: Sequence[_Layout]) -> Iterator[tuple[str, tarfile.TarInfo, IO[bytes]]]:
    """Yield every blob once, without the indexes of the parts."""
    seen = {_blob(layout.top()["digest"]) for layout in layouts if layout.top()["mediaType"] in INDEXES}
    for layout in layouts:
        for member in layout.tar:
            data = layout.tar.extractfile(member) if member.isreg() else None
            if data is not None and member.name.startswith("blobs/") and member.name not in seen:
                seen.add(member.name)
                yield member.name, member, data


def _write_tar(dest: Path, files: Mapping[str, bytes], layouts: Sequence[_Layout]) -> None:
    dest.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(dest) as file, tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
        for _, member, data in _blobs(layouts):
            archive.addfile(member, data)
        os.fchmod(file.fileno(), 0o644)


def _write_folder(dest: Path, files: Mapping[str, bytes], layouts: Sequence[_Layout]) -> None:
    """Write a layout as a folder. Blobs come first, so that an index never names a missing blob."""
    for name, _, data in _blobs(layouts):
        path = _path_inside(dest, name)
        with path.open("wb") as file:
            while chunk := data.read(1 << 20):
                file.write(chunk)
    for name in reversed(list(files)):
        _path_inside(dest, name).write_bytes(files[name])


def _path_inside(folder: Path, name: str) -> Path:
    """Return the path below `folder` of a file in an archive. Raises ValueError if the name leads out of `folder`."""
    path = folder / name
    if ".." in path.relative_to(folder).parts:
        raise ValueError(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
