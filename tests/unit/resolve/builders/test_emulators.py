"""The emulators of builders, as a plan declares them."""

from __future__ import annotations

import pytest

from mpbake.model.emulators import EMULATORS_IMAGE
from tests.unit.plans import problems_of_text, resolve_text, text

DIGEST = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("table", "image"),
    [
        ("", ""),
        ('emulators = "never"', ""),
        ('emulators = "install"', EMULATORS_IMAGE),
        ('driver = "docker"\nemulators = "install"', EMULATORS_IMAGE),
        ('emulators = "install"\nemulators-image = "r.example.com/binfmt:1"', "r.example.com/binfmt:1"),
        (f'emulators = "install"\nemulators-image = "binfmt@sha256:{DIGEST}"', f"binfmt@sha256:{DIGEST}"),
    ],
)
def test_the_image(table: str, image: str) -> None:
    assert resolve_text(f"\n[builders.ci]\n{table}").builders["ci"].emulators == image


def test_a_default_is_for_the_builders_that_can_have_emulators() -> None:
    builders = resolve_text("""
        [defaults.builder]
        emulators = "install"
        [builders.ci]
        [builders.off]
        emulators = "never"
        [builders.native]
        emulation = "forbid"
        [builders.cluster]
        driver = "kubernetes"
        [builders.far]
        driver = "remote"
        nodes.a.endpoint = "unix:///run/buildkitd.sock"
        """).builders
    assert {name: bool(builder.emulators) for name, builder in builders.items()} == {
        "ci": True,
        "off": False,
        "native": False,
        "cluster": False,
        "far": False,
        "default": True,
    }


def test_what_makes_no_sense_is_refused() -> None:
    assert problems_of_text("""
        [builders.cluster]
        driver = "kubernetes"
        emulators = "install"
        [builders.far]
        driver = "remote"
        emulators = "install"
        nodes.a.endpoint = "unix:///run/buildkitd.sock"
        [builders.native]
        emulation = "forbid"
        emulators = "install"
        [builders.off]
        emulators-image = "binfmt"
        [builders.theirs]
        external = true
        emulators = "install"
        """) == text("""
        build.toml:4: builders.cluster.emulators: the kubernetes driver has no engine on which mpbake could install \
emulators
            emulators = "install"
          = set qemu.install = true, which installs emulators in the pods
        build.toml:7: builders.far.emulators: no node has an engine on which mpbake could install emulators: \
none has `deploy`
            emulators = "install"
          = install them on the machine of the node: `mpbake doctor` prints the command; or add `deploy` to the node
        build.toml:11: builders.native.emulators: the builder forbids emulation, so it needs no emulators
            emulators = "install"
          = remove emulators or emulation
        build.toml:13: builders.off.emulators-image: has no effect without emulators
            emulators-image = "binfmt"
          = add emulators = "install", or remove it
        build.toml:16: builders.theirs.emulators: `emulators` cannot be set for an external builder
            emulators = "install"
          = remove `emulators` or `external`
        """)


@pytest.mark.parametrize("image", ["--privileged", "a b", "binfmt@sha256:123", "binfmt@latest", "BIN"])
def test_an_image_that_is_none_is_refused(image: str) -> None:
    problems = problems_of_text(f'\n[builders.ci]\nemulators = "install"\nemulators-image = "{image}"')
    assert "builders.ci.emulators-image: " in problems
