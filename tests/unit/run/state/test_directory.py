"""The state directory."""

from __future__ import annotations

import fcntl
import os
import stat
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from mpbake.base.errors import LockHeld, MpbakeError, UsageError
from mpbake.run.state.directory import (
    KEPT_RUNS,
    State,
    block_runs,
    open_state,
    read_durations,
    recorded_durations,
    write_durations,
)
from tests.unit.worlds import NOON

if TYPE_CHECKING:
    from pathlib import Path


def listed(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_what_a_run_finds(tmp_path: Path) -> None:
    with open_state(tmp_path, NOON) as state:
        run = "20260801T120000-1"
        assert state == State(nodes=tmp_path / ".mpbake/nodes", run=tmp_path / ".mpbake/runs" / run)
        assert listed(tmp_path / ".mpbake") == [".gitignore", "lock", "nodes", "runs", f"runs/{run}"]
        assert (tmp_path / ".mpbake/.gitignore").read_text() == "*\n"
        assert (tmp_path / ".mpbake/lock").read_text() == f"{os.getpid()}\n"
        for folder in (tmp_path / ".mpbake", state.nodes, state.run):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_second_run_finds_what_the_first_left(tmp_path: Path) -> None:
    with open_state(tmp_path, NOON) as first:
        (first.nodes / "release-amd64").mkdir()
        first.log("build web").write_text("log")
    (tmp_path / ".mpbake/.gitignore").write_text("mine\n")
    with open_state(tmp_path, NOON + timedelta(seconds=1)) as second:
        assert (second.nodes / "release-amd64").is_dir()
        assert first.log("build web").read_text() == "log"
        assert second.run != first.run
    assert (tmp_path / ".mpbake/.gitignore").read_text() == "mine\n"


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("verify web", "verify-web.log"),
        (
            "build web linux/amd64,linux/arm/v7 on release/linux-amd64 (shared)",
            "build-web-linux-amd64-linux-arm-v7-on-release-linux-amd64-shared.log",
        ),
        ("../../etc/passwd", "..-..-etc-passwd.log"),
    ],
)
def test_a_log_is_called_as_its_step(tmp_path: Path, name: str, file: str) -> None:
    assert State(nodes=tmp_path, run=tmp_path).log(name) == tmp_path / file


def test_steps_with_long_names_keep_logs_of_their_own(tmp_path: Path) -> None:
    state = State(nodes=tmp_path, run=tmp_path)
    logs = [state.log(f"build {'x' * 300} linux/{platform} on release/n") for platform in ("amd64", "arm64")]
    assert logs[0] != logs[1]
    for log in logs:
        log.write_text("it is short enough for a file's name")


# --- the lock ---------------------------------------------------------------------------------------------------------


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with open_state(tmp_path, NOON), pytest.raises(LockHeld) as caught, open_state(tmp_path, NOON):
        pass
    assert str(caught.value) == (f"another run works on this plan (process {os.getpid()})\n  = wait for it, or end it")
    with open_state(tmp_path, NOON):
        pass


def test_a_lock_whose_owner_is_not_known(tmp_path: Path) -> None:
    (tmp_path / ".mpbake").mkdir()
    lock = tmp_path / ".mpbake/lock"
    lock.write_bytes(b"\xff\x1b[2J")
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(LockHeld) as caught, open_state(tmp_path, NOON):
            pass
    assert str(caught.value) == "another run works on this plan (process 2)\n  = wait for it, or end it"
    lock.write_text("not a number")
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(LockHeld, match=r"^another mpbake works on this plan\n"), open_state(tmp_path, NOON):
            pass


def test_no_run_is_held_off_while_one_works(tmp_path: Path) -> None:
    message = f"another run works on this plan \\(process {os.getpid()}\\)"
    with open_state(tmp_path, NOON), pytest.raises(LockHeld, match=message), block_runs(tmp_path):
        pass


def test_no_run_starts_while_it_is_held_off(tmp_path: Path) -> None:
    """This also holds for a plan without earlier runs, and if the lock names the process of an earlier run."""
    for _ in range(2):
        with block_runs(tmp_path), block_runs(tmp_path):
            with pytest.raises(LockHeld) as caught, open_state(tmp_path, NOON):
                pass
            assert str(caught.value) == "another mpbake works on this plan\n  = wait for it, or end it"
        with open_state(tmp_path, NOON):
            pass


