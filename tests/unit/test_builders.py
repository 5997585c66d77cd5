"""Builders brought up and taken away, as far as it does not take a real engine."""

from __future__ import annotations

import errno
import json
import os
import socket
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.buildkit import site as module
from mpbake.buildkit.builders import bring_up, stop
from mpbake.buildkit.declaration import declare
from mpbake.buildkit.inventory import inventory
from mpbake.buildkit.records import record_of
from mpbake.buildkit.removal import prune, remove
from mpbake.buildkit.site import Site
from mpbake.buildkit.survey import look
from mpbake.buildkit.tools import tools_for
from mpbake.lifecycle import ALWAYS, MARK, changes_text, inventory_text
from mpbake.plan import Builder, Driver, Node
from mpbake.platforms import parse_platforms
from tests.unit.dockers import FakeDocker, container, done, failed
from tests.unit.plans import text
from tests.unit.tls import serving

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mpbake.buildkit.docker import Completed
    from tests.unit.tls import Certificates

LOCAL = Node(
    builder="ci",
    name="local",
    driver=Driver.DOCKER_CONTAINER,
    endpoint="ssh://far",
    platforms=parse_platforms(["linux/arm64"]),
    options=(("memory", "8g"),),
)
CI = Builder(name="ci", driver=Driver.DOCKER_CONTAINER, nodes=(LOCAL,))
INSPECTED = (
    "Name: ci\nDriver: docker-container\n\nNodes:\nName: ci-local\nEndpoint: ssh://far\nPlatforms: linux/arm64*\n"
)


class Engine(FakeDocker):
    """An engine with at most one container, and a buildx that writes instances down as the real one does.

    At the endpoint `other`, if any, is another engine, with a container of the same name.
    """

    def __init__(self, *, mark: str = "", status: str = "running", busy: bool = False, **answers: Any) -> None:
        named = {name.replace("_", " "): answer for name, answer in answers.items()}
        usual = {"container": done(), "volume": done(), "image inspect": done(), "buildx inspect": done(INSPECTED)}
        super().__init__({**named, **{words: each for words, each in usual.items() if words not in named}})
        self.made = mark
        self.status = status
        self.busy = busy
        self.unreachable = False
        self.foreign = False
        self.other = ""

    def run(self, arguments: Sequence[str], **settings: Any) -> Completed:
        """Do as docker does, where it matters."""
        command = " ".join(arguments)
        if command.startswith("container inspect"):
            self.commands.append("container inspect")
            if self.unreachable:
                return failed("no route to host")
            if settings["endpoint"] == self.other != "":
                found = container(f"{MARK}={self.made}")
                return replace(found, stdout=found.stdout.replace("c0ffee", "7ea"))
            if self.foreign:
                return container("OTHER=1")
            if not self.made:
                return failed("No such container")
            return container(f"{MARK}={self.made}", status=self.status, busy=self.busy)
        if command.startswith("container rm"):
            self.made = ""
        if command.startswith("buildx create"):
            self._create(list(arguments), Path(settings["environment"]["BUILDX_CONFIG"]))
            self.commands.append("buildx create")
            return done()
        if "--bootstrap" in arguments and "buildx boot" not in self.answers:
            self.made, self.status = self.made or declare(LOCAL).mark, "running"
        if "--bootstrap" in arguments and "buildx boot" in self.answers:
            return self.answers["buildx boot"]  # type: ignore[no-any-return]
        return super().run(arguments, **settings)

    def _create(self, arguments: list[str], store: Path) -> None:
        name = arguments[arguments.index("--name") + 1]
        options = dict(
            arguments[index + 1].partition("=")[::2] for index, each in enumerate(arguments) if each == "--driver-opt"
        )
        node = {"Name": name, "Endpoint": arguments[-1], "Platforms": None, "DriverOpts": options, "Flags": [ALWAYS]}
        driver = arguments[arguments.index("--driver") + 1]
        (store / "instances").mkdir(exist_ok=True)
        entry = {"Name": name, "Driver": driver, "Nodes": [{**node, "Files": None}], "Dynamic": False}
        (store / "instances" / name).write_text(json.dumps(entry))


