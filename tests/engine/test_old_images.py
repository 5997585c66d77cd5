"""An image name that means an older image in the engine than in the registry: which of both a build uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.testbed import Testbed

    from tests.engine.conftest import Docker, Mpbake


@pytest.fixture
def moved(testbed: Testbed, docker: Docker, repository: str, tmp_path: Path) -> str:
    """Return a tag whose image has the text `new` in `/v`. The engine still has the old image, with the text `old`."""
    for word, tag in (("old", "1"), ("new", "later")):
        folder = tmp_path / word
        folder.mkdir()
        (folder / "Dockerfile").write_text(f"FROM {testbed.env()['BASE_IMAGE']}\nRUN echo {word} > /v\n")
        docker("build", "--quiet", "--push", "--tag", f"{repository}:{tag}", str(folder))
    docker("pull", "--quiet", f"{repository}:1")
    docker("buildx", "imagetools", "create", "--tag", f"{repository}:1", f"{repository}:later")
    assert said_by(docker, f"{repository}:1") == "old"
    return f"{repository}:1"


def said_by(docker: Docker, image: str, *more: str) -> str:
    return docker("run", "--rm", "--quiet", "--network=none", *more, image, "cat", "/v").strip()


@pytest.mark.one_release
def test_what_says_pull_is_built_from_the_registrys_image_by_all_who_link_to_it(
    mpbake: Mpbake, moved: str, tmp_path: Path
) -> None:
    user = """
[targets.NAME]
contexts = { base = "target:base" }
dockerfile-inline = "FROM base"
platforms = ["linux/amd64"]
output = ["type=local,dest=NAME"]
"""
    plan = (
        f'version = 1\n[targets.base]\npull = true\nplatforms = ["linux/amd64"]\ndockerfile-inline = "FROM {moved}"\n'
    )
    (tmp_path / "build.toml").write_text(plan + "".join(user.replace("NAME", name) for name in "abc"))
    mpbake("run", "a", "b", "base")
    mpbake("run", "base", "c")
    assert {name: (tmp_path / name / "v").read_text().strip() for name in "abc"} == dict.fromkeys("abc", "new")


def test_the_image_that_is_checked_is_the_one_that_was_built(
    mpbake: Mpbake, moved: str, repository: str, docker: Docker, tmp_path: Path
) -> None:
    plan = f"""
version = 1
[targets.web]
pull = true
dockerfile-inline = "FROM {moved}"
platforms = ["linux/amd64"]
tags = ["{repository}:web"]
push = true
checks = [{{ run = ["grep", "-x", "WORD", "/v"] }}]
"""
    (tmp_path / "build.toml").write_text(plan.replace("WORD", "old"))
    mpbake("run", "web", code=1)
    (tmp_path / "build.toml").write_text(plan.replace("WORD", "new"))
    mpbake("run", "web")
    assert said_by(docker, f"{repository}:web", "--pull=always") == "new"


def stem(testbed: Testbed, builder: str, tag: str) -> str:
    """Return the start of a plan: its target pushes the tag, for an image with the text `newest` in `/v`."""
    return f"""
version = 1
[builders.box]
driver = "docker-container"
image = "{testbed.node_image()}"
network = "host"
[targets.stem]
builder = "{builder}"
dockerfile-inline = '''
FROM {testbed.env()["BASE_IMAGE"]}
RUN echo newest > /v
'''
platforms = ["linux/amd64"]
tags = ["{tag}"]
push = true
"""


@pytest.mark.parametrize("needed", ["box", "default"])
@pytest.mark.parametrize("user", ["box", "default"])
def test_from_a_tag_of_what_is_needed_is_from_what_was_published(  # noqa: PLR0913, PLR0917 - fixtures
    needed: str,
    user: str,
    testbed: Testbed,
    mpbake: Mpbake,
    moved: str,
    repository: str,
    docker: Docker,
    tmp_path: Path,
) -> None:
    plan = f"""
[targets.web]
builder = "{user}"
needs = ["stem"]
args = {{ STEM = "{moved}" }}
dockerfile-inline = '''
ARG STEM
FROM $STEM
COPY --from={moved} /v /copied
'''
platforms = ["linux/amd64"]
tags = ["{repository}:web"]
push = true
checks = [{{ run = ["grep", "-x", "newest", "/v"] }}, {{ run = ["grep", "-x", "newest", "/copied"] }}]
"""
    (tmp_path / "build.toml").write_text(stem(testbed, needed, moved) + plan)
    mpbake("run", "web")
    assert said_by(docker, f"{repository}:web", "--pull=always") == "newest"


@pytest.mark.one_release
def test_what_a_link_needs_was_published_for_its_user_too(
    testbed: Testbed, mpbake: Mpbake, moved: str, repository: str, docker: Docker, tmp_path: Path
) -> None:
    plan = f"""
[targets.base]
needs = ["stem"]
dockerfile-inline = "FROM {moved}"
[targets.web]
contexts = {{ base = "target:base" }}
dockerfile-inline = '''
FROM base
COPY --from={moved} /v /copied
RUN cat /v /copied > /both
'''
platforms = ["linux/amd64"]
tags = ["{repository}:web"]
push = true
"""
    (tmp_path / "build.toml").write_text(stem(testbed, "box", moved) + plan)
    mpbake("run", "web")
    content = docker("run", "--rm", "--quiet", "--network=none", "--pull=always", f"{repository}:web", "cat", "/both")
    assert content.split() == ["newest", "newest"]
