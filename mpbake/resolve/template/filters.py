"""The filters and functions that mpbake adds to Jinja: versions, names, times and Git facts."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, Self, get_args

from mpbake.base.codes import Code
from mpbake.base.text import one_line, short_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    AskGit = Callable[["GitFact"], str | bool]
    """Returns one fact about the repository of the plan; raises FilterError."""

GitFact = Literal["branch", "commit", "dirty", "tag"]
GIT_FACTS: tuple[GitFact, ...] = get_args(GitFact)
ISO_8601 = "%Y-%m-%dT%H:%M:%SZ"
_MAX_SLUG = 128  # the maximum length of a tag in the OCI distribution specification
_MAX_VERSION = 256
_MAX_FORMAT = 200
EXCERPT = 100
"""The maximum number of characters of a value that a message quotes."""
_LAST_SECOND = 253_402_300_799  # the end of the year 9999


class FilterError(ValueError):
    """A failure of a filter or function: the text holds the message and, on a second line, the hint.

    `culprit` is the part of the template that causes the failure, if known.
    """

    def __init__(self, message: str, hint: str, code: Code = Code.TEMPLATE_FAILED, culprit: str = "") -> None:
        super().__init__(f"{message}\n{hint}")
        self.code = code
        self.culprit = culprit


def no_git(_fact: GitFact) -> str | bool:
    """Raise FilterError: the replacement for git where no repository is available."""
    raise FilterError("git facts are not available here", "pass the value as a variable", Code.GIT_FAILED)


# --- versions ---------------------------------------------------------------------------------------------------------

_NUMBER = "(?:0|[1-9][0-9]*)"
_IDENTIFIER = f"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_SEMVER = re.compile(  # the grammar of semver.org
    rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})"
    rf"(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?"
    r"(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
)

VERSION_PARTS = ("build", "major", "minor", "patch", "prerelease")


class SemanticVersion(str):
    """A semantic version: text without a leading v, with attributes for major, minor and so on, sorted by precedence.

    A version can be compared with any text that is a semantic version. Any other text raises FilterError.
    """

    __slots__ = ("_rank", *VERSION_PARTS)

    major: int
    minor: int
    patch: int
    prerelease: str
    build: str
    _rank: tuple[object, ...]

    def __new__(cls, text: str) -> Self:
        """Parse `1.4.0`, `v1.4.0-rc.1` or `1.4.0+build.7`."""
        plain = text.removeprefix("v")
        match = _SEMVER.fullmatch(plain) if len(text) <= _MAX_VERSION else None
        if match is None:
            hint = "write MAJOR.MINOR.PATCH, such as 1.4.0 or v1.4.0-rc.1"
            raise FilterError(f'"{short_name(text, EXCERPT)}" is not a semantic version', hint)
        version = super().__new__(cls, plain)
        version.major, version.minor, version.patch = (int(part) for part in match.groups()[:3])
        version.prerelease, version.build = match[4] or "", match[5] or ""
        version._rank = (version.major, version.minor, version.patch, *_precedence(version.prerelease))
        return version

    def lower(self) -> Self:
        """Return a SemanticVersion: Jinja's `sort`, `min` and `max` call `lower` before each comparison."""
        return type(self)(super().lower())

    def __lt__(self, other: str) -> bool:
        """Whether this version has a lower precedence than `other`."""
        return self._rank < SemanticVersion(other)._rank

    def __le__(self, other: str) -> bool:
        """Whether this version has at most the precedence of `other`."""
        return self._rank <= SemanticVersion(other)._rank

    def __gt__(self, other: str) -> bool:
        """Whether this version has a higher precedence than `other`."""
        return self._rank > SemanticVersion(other)._rank

    def __ge__(self, other: str) -> bool:
        """Whether this version has at least the precedence of `other`."""
        return self._rank >= SemanticVersion(other)._rank


def _precedence(prerelease: str) -> tuple[object, ...]:
    """Return the sort key of a prerelease, which sorts below the release; numbers before words, prefixes first."""
    if not prerelease:
        return (True,)
    parts = prerelease.split(".")
    return False, *((not part.isdigit(), int(part) if part.isdigit() else part) for part in parts)


def semver(value: object) -> SemanticVersion:
    """Parse `value` as a semantic version. Raises FilterError."""
    return SemanticVersion(input_text("semver", value))


# --- names ------------------------------------------------------------------------------------------------------------


