"""No output, file or command line of mpbake holds sensitive values."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpbake import __main__
from mpbake.base.redaction import redacting_stream, scalars_in
from mpbake.buildkit import runner
from mpbake.buildkit.process.completed import Completed
from mpbake.cli.commands import run
from tests.unit.dockers import FakeDocker, context_in_use, done, failed
from tests.unit.plans import text
from tests.unit.rawjson import log, raw, vertex
from tests.unit.report.test_reporters import Terminal
from tests.unit.worlds import call, world

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mpbake.cli.world import World

PLAN = """\
version = 1
[variables]
token = { default = "", env = "TOKEN", sensitive = true }
login = "me:{{ token | urlencode }}"
[targets.web]
context = "https://{{ login }}@host/r.git"
contexts = { a = "https://host/?t={{ token | upper }}", b = "https://me:pass-word@host" }
cache-to = ["type=s3,region=eu,secret_access_key={{ token }}"]
cache-from = ["type=gha,token=pass-token"]
secret = ["id=token,env=TOKEN"]
enabled = "{{ token != '' }}"
platforms = ["linux/amd64"]
[groups]
default = ["web"]
"""
LITERALS = ("pass-word", "pass-token")
WRONG = {
    "a place where it may not stand": 'args = { A = "{{ token }}" }\n',
    "a wrong value": 'timeout = "{{ token }}"\n',
    "an unknown key": 'contxt = "https://me:pass-word@host"\n',
    "a table without such a key": 'shm-size = "{{ {}[token] }}"\n',
    "an unknown link": '[targets.two]\ncontexts.c = "target:{{ token }}"\n',
    "no fields": "[targets.two]\ncache-from = ['type=gha,\"token={{ token }}']\n",
    "a node nowhere": '[builders.b]\ndriver = "remote"\n[builders.b.nodes.n]\nendpoint = "{{ token }}"\n',
}
SECRETS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0*"), min_size=3, max_size=40).filter(
    lambda secret: len(secret.strip()) >= 3
)


def typed(plan: str, *words: str, **environment: str) -> str:
    """Return all output of `mpbake WORDS` in a folder with that plan."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        Path(folder, "build.toml").write_text(plan, encoding="utf-8")
        output = stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(contextlib.redirect_stderr(output))
        stack.enter_context(mock.patch("sys.argv", ["mpbake", *words, "-C", folder]))
        stack.enter_context(mock.patch.dict("os.environ", environment))
        stack.enter_context(contextlib.suppress(SystemExit))
        __main__.main()
    return output.getvalue()


def leaks(printed: str, *secrets: str) -> list[str]:
    """Return the secrets in the output. If the output is JSON, its strings are searched."""
    texts = [printed]
    with contextlib.suppress(ValueError):
        texts += scalars_in(json.loads(printed))
    return [secret for secret in secrets if any(secret.strip() in text for text in texts)]


# --- printed output ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["plan", "plan --format json", "list", "show", "run --dry-run", "plan nothing"])
@settings(max_examples=20)
@given(secret=SECRETS)
def test_a_plan_is_printed_without_secrets(words: str, secret: str) -> None:
    printed = typed(PLAN, *words.split(), TOKEN=secret)
    assert printed
    assert leaks(printed, secret, secret.upper(), *LITERALS) == []


@pytest.mark.parametrize("wrong", WRONG)
@settings(max_examples=20)
@given(secret=SECRETS)
def test_what_is_wrong_is_told_without_secrets(wrong: str, secret: str) -> None:
    printed = typed(PLAN.replace("[groups]", f"{WRONG[wrong]}[groups]"), "plan", TOKEN=secret)
    assert printed.startswith("error: ")
    assert leaks(printed, secret, *LITERALS) == []


@pytest.mark.parametrize(
    ("limits", "option"),
    [
        ('pattern = "^$"', "--var=token={}"),
        ('type = "int"', "--var=token={}"),
        ("choices = [0, 1]", "--var=token={}"),
        ("", "--var={}"),
        ("", "--var=tokn={}"),
    ],
)
@settings(max_examples=20)
@given(secret=st.text("abcdef-/+%$\\'\"", min_size=12))
def test_what_is_given_is_not_repeated(limits: str, option: str, secret: str) -> None:
    plan = PLAN.replace('default = "", ', f'default = "", {limits}{", " if limits else ""}')
    printed = typed(plan, "plan", option.format(secret), TOKEN="")
    assert printed.startswith("error: ")
    assert leaks(printed, secret) == []


