"""What is checked before a run touches anything."""
