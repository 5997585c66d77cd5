"""The filters for versions, names and times."""

from __future__ import annotations

import hashlib
import itertools
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpbake.base.codes import Code
from mpbake.resolve.template.filters import (
    FilterError,
    SemanticVersion,
    no_git,
    semver,
    sha256,
    slug,
    source_date,
    timestamp,
)
from mpbake.spec.files.toml_values import WrittenFloat

if TYPE_CHECKING:
    from collections.abc import Callable


def refusal(function: Callable[..., object], *given: object) -> str:
    """Return the error of a filter."""
    with pytest.raises(FilterError) as caught:
        function(*given)
    assert caught.value.code is Code.TEMPLATE_FAILED
    return str(caught.value)


# --- versions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1.4.0", (1, 4, 0, "", "")),
        ("v1.4.0", (1, 4, 0, "", "")),
        ("0.0.0", (0, 0, 0, "", "")),
        ("10.20.30", (10, 20, 30, "", "")),
        ("1.4.0-rc.1", (1, 4, 0, "rc.1", "")),
        ("v1.4.0-rc.1+build.7", (1, 4, 0, "rc.1", "build.7")),
        ("1.0.0+007", (1, 0, 0, "", "007")),
        ("1.0.0--", (1, 0, 0, "-", "")),
        ("1.0.0-0a.-1.x-y", (1, 0, 0, "0a.-1.x-y", "")),
        ("1.0.0+-", (1, 0, 0, "", "-")),
        ("99999999999999999999.0.0", (99999999999999999999, 0, 0, "", "")),
    ],
)
def test_semantic_versions(text: str, parts: tuple[int, int, int, str, str]) -> None:
    version = semver(text)
    assert (version.major, version.minor, version.patch, version.prerelease, version.build) == parts
    assert version == str(version) == text.removeprefix("v")
    assert semver(version) == version


@pytest.mark.parametrize(
    "text",
    [
        *("", "v", "1", "1.2", "1.2.3.4", "01.2.3", "1.02.3", "1.2.03", "1.2.3-", "1.2.3+", "1.2.3-01", "1.2.3-a..b"),
        *(
            "vv1.2.3",
            "V1.2.3",
            "1.2.3 ",
            " 1.2.3",
            "1.2.3\n",
            "1.2.3+a+b",
            "1.2.3-a_b",
            "-1.2.3",
            "1.2.x",
            "\u0661.2.3",
        ),
        *("latest", "1.2.3+é", f"1.2.3-{'a' * 251}", f"{'9' * 5000}.0.0"),
    ],
)
def test_what_is_no_semantic_version(text: str) -> None:
    message, _, hint = refusal(semver, text).partition("\n")
    assert re.fullmatch('".{0,102}" is not a semantic version', message)
    assert hint == "write MAJOR.MINOR.PATCH, such as 1.4.0 or v1.4.0-rc.1"


def test_a_semantic_version_has_a_largest_length() -> None:
    longest = f"1.2.3-{'a' * 250}"
    assert (len(longest), semver(longest)) == (256, longest)


def test_a_version_that_toml_takes_for_a_number() -> None:
    assert refusal(semver, WrittenFloat("8.10")).startswith('"8.10" is not a semantic version\n')
    assert refusal(semver, 8).startswith('"8" is not a semantic version\n')


RISING = (
    *("0.9.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11"),
    *("1.0.0-rc.1", "1.0.0", "1.0.1-0", "1.0.1-9", "1.0.1-10", "1.0.1-A", "1.0.1-a", "1.2.0", "1.10.0", "2.0.0"),
)


@pytest.mark.parametrize(("low", "high"), [*itertools.combinations(RISING, 2)])
def test_precedence(low: str, high: str) -> None:
    for one, other in ((semver(low), semver(high)), (semver(low), high), (low, semver(high))):
        assert one < other
        assert one <= other
        assert other > one
        assert other >= one
        assert one != other


def test_versions_are_sorted_by_precedence() -> None:
    shuffled = sorted(RISING, key=sha256)
    assert sorted(map(semver, shuffled)) == list(RISING)


def test_builds_have_no_precedence() -> None:
    one, other = semver("1.0.0+a"), semver("1.0.0+b")
    assert one <= other
    assert other <= one
    assert one >= other
    assert other >= one
    assert not one < other
    assert not one > other
    assert one != other


def test_a_version_is_compared_with_versions_only() -> None:
    with pytest.raises(FilterError, match=r'^"1\.2" is not a semantic version\n'):
        assert semver("1.2.3") < "1.2"


def test_a_version_in_lower_case_is_one() -> None:
    version = semver("1.0.0-RC.1+X").lower()
    assert (type(version), version, version.prerelease) == (SemanticVersion, "1.0.0-rc.1+x", "rc.1")


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("main", "main"),
        ("feature/Log-in & out", "feature-log-in-out"),
        ("v1.4.0", "v1.4.0"),
        ("a_b.c-d", "a_b.c-d"),
        ("a__b..c--d._-e", "a-b-c-d-e"),
        ("--a/", "a"),
        ("Grüße", "gr-e"),
        ("a\nb\0c", "a-b-c"),
        (8, "8"),
        (WrittenFloat("8.10"), "8.10"),
        ("a" * 128, "a" * 128),
        ("a" * 129, f"{'a' * 115}-{hashlib.sha256(b'a' * 129).hexdigest()[:12]}"),
    ],
)
def test_slugs(value: object, result: str) -> None:
    assert slug(value) == result


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("aB0._-/ "), max_size=300))
def test_a_slug_is_a_tag(text: str) -> None:
    result = slug(f"{text}x")
    assert re.fullmatch(r"[a-z0-9]+([._-][a-z0-9]+)*", result)
    assert len(result) <= 128
    assert slug(result) == result


