"""The Kubernetes cluster in use.

Records name the cluster of a node, so that `rm` and `prune` do not search another cluster.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mpbake.base.errors import Unreachable
from mpbake.buildkit.nodes.drivers.back_end import INSPECT_TIMEOUT

if TYPE_CHECKING:
    from mpbake.buildkit.process.docker import Docker

_SERVER = ("kubectl", "config", "view", "--minify", "--output=jsonpath={.clusters[0].cluster.server}")


def cluster_in_use(docker: Docker) -> str:
    """Return the URL of the cluster in which kubectl works, without credentials.

    Empty if no kubeconfig file names a cluster, as in a pod.
    """
    try:
        asked = docker.run_program(_SERVER, timeout=INSPECT_TIMEOUT)
    except Unreachable:  # kubectl is not installed
        return ""
    return "" if asked.returncode else re.sub(r"//[^/@]*@", "//", asked.stdout.strip())
