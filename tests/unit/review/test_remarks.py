"""What a reviewer should look at first."""

from __future__ import annotations

from typing import Any

import pytest

from mpbake.model.emulators import EMULATORS_IMAGE
from mpbake.review.remarks import is_outside, remarks_on
from tests.unit.graphs import graph_of_text, review_of

NODE = 'platforms = ["linux/amd64"]'


def remarks(toml: str, **changes: Any) -> list[str]:
    """Return the remarks on a plan, with these `changes` to its document, each as one line."""
    document = review_of(graph_of_text(toml)).document | changes
    return [f"{remark.kind} {','.join(remark.subjects)}: {remark.text}" for remark in remarks_on(document)]


def grant(allow: str, *users: str) -> dict[str, Any]:
    """Return a grant of a plan document."""
    kind, _, value = allow.partition("=")
    return {"allow": allow, "kind": kind, "value": value, "users": list(users)}


def test_a_node_behind_tls_is_not_insecure() -> None:
    tls = 'tls = { ca = "ca.pem", cert = "c.pem", key = "k.pem" }'
    assert not remarks(f"""
        [targets.web]
        builder = "x"
        [builders.x]
        driver = "remote"
        nodes.a = {{ endpoint = "tcp://a:1", insecure = true, {tls}, {NODE} }}
        """)


def test_an_ordinary_plan_has_no_remarks() -> None:
    assert not remarks("""
        [targets.web]
        context = "web"
        contexts = { base = "target:base", other = "docker-image://alpine", up = "./files" }
        dockerfile = "Dockerfile.web"
        args = { A = "/etc" }
        cache-from = ["type=local,src=cache", "type=registry,ref=r/cache"]
        cache-to = ["type=local,dest=cache"]
        output = ["type=local,dest=out", "out2"]
        network = "none"
        builder = "x"
        [targets.base]
        [builders.x]
        image = "moby/buildkit:buildx-stable-1"
        network = "bridge"
        memory = "4g"
        nodes.a = {}
        """)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ('secret = ["id=t,env=TOKEN"]', ["secret web: t from the environment variable TOKEN"]),
        ('secret = ["id=t,src=token,type=env"]', ["secret web: t from the environment variable token"]),
        ('secret = ["id=t,src=secrets/t"]', ["secret web: t from the file secrets/t"]),
        (
            'secret = ["id=t"]',
            ["secret web: t from the environment variable t, or from the file of this name"],
        ),
        ('ssh = ["default"]', ["ssh web: default from the ssh agent"]),
        ('ssh = ["key=../id"]', ["ssh web: key from the file ../id"]),
        ('entitlements = ["security.insecure"]', ["privilege web: security.insecure"]),
        (
            'network = "host"\nentitlements = ["network.host"]',
            ["privilege web: network.host", "network web: RUN steps use the network of the host"],
        ),
        ('context = "../x"', ["read web: context ../x (outside of the plan's folder)"]),
        ('contexts = { a = "/etc" }', ["read web: contexts /etc (outside of the plan's folder)"]),
        ('dockerfile = "../Dockerfile"', ["read web: dockerfile ../Dockerfile (outside of the plan's folder)"]),
        ('cache-to = ["type=local,dest=/c"]', ["write web: cache-to /c (outside of the plan's folder)"]),
        ('cache-from = ["type=local,src=../c"]', ["read web: cache-from ../c (outside of the plan's folder)"]),
        ('output = ["../out"]', ["write web: output ../out (outside of the plan's folder)"]),
        (
            'output = ["type=local,dest=out,mode=delete"]',
            ["delete web: other files in the folder of output type=local,dest=out,mode=delete"],
        ),
        (
            'tags = ["r/x"]\npush = true\noutput = ["type=registry,registry.insecure=true"]',
            ["insecure web: pushes without verified TLS"],
        ),
        ('tags = ["r/x"]\noutput = ["type=registry,registry.insecure=false"]', []),
        (
            'platforms = ["linux/amd64", "linux/arm64"]\nplatform."linux/arm64".contexts.a = "../arm"',
            ["read web: contexts ../arm (outside of the plan's folder)"],
        ),
    ],
)
def test_a_target(attributes: str, expected: list[str]) -> None:
    assert remarks("\n[targets.web]\n" + attributes) == expected


