"""The options of nodes: their values for buildx and buildkitd, and invalid options."""

from __future__ import annotations

import pytest

from mpbake.model.plan import Driver, Node
from mpbake.spec.tables.builder_tables import OPTIONS
from tests.unit.plans import ROOT, problems_of_text, resolve_text, text


def node_of_text(toml: str) -> Node:
    """Return the first node of the builder `x`."""
    return resolve_text(toml).builders["x"].nodes[0]


CONTAINER = node_of_text("""
        [builders.x]
        image = "moby/buildkit:v0.20.0"
        env = { HTTP_PROXY = "http://p:3128", LEVEL = 3 }
        network = "host"
        memory = "8g"
        memory-swap = "-1"
        cpu-quota = 200000
        cpu-period = 100000
        cpu-shares = 512
        cpuset-cpus = "0-3,5"
        cpuset-mems = 0
        cgroup-parent = "/builds"
        restart-policy = "on-failure:3"
        default-load = true
        provenance-add-gha = false
        allow-untrusted-image = true
        flags = ["--debug"]
        buildkitd = { debug = true }
        """)


def test_every_option_of_a_container() -> None:
    node = CONTAINER
    assert dict(node.options) == {
        "image": "moby/buildkit:v0.20.0",
        "env.HTTP_PROXY": "http://p:3128",
        "env.LEVEL": "3",
        "network": "host",
        "memory": "8g",
        "memory-swap": "-1",
        "cpu-quota": "200000",
        "cpu-period": "100000",
        "cpu-shares": "512",
        "cpuset-cpus": "0-3,5",
        "cpuset-mems": "0",
        "cgroup-parent": "/builds",
        "restart-policy": "on-failure:3",
        "default-load": "true",
        "provenance-add-gha": "false",
        "allow-untrusted-image": "true",
    }
    assert node.flags == ("--debug",)
    assert node.config == "debug = true\n"


DEPLOYMENT = node_of_text("""
        [builders.x]
        driver = "kubernetes"
        image = "moby/buildkit:v0.20.0"
        namespace = "ci"
        replicas = 3
        requests = { cpu = 2, memory = "4Gi", ephemeral-storage = "10Gi" }
        limits.cpu = "4"
        persistent-volume-claim.requests.storage = "20Gi"
        rootless = true
        schedulername = "s"
        serviceaccount = "a"
        nodeselector = { "kubernetes.io/arch" = "arm64", pool = "builds" }
        annotations = { a = "1" }
        labels = { b = "2" }
        tolerations = [{ key = "arm", operator = "Exists", effect = "NoSchedule" }, { tolerationSeconds = 30 }]
        loadbalance = "random"
        qemu = { install = true, image = "tonistiigi/binfmt" }
        buildkit-root-volume-memory = "1Gi"
        default-load = true
        timeout = "2m"
        env.A = "b"
        """)


def test_every_option_of_a_deployment() -> None:
    node = DEPLOYMENT
    assert node.driver is Driver.KUBERNETES
    assert dict(node.options) == {
        "image": "moby/buildkit:v0.20.0",
        "namespace": "ci",
        "replicas": "3",
        "requests.cpu": "2",
        "requests.memory": "4Gi",
        "requests.ephemeral-storage": "10Gi",
        "limits.cpu": "4",
        "persistent-volume-claim.requests.storage": "20Gi",
        "rootless": "true",
        "schedulername": "s",
        "serviceaccount": "a",
        "nodeselector": "kubernetes.io/arch=arm64,pool=builds",
        "annotations": "a=1",
        "labels": "b=2",
        "tolerations": "key=arm,operator=Exists,effect=NoSchedule;tolerationSeconds=30",
        "loadbalance": "random",
        "qemu.install": "true",
        "qemu.image": "tonistiigi/binfmt",
        "buildkit-root-volume-memory": "1Gi",
        "default-load": "true",
        "timeout": "2m",
        "env.A": "b",
    }


def test_every_option_has_been_tried_above() -> None:
    options_for_driver = {name for name, option in OPTIONS.items() if option.to_driver}
    tried = {**dict(CONTAINER.options), **dict(DEPLOYMENT.options)}
    assert options_for_driver == {name.partition(".")[0] for name in tried}


