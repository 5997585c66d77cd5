"""The settings of a node's process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The settings of a node.

    The node listens on `port` of 127.0.0.1 with the certificates in `certificates`, or on the unix socket `socket`
    without TLS. It leads to the BuildKit of the engine behind `engine_socket`, to the buildkitd behind
    `buildkit_socket`, or to the standard streams of `command`. It lists the platform `poses_as` first. If its BuildKit
    was built without a version, the node reports `version`. Each connection waits for `delay` seconds before the first
    answer.
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
