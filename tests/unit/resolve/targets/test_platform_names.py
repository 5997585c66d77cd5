"""Platforms as bake also takes them: `local`, several in one entry, and none."""

from __future__ import annotations

import pytest

from mpbake.resolve import Inputs, parse_overrides, resolve
from tests.unit.plans import problems_of_text, read_text, text


def platforms(written: str, machine: str = "linux/riscv64", setting: str = "") -> list[str]:
    """Return the platforms of a target on this machine."""
    plan = f"""
        [variables]
        some = "linux/amd64, linux/arm64"
        [targets._base]
        platforms = ["linux/s390x"]
        [targets.web]
        inherits = ["_base"]
        platforms = {written}
        """
    plan_files, spec = read_text(plan, settings=[setting] if setting else [])
    inputs = Inputs(machine=machine, set_overrides=parse_overrides([setting] if setting else []))
    web = resolve(plan_files, spec, inputs).targets["web"]
    return [str(platform) for platform in web.platforms]


@pytest.mark.parametrize(
    ("written", "result"),
    [
        ('["local"]', ["linux/riscv64"]),
        ('["Local", "linux/amd64"]', ["linux/riscv64", "linux/amd64"]),
        ('["linux/amd64,linux/arm64", "linux/amd64"]', ["linux/amd64", "linux/arm64"]),
        ('["local, linux/arm64"]', ["linux/riscv64", "linux/arm64"]),
        ('["{{ some }}"]', ["linux/amd64", "linux/arm64"]),
        ("[]", []),
        ('[""]', []),
    ],
)
def test_the_platforms_of_a_target(written: str, result: list[str]) -> None:
    assert platforms(written) == result


def test_templates_have_the_platform_that_local_stands_for() -> None:
    assert platforms("\"{{ [machine_platform(), 'linux/arm64'] }}\"") == ["linux/riscv64", "linux/arm64"]


def test_local_on_the_command_line() -> None:
    assert platforms("[]", setting="web.platforms=local") == ["linux/riscv64"]


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ('platforms = ["linux/amd64,arm64"]', 'platforms[0]: "arm64" is not a platform'),
        ('tags = ["a:1,a:2"]', 'tags[0]: "a:1,a:2" is not an image name'),
        ('tags = ["a:1\\na:2"]', r'tags[0]: "a:1\na:2" is not an image name'),
    ],
)
def test_an_entry_that_is_not_one_value(key: str, problem: str) -> None:
    problems = problems_of_text(f"\n[targets.web]\n{key}\n")
    assert problems.startswith(f"build.toml:3: targets.web.{problem}")
    if key.startswith("tags"):
        hint = 'write one name in each entry; if a variable has several, give it type = "list": tags = "{{ tags }}"'
        assert problems.endswith(f"\n  = {hint}")


def test_the_platform_of_this_machine_may_be_unknown() -> None:
    assert problems_of_text("\n[targets.web]\nplatforms = ['local']\n") == text("""
        build.toml:3: targets.web.platforms[0]: the platform of this machine is unknown
            platforms = ['local']
          = name the platform: linux/amd64
    """)
