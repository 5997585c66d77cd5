"""Facts about engines, disks and registries, and all of them together."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.errors import MpbakeError, Unreachable
from mpbake.base.platforms import parse_platforms
from mpbake.buildkit.doctor import survey
from mpbake.buildkit.doctor.disks import places, space_of
from mpbake.buildkit.doctor.engines import clock_between, engine_at, engine_clock
from mpbake.buildkit.doctor.registries import push_access, registry_clock
from mpbake.buildkit.doctor.survey import find_facts
from mpbake.buildkit.nodes.services import services_for
from mpbake.buildkit.registry.transport import NoResponse, Response
from mpbake.graph.doctor.facts import Clock, Engine, Place, Purpose, PushAccess, Subject, Unanswered
from mpbake.model.plan import Builder, Driver
from tests.unit.dockers import FakeDocker, container, context_in_use, done, failed
from tests.unit.doctors import engine_of, lines_of, subject_of, text_of
from tests.unit.registries import MemoryRegistries, MemoryRegistry, fails, refusal

if TYPE_CHECKING:
    from mpbake.buildkit.nodes.services import NodeServices
    from mpbake.buildkit.registry.transport import Request

NOON = datetime(2026, 8, 1, 12, tzinfo=UTC)
BUILDER = Builder(name="ci", driver=Driver.DOCKER, nodes=())
INFO = {
    "OSType": "linux",
    "Architecture": "x86_64",
    "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
    "ServerVersion": "28.3.0",
    "SystemTime": "2026-08-01T12:00:00.123456789Z",
}
INSPECTED = "Name: default\nDriver: docker\n\nNodes:\nName: default\nPlatforms: linux/amd64, linux/arm64\n"


def services_of(folder: Path, docker: FakeDocker) -> NodeServices:
    """Return the services of a user whose home is the folder."""
    (folder / "scratch").mkdir(exist_ok=True)
    environment = {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "TMPDIR": str(folder)}
    return services_for(docker, environment, folder / "scratch", lambda: NOON)


def docker_of(**answers: Any) -> FakeDocker:
    """Return a docker with an engine, a buildx and no container."""
    usual = {
        "version --format {{.Client.Version}}": done("28.3.0\n"),
        "buildx version": done("github.com/docker/buildx v0.37.0 abc\n"),
        "system info": done(json.dumps(INFO)),
        "context inspect": context_in_use("default"),
        "buildx inspect": done(INSPECTED),
        "container inspect": failed("No such container"),
    }
    return FakeDocker({**usual, **{name.replace("_", " "): answer for name, answer in answers.items()}})


# --- clocks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "ahead"),
    [(0, 0.0), (5, 0.0), (10, 0.0), (70, 60.0), (-30, -30.0)],
)
def test_a_clock_is_compared_with_the_time_of_the_question(seconds: int, ahead: float) -> None:
    """The answer took ten seconds: within them, any time is right."""
    asked, answered = NOON, NOON + timedelta(seconds=10)
    assert clock_between(NOON + timedelta(seconds=seconds), asked, answered) == Clock(ahead=ahead)


@pytest.mark.parametrize(
    ("text", "ahead"),
    [
        ("2026-08-01T12:01:00.123456789Z", 60.123456),
        ("2026-08-01T14:00:00+02:00", 0.0),
        ("2026-08-01T11:58:00", -120.0),
    ],
)
def test_the_time_of_an_engine(text: str, ahead: float) -> None:
    clock = engine_clock({"SystemTime": text}, NOON, NOON)
    assert isinstance(clock, Clock)
    assert clock.ahead == pytest.approx(ahead, abs=1e-3)


@pytest.mark.parametrize("info", [{}, {"SystemTime": ""}, {"SystemTime": None}, {"SystemTime": "noon"}])
def test_an_engine_that_does_not_tell_its_time(info: dict[str, Any]) -> None:
    assert engine_clock(info, NOON, NOON) == Unanswered(reason="the engine does not report its time")


def test_the_time_of_a_registry() -> None:
    dated = {"date": "Sat, 01 Aug 2026 12:03:00 GMT"}
    registries = MemoryRegistries(MemoryRegistry(lambda *_: Response(status=401, headers=dated)))
    assert registry_clock(registries, BUILDER, "r", lambda: NOON) == Clock(ahead=180.0)
    for answer in ({}, {"date": "noon"}):
        registries = MemoryRegistries(MemoryRegistry(lambda *_, answer=answer: Response(status=200, headers=answer)))
        with pytest.raises(Unreachable, match="does not report its time"):
            registry_clock(registries, BUILDER, "r", lambda: NOON)
    gone = MemoryRegistries(MemoryRegistry(fails(NoResponse("no route to host", sent=False))))
    with pytest.raises(Unreachable, match="no route to host"):
        registry_clock(gone, BUILDER, "r", lambda: NOON)


# --- the right to push ------------------------------------------------------------------------------------------------


def test_an_upload_is_opened_and_cancelled() -> None:
    registry = MemoryRegistry()
    assert push_access(MemoryRegistries(registry), BUILDER, "r:1/team/web") == PushAccess(has_login=True)
    assert [asked.partition(" ")[0] for asked in registry.asked] == ["POST", "DELETE"]


def test_a_refusal_says_whether_there_is_a_login() -> None:
    registry = MemoryRegistry(fails(refusal(401, "UNAUTHORIZED", "log in")))
    access = push_access(MemoryRegistries(registry), BUILDER, "r:1/web")
    assert (access.has_login, access.status) == (False, 401)
    assert access.message == "r:1 answers 401 Unauthorized: UNAUTHORIZED log in"


def test_a_registry_that_is_gone_says_why() -> None:
    registry = MemoryRegistry(fails(NoResponse("connection refused", sent=False)))
    access = push_access(MemoryRegistries(registry), BUILDER, "r:1/web")
    assert (access.status, access.message) == (0, "r:1: connection refused")
    assert access.hint == "check that the registry is up and reachable from this machine"


# --- disks ------------------------------------------------------------------------------------------------------------


def test_a_folder_that_does_not_exist_yet_is_on_the_file_system_of_its_parent(tmp_path: Path) -> None:
    space = space_of(Place(path=tmp_path / "a/b/.mpbake", purpose=Purpose.STATE))
    assert space.free > 0
    assert space.is_writable


def test_a_folder_that_cannot_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.statvfs", refuse)
    with pytest.raises(MpbakeError, match="its free space is not known: Permission denied"):
        space_of(Place(path=tmp_path, purpose=Purpose.TEMPORARY))


def test_the_folders_of_a_plan(tmp_path: Path) -> None:
    engine = replace(engine_of(), root=tmp_path)
    environment = {"HOME": "/home/me", "TMPDIR": "/scratch"}
    engines: list[Engine | Unanswered] = [engine, engine, replace(engine, is_local=False), Unanswered(reason="")]
    found = places(environment, Path("/plan"), engines)
    assert [(place.purpose.name, str(place.path)) for place in found] == [
        ("ENGINE", str(tmp_path)),
        ("STATE", "/plan/.mpbake"),
        ("RECORDS", "/home/me/.local/state/mpbake/builders"),
        ("TEMPORARY", "/scratch"),
    ]
    assert [place.purpose.name for place in places({"HOME": "/"}, None, [])] == ["RECORDS", "TEMPORARY"]


# --- engines ----------------------------------------------------------------------------------------------------------


def test_an_engine_is_local_if_its_folder_is_on_this_machine(tmp_path: Path) -> None:
    def is_local(host: str = "unix:///run/docker.sock", **info: str) -> bool:
        own = {**INFO, "Name": socket.gethostname(), "DockerRootDir": str(tmp_path), **info}
        docker = docker_of(system_info=done(json.dumps(own)), context_inspect=context_in_use("default", host))
        return engine_at(services_of(tmp_path, docker), "").is_local

    assert is_local()
    assert not is_local("tcp://build1:2376")
    assert not is_local(Name="another")
    assert not is_local(DockerRootDir="/nowhere/at/all")
    assert not is_local(DockerRootDir="")
    assert not is_local(OperatingSystem="Docker Desktop")


# --- everything -------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> MemoryRegistry:
    """The registry of every test."""
    memory = MemoryRegistry()
    monkeypatch.setattr(survey, "Registries", lambda *_: MemoryRegistries(memory))
    return memory


def test_without_a_plan_only_docker_is_asked(tmp_path: Path, registry: MemoryRegistry) -> None:
    docker = docker_of()
    facts = find_facts(services_of(tmp_path, docker), Subject())
    assert (facts.client, facts.buildx) == ("28.3.0", (0, 37))
    assert facts.engine_platforms == parse_platforms(["linux/amd64", "linux/arm64"])
    assert facts.nodes == {}
    assert registry.asked == []
    assert lines_of(facts, "emulators") == "ok: the engine in use emulates linux/arm64"


def test_the_version_of_docker_in_a_context_that_does_not_exist(tmp_path: Path) -> None:
    lost = failed('Failed to initialize: unable to resolve docker endpoint: context "nope": context not found')
    answers = {"version_--format_{{.Client.Version}}": lost}
    docker = docker_of(**answers, **{"--version": done("Docker version 26.1.5+dfsg1, build a72d7cd\n")})
    facts = find_facts(services_of(tmp_path, docker), Subject())
    assert lines_of(facts, "docker") == "ok: docker 26.1.5+dfsg1"
    docker = docker_of(**answers, **{"--version": failed("Segmentation fault")})
    facts = find_facts(services_of(tmp_path, docker), Subject())
    assert (
        lines_of(facts, "docker") == "missing: the docker command does not report its version = try: docker --version"
    )


PLAN = """
    [builders.ci]
    network = "host"
    [targets.web]
    builder = "ci"
    platforms = ["linux/amd64", "linux/arm64", "linux/s390x"]
    tags = ["r.example.com/web:1"]
    push = true
    """


def test_a_container_that_does_not_exist_is_not_made(tmp_path: Path, registry: MemoryRegistry) -> None:
    docker = docker_of()
    facts = find_facts(services_of(tmp_path, docker), subject_of(PLAN))
    assert lines_of(facts, "nodes") == (
        "unknown: ci/local (docker-container, the engine in use): its container does not exist yet "
        "= run `mpbake builders up ci`, or let a run create and start it"
    )
    assert lines_of(facts, "platforms").splitlines()[0] == "ok: ci: linux/amd64 native on ci/local"
    assert "missing: ci: no node builds linux/s390x" in lines_of(facts, "platforms")
    assert lines_of(facts, "emulators") == "ok: ci/local emulates linux/arm64"
    assert lines_of(facts, "push") == "ok: r.example.com/web: this user may push"
    assert [asked.partition(" ")[0] for asked in registry.asked].count("POST") == 1
    changing = {"create", "start", "--bootstrap", "run", "pull", "rm", "remove"}
    assert not [command for command in docker.commands if changing & set(command.split())]


def test_a_container_that_runs_is_asked_itself(tmp_path: Path) -> None:
    docker = docker_of(container_inspect=container("OTHER=1"))
    facts = find_facts(services_of(tmp_path, docker), subject_of(PLAN))
    assert "mpbake did not make the container buildx_buildkit_ci-local" in lines_of(facts, "nodes")


def test_the_default_builder_has_the_driver_of_a_run(tmp_path: Path) -> None:
    classic = {**INFO, "DriverStatus": []}
    plan = '[targets.web]\nplatforms = ["linux/amd64", "linux/arm64"]'
    for info, driver in ((INFO, Driver.DOCKER), (classic, Driver.DOCKER_CONTAINER)):
        facts = find_facts(services_of(tmp_path, docker_of(system_info=done(json.dumps(info)))), subject_of(plan))
        assert facts.default is driver
        assert facts.reports["default/local"].row.node.driver is driver


def test_without_docker_everything_else_is_still_checked(tmp_path: Path) -> None:
    missing = Unreachable("the docker command was not found", hint="install Docker")
    docker = docker_of()
    docker.answers = dict.fromkeys(docker.answers, missing)
    facts = find_facts(services_of(tmp_path, docker), subject_of(PLAN))
    printed = text_of(facts)
    assert printed.count("the docker command was not found") == 1
    assert "r.example.com/web: this user may push" in printed
    assert "free for temporary files" in printed


def test_the_reason_of_a_builder_is_that_of_its_nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise Unreachable("the store is locked", hint="wait")

    monkeypatch.setattr(survey, "survey_builder", refuse)
    facts = find_facts(services_of(tmp_path, docker_of()), subject_of(PLAN))
    assert lines_of(facts, "nodes") == "unknown: ci/local: the store is locked = wait"


def test_requests_to_a_registry_end_soon(tmp_path: Path, registry: MemoryRegistry) -> None:
    seconds: list[float] = []

    def send(request: Request, tls: object, proxy: str, allowed: float) -> Response:
        del request, tls, proxy
        seconds.append(allowed)
        return Response(status=202, headers={})

    registry.send = send  # type: ignore[method-assign, assignment]
    find_facts(services_of(tmp_path, docker_of()), subject_of(PLAN))
    assert set(seconds) == {20.0}
