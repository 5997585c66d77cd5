"""Deployments of nodes: mpbake finds them through kubectl, recognizes them by their mark, and removes them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.errors import Unreachable, UsageError
from mpbake.buildkit.builders.inventory import inventory
from mpbake.buildkit.builders.removal import prune, remove
from mpbake.buildkit.nodes.drivers.kubernetes import Deployments
from mpbake.buildkit.nodes.instances.declaration import declare
from mpbake.buildkit.process.docker import Completed
from mpbake.model.marks import ANNOTATION
from mpbake.model.node_state import NodeResource
from mpbake.model.plan import Builder, Driver, Node
from mpbake.report.plan.builder_text import inventory_text
from tests.unit import workspaces
from tests.unit.dockers import FakeDocker, done, failed
from tests.unit.plans import text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


NODE = Node(
    builder="k",
    name="n",
    driver=Driver.KUBERNETES,
    options=(("image", "moby/buildkit:v2"), ("namespace", "ci"), ("nodeselector", "a=b"), ("requests.cpu", "2")),
)
CLUSTER = Builder(name="k", driver=Driver.KUBERNETES, nodes=(NODE,))
LOOK = "look at them (kubectl describe pods), or raise `timeout`"
MARKED = declare(NODE).mark


def deployment(mark: str = MARKED, *, ready: int = 1) -> dict[str, Any]:
    """Return the Deployment of `NODE` as a cluster describes it, with the fields that mpbake reads."""
    container = {
        "image": "moby/buildkit:v1",
        "resources": {"requests": {"cpu": "1"}},
    }
    volumes = [{"configMap": {"name": "k-n-config"}}, {"configMap": {"name": "others"}}, {"emptyDir": {}}]
    pod = {"containers": [container], "volumes": volumes, "serviceAccountName": "builder"}
    return {
        "metadata": {"name": "k-n", "uid": "c0ffee", "annotations": {ANNOTATION: mark.replace("=", ":")}},
        "spec": {"replicas": 1, "template": {"spec": pod}},
        "status": {"readyReplicas": ready} if ready else {},
    }


RUNNING: dict[str, Any] = {"phase": "Running", "containerStatuses": [{"state": {"running": {"startedAt": "now"}}}]}


def pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "k-n-1"}, "status": status}


class Cluster(FakeDocker):
    """A cluster with at most one Deployment, and a buildx that creates the Deployment."""

    def __init__(self, described: dict[str, Any] | None = None, **answers: Any) -> None:
        defaults = {
            "buildx create": done(),
            "buildx inspect": done("Platforms: linux/amd64\n"),
            "kubectl get pods": done(json.dumps({"items": [pod(**RUNNING)]})),
            "kubectl exec": failed("command terminated with exit code 1"),
        }
        super().__init__({**defaults, **{name.replace("_", " "): answer for name, answer in answers.items()}})
        self.described = described

    def run(self, arguments: Sequence[str], **settings: Any) -> Completed:
        """Answer like buildx and kubectl. The namespace is checked, and removed from the recorded command."""
        if arguments[0] == "kubectl":
            assert arguments[1] == "--namespace=ci"
            arguments = [arguments[0], *arguments[2:]]
        command = " ".join(arguments)
        if command.startswith("kubectl get deployment/k-n --ignore-not-found"):
            return done(json.dumps(self.described) if self.described else "")
        if command.startswith("kubectl delete"):
            self.commands.append(command)
            self.described = None
            return done()
        if "--bootstrap" in arguments and self.answers["buildx inspect"].returncode == 0:
            self.described = self.described or deployment()
        return super().run(arguments, **settings)


def brought_up(folder: Path, cluster: Cluster, builder: Builder = CLUSTER) -> tuple[str, list[str], list[str]]:
    """Return the planned changes of the Deployment, the messages of the reconciliation, and the errors."""
    plans, messages, errors = workspaces.brought_up(folder, cluster, builder)
    lines = [line for line in plans.splitlines() if " builder k:" not in line]
    return "\n".join(lines), messages, [error for error in errors if "did not write its entry" not in error]


def waiting(reason: str, restarts: int = 0) -> dict[str, Any]:
    return {"containerStatuses": [{"state": {"waiting": {"reason": reason}}, "restartCount": restarts}]}


UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}


@pytest.mark.parametrize(
    ("pods", "starting"),
    [
        ([RUNNING], True),
        ([RUNNING, waiting("ContainerCreating")], True),
        ([RUNNING, waiting("ImagePullBackOff")], False),
        ([waiting("ContainerCreating", restarts=1)], False),
        ([{"conditions": [UNSCHEDULABLE]}], False),
        ([], False),
    ],
)
def test_starting(pods: list[dict[str, Any]], *, starting: bool) -> None:
    cluster = Cluster(kubectl_get_pods=done(json.dumps({"items": [pod(**fields) for fields in pods]})))
    assert Deployments(docker=cluster).is_starting(NODE) is starting


def test_nobody_knows_whether_a_cluster_that_does_not_answer_starts_anything() -> None:
    assert not Deployments(docker=Cluster(kubectl_get_pods=failed("was refused"))).is_starting(NODE)


def test_what_there_is() -> None:
    assert Deployments(docker=Cluster(deployment("image=1"))).find(NODE) == NodeResource(
        id="c0ffee",
        name="k-n",
        status="running",
        mark="image=1",
        settings=(
            ("image", "moby/buildkit:v1"),
            ("replicas", "1"),
            ("requests.cpu", "1"),
            ("serviceaccount", "builder"),
        ),
    )


def test_there_is_none() -> None:
    assert Deployments(docker=Cluster()).own(NODE) is None


def test_a_claim_makes_it_a_stateful_set() -> None:
    claimed = replace(NODE, options=(("persistent-volume-claim.requests.storage", "9Gi"),))
    docker = FakeDocker({"kubectl get": done()})
    assert Deployments(docker=docker).own(claimed) is None
    assert docker.commands == ["kubectl get statefulset/k-n --ignore-not-found --output=json"]


def test_no_kubectl() -> None:
    docker = FakeDocker({"kubectl": Unreachable("the kubectl command was not found")})
    with pytest.raises(Unreachable) as caught:
        Deployments(docker=docker).own(NODE)
    assert str(caught.value) == text("""
        k/n: the kubectl command was not found
          = install kubectl: mpbake uses it to see who made a Deployment; buildx would use any of that name
        """)


def test_what_is_missing_is_made_and_then_there_is_nothing_to_do(tmp_path: Path) -> None:
    cluster = Cluster()
    plan, messages, errors = brought_up(tmp_path, cluster)
    assert plan == "k (kubernetes)\n  + create Deployment k-n: it does not exist"
    assert messages == ["k/n: created, and answers"]
    assert errors == []
    assert brought_up(tmp_path, cluster)[0] == "k (kubernetes)"


def test_somebody_elses_stays(tmp_path: Path) -> None:
    cluster = Cluster(deployment(""))
    plan, messages, errors = brought_up(tmp_path, cluster)
    assert plan == "k (kubernetes)\n  ? node k/n: its actual state is not known"
    assert messages == ["k: not added to buildx's store until all of its nodes can be made"]
    assert errors == [
        text("""
            k/n: mpbake did not make the Deployment k-n, and leaves it unchanged
              = rename the builder or the node, use its builder (external = true), \
