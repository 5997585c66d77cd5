"""The command `mpbake import --builder`: what it reads, prints and writes. No engine answers here."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.errors import UsageError
from mpbake.buildkit.nodes.services import services_for
from mpbake.cli.commands import import_builders as command
from tests.unit.cli.test_app import plain_environment
from tests.unit.dockers import FakeDocker, context_in_use, failed
from tests.unit.plans import text
from tests.unit.worlds import NOON, call, world, written

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mpbake.cli.world import World

__all__ = ["plain_environment"]

CONFIG = b'[registry."r:1"]\nca = ["/etc/buildkit/certs/r_1/ca.crt"]\n'
FILES = {"buildkitd.toml": CONFIG, "certs/r_1/ca.crt": b"PEM"}
NODE = {"Name": "ci0", "Endpoint": "unix:///var/run/docker.sock", "Platforms": None, "DriverOpts": None, "Flags": None}
TABLES = (
    text("""
    version = 1

    [builders.ci]
    driver = "docker-container"

    [builders.ci.nodes.ci0]
    buildx-name = "ci0"
    """)
    + "\n"
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return the world of a user with the builder `ci` in buildx's store, and an engine that does not answer."""
    docker = FakeDocker(
        {
            "context inspect nowhere": failed("not found"),
            "context inspect other": context_in_use("other"),
            "context inspect": context_in_use("default"),
            "container inspect": failed("no engine"),
            "buildx inspect": failed("no engine"),
        }
    )
    environment = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}

    @contextlib.contextmanager
    def services(*_: object) -> Iterator[Any]:
        (tmp_path / "scratch").mkdir(exist_ok=True)
        yield services_for(docker, environment, tmp_path / "scratch", lambda: NOON)

    monkeypatch.setattr(command, "open_services", services)
    store(tmp_path)
    return world(tmp_path, environment)


def store(folder: Path, **more: Any) -> None:
    """Put the builder `ci` into buildx's store."""
    path = folder / ".docker/buildx/instances/ci"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"Name": "ci", "Driver": "docker-container", "Nodes": [{**NODE, **more}]}))


def test_tables_are_printed_and_a_silent_node_is_told(here: World) -> None:
    assert call(command.main, here, builders=("ci",)) == 0
    assert written(here.stdout) == TABLES
    (warning,) = written(here.stderr).splitlines()
    assert warning.startswith("warning: ci: its actual state is not known: node ci/ci0 (docker-container")


def test_tables_are_written_once(here: World) -> None:
    (here.folder / "plans").mkdir()
    call(command.main, here, builders=("ci",), output="plans/b.toml")
    assert (here.folder / "plans/b.toml").read_text() == TABLES
    assert (
        written(here.stdout)
        == text("""
        wrote plans/b.toml: builder ci (1 node)
        next: add include = ["plans/b.toml"] to your plan, and run: mpbake builders plan
        """)
        + "\n"
    )
    with pytest.raises(UsageError, match=r"-o plans/b.toml exists"):
        call(command.main, here, builders=("ci",), output="plans/b.toml")
    call(command.main, here, builders=("default",), output="plans/b.toml", force=True)
    assert (here.folder / "plans/b.toml").read_text() == 'version = 1\n\n[builders.default]\ndriver = "docker"\n'


def test_a_dry_run_writes_nothing(here: World) -> None:
    call(command.main, here, builders=("ci",), output="b.toml", dry_run=True)
    assert written(here.stdout) == TABLES
    assert not (here.folder / "b.toml").exists()


@pytest.mark.parametrize("output", ["none/b.toml", "link.toml", "folder"])
def test_where_no_file_is_written(here: World, output: str) -> None:
    (here.folder / "link.toml").symlink_to("elsewhere.toml")
    (here.folder / "folder").mkdir()
    with pytest.raises(UsageError, match=f"-o {output}"):
        call(command.main, here, builders=("ci",), output=output, force=True)
    assert not (here.folder / "elsewhere.toml").exists()


def test_files_of_registries_are_written_beside_the_plan(here: World) -> None:
    store(here.folder, Files={name: base64.b64encode(data).decode() for name, data in FILES.items()})
    call(command.main, here, builders=("ci",))
    assert (
        "warning: the tables name certificates that only buildx's store has: ci-registries/r_1/ca.crt; "
        "to write them too, add -o FILE\n"
    ) in written(here.stderr)
    call(command.main, here, builders=("ci",), output="b.toml")
    copied = here.folder / "ci-registries/r_1/ca.crt"
    assert copied.read_bytes() == b"PEM"
    assert copied.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError, match=r"ci-registries/r_1/ca.crt exists"):
        call(command.main, here, builders=("ci",), output="c.toml")
    assert not (here.folder / "c.toml").exists()


@pytest.mark.parametrize("name", ["nowhere", "../instances/ci", "a b c", ""])
def test_a_builder_that_buildx_does_not_have(here: World, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        call(command.main, here, builders=(name,))
    assert str(caught.value) == f'buildx has no builder "{name}"\n  = known builders: ci, default'


def test_a_name_as_buildx_lists_it_and_a_docker_context(here: World) -> None:
    call(command.main, here, builders=("CI*", "other", "ci"))
    other = text("""
        [builders.other]
        driver = "docker"

        [builders.other.nodes.other]
        endpoint = "other"
        """)
    assert written(here.stdout) == f"{TABLES}\n{other}\n"


def test_an_entry_that_is_damaged(here: World) -> None:
    (here.folder / ".docker/buildx/instances/ci").write_text("{")
    with pytest.raises(Exception, match="cannot be read"):
        call(command.main, here, builders=("ci",))


def test_tables_that_mpbake_refuses_are_told(here: World) -> None:
    store(here.folder, DriverOpts={"memory": "much"})
    call(command.main, here, builders=("ci",))
    assert written(here.stderr) == (
        'warning: mpbake refuses the tables: "much" is not a valid value for memory; correct the plan by hand\n'
    )


def test_a_builder_of_mpbake_is_told(here: World) -> None:
    path = here.folder / ".docker/buildx/instances/ci"
    path.write_text(json.dumps({**json.loads(path.read_text()), "MadeBy": "mpbake"}))
    call(command.main, here, builders=("ci",))
    assert "warning: ci: mpbake has made or adopted it: its tables may be in another plan\n" in written(here.stderr)
