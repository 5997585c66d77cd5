"""Nodes of builders: buildx instances, containers, Deployments, docker contexts."""
