"""Tests: `unit` tests touch nothing outside the process, and `engine` tests use a real Docker engine."""
