"""The diff of two plan documents. Pure."""
