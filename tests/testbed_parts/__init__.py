"""Parts of the testbed that only tests need: a simulated Kubernetes cluster, other engines, machines of their own."""
