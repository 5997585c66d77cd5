"""Deployed containers: how they are made, filled, started, and removed; and nodes in a run that do not answer."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.errors import Cancelled, NodeMayBeInUse, Unreachable, UsageError
from mpbake.buildkit.builders.apply import reconcile, stop
from mpbake.buildkit.builders.inventory import inventory
from mpbake.buildkit.builders.removal import prune, remove
from mpbake.buildkit.builders.survey import survey_builder
from mpbake.buildkit.nodes.drivers.container.files import archive
from mpbake.buildkit.nodes.drivers.deployed import DEPLOYED_BACK_END, DeployedContainers, has_connection
from mpbake.buildkit.nodes.drivers.deployed_container import (
    buildkitd_arguments,
    create_arguments,
    node_files,
)
from mpbake.buildkit.nodes.first_start import NodeStart
from mpbake.buildkit.nodes.instances.declaration import resource_mark
from mpbake.certs.authority import Authority, CertificateRequest, make_authority
from mpbake.certs.node_files import CertificateRole
from mpbake.certs.reading import parse_certificates, parse_key
from mpbake.certs.store import create_certificate, create_pair
from mpbake.model.node_state import NodeResource
from mpbake.model.plan import Builder, Deployment, Driver, Node, TlsFiles
from mpbake.report.plan.builder_text import changes_summary, changes_text
from tests.unit.dockers import FakeDocker, done, failed
from tests.unit.plans import text
from tests.unit.tls import issued, serving
from tests.unit.workspaces import workspace_with

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mpbake.buildkit.process.completed import Completed
    from mpbake.model.node_state import NodeRow
    from tests.unit.tls import Certificates

NOW = datetime.now(UTC)
INSPECTED = "Name: ci\nDriver: remote\n\nNodes:\nName: ci-arm\nEndpoint: tcp://x\nPlatforms: linux/arm64*\n"
BARE = Node(
    builder="ci",
    name="arm",
    driver=Driver.DEPLOYED,
    endpoint="docker-container://bk?context=far",
    deploy=Deployment(host="far", container="bk", volume="cache", image="bk:1"),
)
BUILDER = Builder(name="ci", driver=Driver.REMOTE, nodes=(BARE,))


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A node with mutual TLS, and its certificates."""
    made = make_authority("CA", NOW, 90)
    create_certificate(tmp_path / "ca.pem", made.certificate)
    authority = Authority(parse_certificates(made.certificate), parse_key(made.key))
    issued = {"server": (CertificateRole.SERVER, ("build1",)), "client": (CertificateRole.CLIENT, ())}
    for name, (role, hosts) in issued.items():
        pair = authority.issue(CertificateRequest(name=name, role=role, hosts=hosts), NOW, 60)
        create_pair(pair, tmp_path / f"{name}.pem", tmp_path / f"{name}-key.pem")
    files = {name: _tls(tmp_path, name) for name in issued}
    deploy = Deployment(
        host="ssh://root@build1", container="c", volume="v", tls=files["server"], port=1234, image="bk:1"
    )
    return replace(BARE, endpoint="tcp://build1:1234", tls=files["client"], deploy=deploy)


def _tls(folder: Path, name: str) -> TlsFiles:
    return TlsFiles(ca=folder / "ca.pem", cert=folder / f"{name}.pem", key=folder / f"{name}-key.pem")


