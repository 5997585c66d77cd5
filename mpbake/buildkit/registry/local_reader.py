"""Verifies images from this machine, without nodes, with the user's logins and the registry settings of builders."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.buildkit.process.docker import Docker
from mpbake.buildkit.process.environment import child_environment
from mpbake.buildkit.registry.image_reader import ImageReader
from mpbake.buildkit.registry.registries import Registries
from mpbake.buildkit.registry.verification import Verification

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mpbake.model.plan import Builder


@contextlib.contextmanager
def open_verification(
    environment: Mapping[str, str], redact: Callable[[str], str], on_stop: Callable[[Callable[[], None]], None]
) -> Iterator[Callable[[Builder], Verification]]:
    """Yield a function that returns the verification for a builder, with the builder's registry settings.

    `on_stop` receives a function that cancels the verification: running requests then raise Cancelled. When the block
    ends, all processes have ended.
    """
    with tempfile.TemporaryDirectory(prefix="mpb") as folder:
        docker = Docker(child_environment(environment, ()), Path(folder), redact)
        registries = Registries(docker, environment, redact)
        on_stop(docker.cancel)
        try:
            yield lambda builder: Verification(reader=ImageReader(client=registries.client(builder)))
        finally:
            registries.close()
            docker.close()
