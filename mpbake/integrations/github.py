"""The program of the GitHub Action: check, plan, diff or run, with a comment, outputs and a summary of the job."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import quote

from mpbake.base.ci_commands import without_commands
from mpbake.base.errors import UsageError
from mpbake.base.text import count, did_you_mean, one_line, short_name
from mpbake.integrations.calls import WITHOUT_SECRETS, MpbakeProcess, PlanInputs, lines_of, without_inputs
from mpbake.integrations.comments import Comment, Placed, place_comment, required_marker, with_key
from mpbake.integrations.github_event import GithubEvent, read_event
from mpbake.integrations.github_files import GithubFiles
from mpbake.integrations.json_api import JsonApi
from mpbake.integrations.program import exit_code_of
from mpbake.integrations.summaries import digests_of, run_summary
from mpbake.report.workflow_commands import workflow_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mpbake.base.errors import MpbakeError
    from mpbake.integrations.calls import Mpbake
    from mpbake.integrations.comments import CommentStore

TITLE = "mpbake action"
_PERMISSION = "give the job `permissions: pull-requests: write`"
_HINTS = {
    401: "check the secret in the input `github-token`: it is wrong, or has expired",
    403: f"{_PERMISSION}, or set `comment: false`",
    404: f"{_PERMISSION} and `contents: read`, and check that the token may read this repository",
}
_DIFFERS = 2
"""The exit code of `mpbake diff --detailed-exitcode` if the plans differ."""
_WORDS = {"true": True, "false": False}


def main() -> int:
    """Read the inputs, do what they say, and return the exit code of the step."""
    return exit_code_of(lambda: make_action(os.environ, sys.stdout).execute(), _annotation)


def _annotation(error: MpbakeError) -> str:
    hint = f"\n{error.hint}" if error.hint else ""
    return workflow_command("error", error.message + hint, {"title": TITLE}) + "\n"


def make_action(environment: Mapping[str, str], stdout: TextIO, mpbake: Mpbake | None = None) -> GithubAction:
    """Return the action for the inputs in the variables `INPUT_…`. Raises UsageError."""
    event = _read_event(environment)
    untrusted = _input(environment, "untrusted") or "auto"
    given = PlanInputs(
        targets=tuple(_input(environment, "targets").split()),
        directory=_input(environment, "working-directory"),
        files=lines_of(_input(environment, "file")),
        variables=lines_of(_input(environment, "variables")),
        allow=lines_of(_input(environment, "allow")),
        arguments=lines_of(_input(environment, "args")),
        untrusted=event.fork if untrusted == "auto" else _flag("untrusted", untrusted),
    )
    return GithubAction(
        environment=environment,
        event=event,
        inputs=given,
        comment=_flag("comment", _input(environment, "comment") or "true"),
        stdout=stdout,
        mpbake=mpbake or MpbakeProcess(environment=without_inputs(environment)),
    )


def _input(environment: Mapping[str, str], name: str) -> str:
    return environment.get(f"INPUT_{name.upper().replace('-', '_')}", "").strip()


def _flag(name: str, value: str) -> bool:
    if value not in _WORDS:
        raise UsageError(f"the input `{name}` is {short_name(value)}", hint=f"write `{name}: true` or `{name}: false`")
    return _WORDS[value]


def _read_event(environment: Mapping[str, str]) -> GithubEvent:
    """Return the event. If its file cannot be read, nothing is known about it."""
    try:
        event = json.loads(Path(environment.get("GITHUB_EVENT_PATH", "")).read_bytes())
    except (OSError, ValueError):
        return GithubEvent(fork=True)
    return read_event(environment.get("GITHUB_EVENT_NAME", ""), event if isinstance(event, dict) else {})


@dataclass(frozen=True, kw_only=True, slots=True)
class GithubAction:
    """One step of a workflow. `comment` allows a comment on the pull request of the event."""

    environment: Mapping[str, str]
    event: GithubEvent
    inputs: PlanInputs
    comment: bool
    stdout: TextIO
    mpbake: Mpbake

    def execute(self) -> int:
        """Do what the input `command` says. Raises MpbakeError."""
        commands: dict[str, Callable[[], int]] = {
            "check": self._check,
            "plan": self._plan,
            "diff": self._diff,
            "run": self._run,
        }
        name = _input(self.environment, "command")
        if name not in commands:
            hint = did_you_mean(name, commands, kind="commands")
            raise UsageError(f"the input `command` is {short_name(name) or 'missing'}", hint=hint)
        return commands[name]()

    @property
    def _files(self) -> GithubFiles:
        return GithubFiles(environment=self.environment)

    def _check(self) -> int:
        """Print the problems of the plan as annotations."""
        code, output = self.mpbake.read(self.inputs.arguments_of("check", "--format", "github", WITHOUT_SECRETS))
        self.stdout.write(output)
        kinds = {kind: len([line for line in output.splitlines() if line.startswith(f"::{kind} ")]) for kind in _KINDS}
        numbers = ", ".join(count(number, kind) for kind, number in kinds.items() if number)
        verdict = f"mpbake check: {numbers or 'no problems'}\n"
        self.stdout.write(verdict)
        self._files.add_summary(f"### {verdict}")
        return code

    def _plan(self) -> int:
        arguments = self.inputs.arguments_of("plan", "--format", "markdown", names=self.inputs.targets)
        code, body = self.mpbake.read(arguments)
        if code != 0:
            self._error(f"mpbake plan failed with exit code {code}: the log has the reason")
            return code
        self._files.set_output("plan-id", required_marker(body).id)
        self._publish(body, new=True)
        return 0

    def _diff(self) -> int:
        """Compare with the input `base`, or with the commit to which the pull request will be merged."""
        base = _input(self.environment, "base") or self.event.base
        if not base:
            hint = "set the input `base` to a revision, such as `base: origin/main`"
            raise UsageError("this event has no commit to compare with", hint=hint)
        options = ("--format", "markdown", "--detailed-exitcode")
        code, body = self.mpbake.read(self.inputs.arguments_of("diff", *options, names=[base, *self.inputs.targets]))
        if code not in {0, _DIFFERS}:
            hint = "if git does not know this revision, set `fetch-depth: 0` for actions/checkout"
            message = f"mpbake diff {one_line(base)} failed with exit code {code}: the log has the reason"
            self._error(f"{message}\n{hint}")
            return code
        self._files.set_output("changed", "true" if code == _DIFFERS else "false")
        self._publish(body, new=code == _DIFFERS)
        return 0

    def _run(self) -> int:
        """Run, and set outputs and the summary even if the run fails."""
        folder = Path(self.environment.get("RUNNER_TEMP") or tempfile.gettempdir()).absolute()
        metadata = Path(tempfile.mkdtemp(prefix="mpbake-", dir=folder), "metadata.json")
        options = ("--metadata-file", str(metadata))
        self.stdout.flush()
        code = self.mpbake.run(self.inputs.arguments_of("run", *options, names=self.inputs.targets))
        results = _read_metadata(metadata)
        if results is not None:
            self._files.set_output("digests", json.dumps(digests_of(results)))
            self._files.set_output("metadata", str(metadata))
        self._files.add_summary(run_summary(results, code))
        return code

    def _error(self, text: str) -> None:
        self.stdout.write(workflow_command("error", text, {"title": TITLE}) + "\n")

    def _publish(self, body: str, *, new: bool) -> None:
        """Write Markdown into the log and the summary, and comment on the pull request. Raises MpbakeError."""
        self.stdout.write(f"{workflow_command('group', 'Markdown')}\n")
        self.stdout.write(without_commands(f"{body.rstrip()}\n"))
        self.stdout.write(f"{workflow_command('endgroup', '')}\n")
        self._files.add_summary(body)
        if self.comment and self.event.pull_request:
            self._comment(body, new=new)

    def _comment(self, body: str, *, new: bool) -> None:
        if self.event.fork and self.environment.get("GITHUB_EVENT_NAME") != "pull_request_target":
            text = "no comment: GitHub gives the workflows of a fork no right to comment; the summary has the plan"
            self.stdout.write(workflow_command("notice", text, {"title": TITLE}) + "\n")
            return
        author = _input(self.environment, "comment-author") or "github-actions[bot]"
        placed = place_comment(self._store(), with_key(body, self.inputs.key), author, new=new)
        if placed is not Placed.OMITTED:
            self.stdout.write(f"comment on pull request {self.event.pull_request}: {placed}\n")

    def _store(self) -> CommentStore:
        token = _input(self.environment, "github-token")
        if not token:
            raise UsageError("the input `github-token` is empty", hint="remove the input, or set `comment: false`")
        api = JsonApi(
            host="GitHub",
            base=self.environment.get("GITHUB_API_URL") or "https://api.github.com",
            headers={
                "Authorization": f"Bearer {token}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
            },
            hints=_HINTS,
        )
        repository = self.environment.get("GITHUB_REPOSITORY", "")
        return _PullRequest(api=api, repository=quote(repository), number=self.event.pull_request)


_KINDS = ("error", "warning")


def _read_metadata(path: Path) -> dict[str, Any] | None:
    """Return the content of the metadata file. A run that stopped before the first build writes none."""
    try:
        return dict(json.loads(path.read_bytes()))
    except (OSError, ValueError):
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class _PullRequest:
    """The comments of a pull request, which GitHub lists with the comments of issues."""

    api: JsonApi
    repository: str
    number: int

    def comments(self) -> Iterator[Comment]:
        for item in self.api.items(f"/repos/{self.repository}/issues/{self.number}/comments?per_page=100"):
            author = (item.get("user") or {}).get("login", "")
            yield Comment(id=str(item["id"]), author=author, body=item.get("body") or "")

    def create(self, body: str) -> None:
        self.api.send("POST", f"/repos/{self.repository}/issues/{self.number}/comments", {"body": body})

    def update(self, comment: Comment, body: str) -> None:
        self.api.send("PATCH", f"/repos/{self.repository}/issues/comments/{comment.id}", {"body": body})


if __name__ == "__main__":
    sys.exit(main())