class Host(FakeDocker):
    """An engine with containers and volumes, and a buildx that reaches every BuildKit."""

    def __init__(self, **answers: Any) -> None:
        super().__init__({name.replace("_", " "): answer for name, answer in answers.items()})
        self.containers: dict[str, dict[str, Any]] = {}
        self.volumes: dict[str, dict[str, str]] = {}

    def run(self, arguments: Sequence[str], **settings: Any) -> Completed:
        """Answer as docker does, as far as mpbake reads it."""
        command = " ".join(arguments)
        if any(command.startswith(words) for words in self.answers if not words.startswith("volume")):
            return super().run(arguments, **settings)
        self.commands.append(command)
        self.inputs.append(settings.get("given", b""))
        match list(arguments):
            case ["container", "inspect", *_, name] if name in self.containers:
                return done(json.dumps(self.containers[name]))
            case ["container", "inspect", *_]:
                return failed("No such container")
            case ["container", "create", "--name", name, *rest]:
                self._create(name, rest)
            case ["container", "start" | "stop" as verb, name]:
                self._named(name)["State"]["Status"] = {"start": "running", "stop": "exited"}[verb]
            case ["container", "rm", *_, name]:
                self.containers.pop(name.removeprefix("id-"), None)
            case ["volume", "inspect", *_, name]:
                return done(json.dumps(self.volumes[name])) if name in self.volumes else failed("no such volume")
            case ["volume", "create", "--label", label, name]:
                self.volumes[name] = dict([label.split("=")])
            case ["volume", "remove" | "rm", name]:
                self.volumes.pop(name, None)
            case ["buildx", "inspect", *_]:
                return done(INSPECTED)
        return done()

    def _named(self, name: str) -> dict[str, Any]:
        return self.containers[name.removeprefix("id-")]

    def _create(self, name: str, options: list[str]) -> None:
        labels = [options[index + 1] for index, option in enumerate(options) if option == "--label"]
        config = {"Env": [], "Image": "", "Labels": dict(label.split("=", 1) for label in labels)}
        status = {"Status": "created"}
        self.containers[name] = {"Id": f"id-{name}", "Name": f"/{name}", "State": status, "Config": config}


# --- the container ----------------------------------------------------------------------------------------------------


def test_the_command_that_creates_a_container(node: Node) -> None:
    command = " ".join(create_arguments(node, node_files(node)))
    labels = [part for part in command.split(" --") if part.startswith("label")]
    assert labels[0] == f"label mpbake-node={resource_mark(node)}"
    assert labels[1:3] == ["label mpbake.image=bk:1", "label mpbake.port=1234"]
    assert command.startswith("container create --name c --restart unless-stopped --privileged --label ")
    assert command.endswith(
        " --mount type=volume,source=v,target=/var/lib/buildkit"
        " --mount type=volume,source=c-files,target=/etc/mpbake,readonly --publish 1234:1234 -- bk:1"
        " --addr unix:///run/buildkit/buildkitd.sock --addr tcp://0.0.0.0:1234"
        " --tlscacert /etc/mpbake/ca.pem --tlscert /etc/mpbake/cert.pem --tlskey /etc/mpbake/key.pem"
    )


def test_without_privileges(node: Node) -> None:
    assert node.deploy is not None
    command = " ".join(create_arguments(replace(node, deploy=replace(node.deploy, rootless=True)), {}))
    assert "--privileged" not in command
    rules = ("seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined")
    assert all(f"--security-opt {rule}" in command for rule in rules)
    assert "target=/home/user/.local/share/buildkit" in command
    assert "--addr unix:///run/user/1000/buildkit/buildkitd.sock" in command


def test_without_a_port() -> None:
    assert buildkitd_arguments(BARE, {}) == ["--addr", "unix:///run/buildkit/buildkitd.sock"]
    command = " ".join(create_arguments(BARE, {}))
    assert "--publish" not in command
    assert "/etc/mpbake" not in command


def test_files_that_only_buildkit_can_read(node: Node) -> None:
    files = node_files(node)
    assert node.deploy is not None
    assert node.deploy.tls.key is not None
    assert files["key.pem"] == node.deploy.tls.key.read_bytes()
    with tarfile.open(fileobj=io.BytesIO(archive(files, 1000))) as tar:
        assert {(entry.name, entry.mode, entry.uid, entry.gid) for entry in tar} == {
            (name, 0o600, 1000, 1000) for name in ("ca.pem", "cert.pem", "key.pem")
        }


def test_the_files_of_a_configuration(tmp_path: Path) -> None:
    path = tmp_path / "r.pem"
    path.write_text("registry")
    config = f'[registry."x:1"]\nca = ["{path}"]\n'
    files = node_files(replace(BARE, config=config, config_names=(path,)))
    assert files == {
        "registry-0.pem": b"registry",
        "buildkitd.toml": b'[registry."x:1"]\nca = ["/etc/mpbake/registry-0.pem"]\n',
    }
    assert "--config" in buildkitd_arguments(BARE, files)


