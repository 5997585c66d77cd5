"""The files of a plan: found, read as TOML, and mapped to lines and columns."""
