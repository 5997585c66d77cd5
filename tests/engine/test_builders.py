"""Declared builders on real nodes: creation, use, drift, correction that keeps the cache, and removal."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mpbake.run.state.locks import hold_lock
from tests.checkout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from testbed.testbed import Testbed

    from tests.engine.conftest import Docker, Mpbake, RunMpbake

pytestmark = pytest.mark.one_release


@pytest.fixture
def name(unique: str, docker: Docker) -> Iterator[str]:
    """Return a builder's name. After the test everything that is left of its nodes `local` and `far` is removed."""
    builder = f"b{unique[-6:]}"
    yield builder
    for node in ("local", "far"):
        docker("rm", "--force", "--volumes", f"buildx_buildkit_{builder}-{node}")


def container_plan(testbed: Testbed, name: str, *, options: str = "", nodes: str = "local = {}") -> str:
    return f"""
version = 1
[builders.{name}]
image = "{testbed.node_image()}"
network = "host"
{options}
[builders.{name}.nodes]
{nodes}
[targets.web]
builder = "{name}"
dockerfile-inline = '''
FROM {testbed.env()["BASE_IMAGE"]}
RUN echo built
'''
platforms = ["linux/amd64"]
"""


def remote_plan(testbed: Testbed, name: str, *, platforms: str = '"linux/amd64", "linux/386"') -> str:
    certs = testbed.certificates
    tls = f'tls = {{ ca = "{certs}/ca.crt", cert = "{certs}/client.crt", key = "{certs}/client.key" }}'
    return f"""
version = 1
[builders.{name}]
driver = "remote"
[builders.{name}.nodes.amd64]
endpoint = "{testbed.node("linux-amd64").endpoint}"
platforms = [{platforms}]
{tls}
[builders.{name}.nodes.arm64]
endpoint = "{testbed.node("linux-arm64").endpoint}"
platforms = ["linux/arm64"]
{tls}
[targets.web]
builder = "{name}"
dockerfile-inline = "FROM {testbed.env()["BASE_IMAGE"]}"
platforms = ["linux/amd64", "linux/arm64"]
"""


def container_id(docker: Docker, name: str, node: str = "local") -> str:
    return docker("inspect", "--format", "{{.Id}}", f"buildx_buildkit_{name}-{node}")