@pytest.mark.parametrize("text", ["", "._-", "-" * 200, "\u65e5\u672c"])
def test_what_has_no_slug(text: str) -> None:
    message, _, hint = refusal(slug, text).partition("\n")
    assert message.endswith('" has no ASCII letter or digit for a slug')
    assert hint == "use {{ (branch | sha256)[:12] }}, or {{ (branch or 'none') | slug }} if it may be empty"


def test_long_texts_stay_apart() -> None:
    one, other = (slug(f"{'a' * 200}{end}") for end in ("x", "y"))
    assert one != other
    assert slug(f"{'a' * 114}/{'b' * 100}")[:116] == f"{'a' * 114}-{sha256('a' * 114 + '/' + 'b' * 100)[0]}"


def test_true_and_false_are_written_as_in_a_plan() -> None:
    assert [sha256(value) for value in (True, False)] == [sha256("true"), sha256("false")]


def test_digests() -> None:
    assert sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert sha256("é") == hashlib.sha256("é".encode()).hexdigest()
    assert sha256(1) == sha256("1")


# --- times ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "format_", "result"),
    [
        ("0", None, "1970-01-01T00:00:00Z"),
        (1767225600, None, "2026-01-01T00:00:00Z"),
        ("1767225600", "", ""),
        ("1767225600", "%Y%m%d", "20260101"),
        ("1767225600", "%y.%j week %G-W%V-%u 100%% %s", "26.001 week 2026-W01-4 100% 1767225600"),
        ("1767225599", "%H:%M:%S\n", "23:59:59\n"),
        ("253402300799", None, "9999-12-31T23:59:59Z"),
    ],
)
def test_times(value: object, format_: str | None, result: str) -> None:
    options = () if format_ is None else (format_,)
    assert timestamp(value, *options) == result
    assert source_date(str(value), *options) == result


@pytest.mark.parametrize(
    ("value", "format_", "result"),
    [
        ("2026-01-02T03:04:05Z", "%Y%m%d-%H%M%S", "20260102-030405"),
        ("2026-01-02T03:04:05Z", "%s", "1767323045"),
        ("2024-02-29T00:00:00Z", "%j", "060"),
    ],
)
def test_times_from_text(value: str, format_: str, result: str) -> None:
    assert timestamp(value, format_) == result
    assert timestamp(value) == value


@pytest.mark.parametrize("value", ["2026-02-30T00:00:00Z", "2026-01-02T24:00:00Z"])
def test_a_date_that_does_not_exist(value: str) -> None:
    assert refusal(timestamp, value) == (
        f'"{value}" is not a time\nwrite a valid date and time, such as 2026-01-02T00:00:00Z'
    )


@pytest.mark.parametrize("value", ["2026-01-02", "2026-01-02T00:00:00+01:00", "2026-01-02T00:00:00Z\n"])
def test_other_formats_of_times_are_refused(value: str) -> None:
    assert refusal(timestamp, value).endswith("is not a time\nuse whole seconds since 1970, such as 1767225600")


@given(st.integers(0, 253_402_300_799))
def test_times_are_those_of_the_library(epoch: int) -> None:
    directives = "%Y %y %m %d %j %H %M %S %G %V %u %%"
    time = datetime.fromtimestamp(epoch, UTC)
    assert timestamp(epoch, directives) == time.strftime(directives)
    assert timestamp(epoch, "%s") == str(epoch)


@pytest.mark.parametrize("value", ["", "x", "-1", "1.5", "1e9", "253402300800", "9" * 5000, "\u0661", "0\n", True, 1.5])
def test_what_is_no_time(value: object) -> None:
    message, _, hint = refusal(timestamp, value).partition("\n")
    assert message.endswith('" is not a time')
    assert hint == "use whole seconds since 1970, such as 1767225600"


@pytest.mark.parametrize("directive", ["%a", "%B", "%c", "%Z", "%-d", "%", "%\n", "%E", "%10Y"])
def test_what_no_time_is_printed_as(directive: str) -> None:
    shown = directive[:2].replace("\n", r"\n")
    assert refusal(timestamp, 0, f"x{directive}") == (
        f'timestamp does not support "{shown}"\nuse one of %Y, %y, %m, %d, %j, %H, %M, %S, %G, %V, %u, %s, %%'
    )


def test_a_format_has_its_limits() -> None:
    assert len(timestamp(0, "%Y" * 100)) == 400
    assert refusal(timestamp, 0, "%Y" * 101) == "the format has more than 200 characters\nshorten it"


def test_the_time_of_the_environment() -> None:
    assert refusal(source_date, "") == (
        "timestamp() needs the environment variable SOURCE_DATE_EPOCH\n"
        "set it, for example to $(git log -1 --format=%ct), or use a variable: {{ epoch | timestamp }}"
    )
    assert refusal(source_date, "now") == (
        'SOURCE_DATE_EPOCH is not a time: "now"\nuse whole seconds since 1970, such as 1767225600'
    )


# --- all filters ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [semver, sha256, slug, timestamp])
@pytest.mark.parametrize("value", [None, [], ["a"], {}, ("a",)])
def test_filters_take_text_and_numbers(function: Callable[..., object], value: object) -> None:
    assert refusal(function, value) == (
        f"{function.__name__} takes text or a number\nselect one value: {{{{ list[0] }}}}, {{{{ table.key }}}}"
    )


def test_nobody_to_ask() -> None:
    with pytest.raises(FilterError) as caught:
        no_git("commit")
    assert str(caught.value) == "git facts are not available here\npass the value as a variable"
    assert caught.value.code is Code.GIT_FAILED
