"""Tags, repositories and registries: served images are complete, and mpbake reports tags that did not move."""

from __future__ import annotations

import base64
import json
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Protocol

import pytest
from testbed.registry import PASSWORD, USER
from testbed.registry_client import platforms_of

from tests.checkout import CHECKOUT
from tests.engine.faulty import faulty_registry
from tests.engine.test_values import _two_nodes

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.registry import ProcessRegistry, Registry
    from testbed.testbed import Testbed

    from tests.engine.conftest import Docker, RunMpbake

BOTH = ["linux/amd64", "linux/arm64"]


class LoggedIn(Protocol):
    """A function that logs a user in to registries."""

    def __call__(self, registry: ProcessRegistry) -> dict[str, str]:
        """Return the environment of a user with logins for these registries."""


def plan_of(testbed: Testbed, builder: str, tags: list[str], more: str = "") -> str:
    """Return a plan with one pushed target `web` for two platforms."""
    base = testbed.env()["BASE_IMAGE"]
    return f"""
version = 1
[targets.web]
builder = "{builder}"
dockerfile-inline = '''
FROM {base}
RUN uname -m > /machine
'''
platforms = ["linux/amd64", "linux/arm64"]
tags = {tags}
push = true
{more}
[builders.box]
driver = "docker-container"
image = "{testbed.node_image()}"
network = "host"
""" + _two_nodes(testbed)


@pytest.mark.parametrize("builder", ["default", "box", "two"])
def test_all_tags_in_all_repositories_have_one_digest(
    builder: str, testbed: Testbed, run_mpbake: RunMpbake, repository: str, tmp_path: Path
) -> None:
    tags = [f"{repository}:1", f"{repository}:latest", f"{repository}/copy:1"]
    (tmp_path / "build.toml").write_text(plan_of(testbed, builder, tags))

    completed = run_mpbake(["run", "web"])

    assert completed.returncode == 0, completed.stderr
    served = [testbed.registry.client.manifest(tag) for tag in tags]
    assert len({digest for digest, _ in served}) == 1
    assert platforms_of(served[0][1]) == BOTH
    assert served[0][0].removeprefix("sha256:")[:12] in completed.stdout


@pytest.mark.one_release
def test_two_runs_on_one_engine_publish_their_own(
    testbed: Testbed, testbed_env: dict[str, str], run_mpbake: RunMpbake, unique: str, tmp_path: Path
) -> None:
    """Two checkouts of one project have the same target with different tags, as on a CI machine."""
    env = {**testbed_env, "PYTHONPATH": str(CHECKOUT)}
    base = testbed.env()["BASE_IMAGE"]
    running = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        plan = plan_of(testbed, "default", [f"{testbed.registry.host}/{unique}:{name}"], "no-cache = true")
        plan = plan.replace(f"FROM {base}", f"FROM {base}\nRUN head -c 9000000 /dev/urandom > /y")
        (folder / "build.toml").write_text(plan)
        command = (sys.executable, "-m", "mpbake", "run", "web")
        running.append(subprocess.Popen(command, cwd=folder, env=env, stderr=subprocess.PIPE, text=True))
    errors = [process.communicate(timeout=120)[1] for process in running]
    assert not any(process.returncode for process in running), "\n".join(errors)
    digests = {testbed.registry.client.manifest(f"{unique}:{name}")[0] for name in ("one", "two")}
    assert len(digests) == 2
    for name in ("one", "two"):
        assert run_mpbake(["verify", "web"], cwd=tmp_path / name).returncode == 0


def test_a_push_of_a_part_is_done_again_by_a_run_of_the_whole(
    testbed: Testbed, run_mpbake: RunMpbake, tmp_path: Path
) -> None:
    (tmp_path / "build.toml").write_text(plan_of(testbed, "two", ["localhost:1/web:1"]))
    completed = run_mpbake(["run", "web"])
    assert completed.returncode == 5, completed.stderr
    assert "; repeat with: mpbake run web\n" in completed.stderr
    assert "--no-push" not in completed.stderr


