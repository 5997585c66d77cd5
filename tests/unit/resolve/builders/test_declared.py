"""Builders and nodes that a plan declares."""

from __future__ import annotations

import pytest

from mpbake.base.platforms import Platform
from mpbake.model.plan import Builder, Driver, Emulation, Node, TlsFiles
from mpbake.resolve import DEFAULT_BUILDER
from tests.unit.plans import ROOT, problems_of_text, resolve_text, text

AMD64 = Platform(os="linux", architecture="amd64")
I386 = Platform(os="linux", architecture="386")
ARM64 = Platform(os="linux", architecture="arm64")


def test_a_remote_builder_with_everything() -> None:
    plan = resolve_text("""
        [variables]
        port = 1234
        [builders.release]
        driver = "remote"
        emulation = "forbid"
        [builders.release.nodes.amd64]
        endpoint = "tcp://10.0.0.5:{{ port }}"
        platforms = ["linux/amd64", "linux/386", "linux/x86_64"]
        tls = { ca = "certs/ca.crt", cert = "certs/client.crt", key = "/etc/client.key", servername = "build" }
        [builders.release.nodes.arm64]
        endpoint = "tcp://10.0.0.6:{{ port }}"
        insecure = true
        """)
    tls = TlsFiles(
        ca=ROOT / "certs/ca.crt",
        cert=ROOT / "certs/client.crt",
        key=ROOT.joinpath("/etc/client.key"),
        servername="build",
    )
    amd64 = Node(
        builder="release",
        name="amd64",
        driver=Driver.REMOTE,
        endpoint="tcp://10.0.0.5:1234",
        platforms=(AMD64, I386),
        tls=tls,
    )
    arm64 = Node(builder="release", name="arm64", driver=Driver.REMOTE, endpoint="tcp://10.0.0.6:1234", insecure=True)
    assert plan.builders["release"] == Builder(
        name="release", driver=Driver.REMOTE, nodes=(amd64, arm64), emulation=Emulation.FORBID
    )
    assert amd64.id == "release/amd64"


def test_a_builder_without_nodes_is_one_container_of_the_engine_in_use() -> None:
    plan = resolve_text("""
        [builders.ci]
        image = "moby/buildkit:v0.20.0"
        network = "host"
        """)
    node = Node(
        builder="ci",
        name="local",
        driver=Driver.DOCKER_CONTAINER,
        options=(("image", "moby/buildkit:v0.20.0"), ("network", "host")),
    )
    assert plan.builders["ci"] == Builder(name="ci", driver=Driver.DOCKER_CONTAINER, nodes=(node,))


@pytest.mark.parametrize(
    ("defaults", "driver", "emulation"),
    [
        ("", Driver.AUTOMATIC, Emulation.WARN),
        ('driver = "docker"', Driver.DOCKER, Emulation.WARN),
        ('driver = "docker-container"\nemulation = "allow"', Driver.DOCKER_CONTAINER, Emulation.ALLOW),
        ("driver = \"{{ 'docker' }}\"", Driver.DOCKER, Emulation.WARN),
    ],
)
def test_the_builder_of_targets_that_name_none(defaults: str, driver: Driver, emulation: Emulation) -> None:
    plan = resolve_text(f"\n[targets.web]\n[defaults.builder]\n{defaults}")
    node = Node(builder="default", name="local", driver=driver)
    builder = Builder(name="default", driver=driver, nodes=(node,), emulation=emulation)
    assert plan.builders == {DEFAULT_BUILDER: builder}
    assert plan.targets["web"].builder is plan.builders["default"]


def test_a_plan_may_declare_the_default_builder_itself() -> None:
    plan = resolve_text("""
        [builders.default]
        driver = "docker-container"
        nodes = { one = { endpoint = "ssh://one" }, two = { endpoint = "ssh://two" } }
        [targets.web]
        """)
    assert [node.id for node in plan.targets["web"].builder.nodes] == ["default/one", "default/two"]


def test_a_builder_configures_its_buildkit_in_either_way_whichever_the_defaults_take() -> None:
    plan = resolve_text("""
        [defaults.builder]
        config = "all.toml"
        [builders.a]
        buildkitd = { debug = true }
        [builders.b]
        """)
    (a,), (b,) = plan.builders["a"].nodes, plan.builders["b"].nodes
    assert (a.config, a.config_file) == ("debug = true\n", None)
    assert (b.config, b.config_file) == ("", ROOT / "all.toml")


