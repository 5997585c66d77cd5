"""A stand-in for a Kubernetes cluster, which buildx and kubectl accept as one."""
