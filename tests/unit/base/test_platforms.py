"""Parsing, normalising and comparing platforms."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpbake.base.platforms import (
    Platform,
    can_execute,
    parse_platform,
    parse_platforms,
    platform_of_entry,
    platform_of_machine,
    reported_platform,
)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("linux/x86-64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v2", "linux/amd64/v2"),
        ("linux/arm64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/8", "linux/arm64"),
        ("linux/arm64/v9", "linux/arm64/v9"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/aarch64/v8", "linux/arm64"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/7", "linux/arm/v7"),
        ("linux/arm/v6", "linux/arm/v6"),
        ("linux/arm/5", "linux/arm/v5"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/386", "linux/386"),
        ("linux/i386", "linux/386"),
        ("linux/i686", "linux/386"),
        ("linux/s390x", "linux/s390x"),
        ("linux/riscv64", "linux/riscv64"),
        ("windows/amd64", "windows/amd64"),
        ("  Linux/AMD64 ", "linux/amd64"),
    ],
)
def test_a_platform_is_normalised_as_containerd_does(written: str, meant: str) -> None:
    assert str(parse_platform(written)) == meant


@pytest.mark.parametrize("written", ["", "linux", "amd64", "linux/", "/amd64", "a/b/c/d", "linux/arm 64", "linux//v7"])
def test_what_is_no_platform(written: str) -> None:
    with pytest.raises(ValueError, match="is not a platform") as caught:
        parse_platform(written)
    assert str(caught.value) == (f'"{written}" is not a platform: write os/architecture[/variant], such as linux/arm64')


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("windows(10.0.17763)/amd64", "windows/amd64"),
        ("windows(10.0.17763+win32k)/amd64", "windows/amd64"),
        ("linux(+erofs)/arm/v6", "linux/arm/v6"),
    ],
)
def test_a_version_of_the_operating_system_is_refused_and_ignored_in_what_a_node_reports(
    written: str, plain: str
) -> None:
    with pytest.raises(ValueError, match="buildx drops the version of an operating system") as caught:
        parse_platform(written)
    assert str(caught.value).partition("\n")[2] == f"write {plain}: the base image gives the version"
    assert reported_platform(written) == parse_platform(plain)


def test_control_characters_of_no_platform_are_escaped() -> None:
    with pytest.raises(ValueError, match=r'^"lin\\x00ux/a\\nb" is not a platform'):
        parse_platform("lin\0ux/a\nb")


@given(
    st.from_regex(r"(linux|windows)/(amd64|x86_64|arm64|aarch64|arm|armhf|armel|386|mips)(/v?[1-9])?", fullmatch=True)
)
def test_a_printed_platform_reads_as_itself(written: str) -> None:
    platform = parse_platform(written)
    assert parse_platform(str(platform)) == platform


@pytest.mark.parametrize(
    ("entry", "platform"),
    [
        ({"os": "linux", "architecture": "arm", "variant": "v6"}, "linux/arm/v6"),
        ({"os": "linux", "architecture": "arm64", "variant": None}, "linux/arm64"),
        ({}, "unknown/unknown"),
        ({"os": "", "architecture": ""}, "unknown/unknown"),
        ({"os": None, "architecture": "", "variant": ""}, "unknown/unknown"),
        ({"os": "linux", "architecture": ""}, "linux/unknown"),
        ({"os": "", "architecture": "amd64"}, "unknown/amd64"),
    ],
)
def test_a_platform_as_the_image_specification_writes_it(entry: dict[str, Any], platform: str) -> None:
    assert str(platform_of_entry(entry)) == platform


@pytest.mark.parametrize(
    ("hardware", "wanted", "native"),
    [
        ("linux/amd64", "linux/amd64", True),
        ("linux/amd64", "linux/386", True),
        ("linux/amd64", "linux/arm64", False),
        ("linux/amd64", "windows/amd64", False),
        ("linux/amd64", "linux/amd64/v2", False),
        ("linux/amd64", "linux/amd64/v3", False),
        ("linux/amd64/v3", "linux/amd64", True),
        ("linux/amd64/v3", "linux/amd64/v2", True),
        ("linux/amd64/v2", "linux/amd64/v3", False),
        ("linux/386", "linux/amd64", False),
        ("linux/arm64", "linux/arm64", True),
        ("linux/arm64", "linux/arm64/v9", False),
        ("linux/arm64/v9", "linux/arm64", True),
        ("linux/arm64", "linux/arm/v7", False),
        ("linux/arm/v7", "linux/arm/v6", True),
        ("linux/arm/v6", "linux/arm/v7", False),
        ("linux/s390x", "linux/s390x", True),
        ("linux/amd64", f"linux/amd64/v{'9' * 5000}", False),
    ],
)
def test_runs_without_emulation(hardware: str, wanted: str, *, native: bool) -> None:
    assert can_execute(parse_platform(hardware), parse_platform(wanted)) is native


def test_platforms_are_listed_once_in_their_order() -> None:
    platforms = parse_platforms(["linux/arm64", "linux/x86_64", "linux/aarch64", "linux/amd64"])
    assert platforms == (Platform(os="linux", architecture="arm64"), Platform(os="linux", architecture="amd64"))


def test_platforms_have_an_order() -> None:
    listed = parse_platforms(["linux/arm/v7", "windows/amd64", "linux/amd64", "linux/arm/v6"])
    assert list(map(str, sorted(listed))) == ["linux/amd64", "linux/arm/v6", "linux/arm/v7", "windows/amd64"]


@pytest.mark.parametrize(
    ("system", "machine", "platform"),
    [
        ("Linux", "x86_64", "linux/amd64"),
        ("Linux", "aarch64", "linux/arm64"),
        ("Linux", "armv7l", "linux/arm/v7"),
        ("Linux", "armv6l", "linux/arm/v6"),
        ("Darwin", "arm64", "darwin/arm64"),
        ("Linux", "", ""),
    ],
)
def test_the_platform_of_a_machine(system: str, machine: str, platform: str) -> None:
    assert platform_of_machine(system, machine) == platform
