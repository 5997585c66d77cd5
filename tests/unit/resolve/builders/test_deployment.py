"""Nodes whose BuildKit mpbake deploys: what a plan says, and what it cannot say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mpbake.model.plan import Deployment, Driver, Node, TlsFiles
from tests.unit.plans import problems_of_text, resolve_files, resolve_text, text

if TYPE_CHECKING:
    from typing import Any

TLS = 'tls = { ca = "certs/ca.pem", cert = "certs/client.pem", key = "certs/client-key.pem" }'
CERTS = Path("/plan/certs")


def node_of(deploy: str, *, endpoint: str = "tcp://build1:4321", tls: str = TLS, **inputs: Any) -> Node:
    """Return the only node of a plan with this `deploy`."""
    plan = resolve_text(
        f"""
        [builders.release]
        driver = "remote"
        [builders.release.nodes.Amd]
        endpoint = "{endpoint}"
        {tls}
        deploy = {deploy}
        """,
        **inputs,
    )
    return plan.builders["release"].nodes[0]


def problems_of(deploy: str, *, endpoint: str = "tcp://build1:4321", tls: str = TLS) -> str:
    """Return the problems of a plan with this `deploy`, without the first lines of the plan."""
    return problems_of_text(
        f'\n[builders.release]\ndriver = "remote"\n[builders.release.nodes.amd]\nendpoint = "{endpoint}"\n{tls}\n'
        f"deploy = {deploy}\n"
    )


def test_what_follows_from_the_host() -> None:
    node = node_of('{ host = "ssh://root@build1" }')
    assert (node.driver, node.driver_name, node.engine) == (Driver.DEPLOYED, "remote", "ssh://root@build1")
    assert node.deploy == Deployment(
        host="ssh://root@build1",
        container="mpbake-release-amd",
        volume="mpbake-release-amd",
        tls=TlsFiles(ca=CERTS / "ca.pem", cert=CERTS / "release-Amd.pem", key=CERTS / "release-Amd-key.pem"),
        port=4321,
        image="moby/buildkit:buildx-stable-1",
        restart="unless-stopped",
    )


def test_all_that_can_be_said() -> None:
    node = node_of(
        '{ host = "build1", image = "x:1", restart = "always", volume = "cache", rootless = true, '
        'tls = { ca = "a.pem", cert = "b.pem", key = "c.pem" }, '
        'buildkitd = { debug = true, registry."r".ca = ["r.pem"] } }'
    )
    assert node.deploy == Deployment(
        host="build1",
        container="mpbake-release-amd",
        volume="cache",
        tls=TlsFiles(ca=Path("/plan/a.pem"), cert=Path("/plan/b.pem"), key=Path("/plan/c.pem")),
        port=4321,
        image="x:1",
        restart="always",
        rootless=True,
    )
    assert node.config == 'debug = true\n[registry.r]\nca = ["/plan/r.pem"]\n'
    assert node.config_names == (Path("/plan/r.pem"),)


def test_a_rootless_image_and_the_usual_port() -> None:
    deploy = node_of('{ host = "h", rootless = true }', endpoint="tcp://build1").deploy
    assert deploy is not None
    assert (deploy.image, deploy.port) == ("moby/buildkit:buildx-stable-1-rootless", 1234)


def test_a_container_without_a_port() -> None:
    node = node_of('{ host = "build1" }', endpoint="docker-container://bk?context=build1", tls="")
    assert node.deploy is not None
    assert (node.deploy.container, node.deploy.port, node.deploy.tls) == ("bk", 0, TlsFiles())


def test_templates() -> None:
    plan = resolve_text(
        f"""
        [variables]
        host = "build7"
        [builders.release]
        driver = "remote"
        nodes.amd = {{ endpoint = "tcp://{{{{ host }}}}:1", {TLS}, deploy.host = "ssh://{{{{ host }}}}" }}
        """
    )
    assert plan.builders["release"].nodes[0].engine == "ssh://build7"


def test_paths_are_relative_to_their_file(tmp_path: Path) -> None:
    nodes = f'\n[builders.release]\ndriver = "remote"\nnodes.amd = {{ endpoint = "tcp://b:1", {TLS}, '
    files = {
        "build.toml": '\ninclude = ["sub/nodes.toml"]\n',
        "sub/nodes.toml": f'{nodes}deploy = {{ host = "h", tls.cert = "s.pem", tls.key = "k.pem" }} }}\n',
    }
    deploy = resolve_files(tmp_path, files).builders["release"].nodes[0].deploy
    assert deploy is not None
    assert deploy.tls.cert == tmp_path / "sub/s.pem"


@pytest.mark.parametrize(
    ("deploy", "problem"),
    [
        ("{ }", '"host" is missing\n  deploy = { }\n  = name the engine, for example host = "ssh://root@10.0.0.5"'),
        (
            '{ host = "" }',
            'is empty\n  deploy = { host = "" }\n  = name the engine, for example host = "ssh://root@10.0.0.5"',
        ),
        ('{ host = "a b" }', '"a b" is neither a URL nor a valid name of a docker context'),
        ('{ host = "http://x" }', "docker does not support http://"),
        ('{ host = "unix://x" }', "the path of a unix socket must be absolute"),
        ('{ host = "ssh://" }', "has no valid host and port"),
        ('{ host = "tcp://10.0.0.5:2375" }', "is an engine on another machine without TLS"),
        ('{ host = "h", restart = "often" }', '"often" is not a valid value for restart'),
        ('{ host = "h", volume = "a/b" }', '"a/b" is not a valid name of a volume'),
        ('{ host = "h", tls.cert = "x.pem" }', "cert and key must be set together"),
        ('{ host = "h", imgae = "x" }', 'unknown key "imgae"'),
    ],
)
def test_wrong_values(deploy: str, problem: str) -> None:
    told = problems_of(deploy)
    assert told.count("build.toml:") == 1
    assert problem.partition("\n")[0] in told


@pytest.mark.parametrize(
    ("tls", "remedy"),
    [
        ("", "set tls = { ca, cert, key }"),
        ("insecure = true", "set tls = { ca, cert, key }, remove insecure"),
        ('tls = { cert = "a", key = "b" }', "set tls.ca"),
        ('tls.ca = "a"', "set tls.cert and tls.key"),
    ],
)
@pytest.mark.parametrize("endpoint", ["tcp://10.0.0.5:1234", "tcp://127.0.0.1:1234"])
def test_no_port_is_opened_without_mutual_tls(tls: str, remedy: str, endpoint: str) -> None:
    told = problems_of('{ host = "h" }', tls=tls, endpoint=endpoint)
    assert told.splitlines()[0].endswith(
        "mpbake opens no port without mutual TLS: anyone who can reach the port becomes root on the machine"
    )
    assert told.splitlines()[-1] == (
        f"  = {remedy}, or use docker-container://NAME?context=CONTEXT, which opens no port"
    )


def test_of_other_drivers() -> None:
    assert problems_of_text("""
        [builders.ci]
        nodes.x = { deploy = { host = "ssh://h" } }
        """) == text("""
        build.toml:3: builders.ci.nodes.x.deploy: the docker-container driver does not support deploy
            nodes.x = { deploy = { host = "ssh://h" } }
          = remove it, or use driver = "remote": only its nodes need a BuildKit that somebody starts
        """)


def test_of_an_external_builder() -> None:
    assert "`nodes` cannot be set for an external builder" in problems_of_text("""
        [builders.ci]
        external = true
        nodes.x = { deploy = { host = "ssh://h" } }
        """)


@pytest.mark.parametrize("endpoint", ["unix:///run/b.sock", "kube-pod://x"])
def test_endpoints_that_nothing_deployed_has(endpoint: str) -> None:
    told = problems_of('{ host = "h" }', endpoint=endpoint, tls="")
    assert f"mpbake cannot deploy a BuildKit that listens at {endpoint.partition(':')[0]}://" in told


@pytest.mark.parametrize(
    ("endpoint", "deploy", "problem"),
    [
        ("docker-container://bk", '{ host = "b" }', "does not lead to the engine of deploy.host, b"),
        ("docker-container://bk?context=a", '{ host = "b" }', "  = write docker-container://bk?context=b"),
        (
            "docker-container://bk?context=a",
            '{ host = "ssh://b" }',
            "  = make one, and name it here: docker context create NAME --docker host=ssh://b",
        ),
        ("docker-container://bk?context=b", '{ host = "b", tls.ca = "x" }', "tls is supported only for tcp://"),
    ],
)
def test_a_container_that_the_host_does_not_have(endpoint: str, deploy: str, problem: str) -> None:
    assert problem in problems_of(deploy, endpoint=endpoint, tls="")


def test_what_two_nodes_cannot_share() -> None:
    nodes = "".join(
        f'nodes.{name} = {{ endpoint = "tcp://{host}:1", {TLS}, deploy = {{ host = "h", volume = "v" }} }}\n'
        for name, host in (("a", "x"), ("b", "y"))
    )
    told = problems_of_text(f'\n[builders.ci]\ndriver = "remote"\n{nodes}')
    assert "builders.ci.nodes.b.deploy: uses the volume v, as node ci/a does\n" in told
    assert "builders.ci.nodes.b.deploy: uses the port 1, as node ci/a does\n" in told
