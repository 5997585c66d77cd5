"""The progress of a node's first start: what `docker pull` draws on a terminal, and what `buildx inspect` prints."""

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
"""A line in which buildx says what it does to start a node; others quote a log, or say how long something took."""


def ignore_progress(_: str) -> None:
    """A `Tell` for a start whose progress is not shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeStart:
    """One start of a node: `tell` hears what happens, and it fails at `deadline`, a time of `time.monotonic`."""

    tell: Tell
    deadline: float

    @classmethod
    def of(cls, node: Node, tell: Tell = ignore_progress) -> NodeStart:
        """A start that begins now and may take the `boot-timeout` of `node`."""
        return cls(tell=tell, deadline=time.monotonic() + node.boot_timeout)

    @property
    def seconds(self) -> float:
        """The seconds that are left; at least one, in which the last command can say why it fails."""
        return max(self.deadline - time.monotonic(), _LEAST_SECONDS)

    @property
    def is_over(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() >= self.deadline


@dataclass(kw_only=True, slots=True)
class _Layer:
    """A layer of an image: bytes that have arrived, bytes in all (0: not known yet), and whether all have arrived."""

    arrived: float = 0.0
    size: float = 0.0
    loaded: bool = False


class PullProgress:
    """Follows a `docker pull` of `image` and tells each change, such as `pulling IMAGE: 12.3 MB of 98.0 MB`."""

    def __init__(self, image: str, tell: Tell) -> None:
        self._image = one_line(image)
        self._tell = tell
        self._told = ""
        self._pending = b""
        self._layers: dict[str, _Layer] = {}

    def start(self) -> None:
        """Tell that the pull begins."""
        self._tell_changes()

    def feed(self, data: bytes) -> None:
        """Take in the next bytes that docker draws."""
        *lines, self._pending = re.split(rb"[\r\n]", self._pending + data)
        for line in lines:
            self._take(without_colour(line.decode(errors="replace")).strip())
        self._tell_changes()

    @property
    def amount(self) -> str:
        """How much has arrived; empty while docker has not said."""
        layers = self._layers.values()
        if not layers:
            return ""
        arrived, loaded = _size(sum(each.arrived for each in layers)), sum(each.loaded for each in layers)
        if all(each.size or each.loaded for each in layers):
            return f"{arrived} of {_size(sum(each.size for each in layers))}"
        return f"{arrived}, {loaded} of {len(layers)} layers"

    def _take(self, line: str) -> None:
        found = _LAYER.match(line)
        if found is None:
            return
        layer, state = self._layers.setdefault(found["id"], _Layer()), found["state"]
        if state.startswith(_LOADED):
            layer.loaded, layer.arrived = True, layer.size
        elif sizes := _SIZES.search(state):
            arrived, arrived_unit, size, size_unit = sizes.groups()
            layer.arrived, layer.size = float(arrived) * _UNITS[arrived_unit], float(size) * _UNITS[size_unit]

    def _tell_changes(self) -> None:
        if self._layers and all(each.loaded for each in self._layers.values()):
            activity = f"unpacking {self._image}"
        else:
            activity = f"pulling {self._image}{f': {self.amount}' if self.amount else ''}"
        if activity != self._told:
            self._told = activity
            self._tell(activity)


class BootProgress:
    """Follows `buildx inspect --bootstrap` and tells each step, such as `creating container NAME`.

    `text` is all that buildx printed.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._data = bytearray()
        self._pending = b""
        self.step = ""

    @property
    def text(self) -> str:
        """Everything that buildx has printed to standard error."""
        return self._data.decode(errors="replace")

    def feed(self, data: bytes) -> None:
        """Take in the next bytes that buildx prints."""
        self._data += data
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            self._take(without_colour(line.decode(errors="replace")).strip())

    def _take(self, line: str) -> None:
        found = _STEP.match(line)
        if found is None or found["step"].endswith(" done"):
            return
        step = one_line(found["step"].partition(", timeout:")[0])
        if step != self.step:
            self.step = step
            self._tell(step)


def _size(size: float) -> str:
    """A number of bytes, as docker writes them: in decimal units."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
