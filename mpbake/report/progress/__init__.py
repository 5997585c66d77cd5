"""A run: lines and live view while it goes on, then the summary and the metadata file."""
