"""Make the build graph: which node builds what, and the order of steps. Nothing here runs a step."""
