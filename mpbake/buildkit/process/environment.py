"""The environment variables that docker receives.

Other variables would change builds in ways that the plan does not show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.graph.links import linked_targets
from mpbake.model.bake_fields import secret_source
from mpbake.model.node_resources import resource_kind
from mpbake.model.node_state import ResourceKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mpbake.model.plan import Node, Target

# Variables by which docker, kubectl and their login plugins find programs, files, the engine, the cluster, credentials
# and the network. In a pod, KUBERNETES_SERVICE_… names the cluster of the pod's service account. A test compares
# the list with docs/environment.md.
CHILD_VARIABLES = (
    "AAD_LOGIN_METHOD",
    "ACTIONS_CACHE_SERVICE_V2",
    "ACTIONS_CACHE_URL",
    "ACTIONS_RESULTS_URL",
    "ACTIONS_RUNTIME_TOKEN",
    "ALL_PROXY",
    "AWS_ACCESS_KEY_ID",
    "AWS_CA_BUNDLE",
    "AWS_CONFIG_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_DEFAULT_PROFILE",
    "AWS_DEFAULT_REGION",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AZURE_AUTHORITY_HOST",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_CONFIG_DIR",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_TENANT_ID",
    "BUILDX_DEFAULT_POLICY",  # the variable can reject a source, but cannot change an image
    "CLOUDSDK_ACTIVE_CONFIG_NAME",
    "CLOUDSDK_CONFIG",
    "DBUS_SESSION_BUS_ADDRESS",
    "DIGITALOCEAN_ACCESS_TOKEN",
    "DOCKER_API_VERSION",
    "DOCKER_AUTH_CONFIG",
    "DOCKER_CERT_PATH",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "DOCKER_HOST",
    "DOCKER_TLS_VERIFY",
    "GNUPGHOME",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GPG_TTY",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "KUBECACHEDIR",
    "KUBECONFIG",
    "KUBERNETES_SERVICE_HOST",
    "KUBERNETES_SERVICE_PORT",
    "LANG",
    "LOGNAME",
    "NO_PROXY",
    "PASSWORD_STORE_DIR",
    "PATH",
    "SSH_AUTH_SOCK",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
    "USER",
    "WSL_DISTRO_NAME",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)

# Variables that buildx puts into a container for `provenance-add-gha`. A test compares the list with
# docs/environment.md.
WORKFLOW = (
    "GITHUB_ACTIONS",
    "GITHUB_ACTOR",
    "GITHUB_ACTOR_ID",
    "GITHUB_EVENT_NAME",
    "GITHUB_EVENT_PATH",
    "GITHUB_JOB",
    "GITHUB_REF",
    "GITHUB_REF_NAME",
    "GITHUB_REF_PROTECTED",
    "GITHUB_REF_TYPE",
    "GITHUB_REPOSITORY",
    "GITHUB_REPOSITORY_ID",
    "GITHUB_REPOSITORY_OWNER",
    "GITHUB_REPOSITORY_OWNER_ID",
    "GITHUB_RUN_ATTEMPT",
    "GITHUB_RUN_ID",
    "GITHUB_RUN_NUMBER",
    "GITHUB_SERVER_URL",
    "GITHUB_TRIGGERING_ACTOR",
    "GITHUB_WORKFLOW",
    "GITHUB_WORKFLOW_REF",
    "GITHUB_WORKFLOW_SHA",
    "ImageOS",
    "ImageVersion",
    "RUNNER_ARCH",
    "RUNNER_ENVIRONMENT",
    "RUNNER_NAME",
    "RUNNER_OS",
    "RUNNER_TRACKING_ID",
)
_TELEMETRY = "OTEL_"


def child_environment(environment: Mapping[str, str], targets: Iterable[Target]) -> dict[str, str]:
    """Return the part of `environment` that docker receives: `PASSED`, and the variables of the targets' secrets."""
    names = {*CHILD_VARIABLES, *(name for target in targets for name in secret_variables(target))}
    return {name: value for name, value in environment.items() if name in names}


def workflow_variables(environment: Mapping[str, str], node: Node) -> dict[str, str]:
    """Return the variables about the workflow run that buildx receives for `node`, if the plan requests them."""
    is_asked = resource_kind(node) is ResourceKind.CONTAINER and ("provenance-add-gha", "true") in node.options
    return {name: environment[name] for name in WORKFLOW if is_asked and name in environment}


def telemetry_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with the receiver of buildx's traces.

    Only builds receive these variables, since any other call would wait 10 s for an unreachable receiver.
    """
    return {name: value for name, value in environment.items() if name.startswith(_TELEMETRY)}


def secret_variables(target: Target) -> list[str]:
    """Return the environment variables that secrets of `target` and its links may read."""
    targets = (target, *linked_targets(target))
    entries = [entry for part in targets for entry in part.attributes.get("secret", ())]
    return [source.variable for source in map(secret_source, entries) if source.variable]
