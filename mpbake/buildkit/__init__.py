"""Access to Docker, buildx, BuildKit and registries. No other package uses python-on-whales."""

from __future__ import annotations

from mpbake.buildkit.registry.local_reader import open_verification
from mpbake.buildkit.runner import BuildKitRunner, open_runner

__all__ = ["BuildKitRunner", "open_runner", "open_verification"]
