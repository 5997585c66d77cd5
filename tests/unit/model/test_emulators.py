"""The command that installs emulators."""

from __future__ import annotations

from mpbake.base.platforms import parse_platforms
from mpbake.model.emulators import EMULATORS_IMAGE, install_arguments, install_command

PLATFORMS = parse_platforms(["linux/arm64", "linux/arm/v7", "linux/arm/v6"])


def test_the_default_image_is_a_fixed_release() -> None:
    name, colon, tag = EMULATORS_IMAGE.partition(":")
    assert (name, colon) == ("tonistiigi/binfmt", ":")
    assert tag.startswith("qemu-v")


def test_one_emulator_serves_all_variants_of_an_architecture() -> None:
    assert install_arguments("i", PLATFORMS) == ["run", "--privileged", "--rm", "i", "--install", "arm64,arm"]
    command = install_command("docker -H ssh://far", "i:1", PLATFORMS)
    assert command == "docker -H ssh://far run --privileged --rm i:1 --install arm64,arm"
