"""Tests of reading bake files."""