def test_what_a_node_says_stands_in_for_its_builders() -> None:
    plan = resolve_text("""
        [defaults.builder]
        memory = "4g"
        [builders.x]
        network = "host"
        memory = "8g"
        flags = ["--debug"]
        buildkitd = { debug = true }
        [builders.x.nodes]
        small = { endpoint = "ssh://a", memory = "1g", config = "bk.toml", flags = [] }
        large = { endpoint = "ssh://b" }
        """)
    small, large = plan.builders["x"].nodes
    assert dict(small.options) == {"network": "host", "memory": "1g"}
    assert (small.config, small.config_file, small.flags) == ("", ROOT / "bk.toml", ())
    assert dict(large.options) == {"network": "host", "memory": "8g"}
    assert (large.config, large.config_file, large.flags) == ("debug = true\n", None, ("--debug",))


def test_what_is_empty_means_nothing() -> None:
    assert node_of_text("""
        [builders.x]
        image = ""
        network = "{{ '' }}"
        env = {}
        """) == Node(builder="x", name="local", driver=Driver.DOCKER_CONTAINER)


def test_files_of_registries_count_from_the_plans_folder() -> None:
    node = node_of_text("""
        [builders.x.buildkitd.registry."r.example"]
        ca = ["certs/ca.pem", "/etc/ca.pem"]
        keypair = [{ key = "certs/key.pem", cert = "certs/cert.pem" }]
        """)
    assert (
        node.config
        == text("""
        [registry."r.example"]
        ca = ["/plan/certs/ca.pem", "/etc/ca.pem"]
        [[registry."r.example".keypair]]
        key = "/plan/certs/key.pem"
        cert = "/plan/certs/cert.pem"
        """)
        + "\n"
    )
    assert [str(path) for path in node.config_names] == [
        "/plan/certs/ca.pem",
        "/etc/ca.pem",
        "/plan/certs/key.pem",
        "/plan/certs/cert.pem",
    ]


@pytest.mark.parametrize("registry", ["1", "{ a = 1 }", "{ a = { ca = 'x' } }", "{ a = { keypair = [1] } }"])
def test_a_configuration_of_any_shape_is_left_to_buildkitd(registry: str) -> None:
    assert node_of_text(f"[builders.x]\nbuildkitd = {{ registry = {registry} }}").config.startswith(("registry", "["))


def test_numbers_of_a_configuration_keep_their_spelling() -> None:
    assert node_of_text("[builders.x]\nbuildkitd = { a = 8.10, b = 1 }").config == "a = 8.10\nb = 1\n"


def test_options_of_nodes_that_mpbake_deploys() -> None:
    assert problems_of_text("""
        [builders.b]
        driver = "remote"
        buildkitd = { debug = true }
        [builders.b.nodes.one]
        endpoint = "docker-container://c?context=far"
        deploy.host = "far"
        image = "x"
        memory = "1g"
        """) == text("""
        build.toml:4: builders.b.buildkitd: the remote driver does not support buildkitd
            buildkitd = { debug = true }
          = set deploy.buildkitd of the node instead
        build.toml:8: builders.b.nodes.one.image: the remote driver does not support image
            image = "x"
          = set deploy.image of the node instead
        build.toml:9: builders.b.nodes.one.memory: the remote driver does not support memory
            memory = "1g"
          = remove it: a remote BuildKit is configured where it is started
        """)


def test_what_a_driver_does_not_know() -> None:
    assert problems_of_text("""
        [builders.a]
        driver = "docker"
        buildkitd = { debug = true }
        [builders.b]
        driver = "remote"
        image = "x"
        namespace = "n"
        nodes.one = { endpoint = "unix:///x", flags = ["--debug"] }
        [builders.c]
        replicas = 2
        """) == text("""
        build.toml:4: builders.a.buildkitd: the docker driver does not support buildkitd
            buildkitd = { debug = true }
          = remove it, or use driver = "docker-container" or "kubernetes"
        build.toml:7: builders.b.image: the remote driver does not support image
            image = "x"
          = remove it: a remote BuildKit is configured where it is started
        build.toml:8: builders.b.namespace: the remote driver does not support namespace
            namespace = "n"
          = remove it, or use driver = "kubernetes"
        build.toml:9: builders.b.nodes.one.flags: the remote driver does not support flags
            nodes.one = { endpoint = "unix:///x", flags = ["--debug"] }
          = remove it: a remote BuildKit is configured where it is started
        build.toml:11: builders.c.replicas: the docker-container driver does not support replicas
            replicas = 2
          = remove it, or use driver = "kubernetes"
        """)


