"""`mpbake certs`: what it writes and prints, compared with golden files.

After a change of the output, read the differences, then write the files anew:

    UPDATE_GOLDEN=1 pytest tests/unit/cli/commands/test_certs.py
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization

import mpbake.cli.commands.certs
from mpbake.base.errors import MpbakeError, PlanError, UsageError
from mpbake.certs.reading import fits, is_signed_by, read_certificates, read_private_key, usages_of
from mpbake.cli.commands import certs as command
from mpbake.cli.commands import check as check_command
from tests.checkout import CHECKOUT
from tests.unit.certs.test_store import mode
from tests.unit.cli.test_app import Called, plain_environment, typed
from tests.unit.worlds import NOON, call, options_for, world, written

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["plain_environment"]

GOLDEN = CHECKOUT / "tests" / "unit" / "golden" / "certs"
TLS = 'tls = { ca = "certs/ca.pem", cert = "certs/client.pem", key = "certs/client-key.pem"'
PLAN = f"""version = 1
[builders.release]
driver = "remote"
[builders.release.nodes.amd64]
endpoint = "tcp://build1.example.com:1234"
platforms = ["linux/amd64"]
{TLS} }}
deploy.host = "ssh://root@build1.example.com"
[builders.release.nodes.arm64]
endpoint = "tcp://10.0.0.5:1234"
platforms = ["linux/arm64"]
{TLS}, servername = "laptop" }}
deploy.host = "ssh://root@laptop"
[targets.web]
builder = "release"
platforms = ["linux/amd64", "linux/arm64"]
tags = ["example.com/web"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder `shop` of a plan with two deployed nodes."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "build.toml").write_text(PLAN)
    (folder / "Dockerfile").touch()
    return folder


def run(folder: Path, action: str, *, days_later: float = 0, **values: Any) -> str:
    """Return what `mpbake certs` prints on both streams, or its error, and its exit code if it is not 0."""
    here = replace(world(folder, {"PATH": os.environ["PATH"]}), now=lambda: NOON + timedelta(days=days_later))
    try:
        code = call(command.main, here, action=action, **values)
    except (UsageError, PlanError, MpbakeError) as error:
        return f"error: {error}\n-> {error.exit_code}\n".replace(str(folder), "/shop")
    output = written(here.stdout) + written(here.stderr) + (f"-> {code}\n" if code else "")
    return output.replace(str(folder), "/shop")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "certs").iterdir()}


def made(folder: Path) -> Path:
    """Return the folder with an authority and all certificates."""
    assert "->" not in run(folder, "init")
    assert "->" not in run(folder, "issue")
    return folder / "certs"


def compare(name: str, text: str) -> None:
    """Compare a text with a golden file."""
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


SESSION: Sequence[tuple[str, str, dict[str, Any]]] = (
    ("nothing is there", "show", {}),
    ("an authority is missing", "issue", {}),
    ("make it", "init", {}),
    ("it is never overwritten", "init", {}),
    ("issue certificates", "issue", {}),
    ("nothing is left to do", "issue", {"days_later": 1}),
    ("show them", "show", {"days_later": 1}),
    ("they end soon", "show", {"days_later": 340}),
    ("renew them", "issue", {"days_later": 340, "days": 90}),
    ("they have ended", "show", {"days_later": 440}),
    ("renew them again", "issue", {"days_later": 440}),
    ("new keys", "issue", {"days_later": 441, "rekey": True}),
    ("the authority ends soon", "issue", {"days_later": 3640}),
    ("show that", "show", {"days_later": 3640}),
    ("the authority has ended", "issue", {"days_later": 3660}),
)


TYPED = ("days", "rekey")
"""The options of a session that its golden file shows."""


def test_a_whole_life(folder: Path) -> None:
    parts = []
    for title, action, values in SESSION:
        words = [f"--{name} {value}".removesuffix(" True") for name, value in values.items() if name in TYPED]
        day = f" on day {values['days_later']}" if "days_later" in values else ""
        command_line = " ".join(["mpbake certs", action, *words])
        parts.append(f"# {title}{day}\n$ {command_line}\n{run(folder, action, **values)}\n")
    compare("life.txt", "".join(parts))


def test_the_output_for_programs(folder: Path) -> None:
    made(folder)
    (folder / "certs/release-arm64-key.pem").unlink()
    compare("show.json", run(folder, "show", format="json"))


