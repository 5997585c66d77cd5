"""Registries asked without any node: with this machine's own logins, and the host settings of the plan's builders."""

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
    """A way to compare what registries serve with what was built by a builder, whose settings tell how to reach them.

    No process is left when the block is left. `on_stop` is told how to end it early: what is being asked then raises
    Cancelled.
    """
    with tempfile.TemporaryDirectory(prefix="mpb") as folder:
        docker = Docker(child_environment(environment, ()), Path(folder), redact)
        registries = Registries(docker, environment, redact)
        on_stop(docker.cancel)
        try:
            yield lambda builder: Verification(reading=ImageReader(client=registries.client(builder)))
        finally:
            registries.close()
            docker.close()
