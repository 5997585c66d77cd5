"""The program of the GitLab component: check, plan, diff or run, with a note on the merge request of a job.

`python -P -m mpbake.integrations.gitlab COMMAND`. Inputs are variables `INPUT_…`, as in the GitHub Action.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO
from urllib.parse import quote

from mpbake.base.errors import UsageError, system_error
from mpbake.base.text import short_name
from mpbake.integrations.calls import WITHOUT_SECRETS, MpbakeProcess, PlanInputs, lines_of, without_inputs
from mpbake.integrations.comments import Comment, Placed, place_comment, with_key
from mpbake.integrations.json_api import JsonApi
from mpbake.integrations.program import exit_code_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mpbake.integrations.calls import Mpbake

TOKEN = "MPBAKE_NOTE_TOKEN"  # noqa: S105 - the name of a variable
REVIEW = "mpbake-review.md"
"""The file with the Markdown, which the job keeps as an artifact."""
METADATA = "mpbake-metadata.json"
"""The file with the results of a run, which the job keeps as an artifact."""
COMMANDS = ("check", "plan", "diff", "run")
_HINTS = {
    401: f"check {TOKEN}: it is wrong, or has expired",
    403: f"give the token in {TOKEN} the scope `api` and the role Reporter or higher",
    404: f"check that the token in {TOKEN} belongs to this project",
}
_DIFFERS = 2


def main() -> int:
    """Do what the argument says, and return the exit code of the job."""
    return exit_code_of(lambda: execute(sys.argv[1:], os.environ, sys.stdout), lambda error: f"error: {error}\n")


def execute(
    arguments: Sequence[str], environment: Mapping[str, str], stdout: TextIO, mpbake: Mpbake | None = None
) -> int:
    """Do what the only argument says: a command of mpbake. Raises MpbakeError."""
    command = arguments[0] if len(arguments) == 1 else ""
    mpbake = mpbake or MpbakeProcess(environment=without_inputs(environment, TOKEN))
    inputs = _inputs(environment)
    match command:
        case "check":
            return mpbake.run(inputs.arguments_of("check", WITHOUT_SECRETS))
        case "run":
            metadata = str(Path(METADATA).absolute())
            return mpbake.run(inputs.arguments_of("run", "--metadata-file", metadata, names=inputs.targets))
        case "plan":
            code, body = mpbake.read(inputs.arguments_of("plan", "--format", "markdown", names=inputs.targets))
            is_review, new = code == 0, True
        case "diff":
            options = ("--format", "markdown", "--detailed-exitcode")
            names = [_base(environment), *inputs.targets]
            code, body = mpbake.read(inputs.arguments_of("diff", *options, names=names))
            is_review, new = code in {0, _DIFFERS}, code == _DIFFERS
        case _:
            raise UsageError(f"the only argument must be one of {', '.join(COMMANDS)}")
    if not is_review:
        return code
    stdout.write(body)
    _write(REVIEW, body)
    _place_note(environment, with_key(body, inputs.key), stdout, new=new)
    return 0


def _inputs(environment: Mapping[str, str]) -> PlanInputs:
    def value(name: str) -> str:
        return environment.get(f"INPUT_{name}", "").strip()

    source = environment.get("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "")
    target = environment.get("CI_MERGE_REQUEST_PROJECT_ID", "")
    return PlanInputs(
        targets=tuple(value("TARGETS").split()),
        directory=value("WORKING_DIRECTORY"),
        files=lines_of(value("FILE")),
        variables=lines_of(value("VARIABLES")),
        allow=lines_of(value("ALLOW")),
        arguments=lines_of(value("ARGS")),
        untrusted=source != target,
    )


def _base(environment: Mapping[str, str]) -> str:
    base = environment.get("CI_MERGE_REQUEST_DIFF_BASE_SHA", "")
    if not base:
        raise UsageError("this job has no merge request to compare with", hint="run the job for merge requests only")
    return base


def _write(name: str, text: str) -> None:
    """Write the file anew. The checkout may have a file or a symlink of this name."""
    path = Path(name)
    try:
        path.unlink(missing_ok=True)
        with path.open("x", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError as error:
        raise system_error(error, name) from None


def _place_note(environment: Mapping[str, str], body: str, stdout: TextIO, *, new: bool) -> None:
    token, number = environment.get(TOKEN, ""), environment.get("CI_MERGE_REQUEST_IID", "")
    if not number:
        return
    if not token:
        stdout.write(f"no note: {TOKEN} is not set in this job (GitLab gives no variables to the jobs of a fork)\n")
        return
    if not number.isdecimal():
        raise UsageError(f"CI_MERGE_REQUEST_IID is not a number: {short_name(number)}")
    api = JsonApi(
        host="GitLab", base=environment.get("CI_API_V4_URL", ""), headers={"PRIVATE-TOKEN": token}, hints=_HINTS
    )
    author = str(api.get("/user")["id"])
    project = quote(environment.get("CI_MERGE_REQUEST_PROJECT_ID", ""), safe="")
    notes = _MergeRequest(api=api, path=f"/projects/{project}/merge_requests/{number}/notes")
    placed = place_comment(notes, body, author, new=new)
    if placed is not Placed.OMITTED:
        stdout.write(f"note on merge request {number}: {placed}\n")


@dataclass(frozen=True, kw_only=True, slots=True)
class _MergeRequest:
    """The notes of a merge request."""

    api: JsonApi
    path: str

    def comments(self) -> Iterator[Comment]:
        for item in self.api.items(f"{self.path}?per_page=100&sort=asc"):
            author = str((item.get("author") or {}).get("id", ""))
            yield Comment(id=str(item["id"]), author=author, body=item.get("body") or "")

    def create(self, body: str) -> None:
        self.api.send("POST", self.path, {"body": body})

    def update(self, comment: Comment, body: str) -> None:
        self.api.send("PUT", f"{self.path}/{comment.id}", {"body": body})


if __name__ == "__main__":
    sys.exit(main())
