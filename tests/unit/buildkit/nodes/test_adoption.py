"""The marks of containers that were made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.toml_text import toml_document
from mpbake.buildkit.nodes.adoption import ActualResource, adopted_mark, daemon_flags, has_declared_config
from mpbake.buildkit.nodes.drivers.cluster.objects import ClusterOptions
from mpbake.buildkit.nodes.drivers.container.options import NAMES, ContainerOptions, reported_settings
from mpbake.buildkit.nodes.instances.declaration import resource_mark
from mpbake.model.existing_builders import ExistingNode
from mpbake.model.marks import drifted_names
from mpbake.model.node_state import ADDED_FLAG
from mpbake.model.plan import Driver, Node

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

NODE = Node(builder="ci", name="one", driver=Driver.DOCKER_CONTAINER)
IMAGE = "moby/buildkit:buildx-stable-1"
CONFIG = ["--config", "/etc/buildkit/buildkitd.toml"]
Options = dict[str, str]


def drift(
    declared: Options,
    *,
    stored: Options | None = None,
    host: Mapping[str, Any] | None = None,
    env: Sequence[str] = (),
    image: str = IMAGE,
) -> tuple[str, ...]:
    """Return the options in which an adopted container differs from its declaration."""
    node = replace(NODE, options=tuple(sorted(declared.items())))
    existing = ExistingNode(name="ci-one", endpoint="", options=tuple((declared if stored is None else stored).items()))
    options = ContainerOptions(config={"Image": image, "Env": env}, host=host or {})
    actual = ActualResource(options=options, names=NAMES, flags=[ADDED_FLAG], files={})
    return drifted_names(adopted_mark(node, existing, actual), resource_mark(node))


@pytest.mark.parametrize(
    ("declared", "host"),
    [
        ({}, {}),
        ({}, {"NetworkMode": "bridge", "CgroupParent": "/docker/buildx", "MemorySwap": 0, "CpuQuota": 0}),
        ({}, {"RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0}}),
        ({"memory": "1.5g"}, {"Memory": 3 << 29, "MemorySwap": 3 << 30}),
        ({"memory": "512mb", "memory-swap": "-1"}, {"Memory": 512 << 20, "MemorySwap": -1}),
        ({"cpu-quota": "50000", "cpu-shares": "0"}, {"CpuQuota": 50000, "CpuShares": 0}),
        ({"cpuset-cpus": "0-3", "network": "host"}, {"CpusetCpus": "0-3", "NetworkMode": "host"}),
        ({"restart-policy": "on-failure:3"}, {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}}),
        ({"default-load": "true"}, {}),
    ],
)
def test_a_container_as_declared(declared: Options, host: Mapping[str, Any]) -> None:
    assert drift(declared, host=host) == ()


def test_images_and_variables_as_declared() -> None:
    assert drift({"image": "bk:1"}, image="bk:1") == ()
    assert drift({"image": "bk:1"}, image="bk:1@sha256:00") == ()
    assert drift({"env.FOO": "bar"}, env=["FOO=bar", "PATH=/bin"]) == ()


@pytest.mark.parametrize(
    ("declared", "host", "names"),
    [
        ({"memory": "2g"}, {"Memory": 1 << 30}, ("memory",)),
        ({}, {"Memory": 1 << 30}, ("memory",)),
        ({"memory": "1g"}, {}, ("memory",)),
        ({}, {"NetworkMode": "host"}, ("network",)),
        ({"restart-policy": "always"}, {"RestartPolicy": {"Name": "no"}}, ("restart-policy",)),
        ({}, {"CpuPeriod": 1000}, ("cpu-period",)),
    ],
)
def test_an_engine_knows_better_than_the_store(
    declared: Options, host: Mapping[str, Any], names: tuple[str, ...]
) -> None:
    assert drift(declared, stored=declared, host=host) == names


def test_the_store_knows_what_no_engine_tells() -> None:
    assert drift({}, stored={"env.OLD": "1"}, env=["OLD=1"]) == ("env.OLD",)
    assert drift({}, stored={"env.OLD": "1"}) == (), "the container has no such variable"
    assert drift({"provenance-add-gha": "true"}, stored={}) == ("provenance-add-gha",)
    assert drift({"image": "other:1"}) == ("image",)
    assert drift({}, stored={"option-of-a-newer-buildx": "1"}) == ("option-of-a-newer-buildx",)


def test_an_older_value_that_is_declared_again_is_no_drift() -> None:
    """The mark holds values in the notation of buildx's store."""
    options = ContainerOptions(config={"Image": IMAGE}, host={"Memory": 1 << 30})
    actual = ActualResource(options=options, names=NAMES, flags=(), files={})
    existing = ExistingNode(name="ci-one", endpoint="", options=(("memory", "1024m"),))
    mark = adopted_mark(replace(NODE, options=(("memory", "2g"),)), existing, actual)
    assert mark == resource_mark(replace(NODE, options=(("memory", "1024m"),)))


