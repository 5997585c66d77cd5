"""What docker, buildx and BuildKit complain of, as the errors of mpbake. Pure."""

from __future__ import annotations

import posixpath
import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from mpbake.base.errors import BuildFailed, MpbakeError, NodeLost, Unreachable
from mpbake.base.text import one_line, shortened
from mpbake.buildkit.bake.definition import CHECKED
from mpbake.buildkit.bake.progress import target_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mpbake.buildkit.bake.progress import FailedOperation, Progress
    from mpbake.model.steps import CheckPiece

_NO_ANSWER = re.compile(
    r"connection refused|no such host|i/o timeout|connection reset|network is unreachable|no route to host|"
    r"TLS handshake timeout|server misbehaving|context deadline exceeded|unexpected EOF|: EOF\b|"
    r"(?-i:\b50[234] [A-Z])|tls: |x509: |no answer in time",
    re.IGNORECASE,
)
_STUMBLED = re.compile(r"\b50[0234] [A-Z]")
"""Servers and proxies put what follows in words of their own: `Gateway Timeout`, `Gateway Time-out`."""
_UNTRUSTED = re.compile(r"certificate signed by unknown authority|certificate is not trusted")
_WITHOUT_TLS = re.compile(r"server gave HTTP response to HTTPS client")
_ON_THE_NODE = {
    _UNTRUSTED: "the node does not trust the registry's certificate: name its CA with "
    'buildkitd.registry."HOST".ca in the builder, or where the node is made',
    _WITHOUT_TLS: "the registry does not speak TLS: say so with "
    'buildkitd.registry."HOST".http = true in the builder, or where the node is made',
}
_NODE_GONE = re.compile(
    r"Cannot connect to the Docker daemon|error during connect|failed to list workers|error reading from server|"
    r"code = Unavailable|transport is closing|waiting for connection|closing transport|no buildkitd? node|"
    r"failed to find driver|docker daemon running|no valid drivers|failed to dial|^context deadline exceeded$",
    re.IGNORECASE,
)
_OWN_FAULT = re.compile(r"did not complete successfully: exit code: \d+$")
_KILLED = re.compile(r"exit code: (?:137|143)$")
_PUSHING = re.compile(r"failed to push|pushing |push access denied", re.IGNORECASE)
_REFUSED = re.compile(
    r"unauthorized|forbidden|denied|authentication required|authorization failed|no basic auth credentials|"
    r"\b40[13]\b|insufficient_scope",
    re.IGNORECASE,
)
_RESOLVING = re.compile(r"failed to resolve source metadata|failed to do request|pull access denied|failed to copy")
_OF_ATTRIBUTES: Mapping[re.Pattern[str], str] = {
    re.compile("strict policy is not supported"): (
        "build on a node with BuildKit 0.27 or newer, or write strict=false to build without the policy on older nodes"
    ),
    re.compile("mode=delete requires a BuildKit"): (
        "build on a node with BuildKit 0.31 or newer, or take mode=delete away"
    ),
    re.compile('cannot export attestations with "oci-mediatypes=false"'): (
        'take oci-mediatypes=false away, or add attest = ["type=provenance,disabled=true"]'
    ),
    re.compile("not allowed by policy"): (
        "change the source, or the policy: `policy` of the target, the file .rego beside its Dockerfile, or "
        "BUILDX_DEFAULT_POLICY"
    ),
    re.compile("^policy file .* not found$"): (
        "name it relative to the build context, or as cwd://FILE relative to the plan's folder"
    ),
}
"""What to do when buildx or a node refuses an attribute."""
_LONGEST = 2000
"""Characters of a line of output that an error shows."""
_GONE = re.compile(r"snapshot \S+ does not exist: not found$")
_COLLIDED = re.compile(r'image "[^"]+": already exists$')
_TARGET = re.compile(r"target (\S+): ")
_ERROR = re.compile(r"^ERROR: ", re.MULTILINE)
_NO_STAGE = re.compile(r"(?:^|: )target stage \S+ could not be found")
_COMMAND = re.compile(r"\s*(?:::|##\[)")
"""What begins a command to GitHub's runner, whatever blanks stand before it."""
_EXCERPT = re.compile(r"^(?P<file>\S+:\d+)\n-{5,}\n(?P<lines>.*?)\n-{5,}$", re.MULTILINE | re.DOTALL)


def build_error(
    progress: Progress,
    repeat: str,
    log: str,
    check: CheckPiece | None = None,
    *,
    dockerfiles: Mapping[str, str] = MappingProxyType({}),
) -> MpbakeError:
    """Why a build failed: BuildKit's error, the place in the Dockerfile, the step's last words, and what to do.

    `check` is what the build was for, if it was one: a Dockerfile that was made for it is not shown. `dockerfiles` says
    by target where they are.
    """
    text = _complaint(progress.text)
    failed = progress.failed
    # For call = "check" buildx prints no error of its own.
    message = _first_line(text if text.strip() or failed is None else failed.error)
    kind, hint = _kind(message, failed)
    if check is not None and check.check.target and _NO_STAGE.search(message):
        written = f'checks = [{{ target = "{check.check.target}" }}]'
        hint = f"{written} of target {check.target.name}: no such stage in its Dockerfile"
    lines = [message]
    if kind is BuildFailed and failed is not None and failed.tail:
        lines += [f"output of {one_line(failed.name)}:", *(f"  {_quoted(line)}" for line in failed.tail)]
    excerpt = _EXCERPT.search(progress.text)
    if excerpt and not (check is not None and check.check.run and CHECKED in excerpt["lines"]):
        place = _place(excerpt["file"], dockerfiles, _suspects(message, progress))
        lines += [f"in {place}:", *(f"  {line}" for line in excerpt["lines"].splitlines())]
    lines.append(f"log: {log}")
    return kind("\n".join(lines), hint="; ".join(part for part in (hint, f"repeat with: {repeat}") if part))


