"""A simulated Kubernetes cluster for buildx and kubectl."""
