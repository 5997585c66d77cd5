"""The result of `mpbake import` as text and as JSON."""
