"""Served images compared with published images: at the end of a run, and later by `mpbake verify`."""

from __future__ import annotations

import json
import math
import re
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from testbed.oci import INDEX

from tests.checkout import CHECKOUT
from tests.engine.faulty import faulty_registry
from tests.engine.test_failures import descendants
from tests.engine.test_values import _two_nodes

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.testbed import Testbed

    from tests.engine.conftest import Docker, RunMpbake
    from tests.engine.faulty import FaultyRegistry

pytestmark = pytest.mark.one_release


def plan_of(testbed: Testbed, builder: str, repository: str, more: str = "") -> str:
    """Return a plan with a target that declares labels, annotations and attestations."""
    return f"""
version = 1
[targets.web]
builder = "{builder}"
dockerfile-inline = '''
FROM {testbed.env()["BASE_IMAGE"]}
RUN uname -m > /machine
LABEL of.the.dockerfile=yes
'''
platforms = ["linux/amd64", "linux/arm64"]
tags = ["{repository}:1", "{repository}:2"]
push = true
labels = {{ on = "{{{{ platform.arch }}}}", "a.b" = "x y" }}
annotations = [
    "index,manifest:everywhere=yes",
    "manifest[linux/arm64]:only.arm=a=b",
    "manifest-descriptor[linux/amd64]:by.amd=1",
]
attest = ["type=provenance,mode=max"]
{more}
[builders.engine]
driver = "docker"
[builders.box]
driver = "docker-container"
[defaults.builder]
image = "{testbed.node_image()}"
network = "host"
""" + _two_nodes(testbed)


@pytest.mark.parametrize("builder", ["engine", "default", "box", "two"])
def test_everything_that_was_declared_is_read_back(
    builder: str, testbed: Testbed, run_mpbake: RunMpbake, docker: Docker, repository: str, tmp_path: Path
) -> None:
    plan = plan_of(testbed, builder, repository)
    if builder == "engine":  # the engine's own builder cannot join platforms that differ
        plan = plan.replace("{{ platform.arch }}", "any")
    (tmp_path / "build.toml").write_text(plan)
    completed = run_mpbake(["run", "web"])
    assert completed.returncode == 0, completed.stderr

    good = run_mpbake(["verify", "web"])

    assert (good.returncode, good.stderr) == (0, "")
    digest, index = testbed.registry.client.manifest(f"{repository}:1")
    assert good.stdout == f"web: 2 tags as published ({digest})\n"

    # Another client moves a tag to an index without one of the platforms.
    path = repository.partition("/")[2]
    less = json.loads(index)
    less["manifests"] = [entry for entry in less["manifests"] if entry["platform"]["architecture"] != "arm64"]
    less.pop("annotations", None)
    testbed.registry.client.put_manifest(path, "2", INDEX, json.dumps(less).encode())
    bad = run_mpbake(["verify", "web"])

    assert bad.returncode == 1, bad.stderr
    rows = [line.split("  ") for line in bad.stdout.splitlines()]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert cells[0] == ["target", "tag", "what", "expected", "found"]
    assert [row[2] for row in cells[1:]] == ["digest", "platforms", "annotation of the index everywhere"]
    assert all(row[1] == f"{repository}:2" for row in cells[1:])
    assert cells[2][3:] == ["linux/amd64, linux/arm64", "linux/amd64"]
    docker("image", "rm", "--force", f"{repository}:1", f"{repository}:2")


@pytest.mark.one_release
def test_without_a_run_the_plan_counts(
    testbed: Testbed, run_mpbake: RunMpbake, repository: str, tmp_path: Path
) -> None:
    (tmp_path / "build.toml").write_text(plan_of(testbed, "two", repository))
    nothing = run_mpbake(["verify", "web"])
    assert nothing.returncode == 1, nothing.stderr
    assert f"{repository}:1  answer  an image  no such tag\n" in nothing.stdout

    (tmp_path / "other").mkdir()
    (tmp_path / "other/build.toml").write_text(plan_of(testbed, "two", repository))
    completed = run_mpbake(["run", "web"], cwd=tmp_path / "other")
    assert completed.returncode == 0, completed.stderr
    good = run_mpbake(["verify", "web"])
    assert (good.returncode, good.stdout) == (0, "web: 2 tags as the plan says\n")

    changed = plan_of(testbed, "two", repository, "no-cache = false").replace('"x y"', '"z"').replace("=1", "=2")
    changed = changed.replace("type=provenance,mode=max", "type=sbom")
    (tmp_path / "build.toml").write_text(changed)
    bad = run_mpbake(["verify", "web"])

    assert bad.returncode == 1, bad.stderr
    for message in (
        "linux/amd64: label a.b",
        "linux/arm64: label a.b",
        "linux/amd64: annotation of its descriptor by.amd",
        "linux/amd64: attestation",
        "linux/arm64: attestation",
    ):
        assert bad.stdout.count(f"  {message}  ") == 2, bad.stdout  # once for each tag