def test_every_line_fits_eighty_columns(folder: Path) -> None:
    made(folder)
    assert max(map(len, run(folder, "show").splitlines())) <= 80
    assert max(map(len, run(folder, "issue", rekey=True).splitlines())) <= 80


def test_the_files(folder: Path) -> None:
    certs = made(folder)
    (authority,) = read_certificates(certs / "ca.pem")
    for name, usage in {"client": "client", "release-amd64": "server", "release-arm64": "server"}.items():
        (certificate,) = read_certificates(certs / f"{name}.pem")
        assert is_signed_by(certificate, authority)
        assert usages_of(certificate) == (usage,)
        assert fits(read_private_key(certs / f"{name}-key.pem"), certificate)
    assert {path.name for path in certs.iterdir() if mode(path) != 0o644} == {
        f"{name}-key.pem" for name in ("ca", "client", "release-amd64", "release-arm64")
    }
    ignored = (certs / ".gitignore").read_text().split()
    assert {f"/{path.name}" for path in certs.glob("*-key.pem")} < set(ignored)


def test_a_renewed_certificate_keeps_its_key_and_a_rekeyed_one_does_not(folder: Path) -> None:
    certs = made(folder)
    first = contents(folder)
    run(folder, "issue", days_later=350)
    second = contents(folder)
    assert [name for name in first if first[name] != second[name]] == [
        name for name in first if name.endswith(".pem") and not name.endswith("-key.pem") and name != "ca.pem"
    ]
    run(folder, "issue", days_later=350, rekey=True)
    third = contents(folder)
    assert {name for name in second if second[name] != third[name]} == set(second) - {
        "ca.pem",
        "ca-key.pem",
        ".gitignore",
    }
    assert mode(certs / "client-key.pem") == 0o600


def test_a_new_name_of_a_node_renews_its_certificate(folder: Path) -> None:
    made(folder)
    (folder / "build.toml").write_text(PLAN.replace("10.0.0.5", "10.0.0.6"))
    output = run(folder, "issue")
    assert (
        "renewed  certs/release-arm64.pem  until 2027-08-01  server 10.0.0.6, laptop\n  the old one did not" in output
    )
    assert output.count("kept") == 2


def test_a_node_that_mpbake_does_not_deploy_gets_a_certificate_for_clients_only(folder: Path) -> None:
    (folder / "build.toml").write_text(PLAN.replace("deploy.host", "# deploy.host"))
    made(folder)
    assert sorted(contents(folder)) == [".gitignore", "ca-key.pem", "ca.pem", "client-key.pem", "client.pem"]
    assert "next:" not in run(folder, "issue", rekey=True)


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_a_plan_without_certificates(folder: Path) -> None:
    (folder / "build.toml").write_text("version = 1\n[targets.web]\n")
    refused = "error: the plan names no certificate authority\n  = set tls = { ca ="
    assert run(folder, "init").startswith(refused)
    assert run(folder, "issue").startswith(refused)
    assert run(folder, "show") == "the plan names no certificates; set tls = { ca, cert, key } on its remote nodes\n"
    assert run(folder, "show", names=("x",)) == 'error: no builder "x" is declared\n  = there are no builders\n-> 3\n'


def test_a_plan_with_an_authority_alone(folder: Path) -> None:
    (folder / "build.toml").write_text(PLAN.replace(TLS, 'tls = { ca = "certs/ca.pem"').replace("deploy.", "# "))
    run(folder, "init")
    assert run(folder, "issue").startswith("error: the plan names no certificate that this authority could sign\n")


def foreign_authority(folder: Path) -> Path:
    """Make another authority, and return its folder."""
    other = folder.parent / "other"
    other.mkdir()
    (other / "build.toml").write_text(PLAN)
    return made(other)


def encrypted(path: Path) -> bytes:
    scheme = serialization.BestAvailableEncryption(b"secret")
    return read_private_key(path).private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, scheme)


