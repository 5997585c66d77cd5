"""Failures: mpbake reports them, skips only the steps that depend on them, and leaves no process running."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.checkout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from testbed.testbed import Testbed

    from tests.engine.conftest import RunMpbake

NOWHERE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}


def simple_plan(testbed: Testbed, lines: str = "") -> str:
    return f"""
version = 1
[targets.web]
dockerfile-inline = '''
FROM {testbed.env()["BASE_IMAGE"]}
{lines}
'''
platforms = ["linux/amd64"]
"""


def path_with_docker(folder: Path, script: str) -> str:
    """Return a PATH with `docker`, which is `script`, and a shell, but no other program."""
    folder.mkdir()
    (folder / "docker").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "docker").chmod(0o755)
    return str(folder)


@pytest.mark.one_release
def test_no_docker_command(testbed: Testbed, run_mpbake: RunMpbake, tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text(simple_plan(testbed))
    (tmp_path / "empty").mkdir()
    completed = run_mpbake(["run", "web"], env={"PATH": str(tmp_path / "empty")})
    assert completed.returncode == 5
    assert completed.stderr == (
        "error: the docker command was not found\n"
        "  = install Docker (https://docs.docker.com/get-docker/), or put docker on the PATH\n"
    )


@pytest.mark.one_release
def test_engine_down(testbed: Testbed, run_mpbake: RunMpbake, tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text(simple_plan(testbed))
    completed = run_mpbake(["run", "web"], env=NOWHERE)
    assert completed.returncode == 5
    assert "error: bootstrap default/local: the Docker engine does not answer: Cannot connect to" in completed.stderr
    assert "try: docker info" in completed.stderr
    assert "Traceback" not in completed.stderr


@pytest.mark.one_release
def test_hanging_engine_is_left_at_the_first_signal(testbed_env: dict[str, str], tmp_path: Path) -> None:
    """The socket accepts connections and never answers, like the socket of a stopped engine."""
    (tmp_path / "build.toml").write_text('version = 1\n[targets.web]\ndockerfile-inline = "FROM scratch"\n')
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        process = subprocess.Popen(
            [sys.executable, "-m", "mpbake", "run", "web"],
            cwd=tmp_path,
            env={**testbed_env, "PYTHONPATH": str(CHECKOUT), "DOCKER_HOST": f"unix://{tmp_path}/s"},
            stderr=subprocess.PIPE,
            text=True,
        )
        listener.settimeout(60)
        connection, _ = listener.accept()  # the docker process that mpbake has started
        with connection:
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=10)
    assert process.returncode == 143
    assert "Traceback" not in errors
    assert descendants(tmp_path) == []


def test_one_dead_node_costs_only_its_own_targets(
    testbed: Testbed, run_mpbake: RunMpbake, repository: str, tmp_path: Path
) -> None:
    base = testbed.env()["BASE_IMAGE"]
    (tmp_path / "build.toml").write_text(f"""
