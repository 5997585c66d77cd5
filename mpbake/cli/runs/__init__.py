"""Runs: of an approved or saved plan, their events, their results, and the command that repeats them."""
