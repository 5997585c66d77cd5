"""The resolution of endpoints to engines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mpbake.base.errors import Unreachable, UsageError
from mpbake.buildkit.nodes.engines.endpoints import Address, Endpoints
from tests.unit.dockers import FakeDocker, context_in_use, done, failed

if TYPE_CHECKING:
    from pathlib import Path

    from mpbake.buildkit.process.completed import Completed

SOCKET = "unix:///tmp/no/such.sock"


def endpoints(**contexts: Completed) -> Endpoints:
    """Return the endpoints of a user with these docker contexts. The context `used` is in use."""
    answers = {
        f"context inspect{'' if name == 'used' else ' ' + name}": resolved for name, resolved in contexts.items()
    }
    return Endpoints(FakeDocker({"context inspect gone": failed("not found"), **dict(reversed(answers.items()))}), {})


def context_with_tls(folder: Path, certificate: str) -> Completed:
    (folder / "docker").mkdir(parents=True)
    (folder / "docker" / "ca.pem").write_text(certificate)
    resolved = {"Name": "far", "Endpoints": {"docker": {"Host": "tcp://far:2376"}}, "Storage": {"TLSPath": str(folder)}}
    return done(json.dumps([resolved]))


@pytest.mark.parametrize(
    ("context", "endpoint"), [("default", SOCKET), ("desktop", "desktop")], ids=["default", "another"]
)
def test_buildx_is_told_the_name_of_a_context_but_the_url_of_the_default_one(context: str, endpoint: str) -> None:
    resolved = endpoints(used=context_in_use(context, SOCKET))
    assert resolved.in_use() == endpoint
    assert resolved.context_in_use() == context


def test_docker_is_asked_once_for_the_context_in_use() -> None:
    docker = FakeDocker({"context inspect": context_in_use("desktop")})
    resolved = Endpoints(docker, {"DOCKER_HOST": ""})
    assert [resolved.context_in_use(), resolved.in_use(), resolved.context_in_use()] == ["desktop"] * 3
    assert docker.commands == ["context inspect"]
    assert docker.settings == [{"endpoint": "", "environment": {}, "timeout": 30.0}]


def test_docker_host_defines_the_default_context() -> None:
    assert Endpoints(FakeDocker({}), {"DOCKER_HOST": "ssh://far"}).context_in_use() == "default"


def test_a_context_in_use_that_does_not_exist() -> None:
    with pytest.raises(
        Unreachable, match=r'^the docker context in use does not exist \(context "x": context not found'
    ):
        endpoints(used=failed('context "x": context not found: open meta.json')).in_use()


def test_buildx_takes_no_certificates_from_the_environment() -> None:
    context = json.loads(context_in_use("default", "tcp://far:2376").stdout)[0] | {
        "TLSMaterial": {"docker": ["ca.pem"]}
    }
    in_use = endpoints(used=done(json.dumps([context])))
    assert in_use.context_in_use() == "default", "the engine's own builder can be used"
    assert in_use.address("") == Address(url="tcp://far:2376", certificates={})
    with pytest.raises(UsageError) as caught:
        in_use.in_use()
    assert str(caught.value) == (
        "buildx makes no builder for an engine whose TLS is set by DOCKER_TLS_VERIFY and DOCKER_CERT_PATH\n"
        "  = make a docker context of these settings (docker context create NAME), then unset DOCKER_HOST and set "
        "DOCKER_CONTEXT=NAME"
    )


def test_one_engine_by_every_name(tmp_path: Path) -> None:
    socket, link = tmp_path / "docker.sock", tmp_path / "link.sock"
    link.symlink_to(socket)
    resolved = endpoints(
        used=context_in_use("mine", f"unix://{link}"),
        mine=context_in_use("mine", f"unix://{link}"),
        default=context_in_use("default", f"unix://{socket}"),
    )
    names = ["mine", "default", f"unix://{socket}", f"unix://{link}"]
    assert all(resolved.same(one, other) for one in names for other in names)
    assert resolved.address("") == Address(url=f"unix://{socket}", certificates={})


def test_other_engines(tmp_path: Path) -> None:
    resolved = endpoints(
        used=context_in_use("default", SOCKET),
        one=context_with_tls(tmp_path / "one", "one"),
        other=context_with_tls(tmp_path / "other", "other"),
    )
    assert not resolved.same("unix:///tmp/no/other.sock", SOCKET)
    assert not resolved.same("ssh://far", SOCKET), "another way to the same machine may not be open"
    assert not resolved.same("one", "other"), "other certificates"
    assert not resolved.same("one", "tcp://far:2376"), "buildx knows no certificates of a URL"
    assert not resolved.same("gone", SOCKET)
    assert not resolved.same("--help", SOCKET), "which may come with a checkout, and is no name"
    assert not resolved.same("", "kubernetes:///x"), "kubernetes has no endpoint"
