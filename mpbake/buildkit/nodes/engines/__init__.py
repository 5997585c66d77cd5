"""Docker engines: how to reach them, and what they are."""
