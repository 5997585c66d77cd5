"""The tables of a plan for builders that were made with docker buildx create."""

from __future__ import annotations

from typing import Any

import pytest

from mpbake.model.existing_builders import ExistingBuilder, ExistingNode
from mpbake.spec.imported_builders import ImportedBuilder, ImportPlace, builders_text, imported_builder
from tests.unit.plans import text

IN_USE = "unix:///var/run/docker.sock"
HERE = ImportPlace(
    is_in_use=lambda endpoint: endpoint == IN_USE,
    path=lambda path: path.removeprefix("/project/"),
    kubeconfig="/home/me/.kube/config",
)


def imported(*nodes: ExistingNode, driver: str = "docker-container", name: str = "ci") -> ImportedBuilder:
    return imported_builder(ExistingBuilder(name=name, driver=driver, nodes=nodes), HERE)


def node(name: str = "ci0", endpoint: str = IN_USE, **more: Any) -> ExistingNode:
    options = more.pop("options", {})
    return ExistingNode(name=name, endpoint=endpoint, options=tuple(sorted(options.items())), **more)


def test_what_all_nodes_share_is_declared_once() -> None:
    shared = {"image": "bk:1", "network": "host", "cpu-quota": "50000"}
    builder = imported(
        node(options={**shared, "memory": "1g", "env.FOO": "bar", "env.A.B": "c"}, flags=("--debug",)),
        node(
            "ci-arm", "ssh://arm", platforms=("linux/arm64", "linux/arm/v7"), options={**shared, "default-load": "true"}
        ),
    )
    assert builder.warnings == ()
    assert (
        builders_text([builder])
        == text("""
        version = 1

        [builders.ci]
        driver = "docker-container"
        cpu-quota = 50000
        image = "bk:1"
        network = "host"

        [builders.ci.nodes.ci0]
        buildx-name = "ci0"
        env = { "A.B" = "c", FOO = "bar" }
        memory = "1g"
        flags = ["--debug"]

        [builders.ci.nodes.arm]
        endpoint = "ssh://arm"
        platforms = ["linux/arm64", "linux/arm/v7"]
        default-load = true
        """)
        + "\n"
    )


def test_a_remote_builder_with_tls() -> None:
    tls = {
        "cacert": "/project/certs/ca.pem",
        "cert": "/project/certs/c.pem",
        "key": "/etc/keys/c.pem",
        "servername": "bk",
    }
    builder = imported(node("r-one", "tcp://10.0.0.5:1234", options=tls), driver="remote", name="r")
    assert builder.warnings == ()
    assert (
        builders_text([builder])
        == text("""
        version = 1

        [builders.r]
        driver = "remote"

        [builders.r.nodes.one]
        endpoint = "tcp://10.0.0.5:1234"
        tls = { ca = "certs/ca.pem", cert = "certs/c.pem", key = "/etc/keys/c.pem", servername = "bk" }
        """)
        + "\n"
    )


def test_a_builder_in_a_cluster() -> None:
    options = {
        "namespace": "ci",
        "replicas": "2",
        "requests.cpu": "2",
        "limits.memory": "4Gi",
        "nodeselector": "a=b,c=d",
        "tolerations": "key=x,operator=Exists;key=y,effect=NoSchedule",
        "qemu.install": "true",
        "persistent-volume-claim.requests.storage": "10Gi",
        "annotations": "x=y",
        "loadbalance": "random",
        "timeout": "2m",
    }
    endpoint = "kubernetes://k?deployment=k0&kubeconfig=%2Fhome%2Fme%2F.kube%2Fconfig"
    builder = imported(node("k0", endpoint, options=options), driver="kubernetes", name="k")
    assert builder.warnings == ()
    assert builder.table == {
        "driver": "kubernetes",
        "namespace": "ci",
        "replicas": 2,
        "requests": {"cpu": "2"},
        "limits": {"memory": "4Gi"},
        "nodeselector": {"a": "b", "c": "d"},
        "tolerations": [{"key": "x", "operator": "Exists"}, {"key": "y", "effect": "NoSchedule"}],
        "qemu": {"install": True},
        "persistent-volume-claim": {"requests": {"storage": "10Gi"}},
        "annotations": {"x": "y"},
        "loadbalance": "random",
        "timeout": "2m",
        "nodes": {"k0": {"buildx-name": "k0"}},
    }


def test_another_cluster_is_told() -> None:
    (warning,) = imported(node("k0", "kubernetes://k?kubeconfig=/other"), driver="kubernetes", name="k").warnings
    assert warning == (
        "k: node k0: buildx uses the cluster of /other, and mpbake the cluster of your KUBECONFIG: "
        "check that they are the same"
    )


CONFIG = b"""
debug = true
[worker.oci]
  max-parallelism = 3
[registry."reg:5000"]
  ca = ["/etc/buildkit/certs/reg_5000/ca.crt"]
  [[registry."reg:5000".keypair]]
    key = "/etc/buildkit/certs/reg_5000/k.pem"
    cert = "/etc/buildkit/certs/reg_5000/c.pem"
"""