def test_a_key_of_another_certificate(node: Node) -> None:
    assert node.deploy is not None
    wrong = replace(node, deploy=replace(node.deploy, tls=replace(node.deploy.tls, key=node.tls.key)))
    with pytest.raises(UsageError, match=r"deploy\.tls\.key: does not belong to deploy\.tls\.cert"):
        node_files(wrong)


def test_the_mark_has_no_digest_of_a_key(node: Node) -> None:
    before = resource_mark(node)
    assert node.deploy is not None
    assert node.deploy.tls.key is not None
    node.deploy.tls.key.write_text("another")
    assert resource_mark(node) == before
    other = replace(node, deploy=replace(node.deploy, tls=replace(node.deploy.tls, cert=node.tls.cert)))
    assert resource_mark(other) != before


# --- on a host --------------------------------------------------------------------------------------------------------


def test_from_nothing_and_back(tmp_path: Path) -> None:
    host = Host()
    workspace, messages = workspace_with(tmp_path, host)
    shown: list[str] = []
    state = reconcile(workspace, BUILDER, lambda state: shown.append(changes_text(BUILDER, state.changes)))
    assert shown == [
        text("""
        ci (remote)
          + deploy BuildKit on far: it does not exist
              image: bk:1
              restart: unless-stopped
              volume: cache
          + create builder ci: for use by hand: docker buildx build --builder ci
        """)
        + "\n"
    ]
    assert changes_summary(state.changes) == "1 to create, 1 to deploy"
    assert state.errors == ()
    assert messages[0] == "ci/arm: BuildKit deployed on far, and answers"
    assert host.volumes == {"cache": {"mpbake-node": "ci/arm"}}
    entry = json.loads((tmp_path / ".docker/buildx/instances/ci").read_text())
    assert (entry["Driver"], entry["Nodes"][0]["DriverOpts"]) == ("remote", None)

    assert reconcile(workspace, BUILDER, lambda _: None).changes == ()
    assert stop(workspace, BUILDER) == []
    assert host.containers["bk"]["State"]["Status"] == "exited"
    (change,) = reconcile(workspace, BUILDER, lambda _: None).changes
    assert (str(change.action), host.containers["bk"]["State"]["Status"]) == ("start", "running")

    assert remove(workspace, BUILDER, keep_state=True) == []
    assert (host.containers, list(host.volumes)) == ({}, ["cache"])
    assert remove(workspace, BUILDER, keep_state=False) == []
    assert host.volumes == {}


def test_drift_attribute_by_attribute(tmp_path: Path) -> None:
    host = Host()
    workspace, messages = workspace_with(tmp_path, host)
    reconcile(workspace, BUILDER, lambda _: None)
    assert BARE.deploy is not None
    other = replace(BARE, deploy=replace(BARE.deploy, image="bk:2", rootless=True), config="debug = true\n")
    changed = replace(BUILDER, nodes=(other,))
    shown: list[str] = []
    reconcile(workspace, changed, lambda state: shown.append(changes_text(changed, state.changes)))
    assert shown == [
        text("""
        ci (remote)
          ± replace container bk: it was made with other options; its cache stays
              config: (none) -> as declared
              image: bk:1 -> bk:2
              rootless: (none) -> true
        """)
        + "\n"
    ]
    assert messages[-1] == "ci/arm: recreated with its cache, and answers"
    assert set(host.volumes) == {"cache", "bk-files"}
    copied = host.commands.index("container cp - bk-files:/etc/mpbake")
    copy = host.inputs[copied]
    assert isinstance(copy, bytes)
    with tarfile.open(fileobj=io.BytesIO(copy)) as tar:
        assert tar.getnames() == ["buildkitd.toml"]
    assert "bk-files" not in host.containers, "the container of the copy is gone"


