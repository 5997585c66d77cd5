"""Converts error messages of docker, buildx and BuildKit to mpbake's errors. Pure."""

from __future__ import annotations

import posixpath
import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from mpbake.base.ci_commands import without_commands
from mpbake.base.errors import BuildFailed, MpbakeError, NodeLost, SourceLine, Unreachable
from mpbake.base.text import one_line, shortened
from mpbake.buildkit.bake.definition import CHECKED
from mpbake.buildkit.bake.progress import operation_target
from mpbake.buildkit.registry.hints import RIGHTS_HINT, SERVER_ERROR_HINT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from mpbake.buildkit.bake.definition import DockerfilePath
    from mpbake.buildkit.bake.progress import FailedOperation, Progress
    from mpbake.model.steps import CheckPiece

_NO_ANSWER = re.compile(
    r"connection refused|no such host|i/o timeout|connection reset|network is unreachable|no route to host|"
    r"TLS handshake timeout|server misbehaving|context deadline exceeded|unexpected EOF|: EOF\b|"
    r"(?-i:\b50[234] [A-Z])|tls: |x509: |no answer in time",
    re.IGNORECASE,
)
_REGISTRY_ERROR = re.compile(r"\b50[0234] [A-Z]")
"""An HTTP status. The words after the number differ between servers: `Gateway Timeout`, `Gateway Time-out`."""
_UNTRUSTED = re.compile(r"certificate signed by unknown authority|certificate is not trusted")
_WITHOUT_TLS = re.compile(r"server gave HTTP response to HTTPS client")
_SETTINGS_OF_REGISTRY = "in the builder, in `deploy` of the node, or where the node is created"
_NODE_HINTS = {
    _UNTRUSTED: f'set buildkitd.registry."{{host}}".ca {_SETTINGS_OF_REGISTRY}: the node does not trust the '
    "registry's certificate",
    _WITHOUT_TLS: f'set buildkitd.registry."{{host}}".http = true {_SETTINGS_OF_REGISTRY}: the registry does not '
    "speak TLS",
}
"""The hint for each message of a node that lacks settings of a registry; `{host}` is the registry."""
_REQUESTED = re.compile(r'"https?://(?P<host>[^/"@\s]+)/')
"""The URL of a request to a registry that failed."""
_NODE_GONE = re.compile(
    r"Cannot connect to the Docker daemon|error during connect|failed to list workers|error reading from server|"
    r"code = Unavailable|transport is closing|waiting for connection|closing transport|no buildkitd? node|"
    r"failed to find driver|docker daemon running|no valid drivers|failed to dial|^context deadline exceeded$",
    re.IGNORECASE,
)
_COMMAND_FAILED = re.compile(r"did not complete successfully: exit code: \d+$")
_KILLED = re.compile(r"exit code: (?:137|143)$")
_PUSHING = re.compile(r"failed to push|pushing |push access denied", re.IGNORECASE)
_REFUSED = re.compile(
    r"unauthorized|forbidden|denied|authentication required|authorization failed|no basic auth credentials|"
    r"\b40[13]\b|insufficient_scope",
    re.IGNORECASE,
)
_RESOLVING = re.compile(r"failed to resolve source metadata|failed to do request|pull access denied|failed to copy")
_ATTRIBUTE_HINTS: Mapping[re.Pattern[str], str] = {
    re.compile("strict policy is not supported"): (
        "build on a node with BuildKit 0.27 or newer, or write strict=false to build without the policy on older nodes"
    ),
    re.compile("mode=delete requires a BuildKit"): (
        "build on a node with BuildKit 0.31 or newer, or remove mode=delete"
    ),
    re.compile('cannot export attestations with "oci-mediatypes=false"'): (
        'remove oci-mediatypes=false, or add attest = ["type=provenance,disabled=true"]'
    ),
    re.compile("not allowed by policy"): (
        "change the source, or the policy: `policy` of the target, the file .rego beside its Dockerfile, or "
        "BUILDX_DEFAULT_POLICY"
    ),
    re.compile("^policy file .* not found$"): (
        "write the path relative to the build context, or as cwd://FILE relative to the plan's folder"
    ),
}
"""The hint for each message of buildx or a node that rejects an attribute."""
_LONGEST = 2000
"""The maximum number of characters of an output line in an error."""
_LOST_RESULT = re.compile(r"snapshot \S+ does not exist: not found$")
_COLLIDED = re.compile(r'image "[^"]+": already exists$')
_TARGET_PREFIX = re.compile(r"target (\S+): ")
"""The name of a target before BuildKit's message, which newer buildx prints (0.36, not 0.13)."""
_ERROR = re.compile(r"^ERROR: ", re.MULTILINE)
_NO_STAGE = re.compile(r"(?:^|: )target stage \S+ could not be found")
_EXCERPT = re.compile(r"^(?P<file>\S+):(?P<line>\d{1,9})\n-{5,}\n(?P<lines>.*?)\n-{5,}$", re.MULTILINE | re.DOTALL)