def test_an_authority_that_cannot_issue(folder: Path) -> None:
    certs, other = made(folder), foreign_authority(folder)
    key = certs / "ca-key.pem"
    good = key.read_bytes()
    messages = {
        (other / "ca-key.pem").read_bytes(): "certs/ca.pem, certs/ca-key.pem: the key does not belong to the authority",
        encrypted(key): "certs/ca-key.pem: is encrypted",
        b"x": "certs/ca-key.pem: is not a private key",
        (certs / "ca.pem").read_bytes(): "certs/ca-key.pem: is not a private key",
    }
    for content, message in messages.items():
        key.write_bytes(content)
        output = run(folder, "issue", rekey=True)
        assert output.startswith(f"error: {message}")
        assert output.endswith("-> 3\n")
        assert output.count("\n") == 3
    key.write_bytes(good)
    shutil.copy(certs / "client.pem", certs / "ca.pem")
    shutil.copy(certs / "client-key.pem", key)
    assert '"CN=client" is not a certificate authority' in run(folder, "issue")
    key.unlink()
    assert run(folder, "issue") == (
        "error: there is no key certs/ca-key.pem of the authority certs/ca.pem\n"
        "  = name the key: --ca-key PATH; or issue certificates with the tool that made the authority\n-> 3\n"
    )


def test_what_mpbake_does_not_replace_unasked(folder: Path) -> None:
    certs, other = made(folder), foreign_authority(folder)
    before = contents(folder)
    changes = {
        "is signed by an authority other than certs/ca.pem": (other / "client.pem", certs / "client.pem"),
        "is not a client certificate": (certs / "release-amd64.pem", certs / "client.pem"),
        "the key certs/client-key.pem does not belong": (other / "client-key.pem", certs / "client-key.pem"),
        "certs/client.pem: is not a certificate": (certs / "client-key.pem", certs / "client.pem"),
    }
    for message, (source, target) in changes.items():
        shutil.copy(source, target)
        changed = contents(folder)
        output = run(folder, "issue")
        assert message in output
        assert (
            "= move the certificate and its key away and repeat the command, or replace all keys with --rekey" in output
        )
        assert output.count("kept") == 2, "the other certificates are issued"
        assert output.endswith("-> 3\n")
        assert contents(folder) == changed
        for name, content in before.items():
            (certs / name).write_bytes(content)
    shutil.copy(other / "client.pem", certs / "client.pem")
    for name in ("client.pem", "client-key.pem"):
        (certs / name).rename(folder / name)
    output = run(folder, "issue")
    assert (output.count("kept"), output.count("issued")) == (2, 1), "as the hint says"
    (certs / "client-key.pem").unlink()
    assert "certs/client.pem exists, but not its key certs/client-key.pem\n  = copy the key" in run(folder, "issue")
    assert "rekeyed  certs/client.pem" in run(folder, "issue", rekey=True)
    assert run(folder, "issue").count("kept") == 3


def test_files_that_hold_something_else(folder: Path) -> None:
    certs = made(folder)
    key, refused = certs / "client-key.pem", "error: certs/client-key.pem: is not a private key\n"
    key.write_bytes(b"x")
    assert f"{refused}  = copy the key to this place; or move" in run(folder, "issue")
    (certs / "client.pem").unlink()
    assert f"{refused}  = move it away and repeat the command, or" in run(folder, "issue")
    (certs / "client.pem").write_bytes(b"x")
    assert "rekeyed  certs/client.pem" in run(folder, "issue", rekey=True)
    assert run(folder, "issue").count("kept") == 3
    (certs / "ca.pem").write_bytes(b"x")
    assert run(folder, "issue").startswith("error: certs/ca.pem: is not a certificate\n  = use a PEM file")
    assert "certs/ca.pem             CA      -           -          unusable\n" in run(folder, "show")


def test_a_missing_certificate_is_issued_for_the_key_that_is_there(folder: Path) -> None:
    certs = made(folder)
    key = (certs / "client-key.pem").read_bytes()
    (certs / "client.pem").unlink()
    assert "issued  certs/client.pem" in run(folder, "issue")
    assert (certs / "client-key.pem").read_bytes() == key
    assert fits(read_private_key(certs / "client-key.pem"), read_certificates(certs / "client.pem")[0])


def test_files_that_are_something_else(folder: Path) -> None:
    made(folder)
    assert run(folder, "issue", ca_key="certs") == (
        "error: /shop/certs cannot be read: Is a directory\n  = use a file that this user can read\n-> 3\n"
    )
    shutil.rmtree(folder / "certs")
    (folder / "certs").touch()
    assert run(folder, "init") == (
        "error: /shop/certs is not a folder\n  = move it away, or set other paths in the plan\n-> 3\n"
    )