def builders(folder: Path, engine: FakeDocker) -> tuple[Site, list[str]]:
    """The site of somebody whose home is the folder, and what they said."""
    (folder / "scratch").mkdir(exist_ok=True)
    said: list[str] = []
    environment = {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
    tools = tools_for(engine, environment, folder / "scratch", lambda: datetime.now(UTC))
    return Site(tools=tools, plan=Path("/plan/build.toml"), say=said.append), said


def brought_up(folder: Path, engine: FakeDocker, builder: Builder = CI) -> tuple[str, list[str], list[str]]:
    """What was to be done, what was said, and what went wrong."""
    this, said = builders(folder, engine)
    told: list[str] = []
    found = bring_up(
        this, builder, lambda found: told.append(changes_text(found.builder, found.changes, found.unclear))
    )
    return "".join(told), said, [str(each) for each in found.errors]


def test_what_is_missing_is_made_and_then_there_is_nothing_to_do(tmp_path: Path) -> None:
    engine = Engine()
    assert brought_up(tmp_path, engine) == (
        text("""
            ci (docker-container)
              + create container buildx_buildkit_ci-local: there is none
              + create builder ci: for use by hand: docker buildx build --builder
            """)
        + "\n",
        ["ci/local: created, and answers", "ci: in buildx's store, for docker buildx build --builder ci"],
        [],
    )
    entry = json.loads((tmp_path / ".docker/buildx/instances/ci").read_text())
    assert entry["Nodes"][0]["Platforms"] == [{"architecture": "arm64", "os": "linux"}]
    asked = len(engine.commands)
    assert brought_up(tmp_path, engine) == ("ci (docker-container)\n  as declared\n", [], [])
    assert engine.commands[asked:] == ["container inspect"], "nothing else is asked when all is right"


def test_drift_is_corrected_by_the_containers_own_id(tmp_path: Path) -> None:
    engine = Engine(mark="driver=0;memory=0")
    plan, said, errors = brought_up(tmp_path, engine)
    assert "± replace container" in plan
    assert said[0] == "ci/local: made anew with its cache, and answers"
    assert errors == []
    assert "container rm --force c0ffee" in engine.commands
    assert not [each for each in engine.commands if each.startswith("volume")], "its cache stays"


@pytest.mark.parametrize("image", ["", "registry.example.com/none:1"])
def test_a_container_stays_where_the_new_image_cannot_be_had(tmp_path: Path, image: str) -> None:
    engine = Engine(mark="driver=0", image_inspect=failed("No such image"), pull=failed("x: manifest unknown"))
    options = (("image", image),) if image else ()
    _, said, errors = brought_up(tmp_path, engine, replace(CI, nodes=(replace(LOCAL, options=options),)))
    assert errors == [
        text("""
            node ci/local (docker-container, ssh://far) cannot be used: x: manifest unknown
              = name a BuildKit image that can be had with image = "…" in the builder, or in [defaults.builder]
            """)
    ]
    assert f"pull --quiet {image or 'moby/buildkit:buildx-stable-1'}" in engine.commands
    assert not [each for each in engine.commands if each.startswith(("container rm", "container stop"))]
    assert said == ["ci: not put into buildx's store before all of its nodes can be made"]


def test_a_new_image_is_fetched_before_the_old_container_goes(tmp_path: Path) -> None:
    engine = Engine(mark="driver=0", image_inspect=failed("No such image"), pull=done())
    assert not brought_up(tmp_path, engine)[2]
    commands = [each.partition(" --")[0] for each in engine.commands]
    assert commands.index("pull") < commands.index("container rm")


def test_a_stopped_container_is_started(tmp_path: Path) -> None:
    _, said, _ = brought_up(tmp_path, Engine(mark=declare(LOCAL).mark, status="exited"))
    assert said[0] == "ci/local: started, and answers"


def test_a_container_in_use_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_IDLE_PAUSE", 0)
    engine = Engine(mark="driver=0", busy=True)
    _, _, errors = brought_up(tmp_path, engine)
    assert errors == [
        text("""
            ci/local: something builds in buildx_buildkit_ci-local just now; it is left as it is
              = repeat this when it is idle
            """)
    ]
    assert not [each for each in engine.commands if each.startswith("container rm")]


def test_a_node_that_does_not_start_says_why_itself(tmp_path: Path) -> None:
    engine = Engine(buildx_boot=failed("ERROR: timeout"), container_logs=done("buildkitd: unknown flag --nope\n"))
    _, _, errors = brought_up(tmp_path, engine)
    assert errors == [
        text("""
            node ci/local (docker-container, ssh://far) cannot be used: timeout
            its log ends with:
              buildkitd: unknown flag --nope
              = try: docker -H ssh://far version
            """).replace("\n              =", "\n  =")
    ]


# What lives behind a docker context that is still to be made is seen only then.
NO_CONTEXT: dict[str, Any] = {"context_inspect": failed("not found"), "context_create": done()}


def secured(port: int, certificates: Certificates, *, without: str = "") -> Node:
    """A node on an engine behind TLS on this machine."""
    return replace(LOCAL, endpoint=f"tcp://127.0.0.1:{port}", tls=certificates.tls(without=without))


def test_somebody_elses_container_behind_a_docker_context_is_not_taken_over(
    tmp_path: Path, certificates: Certificates
) -> None:
    engine = Engine(**NO_CONTEXT)
    engine.foreign = True
    with serving(certificates.engine()) as port:
        plan, _, errors = brought_up(tmp_path, engine, replace(CI, nodes=(secured(port, certificates),)))
    assert "+ create container buildx_buildkit_ci-local: if there is none: only the context can show it\n" in plan
    assert errors == [
        text("""
            ci/local: a container buildx_buildkit_ci-local exists that mpbake did not make; it is left as it is
              = rename the builder or the node, or remove it: docker rm -f buildx_buildkit_ci-local
            """)
    ]
    assert not [each for each in engine.commands if each.endswith("--bootstrap")]
    assert not (tmp_path / ".docker/buildx/instances/ci").exists()


def test_drift_behind_a_docker_context_is_corrected_too(tmp_path: Path, certificates: Certificates) -> None:
    engine = Engine(mark="driver=0", **NO_CONTEXT)
    with serving(certificates.engine()) as port:
        _, said, _ = brought_up(tmp_path, engine, replace(CI, nodes=(secured(port, certificates),)))
    assert said[0] == "ci/local: made anew with its cache, and answers"
    assert "container rm --force c0ffee" in engine.commands


WANTS_CERTIFICATE = text("""
    node ci/local wants a client certificate (tlsv13 alert certificate required)
      = give tls.cert and tls.key
    """)


def test_nothing_is_made_for_an_engine_that_cannot_be_trusted(tmp_path: Path, certificates: Certificates) -> None:
    engine = Engine(**NO_CONTEXT)
    with serving(certificates.engine()) as port:
        node = secured(port, certificates, without="cert key")
        _, said, errors = brought_up(tmp_path, engine, replace(CI, nodes=(node,)))
    assert errors == [WANTS_CERTIFICATE]
    assert said == ["ci: not put into buildx's store before all of its nodes can be made"]
    assert engine.commands == []


def test_an_inventory_of_an_engine_that_cannot_be_trusted(tmp_path: Path, certificates: Certificates) -> None:
    engine = Engine(**NO_CONTEXT)
    this, _ = builders(tmp_path, engine)
    with serving(certificates.engine()) as port:
        node = secured(port, certificates, without="cert key")
        (listed,) = inventory(this.tools, replace(CI, nodes=(node,)), this.plan)
    assert (listed.status, listed.trouble) == ("unusable", WANTS_CERTIFICATE)
    assert engine.commands == []


@pytest.mark.parametrize("driver", [Driver.DOCKER, Driver.DOCKER_CONTAINER])
def test_an_engine_that_does_not_answer(tmp_path: Path, driver: Driver) -> None:
    engine = Engine()
    node = replace(LOCAL, driver=driver, endpoint="tcp://127.0.0.1:9", options=())
    _, _, errors = brought_up(tmp_path, engine, Builder(name="ci", driver=driver, nodes=(node,)))
    assert errors == [
        text(f"""
            node ci/local does not answer at tcp://127.0.0.1:9: [Errno {errno.ECONNREFUSED}] Connection refused
              = is dockerd running there, and is the port open to this machine?
            """)
    ]
    assert engine.commands == []


def test_an_entry_that_buildx_does_not_take_is_not_written(tmp_path: Path) -> None:
    engine = Engine()
    engine.answers = {"buildx inspect ci-local": done(INSPECTED), **engine.answers}
    engine.answers["buildx inspect"] = failed("ERROR: bad entry")
    _, _, errors = brought_up(tmp_path, engine)
    assert errors == ["ci: buildx does not take it as declared: bad entry; its store is as it was"]
    assert not (tmp_path / ".docker/buildx/instances").exists()


def test_an_entry_with_an_option_that_buildx_does_not_know_is_not_written(tmp_path: Path) -> None:
    """It lists the node all the same."""
    engine = Engine()
    engine.answers = {"buildx inspect ci-local": done(INSPECTED), **engine.answers}
    refused = "invalid driver option memory for docker-container driver"
    engine.answers["buildx inspect"] = done(f"Name: ci\n\nNodes:\nName: ci-local\nError: {refused}\n")
    _, _, errors = brought_up(tmp_path, engine)
    (error,) = errors
    assert error == (
        f"ci: buildx does not take it as declared: {refused}; its store is as it was\n"
        "  = install a newer buildx, or take that option away"
    )
    assert not (tmp_path / ".docker/buildx/instances").exists()


def test_a_node_of_several_pods_is_one(tmp_path: Path) -> None:
    engine = Engine()
    engine.answers["buildx inspect"] = done(INSPECTED + "Name: ci-local\nPlatforms: linux/arm64*\n")
    assert brought_up(tmp_path, engine)[2] == []
    assert (tmp_path / ".docker/buildx/instances/ci").exists()


def test_somebody_elses_builder_is_an_error_unless_it_says_the_same(tmp_path: Path) -> None:
    engine = Engine(mark=declare(LOCAL).mark)
    remote = replace(LOCAL, driver=Driver.REMOTE, endpoint="unix:///x", options=())
    node = {"Name": "x", "Endpoint": "tcp://a", "Platforms": None, "DriverOpts": None, "Flags": None}
    entry = {"Name": "ci", "Driver": "remote", "Nodes": [node]}
    path = tmp_path / ".docker/buildx/instances/ci"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(entry))
    _, _, errors = brought_up(tmp_path, engine)
    assert errors == [
        text("""
            ci: a builder ci is in buildx's store that mpbake did not make; it is left as it is
              = rename yours, or take that one out and keep what it uses: docker buildx rm --keep-daemon ci
            """)
    ]
    assert json.loads(path.read_text()) == entry
    this, said = builders(tmp_path, engine)
    assert remove(this, replace(CI, nodes=(remote,)), keep_state=False) == []
    assert said == ["ci: the builder of that name in buildx's store is not mpbake's, and stays"]


