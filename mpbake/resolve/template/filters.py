"""What mpbake adds to Jinja's templates: filters for versions, names and times, and what may be asked of git."""

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
    """Tells one thing about the repository of the plan; raises FilterError."""

GitFact = Literal["branch", "commit", "dirty", "tag"]
GIT_FACTS: tuple[GitFact, ...] = get_args(GitFact)
ISO_8601 = "%Y-%m-%dT%H:%M:%SZ"
_LONGEST_SLUG = 128  # of a tag, says the OCI distribution specification
_LONGEST_VERSION = 256
_LONGEST_FORMAT = 200
_EXCERPT = 100
_LAST_SECOND = 253_402_300_799  # of the year 9999


class FilterError(ValueError):
    """What a filter or function cannot do: why, for people, and in a second line what to do.

    `culprit` is the part of the template that is to blame, if it is known.
    """

    def __init__(self, message: str, hint: str, code: Code = Code.TEMPLATE_FAILED, culprit: str = "") -> None:
        super().__init__(f"{message}\n{hint}")
        self.code = code
        self.culprit = culprit


def no_git(_fact: GitFact) -> str | bool:
    """What is told where nobody can ask git."""
    raise FilterError("git cannot be asked here", "give the value with a variable", Code.GIT_FAILED)


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
    """A semantic version: text without a leading v, with its parts as attributes, and ordered by precedence.

    It may be compared with text that is one too. Raises FilterError where the text, or the other one, is none.
    """

    __slots__ = ("_rank", *VERSION_PARTS)

    major: int
    minor: int
    patch: int
    prerelease: str
    build: str
    _rank: tuple[object, ...]

    def __new__(cls, text: str) -> Self:
        """Read `1.4.0`, `v1.4.0-rc.1` or `1.4.0+build.7`."""
        plain = text.removeprefix("v")
        found = _SEMVER.fullmatch(plain) if len(text) <= _LONGEST_VERSION else None
        if found is None:
            hint = "write MAJOR.MINOR.PATCH, such as 1.4.0 or v1.4.0-rc.1"
            raise FilterError(f'"{short_name(text, _EXCERPT)}" is no semantic version', hint)
        version = super().__new__(cls, plain)
        version.major, version.minor, version.patch = (int(part) for part in found.groups()[:3])
        version.prerelease, version.build = found[4] or "", found[5] or ""
        version._rank = (version.major, version.minor, version.patch, *_precedence(version.prerelease))
        return version

    def lower(self) -> Self:
        """Still a version: Jinja's `sort`, `min` and `max` lower whatever text they compare."""
        return type(self)(super().lower())

    def __lt__(self, other: str) -> bool:
        """Whether it comes before `other`."""
        return self._rank < SemanticVersion(other)._rank

    def __le__(self, other: str) -> bool:
        """Whether it does not come after `other`."""
        return self._rank <= SemanticVersion(other)._rank

    def __gt__(self, other: str) -> bool:
        """Whether it comes after `other`."""
        return self._rank > SemanticVersion(other)._rank

    def __ge__(self, other: str) -> bool:
        """Whether it does not come before `other`."""
        return self._rank >= SemanticVersion(other)._rank


def _precedence(prerelease: str) -> tuple[object, ...]:
    """What orders prereleases: before the release, numbers before words, and the longer of two equal ones last."""
    if not prerelease:
        return (True,)
    parts = prerelease.split(".")
    return False, *((not part.isdigit(), int(part) if part.isdigit() else part) for part in parts)


def semver(value: object) -> SemanticVersion:
    """`value` as a semantic version. Raises FilterError."""
    return SemanticVersion(_text("semver", value))


# --- names ------------------------------------------------------------------------------------------------------------


def slug(value: object) -> str:
    """`value` in lower-case ASCII letters, digits and single separators: fit for a tag. Raises FilterError.

    What is too long for a tag is cut, and ends in a part of its digest: two long texts do not become one.
    """
    text = _text("slug", value)
    found = re.sub(r"[^a-z0-9._-]+", "-", text.lower())
    found = re.sub(r"[._-]{2,}", "-", found).strip("._-")
    if not found:
        hint = "take {{ (branch | sha256)[:12] }}, or, where it may be empty, {{ (branch or 'none') | slug }}"
        raise FilterError(f'"{short_name(text, _EXCERPT)}" has no ASCII letter or digit for a slug', hint)
    if len(found) <= _LONGEST_SLUG:
        return found
    digest = sha256(text)[:12]
    return f"{found[: _LONGEST_SLUG - len(digest) - 1].rstrip('._-')}-{digest}"


def sha256(value: object) -> str:
    """The SHA-256 digest of `value` in UTF-8, in 64 hexadecimal digits. Raises FilterError."""
    return hashlib.sha256(_text("sha256", value).encode()).hexdigest()


# --- times ------------------------------------------------------------------------------------------------------------


def timestamp(value: object, format: str = ISO_8601) -> str:  # noqa: A002 - what people know it as
    """The time `value`, in seconds since 1970, in UTC and without regard to any locale. Raises FilterError."""
    return _formatted(_time(_text("timestamp", value), "a time"), format)


def source_date(epoch: str, format: str = ISO_8601) -> str:  # noqa: A002 - as above
    """The time that the environment variable SOURCE_DATE_EPOCH gives, if it does. Raises FilterError."""
    if not epoch:
        raise FilterError(
            "timestamp() needs the environment variable SOURCE_DATE_EPOCH: a plan does not look at the clock",
            "set it, for example to $(git log -1 --format=%ct), or give a variable: {{ epoch | timestamp }}",
        )
    return _formatted(_time(epoch, "a time, as SOURCE_DATE_EPOCH must be"), format)


def _time(text: str, what: str) -> datetime:
    if not re.fullmatch("[0-9]{1,12}", text) or int(text) > _LAST_SECOND:
        raise FilterError(
            f'"{short_name(text, _EXCERPT)}" is not {what}', "give whole seconds since 1970, such as 1767225600"
        )
    return datetime.fromtimestamp(int(text), UTC)


def _formatted(time: datetime, format: str) -> str:  # noqa: A002 - as above
    if len(format) > _LONGEST_FORMAT:
        raise FilterError(f"a format of more than {_LONGEST_FORMAT} characters", "write a shorter one")
    parts = _parts(time)

    def part(found: re.Match[str]) -> str:
        if found[1] not in parts:
            known = ", ".join(f"%{each}" for each in parts)
            raise FilterError(f'"{one_line(found[0])}" is not in the formats of timestamp', f"known: {known}")
        return parts[found[1]]

    return re.sub("%(.?)", part, format, flags=re.DOTALL)


def _parts(time: datetime) -> Mapping[str, str]:
    """What each letter after a percent sign stands for; no names of days or months, which have a language."""
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


def _text(name: str, value: object) -> str:
    """What the filter `name` is given, as templates print it."""
    text = str(value)  # of what is undefined, Jinja says so here
    if not isinstance(value, str | int | float):
        raise FilterError(f"{name} takes text or a number", "pick one value: {{ list[0] }}, {{ table.key }}")
    return text.lower() if isinstance(value, bool) else text


FILTERS: Mapping[str, Callable[..., str]] = {
    "semver": semver,
    "sha256": sha256,
    "slug": slug,
    "timestamp": timestamp,
}
