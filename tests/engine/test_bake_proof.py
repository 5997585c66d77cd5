"""`mpbake import` with the real buildx, which needs no engine: the proof, and what buildx may see and do."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.checkout import CHECKOUT, DOCS

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLUGINS = ("/usr/libexec/docker/cli-plugins", "/usr/lib/docker/cli-plugins", "/usr/local/lib/docker/cli-plugins")
FILE = """
variable "TAG" { default = "dev" }
variable "DEBUG" { default = false }

group "default" { targets = ["web", "rows"] }

target "_base" {
  args   = { BASE = null, ONE = "$${x}" }
  secret = ["id=npm,src=secrets/npmrc", "type=env,id=token,src=TOKEN"]
}

target "web" {
  inherits   = ["_base"]
  context    = "https://github.com/example/web.git#main"
  contexts   = { image = "docker-image://registry.invalid/base:1", dep = "target:dep" }
  tags       = ["registry.invalid/web:${TAG}", DEBUG ? "registry.invalid/web:debug" : ""]
  ssh        = ["default"]
  cache-from = ["type=s3,region=eu-1,bucket=b", "type=gha,scope=web", "type=registry,ref=registry.invalid/cache"]
  output     = ["type=registry"]
  platforms  = ["linux/amd64", "linux/arm64/v8"]
}

target "dep" {
  context           = "./dep/"
  dockerfile-inline = "FROM scratch"
}

target "rows" {
  matrix = { v = ["1", "2"] }
  name   = "rows-${v}"
  args   = { V = v, HASH = bcrypt(v) }
}
"""


@pytest.fixture(scope="module")
def docker_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a configuration of docker with the buildx under test."""
    named = os.environ.get("MPBAKE_TEST_BUILDX")
    candidates = [named] if named else [f"{folder}/docker-buildx" for folder in _PLUGINS]
    plugin = next(Path(path) for path in candidates if Path(path).is_file())
    return config_with(plugin, tmp_path_factory.mktemp("docker"))


def config_with(plugin: Path, folder: Path) -> Path:
    (folder / "cli-plugins").mkdir()
    (folder / "cli-plugins/docker-buildx").symlink_to(plugin)
    return folder


def environment_of(config: Path, **values: str) -> Mapping[str, str]:
    passed = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {
        **passed,
        "PYTHONPATH": str(CHECKOUT),
        "DOCKER_CONFIG": str(config),
        "DOCKER_HOST": "tcp://127.0.0.1:1",
        **values,
    }


def command_of(*words: str) -> list[str]:
    return [sys.executable, "-m", "mpbake", "import", *words]


