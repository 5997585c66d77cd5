"""Changes of the bake file before it is written as a plan: what a plan says in another place or form."""
