"""The command line: options, messages and exit codes."""

from __future__ import annotations

import errno
import io
import os
import shlex
import subprocess
import sys
from datetime import UTC
from typing import TYPE_CHECKING, Any

import click
import pytest

import mpbake.cli.commands.check
import mpbake.cli.commands.export
import mpbake.cli.commands.init
import mpbake.cli.commands.list
import mpbake.cli.commands.plan
import mpbake.cli.commands.run
import mpbake.cli.commands.schema
import mpbake.cli.commands.show
from mpbake import __main__, __version__
from mpbake.base.errors import BuildFailed, LockHeld, MpbakeError, PlanError, Unreachable, UsageError
from mpbake.cli.app import cli
from mpbake.cli.definitions.table import COMMANDS
from mpbake.cli.options import option_names
from tests.checkout import CHECKOUT
from tests.unit.worlds import options_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mpbake.cli.world import World

HEAVY = ["networkx", "python_on_whales", "pydantic", "rich", "jinja2", "tomli"]


class Called:
    """A fake for every command that records its arguments."""

    def __init__(self) -> None:
        self.options: Any = None
        self.world: World | None = None

    def main(self, options: Any, world: World) -> int:
        self.options, self.world = options, world
        return 7


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*(name for name in os.environ if name.startswith("MPBAKE_")), "NO_COLOR"]:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Called:
    recorder = Called()
    for name in ("check", "export", "init", "list", "plan", "run", "schema", "show"):
        monkeypatch.setattr(getattr(mpbake.cli.commands, name), "main", recorder.main)
    return recorder


