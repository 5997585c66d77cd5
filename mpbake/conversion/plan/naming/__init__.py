"""The names of the plan, and the types of names in templates."""
