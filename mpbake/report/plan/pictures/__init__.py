"""The plan as a graph of boxes and arrows, for Mermaid and Graphviz."""