def test_defaults_hold_for_every_builder_that_does_not_say_otherwise() -> None:
    plan = resolve_text("""
        [defaults.builder]
        driver = "docker-container"
        emulation = "forbid"
        image = "moby/buildkit:v1"
        network = "host"
        [builders.a]
        [builders.b]
        emulation = "allow"
        image = "other"
        [builders.c]
        driver = "docker"
        """)
    builders = {
        name: (builder.driver, builder.emulation, dict(builder.nodes[0].options))
        for name, builder in plan.builders.items()
    }
    defaults = {"image": "moby/buildkit:v1", "network": "host"}
    assert builders == {
        "a": (Driver.DOCKER_CONTAINER, Emulation.FORBID, defaults),
        "b": (Driver.DOCKER_CONTAINER, Emulation.ALLOW, defaults | {"image": "other"}),
        "c": (Driver.DOCKER, Emulation.FORBID, {}),
        "default": (Driver.DOCKER_CONTAINER, Emulation.FORBID, defaults),
    }


def test_nodes_keep_the_order_of_the_file() -> None:
    plan = resolve_text("""
        [builders.x.nodes]
        zeta = { endpoint = "1" }
        alpha = { endpoint = "2" }
        """)
    assert [node.name for node in plan.builders["x"].nodes] == ["zeta", "alpha"]


def test_platforms_of_a_node_may_come_from_a_list() -> None:
    plan = resolve_text("""
        [variables]
        own = ["linux/arm64"]
        [builders.x.nodes.y]
        platforms = "{{ own }}"
        """)
    assert plan.builders["x"].nodes[0].platforms == (ARM64,)


REMOTE = "a remote node needs an endpoint"
REMEDY = 'add one, for example endpoint = "tcp://10.0.0.5:1234"'


def test_a_remote_node_needs_an_endpoint() -> None:
    assert problems_of_text("""
        [builders.a]
        driver = "remote"
        [builders.b]
        driver = "remote"
        [builders.b.nodes.one]
        [builders.c]
        driver = "remote"
        nodes.one.endpoint = "{{ '' }}"
        """) == text(f"""
        build.toml:2: builders.a.nodes.local: {REMOTE}
            [builders.a]
          = {REMEDY}
        build.toml:6: builders.b.nodes.one: {REMOTE}
            [builders.b.nodes.one]
          = {REMEDY}
        build.toml:9: builders.c.nodes.one: {REMOTE}
            nodes.one.endpoint = "{{{{ '' }}}}"
          = {REMEDY}
        """)


def test_the_default_driver_may_be_remote_when_every_target_names_a_builder() -> None:
    plan = """
        [defaults.builder]
        driver = "remote"
        [builders.release]
        nodes.one.endpoint = "tcp://localhost:1234"
        [targets.web]
        builder = "release"
        """
    assert resolve_text(plan).targets["web"].builder.driver is Driver.REMOTE
    assert problems_of_text(plan.replace('builder = "release"', "")) == text("""
        build.toml:6: targets.web: the default driver is remote, but no builder is named
            [targets.web]
          = name a builder that has nodes, or declare [builders.default]
        """)


def test_a_kubernetes_node_has_no_endpoint() -> None:
    assert problems_of_text("""
        [builders.cluster]
        driver = "kubernetes"
        nodes = { one = { endpoint = "a" }, two = {} }
        """) == text("""
        build.toml:4: builders.cluster.nodes.one.endpoint: a kubernetes node cannot have an endpoint
            nodes = { one = { endpoint = "a" }, two = {} }
          = remove it: the Deployment is created in the current context of KUBECONFIG, as with kubectl
        """)


def test_names_of_deployments_have_no_underscores() -> None:
    plan = resolve_text("""
        [builders.My_cluster]
        driver = "kubernetes"
        nodes.one_a = {}
        [builders.My_engine]
        nodes.one_a = {}
        """)
    names = {builder.name: builder.nodes[0].buildx_name for builder in plan.builders.values()}
    assert names == {"My_cluster": "my-cluster-one-a", "My_engine": "my_engine-one_a", "default": "default-local"}


