"""Discovery of the engine: in every setting, a second plan and a second run change nothing.

Each test has its own HOME, and a mount namespace whose /run contains only the test's socket. So the default socket
leads to the testbed's engine on any machine, and mpbake cannot fall back to the machine's own engine.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.checkout import CHECKOUT, GRANT_ALL
from tests.testbed_parts.other_engines import podman, rootless_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.testbed import Testbed

pytestmark = pytest.mark.one_release

_SECONDS = 240
_NOT_INHERITED = (
    "BUILDX_BUILDER",
    "BUILDX_CONFIG",
    "DOCKER_CERT_PATH",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "DOCKER_HOST",
    "DOCKER_TLS_VERIFY",
    "XDG_RUNTIME_DIR",
)
_PRIVATE_RUN = """\
set -eu
run=$(readlink -f /var/run)
mount --bind "$1" "$2"
mount -t tmpfs tmpfs "$run"
if [ "$3" = default ]; then ln -s "$2" "$run/docker.sock"; fi
shift 3
exec "$@"
"""
"""Hide the contents of /run. Afterwards the socket `$1`, even if it lies below /run, is at `$2`."""

_NOBODY = 61234
"""A user number that no machine uses."""

SAME_ENGINE = ("default-socket", "docker-host", "docker-context", "context-use")
SETTINGS = (*SAME_ENGINE, "ssh", "rootless", "podman")


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """A user's machine with a Docker engine at `socket`, and with the variables `env`.

    If `is_default` is true, the engine is also at the default socket. `log` records the docker commands.
    """

    home: Path
    project: Path
    path: str
    engine: Path
    socket: Path
    is_default: bool = False
    env: tuple[tuple[str, str], ...] = ()
    as_user: tuple[str, ...] = ()

    @property
    def log(self) -> Path:
        return self.home / "docker.log"

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the project and return the completed process, whatever its exit code."""
        env = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED} | GRANT_ALL
        user = () if os.getuid() == 0 else ("--map-root-user",)
        where = (str(self.engine), str(self.socket), "default" if self.is_default else "")
        return subprocess.run(
            ("unshare", "--mount", *user, "sh", "-c", _PRIVATE_RUN, "sh", *where, *self.as_user, *command),
            cwd=self.project,
            env={
                **env,
                **GRANT_ALL,
                "HOME": str(self.home),
                "PATH": self.path,
                "PYTHONPATH": str(CHECKOUT),
                **dict(self.env),
            },
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )

    def mpbake(self, *args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run mpbake, and assert that its exit code is `code`."""
        completed = self.run(sys.executable, "-m", "mpbake", *args)
        assert completed.returncode == code, completed.stdout + completed.stderr
        return completed

    def docker(self, *args: str) -> str:
        """Return the output of docker. The test fails if docker fails."""
        completed = self.run("docker", *args)
        assert completed.returncode == 0, completed.stdout + completed.stderr
        return completed.stdout

    def instances(self) -> dict[str, tuple[int, bytes]]:
        """Return the time of change and the content of every buildx instance, both of the user and of mpbake."""
        folders = (self.home / ".docker/buildx/instances", *self.project.glob(".mpbake/nodes/*/instances"))
        files = [file for folder in folders for file in folder.glob("*")]
        return {str(file): (file.stat().st_mtime_ns, file.read_bytes()) for file in files}

    def changes_nothing(self, *args: str) -> None:
        """Run mpbake, and assert that no builder, container or context changes."""
        before = self.instances()
        self.log.write_text("")
        self.mpbake(*args)
        assert self.instances() == before
        changing = ("create", " rm ", "context use", "update", "start", "pull")
        assert [line for line in self.log.read_text().splitlines() if any(word in line for word in changing)] == []


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The settings that tell docker where the engine is, on the machine of one user."""

    testbed: Testbed
    machine: Machine

    def __getitem__(self, setting: str) -> Machine:
        """Return the machine with the setting of that name."""
        here = f"unix://{self.machine.socket}"
        match setting:
            case "default-socket":
                return replace(self.machine, is_default=True)
            case "docker-host":
                return self.with_env(DOCKER_HOST=here)
            case "docker-context":
                self._create_context(here)
                return self.with_env(DOCKER_CONTEXT="mine")
            case "context-use":
                self._create_context(here)
                self.machine.docker("context", "use", "mine")
                return self.machine
            case "ssh":
                return self.with_env(DOCKER_HOST=self.testbed.ssh.endpoint)
            case "rootless":
                return self.with_env(DOCKER_HOST=rootless_engine(self.testbed))
            case "podman":
                return self.with_env(DOCKER_HOST=podman(self.testbed))
            case _:
                pytest.fail(f"there is no setting {setting}")

    def with_env(self, **variables: str) -> Machine:
        """Return the machine with these variables."""
        return replace(self.machine, env=tuple(variables.items()))

    def _create_context(self, host: str) -> None:
        if not (self.machine.home / ".docker/contexts").exists():
            self.machine.docker("context", "create", "mine", "--docker", f"host={host}")


@pytest.fixture
def settings(testbed: Testbed, testbed_env: dict[str, str], tmp_path: Path) -> Settings:
    """Return a new user's machine, whose HOME is empty except for the tested buildx."""
    home, project, path = tmp_path / "home", tmp_path / "project", testbed_env["PATH"]
    plugins, programs = home / ".docker/cli-plugins", home / "bin"
    for folder in (plugins, programs, project):
        folder.mkdir(parents=True)
    (plugins / "docker-buildx").symlink_to(Path(testbed_env["DOCKER_CONFIG"], "cli-plugins/docker-buildx").resolve())
    logging = programs / "docker"
    logging.write_text(f'#!/bin/sh\necho "$*" >>{home}/docker.log\nPATH={path} exec docker "$@"\n')
    logging.chmod(0o755)
    assert testbed.engine.socket is not None, "these tests need an engine with a unix socket"
    here = testbed.place.sockets / "here.sock"
    here.touch()
    machine = Machine(home=home, project=project, path=f"{programs}:{path}", engine=testbed.engine.socket, socket=here)
    return Settings(testbed=testbed, machine=machine)


@pytest.fixture
def machine(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Machine]:
    """Yield the machine with the setting that the test names.

    The container of the default builder is removed after the test.
    """
    setting = settings[request.param]
    yield setting
    setting.run("docker", "rm", "--force", "--volumes", "buildx_buildkit_default-local")


@pytest.fixture
def builder(testbed: Testbed, settings: Settings, unique: str) -> str:
    """Return the builder of the project's plan.

    The plan has one target on this builder, and one on the default builder.
    """
    name = f"b{unique[-6:]}"
    container = f'image = "{testbed.node_image()}"\nnetwork = "host"'
    (settings.machine.project / "build.toml").write_text(f"""
version = 1
[defaults.builder]
{container}
[builders.{name}]
[groups]
default = ["web", "plain"]
[targets._all]
dockerfile-inline = "FROM scratch\\nCOPY build.toml /"
platforms = ["linux/amd64"]
[targets.web]
inherits = ["_all"]
builder = "{name}"
[targets.plain]
inherits = ["_all"]
""")
    return name


@pytest.mark.parametrize("machine", SETTINGS, indirect=True)
def test_a_second_plan_and_a_second_run_change_nothing(machine: Machine, builder: str) -> None:
    up = machine.mpbake("builders", "up")
    assert f"{builder}/local: created, and answers" in up.stderr
    for _ in range(2):
        assert machine.mpbake("builders", "plan", "--detailed-exitcode").stdout == (
            f"{builder} (docker-container)\n  as declared\nnothing to do\n"
        )
    machine.changes_nothing("builders", "up")
    machine.mpbake("run")
    machine.changes_nothing("run")
    machine.changes_nothing("builders", "plan", "--detailed-exitcode")
    machine.mpbake("builders", "rm")


@pytest.mark.parametrize("names", [SAME_ENGINE, SAME_ENGINE[::-1]], ids=["from-socket", "from-context"])
@pytest.mark.usefixtures("builder")
def test_another_name_of_the_same_engine_is_no_drift(settings: Settings, names: tuple[str, ...]) -> None:
    first, *others = (replace(settings[name], is_default=True) for name in names)
    first.mpbake("builders", "up")
    first.mpbake("run", "web")
    for name, machine in zip(names[1:], others, strict=True):
        if name == "default-socket":
            machine.docker("context", "use", "default")
        machine.changes_nothing("builders", "plan", "--detailed-exitcode")
        machine.changes_nothing("run", "web")
    first.mpbake("builders", "rm")


def test_another_connection_to_the_same_machine_is_drift_once(settings: Settings, builder: str) -> None:
    near, far = settings["default-socket"], settings["ssh"]
    near.mpbake("builders", "up")
    assert far.mpbake("builders", "plan", "--detailed-exitcode", code=2).stdout == (
        f"{builder} (docker-container)\n"
        f"  ~ correct builder {builder}: buildx's store has other values\n"
        f"      {builder}-local: endpoint: unix:///var/run/docker.sock -> {settings.testbed.ssh.endpoint}\n"
        "1 to correct\n"
    )
    far.mpbake("builders", "up")
    far.changes_nothing("builders", "plan", "--detailed-exitcode")
    far.mpbake("builders", "rm")


# --- a new user -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("machine", SETTINGS, indirect=True)
def test_a_newcomer_builds_loads_and_publishes(machine: Machine, testbed: Testbed, unique: str) -> None:
    (machine.project / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    machine.mpbake("init")
    plan = machine.project / "build.toml"
    # The default builder's container needs an image that this machine has, since Docker Hub may be unreachable.
    image = f'[defaults.builder]\nimage = "{testbed.node_image()}"\nnetwork = "host"\n'
    plan.write_text(plan.read_text().replace("[groups]", f"{image}\n[groups]"))
    values = ("--var", f"registry={testbed.registry.host}", "--var", f"tag={unique}")
    tag = f"{testbed.registry.host}/project:{unique}"

    assert "build      project" in machine.mpbake("plan", *values).stdout
    machine.mpbake("run", "--load", "--platform", "linux/amd64", *values)
    assert tag in machine.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}")
    machine.mpbake("run", "--push", *values)
    index = json.loads(machine.docker("buildx", "imagetools", "inspect", "--raw", tag))
    platforms = {entry["platform"]["architecture"] for entry in index["manifests"]}
    assert {"amd64", "arm64"} <= platforms
    machine.docker("image", "rm", tag)


OWN_BUILDER = """
version = 1
[builders.own]
driver = "docker"
[targets.web]
builder = "own"
dockerfile-inline = "FROM scratch"
"""


def test_podman_has_no_builder_of_its_own(settings: Settings) -> None:
    (settings.machine.project / "build.toml").write_text(OWN_BUILDER)
    podman = settings["podman"]
    refused = (
        "node own/local: the engine does not contain BuildKit (podman does not)\n"
        '  = set driver = "docker-container" in its builder: BuildKit then runs in a container\n'
    )
    assert refused in podman.mpbake("run", "web", code=3).stderr
    assert refused in podman.mpbake("builders", "plan", code=3).stderr


NO_ENGINE = (
    "  = start it (Docker Desktop, or: sudo systemctl start docker), or correct DOCKER_HOST or "
    "the docker context; try: docker info\n"
)


@pytest.mark.parametrize(
    ("variables", "said", "hint"),
    [
        ({}, "unix:///var/run/docker.sock", NO_ENGINE),
        ({"DOCKER_HOST": "unix:///no/where.sock"}, "unix:///no/where.sock", NO_ENGINE),
        ({"DOCKER_HOST": "tcp://127.0.0.1:9"}, "tcp://127.0.0.1:9", NO_ENGINE),
        (
            {"DOCKER_HOST": "nowhere://x"},
            "DOCKER_HOST is not the address of an engine",
            "  = set it to unix:///PATH, tcp://HOST:PORT or ssh://HOST, or unset it\n",
        ),
        (
            {"DOCKER_HOST": "ssh://mpbake-node-x@127.0.0.1:9"},
            "no ssh server answers at 127.0.0.1",
            "  = check that sshd runs there, and the port; try: ssh 127.0.0.1 true\n",
        ),
        (
            {"DOCKER_CONTEXT": "stale"},
            "the docker context in use does not exist",
            "  = choose another: docker context use NAME, and unset DOCKER_CONTEXT; docker context ls lists them\n",
        ),
    ],
    ids=["no-engine", "no-socket", "no-port", "no-address", "no-host", "no-context"],
)
@pytest.mark.parametrize("command", [("run", "plain"), ("run", "web"), ("builders", "up")], ids=" ".join)
@pytest.mark.usefixtures("builder")
def test_no_engine_answers(
    settings: Settings, variables: dict[str, str], said: str, hint: str, command: tuple[str, ...]
) -> None:
    completed = settings.with_env(**variables).mpbake(*command, code=5)
    assert said in completed.stderr
    assert hint in completed.stderr
    assert "Traceback" not in completed.stderr


@pytest.mark.parametrize("command", [("run", "plain"), ("run", "web"), ("builders", "up")], ids=" ".join)
@pytest.mark.usefixtures("builder")
def test_a_user_who_may_not_use_the_socket(settings: Settings, command: tuple[str, ...]) -> None:
    engine = settings.machine.socket.with_name("locked.sock")
    with socket.socket(socket.AF_UNIX) as server:
        engine.unlink(missing_ok=True)
        server.bind(str(engine))
        engine.chmod(0)
        user = _as_nobody(settings.machine) if os.getuid() == 0 else ()
        machine = replace(settings.machine, engine=engine, is_default=True, as_user=user)
        completed = machine.mpbake(*command, code=5)
    assert "this user may not use Docker (" in completed.stderr
    assert (
        "  = add this user to the group docker: sudo usermod -aG docker USER, then log in again; or set DOCKER_HOST\n"
        in completed.stderr
    )


def _as_nobody(machine: Machine) -> tuple[str, ...]:
    """Return a command prefix that runs a command as an unprivileged user.

    The user can read every file, but can write only to the HOME and the project.
    """
    for folder in (machine.home, machine.project):
        for path in (folder, *folder.rglob("*")):
            os.chown(path, _NOBODY, _NOBODY, follow_symlinks=False)
    may_read = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    return ("setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", *may_read)


@pytest.mark.usefixtures("builder")
def test_no_docker_is_installed(settings: Settings, tmp_path: Path) -> None:
    machine = settings["default-socket"]
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sh", "readlink", "mount", "ln", "unshare"):
        (programs / name).symlink_to(shutil.which(name) or "")
    completed = replace(machine, path=str(programs)).mpbake("run", "plain", code=5)
    assert completed.stderr == (
        "error: the docker command was not found\n"
        "  = install Docker (https://docs.docker.com/get-docker/), or put docker on the PATH\n"
    )
