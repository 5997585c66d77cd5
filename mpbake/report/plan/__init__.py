"""A plan, its targets and its builders, as text, JSON or a bake file."""
