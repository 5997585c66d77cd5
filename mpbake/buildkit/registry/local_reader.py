"""Verification from this machine without any node: with the user's logins and the host settings of the builders."""

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
    """Open a function that returns the verification for a builder, whose settings say how to reach its registries.

    `on_stop` gets a function that cancels the verification: running requests then raise Cancelled. When the block ends,
    no process is left.
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
