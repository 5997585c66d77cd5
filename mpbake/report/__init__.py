"""Output for people and programs: plans, diagnostics, exports, and the progress of runs."""
