"""Why a node cannot be used: the causes that people meet, told apart by docker's words, each with its remedy. Pure."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from mpbake.base.text import one_line, without_colour
from mpbake.model.lifecycle import context_name
from mpbake.model.plan import Driver, TlsFiles

if TYPE_CHECKING:
    from mpbake.model.plan import Node

_CONNECT_SECONDS = 10
_SSH_SAID = re.compile(r"\bstderr=(.*)", re.DOTALL)
"""docker's own words about ssh end with those of ssh."""
_SSH_COMMAND = re.compile(r"command \[ssh [^\]]*?-- (?P<host>\S+) docker\b")
"""How docker tells the ssh command that it ran."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cause:
    """What is wrong, and what to do.

    `{host}` stands for the machine or pod, `{look}` for how to look at the pod, `{docker}` for a docker command that
    talks to the node's engine, and the name of a group of the pattern for what that has found.
    """

    pattern: re.Pattern[str]
    message: str
    hint: str


def _cause(pattern: str, message: str, hint: str) -> Cause:
    return Cause(pattern=re.compile(pattern, re.IGNORECASE), message=message, hint=hint)


_REFUSED = _cause(
    r"invalid driver option",
    "this buildx does not know all of its options",
    "install a newer buildx, or take that option away",
)
_OTHER_IMAGE = 'name a BuildKit image that can be had with image = "…" in the builder, or in [defaults.builder]'
_NO_IMAGES = (
    _cause(
        r"pull access|basic auth credentials|authorization failed|failed to authorize|toomanyrequests"
        r"|https?://\S+/v2/.*(denied|unauthorized|forbidden)",
        "the registry denies the pull of its image",
        "log in to it (docker login); or " + _OTHER_IMAGE,
    ),
    _cause(
        r"(failed to do request|https?://\S+/v2/).*(dial tcp|lookup |timeout|refused|reset|deadline|EOF|x509|tls:"
        r"|HTTP response to HTTPS client)|message.:.lookup ",
        "the registry of its image cannot be reached",
        "does the engine reach it, through a proxy or a mirror if need be? Or " + _OTHER_IMAGE,
    ),
    _cause(
        r"resolve reference|manifest unknown|https?://\S+/v2/|no such image|short-name",
        "there is no such image",
        _OTHER_IMAGE,
    ),
)
_NO_BUILDKIT = _cause(
    r"OCI runtime create failed|executable file not found|exec \S+ failed: no such file",
    "the image is not one of BuildKit",
    'name a BuildKit image with image = "…"; moby/buildkit is the usual one',
)
_NO_INIT = _cause(
    r"lookup init binary",
    "podman lacks the program that starts a container's processes",
    "install catatonit on the machine of the engine: sudo apt-get install catatonit",
)
_PAUSED = _cause(
    r"container (?P<name>[\w.-]+) is paused",
    "somebody has paused its container",
    "let it go on: {docker} unpause {name}",
)
_FAR = (
    _cause(
        r"remote host identification has changed|host key for .* has changed",
        "the host key of {host} is another than before",
        "if that is right, forget the old one: ssh-keygen -R {host}",
    ),
    _cause(
        r"host key verification failed|no \S+ host key is known",
        "the host key of {host} is not known",
        "check it and accept it by hand: ssh {host} true",
    ),
    _cause(
        r"permission denied \((publickey|password|keyboard|gssapi|hostbased)|too many authentication failures",
        "ssh does not let this user in at {host}",
        "load the key that it knows (ssh-add), or name it in ~/.ssh/config; try: ssh {host} true",
    ),
    _cause(
        r"could not resolve hostname",
        "there is no host {host}",
        "is its name right, and known to this machine or to ~/.ssh/config?",
    ),
    _cause(
        r"connection refused",
        "no ssh server answers at {host}",
        "is sshd running there, and is the port the right one? try: ssh {host} true",
    ),
    _cause(
        r"timed out|no route to host|network is unreachable",
        "{host} does not answer",
        "is the machine up, and does a firewall let this machine through? try: ssh {host} true",
    ),
    _cause(
        r"docker: (command )?not found|docker: no such file|exit status 127",
        "there is no docker command on {host}",
        "install Docker there, or put it on the PATH of plain commands: ssh {host} docker version",
    ),
    _cause(
        r"permission denied while trying to connect|dial unix \S+: connect: permission denied",
        "the user on {host} may not use Docker there",
        "let that user in: sudo usermod -aG docker USER, then log in anew",
    ),
    _cause(
        r"cannot connect to the docker daemon|is the docker daemon running",
        "the Docker engine on {host} does not run",
        "start it there; try: ssh {host} docker info",
    ),
)
_NOT_LET_IN = _cause(
    r"permission denied while trying to connect|dial unix \S+: connect: permission denied",
    "this user may not use Docker",
    "let this user in: sudo usermod -aG docker USER, then log in anew; or set DOCKER_HOST",
)
_NO_CONTEXT = _cause(
    r'context "[^"]*"(: context| is) not found',
    "the docker context in use does not exist",
    "choose another: docker context use NAME, and unset DOCKER_CONTEXT; docker context ls lists them",
)
_NO_ADDRESS = _cause(
    r"invalid (bind address|proto)|unable to parse docker host",
    "DOCKER_HOST is no address of an engine",
    "set it to unix:///PATH, tcp://HOST:PORT or ssh://HOST, or unset it",
)
_NO_ENGINE = (
    "start it (Docker Desktop, or: sudo systemctl start docker), or correct DOCKER_HOST or "
    "the docker context; try: docker info"
)
_IN_USE = (_NOT_LET_IN, _NO_CONTEXT, _NO_ADDRESS)
"""What is wrong with the way to the engine in use."""
_NEAR = (
    *_IN_USE,
    _cause(
        r"cannot connect to the docker daemon|failed to connect to the docker API|docker daemon running"
        r"|error during connect",
        "",
        _NO_ENGINE,
    ),
)
_CLUSTER = (
    _cause(
        r"\b(Err)?ImagePull|ErrImage|InvalidImageName",
        "",
        'name a BuildKit image that the cluster can pull with image = "…" in the builder',
    ),
    _cause(
        r"\bUnschedulable\b",
        "",
        "no machine of the cluster takes its pods: look at nodeselector, tolerations and requests",
    ),
    _cause(
        r"no configuration has been provided|current-context|context \S+ does not exist|localhost:8080 was refused",
        "kubectl knows no cluster",
        "name one: KUBECONFIG, and in it kubectl config use-context NAME",
    ),
    _cause(
        r"\bforbidden\b",
        "this user may not do that in the cluster",
        "its role must allow deployments, configmaps, pods and pods/exec there; try: kubectl auth can-i --list",
    ),
    _cause(
        r"unauthorized|must be logged in|asked for the client to provide credentials|getting credentials",
        "the cluster does not know this user",
        "log in to it anew; try: kubectl get deployments",
    ),
    _cause(
        r"namespaces? \S+ not found",
        "there is no such namespace",
        "create it (kubectl create namespace), or name another with `namespace`",
    ),
    _cause(
        r"replicas to be ready",
        "its pods do not become ready",
        "look at them (kubectl describe pods), or give them longer with `timeout`",
    ),
    _cause(
        r"was refused|unable to connect|no such host|timed? ?out|no route to host|connection refused",
        "the cluster does not answer",
        "is it up, and is the right one in use? try: kubectl version",
    ),
)
_REMOTE = _cause(r"", "", "check the address; does BuildKit run there?")
_POD = _cause(r"", "no pod {host} answers", "is it there and running, and does BuildKit run in it? try: {look}")
_NO_BUILDER = _cause(
    r"no builder \S+ found", "", "name it as docker buildx ls does; without external = true, mpbake makes one"
)
_PROGRESS = re.compile(r"^#\d+ (?!ERROR|[\d.]+ )(.*\n?)", re.MULTILINE)
"""A line in which buildx tells what it does; a log that it quotes, and what went wrong, stay."""
_UNIMPORTANT = re.compile(r"\blevel=(debug|info|warning)\b")
"""What BuildKit says of what is no error."""
_REMOTE_TLS = _cause(r"", "", "check the address, and that the certificates belong together and have not expired")


def hides_missing_engine(node: Node, said: str) -> bool:
    """Whether docker reached the machine behind ssh and hides why it has no engine there."""
    return _is_far(node) and "docker.example.com" in said and not _SSH_SAID.search(said)


def ssh_command(node: Node, *command: str) -> list[str]:
    """A command on the machine of `node`, by the user's own ssh, which asks nobody."""
    url = urlsplit(node.endpoint)
    port = ["-p", str(url.port)] if url.port else []
    user = ["-l", url.username] if url.username else []
    options = ["-o", "BatchMode=yes", "-o", f"ConnectTimeout={_CONNECT_SECONDS}"]
    return ["ssh", *options, *port, *user, "--", url.hostname or "", *command]