def test_a_machine_without_the_files_of_the_server(tmp_path: Path, node: Node) -> None:
    """Somebody else has deployed the node: its certificates are unknown here, so they are no drift."""
    host = Host()
    host.run(["container", "create", "--name", "c", *_labels(node)])
    host.run(["container", "start", "c"])
    assert node.deploy is not None
    for path in (node.deploy.tls.cert, node.deploy.tls.key):
        assert path is not None
        path.unlink()
    workspace, _ = workspace_with(tmp_path, host)
    state = survey_builder(workspace.services, replace(BUILDER, nodes=(node,)), workspace.plan)
    assert (state.errors, [change.kind.value for change in state.changes]) == ((), ["builder"])
    other = replace(node, deploy=replace(node.deploy, restart="always"))
    state = survey_builder(workspace.services, replace(BUILDER, nodes=(other,)), workspace.plan)
    assert [str(difference) for difference in state.changes[0].differences] == ["restart: unless-stopped -> always"]


def _labels(node: Node) -> list[str]:
    """Return the labels in the command that creates the container of `node`."""
    command = create_arguments(node, {})
    return [part for index, part in enumerate(command) if "--label" in (part, command[index - 1])]


def test_a_node_that_left_the_plan(tmp_path: Path) -> None:
    host = Host()
    workspace, messages = workspace_with(tmp_path, host)
    reconcile(workspace, BUILDER, lambda _: None)
    (record,) = workspace.services.records.of_plan(workspace.plan)
    assert prune(workspace, record, {}) == []
    assert (host.containers, host.volumes) == ({}, {})
    assert "ci/arm: container removed, and its cache" in messages
    assert {settings["endpoint"] for settings in host.settings} <= {"far", ""}


def test_an_earlier_volume_goes_with_prune(tmp_path: Path) -> None:
    host = Host()
    workspace, messages = workspace_with(tmp_path, host)
    node = replace(BARE, config="debug = true\n")
    reconcile(workspace, replace(BUILDER, nodes=(node,)), lambda _: None)
    assert BARE.deploy is not None
    moved = replace(BUILDER, nodes=(replace(node, deploy=replace(BARE.deploy, volume="larger")),))
    reconcile(workspace, moved, lambda _: None)
    assert set(host.volumes) == {"bk-files", "cache", "larger"}
    (record,) = workspace.services.records.of_plan(workspace.plan)
    assert prune(workspace, record, {"ci": moved}) == []
    assert (set(host.containers), set(host.volumes)) == ({"bk"}, {"bk-files", "larger"})
    assert messages[-2:] == [
        "ci/arm: its container stays, since ci/arm uses it",
        "ci/arm: its earlier volume cache is removed",
    ]


@pytest.mark.parametrize("declared", [True, False])
def test_a_forgotten_node_may_have_a_volume_with_a_key(tmp_path: Path, *, declared: bool) -> None:
    host = Host()
    workspace, messages = workspace_with(tmp_path, host)
    reconcile(workspace, BUILDER, lambda _: None)
    host.answers["container inspect"] = failed("no route to host")
    (record,) = workspace.services.records.of_plan(workspace.plan)
    if declared:
        assert remove(workspace, BUILDER, keep_state=False, forget=True) == []
    else:
        assert prune(workspace, record, {}, forget=True) == []
    forgotten = "ci/arm: does not answer, and is forgotten; far may still have: "
    assert f"{forgotten}container bk, volume cache, volume bk-files" in messages


@pytest.mark.parametrize("where", ["container start", "container cp"])
def test_a_start_that_fails_leaves_nothing(tmp_path: Path, where: str) -> None:
    error = "Error response from daemon: Bind for 0.0.0.0:1 failed: port is already allocated\n"
    host = Host(**{where.replace(" ", "_"): failed(f"{error}Error: failed to start containers: bk")})
    workspace, messages = workspace_with(tmp_path, host)
    node = replace(BARE, config="debug = true\n")
    state = reconcile(workspace, replace(BUILDER, nodes=(node,)), lambda _: None)
    assert messages == ["ci: not added to buildx's store until all of its nodes can be made"]
    assert [str(problem).splitlines()[0] for problem in state.errors] == [
        "node ci/arm (remote, docker-container://bk?context=far, deployed on far) cannot be used: its port is in use "
        "on the host (Error response from daemon: Bind for 0.0.0.0:1 failed: port is already allocated)"
        if where == "container start"
        else "node ci/arm (remote, docker-container://bk?context=far, deployed on far) cannot be used: its port is in "
        "use on the host (Error: failed to start containers: bk)"
    ]
    assert (host.containers, host.volumes) == ({}, {})


