"""Values of the plan are in the image as the plan states them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from testbed.registry_client import platforms_of

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.testbed import Testbed

    from tests.engine.conftest import Docker, RunMpbake

AWKWARD = [
    "${PATH}",
    "$${PATH}",
    "$$${PATH}",
    "%{x}",
    "%%{ if true }",
    '${upper("abc")}',
    "single ' and double \" quotes",
    "back\\slash \\n",
    "first line\nsecond line",
    "tab\there",
    "Grüße aus Zürich, 你好, 🚢",
    "a,b=c;d",
    "trailing space ",
]


def config_of(testbed: Testbed, reference: str, platform: str = "linux/amd64") -> dict[str, dict[str, str]]:
    """Return the image's configuration for `platform`, read from the registry over HTTP."""
    client = testbed.registry.client
    repository = reference.removeprefix(f"{testbed.registry.host}/").rpartition(":")[0]
    _, index = client.manifest(reference)
    entries = json.loads(index)["manifests"]
    (entry,) = [item for item in entries if f"{item['platform']['os']}/{item['platform']['architecture']}" == platform]
    _, manifest = client.manifest(f"{repository}@{entry['digest']}")
    config: dict[str, dict[str, str]] = json.loads(client.blob(repository, json.loads(manifest)["config"]["digest"]))
    return config


@pytest.mark.parametrize("builder", ["default", "two"])
def test_awkward_values_arrive_as_written(
    builder: str, testbed: Testbed, run_mpbake: RunMpbake, docker: Docker, repository: str, tmp_path: Path
) -> None:
    expected = AWKWARD
    plan = {
        "version": 1,
        "targets": {
            "awkward": {
                "builder": builder,
                "context": "empty",
                "dockerfile-inline": _dockerfile(len(expected)),
                "args": {"BASE": testbed.env()["BASE_IMAGE"]} | {f"V{n}": value for n, value in enumerate(expected)},
                "labels": {f"label.{n}": value for n, value in enumerate(expected)} | {"a${b}": "key"},
                "tags": [f"{repository}:1"],
                "platforms": ["linux/amd64", "linux/arm64"],
                "push": True,
            }
        },
    }
    (tmp_path / "empty").mkdir()
    (tmp_path / "build.toml").write_text(_toml(plan) + _two_nodes(testbed))

    completed = run_mpbake(["run", "awkward"])

    assert completed.returncode == 0, completed.stderr
    labels = config_of(testbed, f"{repository}:1")["config"]["Labels"]
    assert isinstance(labels, dict)
    assert [labels[f"label.{n}"] for n in range(len(expected))] == expected
    assert labels["a${b}"] == "key"
    files = docker("run", "--rm", "--quiet", f"{repository}:1", "cat", "/values", "/inline")
    assert files == "".join(f"[{value}]\n" for value in expected) + "inline ${PATH} %{x} 'quoted' Zürich\n"


def _dockerfile(values: int) -> str:
    lines = ["ARG BASE", "FROM ${BASE}"]
    lines += [f"ARG V{n}" for n in range(values)]
    lines += [f"RUN printf '[%s]\\n' \"$V{n}\" >> /values" for n in range(values)]
    lines += ["COPY <<'END' /inline", "inline ${PATH} %{x} 'quoted' Zürich", "END"]
    return "\n".join(lines) + "\n"


def _two_nodes(testbed: Testbed) -> str:
    nodes = ""
    for name, platform in (("linux-amd64", "linux/amd64"), ("linux-arm64", "linux/arm64")):
        tls = ", ".join(f'{key} = "{testbed.certificates}/{file}"' for key, file in _FILES.items())
        nodes += f'[builders.two.nodes.{name}]\nendpoint = "{testbed.node(name).endpoint}"\n'
        nodes += f'platforms = ["{platform}"]\ntls = {{ {tls} }}\n'
    return f'\n[builders.two]\ndriver = "remote"\n{nodes}'


_FILES = {"ca": "ca.crt", "cert": "client.crt", "key": "client.key"}