def contents(*folders: str) -> dict[str, str]:
    """Return the hash of each file below the folders, by path."""
    files = sorted(path for folder in folders for path in Path(folder).rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def own(env: Mapping[str, str]) -> dict[str, str]:
    """Return the hashes of the user's docker and buildx files, except the times at which builders were last used.

    buildx must have run before: it creates some of these files when it runs for the first time.
    """
    hashes = contents(env["BUILDX_CONFIG"], env["DOCKER_CONFIG"])
    return {path: digest for path, digest in hashes.items() if "/activity/" not in path}


# --- the life of a container ------------------------------------------------------------------------------------------


def test_the_life_of_a_container(
    testbed: Testbed, testbed_env: dict[str, str], mpbake: Mpbake, docker: Docker, name: str, tmp_path: Path
) -> None:
    docker("buildx", "ls")
    before = own(testbed_env)
    plan = tmp_path / "build.toml"
    plan.write_text(container_plan(testbed, name, options='memory = "1g"'))

    assert mpbake("builders", "plan", "--detailed-exitcode", code=2).stdout == (
        f"{name} (docker-container)\n"
        f"  + create container buildx_buildkit_{name}-local: it does not exist\n"
        f"  + create builder {name}: for use by hand: docker buildx build --builder {name}\n"
        "2 to create\n"
    )
    assert own(testbed_env) == before, "a plan changes nothing"
    completed = mpbake("builders", "up")
    assert f"{name}/local: created, and answers" in completed.stderr
    assert mpbake("builders", "plan", "--detailed-exitcode").stdout.endswith("  as declared\nnothing to do\n")
    assert "running" in mpbake("builders").stdout
    assert "/4] RUN" not in mpbake("run", "web").stderr

    # Drift: the plan changes. A run only warns. `up` replaces the container and keeps its cache.
    identity = container_id(docker, name)
    plan.write_text(
        container_plan(testbed, name, options='memory = "2g"\nflags = ["--debug"]\nbuildkitd = { debug = true }')
    )
    warned = mpbake("run", "web").stderr
    assert f"warning: {name}/local runs with options that differ from the plan (config, flags, memory)" in warned
    assert container_id(docker, name) == identity
    assert mpbake("builders", "plan", "--detailed-exitcode", code=2).stdout == (
        f"{name} (docker-container)\n"
        f"  ± replace container buildx_buildkit_{name}-local: it was made with other options; its cache stays\n"
        "      config: (none) -> as declared\n"
        "      flags: others -> --debug\n"
        "      memory: 1g -> 2g\n"
        f"  ~ correct builder {name}: buildx's store has other values\n"
        f"      {name}-local: mark: another -> as declared\n"
        f"      {name}-local: flags: (none) -> --debug\n"
        f"      {name}-local: memory: 1g -> 2g\n"
        "1 to replace, 1 to correct\n"
    )
    assert container_id(docker, name) == identity
    assert f"{name}/local: recreated with its cache, and answers" in mpbake("builders", "up").stderr
    assert container_id(docker, name) != identity
    assert docker("inspect", "--format", "{{.HostConfig.Memory}}", f"buildx_buildkit_{name}-local") == f"{2 << 30}\n"
    assert "RUN echo built: cached" in mpbake("run", "--verbose", "web").stderr, "its cache is warm"
    assert mpbake("builders", "up").stdout.endswith("  as declared\n")

    # The container is stopped, started and removed.
    mpbake("builders", "stop")
    assert f"  > start container buildx_buildkit_{name}-local: it is exited\n" in mpbake("builders", "plan").stdout
    mpbake("builders", "up")
    mpbake("builders", "rm", "--keep-state")
    assert f"buildx_buildkit_{name}-local_state" in docker("volume", "ls")
    mpbake("builders", "up")
    assert "RUN echo built: cached" in mpbake("run", "--verbose", "web").stderr, "the cache was kept"
    mpbake("builders", "rm", "--keep-state")
    mpbake("builders", "rm")
    assert name not in docker("ps", "--all") + docker("volume", "ls") + docker("buildx", "ls")
    assert own(testbed_env) == before, "nothing of the user's own is changed"


def test_a_container_stays_until_its_new_image_is_there_and_its_cache_goes_though_it_is_gone(
    testbed: Testbed, testbed_env: dict[str, str], mpbake: Mpbake, docker: Docker, name: str, tmp_path: Path
) -> None:
    plan = tmp_path / "build.toml"
    plan.write_text(container_plan(testbed, name))
    mpbake("builders", "up")
    identity, before = container_id(docker, name), own(testbed_env)
    plan.write_text(container_plan(testbed, name).replace(testbed.node_image(), f"{testbed.registry.host}/no/such:1"))
    assert '  = set image = "…" in the builder' in mpbake("builders", "up", code=5).stderr
    assert container_id(docker, name) == identity
    assert own(testbed_env) == before
    docker("rm", "--force", identity.strip())
    assert f"{name}/local: its container was gone; its cache is removed" in mpbake("builders", "rm").stderr
    assert name not in docker("volume", "ls") + docker("buildx", "ls")


def test_a_volume_that_somebody_else_made_is_neither_used_nor_removed(
    testbed: Testbed, mpbake: Mpbake, docker: Docker, name: str, tmp_path: Path
) -> None:
    (tmp_path / "build.toml").write_text(container_plan(testbed, name))
    volume = f"buildx_buildkit_{name}-local_state"
    docker("volume", "create", "--label", "theirs=yes", volume)
    foreign = f"{name}/local: mpbake did not make the volume {volume}, and leaves it unchanged"
    for command in (("builders", "plan"), ("builders", "up"), ("run", "web")):
        assert foreign in mpbake(*command, code=3).stderr
    assert foreign in mpbake("builders").stdout
    mpbake("builders", "rm")
    docker("volume", "inspect", volume)
    assert name not in docker("ps", "--all")

    # A volume of the right name exists that mpbake did not make: either a user replaced mpbake's volume, or the volume
    # is older than the marks of volumes.
    docker("volume", "rm", volume)
    mpbake("builders", "up")
    assert "mpbake-node" in docker("volume", "inspect", volume)
    docker("rm", "--force", f"buildx_buildkit_{name}-local")
    docker("volume", "rm", volume)
    docker("volume", "create", volume)
    stays = f"{name}/local: the volume {volume} stays: mpbake did not make it; to remove it: docker volume rm {volume}"
    assert stays in mpbake("builders", "rm").stderr
    docker("volume", "rm", volume)


def test_an_image_that_looks_like_an_option_is_none(
    testbed: Testbed, mpbake: Mpbake, docker: Docker, name: str, tmp_path: Path
) -> None:
    plan = tmp_path / "build.toml"
    plan.write_text(container_plan(testbed, name))
    mpbake("builders", "up")
    identity = container_id(docker, name)
    plan.write_text(container_plan(testbed, name).replace(testbed.node_image(), "--help"))
    assert "invalid reference format" in mpbake("builders", "up", code=5).stderr
    assert container_id(docker, name) == identity
    mpbake("builders", "rm")


def test_a_damaged_record_holds_up_nothing(
    testbed: Testbed, mpbake: Mpbake, docker: Docker, name: str, tmp_path: Path
) -> None:
    plan = tmp_path / "build.toml"
    plan.write_text(container_plan(testbed, name))
    records = tmp_path / "state/mpbake/builders"
    records.mkdir(parents=True)
    damaged = [records / "a.json", records / "b.json"]
    damaged[0].write_text('{"format": 1, "builder": "a", "plan": "/p", "nodes": [{"name": 5}]}')
    damaged[1].mkdir()
    mpbake("builders", "up")
    for command in ("rm", "prune"):
        warnings = mpbake("builders", command).stderr
        for path in damaged:
            assert (
                f"warning: {path} is damaged: mpbake does not know which nodes it records\n  = remove the file"
                in warnings
            )
    assert name not in docker("ps", "--all") + docker("volume", "ls")


def test_the_life_of_remote_nodes(
    testbed: Testbed, testbed_env: dict[str, str], mpbake: Mpbake, docker: Docker, name: str, tmp_path: Path
) -> None:
    docker("buildx", "ls")
    before = own(testbed_env)
    plan = tmp_path / "build.toml"
    plan.write_text(remote_plan(testbed, name))
    mpbake("builders", "up")
    seen = docker("buildx", "inspect", name)
    assert "linux/amd64*, linux/386*" in seen
    assert "linux/arm64*" in seen
    mpbake("run", "web")

    plan.write_text(remote_plan(testbed, name, platforms='"linux/amd64"'))
    assert mpbake("builders", "plan").stdout == (
        f"{name} (remote)\n"
        f"  ~ correct builder {name}: buildx's store has other values\n"
        f"      {name}-amd64: platforms: linux/amd64, linux/386 -> linux/amd64\n"
        "1 to correct\n"
    )
    mpbake("builders", "up")
    assert "linux/386*" not in docker("buildx", "inspect", name)
    mpbake("builders", "rm")
    assert own(testbed_env) == before


def test_a_builder_that_becomes_the_engines_own(
    testbed: Testbed, testbed_env: dict[str, str], mpbake: Mpbake, docker: Docker, name: str, tmp_path: Path
) -> None:
    docker("buildx", "ls")
    before = own(testbed_env)
    plan = tmp_path / "build.toml"
    plan.write_text(container_plan(testbed, name))
    mpbake("builders", "up")
    plan.write_text(f'version = 1\n[builders.{name}]\ndriver = "docker"\n[targets.web]\nbuilder = "{name}"\n')
    assert f"  - remove builder {name}: " in mpbake("builders", "plan", "--detailed-exitcode", code=2).stdout
    assert "entry: driver" in mpbake("builders").stdout
    assert f"{name}: removed from buildx's store" in mpbake("builders", "up").stderr
    assert own(testbed_env) == before
    assert mpbake("builders", "up").stdout.endswith("  as declared\n")
    assert f"{name}/local: container removed, and its cache" in mpbake("builders", "prune").stderr


def test_a_container_on_another_machine(
    testbed: Testbed, mpbake: Mpbake, docker: Docker, name: str, tmp_path: Path
) -> None:
    plan = tmp_path / "build.toml"
    plan.write_text(container_plan(testbed, name, nodes=f'far = {{ endpoint = "{testbed.ssh.endpoint}" }}'))
    mpbake("builders", "up")
    mpbake("run", "web")
    plan.write_text(
        container_plan(testbed, name, nodes=f'far = {{ endpoint = "{testbed.ssh.endpoint}", env = {{ A = "b,c" }} }}')
    )
    assert "      env.A: (none) -> as declared\n" in mpbake("builders", "plan").stdout
    mpbake("builders", "up")
    assert "A=b,c" in docker("inspect", f"buildx_buildkit_{name}-far")
    mpbake("builders", "rm")
    assert name not in docker("ps", "--all")


def test_another_machine_sees_drift_by_the_mark(
    testbed: Testbed, mpbake: Mpbake, run_mpbake: RunMpbake, name: str, tmp_path: Path
) -> None:
    """The other machine has no record of the node. It reads the declared options from the mark of the container."""
    plan = tmp_path / "build.toml"
    plan.write_text(container_plan(testbed, name, options='memory = "1g"'))
    mpbake("builders", "up")
    plan.write_text(container_plan(testbed, name, options='memory = "2g"'))
    elsewhere = {"XDG_STATE_HOME": str(tmp_path / "other"), "BUILDX_CONFIG": str(tmp_path / "buildx")}
    completed = run_mpbake(["builders", "plan"], env=elsewhere)
    assert "      memory: 1g -> 2g\n" in completed.stdout


def test_nodes_that_left_the_plan_are_pruned(
    testbed: Testbed, mpbake: Mpbake, docker: Docker, name: str, tmp_path: Path
) -> None:
    plan = tmp_path / "build.toml"
    plan.write_text(
        container_plan(testbed, name, nodes=f'local = {{}}\nfar = {{ endpoint = "{testbed.ssh.endpoint}" }}')
    )
    mpbake("builders", "up")
    plan.write_text(container_plan(testbed, name))
    assert f"{name}/far: container removed, and its cache" in mpbake("builders", "prune").stderr
    assert f"{name}-far" not in docker("ps", "--all") + docker("buildx", "ls")
    assert container_id(docker, name)
    assert mpbake("builders", "prune").stdout == "nothing to do\n"
    plan.write_text("version = 1\n[targets.web]\n")
    mpbake("builders", "prune")
    assert name not in docker("ps", "--all") + docker("buildx", "ls")


def test_a_node_that_is_reached_in_another_way_is_not_pruned(
    testbed: Testbed, mpbake: Mpbake, docker: Docker, name: str, tmp_path: Path
) -> None:
    plan = tmp_path / "build.toml"
    plan.write_text(container_plan(testbed, name))
    mpbake("builders", "up")
    identity = container_id(docker, name)
    plan.write_text(container_plan(testbed, name, nodes=f'local = {{ endpoint = "{testbed.ssh.endpoint}" }}'))
    assert f"its container stays, since {name}/local uses it" in mpbake("builders", "prune").stderr
    assert container_id(docker, name) == identity
    assert f"buildx_buildkit_{name}-local_state" in docker("volume", "ls")
    assert mpbake("builders", "prune").stdout == "nothing to do\n"
    mpbake("builders", "rm")


def test_what_a_run_made_is_pruned_too(
    testbed: Testbed, mpbake: Mpbake, docker: Docker, name: str, tmp_path: Path
) -> None:
    plan = tmp_path / "build.toml"
    plan.write_text(container_plan(testbed, name))
    assert f"bootstrap {name}/local: done" in mpbake("run", "web").stderr
    assert container_id(docker, name)
    plan.write_text("version = 1\n[targets.web]\n")
    assert f"{name}/local: container removed, and its cache" in mpbake("builders", "prune").stderr
    assert name not in docker("ps", "--all")


# --- mpbake leaves foreign things unchanged ---------------------------------------------------------------------------


def test_what_somebody_else_made_is_left_as_it_is(
    testbed: Testbed, mpbake: Mpbake, docker: Docker, name: str, tmp_path: Path
) -> None:
    plan = tmp_path / "build.toml"
    plan.write_text(container_plan(testbed, name))
    docker("create", "--name", f"buildx_buildkit_{name}-local", testbed.env()["BASE_IMAGE"], "true")
    docker("buildx", "create", "--name", name, "--driver", "remote", "tcp://127.0.0.1:9")
    try:
        before = docker("inspect", f"buildx_buildkit_{name}-local")
        for command in ("plan", "up"):
            completed = mpbake("builders", command, code=3)
            assert f"mpbake did not make the container buildx_buildkit_{name}-local, and leaves it" in completed.stderr
            assert (
                f"mpbake did not make the builder {name} in buildx's store, and leaves it unchanged" in completed.stderr
            )
        mpbake("builders", "stop", code=3)
        mpbake("builders", "rm", code=3)
        assert docker("inspect", f"buildx_buildkit_{name}-local") == before
        assert "tcp://127.0.0.1:9" in docker("buildx", "inspect", name)
    finally:
        docker("buildx", "rm", "--force", name)


def test_somebody_elses_builder_stays_after_a_run_with_one_of_its_name(
    testbed: Testbed, mpbake: Mpbake, docker: Docker, name: str, tmp_path: Path
) -> None:
    (tmp_path / "build.toml").write_text(container_plan(testbed, name))
    docker("buildx", "create", "--name", name, "--driver", "remote", "tcp://127.0.0.1:9")
    try:
        mpbake("run", "web")
        for _ in range(2):
            assert (
                f"mpbake did not make the builder {name} in buildx's store" in mpbake("builders", "up", code=3).stderr
            )
        messages = mpbake("builders", "rm").stderr
        assert f"{name}: the builder of that name in buildx's store stays: mpbake did not make it" in messages
        assert "tcp://127.0.0.1:9" in docker("buildx", "inspect", name)
    finally:
        docker("buildx", "rm", "--force", name)


def test_a_node_that_builds_is_not_replaced(
    testbed: Testbed, mpbake: Mpbake, docker: Docker, testbed_env: dict[str, str], name: str, tmp_path: Path
) -> None:
    plan = tmp_path / "build.toml"
    plan.write_text(container_plan(testbed, name).replace("RUN echo built", "RUN sleep 12"))
    mpbake("builders", "up")
    identity = container_id(docker, name)
    env = {**testbed_env, "PYTHONPATH": str(CHECKOUT)}
    other = tmp_path / "other.toml"
    other.write_text(container_plan(testbed, name, options='memory = "2g"'))
    command = (sys.executable, "-m", "mpbake", "run", "web")
    with subprocess.Popen(command, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True) as build:
        assert build.stderr is not None
        assert any("RUN sleep" in line for line in build.stderr)
        completed = mpbake("builders", "up", "-f", "other.toml", code=4)
        message = f"{name}/local: a build runs in buildx_buildkit_{name}-local, so mpbake leaves it unchanged"
        assert message in completed.stderr
        assert container_id(docker, name) == identity
        build.stderr.read()
        assert build.wait() == 0
    mpbake("builders", "up", "-f", "other.toml")
    assert container_id(docker, name) != identity


def test_a_dead_node_delays_nobody(testbed: Testbed, mpbake: Mpbake, unique: str, name: str, tmp_path: Path) -> None:
    dead = testbed.add_node(unique)
    dead.stop()
    plan = tmp_path / "build.toml"
    plan.write_text(remote_plan(testbed, name).replace(testbed.node("linux-arm64").endpoint, dead.endpoint))
    began = time.monotonic()
    completed = mpbake("builders", "up", code=5)
    assert time.monotonic() - began < 10
    assert f"node {name}/arm64 does not answer at {dead.endpoint}" in completed.stderr
    assert f"{name}-amd64" in Path(testbed.env()["BUILDX_CONFIG"], "instances", name).read_text()
    mpbake("builders", "rm")


# --- traps of buildx --------------------------------------------------------------------------------------------------


def test_nodes_of_the_same_platform_all_keep_it(
    testbed: Testbed, mpbake: Mpbake, docker: Docker, name: str, tmp_path: Path
) -> None:
    """With `buildx create --append`, a second node would take the platform away from the first."""
    plan = tmp_path / "build.toml"
    plan.write_text(remote_plan(testbed, name).replace('["linux/arm64"]\ntls', '["linux/amd64"]\ntls'))
    mpbake("builders", "up")
    assert docker("buildx", "inspect", name).count("linux/amd64*") == 2
    mpbake("builders", "rm")


def test_the_users_current_builder_stays(
    testbed: Testbed, mpbake: Mpbake, docker: Docker, name: str, tmp_path: Path
) -> None:
    docker("buildx", "create", "--name", f"users-{name}", "--driver", "remote", "--use", "tcp://127.0.0.1:9")
    try:
        current = Path(testbed.env()["BUILDX_CONFIG"], "current").read_bytes()
        (tmp_path / "build.toml").write_text(container_plan(testbed, name))
        for command in ("up", "rm"):
            mpbake("builders", command)
            assert Path(testbed.env()["BUILDX_CONFIG"], "current").read_bytes() == current
    finally:
        docker("buildx", "rm", "--force", f"users-{name}")


def test_a_damaged_entry_is_written_anew(
    testbed: Testbed, mpbake: Mpbake, docker: Docker, name: str, tmp_path: Path
) -> None:
    plan = tmp_path / "build.toml"
    plan.write_text(remote_plan(testbed, name))
    mpbake("builders", "up")
    path = Path(testbed.env()["BUILDX_CONFIG"], "instances", name)
    entry = json.loads(path.read_text())
    entry["Nodes"][1]["Platforms"] = None
    path.write_text(json.dumps(entry))
    assert f"{name}-arm64: platforms: (none) -> linux/arm64" in mpbake("builders", "plan").stdout
    mpbake("builders", "up")
    assert "linux/arm64*" in docker("buildx", "inspect", name)
    mpbake("builders", "rm")


# --- several processes at the same time -------------------------------------------------------------------------------


def _at_once(mpbake: Mpbake, commands: Sequence[tuple[str, ...]]) -> list[subprocess.CompletedProcess[str]]:
    results: list[subprocess.CompletedProcess[str]] = []
    threads = [
        threading.Thread(target=lambda arguments=arguments: results.append(mpbake(*arguments)))
        for arguments in commands
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_two_at_once(testbed: Testbed, mpbake: Mpbake, name: str, tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text(container_plan(testbed, name))
    results = _at_once(mpbake, [("builders", "up")] * 2)
    assert len(results) == 2
    assert sorted("+ create" in result.stdout for result in results) == [False, True], "the second finds nothing to do"
    assert any(f"{name}: another mpbake works on it, waiting" in result.stderr for result in results)
    mpbake("builders", "rm")


def test_no_run_starts_while_builders_are_removed(
    testbed: Testbed, testbed_env: dict[str, str], mpbake: Mpbake, docker: Docker, name: str, tmp_path: Path
) -> None:
    (tmp_path / "build.toml").write_text(container_plan(testbed, name))
    mpbake("builders", "up")
    with ThreadPoolExecutor() as threads, hold_lock(testbed_env, f"node-{name}-local"):
        removal = threads.submit(mpbake, "builders", "rm")
        while not (tmp_path / ".mpbake/lock").exists():
            assert not removal.done()
            time.sleep(0.05)
        time.sleep(0.5)
        assert "another mpbake works on this plan" in mpbake("run", "web", code=4).stderr
        assert not removal.done()
    assert name not in docker("ps", "--all") + docker("volume", "ls")
    mpbake("run", "web")
    mpbake("builders", "rm")


@pytest.mark.long
def test_no_run_loses_its_node_to_a_removal(testbed: Testbed, run_mpbake: RunMpbake, name: str, tmp_path: Path) -> None:
    """A run starts together with `up` and `rm`.

    Either the run or the removal gets an error, or both succeed one after the other.
    """
    (tmp_path / "build.toml").write_text(container_plan(testbed, name))
    for _ in range(20):
        with ThreadPoolExecutor() as threads:
            commands = (["builders", "up"], ["run", "web", "--no-cache"], ["builders", "rm"])
            up, run, removal = threads.map(run_mpbake, commands)
        assert up.returncode == 0, up.stderr
        assert (run.returncode, removal.returncode) in {(0, 4), (4, 0), (0, 0)}, run.stderr + removal.stderr
    assert run_mpbake(["builders", "rm"]).returncode == 0


@pytest.mark.long
def test_two_at_once_again_and_again(testbed: Testbed, mpbake: Mpbake, name: str, tmp_path: Path) -> None:
    for turn in range(20):
        (tmp_path / "build.toml").write_text(container_plan(testbed, name, options=f'env.TURN = "{turn}"'))
        assert len(_at_once(mpbake, [("builders", "up")] * 2)) == 2
        assert mpbake("builders", "plan", "--detailed-exitcode").stdout.endswith("nothing to do\n")
    mpbake("builders", "rm")


# --- foreign builders -------------------------------------------------------------------------------------------------


def external_plan(testbed: Testbed, name: str) -> str:
    return f"""
version = 1
[builders.{name}]
external = true
[targets.web]
builder = "{name}"
dockerfile-inline = "FROM {testbed.env()["BASE_IMAGE"]}"
platforms = ["linux/amd64", "linux/arm64"]
tags = ["{testbed.registry.host}/{name}:1"]
push = true
"""


def test_a_remote_builder_of_somebody_else(
    testbed: Testbed, testbed_env: dict[str, str], mpbake: Mpbake, docker: Docker, name: str, tmp_path: Path
) -> None:
    certs = testbed.certificates
    options = f"cacert={certs}/ca.crt,cert={certs}/client.crt,key={certs}/client.key"
    create = ("buildx", "create", "--name", name, "--driver", "remote", "--driver-opt", options)
    amd64, arm64 = testbed.node("linux-amd64"), testbed.node("linux-arm64")
    docker(*create, "--node", "one", "--platform", "linux/amd64", amd64.endpoint)
    docker(*create, "--append", "--node", "two", "--platform", "linux/arm64", arm64.endpoint)
    try:
        amd64.forget()
        arm64.forget()
        before = own(testbed_env)
        (tmp_path / "build.toml").write_text(external_plan(testbed, name))
        assert f"{name}/two" in mpbake("plan", "web").stdout
        mpbake("run", "web")
        assert [build.platforms for build in amd64.builds()] == [("linux/amd64",)]
        assert [build.platforms for build in arm64.builds()] == [("linux/arm64",)]
        assert f"{name}/one" in mpbake("builders").stdout
        mpbake("builders", "up")
        assert f'builder "{name}" is external' in mpbake("builders", "rm", name, code=3).stderr
        mpbake("builders", "rm")
        assert own(testbed_env) == before
    finally:
        docker("buildx", "rm", "--force", name)


def test_a_container_of_somebody_else_is_booted_through_its_own_builder(
    testbed: Testbed, mpbake: Mpbake, docker: Docker, name: str, tmp_path: Path
) -> None:
    options = f"image={testbed.node_image()},network=host"
    docker("buildx", "create", "--name", name, "--node", f"{name}x", "--driver-opt", options)
    try:
        (tmp_path / "build.toml").write_text(external_plan(testbed, name))
        for _ in range(2):
            mpbake("run", "web")
        assert "MPBAKE_NODE" not in docker("inspect", f"buildx_buildkit_{name}x")
        docker("stop", "--time", "1", f"buildx_buildkit_{name}x")
        for _ in range(2):
            assert re.search(rf"^{name}/{name}x .* stopped ", mpbake("builders").stdout, re.MULTILINE), "not started"
        mpbake("run", "web")
        assert re.search(rf"^{name}/{name}x .* running ", mpbake("builders").stdout, re.MULTILINE)
    finally:
        docker("buildx", "rm", "--force", name)


def test_a_builder_of_which_mpbake_knows_nothing_is_left_to_buildx(
    testbed: Testbed, testbed_env: dict[str, str], mpbake: Mpbake, docker: Docker, name: str, tmp_path: Path
) -> None:
    """A builder without nodes in its entry, as that of a hosted service. Here it is a container."""
    docker("buildx", "create", "--name", name, "--driver-opt", f"image={testbed.node_image()},network=host")
    kept = Path(testbed_env["BUILDX_CONFIG"]) / "instances" / name
    entry = json.loads(kept.read_bytes())
    (tmp_path / "build.toml").write_text(external_plan(testbed, name))
    try:
        kept.write_text(json.dumps(entry | {"Nodes": None}))
        plan_output = mpbake("plan", "web").stdout
        assert f"warning: {name}: buildx, not mpbake, assigns platforms to the nodes of this builder" in plan_output
        kept.write_text(json.dumps(entry))
    finally:
        docker("buildx", "rm", "--force", name)


@pytest.mark.parametrize("kind", ["default", "context"])
def test_an_engine_s_own_builder_that_is_external(
    kind: str, testbed: Testbed, mpbake: Mpbake, docker: Docker, name: str, tmp_path: Path
) -> None:
    """The builder cannot push by digest. Even so, mpbake moves the tags only to complete images."""
    builder = name if kind == "context" else "default"
    repository = f"{testbed.registry.host}/{name}"
    plan = external_plan(testbed, builder).replace(f"/{builder}:1", f"/{name}:1")
    (tmp_path / "build.toml").write_text(f"""{plan}
[targets.checked]
inherits = ["web"]
tags = ["{repository}:2", "{repository}/copy:2"]
checks = [{{ run = ["true"] }}]
""")
    if kind == "context":
        docker("context", "create", name, "--docker", f"host={testbed.engine.host}")
    try:
        completed = mpbake("run", "web", "checked")
        assert "buildx, not mpbake, assigns platforms" not in completed.stderr
        assert ("unknown builder" in completed.stderr) is (kind == "context")
        assert testbed.registry.client.manifest(f"{name}:2") == testbed.registry.client.manifest(f"{name}/copy:2")
        mpbake("verify", "web", "checked")
        assert re.search(rf"^{builder}/{builder} .* running ", mpbake("builders").stdout, re.MULTILINE)
    finally:
        if kind == "context":
            docker("context", "rm", "--force", name)


def test_an_external_builder_that_is_not_there(mpbake: Mpbake, testbed: Testbed, name: str, tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text(external_plan(testbed, name))
    errors = mpbake("run", "web", code=5).stderr
    assert f'node {name}/{name} (docker, {name}) cannot be used: no builder "{name}" found\n' in errors
    assert "  = run `docker buildx ls` to see its name; without external = true, mpbake makes a builder\n" in errors
    assert f"warning: {name}: unknown builder" in errors
    assert "buildx, not mpbake, assigns platforms" not in errors


def test_a_remote_node_in_a_container(
    testbed: Testbed, mpbake: Mpbake, docker: Docker, name: str, tmp_path: Path
) -> None:
    (tmp_path / "build.toml").write_text(f"""
version = 1
[builders.{name}]
driver = "remote"
nodes.one = {{ endpoint = "docker-container://{name}", platforms = ["linux/amd64"] }}
[targets.web]
builder = "{name}"
dockerfile-inline = "FROM {testbed.env()["BASE_IMAGE"]}"
""")
    assert f"the container {name} does not exist" in mpbake("builders", "up", code=5).stderr
    docker("run", "--detach", "--privileged", "--network", "host", "--name", name, testbed.node_image())
    try:
        mpbake("builders", "up")
        mpbake("run", "web")
        docker("stop", "--time", "1", name)
        assert f"the container {name} is exited" in mpbake("run", "web", code=5).stderr
        mpbake("builders", "rm")
        assert name in docker("ps", "--all"), "it is not mpbake's"
    finally:
        docker("rm", "--force", "--volumes", name)