@pytest.mark.one_release
def test_only_planned_platforms_when_restricted(
    testbed: Testbed, run_mpbake: RunMpbake, repository: str, tmp_path: Path
) -> None:
    (tmp_path / "build.toml").write_text(plan_of(testbed, "two", [f"{repository}:1"]))
    completed = run_mpbake(["run", "web", "--platform", "linux/arm64"])
    assert completed.returncode == 0, completed.stderr
    assert platforms_of(testbed.registry.client.manifest(f"{repository}:1")[1]) == ["linux/arm64"]
    assert f"warning: web: --platform omits linux/amd64: {repository}:1 will lack them" in completed.stderr


@pytest.mark.one_release
def test_no_push_leaves_the_registry_alone(
    testbed: Testbed, run_mpbake: RunMpbake, repository: str, tmp_path: Path
) -> None:
    (tmp_path / "build.toml").write_text(plan_of(testbed, "two", [f"{repository}:1"]))
    completed = run_mpbake(["run", "web", "--no-push"])
    assert completed.returncode == 0, completed.stderr
    assert not testbed.registry.client.has(f"{repository}:1")


@pytest.mark.one_release
@pytest.mark.parametrize("builder", ["default", "box", "two"])
def test_registry_out_of_reach(
    builder: str, testbed: Testbed, registry: Registry, run_mpbake: RunMpbake, tmp_path: Path, unique: str
) -> None:
    nowhere = f"localhost:9/{unique}"
    (tmp_path / "build.toml").write_text(plan_of(testbed, builder, [f"{nowhere}:1", f"{nowhere}:2"]))

    completed = run_mpbake(["run", "web"])

    assert completed.returncode == 5, completed.stderr
    assert (
        "the registry does not answer" in completed.stderr
        or "check that the registry is up and reachable" in completed.stderr
    )
    assert "Traceback" not in completed.stderr
    assert registry.client.tags(unique) == []