def typed(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Return the exit code of `mpbake WORDS`."""
    monkeypatch.setattr(sys, "argv", ["mpbake", *words])
    with pytest.raises(SystemExit) as caught:
        __main__.main()
    assert isinstance(caught.value.code, int)
    return caught.value.code


# --- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("plan", {}),
        ("plan web php-*", {"names": ("web", "php-*")}),
        ("plan -f a.toml -C dir", {"files": ("a.toml",), "directory": "dir"}),
        ("plan --file=a.toml --directory=dir", {"files": ("a.toml",), "directory": "dir"}),
        ("plan -f a.toml -f b.toml", {"files": ("a.toml", "b.toml")}),
        ("plan --set web.args.A=1 --set *.tags+=x", {"settings": ("web.args.A=1", "*.tags+=x")}),
        ("show web --origin --set web.args.A=1", {"names": ("web",), "origin": True, "settings": ("web.args.A=1",)}),
        ("export web --no-push", {"names": ("web",), "push": False, "format": "bake"}),
        ("check --strict --format github", {"strict": True, "format": "github"}),
        ("check --without-secrets", {"without_secrets": True}),
        ("plan --var a=1 --var b=2", {"variables": ("a=1", "b=2")}),
        (
            "plan --platform linux/amd64 --platform linux/arm64,linux/386",
            {"platforms": ("linux/amd64", "linux/arm64,linux/386")},
        ),
        ("plan --push", {"push": True}),
        ("plan --no-push", {"push": False}),
        (
            "plan --load --no-cache --pull --builder b --no-color",
            {"load": True, "no_cache": True, "pull": True, "builder": "b"},
        ),
        ("run --dry-run -q web", {"names": ("web",), "quiet": True}),
        ("run -v", {"verbose": True}),
        ("plan --format json", {"format": "json"}),
        ("run --dry-run --format json", {"format": "json"}),
        ("run -- --web", {"names": ("--web",)}),
        ("list -C dir --no-color", {"directory": "dir"}),
        ("init", {}),
        ("init -C dir --dry-run", {"directory": "dir", "dry_run": True}),
        ("schema", {"format": "json"}),
        ("schema --format markdown", {"format": "markdown"}),
    ],
)
def test_words_become_options(
    monkeypatch: pytest.MonkeyPatch, called: Called, words: str, options: dict[str, Any]
) -> None:
    assert typed(monkeypatch, *words.split()) == 7
    name = "plan" if "--dry-run" in words and words.startswith("run") else words.split(maxsplit=1)[0]
    assert called.options == options_for(name, **options)


def options_of(command: click.Command) -> list[click.Option]:
    return [option for option in command.params if isinstance(option, click.Option) and option.name != "help"]


@pytest.mark.parametrize("name", ["run", "plan", "list", "init", "show", "export", "check"])
def test_every_option_has_its_variable(name: str) -> None:
    (fields,) = [option_names(command.options_class) for command in COMMANDS if command.name == name]
    options = options_of(cli.commands[name])
    assert len(options) >= 2
    for option in options:
        if option.name == "format" and name in {"check", "export"}:
            assert not option.envvar, "MPBAKE_FORMAT is the format of plans"
            continue
        long = [name for name in (*option.opts, *option.secondary_opts) if name.startswith("--")]
        assert option.envvar == [f"MPBAKE_{name[2:].upper().replace('-', '_')}" for name in long]
        assert option.name in {*fields, *(("dry_run", "format") if name == "run" else ())} or not option.expose_value
        assert option.help
        assert option.help.endswith(".")


@pytest.mark.parametrize(
    ("variable", "value", "options"),
    [
        ("MPBAKE_FILE", "a b.toml", {"files": ("a b.toml",)}),
        ("MPBAKE_FILE", "a.toml\nb.toml", {"files": ("a.toml", "b.toml")}),
        ("MPBAKE_SET", "a.args.X=1 2\n*.tags+=x", {"settings": ("a.args.X=1 2", "*.tags+=x")}),
        ("MPBAKE_DIRECTORY", "dir", {"directory": "dir"}),
        ("MPBAKE_VAR", "a=1", {"variables": ("a=1",)}),
        ("MPBAKE_VAR", "a=1\nb=2\n", {"variables": ("a=1", "b=2")}),
        ("MPBAKE_VAR", "a=one two\nb= x ", {"variables": ("a=one two", "b= x ")}),
        ("MPBAKE_VAR", "", {}),
        ("MPBAKE_VAR_FILE", "my values.toml\nb.toml", {"var_files": ("my values.toml", "b.toml")}),
        ("MPBAKE_PLATFORM", "linux/amd64\nlinux/arm64", {"platforms": ("linux/amd64", "linux/arm64")}),
        ("MPBAKE_PLATFORM", "linux/amd64,linux/arm64", {"platforms": ("linux/amd64,linux/arm64",)}),
        ("MPBAKE_BUILDER", "ci", {"builder": "ci"}),
        ("MPBAKE_PUSH", "1", {"push": True}),
        ("MPBAKE_PUSH", "false", {"push": False}),
        ("MPBAKE_PUSH", "", {}),
        ("MPBAKE_NO_PUSH", "1", {"push": False}),
        ("MPBAKE_NO_PUSH", "0", {}),
        ("MPBAKE_NO_PUSH", "", {}),
        ("MPBAKE_LOAD", "yes", {"load": True}),
        ("MPBAKE_LOAD", "0", {}),
        ("MPBAKE_NO_CACHE", "true", {"no_cache": True}),
        ("MPBAKE_PULL", "on", {"pull": True}),
        ("MPBAKE_NO_COLOR", "1", {"no_color": True}),
        ("MPBAKE_FORMAT", "json", {"format": "json"}),
        ("MPBAKE_QUIET", "1", {"quiet": True}),
        ("MPBAKE_VERBOSE", "1", {"verbose": True}),
        ("MPBAKE_UNKNOWN", "1", {}),
    ],
)
def test_variables_become_options(
    monkeypatch: pytest.MonkeyPatch, called: Called, variable: str, value: str, options: dict[str, Any]
) -> None:
    monkeypatch.setenv(variable, value)
    command = "plan" if variable == "MPBAKE_FORMAT" else "run"
    assert typed(monkeypatch, command) == 7
    assert called.options == options_for(command, **options)


def test_the_command_line_wins(monkeypatch: pytest.MonkeyPatch, called: Called) -> None:
    for variable, value in (("MPBAKE_PUSH", "1"), ("MPBAKE_FILE", "a.toml"), ("MPBAKE_VAR", "a=1")):
        monkeypatch.setenv(variable, value)
    typed(monkeypatch, "plan", "--no-push", "-f", "b.toml", "--var", "b=2")
    assert called.options == options_for("plan", push=False, files=("b.toml",), variables=("b=2",))


@pytest.mark.parametrize(
    ("push", "no_push", "expected"), [("1", "0", True), ("0", "1", False), ("0", "0", False), ("", "1", False)]
)
def test_push_and_its_opposite(
    monkeypatch: pytest.MonkeyPatch, called: Called, push: str, no_push: str, *, expected: bool
) -> None:
    monkeypatch.setenv("MPBAKE_PUSH", push)
    monkeypatch.setenv("MPBAKE_NO_PUSH", no_push)
    assert typed(monkeypatch, "run") == 7
    assert called.options.overrides.push is expected


def test_variables_that_contradict_each_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], called: Called
) -> None:
    for variable in ("MPBAKE_PUSH", "MPBAKE_NO_PUSH"):
        monkeypatch.setenv(variable, "1")
    assert typed(monkeypatch, "run") == 3
    assert called.world is None
    assert capsys.readouterr().err == (
        "error: MPBAKE_PUSH and MPBAKE_NO_PUSH cannot be combined: unset one of them; try: mpbake run --help\n"
    )
    for word, push in (("--push", True), ("--no-push", False)):
        assert typed(monkeypatch, "run", word) == 7
        assert called.options.overrides.push is push


def test_the_world(monkeypatch: pytest.MonkeyPatch, called: Called, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOME", "thing")
    typed(monkeypatch, "list")
    world = called.world
    assert world is not None
    assert world.folder == tmp_path
    assert world.environment["SOME"] == "thing"
    assert (world.stdout.fileno(), world.stderr.fileno()) == (sys.stdout.fileno(), sys.stderr.fileno())
    assert world.clock() <= world.clock()
    assert world.now().tzinfo is UTC


@pytest.mark.parametrize(
    ("terminal", "environment", "live"),
    [
        (True, {"TERM": "xterm"}, True),
        (False, {"TERM": "xterm"}, False),
        (True, {"TERM": "dumb"}, False),
        (True, {"TERM": "xterm", "CI": "true"}, False),
    ],
)
def test_live_only_where_a_person_watches(
    monkeypatch: pytest.MonkeyPatch, called: Called, environment: dict[str, str], *, terminal: bool, live: bool
) -> None:
    monkeypatch.delenv("CI", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    typed(monkeypatch, "run")
    assert called.world is not None
    assert called.world.live is live


def test_every_command_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed(monkeypatch, "--help") == 0
    commands, _, epilog = capsys.readouterr().out.partition("\nCommands:\n")[2].partition("\n\n")
    lines = commands.splitlines()
    assert sorted(line.split()[0] for line in lines) == sorted(cli.commands)
    assert not [line for line in lines if not line.endswith(".") or line.endswith("...")]
    assert "mpbake init" in epilog


def test_no_command_shows_the_help(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed(monkeypatch) == 0
    assert capsys.readouterr().out.startswith("Usage: mpbake [OPTIONS] COMMAND [ARGS]...\n")


# --- wrong command lines ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("plam", ["error: No such command 'plam'", " try: mpbake --help\n"]),
        ("run --platfrom x", ["error: No such option", "--platfrom", "--platform", " try: mpbake run --help\n"]),
        ("-f build.toml plan", ["error: -f goes after the command: mpbake plan -f …; try: mpbake --help\n"]),
        ("-C run -f=x --dry-run init", ["error: -C goes after the command: mpbake init -C …"]),
        ("-Crun check", ["error: -C goes after the command: mpbake check -C …"]),
        ("--no-push export", ["error: --no-push goes after the command: mpbake export --no-push …"]),
        ("--load list", ["error: No such option", "--load", "; try: mpbake --help\n"]),
        ("-C", ["error: -C goes after the command: mpbake COMMAND -C …"]),
        ("-C dir plam", ["error: -C goes after the command: mpbake COMMAND -C …"]),
        ("--dry-run", ["error: --dry-run goes after the command: mpbake COMMAND --dry-run …"]),
        ("--frobnicate plan", ["error: No such option", "--frobnicate", "; try: mpbake --help\n"]),
        ("list --dryrun", ["error: No such option", "--dryrun", "; try: mpbake list --help\n"]),
        ("list web", ["error: Got unexpected extra argument (web); try: mpbake list --help\n"]),
        ("init web", ["error: Got unexpected extra argument (web); try: mpbake init --help\n"]),
        ("plan --var", ["error: Option '--var' requires an argument"]),
        ("plan --format yaml", ["error: Invalid value for '--format'", "'text', 'json'"]),
        ("run --format json", ["error: --format requires --dry-run; try: mpbake run --help\n"]),
        ("run -qv", ["error: -q and -v cannot be combined; try: mpbake run --help\n"]),
        ("run --push=1", ["error: Option '--push' does not take a value"]),
        ("run \x1b[2J --nope\x07", ["--nope\\x07"]),
    ],
)
def test_wrong_command_lines(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    called: Called,
    words: str,
    expected: Sequence[str],
) -> None:
    assert typed(monkeypatch, *words.split()) == 3
    assert called.world is None
    out, err = capsys.readouterr()
    assert out == ""
    assert all(part in err for part in expected)
    assert err.count("\n") == 1
    assert "\x1b" not in err


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (
            "plan worker --explain web*",
            "--explain cannot be combined with other names",
            "give --explain the target, group or pattern: --explain 'web*'",
        ),
        (
            "plan --explain web --format json",
            "--explain prints text only",
            "remove --format json or --explain",
        ),
    ],
)
def test_what_explain_would_ignore(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    called: Called,
    words: str,
    message: str,
    hint: str,
) -> None:
    assert typed(monkeypatch, *words.split()) == 3
    assert called.world is None
    assert capsys.readouterr() == ("", f"error: {message}\n  = {hint}\n")


@pytest.mark.parametrize("words", ["run -q", "run -v"])
def test_how_much_is_said_is_what_is_typed(monkeypatch: pytest.MonkeyPatch, called: Called, words: str) -> None:
    monkeypatch.setenv("MPBAKE_QUIET", "1")
    monkeypatch.setenv("MPBAKE_VERBOSE", "1")
    assert typed(monkeypatch, *words.split()) == 7
    assert (called.options.quiet, called.options.verbose) == ("-q" in words, "-v" in words)


def test_variables_for_quiet_and_verbose_contradict_each_other(monkeypatch: pytest.MonkeyPatch, called: Called) -> None:
    monkeypatch.setenv("MPBAKE_QUIET", "1")
    monkeypatch.setenv("MPBAKE_VERBOSE", "1")
    assert typed(monkeypatch, "run") == 3
    assert called.world is None


def test_a_format_of_the_environment_is_for_what_has_one(monkeypatch: pytest.MonkeyPatch, called: Called) -> None:
    monkeypatch.setenv("MPBAKE_FORMAT", "json")
    assert typed(monkeypatch, "plan", "--explain", "web") == 7
    assert called.options == options_for("plan", explain="web", format="json")


@pytest.mark.parametrize("variable", ["MPBAKE_LOAD", "MPBAKE_PUSH", "MPBAKE_NO_PUSH"])
def test_a_variable_that_is_no_boolean(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], called: Called, variable: str
) -> None:
    monkeypatch.setenv(variable, "maybe")
    assert typed(monkeypatch, "run") == 3
    assert called.world is None
    assert "'maybe' is not a valid boolean" in capsys.readouterr().err


# --- exit codes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "expected"),
    [
        (UsageError("no such thing", hint="use another"), 3, "error: no such thing\n  = use another\n"),
        (PlanError([]), 3, "error: \n"),
        (BuildFailed("no"), 1, "error: no\n"),
        (LockHeld("held"), 4, "error: held\n"),
        (Unreachable("gone\x1b[2J"), 5, "error: gone\\x1b[2J\n"),
        (MpbakeError("bad"), 1, "error: bad\n"),
        (click.FileError("x", "gone"), 3, "error: Could not open file 'x': gone\n"),
        (click.Abort(), 130, ""),
        (KeyboardInterrupt(), 130, "\n"),
        (
            OSError(30, "Read-only file system", "/home/\x07"),
            1,
            "error: /home/\\x07: Read-only file system\n  = check the disk space and that this user may write there\n",
        ),
        (
            OSError(28, "No space left on device"),
            1,
            "error: a temporary file: No space left on device\n  = free some disk space\n",
        ),
        (OSError("x"), 1, "error: mpbake itself failed: OSError: x\n  = please report this as a bug\n"),
        (
            ValueError("b\x07ug"),
            1,
            "error: mpbake itself failed: ValueError: b\\x07ug\n  = please report this as a bug\n",
        ),
    ],
)
def test_errors_are_one_message_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, expected: str
) -> None:
    def fail(_: object, __: World) -> int:
        raise error

    monkeypatch.setattr(mpbake.cli.commands.plan, "main", fail)
    assert typed(monkeypatch, "plan") == code
    assert capsys.readouterr() == ("", expected)


def test_whoever_reads_us_may_have_had_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as stdout:

        def write(_: object, __: World) -> int:
            raise BrokenPipeError

        monkeypatch.setattr(sys, "stdout", stdout)
        monkeypatch.setattr(mpbake.cli.commands.plan, "main", write)
        assert typed(monkeypatch, "plan") == 141
        stdout.write("this goes nowhere")
    assert (tmp_path / "out").read_text() == ""


class Closed(io.StringIO):
    """A standard output whose terminal is closed."""

    def flush(self) -> None:
        raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize(
    ("code", "exit_code", "expected"), [(129, 129, ""), (0, 1, "error: standard output: Input/output error\n")]
)
def test_the_signal_that_ended_a_run_counts_though_its_terminal_is_gone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: int, exit_code: int, expected: str
) -> None:
    monkeypatch.setattr(sys, "stdout", Closed())
    monkeypatch.setattr(mpbake.cli.commands.plan, "main", lambda *_: code)
    assert typed(monkeypatch, "plan") == exit_code
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize(
    "words", ["--help", "-h", "run --help", "plan -h", "list --help", "init -h", "--version", "-V"]
)
def test_help_is_no_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], called: Called, words: str
) -> None:
    assert typed(monkeypatch, *words.split()) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith(f"mpbake {__version__}\n" if "V" in words.upper() else "Usage: mpbake")
    assert called.world is None


def test_the_exit_code_is_the_commands(monkeypatch: pytest.MonkeyPatch, called: Called) -> None:
    assert typed(monkeypatch, "list") == 7
    assert called.world is not None


# --- as a process -----------------------------------------------------------------------------------------------------


def python(*words: str, cwd: Path = CHECKOUT) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.defpath, "PYTHONPATH": str(CHECKOUT), "PYTHONWARNINGS": "error"}
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=False, env=environment, cwd=cwd
    )


@pytest.mark.allow_subprocess
def test_help_imports_nothing_heavy() -> None:
    script = f"""
import sys, contextlib, io
from mpbake import __main__
for words in (["--help"], ["run", "--help"], ["init", "--help"], ["schema", "--help"], ["--version"]):
    sys.argv = ["mpbake", *words]
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        __main__.main()
print([name for name in {HEAVY} if name in sys.modules])
"""
    assert python("-c", script).stdout == "[]\n"


@pytest.mark.allow_subprocess
def test_it_runs_as_a_module(tmp_path: Path) -> None:
    version = python("-m", "mpbake", "--version")
    assert (version.returncode, version.stdout, version.stderr) == (0, f"mpbake {__version__}\n", "")
    wrong = python("-m", "mpbake", "plan", cwd=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (3, "")
    assert wrong.stderr.startswith(f"error: no build.toml or mpbake.toml in {tmp_path} or any folder above it")
    assert wrong.stderr.endswith("\n  = run `mpbake init` to write a first plan, or name a plan with -f FILE\n")


@pytest.mark.allow_subprocess
def test_a_pipe_that_is_closed_early(tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text("version = 1\n[targets.web]\n")
    reader, writer = os.pipe()
    os.close(reader)
    environment = {"PATH": os.defpath, "PYTHONPATH": str(CHECKOUT)}
    words = [sys.executable, "-m", "mpbake", "plan", "web"]
    try:
        completed = subprocess.run(
            words, stdout=writer, stderr=subprocess.PIPE, check=False, env=environment, cwd=tmp_path
        )
    finally:
        os.close(writer)
    assert (completed.returncode, completed.stderr) == (141, b"")


@pytest.mark.allow_subprocess
def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    (gone := tmp_path / "gone").mkdir()
    command = f'rmdir "$PWD" && exec {shlex.quote(sys.executable)} -m mpbake plan'
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT)}
    words = ["sh", "-c", command]
    completed = subprocess.run(words, cwd=gone, env=environment, capture_output=True, text=True, check=False)
    assert (completed.returncode, completed.stderr) == (
        3,
        "error: the working folder no longer exists\n  = change to another folder\n",
    )
