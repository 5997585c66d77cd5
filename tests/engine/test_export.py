"""`docker buildx bake` reads the output of `mpbake export`, and resolves it to the same targets as mpbake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.references import parse_fields
from tests.checkout import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

PLANS = CHECKOUT / "plans"


def mpbake(folder: Path, *words: str) -> str:
    """Return the output of mpbake in `folder`."""
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-m", "mpbake", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=folder).stdout


def baked(folder: Path, definition: str, *names: str) -> dict[str, Any]:
    """Return the targets of a bake file as buildx resolves them, without the values that buildx itself adds."""
    completed = subprocess.run(
        ["docker", "buildx", "bake", "--file", "-", "--print", *names],
        input=definition,
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert completed.returncode == 0, completed.stderr
    return {name: normalised(target) for name, target in json.loads(completed.stdout)["target"].items()}


def normalised(target: dict[str, Any]) -> dict[str, Any]:
    """Return a target without empty values, and with lists of fields as newer buildx prints them.

    The description is removed, since only the target list of bake uses it.
    """
    added = {"dockerfile": "Dockerfile", "description": target.get("description", "")}
    lists = ("output", "cache-from", "cache-to", "secret", "ssh", "attest")
    attributes = {name: value for name, value in target.items() if value not in ("", [], {}, added.get(name))}
    return attributes | {name: [fields_of(item) for item in attributes[name]] for name in lists if name in attributes}


def fields_of(entry: str | dict[str, str]) -> dict[str, str]:
    return parse_fields(entry) if isinstance(entry, str) else entry


def resolved(folder: Path) -> dict[str, Any]:
    """Return the targets of a plan as mpbake resolves them: one for each platform, if the platforms differ."""
    targets = {}
    for target in json.loads(mpbake(folder, "plan", "*", "--format", "json"))["targets"]:
        for platform, variant in (target["variants"] or {"": target}).items():
            suffix = f"-{platform.replace('/', '-')}" if platform else ""
            targets[target["name"] + suffix] = normalised(
                {
                    **variant["attributes"],
                    **{name: variant[name] for name in ("args", "labels", "contexts")},
                    "tags": [tag + suffix for tag in target["tags"]],
                    "platforms": [platform] if platform else target["platforms"],
                    "output": outputs(target),
                }
            )
    return {name: relative(target, folder) for name, target in targets.items()}


def relative(value: Any, folder: Path) -> Any:
    """Return a value with paths relative to the folder of the plan, as in a bake file."""
    match value:
        case str():
            return "." if value == str(folder) else value.replace(f"{folder}/", "")
        case list():
            return [relative(item, folder) for item in value]
        case dict():
            return {key: relative(item, folder) for key, item in value.items()}
        case _:
            return value


def outputs(target: dict[str, Any]) -> list[dict[str, str] | str]:
    pushed = [{"type": "registry", **target["push_options"]}] if target["push"] else []
    return [*(["type=docker"] if target["load"] else []), *target["outputs"], *pushed]


@pytest.mark.parametrize("name", sorted(path.parent.name for path in PLANS.glob("*/build.toml")))
def test_bake_resolves_an_example_plan_to_the_same_targets(name: str) -> None:
    expected = resolved(PLANS / name)
    assert expected
    assert baked(PLANS / name, mpbake(PLANS / name, "export"), *expected) == expected


AWKWARD = r"""
version = 1
[variables]
flavours = ["full", "lean"]
[targets.all]
description = "a \"quoted\" text, ${x}, %{ if true } and {{ '{{' }}"
context = "a b"
dockerfile-inline = '''
FROM scratch
ENV PATH=${PATH}:/x
'''
contexts = { files = "files", image = "docker-image://alpine", "with.dot" = "target:base" }
args = { "A${b}" = "${upper(c)}", B = "$${d}", C = "%%{ e }", D = "back\\slash and\nline", E = "你好", F = "" }
labels = { "org.example.title" = "x" }
annotations = ["index:a=b,c"]
tags = ["localhost:5000/all:1", "localhost:5000/all"]
platforms = ["linux/amd64", "linux/arm/v7"]
target = "stage"
cache-from = ["type=local,src=cache", "type=gha,scope=x"]
cache-to = ['type=local,"dest=a,b"', "type=inline"]
secret = ["id=token,env=TOKEN", "id=file,src=secret.txt"]
output = ["type=registry,compression=zstd"]
no-cache-filter = ["stage"]
pull = true
shm-size = "1g"
ulimits = ["nofile=1:2"]
[targets.base]
[targets.row]
matrix = { v = "{{ flavours }}" }
name = "row-{{ v }}"
args = { V = "{{ v }}" }
"""


def test_bake_reads_everything_that_a_target_can_hold(tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text(AWKWARD, encoding="utf-8")
    (tmp_path / "secret.txt").touch()
    expected = resolved(tmp_path)
    targets = baked(tmp_path, mpbake(tmp_path, "export"), *expected)
    # newer buildx prints `$` and `%` of plain text escaped
    assert expected in (targets, unescaped(targets))
    assert list(targets) == ["all", "base", "row-full", "row-lean"]


def unescaped(value: Any) -> Any:
    match value:
        case str():
            return value.replace("$${", "${").replace("%%{", "%{")
        case list():
            return [unescaped(item) for item in value]
        case dict():
            return {unescaped(key): unescaped(item) for key, item in value.items()}
        case _:
            return value


def test_links_to_what_differs_lead_to_the_right_part(tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text("""
version = 1
[defaults.target]
platforms = ["linux/amd64", "linux/arm64"]
[targets.web]
contexts = { base = "target:base" }
[targets.base]
args = { ARCH = "{{ platform.arch }}" }
""")
    targets = baked(tmp_path, mpbake(tmp_path, "export", "web"), "web")
    shown = {
        name: (target["platforms"], target.get("contexts"), target.get("args")) for name, target in targets.items()
    }
    assert shown == {
        "web-linux-amd64": (["linux/amd64"], {"base": "target:base-linux-amd64"}, None),
        "web-linux-arm64": (["linux/arm64"], {"base": "target:base-linux-arm64"}, None),
        "base-linux-amd64": (["linux/amd64"], None, {"ARCH": "amd64"}),
        "base-linux-arm64": (["linux/arm64"], None, {"ARCH": "arm64"}),
    }


def test_bake_builds_what_was_exported_in_the_folder_of_the_plan(testbed_env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    (tmp_path / "build.toml").write_text("""
version = 1
[targets.web]
context = "src"
output = ["out"]
""")
    exported = mpbake(tmp_path, "export", "web")
    assert str(tmp_path) not in exported
    subprocess.run(
        ["docker", "buildx", "bake", "--file", "-", "web"],
        input=exported.encode(),
        env=testbed_env,
        cwd=tmp_path,
        check=True,
    )
    assert (tmp_path / "out/Dockerfile").read_text() == (tmp_path / "src/Dockerfile").read_text()