@pytest.mark.parametrize("driver", [Driver.DOCKER_CONTAINER, Driver.REMOTE])
def test_somebody_elses_builder_stays_though_mpbake_has_noted_one_of_its_name(tmp_path: Path, driver: Driver) -> None:
    declared = replace(CI, driver=driver, nodes=(replace(LOCAL, driver=driver, endpoint="unix:///x", options=()),))
    node = {"Name": "ci0", "Endpoint": "unix:///y", "Platforms": None, "DriverOpts": None, "Flags": None}
    path = tmp_path / ".docker/buildx/instances/ci"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"Name": "ci", "Driver": str(driver), "Nodes": [node]}))
    before = path.read_text()
    engine = Engine()
    this, said = builders(tmp_path, engine)
    this.tools.records.add("ci", declared.nodes, this.plan)
    for _ in range(2):
        _, _, errors = brought_up(tmp_path, engine, declared)
        assert errors[-1].startswith("ci: a builder ci is in buildx's store that mpbake did not make; it is left as")
    assert remove(this, declared, keep_state=False) == []
    assert said[-1] == "ci: the builder of that name in buildx's store is not mpbake's, and stays"
    assert path.read_text() == before


def test_a_builder_of_remote_nodes_is_known_by_what_its_entry_says(tmp_path: Path) -> None:
    """Nodes that somebody else runs bear no mark."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(tmp_path / "s"))
        server.listen()
        remote = replace(LOCAL, driver=Driver.REMOTE, endpoint=f"unix://{tmp_path}/s", options=())
        declared = replace(CI, driver=Driver.REMOTE, nodes=(remote,))
        brought_up(tmp_path, Engine(), replace(declared, nodes=(replace(remote, platforms=()),)))
        plan, said, errors = brought_up(tmp_path, Engine(), declared)
    assert "~ correct builder ci: buildx's store says something else" in plan
    assert (said, errors) == (["ci: in buildx's store, for docker buildx build --builder ci"], [])
    this, said = builders(tmp_path, Engine())
    assert remove(this, declared, keep_state=False) == []
    assert said == ["ci: taken out of buildx's store"]


def test_a_remote_node_with_a_bad_certificate_is_not_put_into_the_store(
    tmp_path: Path, certificates: Certificates
) -> None:
    tls = replace(certificates.tls(), key=certificates.folder / "server.key")
    remote = replace(LOCAL, driver=Driver.REMOTE, endpoint="tcp://10.0.0.7:1234", options=(), tls=tls)
    declared = replace(CI, driver=Driver.REMOTE, nodes=(remote,))
    _, said, errors = brought_up(tmp_path, Engine(), declared)
    assert [each.partition("\n")[0] for each in errors] == ["ci/local: tls.key: does not belong to tls.cert"]
    assert said == ["ci: not put into buildx's store before all of its nodes can be made"]
    assert not (tmp_path / ".docker/buildx/instances").exists()
    this, _ = builders(tmp_path, Engine())
    assert this.tools.records.of_plan(this.plan) == []


def test_the_engines_own_builder_is_only_asked(tmp_path: Path) -> None:
    engine = Engine()
    engine.answers["buildx inspect"] = done("Name: far\nPlatforms: linux/amd64\n")
    node = Node(builder="e", name="n", driver=Driver.DOCKER, endpoint="far")
    plan, said, errors = brought_up(tmp_path, engine, Builder(name="e", driver=Driver.DOCKER, nodes=(node,)))
    assert (plan, said, errors) == ("e (docker)\n  as declared\n", [], [])
    assert engine.commands == ["buildx inspect far"]


def test_the_entry_goes_of_a_builder_that_is_the_engines_own_by_now(tmp_path: Path) -> None:
    """Else `docker buildx build --builder` would mean the old one. Another plan's stays."""
    engine = Engine()
    engine.answers = {"buildx inspect far": done("Name: far\nPlatforms: linux/amd64\n"), **engine.answers}
    node = Node(builder="ci", name="local", driver=Driver.DOCKER, endpoint="far")
    declared = Builder(name="ci", driver=Driver.DOCKER, nodes=(node,))
    one, other, said = two_plans(tmp_path, engine)
    assert not bring_up(one, CI, lambda _: None).errors
    assert bring_up(other, declared, lambda _: None).changes == ()
    (listed,) = inventory(one.tools, declared, one.plan)
    assert listed.drift == ("entry: driver",)
    said.clear()
    found = bring_up(one, declared, lambda _: None)
    why = "it is the engine's own builder by now, which needs none in buildx's store"
    assert changes_text(declared, found.changes).splitlines()[1:] == [
        f"  - remove builder ci: {why}",
        "      driver: docker-container -> docker",
    ]
    assert said == ["ci: taken out of buildx's store"]
    assert bring_up(one, declared, lambda _: None).changes == ()
    (record,) = one.tools.records.of_plan(one.plan)
    assert [each.name for each in record.gone(declared)] == ["local"], "prune still finds what was made"


