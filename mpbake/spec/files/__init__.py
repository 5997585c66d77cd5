"""Find the files of a plan, read the files as TOML, and map values to lines and columns."""
