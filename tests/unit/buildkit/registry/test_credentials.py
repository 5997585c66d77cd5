"""The user's logins, from the same sources as those of docker and buildx."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.errors import BuildFailed, Unreachable
from mpbake.buildkit.registry.credentials import Credentials, Login
from tests.unit.dockers import done, failed

if TYPE_CHECKING:
    from pathlib import Path

    from mpbake.buildkit.process.completed import Completed

HUB = "https://index.docker.io/v1/"


def auth(login: str) -> dict[str, str]:
    return {"auth": base64.b64encode(login.encode()).decode()}


def credentials(folder: Path, config: object = None, helper: Any = None, **environment: str) -> Credentials:
    if config is not None:
        (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))

    def run(command: tuple[str, ...], text: str) -> Completed:
        if isinstance(helper, Exception):
            raise helper
        assert helper is not None, f"nobody expected: {command}"
        return helper(*command, text)  # type: ignore[no-any-return]

    return Credentials({"DOCKER_CONFIG": str(folder), **environment}, run)


@pytest.mark.parametrize(
    ("entry", "login"),
    [
        (auth("me:p:w"), Login(name="me", password="p:w")),
        ({"username": "me", "password": "pw"}, Login(name="me", password="pw")),
        ({"identitytoken": "t", **auth("me:")}, Login(name="me", identity="t")),
        ({"registrytoken": "t"}, Login(bearer="t")),
        ({"auth": "!"}, Login()),
        ({}, Login()),
        (1, Login()),
    ],
)
def test_the_forms_of_a_login(entry: object, login: Login, tmp_path: Path) -> None:
    assert credentials(tmp_path, {"auths": {"r:5000": entry}}).login("r:5000", "web", ("pull",)) == login
    assert "pw" not in repr(login)


@pytest.mark.parametrize(
    ("registry", "key"),
    [("docker.io", HUB), ("r.example.com", "https://r.example.com/v2/"), ("r:5000", "http://r:5000"), ("dhi.io", HUB)],
)
def test_a_login_is_found_by_its_host(registry: str, key: str, tmp_path: Path) -> None:
    config = {"auths": {"other": auth("no:no"), key: auth("me:pw")}}
    assert credentials(tmp_path, config).login(registry, "team/web", ("pull",)).password == "pw"
    assert not credentials(tmp_path, {"auths": {"other": auth("a:b")}}).login(registry, "web", ("pull",))


@pytest.mark.parametrize("config", [{"credsStore": "x"}, {"credHelpers": {"r": "x"}, "credsStore": "y"}])
def test_a_helper_is_asked_and_its_answer_kept_for_a_while(config: dict[str, Any], tmp_path: Path) -> None:
    commands: list[tuple[str, ...]] = []

    def helper(*command: str) -> Completed:
        commands.append(command)
        return done(json.dumps({"ServerURL": "r", "Username": "me", "Secret": "pw"}))

    moments = iter((0.0, 0.0, 200.0, 300.0, 300.0))
    environment = {"DOCKER_CONFIG": str(tmp_path)}
    finder = Credentials(environment, lambda command, text: helper(*command, text), lambda: next(moments))
    (tmp_path / "config.json").write_text(json.dumps({**config, "auths": {"r": auth("not:used")}}))
    for _ in range(3):
        assert finder.login("r", "web", ("pull",)) == Login(name="me", password="pw")
    assert commands == [("docker-credential-x", "get", "r")] * 2


def test_what_a_helper_may_answer(tmp_path: Path) -> None:
    config = {"credsStore": "x"}
    token = done(json.dumps({"Username": "<token>", "Secret": "t"}))
    assert credentials(tmp_path, config, lambda *_: token).login("r", "w", ("pull",)) == Login(identity="t")
    none = failed("", stdout="credentials not found in native keychain\n")
    assert not credentials(tmp_path, config, lambda *_: none).login("r", "w", ("pull",))
    for answer, message in ((failed("locked"), "get r: locked"), (done("?"), "get r: it does not print JSON")):
        with pytest.raises(BuildFailed, match=f"^docker-credential-x {message}\n"):
            credentials(tmp_path, config, lambda *_, answer=answer: answer).login("r", "w", ("pull",))
    missing = Unreachable("the docker-credential-x command was not found")
    with pytest.raises(BuildFailed, match=r"^the docker-credential-x command was not found"):
        credentials(tmp_path, config, missing).login("r", "w", ("pull",))


def test_a_ci_server_may_give_logins_in_the_environment(tmp_path: Path) -> None:
    logins = json.dumps({"auths": {"r": auth("ci:pw")}})
    finder = credentials(tmp_path, {"auths": {"r": auth("me:no"), "s": auth("me:yes")}}, DOCKER_AUTH_CONFIG=logins)
    assert finder.login("r", "w", ("pull",)).name == "ci"
    assert finder.login("s", "w", ("pull",)).password == "yes"
    with pytest.raises(BuildFailed, match="DOCKER_AUTH_CONFIG is not a JSON object"):
        credentials(tmp_path, {}, DOCKER_AUTH_CONFIG="[1").login("r", "w", ("pull",))


@pytest.mark.parametrize("config", ["", "[1]", "{"])
def test_a_configuration_that_is_damaged_is_told(config: str, tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match=r"config\.json cannot be read: it is not a JSON object"):
        credentials(tmp_path, config).login("r", "w", ("pull",))
    assert not credentials(tmp_path / "gone").login("r", "w", ("pull",))


@pytest.mark.parametrize(
    ("registry", "path", "actions", "name"),
    [
        ("r:5000", "team/web", ("pull",), "repository"),
        ("r:5000", "team/web", ("pull", "push"), "repository, push"),
        ("r:5000", "team/api", ("pull",), "host"),
        ("r:5000", "team/api", ("pull", "push"), "host, push"),
        ("docker.io", "library/web", ("pull",), "hub"),
        ("other", "web", ("pull",), "default"),
    ],
)
def test_buildx_has_logins_for_single_repositories(
    registry: str, path: str, actions: tuple[str, ...], name: str, tmp_path: Path
) -> None:
    folders = {
        "r:5000": "host",
        "r:5000@push": "host, push",
        "r:5000/team/web": "repository",
        "r:5000/team/web@push,pull": "repository, push",
        "registry-1.docker.io": "hub",
    }
    for folder, login in folders.items():
        host = HUB if "docker" in folder else "r:5000"
        (tmp_path / "buildx/config" / folder).mkdir(parents=True)
        config = {"auths": {host: auth(f"{login}:pw")}}
        (tmp_path / "buildx/config" / folder / "config.json").write_text(json.dumps(config))
    finder = credentials(tmp_path, {"auths": {"other": auth("default:pw"), "r:5000": auth("default:pw")}})
    assert finder.login(registry, path, actions).name == name
