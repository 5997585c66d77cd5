"""The state that mpbake keeps: the state directory `.mpbake/`, and locks between processes."""