@pytest.mark.parametrize("write", [True, False])
def test_a_lock_that_this_user_cannot_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, write: bool) -> None:
    with open_state(tmp_path, NOON):
        pass
    real = os.open

    def refusing(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_RDWR or not write:
            raise PermissionError(13, "Permission denied")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", refusing)
    with block_runs(tmp_path):
        monkeypatch.undo()
        if write:
            with pytest.raises(LockHeld), open_state(tmp_path, NOON):
                pass
    assert (tmp_path / ".mpbake/lock").read_text() == f"{os.getpid()}\n"


def test_the_lock_of_a_run_that_died_is_free(tmp_path: Path) -> None:
    (tmp_path / ".mpbake").mkdir()
    (tmp_path / ".mpbake/lock").write_text("123456789\n")
    with open_state(tmp_path, NOON):
        assert (tmp_path / ".mpbake/lock").read_text() == f"{os.getpid()}\n"


# --- a folder that is part of the checkout ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [".mpbake", ".mpbake/nodes", ".mpbake/runs"])
def test_folders_that_are_links_are_not_followed(tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    root = tmp_path / "plan"
    (root / name).parent.mkdir(parents=True)
    (root / name).symlink_to(elsewhere)
    with pytest.raises(UsageError) as caught, open_state(root, NOON):
        pass
    assert str(caught.value) == f"{root / name} is not a folder\n  = remove it: mpbake makes its own"
    if name == ".mpbake":
        with pytest.raises(UsageError), block_runs(root):
            pass
    assert listed(elsewhere) == []


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / ".mpbake").write_text("")
    with pytest.raises(UsageError, match="is not a folder"), open_state(tmp_path, NOON):
        pass


def test_a_folder_where_the_lock_should_be(tmp_path: Path) -> None:
    (tmp_path / ".mpbake/lock").mkdir(parents=True)
    with pytest.raises(UsageError, match="lock is not a file"), open_state(tmp_path, NOON):
        pass
    with pytest.raises(UsageError) as caught, block_runs(tmp_path):
        pass
    assert str(caught.value) == f"{tmp_path}/.mpbake/lock is not a file\n  = remove it: mpbake makes its own"


def test_files_that_are_links_are_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("precious")
    (tmp_path / ".mpbake").mkdir()
    (tmp_path / ".mpbake/.gitignore").symlink_to(tmp_path / "made")
    (tmp_path / ".mpbake/lock").symlink_to(target)
    with pytest.raises(UsageError) as caught, open_state(tmp_path, NOON):
        pass
    assert str(caught.value) == f"{tmp_path}/.mpbake/lock is not a file\n  = remove it: mpbake makes its own"
    assert target.read_text() == "precious"
    assert not (tmp_path / "made").exists()


def test_a_folder_that_cannot_be_had(tmp_path: Path) -> None:
    with pytest.raises(MpbakeError) as caught, open_state(tmp_path / "nowhere", NOON):
        pass
    assert str(caught.value).startswith(f"{tmp_path}/nowhere/.mpbake: No such file or directory\n")


def test_a_full_disk_leaves_no_half_gitignore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MpbakeError, match="No space left"), open_state(tmp_path, NOON):
        pass
    assert listed(tmp_path / ".mpbake") == []


def test_what_breaks_off_the_output_is_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(BrokenPipeError), open_state(tmp_path, NOON):
        raise BrokenPipeError
    with pytest.raises(MpbakeError, match="No space left"), open_state(tmp_path, NOON):
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("file", ["/home/m.json", None])
def test_what_is_refused_elsewhere_is_not_taken_for_this_folder(tmp_path: Path, file: str | None) -> None:
    with pytest.raises(MpbakeError) as caught, open_state(tmp_path, NOON):
        raise OSError(13, "Permission denied", file)
    where = file or "a log or temporary file"
    assert (
        str(caught.value) == f"{where}: Permission denied\n  = check the disk space and that this user may write there"
    )


# --- old runs ---------------------------------------------------------------------------------------------------------