@pytest.mark.parametrize(
    ("existing", "message"),
    [
        (
            "ca.pem",
            (
                "certs/ca.pem exists already, but not its key certs/ca-key.pem\n"
                "  = use it: mpbake certs issue --ca-key PATH; or move it and its certificates away"
            ),
        ),
        (
            "ca-key.pem",
            (
                "certs/ca-key.pem exists already, but not its certificate certs/ca.pem\n"
                "  = copy the certificate to this place, or move the key away"
            ),
        ),
    ],
)
def test_half_an_authority(folder: Path, existing: str, message: str) -> None:
    (folder / "certs").mkdir()
    (folder / "certs" / existing).write_text("mine")
    assert run(folder, "init") == f"error: {message}\n-> 3\n"
    assert contents(folder) == {existing: b"mine"}


def test_one_path_for_two_purposes(folder: Path) -> None:
    own = 'deploy = { host = "h", tls = { cert = "certs/client.pem", key = "certs/client-key.pem" } }'
    (folder / "build.toml").write_text(PLAN.replace('deploy.host = "ssh://root@laptop"', own))
    run(folder, "init")
    assert run(folder, "issue") == (
        "error: the plan names /shop/certs/client.pem as the certificate of a client and of a server"
        " (release/amd64, release/arm64)\n  = name another file for one of them\n-> 3\n"
    )
    (folder / "build.toml").write_text(PLAN.replace("client-key.pem", "ca.pem"))
    assert "error: the plan names /shop/certs/ca.pem for two purposes\n" in run(folder, "issue")


def test_hints_repeat_the_options_of_the_command(folder: Path) -> None:
    (folder / "build.toml").rename(folder / "my.toml")
    options: dict[str, Any] = {"files": ("my.toml",), "ca_key": "v/ca-key.pem"}
    assert "  = run `mpbake certs init -f my.toml --ca-key v/ca-key.pem`, or" in run(folder, "issue", **options)
    run(folder, "init", **options)
    assert "  = use it: mpbake certs issue -f my.toml --ca-key v/ca-key.pem; or" in run(folder, "init", **options)


# --- several authorities, and keys elsewhere --------------------------------------------------------------------------

TWO = (
    PLAN
    + """
[builders.other]
driver = "remote"
[builders.other.nodes.one]
endpoint = "tcp://else:1234"
tls = { ca = "certs/root.crt", cert = "certs/other.crt", key = "certs/other.key" }
"""
)


def test_two_authorities(folder: Path) -> None:
    (folder / "build.toml").write_text(TWO)
    assert "wrote certs/root-key.pem" in run(folder, "init", names=("other",))
    assert "or name the builders whose authority is missing" in run(folder, "init")
    assert "--ca-key names one key, but the plan names 2 authorities" in run(folder, "init", ca_key="x")
    assert "there is no certificate authority certs/ca.pem" in run(folder, "issue")
    assert "other.crt" in contents(folder)
    run(folder, "init", names=("release",))
    assert run(folder, "issue").count("issued") == 3
    assert "certs/root.crt, certs/root-key.pem, certs/ca.pem" not in run(folder, "init")


def test_a_key_outside_of_the_plan(folder: Path) -> None:
    output = run(folder, "init", ca_key="../vault/ca-key.pem")
    assert "wrote ../vault/ca-key.pem: its key" in output
    assert "next: mpbake certs issue --ca-key ../vault/ca-key.pem" in output
    vault = folder.parent / "vault"
    assert [path.name for path in vault.iterdir()] == ["ca-key.pem"]
    assert mode(vault / "ca-key.pem") == 0o600
    assert "there is no key certs/ca-key.pem" in run(folder, "issue")
    (vault / "ca-key.pem").chmod(0o640)
    output = run(folder, "issue", ca_key=str(vault / "ca-key.pem"))
    assert output.count("issued") == 3
    assert "warning: other users of this machine can read the key ../vault/ca-key.pem\n  = run: chmod 600" in output


def test_a_key_that_is_the_certificate(folder: Path) -> None:
    refused = "error: --ca-key names the certificate of the authority\n"
    assert run(folder, "init", ca_key="certs/ca.pem").startswith(refused)