def _place(file: str, dockerfiles: Mapping[str, str], suspects: Iterable[str]) -> str:
    """`docker/Dockerfile:7` for `Dockerfile:7`, as BuildKit calls it, where it is clear which of that name it is."""
    name, _, line = file.rpartition(":")
    found = {target: path for target, path in dockerfiles.items() if posixpath.basename(path) == name}
    named = [found[target] for target in suspects if target in found]
    paths = dict.fromkeys(named[:1] or found.values())
    return one_line(f"{next(iter(paths))}:{line}") if len(paths) == 1 else file


def _suspects(message: str, progress: Progress) -> Iterator[str]:
    """The target at fault where a call is about several: as buildx names it, or the one that the failure is of.

    Else it is the only one whose Dockerfile has been read; those that link to it wait for that.
    """
    found, failed = _TARGET.match(message), progress.failed
    yield from (found[1],) if found else ()
    yield from (target_of(failed.name),) if failed else ()
    yield from map(target_of, progress.reading) if len(progress.reading) == 1 else ()


def _quoted(line: str) -> str:
    """A line of a build's own output, not to be taken for a command to the CI server that prints it.

    The log has it whole.
    """
    line = shortened(line, _LONGEST)
    return f"| {line}" if _COMMAND.match(line) else line


def is_push_failure(progress: Progress) -> bool:
    """Whether what failed is not the build but the push of what was built."""
    message = _first_line(_complaint(progress.text))
    return not _OWN_FAULT.search(message) and _is_push(message, progress.failed)


def _is_push(message: str, failed: FailedOperation | None) -> bool:
    return bool(_PUSHING.search(message) or (failed is not None and _PUSHING.search(failed.name)))


def has_lost_result(progress: Progress) -> bool:
    """Whether BuildKit counts on a result that is gone, as of a build that it has just cancelled: it would again."""
    return bool(_GONE.search(_first_line(_complaint(progress.text))))


def is_store_collision(progress: Progress) -> bool:
    """Whether an engine could not keep an image since another build kept the same one at that moment."""
    return bool(_COLLIDED.search(_first_line(_complaint(progress.text))))


def is_image_failure(error: MpbakeError, reference: str) -> bool:
    """Whether a build failed since its node could not have the image that `reference` names by its digest."""
    message, digest = error.message.partition("\n")[0], reference.rpartition("@")[2]
    return bool(digest) and digest in message and _RESOLVING.search(message) is not None


def is_doubtful(error: MpbakeError) -> bool:
    """Whether a build may have failed because its node went away, although nothing says so.

    A command that ends by itself, and a registry that says no, are nobody else's fault.
    """
    message = error.message.partition("\n")[0]
    if _OWN_FAULT.search(message):
        return bool(_KILLED.search(message))
    return not (_PUSHING.search(message) or _RESOLVING.search(message))


def _kind(message: str, failed: FailedOperation | None) -> tuple[type[MpbakeError], str]:
    if _OWN_FAULT.search(message):
        return BuildFailed, ""
    if refused := next((hint for pattern, hint in _OF_ATTRIBUTES.items() if pattern.search(message)), ""):
        return BuildFailed, refused
    if _is_push(message, failed):
        if _REFUSED.search(message):
            return BuildFailed, "the registry refuses the push: check docker login and the repository's rights"
        unanswered = "the registry does not answer the node: is it up, and does the node reach that address?"
        return _trouble(message, unanswered, _ON_THE_NODE)
    if _NODE_GONE.search(message):
        return NodeLost, "the node went away meanwhile: is it up, and reachable from this machine?"
    if _RESOLVING.search(message):
        if _REFUSED.search(message):
            return BuildFailed, "the registry does not give out a base image: check its name and docker login"
        return _trouble(message, "a base image's registry does not answer the node", _ON_THE_NODE)
    return BuildFailed, ""


def _trouble(complaint: str, unanswered: str, remedies: Mapping[re.Pattern[str], str]) -> tuple[type[MpbakeError], str]:
    """Whose trouble it is that a registry refuses nothing and yet fails.

    The remedies of some complaints are given, and that of any other where nobody answered.
    """
    kind = Unreachable if _NO_ANSWER.search(complaint) else BuildFailed
    remedy = next((remedy for pattern, remedy in remedies.items() if pattern.search(complaint)), "")
    if remedy:
        return kind, remedy
    if is_registry_error(complaint):
        return kind, "the registry, or a proxy before it, answers that it cannot at the moment: try again later"
    return kind, unanswered if kind is Unreachable else ""


def _complaint(text: str) -> str:
    """The part of buildx's text that says why: from the last ERROR on."""
    return _ERROR.split(text)[-1]


def _first_line(text: str) -> str:
    line = next((line for line in text.splitlines() if line.strip()), "the build failed without saying why")
    return line.removeprefix("failed to solve: ").strip()


def is_registry_error(complaint: str) -> bool:
    """Whether a registry, or a proxy before it, failed for a reason of its own, and may do better the next time."""
    return bool(_STUMBLED.search(complaint))
