"""The tables of a plan: their keys, types, merge rules and validation."""
