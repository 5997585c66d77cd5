"""The known causes of unusable nodes in a cluster, each with a hint. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.buildkit.nodes.causes import REFUSED, cause

if TYPE_CHECKING:
    from mpbake.buildkit.nodes.causes import Cause
    from mpbake.model.plan import Node

_CLUSTER_CAUSES = (
    cause(
        r"\b(Err)?ImagePull|ErrImage|InvalidImageName",
        "",
        'set image = "…" in the builder to a BuildKit image that the cluster can pull',
    ),
    cause(
        r"\bUnschedulable\b",
        "",
        "check nodeselector, tolerations and requests: no machine of the cluster takes its pods",
    ),
    cause(
        r"exceeded quota|failed quota|(maximum|minimum) \S+ usage per (Container|Pod)",
        "",
        "lower requests, limits or replicas, or raise the limits of the namespace; try: kubectl describe quota,limits",
    ),
    cause(
        r"violates PodSecurity",
        "",
        "use a namespace that allows privileged pods: kubectl label namespace NAME "
        "pod-security.kubernetes.io/enforce=privileged",
    ),
    cause(
        r"serviceaccount \S+ not found",
        "",
        "create it (kubectl create serviceaccount NAME), or correct `serviceaccount`",
    ),
    cause(
        r"\bscaled to 0\b",
        "",
        "run `mpbake builders up`, which scales it up",
    ),
    cause(
        r"context \S+ does not exist|context was not found|no context exists with the name",
        "kubectl does not know the context",
        "choose another: kubectl config get-contexts lists them; kubectl config use-context NAME",
    ),
    cause(
        r"no configuration has been provided|current-context|localhost:8080 was refused",
        "kubectl has no cluster to talk to",
        "set KUBECONFIG, and choose a context: kubectl config use-context NAME",
    ),
    cause(
        r"x509: |certificate signed by unknown authority|failed to verify certificate",
        "the certificate of the cluster cannot be verified",
        "correct certificate-authority of the cluster in KUBECONFIG; try: kubectl version",
    ),
    cause(
        r"\bforbidden\b",
        "this user may not do that in the cluster",
        "give its role access to deployments, configmaps, pods and pods/exec; try: kubectl auth can-i --list",
    ),
    cause(
        r"remote error: tls: |unauthorized|must be logged in|asked for the client to provide credentials"
        r"|getting credentials",
        "the cluster does not know this user",
        "log in to it again; try: kubectl get deployments",
    ),
    cause(
        r"namespaces? \S+ not found",
        "the namespace does not exist",
        "create it (kubectl create namespace), or name another with `namespace`",
    ),
    cause(
        r"replicas to be ready",
        "its pods do not become ready",
        "look at them: kubectl describe pods",
    ),
    cause(
        r"was refused|unable to connect|no such host|timed out|i/o timeout|handshake timeout|no route to host"
        r"|connection refused",
        "the cluster does not answer",
        "check that it is up, and that the right context is in use; try: kubectl version",
    ),
)


def cluster_causes(_: Node, __: str) -> tuple[Cause, ...]:
    """Return the causes to look for in an error of a node in a cluster."""
    return (REFUSED, *_CLUSTER_CAUSES)
