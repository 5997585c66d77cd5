"""YAML as Compose reads it: values with their places and comments."""
