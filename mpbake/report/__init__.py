"""The output for people and programs: plans, diagnostics and exports in their formats, and the reporters of runs."""
