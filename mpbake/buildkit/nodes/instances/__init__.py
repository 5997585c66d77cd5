"""buildx instances: declared, stored, created and inspected."""
