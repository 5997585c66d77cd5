"""Tests of `mpbake/buildkit/nodes/drivers/cluster/`."""
