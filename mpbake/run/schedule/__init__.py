"""Decide which steps start now, and on which nodes: a pure state machine without threads, clock or I/O."""

from mpbake.run.schedule.launcher import StartedSteps
from mpbake.run.schedule.schedule import Schedule

__all__ = ["Schedule", "StartedSteps"]