@pytest.mark.one_release
def test_a_registry_out_of_reach(testbed: Testbed, run_mpbake: RunMpbake, unique: str, tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text(plan_of(testbed, "two", f"localhost:9/{unique}"))
    completed = run_mpbake(["verify", "web"])
    assert completed.returncode == 5
    assert "cannot be read" in completed.stderr


@pytest.mark.one_release
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"])
def test_a_registry_that_hangs_is_left_at_the_first_signal(
    number: signal.Signals, code: int, testbed: Testbed, testbed_env: dict[str, str], unique: str, tmp_path: Path
) -> None:
    """The registry accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        plan = plan_of(testbed, "two", f"localhost:{listener.getsockname()[1]}/{unique}")
        (tmp_path / "build.toml").write_text(plan)
        (tmp_path / "t").mkdir()  # mpbake's processes are recognized by their temporary folders, which are here
        process = subprocess.Popen(
            [sys.executable, "-m", "mpbake", "verify", "web"],
            cwd=tmp_path,
            env={**testbed_env, "PYTHONPATH": str(CHECKOUT), "TMPDIR": str(tmp_path / "t")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell starts background jobs with SIGINT ignored. The user's mpbake does not ignore it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        )
        try:
            listener.settimeout(60)
            connection, _ = listener.accept()
            with connection:
                began = time.monotonic()
                process.send_signal(number)
                output, errors = process.communicate(timeout=20)
        finally:
            process.kill()
            process.wait()
    assert (process.returncode, output, errors) == (code, "", "")
    assert time.monotonic() - began < 6
    assert descendants(tmp_path) == []
    assert list((tmp_path / "t").iterdir()) == []


def reads_of(registry: FaultyRegistry, tag: str) -> int:
    return sum(request.startswith("GET ") and request.endswith(f"/manifests/{tag}") for request in registry.asked)


@pytest.mark.one_release
@pytest.mark.parametrize("before", ["nothing", "another"])
def test_a_registry_that_serves_a_tag_late_is_waited_for(
    before: str, testbed: Testbed, run_mpbake: RunMpbake, unique: str, tmp_path: Path
) -> None:
    with faulty_registry(testbed.registry.host) as registry:
        plan = plan_of(testbed, "two", f"{registry.host}/{unique}")
        (tmp_path / "build.toml").write_text(plan)
        if before == "another":
            assert run_mpbake(["run", "web"]).returncode == 0
            (tmp_path / "build.toml").write_text(plan.replace('"x y"', '"new"'))
        registry.reset(().__contains__)
        registry.delay(3.0)
        completed = run_mpbake(["run", "web"])
        registry.delay(0.0)

        assert completed.returncode == 0, completed.stderr
        took = re.search(r"verify web: done in ([\d.]+)s, 2 platforms, 2 tags", completed.stderr)
        assert took, completed.stderr
        assert 2.5 < float(took[1]) < 15
        assert reads_of(registry, "1") >= 3
        digest, _ = testbed.registry.client.manifest(f"{unique}:1")
        assert "does not serve" not in completed.stderr
        assert "error" not in completed.stderr
        assert run_mpbake(["verify", "web"]).stdout == f"web: 2 tags as published ({digest})\n"


@pytest.mark.long
@pytest.mark.parametrize("before", ["nothing", "another"])
def test_a_registry_that_never_serves_a_tag_is_not_waited_for_long(
    before: str, testbed: Testbed, run_mpbake: RunMpbake, unique: str, tmp_path: Path
) -> None:
    with faulty_registry(testbed.registry.host) as registry:
        repository = f"{registry.host}/{unique}"
        plan = plan_of(testbed, "two", repository)
        (tmp_path / "build.toml").write_text(plan)
        old = ""
        if before == "another":
            assert run_mpbake(["run", "web"]).returncode == 0
            old, _ = testbed.registry.client.manifest(f"{unique}:1")
            (tmp_path / "build.toml").write_text(plan.replace('"x y"', '"new"'))
        registry.delay(math.inf)
        started = time.monotonic()
        completed = run_mpbake(["run", "web"])
        took = time.monotonic() - started

        assert completed.returncode == 1, completed.stderr
        assert 15 < took < 40
        new, _ = testbed.registry.client.manifest(f"{unique}:1")
        assert new != old
        if old:
            assert (
                f"the registry does not serve the built image:\n  {repository}:1: digest: {old}, not {new}"
                in completed.stderr
            )
            assert "linux/amd64: label a.b: x y, not new" in completed.stderr
        else:
            assert f"{repository}:1 cannot be read: {registry.host} answers 404 Not Found" in completed.stderr
        for tag in ("1", "2"):  # mpbake does not move the tags back
            assert testbed.registry.client.manifest(f"{unique}:{tag}")[0] == new

        if not old:
            bad = run_mpbake(["verify", "web"])
            assert bad.returncode == 1, bad.stderr
            assert re.search(rf"{re.escape(repository)}:2 +answer +an image +no such tag", bad.stdout)
        registry.delay(0.0)
        assert run_mpbake(["run", "web"]).returncode == 0
        assert run_mpbake(["verify", "web"]).returncode == 0


@pytest.mark.one_release
def test_a_plain_http_registry_that_only_the_builder_knows_is_verified(
    testbed: Testbed, run_mpbake: RunMpbake, unique: str, tmp_path: Path
) -> None:
    """The registry has an address of this machine outside the loopback. There mpbake expects TLS by default."""
    with faulty_registry(testbed.registry.host, address=own_address()) as registry:
        (tmp_path / "build.toml").write_text(plan_of(testbed, "two", f"{testbed.registry.host}/{unique}"))
        assert run_mpbake(["run", "web"]).returncode == 0
        plan = plan_of(testbed, "box", f"{registry.host}/{unique}")
        trust = f'buildkitd.registry."{registry.host}".http = true'
        (tmp_path / "build.toml").write_text(plan.replace("[builders.box]", f"[builders.box]\n{trust}"))
        verified = run_mpbake(["verify", "web"])
        (tmp_path / "build.toml").write_text(plan)
        stranger = run_mpbake(["verify", "web"])
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert stranger.returncode == 5, stranger.stdout + stranger.stderr
    assert f"{registry.host}: it does not speak TLS\n" in stranger.stderr
    assert '= set buildkitd.registry."HOST".http = true in the builder' in stranger.stderr


def own_address() -> str:
    """Return an address under which other machines reach this one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # this sends no packet
        return str(probe.getsockname()[0])


@pytest.mark.long
def test_a_registry_that_hangs_after_its_tags_were_given_is_soon_left(
    testbed: Testbed, run_mpbake: RunMpbake, unique: str, tmp_path: Path
) -> None:
    with faulty_registry(testbed.registry.host) as registry:
        (tmp_path / "build.toml").write_text(plan_of(testbed, "two", f"{registry.host}/{unique}"))
        registry.reset(lambda _: len(registry.given) == 2 and not registry.asked[-1].startswith("PUT"), "hangs")
        started = time.monotonic()
        completed = run_mpbake(["run", "web"])
        took = time.monotonic() - started
        assert completed.returncode == 5, completed.stderr
        assert f"{registry.host}/{unique}:1 cannot be read: {registry.host}: no answer " in completed.stderr
        assert 30 < took < 90
        for tag in ("1", "2"):
            assert testbed.registry.client.has(f"{unique}:{tag}")

        started = time.monotonic()
        completed = run_mpbake(["verify", "web"])
        took = time.monotonic() - started
        assert completed.returncode == 5, completed.stderr
        assert 25 < took < 45
