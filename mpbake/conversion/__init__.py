"""From bake and Compose files to a plan: reading, translating, writing, and comparing the results. Pure."""