def is_refused(said: str) -> bool:
    """Whether buildx found something wrong with what it was told of a node, which it did not even try to reach."""
    return bool(_REFUSED.pattern.search(said))


def is_no_buildkit(message: str) -> bool:
    """Whether an error of a node says that there is no BuildKit in its image: waiting does not help."""
    return _NO_BUILDKIT.message in message


def is_paused(said: str) -> bool:
    """Whether the container of a node is paused: its log knows nothing of that."""
    return bool(_PAUSED.pattern.search(said))


def remedy_of_log(node: Node, log: str) -> str:
    """What to do about a node that ended with such a log, as far as that can be told."""
    return explain(node, "\n".join(line for line in log.splitlines() if not _UNIMPORTANT.search(line)))[1]


def explain(node: Node, said: str) -> tuple[str, str]:
    """What is wrong with `node`, from all that was `said`, and what to do about it."""
    plain = _PROGRESS.sub("", without_colour(said)).strip()
    host = _far_host(node, plain)
    words = _words_of_ssh(plain) if host else _last_line(plain)
    docker = docker_command(node)
    found = ((each, each.pattern.search(plain)) for each in _causes(node, is_far=bool(host)))
    cause, match = next(((each, match) for each, match in found if match), (None, None))
    if cause is None or match is None:
        return words, f"try: {docker} version" if host else ""
    shown = host or one_line(_host(node))
    message = f"{cause.message.format(host=shown)} ({words})" if cause.message else words
    return message, cause.hint.format(host=shown, look=_look_at_pod(node), docker=docker, **match.groupdict())


