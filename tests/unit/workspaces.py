"""A workspace with a fake engine, and a builder in it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.base.platforms import parse_platforms
from mpbake.buildkit.builders.apply import reconcile
from mpbake.buildkit.builders.workspace import BuilderWorkspace
from mpbake.buildkit.nodes.instances.declaration import declare
from mpbake.buildkit.nodes.services import services_for
from mpbake.model.marks import MARK, VOLUME_LABEL
from mpbake.model.node_state import ADDED_FLAG
from mpbake.model.plan import Builder, Driver, Node
from mpbake.report.plan.builder_text import changes_text
from tests.unit.dockers import FakeDocker, container, done, failed
from tests.unit.plans import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mpbake.buildkit.process.completed import Completed
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
    """An engine with at most one container, and a buildx that writes instances like the real one.

    If the endpoint `other` is set, it leads to another engine, with a container of the same name.
    """

    def __init__(self, *, mark: str = "", status: str = "running", busy: bool = False, **answers: Any) -> None:
        named = {name.replace("_", " "): answer for name, answer in answers.items()}
        usual = {
            "container top": done("1 buildkitd\n7 buildctl dial-stdio\n"),
            "container": done(),
            "volume": done(),
            "image inspect": done(),
            "buildx inspect": done(INSPECTED),
        }
        super().__init__({**named, **{words: answer for words, answer in usual.items() if words not in named}})
        self.made = mark
        self.status = status
        self.busy = busy
        self.unreachable = False
        self.foreign = False
        self.other = ""
        self.volume: dict[str, str] | None = {VOLUME_LABEL: "ci/local"} if mark else None

    def run(self, arguments: Sequence[str], **settings: Any) -> Completed:
        """Answer like docker, with the fields that mpbake reads."""
        command = " ".join(arguments)
        if command.startswith("container inspect"):
            self.commands.append("container inspect")
            if self.unreachable:
                return failed("no route to host")
            if settings["endpoint"] == self.other != "":
                other = container(f"{MARK}={self.made}")
                return replace(other, stdout=other.stdout.replace("c0ffee", "7ea"))
            if self.foreign:
                return container("OTHER=1")
            if not self.made:
                return failed("No such container")
            return container(f"{MARK}={self.made}", status=self.status, busy=self.busy)
        if command.startswith("volume"):
            self.commands.append(command)
            return self._volume(command.split()[1])
        if command.startswith("container rm"):
            self.made = ""
        if command.startswith("buildx create"):
            self._create(list(arguments), Path(settings["environment"]["BUILDX_CONFIG"]))
            self.commands.append("buildx create")
            return done()
        if "--bootstrap" in arguments and "buildx boot" not in self.answers:
            self.made, self.status = self.made or declare(LOCAL).mark, "running"
        if "--bootstrap" in arguments and "buildx boot" in self.answers:
            settings["on_stderr"](self.answers["buildx boot"].stderr.encode())
            return replace(self.answers["buildx boot"], stderr="")  # type: ignore[no-any-return]
        return super().run(arguments, **settings)

    def _volume(self, what: str) -> Completed:
        """Answer a command about the volume with the cache of the container."""
        if self.unreachable:
            return failed("no route to host")
        match what:
            case "create":
                self.volume = {VOLUME_LABEL: "ci/local"}
            case _ if self.volume is None:
                return failed("no such volume")
            case "remove":
                self.volume = None
        return done(json.dumps(self.volume))

    def _create(self, arguments: list[str], store: Path) -> None:
        name = arguments[arguments.index("--name") + 1]
        options = dict(
            arguments[index + 1].partition("=")[::2] for index, name in enumerate(arguments) if name == "--driver-opt"
        )
        node = {
            "Name": name,
            "Endpoint": arguments[-1],
            "Platforms": None,
            "DriverOpts": options,
            "Flags": [ADDED_FLAG],
        }
        driver = arguments[arguments.index("--driver") + 1]
        (store / "instances").mkdir(exist_ok=True)
        entry = {"Name": name, "Driver": driver, "Nodes": [{**node, "Files": None}], "Dynamic": False}
        (store / "instances" / name).write_text(json.dumps(entry))


class Contexts(Engine):
    """An engine behind TLS, and a docker with at most one context."""

    kept = False

    def run(self, arguments: Sequence[str], **settings: Any) -> Completed:
        """Make, show or remove the context."""
        match list(arguments[:2]):
            case ["context", "create"]:
                self.kept = True
            case ["context", "remove"]:
                self.kept = False
            case ["context", "inspect"] if not self.kept:
                return failed("not found")
            case ["context", "inspect"]:
                context = {"Name": arguments[2], "Metadata": {"Description": "made by mpbake"}}
                return done(json.dumps([{**context, "Endpoints": {"docker": {"Host": "tcp://as-it-was"}}}]))
            case ["container", "inspect"] if not self.kept:
                return failed(f'context "{settings["endpoint"]}" not found')
        return super().run(arguments, **settings)


def workspace_with(folder: Path, engine: FakeDocker) -> tuple[BuilderWorkspace, list[str]]:
    """Return the workspace of a user whose home is `folder`, and the list of its messages."""
    (folder / "scratch").mkdir(exist_ok=True)
    messages: list[str] = []
    environment = {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
    services = services_for(engine, environment, folder / "scratch", lambda: datetime.now(UTC))
    return BuilderWorkspace(
        services=services, plan=Path("/plan/build.toml"), say=messages.append, progress=lambda *_: None
    ), messages


def brought_up(folder: Path, engine: FakeDocker, builder: Builder = CI) -> tuple[str, list[str], list[str]]:
    """Return the planned changes, the messages, and the errors of a reconciliation."""
    workspace, messages = workspace_with(folder, engine)
    plans: list[str] = []
    state = reconcile(
        workspace, builder, lambda state: plans.append(changes_text(state.builder, state.changes, state.unclear))
    )
    return "".join(plans), messages, [str(error) for error in state.errors]


def two_plans(folder: Path, engine: FakeDocker) -> tuple[BuilderWorkspace, BuilderWorkspace, list[str]]:
    """Return the workspaces of two existing plans, and the list of their messages."""
    workspace, messages = workspace_with(folder, engine)
    plans = [folder / name for name in ("a.toml", "b.toml")]
    for plan in plans:
        plan.touch()
    one, other = (replace(workspace, plan=plan) for plan in plans)
    return one, other, messages


# mpbake sees the engine behind a docker context only after it has made the context
NO_CONTEXT: dict[str, Any] = {"context_inspect": failed("not found"), "context_create": done()}


def secured(port: int, certificates: Certificates, *, without: str = "") -> Node:
    """Return a node on an engine behind TLS on this machine."""
    return replace(LOCAL, endpoint=f"tcp://127.0.0.1:{port}", tls=certificates.tls(without=without))


WANTS_CERTIFICATE = text("""
    node ci/local requires a client certificate (tlsv13 alert certificate required)
      = set tls.cert and tls.key
    """)
OUT_OF_REACH = "node ci/local (docker-container, ssh://far) cannot be used: far does not answer (no route to host)"
