"""What every layer uses and what knows nothing of plans: errors, text, files, platforms, image references."""