def explain_engine(said: str) -> tuple[str, str]:
    """Why the engine in use does not answer, from all that was `said`, and what to do about it."""
    plain = without_colour(said).strip()
    host = _ssh_host(plain)
    words = _words_of_ssh(plain) if host else _last_line(plain)
    for cause in _FAR if host else _IN_USE:
        if cause.pattern.search(plain):
            return f"{cause.message.format(host=host)} ({words})", cause.hint.format(host=host)
    return f"the Docker engine does not answer: {words or 'it says nothing'}", _NO_ENGINE


def last_words(heading: str, words: str) -> str:
    """What somebody said in the end, as a paragraph of a message; nothing where nothing was said."""
    said = "\n  ".join(words.splitlines())
    return f"{heading}:\n  {said}" if said else ""


def _causes(node: Node, *, is_far: bool) -> tuple[Cause, ...]:
    if node.endpoint.startswith("kube-pod://"):
        return (_POD,)
    if node.driver is Driver.EXTERNAL or node.missing:
        return (_NO_BUILDER, _PAUSED, *_NEAR)
    if node.driver is Driver.REMOTE:
        return (_REFUSED, _REMOTE if node.tls == TlsFiles() else _REMOTE_TLS)
    if node.driver is Driver.KUBERNETES:
        return (_REFUSED, *_CLUSTER)
    images = (_PAUSED, *_NO_IMAGES, _NO_INIT, _NO_BUILDKIT) if node.driver is Driver.DOCKER_CONTAINER else ()
    return (_REFUSED, *images, *(_FAR if is_far else _NEAR))


def _is_far(node: Node) -> bool:
    return node.endpoint.startswith("ssh://")


def _far_host(node: Node, said: str) -> str:
    """The machine behind ssh on which the engine of `node` is; empty for any other engine.

    Where the engine in use is behind ssh, or that of a docker context, only docker's words tell.
    """
    return one_line(_host(node)) if _is_far(node) else _ssh_host(said)


def _ssh_host(said: str) -> str:
    """The machine to which docker says that it connected by ssh; empty where it does not."""
    found = _SSH_COMMAND.search(said)
    return one_line(found["host"]) if found else ""


def _host(node: Node) -> str:
    return urlsplit(node.endpoint).netloc


def docker_command(node: Node) -> str:
    """The docker command that talks to the engine of `node`."""
    engine = context_name(node) or node.endpoint
    if not engine or node.driver not in {Driver.DOCKER, Driver.DOCKER_CONTAINER}:
        return "docker"
    return one_line(shlex.join(["docker", "-H" if "://" in engine else "--context", engine]))


def _look_at_pod(node: Node) -> str:
    """The command that shows the pod of an endpoint `kube-pod://POD?namespace=…&context=…`."""
    url = urlsplit(node.endpoint)
    options = [f"--{name}={value}" for name, value in parse_qsl(url.query) if name in {"context", "namespace"}]
    return one_line(shlex.join(["kubectl", *options, "get", "pod", url.netloc]))


def _words_of_ssh(said: str) -> str:
    """The last line of ssh itself, or of docker where ssh said nothing."""
    found = _SSH_SAID.search(said)
    return _last_line(found[1] if found and found[1].strip() else said)


def _last_line(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1].removeprefix("ERROR: ") if lines else ""
