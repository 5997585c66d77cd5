"""The comment with a plan on a pull request or merge request: one comment for each plan, which replaces itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from mpbake.base.errors import MpbakeError

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_GITHUB_COMMENT = 65_536
"""The maximum number of characters of a comment on GitHub."""
_MARKER = re.compile(r"<!-- mpbake (?P<kind>plan|diff) id=(?P<id>[0-9a-f]+)(?P<subject>(?: [^\n]*?)?) *-->")
_NOT_IN_KEYS = re.compile(r"[^A-Za-z0-9_./ ]+")
_LONGEST_KEY = 200
_CUT = "\n\n…\n\nThe comment is cut, since it would be too long. The summary of the job has the whole text.\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Marker:
    """The hidden first line of a comment: `plan` or `diff`, the id of the plan, and what the plan is about, if any."""

    kind: str
    id: str
    subject: str = ""

    def replaces(self, other: Marker) -> bool:
        """Return whether a comment with this marker replaces the comment with the `other` marker."""
        return (self.kind, self.subject) == (other.kind, other.subject)


@dataclass(frozen=True, kw_only=True, slots=True)
class Comment:
    """An existing comment. `author` is the name or number of its author in the code host."""

    id: str
    author: str
    body: str


class Placed(StrEnum):
    """The change of a comment, as a word for messages."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    OMITTED = "omitted"


class CommentStore(Protocol):
    """The comments of one pull request or merge request."""

    def comments(self) -> Iterable[Comment]:
        """Return all comments."""

    def create(self, body: str) -> None:
        """Add a comment."""

    def update(self, comment: Comment, body: str) -> None:
        """Replace the text of a comment."""


def marker_of(body: str) -> Marker | None:
    """Return the marker in the first line of a text; None if there is none."""
    match = _MARKER.fullmatch(body.partition("\n")[0].strip())
    if match is None:
        return None
    return Marker(kind=match["kind"], id=match["id"], subject=match["subject"].strip())


def with_key(body: str, key: str) -> str:
    """Add `key` to the marker of a comment, so that the comment replaces only comments with the same key."""
    first, newline, rest = body.partition("\n")
    # `--` would end the hidden line, so `-` is not in keys.
    key = _NOT_IN_KEYS.sub("_", key)[:_LONGEST_KEY]
    if not key or marker_of(first) is None:
        return body
    return f"{first.strip().removesuffix('-->').rstrip()} key={key} -->{newline}{rest}"


def required_marker(body: str) -> Marker:
    """Return the marker in the first line of mpbake's Markdown. Raises MpbakeError."""
    marker = marker_of(body)
    if marker is None:
        raise MpbakeError("the Markdown has no marker of mpbake", hint="use the version of mpbake of this integration")
    return marker


def place_comment(store: CommentStore, body: str, author: str, *, new: bool = True) -> Placed:
    """Replace the comment of `author` that `body` replaces, or create the comment.

    A comment for the same id stays as it is. A comment of another author is never replaced and never believed. Without
    `new`, no comment is created. Raises MpbakeError.
    """
    marker = required_marker(body)
    for comment in store.comments():
        earlier = marker_of(comment.body)
        if comment.author == author and earlier is not None and marker.replaces(earlier):
            if earlier.id == marker.id:
                return Placed.UNCHANGED
            store.update(comment, cut(body))
            return Placed.UPDATED
    if not new:
        return Placed.OMITTED
    store.create(cut(body))
    return Placed.CREATED


def cut(body: str, longest: int = LONGEST_GITHUB_COMMENT) -> str:
    """Return `body`, or its first whole lines and a remark, if it is longer than `longest` characters."""
    if len(body) <= longest:
        return body
    return body[: longest - len(_CUT)].rpartition("\n")[0] + _CUT