def test_a_kubernetes_builder(tmp_path: Path) -> None:
    """What `create` is told."""
    node = Node(
        builder="k",
        name="n",
        driver=Driver.KUBERNETES,
        options=(("namespace", "ci"), ("nodeselector", "a=b,c=d"), ("replicas", "2")),
    )
    docker = FakeDocker({"buildx create": done(), "buildx inspect": done("Platforms: linux/amd64\n")})
    this, _ = builders(tmp_path, docker)
    ready = this.tools.instances.written(node)
    assert docker.commands == [
        (
            "buildx create --name k-n --node k-n --driver kubernetes --driver-opt namespace=ci "
            f'--driver-opt "nodeselector=a=b,c=d" --driver-opt replicas=2 '
            f"--driver-opt annotations=mpbake-node={declare(node).mark.replace('=', ':')}"
        )
    ]
    assert this.tools.instances.booted(ready).facts.platforms == parse_platforms(["linux/amd64"])


# --- stopping and removing --------------------------------------------------------------------------------------------


def test_stop(tmp_path: Path) -> None:
    engine = Engine(mark=declare(LOCAL).mark)
    this, said = builders(tmp_path, engine)
    assert stop(this, CI) == []
    assert engine.commands[-1] == "container stop c0ffee"
    engine.status = "exited"
    assert stop(this, CI) == []
    assert said == ["ci/local: stopped", "ci/local: does not run"]
    engine.status = "restarting"
    assert stop(this, CI) == []
    assert engine.commands[-1] == "container stop c0ffee"
    assert said[2:] == ["ci/local: stopped"], "it would start again and again"