def test_nodes_of_a_kubernetes_builder_share_the_cluster() -> None:
    plan = resolve_text("""
        [builders.cluster]
        driver = "kubernetes"
        nodes = { one = {}, two = {} }
        """)
    assert [node.id for node in plan.builders["cluster"].nodes] == ["cluster/one", "cluster/two"]


@pytest.mark.parametrize(
    ("driver", "tls", "problem"),
    [
        ("remote", 'cert = "c"', "cert and key must be set together\n  = set both, or neither"),
        ("remote", 'ca = "a", key = "k"', "cert and key must be set together\n  = set both, or neither"),
        (
            "docker",
            'servername = ""',
            'the docker driver does not support tls\n  = remove it, or use driver = "docker-container" or "remote"',
        ),
    ],
)
def test_tls(driver: str, tls: str, problem: str) -> None:
    message, _, hint = problem.partition("\n")
    plan = f"""
        [builders.x]
        driver = "{driver}"
        [builders.x.nodes.y]
        endpoint = "tcp://y"
        tls = {{ {tls} }}
        """
    assert problems_of_text(plan) == f"build.toml:6: builders.x.nodes.y.tls: {message}\n    tls = {{ {tls} }}\n{hint}"


def test_one_endpoint_serves_one_node_of_a_builder() -> None:
    assert problems_of_text("""
        [builders.x.nodes]
        one = { endpoint = "ssh://a" }
        two = { endpoint = "ssh://b" }
        three = { endpoint = "ssh://a" }
        [builders.y.nodes]
        one = {}
        "t\\nwo" = {}
        [builders.z.nodes]
        one = { endpoint = "ssh://a" }
        """) == text(r"""
        build.toml:5: builders.x.nodes.three: node "three" has the same endpoint as "one"
            three = { endpoint = "ssh://a" }
          = change one of them: a builder can use an endpoint only once
        build.toml:8: builders.y.nodes."t\nwo": "t\nwo" is not a valid name
            "t\nwo" = {}
          = use letters, digits, - and _ (in templates: {{ x | replace('.', '-') }})
        build.toml:8: builders.y.nodes."t\nwo": node "t\nwo" has the same endpoint as "one"
            "t\nwo" = {}
          = change one of them: a builder can use an endpoint only once
        """)


@pytest.mark.parametrize("name", ["a b", "a.b", "a/b", "", "ä", "a\u0000", "a\n"])
def test_names_that_are_none(name: str) -> None:
    quoted = '"' + name.replace("\x00", "\\u0000").replace("\n", "\\n") + '"'
    shown = name.replace("\x00", "\\x00").replace("\n", "\\n")
    hint = "use letters, digits, - and _ (in templates: {{ x | replace('.', '-') }})"
    assert problems_of_text(f"\n[builders.{quoted}]\n[builders.x.nodes.{quoted}]") == (
        f'build.toml:2: builders."{shown}": "{shown}" is not a valid name\n    [builders.{quoted}]\n  = {hint}\n'
        f'build.toml:3: builders.x.nodes."{shown}": "{shown}" is not a valid name\n'
        f"    [builders.x.nodes.{quoted}]\n  = {hint}"
    )


@pytest.mark.parametrize("name", ["1", "8-1", "_ci"])
def test_the_name_of_a_builder_begins_with_a_letter(name: str) -> None:
    assert problems_of_text(f"\n[builders.{name}]\n[builders.x.nodes.{name}]") == text(f"""
        build.toml:2: builders.{name}: a builder's name must start with a letter
            [builders.{name}]
          = rename it: buildx accepts no other names
        """)


def test_the_names_of_builders_and_nodes_do_not_look_like_options() -> None:
    assert problems_of_text("\n[builders.--tls]\n[builders.x.nodes.-x]") == text("""
        build.toml:2: builders.--tls: "--tls" looks like a command-line option
            [builders.--tls]
          = start the name with a letter, a digit or _
        build.toml:3: builders.x.nodes.-x: "-x" looks like a command-line option
            [builders.x.nodes.-x]
          = start the name with a letter, a digit or _
        """)


def test_a_node_of_the_default_builders_name() -> None:
    assert resolve_text("[builders.default.nodes.local]").builders["default"].nodes[0].buildx_name == "default-local"


