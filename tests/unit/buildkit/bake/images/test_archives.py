"""Joining archives of OCI layouts."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.errors import BuildFailed
from mpbake.buildkit.bake.images.archives import join_archives
from mpbake.buildkit.registry.client import INDEX

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
NONE: Mapping[str, Mapping[str, str]] = {}


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def entry(content: bytes, **more: Any) -> dict[str, Any]:
    return {"mediaType": MANIFEST, "digest": digest_of(content), "size": len(content), **more}


def archive(path: Path, files: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def part(folder: Path, machine: str) -> Path:
    """Return the archive of a node that has built one platform: an image, its attestation, and a shared layer."""
    image, attestation = f"image {machine}".encode(), f"attestation {machine}".encode()
    of = {"vnd.docker.reference.digest": digest_of(image), "vnd.docker.reference.type": "attestation-manifest"}
    entries = [
        entry(image, platform={"os": "linux", "architecture": machine}),
        entry(attestation, platform={"os": "unknown", "architecture": "unknown"}, annotations=of),
    ]
    index = json.dumps({"manifests": entries}).encode()
    top = entry(index, annotations={"org.opencontainers.image.ref.name": "1"}) | {"mediaType": INDEX}
    files = {f"blobs/{digest_of(blob).replace(':', '/')}": blob for blob in (image, attestation, index, b"layer")}
    return archive(
        folder / f"{machine}.tar",
        {"oci-layout": b"{}", "index.json": json.dumps({"manifests": [top]}).encode(), **files},
    )


def contents(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        assert len(tar.getnames()) == len(set(tar.getnames()))
        return {member.name: (tar.extractfile(member) or io.BytesIO()).read() for member in tar}


def test_several_become_one(tmp_path: Path) -> None:
    dest = tmp_path / "new/web.tar"
    parts = [part(tmp_path, machine) for machine in ("amd64", "arm64")]
    digest = join_archives(parts, dest, {"index": {"a": "b"}, "index-descriptor": {"c": "d"}})

    files = contents(dest)
    (top,) = json.loads(files["index.json"])["manifests"]
    assert (top["digest"], top["mediaType"]) == (digest, INDEX)
    assert top["annotations"] == {"org.opencontainers.image.ref.name": "1", "c": "d"}
    blobs = {name.removeprefix("blobs/").replace("/", ":"): blob for name, blob in files.items() if "blobs" in name}
    assert all(digest_of(content) == name for name, content in blobs.items())
    assert top["size"] == len(blobs[digest])
    index = json.loads(blobs[digest])
    assert [entry["platform"]["architecture"] for entry in index["manifests"]] == [
        "amd64",
        "arm64",
        "unknown",
        "unknown",
    ]
    assert index["annotations"] == {"a": "b"}
    assert set(blobs) == {digest, digest_of(b"layer"), *(entry["digest"] for entry in index["manifests"])}
    assert [path.name for path in dest.parent.iterdir()] == ["web.tar"]


def test_a_folder_holds_the_same(tmp_path: Path) -> None:
    parts = [part(tmp_path, machine) for machine in ("amd64", "arm64")]
    assert join_archives(parts, tmp_path / "web.tar", NONE) == join_archives(parts, tmp_path / "web", NONE, tar=False)
    folder = tmp_path / "web"
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert files == contents(tmp_path / "web.tar")


def test_a_plain_image_is_an_entry(tmp_path: Path) -> None:
    image = b"image"
    top = entry(image, platform={"os": "linux"}, annotations={"name": "x"})
    plain = archive(
        tmp_path / "a.tar",
        {
            "index.json": json.dumps({"manifests": [top]}).encode(),
            f"blobs/{digest_of(image).replace(':', '/')}": image,
        },
    )
    digest = join_archives([plain], tmp_path / "b.tar", NONE)
    index = json.loads(contents(tmp_path / "b.tar")[f"blobs/{digest.replace(':', '/')}"])
    assert index["manifests"] == [entry(image, platform={"os": "linux"})]


@pytest.mark.parametrize(
    "files", [{}, {"index.json": b"x"}, {"index.json": b"{}"}, {"index.json": b'{"manifests": []}'}]
)
def test_what_is_no_layout(files: dict[str, bytes], tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match=r"b.tar: the pieces could not be joined: "):
        join_archives([archive(tmp_path / "a.tar", files)], tmp_path / "b.tar", NONE)
    assert not (tmp_path / "b.tar").exists()


def test_nothing_is_written_outside(tmp_path: Path) -> None:
    image = b"image"
    evil = archive(
        tmp_path / "a.tar",
        {"index.json": json.dumps({"manifests": [entry(image)]}).encode(), "blobs/../../evil": image},
    )
    with pytest.raises(BuildFailed):
        join_archives([evil], tmp_path / "web/layout", NONE, tar=False)
    assert not (tmp_path / "web/evil").exists()