def build_error(
    progress: Progress,
    repeat: str,
    log: str,
    check: CheckPiece | None = None,
    *,
    own: Collection[str] = (),
    dockerfiles: Mapping[str, DockerfilePath] = MappingProxyType({}),
) -> MpbakeError:
    """Return the error of a failed build: BuildKit's message, lines of the Dockerfile, the last output, and a hint.

    If the build was for a check, `check` is that check. The Dockerfile that mpbake writes for a check is not shown.
    `own` has the names of the targets that the call builds for themselves; the error names other targets at fault.
    `dockerfiles` holds each target's Dockerfile. A CI server finds no command in the lines of the error.
    """
    text = _last_error(progress.text)
    failed = progress.failed
    # With `call = "check"`, buildx prints no error of its own.
    named, message = _split(text if text.strip() or failed is None else failed.error)
    kind, hint = _kind(message, failed)
    if check is not None and check.check.target and _NO_STAGE.search(message):
        written = f'checks = [{{ target = "{check.check.target}" }}]'
        hint = f"{written} of target {check.target.name}: no such stage in its Dockerfile"
    lines = [f"target {named}: {message}" if named and named not in own else message]
    if kind is BuildFailed and failed is not None and failed.tail:
        lines += [f"output of {one_line(failed.name)}:", *(f"  {shortened(line, _LONGEST)}" for line in failed.tail)]
    excerpt = _EXCERPT.search(progress.text)
    source = None
    if excerpt and not (check is not None and check.check.run and CHECKED in excerpt["lines"]):
        dockerfile = _dockerfile(excerpt["file"], dockerfiles, _suspects(named, progress))
        if dockerfile is not None and dockerfile.local:
            source = SourceLine(file=dockerfile.path, line=int(excerpt["line"]))
        file = one_line(dockerfile.path) if dockerfile else excerpt["file"]
        lines += [f"in {file}:{excerpt['line']}:", *(f"  {line}" for line in excerpt["lines"].splitlines())]
    lines.append(f"log: {log}")
    hint = "; ".join(part for part in (hint, f"repeat with: {repeat}") if part)
    return kind(without_commands("\n".join(lines)), hint=hint).with_source(source)


def _dockerfile(name: str, dockerfiles: Mapping[str, DockerfilePath], suspects: Iterable[str]) -> DockerfilePath | None:
    """Return the Dockerfile that BuildKit calls `name`, such as `docker/Dockerfile`; None if several are possible."""
    same_name = {target: file for target, file in dockerfiles.items() if posixpath.basename(file.path) == name}
    suspected = [same_name[target] for target in suspects if target in same_name]
    files = dict.fromkeys(suspected[:1] or same_name.values())
    return next(iter(files)) if len(files) == 1 else None


def _suspects(named: str, progress: Progress) -> Iterator[str]:
    """Yield the targets that may be at fault in a call with several targets, the most likely target first.

    `named` is the target in buildx's message, and comes first. The target of the failed operation follows. Otherwise
    the only target whose Dockerfile was read is at fault, since targets that link to this target wait.
    """
    yield from (named,) if named else ()
    yield from (operation_target(progress.failed.name),) if progress.failed else ()
    yield from map(operation_target, progress.reading) if len(progress.reading) == 1 else ()


