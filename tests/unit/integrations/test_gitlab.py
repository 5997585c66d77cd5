"""The program of the GitLab component, with a stand-in for GitLab's notes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mpbake.base.errors import BuildFailed, UsageError
from mpbake.integrations.gitlab import METADATA, REVIEW, TOKEN, execute
from tests.unit.integrations.fakes import FakeMpbake
from tests.unit.integrations.hosts import TOKEN as SECRET
from tests.unit.integrations.hosts import Host, running_host

if TYPE_CHECKING:
    from collections.abc import Iterator

BODY = "<!-- mpbake plan id=abc1 -->\n### Plan\n"
NOTES = "/projects/42/merge_requests/7/notes"


@pytest.fixture
def host() -> Iterator[Host]:
    with running_host() as running:
        yield running


@pytest.fixture
def job(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the variables of a job for a merge request. The job's folder is the working folder."""
    monkeypatch.chdir(tmp_path)
    return {
        "CI_API_V4_URL": host.url,
        "CI_MERGE_REQUEST_IID": "7",
        "CI_MERGE_REQUEST_PROJECT_ID": "42",
        "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "42",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": "cafe",
        TOKEN: SECRET,
    }


def test_the_note_replaces_itself(host: Host, job: dict[str, str]) -> None:
    host.add(BODY, "eve")
    host.add("hello", "somebody")
    output = io.StringIO()
    for body in (BODY, BODY, BODY.replace("abc1", "abc2")):
        assert execute(["plan"], job, output, FakeMpbake(output=body)) == 0
        assert Path(REVIEW).read_text() == body
    assert [line.rpartition(" ")[2] for line in output.getvalue().splitlines() if line.startswith("note on")] == [
        "created",
        "unchanged",
        "updated",
    ]
    assert host.bodies == [BODY, "hello", BODY.replace("abc1", "abc2")]
    changes = [request for request in host.requests if request[0] != "GET"]
    assert changes == [("POST", NOTES), ("PUT", f"{NOTES}/3")]
    assert host.tokens == {"", SECRET}
    assert SECRET not in output.getvalue()


@pytest.mark.parametrize(("code", "notes"), [(0, 0), (2, 1)])
def test_diff(host: Host, job: dict[str, str], code: int, notes: int) -> None:
    mpbake = FakeMpbake(output=BODY.replace("plan", "diff"), code=code)
    assert execute(["diff"], job, io.StringIO(), mpbake) == 0
    assert mpbake.calls == [["diff", "--format", "markdown", "--detailed-exitcode", "--", "cafe"]]
    assert len(host.comments) == notes


def test_a_merge_request_from_a_fork(host: Host, job: dict[str, str]) -> None:
    output, mpbake = io.StringIO(), FakeMpbake(output=BODY)
    job |= {"CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "43", TOKEN: ""}
    assert execute(["plan"], job, output, mpbake) == 0
    assert "--untrusted" in mpbake.calls[0]
    assert f"no note: {TOKEN} is not set" in output.getvalue()
    assert host.requests == []


@pytest.mark.parametrize("command", ["plan", "diff", "check", "run"])
def test_a_failure_of_mpbake_is_the_exit_code(host: Host, job: dict[str, str], command: str) -> None:
    assert execute([command], job, io.StringIO(), FakeMpbake(code=3)) == 3
    assert host.requests == []


def test_check_and_run(job: dict[str, str], tmp_path: Path) -> None:
    mpbake = FakeMpbake(metadata={})
    job |= {"INPUT_TARGETS": "release web", "INPUT_WORKING_DIRECTORY": "sub", "INPUT_VARIABLES": "a=b\nc=d"}
    assert execute(["check"], job, io.StringIO(), mpbake) == 0
    assert execute(["run"], job, io.StringIO(), mpbake) == 0
    given = ["-C", "sub", "--var", "a=b", "--var", "c=d"]
    metadata = str(tmp_path / METADATA)
    assert mpbake.calls == [
        ["check", *given, "--without-secrets"],
        ["run", *given, "--metadata-file", metadata, "--", "release", "web"],
    ]


def test_the_review_replaces_a_symlink_of_the_checkout(job: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    Path(REVIEW).symlink_to(tmp_path / "secret")
    assert execute(["plan"], job, io.StringIO(), FakeMpbake(output=BODY)) == 0
    assert ((tmp_path / "secret").read_text(), Path(REVIEW).read_text()) == ("secret", BODY)


@pytest.mark.parametrize(("status", "hint"), [(401, "has expired"), (403, "Reporter"), (404, "this project")])
def test_refusals(host: Host, job: dict[str, str], status: int, hint: str) -> None:
    host.failures = [status]
    with pytest.raises(BuildFailed, match=f"GitLab refused .*{status}") as caught:
        execute(["plan"], job, io.StringIO(), FakeMpbake(output=BODY))
    assert hint in caught.value.hint


def test_wrong_calls(job: dict[str, str]) -> None:
    for arguments in ([], ["paln"], ["plan", "x"]):
        with pytest.raises(UsageError, match="check, plan, diff, run"):
            execute(arguments, job, io.StringIO(), FakeMpbake())
    with pytest.raises(UsageError, match="no merge request"):
        execute(["diff"], {}, io.StringIO(), FakeMpbake())
    with pytest.raises(UsageError, match="not a number: x"):
        execute(["plan"], {**job, "CI_MERGE_REQUEST_IID": "x"}, io.StringIO(), FakeMpbake(output=BODY))