def test_flags_of_buildkitd() -> None:
    assert daemon_flags([*CONFIG, "--debug", ADDED_FLAG]) == ("--debug",)
    assert daemon_flags(["--config=/x", "--root", "/y"]) == ("--root", "/y")
    node = replace(NODE, flags=("--debug",))
    actual = ActualResource(
        options=ContainerOptions(config={"Image": IMAGE}, host={}), names=NAMES, flags=["--trace"], files={}
    )
    existing = ExistingNode(name="ci-one", endpoint="", flags=("--debug",))
    assert drifted_names(adopted_mark(node, existing, actual), resource_mark(node)) == ("flags",)


def test_a_configuration_is_compared_by_its_values_and_certificates(tmp_path: Path) -> None:
    authority = tmp_path / "ca.crt"
    authority.write_bytes(b"PEM")
    table = {"debug": True, "registry": {"r:1": {"ca": [str(authority)]}}}
    node = replace(NODE, config=toml_document(table), config_names=(authority,))
    made = b'debug = true\n\n[registry]\n  [registry."r:1"]\n    ca = ["/etc/buildkit/certs/r_1/ca.crt"]\n'
    files = {"buildkitd.toml": made, "certs/r_1/ca.crt": b"PEM"}
    assert has_declared_config(node, files)
    assert not has_declared_config(node, {**files, "certs/r_1/ca.crt": b"OTHER"})
    assert not has_declared_config(node, {**files, "buildkitd.toml": made + b"[worker.oci]\nenabled = false\n"})
    assert not has_declared_config(node, {**files, "buildkitd.toml": b"\xff"})
    assert not has_declared_config(node, {})
    assert not has_declared_config(NODE, files)
    assert has_declared_config(NODE, {})


def test_a_configuration_that_differs_is_drift() -> None:
    node = replace(NODE, config="debug = true\n")
    options = ContainerOptions(config={"Image": IMAGE}, host={})
    existing = ExistingNode(name="ci-one", endpoint="")
    for files in ({}, {"buildkitd.toml": b"debug = false\n"}):
        actual = ActualResource(options=options, names=NAMES, flags=CONFIG, files=files)
        assert drifted_names(adopted_mark(node, existing, actual), resource_mark(node)) == ("config",)


def test_settings_as_an_engine_reports_them() -> None:
    host = {"Memory": 1024, "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}}
    options = ContainerOptions(config={"Image": "x:1", "Env": ["A=b", "MPBAKE_NODE=m"]}, host=host)
    assert dict(reported_settings(options)) == {
        "env.A": "b",
        "image": "x:1",
        "memory": "1024",
        "restart-policy": "on-failure:2",
    }


def test_what_a_cluster_reports() -> None:
    node = replace(NODE, driver=Driver.KUBERNETES, options=(("replicas", "2"), ("requests.cpu", "2")))
    reported = {"image": IMAGE, "replicas": "2", "schedulername": "default-scheduler", "requests.cpu": "2000m"}
    existing = ExistingNode(name="ci-one", endpoint="", options=node.options)
    options = ClusterOptions(settings=reported)
    actual = ActualResource(options=options, names=options.NAMES, flags=(), files={})
    assert adopted_mark(node, existing, actual) == resource_mark(node)
    scaled = replace(actual, options=ClusterOptions(settings={**reported, "replicas": "3", "image": "x:1"}))
    assert drifted_names(adopted_mark(node, existing, scaled), resource_mark(node)) == ("image", "replicas")
