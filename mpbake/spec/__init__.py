"""The plan as written: its tables and attributes, the files that hold it, and where each value stands."""
