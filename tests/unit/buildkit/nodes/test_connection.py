"""The checks of connections to nodes and of their certificates."""

from __future__ import annotations

import os
import re
import shutil
import socket
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from testbed.certs import ensure_certificates

from mpbake.base.errors import Unreachable, UsageError
from mpbake.buildkit.nodes import connection
from mpbake.buildkit.nodes.connection import check_connection
from mpbake.model.plan import Deployment, Driver, Node, TlsFiles
from tests.unit.plans import text
from tests.unit.tls import Certificates, issued, serving, silent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REMOTE = Node(builder="release", name="arm", driver=Driver.REMOTE)
IS_IT_THERE = "  = check that buildkitd runs there, and that the port is open to this machine"
CLIENT = "  = set tls.cert to a client certificate that the node's own CA signed"
PAIR = "  = set tls.key to the key of tls.cert, and use PEM files"


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Return certificates of another authority."""
    folder = tmp_path_factory.mktemp("strangers")
    ensure_certificates(folder)
    return Certificates(folder=folder)


def node_at(port: int, tls: TlsFiles = TlsFiles(), host: str = "127.0.0.1") -> Node:  # noqa: B008 - it is frozen
    return replace(REMOTE, endpoint=f"tcp://{host}:{port}", tls=tls)


def refusal(port: int, tls: TlsFiles, host: str = "127.0.0.1") -> str:
    """Return the error about the certificates."""
    with pytest.raises(UsageError) as caught:
        check_connection(node_at(port, tls, host))
    return str(caught.value)


# --- without certificates ---------------------------------------------------------------------------------------------


def test_somebody_listens() -> None:
    with serving(silent) as port:
        check_connection(node_at(port))


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(Unreachable) as caught:
        check_connection(node_at(port))
    assert re.fullmatch(
        rf"node release/arm does not answer at tcp://127\.0\.0\.1:{port}: Connection refused\n"
        + re.escape(IS_IT_THERE),
        str(caught.value),
    )


def test_a_node_on_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "s"
    node = replace(REMOTE, endpoint=f"unix://{path}")
    with pytest.raises(Unreachable) as caught:
        check_connection(node)
    assert str(caught.value) == text(f"""
        node release/arm does not answer at unix://{path}: No such file or directory
          = start buildkitd there: it makes the socket
        """)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(path))
        server.listen()
        check_connection(node)


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (PermissionError(13, "Permission denied"), "check the permissions and the group of that socket"),
        (
            socket.gaierror(-2, "Name or service not known"),
            "check the name of the host in the endpoint, and in DNS",
        ),
        (TimeoutError("timed out"), "check that the machine is up, and its firewall"),
        (
            OSError(113, "No route to host"),
            "check that buildkitd runs there, and that the port is open to this machine",
        ),
    ],
)
def test_ways_not_to_be_reached(monkeypatch: pytest.MonkeyPatch, error: OSError, remedy: str) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(Unreachable) as caught:
        check_connection(node_at(1))
    assert caught.value.message == f"node release/arm does not answer at tcp://127.0.0.1:1: {error.strerror or error}"
    assert caught.value.hint.startswith(remedy)


@pytest.mark.parametrize("endpoint", ["docker-container://x", "kube-pod://x", "tcp://"])
def test_other_endpoints_are_left_to_buildx(endpoint: str) -> None:
    check_connection(replace(REMOTE, endpoint=endpoint))


@pytest.mark.parametrize("endpoint", ["tcp://x:99999", "tcp://[::1", "tcp://x:y"])
def test_an_address_that_is_none(endpoint: str) -> None:
    with pytest.raises(Unreachable, match=r"^node release/arm does not answer at "):
        check_connection(replace(REMOTE, endpoint=endpoint))


def test_control_characters_are_escaped() -> None:
    with pytest.raises(Unreachable) as caught:
        check_connection(replace(REMOTE, endpoint="tcp://x:\x1b[2J"))
    assert "\x1b" not in str(caught.value)
    with pytest.raises(Unreachable) as caught:
        check_connection(replace(REMOTE, endpoint="unix:///\x1b[2J"))
    assert "\x1b" not in str(caught.value)


# --- with certificates ------------------------------------------------------------------------------------------------


def test_all_is_well(certificates: Certificates) -> None:
    with serving(certificates.server()) as port:
        check_connection(node_at(port, certificates.tls()))
    with serving(certificates.server()) as port:
        check_connection(node_at(port, certificates.tls(), host="localhost"))
    with serving(certificates.server()) as port:
        check_connection(node_at(port, certificates.tls(servername="localhost")))


def test_a_node_that_waits_for_the_first_word(monkeypatch: pytest.MonkeyPatch, certificates: Certificates) -> None:
    monkeypatch.setattr(connection, "_REFUSAL_SECONDS", 0.1)
    with serving(certificates.server(sends=b"")) as port:
        check_connection(node_at(port, certificates.tls()))


def test_a_node_that_does_not_speak(monkeypatch: pytest.MonkeyPatch, certificates: Certificates) -> None:
    monkeypatch.setattr(connection, "_TIMEOUT", 0.1)
    with serving(silent) as port, pytest.raises(Unreachable, match="handshake operation timed out"):
        check_connection(node_at(port, certificates.tls()))


def test_a_node_of_another_authority(certificates: Certificates, strangers: Certificates) -> None:
    tls = replace(certificates.tls(), ca=strangers.tls().ca)
    with serving(certificates.server()) as port:
        assert refusal(port, tls) == text("""
            the certificate of node release/arm is signed by an authority other than tls.ca
              = set tls.ca to the authority that signed it
            """)


def test_a_node_that_nobody_vouches_for(certificates: Certificates) -> None:
    with serving(certificates.server()) as port:
        assert refusal(port, certificates.tls(without="ca")) == text("""
            the certificate of node release/arm is signed by an authority that this machine does not know
              = set tls.ca to the authority that signed it
            """)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (
            "build",
            "the name build\n  = set tls.servername to a name in it, or issue a certificate with this name",
        ),
        (
            "10.0.0.5",
            "the address 10.0.0.5\n  = set tls.servername to a name in it, or issue a certificate with this address",
        ),
    ],
)
def test_a_node_of_another_name(certificates: Certificates, name: str, problem: str) -> None:
    with serving(certificates.server()) as port:
        message = refusal(port, certificates.tls(servername=name))
    assert message == f"the certificate of node release/arm does not contain {problem}"


def test_a_node_that_wants_a_client_certificate(certificates: Certificates) -> None:
    with serving(certificates.server()) as port:
        assert refusal(port, certificates.tls(without="cert key")) == text("""
            node release/arm requires a client certificate (tlsv13 alert certificate required)
              = set tls.cert and tls.key
            """)


def test_a_client_certificate_of_another_authority(certificates: Certificates, strangers: Certificates) -> None:
    tls = replace(strangers.tls(), ca=certificates.tls().ca)
    with serving(certificates.server()) as port:
        assert refusal(port, tls) == (
            "node release/arm does not know the authority that signed tls.cert (tlsv1 alert unknown ca)\n" + CLIENT
        )


def test_a_certificate_for_the_wrong_use(certificates: Certificates) -> None:
    folder = certificates.folder
    tls = replace(certificates.tls(), cert=folder / "server.crt", key=folder / "server.key")
    with serving(certificates.server()) as port:
        assert refusal(port, tls) == (
            "node release/arm does not accept tls.cert for a client (sslv3 alert unsupported certificate)\n" + CLIENT
        )


def test_a_client_certificate_that_has_expired(certificates: Certificates, tmp_path: Path) -> None:
    expired = issued(certificates, tmp_path, days=(-9, -2))
    with serving(expired.server()) as port:
        assert refusal(port, expired.tls()) == text("""
            node release/arm says that tls.cert has expired (sslv3 alert certificate expired)
              = run `mpbake certs issue`, or renew it with the tool that made it; check the clocks of both machines
            """)


@pytest.mark.parametrize(
    ("days", "usage", "problem"),
    [
        ((-9, -2), "server", "has expired\n  = issue a new certificate for it, and restart its buildkitd"),
        ((2, 9), "server", "is not valid yet\n  = check the clocks of both machines"),
        ((-1, 9), "client", "is not for servers\n  = issue a certificate for servers: extendedKeyUsage = serverAuth"),
    ],
)
def test_a_node_whose_certificate_is_wrong(
    certificates: Certificates, tmp_path: Path, days: tuple[int, int], usage: str, problem: str
) -> None:
    wrong = issued(certificates, tmp_path, name="server", usage=usage, days=days)
    with serving(wrong.server()) as port:
        assert refusal(port, wrong.tls()) == f"the certificate of node release/arm {problem}"


@pytest.mark.parametrize(
    ("days", "usage", "hint"),
    [
        ((-9, -2), "server", "run `mpbake certs issue`, then `mpbake builders up`"),
        ((-1, 9), "client", "run `mpbake certs issue --rekey`, then `mpbake builders up`"),
    ],
)
def test_the_hints_for_a_node_that_mpbake_deploys(
    certificates: Certificates, tmp_path: Path, days: tuple[int, int], usage: str, hint: str
) -> None:
    deploy = Deployment(host="ssh://far", container="c", volume="v")
    wrong = issued(certificates, tmp_path, name="server", usage=usage, days=days)
    with serving(wrong.server()) as port, pytest.raises(UsageError) as caught:
        check_connection(replace(node_at(port, wrong.tls()), deploy=deploy))
    assert caught.value.hint == hint
    with serving(wrong.server()) as port, pytest.raises(UsageError) as caught:
        check_connection(replace(node_at(port, certificates.tls()), deploy=deploy))
    assert caught.value.hint == "run `mpbake builders up`, or set tls.ca to the authority that signed it"


def test_a_node_whose_certificate_ends_soon(certificates: Certificates, tmp_path: Path) -> None:
    soon = issued(certificates, tmp_path, name="server", days=(-1, 9))
    end = datetime.now(UTC) + timedelta(days=9)
    with serving(soon.server()) as port:
        (warning,) = check_connection(node_at(port, soon.tls()))
    assert warning == f"release/arm: the node's own certificate expires in 8 days, on {end:%Y-%m-%d}"
    with serving(soon.server()) as port:
        assert check_connection(replace(node_at(port, soon.tls()), certificate_days=5)) == ()


def test_a_node_without_tls(certificates: Certificates) -> None:
    def plain(channel: socket.socket) -> None:
        channel.recv(1024)
        channel.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with serving(plain) as port:
        message = refusal(port, certificates.tls())
    assert message == text("""
        node release/arm does not speak TLS at that port (wrong version number)
          = start its buildkitd with --tlscert, --tlskey and --tlscacert, and check the port
        """)


def test_a_node_that_hangs_up(certificates: Certificates) -> None:
    """Some nodes close the connection without naming the problem with the certificate."""
    with serving(certificates.server(sends=b"", waits=False)) as port:
        assert refusal(port, certificates.tls()) == (
            f"node release/arm closes the TLS connection at once: it may not trust tls.cert\n{CLIENT}"
        )
    with serving(certificates.server(sends=b"", waits=False, wants_client=False)) as port:
        assert refusal(port, certificates.tls(without="cert key")) == text("""
            node release/arm closes the TLS connection at once: it may require a client certificate
              = set tls.cert and tls.key
            """)


# --- engines ----------------------------------------------------------------------------------------------------------


def engine_at(port: int, tls: TlsFiles = TlsFiles(), host: str = "127.0.0.1") -> Node:  # noqa: B008 - it is frozen
    return replace(node_at(port, tls, host), driver=Driver.DOCKER_CONTAINER)


def engines_refusal(port: int, tls: TlsFiles) -> str:
    """Return the error about the certificates of an engine."""
    with pytest.raises(UsageError) as caught:
        check_connection(engine_at(port, tls))
    return str(caught.value)


def test_an_engine_is_waited_for_and_asked_for_no_protocol(
    monkeypatch: pytest.MonkeyPatch, certificates: Certificates
) -> None:
    monkeypatch.setattr(connection, "_REFUSAL_SECONDS", 0.1)
    with serving(certificates.engine(sends=b"")) as port:
        assert check_connection(engine_at(port, certificates.tls())) == ()


def test_an_engine_that_wants_another_client_certificate(certificates: Certificates, strangers: Certificates) -> None:
    with serving(certificates.engine()) as port:
        assert engines_refusal(port, certificates.tls(without="cert key")) == text("""
            node release/arm requires a client certificate (tlsv13 alert certificate required)
              = set tls.cert and tls.key
            """)
    with serving(certificates.engine()) as port:
        assert engines_refusal(port, replace(strangers.tls(), ca=certificates.tls().ca)) == (
            "node release/arm does not know the authority that signed tls.cert (tlsv1 alert unknown ca)\n" + CLIENT
        )


def test_an_engine_of_another_authority(certificates: Certificates, strangers: Certificates) -> None:
    with serving(certificates.engine()) as port:
        assert engines_refusal(port, replace(certificates.tls(), ca=strangers.tls().ca)) == text("""
            the certificate of node release/arm is signed by an authority other than tls.ca
              = set tls.ca to the authority that signed it
            """)


@pytest.mark.parametrize(
    ("days", "usage", "problem"),
    [
        ((-9, -2), "server", "has expired\n  = issue a new certificate for it, and restart its dockerd"),
        ((-1, 9), "client", "is not for servers\n  = issue a certificate for servers: extendedKeyUsage = serverAuth"),
    ],
)
def test_an_engine_whose_certificate_is_wrong(
    certificates: Certificates, tmp_path: Path, days: tuple[int, int], usage: str, problem: str
) -> None:
    wrong = issued(certificates, tmp_path, name="server", usage=usage, days=days)
    with serving(wrong.engine()) as port:
        assert engines_refusal(port, wrong.tls()) == f"the certificate of node release/arm {problem}"


def test_an_engine_of_another_name(monkeypatch: pytest.MonkeyPatch, certificates: Certificates) -> None:
    """Docker does not support `tls.servername` for an engine."""
    connect = socket.create_connection

    def connect_here(address: tuple[str, int], **options: Any) -> socket.socket:
        assert address[0] == "build.internal"
        return connect(("127.0.0.1", address[1]), **options)

    monkeypatch.setattr(socket, "create_connection", connect_here)
    with serving(certificates.engine()) as port, pytest.raises(UsageError) as caught:
        check_connection(engine_at(port, certificates.tls(), host="build.internal"))
    assert str(caught.value) == text("""
        the certificate of node release/arm does not contain the name build.internal
          = use a name in the endpoint that it contains, or issue a certificate with this name
        """)


def test_an_engine_without_tls(certificates: Certificates) -> None:
    with serving(lambda channel: channel.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        assert engines_refusal(port, certificates.tls()) == text("""
            node release/arm does not speak TLS at that port (wrong version number)
              = start its dockerd with --tlsverify, --tlscert, --tlskey and --tlscacert, and check the port
            """)


@pytest.mark.parametrize("driver", [Driver.DOCKER, Driver.DOCKER_CONTAINER])
def test_no_engine_listens(driver: Driver) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(Unreachable) as caught:
        check_connection(replace(node_at(port), driver=driver))
    assert caught.value.message.endswith("Connection refused")
    assert caught.value.hint == "check that dockerd runs there, and that the port is open to this machine"


@pytest.mark.parametrize("endpoint", ["", "desktop", "ssh://far", "unix:///no.sock", "tcp://127.0.0.1"])
def test_other_ways_to_engines_are_left_to_docker(endpoint: str) -> None:
    assert check_connection(replace(REMOTE, driver=Driver.DOCKER_CONTAINER, endpoint=endpoint)) == ()


@pytest.mark.parametrize(
    ("host", "environment", "asked"),
    [
        ("10.0.0.7", {}, True),
        ("10.0.0.7", {"HTTPS_PROXY": ""}, True),
        ("10.0.0.7", {"HTTPS_PROXY": "http://p:3128"}, False),
        ("10.0.0.7", {"http_proxy": "http://p:3128", "NO_PROXY": "a, 10.0.0.7"}, True),
        ("build.internal", {"https_proxy": "http://p:3128", "no_proxy": ".internal"}, True),
        ("build.internal", {"ALL_PROXY": "socks5://p:1080", "no_proxy": ".example"}, False),
        ("localhost", {"HTTPS_PROXY": "http://p:3128"}, True),
    ],
)
def test_an_engine_behind_a_proxy_is_left_to_docker(
    monkeypatch: pytest.MonkeyPatch, host: str, environment: dict[str, str], *, asked: bool
) -> None:
    reached: list[object] = []

    def connect(address: object, **_: object) -> socket.socket:
        reached.append(address)
        return socket.socket()

    monkeypatch.setattr(socket, "create_connection", connect)
    check_connection(engine_at(2376, host=host), environment=environment)
    assert bool(reached) is asked
    reached.clear()
    check_connection(node_at(1234, host=host), environment=environment)
    assert reached, "buildx uses no proxy"


# --- files ------------------------------------------------------------------------------------------------------------


def changed(tls: TlsFiles, name: str, path: Path) -> TlsFiles:
    changes: dict[str, Any] = {name: path}
    return replace(tls, **changes)


def garbage(file: Path) -> None:
    file.write_text("garbage")


def empty(file: Path) -> None:
    file.write_text("")


@pytest.mark.parametrize("name", ["ca", "cert", "key"])
@pytest.mark.parametrize("damage", [garbage, empty])
def test_what_is_no_certificate(
    certificates: Certificates, tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    damage(tmp_path / "x")
    with serving(silent) as port:
        message = refusal(port, changed(certificates.tls(), name, tmp_path / "x"))
    assert re.fullmatch(
        r"the certificates for node release/arm cannot be used: [a-z0-9 ()\[\].:_]+\n" + re.escape(PAIR), message
    )


def test_a_key_that_does_not_belong_to_its_certificate(certificates: Certificates, strangers: Certificates) -> None:
    with serving(silent) as port:
        assert refusal(port, replace(certificates.tls(), key=strangers.tls().key)) == (
            f"the certificates for node release/arm cannot be used: key values mismatch\n{PAIR}"
        )


def test_a_key_behind_a_password_asks_nobody(certificates: Certificates, tmp_path: Path) -> None:
    key = serialization.load_pem_private_key((certificates.folder / "client.key").read_bytes(), None)
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    started = time.monotonic()
    with serving(silent) as port:
        message = refusal(port, replace(certificates.tls(), key=locked))
    assert message.startswith("the certificates for node release/arm cannot be used: ")
    assert time.monotonic() - started < 5


def test_files_are_read_anew_each_time(certificates: Certificates, tmp_path: Path) -> None:
    copy = Certificates(folder=tmp_path / "copy")
    shutil.copytree(certificates.folder, copy.folder)
    (copy.folder / "client.key").write_text("garbage")
    with serving(silent) as port:
        assert "cannot be used" in refusal(port, copy.tls())
    shutil.copyfile(certificates.folder / "client.key", copy.folder / "client.key")
    with serving(certificates.server()) as port:
        check_connection(node_at(port, copy.tls()))
