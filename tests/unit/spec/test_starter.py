"""The first plan of a project, made from the paths of its Dockerfiles."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
import tomli

from mpbake.spec.starter import is_dockerfile, is_searched, starter_text, target_names
from tests.unit.plans import refusals, resolve_text

TWO = """\
#:schema ./build.schema.json
# Editors use the line above to complete and check this file. To update the schema: mpbake schema > build.schema.json
#
# `mpbake init` wrote this plan as a start: change it as you like. `mpbake plan` shows what `mpbake run` will do.

version = 1

[variables]
# The registry for the images: replace it with your own.
registry = "localhost:5000/shop"
tag = { default = "dev", env = "TAG", description = "image tag" }

# By default, your own Docker engine builds every platform. It emulates the platforms that it cannot run natively: this
# is slow, and requires QEMU. To build each platform on a native machine, name your machines here, and uncomment these
# lines and `builder` below.
#
# [builders.native.nodes.amd64]
# endpoint = "ssh://you@intel.example.com"
# platforms = ["linux/amd64"]
#
# [builders.native.nodes.arm64]
# endpoint = "ssh://you@arm.example.com"
# platforms = ["linux/arm64"]

[groups]
default = ["api", "web"]

# Attributes that all images share.
[targets._image]
platforms = ["linux/amd64", "linux/arm64"]
# builder = "native"
# With `push`, every run publishes the images. Without it, use `mpbake run --push` to publish them, or
# `mpbake run --load` to load them into your engine.
# push = true

# The context of each target is the folder of its Dockerfile. If a Dockerfile copies files from a folder above it, set
# for example context = "." and dockerfile = "web/Dockerfile". The path of a Dockerfile is relative to the context.
# If an image is built FROM another image of this plan, add contexts = { NAME = "target:TARGET" } to its target. NAME is
# the name after FROM in its Dockerfile.

[targets.api]
inherits = ["_image"]
context = "api"
tags = ["{{ registry }}/api:{{ tag }}"]

