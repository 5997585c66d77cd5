"""A corpus of hostile checkouts, and the commands that may read them."""
