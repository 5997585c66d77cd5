"""The plan as written: tables and attributes, the files of a plan, and the locations of values."""
