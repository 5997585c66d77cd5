"""The table of rights: each row has a plan that needs the right because of this row."""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import NamedTuple

import pytest

from mpbake.model.grants import Grant, GrantKind
from mpbake.review.grants import PlanContext, grants_of_builders, needed_grants
from mpbake.review.grants.table import GRANT_ROWS, BuilderRow, TargetRow
from mpbake.spec.tables.builder_tables import OPTIONS
from mpbake.spec.tables.target_tables import ATTRIBUTES
from tests.unit.plans import ROOT, resolve_text, text

TARGET = '[targets.web]\nbuilder = "b"\n'
CONTAINER = '[builders.b]\ndriver = "docker-container"\n'
REMOTE = """
    [builders.b]
    driver = "remote"
    [builders.b.nodes.one]
    endpoint = "tcp://10.0.0.5:1234"
    tls = { ca = "CERTS/ca.pem", cert = "CERTS/client.pem", key = "CERTS/client-key.pem" }
"""
DEPLOY = f'{REMOTE}deploy = {{ host = "ssh://root@10.0.0.5"DEPLOYMENT }}\n'
HOST = ("endpoint=ssh://root@10.0.0.5", "builder b")


def _remote(certs: str = "certs") -> str:
    return f"{text(REMOTE)}\n".replace("CERTS", certs)


def _deployed(deployment: str) -> str:
    written = "\n".join(line.strip() for line in DEPLOY.splitlines())
    return written.replace("CERTS", "certs").replace("DEPLOYMENT", deployment)


class Case(NamedTuple):
    """A part of a row's description, the plan, and the rights that the plan needs, each with its users."""

    about: str
    plan: str
    expected: list[tuple[str, ...]]


