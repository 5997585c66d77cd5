"""Import many bake files, and compare each with its plan, independently of `mpbake import`."""
