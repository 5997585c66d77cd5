"""Run a build graph: executor, schedule, events, and state directory."""