[targets.web]
inherits = ["_image"]
context = "."
dockerfile = "web.Dockerfile"
tags = ["{{ registry }}/web:{{ tag }}"]
"""


def names(*paths: str, project: str = "shop") -> dict[str, str]:
    """Return the names of the targets for the Dockerfiles at `paths`."""
    names = target_names(project, [PurePosixPath(path) for path in paths])
    return {str(path): name for name, path in names.items()}


def starter(*paths: str, project: str = "shop") -> str:
    """Return the plan for the Dockerfiles at `paths`."""
    return starter_text(project, target_names(project, [PurePosixPath(path) for path in paths]))


def uncommented(plan: str) -> str:
    """Return `plan` with the TOML in its comments made active."""
    marked = ("# [", "# endpoint = ", "# platforms = ", "# builder = ", "# push = ")
    return "\n".join(line.removeprefix("# ") if line.startswith(marked) else line for line in plan.splitlines())


# --- Dockerfiles ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "Dockerfile",
        "Containerfile",
        "Dockerfile.web",
        "Dockerfile.web-1.2",
        "Containerfile.web",
        "web.Dockerfile",
        "web.dockerfile",
        "web.Containerfile",
        "my web.Dockerfile",
    ],
)
def test_dockerfiles(name: str) -> None:
    assert is_dockerfile(name)


@pytest.mark.parametrize(
    "name",
    [
        "dockerfile.go",
        "Dockerfiles",
        "MyDockerfile",
        "Dockerfile-web",
        "Dockerfile.",
        "Dockerfile.dockerignore",
        "web.Dockerfile.dockerignore",
        "Dockerfile.web.dockerignore",
        "Dockerfile.rego",
        "Dockerfile.bak",
        "Dockerfile.j2",
        "Dockerfile~",
        ".Dockerfile",
        ".dockerfile",
        "a\n.Dockerfile",
        "a\udcff.Dockerfile",
    ],
)
def test_no_dockerfiles(name: str) -> None:
    assert not is_dockerfile(name)


@pytest.mark.parametrize("name", ["web", "my web", "日本", "_x"])
def test_folders_of_the_project(name: str) -> None:
    assert is_searched(name)


@pytest.mark.parametrize("name", [".git", ".venv", "node_modules", "vendor", "a\tb", "a\udcff"])
def test_folders_of_others(name: str) -> None:
    assert not is_searched(name)


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("Dockerfile", "shop"),
        ("Containerfile", "shop"),
        ("web/Dockerfile", "web"),
        ("services/web/Dockerfile", "web"),
        ("web.Dockerfile", "web"),
        ("docker/web.Dockerfile", "web"),
        ("Dockerfile.dev", "dev"),
        ("services/web/Dockerfile.dev", "web-dev"),
        ("Dockerfile.py3.12", "py3-12"),
        # a name that is valid for both a target and a repository
        ("My Web/Dockerfile", "my-web"),
        ("my_web/Dockerfile", "my_web"),
        ("my__web/Dockerfile", "my-web"),
        ("_web/Dockerfile", "web"),
        ("-_web_-/Dockerfile", "web"),
        ("1.5/Dockerfile", "1-5"),
        ("Café/Dockerfile", "cafe"),
        ("日本/Dockerfile", "image"),
        ('"it\'s"/Dockerfile', "it-s"),
        ("{{ x }}/Dockerfile", "x"),
        ("a" * 70 + "/Dockerfile", "a" * 60),
        ("x-" + "a" * 59 + "/Dockerfile", "a" * 59),
        # a target cannot have the name of the group
        ("default/Dockerfile", "default-2"),
    ],
)
def test_a_name(path: str, name: str) -> None:
    assert names(path) == {path: name}


@pytest.mark.parametrize(
    ("paths", "called"),
    [
        ("Dockerfile Dockerfile.dev", "shop dev"),
        ("a/web/Dockerfile b/web/Dockerfile api/Dockerfile", "a-web b-web api"),
        ("web/Dockerfile x/web/Dockerfile", "web x-web"),
        ("docker/web.Dockerfile web/Dockerfile", "docker-web web"),
        ("a/web/Dockerfile b/web/Dockerfile a-web/Dockerfile", "a-web b-web a-web-2"),
        ("web/Containerfile web/Dockerfile", "web web-2"),
        ("A/Dockerfile a/Dockerfile", "a a-2"),
        ("日/Dockerfile 本/Dockerfile", "image image-2"),
        ("shop/Dockerfile Dockerfile", "shop shop-2"),
    ],
)
def test_names_of_several(paths: str, called: str) -> None:
    assert list(names(*paths.split()).values()) == called.split()


def test_a_project_without_a_name() -> None:
    assert names("Dockerfile", project="") == {"Dockerfile": "image"}


# --- the text of the plan ---------------------------------------------------------------------------------------------


def test_the_plan_of_two() -> None:
    assert starter("api/Dockerfile", "web.Dockerfile") == TWO


def test_the_plan_of_one() -> None:
    plan = starter("Dockerfile")
    assert 'registry = "localhost:5000"\n' in plan
    assert "FROM another" not in plan
    target = resolve_text(plan.replace("version = 1\n", "")).targets["shop"]
    assert [str(tag) for tag in target.tags] == ["localhost:5000/shop:dev"]


def test_many_are_listed_one_by_one() -> None:
    plan = starter(*(f"number-{index}/Dockerfile" for index in range(8)))
    assert 'default = [\n  "number-0",\n  "number-1",\n' in plan
    assert '  "number-7",\n]\n' in plan


def test_long_tags_are_folded() -> None:
    assert 'tags = [\n  "{{ registry }}/' + "x" * 60 + ':{{ tag }}",\n]\n' in starter("x" * 60 + ".Dockerfile")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ('a "b"\\/Dockerfile', 'context = "a \\"b\\"\\\\"'),
        # the plan must not read these paths as repositories, links or templates
        ("git@x/Dockerfile", 'context = "./git@x"'),
        ("github.com/x/Dockerfile", 'context = "./github.com/x"'),
        ("target:x.Dockerfile", 'dockerfile = "./target:x.Dockerfile"'),
        ("{{ x }}/Dockerfile", "context = \"{{ '{' }}{ x }}\""),
        ("a{%b/Dockerfile", "context = \"a{{ '{' }}%b\""),
    ],
)
def test_odd_paths(path: str, line: str) -> None:
    assert line in starter(path).splitlines()


def test_an_odd_path_stays_itself() -> None:
    folder = "{{{%#}} {# ~ $x"
    target = resolve_text(starter(f"{folder}/Dockerfile").replace("version = 1\n", "")).targets["x"]
    assert target.attributes["context"] == f"/plan/{folder}"


def test_its_examples_work() -> None:
    plan = uncommented(starter("api/Dockerfile", "web/Dockerfile"))
    assert refusals(tomli.loads(plan)) == []
    resolved = resolve_text(plan.replace("version = 1\n", ""))
    assert [node.endpoint for node in resolved.builders["native"].nodes] == [
        "ssh://you@intel.example.com",
        "ssh://you@arm.example.com",
    ]
    assert all(target.builder.name == "native" and target.push for target in resolved.targets.values())
