"""BuildKit deployed on two machines, each with an engine and an ssh server of its own, and used over mutual TLS."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import stat
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from testbed.registry_client import RegistryClient

from mpbake.certs.authority import Authority, CertificateRequest, make_authority
from mpbake.certs.node_files import CertificateRole
from mpbake.certs.reading import parse_certificates, parse_key
from tests.testbed_parts.machines import Machine, machines_registry, start_machine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.testbed import Testbed

    from tests.engine.conftest import Docker, Mpbake, RunMpbake

pytestmark = pytest.mark.newest

PORT = 1234
REPOSITORY = "deploy/web"
CONTAINER, FILES = "mpbake-release-one", "mpbake-release-one-files"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fleet:
    """Two machines, and the image and the registry that they reach."""

    one: Machine
    two: Machine
    image: str
    registry: str

    def clean(self) -> None:
        """Remove everything that a test left on the machines."""
        for machine in (self.one, self.two):
            if containers := machine.docker("ps", "--all", "--quiet").split():
                machine.docker("rm", "--force", "--volumes", *containers)
            if volumes := machine.docker("volume", "ls", "--quiet").split():
                machine.docker("volume", "rm", *volumes)


@pytest.fixture(scope="session")
def machines(testbed: Testbed) -> Fleet:
    """Two machines without any container."""
    registry = machines_registry(testbed.place)
    registry.start()
    image = testbed.node_image("named").rpartition("/")[2]
    one, two = (start_machine(testbed.place, number) for number in (1, 2))
    return Fleet(one=one, two=two, image=f"{registry.host}/{image}", registry=registry.host)


@pytest.fixture
def fleet(machines: Fleet) -> Iterator[Fleet]:
    """The machines, which have nothing before and after a test."""
    machines.clean()
    yield machines
    machines.clean()


class Certificates:
    """The certificates of a plan in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = datetime.now(UTC)
        made = make_authority("team CA", self.now - timedelta(days=9), 365)
        self._authority = Authority(parse_certificates(made.certificate), parse_key(made.key))
        folder.mkdir(exist_ok=True)
        (folder / "ca.pem").write_bytes(made.certificate)

    def issue(self, name: str, role: CertificateRole, *hosts: str, days: int = 180, ago: int = 0) -> None:
        """Write NAME.pem and NAME-key.pem, issued some days `ago`."""
        now = self.now - timedelta(days=ago)
        pair = self._authority.issue(CertificateRequest(name=name, role=role, hosts=hosts), now, days)
        (self.folder / f"{name}.pem").write_bytes(pair.certificate)
        (self.folder / f"{name}-key.pem").write_bytes(pair.key)


def issue_all(folder: Path, fleet: Fleet) -> Certificates:
    certificates = Certificates(folder)
    certificates.issue("release-one", CertificateRole.SERVER, fleet.one.address)
    certificates.issue("release-two", CertificateRole.SERVER, fleet.two.address)
    certificates.issue("client", CertificateRole.CLIENT)
    return certificates


def plan_of(
    fleet: Fleet, *, deploy: str = "", names: tuple[str, ...] = ("one",), salt: str = "", ssh: bool = False
) -> str:
    """A plan with a target that the machines build and push. Without ssh, mpbake reaches their engines faster."""
    addresses = {"one": fleet.one, "two": fleet.two}
    platforms = {"one": "linux/amd64", "two": "linux/arm64"}
    config = f'registry."{fleet.registry}" = {{ http = true }}'
    nodes = "".join(
        f"""
[builders.release.nodes.{name}]
endpoint = "tcp://{addresses[name].address}:{PORT}"
platforms = ["{platforms[name]}"]
tls = {{ ca = "certs/ca.pem", cert = "certs/client.pem", key = "certs/client-key.pem" }}
[builders.release.nodes.{name}.deploy]
host = "{f"ssh://root@{addresses[name].name}" if ssh else addresses[name].docker_host}"
image = "{fleet.image}"
buildkitd = {{ {config} }}
{deploy}
"""
        for name in names
    )
    return f"""
version = 1
[builders.release]
driver = "remote"
{nodes}
[targets.web]
builder = "release"
platforms = [{", ".join(f'"{platforms[name]}"' for name in names)}]
tags = ["{fleet.registry}/{REPOSITORY}:1"]
push = true
dockerfile-inline = '''
FROM {fleet.registry}/base:1
ARG SALT={salt}
RUN echo $SALT; cat /proc/sys/kernel/random/uuid > /id
'''
"""


