"""mpbake: multi-platform image builds from one declared plan of builders, nodes and targets."""

from __future__ import annotations

__version__ = "0.1.0"