def test_the_configuration_of_buildkitd_and_its_files() -> None:
    files = {f"certs/reg_5000/{name}": name.encode() for name in ("ca.crt", "k.pem", "c.pem")}
    builder = imported(node(files={"buildkitd.toml": CONFIG, **files, "certs/unused": b"x"}))
    assert builder.files == {f"ci-registries/reg_5000/{name}": name.encode() for name in ("ca.crt", "k.pem", "c.pem")}
    assert (
        builders_text([builder]).partition("\n\n")[2]
        == text("""
        [builders.ci]
        driver = "docker-container"

        [builders.ci.buildkitd]
        debug = true

        [builders.ci.buildkitd.worker.oci]
        max-parallelism = 3

        [builders.ci.buildkitd.registry."reg:5000"]
        ca = ["ci-registries/reg_5000/ca.crt"]

        [[builders.ci.buildkitd.registry."reg:5000".keypair]]
        key = "ci-registries/reg_5000/k.pem"
        cert = "ci-registries/reg_5000/c.pem"

        [builders.ci.nodes.ci0]
        buildx-name = "ci0"
        """)
        + "\n"
    )


@pytest.mark.parametrize(
    ("builder", "reason"),
    [
        (imported(node(), name="my.builder"), "the name of a builder in a plan has only letters, digits, `_` and `-`"),
        (imported(node(), driver="cloud"), "mpbake does not know its driver, cloud"),
        (imported(), "mpbake does not know its driver, docker-container"),
        (
            imported(node(endpoint="podman-container://x"), driver="remote"),
            "mpbake does not support its endpoint podman-container://x",
        ),
        (imported(node("n_1", "kubernetes://k"), driver="kubernetes"), "mpbake would call its node n_1 n-1"),
        (
            imported(node("n", "kubernetes://k?deployment=other"), driver="kubernetes"),
            "its Deployment other is not named after its node",
        ),
        (imported(node(files={"buildkitd.toml": b"\xff="})), "the buildkitd.toml of its node ci0 is not TOML"),
        (
            imported(
                node(files={"buildkitd.toml": b'a = "/etc/buildkit/certs/../../x"', "certs/../../x": b"evil"}),
            ),
            "buildx's store has an unusable file ci-registries/../../x",
        ),
    ],
)
def test_what_a_plan_cannot_declare_is_used_unchanged(builder: ImportedBuilder, reason: str) -> None:
    assert builder.table == {"external": True}
    assert builder.files == {}
    assert builder.warnings == (f"{builder.name}: the plan uses it unchanged (external = true): {reason}",)


def test_an_option_that_no_plan_has_is_left_out_and_told() -> None:
    builder = imported(node(options={"gpus": "all", "qemu.install": "true", "default-load": "maybe"}))
    assert builder.table["nodes"] == {"ci0": {"buildx-name": "ci0"}}
    assert builder.warnings == (
        "ci: node ci0: a plan cannot set the driver option default-load=maybe, so it is left out",
        "ci: node ci0: a plan cannot set the driver option gpus, so it is left out",
        "ci: node ci0: a plan cannot set the driver option qemu.install, so it is left out",
    )


def test_a_password_and_an_open_port_are_told() -> None:
    builder = imported(node(endpoint="tcp://10.0.0.5:2375", options={"env.HTTP_PROXY": "http://u:s3cret-pw@proxy"}))
    assert builder.table["nodes"]["ci0"]["insecure"] is True
    assert builder.warnings == (
        "ci: node ci0: tcp://10.0.0.5:2375 has no TLS (insecure = true): everyone who reaches the port controls it",
        "ci: node ci0: env.HTTP_PROXY holds a password, which the plan would store: remove it there",
    )
    assert imported(node(endpoint="tcp://127.0.0.1:2375")).warnings == ()


def test_names_of_nodes() -> None:
    builder = imported(*(node(name, f"ssh://{name}") for name in ("ci-a", "a", "x.y", "x-y", "ci-", "ci-b.c")))
    assert {name: table.get("buildx-name", "") for name, table in builder.table["nodes"].items()} == {
        "a": "",
        "a-2": "a",
        "x-y": "x.y",
        "x-y-2": "x-y",
        "ci-": "ci-",
        "ci-b-c": "ci-b.c",
    }


def test_the_builders_of_engines() -> None:
    default = imported(node("default", ""), driver="docker", name="default")
    context = imported(node("desktop", "desktop"), driver="docker", name="desktop")
    assert (
        builders_text([default, context])
        == text("""
        version = 1

        [builders.default]
        driver = "docker"

        [builders.desktop]
        driver = "docker"

        [builders.desktop.nodes.desktop]
        endpoint = "desktop"
        """)
        + "\n"
    )
    assert imported(node("a.b", "a.b"), driver="docker", name="a.b").table == {"external": True}


def test_what_is_written_is_safe() -> None:
    builder = imported(
        node(endpoint="ssh://x\x1b[2J", flags=('"\n[targets]',), options={"memory": "1g\n", "env.X": "{{ git.sha }}"})
    )
    lines = builders_text([builder]).splitlines()
    assert 'endpoint = "ssh://x\\u001b[2J"' in lines
    assert 'flags = ["\\"\\n[targets]"]' in lines
    assert "[targets]" not in lines
    assert """env = { X = "{{ '{{' }} git.sha }}" }""" in lines
