"""The certificates of a node that mpbake deploys: both sides must accept each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.certs.authority import Authority, CertificateRequest, KeyPair, make_authority
from mpbake.certs.checks import client_findings, server_findings
from mpbake.certs.node_files import CertificateRole
from mpbake.certs.reading import parse_certificates, parse_key
from mpbake.model.plan import Deployment, Driver, Node, TlsFiles

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
ROOT, OTHER = (make_authority(name, NOW - timedelta(days=100), days=3650) for name in ("root", "other"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Files:
    """Certificates in a folder, for the client and the server of a node at build1:1234."""

    folder: Path

    def write(self, name: str, pair: KeyPair) -> None:
        (self.folder / f"{name}.pem").write_bytes(pair.certificate)
        (self.folder / f"{name}-key.pem").write_bytes(pair.key)

    def issue(
        self, name: str, role: CertificateRole, *, root: KeyPair = ROOT, days: int = 365, host: str = "build1"
    ) -> None:
        """Issue a certificate that expires in `days` days."""
        authority = Authority(parse_certificates(root.certificate), parse_key(root.key))
        request = CertificateRequest(name=name, role=role, hosts=(host,) if role is CertificateRole.SERVER else ())
        self.write(name, authority.issue(request, NOW - timedelta(days=90), days + 90))

    def tls(self, name: str) -> TlsFiles:
        return TlsFiles(
            ca=self.folder / "root.pem", cert=self.folder / f"{name}.pem", key=self.folder / f"{name}-key.pem"
        )

    @property
    def node(self) -> Node:
        deploy = Deployment(host="ssh://build1", container="c", volume="v", tls=self.tls("server"))
        return Node(
            builder="release",
            name="arm",
            driver=Driver.REMOTE,
            endpoint="tcp://build1:1234",
            tls=self.tls("client"),
            deploy=deploy,
        )


@pytest.fixture
def files(tmp_path: Path) -> Files:
    files = Files(folder=tmp_path)
    for name, root in (("root", ROOT), ("other", OTHER)):
        files.write(name, root)
    files.issue("client", CertificateRole.CLIENT)
    files.issue("server", CertificateRole.SERVER)
    return files


def found(node: Node, *, required: bool = False) -> list[str]:
    """The findings about both sides, with hints."""
    findings = [*client_findings(node, NOW), *server_findings(node, NOW, required=required)]
    return [f"{finding}\n  = {finding.hint}" for finding in findings]


def test_all_is_well(files: Files) -> None:
    assert found(files.node, required=True) == []
    assert server_findings(replace(files.node, deploy=None), NOW, required=True) == []


def test_only_a_machine_that_deploys_needs_the_files_of_the_server(files: Files) -> None:
    (files.folder / "server-key.pem").unlink()
    assert found(files.node) == []
    assert found(files.node, required=True) == [
        (
            f"deploy.tls.key: there is no file {files.folder}/server-key.pem\n  = make it with `mpbake certs issue`, "
            "or correct the path: it is relative to the folder of the file that contains it"
        )
    ]


@pytest.mark.parametrize(
    ("name", "issued", "expected"),
    [
        (
            "server",
            {"role": CertificateRole.SERVER, "days": -2},
            (
                'deploy.tls.cert: "CN=server" expired on 2026-11-28\n'
                "  = run `mpbake certs issue`, or renew it with the tool that made it"
            ),
        ),
        (
            "server",
            {"role": CertificateRole.SERVER, "days": 20},
            (
                'deploy.tls.cert: "CN=server" expires in 20 days, on 2026-12-20\n'
                "  = run `mpbake certs issue`, or renew it with the tool that made it"
            ),
        ),
        (
            "server",
            {"role": CertificateRole.CLIENT},
            (
                'deploy.tls.cert: "CN=server" is not a server certificate\n'
                "  = set deploy.tls.cert to one for servers (extendedKeyUsage = serverAuth), "
                "as `mpbake certs issue` makes"
            ),
        ),
        (
            "server",
            {"role": CertificateRole.SERVER, "host": "build2"},
            (
                'deploy.tls.cert: "CN=server" does not contain the name build1\n'
                "  = run `mpbake certs issue`, or set tls.servername to a name in it"
            ),
        ),
        (
            "server",
            {"role": CertificateRole.SERVER, "root": OTHER},
            (
                "deploy.tls.cert: is not signed by tls.ca, so clients of the node would refuse it\n"
                "  = run `mpbake certs issue --rekey`, or set tls.ca to the authority that signed it"
            ),
        ),
        (
            "client",
            {"role": CertificateRole.CLIENT, "root": OTHER},
            (
                "tls.cert: is not signed by tls.ca, so the node would refuse it\n"
                "  = run `mpbake certs issue --rekey`, or set tls.ca to the authority that signed it"
            ),
        ),
        (
            "client",
            {"role": CertificateRole.SERVER},
            (
                'tls.cert: "CN=client" is not a client certificate\n'
                "  = set tls.cert to one for clients (extendedKeyUsage = clientAuth), as `mpbake certs issue` makes"
            ),
        ),
    ],
)
def test_what_is_wrong_has_its_own_message(files: Files, name: str, issued: dict[str, Any], expected: str) -> None:
    files.issue(name, **issued)
    assert found(files.node)[0] == expected


def test_two_keys_that_are_swapped(files: Files) -> None:
    client, server = files.folder / "client-key.pem", files.folder / "server-key.pem"
    key = client.read_bytes()
    client.write_bytes(server.read_bytes())
    server.write_bytes(key)
    assert found(files.node) == [
        "tls.key: does not belong to tls.cert\n  = set tls.key to the key of tls.cert",
        "deploy.tls.key: does not belong to deploy.tls.cert\n  = set deploy.tls.key to the key of deploy.tls.cert",
    ]


def test_two_authorities_one_for_each_side(files: Files) -> None:
    """A node can trust one authority for clients and have its certificate from another."""
    node = files.node
    assert node.deploy is not None
    tls = replace(node.deploy.tls, ca=files.folder / "other.pem")
    node = replace(node, deploy=replace(node.deploy, tls=tls))
    assert found(node)[0].startswith("tls.cert: is not signed by deploy.tls.ca")
    files.issue("client", CertificateRole.CLIENT, root=OTHER)
    assert found(node) == []
    files.write("other", KeyPair(certificate=(files.folder / "server.pem").read_bytes(), key=b""))
    assert 'deploy.tls.ca: "CN=server" is not a certificate authority' in "".join(found(node))


def test_an_authority_that_ends_soon(files: Files) -> None:
    files.write("root", make_authority("root", NOW, days=9))
    node = replace(files.node, tls=replace(files.node.tls, cert=None, key=None), deploy=None)
    assert found(node) == [
        (
            'tls.ca: "CN=root" expires in 9 days, on 2026-12-09\n'
            "  = move it and its key away, then run `mpbake certs init` and `mpbake certs issue --rekey`"
        )
    ]


def test_certificates_that_end_with_their_authority_need_a_new_authority(files: Files) -> None:
    """`mpbake certs issue` would keep them."""
    root = make_authority("root", NOW - timedelta(days=91), days=100)
    files.write("root", root)
    files.issue("client", CertificateRole.CLIENT, root=root)
    files.issue("server", CertificateRole.SERVER, root=root)
    assert [message.partition("\n")[0] for message in found(files.node)] == [
        'tls.ca: "CN=root" expires in 9 days, on 2026-12-09'
    ]
    files.issue("server", CertificateRole.SERVER, root=root, days=5)
    assert found(files.node)[1].startswith('deploy.tls.cert: "CN=server" expires in 5 days')