def test_a_variable_may_be_there_only_to_be_hidden() -> None:
    plan = """
        version = 1
        variables.npm = { env = "NPM", default = "", sensitive = true }
        [targets.web]
        dockerfile-inline = "FROM x"
        secret = ["id=npm,env=NPM"]
        output = ["type=local,dest=out"]
        """
    assert typed(plan, "check").endswith("build.toml: 1 target, no problems\n")


def test_json_stays_json() -> None:
    plan = json.loads(typed(PLAN, "plan", "--format", "json", TOKEN='a"b\\c d/é'))
    (target,) = plan["targets"]
    assert target["attributes"]["cache-to"] == ["type=s3,region=eu,secret_access_key=***"]
    assert target["attributes"]["cache-from"] == ["type=gha,token=***"]
    assert target["contexts"] == {"a": "***", "b": "https://me:***@host"}


def test_a_file_of_values_that_is_no_toml_is_not_quoted(tmp_path: Path) -> None:
    (tmp_path / "values.toml").write_text('token = "hunter2\n')
    printed = typed(PLAN, "plan", "--var-file", str(tmp_path / "values.toml"))
    assert f"error: {tmp_path}/values.toml:1:17: not valid TOML" in printed
    assert "hunter2" not in printed


def test_a_bug_is_told_without_secrets() -> None:
    with mock.patch("mpbake.report.plan.plan_text.plan_text", side_effect=RuntimeError("hunter2 and pass-word")):
        printed = typed(PLAN, "plan", TOKEN="hunter2")
    assert printed == ("error: mpbake itself failed: RuntimeError: *** and ***\n  = please report this as a bug\n")


@pytest.mark.parametrize("words", ["--set web.nix={}", "--set {}", "--platform {}", "--var-file {}"])
def test_what_is_wrong_with_the_command_line_is_told_without_values(words: str) -> None:
    for environment in ({"TOKEN": "hunter2s3cr3t"}, {}):
        more = () if environment else ("--var", "token=hunter2s3cr3t")
        printed = typed(PLAN, "show", "web", *words.format("hunter2s3cr3t").split(), *more, **environment)
        assert printed.startswith("error: ")
        assert leaks(printed, "hunter2s3cr3t") == []


@pytest.mark.parametrize(
    "lines",
    [
        'cache-to = ["type=s3,bucket=b,secret_access_key=hunter2s3cr3t" "x"]',
        'cache-to = ["token=hunter2s3cr3t" "x"]',
        '[variables.a]\ndefault = "hunter2s3cr3t"\nsensitive = true\n[targets.b]\nargs = { A = "hunter2s3cr3t" "x" }',
    ],
)
def test_what_is_no_toml_is_quoted_without_credentials(lines: str) -> None:
    printed = typed(f"version = 1\n[targets.web]\n{lines}\n", "show")
    assert "not valid TOML" in printed
    assert leaks(printed, "hunter2s3cr3t") == []


# --- started processes and written files ------------------------------------------------------------------------------

SAYS = raw(
    vertex(1, "[internal] load git source https://me:hunter2@host/r.git", "1", "1.2"),
    vertex(2, "[2/2] RUN curl -H 'token: hunter2' https://me:other@host", "2"),
    log(2, "the token is hun"),
    log(2, "ter2\nand \x1b[31mhunt\x1b[0mer2 again, pass-token"),
    vertex(2, "[2/2] RUN curl -H 'token: hunter2' https://me:other@host", "2", "3", error="no: hunter2"),
    "Dockerfile:2\n--------------------\n   2 | >>> RUN curl hunter2\n--------------------\n",
    "ERROR: failed to solve: no: hunter2\n",
)
SECRET_TEXTS = ("hunter2", "HUNTER2", "hunt", "pass-word", "pass-token", "other")


