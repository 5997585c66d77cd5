"""What a plan may do on the machine that runs it: refused without a grant, done with exactly the printed options."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.checkout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed.testbed import Testbed

    from tests.engine.conftest import RunMpbake

UNGRANTED = {"MPBAKE_ALLOW": ""}
_WITH_ENTITLEMENTS = (0, 17)
_WITH_PATHS = (0, 19)


@pytest.fixture
def project(testbed: Testbed, tmp_path: Path, buildx: tuple[int, int]) -> Path:
    """Return the folder of a plan that reads a folder outside, and passes a secret.

    If buildx supports that, the plan also wants all privileges.
    """
    insecure = buildx >= _WITH_ENTITLEMENTS
    folder = tmp_path / "project"
    folder.mkdir()
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "file").write_text("shared\n")
    (folder / "link").symlink_to("../shared")
    base = testbed.env()["BASE_IMAGE"]
    (folder / "build.toml").write_text(f"""version = 1
[builders.b]
image = "{testbed.env()["BUILDKIT_IMAGE"]}"
network = "host"
flags = ["--allow-insecure-entitlement=security.insecure"]
[targets.web]
builder = "b"
contexts = {{ shared = "link" }}
secret = ["id=token,env=GRANTED_TOKEN"]
{'entitlements = ["security.insecure"]' if insecure else ""}
output = ["type=local,dest=../out"]
dockerfile-inline = '''
FROM {base} AS build
RUN {"--security=insecure " if insecure else ""}--mount=type=secret,id=token cat /run/secrets/token > /token
FROM scratch
COPY --from=shared file /
COPY --from=build /token /
'''
""")
    return folder


def _calls_recorder(folder: Path, environment: Mapping[str, str]) -> tuple[Path, dict[str, str]]:
    """Return a file with the docker calls, and the environment in which docker writes its calls there."""
    calls, program = folder / "calls", folder / "bin" / "docker"
    program.parent.mkdir()
    real = next(path for entry in environment["PATH"].split(":") if (path := Path(entry, "docker")).exists())
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {calls}\nexec {real} "$@"\n')
    program.chmod(0o755)
    return calls, {"PATH": f"{program.parent}:{environment['PATH']}"}


def test_a_plan_does_nothing_until_its_rights_are_granted(
    project: Path, run_mpbake: RunMpbake, testbed_env: dict[str, str], buildx: tuple[int, int]
) -> None:
    calls, recorded = _calls_recorder(project.parent, testbed_env)
    env = {**UNGRANTED, **recorded, "GRANTED_TOKEN": "t0ken"}
    refused = run_mpbake(["run", "web"], cwd=project, env=env)
    assert refused.returncode == 3, refused.stderr
    assert not calls.exists()
    assert not (project / ".mpbake").exists()
    options = shlex.split(re.findall(r"add: (.*)", refused.stderr)[0])
    assert options[1::2] == [
        *(["security.insecure"] if buildx >= _WITH_ENTITLEMENTS else []),
        "fs.write=../out",
        "fs.read=../shared",
        "env=GRANTED_TOKEN",
        f"builder.image={testbed_env['BUILDKIT_IMAGE']}",
        "builder.flags=b",
        "builder.network=host",
    ]
    fewer = [f"--allow={option}" for option in options[3::2]]
    again = run_mpbake(["run", "web", *fewer], cwd=project, env=env)
    message = "error: the plan needs 1 right on this machine that is not granted:"
    assert (again.returncode, again.stderr.splitlines()[0]) == (3, message)
    assert not calls.exists()
    try:
        done = run_mpbake(["run", "web", *options], cwd=project, env=env)
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        run_mpbake(["builders", "rm"], cwd=project)
    assert (project.parent / "out" / "token").read_text() == "t0ken"
    assert (project.parent / "out" / "file").read_text() == "shared\n"
    bake = next(line for line in calls.read_text().splitlines() if "buildx bake" in line)
    allowed = re.findall(r"--allow[ =](\S+)", bake)
    paths = [f"fs.read={project.parent}/shared", f"fs.write={project.parent}"] if buildx >= _WITH_PATHS else []
    assert allowed == (["security.insecure", *paths] if buildx >= _WITH_ENTITLEMENTS else [])


@pytest.mark.one_release
def test_a_symlink_that_changes_after_the_check_is_refused(
    project: Path, run_mpbake: RunMpbake, testbed: Testbed
) -> None:
    """The first target replaces the symlink from which the second target would read."""
    private = project.parent / "private"
    private.mkdir()
    (private / "file").write_text("private\n")
    link = project / "written" / "link"
    link.parent.mkdir()
    link.symlink_to("..")
    (project / "build.toml").write_text(f"""version = 1
[targets.first]
output = ["type=local,dest=written"]
dockerfile-inline = '''
FROM {testbed.env()["BASE_IMAGE"]} AS made
RUN mkdir /out && ln -s ../../private /out/link
FROM scratch
COPY --from=made /out/ /
'''
[targets.second]
needs = ["first"]
contexts = {{ data = "written/link" }}
output = ["type=local,dest=copied"]
dockerfile-inline = "FROM scratch\\nCOPY --from=data . /"
""")
    refused = run_mpbake(["run", "second"], cwd=project, env=UNGRANTED)
    assert link.readlink() == Path("../../private")
    assert refused.returncode == 3, refused.stdout + refused.stderr
    message = "a symlink has changed, so the plan needs 1 other right: fs.read=../private"
    assert message in refused.stderr
    assert not (project / "copied").exists()


@pytest.mark.one_release
def test_a_person_is_asked_once(project: Path, testbed_env: dict[str, str]) -> None:
    (project / "build.toml").write_text("""version = 1
[targets.web]
contexts = { shared = "../shared" }
dockerfile-inline = "FROM scratch\\nCOPY --from=shared . /"
""")
    config = project.parent / "config"
    env = {**testbed_env, **UNGRANTED, "CI": "", "XDG_CONFIG_HOME": str(config)}
    refused, output = _on_a_terminal(project, env, b"\x03")
    assert "fs.read=../shared  web.contexts" in output
    assert (refused, config.exists()) == (3, False)
    allowed, output = _on_a_terminal(project, env, b"y\n")
    assert allowed == 0, output
    allowed, output = _on_a_terminal(project, env, b"")
    assert allowed == 0, output
    assert "Allow?" not in output


def _on_a_terminal(project: Path, env: Mapping[str, str], answer: bytes) -> tuple[int, str]:
    """Run mpbake on a terminal, and type `answer` after the question. Return the exit code and the output."""
    terminal, inner = pty.openpty()
    process = subprocess.Popen(
        ("setsid", "--ctty", "--wait", sys.executable, "-m", "mpbake", "run", "web"),
        cwd=project,
        env={**env, "PYTHONPATH": str(CHECKOUT)},
        stdin=inner,
        stdout=inner,
        stderr=inner,
    )
    os.close(inner)
    output, deadline = b"", time.monotonic() + 120
    while time.monotonic() < deadline:
        ready, _, _ = select.select([terminal], [], [], 1)
        try:
            output += os.read(terminal, 4096) if ready else b""
        except OSError:  # the process has closed the terminal
            break
        if answer and b"[y/N]" in output:
            time.sleep(1)  # Python loses a signal that comes just before it begins to read
            os.write(terminal, answer)
            answer = b""
    os.close(terminal)
    return process.wait(30), output.decode()
