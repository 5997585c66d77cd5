"""Events of GitHub workflows."""

from __future__ import annotations

from typing import Any

import pytest

from mpbake.integrations.github_event import GithubEvent, read_event

SHA = "0123456789abcdef0123456789abcdef01234567"


def pull_request(head: Any = "team/web", base: Any = "team/web", sha: str = SHA) -> dict[str, Any]:
    def repository(name: Any) -> Any:
        return {"full_name": name} if name else None

    return {
        "pull_request": {
            "number": 7,
            "head": {"repo": repository(head)},
            "base": {"repo": repository(base), "sha": sha},
        }
    }


OWN = GithubEvent(pull_request=7, base=SHA)
FORK = GithubEvent(pull_request=7, base=SHA, fork=True)


@pytest.mark.parametrize(
    ("name", "event", "expected"),
    [
        ("push", {}, GithubEvent()),
        ("merge_group", {}, GithubEvent()),
        ("schedule", {}, GithubEvent()),
        ("pull_request", pull_request(), OWN),
        ("pull_request", pull_request(head="eve/web"), FORK),
        ("pull_request", pull_request(head=None), FORK),
        ("pull_request", pull_request(head=None, base=None), FORK),
        ("pull_request_target", pull_request(head="eve/web"), FORK),
        ("pull_request", pull_request(sha="--output=x"), GithubEvent(pull_request=7)),
        ("pull_request", {}, GithubEvent(fork=True)),
        ("pull_request", {"pull_request": []}, GithubEvent(fork=True)),
        ("issue_comment", {}, GithubEvent(fork=True)),
        ("", {}, GithubEvent(fork=True)),
        (
            "workflow_run",
            {"workflow_run": {"head_repository": {"full_name": "a/b"}}, "repository": {"full_name": "a/b"}},
            GithubEvent(),
        ),
        ("workflow_run", {"workflow_run": {"head_repository": {"full_name": "e/b"}}}, GithubEvent(fork=True)),
    ],
)
def test_events(name: str, event: dict[str, Any], expected: GithubEvent) -> None:
    assert read_event(name, event) == expected
