"""Deployments of nodes: mpbake finds them through kubectl, recognizes them by their mark, and removes them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.errors import Unreachable, UsageError
from mpbake.buildkit.builders import replacement
from mpbake.buildkit.builders.inventory import inventory
from mpbake.buildkit.builders.removal import prune, remove
from mpbake.buildkit.nodes.drivers.back_end import Blockage
from mpbake.buildkit.nodes.drivers.cluster.in_use import cluster_in_use
from mpbake.buildkit.nodes.drivers.cluster.objects import REFUSAL, end_with_errors
from mpbake.buildkit.nodes.drivers.kubernetes import Deployments
from mpbake.buildkit.nodes.instances.declaration import declare
from mpbake.buildkit.process.completed import Completed
from mpbake.model.existing_builders import ExistingNode
from mpbake.model.marks import ANNOTATION, drifted_names
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
LOOK = "look at them: kubectl describe pods"
MARKED = declare(NODE).mark
HERE, ELSEWHERE = "https://user:password@here:6443", "https://elsewhere:6443"


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
            "kubectl get configmap": done(),
            "kubectl get statefulset": done(),
            "kubectl config view": done(HERE),
        }
        super().__init__({**defaults, **{name.replace("_", " "): answer for name, answer in answers.items()}})
        self.described = described
        self.dry_runs: dict[str, Completed] = {}
        self.manifests: list[dict[str, Any]] = []

    def run_program(self, command: Sequence[str], *, timeout: float, given: bytes | str = "") -> Completed:
        """Answer a dry run by the kind of the object."""
        if not given:
            return super().run_program(command, timeout=timeout)
        assert command[1:] == ["--namespace=ci", "create", "--dry-run=server", "--output=name", "--filename=-"]
        self.manifests.append(json.loads(given))
        return self.dry_runs.get(self.manifests[-1]["kind"], done())

    def run(self, arguments: Sequence[str], **settings: Any) -> Completed:
        """Answer like buildx and kubectl. The namespace is checked, and removed from the recorded command."""
        if arguments[0] == "kubectl" and arguments[1] != "config":
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


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """Let no test ask a registry. An image is missing if the dictionary says so."""
    missing: dict[str, bool] = {}
    monkeypatch.setattr(replacement, "_is_missing", lambda _, __, image: missing.get(image, False))
    return missing


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
take it over (mpbake builders up --adopt k), or remove it: kubectl --namespace=ci delete deployment k-n
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


def test_in_another_cluster_nothing_is_removed_and_nothing_forgotten(tmp_path: Path) -> None:
    cluster = Cluster()
    brought_up(tmp_path, cluster)
    cluster.answers["kubectl config view"] = done(ELSEWHERE)
    workspace, messages = workspaces.workspace_with(tmp_path, cluster)
    record = workspace.services.records.read("k", workspace.plan)
    assert record is not None
    assert [made.cluster for made in record.nodes] == ["https://here:6443"]
    told = "k/n: it was made in the cluster https://here:6443, and kubectl uses https://elsewhere:6443"
    hint = "choose the context of that cluster: kubectl config use-context NAME; if it is gone for good, run: "
    for errors, command in (
        (remove(workspace, CLUSTER, keep_state=False), "mpbake builders rm --forget k"),
        (prune(workspace, record, {}), "mpbake builders prune --forget"),
    ):
        assert [str(error) for error in errors] == [f"{told}\n  = {hint}{command}"]
    assert cluster.described is not None
    assert workspace.services.records.read("k", workspace.plan) == record
    assert remove(workspace, CLUSTER, keep_state=False, forget=True) == []
    forgotten = "does not answer, and is forgotten; https://here:6443 may still have: Deployment k-n"
    assert messages == [f"k/n: {forgotten}"]
    assert workspace.services.records.read("k", workspace.plan) is None


@pytest.mark.parametrize("answer", [failed("error: current-context must exist"), Unreachable("no kubectl")])
def test_in_a_pod_the_cluster_is_not_known(answer: Any) -> None:
    assert cluster_in_use(Cluster(kubectl_config_view=answer)) == ""


def test_a_claim_outlives_it(tmp_path: Path) -> None:
    claimed = replace(NODE, options=(*NODE.options, ("persistent-volume-claim.requests.storage", "9Gi")))
    described = done(json.dumps(deployment()))
    docker = FakeDocker(
        {
            "kubectl --namespace=ci get statefulset/k-n": described,
            "kubectl --namespace=ci get deployment/k-n": done(),
            "kubectl --namespace=ci get configmap": done(),
            "kubectl --namespace=ci get pods": done(json.dumps({"items": []})),
            "kubectl --namespace=ci delete statefulset/k-n": done(),
        }
    )
    workspace, messages = workspaces.workspace_with(tmp_path, docker)
    assert remove(workspace, replace(CLUSTER, nodes=(claimed,)), keep_state=False) == []
    assert messages == ["k/n: StatefulSet removed, its cache stays"]


def test_scaled_to_0_by_hand_is_scaled_up(tmp_path: Path) -> None:
    scaled = deployment(ready=0)
    scaled["spec"]["replicas"] = 0
    cluster = Cluster(scaled, kubectl_scale=done())
    plan, messages, errors = brought_up(tmp_path, cluster)
    assert plan == "k (kubernetes)\n  > start Deployment k-n: it is scaled to 0"
    assert (messages, errors) == (["k/n: started, and answers"], [])
    assert "kubectl scale deployment/k-n --replicas=1" in cluster.commands
    assert Deployments(docker=cluster).blockage(NODE) == Blockage(reason="its Deployment is scaled to 0")


def test_without_the_right_to_scale_the_remedy_is_named(tmp_path: Path) -> None:
    scaled = deployment(ready=0)
    scaled["spec"]["replicas"] = 0
    denied = failed('deployments.apps "k-n" is forbidden: User "ci" cannot patch resource "deployments/scale"')
    (error,) = brought_up(tmp_path, Cluster(scaled, kubectl_scale=denied))[2]
    by_hand = "scale it up by hand: kubectl --namespace=ci scale deployment/k-n --replicas=1"
    assert error.endswith(f"  = {ROLE}; or, {by_hand}")


def test_what_the_cluster_would_reject_replaces_nothing(tmp_path: Path) -> None:
    cluster = Cluster(deployment("driver=0"))
    prefix = 'Error from server (Forbidden): error when creating "STDIN": '
    reason = 'pods "mpbake-dry-run-" is forbidden: error looking up service account ci/x: serviceaccount "x" not found'
    cluster.dry_runs = {"Deployment": failed('deployments.apps "k-n" already exists'), "Pod": failed(prefix + reason)}
    assert brought_up(tmp_path, cluster)[2] == [
        (
            f"k/n: the cluster would reject the new Deployment, so the old one stays: {reason}\n"
            "  = create it (kubectl create serviceaccount NAME), or correct `serviceaccount`"
        )
    ]
    assert cluster.described, "it is still there"
    assert [manifest["kind"] for manifest in cluster.manifests] == ["Deployment", "Pod"]


@pytest.mark.parametrize(
    "stderr",
    [
        'Error from server (Forbidden): pods is forbidden: User "ci" cannot create resource "pods" in API group ""',
        'Error from server (Forbidden): pods "x" is forbidden: exceeded quota: q, requested: cpu=2, used: cpu=2',
        "Error from server (InternalError): webhook does not support dry run",
    ],
)
def test_a_dry_run_of_a_pod_that_does_not_say_replaces(tmp_path: Path, stderr: str) -> None:
    """The user may lack the right to create pods, and the old pods still use up the quota."""
    cluster = Cluster(deployment("driver=0"))
    cluster.dry_runs = {"Pod": failed(stderr)}
    assert brought_up(tmp_path, cluster)[1:] == (["k/n: recreated, and answers"], [])


def test_a_cluster_that_cannot_be_asked_replaces_nothing(tmp_path: Path) -> None:
    cluster = Cluster(deployment("driver=0"))
    cluster.dry_runs = {"Deployment": failed("Unable to connect to the server: dial tcp: i/o timeout")}
    (error,) = brought_up(tmp_path, cluster)[2]
    assert "cannot be used: the cluster does not answer" in error
    assert cluster.described, "it is still there"


def test_an_image_that_does_not_exist_replaces_nothing(tmp_path: Path, registry: dict[str, bool]) -> None:
    registry["moby/buildkit:v2"] = True
    cluster = Cluster(deployment("driver=0"))
    assert brought_up(tmp_path, cluster)[2] == [
        (
            "k/n: the image moby/buildkit:v2 does not exist, so its Deployment stays unchanged\n"
            '  = set image = "…" in the builder to a BuildKit image that the cluster can pull; if the machines of the '
            "cluster have this image, run first: mpbake builders rm k"
        )
    ]
    assert cluster.described, "it is still there"


def test_an_image_that_the_cluster_already_pulled_is_not_asked_for(tmp_path: Path, registry: dict[str, bool]) -> None:
    registry["moby/buildkit:v2"] = True
    described = deployment("driver=0")
    described["spec"]["template"]["spec"]["containers"][0]["image"] = "moby/buildkit:v2"
    assert brought_up(tmp_path, Cluster(described))[1] == ["k/n: recreated, and answers"]


MARKED_CONFIG = {"metadata": {"name": "k-n-config", "annotations": {ANNOTATION: "driver:1"}}}
FOREIGN_CONFIG = {"metadata": {"name": "k-n-config-1"}}
CONFIGS = done(json.dumps({"items": [MARKED_CONFIG, FOREIGN_CONFIG]}))


def test_a_config_map_that_is_left_is_removed(tmp_path: Path) -> None:
    cluster = Cluster(kubectl_get_configmap=CONFIGS)
    workspace, messages = workspaces.workspace_with(tmp_path, cluster)
    assert remove(workspace, CLUSTER, keep_state=False) == []
    assert messages == ["k/n: ConfigMap k-n-config removed, which was left of its Deployment"]
    assert "kubectl delete configmap/k-n-config --ignore-not-found" in cluster.commands


def test_without_the_right_to_read_config_maps_none_is_left(tmp_path: Path) -> None:
    cluster = Cluster(kubectl_get_configmap=failed("Error from server (Forbidden): configmaps is forbidden"))
    workspace, messages = workspaces.workspace_with(tmp_path, cluster)
    assert remove(workspace, CLUSTER, keep_state=False) == []
    assert messages == []


def test_a_stateful_set_leaves_the_config_map_of_its_deployment(tmp_path: Path) -> None:
    """Without its claim, a node becomes a Deployment of the same name, with the same ConfigMap."""
    claimed = replace(NODE, options=(*NODE.options, ("persistent-volume-claim.requests.storage", "9Gi")))
    docker = FakeDocker(
        {
            "kubectl --namespace=ci get statefulset/k-n": done(json.dumps(deployment())),
            "kubectl --namespace=ci get deployment/k-n --ignore-not-found --output=name": done("deployment.apps/k-n\n"),
            "kubectl --namespace=ci get pods": done(json.dumps({"items": []})),
            "kubectl --namespace=ci get configmap": CONFIGS,
            "kubectl --namespace=ci delete": done(),
        }
    )
    workspace, _ = workspaces.workspace_with(tmp_path, docker)
    assert remove(workspace, replace(CLUSTER, nodes=(claimed,)), keep_state=False) == []
    (deleted,) = [command for command in docker.commands if " delete " in command]
    waiting = "--ignore-not-found --cascade=foreground --timeout=120s"
    assert deleted == f"kubectl --namespace=ci delete statefulset/k-n {waiting}"


def named_pod(name: str, container: str, owner: str = "ReplicaSet") -> dict[str, Any]:
    metadata = {"name": name, "uid": f"u-{name}", "ownerReferences": [{"kind": owner}]}
    status = {"containerStatuses": [{"containerID": container, "state": {"running": {}}}]}
    return {"metadata": metadata, "status": status}


def pods_of(*items: dict[str, Any]) -> Completed:
    return done(json.dumps({"items": items}))


IDLE = failed("command terminated with exit code 1")


@pytest.mark.parametrize(
    ("pods", "client", "serves"),
    [
        (pods_of(named_pod("a", "1")), done("17\n"), True),
        (pods_of(named_pod("a", "1")), IDLE, False),
        (pods_of(named_pod("a", "1")), failed("error: no route to host"), True),
        (pods_of(named_pod("a", "2")), done("17\n"), False),
        (pods_of(named_pod("b", "1")), done("17\n"), False),
        (pods_of(), done("17\n"), False),
        (failed("was refused"), done("17\n"), True),
    ],
    ids=["client", "no client", "unknown", "container replaced", "pod replaced", "pod gone", "no answer"],
)
def test_whether_the_pod_of_a_build_still_works_on_it(pods: Completed, client: Completed, *, serves: bool) -> None:
    cluster = Cluster(kubectl_get_pods=pods_of(named_pod("a", "1")), kubectl_exec=client)
    manager = Deployments(docker=cluster)
    daemons = manager.daemons(NODE)
    assert daemons == {"u-a/1"}
    cluster.answers["kubectl get pods"] = pods
    assert manager.serves(NODE, daemons) is serves


def test_the_pods_of_a_stateful_set_are_not_those_of_the_deployment() -> None:
    items = pods_of(named_pod("a", "1"), named_pod("b", "2", "StatefulSet"))
    assert Deployments(docker=Cluster(kubectl_get_pods=items)).daemons(NODE) == {"u-a/1"}


def crashing() -> dict[str, Any]:
    state = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
    return pod(containerStatuses=[{"name": "buildkitd", "state": state, "restartCount": 2}])


def test_a_pod_that_crashes_shows_its_previous_log() -> None:
    logs = done("buildkitd: unknown flag --nope\n")
    cluster = Cluster(deployment(), kubectl_get_pods=pods_of(crashing()), kubectl_logs=logs)
    assert Deployments(docker=cluster).end_of_log(NODE) == text("""
        its pods wait:
          pod k-n-1: CrashLoopBackOff: back-off
        its log ends with:
          buildkitd: unknown flag --nope
        """)
    assert "kubectl logs --previous --container=buildkitd k-n-1 --tail 100" in cluster.commands


def test_a_pod_that_is_not_created_shows_its_events() -> None:
    events = {"items": [{"reason": "FailedMount", "message": 'configmap "k-n-config" not found'}] * 2}
    waiting_pod = pod(**waiting("ContainerCreating"))
    cluster = Cluster(deployment(), kubectl_get_pods=pods_of(waiting_pod), kubectl_get_events=done(json.dumps(events)))
    assert Deployments(docker=cluster).end_of_log(NODE) == text("""
        its pods wait:
          pod k-n-1: ContainerCreating
        the cluster reports:
          FailedMount: configmap "k-n-config" not found
        """)


def test_a_deployment_without_pods_says_why() -> None:
    described = deployment(ready=0)
    message = 'pods "k-n-1" is forbidden: exceeded quota: q'
    described["status"]["conditions"] = [{"type": "ReplicaFailure", "status": "True", "message": message}]
    cluster = Cluster(described, kubectl_get_pods=pods_of(), kubectl_logs=done())
    manager = Deployments(docker=cluster)
    assert manager.blockage(NODE) == REFUSAL
    assert manager.end_of_log(NODE) == f"its pods wait:\n  {message}"


def test_only_events_say_why_a_stateful_set_has_no_pods() -> None:
    claimed = replace(NODE, options=(("persistent-volume-claim.requests.storage", "9Gi"),))
    events = {"items": [{"reason": "FailedCreate", "message": "exceeded quota: q"}]}
    docker = FakeDocker(
        {"kubectl get statefulset": done(json.dumps(deployment())), "kubectl get events": done(json.dumps(events))}
    )
    assert Deployments(docker=docker).blockage(claimed) == REFUSAL
    selector = "--field-selector=involvedObject.uid=c0ffee,reason=FailedCreate"
    assert f"kubectl get events {selector} --sort-by=.lastTimestamp --output=json" in docker.commands


@pytest.mark.parametrize(
    ("reason", "patience"),
    [("ImagePullBackOff", 20.0), ("InvalidImageName", 0.0), ("CrashLoopBackOff", 10.0), ("ContainerCreating", None)],
)
def test_blockages(reason: str, patience: float | None) -> None:
    cluster = Cluster(deployment(ready=0), kubectl_get_pods=pods_of(pod(**waiting(reason))))
    expected = None if patience is None else Blockage(reason=f"its pods do not start: {reason}", patience=patience)
    assert Deployments(docker=cluster).blockage(NODE) == expected


def test_nothing_blocks_what_is_not_known() -> None:
    assert Deployments(docker=Cluster()).blockage(NODE) is None
    docker = FakeDocker({"kubectl": failed("was refused")})
    assert Deployments(docker=docker).blockage(NODE) is None


HELP = [f"--flag-{number}" for number in range(20)]


@pytest.mark.parametrize(
    ("log", "end"),
    [
        (["a", "", "b"], ["a", "b"]),
        (HELP, HELP[-3:]),
        (["buildkitd: no such flag", *HELP], ["buildkitd: no such flag", *HELP[-2:]]),
        ([*HELP, "buildkitd: no such flag"], [*HELP[-2:], "buildkitd: no such flag"]),
        (
            ["buildkitd: 1", "buildkitd: 2", "buildkitd: 3", "buildkitd: 4", *HELP],
            [f"buildkitd: {n}" for n in (2, 3, 4)],
        ),
        (["time=x level=error msg=no", *HELP], ["time=x level=error msg=no", *HELP[-2:]]),
        ([], []),
    ],
)
def test_the_end_of_a_log_holds_its_errors(log: list[str], end: list[str]) -> None:
    assert end_with_errors("\n".join(log), 3).splitlines() == end


# --- adoption ---------------------------------------------------------------------------------------------------------


def test_a_deployment_that_was_made_by_hand_is_adopted_by_its_annotation() -> None:
    cluster = Cluster(deployment(""), kubectl_annotate=done())
    stored = ExistingNode(name="k-n", endpoint="kubernetes://k", options=NODE.options)
    manager = Deployments(docker=cluster)
    made = manager.foreign(NODE, stored)
    assert made is not None
    assert drifted_names(made.mark, MARKED) == ("image", "serviceaccount"), "the cluster reports others"
    manager.adopt(NODE, made)
    assert cluster.commands[-1] == (
        f"kubectl annotate --overwrite configmap/k-n-config deployment/k-n {ANNOTATION}={made.mark.replace('=', ':')}"
    )
    manager.adopt(NODE, replace(made, id="another"))
    assert len([command for command in cluster.commands if "annotate" in command]) == 1


def test_a_deployment_that_does_not_exist_is_not_adopted() -> None:
    cluster = Cluster()
    assert Deployments(docker=cluster).foreign(NODE, ExistingNode(name="k-n", endpoint="")) is None
