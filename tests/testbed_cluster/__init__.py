"""A real Kubernetes cluster of one node on this machine, in namespaces of its own.

`README.md` in this folder says how the parts fit together.
"""