@pytest.mark.parametrize("keep", [True, False])
def test_remove(tmp_path: Path, *, keep: bool) -> None:
    engine = Engine()
    brought_up(tmp_path, engine)
    this, said = builders(tmp_path, engine)
    assert remove(this, CI, keep_state=keep) == []
    assert said == [
        f"ci/local: container removed, {'its cache stays' if keep else 'and its cache'}",
        "ci: taken out of buildx's store",
    ]
    volumes = [each for each in engine.commands if each.startswith("volume")]
    assert volumes == ([] if keep else ["volume rm buildx_buildkit_ci-local_state"])
    assert not (tmp_path / ".docker/buildx/instances/ci").exists()
    assert this.tools.records.read("ci", this.plan) is None
    said.clear()
    assert remove(this, CI, keep_state=keep) == []
    assert said == [], "there is nothing more to remove"


GONE = "ci/local: its container was gone, its cache is removed"


def test_the_cache_of_a_container_that_is_gone_is_removed_if_it_was_made_from_here(tmp_path: Path) -> None:
    for declared in (True, False):
        engine = Engine()
        brought_up(tmp_path, engine)
        engine.made = ""
        this, said = builders(tmp_path, engine)
        if declared:
            assert remove(this, CI, keep_state=False) == []
        else:
            assert prune(this, record_of(CI, this.plan, None), {}) == []
        assert said == [GONE, "ci: taken out of buildx's store"]
        assert this.tools.records.read("ci", this.plan) is None
        engine.answers["volume"] = failed("no such volume")
        said.clear()
        assert remove(this, CI, keep_state=False) == []
        assert said == []


def test_a_cache_stays_that_is_to_be_kept_or_may_be_anothers(tmp_path: Path) -> None:
    engine = Engine()
    this, said = builders(tmp_path, engine)
    assert remove(this, CI, keep_state=False) == [], "nothing was made from here"
    for keep in (True, False):
        this.tools.records.add("ci", CI.nodes, this.plan)
        if keep:
            assert remove(this, CI, keep_state=True) == []
        else:
            respelled = replace(CI, nodes=(replace(LOCAL, endpoint="ssh://far:22"),))
            assert prune(this, record_of(CI, this.plan, None), {"ci": respelled}) == []
    assert not [each for each in engine.commands if each.startswith("volume")]
    assert GONE not in said


OUT_OF_REACH = "node ci/local (docker-container, ssh://far) cannot be used: far does not answer (no route to host)"
FIREWALL = "is the machine up, and does a firewall let this machine through? try: ssh far true"
FORGOTTEN = (
    "ci/local: out of reach, and forgotten; on ssh://far may be left: "
    "container buildx_buildkit_ci-local, volume buildx_buildkit_ci-local_state"
)


