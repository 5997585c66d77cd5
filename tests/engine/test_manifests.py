"""An image that two nodes have built equals the image of one node: byte for byte, except its attestations."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.engine import oci_schemas
from tests.engine.test_values import _two_nodes

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.testbed import Testbed

    from tests.engine.conftest import RunMpbake

STATEMENT = "vnd.docker.reference.digest"


def plan_of(testbed: Testbed, builder: str, repository: str, generator: str) -> str:
    """Return a plan with a reproducible target that has attestations, and annotations at every level."""
    certs = testbed.certificates
    return f"""
version = 1
[targets.web]
builder = "{builder}"
dockerfile-inline = '''
FROM {testbed.env()["BASE_IMAGE"]}
RUN uname -m > /machine
'''
args = {{ SOURCE_DATE_EPOCH = "1700000000" }}
platforms = ["linux/amd64", "linux/arm64"]
tags = ["{repository}:{builder}"]
output = ["type=registry,rewrite-timestamp=true"]
labels = {{ a = "b" }}
annotations = [
    "index:of.the=index",
    "index-descriptor:of.the=reference",
    "manifest:of.every=manifest",
    "manifest[linux/arm64]:of.one=manifest",
    "manifest-descriptor[linux/amd64]:of.one=descriptor",
]
attest = ["type=provenance,mode=min", "type=sbom,generator={generator}"]
[builders.one]
driver = "remote"
[builders.one.nodes.all]
endpoint = "{testbed.node("linux-amd64").endpoint}"
tls = {{ ca = "{certs}/ca.crt", cert = "{certs}/client.crt", key = "{certs}/client.key" }}
[targets.generator]
builder = "one"
dockerfile-inline = '''
FROM {testbed.env()["BASE_IMAGE"]}
COPY <<'SCRIPT' /scan
#!/bin/sh
cat > "$BUILDKIT_SCAN_DESTINATION/sbom.spdx.json" <<EOF
{{"_type": "https://in-toto.io/Statement/v0.1", "predicateType": "https://spdx.dev/Document", "predicate": {{}}}}
EOF
SCRIPT
RUN chmod 755 /scan
CMD ["/scan"]
'''
platforms = ["linux/amd64", "linux/arm64"]
tags = ["{generator}"]
push = true
""" + _two_nodes(testbed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """An image of an index with its descriptor, manifest, config and attestations, as the registry serves them."""

    descriptor: dict[str, Any]
    manifest: dict[str, Any]
    config: dict[str, Any]
    statements: tuple[dict[str, Any], ...]


def served(testbed: Testbed, reference: str) -> tuple[dict[str, Any], dict[str, Image]]:
    """Return the index under a tag, and its images by platform. Assert that all of them are complete and valid."""
    client = testbed.registry.client
    repository = reference.partition("/")[2].rpartition(":")[0]
    index = json.loads(client.manifest(reference)[1])
    assert oci_schemas.problems(oci_schemas.INDEX, index) == []

    def read(descriptor: dict[str, Any]) -> dict[str, Any]:
        digest, content = client.manifest(f"{repository}@{descriptor['digest']}")
        assert (digest, len(content)) == (descriptor["digest"], descriptor["size"])
        manifest: dict[str, Any] = json.loads(content)
        assert oci_schemas.problems(oci_schemas.MANIFEST, manifest) == []
        for blob in (manifest["config"], *manifest["layers"]):
            data = client.blob(repository, blob["digest"])
            assert (f"sha256:{hashlib.sha256(data).hexdigest()}", len(data)) == (blob["digest"], blob["size"])
        return manifest

    def config(manifest: dict[str, Any]) -> dict[str, Any]:
        image_config: dict[str, Any] = json.loads(client.blob(repository, manifest["config"]["digest"]))
        assert oci_schemas.problems(oci_schemas.CONFIG, image_config) == []
        return image_config

    statements = [item for item in index["manifests"] if STATEMENT in item.get("annotations", {})]
    images = {}
    for entry in index["manifests"]:
        if entry not in statements:
            manifest = read(entry)
            own = tuple(read(item) for item in statements if item["annotations"][STATEMENT] == entry["digest"])
            name = f"{entry['platform']['os']}/{entry['platform']['architecture']}"
            images[name] = Image(descriptor=entry, manifest=manifest, config=config(manifest), statements=own)
    assert len(statements) == sum(len(image.statements) for image in images.values())
    return index, images


def order(index: dict[str, Any]) -> list[str]:
    """Return the entries of an index in order: the platform of an image, or `about PLATFORM` for an attestation."""
    names = {
        entry["digest"]: f"{entry['platform']['os']}/{entry['platform']['architecture']}"
        for entry in index["manifests"]
    }
    of = [entry.get("annotations", {}).get(STATEMENT) for entry in index["manifests"]]
    return [f"about {names[one]}" if one else own for own, one in zip(names.values(), of, strict=True)]


def shape(statement: dict[str, Any]) -> list[Any]:
    """Return the media type and the predicate type of each statement.

    The statements themselves contain times, which differ.
    """
    return [(layer["mediaType"], layer["annotations"]["in-toto.io/predicate-type"]) for layer in statement["layers"]]


def test_two_nodes_make_what_one_makes(
    testbed: Testbed, run_mpbake: RunMpbake, repository: str, tmp_path: Path, provenance: str
) -> None:
    served_images = {}
    generator = f"{repository}/generator:1"
    for builder in ("one", "two"):
        (tmp_path / "build.toml").write_text(plan_of(testbed, builder, repository, generator))
        assert run_mpbake(["run", "generator"]).returncode == 0
        completed = run_mpbake(["run", "web"])
        assert completed.returncode == 0, completed.stderr
        served_images[builder] = served(testbed, f"{repository}:{builder}")
    (one, images), (two, joined) = served_images["one"], served_images["two"]
    assert one["annotations"] == two["annotations"] == {"of.the": "index"}
    assert {key: one[key] for key in ("schemaVersion", "mediaType")} == {
        key: two[key] for key in ("schemaVersion", "mediaType")
    }
    assert list(images) == list(joined) == ["linux/amd64", "linux/arm64"]
    assert order(one) == order(two) == [*images, *(f"about {platform}" for platform in images)]
    for platform, image in images.items():
        other = joined[platform]
        assert (other.descriptor, other.manifest, other.config) == (image.descriptor, image.manifest, image.config)
        assert [shape(statement) for statement in other.statements] == [
            shape(statement) for statement in image.statements
        ]
        predicates = {predicate for statement in other.statements for _, predicate in shape(statement)}
        assert {"https://spdx.dev/Document", provenance} == predicates
    assert images["linux/arm64"].manifest["annotations"] == {"of.every": "manifest", "of.one": "manifest"}
    assert images["linux/amd64"].descriptor["annotations"] == {"of.one": "descriptor"}
    verified = run_mpbake(["verify", "web"])
    assert verified.returncode == 0, verified.stdout


def media_types(testbed: Testbed, reference: str) -> list[str]:
    """Return the media types of an index and of its entries."""
    index = json.loads(testbed.registry.client.manifest(reference)[1])
    return [index["mediaType"], *(entry["mediaType"] for entry in index["manifests"])]


@pytest.mark.parametrize("annotations", ["", "index:a=b", "manifest[linux/arm64]:a=b", "manifest-descriptor:a=b"])
def test_two_nodes_write_the_media_types_of_one(
    annotations: str, testbed: Testbed, run_mpbake: RunMpbake, repository: str, tmp_path: Path
) -> None:
    types = {}
    certs = testbed.certificates
    for builder in ("one", "two"):
        (tmp_path / "build.toml").write_text(f"""
