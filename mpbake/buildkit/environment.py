"""Which environment variables reach docker: a list, since the rest changes builds behind the plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.entries import secret_source
from mpbake.links import linked

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mpbake.plan import Target

# What finds programs, files, the engine, credentials and the network; kept in step with docs/environment.md by a test.
PASSED = (
    "ACTIONS_CACHE_SERVICE_V2",
    "ACTIONS_CACHE_URL",
    "ACTIONS_RESULTS_URL",
    "ACTIONS_RUNTIME_TOKEN",
    "ALL_PROXY",
    "AWS_ACCESS_KEY_ID",
    "AWS_CONFIG_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_DEFAULT_REGION",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_ROLE_ARN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "CLOUDSDK_CONFIG",
    "DBUS_SESSION_BUS_ADDRESS",
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
    "KUBECONFIG",
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
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)


def child_environment(environment: Mapping[str, str], targets: Iterable[Target]) -> dict[str, str]:
    """The part of `environment` that docker gets: the list above, and what the secrets of `targets` name."""
    names = {*PASSED, *(name for target in targets for name in secret_variables(target))}
    return {name: value for name, value in environment.items() if name in names}


def secret_variables(target: Target) -> list[str]:
    """The environment variables from which the secrets of `target` and of what it links to may come."""
    entries = [entry for each in (target, *linked(target)) for entry in each.attributes.get("secret", ())]
    return [source.variable for source in map(secret_source, entries) if source.variable]