@pytest.mark.parametrize("declared", [True, False])
def test_what_is_out_of_reach_holds_up_nothing_else_and_can_be_forgotten(tmp_path: Path, *, declared: bool) -> None:
    engine = Engine()
    brought_up(tmp_path, engine)
    engine.unreachable = True
    this, said = builders(tmp_path, engine)
    record = this.tools.records.read("ci", this.plan)
    assert record is not None

    def taken_away(*, forget: bool = False) -> list[str]:
        if declared:
            return [str(each) for each in remove(this, CI, keep_state=False, forget=forget)]
        return [str(each) for each in prune(this, record, {}, forget=forget)]

    command = "rm --forget ci" if declared else "prune --forget"
    error = f"{OUT_OF_REACH}\n  = {FIREWALL}; if it is gone for good: mpbake builders {command}"
    assert taken_away() == [error]
    assert said == ["ci: taken out of buildx's store"]
    assert this.tools.records.read("ci", this.plan) == record
    assert taken_away() == [error]
    assert taken_away(forget=True) == []
    assert said[1:] == [FORGOTTEN]
    assert this.tools.records.read("ci", this.plan) is None


def test_a_node_that_was_never_reached_is_not_noted(tmp_path: Path) -> None:
    engine = Engine()
    engine.unreachable = True
    assert OUT_OF_REACH in brought_up(tmp_path, engine)[2][0]
    this, said = builders(tmp_path, engine)
    assert this.tools.records.of_plan(this.plan) == []
    engine.unreachable = False
    assert remove(this, CI, keep_state=False) == []
    assert said == []


class Contexts(Engine):
    """An engine behind TLS, and a docker that keeps at most one context."""

    kept = False

    def run(self, arguments: Sequence[str], **settings: Any) -> Completed:
        """Keep, show or remove it."""
        match list(arguments[:2]):
            case ["context", "create"]:
                self.kept = True
            case ["context", "rm"]:
                self.kept = False
            case ["context", "inspect"] if not self.kept:
                return failed("not found")
            case ["context", "inspect"]:
                found = {"Name": arguments[2], "Metadata": {"Description": "made by mpbake"}}
                return done(json.dumps([{**found, "Endpoints": {"docker": {"Host": "tcp://as-it-was"}}}]))
            case ["container", "inspect"] if not self.kept:
                return failed(f'context "{settings["endpoint"]}" not found')
        return super().run(arguments, **settings)


def test_a_docker_context_goes_again_that_leads_nowhere(tmp_path: Path, certificates: Certificates) -> None:
    engine = Contexts(context=done())
    engine.unreachable = True
    with serving(certificates.engine()) as port:
        far = replace(CI, nodes=(secured(port, certificates),))
        _, said, errors = brought_up(tmp_path, engine, far)
    assert [each.partition(" cannot")[0] for each in errors] == [
        f"node ci/local (docker-container, {far.nodes[0].endpoint})"
    ]
    assert said == ["ci: not put into buildx's store before all of its nodes can be made"]
    assert not engine.kept
    this, said = builders(tmp_path, engine)
    assert this.tools.records.of_plan(this.plan) == []
    assert remove(this, far, keep_state=False) == [], "there is nothing, and no way there"
    engine.kept = True
    assert len(remove(this, far, keep_state=False)) == 1, "another machine may have made it"
    assert said == ["ci/local: docker context mpbake-ci-local removed"]


def test_the_docker_context_of_what_is_noted_stays_as_long_as_it_is_out_of_reach(
    tmp_path: Path, certificates: Certificates
) -> None:
    engine = Contexts(context=done())
    with serving(certificates.engine()) as port:
        far = replace(CI, nodes=(secured(port, certificates),))
        assert not brought_up(tmp_path, engine, far)[2]
    this, said = builders(tmp_path, engine)
    engine.unreachable = True
    assert len(remove(this, far, keep_state=False)) == 1
    assert engine.kept
    engine.kept = False
    assert [str(each) for each in remove(this, far, keep_state=False)] == [
        text("""
            ci/local: what was made there cannot be reached: the docker context mpbake-ci-local is gone
              = if it is gone for good: mpbake builders rm --forget ci
            """)
    ]
    engine.kept = True
    assert remove(this, far, keep_state=False, forget=True) == []
    assert "ci/local: docker context mpbake-ci-local removed" in said
    assert this.tools.records.of_plan(this.plan) == []


def test_prune(tmp_path: Path) -> None:
    engine = Engine()
    brought_up(tmp_path, engine)
    this, said = builders(tmp_path, engine)
    moved = replace(CI, nodes=(replace(LOCAL, name="other"),))
    record = record_of(CI, this.plan, None)
    assert prune(this, record, {"ci": moved}) == []
    assert said[0] == "ci/local: container removed, and its cache"
    assert said[1] == "ci: in buildx's store, for docker buildx build --builder ci"
    left = this.tools.records.read("ci", this.plan)
    assert left is not None
    assert left.nodes == ()
    assert prune(this, record, {}) == []
    assert said[-1] == "ci: taken out of buildx's store"
    assert this.tools.records.read("ci", this.plan) is None


