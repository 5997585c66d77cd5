"""The work of `mpbake import` for bake files: read them, evaluate what a plan cannot express, and prove the plan."""
