"""A real build uses and even prints a secret. The value appears in no output, file or command line."""

from __future__ import annotations

import base64
import contextlib
import io
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.testbed import Testbed

    from tests.engine.conftest import RunMpbake

HIDDEN = "s3cr3t-t0ken"

PLAN = """
version = 1
[variables]
token = {{ env = "TOKEN", default = "", sensitive = true }}
[targets.web]
context = "http://me:{{{{ token }}}}@{server}/context.tar"
cache-from = ["type=registry,ref={repository}:{{{{ token }}}}"]
cache-to = ["type=registry,ref={repository}:{{{{ token }}}},mode=max"]
secret = ["id=token,env=TOKEN"]
platforms = ["linux/amd64"]
tags = ["{repository}:1"]
push = true
retries = 1
"""
DOCKERFILE = """\
FROM {base}
RUN --mount=type=secret,id=token cat /run/secrets/token && echo "{end}" && echo "again: $(cat /run/secrets/token)" >&2
RUN --mount=type=secret,id=token printf half-; sleep 0.3; cat /run/secrets/token; printf '\\\\033[31m'; {end}
"""


class _Server(ThreadingHTTPServer):
    """A server of one file for clients that know the password."""

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.served = 0


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        basic = base64.b64encode(f"me:{HIDDEN}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {basic}":
            self.send_error(401)
            return
        self.server.served += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *_: object) -> None:
        """Write no log."""


@contextlib.contextmanager
def serving(dockerfile: str) -> Iterator[_Server]:
    """Serve a build context with that Dockerfile."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(dockerfile.encode())
        archive.addfile(member, io.BytesIO(dockerfile.encode()))
    with _Server(buffer.getvalue()) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def command_lines() -> Iterator[set[str]]:
    """Yield a set that collects the command lines of all processes on the machine."""
    lines: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    lines.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            time.sleep(0.02)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield lines
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize(("end", "code"), [("true", 0), ("exit 3", 1)])
def test_a_secret_leaves_no_trace(
    end: str, code: int, testbed: Testbed, run_mpbake: RunMpbake, repository: str, tmp_path: Path
) -> None:
    dockerfile = DOCKERFILE.format(base=testbed.env()["BASE_IMAGE"], end=end)
    with serving(dockerfile) as server, command_lines() as commands:
        address = f"127.0.0.1:{server.server_address[1]}"
        (tmp_path / "build.toml").write_text(PLAN.format(server=address, repository=repository))
        planned = run_mpbake(["plan", "web", "--format", "json"], env={"TOKEN": HIDDEN})
        completed = run_mpbake(["run", "web", "-v"], env={"TOKEN": HIDDEN})

    assert completed.returncode == code, completed.stderr
    assert server.served
    printed = planned.stdout + completed.stdout + completed.stderr
    assert f"http://me:***@{address}/context.tar" in planned.stdout
    assert "again: ***" in printed
    assert "half-***" in printed
    assert f"{repository}:***" in printed
    assert any("buildx" in command and " bake " in command for command in commands)
    files = {str(path): path.read_bytes() for path in tmp_path.glob(".mpbake/**/*") if path.is_file()}
    assert any(b"half-***" in content for content in files.values())
    assert HIDDEN not in printed
    assert [name for name, content in files.items() if HIDDEN.encode() in content] == []
    assert [command for command in commands if HIDDEN in command] == []
    if code == 0:
        testbed.registry.client.manifest(f"{repository}:{HIDDEN}")