version = 1
[targets.web]
builder = "{builder}"
dockerfile-inline = "FROM scratch\\nCOPY build.toml /"
platforms = ["linux/amd64", "linux/arm64"]
tags = ["{repository}:{builder}"]
push = true
attest = ["type=provenance,disabled=true"]
annotations = {json.dumps([annotations] if annotations else [])}
[builders.one]
driver = "remote"
[builders.one.nodes.all]
endpoint = "{testbed.node("linux-amd64").endpoint}"
tls = {{ ca = "{certs}/ca.crt", cert = "{certs}/client.crt", key = "{certs}/client.key" }}
{_two_nodes(testbed)}
""")
        completed = run_mpbake(["run", "web"])
        assert completed.returncode == 0, completed.stderr
        types[builder] = media_types(testbed, f"{repository}:{builder}")
    assert types["one"] == types["two"]
    assert len(types["one"]) == 3


@pytest.mark.parametrize(
    "declared",
    [
        ["linux/amd64", "linux/arm64"],
        ["linux/arm64", "linux/amd64"],
        ["linux/amd64", "linux/arm64", "linux/386"],  # the first and the last platform belong to the same build piece
    ],
)
def test_two_nodes_list_platforms_in_the_order_of_one(
    declared: list[str], testbed: Testbed, run_mpbake: RunMpbake, repository: str, tmp_path: Path
) -> None:
    indexes = {}
    for builder in ("one", "two"):
        text = plan_of(testbed, builder, repository, f"{repository}/generator:1")
        text = text.replace('["linux/amd64", "linux/arm64"]', json.dumps(declared), 1)
        text = text.replace(f', "type=sbom,generator={repository}/generator:1"', "")
        text = text.replace(f'"{repository}:{builder}"', f'"{repository}:{builder}", "{repository}/other:{builder}"')
        text = text.replace(f"FROM {testbed.env()['BASE_IMAGE']}\nRUN uname -m > /machine", "FROM scratch\nCOPY a /", 1)
        (tmp_path / "build.toml").write_text(text)
        (tmp_path / "a").write_text("a")
        completed = run_mpbake(["run", "web"])
        assert completed.returncode == 0, completed.stderr
        indexes[builder], _ = served(testbed, f"{repository}:{builder}")
        assert served(testbed, f"{repository}/other:{builder}")[0] == indexes[builder]
    assert (
        order(indexes["one"]) == order(indexes["two"]) == [*declared, *(f"about {platform}" for platform in declared)]
    )
    images = [
        [entry for entry in index["manifests"] if STATEMENT not in entry.get("annotations", {})]
        for index in indexes.values()
    ]
    assert images[0] == images[1]
