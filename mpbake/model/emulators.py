"""Emulators for platforms that a machine does not run natively: the image that installs them, and its command. Pure."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from mpbake.base.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mpbake.base.platforms import Platform

EMULATORS_IMAGE = "tonistiigi/binfmt:qemu-v10.2.3"
"""The default image that installs emulators."""
EMULATED_SYSTEM = "linux"
"""The operating system whose programs the emulators execute."""


def install_arguments(image: str, platforms: Iterable[Platform]) -> list[str]:
    """Return the arguments of docker that install emulators for `platforms` on the machine of an engine.

    The arguments name architectures, since one emulator serves all variants of an architecture.
    """
    architectures = dict.fromkeys(platform.architecture for platform in platforms)
    return ["run", "--privileged", "--rm", image, "--install", ",".join(architectures)]


def install_command(docker: str, image: str, platforms: Iterable[Platform]) -> str:
    """Return the command line that installs emulators; `docker` is the docker command for the engine."""
    return one_line(f"{docker} {shlex.join(install_arguments(image, platforms))}")