def test_a_node_is_deployed_and_started_again(fleet: Fleet, mpbake: Mpbake, tmp_path: Path) -> None:
    issue_all(tmp_path / "certs", fleet)
    (tmp_path / "build.toml").write_text(plan_of(fleet, ssh=True))
    said = mpbake("run", "web", code=5).stderr
    assert "node release/one is missing: no BuildKit is deployed on ssh://root@build1\n" in said
    assert "  = deploy it: mpbake builders up release\n" in said
    assert "no BuildKit is deployed on" in mpbake("doctor", "web", "--format", "json", code=5).stdout
    mpbake("builders", "plan")
    assert fleet.one.docker("ps", "--all", "--quiet") == ""

    assert f"release/one: pulling {fleet.image}\n" in mpbake("builders", "up").stderr
    identifier = fleet.one.docker("inspect", "--format", "{{.Id}}", CONTAINER)
    assert mpbake("builders", "up").stderr == ""
    mpbake("builders", "stop")
    assert "exited" in mpbake("builders").stdout
    assert "starting its container on ssh://root@build1" in mpbake("run", "web").stderr
    assert fleet.one.docker("ps", "--no-trunc", "--quiet") == identifier


def layers_of(fleet: Fleet, repository: str) -> list[str]:
    """Return the digests of the last layers of the image, one for each platform. A rebuilt layer differs."""
    client = RegistryClient(host=fleet.registry, login=None)
    (tag,) = client.tags(repository)
    index = json.loads(client.manifest(f"{repository}:{tag}")[1])
    digests = [entry["digest"] for entry in index["manifests"] if "annotations" not in entry]
    manifests = [json.loads(client.manifest(f"{repository}@{digest}")[1]) for digest in digests]
    return [manifest["layers"][-1]["digest"] for manifest in manifests]


def test_certificates_are_replaced_and_the_cache_stays(fleet: Fleet, mpbake: Mpbake, tmp_path: Path) -> None:
    issue_all(tmp_path / "certs", fleet)
    (tmp_path / "build.toml").write_text(plan_of(fleet, salt=str(time.time_ns())))
    mpbake("builders", "up")
    mpbake("run", "web")
    layers = layers_of(fleet, REPOSITORY)
    issue_all(tmp_path / "certs", fleet)
    said = mpbake("run", "web", code=3).stderr
    assert "the certificate of node release/one is signed by an authority other than tls.ca\n" in said
    assert "mpbake builders up" in said
    listed = mpbake("builders").stdout
    assert re.search(r"^release/one .* unusable  +-  +tls\.ca, tls\.cert$", listed, re.MULTILINE)
    assert "the certificate of node release/one is signed by an authority other than tls.ca\n" in listed
    assert "      tls.cert: SHA-256 " in mpbake("builders", "plan").stdout
    mpbake("builders", "up")
    mpbake("run", "web")
    assert layers_of(fleet, REPOSITORY) == layers
    mpbake("builders", "rm", "--keep-state")
    assert fleet.one.docker("volume", "ls", "--quiet") == CONTAINER, "no key is left"
    (tmp_path / "build.toml").write_text("version = 1\n")
    assert "release/one: its container was gone; its cache is removed\n" in mpbake("builders", "prune").stderr
    assert fleet.one.docker("volume", "ls", "--quiet") == ""


def _commands_until(ended: threading.Event, seen: set[str]) -> None:
    """Collect the command lines and environments of all processes of this machine."""
    while not ended.is_set():
        for folder in Path("/proc").glob("[0-9]*"):
            for name in ("cmdline", "environ"):
                with suppress(OSError):
                    seen.add((folder / name).read_bytes().decode(errors="replace"))


def _recording_docker(folder: Path) -> Path:
    """Put a `docker` into `folder` that records each command line and environment, even of the shortest command.

    Return the record.
    """
    record, docker = folder / "record", shutil.which("docker")
    program = folder / "docker"
    folder.mkdir()
    program.write_text(f'#!/bin/sh\ncat "/proc/$$/cmdline" "/proc/$$/environ" >>"{record}"\nexec {docker} "$@"\n')
    program.chmod(0o755)
    return record


def test_no_key_shows_while_it_is_deployed(
    fleet: Fleet, run_mpbake: RunMpbake, testbed_env: dict[str, str], tmp_path: Path
) -> None:
    issue_all(tmp_path / "certs", fleet)
    (tmp_path / "build.toml").write_text(plan_of(fleet))
    record = _recording_docker(tmp_path / "bin")
    ended, seen = threading.Event(), set[str]()
    watch = threading.Thread(target=_commands_until, args=(ended, seen))
    watch.start()
    completed = run_mpbake(["builders", "up"], env={"PATH": f"{record.parent}:{testbed_env['PATH']}"})
    ended.set()
    watch.join()
    assert completed.returncode == 0, completed.stderr
    assert any("mpbake\0builders\0up" in text for text in seen), "the deployment was watched"
    seen.add(record.read_bytes().decode(errors="replace"))
    assert any("container\0create" in text for text in seen)
    assert any("container\0cp\0-" in text for text in seen)
    (secret,) = (tmp_path / "certs/release-one-key.pem").read_text().splitlines()[1:2]
    assert not [text for text in seen if secret in text]
    inspected = fleet.one.docker("inspect", CONTAINER) + fleet.one.docker("volume", "inspect", FILES)
    assert secret not in inspected

    folder = Path(fleet.one.docker("volume", "inspect", "--format", "{{.Mountpoint}}", FILES))
    files = {path.name: path.stat() for path in folder.iterdir()}
    assert files.keys() == {"ca.pem", "cert.pem", "key.pem", "buildkitd.toml"}
    assert {(stat.S_IMODE(status.st_mode), status.st_uid) for status in files.values()} == {(0o600, 0)}
    written = fleet.one.docker("exec", CONTAINER, "sh", "-c", "touch /etc/mpbake/x || echo refused")
    assert written == "refused"


