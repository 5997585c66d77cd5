"""The build graph: which node builds what, and what depends on what. Nothing here runs anything."""