def imported(folder: Path, config: Path, *words: str, **values: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command_of(*words),
        cwd=folder,
        env=environment_of(config, **values),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def result_of(folder: Path, config: Path, **values: str) -> dict[str, Any]:
    completed = imported(folder, config, "--dry-run", "--format", "json", **values)
    assert completed.returncode in {0, 1}, completed.stderr
    result: dict[str, Any] = json.loads(completed.stdout)
    return result


def test_a_file_of_somebody_else_is_compared_without_secrets_agent_engine_and_network(
    tmp_path: Path, docker_config: Path
) -> None:
    (tmp_path / "docker-bake.hcl").write_text(FILE)
    started = time.monotonic()
    completed = imported(tmp_path, docker_config, "--format", "json")
    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert time.monotonic() - started < 100, "a request to the network would wait"
    result = json.loads(completed.stdout)
    assert [target["name"] for target in result["targets"]] == ["dep", "rows-1", "rows-2", "web"]
    assert [variable["verdict"] for variable in result["variables"]] == ["equal", "equal"]
    assert result["varying"] == [["target", "rows-1", "args.HASH"], ["target", "rows-2", "args.HASH"]]
    assert [entry["expression"] for entry in result["frozen"]] == ["bcrypt(v)"]
    plan = (tmp_path / "build.toml").read_text()
    assert plan == result["text"]
    assert "# bake: bcrypt(v)\n" in plan
    assert sorted(path.name for path in tmp_path.iterdir()) == ["build.toml", "docker-bake.hcl"]


def test_values_of_the_environment_reach_both_sides_and_not_the_plan(tmp_path: Path, docker_config: Path) -> None:
    (tmp_path / "docker-bake.hcl").write_text(FILE.replace(", HASH = bcrypt(v)", ""))
    result = result_of(tmp_path, docker_config, TAG="from-shell", DEBUG="1")
    assert result["equal"] is True
    assert "from-shell" not in result["text"]
    assert 'tag = { default = "dev", env = "TAG" }\n' in result["text"]
    assert {run["value"] for run in result["comparisons"] if run["variable"] == "TAG"} == {"from-shell2", ""}


def test_a_file_that_bake_refuses_is_not_compared(tmp_path: Path, docker_config: Path) -> None:
    (tmp_path / "docker-bake.hcl").write_text('target "web" {\n  args = { A = 1 + "x" }\n}\n')
    completed = imported(tmp_path, docker_config)
    assert completed.returncode in {1, 3}
    assert "docker-bake.hcl:2" in completed.stdout + completed.stderr


def test_a_docker_without_buildx_compares_nothing(tmp_path: Path) -> None:
    (tmp_path / "docker-bake.hcl").write_text('target "web" {}\n')
    (tmp_path / "bin").mkdir()
    docker = tmp_path / "bin/docker"
    docker.write_text("#!/bin/sh\necho '[]'\n")
    docker.chmod(0o755)
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    completed = imported(tmp_path, tmp_path, PATH=path)
    assert completed.returncode == 5, completed.stderr
    assert "nothing was compared: docker has no buildx\n" in completed.stdout
    assert (tmp_path / "build.toml").is_file()


def test_ctrl_c_ends_buildx_and_writes_nothing(tmp_path: Path) -> None:
    plugin = tmp_path / "slow-buildx"
    plugin.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        """  docker-cli-plugin-metadata) echo '{"SchemaVersion":"0.1.0","Vendor":"x","Version":"v0.36.0"}' ;;\n"""
        "  version) echo github.com/docker/buildx v0.36.0 abc ;;\n"
        f"  *) echo $$ >'{tmp_path}/pid'; exec sleep 60 ;;\n"
        "esac\n"
    )
    plugin.chmod(0o755)
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "docker-bake.hcl").write_text('target "web" {}\n')
    (tmp_path / "docker").mkdir()
    config = config_with(plugin, tmp_path / "docker")
    env = environment_of(config)
    process = subprocess.Popen(
        command_of(), cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "pid").is_file() or not (tmp_path / "pid").read_text().strip():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stdout and process.stdout.read()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert [path.name for path in folder.iterdir()] == ["docker-bake.hcl"]
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.skipif("MPBAKE_TEST_BUILDX" not in os.environ, reason="buildx 0.13 knows no validation")
def test_the_page_about_leaving_bake_shows_what_the_import_prints(tmp_path: Path, docker_config: Path) -> None:
    page = (DOCS / "bake.md").read_text(encoding="utf-8")
    (before,) = re.findall(r"^```hcl\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (shown,) = re.findall(r"^   ```console\n(.*?)^   ```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "docker-bake.hcl").write_text(before)
    completed = imported(tmp_path, docker_config)
    printed = f"$ mpbake import\n{completed.stdout}"
    if os.environ.get("UPDATE_GOLDEN"):
        block = "".join(f"   {line}".rstrip() + "\n" for line in printed.splitlines())
        (DOCS / "bake.md").write_text(page.replace(shown, block), encoding="utf-8")
        return
    version = re.compile(r"buildx [\d.]+")
    expected = "".join(f"{line.removeprefix('   ')}\n" for line in shown.splitlines())
    assert version.sub("buildx", printed) == version.sub("buildx", expected)
    assert completed.returncode == 0
    assert shutil.which("docker"), "mpbake asks docker where buildx is"
