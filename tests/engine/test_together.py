"""Tags that move together: all tags move after everything is built and checked.

Otherwise mpbake reports which ones moved.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.engine.faulty import faulty_registry
from tests.engine.test_values import _two_nodes

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.testbed import Testbed

    from tests.engine.conftest import RunMpbake

pytestmark = pytest.mark.one_release

TARGETS = ("base", "web", "tool")


def plan_of(testbed: Testbed, builder: str, repository: str, more: str = "") -> str:
    """Return a plan with three pushed targets. `web` links to `base`, which is declared after it."""
    return f"""
version = 1
publish = "together"
[groups]
default = ["web", "base", "tool"]
[defaults.target]
builder = "{builder}"
platforms = ["linux/amd64", "linux/arm64"]
push = true
[targets.web]
dockerfile-inline = "FROM below\\nRUN echo web > /web"
contexts = {{ below = "target:base" }}
tags = ["{repository}/web:1", "{repository}/web:2"]
[targets.base]
dockerfile-inline = "FROM {testbed.env()["BASE_IMAGE"]}\\nRUN echo base > /base"
tags = ["{repository}/base:1"]
[targets.tool]
dockerfile-inline = "FROM {testbed.env()["BASE_IMAGE"]}\\nRUN echo tool > /tool"
tags = ["{repository}/tool:1"]
{more}
[builders.box]
driver = "docker-container"
image = "{testbed.node_image()}"
network = "host"
""" + _two_nodes(testbed)


@pytest.mark.parametrize("builder", ["default", "box", "two"])
def test_tags_move_when_everything_is_built(
    builder: str, testbed: Testbed, run_mpbake: RunMpbake, repository: str, tmp_path: Path
) -> None:
    (tmp_path / "build.toml").write_text(plan_of(testbed, builder, repository))

    completed = run_mpbake(["run"])

    assert completed.returncode == 0, completed.stderr
    client = testbed.registry.client
    assert all(client.has(f"{repository}/{name}:1") for name in TARGETS)
    lines = [line.partition("s  ")[2] for line in completed.stderr.splitlines()]
    first = next(index for index, line in enumerate(lines) if line.startswith("publish"))
    assert not any(line.startswith("build") for line in lines[first:])
    published = [line.partition(":")[0] for line in lines if line.startswith("publish") and ": done" in line]
    assert published == ["publish base", "publish web", "publish tool"]


@pytest.mark.parametrize("builder", ["default", "two"])
def test_no_tag_moves_when_one_target_fails(
    builder: str, testbed: Testbed, run_mpbake: RunMpbake, repository: str, tmp_path: Path
) -> None:
    plan = plan_of(testbed, builder, repository, 'checks = [{ run = ["false"] }]')
    (tmp_path / "build.toml").write_text(plan)

    completed = run_mpbake(["run"])

    assert completed.returncode == 1, completed.stderr
    assert "publish web: not started, since check tool linux/" in completed.stderr.rpartition("\n\n")[0]
    assert not any(testbed.registry.client.has(f"{repository}/{name}:1") for name in TARGETS)


@pytest.mark.one_release
def test_no_tag_moves_before_all_images_have_left_the_engine(
    testbed: Testbed, run_mpbake: RunMpbake, repository: str, unique: str, tmp_path: Path
) -> None:
    locked = testbed.password_registry().host
    plan = plan_of(testbed, "default", repository).replace(f"{repository}/web:2", f"{locked}/{unique}:2")
    (tmp_path / "build.toml").write_text(plan)

    completed = run_mpbake(["run"])

    assert completed.returncode == 1, completed.stderr
    assert f"push to {locked}/{unique}: {locked} answers 401 Unauthorized" in completed.stderr
    assert "\nno tag has moved\n" in completed.stderr
    assert "check docker login and your rights in the repository" in completed.stderr
    assert not any(testbed.registry.client.has(f"{repository}/{name}:1") for name in ("base", "web", "tool"))


@pytest.mark.one_release
@pytest.mark.parametrize("builder", ["default", "two"])
def test_what_has_moved_is_told_when_a_registry_refuses_half_way(
    builder: str, testbed: Testbed, run_mpbake: RunMpbake, repository: str, unique: str, tmp_path: Path
) -> None:
    with faulty_registry(testbed.registry.host) as registry:
        here = f"{registry.host}/{unique}"
        plan = plan_of(testbed, builder, here).replace(f"{here}/web:2", f"{here}/other:2")
        (tmp_path / "build.toml").write_text(plan)
        registry.guarded = f"/v2/{unique}/other/manifests/2"
        completed = run_mpbake(["run", "--metadata-file", "m.json"])
    assert completed.returncode == 1, completed.stderr
    assert f"moved: {here}/base:1, {here}/web:1; not moved: {here}/other:2, {here}/tool:1" in completed.stderr
    moved = {
        name: metadata["mpbake"]["tags"] for name, metadata in json.loads((tmp_path / "m.json").read_bytes()).items()
    }
    assert moved == {"base": [f"{here}/base:1"], "web": [f"{here}/web:1"], "tool": []}
    there = [name for name in ("base", "web", "tool") if testbed.registry.client.has(f"{repository}/{name}:1")]
    assert there == ["base", "web"]


@pytest.mark.one_release
def test_on_the_command_line(testbed: Testbed, run_mpbake: RunMpbake, repository: str, tmp_path: Path) -> None:
    plan = plan_of(testbed, "default", repository, 'needs = ["base"]').replace('publish = "together"\n', "")
    (tmp_path / "build.toml").write_text(plan)

    refused = run_mpbake(["plan", "--publish", "together"])

    assert refused.returncode == 3
    assert 'tool: needs "base", but no tag moves before all targets are built' in refused.stderr
    assert run_mpbake(["plan"]).returncode == 0
    together = run_mpbake(["plan", "web", "--publish", "together"])
    assert together.returncode == 0, together.stderr
    assert "push by digest, without a tag" in together.stdout
