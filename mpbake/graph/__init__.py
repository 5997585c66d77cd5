"""Make the build graph: which node builds which platforms, and the order of steps. This package runs no step."""
