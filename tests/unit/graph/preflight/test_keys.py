"""Private keys that others can read, or that git may commit. The command's own tests try repositories."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mpbake.base.codes import Code
from mpbake.graph.preflight.keys import key_problems
from mpbake.model.plan import Driver, Node, TlsFiles

if TYPE_CHECKING:
    from tests.unit.tls import Certificates

PRIVATE = "-----BEGIN PRIVATE KEY-----\n"


def node_with(folder: Path, key: str = "client.key") -> Node:
    tls = TlsFiles(ca=folder / "ca.crt", cert=folder / "client.crt", key=folder / key)
    return Node(builder="b", name="n", driver=Driver.REMOTE, endpoint="tcp://n:1", tls=tls)


def problems(*nodes: Node) -> list[tuple[str, str]]:
    found = list(key_problems(nodes, {}, lambda _: True))
    assert {problem.code for problem in found} <= {Code.EXPOSED_KEY}
    return [(problem.message, problem.hint) for problem in found]


def test_keys_that_only_their_owner_can_read(certificates: Certificates, tmp_path: Path) -> None:
    node = node_with(certificates.folder)
    assert problems(node, node) == []
    assert problems(node_with(tmp_path / "none")) == []
    assert problems(Node(builder="b", name="n", driver=Driver.DOCKER)) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_key_that_others_can_read(tmp_path: Path, mode: int) -> None:
    key = tmp_path / "client.key"
    key.write_text(PRIVATE)
    key.chmod(mode)
    (tmp_path / "link").symlink_to("client.key")
    message = f"other users of this machine can read the key client.key (mode {mode:o})"
    for node in (node_with(tmp_path), node_with(tmp_path, "link")):
        assert problems(node, node) == [(message, f"run: chmod 600 {key}")]


def test_keys_beside_certificates_are_recognized_by_their_content(tmp_path: Path) -> None:
    folder = tmp_path / "my certs"
    folder.mkdir()
    contents = {"ca-key.pem": PRIVATE, "old.key": f"# note\n{PRIVATE}", "public.key": "PUBLIC", "key.txt": PRIVATE}
    for name, content in contents.items():
        (folder / name).write_text(content)
        (folder / name).chmod(0o644)
    (folder / "folder.key").mkdir()
    assert [hint for _, hint in problems(node_with(folder))] == [
        f"run: chmod 600 '{folder}/{name}'" for name in ("ca-key.pem", "old.key")
    ]


def test_without_git_there_is_no_warning_about_it(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "client.key").write_text(PRIVATE)
    (tmp_path / "client.key").chmod(0o600)
    assert problems(node_with(tmp_path)) == []


def test_what_cannot_be_read_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "client.key").write_text(PRIVATE)
    (tmp_path / "client.key").chmod(0o600)

    def deny(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", deny)
        assert problems(node_with(tmp_path)) == []
    with monkeypatch.context() as patch:
        patch.setattr(Path, "glob", deny)
        assert problems(node_with(tmp_path)) == []