CASES = (
    Case(
        "security.insecure",
        '[targets.web]\nentitlements = ["security.insecure"]',
        [("security.insecure", "web.entitlements")],
    ),
    Case(
        "does not know",
        '[targets.web]\nentitlements = ["time.travel=1"]',
        [("entitlement=time.travel=1", "web.entitlements")],
    ),
    Case(
        "a device",
        '[targets.web]\nentitlements = ["device", "device=vendor.com/gpu=0"]',
        [("device", "web.entitlements"), ("device=vendor.com/gpu=0", "web.entitlements")],
    ),
    Case(
        "network.host",
        '[targets.web]\nnetwork = "host"\n[targets.api]\nentitlements = ["network.host"]',
        [("network.host", "web.network", "api.entitlements")],
    ),
    Case(
        "destination",
        """
        [targets.web]
        output = ["type=local,dest=../out", "type=tar,dest=.git/hooks.tar", "type=local,dest=.", "type=tar,dest=ok.tar"]
        cache-to = ["type=local,dest=/var/cache/web", "type=registry,ref=r.example.com/cache"]
        [targets.api]
        output = ["type=oci,dest=build.toml", "type=local,dest=sub/.mpbake", "sub"]
        """,
        [
            ("fs.write=/var/cache/web", "web.cache-to"),
            ("fs.write=/out", "web.output"),
            ("fs.write=.", "web.output", "api.output"),
        ],
    ),
    Case(
        "a file or folder",
        """
        [targets.web]
        context = "../shared"
        contexts = { conf = "/etc/conf", layout = "oci-layout:///var/layout:1@sha256:0", odd = "git@x/../../odd" }
        dockerfile = "../Dockerfile"
        secret = ["id=key,src=../../key", "id=../bare"]
        ssh = ["key=/root/.ssh/id_rsa"]
        cache-from = ["type=local,src=../cache"]
        policy = ["filename=../rules.rego,filename=cwd://../more.rego"]
        """,
        [
            ("fs.read=/shared", "web.context"),
            ("fs.read=/cache", "web.cache-from"),
            ("fs.read=/key", "web.secret"),
            ("fs.read=/root/.ssh/id_rsa", "web.ssh"),
            ("fs.read=/etc/conf", "web.contexts"),
            ("fs.read=/var/layout", "web.contexts"),
            ("fs.read=../odd", "web.contexts"),
            ("fs.read=/Dockerfile", "web.dockerfile"),
            ("fs.read=/rules.rego", "web.policy"),
            ("fs.read=../more.rego", "web.policy"),
            ("fs.read=../bare", "web.secret"),
        ],
    ),
    Case(
        "of a node outside",
        _remote("../certs") + TARGET,
        [(f"fs.read=/certs/{name}.pem", "builder b") for name in ("ca", "client", "client-key")],
    ),
    Case(
        "configuration of buildkitd outside",
        CONTAINER + 'config = "/etc/buildkitd.toml"\n' + TARGET,
        [("fs.read=/etc/buildkitd.toml", "builder b")],
    ),
    Case(
        "that `buildkitd` names",
        CONTAINER + 'buildkitd = { registry."r.example.com".ca = ["../ca.pem"] }\n' + TARGET,
        [("fs.read=/ca.pem", "builder b")],
    ),
    Case(
        "that the file `config` names",
        CONTAINER + 'config = "buildkitd.toml"\n' + TARGET,
        [("fs.read=/named/in/buildkitd.toml", "builder b")],
    ),
    Case(
        "copies into a deployed",
        _deployed(', tls = { ca = "../ca.pem", cert = "../server.pem", key = "../key.pem" }'),
        [(f"fs.read=/{name}.pem", "builder b") for name in ("ca", "server", "key")],
    ),
    Case(
        "`deploy.buildkitd` names",
        _deployed(', buildkitd = { registry."r.example.com".ca = ["../ca.pem"] }'),
        [("fs.read=/ca.pem", "builder b")],
    ),
    Case(
        "from the environment",
        '[targets.web]\nsecret = ["id=a,env=TOKEN", "id=b,type=env,src=OTHER", "id=BARE", "id=c,src=c.txt"]',
        [("env=TOKEN", "web.secret"), ("env=OTHER", "web.secret"), ("env=BARE", "web.secret")],
    ),
    Case(
        "the ssh agent",
        """
        [targets.web]
        ssh = ["default"]
        [targets.api]
        context = "git@github.com:team/api.git"
        contexts = { lib = "ssh://git@github.com/team/lib.git", key = "https://github.com/team/key.git" }
        [targets.key]
        ssh = ["default=keys/id"]
        """,
        [("ssh", "web.ssh", "api.context", "api.contexts")],
    ),
    Case(
        "emulators",
        CONTAINER + 'emulators = "install"\nemulators-image = "me/binfmt:1"',
        [("builder.emulators=me/binfmt:1", "builder b")],
    ),
    Case(
        "`image` of a builder",
        CONTAINER
        + '[builders.b.nodes.one]\nimage = "me/buildkit"\n'
        + '[builders.b.nodes.two]\nendpoint = "far"\nimage = "moby/buildkit:buildx-stable-1"\n'
        + TARGET,
        [("builder.image=me/buildkit", "builder b")],
    ),
    Case("`deploy.image`", _deployed(', image = "me/buildkit"'), [("builder.image=me/buildkit", "builder b")]),
    Case("`flags`", CONTAINER + 'flags = ["--debug"]\n' + TARGET, [("builder.flags=b", "builder b")]),
    Case(
        "`buildkitd` or `config`",
        CONTAINER + 'config = "buildkitd.toml"\n' + TARGET,
        [("builder.config=b", "builder b")],
    ),
    Case("`deploy.buildkitd` of", _deployed(", buildkitd = { debug = true }"), [("builder.config=b", "builder b")]),
    Case("`env`", CONTAINER + 'env = { PATH = "/tmp" }\n' + TARGET, [("builder.env=b", "builder b")]),
    Case(
        "`network` of a node's container",
        CONTAINER + 'network = "host"\n' + TARGET,
        [("builder.network=host", "builder b")],
    ),
    Case(
        "outside of the engine in use",
        """
        [builders.engine.nodes.one]
        endpoint = "ssh://me@far"
        [builders.engine.nodes.two]
        endpoint = "context"
        [builders.engine.nodes.three]
        endpoint = "tcp://far:2376"
        tls = { ca = "ca.pem", cert = "cert.pem", key = "key.pem" }
        [builders.remote]
        driver = "remote"
        [builders.remote.nodes.one]
        endpoint = "tcp://127.0.0.1:1234"
        [builders.remote.nodes.two]
        endpoint = "unix:///run/buildkit.sock"
        [builders.remote.nodes.three]
        endpoint = "docker-container://mine"
        [builders.remote.nodes.four]
        endpoint = "kube-pod://mine"
        [builders.cluster]
        driver = "kubernetes"
        namespace = "ci"
        [targets.web]
        builder = "engine"
        [targets.api]
        builder = "remote"
        [targets.db]
        builder = "cluster"
        """,
        [
            ("endpoint=ssh://me@far", "builder engine"),
            ("endpoint=context", "builder engine"),
            ("endpoint=tcp://far:2376", "builder engine"),
            ("endpoint=tcp://127.0.0.1:1234", "builder remote"),
            ("endpoint=unix:///run/buildkit.sock", "builder remote"),
            ("endpoint=docker-container://mine", "builder remote"),
            ("endpoint=kube-pod://mine", "builder remote"),
            ("endpoint=kubernetes://ci", "builder cluster"),
        ],
    ),
    Case(
        "`context` of an output",
        '[targets.web]\noutput = ["type=docker,context=far"]',
        [("endpoint=far", "web.output")],
    ),
    Case("`external`", "[builders.b]\nexternal = true\n" + TARGET, [("external=b", "builder b")]),
)
NAMED_IN_FILE = [row for row in GRANT_ROWS if isinstance(row, BuilderRow) and row.named_in_file]
ROWS = list(zip(GRANT_ROWS, CASES, strict=True))