@pytest.mark.parametrize(
    ("builder", "expected"),
    [
        ('image = "evil/buildkit"', ["image x/a: evil/buildkit"]),
        ('flags = ["--debug"]', ["flag x/a: --debug"]),
        ('env = { HTTP_PROXY = "http://p" }', ["env x/a: HTTP_PROXY=http://p"]),
        ('network = "host"', ["network x/a: the node is in the network host"]),
        ("buildkitd = { debug = true }", ["config x/a: buildkitd.toml of the plan: debug = true"]),
        ('driver = "kubernetes"\nqemu = { install = true, image = "r/q" }', ["image x/a: r/q"]),
    ],
)
def test_a_builder(builder: str, expected: list[str]) -> None:
    assert remarks(f"\n[targets.web]\nbuilder = 'x'\n[builders.x]\n{builder}\nnodes.a = {{ {NODE} }}") == expected


def test_remote_nodes() -> None:
    tls = '{ ca = "/etc/ca.crt", cert = "c.crt", key = "c.key", servername = "/x" }'
    deploy = '{ host = "ssh://me@far", image = "r/own", tls = { ca = "ca.crt", cert = "s.crt", key = "s.key" } }'
    assert remarks(f"""
        [targets.web]
        builder = "x"
        platforms = ["linux/amd64", "linux/arm64"]
        [builders.x]
        driver = "remote"
        nodes.a = {{ endpoint = "tcp://a:1", insecure = true, {NODE} }}
        nodes.b = {{ endpoint = "tcp://b:1", platforms = ["linux/arm64"], tls = {tls}, deploy = {deploy} }}
        """) == [
        "insecure x/a: tcp://a:1 without TLS",
        "read x/b: tls /etc/ca.crt (outside of the plan's folder)",
        "deploy x/b: `mpbake builders up` starts the container mpbake-x-b on ssh://me@far",
        "image x/b: r/own",
    ]


def test_emulators() -> None:
    plan = "\n[targets.web]\nbuilder = 'x'\n[builders.x]\nemulators = 'install'\nnodes.a = {}"
    assert remarks(plan) == [
        f"emulators x: `mpbake builders up` installs emulators from {EMULATORS_IMAGE}, as root of the node's machine"
    ]


def test_an_external_builder() -> None:
    assert remarks("\n[targets.web]\nbuilder = 'x'\n[builders.x]\nexternal = true") == [
        "external x: an existing builder of buildx"
    ]


def test_grants_come_first_and_are_not_said_twice() -> None:
    plan = """
        [targets.web]
        context = "../x"
        secret = ["id=t,env=TOKEN"]
        entitlements = ["security.insecure"]
        """
    grants = [
        grant("security.insecure", "web.entitlements"),
        grant("fs.read=../x", "web.context"),
        grant("env=TOKEN", "web.secret"),
    ]
    assert remarks(plan, grants=grants) == [
        "right web.entitlements: security.insecure",
        "right web.context: fs.read=../x",
        "right web.secret: env=TOKEN",
        "secret web: t from the environment variable TOKEN",
    ]


def test_targets_with_the_same_remark_are_joined_and_kinds_stay_together() -> None:
    assert remarks("""
        [targets._base]
        secret = ["id=t,env=TOKEN"]
        [targets.web]
        inherits = ["_base"]
        ssh = ["default"]
        [targets.api]
        inherits = ["_base"]
        """) == ["secret web,api: t from the environment variable TOKEN", "ssh web: default from the ssh agent"]


@pytest.mark.parametrize(
    ("path", "outside"),
    [("a", False), (".", False), ("a/../b", False), ("..a", False), ("..", True), ("a/../../b", True), ("/a", True)],
)
def test_paths_outside(path: str, *, outside: bool) -> None:
    assert is_outside(path) is outside
