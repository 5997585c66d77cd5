"""Docker contexts that mpbake makes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.errors import Unreachable, UsageError
from mpbake.buildkit.nodes.engines.contexts import Contexts, engine_of
from mpbake.model.node_resources import context_name
from mpbake.model.plan import Driver, Node, TlsFiles
from tests.unit.dockers import FakeDocker, done, failed
from tests.unit.plans import text

if TYPE_CHECKING:
    from pathlib import Path

    from mpbake.buildkit.process.completed import Completed
    from tests.unit.tls import Certificates


def node_of(tls: TlsFiles) -> Node:
    return Node(builder="Far", name="arm", driver=Driver.DOCKER_CONTAINER, endpoint="tcp://10.0.0.7:2376", tls=tls)


def context(folder: Path, *, description: str = "made by mpbake", host: str = "tcp://10.0.0.7:2376") -> Completed:
    context = {
        "Name": "mpbake-far-arm",
        "Metadata": {"Description": description} if description else {},
        "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}},
        "Storage": {"TLSPath": str(folder)},
    }
    return done(json.dumps([context]))


@pytest.fixture
def kept(tmp_path: Path, certificates: Certificates) -> Path:
    """Return a folder with the certificates of a context, in the form in which docker stores them."""
    folder = tmp_path / "docker"
    folder.mkdir()
    for name, file in (("ca", "ca.crt"), ("cert", "client.crt"), ("key", "client.key")):
        (folder / f"{name}.pem").write_bytes((certificates.folder / file).read_bytes())
    return tmp_path


def asked(answers: dict[str, Any], node: Node) -> list[str]:
    docker = FakeDocker({"context create": done(), "context remove": done(), **answers})
    Contexts(docker=docker).ensure(node)
    return docker.commands


def create(certificates: Certificates) -> str:
    folder = certificates.folder
    return (
        "context create mpbake-far-arm --description made by mpbake --docker "
        f"host=tcp://10.0.0.7:2376,ca={folder}/ca.crt,cert={folder}/client.crt,key={folder}/client.key"
    )


def test_only_an_engine_with_tls_needs_one(certificates: Certificates) -> None:
    node = node_of(certificates.tls())
    assert (context_name(node), engine_of(node)) == ("mpbake-far-arm", "mpbake-far-arm")
    plain = replace(node, tls=TlsFiles())
    assert (context_name(plain), engine_of(plain)) == ("", "tcp://10.0.0.7:2376")
    assert context_name(replace(node, driver=Driver.REMOTE)) == ""
    assert asked({}, plain) == []


def test_a_missing_one_is_made(certificates: Certificates) -> None:
    commands = asked({"context inspect": failed("not found")}, node_of(certificates.tls()))
    assert commands[-1] == create(certificates)


def test_a_right_one_is_kept(certificates: Certificates, kept: Path) -> None:
    commands = asked({"context inspect": context(kept)}, node_of(certificates.tls()))
    assert commands == ["context inspect mpbake-far-arm"]


def test_one_of_another_host_or_with_other_certificates_is_made_anew(certificates: Certificates, kept: Path) -> None:
    anew = ["context remove --force mpbake-far-arm", create(certificates)]
    node = node_of(certificates.tls())
    assert asked({"context inspect": context(kept, host="tcp://10.0.0.8:2376")}, node)[-2:] == anew
    (kept / "docker/cert.pem").write_text("old")
    assert asked({"context inspect": context(kept)}, node)[-2:] == anew
    (kept / "docker/cert.pem").unlink()
    assert asked({"context inspect": context(kept)}, node)[-2:] == anew


def test_somebody_elses_stays_as_it_is(certificates: Certificates, kept: Path) -> None:
    node = node_of(certificates.tls())
    docker = FakeDocker({"context inspect": context(kept, description="")})
    for act in (Contexts(docker=docker).ensure, Contexts(docker=docker).remove):
        with pytest.raises(UsageError) as caught:
            act(node)
        assert str(caught.value) == text("""
            Far/arm: mpbake did not make the docker context mpbake-far-arm, and leaves it unchanged
              = rename the builder or the node, or remove it: docker context rm mpbake-far-arm
            """)
    assert set(docker.commands) == {"context inspect mpbake-far-arm"}


def test_one_that_cannot_be_made(certificates: Certificates) -> None:
    answers = {"context inspect": failed("not found"), "context create": failed("unable to write")}
    with pytest.raises(Unreachable, match="the docker context mpbake-far-arm cannot be made: unable to write"):
        asked(answers, node_of(certificates.tls()))


def test_removing(certificates: Certificates, kept: Path) -> None:
    node = node_of(certificates.tls())
    gone = FakeDocker({"context inspect": failed("not found")})
    assert not Contexts(docker=gone).remove(node)
    there = FakeDocker({"context inspect": context(kept), "context remove": done()})
    assert Contexts(docker=there).remove(node)
    assert there.commands[-1] == "context remove --force mpbake-far-arm"
    stays = FakeDocker({"context inspect": context(kept), "context remove": failed("permission denied")})
    assert not Contexts(docker=stays).remove(node)


def test_paths_with_commas(certificates: Certificates, tmp_path: Path) -> None:
    ca = tmp_path / 'a,"b".crt'
    ca.write_bytes((certificates.folder / "ca.crt").read_bytes())
    commands = asked({"context inspect": failed("not found")}, node_of(TlsFiles(ca=ca)))
    quoted = str(ca).replace('"', '""')
    assert commands[-1].endswith(f'--docker host=tcp://10.0.0.7:2376,"ca={quoted}"')
