"""The query whether a client is connected to BuildKit in a pod, and the answers to it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpbake.buildkit.process.completed import Completed

CLIENT_QUERY = ("pgrep", "-f", "buildctl dial-stdio")
"""The command in the pod. A buildx client runs `buildctl dial-stdio` in the pod to connect."""


def exit_text(completed: Completed) -> str:
    """Return kubectl's line about a command in a pod that failed."""
    return f"command terminated with exit code {completed.returncode}"


def client_answer(asked: Completed) -> bool | None:
    """Return whether `pgrep` in a pod has found a client; None if the pod could not be queried."""
    if not asked.returncode:
        return True
    # With any other output, kubectl itself has failed.
    return False if asked.returncode == 1 and exit_text(asked) in asked.stderr else None