def test_defaults_hold_only_for_the_drivers_that_know_them() -> None:
    plan = resolve_text("""
        [defaults.builder]
        image = "moby/buildkit"
        replicas = 2
        [builders.a]
        driver = "remote"
        nodes.one.endpoint = "unix:///x"
        [builders.b]
        """)
    assert [builder.nodes[0].options for builder in plan.builders.values()] == [
        (),
        (("image", "moby/buildkit"),),
        (("image", "moby/buildkit"),),
    ]


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        ('memory = "8 gigs"', '"8 gigs" is not a valid value for memory\n  = write an amount such as 512m or 8g'),
        (
            'memory-swap = "-2"',
            '"-2" is not a valid value for memory-swap\n  = write an amount such as 512m or 8g, or -1 for no limit',
        ),
        (
            'cpuset-cpus = "a"',
            '"a" is not a valid value for cpuset-cpus\n  = write numbers and ranges, such as 0-3 or 0,2',
        ),
        (
            'restart-policy = "sometimes"',
            (
                '"sometimes" is not a valid value for restart-policy\n'
                "  = use no, always, unless-stopped, on-failure or on-failure:NUMBER"
            ),
        ),
        ('cpu-quota = "much"', "must be a whole number, not text"),
        ("cpu-shares = 1.5", "must be a whole number, not a number"),
        ('default-load = "yes"', "must be true or false, not text"),
    ],
)
def test_values_that_are_none(option: str, problem: str) -> None:
    message, _, hint = problem.partition("\n")
    name = option.partition(" ")[0]
    expected = f"build.toml:3: builders.x.{name}: {message}\n    {option}" + (f"\n{hint}" if hint else "")
    assert problems_of_text(f"\n[builders.x]\n{option}") == expected


def test_a_wrong_default_is_told_once_and_where_it_stands() -> None:
    assert problems_of_text("""
        [defaults.builder]
        memory = "8 gigs"
        loadbalance = "never"
        [builders.a]
        [builders.b]
        """) == text("""
        build.toml:3: defaults.builder.memory: "8 gigs" is not a valid value for memory
            memory = "8 gigs"
          = write an amount such as 512m or 8g
        build.toml:4: defaults.builder.loadbalance: "never" is not a valid value for loadbalance
            loadbalance = "never"
          = use sticky or random
        """)


def test_a_template_in_the_defaults_is_told_where_it_stands() -> None:
    assert problems_of_text("""
        [defaults.builder]
        image = "{{ nothing }}"
        [builders.a]
        [builders.b]
        memory = "1g"
        """) == text("""
        build.toml:3: defaults.builder.image: unknown variable "nothing"
            image = "{{ nothing }}"
          = there are no variables
        """)


def test_an_operator_of_kubernetes_that_is_none() -> None:
    assert problems_of_text("""
        [builders.x]
        driver = "kubernetes"
        tolerations = [{ key = "a" }, { key = "b", operator = "Exist" }]
        """) == text("""
        build.toml:4: builders.x.tolerations[1].operator: unknown operator "Exist"
            tolerations = [{ key = "a" }, { key = "b", operator = "Exist" }]
          = did you mean "Exists"?
        """)


def test_one_buildkit_has_one_configuration() -> None:
    assert problems_of_text("""
        [builders.x]
        config = "a.toml"
        buildkitd = { debug = true }
        """) == text("""
        build.toml:3: builders.x.config: config and buildkitd both configure BuildKit
            config = "a.toml"
          = keep one of them
        """)


def test_times_of_a_builder() -> None:
    node = node_of_text("[builders.x]\nboot-timeout = '90s'\ncertificate-days = 0")
    assert (node.boot_timeout, node.certificate_days) == (90.0, 0)
    assert "is not a duration" in problems_of_text("[builders.x]\nboot-timeout = 'soon'")
