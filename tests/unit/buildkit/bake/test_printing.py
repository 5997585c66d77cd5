"""The commands with which mpbake asks buildx how it reads bake files, with a simulated docker."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from mpbake.buildkit.bake import printing
from mpbake.buildkit.bake.printing import BakePrinter, BakeRefused, NoBuildx
from tests.unit.dockers import done, failed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mpbake.buildkit.process.completed import Completed
    from mpbake.buildkit.process.docker import Docker

PRINTED = json.dumps({"group": {"default": {"targets": ["web"]}}, "target": {"web": {"context": "."}}})


class Buildx:
    """A docker whose buildx answers with `answers`, one after another, and which records its calls."""

    def __init__(self, *answers: Completed) -> None:
        self.answers = list(answers)
        self.calls: list[dict[str, Any]] = []

    def run_program(self, command: Sequence[str], *, timeout: float) -> Completed:
        assert timeout
        self.calls.append({"command": list(command)})
        return self.answers.pop(0)

    def run_program_in(
        self, folder: Path, command: Sequence[str], *, timeout: float, environment: Mapping[str, str]
    ) -> Completed:
        assert timeout
        files = [word for before, word in pairwise(command) if before == "-f"]
        contents = {Path(file).suffix: Path(file).read_text() for file in files if Path(file).is_file()}
        present = sorted(path.name for path in folder.iterdir())
        call = {"command": list(command), "environment": environment, "cwd": folder, "present": present}
        self.calls.append({**call, "contents": contents})
        return self.answers.pop(0)


def printer_of(tmp_path: Path, *answers: Completed) -> tuple[BakePrinter, Buildx]:
    buildx = Buildx(*answers)
    folder, scratch = tmp_path / "project", tmp_path / "scratch"
    folder.mkdir()
    scratch.mkdir()
    docker = cast("Docker", buildx)
    return BakePrinter(
        docker=docker, command=("/x/docker-buildx",), version="0.36.0", folder=folder, scratch=scratch
    ), buildx


def test_everything_is_printed_at_once_by_a_group_that_does_not_appear(tmp_path: Path) -> None:
    text = json.dumps(
        {"group": {"mpbake-import-all": {"targets": ["web"]}, "default": {"targets": ["web"]}}, "target": {}}
    )
    printer, buildx = printer_of(tmp_path, done(text))
    printed = printer.printed(["a.hcl", "b.json"], ["default", "web"], {"TAG": "2"}, {"meta": {}})
    assert printed.groups == {"default": ("web",)}
    (call,) = buildx.calls
    *command, extra, name = call["command"]
    assert command == ["/x/docker-buildx", "bake", "--print", "-f", "a.hcl", "-f", "b.json", "-f"]
    assert name == "mpbake-import-all"
    assert call["cwd"] == printer.folder
    assert json.loads(call["contents"][".json"]) == {
        "group": {"mpbake-import-all": {"targets": ["default", "web"]}},
        "target": {"meta": {}},
    }
    assert not Path(extra).exists(), "the temporary file is removed"


def test_a_bake_file_cannot_change_where_buildx_looks_for_credentials(tmp_path: Path) -> None:
    printer, buildx = printer_of(tmp_path, done(PRINTED))
    given = {"TAG": "2", "DOCKER_CONFIG": "/evil", "DOCKER_HOST": "tcp://evil", "AWS_CONFIG_FILE": "/evil"}
    printer.printed(["a.hcl"], ["web"], given)
    environment = buildx.calls[0]["environment"]
    assert environment["TAG"] == "2"
    assert environment["DOCKER_CONFIG"] == f"{printer.scratch}/config"
    assert environment["DOCKER_HOST"] == f"unix://{printer.scratch}/no-engine"
    assert environment["AWS_CONFIG_FILE"] == "/dev/null"
    assert environment["AWS_EC2_METADATA_DISABLED"] == "true"


def test_an_old_buildx_runs_in_another_folder_since_it_empties_the_files_of_outputs(tmp_path: Path) -> None:
    printer, buildx = printer_of(tmp_path, done(PRINTED))
    printer.version = "0.13.1+ds1"
    printer.printed(["docker-bake.hcl"], ["web"], {})
    assert buildx.calls[0]["cwd"] == tmp_path / "scratch/placeholders"
    assert str(tmp_path / "project/docker-bake.hcl") in buildx.calls[0]["command"]


def test_an_old_buildx_finds_the_folder_of_an_output(tmp_path: Path) -> None:
    refusal = failed("ERROR: failed to open open ./out/site.tar: no such file or directory")
    printer, buildx = printer_of(tmp_path, refusal, done(PRINTED))
    printer.version = "0.13.1"
    printer.printed(["docker-bake.hcl"], ["web"], {})
    assert buildx.calls[1]["present"] == ["out"]


def test_a_variable_that_a_shell_would_drop_or_replace_is_set_by_env(tmp_path: Path) -> None:
    printer, buildx = printer_of(tmp_path, done(PRINTED))
    printer.printed(["docker-bake.hcl"], ["web"], {"base-image": "debian", "TAG": "1", "PWD": "/src"})
    command = buildx.calls[0]["command"]
    assert command[: command.index("bake")] == ["env", "--", "base-image=debian", "PWD=/src", "/x/docker-buildx"]


def test_a_missing_file_gets_a_placeholder_in_another_folder(tmp_path: Path) -> None:
    missing = failed("ERROR: failed to stat secrets/npmrc: stat secrets/npmrc: no such file or directory")
    other = failed("ERROR: stat token: no such file or directory")
    printer, buildx = printer_of(tmp_path, missing, other, done(PRINTED), done(PRINTED))
    (printer.folder / ".env").write_text("A=1")
    assert printer.printed(["a.hcl"], ["web"], {}).targets == {"web": {"context": "."}}
    last = buildx.calls[2]
    assert last["cwd"] == printer.scratch / "placeholders"
    assert last["present"] == [".env", "secrets", "token"]
    assert last["command"][4] == str(printer.folder / "a.hcl")
    assert [*printer.folder.iterdir()] == [printer.folder / ".env"], "the checkout is unchanged"
    printer.printed(["a.hcl"], ["web"], {})
    assert buildx.calls[3]["cwd"] == printer.scratch / "placeholders", "the next print knows the files"


@pytest.mark.parametrize("path", ["/run/secrets/token", "../token", "a/../../token"])
def test_a_missing_file_elsewhere_is_told(tmp_path: Path, path: str) -> None:
    printer, _ = printer_of(tmp_path, failed(f"ERROR: failed to stat {path}: stat {path}: no such file or directory"))
    with pytest.raises(BakeRefused, match=f"stat {path}"):
        printer.printed(["a.hcl"], ["web"], {})


def test_a_file_that_stays_missing_is_told(tmp_path: Path) -> None:
    missing = failed("ERROR: stat token: no such file or directory")
    printer, _ = printer_of(tmp_path, missing, missing)
    with pytest.raises(BakeRefused, match="stat token"):
        printer.printed(["a.hcl"], ["web"], {})


def test_the_reason_of_bake_names_no_temporary_file(tmp_path: Path) -> None:
    printer, buildx = printer_of(tmp_path)
    buildx.answers = [failed(f"ERROR: {printer.folder}/a.hcl:3,4-5: {printer.scratch}/x.json: no")]
    with pytest.raises(BakeRefused, match=r"^a\.hcl:3,4-5: x\.json: no$"):
        printer.printed(["a.hcl"], ["web"], {})


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (failed("", timed_out=True), "did not print the bake file within 60 s, so mpbake ended it"),
        (done("not JSON"), "the answer of buildx 0.36.0 cannot be read"),
        (done("[]"), "the answer of buildx 0.36.0 cannot be read"),
        (done("{}"), "the answer of buildx 0.36.0 cannot be read"),
    ],
)
def test_an_answer_without_targets_is_no_refusal(tmp_path: Path, answer: Completed, message: str) -> None:
    printer, _ = printer_of(tmp_path, answer)
    with pytest.raises(NoBuildx, match=message):
        printer.printed(["a.hcl"], ["web"], {})


class DockerWithPlugins(Buildx):
    """A docker that tells its plugins. `info` answers to `docker info`."""

    def __init__(self, info: Completed, *answers: Completed) -> None:
        super().__init__(*answers)
        self.info = info
        self.settings: Mapping[str, str] = {}
        self.closed = False
        self.environment: Mapping[str, str] = {}

    def run(self, arguments: Sequence[str], *, environment: Mapping[str, str], timeout: float) -> Completed:
        assert arguments == ["info", "--format", "{{json .ClientInfo.Plugins}}"]
        assert timeout
        self.settings = environment
        return self.info

    def cancel(self) -> None:
        raise AssertionError

    def close(self) -> None:
        self.closed = True


def opened(
    monkeypatch: pytest.MonkeyPatch, docker: DockerWithPlugins, tmp_path: Path, **environment: str
) -> BakePrinter:
    """Return the printer of a user with this environment."""

    def make(passed: Mapping[str, str], folder: Path, redact: Callable[[str], str]) -> DockerWithPlugins:
        assert folder.is_dir()
        assert redact("x") == "x"
        docker.environment = passed
        return docker

    monkeypatch.setattr(printing, "Docker", make)
    with printing.open_printer(environment, tmp_path, str, lambda _: None) as printer:
        assert (printer.scratch / "agent").is_socket(), "buildx looks for the agent of `ssh`"
    assert not printer.scratch.exists()
    assert docker.closed
    return printer


PLUGIN = {"Name": "buildx", "Path": "/x/docker-buildx"}


def test_buildx_is_started_directly_and_without_the_users_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    info = done(json.dumps([{"Name": "compose", "Path": "/x/docker-compose"}, PLUGIN]) + "\n")
    docker = DockerWithPlugins(info, done("github.com/docker/buildx v0.36.0 abc\n"))
    printer = opened(monkeypatch, docker, tmp_path, HOME="/home/me", PATH="/bin", TOKEN="s", AWS_PROFILE="p")
    assert printer.command == ("/x/docker-buildx",)
    assert printer.version == "0.36.0"
    assert docker.environment == {"HOME": "/home/me", "PATH": "/bin"}
    assert docker.settings["DOCKER_CONFIG"] == "/home/me/.docker", "plugins of the user are found"


@pytest.mark.parametrize(
    "info",
    [
        done("null"),
        done("[]"),
        done(""),
        failed("no"),
        done('[{"Name": "buildx", "Path": "/x/docker-buildx", "Err": "broken"}]'),
        done('[{"Name": "buildx"}]'),
    ],
)
def test_a_docker_without_buildx_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, info: Completed) -> None:
    with pytest.raises(NoBuildx, match="docker has no buildx") as caught:
        opened(monkeypatch, DockerWithPlugins(info), tmp_path)
    assert caught.value.hint == "install buildx: https://docs.docker.com/go/buildx/"
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("answer", ["hello", "5", '{"a": 1}'])
def test_another_program_called_docker_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: str) -> None:
    with pytest.raises(NoBuildx, match="the answer of docker cannot be read") as caught:
        opened(monkeypatch, DockerWithPlugins(done(answer)), tmp_path)
    assert caught.value.hint == "check that `docker version` shows a Docker client"


def test_a_buildx_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    docker = DockerWithPlugins(done(json.dumps([PLUGIN])), failed("exec format error"))
    with pytest.raises(NoBuildx, match="buildx does not tell its version: exec format error"):
        opened(monkeypatch, docker, tmp_path)