def _refusal(fleet: Fleet, folder: Path, name: str = "") -> str:
    """Return how BuildKit refuses a client with this certificate."""
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.set_alpn_protocols(["h2"])
    if name:
        context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}-key.pem")
    try:
        with (
            socket.create_connection((fleet.one.address, PORT), timeout=10) as connection,
            context.wrap_socket(connection, server_hostname=fleet.one.address) as channel,
        ):
            channel.settimeout(2)
            return "" if channel.recv(1) else "closed"
    except TimeoutError:
        return ""
    except ssl.SSLError as error:
        return str(error.reason)


def test_attacks_on_the_port(fleet: Fleet, mpbake: Mpbake, tmp_path: Path) -> None:
    """Each wrong client is refused by BuildKit, and mpbake says what its honest owner should do."""
    certificates = issue_all(tmp_path / "certs", fleet)
    folder, plan = tmp_path / "certs", plan_of(fleet)
    (tmp_path / "build.toml").write_text(plan)
    mpbake("builders", "up")
    stranger = Certificates(tmp_path / "other")
    stranger.issue("stranger", CertificateRole.CLIENT)
    for name in ("stranger.pem", "stranger-key.pem"):
        (folder / name).write_bytes((tmp_path / "other" / name).read_bytes())
    certificates.issue("expired", CertificateRole.CLIENT, days=3, ago=5)

    assert _refusal(fleet, folder, "client") == ""
    attacks = {
        "": "tls.cert and tls.key",
        "stranger": "does not know the authority that signed tls.cert",
        "expired": "expired on",
        "release-one": "is not a client certificate",
    }
    for name, message in attacks.items():
        assert _refusal(fleet, folder, name), name
        pair = ', cert = "certs/client.pem", key = "certs/client-key.pem"'
        (tmp_path / "build.toml").write_text(plan.replace(pair, pair.replace("client", name) if name else ""))
        said = mpbake("run", "web", code=3).stderr
        assert message in said, (name, said)
    plain = subprocess.run(
        ("buildctl", "--addr", f"tcp://{fleet.one.address}:{PORT}", "--timeout", "3", "debug", "workers"),
        env={**os.environ, "PATH": f"{os.environ['MPBAKE_TEST_BUILDKIT']}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert plain.returncode, plain.stdout


def test_what_prevents_a_deployment(fleet: Fleet, mpbake: Mpbake, tmp_path: Path) -> None:
    """Every command says what is wrong, and nothing is left on the machine."""
    issue_all(tmp_path / "certs", fleet)
    plan = plan_of(fleet, ssh=True)
    before = "cannot be used: "

    def refused(text: str, message: str, code: int = 5) -> None:
        (tmp_path / "build.toml").write_text(text)
        said = mpbake("builders", "up", code=code).stderr
        assert message in said, said
        assert FILES not in fleet.one.docker("volume", "ls", "--quiet")

    refused(plan.replace("root@build1", "root@nowhere.invalid"), f"{before}unknown host root@nowhere.invalid")
    refused(plan.replace(fleet.image, f"{fleet.registry}/none:1"), f"{before}the image does not exist")
    fleet.one.docker("run", "--detach", "--name", "other", "--publish", f"{PORT}:{PORT}", "--entrypoint", "sleep",
                     fleet.image, "600")  # fmt: skip
    refused(plan, f"{before}its port is in use on the host")
    fleet.one.docker("rm", "--force", "--volumes", "other")
    fleet.one.docker("create", "--name", CONTAINER, fleet.image)
    refused(plan, f"mpbake did not make the container {CONTAINER}", 3)
    fleet.one.docker("rm", "--volumes", CONTAINER)


def test_through_a_docker_context(fleet: Fleet, mpbake: Mpbake, docker: Docker, tmp_path: Path) -> None:
    """Without TLS, BuildKit opens no port: buildx reaches it through the container."""
    plan = f"""
version = 1
[builders.release]
driver = "remote"
[builders.release.nodes.one]
endpoint = "docker-container://bk?context=build1"
deploy = {{ host = "build1", image = "{fleet.image}" }}
[targets.web]
builder = "release"
output = ["type=local,dest=out"]
dockerfile-inline = "FROM scratch\\nCOPY build.toml /"
"""
    (tmp_path / "build.toml").write_text(plan)
    docker("context", "create", "build1", "--docker", f"host={fleet.one.docker_host}")
    try:
        mpbake("builders", "up")
        assert fleet.one.docker("port", "bk") == ""
        mpbake("run", "web")
        assert (tmp_path / "out/build.toml").exists()
        mpbake("builders", "rm")
        assert fleet.one.docker("ps", "--all", "--quiet") == ""
    finally:
        docker("context", "rm", "--force", "build1")
