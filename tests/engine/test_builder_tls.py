"""An engine behind TLS: mpbake makes, corrects and removes the docker context that leads to it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from testbed.certs import ensure_certificates

from tests.engine.test_builders import container_plan, own

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed.testbed import Testbed

    from tests.engine.conftest import Docker, Mpbake, RunMpbake

    AllSay = Callable[[int, str], None]

pytestmark = pytest.mark.one_release


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def _serve(client: socket.socket, context: ssl.SSLContext, engine: str) -> None:
    with (
        contextlib.suppress(OSError),
        context.wrap_socket(client, server_side=True) as channel,
        socket.socket(socket.AF_UNIX) as upstream,
    ):
        upstream.connect(engine)
        back = threading.Thread(target=_copy, args=(upstream, channel), daemon=True)
        back.start()
        _copy(channel, upstream)
        back.join(10)


@pytest.fixture
def tls_port(testbed: Testbed) -> Iterator[int]:
    """Yield a port that leads to the testbed's engine for clients with its client certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certs = testbed.certificates
    context.load_cert_chain(certs / "server.crt", certs / "server.key")
    context.load_verify_locations(certs / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    assert testbed.engine.socket is not None
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = server.accept()
                    threading.Thread(
                        target=_serve, args=(client, context, str(testbed.engine.socket)), daemon=True
                    ).start()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]


def tls_plan(testbed: Testbed, name: str, port: int, *, ca: Path | None = None, client: bool = True) -> str:
    certs = testbed.certificates
    pair = f', cert = "{certs}/client.crt", key = "{certs}/client.key"' if client else ""
    tls = f'{{ ca = "{ca or certs / "ca.crt"}"{pair} }}'
    return container_plan(testbed, name, nodes=f'far = {{ endpoint = "tcp://127.0.0.1:{port}", tls = {tls} }}')


def test_an_engine_behind_tls(
    testbed: Testbed,
    testbed_env: dict[str, str],
    run_mpbake: RunMpbake,
    docker: Docker,
    tls_port: int,
    tmp_path: Path,
) -> None:
    name = f"t{tls_port}"
    (tmp_path / "build.toml").write_text(tls_plan(testbed, name, tls_port))
    docker("buildx", "ls")
    before = own(testbed_env)

    planned = run_mpbake(["builders", "plan"])
    assert f"  ~ correct docker context mpbake-{name}-far: buildx reaches an engine by TLS" in planned.stdout
    assert run_mpbake(["builders", "up"]).returncode == 0
    assert f"mpbake-{name}-far" in docker("context", "ls")
    completed = run_mpbake(["run", "web"])
    assert completed.returncode == 0, completed.stderr
    assert "as declared" in run_mpbake(["builders", "plan"]).stdout

    docker("context", "update", f"mpbake-{name}-far", "--docker", "host=tcp://127.0.0.1:9")
    assert "correct docker context" in run_mpbake(["builders", "plan"]).stdout
    assert run_mpbake(["builders", "up"]).returncode == 0
    completed = run_mpbake(["builders", "rm"])
    assert completed.returncode == 0, completed.stderr
    assert f"{name}/far: docker context mpbake-{name}-far removed" in completed.stderr
    assert own(testbed_env) == before


@pytest.fixture
def closed_port() -> int:
    """Return a port on which no process listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@pytest.fixture
def all_say(testbed_env: dict[str, str], run_mpbake: RunMpbake, docker: Docker) -> AllSay:
    """Return a function that asserts that all commands report the same error of a node and leave no file behind."""

    def check(code: int, message: str) -> None:
        docker("buildx", "ls")
        before = own(testbed_env)
        for command in (["builders", "plan"], ["builders", "up"], ["run", "web"]):
            completed = run_mpbake(command)
            assert completed.returncode == code, completed.stdout + completed.stderr
            assert f": {message}\n" in completed.stderr, command
        assert message.partition("\n")[0] in run_mpbake(["builders"]).stdout
        assert own(testbed_env) == before
        assert "mpbake-" not in docker("context", "ls", "--quiet")

    return check


def test_an_engine_of_another_authority(testbed: Testbed, all_say: AllSay, tls_port: int, tmp_path: Path) -> None:
    ensure_certificates(tmp_path)
    name = f"t{tls_port}"
    (tmp_path / "build.toml").write_text(tls_plan(testbed, name, tls_port, ca=tmp_path / "ca.crt", client=False))
    all_say(
        3,
        f"the certificate of node {name}/far is signed by an authority other than tls.ca\n"
        "  = set tls.ca to the authority that signed it",
    )


def test_an_engine_that_wants_a_client_certificate(
    testbed: Testbed, all_say: AllSay, tls_port: int, tmp_path: Path
) -> None:
    name = f"t{tls_port}"
    (tmp_path / "build.toml").write_text(tls_plan(testbed, name, tls_port, client=False))
    all_say(
        3,
        f"node {name}/far requires a client certificate (tlsv13 alert certificate required)\n"
        "  = set tls.cert and tls.key",
    )


def test_an_engine_that_is_not_there(testbed: Testbed, all_say: AllSay, closed_port: int, tmp_path: Path) -> None:
    name = f"t{closed_port}"
    (tmp_path / "build.toml").write_text(tls_plan(testbed, name, closed_port))
    refused = "Connection refused"
    all_say(
        5,
        f"node {name}/far does not answer at tcp://127.0.0.1:{closed_port}: {refused}\n"
        "  = check that dockerd runs there, and that the port is open to this machine",
    )


def test_what_somebody_else_made_behind_tls_is_left_as_it_is(
    testbed: Testbed, mpbake: Mpbake, docker: Docker, tls_port: int, tmp_path: Path
) -> None:
    name = f"t{tls_port}"
    (tmp_path / "build.toml").write_text(tls_plan(testbed, name, tls_port))
    docker("create", "--name", f"buildx_buildkit_{name}-far", testbed.env()["BASE_IMAGE"], "true")
    try:
        before = docker("inspect", f"buildx_buildkit_{name}-far")
        completed = mpbake("builders", "up", code=3)
        assert f"mpbake did not make the container buildx_buildkit_{name}-far, and leaves it" in completed.stderr
        assert docker("inspect", f"buildx_buildkit_{name}-far") == before
        assert not Path(testbed.env()["BUILDX_CONFIG"], "instances", name).exists()
    finally:
        docker("rm", "--force", f"buildx_buildkit_{name}-far")
    mpbake("builders", "rm")
    assert name not in docker("context", "ls")


def test_an_engine_behind_tls_that_never_answers_leaves_nothing(
    testbed: Testbed, testbed_env: dict[str, str], mpbake: Mpbake, docker: Docker, tmp_path: Path
) -> None:
    (tmp_path / "build.toml").write_text(tls_plan(testbed, "never", 9))
    docker("buildx", "ls")
    before = own(testbed_env)
    for command in (("builders", "up"), ("run", "web")):
        errors = mpbake(*command, code=5).stderr
        assert "node never/far does not answer at tcp://127.0.0.1:9: Connection refused\n" in errors
        assert own(testbed_env) == before
    assert mpbake("builders", "rm").stderr == ""
    assert mpbake("builders", "prune").stdout == "nothing to do\n"
