"""Error messages of docker, buildx and BuildKit. They are shortened copies of real messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mpbake.base.errors import BuildFailed, MpbakeError, NodeLost, SourceLine, Unreachable
from mpbake.buildkit.bake.definition import DockerfilePath
from mpbake.buildkit.bake.failures import build_error, may_be_lost_node
from mpbake.buildkit.bake.progress import Progress
from mpbake.model.steps import CheckPiece
from tests.unit.graphs import graph_of_text
from tests.unit.plans import text
from tests.unit.rawjson import EXCERPT, FAILED, PROCESS, log, raw, vertex

if TYPE_CHECKING:
    from collections.abc import Mapping

PUSH_REFUSED = "check docker login and your rights in the repository"
PUSH_UNANSWERED = "check that the registry is up and reachable from the node"
STUMBLED = "run again later: the registry, or a proxy in front of it, does not work"
NODE_TRUSTS_NOT = (
    'set buildkitd.registry."r:5000".ca in the builder, in `deploy` of the node, or where the node is created: the '
    "node does not trust the registry's certificate"
)
NODE_KNOWS_NOT = (
    'set buildkitd.registry."r:5000".http = true in the builder, in `deploy` of the node, or where the node is '
    "created: the registry does not speak TLS"
)
NODE_GONE = "check that the node is up and reachable from this machine"
POLICY_DENIES = (
    "change the source, or the policy: `policy` of the target, the file .rego beside its Dockerfile, or "
    "BUILDX_DEFAULT_POLICY"
)
BASE_REFUSED = "check docker login and the name of the base image"
BASE_UNANSWERED = "check that the registry of the base image is up and reachable from the node"


def error_of(
    output: bytes, *, check: CheckPiece | None = None, dockerfiles: Mapping[str, str] | None = None
) -> MpbakeError:
    progress = Progress()
    progress.feed(output)
    progress.close()
    own = ("web", "web-check-1")
    paths = {name: DockerfilePath(path=path) for name, path in (dockerfiles or {}).items()}
    return build_error(progress, "mpbake run web", "/plan/web.log", check, own=own, dockerfiles=paths)


def hint_of(error: MpbakeError) -> str:
    """Return the hint without the command that repeats the build, which is part of every hint."""
    assert error.hint.endswith("repeat with: mpbake run web")
    return error.hint.removesuffix("repeat with: mpbake run web").removesuffix("; ")


COMPLAINTS = {
    (BuildFailed, PUSH_REFUSED): """
        failed to push localhost:5001/web:1: unexpected status from HEAD request to http://localhost:5001/v2/web/\
blobs/sha256:be8d: 401 Unauthorized
        failed to push r.example.com/web:1: unexpected status from POST request to https://r.example.com/v2/web/\
blobs/uploads/: 403 Forbidden
        failed to push team/web:1: push access denied, repository does not exist or may require authorization: \
server message: insufficient_scope: authorization failed
        failed to push ghcr.io/team/web:1: failed to authorize: failed to fetch oauth token: unexpected status from \
GET request to https://ghcr.io/token: 403 Forbidden
        failed to push localhost:5001/web:1: no basic auth credentials
        """,
    (Unreachable, PUSH_UNANSWERED): """
        failed to push localhost:1/web:1: failed to do request: Head "https://localhost:1/v2/web": dial tcp \
127.0.0.1:1: connect: connection refused
        failed to push r.invalid/web:1: failed to do request: Head "https://r.invalid/v2/": dial tcp: lookup \
r.invalid on 10.0.0.1:53: no such host
        """,
    (Unreachable, NODE_TRUSTS_NOT): """
        failed to push r:5000/web:1: failed to do request: Head \
"https://r:5000/v2/": tls: failed to verify certificate: x509: \
certificate signed by unknown authority
        r:5000/base:1: failed to resolve source metadata for r:5000/base:1: failed to do request: Head \
"https://r:5000/v2/base": tls: failed to verify certificate: x509: certificate signed by unknown authority
        """,
    (BuildFailed, NODE_KNOWS_NOT): """
        failed to push r:5000/web:1: failed to do request: Head \