@pytest.mark.parametrize("builder", ["default", "box"])
def test_a_tag_that_was_about_to_move_when_the_run_was_stopped_may_have_moved(
    builder: str, testbed: Testbed, testbed_env: dict[str, str], unique: str, tmp_path: Path
) -> None:
    with faulty_registry(testbed.registry.host) as registry:
        tags = [f"{registry.host}/{unique}:{number}" for number in (1, 2, 3)]
        (tmp_path / "build.toml").write_text(plan_of(testbed, builder, tags))
        registry.reset(lambda _: registry.asked[-1] == f"PUT /v2/{unique}/manifests/2", "late")
        command = (sys.executable, "-m", "mpbake", "run", "web", "--metadata-file", "m.json")
        env = {**testbed_env, "PYTHONPATH": str(CHECKOUT)}
        with subprocess.Popen(command, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            next(line for line in process.stderr if "publish web" in line)
            while f"PUT /v2/{unique}/manifests/2" not in registry.asked:
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            began = time.monotonic()
            output = process.stderr.read()
        assert time.monotonic() - began < 10
    assert process.returncode == 130
    own = json.loads((tmp_path / "m.json").read_bytes())["web"]["mpbake"]
    assert (own["tags"], own["may-have-moved"]) == (tags[:1], tags[1:2])
    word = f"cancelled; moved: {tags[0]}; may have moved: {tags[1]}; not moved: {tags[2]}\n"
    for text in (output, own["errors"][0]):
        assert word in f"{text}\n"


@pytest.mark.parametrize("builder", ["default", "box"])
def test_a_build_that_is_stopped_while_it_pushes_has_moved_no_tag(
    builder: str, testbed: Testbed, run_mpbake: RunMpbake, unique: str, tmp_path: Path
) -> None:
    with faulty_registry(testbed.registry.host) as registry:
        (tmp_path / "build.toml").write_text(
            plan_of(testbed, builder, [f"{registry.host}/{unique}:1"], 'timeout = "8s"')
        )
        registry.reset(lambda _: registry.asked[-1].startswith("PUT "), "hangs")
        completed = run_mpbake(["run", "web", "--metadata-file", "m.json"])
    assert completed.returncode == 1, completed.stderr
    own = json.loads((tmp_path / "m.json").read_bytes())["web"]["mpbake"]
    assert (own["tags"], own["may-have-moved"]) == ([], [])
    assert "moved:" not in completed.stderr
    assert "1" not in testbed.registry.client.tags(unique)


@pytest.mark.parametrize("builder", ["default", "box", "two"])
def test_registry_says_no(builder: str, testbed: Testbed, run_mpbake: RunMpbake, tmp_path: Path, unique: str) -> None:
    locked = testbed.password_registry()
    (tmp_path / "build.toml").write_text(plan_of(testbed, builder, [f"{locked.host}/{unique}:1"]))

    completed = run_mpbake(["run", "web"])

    assert completed.returncode == 1, completed.stderr
    assert "check docker login and your rights in the repository" in completed.stderr


@pytest.mark.one_release
def test_one_registry_of_two_says_no(
    testbed: Testbed, run_mpbake: RunMpbake, repository: str, tmp_path: Path, unique: str
) -> None:
    locked = testbed.password_registry()
    (tmp_path / "build.toml").write_text(plan_of(testbed, "two", [f"{repository}:1", f"{locked.host}/{unique}:1"]))

    completed = run_mpbake(["run", "web"])

    assert completed.returncode == 1, completed.stderr
    # mpbake first pushes to all registries by digest. So no tag has moved in any of them.
    assert not testbed.registry.client.has(f"{repository}:1")


def test_needed_target_is_published_before(
    testbed: Testbed, run_mpbake: RunMpbake, docker: Docker, repository: str, tmp_path: Path
) -> None:
    base = testbed.env()["BASE_IMAGE"]
    (tmp_path / "build.toml").write_text(f"""
version = 1
[targets.first]
dockerfile-inline = '''
FROM {base}
RUN echo first > /who
'''
platforms = ["linux/amd64"]
tags = ["{repository}:first"]
push = true
[targets.second]
dockerfile-inline = "FROM {repository}:first"
needs = ["first"]
platforms = ["linux/amd64"]
tags = ["{repository}:second"]
push = true
""")

    completed = run_mpbake(["run", "second"])

    assert completed.returncode == 0, completed.stderr
    assert docker("run", "--rm", "--quiet", f"{repository}:second", "cat", "/who").strip() == "first"


@pytest.fixture
def logged_in(testbed: Testbed, testbed_env: dict[str, str], tmp_path: Path) -> LoggedIn:
    """Return a function that logs in a user who has a docker configuration of the test."""

    def log_in(registry: ProcessRegistry) -> dict[str, str]:
        config = tmp_path / "docker"
        if "DOCKER_CONFIG" in testbed.engine.client:
            shutil.copytree(testbed.engine.client["DOCKER_CONFIG"], config)
        config.mkdir(exist_ok=True)
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        (config / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": login}}}))
        return {**testbed_env, "DOCKER_CONFIG": str(config)}

    return log_in


@pytest.mark.parametrize("builder", ["default", "box", "two"])
def test_the_users_login_is_used(
    builder: str, testbed: Testbed, run_mpbake: RunMpbake, logged_in: LoggedIn, tmp_path: Path, unique: str
) -> None:
    locked = testbed.password_registry()
    tags = [f"{locked.host}/{unique}:1", f"{locked.host}/{unique}/copy:1"]
    (tmp_path / "build.toml").write_text(plan_of(testbed, builder, tags, 'checks = [{ run = ["true"] }]'))
    env = logged_in(locked)

    completed = run_mpbake(["run", "web"], env=env)

    assert completed.returncode == 0, completed.stderr
    served = [locked.client.manifest(tag) for tag in tags]
    assert len({digest for digest, _ in served}) == 1
    assert platforms_of(served[0][1]) == BOTH
    assert run_mpbake(["verify", "web"], env=env).returncode == 0
    stranger = run_mpbake(["verify", "web"])
    assert stranger.returncode == 1
    assert f"{locked.host} answers 401 Unauthorized" in stranger.stdout


@pytest.mark.one_release
@pytest.mark.parametrize("builder", ["default", "box", "two"])
def test_mpbake_reads_back_with_a_login_for_a_single_repository(
    builder: str,
    testbed: Testbed,
    run_mpbake: RunMpbake,
    logged_in: LoggedIn,
    tmp_path: Path,
    unique: str,
) -> None:
    """Since 0.31, buildx uses such a login only for registries with a token server.

    Here it pushes with another login.
    """
    locked = testbed.password_registry()
    tag = f"{locked.host}/{unique}:1"
    (tmp_path / "build.toml").write_text(plan_of(testbed, builder, [tag]))
    env = logged_in(locked)
    config, store = tmp_path / "docker/config.json", tmp_path / "store"
    scoped = store / "config" / locked.host / unique
    scoped.mkdir(parents=True)
    shutil.copy(config, scoped / "config.json")
    env |= {"BUILDX_CONFIG": str(store)}
    pushed = run_mpbake(["run", "web"], env=env)
    assert pushed.returncode == 0, pushed.stderr
    config.unlink()
    refused = run_mpbake(["run", "web", "--no-cache"], env=env)
    assert refused.returncode == 1, refused.stderr
    assert "check docker login and your rights in the repository" in refused.stderr
    verified = run_mpbake(["verify", "web"], env=env)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    shutil.rmtree(store)
    assert run_mpbake(["verify", "web"], env=env).returncode == 1


def test_a_registry_with_a_certificate_of_its_own(
    testbed: Testbed, run_mpbake: RunMpbake, logged_in: LoggedIn, tmp_path: Path, unique: str
) -> None:
    locked = testbed.tls_registry()
    builder, authority = f"b{unique[-6:]}", f"{testbed.certificates}/ca.crt"
    # mpbake takes a registry on localhost for one without TLS, unless the builder states otherwise.
    trust = f'buildkitd.registry."{locked.host}" = {{ http = false, ca = ["{authority}"] }}'
    plan = plan_of(testbed, "box", [f"{locked.host}/{unique}:1", f"{locked.host}/{unique}/copy:1"])
    plan = plan.replace("[builders.box]", f"[builders.box]\n{trust}").replace("box", builder)
    (tmp_path / "build.toml").write_text(plan)
    env = logged_in(locked)

    completed = run_mpbake(["run", "web"], env=env)
    verified = run_mpbake(["verify", "web"], env=env)
    assert run_mpbake(["builders", "rm", builder], env=env).returncode == 0
    (tmp_path / "build.toml").write_text(plan.replace(f', ca = ["{authority}"]', ""))
    stranger = run_mpbake(["verify", "web"], env=env)
    trusting = run_mpbake(["verify", "web"], env={**env, "SSL_CERT_FILE": authority})

    assert completed.returncode == 0, completed.stderr
    assert verified.returncode == 0, verified.stderr
    assert stranger.returncode == 5, stranger.stderr
    assert "its certificate is not trusted" in stranger.stderr
    assert (
        '\n  = set buildkitd.registry."HOST".ca in the builder, set SSL_CERT_FILE, or add the CA to the'
        in stranger.stderr
    )
    assert trusting.returncode == 0, trusting.stderr
    assert locked.client.manifest(f"{unique}:1") == locked.client.manifest(f"{unique}/copy:1")


def test_an_image_whose_base_is_of_another_platform_is_warned_of(
    testbed: Testbed, run_mpbake: RunMpbake, repository: str, tmp_path: Path
) -> None:
    plan = plan_of(testbed, "two", [f"{repository}:1"], 'contexts = { base = "target:base" }')
    base = f"""
[targets.base]
platforms = ["linux/amd64"]
dockerfile-inline = "FROM {testbed.env()["BASE_IMAGE"]}"
"""
    (tmp_path / "build.toml").write_text(plan.replace(f"FROM {testbed.env()['BASE_IMAGE']}", "FROM base") + base)

    completed = run_mpbake(["run", "web"])

    assert completed.returncode == 0, completed.stderr
    warning = "warning: web: its Dockerfile says FROM base, which is built for linux/amd64 only"
    assert warning in completed.stderr
    assert "with base for linux/amd64 (linked)" in run_mpbake(["plan", "web"]).stdout
