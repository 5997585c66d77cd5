"""The review of a plan: its document, its rights, saved plans, and the comparison of two plans."""
