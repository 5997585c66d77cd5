"""The Kubernetes cluster in which buildx makes the Deployments of nodes."""
