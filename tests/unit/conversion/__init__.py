"""Tests of the conversion of bake files."""