class Builds(FakeDocker):
    """A fake docker whose builds print every secret and end with `status`."""

    def __init__(self, status: int) -> None:
        info = json.dumps({"OSType": "linux", "Architecture": "x86_64", "DriverStatus": []})
        answers = {
            "buildx version": done("github.com/docker/buildx v0.30.1 x"),
            "system info": done(info),
            "context inspect": context_in_use("desktop"),
            "buildx inspect": done("Name: x\nPlatforms: linux/amd64*\n"),
            "buildx create": done(),
            "container inspect": failed("No such container"),
        }
        super().__init__(answers)
        self.status = status
        self.scratch = Path(tempfile.mkdtemp())
        self.arguments: list[str] = []
        self.given = ""

    def started(self, environment: Mapping[str, str], folder: Path, redact: Callable[[str], str]) -> Builds:
        """Accept the arguments of the class that this object replaces."""
        assert environment == {"TOKEN": "hunter2"}
        assert folder.is_dir()
        assert redact("hunter2") == "***"
        return self

    def run(self, arguments: Sequence[str], **settings: Any) -> Completed:
        self.arguments += arguments
        if "bake" not in arguments:
            return super().run(arguments, **settings)
        self.given = settings["given"]
        metadata = Path(arguments[arguments.index("--metadata-file") + 1])
        assert metadata.parent == self.scratch
        metadata.write_text('{"web": {"url": "https://me:hunter2@host"}}')
        for byte in SAYS:
            settings["on_stderr"](bytes([byte]))
        return Completed(returncode=self.status, stdout="", stderr="")

    def close(self) -> None:
        shutil.rmtree(self.scratch)


def ran(docker: Builds, here: World, **options: Any) -> str:
    """Return the output of a run with that docker."""
    output = here.stderr if here.live else io.StringIO()
    stream = redacting_stream(output, here.redactor)
    with mock.patch.object(runner, "Docker", docker.started):
        call(run.main, replace(here, stdout=stream, stderr=stream), **options)
    assert isinstance(output, io.StringIO)
    return output.screen() if isinstance(output, Terminal) else output.getvalue()


@pytest.fixture
def here(tmp_path: Path) -> World:
    (tmp_path / "build.toml").write_text(PLAN)
    return world(tmp_path, {"TOKEN": "hunter2", "UNRELATED": "x"})


def written(folder: Path) -> dict[str, str]:
    """Return all files of a run, except those of buildx."""
    return {path.name: path.read_text() for path in folder.glob(".mpbake/runs/*/*") if path.is_file()}


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("status", [0, 1])
def test_a_run_leaks_nothing(here: World, status: int, *, live: bool) -> None:
    here = replace(here, live=live, stderr=Terminal() if live else here.stderr)
    docker = Builds(status)
    printed = ran(docker, here, verbose=True, variables=("token=hunter2",))
    assert "[2/2] RUN curl -H 'token: ***' https://me:***@host" in printed.replace("\n", " ")
    assert leaks(printed, *SECRET_TEXTS) == []
    files = written(here.folder)
    assert len(files) == 2 - status
    assert leaks("".join(files.values()), *SECRET_TEXTS) == []
    assert leaks(shlex.join(docker.arguments), *SECRET_TEXTS) == []
    assert all(secret in docker.given for secret in ("hunter2", "HUNTER2", "pass-word", "pass-token"))


def test_a_log_holds_all_but_the_secrets(here: World) -> None:
    ran(Builds(0), here)
    files = written(here.folder)
    (log_file,) = (content for name, content in files.items() if name.endswith(".log"))
    assert (
        log_file
        == text("""
        => [internal] load git source https://***@host/r.git
        => [internal] load git source https://***@host/r.git: done 0.2s
        => [2/2] RUN curl -H 'token: ***' https://me:***@host
          the token is ***
        => [2/2] RUN curl -H 'token: ***' https://me:***@host: ERROR no: ***
          and *** again, ***
        Dockerfile:2
        --------------------
           2 | >>> RUN curl ***
        --------------------
        ERROR: failed to solve: no: ***
        """)
        + "\n"
    )
    (metadata,) = (content for name, content in files.items() if name.endswith(".json"))
    assert metadata == '{"web": {"url": "https://***@host"}}'


def test_the_command_to_repeat_a_build_lacks_the_value(here: World) -> None:
    printed = ran(Builds(1), here, variables=("token=hunter2", "login=me:hunter2"))
    assert "repeat with: mpbake run --var token=*** --var login=*** web" in printed