def test_a_start_that_fails_keeps_an_earlier_cache(tmp_path: Path) -> None:
    host = Host(container_start=failed("port is already allocated"))
    host.volumes["cache"] = {"mpbake-node": "ci/arm"}
    workspace, _ = workspace_with(tmp_path, host)
    assert len(reconcile(workspace, BUILDER, lambda _: None).errors) == 1
    assert (host.containers, list(host.volumes)) == ({}, ["cache"])


def test_the_entry_waits_for_the_deployment_of_a_renamed_node(tmp_path: Path) -> None:
    host = Host()
    workspace, messages = workspace_with(tmp_path, host)
    reconcile(workspace, BUILDER, lambda _: None)
    entry = tmp_path / ".docker/buildx/instances/ci"
    before = entry.read_text()
    deploy = Deployment(host="far", container="other", volume="other", image="bk:1")
    renamed = replace(BARE, name="renamed", endpoint="docker-container://other?context=far", deploy=deploy)
    builder = replace(BUILDER, nodes=(renamed,))
    (record,) = workspace.services.records.of_plan(workspace.plan)
    del messages[:]
    assert prune(workspace, record, {"ci": builder}) == []
    assert (entry.read_text(), host.containers) == (before, {})
    stays = "ci: its entry in buildx's store stays until"
    assert messages == [
        "ci/arm: container removed, and its cache",
        f"{stays} `mpbake builders up ci` deploys its nodes",
    ]
    host.answers["container start"] = failed("port is already allocated")
    del messages[:]
    assert len(reconcile(workspace, builder, lambda _: None).errors) == 1
    assert (entry.read_text(), messages) == (before, [f"{stays} all of its nodes can be made"])
    del host.answers["container start"]
    host.answers["buildx inspect"] = done(INSPECTED.replace("ci-arm", "ci-renamed"))
    assert reconcile(workspace, builder, lambda _: None).errors == ()
    assert "ci-renamed" in entry.read_text()


def test_foreign_volumes_stay(tmp_path: Path) -> None:
    host = Host()
    host.volumes["bk-files"] = {}
    workspace, _ = workspace_with(tmp_path, host)
    state = reconcile(workspace, BUILDER, lambda _: None)
    (error,) = state.errors
    assert str(error) == text("""
        ci/arm: mpbake did not make the volume bk-files, and leaves it unchanged
          = rename the builder or the node, or remove the volume: docker --context far volume rm bk-files
        """)
    assert (host.containers, host.volumes) == ({}, {"bk-files": {}})


def test_a_foreign_container_with_the_name_of_the_copy_stays(tmp_path: Path) -> None:
    host = Host()
    host.run(["container", "create", "--name", "bk-files"])
    workspace, _ = workspace_with(tmp_path, host)
    (error,) = reconcile(workspace, BUILDER, lambda _: None).errors
    assert "ci/arm: mpbake did not make the container bk-files, and leaves it unchanged\n" in str(error)
    assert (list(host.containers), host.volumes) == (["bk-files"], {})


def test_an_interrupted_copy_is_removed(tmp_path: Path) -> None:
    host = Host()
    host.run(["container", "create", "--name", "bk-files", "--label", "mpbake-node=files"])
    workspace, _ = workspace_with(tmp_path, host)
    assert reconcile(workspace, BUILDER, lambda _: None).errors == ()
    assert list(host.containers) == ["bk"]


def test_an_interrupted_start_leaves_no_key_after_rm(tmp_path: Path) -> None:
    host = Host(container_create=Cancelled("cancelled"))
    workspace, _ = workspace_with(tmp_path, host)
    node = replace(BARE, config="debug = true\n")
    with pytest.raises(Cancelled):
        reconcile(workspace, replace(BUILDER, nodes=(node,)), lambda _: None)
    assert host.volumes == {}
    host.volumes["bk-files"] = {"mpbake-node": "ci/arm"}  # as after a kill
    assert remove(workspace, BUILDER, keep_state=False) == []
    assert (host.containers, host.volumes) == ({}, {})


