"""The settings of a node's process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The settings of one node.

    It listens on `port` of 127.0.0.1 with the certificates in `certificates`, or on the unix socket `socket` without
    any. It leads to the BuildKit of the engine behind `engine_socket`, to the buildkitd behind `buildkit_socket`, or to
    the standard streams of `command`. `poses_as` is the platform that it lists first. `version` is what it states as
    the version of its BuildKit if that was built without one. Each connection waits `delay` seconds for an answer.
    """

    witness: str
    port: int = 0
    socket: str = ""
    certificates: str = ""
    engine_socket: str = ""
    buildkit_socket: str = ""
    command: Sequence[str] = ()
    poses_as: str = ""
    version: str = ""
    delay: float = 0.0
