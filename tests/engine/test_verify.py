"""What registries serve, compared with what was published: at the end of a run, and at any time after."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from testbed.oci import INDEX

from tests.engine.test_values import _two_nodes

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.testbed import Testbed

    from tests.engine.conftest import Docker, RunMpbake


def plan_of(testbed: Testbed, builder: str, repository: str, more: str = "") -> str:
    """A target that says much of itself."""
    return f"""
version = 1
[targets.web]
builder = "{builder}"
dockerfile-inline = '''
FROM {testbed.env()["BASE_IMAGE"]}
RUN uname -m > /machine
LABEL of.the.dockerfile=yes
'''
platforms = ["linux/amd64", "linux/arm64"]
tags = ["{repository}:1", "{repository}:2"]
push = true
labels = {{ on = "{{{{ platform.arch }}}}", "a.b" = "x y" }}
annotations = [
    "index,manifest:everywhere=yes",
    "manifest[linux/arm64]:only.arm=a=b",
    "manifest-descriptor[linux/amd64]:by.amd=1",
]
attest = ["type=provenance,mode=max"]
{more}
[builders.engine]
driver = "docker"
[builders.box]
driver = "docker-container"
[defaults.builder]
image = "{testbed.node_image()}"
network = "host"
""" + _two_nodes(testbed)


@pytest.mark.parametrize("builder", ["engine", "default", "box", "two"])
def test_everything_that_was_declared_is_read_back(
    builder: str, testbed: Testbed, run_mpbake: RunMpbake, docker: Docker, repository: str, tmp_path: Path
) -> None:
    plan = plan_of(testbed, builder, repository)
    if builder == "engine":  # its own builder cannot join what differs
        plan = plan.replace("{{ platform.arch }}", "any")
    (tmp_path / "build.toml").write_text(plan)
    done = run_mpbake(["run", "web"])
    assert done.returncode == 0, done.stderr

    good = run_mpbake(["verify", "web"])

    assert (good.returncode, good.stderr) == (0, "")
    digest, index = testbed.registry.client.manifest(f"{repository}:1")
    assert good.stdout == f"web: 2 tags as published ({digest})\n"

    # Somebody moves a tag to an index that lacks a platform.
    path = repository.partition("/")[2]
    less = json.loads(index)
    less["manifests"] = [each for each in less["manifests"] if each["platform"]["architecture"] != "arm64"]
    less.pop("annotations", None)
    testbed.registry.client.put_manifest(path, "2", INDEX, json.dumps(less).encode())
    bad = run_mpbake(["verify", "web"])

    assert bad.returncode == 1, bad.stderr
    rows = [line.split("  ") for line in bad.stdout.splitlines()]
    told = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert told[0] == ["target", "tag", "what", "expected", "found"]
    assert [row[2] for row in told[1:]] == ["digest", "platforms", "annotation of the index everywhere"]
    assert all(row[1] == f"{repository}:2" for row in told[1:])
    assert told[2][3:] == ["linux/amd64, linux/arm64", "linux/amd64"]
    docker("image", "rm", "--force", f"{repository}:1", f"{repository}:2")


def test_without_a_run_the_plan_counts(
    testbed: Testbed, run_mpbake: RunMpbake, repository: str, tmp_path: Path
) -> None:
    (tmp_path / "build.toml").write_text(plan_of(testbed, "two", repository))
    nothing = run_mpbake(["verify", "web"])
    assert nothing.returncode == 1, nothing.stderr
    assert f"{repository}:1: not found" in nothing.stdout

    (tmp_path / "other").mkdir()
    (tmp_path / "other/build.toml").write_text(plan_of(testbed, "two", repository))
    done = run_mpbake(["run", "web"], cwd=tmp_path / "other")
    assert done.returncode == 0, done.stderr
    good = run_mpbake(["verify", "web"])
    assert (good.returncode, good.stdout) == (0, "web: 2 tags as the plan says\n")

    changed = plan_of(testbed, "two", repository, "no-cache = false").replace('"x y"', '"z"').replace("=1", "=2")
    changed = changed.replace("type=provenance,mode=max", "type=sbom")
    (tmp_path / "build.toml").write_text(changed)
    bad = run_mpbake(["verify", "web"])

    assert bad.returncode == 1, bad.stderr
    for what in (
        "linux/amd64: label a.b",
        "linux/arm64: label a.b",
        "linux/amd64: annotation of its descriptor by.amd",
        "linux/amd64: attestation",
        "linux/arm64: attestation",
    ):
        assert bad.stdout.count(f"  {what}  ") == 2, bad.stdout  # under either tag


def test_a_registry_out_of_reach(testbed: Testbed, run_mpbake: RunMpbake, unique: str, tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text(plan_of(testbed, "two", f"localhost:9/{unique}"))
    done = run_mpbake(["verify", "web"])
    assert done.returncode == 5
    assert "could not be read back" in done.stderr
