"""The index that joins pieces, byte for byte as buildx writes it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mpbake.base.platforms import parse_platforms
from mpbake.buildkit.registry.client import DOCKER_INDEX, INDEX, MANIFEST, Manifest
from mpbake.buildkit.registry.index import entries_of, go_json, joined_index
from tests.unit.plans import text

BOTH = parse_platforms(["linux/amd64", "linux/arm64"])


def entry(digest: str, architecture: str, **more: Any) -> dict[str, Any]:
    platform = {"os": "linux", "architecture": architecture}
    return {"platform": platform, "size": 5, "digest": digest, "mediaType": MANIFEST, **more}


def attestation(digest: str, of: str) -> dict[str, Any]:
    marks = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": of}
    return entry(digest, "unknown", annotations=marks)


def test_the_bytes_of_an_index() -> None:
    index = joined_index([entry("sha256:1", "amd64", annotations={"b": "<&>", "a": "ä"})], {"z": "1", "y": "2"}, BOTH)
    assert index.media_type == INDEX
    assert index.content.decode() == text("""
        {
          "schemaVersion": 2,
          "mediaType": "application/vnd.oci.image.index.v1+json",
          "manifests": [
            {
              "mediaType": "application/vnd.oci.image.manifest.v1+json",
              "digest": "sha256:1",
              "size": 5,
              "annotations": {
                "a": "ä",
                "b": "\\u003c\\u0026\\u003e"
              },
              "platform": {
                "architecture": "amd64",
                "os": "linux"
              }
            }
          ],
          "annotations": {
            "y": "2",
            "z": "1"
          }
        }
        """)


def test_images_come_first_in_the_order_of_the_plan_then_what_attests_of_each() -> None:
    entries = [
        entry("arm", "arm64"),
        attestation("about-arm", "arm"),
        entry("amd", "amd64"),
        attestation("about", "amd"),
    ]
    listed = json.loads(joined_index(entries, {}, BOTH).content)["manifests"]
    assert [entry["digest"] for entry in listed] == ["amd", "arm", "about", "about-arm"]


def test_what_is_listed_twice_stands_there_once() -> None:
    entries = [entry("1", "amd64", annotations={"a": "1", "b": "1"}), entry("1", "amd64", annotations={"b": "2"})]
    (merged,) = json.loads(joined_index(entries, {}, BOTH).content)["manifests"]
    assert merged["annotations"] == {"a": "1", "b": "2"}


def test_an_index_of_dockers_own_images_is_dockers_and_has_no_annotations() -> None:
    docker = "application/vnd.docker.distribution.manifest.v2+json"
    index = joined_index([entry("1", "amd64", mediaType=docker)], {"a": "b"}, BOTH)
    assert index.media_type == DOCKER_INDEX
    assert "annotations" not in json.loads(index.content)
    mixed = joined_index([entry("1", "amd64", mediaType=docker), entry("2", "arm64")], {"a": "b"}, BOTH)
    assert mixed.media_type == INDEX


def test_the_entries_of_an_image_without_an_index() -> None:
    image = Manifest(content=b"{}", media_type=MANIFEST)
    (entry,) = entries_of(image, {"os": "linux", "architecture": "arm", "variant": "v7"})
    assert entry["platform"] == {"os": "linux", "architecture": "arm", "variant": "v7"}
    assert (entry["digest"], entry["size"]) == (image.digest, 2)
    assert "platform" not in entries_of(image, None)[0]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"manifests": 1}', b'{"manifests": [1]}'])
def test_what_is_no_index_is_an_error_that_the_caller_knows(content: bytes) -> None:
    with pytest.raises((ValueError, LookupError, TypeError)):
        entries_of(Manifest(content=content, media_type=INDEX), None)


def test_json_as_go_writes_it() -> None:
    assert go_json({"a": "\u2028é\n"}) == '{\n  "a": "\\u2028é\\n"\n}'.encode()
