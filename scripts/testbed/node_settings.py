"""What a node's process is told by those who start it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What one node does.

    It listens on `port` of 127.0.0.1 with the certificates in `certificates`, or on the unix socket
    `socket` without any. It leads to the BuildKit of the engine behind `engine_socket`, to the buildkitd
    behind `buildkit_socket`, or to the standard streams of `command`. `poses_as` is the platform that it
    lists first, `version` what it states as its BuildKit's if that was built without one. Each connection has
    to wait `delay` seconds for an answer.
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
