"""The review of a plan: the plan document, the plan id, grants, and the diff."""
