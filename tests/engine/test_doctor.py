"""`mpbake doctor` on set-ups that are really broken.

    UPDATE_GOLDEN=1 pytest tests/engine/test_doctor.py

writes the texts anew. What differs between machines and releases is replaced. The other broken set-ups are in
tests/unit/graph/doctor/test_broken_setups.py.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from testbed.registry import PASSWORD, USER

from tests.checkout import CHECKOUT
from tests.engine.faulty import faulty_registry
from tests.engine.test_builders import container_plan
from tests.unit.tls import Certificates, issued

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from testbed.testbed import Testbed

    from tests.engine.conftest import RunMpbake

pytestmark = pytest.mark.one_release

_GOLDEN = CHECKOUT / "tests/engine/golden/doctor"
_VARYING = (
    (r"docker \d\S+", "docker VERSION"),
    (r"buildx \d+\.\d+", "buildx VERSION"),
    (r"engine \d\S+,", "engine VERSION,"),
    (r"BuildKit v\S+,", "BuildKit VERSION,"),
    (r"\d+\.\d GB", "N GB"),
    (r"\d+ days, on \d{4}-\d\d-\d\d", "N days, on DATE"),
    (r"expired on \d{4}-\d\d-\d\d", "expired on DATE"),
    (r"localhost:\d+", "localhost:PORT"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    (r"linux/(amd64|arm64), at", "linux/OWN, at"),
    (r"unix://(?!/nowhere)[^\s,]+", "unix://SOCKET"),
    (r"images and caches: \S+", "images and caches: ROOT"),
)
REMOTE = """
version = 1
[builders.release]
driver = "remote"
[builders.release.nodes.intel]
endpoint = "{endpoint}"
platforms = ["linux/amd64"]
tls = {{ ca = "{certs}/ca.crt", cert = "{certs}/client.crt", key = "{certs}/client.key" }}
[targets.web]
builder = "release"
platforms = ["linux/amd64"]
tags = ["{tag}"]
push = true
"""


class Doctor:
    """Runs `mpbake doctor` in the folder of a test, and compares its text with a golden one."""

    def __init__(self, run: RunMpbake, folder: Path) -> None:
        self.run = run
        self.folder = folder

    def check(self, name: str, *, code: int, plan: str = "", env: Mapping[str, str] | None = None) -> str:
        """Run it with a plan, and compare. Return the text."""
        if plan:
            (self.folder / "build.toml").write_text(plan)
        done = self.run(["doctor"], env={"HOME": str(self.folder), "TMPDIR": "", **(env or {})})
        assert done.stderr == ""
        assert done.returncode == code, done.stdout
        assert "Traceback" not in done.stdout
        shown = self._comparable(done.stdout)
        file = _GOLDEN / f"{name}.txt"
        if os.environ.get("UPDATE_GOLDEN"):
            file.write_text(shown, encoding="utf-8")
        assert shown == file.read_text(encoding="utf-8")
        return done.stdout

    def _comparable(self, printed: str) -> str:
        """Return the findings, each on one line with its remedy, without what varies."""
        lines: list[str] = []
        for line in printed.splitlines():
            if line.startswith(" " * 14):
                lines[-1] += f" {line.strip()}"
            else:
                lines.append(line)
        text = "\n".join(re.sub(r" = (?=[a-zA-Z])", r"\n    = ", line, count=1) for line in lines) + "\n"
        text = text.replace(str(self.folder), "FOLDER")
        for pattern, replacement in _VARYING:
            text = re.sub(pattern, replacement, text)
        return text


@pytest.fixture
def doctor(run_mpbake: RunMpbake, tmp_path: Path) -> Doctor:
    """A doctor in the folder of the test."""
    return Doctor(run_mpbake, tmp_path)


def remote_plan(testbed: Testbed, **values: str) -> str:
    """Return a plan with one remote node: the testbed's, unless `values` say otherwise."""
    usual = {
        "endpoint": testbed.node("linux-amd64").endpoint,
        "certs": str(testbed.certificates),
        "tag": f"{testbed.registry.host}/doctor/web:1",
    }
    return REMOTE.format(**{**usual, **values})