version = 1
[builders.dead]
driver = "remote"
[builders.dead.nodes.far]
endpoint = "tcp://127.0.0.1:9"
[targets.lost]
builder = "dead"
dockerfile-inline = "FROM scratch"
[targets.good]
dockerfile-inline = "FROM {base}"
platforms = ["linux/amd64"]
tags = ["{repository}:1"]
push = true
""")
    completed = run_mpbake(["run", "good", "lost"])
    assert completed.returncode == 5, completed.stderr
    assert "2 targets: 1 done, 1 skipped" in completed.stdout
    assert testbed.registry.client.has(f"{repository}:1")


@pytest.mark.one_release
def test_missing_files_are_told_before_anything_starts(run_mpbake: RunMpbake, tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text("""
version = 1
[targets.web]
context = "nowhere"
[targets.api]
dockerfile = "Other.Dockerfile"
secret = ["id=a,src=none", "id=NEITHER"]
""")
    completed = run_mpbake(["run", "*"], env=NOWHERE)
    assert completed.returncode == 3
    assert f"build.toml:4:11: targets.web.context: web: there is no folder {tmp_path}/nowhere" in completed.stderr
    assert (
        f"build.toml:6:14: targets.api.dockerfile: api: there is no Dockerfile {tmp_path}/Other.Dockerfile"
        in completed.stderr
    )
    assert f"build.toml:7:11: targets.api.secret[0]: api: there is no file {tmp_path}/none" in completed.stderr
    assert (
        "build.toml:7:28: targets.api.secret[1]: api: NEITHER is neither a set variable nor a file" in completed.stderr
    )
    assert not (tmp_path / ".mpbake").exists()


@pytest.mark.one_release
def test_store_of_the_engines_builder_that_came_with_a_checkout_is_not_trusted(
    testbed: Testbed, run_mpbake: RunMpbake, unique: str, tmp_path: Path
) -> None:
    spy = testbed.add_unix_node(f"s{unique[-6:]}")
    planted = tmp_path / ".mpbake/nodes/default-local/instances"
    planted.mkdir(parents=True)
    node = {"Name": "default0", "Endpoint": spy.endpoint, "Platforms": None, "DriverOpts": None, "Flags": None}
    instance = {"Name": "default", "Driver": "remote", "Nodes": [{**node, "Files": None}], "Dynamic": False}
    (planted / "default").write_text(json.dumps(instance))
    (tmp_path / "build.toml").write_text(simple_plan(testbed))
    try:
        completed = run_mpbake(["run", "web"])
        assert completed.returncode == 0, completed.stderr
        assert spy.connections() == 0
    finally:
        spy.stop()


def test_nothing_is_left_in_the_temporary_folder(testbed: Testbed, run_mpbake: RunMpbake, tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "build.toml").write_text(simple_plan(testbed))
    completed = run_mpbake(["run", "web"], env={"TMPDIR": str(tmp_path / "t")})
    assert completed.returncode == 0, completed.stderr
    assert list((tmp_path / "t").iterdir()) == []


@pytest.mark.one_release
@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo \"docker: 'buildx' is not a docker command.\" >&2; exit 1", "docker buildx is not installed"),
        (
            "echo github.com/docker/buildx v0.12.1 30feaa1a915b869ebc2eea6328624b49facd4bfb",
            "docker buildx 0.12 is too old",
        ),
    ],
)
def test_buildx_missing_or_too_old(
    script: str, message: str, testbed: Testbed, run_mpbake: RunMpbake, tmp_path: Path
) -> None:
    (tmp_path / "build.toml").write_text(simple_plan(testbed))
    completed = run_mpbake(["run", "web"], env={"PATH": path_with_docker(tmp_path / "bin", script)})
    assert completed.returncode == 5
    assert f"error: {message}\n  = install" in completed.stderr


@pytest.mark.one_release
def test_wrong_plan_touches_nothing(run_mpbake: RunMpbake, tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text("version = 1\n[targets.web]\nplatfroms = []\n")
    marker = tmp_path / "called"
    completed = run_mpbake(["run", "web"], env={"PATH": path_with_docker(tmp_path / "bin", f"touch {marker}")})
    assert completed.returncode == 3
    assert 'build.toml:3:1: targets.web.platfroms: unknown key "platfroms"' in completed.stderr
    assert 'did you mean "platforms"?' in completed.stderr
    assert not marker.exists()
    assert not (tmp_path / ".mpbake").exists()


def test_failing_dockerfile_costs_only_what_depends_on_it(
    testbed: Testbed, run_mpbake: RunMpbake, repository: str, tmp_path: Path
) -> None:
    base = testbed.env()["BASE_IMAGE"]
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/broken.Dockerfile").write_text(
        f"FROM {base}\nRUN echo about to fail && \\\n    printf '\\033[31mred\\007\\n' && exit 3\n"
    )
    (tmp_path / "build.toml").write_text(f"""
