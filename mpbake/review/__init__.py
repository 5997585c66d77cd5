"""What a reviewer sees of a plan and decides on: the plan document, the plan id, grants, and the diff."""