"https://r:5000/v2/": http: server gave HTTP response to HTTPS \
client
        """,
    (Unreachable, STUMBLED): """
        failed to push r/web:1: unexpected status from PUT request to https://r/v2/web/manifests/1: 503 \
Service Unavailable
        r/base:1: failed to resolve source metadata for r/base:1: unexpected status from HEAD request to \
https://r/v2/base/manifests/1: 502 Bad Gateway
        """,
    (BuildFailed, STUMBLED): """
        failed to push r/web:1: unexpected status from PUT request to https://r/v2/web/manifests/1: 500 \
Internal Server Error
        """,
    (NodeLost, NODE_GONE): """
        failed to receive status: rpc error: code = Unavailable desc = error reading from server: EOF
        context deadline exceeded
        Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?
        listing workers for Build: failed to list workers: Unavailable: connection error: desc = "transport: Error \
while dialing: dial tcp 127.0.0.1:1234: connect: connection refused"
        """,
    (BuildFailed, BASE_REFUSED): """
        localhost:5001/base:1: failed to resolve source metadata for localhost:5001/base:1: unexpected status from \
HEAD request to http://localhost:5001/v2/base/manifests/1: 401 Unauthorized
        nosuch/image: failed to resolve source metadata for docker.io/nosuch/image:latest: pull access denied, \
repository does not exist or may require authorization: server message: insufficient_scope: authorization failed
        """,
    (Unreachable, BASE_UNANSWERED): """
        localhost:1/base:1: failed to resolve source metadata for localhost:1/base:1: failed to do request: Head \
"https://localhost:1/v2/base/manifests/1": dial tcp 127.0.0.1:1: connect: connection refused
        """,
    (
        BuildFailed,
        "build on a node with BuildKit 0.27 or newer, or write strict=false to build without the policy on older nodes",
    ): """
        strict policy is not supported by the current BuildKit daemon, please upgrade to version v0.27+
        """,
    (BuildFailed, "build on a node with BuildKit 0.31 or newer, or remove mode=delete"): """
        rpc error: code = Unknown desc = local exporter mode=delete requires a BuildKit daemon with multi-platform \
local export support
        """,
    (BuildFailed, 'remove oci-mediatypes=false, or add attest = ["type=provenance,disabled=true"]'): """
        cannot export attestations with "oci-mediatypes=false"
        """,
    (BuildFailed, POLICY_DENIES): """
        localhost:5000/base:1: failed to resolve source metadata for localhost:5000/base:1: could not resolve image \
due to policy: source "docker-image://localhost:5000/base:1" not allowed by policy: action DENY
        failed to read dockerfile: failed to load LLB: error evaluating the source policy: source "local://dockerfile" \
not allowed by policy: action DENY
        """,
    (BuildFailed, "write the path relative to the build context, or as cwd://FILE relative to the plan's folder"): """
        policy file absent.rego not found
        """,
    (BuildFailed, ""): """
        failed to push r/web:1: unexpected status from PUT request to https://r/v2/web/manifests/1: 400 Bad Request
        localhost:5000/nothing:1: failed to resolve source metadata for localhost:5000/nothing:1: \
localhost:5000/nothing:1: not found
        process "/bin/sh -c echo ERROR: hello; exit 3" did not complete successfully: exit code: 3
        process "/bin/sh -c ./pushing --all # connection refused, 401, code = Unavailable" did not complete \