def login(folder: Path, registry: str, env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a user with a login, in a docker configuration of its own."""
    config = folder / "docker"
    shutil.copytree(env["DOCKER_CONFIG"], config, symlinks=True)
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    known = json.loads((config / "config.json").read_text()) if (config / "config.json").exists() else {}
    (config / "config.json").write_text(json.dumps({**known, "auths": {registry: {"auth": auth}}}))
    return {"DOCKER_CONFIG": str(config)}


def test_nothing_is_missing(doctor: Doctor, testbed: Testbed) -> None:
    doctor.check("fine", code=0, plan=remote_plan(testbed))


def test_no_docker(doctor: Doctor, testbed: Testbed, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    doctor.check("no-docker", code=5, plan=remote_plan(testbed), env={"PATH": str(tmp_path / "empty")})


def test_docker_without_buildx(doctor: Doctor, testbed: Testbed, tmp_path: Path) -> None:
    """A docker command that does not know its plugin, and is real otherwise."""
    docker = shutil.which("docker")
    folder = tmp_path / "bin"
    folder.mkdir()
    refusal = "echo \"docker: 'buildx' is not a docker command.\" >&2; exit 1"
    script = f'#!/bin/sh\ncase " $* " in *" buildx "*) {refusal};; esac\nexec {docker} "$@"\n'
    (folder / "docker").write_text(script)
    (folder / "docker").chmod(0o755)
    plan = container_plan(testbed, "plain")
    doctor.check("no-buildx", code=5, plan=plan, env={"PATH": f"{folder}:{os.environ['PATH']}"})


def test_an_engine_that_does_not_run(doctor: Doctor, testbed: Testbed) -> None:
    nowhere = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
    doctor.check("no-engine", code=5, plan=container_plan(testbed, "down"), env=nowhere)


def test_a_classic_image_store(doctor: Doctor, testbed: Testbed) -> None:
    plan = """
version = 1
[builders.engine]
driver = "docker"
[targets.web]
builder = "engine"
platforms = ["linux/amd64", "linux/arm64"]
"""
    doctor.check("classic-store", code=5, plan=plan, env={"DOCKER_HOST": testbed.classic_engine().host})


def test_no_emulator(doctor: Doctor, testbed: Testbed) -> None:
    """The container does not exist yet, so the engine's own BuildKit tells."""
    plan = container_plan(testbed, "lacking").replace('["linux/amd64"]', '["linux/amd64", "linux/ppc64le"]')
    doctor.check("no-emulator", code=5, plan=plan)


def test_a_dead_node(doctor: Doctor, testbed: Testbed) -> None:
    doctor.check("dead-node", code=5, plan=remote_plan(testbed, endpoint="tcp://127.0.0.1:9"))


def test_an_expired_certificate(doctor: Doctor, testbed: Testbed, tmp_path: Path) -> None:
    issued(Certificates(folder=testbed.certificates), tmp_path / "certs", days=(-20, -10))
    doctor.check("expired-certificate", code=5, plan=remote_plan(testbed, certs=str(tmp_path / "certs")))


def test_a_certificate_of_another_authority(doctor: Doctor, testbed: Testbed, tmp_path: Path) -> None:
    issued(Certificates(folder=testbed.certificates), tmp_path / "certs")
    doctor.check("wrong-authority", code=5, plan=remote_plan(testbed, certs=str(tmp_path / "certs")))


def test_a_registry_without_login(doctor: Doctor, testbed: Testbed) -> None:
    tag = f"{testbed.password_registry().host}/doctor/web:1"
    doctor.check("no-login", code=5, plan=remote_plan(testbed, tag=tag))


def test_a_login_is_used_and_never_printed(
    doctor: Doctor, testbed: Testbed, testbed_env: Mapping[str, str], tmp_path: Path
) -> None:
    registry = testbed.password_registry().host
    env = login(tmp_path, registry, testbed_env)
    printed = doctor.check("login", code=0, plan=remote_plan(testbed, tag=f"{registry}/doctor/web:1"), env=env)
    assert PASSWORD not in printed
    uploads = testbed.place.folder("password-registry") / "storage"
    assert list(uploads.rglob("_uploads")), "no upload was opened"
    assert not list(uploads.rglob("startedat")), "an upload was left open"


def test_a_login_without_the_right_to_push(
    doctor: Doctor, testbed: Testbed, testbed_env: Mapping[str, str], tmp_path: Path
) -> None:
    with faulty_registry(testbed.registry.host) as registry:
        registry.fails = lambda _: True  # with 403
        env = login(tmp_path, registry.host, testbed_env)
        plan = remote_plan(testbed, tag=f"{registry.host}/doctor/web:1")
        doctor.check("no-push-permission", code=5, plan=plan, env=env)


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system with little room."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder), check=True)
    try:
        yield folder
    finally:
        subprocess.run(("umount", "--lazy", folder), check=True)


def test_a_full_disk(doctor: Doctor, testbed: Testbed, full_disk: Path) -> None:
    printed = doctor.check("full-disk", code=5, plan=remote_plan(testbed), env={"TMPDIR": str(full_disk)})
    assert "4 MB free for temporary files" in " ".join(printed.split())