def test_builders_whose_names_differ_in_case_only() -> None:
    """The names of their nodes are equal as well, but mpbake does not report that as another problem."""
    assert problems_of_text("""
        [builders.CI.nodes.local]
        [builders.ci.nodes.local]
        [builders.Ci]
        external = true
        """) == text("""
        build.toml:3: builders.ci: builders "ci" and "CI" have the same buildx name ci
            [builders.ci.nodes.local]
          = rename one of them
        build.toml:4: builders.Ci: builders "Ci" and "CI" have the same buildx name ci
            [builders.Ci]
          = rename one of them
        """)


@pytest.mark.parametrize("table", ["Default.nodes.local", "DEFAULT.nodes.far"])
def test_a_builder_whose_name_differs_from_the_default_builders_in_case_only(table: str) -> None:
    name = table.partition(".")[0]
    assert problems_of_text(f"\n[builders.{table}]") == text(f"""
        build.toml:2: builders.{name}: builders "{name}" and "default" have the same buildx name default
            [builders.{table}]
          = write "default", the builder of targets that name none, or rename yours
        """)


def test_two_nodes_of_one_name_to_buildx() -> None:
    assert problems_of_text("""
        [builders.a.nodes.b-c]
        [builders.a-b.nodes.c]
        [builders.a-b.nodes.d]
        endpoint = "ssh://d"
        """) == text("""
        build.toml:3: builders.a-b.nodes.c: nodes a-b/c and a/b-c have the same buildx name a-b-c
            [builders.a-b.nodes.c]
          = rename one of them
        """)


def test_a_plan_may_set_the_name_of_a_node_in_buildx() -> None:
    (node,) = resolve_text('[builders.ci.nodes.one]\nbuildx-name = "CI0"').builders["ci"].nodes
    assert (node.id, node.buildx_name) == ("ci/one", "ci0")
    assert problems_of_text("""
        [builders.a.nodes.b]
        [builders.c.nodes.d]
        buildx-name = "a-b"
        endpoint = "ssh://d"
        [builders.c.nodes.e]
        buildx-name = "../x"
        """) == text("""
        build.toml:3: builders.c.nodes.d: nodes c/d and a/b have the same buildx name a-b
            [builders.c.nodes.d]
          = rename one of them
        build.toml:7: builders.c.nodes.e.buildx-name: "../x" is not a valid name of a node in buildx
            buildx-name = "../x"
          = use letters, digits, `.`, `_` and `-`, with a letter first; `docker buildx ls` lists the names of nodes
        """)


def test_templates_of_a_builder_are_checked_after_rendering() -> None:
    assert problems_of_text("""
        [variables]
        driver = "dokker"
        [builders.x]
        driver = "{{ driver }}"
        emulation = "{{ nope }}"
        [builders.x.nodes.y]
        endpoint = "{{ {'a': 1} }}"
        platforms = ["{{ driver }}", "{{ '{{' }}"]
        """) == text("""
        build.toml:5: builders.x.driver: unknown value "dokker"
            driver = "{{ driver }}"
          = did you mean "docker"?
        build.toml:6: builders.x.emulation: unknown variable "nope"
            emulation = "{{ nope }}"
          = known variables: driver
        build.toml:8: builders.x.nodes.y.endpoint: must be text in quotes, not a table
            endpoint = "{{ {'a': 1} }}"
        build.toml:9: builders.x.nodes.y.platforms[0]: "dokker" is not a platform: write \
os/architecture[/variant], such as linux/arm64
            platforms = ["{{ driver }}", "{{ '{{' }}"]
        build.toml:9: builders.x.nodes.y.platforms[1]: "{{" is not a platform: write \
os/architecture[/variant], such as linux/arm64
            platforms = ["{{ driver }}", "{{ '{{' }}"]
        """)