def _texts(grants: tuple[Grant, ...]) -> list[tuple[str, ...]]:
    return [(grant.text, *grant.users) for grant in grants]


def _real(path: str) -> str:
    """Resolve no symlink: the plans of these tests exist nowhere."""
    return posixpath.normpath(path)


@pytest.mark.parametrize(("row", "case"), ROWS, ids=[row.about[:40] for row in GRANT_ROWS])
def test_each_row_finds_its_uses(row: TargetRow | BuilderRow, case: Case) -> None:
    assert case.about in row.about, "the cases are in the order of the rows"
    plan = resolve_text(f"\n{text(case.plan)}\n")
    if isinstance(row, BuilderRow) and row.only_up:
        assert needed_grants(plan.targets.values(), ROOT, _real) == ()
        grants = grants_of_builders([plan.builders["b"]], ROOT, _real)
    else:
        named = PlanContext(named_in=lambda path: (Path("/named/in", path.name),) if row in NAMED_IN_FILE else ())
        grants = needed_grants(plan.targets.values(), ROOT, _real, named)
    assert [entry for entry in _texts(grants) if entry[0].startswith(row.kind)] == case.expected


def test_every_kind_has_a_row() -> None:
    assert {row.kind for row in GRANT_ROWS} == set(GrantKind)


ORDINARY = """
[variables]
tag = { default = "1", env = "TAG" }
[builders.container]
driver = "docker-container"
image = "moby/buildkit:buildx-stable-1"
network = "bridge"
memory = "2g"
[builders.engine]
driver = "docker"
[targets.web]
builder = "b"
push = true
platforms = ["linux/amd64", "linux/arm64"]
tags = ["registry.example.com/team/web:{{ tag }}"]
context = "web"
dockerfile = "../shared/Dockerfile"
contexts = { assets = "assets", base = "docker-image://alpine", source = "https://github.com/team/web.git#v1:dir" }
cache-from = ["type=registry,ref=registry.example.com/cache"]
cache-to = ["type=registry,ref=registry.example.com/cache", "type=local,dest=cache"]
secret = ["id=token,src=secrets/token.txt"]
ssh = ["default=keys/id"]
output = ["type=local,dest=out", "type=image"]
args = { VERSION = "{{ tag }}" }
[targets.api]
builder = "container"
network = "none"
[targets.tool]
builder = "engine"
load = true
[targets.plain]
"""


def test_an_ordinary_plan_needs_no_right() -> None:
    plan = resolve_text(f"\n{_remote()}{ORDINARY}")
    assert needed_grants(plan.targets.values(), ROOT, _real) == ()
    assert grants_of_builders(plan.builders.values(), ROOT, _real) == ()


HARMLESS_ATTRIBUTES = {
    *("builder", "args", "labels", "target", "annotations", "tags", "platforms", "platform", "attest", "push", "load"),
    *("needs", "checks", "enabled", "timeout", "stall-timeout", "retries", "no-cache", "no-cache-filter", "pull"),
    *("shm-size", "ulimits", "extra-hosts", "resources", "call", "dockerfile-inline"),
    *("inherits", "description", "matrix", "exclude", "let", "name"),
}
"""The attributes of targets that need no right."""
USED_ATTRIBUTES = {
    "contexts",
    "context",
    "dockerfile",
    "secret",
    "ssh",
    "output",
    "cache-from",
    "cache-to",
    "policy",
} | {*("entitlements", "network")}


def test_each_attribute_is_judged() -> None:
    """A new attribute must either need no right, or be part of a row."""
    assert set(ATTRIBUTES) == HARMLESS_ATTRIBUTES | USED_ATTRIBUTES
    assert not HARMLESS_ATTRIBUTES & USED_ATTRIBUTES
    used = {user.partition(".")[2] for case in CASES for entry in case.expected for user in entry[1:] if "." in user}
    assert used == USED_ATTRIBUTES


HARMLESS_OPTIONS = {
    *("default-load", "memory", "memory-swap", "cpu-quota", "cpu-period", "cpu-shares", "cpuset-cpus", "cpuset-mems"),
    *("cgroup-parent", "restart-policy", "provenance-add-gha", "allow-untrusted-image"),
    *("namespace", "replicas", "requests", "limits", "persistent-volume-claim", "rootless", "schedulername"),
    *("serviceaccount", "nodeselector", "annotations", "labels", "tolerations", "loadbalance", "timeout"),
    *("buildkit-root-volume-memory",),
}
"""The options of nodes that need no right besides the right to use the engine or cluster of the node."""


def test_each_option_of_nodes_is_judged() -> None:
    """A new option must either need no right, or be part of a row."""
    assert set(OPTIONS) == HARMLESS_OPTIONS | {"image", "env", "flags", "config", "buildkitd", "network", "qemu"}
