"""How often a line is printed of something that changes all the time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS = 5.0


class Pace:
    """Lets one line on each subject pass at once, and then one each five seconds; safe to use from several threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: dict[str, float] = {}
        self._lock = threading.Lock()

    def is_due(self, subject: str) -> bool:
        """Whether a line on `subject` may be printed now; if so, it counts as printed."""
        with self._lock:
            now = self._clock()
            if now - self._last.get(subject, now - _SECONDS) < _SECONDS:
                return False
            self._last[subject] = now
            return True