version = 1
[groups]
default = ["broken", "after", "linked", "good"]
[targets._image]
platforms = ["linux/amd64"]
push = true
[targets.broken]
inherits = ["_image"]
dockerfile = "docker/broken.Dockerfile"
tags = ["{repository}:broken"]
[targets.after]
inherits = ["_image"]
dockerfile-inline = "FROM {base}"
needs = ["broken"]
tags = ["{repository}:after"]
[targets.linked]
inherits = ["_image"]
dockerfile-inline = "FROM broken"
contexts = {{ broken = "target:broken" }}
tags = ["{repository}:linked"]
[targets.good]
inherits = ["_image"]
dockerfile-inline = "FROM {base}"
tags = ["{repository}:good"]
""")

    completed = run_mpbake(["run"])

    assert completed.returncode == 1
    tags = testbed.registry.client.tags(repository.partition("/")[2])
    assert [tag for tag in tags if not tag.startswith("mpbake-upload-")] == ["good"]
    assert "build after linux/amd64 on default/local: not started, since build broken" in completed.stderr
    error = completed.stderr[completed.stderr.index("error: build broken") :]
    assert "exit code: 3" in error
    assert "  about to fail\n  red\\x07\n" in error
    assert "in docker/broken.Dockerfile:2:" in error
    assert "\x1b" not in completed.stderr + completed.stdout
    log = Path(error.partition("log: ")[2].partition("\n")[0])
    assert "about to fail" in log.read_text()
    assert error.rstrip().endswith("repeat with: mpbake run broken")
    assert "4 targets: 1 done, 1 failed, 2 skipped" in completed.stdout


def test_of_several_dockerfiles_an_error_tells_which_it_is_in(
    testbed: Testbed, run_mpbake: RunMpbake, tmp_path: Path
) -> None:
    for name, wrong in (("web", "RUN true"), ("base", "RUUN true")):
        (tmp_path / name).mkdir()
        first = "FROM base" if name == "web" else f"FROM {testbed.env()['BASE_IMAGE']}"
        (tmp_path / name / "Dockerfile").write_text(f"{first}\n{wrong}\n")
    (tmp_path / "build.toml").write_text("""
version = 1
[targets.web]
context = "web"
contexts = { base = "target:base" }
[targets.base]
context = "base"
""")
    assert "\nin base/Dockerfile:2:\n" in run_mpbake(["run", "web"]).stderr


def test_a_build_that_takes_too_long(testbed: Testbed, run_mpbake: RunMpbake, tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text(simple_plan(testbed, "RUN echo waiting; sleep 60") + 'timeout = "2s"\n')
    began = time.monotonic()
    completed = run_mpbake(["run", "web"])
    assert time.monotonic() - began < 20
    assert completed.returncode == 1
    assert "took longer than its timeout of 2.0s" in completed.stderr
    assert "  = raise timeout if that is too short; repeat with: mpbake run web\n" in completed.stderr
    assert descendants(tmp_path) == []


def test_a_failed_build_is_tried_again(testbed: Testbed, run_mpbake: RunMpbake, tmp_path: Path, unique: str) -> None:
    """A cache mount remembers the first attempt."""
    again = "if [ -e /seen/it ]; then echo well; else touch /seen/it; exit 1; fi"
    plan = simple_plan(testbed, f"RUN --mount=type=cache,id={unique},target=/seen {again}")
    (tmp_path / "build.toml").write_text(plan + "retries = 2\n")
    completed = run_mpbake(["run", "web"])
    assert completed.returncode == 0, completed.stderr
    assert completed.stderr.count(": retrying") == 1


@pytest.fixture
def slow(testbed: Testbed, unique: str, tmp_path: Path) -> Path:
    """Return a folder with a plan of two targets, each of which builds for a minute.

    Each prints a line at the start of its build.
    """
    (tmp_path / "build.toml").write_text(
        simple_plan(testbed, f"RUN echo {unique} started; sleep 60")
        + f"""
