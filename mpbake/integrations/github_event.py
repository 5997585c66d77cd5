"""The event that started a GitHub workflow: its pull request, and whether its content comes from a stranger. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_PULL_REQUESTS = {"pull_request", "pull_request_target", "pull_request_review", "pull_request_review_comment"}
_COMMIT = re.compile(r"[0-9a-f]{40,64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class GithubEvent:
    """The facts about an event that the action needs.

    `pull_request` is the number of the pull request, or 0. `base` is the commit to which it will be merged. A `fork` is
    an event about commits of another repository, or of an unknown one.
    """

    pull_request: int = 0
    base: str = ""
    fork: bool = False


def read_event(name: str, event: Mapping[str, Any]) -> GithubEvent:
    """Return the facts about an event from its name and its content. Missing or malformed fields count as a fork."""
    if name in _PULL_REQUESTS:
        pull_request = _table(event, "pull_request")
        number = pull_request.get("number")
        base = _table(pull_request, "base").get("sha")
        return GithubEvent(
            pull_request=number if isinstance(number, int) else 0,
            base=base if isinstance(base, str) and _COMMIT.fullmatch(base) else "",
            fork=_differs(_table(pull_request, "head").get("repo"), _table(pull_request, "base").get("repo")),
        )
    if name == "workflow_run":
        run = _table(event, "workflow_run")
        return GithubEvent(fork=_differs(run.get("head_repository"), event.get("repository")))
    # The checkout of such an event may be the commit of a pull request from anywhere.
    return GithubEvent(fork=name in {"issue_comment", "issues", "discussion", "discussion_comment"} or not name)


def _table(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = table.get(name)
    return value if isinstance(value, dict) else {}


def _differs(head: Any, base: Any) -> bool:
    """Return whether two repositories differ. The repository of a pull request is missing if it was deleted."""
    names = [repository.get("full_name") if isinstance(repository, dict) else None for repository in (head, base)]
    return names[0] is None or names[0] != names[1]