def test_files_that_are_missing_are_known_before_anything_is_made(tmp_path: Path, node: Node) -> None:
    host = Host()
    workspace, _ = workspace_with(tmp_path, host)
    assert node.deploy is not None
    assert node.deploy.tls.key is not None
    node.deploy.tls.key.unlink()
    state = reconcile(workspace, replace(BUILDER, nodes=(node,)), lambda _: None)
    (error,) = state.errors
    assert str(error).startswith("ci/arm: deploy.tls.key: there is no file")
    assert "mpbake certs issue" in str(error)
    assert (host.containers, host.volumes) == ({}, {})


def test_an_image_that_another_registry_may_have(tmp_path: Path) -> None:
    host = Host(image_inspect=failed("no"), pull=failed("manifest unknown"))
    workspace, _ = workspace_with(tmp_path, host)
    (error,) = reconcile(workspace, BUILDER, lambda _: None).errors
    assert str(error).endswith('  = set deploy.image = "…" in the node to a BuildKit image that its host can pull')
    assert host.containers == {}


# --- clients of a container -------------------------------------------------------------------------------------------

SOCKETS = """\
  sl  local_address rem_address   st tx_queue
   0: 00000000:04D2 00000000:0000 0A 00000000
   1: 0100007F:04D2 0100007F:D431 {state} 00000000
  sl  local_address                         remote_address                        st tx_queue
   0: 00000000000000000000000000000000:04D2 00000000000000000000000000000000:0000 0A 00000000
"""
MADE = NodeResource(id="id-c", name="c", status="running", mark="m", settings=(("port", "1234"),))


@pytest.mark.parametrize(("state", "used"), [("01", True), ("06", False), ("08", False)])
def test_a_connection_to_the_port(state: str, *, used: bool) -> None:
    sockets = SOCKETS.format(state=state)
    assert has_connection(sockets, 1234) is used
    assert not has_connection(sockets, 1235)
    manager = DeployedContainers(docker=Host(container_exec=done(sockets)))
    assert manager.is_used(BARE, MADE) is used
    assert not manager.is_used(BARE, replace(MADE, status="exited"))
    assert not manager.is_used(BARE, replace(MADE, settings=()))


def test_a_connection_may_be_idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host()
    workspace, _ = workspace_with(tmp_path, host)
    reconcile(workspace, BUILDER, lambda _: None)
    monkeypatch.setattr(DeployedContainers, "is_used", lambda *_: True)
    monkeypatch.setattr("mpbake.buildkit.builders.workspace._IDLE_PAUSE", 0)
    (error,) = stop(workspace, BUILDER)
    assert str(error) == text("""
        ci/arm: a client is connected to bk, so mpbake leaves it unchanged
          = run again when no client is connected
        """)


# --- hosts that do not answer -----------------------------------------------------------------------------------------


def engine_error(node: Node, output: str) -> Unreachable:
    """Return the error of a host whose docker prints `output`."""
    with pytest.raises(Unreachable) as caught:
        DeployedContainers(docker=Host(container_inspect=failed(output))).find(node)
    return caught.value


ADD_USER = "add this user to the group docker: sudo usermod -aG docker USER, then log in again; or correct deploy.host"
NO_DAEMON = "Cannot connect to the Docker daemon at unix:///nope.sock. Is the docker daemon running?"


@pytest.mark.parametrize(
    ("output", "hint"),
    [
        (NO_DAEMON, "start the engine, or correct deploy.host; try: docker -H unix:///nope.sock info"),
        (
            "permission denied while trying to connect to the Docker daemon socket at unix:///nope.sock",
            ADD_USER,
        ),
    ],
)
def test_the_hint_names_the_host_of_the_plan(output: str, hint: str) -> None:
    deploy = Deployment(host="unix:///nope.sock", container="bk", volume="cache")
    assert engine_error(replace(BARE, deploy=deploy), output).hint == hint


def test_a_recorded_node_has_no_endpoint() -> None:
    message = str(engine_error(replace(BARE, endpoint=""), NO_DAEMON))
    assert message.startswith("node ci/arm (remote, deployed on far) cannot be used: ")


