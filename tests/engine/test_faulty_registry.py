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
    from collections.abc import Sequence
    from pathlib import Path

    from testbed.registry_client import RegistryClient
    from testbed.testbed import Testbed

    from tests.engine.conftest import RunMpbake
    from tests.engine.faulty import FaultyRegistry

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


def whole(client: RegistryClient, repository: str, tag: str, platforms: Sequence[str] = BOTH) -> str:
    """The digest that a tag names; everything below it is there."""
    digest, index = client.manifest(f"{repository}:{tag}")
    assert platforms_of(index) == list(platforms)
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


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("builder", "platforms"), [("two", BOTH), ("default", BOTH), ("default", BOTH[:1])])
@pytest.mark.parametrize("where", ["one repository", "two repositories", "two registries"])
def test_a_tag_is_given_to_whole_indexes_only(  # noqa: PLR0913, PLR0917 - fixtures
    builder: str,
    platforms: Sequence[str],
    where: str,
    testbed: Testbed,
    run_mpbake: RunMpbake,
    unique: str,
    tmp_path: Path,
) -> None:
    client = testbed.registry.client
    with faulty_registry(testbed.registry.host) as near, faulty_registry(testbed.registry.host) as far:
        other = unique if where == "one repository" else f"{unique}/copy"
        places = [(near, unique, "1"), (far if where == "two registries" else near, other, "2"), (near, unique, "3")]
        tags = [f"{registry.host}/{path}:{tag}" for registry, path, tag in places]
        plan = plan_of(testbed, builder, "HERE").replace('["HERE:1", "HERE:2"]', json.dumps(tags))
        plan = plan.replace(json.dumps(BOTH), json.dumps(platforms))
        (tmp_path / "build.toml").write_text(plan)
        done = run_mpbake(["run", "web"])
        assert done.returncode == 0, done.stderr
        now = {whole(client, path, tag, platforms) for _, path, tag in places}
        assert len(now) == 1
        for registry, path, tag in places:
            for each in (near, far):
                each.reset(().__contains__)
            registry.guarded = f"/v2/{path}/manifests/{tag}"
            done = run_mpbake(["run", "web", "--var", f"content={tag}"])
            assert done.returncode == 1, done.stderr
            told = re.search(r"\bmoved: (.*?); not moved: (.*?)\)", done.stderr)
            assert told, done.stderr
            assert f"{registry.host}/{path}:{tag}" in told[2].split(", "), done.stderr
            assert whole(client, path, tag, platforms) in now, done.stderr
            served = {
                each: whole(client, path, tag, platforms) for each, (_, path, tag) in zip(tags, places, strict=True)
            }
            moved = [] if told[1] == "none" else told[1].split(", ")
            assert [each for each in tags if served[each] not in now] == moved, done.stderr
            _none_but_indexes(near, far)
            for registry_, path_, tag_ in places:
                registry_.guarded = ""
                client.put_manifest(path_, tag_, _INDEX, client.manifest(f"{path}:{tag}")[1])
        for each in (near, far):
            each.reset(().__contains__)
        assert run_mpbake(["run", "web", "--var", "content=new"]).returncode == 0
        _none_but_indexes(near, far)
        given = [path for each in (near, far) for path, _ in each.given if "mpbake-upload" not in path]
        assert len(given) == len(tags)


def _none_but_indexes(*registries: FaultyRegistry) -> None:
    """Nothing else was put under a tag that people read."""
    for registry in registries:
        for path, body in registry.given:
            assert "mpbake-upload" in path or "manifests" in json.loads(body), path
