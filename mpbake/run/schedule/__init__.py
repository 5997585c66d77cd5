"""Which steps start now, and on which nodes: a pure state machine without threads, clock or I/O."""

from mpbake.run.schedule.machine import Call, Schedule

__all__ = ["Call", "Schedule"]