def _toml(value: object, prefix: str = "") -> str:
    """Return `value` as TOML. Strings, lists and booleans of JSON have the same form in TOML."""
    assert isinstance(value, dict)
    plain = [
        f"{_key(key)} = {json.dumps(item, ensure_ascii=False)}"
        for key, item in value.items()
        if not isinstance(item, dict)
    ]
    tables = [
        f"\n[{prefix}{_key(key)}]\n{_toml(item, f'{prefix}{_key(key)}.')}"
        for key, item in value.items()
        if isinstance(item, dict)
    ]
    return "\n".join([*plain, *tables]) + "\n"


def _key(name: str) -> str:
    return json.dumps(name)


def test_annotations_of_a_split_target(
    testbed: Testbed, run_mpbake: RunMpbake, repository: str, tmp_path: Path
) -> None:
    base = testbed.env()["BASE_IMAGE"]
    (tmp_path / "build.toml").write_text(
        f"""
version = 1
[targets.web]
builder = "two"
dockerfile-inline = "FROM {base}"
platforms = ["linux/amd64", "linux/arm64"]
annotations = ["index:of.index=1", "manifest[linux/arm64]:of.arm=2", "manifest:of.all=3", "plain=4"]
tags = ["{repository}:1"]
push = true
"""
        + _two_nodes(testbed)
    )

    completed = run_mpbake(["run", "web"])

    assert completed.returncode == 0, completed.stderr
    client = testbed.registry.client
    _, index = client.manifest(f"{repository}:1")
    assert platforms_of(index) == ["linux/amd64", "linux/arm64"]
    assert json.loads(index)["annotations"] == {"of.index": "1"}
    name = repository.partition("/")[2]
    values = {}
    for entry in json.loads(index)["manifests"]:
        if entry["platform"]["os"] != "unknown":
            _, manifest = client.manifest(f"{name}@{entry['digest']}")
            values[entry["platform"]["architecture"]] = json.loads(manifest).get("annotations")
    assert values == {
        "amd64": {"of.all": "3", "plain": "4"},
        "arm64": {"of.arm": "2", "of.all": "3", "plain": "4"},
    }


def test_secret_from_the_environment_and_from_a_file(
    testbed: Testbed, run_mpbake: RunMpbake, repository: str, docker: Docker, tmp_path: Path
) -> None:
    base = testbed.env()["BASE_IMAGE"]
    (tmp_path / "token").write_text("from a file")
    for name in ("by-file", "BY_NAME"):
        (tmp_path / name).write_text("by the name of a file")
    (tmp_path / "build.toml").write_text(f"""
version = 1
[targets.web]
dockerfile-inline = '''
FROM {base}
RUN --mount=type=secret,id=one --mount=type=secret,id=two --mount=type=secret,id=BY_NAME \\
    --mount=type=secret,id=by-file \\
    for name in one two BY_NAME by-file; do wc -c < /run/secrets/$name; done > /sizes
'''
secret = ["id=one,env=MY_TOKEN", "id=two,src=token", "id=BY_NAME", "id=by-file"]
platforms = ["linux/amd64"]
tags = ["{repository}:1"]
push = true
""")

    completed = run_mpbake(["run", "web", "-v"], env={"MY_TOKEN": "hunter2-hunter2", "BY_NAME": ""})

    assert completed.returncode == 0, completed.stderr
    sizes = docker("run", "--rm", "--quiet", f"{repository}:1", "cat", "/sizes").split()
    assert sizes == ["15", "11", "0", "21"]
    assert "hunter2" not in completed.stderr + completed.stdout


def test_outputs_land_by_platform(testbed: Testbed, run_mpbake: RunMpbake, tmp_path: Path) -> None:
    base = testbed.env()["BASE_IMAGE"]
    (tmp_path / "build.toml").write_text(
        f"""
version = 1
[targets.files]
builder = "two"
dockerfile-inline = '''
FROM {base} AS build
RUN uname -m > /machine
FROM scratch
COPY --from=build /machine /machine
'''
platforms = ["linux/amd64", "linux/arm64"]
output = ["type=local,dest=out"]
"""
        + _two_nodes(testbed)
    )

    completed = run_mpbake(["run", "files"])

    assert completed.returncode == 0, completed.stderr
    assert (tmp_path / "out/linux_amd64/machine").read_text() == "x86_64\n"
    assert (tmp_path / "out/linux_arm64/machine").read_text() == "aarch64\n"