successfully: exit code: 1
        dockerfile parse error on line 2: unknown instruction: RUNN (did you mean RUN?)
        failed to compute cache key: "/missing": not found
        """,
}
"""Messages by the expected error, one per line."""


@pytest.mark.parametrize(
    ("kind", "hint", "complaint"),
    [(*outcome, complaint) for outcome, complaints in COMPLAINTS.items() for complaint in text(complaints).split("\n")],
)
def test_whose_fault_it_is(kind: type[MpbakeError], hint: str, complaint: str) -> None:
    error = error_of(raw(f"ERROR: failed to solve: {complaint}\n"))
    assert type(error) is kind
    assert error.exit_code == (5 if issubclass(kind, Unreachable) else 1)
    assert hint_of(error) == hint
    assert error.message == f"{complaint}\nlog: /plan/web.log"


@pytest.mark.parametrize(
    "complaint",
    [
        "Cannot connect to the Docker daemon at tcp://10.0.0.5:2376",
        "Is the docker daemon running on this host?",
        'error during connect: Get "http://docker.example.com/v1.44/info": exit status 255',
        "listing workers for Build: failed to list workers: EOF",
        "failed to receive status: rpc error: code = Unknown desc = error reading from server: EOF",
        "rpc error: code = Unavailable desc = keepalive ping failed",
        "rpc error: code = Internal desc = transport is closing",
        "timeout: waiting for connection",
        "closing transport due to: connection error",
        "no buildkit node found",
        "no buildkitd node found",
        'failed to find driver "remote"',
        "no valid drivers found",
        "failed to dial gRPC: unable to upgrade to h2c",
    ],
)
def test_whatever_says_that_a_node_is_gone_is_known_by_itself(complaint: str) -> None:
    error = error_of(raw(f"ERROR: {complaint}\n"))
    assert (type(error), hint_of(error)) == (NodeLost, NODE_GONE)


@pytest.mark.parametrize(
    "complaint",
    ["401", "unexpected status: 403", "authentication required", "authorization failed", "unauthorized", "denied"],
)
def test_whatever_says_that_a_push_is_refused_is_known_by_itself(complaint: str) -> None:
    error = error_of(raw(f"ERROR: failed to solve: failed to push r/web:1: {complaint}\n"))
    assert (type(error), hint_of(error)) == (BuildFailed, PUSH_REFUSED)


@pytest.mark.parametrize(
    "complaint",
    [
        "dial tcp 10.0.0.5:443: connect: connection refused",
        "dial tcp: lookup r.invalid: no such host",
        "dial tcp 10.0.0.5:443: i/o timeout",
        "read tcp 10.0.0.1:40312->10.0.0.5:443: read: connection reset by peer",
        "dial tcp 10.0.0.5:443: connect: network is unreachable",
        "dial tcp 10.0.0.5:443: connect: no route to host",
        "net/http: TLS handshake timeout",
        "dial tcp: lookup r.invalid on 10.0.0.1:53: server misbehaving",
        "context deadline exceeded",
        "unexpected EOF",
        'Head "https://r/v2/": EOF',
        "remote error: tls: internal error",
        "x509: certificate has expired or is not yet valid",
    ],
)
def test_whatever_says_that_a_registry_did_not_answer_is_known_by_itself(complaint: str) -> None:
    error = error_of(raw(f"ERROR: failed to solve: failed to push r/web:1: {complaint}\n"))
    assert (type(error), hint_of(error)) == (Unreachable, PUSH_UNANSWERED)


def test_a_push_by_the_engine_itself() -> None:
    error = error_of(
        raw(
            vertex(
                1, "pushing localhost:5001/web:1 with docker", "1", "2", error="unauthorized: authentication required"
            ),
            "ERROR: unauthorized: authentication required\n",
        )
    )
    assert (type(error), hint_of(error)) == (BuildFailed, PUSH_REFUSED)


def test_output_of_a_build_gives_no_commands_to_a_ci_server() -> None:
    name, output = "[2/2] RUN echo; exit 3", "fine\n  ::add-mask::e\n::error::boo\n##[error]boo\n"
    failing = (vertex(1, name, "1"), log(1, output), vertex(1, name, "1", "2", error=PROCESS))
    shown = str(error_of(raw(*failing, f"ERROR: failed to solve: {PROCESS}\n")))
    assert "  fine\n    \\x3a:add-mask::e\n  \\x3a:error::boo\n  #\\x23[error]boo\n" in shown


def test_a_build_failure_in_full() -> None:
    assert str(error_of(FAILED)) == text(f"""
        {PROCESS}
        output of [2/3] RUN echo ERROR: hello; exit 3:
          ERROR: hello
          last 漢
        in Dockerfile:2:
             1 |     FROM localhost:5000/base:1
             2 | >>> RUN echo ERROR: hello; exit 3
             3 |     RUN true
        log: /plan/web.log
          = repeat with: mpbake run web
        """)


READING = vertex(7, "[base internal] load build definition from Dockerfile", "1", "1")
READING_TOO = vertex(8, "[web internal] load build definition from Dockerfile", "1", "1")
UNPARSED = f"{EXCERPT}ERROR: target base: failed to solve: dockerfile parse error on line 2: unknown instruction\n"
ANONYMOUS = UNPARSED.replace("target base: ", "").encode()


@pytest.mark.parametrize(
    ("output", "dockerfiles", "place"),
    [
        (FAILED, {"web": "docker/Dockerfile"}, "docker/Dockerfile:2"),
        (FAILED, {"web": "docker/Dockerfile", "base": "docker/base.Dockerfile"}, "docker/Dockerfile:2"),
        (FAILED, {"web": "a/Dockerfile", "base": "a/Dockerfile"}, "a/Dockerfile:2"),
        (FAILED, {"web": "a/Dockerfile", "base": "b/Dockerfile"}, "Dockerfile:2"),
        (FAILED.replace(b"[2/3]", b"[base 2/3]"), {"web": "a/Dockerfile", "base": "b/Dockerfile"}, "b/Dockerfile:2"),
        (UNPARSED.encode(), {"web": "a/Dockerfile", "base": "b/Dockerfile"}, "b/Dockerfile:2"),
        (raw(READING) + ANONYMOUS, {"web": "a/Dockerfile", "base": "b/Dockerfile"}, "b/Dockerfile:2"),
        (raw(READING, READING_TOO) + ANONYMOUS, {"web": "a/Dockerfile", "base": "b/Dockerfile"}, "Dockerfile:2"),
        (
            raw(READING) + FAILED.replace(b"[2/3]", b"[web 2/3]"),
            {"web": "a/Dockerfile", "base": "b/Dockerfile"},
            "a/Dockerfile:2",
        ),
        (FAILED, {"web": "web.Dockerfile"}, "Dockerfile:2"),
    ],
)
def test_which_dockerfile_it_is(output: bytes, dockerfiles: dict[str, str], place: str) -> None:
    error = error_of(output, dockerfiles=dockerfiles)
    assert f"\nin {place}:\n" in str(error)
    known = place.partition(":")[0] in dockerfiles.values()
    assert error.source == (SourceLine(file=place.partition(":")[0], line=2) if known else None)


def test_a_dockerfile_outside_of_the_checkout_is_no_source() -> None:
    progress = Progress()
    progress.feed(FAILED)
    paths = {"web": DockerfilePath(path="Dockerfile", local=False)}
    error = build_error(progress, "mpbake run web", "/plan/web.log", own=("web",), dockerfiles=paths)
    assert "\nin Dockerfile:2:\n" in str(error)
    assert error.source is None


def test_a_longer_error_keeps_its_source() -> None:
    error = error_of(FAILED, dockerfiles={"web": "docker/Dockerfile"}).with_line("no tag has moved")
    assert error.source == SourceLine(file="docker/Dockerfile", line=2)


def check_of(written: str) -> CheckPiece:
    graph = graph_of_text(f"[targets.web]\nchecks = [{{ {written} }}]")
    return next(step for step in graph.steps if isinstance(step, CheckPiece))


FALSE = 'process "false" did not complete successfully: exit code: 1'


def failed_check(first: str) -> bytes:
    """Return buildx's output for a failed command, with an excerpt of the Dockerfile."""
    name = '[web-check-1 2/2] RUN ["false"]'
    excerpt = f'Dockerfile:2\n{"-" * 20}\n   1 |     {first}\n   2 | >>> RUN ["false"]\n{"-" * 20}\n'
    failing = (vertex(1, name, "1"), log(1, "why\n"), vertex(1, name, "1", "2", error=FALSE))
    return raw(*failing, excerpt, f"ERROR: failed to solve: {FALSE}\n")


