"""The diff of two plans as text, Markdown and JSON."""