or remove it: kubectl --namespace=ci delete deployment k-n
            """)
    ]
    assert cluster.commands == [], "buildx would use it"


def test_drift_is_corrected(tmp_path: Path) -> None:
    options = ("driver", "env.A", "image", "nodeselector", "requests.cpu")
    cluster = Cluster(deployment(";".join(f"{name}=0" for name in options)))
    plan, messages, errors = brought_up(tmp_path, cluster)
    assert plan == text("""
        k (kubernetes)
          ± replace Deployment k-n: it was made with other options; its cache goes with its pods
              driver: another -> as declared
              env.A: another -> as declared
              image: moby/buildkit:v1 -> moby/buildkit:v2
              namespace: (none) -> ci
              nodeselector: another -> a=b
              requests.cpu: 1 -> 2
        """)
    assert messages == ["k/n: recreated, and answers"]
    assert errors == []
    deleted = "deployment/k-n configmap/k-n-config --ignore-not-found --cascade=foreground --timeout=120s"
    assert f"kubectl delete {deleted}" in cluster.commands, "with its own configuration and no other's"


def test_in_use_it_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpbake.buildkit.builders.workspace._IDLE_PAUSE", 0)
    cluster = Cluster(deployment("driver=0"), kubectl_exec=done("17\n"))
    _, _, errors = brought_up(tmp_path, cluster)
    assert errors == [
        text("""
            k/n: a build runs in k-n, so mpbake leaves it unchanged
              = run again when it is idle
            """)
    ]
    assert "kubectl exec k-n-1 -- pgrep -f buildctl dial-stdio" in cluster.commands
    assert cluster.described, "it is still there"


BY_HAND = "if no build runs, run: kubectl --namespace=ci delete deployment k-n"
ROLE = "give its role access to deployments, configmaps, pods and pods/exec; try: kubectl auth can-i --list"
FORBIDDEN = 'Error from server (Forbidden): pods "k-n-1" is forbidden: cannot create resource "pods/exec"'
NO_PGREP = 'exec: "pgrep": executable file not found in $PATH\ncommand terminated with exit code 126'


@pytest.mark.parametrize(
    ("answer", "messages", "hint"),
    [
        (failed(FORBIDDEN), f"this user may not do that in the cluster ({FORBIDDEN})", f"{ROLE}; or, {BY_HAND}"),
        (
            Completed(returncode=126, stdout="", stderr=NO_PGREP),
            'exec: "pgrep": executable file not found in $PATH',
            BY_HAND,
        ),
        (
            Completed(returncode=-9, stdout="", stderr="", timed_out=True),
            "no answer in time",
            BY_HAND,
        ),
        (
            Completed(returncode=137, stdout="", stderr="command terminated with exit code 137\n"),
            "command terminated with exit code 137",
            BY_HAND,
        ),
        (failed("", stdout="command terminated with exit code 1"), "exit code 1", BY_HAND),
    ],
)
def test_what_does_not_say_whether_it_is_in_use_stays(
    tmp_path: Path, answer: Completed, messages: str, hint: str
) -> None:
    cluster = Cluster(deployment("driver=0"), kubectl_exec=answer)
    error = f"k/n: mpbake cannot tell whether a build runs in the pod k-n-1: {messages}\n  = {hint}"
    assert brought_up(tmp_path, cluster)[2] == [error]
    workspace, _ = workspaces.workspace_with(tmp_path, cluster)
    assert [str(error) for error in remove(workspace, CLUSTER, keep_state=False)] == [error]
    assert [str(error) for error in remove(workspace, CLUSTER, keep_state=False, forget=True)] == [error], "it answers"
    assert cluster.described, "it is still there"


@pytest.mark.parametrize(
    "status",
    [
        {"phase": "Pending"},
        {"phase": "Running", "containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]},
        {"phase": "Succeeded", "containerStatuses": [{"state": {"terminated": {"exitCode": 0}}}]},
        {"phase": "Running", "containerStatuses": [{}]},
    ],
)
def test_nothing_builds_where_nothing_runs(tmp_path: Path, status: dict[str, Any]) -> None:
    """The change may repair the Deployment, so its state is no error."""
    pods = done(json.dumps({"items": [pod(**status)]}))
    cluster = Cluster(deployment("driver=0"), kubectl_get_pods=pods, kubectl_exec=failed("container not found"))
    assert brought_up(tmp_path, cluster)[1:] == (["k/n: recreated, and answers"], [])


def test_one_of_several_pods_is_used() -> None:
    names = ["k-n-1", "k-n-2"]
    items = [{"metadata": {"name": name}, "status": RUNNING} for name in names]
    idle = failed("command terminated with exit code 1")
    cluster = Cluster(deployment(), kubectl_get_pods=done(json.dumps({"items": items})), kubectl_exec=idle)
    cluster.answers = {"kubectl exec k-n-2": done("17\n"), **cluster.answers}
    manager = Deployments(docker=cluster)
    made = manager.find(NODE)
    assert made is not None
    assert manager.is_used(NODE, made)
    del cluster.answers["kubectl exec k-n-2"]
    assert not manager.is_used(NODE, made)


def test_the_remedy_is_for_what_there_is() -> None:
    claimed = replace(NODE, options=(("namespace", "a b"), ("persistent-volume-claim.requests.storage", "9Gi")))
    docker = FakeDocker({"kubectl": done(json.dumps(deployment("")))})
    with pytest.raises(UsageError, match=r"remove it: kubectl '--namespace=a b' delete statefulset k-n$"):
        Deployments(docker=docker).own(claimed)


@pytest.mark.parametrize(
    ("status", "words", "hint"),
    [
        (
            {"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]},
            "its pods wait:\n  pod k-n-1: ImagePullBackOff: no such image",
            'set image = "…" in the builder to a BuildKit image that the cluster can pull',
        ),
        (
            {"initContainerStatuses": [{"state": {"terminated": {"reason": "Error", "exitCode": 1}}}]},
            "its pods wait:\n  pod k-n-1: Error",
            LOOK,
        ),
        (
            {
                "conditions": [
                    {"type": "Initialized", "status": "True"},
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3\nnodes"},
                ]
            },
            "its pods wait:\n  pod k-n-1: Unschedulable: 0/3\\nnodes",
            "check nodeselector, tolerations and requests: no machine of the cluster takes its pods",
        ),
        (
            {
                "initContainerStatuses": [{"state": {"terminated": {"reason": "Completed"}}}],
                "containerStatuses": [{"state": {"running": {}}, "restartCount": 2}],
            },
            "its log ends with:\n  buildkitd: unknown flag --nope",
            LOOK,
        ),
    ],
)
def test_what_does_not_become_ready_says_why(tmp_path: Path, status: dict[str, Any], words: str, hint: str) -> None:
    cluster = Cluster(
        buildx_inspect=failed("ERROR: expected 1 replicas to be ready, got 0"),
        kubectl_get_pods=done(json.dumps({"items": [pod(**status)]})),
        kubectl_logs=done("buildkitd: unknown flag --nope\n"),
    )
    _, _, errors = brought_up(tmp_path, cluster)
    messages = "its pods do not become ready (expected 1 replicas to be ready, got 0)"
    node = "node k/n (kubernetes, the cluster in use)"
    assert errors == [f"{node} cannot be used: {messages}\n{words}\n  = {hint}"]


def test_a_cluster_out_of_reach(tmp_path: Path) -> None:
    docker = FakeDocker({"kubectl": failed("Unable to connect to the server: dial tcp: i/o timeout")})
    workspace, _ = workspaces.workspace_with(tmp_path, docker)
    (listed,) = inventory(workspace.services, CLUSTER, workspace.plan)
    assert listed.trouble == (
        "node k/n (kubernetes, the cluster in use) cannot be used: the cluster does not answer "
        "(Unable to connect to the server: dial tcp: i/o timeout)\n"
        "  = check that it is up, and that the right context is in use; try: kubectl version"
    )


def test_as_listed(tmp_path: Path) -> None:
    workspace, _ = workspaces.workspace_with(tmp_path, Cluster())
    assert "(in use)  missing" in inventory_text([inventory(workspace.services, CLUSTER, workspace.plan)])
    workspace, _ = workspaces.workspace_with(tmp_path, Cluster(deployment(ready=0)))
    assert "not ready (0 of 1 pods)" in inventory_text([inventory(workspace.services, CLUSTER, workspace.plan)])


def test_what_waits_for_its_pods_is_waited_for(tmp_path: Path) -> None:
    plan, messages, _ = brought_up(tmp_path, Cluster(deployment(ready=0)))
    assert plan == "k (kubernetes)\n  > start Deployment k-n: it is not ready (0 of 1 pods)"
    assert messages == ["k/n: started, and answers"]


def test_removed_from_its_namespace_by_what_was_noted(tmp_path: Path) -> None:
    cluster = Cluster()
    brought_up(tmp_path, cluster)
    workspace, messages = workspaces.workspace_with(tmp_path, cluster)
    record = workspace.services.records.read("k", workspace.plan)
    assert record is not None
    assert prune(workspace, record, {}) == []
    assert messages == ["k/n: Deployment removed, and its cache"]
    assert cluster.described is None
    assert workspace.services.records.read("k", workspace.plan) is None


def test_a_claim_outlives_it(tmp_path: Path) -> None:
    claimed = replace(NODE, options=(*NODE.options, ("persistent-volume-claim.requests.storage", "9Gi")))
    described = done(json.dumps(deployment()))
    docker = FakeDocker(
        {
            "kubectl --namespace=ci get statefulset/k-n": described,
            "kubectl --namespace=ci get pods": done(json.dumps({"items": []})),
            "kubectl --namespace=ci delete statefulset/k-n": done(),
        }
    )
    workspace, messages = workspaces.workspace_with(tmp_path, docker)
    assert remove(workspace, replace(CLUSTER, nodes=(claimed,)), keep_state=False) == []
    assert messages == ["k/n: StatefulSet removed, its cache stays"]