[targets.other]
dockerfile-inline = '''
FROM {testbed.env()["BASE_IMAGE"]}
RUN echo {unique} other; sleep 61
'''
platforms = ["linux/amd64"]
"""
    )
    return tmp_path


@pytest.fixture
def running(slow: Path, testbed_env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Yield mpbake while it runs two builds."""
    process = start(slow, testbed_env)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def start(folder: Path, env: Mapping[str, str]) -> subprocess.Popen[str]:
    output = (folder / "output").open("w")
    with output:
        process = subprocess.Popen(
            [sys.executable, "-m", "mpbake", "run", "web", "other"],
            cwd=folder,
            env={**env, "PYTHONPATH": str(CHECKOUT)},
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=_heed_signals,  # noqa: PLW1509 - no threads here
        )
    try:
        wait_for(lambda: (folder / "output").read_text().count("sleep 6") >= 2, seconds=60)
    except AssertionError:
        process.kill()
        process.wait()
        raise
    return process


def _heed_signals() -> None:
    """Undo the changes of a shell and of nohup: a shell ignores SIGINT in background jobs, and nohup ignores SIGHUP."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def wait_for(condition: object, *, seconds: float) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


def descendants(folder: Path) -> list[str]:
    """Return the command lines of all processes that work on the plan in `folder`."""
    commands = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(folder) in command:
                commands.append(command)
    return commands


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=["INT", "TERM", "HUP"]
)
def test_signal_cancels_everything(
    number: signal.Signals, code: int, running: subprocess.Popen[str], slow: Path
) -> None:
    assert descendants(slow)
    running.send_signal(number)
    assert running.wait(timeout=10) == code
    assert descendants(slow) == []
    output = (slow / "output").read_text()
    assert "2 cancelled" in output
    assert "interrupted" in output
    assert "Traceback" not in output


def test_kill_leaves_no_child(running: subprocess.Popen[str], slow: Path) -> None:
    assert descendants(slow)
    running.kill()
    running.wait()
    wait_for(lambda: descendants(slow) == [], seconds=5)


@pytest.mark.long
def test_kill_at_any_moment_leaves_no_child(slow: Path, testbed_env: dict[str, str]) -> None:
    for attempt in range(40):
        process = subprocess.Popen(
            [sys.executable, "-m", "mpbake", "run", "web", "other"],
            cwd=slow,
            env={**testbed_env, "PYTHONPATH": str(CHECKOUT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(0.2 + attempt * 0.05)
        process.kill()
        process.wait()
        wait_for(lambda: descendants(slow) == [], seconds=5)


@pytest.mark.one_release
def test_second_run_is_told_to_wait(running: subprocess.Popen[str], slow: Path, run_mpbake: RunMpbake) -> None:
    completed = run_mpbake(["run", "web"], cwd=slow)
    assert completed.returncode == 4
    assert f"another run works on this plan (process {running.pid})" in completed.stderr


@pytest.mark.one_release
def test_state_folder_that_is_a_symlink(testbed: Testbed, run_mpbake: RunMpbake, tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text(simple_plan(testbed))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".mpbake").symlink_to(tmp_path / "elsewhere")
    completed = run_mpbake(["run", "web"])
    assert completed.returncode == 3
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.one_release
def test_instance_that_came_with_a_checkout_is_not_trusted(
    testbed: Testbed, run_mpbake: RunMpbake, unique: str, tmp_path: Path
) -> None:
    mine, other = testbed.add_unix_node(f"a{unique[-6:]}"), testbed.add_unix_node(f"b{unique[-6:]}")
    plan = f"""
