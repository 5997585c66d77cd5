"""The certificates that a plan names, and whom they are for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mpbake.base.errors import UsageError
from mpbake.certs.node_files import CertificateRole, key_beside, wanted_authorities, wanted_certificates
from tests.unit.plans import resolve_text

if TYPE_CHECKING:
    from mpbake.model.plan import Node

PLAN = """
[builders.b]
driver = "remote"
certificate-days = 60
[builders.b.nodes.one]
endpoint = "tcp://[fe80::1%eth0]:1234"
tls = { ca = "c/ca.pem", cert = "c/client.pem", key = "c/client-key.pem", servername = "One" }
deploy.host = "ssh://one"
[builders.b.nodes.two]
endpoint = "tcp://two:1234"
tls = { ca = "c/../c/ca.pem", cert = "c/client.pem", key = "c/client-key.pem" }
deploy = { host = "two", tls = { ca = "c/clients.pem", cert = "two/server.crt", key = "two/server.key" } }
[builders.b.nodes.three]
endpoint = "tcp://three:1234"
tls = { ca = "c/ca.pem", cert = "c/three.pem", key = "c/three-key.pem" }
[builders.b.nodes.four]
endpoint = "docker-container://mpbake-b-four"
"""


def nodes_of(plan: str) -> list[Node]:
    return [
        node
        for builder in resolve_text(plan).builders.values()
        if not builder.driver.rules.is_automatic
        for node in builder.nodes
    ]


def test_whom_each_certificate_is_for() -> None:
    nodes = nodes_of(PLAN.replace('ca = "c/clients.pem", ', ""))
    assert wanted_authorities(nodes) == (Path("/plan/c/ca.pem"),)
    wanted = wanted_certificates(nodes)
    assert [(item.role, str(item.certificate), str(item.key), item.hosts, item.nodes) for item in wanted] == [
        (CertificateRole.CLIENT, "/plan/c/client.pem", "/plan/c/client-key.pem", (), ("b/one", "b/two")),
        (CertificateRole.CLIENT, "/plan/c/three.pem", "/plan/c/three-key.pem", (), ("b/three",)),
        (CertificateRole.SERVER, "/plan/c/b-one.pem", "/plan/c/b-one-key.pem", ("fe80::1", "one"), ("b/one",)),
        (CertificateRole.SERVER, "/plan/two/server.crt", "/plan/two/server.key", ("two",), ("b/two",)),
    ]
    assert {item.days for item in wanted} == {60}
    assert [item.name for item in wanted] == ["client", "three", "b/one", "b/two"]


def test_an_authority_for_clients() -> None:
    one, two, *_ = nodes_of(PLAN)
    assert wanted_authorities([two]) == (Path("/plan/c/ca.pem"), Path("/plan/c/clients.pem"))
    assert [item.authority.name for item in wanted_certificates([two])] == ["clients.pem", "ca.pem"]
    with pytest.raises(UsageError, match=r"c/client\.pem with two authorities \(b/one, b/two\)"):
        wanted_certificates([one, two])


def test_nodes_can_share_the_certificate_of_a_server() -> None:
    shared = 'tls = { cert = "s.pem", key = "s-key.pem" } }'
    plan = PLAN.replace('deploy.host = "ssh://one"', f'deploy = {{ host = "one", {shared}')
    plan = plan.replace('tls = { ca = "c/clients.pem", cert = "two/server.crt", key = "two/server.key" } }', shared)
    server = wanted_certificates(nodes_of(plan))[-1]
    assert (server.hosts, server.nodes) == (("fe80::1", "one", "two"), ("b/one", "b/two"))


def test_a_key_of_two_certificates() -> None:
    with pytest.raises(UsageError, match=r"names /plan/c/client-key\.pem for two purposes"):
        wanted_certificates(
            nodes_of(PLAN.replace("c/three-key.pem", "c/client-key.pem").replace('ca = "c/clients.pem", ', ""))
        )
    plan = PLAN.replace('cert = "c/client.pem", key = "c/client-key.pem" }', 'cert = "c/client.pem", key = "c/k.pem" }')
    with pytest.raises(UsageError, match=r"c/client\.pem with two keys"):
        wanted_certificates(nodes_of(plan))


@pytest.mark.parametrize(("certificate", "key"), [("ca.pem", "ca-key.pem"), ("root.crt", "root-key.pem")])
def test_the_key_of_an_authority_is_beside_it(certificate: str, key: str) -> None:
    assert key_beside(Path("c", certificate)) == Path("c", key)