@pytest.mark.parametrize(
    "declared",
    [
        replace(CI, nodes=(replace(LOCAL, endpoint="ssh://far:22"),)),
        replace(CI, nodes=(replace(LOCAL, name="Local"),)),
        Builder(name="CI", driver=CI.driver, nodes=(replace(LOCAL, builder="CI"),)),
    ],
)
def test_what_is_still_declared_in_other_words_is_not_pruned(tmp_path: Path, declared: Builder) -> None:
    engine = Engine()
    brought_up(tmp_path, engine)
    brought_up(tmp_path, engine, declared)
    this, said = builders(tmp_path, engine)
    record = record_of(declared, this.plan, record_of(CI, this.plan, None))
    assert prune(this, record, {declared.name: declared}) == []
    assert not [each for each in engine.commands if each.startswith(("container rm", "volume"))]
    assert (tmp_path / ".docker/buildx/instances/ci").exists()
    left = this.tools.records.read("ci", this.plan)
    assert left is not None
    assert left.gone(declared) == ()
    assert not [each for each in said if "removed" in each]


def test_a_node_that_went_to_another_engine_is_pruned_where_it_was(tmp_path: Path) -> None:
    engine = Engine()
    brought_up(tmp_path, engine)
    engine.other = "ssh://new"
    this, said = builders(tmp_path, engine)
    moved = replace(CI, nodes=(replace(LOCAL, endpoint="ssh://new"),))
    assert prune(this, record_of(CI, this.plan, None), {"ci": moved}) == []
    assert said[0] == "ci/local: container removed, and its cache"
    assert "container rm --force c0ffee" in engine.commands


def test_the_docker_context_of_what_is_still_declared_is_not_pruned(tmp_path: Path, certificates: Certificates) -> None:
    engine = Engine(mark=declare(LOCAL).mark, **NO_CONTEXT)
    this, said = builders(tmp_path, engine)
    with serving(certificates.engine()) as port:
        node = secured(port, certificates)
        renamed = replace(CI, nodes=(replace(node, name="Local"),))
        before = record_of(replace(CI, nodes=(node,)), this.plan, None)
        assert [each.context for each in before.gone(renamed)] == ["mpbake-ci-local"]
        assert prune(this, before, {"ci": renamed}) == []
    assert not [each for each in engine.commands if each.startswith("context rm")]
    assert said[0] == "ci/local: ci/Local still is the same container, which stays"


ARM = replace(LOCAL, name="arm", endpoint="ssh://arm")


def two_plans(folder: Path, engine: FakeDocker) -> tuple[Site, Site, list[str]]:
    """The builders of two plans that are there, and what they say."""
    this, said = builders(folder, engine)
    plans = [folder / name for name in ("a.toml", "b.toml")]
    for plan in plans:
        plan.touch()
    one, other = (replace(this, plan=plan) for plan in plans)
    return one, other, said


def test_what_another_plan_has_made_of_a_builder_of_the_same_name_stays(tmp_path: Path) -> None:
    engine = Engine(mark=declare(LOCAL).mark)
    one, other, said = two_plans(tmp_path, engine)
    one.tools.records.add("ci", [LOCAL, ARM], one.plan)
    bring_up(other, CI, lambda _: None)
    said.clear()
    (record,) = other.tools.records.of_plan(other.plan)
    assert record.gone(CI) == ()
    assert remove(other, CI, keep_state=False) == []
    assert said == ["ci/local: container removed, and its cache", "ci: taken out of buildx's store"]
    (record,) = one.tools.records.of_plan(one.plan)
    assert [each.name for each in record.gone(CI)] == ["arm"]


@pytest.mark.parametrize(("declared", "gone"), [({"ci": CI}, {"arm"}), ({}, {"arm", "local"})])
def test_what_another_checkout_has_made_too_is_not_pruned(
    tmp_path: Path, declared: dict[str, Builder], gone: set[str]
) -> None:
    engine = Engine(mark=declare(LOCAL).mark)
    one, other, said = two_plans(tmp_path, engine)
    bring_up(other, CI, lambda _: None)
    for each in (one, other):
        each.tools.records.add("ci", [LOCAL, ARM], each.plan)
    said.clear()
    (record,) = other.tools.records.of_plan(other.plan)
    assert prune(other, record, declared) == []
    assert set(said) == {f"ci/{name}: made for {one.plan} too, and stays" for name in gone}
    assert not [each for each in engine.commands if each.startswith(("container rm", "volume"))]
    assert (tmp_path / ".docker/buildx/instances/ci").exists()
    left = other.tools.records.read("ci", other.plan)
    assert (left.gone(CI) if left else ()) == (), "it is the other's by now"
    (record,) = one.tools.records.of_plan(one.plan)
    assert prune(one, record, {"ci": CI}) == []
    assert "ci/arm: container removed, and its cache" in said