def test_connections_that_cannot_be_listed() -> None:
    manager = DeployedContainers(docker=Host(container_exec=failed("no cat")))
    with pytest.raises(NodeMayBeInUse, match="cannot tell whether a build runs in c: no cat") as caught:
        manager.is_used(BARE, MADE)
    assert caught.value.hint == "if no build runs, run: docker --context far rm --force c"


# --- for `mpbake builders` and `mpbake doctor` ------------------------------------------------------------------------


def listed(folder: Path, **changes: Any) -> NodeRow:
    """Deploy the node, and return its row in the inventory after a change of the plan."""
    workspace, _ = workspace_with(folder, Host())
    reconcile(workspace, BUILDER, lambda _: None)
    assert BARE.deploy is not None
    port = changes.pop("port", None)
    changed = replace(BARE, deploy=replace(BARE.deploy, port=port), **changes)
    (row,) = inventory(workspace.services, replace(BUILDER, nodes=(changed,)), workspace.plan)
    return row


def test_the_drift_of_a_node_that_does_not_answer(tmp_path: Path) -> None:
    row = listed(tmp_path, endpoint="tcp://127.0.0.1:1", port=1)
    assert (row.status, row.silent) == ("unusable", True)
    assert row.drift == ("port", "entry: endpoint")
    assert row.trouble == text("""
        node ci/arm does not answer at tcp://127.0.0.1:1: Connection refused
          = its container runs on far: check the port and the firewall; or look at its log: docker --context far logs bk
        """)


def test_a_node_of_another_authority_is_diagnosed_as_in_a_run(tmp_path: Path, certificates: Certificates) -> None:
    other = issued(certificates, tmp_path / "other")
    with serving(certificates.server()) as port:
        row = listed(tmp_path, endpoint=f"tcp://127.0.0.1:{port}", port=port, tls=other.tls())
    assert (row.status, row.silent) == ("unusable", False)
    assert row.drift[0] == "port"
    assert row.trouble == text("""
        the certificate of node ci/arm is signed by an authority other than tls.ca
          = run `mpbake builders up`, or set tls.ca to the authority that signed it
        """)


# --- in a run ---------------------------------------------------------------------------------------------------------


def reach(host: Host, node: Node = BARE) -> tuple[str, ...]:
    """Check the connection to a node in a run."""
    return DEPLOYED_BACK_END.reach(host, node, lambda: NOW, {}, NodeStart.of(node))


def test_a_node_that_nobody_has_deployed() -> None:
    with pytest.raises(Unreachable) as caught:
        reach(Host())
    assert str(caught.value) == text("""
        node ci/arm is missing: no BuildKit is deployed on far
          = deploy it: mpbake builders up ci
        """)


def test_a_node_that_was_stopped_is_started(tmp_path: Path) -> None:
    host = Host()
    workspace, _ = workspace_with(tmp_path, host)
    reconcile(workspace, BUILDER, lambda _: None)
    stop(workspace, BUILDER)
    host.answers["container inspect --format {{.State.Status}} -- bk"] = done("exited")
    with pytest.raises(Unreachable, match="the container bk is exited"):
        reach(host)  # docker says so even after the start
    assert host.commands.count("container start id-bk") == 1
    host.answers["container inspect --format {{.State.Status}} -- bk"] = done("running")
    assert reach(host) == ()


def test_a_node_that_answers_needs_no_host() -> None:
    host = Host(container_inspect=done("running"))
    assert reach(host) == ()
    assert len(host.commands) == 1


def test_a_host_that_does_not_answer_either() -> None:
    host = Host(container_inspect=failed("no route to host"))
    with pytest.raises(Unreachable) as caught:
        reach(host)
    assert "run `mpbake builders up ci` where far can be reached" in caught.value.hint


def test_a_foreign_container(tmp_path: Path) -> None:
    host = Host()
    host.run(["container", "create", "--name", "bk"])
    workspace, _ = workspace_with(tmp_path, host)
    (error,) = reconcile(workspace, BUILDER, lambda _: None).errors
    assert "ci/arm: mpbake did not make the container bk, and leaves it unchanged\n" in str(error)
    assert error.hint == "rename the builder or the node, or remove it: docker --context far rm -f bk"
