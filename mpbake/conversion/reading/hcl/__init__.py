"""HCL: from text to the syntax of bake files."""