def test_commands_at_the_same_time(folder: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: run(folder, "init"), range(4)))
        assert sorted("wrote certs/ca.pem" in result for result in results) == [False, False, False, True]
        results = list(pool.map(lambda _: run(folder, "issue", rekey=True), range(4)))
    assert not any("error" in result for result in results)
    assert "error" not in run(folder, "show")


# --- git --------------------------------------------------------------------------------------------------------------


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def findings(folder: Path) -> list[str]:
    """The warnings of `mpbake check`, without locations and hints."""
    here = world(folder, {"PATH": os.environ["PATH"]})
    call(check_command.main, here)
    lines = written(here.stdout).splitlines()
    return [line.rpartition(" [")[0].partition(": warning: ")[2] for line in lines if ": warning: " in line]


@pytest.mark.allow_subprocess
def test_keys_are_ignored_before_they_exist_and_warned_of_if_they_are_not(folder: Path) -> None:
    git(folder, "init", "--quiet")
    certs = made(folder)
    git(folder, "add", "--all")
    assert sorted(name for name in git(folder, "ls-files").split() if "certs/" in name) == [
        "certs/.gitignore",
        "certs/ca.pem",
        "certs/client.pem",
        "certs/release-amd64.pem",
        "certs/release-arm64.pem",
    ]
    assert findings(folder) == []
    git(folder, "add", "--force", "certs/client-key.pem")
    (certs / ".gitignore").unlink()
    shutil.copy(certs / "ca-key.pem", certs / ":old [1].key")
    (certs / "release-arm64-key.pem").chmod(0o640)
    (certs / "public.key").write_text("-----BEGIN PUBLIC KEY-----\n")
    amd64, arm64 = ("builders.release.nodes.amd64", "builders.release.nodes.arm64")
    assert sorted(findings(folder)) == [
        f"{amd64}.deploy.tls.key: git does not ignore the key release-amd64-key.pem: a commit may include it",
        f"{amd64}.tls.ca: git does not ignore the key :old [1].key: a commit may include it",
        f"{amd64}.tls.ca: git does not ignore the key ca-key.pem: a commit may include it",
        f"{amd64}.tls.key: git tracks the key client-key.pem: everyone with a clone has it",
        f"{arm64}.deploy.tls.key: git does not ignore the key release-arm64-key.pem: a commit may include it",
        f"{arm64}.deploy.tls.key: other users of this machine can read the key release-arm64-key.pem (mode 640)",
    ]
    assert "wrote certs/.gitignore" in run(folder, "issue")
    assert len(findings(folder)) == 3


@pytest.mark.allow_subprocess
def test_a_repository_that_ignores_keys_already(folder: Path) -> None:
    git(folder, "init", "--quiet")
    (folder / ".gitignore").write_text("*-key.pem\n")
    made(folder)
    assert ".gitignore" not in contents(folder)
    assert findings(folder) == []


# --- the command line -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("certs", {"action": "show"}),
        ("certs -f a.toml", {"action": "show", "files": ("a.toml",)}),
        ("certs show release --format json", {"action": "show", "names": ("release",), "format": "json"}),
        ("certs init --ca-key k.pem --days 30", {"action": "init", "ca_key": "k.pem", "days": 30}),
        ("certs -C dir issue --rekey", {"action": "issue", "directory": "dir", "rekey": True}),
    ],
)
def test_options(monkeypatch: pytest.MonkeyPatch, words: str, options: dict[str, Any]) -> None:
    called = Called()
    monkeypatch.setattr(mpbake.cli.commands.certs, "main", called.main)
    assert typed(monkeypatch, *words.split()) == 7
    assert called.options == options_for("certs", **options)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("certs make", "No such command 'make'"),
        ("certs issue --days 0", "Invalid value for '--days': 0 is not in the range"),
        ("certs issue --days soon", "Invalid value for '--days': 'soon' is not a valid int"),
        ("certs init --rekey", "No such option '--rekey'"),
        ("certs show --format yaml", "Invalid value for '--format'"),
    ],
)
def test_a_wrong_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str, message: str
) -> None:
    assert typed(monkeypatch, *words.split()) == 3
    assert message in capsys.readouterr().err


def test_no_mode_of_a_file_depends_on_the_umask(folder: Path) -> None:
    before = os.umask(0)
    try:
        made(folder)
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (folder / "certs").iterdir()}
    assert modes == {0o600, 0o644}
