"""Make the build graph: which node builds which platforms, and the order of steps. Nothing here runs a step."""
