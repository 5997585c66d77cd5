"""The Kubernetes cluster in use: without a record of it, `rm` and `prune` would look for a node in another cluster."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mpbake.base.errors import Unreachable
from mpbake.base.text import one_line
from mpbake.model.plan import Driver

if TYPE_CHECKING:
    from mpbake.buildkit.nodes.records import MadeNode
    from mpbake.buildkit.process.docker import Docker
    from mpbake.model.plan import Node

_TIMEOUT = 30.0
_SERVER = ("kubectl", "config", "view", "--minify", "--output=jsonpath={.clusters[0].cluster.server}")


def cluster_in_use(docker: Docker, node: Node) -> str:
    """Return the URL of the cluster in which `node` would be created now.

    Empty for the nodes of other drivers, and if no kubeconfig file names the cluster, as in a pod.
    """
    if node.driver is not Driver.KUBERNETES:
        return ""
    try:
        asked = docker.run_program(_SERVER, timeout=_TIMEOUT)
    except Unreachable:  # there is no kubectl
        return ""
    return "" if asked.returncode else re.sub(r"//[^/@]*@", "//", asked.stdout.strip())


def check_cluster(docker: Docker, made: MadeNode, node: Node) -> None:
    """Check that the cluster in use is the one in which a recorded node was created. Raises Unreachable."""
    if not made.cluster:
        return
    current = cluster_in_use(docker, node)
    if current not in {"", made.cluster}:
        clusters = f"it was made in the cluster {one_line(made.cluster)}, and kubectl uses {one_line(current)}"
        raise Unreachable(
            f"{node.id}: {clusters}", hint="choose the context of that cluster: kubectl config use-context NAME"
        )
