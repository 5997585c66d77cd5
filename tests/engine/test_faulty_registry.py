"""A registry that fails at each request in turn: a tag names the old whole image or the new one, never a part."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from testbed.registry_client import platforms_of

from tests.engine.faulty import faulty_registry
from tests.engine.test_values import _two_nodes

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.registry_client import RegistryClient
    from testbed.testbed import Testbed

    from tests.engine.conftest import RunMpbake

BOTH = ["linux/amd64", "linux/arm64"]
_INDEX = "application/vnd.oci.image.index.v1+json"


def plan_of(testbed: Testbed, builder: str, repository: str) -> str:
    """A target whose layer is another one for each `content`."""
    return f"""
version = 1
[variables]
content = "old"
[targets.web]
builder = "{builder}"
dockerfile-inline = '''
FROM {testbed.env()["BASE_IMAGE"]}
ARG CONTENT
RUN echo $CONTENT > /content
'''
args = {{ CONTENT = "{{{{ content }}}}" }}
platforms = ["linux/amd64", "linux/arm64"]
tags = ["{repository}:1", "{repository}:2"]
push = true
""" + _two_nodes(testbed)


def whole(client: RegistryClient, repository: str, tag: str) -> str:
    """The digest that a tag names; everything below it is there."""
    digest, index = client.manifest(f"{repository}:{tag}")
    assert platforms_of(index) == BOTH
    for entry in json.loads(index)["manifests"]:
        manifest = json.loads(client.manifest(f"{repository}@{entry['digest']}")[1])
        for blob in (manifest["config"], *manifest["layers"]):
            assert client.ask("HEAD", f"/v2/{repository}/blobs/{blob['digest']}").status == 200
    return digest


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("builder", "fault", "each"),
    [
        ("two", "refuses", 5),
        ("two", "dies", 13),
        ("default", "refuses", 7),
        ("two", "stumbles", 11),
        ("two", "breaks", 31),
        pytest.param("two", "refuses", 1, marks=pytest.mark.long),
        pytest.param("two", "dies", 3, marks=pytest.mark.long),
        pytest.param("default", "refuses", 1, marks=pytest.mark.long),
        pytest.param("two", "stumbles", 1, marks=pytest.mark.long),
        pytest.param("default", "stumbles", 3, marks=pytest.mark.long),
        pytest.param("two", "breaks", 4, marks=pytest.mark.long),
        pytest.param("default", "breaks", 9, marks=pytest.mark.long),
    ],
)
def test_whichever_request_fails(  # noqa: PLR0913, PLR0917 - fixtures
    builder: str, fault: str, each: int, testbed: Testbed, run_mpbake: RunMpbake, unique: str, tmp_path: Path
) -> None:
    dies = fault == "dies"
    own = fault in {"stumbles", "breaks"}  # the registry's own failure: what is asked is asked again
    lasts = fault in {"dies", "breaks"}  # BuildKit then waits for it for seconds
    client = testbed.registry.client
    with faulty_registry(testbed.registry.host) as registry:
        (tmp_path / "build.toml").write_text(plan_of(testbed, builder, f"{registry.host}/{unique}"))
        done = run_mpbake(["run", "web"])
        assert done.returncode == 0, done.stderr
        old = whole(client, unique, "1")
        index = client.manifest(f"{unique}:1")[1]
        registry.reset(().__contains__)
        assert run_mpbake(["run", "web", "--var", "content=new"]).returncode == 0
        requests = len(registry.asked)
        failed = 0
        positions = range(each if own else 1, requests + 1, each)
        for position in positions:
            for tag in ("1", "2"):
                client.put_manifest(unique, tag, _INDEX, index)
            fails = range(position, 10**6 if lasts else position + 1)
            registry.reset(fails.__contains__, status=503 if own else 403, dies=dies)
            done = run_mpbake(["run", "web", "--quiet", "--var", f"content={position}"])
            reached = len(registry.asked) >= position  # how many requests there are differs by a few
            served = {tag: whole(client, unique, tag) for tag in ("1", "2")}
            assert done.returncode in {0, 1, 5}, done.stderr
            assert "Traceback" not in done.stderr
            assert "mpbake itself failed" not in done.stderr
            failed += done.returncode != 0
            if own and reached:
                assert (done.returncode == 0) == (fault == "stumbles"), done.stderr
            if done.returncode == 0:
                assert old not in served.values(), position
            for tag, digest in served.items():
                told = re.search(r"\bmoved: (.*?); not moved: ", done.stderr)
                if told:
                    assert (digest != old) == (f"{registry.host}/{unique}:{tag}" in told[1].split(", ")), done.stderr
        assert fault == "stumbles" or failed >= len(positions) // 4, f"{failed} of {len(positions)}"