# --- endpoints --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("driver", "endpoint"),
    [
        ("remote", "tcp://10.0.0.5:1234"),
        ("remote", "tcp://build.example.com"),
        ("remote", "tcp://[::1]:1234"),
        ("remote", "unix:///run/buildkitd.sock"),
        ("remote", "docker-container://buildkitd"),
        ("remote", "kube-pod://buildkitd?namespace=ci"),
        ("docker", "ssh://me@far"),
        ("docker", "desktop-linux"),
        ("docker-container", "ssh://me@far:2222"),
        ("docker-container", "tcp://far:2376"),
        ("docker-container", "unix:///var/run/docker.sock"),
        ("docker-container", "my.context_1+x"),
        ("docker-container", ""),
    ],
)
def test_endpoints(driver: str, endpoint: str) -> None:
    node = f"{{ endpoint = '{endpoint}', insecure = true }}"
    plan = resolve_text(f"\n[builders.x]\ndriver = '{driver}'\nnodes.y = {node}")
    assert plan.builders["x"].nodes[0].endpoint == endpoint


REMOTE_SCHEMES = "use one of tcp://, unix://, docker-container://, kube-pod://"
ENGINE_SCHEMES = "use one of ssh://, tcp://, unix://"


@pytest.mark.parametrize(
    ("driver", "endpoint", "problem"),
    [
        ("remote", "10.0.0.5:1234", "is not a URL\n  = write tcp://10.0.0.5:1234"),
        ("remote", "ssh://far", f"the remote driver does not support ssh://\n  = {REMOTE_SCHEMES}"),
        ("remote", "://far", f"the remote driver does not support ://\n  = {REMOTE_SCHEMES}"),
        ("remote", "TCP://far", f"the remote driver does not support TCP://\n  = {REMOTE_SCHEMES}"),
        (
            "docker-container",
            "docker-container://x",
            f"the docker-container driver does not support docker-container://\n  = {ENGINE_SCHEMES}",
        ),
        ("docker", "http://far", f"the docker driver does not support http://\n  = {ENGINE_SCHEMES}"),
        *(
            (driver, f"tcp://{host}", "has no valid host and port\n  = write it like tcp://10.0.0.5:1234")
            for driver in ("remote", "docker-container")
            for host in ("", ":1234", "far:0", "far:99999", "far:port", "[::1", "-far", "me@:1")
        ),
        ("docker", "ssh://-oProxyCommand=x", "has no valid host and port\n  = write it like ssh://10.0.0.5:1234"),
        ("docker", "ssh://me@-oProxyCommand=x", "has no valid host and port\n  = write it like ssh://10.0.0.5:1234"),
        *(
            (
                "remote",
                f"unix://{path}",
                "the path of a unix socket must be absolute\n  = write it like unix:///run/buildkitd.sock",
            )
            for path in ("", "buildkitd.sock")
        ),
        *(
            (driver, name, f'"{name}" is neither a URL nor a valid name of a docker context')
            for driver in ("docker", "docker-container")
            for name in ("-c", "far:1234", "a b", "a/b", "--tls")
        ),
        *(
            (
                "remote",
                f"docker-container://{name}",
                "has no valid container name\n  = write it like docker-container://my-buildkit",
            )
            for name in ("", "-x", "--privileged", "--privileged?context=far", "a b", "a/b")
        ),
        *(
            ("remote", f"kube-pod://{name}", "has no valid pod name\n  = write it like kube-pod://my-buildkit")
            for name in ("", "-x", "--kubeconfig=x", "-x?namespace=ci", "x-", "a/b")
        ),
    ],
)
def test_endpoints_that_are_none(driver: str, endpoint: str, problem: str) -> None:
    message, _, hint = problem.partition("\n")
    plan = f"\n[builders.x]\ndriver = '{driver}'\nnodes.y.endpoint = '{endpoint}'\nnodes.y.insecure = true"
    problems = problems_of_text(plan)
    assert problems == "\n".join(
        part
        for part in (
            f"build.toml:4: builders.x.nodes.y.endpoint: {message}",
            f"    nodes.y.endpoint = '{endpoint}'",
            hint,
        )
        if part
    )


def test_an_endpoint_of_control_characters_is_escaped() -> None:
    for driver in ("remote", "docker", "docker-container"):
        for start in ("", "x://", "tcp://-", "unix://"):
            problems = problems_of_text(
                f"\n[builders.x]\ndriver = '{driver}'\nnodes.y.endpoint = \"{start}\\u001b[2J\""
            )
            assert problems.startswith("build.toml:4: builders.x.nodes.y.endpoint: ")
            assert "\x1b" not in problems
