"""Tests without Docker: a file for each module, or for each part of a package.

The inputs are text, the outputs exact.
"""