def is_push_failure(progress: Progress) -> bool:
    """Return whether the push of the result failed, not the build."""
    message = _first_line(_last_error(progress.text))
    return not _COMMAND_FAILED.search(message) and _is_push(message, progress.failed)


def _is_push(message: str, failed: FailedOperation | None) -> bool:
    return bool(_PUSHING.search(message) or (failed is not None and _PUSHING.search(failed.name)))


def has_lost_result(progress: Progress) -> bool:
    """Return whether BuildKit used a result that no longer exists, such as a result of a cancelled build.

    In the next call, BuildKit would use the same result again.
    """
    return bool(_LOST_RESULT.search(_first_line(_last_error(progress.text))))


def is_store_collision(progress: Progress) -> bool:
    """Return whether an engine could not store an image because another build was storing the same image."""
    return bool(_COLLIDED.search(_first_line(_last_error(progress.text))))


def is_image_failure(error: MpbakeError, reference: str) -> bool:
    """Return whether a build failed because the node could not pull the image `reference`, which contains a digest."""
    message, digest = error.message.partition("\n")[0], reference.rpartition("@")[2]
    return bool(digest) and digest in message and _RESOLVING.search(message) is not None


def may_be_lost_node(error: MpbakeError) -> bool:
    """Return whether a build may have failed because its node was lost, although no message says so.

    A command that ended by itself and a registry that rejects a request are not signs of a lost node.
    """
    message = error.message.partition("\n")[0]
    if _COMMAND_FAILED.search(message):
        return bool(_KILLED.search(message))
    return not (_PUSHING.search(message) or _RESOLVING.search(message))


def _kind(message: str, failed: FailedOperation | None) -> tuple[type[MpbakeError], str]:
    if _COMMAND_FAILED.search(message):
        return BuildFailed, ""
    if hint := next((hint for pattern, hint in _ATTRIBUTE_HINTS.items() if pattern.search(message)), ""):
        return BuildFailed, hint
    if _is_push(message, failed):
        if _REFUSED.search(message):
            return BuildFailed, RIGHTS_HINT
        unanswered = "check that the registry is up and reachable from the node"
        return _registry_failure(message, unanswered)
    if _NODE_GONE.search(message):
        return NodeLost, "check that the node is up and reachable from this machine"
    if _RESOLVING.search(message):
        if _REFUSED.search(message):
            return BuildFailed, "check docker login and the name of the base image"
        return _registry_failure(message, "check that the registry of the base image is up and reachable from the node")
    return BuildFailed, ""


def _registry_failure(message: str, unanswered: str) -> tuple[type[MpbakeError], str]:
    """Return the error class and hint for a registry that failed without rejecting the request.

    `unanswered` is the hint if the registry did not answer.
    """
    kind = Unreachable if _NO_ANSWER.search(message) else BuildFailed
    hint = next((hint for pattern, hint in _NODE_HINTS.items() if pattern.search(message)), "")
    if hint:
        requested = _REQUESTED.search(message)
        return kind, hint.format(host=one_line(requested["host"]) if requested else "HOST")
    if is_registry_error(message):
        return kind, SERVER_ERROR_HINT
    return kind, unanswered if kind is Unreachable else ""


def _last_error(text: str) -> str:
    """Return the end of buildx's output, from the last ERROR on."""
    return _ERROR.split(text)[-1]


def _first_line(text: str) -> str:
    return _split(text)[1]


def _split(text: str) -> tuple[str, str]:
    """Return the target that buildx names in its message, or an empty text, and BuildKit's message on the same line."""
    line = next((line for line in text.splitlines() if line.strip()), "the build failed without a message")
    named = _TARGET_PREFIX.match(line)
    message = line[named.end() :] if named else line
    return named[1] if named else "", message.removeprefix("failed to solve: ").strip()


def is_registry_error(message: str) -> bool:
    """Whether a registry, or a proxy in front of it, had an error of its own, so that a retry may succeed."""
    return bool(_REGISTRY_ERROR.search(message))
