"""Code that every layer uses and that does not depend on plans: errors, text, files, platforms, image references."""