def test_only_the_newest_runs_are_kept(tmp_path: Path) -> None:
    runs = tmp_path / ".mpbake/runs"
    runs.mkdir(parents=True)
    for number in range(KEPT_RUNS + 5):
        (runs / f"20250101T0000{number:02d}-1").mkdir()
        (runs / f"20250101T0000{number:02d}-1/build.log").touch()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").touch()
    (runs / "20240101T000000-1").symlink_to(elsewhere)
    (runs / "20240101T000000-2").touch()
    with open_state(tmp_path, NOON) as state:
        kept = sorted(path.name for path in runs.iterdir() if path.is_dir() and not path.is_symlink())
    assert kept == [*(f"20250101T0000{number:02d}-1" for number in range(6, KEPT_RUNS + 5)), state.run.name]
    assert len(kept) == KEPT_RUNS
    assert listed(elsewhere) == ["file"]


def test_the_newest_runs_are_kept_when_the_clock_is_set_back(tmp_path: Path) -> None:
    years = [*range(KEPT_RUNS), *range(-10, 5)]  # the clock is set back twice
    made = []
    for year in years:
        with open_state(tmp_path, NOON.replace(year=2026 + year)) as state:
            made.append(state.run.name)
    kept = {path.name for path in (tmp_path / ".mpbake/runs").iterdir()}
    assert len(set(made)) == len(made)
    assert kept == set(made[-KEPT_RUNS:])


# --- durations --------------------------------------------------------------------------------------------------------

DURATIONS = {"web": {"linux/amd64": [1.5, 2.0]}, "api": {}}


def test_durations_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "durations.json"
    assert read_durations(path) == ({}, "")
    for durations in ({}, DURATIONS):
        write_durations(path, durations)
        assert read_durations(path) == (durations, "")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"format": "1"}',
        '{"format": 1}',
        '{"format": 1, "durations": []}',
        '{"format": 1, "durations": {"web": [1]}}',
        '{"format": 1, "durations": {"web": {"native": 1}}}',
        '{"format": 1, "durations": {"web": {"native": ["x"]}}}',
        '{"format": 1, "durations": {"web": {"native": [NaN]}}}',
        '{"format": 1, "durations": {"web": {"native": [-1]}}}',
        '{"format": 1, "durations": {"web": {"native": [1e999]}}}',
        f'{{"format": 1, "durations": {{"web": {{"native": [1{"0" * 400}]}}}}}}',
        f'{{"format": 1, "durations": {{"web": {{"native": [1{"0" * 5000}]}}}}}}',
        '{"format": 1, "durations": {"web": {"native": {"x": 1}}}}',
        "[" * 100_000,
        "\xff",
    ],
)
def test_damaged_durations_are_one_warning_and_count_as_none(text: str, tmp_path: Path) -> None:
    path = tmp_path / "durations.json"
    path.write_bytes(text.encode("latin-1"))
    assert read_durations(path) == ({}, f"{path} is damaged: durations of earlier runs are not known")
    write_durations(path, DURATIONS)
    assert read_durations(path) == (DURATIONS, "")


def test_newer_durations_are_left_unread(tmp_path: Path) -> None:
    path = tmp_path / "durations.json"
    path.write_text('{"format": 2, "seconds": {}}')
    durations, warning = read_durations(path)
    assert (durations, "was written by a newer mpbake" in warning) == ({}, True)
    write_durations(path, DURATIONS)
    assert path.read_text() == '{"format": 2, "seconds": {}}'


def test_durations_behind_a_symlink_are_not_read_and_the_link_is_replaced(tmp_path: Path) -> None:
    elsewhere, path = tmp_path / "elsewhere", tmp_path / "durations.json"
    write_durations(elsewhere, DURATIONS)
    path.symlink_to(elsewhere)
    assert read_durations(path)[0] == {}
    write_durations(path, {})
    assert not path.is_symlink()
    assert read_durations(elsewhere) == (DURATIONS, "")


def test_durations_are_read_without_a_run_if_they_are_sound(tmp_path: Path) -> None:
    (tmp_path / ".mpbake").mkdir()
    path = tmp_path / ".mpbake/durations.json"
    assert recorded_durations(tmp_path) == {}
    write_durations(path, DURATIONS)
    assert recorded_durations(tmp_path) == DURATIONS
    write_durations(path, {"web": {"native": [1.0, 1e300]}})
    assert recorded_durations(tmp_path) == {}
    path.write_text("{")
    assert recorded_durations(tmp_path) == {}
    assert listed(tmp_path) == [".mpbake", ".mpbake/durations.json"]


def test_durations_in_a_folder_behind_a_symlink_are_not_read(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write_durations(elsewhere / "durations.json", DURATIONS)
    (tmp_path / ".mpbake").symlink_to(elsewhere)
    assert recorded_durations(tmp_path) == {}