version = 1
[builders.b]
driver = "remote"
[builders.b.nodes.n]
endpoint = "{other.endpoint}"
platforms = ["linux/amd64"]
[targets.web]
builder = "b"
dockerfile-inline = "FROM {testbed.env()["BASE_IMAGE"]}"
platforms = ["linux/amd64"]
"""
    (tmp_path / "build.toml").write_text(plan)
    assert run_mpbake(["run", "web"]).returncode == 0
    (tmp_path / "build.toml").write_text(plan.replace(other.endpoint, mine.endpoint))
    other.forget()
    try:
        completed = run_mpbake(["run", "web"])
        assert completed.returncode == 0, completed.stderr
        assert len(mine.builds()) == 1
        assert other.builds() == []
    finally:
        mine.stop()
        other.stop()


def fill(file: Path) -> None:
    """Write to `file` until its disk is full."""
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as filler:
        while True:
            filler.write(b"x" * 4096)


@pytest.mark.one_release
def test_full_disk_is_no_traceback(testbed: Testbed, run_mpbake: RunMpbake, tmp_path: Path) -> None:
    """A small file system represents a full disk."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=True)
    try:
        (folder / "build.toml").write_text(simple_plan(testbed))
        fill(folder / "filler")
        completed = run_mpbake(["run", "web"], cwd=folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
    assert completed.returncode not in {0, -signal.SIGKILL}
    assert "No space left on device" in completed.stderr
    assert "Traceback" not in completed.stderr
    assert "report this as a bug" not in completed.stderr


def test_disk_that_fills_up_during_a_build(testbed: Testbed, run_mpbake: RunMpbake, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", folder], check=True)
    try:
        (folder / "build.toml").write_text(simple_plan(testbed, "RUN while true; do echo a line of output; done"))
        completed = run_mpbake(["run", "web"], cwd=folder)
        left = descendants(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
    assert completed.returncode == 1, completed.stderr
    assert "1 target: 0 done, 1 failed" in completed.stdout
    assert "error: build web linux/amd64" in completed.stderr
    assert "No space left on device" in completed.stderr
    assert "report this as a bug" not in completed.stderr
    assert left == []


def test_disk_that_is_full_at_the_end_hides_no_failure(
    testbed: Testbed, run_mpbake: RunMpbake, repository: str, tmp_path: Path
) -> None:
    """An output fills the disk on which mpbake records the run."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], check=True)
    base = testbed.env()["BASE_IMAGE"]
    try:
        (folder / "build.toml").write_text(f"""{simple_plan(testbed, "RUN exit 7")}
[targets.pushed]
dockerfile-inline = "FROM {base}"
platforms = ["linux/amd64"]
tags = ["{repository}:1"]
push = true
[targets.full]
needs = ["pushed"]
dockerfile-inline = "FROM {base}\\nRUN head -c 1000000 /dev/zero > /big"
platforms = ["linux/amd64"]
output = ["type=local,dest=out"]
""")
        completed = run_mpbake(["run", "web", "full", "--metadata-file", "m.json"], cwd=folder)
        left = {path.name for path in (folder, folder / ".mpbake") for path in path.iterdir()}
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
    assert completed.returncode == 1, completed.stderr
    assert "3 targets: 1 done, 2 failed" in completed.stdout
    for message in (
        "error: build web linux/amd64",
        "error: build full linux/amd64",
        f"warning: {folder}/.mpbake/published.json: No space left on device",
        f"error: --metadata-file {folder}/m.json: No space left on device",
        f"warning: {folder}/.mpbake/durations.json: No space left on device",
    ):
        assert message in completed.stderr
    assert not left & {"published.json", "m.json", "durations.json"}


@pytest.mark.one_release
def test_closed_pipe_is_no_traceback(testbed_env: dict[str, str], tmp_path: Path) -> None:
    targets = "".join(f"[targets.t{number}]\n" for number in range(5000))
    (tmp_path / "build.toml").write_text(f"version = 1\n{targets}")
    command = f"{sys.executable} -m mpbake list | head -1"
    completed = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=tmp_path,
        env={**testbed_env, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.stdout == "targets\n"
    assert completed.stderr == ""
