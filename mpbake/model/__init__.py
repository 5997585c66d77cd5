"""Values only: the resolved plan, its steps, the fields of bake, and what a registry must serve."""