def test_load_puts_the_image_into_the_engine(
    testbed: Testbed, run_mpbake: RunMpbake, docker: Docker, unique: str, tmp_path: Path
) -> None:
    base = testbed.env()["BASE_IMAGE"]
    (tmp_path / "build.toml").write_text(f"""
version = 1
[targets.web]
dockerfile-inline = "FROM {base}"
platforms = ["linux/amd64"]
tags = ["{unique}:1"]
""")

    completed = run_mpbake(["run", "web", "--load"])

    assert completed.returncode == 0, completed.stderr
    assert docker("image", "inspect", "--format", "{{.Architecture}}", f"{unique}:1").strip() == "amd64"


def test_cache_is_written_and_read(testbed: Testbed, run_mpbake: RunMpbake, tmp_path: Path) -> None:
    base = testbed.env()["BASE_IMAGE"]
    (tmp_path / "build.toml").write_text(f"""
version = 1
[targets.web]
dockerfile-inline = '''
FROM {base}
RUN uname -m > /machine
'''
platforms = ["linux/amd64"]
cache-to = ["type=local,dest=cache"]
cache-from = ["type=local,src=cache"]
""")

    completed = run_mpbake(["run", "web"])

    assert completed.returncode == 0, completed.stderr
    assert (tmp_path / "cache/index.json").is_file()


@pytest.mark.parametrize("builder", ["default", "two"])
def test_each_platform_is_built_with_its_own_values(
    builder: str, testbed: Testbed, run_mpbake: RunMpbake, repository: str, tmp_path: Path
) -> None:
    """Platforms with different values are built separately, even on one node, and are published as one image."""
    base = testbed.env()["BASE_IMAGE"]
    image, network = (testbed.env()[name] for name in ("BUILDKIT_IMAGE", "BUILDKIT_NETWORK"))
    (tmp_path / "build.toml").write_text(
        f"""
version = 1
[defaults.builder]
image = "{image}"
network = "{network}"
[targets.web]
builder = "{builder}"
dockerfile-inline = '''
FROM {base}
ARG FLAVOUR MACHINE
RUN echo "$FLAVOUR $MACHINE" > /values
'''
platforms = ["linux/amd64", "linux/arm64"]
args = {{ FLAVOUR = "full", MACHINE = "{{{{ platform.arch }}}}" }}
labels = {{ machine = "{{{{ platform.arch }}}}", all = "same" }}
cache-to = ["type=local,dest=cache/{{{{ platform.slug }}}}"]
tags = ["{repository}:1"]
push = true
[targets.web.platform."linux/arm64"]
args = {{ FLAVOUR = "lean" }}
labels = {{ lean = "yes" }}
"""
        + _two_nodes(testbed)
    )

    completed = run_mpbake(["run", "web"])

    assert completed.returncode == 0, completed.stderr
    assert platforms_of(testbed.registry.client.manifest(f"{repository}:1")[1]) == ["linux/amd64", "linux/arm64"]
    both = ("linux/amd64", "linux/arm64")
    configs: dict[str, Any] = {name: config_of(testbed, f"{repository}:1", name) for name in both}
    assert {name: config["config"]["Labels"] for name, config in configs.items()} == {
        "linux/amd64": {"machine": "amd64", "all": "same"},
        "linux/arm64": {"machine": "arm64", "all": "same", "lean": "yes"},
    }
    history = {name: json.dumps(config["history"]) for name, config in configs.items()}
    assert "|2 FLAVOUR=full MACHINE=amd64" in history["linux/amd64"]
    assert "|2 FLAVOUR=lean MACHINE=arm64" in history["linux/arm64"]
    caches = {path.parent.name for path in (tmp_path / "cache").glob("*/index.json")}
    assert caches == {"linux-amd64", "linux-arm64"}