def test_the_dockerfile_that_was_made_for_a_check_is_not_shown() -> None:
    assert str(error_of(failed_check("FROM checked"), check=check_of('run = ["false"]'))) == text(f"""
        {FALSE}
        output of [web-check-1 2/2] RUN ["false"]:
          why
        log: /plan/web.log
          = repeat with: mpbake run web
        """)
    for first, written in (("FROM base", 'run = ["false"]'), ("FROM checked", 'target = "test"')):
        assert "\nin Dockerfile:2:\n" in str(error_of(failed_check(first), check=check_of(written))), "one's own"


@pytest.mark.parametrize("more", ["", " (did you mean test?)"])
def test_a_check_whose_stage_does_not_exist(more: str) -> None:
    output = raw(f'ERROR: target web-check-1: failed to solve: target stage "tset" could not be found{more}\n')
    error = error_of(output, check=check_of('target = "tset"'))
    assert hint_of(error) == 'checks = [{ target = "tset" }] of target web: no such stage in its Dockerfile'
    assert hint_of(error_of(output)) == ""
    assert hint_of(error_of(output, check=check_of('run = ["tset"]'))) == "", "that names no stage"


def test_a_check_whose_stage_fails_by_itself() -> None:
    assert hint_of(error_of(failed_check("FROM base"), check=check_of('target = "test"'))) == ""


