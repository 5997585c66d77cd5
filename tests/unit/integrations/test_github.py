"""The GitHub Action, with the files that GitHub documents, and a stand-in for its comments."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.errors import BuildFailed, MpbakeError, UsageError
from mpbake.integrations import github
from mpbake.integrations.github import make_action
from tests.unit.integrations.fakes import FakeMpbake
from tests.unit.integrations.hosts import TOKEN, Host, running_host
from tests.unit.integrations.test_github_event import SHA, pull_request
from tests.unit.integrations.test_summaries import DIGEST, METADATA

if TYPE_CHECKING:
    from collections.abc import Iterator

BODY = "<!-- mpbake plan id=abc1 title=release -->\n### Plan\n::set-output name=x::y\n"
NEWER = BODY.replace("abc1", "abc2")


@pytest.fixture
def host() -> Iterator[Host]:
    with running_host() as running:
        running.user = "github-actions[bot]"
        yield running


class Job:
    """A step of a workflow for a pull request: its variables, files and log."""

    def __init__(self, folder: Path, host: Host | None = None) -> None:
        self.folder = folder
        self.stdout = io.StringIO()
        self.mpbake = FakeMpbake(output=BODY)
        self.environment = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": host.url if host else "",
            "GITHUB_REPOSITORY": "team/web",
            "RUNNER_TEMP": str(folder),
        }
        for name in ("OUTPUT", "STEP_SUMMARY", "EVENT_PATH", "ENV"):
            self.environment[f"GITHUB_{name}"] = str(folder / name)
        self.event("pull_request", pull_request())

    def event(self, name: str, content: dict[str, Any]) -> None:
        self.environment["GITHUB_EVENT_NAME"] = name
        (self.folder / "EVENT_PATH").write_text(json.dumps(content))

    def run(self, **inputs: str) -> int:
        given = {"github_token": TOKEN, "comment_author": "github-actions[bot]", "comment": "true", **inputs}
        environment = self.environment | {f"INPUT_{name.upper()}": value for name, value in given.items()}
        return make_action(environment, self.stdout, self.mpbake).execute()

    @property
    def outputs(self) -> dict[str, str]:
        """The outputs, as the runner reads them."""
        path, outputs = self.folder / "OUTPUT", {}
        lines = iter(path.read_text().splitlines() if path.exists() else [])
        for line in lines:
            name, _, end = line.partition("<<")
            value = []
            while (following := next(lines)) != end:
                value.append(following)
            outputs[name] = "\n".join(value)
        return outputs

    @property
    def summary(self) -> str:
        return (self.folder / "STEP_SUMMARY").read_text()

    @property
    def log(self) -> str:
        assert TOKEN not in self.stdout.getvalue()
        return self.stdout.getvalue()


@pytest.fixture
def job(tmp_path: Path, host: Host) -> Job:
    return Job(tmp_path, host)


# --- plan -------------------------------------------------------------------------------------------------------------


def test_plan_writes_log_summary_output_and_comment(job: Job, host: Host) -> None:
    host.add("hello", "somebody")
    assert job.run(command="plan", targets=" release\nweb ") == 0
    assert job.mpbake.calls == [["plan", "--format", "markdown", "--", "release", "web"]]
    assert job.log == (
        "::group::Markdown\n<!-- mpbake plan id=abc1 title=release -->\n### Plan\n\\x3a:set-output name=x::y\n"
        "::endgroup::\ncomment on pull request 7: created\n"
    )
    assert job.summary == f"{BODY}\n"
    assert job.outputs == {"plan-id": "abc1"}
    assert host.bodies == ["hello", BODY.replace("title=release", "title=release key=release web")]
    assert host.requests == [
        ("GET", "/repos/team/web/issues/7/comments?per_page=100"),
        ("POST", "/repos/team/web/issues/7/comments"),
    ]


def test_the_comment_replaces_itself_and_is_silent_if_nothing_changed(job: Job, host: Host) -> None:
    for number in range(4):
        host.add(f"comment {number}", "somebody")
    for body in (BODY, BODY, NEWER):
        job.mpbake.output = body
        assert job.run(command="plan") == 0
    placed = [line.rpartition(" ")[2] for line in job.log.splitlines() if line.startswith("comment on")]
    assert placed == ["created", "unchanged", "updated"]
    assert host.bodies[4:] == [NEWER]
    assert [request for request in host.requests if request[0] != "GET"] == [
        ("POST", "/repos/team/web/issues/7/comments"),
        ("PATCH", "/repos/team/web/issues/comments/5"),
    ]


def test_two_plans_have_two_comments(job: Job, host: Host) -> None:
    for directory in ("api", "web", "api"):
        assert job.run(command="plan", working_directory=directory) == 0
    assert [body.partition("key=")[2].partition(" ")[0] for body in host.bodies] == ["api", "web"]


def test_a_forged_comment_is_not_believed(job: Job, host: Host) -> None:
    host.add(BODY, "eve")
    assert job.run(command="plan") == 0
    assert len(host.comments) == 2


@pytest.mark.parametrize(
    ("name", "content", "inputs"),
    [
        ("push", {}, {}),
        ("pull_request", pull_request(), {"comment": "false"}),
        ("pull_request", pull_request(head="eve/web"), {}),
        ("pull_request_review", pull_request(head="eve/web"), {}),
    ],
)
def test_no_comment(job: Job, host: Host, name: str, content: dict[str, Any], inputs: dict[str, str]) -> None:
    job.event(name, content)
    assert job.run(command="plan", **inputs) == 0
    assert host.requests == []
    assert ("no right to comment" in job.log) is (content == pull_request(head="eve/web"))
    assert job.summary == f"{BODY}\n"


@pytest.mark.parametrize(
    ("name", "head", "untrusted", "expected"),
    [
        ("pull_request", "eve/web", "auto", True),
        ("pull_request_target", "eve/web", "auto", True),
        ("pull_request", "team/web", "auto", False),
        ("pull_request", "team/web", "true", True),
        ("pull_request", "eve/web", "false", False),
        ("issue_comment", "team/web", "", True),
        ("push", "team/web", "", False),
    ],
)
def test_strangers_are_untrusted(job: Job, name: str, head: str, untrusted: str, *, expected: bool) -> None:
    job.event(name, pull_request(head=head))
    assert job.run(command="plan", untrusted=untrusted) == 0
    assert ("--untrusted" in job.mpbake.calls[0]) is expected


def test_an_event_that_cannot_be_read_is_untrusted(job: Job) -> None:
    (job.folder / "EVENT_PATH").write_text("{")
    assert job.run(command="plan") == 0
    assert "--untrusted" in job.mpbake.calls[0]


def test_a_plan_with_errors_writes_no_comment(job: Job, host: Host) -> None:
    job.mpbake.code, job.mpbake.output = 3, ""
    assert job.run(command="plan") == 3
    assert (host.requests, job.outputs) == ([], {})
    assert job.log == "::error title=mpbake action::mpbake plan failed with exit code 3: the log has the reason\n"


@pytest.mark.parametrize(
    ("status", "hint"),
    [(401, "`github-token`"), (403, "pull-requests: write"), (404, "pull-requests: write"), (500, "later")],
)
def test_a_comment_that_github_refuses_fails_the_step(job: Job, host: Host, status: int, hint: str) -> None:
    """An older comment would otherwise show a plan that is not this one."""
    host.failures, host.failing = [status], ("POST",)
    with pytest.raises(MpbakeError) as caught:
        job.run(command="plan")
    assert f"GitHub refused to create a comment: {status}" in str(caught.value)
    assert hint in caught.value.hint
    assert TOKEN not in str(caught.value)
    assert job.summary == f"{BODY}\n"


# --- diff -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "changed", "comments"), [(2, "true", 1), (0, "false", 0)])
def test_diff_compares_with_the_base_of_the_pull_request(
    job: Job, host: Host, code: int, changed: str, comments: int
) -> None:
    job.mpbake.code, job.mpbake.output = code, BODY.replace("mpbake plan", "mpbake diff")
    assert job.run(command="diff", targets="web") == 0
    assert job.mpbake.calls == [["diff", "--format", "markdown", "--detailed-exitcode", "--", SHA, "web"]]
    assert job.outputs == {"changed": changed}
    assert len(host.comments) == comments


def test_diff_of_a_revision_that_git_does_not_have(job: Job) -> None:
    job.mpbake.code, job.mpbake.output = 3, ""
    assert job.run(command="diff", base="v1") == 3
    assert job.mpbake.calls[0][-1] == "v1"
    assert "::error title=mpbake action::mpbake diff v1 failed with exit code 3: the log has the reason%0A" in job.log
    assert "`fetch-depth: 0`" in job.log


def test_diff_without_a_base(job: Job) -> None:
    job.event("push", {})
    with pytest.raises(UsageError, match="no commit to compare with"):
        job.run(command="diff")


# --- check and run ----------------------------------------------------------------------------------------------------


def test_check_prints_annotations(job: Job) -> None:
    job.mpbake.code = 3
    job.mpbake.output = "::error file=build.toml,line=1::no\n::warning title=x::x\n::error title=y::y\n"
    assert job.run(command="check", args="--strict", working_directory="sub") == 3
    assert job.mpbake.calls == [["check", "-C", "sub", "--format", "github", "--without-secrets", "--strict"]]
    assert job.log == f"{job.mpbake.output}mpbake check: 2 errors, 1 warning\n"
    assert job.summary == "### mpbake check: 2 errors, 1 warning\n\n"


@pytest.mark.parametrize("code", [0, 1])
def test_run_sets_outputs_even_if_it_fails(job: Job, code: int) -> None:
    job.mpbake.metadata, job.mpbake.code = METADATA, code
    assert job.run(command="run", targets="release", file="a.toml\nb.toml", variables="a=b c\nd=", allow="ssh") == code
    metadata = job.outputs["metadata"]
    expected = ["run", "-f", "a.toml", "-f", "b.toml", "--var", "a=b c", "--var", "d=", "--allow", "ssh"]
    assert job.mpbake.calls == [[*expected, "--metadata-file", metadata, "--", "release"]]
    assert json.loads(job.outputs["digests"]) == {"web": DIGEST}
    assert json.loads(Path(metadata).read_text()) == METADATA
    assert "| `web` | `done` |" in job.summary


def test_a_run_that_stops_early_has_a_summary_and_no_outputs(job: Job) -> None:
    job.mpbake.code = 3
    assert job.run(command="run") == 3
    assert job.outputs == {}
    assert "failed with exit code 3 before the first build" in job.summary


def test_outputs_cannot_be_forged(job: Job) -> None:
    job.mpbake.metadata = {"web\nend<<x": {"containerimage.digest": "a\nplan-id=1"}}
    assert job.run(command="run") == 0
    assert job.outputs.keys() == {"digests", "metadata"}


def test_a_long_summary_is_cut(job: Job) -> None:
    job.mpbake.output = BODY + "x" * 50 + "\n" + "é" * 900_000
    assert job.run(command="plan", comment="false") == 0
    assert len(job.summary.encode()) < 1024 * 1024
    assert job.summary.endswith("(cut: the log of the job has the whole text)\n\n")


# --- wrong inputs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "message", "hint"),
    [
        ({"command": ""}, "the input `command` is missing", "known commands: check, diff, plan, run"),
        ({"command": "paln"}, "the input `command` is paln", 'did you mean "plan"?'),
        ({"command": "plan", "comment": "yes"}, "the input `comment` is yes", "write `comment: true`"),
        ({"command": "plan", "untrusted": "no"}, "the input `untrusted` is no", "write `untrusted: true`"),
        ({"command": "plan", "github_token": ""}, "the input `github-token` is empty", "set `comment: false`"),
    ],
)
def test_wrong_inputs(job: Job, inputs: dict[str, str], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        job.run(**inputs)
    assert caught.value.message == message
    assert hint in caught.value.hint


def test_errors_are_annotations(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(*_: Any) -> None:
        raise BuildFailed("100% no", hint="do this")

    monkeypatch.setattr(github, "make_action", refused)
    assert github.main() == 1
    assert capsys.readouterr().out == "::error title=mpbake action::100%25 no%0Ado this\n"