def test_removing_a_builder_spares_nodes_that_only_another_checkout_declares(tmp_path: Path) -> None:
    engine = Engine(mark=declare(LOCAL).mark)
    one, other, said = two_plans(tmp_path, engine)
    for each in (one, other):
        each.tools.records.add("ci", [LOCAL, ARM], each.plan)
    assert remove(other, CI, keep_state=False) == []
    assert said == [f"ci/arm: made for {one.plan} too, and stays", "ci/local: container removed, and its cache"]
    assert other.tools.records.of_plan(other.plan) == []


SHARED = Node(builder="default", name="local", driver=Driver.DOCKER_CONTAINER)


def test_the_container_of_the_default_builder_is_every_plans(tmp_path: Path) -> None:
    """Whether a plan says how it is made, or declares it itself."""
    engine = Engine(mark=declare(SHARED).mark)
    this, said = builders(tmp_path, engine)
    default = Builder(name="default", driver=Driver.DOCKER_CONTAINER, nodes=(SHARED, replace(SHARED, name="far")))
    before = record_of(default, this.plan, None)
    stays = (
        "default/local: its container is that of every plan that declares no builder, and stays; "
        "docker rm --force buildx_buildkit_default-local removes it"
    )
    one = replace(default, nodes=(SHARED,))
    assert remove(this, one, keep_state=False) == []
    assert prune(this, replace(before, nodes=before.nodes[:1]), {}) == []
    assert said == [stays, stays]
    assert not [each for each in engine.commands if each.startswith(("container rm", "volume"))]
    assert remove(this, default, keep_state=False) == []
    assert "default/far: container removed, and its cache" in said, "others of such a builder are the plan's own"


# --- looking ----------------------------------------------------------------------------------------------------------


def test_one_engine_out_of_reach_does_not_hide_the_others(tmp_path: Path) -> None:
    engine = Engine()
    engine.unreachable = True
    this, _ = builders(tmp_path, engine)
    found = look(this.tools, CI, this.plan)
    assert [each.message for each in found.errors] == [
        "node ci/local (docker-container, ssh://far) cannot be used: far does not answer (no route to host)"
    ]
    assert [change.thing.value for change in found.changes] == ["builder"]
    assert found.unclear == ("node ci/local",)


def test_an_inventory_starts_nothing_of_others(tmp_path: Path) -> None:
    path = tmp_path / ".docker/buildx/instances/theirs"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"Name": "theirs", "Driver": "docker-container", "Nodes": [{"Name": "theirs0"}]}))
    docker = FakeDocker({"buildx inspect": done("Name: theirs0\nStatus: stopped\n")})
    node = Node(builder="theirs", name="theirs0", driver=Driver.DOCKER_CONTAINER, external=True)
    this, _ = builders(tmp_path, docker)
    (listed,) = inventory(
        this.tools, Builder(name="theirs", driver=node.driver, nodes=(node,), external=True), this.plan
    )
    assert (listed.status, listed.trouble) == ("stopped", "")
    assert docker.commands == ["buildx inspect theirs0"]


def test_an_inventory_says_so_where_an_entry_has_other_nodes(tmp_path: Path) -> None:
    engine = Engine()
    brought_up(tmp_path, engine)
    this, _ = builders(tmp_path, engine)
    renamed = replace(CI, nodes=(replace(LOCAL, name="near"),))
    assert inventory(this.tools, renamed, this.plan)[0].drift == ("entry: node ci-local", "entry: node ci-near")


def test_an_inventory(tmp_path: Path) -> None:
    engine = Engine()
    this, _ = builders(tmp_path, engine)
    assert "missing" in inventory_text([inventory(this.tools, CI, this.plan)])
    brought_up(tmp_path, engine)
    (listed,) = inventory(this.tools, CI, this.plan)
    assert (listed.status, listed.reported, listed.drift) == ("running", parse_platforms(["linux/arm64"]), ())
    engine.made = "driver=0"
    other = replace(CI, nodes=(replace(LOCAL, platforms=()),))
    (listed,) = inventory(this.tools, other, this.plan)
    assert listed.drift == ("driver", "memory", "entry: platforms")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(tmp_path / "s"))
        server.listen()
        remote = replace(LOCAL, driver=Driver.REMOTE, endpoint=f"unix://{tmp_path}/s", options=())
        (listed,) = inventory(this.tools, replace(CI, driver=Driver.REMOTE, nodes=(remote,)), this.plan)
    assert listed.drift == ("entry: driver", "entry: mark", "entry: endpoint", "entry: memory")
    engine.status = "exited"
    assert inventory(this.tools, CI, this.plan)[0].status == "exited"
    engine.answers["buildx inspect"] = failed("ERROR: no")
    engine.status = "running"
    (listed,) = inventory(this.tools, CI, this.plan)
    assert listed.status == "unusable"
    assert listed.trouble == (
        "node ci/local (docker-container, ssh://far) cannot be used: no\n  = try: docker -H ssh://far version"
    )
