"""Tests: `unit` touches nothing outside the process, `engine` works with a real Docker engine."""
