"""The output of a run: progress as lines or as a live view, then the summary and the metadata file."""
