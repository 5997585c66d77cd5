"""Runs a build graph: the executor, the schedule, events, and the state directory."""
