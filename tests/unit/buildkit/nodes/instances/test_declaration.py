"""Declarations of nodes for buildx."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from mpbake.base.errors import UsageError
from mpbake.base.platforms import parse_platforms
from mpbake.buildkit.nodes.instances.declaration import Declaration, create_arguments, declare, for_run
from mpbake.model.marks import MARK, drifted_names, read_mark
from mpbake.model.plan import Driver, Node, TlsFiles

CONTAINER = Node(
    builder="ci",
    name="Local",
    driver=Driver.DOCKER_CONTAINER,
    options=(("image", "moby/buildkit:v1"), ("network", "host")),
)
REMOTE = Node(
    builder="release",
    name="arm",
    driver=Driver.REMOTE,
    endpoint="tcp://10.0.0.5:1234",
    tls=TlsFiles(ca=Path("/c/ca.crt"), cert=Path("/c/client.crt"), key=Path("/c/client.key"), servername="build"),
)


def test_a_remote_node() -> None:
    declared = declare(REMOTE)
    assert declared.options == {
        "cacert": "/c/ca.crt",
        "cert": "/c/client.crt",
        "key": "/c/client.key",
        "servername": "build",
    }
    assert (declared.mark, declared.config, declared.flags) == ("", "", ())
    assert declare(replace(REMOTE, tls=TlsFiles(), options=(("default-load", "true"),))).options == {
        "default-load": "true"
    }


def test_a_container_carries_a_mark_of_all_that_it_was_made_with() -> None:
    # The mark must stay the same in all versions of mpbake, since other machines compare it with their plan.
    mark = "driver=09208fa2;image=4bee1ca1;network=e62c1c09"
    assert declare(CONTAINER).options == {"image": "moby/buildkit:v1", "network": "host", f"env.{MARK}": mark}
    assert declare(replace(CONTAINER, driver=Driver.KUBERNETES)).mark != ""


def test_a_mark_tells_that_a_container_holds_a_workflow_run() -> None:
    asked = replace(CONTAINER, options=(*CONTAINER.options, ("provenance-add-gha", "true")))
    assert declare(asked).mark.startswith(f"{declare(CONTAINER).mark};provenance-add-gha=")


def test_a_mark_does_not_tell_what_only_buildx_heeds() -> None:
    client = replace(
        CONTAINER,
        builder="other",
        endpoint="ssh://far",
        platforms=parse_platforms(["linux/arm64"]),
        options=(*CONTAINER.options, ("default-load", "true"), ("allow-untrusted-image", "true")),
    )
    assert declare(client).mark == declare(CONTAINER).mark
    assert "default-load" in declare(client).options


CLUSTER_NODE = Node(
    builder="k", name="n", driver=Driver.KUBERNETES, options=(("loadbalance", "random"), ("replicas", "2"))
)


def test_a_run_keeps_to_one_of_several_pods() -> None:
    assert "loadbalance" in declare(CLUSTER_NODE).options
    assert dict(for_run(CLUSTER_NODE).options) == {"replicas": "2"}
    assert declare(for_run(CLUSTER_NODE)).mark == declare(CLUSTER_NODE).mark
    assert for_run(CONTAINER) == CONTAINER


@pytest.mark.parametrize("option", [("loadbalance", "sticky"), ("timeout", "5m")])
def test_an_option_of_the_client_is_no_drift_of_a_deployment(option: tuple[str, str]) -> None:
    changed = replace(CLUSTER_NODE, options=(("replicas", "2"), option))
    assert drifted_names(declare(CLUSTER_NODE).mark, declare(changed).mark) == ()
    of_earlier_version = f"{declare(CLUSTER_NODE).mark};{option[0]}=1f0c9a3e"
    assert drifted_names(of_earlier_version, declare(changed).mark) == ()


@pytest.mark.parametrize(
    ("node", "names"),
    [
        (CONTAINER, ()),
        (replace(CONTAINER, options=(("image", "x"), ("network", "host"))), ("image",)),
        (replace(CONTAINER, options=(("memory", "8g"),)), ("image", "memory", "network")),
        (replace(CONTAINER, options=(*CONTAINER.options, ("env.A=B", "1;2"))), ("env.A=B",)),
        (replace(CONTAINER, flags=("--debug",)), ("flags",)),
        (replace(CONTAINER, config="debug = true\n"), ("config",)),
        (replace(CONTAINER, driver=Driver.KUBERNETES), ("driver",)),
    ],
)
def test_what_marks_differ_in(node: Node, names: tuple[str, ...]) -> None:
    assert drifted_names(declare(CONTAINER).mark, declare(node).mark) == names
    assert drifted_names(declare(node).mark, declare(CONTAINER).mark) == names


@pytest.mark.parametrize("mark", ["96c5747e0ee97b71", "=", ";;", "a=1;a=2"])
def test_any_mark_can_be_read(mark: str) -> None:
    read_mark(mark)
    assert drifted_names(mark, declare(CONTAINER).mark)


def test_a_configuration_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("one")
    file = tmp_path / "bk.toml"
    file.write_text('# mine\ndebug = true\n[registry."r.example"]\nca = ["ca.pem"]\n')
    node = replace(CONTAINER, config_file=file)
    inline = replace(
        CONTAINER,
        config=f'debug = true\n[registry."r.example"]\nca = ["{tmp_path}/ca.pem"]\n',
        config_names=(tmp_path / "ca.pem",),
    )
    assert declare(node).config == inline.config
    assert declare(node) == declare(inline), "it does not matter where it is written"
    before = declare(node)
    (tmp_path / "ca.pem").write_text("two")
    assert drifted_names(before.mark, declare(node).mark) == ("config",), "certificates count by content"


def test_files_that_are_missing(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        declare(replace(CONTAINER, config_file=tmp_path / "no.toml"))
    assert str(caught.value) == (
        f"ci/Local: config: there is no file {tmp_path}/no.toml\n"
        "  = correct the path: it is relative to the folder of the file that contains it"
    )
    with pytest.raises(UsageError, match=r"^ci/Local: registry: there is no file /no/ca\.pem"):
        declare(replace(CONTAINER, config="x = 1", config_names=(Path("/no/ca.pem"),)))


def test_files_that_are_too_large(tmp_path: Path) -> None:
    huge = tmp_path / "ca.pem"
    huge.touch()
    os.truncate(huge, 1 << 40)
    with pytest.raises(UsageError) as caught:
        declare(replace(CONTAINER, config="x = 1", config_names=(huge,)))
    assert str(caught.value) == (
        f"ci/Local: registry: {huge} cannot be read: it is larger than 64 MB\n  = use a file that this user can read"
    )


def test_the_arguments_of_create(tmp_path: Path) -> None:
    node = replace(
        CONTAINER, options=(("env.A", 'a,"b"'),), flags=("--debug", "--oci-worker-gc=true x"), config="debug = true\n"
    )
    file = tmp_path / "buildkitd.toml"
    assert create_arguments(declare(node), file) == [
        "--driver-opt",
        '"env.A=a,""b"""',
        "--driver-opt",
        f"env.{MARK}={declare(node).mark}",
        "--buildkitd-flags",
        "--debug '--oci-worker-gc=true x'",
        "--buildkitd-config",
        str(file),
    ]
    assert file.read_text() == "debug = true\n"
    assert create_arguments(declare(replace(REMOTE, tls=TlsFiles())), tmp_path / "none") == []
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("value", "option"),
    [("v", "key=v"), ("a b=c", "key=a b=c"), ("a,b", '"key=a,b"'), ('say "hi"', '"key=say ""hi"""')],
)
def test_an_option_is_a_line_of_csv(value: str, option: str) -> None:
    declaration = Declaration(options={"key": value}, flags=(), config="", mark="")
    assert create_arguments(declaration, Path("none")) == ["--driver-opt", option]
