"""The functions of bake's standard library, and how templates say the same."""