def test_what_is_out_of_reach_is_told_without_the_output_of_steps() -> None:
    output = FAILED.replace(b'"error"', b'"errors"') + b"\nERROR: context deadline exceeded\n"
    assert str(error_of(output)).startswith("context deadline exceeded\nin Dockerfile:2:\n")


@pytest.mark.parametrize(("name", "start"), [("web", ""), ("base", "target base: ")])
def test_a_failure_of_a_linked_target_names_it(name: str, start: str) -> None:
    error = error_of(raw(EXCERPT, f"ERROR: target {name}: failed to solve: {PROCESS}\n", "View build details: x\n"))
    assert error.message.split("\n")[0] == f"{start}{PROCESS}"


def test_a_hint_does_not_depend_on_the_target_in_the_message() -> None:
    error = error_of(raw("ERROR: target web: failed to solve: policy file a.rego not found\n"))
    assert hint_of(error).startswith("write the path relative to the build context")


def test_buildx_may_say_nothing_or_something_else() -> None:
    assert str(error_of(b"")) == text("""
        the build failed without a message
        log: /plan/web.log
          = repeat with: mpbake run web
        """)
    silent = raw(vertex(1, "[internal] load metadata for base:1", "1", "2", error="no match for platform"))
    assert error_of(silent).message.startswith("no match for platform\nlog: ")
    assert error_of(b" \nunknown flag: --x\n").message.startswith("unknown flag: --x\n")
    assert error_of(b"\nunknown flag: --metadata-file\n").message.startswith("unknown flag: --metadata-file\n")
    assert error_of(b"ERROR: one\nERROR: two\nthree\n").message.startswith("two\nlog: ")


@pytest.mark.parametrize(
    ("complaint", "doubtful"),
    [
        ("failed to push r/web:1: unexpected status from PUT request: 401 Unauthorized", False),
        ("r/base:1: failed to resolve source metadata for r/base:1: not found", False),
        ('process "/bin/sh -c make" did not complete successfully: exit code: 2', False),
        ('process "/bin/sh -c make" did not complete successfully: exit code: 137', True),
        ('process "/bin/sh -c make" did not complete successfully: exit code: 143', True),
        ("context canceled", True),
        ("failed to prepare sha256:1: no such file or directory", True),
    ],
)
def test_what_may_be_the_nodes_fault(*, complaint: str, doubtful: bool) -> None:
    assert may_be_lost_node(error_of(raw(f"ERROR: failed to solve: {complaint}\n"))) is doubtful
