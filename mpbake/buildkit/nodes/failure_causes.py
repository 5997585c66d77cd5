"""Finds the cause of an unusable node in docker's output. Pure."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from mpbake.base.errors import Unreachable
from mpbake.base.text import one_line, without_colour
from mpbake.buildkit.nodes.causes import FAR, IN_USE, NO_ENGINE
from mpbake.model.node_resources import docker_command

if TYPE_CHECKING:
    from mpbake.buildkit.nodes.causes import Causes
    from mpbake.buildkit.process.completed import Completed
    from mpbake.model.plan import Node

_CONNECT_SECONDS = 10
_SSH_STDERR = re.compile(r"\bstderr=(.*)", re.DOTALL)
"""docker's error about ssh, which ends with the output of ssh."""
_SSH_COMMAND = re.compile(r"command \[ssh [^\]]*?-- (?P<host>\S+) docker\b")
"""The ssh command in docker's error."""
_PROGRESS = re.compile(r"^#\d+ (?!ERROR|[\d.]+ )(.*\n?)", re.MULTILINE)
"""A progress line of buildx. The pattern matches neither an error nor a line of a quoted log."""


def explain_by(causes: Causes, node: Node, output: str) -> tuple[str, str]:
    """Return why `node` cannot be used and a hint, from the whole `output` of a command."""
    plain = _PROGRESS.sub("", without_colour(output)).strip()
    host = _far_host(node, plain)
    error = _ssh_error(plain) if host else _last_line(plain)
    docker = docker_command(node)
    matches = ((cause, cause.pattern.search(plain)) for cause in causes(node, host))
    cause, match = next(((cause, match) for cause, match in matches if match), (None, None))
    if cause is None or match is None:
        return error, f"try: {docker} version" if host else ""
    shown = host or one_line(_host(node))
    groups = match.groupdict()
    message = f"{cause.message.format(host=shown, **groups)} ({error})" if cause.message else error
    return message, cause.hint.format(host=shown, look=_pod_command(node), docker=docker, **groups)


def unreachable_by(causes: Causes, node: Node, completed: Completed, complaint: str = "") -> Unreachable:
    """Return the error for a `node` that cannot be used, from the output of a command.

    `complaint` is an error that the caller has found in the output.
    """
    message, hint = explain_by(causes, node, error_output(completed, complaint))
    return Unreachable(f"{node_text(node)} cannot be used: {message}", hint=hint)


def error_output(completed: Completed, complaint: str = "") -> str:
    """Return the text of a command's output that contains the reason of its failure."""
    return "no answer in time" if completed.timed_out else complaint or completed.stderr or completed.error


def explain_engine(output: str) -> tuple[str, str]:
    """Return why the engine in use does not answer and a hint, from the whole `output` of docker."""
    plain = without_colour(output).strip()
    host = _ssh_host(plain)
    error = _ssh_error(plain) if host else _last_line(plain)
    for cause in FAR if host else IN_USE:
        if cause.pattern.search(plain):
            return f"{cause.message.format(host=host)} ({error})", cause.hint.format(host=host)
    return f"the Docker engine does not answer: {error or 'docker gives no reason'}", NO_ENGINE


def node_text(node: Node) -> str:
    """Return the name of a node with driver and endpoint, for messages."""
    # The record of a deployed node has no endpoint.
    endpoint = one_line(node.endpoint) or ("" if node.deploy else node.driver.rules.endpoint.when_empty)
    host = f"deployed on {one_line(node.engine)}" if node.deploy else ""
    return f"node {node.id} ({', '.join(filter(None, (node.driver_name, endpoint, host)))})"


def log_paragraph(heading: str, log: str) -> str:
    """Return the last lines of a log as a paragraph of a message; empty if there are none."""
    lines = "\n  ".join(log.splitlines())
    return f"{heading}:\n  {lines}" if lines else ""


def hides_missing_engine(node: Node, output: str) -> bool:
    """Whether docker reached the machine of `node` by ssh, but does not report why the machine has no engine."""
    return _is_far(node) and "docker.example.com" in output and not _SSH_STDERR.search(output)


def ssh_command(node: Node, *command: str) -> list[str]:
    """Return a command line that runs `command` on the machine of `node`, by the user's ssh without prompts."""
    url = urlsplit(node.engine)
    port = ["-p", str(url.port)] if url.port else []
    user = ["-l", url.username] if url.username else []
    options = ["-o", "BatchMode=yes", "-o", f"ConnectTimeout={_CONNECT_SECONDS}"]
    return ["ssh", *options, *port, *user, "--", url.hostname or "", *command]


def _is_far(node: Node) -> bool:
    return node.engine.startswith("ssh://")


def _far_host(node: Node, output: str) -> str:
    """Return the host of the node's engine if docker reaches the engine over ssh; otherwise an empty string.

    For the engine in use, and for a docker context, only docker's output shows the ssh host.
    """
    return one_line(_host(node)) if _is_far(node) else _ssh_host(output)


def _ssh_host(output: str) -> str:
    """Return the host to which docker connected over ssh, from docker's `output`; empty if there is none."""
    match = _SSH_COMMAND.search(output)
    return one_line(match["host"]) if match else ""


def _host(node: Node) -> str:
    return urlsplit(node.engine).netloc


def _pod_command(node: Node) -> str:
    """Return the command that shows the pod of an endpoint `kube-pod://POD?namespace=…&context=…`."""
    url = urlsplit(node.endpoint)
    options = [f"--{name}={value}" for name, value in parse_qsl(url.query) if name in {"context", "namespace"}]
    return one_line(shlex.join(["kubectl", *options, "get", "pod", url.netloc]))


def _ssh_error(output: str) -> str:
    """Return the last line of ssh's output, or of docker's output if ssh printed nothing."""
    match = _SSH_STDERR.search(output)
    return _last_line(match[1] if match and match[1].strip() else output)


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1].removeprefix("ERROR: ") if lines else ""
