"""The text of a plan: lines, tables and comments."""
