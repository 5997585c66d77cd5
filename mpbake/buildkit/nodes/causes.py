"""The known causes of unusable nodes, recognized in docker's output, each with a hint. Pure.

This module holds the causes that several drivers share. The causes of a single driver are in the driver's module.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpbake.model.plan import Node


@dataclass(frozen=True, kw_only=True, slots=True)
class Cause:
    """A cause of a failure: its pattern in docker's output, the message, and the hint.

    These placeholders are replaced in `message` and `hint`:

    - `{host}`: the machine or pod.
    - `{look}`: a command that shows the pod.
    - `{docker}`: a docker command for the node's engine.
    - the name of a group in `pattern`: the text that the group matched.
    """

    pattern: re.Pattern[str]
    message: str
    hint: str


def cause(pattern: str, message: str, hint: str) -> Cause:
    """Return a cause with a pattern that ignores case."""
    return Cause(pattern=re.compile(pattern, re.IGNORECASE), message=message, hint=hint)


REFUSED = cause(
    r"invalid driver option",
    "this buildx does not know one of its options",
    "install a newer buildx, or remove that option",
)
NO_BUILDKIT = cause(
    r"OCI runtime create failed|executable file not found|exec \S+ failed: no such file",
    "the image is not a BuildKit image",
    'set image = "…" to a BuildKit image; moby/buildkit is the usual one',
)
PAUSED = cause(
    r"container (?P<name>[\w.-]+) is paused",
    "its container is paused",
    "resume it: {docker} unpause {name}",
)
FAR = (
    cause(
        r"remote host identification has changed|host key for .* has changed",
        "the host key of {host} has changed",
        "if the change is intended, remove the old key: ssh-keygen -R {host}",
    ),
    cause(
        r"host key verification failed|no \S+ host key is known",
        "the host key of {host} is not known",
        "check it and accept it by hand: ssh {host} true",
    ),
    cause(
        r"permission denied \((publickey|password|keyboard|gssapi|hostbased)|too many authentication failures",
        "ssh denies this user access to {host}",
        "load the right key (ssh-add), or set it in ~/.ssh/config; try: ssh {host} true",
    ),
    cause(
        r"could not resolve hostname",
        "unknown host {host}",
        "check the name in the plan, and in DNS or ~/.ssh/config",
    ),
    cause(
        r"connection refused",
        "no ssh server answers at {host}",
        "check that sshd runs there, and the port; try: ssh {host} true",
    ),
    cause(
        r"timed out|no route to host|network is unreachable",
        "{host} does not answer",
        "check that the machine is up, and its firewall; try: ssh {host} true",
    ),
    cause(
        r"docker: (command )?not found|docker: no such file|exit status 127",
        "the docker command was not found on {host}",
        "install Docker there, or add it to the PATH of non-interactive shells: ssh {host} docker version",
    ),
    cause(
        r"permission denied while trying to connect|dial unix \S+: connect: permission denied",
        "the user on {host} may not use Docker there",
        "add that user to the group docker: sudo usermod -aG docker USER, then log in again",
    ),
    cause(
        r"cannot connect to the docker daemon|is the docker daemon running",
        "the Docker engine on {host} is not running",
        "start it there; try: ssh {host} docker info",
    ),
)
_NOT_LET_IN = cause(
    r"permission denied while trying to connect|dial unix \S+: connect: permission denied",
    "this user may not use Docker",
    "add this user to the group docker: sudo usermod -aG docker USER, then log in again; or set DOCKER_HOST",
)
_NO_CONTEXT = cause(
    r'context "[^"]*"(: context| is) not found',
    "the docker context in use does not exist",
    "choose another: docker context use NAME, and unset DOCKER_CONTEXT; docker context ls lists them",
)
_NO_ADDRESS = cause(
    r"invalid (bind address|proto)|unable to parse docker host",
    "DOCKER_HOST is not the address of an engine",
    "set it to unix:///PATH, tcp://HOST:PORT or ssh://HOST, or unset it",
)
NO_ENGINE = (
    "start it (Docker Desktop, or: sudo systemctl start docker), or correct DOCKER_HOST or "
    "the docker context; try: docker info"
)
IN_USE = (_NOT_LET_IN, _NO_CONTEXT, _NO_ADDRESS)
"""Causes that prevent docker from reaching the engine in use."""
NEAR = (
    *IN_USE,
    cause(
        r"cannot connect to the docker daemon|failed to connect to the docker API|docker daemon running"
        r"|error during connect",
        "",
        NO_ENGINE,
    ),
)


Causes = Callable[["Node", str], tuple[Cause, ...]]
"""A function that returns the causes to look for in an error of a node, in order.

If the node's engine is reached over ssh, the second argument is the engine's host; otherwise an empty string.
"""


def engine_causes(far_host: str) -> tuple[Cause, ...]:
    """Return the causes that prevent docker from reaching an engine."""
    return FAR if far_host else NEAR


def is_refused(output: str) -> bool:
    """Whether buildx rejected the options of a node before it tried to reach the node."""
    return bool(REFUSED.pattern.search(output))


def is_no_buildkit(message: str) -> bool:
    """Whether the error of a node means that its image contains no BuildKit, so that waiting does not help."""
    return NO_BUILDKIT.message in message


def is_paused(output: str) -> bool:
    """Whether the container of a node is paused, which the container's log does not show."""
    return bool(PAUSED.pattern.search(output))