def slug(value: object) -> str:
    """Reduce `value` to lower-case ASCII letters, digits and single separators, as a tag needs. Raises FilterError.

    A text too long for a tag is cut and gets a part of its digest as a suffix, so that two long texts stay different.
    """
    text = input_text("slug", value)
    reduced = re.sub(r"[^a-z0-9._-]+", "-", text.lower())
    reduced = re.sub(r"[._-]{2,}", "-", reduced).strip("._-")
    if not reduced:
        hint = "use {{ (branch | sha256)[:12] }}, or {{ (branch or 'none') | slug }} if it may be empty"
        raise FilterError(f'"{short_name(text, EXCERPT)}" has no ASCII letter or digit for a slug', hint)
    if len(reduced) <= _MAX_SLUG:
        return reduced
    digest = sha256(text)[:12]
    return f"{reduced[: _MAX_SLUG - len(digest) - 1].rstrip('._-')}-{digest}"


def sha256(value: object) -> str:
    """Return the SHA-256 digest of `value` in UTF-8, as 64 hexadecimal digits. Raises FilterError."""
    return hashlib.sha256(input_text("sha256", value).encode()).hexdigest()


# --- times ------------------------------------------------------------------------------------------------------------


def timestamp(value: object, format: str = ISO_8601) -> str:  # noqa: A002 - the name of strftime's parameter
    """Format the time `value` in UTC and independently of any locale. Raises FilterError.

    `value` is a number of seconds since 1970, or a text such as `2026-01-02T00:00:00Z`, the result of `timestamp()`.
    """
    return _formatted(_parse_time(input_text("timestamp", value), '"{}" is not a time'), format)


def source_date(epoch: str, format: str = ISO_8601) -> str:  # noqa: A002 - as above
    """Format `epoch`, the value of the environment variable SOURCE_DATE_EPOCH, as a time. Raises FilterError.

    A template cannot read the clock, so SOURCE_DATE_EPOCH is the only time.
    """
    if not epoch:
        raise FilterError(
            "timestamp() needs the environment variable SOURCE_DATE_EPOCH",
            "set it, for example to $(git log -1 --format=%ct), or use a variable: {{ epoch | timestamp }}",
        )
    return _formatted(_parse_time(epoch, 'SOURCE_DATE_EPOCH is not a time: "{}"'), format)


def known_machine(platform: str) -> str:
    """Return the platform of this machine. Raises FilterError if it is unknown, which is an empty text."""
    if not platform:
        raise FilterError("the platform of this machine is unknown", "write the platform: linux/amd64")
    return platform


def _parse_time(text: str, message: str) -> datetime:
    """Parse seconds since 1970, or a time in the format `ISO_8601`.

    Raises FilterError with `message`, in which `{}` becomes the text.
    """
    if re.fullmatch("[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}Z", text):
        try:
            return datetime.strptime(text, ISO_8601).replace(tzinfo=UTC)
        except ValueError:
            hint = "write a valid date and time, such as 2026-01-02T00:00:00Z"
            raise FilterError(message.format(short_name(text, EXCERPT)), hint) from None
    if not re.fullmatch("[0-9]{1,12}", text) or int(text) > _LAST_SECOND:
        raise FilterError(message.format(short_name(text, EXCERPT)), "use whole seconds since 1970, such as 1767225600")
    return datetime.fromtimestamp(int(text), UTC)


def _formatted(time: datetime, format: str) -> str:  # noqa: A002 - as above
    if len(format) > _MAX_FORMAT:
        raise FilterError(f"the format has more than {_MAX_FORMAT} characters", "shorten it")
    parts = _time_parts(time)

    def part(directive: re.Match[str]) -> str:
        if directive[1] not in parts:
            known = ", ".join(f"%{letter}" for letter in parts)
            raise FilterError(f'timestamp does not support "{one_line(directive[0])}"', f"use one of {known}")
        return parts[directive[1]]

    return re.sub("%(.?)", part, format, flags=re.DOTALL)


def _time_parts(time: datetime) -> Mapping[str, str]:
    """Return the text for each `%` letter. Names of days and months, which depend on a language, are left out."""
    year, week, weekday = time.isocalendar()
    return {
        "Y": f"{time.year:04}",
        "y": f"{time.year % 100:02}",
        "m": f"{time.month:02}",
        "d": f"{time.day:02}",
        "j": f"{time.timetuple().tm_yday:03}",
        "H": f"{time.hour:02}",
        "M": f"{time.minute:02}",
        "S": f"{time.second:02}",
        "G": f"{year:04}",
        "V": f"{week:02}",
        "u": f"{weekday}",
        "s": f"{int(time.timestamp())}",
        "%": "%",
    }


def input_text(name: str, value: object) -> str:
    """Return the input of the filter `name` as text, as templates print it. Raises FilterError."""
    text = str(value)  # raises Jinja's UndefinedError for an undefined value
    if not isinstance(value, str | int | float):
        raise FilterError(f"{name} takes text or a number", "select one value: {{ list[0] }}, {{ table.key }}")
    return text.lower() if isinstance(value, bool) else text


FILTERS: Mapping[str, Callable[..., str]] = {
    "semver": semver,
    "sha256": sha256,
    "slug": slug,
    "timestamp": timestamp,
}
