"""One target on nodes of two BuildKit releases: the engine's own release, and the release in MPBAKE_TEST_BUILDKIT.

All platforms of an index have the same media types, the same form of attestations and the same version of provenance.
Otherwise mpbake refuses the target before a tag moves.
"""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.engine.test_values import _two_nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from testbed.buildkit import Release
    from testbed.testbed import Testbed

    from tests.engine.conftest import Mpbake

    Read = Callable[[str], dict[str, Any]]

pytestmark = pytest.mark.newest

AMD64, ARM64 = "linux/amd64", "linux/arm64"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
V02, V1 = "https://slsa.dev/provenance/v0.2", "https://slsa.dev/provenance/v1"
DECLINED = '["type=provenance,disabled=true"]'
FLEETS: list[tuple[Release, Release]] = [("engine", "named"), ("named", "engine"), ("named", "named")]
"""The BuildKit releases of the amd64 node and of the arm64 node.

The nodes of the last fleet do not report their release.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fleet:
    """A builder `fleet` of two nodes, as a part of a plan. `is_mixed` says whether their BuildKit releases differ."""

    testbed: Testbed
    builder: str
    is_mixed: bool


def plan(fleet: Fleet, attributes: str) -> str:
    return f"""
version = 1
[targets.web]
builder = "fleet"
dockerfile-inline = '''
FROM {fleet.testbed.env()["BASE_IMAGE"]}
RUN uname -m > /machine
'''
platforms = ["{AMD64}", "{ARM64}"]
{attributes}
{fleet.builder}
"""


@pytest.fixture(params=FLEETS, ids=" + ".join)
def fleet(request: pytest.FixtureRequest, testbed: Testbed, unique: str) -> Iterator[Fleet]:
    """Yield a fleet of two mTLS nodes, and stop them after the test."""
    certs = testbed.certificates
    tls = f'tls = {{ ca = "{certs}/ca.crt", cert = "{certs}/client.crt", key = "{certs}/client.key" }}'
    tables = '[builders.fleet]\ndriver = "remote"\n'
    started, is_mixed = [], len(set(request.param)) > 1
    for platform, release in zip((AMD64, ARM64), request.param, strict=True):
        name = f"{platform[-5:]}-{unique[-6:]}"
        poses_as = "" if platform == AMD64 else platform
        node = testbed.add_node(name, poses_as=poses_as, release=release, states=is_mixed)
        started.append(node)
        tables += f'[builders.fleet.nodes.{name}]\nendpoint = "{node.endpoint}"\nplatforms = ["{platform}"]\n{tls}\n'
    yield Fleet(testbed=testbed, builder=tables, is_mixed=is_mixed)
    for node in started:
        node.stop()


def forms(index: Mapping[str, Any], read: Read) -> dict[str, list[Any]]:
    """Return the forms of each platform in an index: the form of the image, and then the form of its attestations."""
    forms_by_platform: dict[str, list[Any]] = {}
    platforms = {}
    for entry in index["manifests"]:
        if "vnd.docker.reference.type" not in entry.get("annotations", {}):
            name = "/".join(entry["platform"][key] for key in ("os", "architecture"))
            platforms[entry["digest"]] = name
            manifest = read(entry["digest"])
            types = [layer["mediaType"] for layer in manifest["layers"]]
            forms_by_platform[name] = [(entry["mediaType"], manifest["config"]["mediaType"], types)]
    for entry in index["manifests"]:
        if of := entry.get("annotations", {}).get("vnd.docker.reference.digest"):
            manifest = read(entry["digest"])
            predicates = sorted(layer["annotations"]["in-toto.io/predicate-type"] for layer in manifest["layers"])
            form = (entry["mediaType"], manifest.get("artifactType"), manifest["config"]["mediaType"], predicates)
            forms_by_platform[platforms[of]].append(form)
    return forms_by_platform


def served(testbed: Testbed, tag: str) -> dict[str, list[Any]]:
    client = testbed.registry.client
    repository = tag.rpartition(":")[0]

    def read(digest: str) -> dict[str, Any]:
        return dict(json.loads(client.manifest(f"{repository}@{digest}")[1]))

    return forms(json.loads(client.manifest(tag)[1]), read)


def in_archive(path: Path) -> dict[str, list[Any]]:
    with tarfile.open(path) as tar:

        def read(digest: str) -> dict[str, Any]:
            file = tar.extractfile(f"blobs/{digest.replace(':', '/')}")
            assert file is not None
            return dict(json.load(file))

        top = tar.extractfile("index.json")
        assert top is not None
        (entry,) = json.load(top)["manifests"]
        return forms(read(entry["digest"]), read)


@pytest.mark.parametrize(
    ("attest", "predicates"),
    [("[]", [V02]), ('["type=provenance,mode=max"]', [V02]), (DECLINED, [])],
    ids=["default", "max", "none"],
)
def test_all_platforms_have_one_form(
    fleet: Fleet, mpbake: Mpbake, repository: str, tmp_path: Path, attest: str, predicates: list[str]
) -> None:
    outputs = 'output = ["type=registry", "type=oci,dest=out.tar"]'
    attributes = f'tags = ["{repository}:1"]\n{outputs}\nattest = {attest}'
    (tmp_path / "build.toml").write_text(plan(fleet, attributes))

    mpbake("run", "web")

    for index in (served(fleet.testbed, f"{repository}:1"), in_archive(tmp_path / "out.tar")):
        assert list(index) == [AMD64, ARM64]
        assert index[AMD64] == index[ARM64]
        image, *attestations = index[AMD64]
        assert image[:2] == (OCI_MANIFEST, OCI_CONFIG)
        assert attestations == ([(OCI_MANIFEST, None, OCI_CONFIG, predicates)] if predicates else [])
    mpbake("verify", "web")


@pytest.mark.parametrize("output", ["type=registry", "type=oci,dest=out.tar"])
def test_what_older_releases_cannot_write_is_refused_before_a_tag_moves(
    fleet: Fleet, mpbake: Mpbake, repository: str, tmp_path: Path, output: str
) -> None:
    tags = f'tags = ["{repository}:1"]\n' if "registry" in output else ""
    attributes = f'{tags}output = ["{output}"]\nattest = ["type=provenance,version=v1"]'
    (tmp_path / "build.toml").write_text(plan(fleet, attributes))

    completed = mpbake("run", "web", code=1 if fleet.is_mixed else 0)

    if fleet.is_mixed:
        assert "the pieces of web cannot be one image: their nodes write different forms\n" in completed.stderr
        assert V02 in completed.stderr
        assert V1 in completed.stderr
        assert 'run the same BuildKit release on all nodes of builder "fleet", or remove version' in completed.stderr
    elif tags:
        index = served(fleet.testbed, f"{repository}:1")
        assert [form[1][3] for form in index.values()] == [[V1], [V1]]
    assert fleet.testbed.registry.client.has(f"{repository}:1") is (bool(tags) and not fleet.is_mixed)
    assert (tmp_path / "out.tar").exists() is (not tags and not fleet.is_mixed)


def test_nodes_that_state_one_release_write_its_own_form(
    testbed: Testbed, mpbake: Mpbake, repository: str, tmp_path: Path
) -> None:
    """The named release writes an attestation as an OCI artifact, with provenance v1."""
    fleet = Fleet(
        testbed=testbed, builder=_two_nodes(testbed).replace("builders.two", "builders.fleet"), is_mixed=False
    )
    (tmp_path / "build.toml").write_text(plan(fleet, f'tags = ["{repository}:1"]\npush = true'))
    mpbake("run", "web")
    index = served(testbed, f"{repository}:1")
    assert index[AMD64] == index[ARM64]
    assert index[AMD64][1:] == [
        (OCI_MANIFEST, "application/vnd.docker.attestation.manifest.v1+json", "application/vnd.oci.empty.v1+json", [V1])
    ]
