"""The progress of a node's start, parsed from the output of `docker pull` and of `buildx inspect`."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpbake.base.text import one_line, without_colour

if TYPE_CHECKING:
    from collections.abc import Callable

    from mpbake.model.plan import Node

    Tell = Callable[[str], None]

_LEAST_SECONDS = 1.0
_LAYER = re.compile(r"^(?P<id>[0-9a-f]{6,}): (?P<state>.+)$")
_SIZES = re.compile(r"([\d.]+)([kMGT]?B)/([\d.]+)([kMGT]?B)")
_UNITS = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
_LOADED = ("Download complete", "Verifying", "Extracting", "Pull complete", "Already exists")
_STEP = re.compile(r"^#\d+ (?![\d.]+ |\[|DONE|ERROR|CACHED)(?P<step>.+)$")
"""A line in which buildx names the current step. Other lines quote a log, or contain a duration."""


def ignore_progress(_: str) -> None:
    """Discard progress, for callers that show none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeStart:
    """One start of a node. `tell` receives the progress. The start fails at `deadline`, a time of `time.monotonic`."""

    tell: Tell
    deadline: float

    @classmethod
    def of(cls, node: Node, tell: Tell = ignore_progress) -> NodeStart:
        """Return a start that begins now, with the `boot-timeout` of `node`."""
        return cls(tell=tell, deadline=time.monotonic() + node.boot_timeout)

    @property
    def seconds(self) -> float:
        """The remaining seconds, but at least one, so that the last command can report the reason of its failure."""
        return max(self.deadline - time.monotonic(), _LEAST_SECONDS)

    @property
    def is_over(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() >= self.deadline


@dataclass(kw_only=True, slots=True)
class _Layer:
    """A layer of an image: the received bytes, the size in bytes (0: unknown), and whether the layer is complete."""

    arrived: float = 0.0
    size: float = 0.0
    loaded: bool = False


class PullProgress:
    """Parses the output of `docker pull` of `image`, and reports each change: `pulling IMAGE: 12.3 MB of 98.0 MB`."""

    def __init__(self, image: str, tell: Tell) -> None:
        self._image = one_line(image)
        self._tell = tell
        self._reported = ""
        self._pending = b""
        self._layers: dict[str, _Layer] = {}

    def start(self) -> None:
        """Report the start of the pull."""
        self._report_change()

    def feed(self, data: bytes) -> None:
        """Parse the next bytes of docker's output."""
        *lines, self._pending = re.split(rb"[\r\n]", self._pending + data)
        for line in lines:
            self._parse(without_colour(line.decode(errors="replace")).strip())
        self._report_change()

    @property
    def amount(self) -> str:
        """The amount of data that has arrived; empty until docker reports the amount."""
        layers = self._layers.values()
        if not layers:
            return ""
        arrived, loaded = _size_text(sum(layer.arrived for layer in layers)), sum(layer.loaded for layer in layers)
        if all(layer.size or layer.loaded for layer in layers):
            return f"{arrived} of {_size_text(sum(layer.size for layer in layers))}"
        return f"{arrived}, {loaded} of {len(layers)} layers"

    def _parse(self, line: str) -> None:
        match = _LAYER.match(line)
        if match is None:
            return
        layer, state = self._layers.setdefault(match["id"], _Layer()), match["state"]
        if state.startswith(_LOADED):
            layer.loaded, layer.arrived = True, layer.size
        elif sizes := _SIZES.search(state):
            arrived, arrived_unit, size, size_unit = sizes.groups()
            layer.arrived, layer.size = float(arrived) * _UNITS[arrived_unit], float(size) * _UNITS[size_unit]

    def _report_change(self) -> None:
        if self._layers and all(layer.loaded for layer in self._layers.values()):
            activity = f"unpacking {self._image}"
        else:
            activity = f"pulling {self._image}{f': {self.amount}' if self.amount else ''}"
        if activity != self._reported:
            self._reported = activity
            self._tell(activity)


class BootProgress:
    """Parses the output of `buildx inspect --bootstrap`, and reports each step, such as `creating container NAME`.

    `step` is the current step.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._data = bytearray()
        self._pending = b""
        self.step = ""

    @property
    def text(self) -> str:
        """The complete standard error of buildx."""
        return self._data.decode(errors="replace")

    def feed(self, data: bytes) -> None:
        """Parse the next bytes of buildx's output."""
        self._data += data
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            self._parse(without_colour(line.decode(errors="replace")).strip())

    def _parse(self, line: str) -> None:
        match = _STEP.match(line)
        if match is None or match["step"].endswith(" done"):
            return
        step = one_line(match["step"].partition(", timeout:")[0])
        if step != self.step:
            self.step = step
            self._tell(step)


def _size_text(size: float) -> str:
    """Return a number of bytes in decimal units, in docker's format."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
