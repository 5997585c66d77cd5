"""Options of nodes in a cluster: what the cluster or buildx would reject."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mpbake.base.errors import PlanError
from tests.unit.plans import resolve_text

if TYPE_CHECKING:
    from mpbake.base.errors import Diagnostic

BUILDER = """
[builders.k]
driver = "kubernetes"
"""
LABEL_HINT = "use at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends"
AMOUNT_HINT = "write an amount such as 500m, 2, 512Mi or 4Gi"


def problem_of(line: str) -> list[str]:
    """Return the problems of a builder with this `line`, each as its key, message and hint."""
    try:
        resolve_text(BUILDER + line)
    except PlanError as error:
        return [f"{_key(diagnostic)}: {diagnostic.message}\n  = {diagnostic.hint}" for diagnostic in error.diagnostics]
    return []


def _key(diagnostic: Diagnostic) -> str:
    return ".".join(map(str, diagnostic.location.key)) if diagnostic.location else ""


@pytest.mark.parametrize("amount", ["2", "0.5", "500m", ".5", "4Gi", "512Mi", "1e3", "128974848", "129M", "1k", "2E"])
def test_amounts(amount: str) -> None:
    assert problem_of(f'requests.memory = "{amount}"') == []


@pytest.mark.parametrize(
    ("amount", "hint"),
    [
        ("4GiB", "write 4Gi"),
        ("4 Gi", "write 4Gi"),
        ("512MB", "write 512M"),
        ("10B", "write 10"),
        ("4K", "write 4k"),
        ("8g", AMOUNT_HINT),
        ("-1", AMOUNT_HINT),
        ("much", AMOUNT_HINT),
        ("1e9999999", AMOUNT_HINT),
        ("٣", AMOUNT_HINT),
    ],
)
def test_amounts_that_the_cluster_rejects(amount: str, hint: str) -> None:
    assert problem_of(f'limits.memory = "{amount}"') == [
        f'builders.k.limits.memory: "{amount}" is not a valid amount for limits.memory\n  = {hint}'
    ]


def test_every_key_that_is_an_amount() -> None:
    found = problem_of("""
requests = { cpu = "x", memory = "x", ephemeral-storage = "x" }
limits = { cpu = "x" }
persistent-volume-claim.requests.storage = "x"
buildkit-root-volume-memory = "x"
""")
    assert [problem.partition(":")[0].removeprefix("builders.k.") for problem in found] == [
        "requests.cpu",
        "requests.memory",
        "requests.ephemeral-storage",
        "limits.cpu",
        "persistent-volume-claim.requests.storage",
        "buildkit-root-volume-memory",
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (
            'labels = { team = "a b" }',
            f'builders.k.labels.team: "a b" is not a valid value of team in labels\n  = {LABEL_HINT}',
        ),
        (
            f'nodeselector = {{ pool = "{"x" * 64}" }}',
            (
                f'builders.k.nodeselector.pool: "{"x" * 64}" is not a valid value of pool in nodeselector'
                f"\n  = {LABEL_HINT}"
            ),
        ),
        (
            'labels = { "a/b/c" = "1" }',
            (
                'builders.k.labels.a/b/c: "a/b/c" is not a valid key in labels\n'
                "  = use NAME or PREFIX/NAME, as in example.com/pool"
            ),
        ),
        (
            'labels = { app = "x" }',
            "builders.k.labels.app: the label app is reserved\n  = remove it, or rename the label",
        ),
        (
            'annotations = { mpbake-node = "x" }',
            (
                "builders.k.annotations.mpbake-node: the annotation mpbake-node is reserved\n"
                "  = remove it, or rename the annotation"
            ),
        ),
        (
            'annotations = { note = "a=b" }',
            (
                "builders.k.annotations.note: the value of the annotation note contains a comma or an equals sign\n"
                "  = write it without both: buildx cannot pass them"
            ),
        ),
        (
            'namespace = "CI"',
            (
                'builders.k.namespace: "CI" is not a valid value for namespace\n'
                "  = use at most 63 lower-case letters, digits and `-`"
            ),
        ),
        (
            'serviceaccount = "a_b"',
            (
                'builders.k.serviceaccount: "a_b" is not a valid value for serviceaccount\n'
                "  = use lower-case letters, digits, `-` and `.`"
            ),
        ),
        (
            'tolerations = [{ effect = "Noschedule" }]',
            'builders.k.tolerations.0.effect: unknown effect "Noschedule"\n  = did you mean "NoSchedule"?',
        ),
        (
            "replicas = 0",
            "builders.k.replicas: must be at least 1\n  = ",
        ),
    ],
)
def test_values_that_the_cluster_rejects(line: str, problem: str) -> None:
    assert problem_of(line) == [problem]


def test_values_that_the_cluster_accepts() -> None:
    assert (
        problem_of("""
labels = { "example.com/team" = "a-b_c.D", app2 = "x", Empty = "" }
annotations = { "example.com/note" = "any text: really" }
nodeselector = { "kubernetes.io/arch" = "arm64" }
namespace = "ci-1"
serviceaccount = "ci.builder"
""")
        == []
    )


@pytest.mark.parametrize(
    ("node", "claim", "reason"),
    [
        ("x" * 61, "", ""),
        ("x" * 62, "", f"k-{'x' * 62} is too long for a Deployment: at most 63 characters"),
        ("x" * 50, "1Gi", ""),
        ("x" * 51, "1Gi", f"k-{'x' * 51} is too long for a StatefulSet: at most 52 characters"),
        ("x_", "", "k-x- is not a valid name for a Deployment: it must start and end with a letter or digit"),
    ],
)
def test_names(node: str, claim: str, reason: str) -> None:
    claimed = f'persistent-volume-claim.requests.storage = "{claim}"' if claim else ""
    problems = problem_of(f"{claimed}\n[builders.k.nodes.{node}]")
    hint = "rename the builder or the node: the name consists of both"
    assert problems == ([f"builders.k.nodes.{node}: {reason}\n  = {hint}"] if reason else [])


def test_a_request_above_its_limit() -> None:
    found = problem_of("""
requests = { cpu = "2", memory = "1Gi" }
limits = { cpu = "500m", memory = "1024Mi" }
[builders.k.nodes.a]
[builders.k.nodes.b]
[builders.k.nodes.c]
requests.memory = "2G"
""")
    assert found == [
        (
            "builders.k.requests.cpu: requests.cpu is greater than limits.cpu (2 > 500m)\n"
            "  = raise limits.cpu, or lower requests.cpu"
        ),
        (
            "builders.k.nodes.c.requests.memory: requests.memory is greater than limits.memory (2G > 1024Mi)\n"
            "  = raise limits.memory, or lower requests.memory"
        ),
    ]


CONFIGURED = 'persistent-volume-claim.requests.storage = "1Gi"\nbuildkitd = { debug = true }\n'


def test_a_claim_hides_the_configuration() -> None:
    hint = "remove one of them, or set rootless = true: otherwise buildx mounts only the volume, so the pods lack "
    assert problem_of(f"{CONFIGURED}[builders.k.nodes.a]\n[builders.k.nodes.b]") == [
        f"builders.k.buildkitd: a persistent-volume-claim and buildkitd cannot be used together\n  = {hint}buildkitd"
    ]


def test_a_claim_of_rootless_pods_hides_nothing() -> None:
    node = resolve_text(f"{BUILDER}rootless = true\n{CONFIGURED}").builders["k"].nodes[0]
    assert node.config == "debug = true\n"


def test_a_conflict_of_a_default_is_reported_there() -> None:
    defaults = '\n[defaults.builder]\nlimits.memory = "1Gi"\nrequests.memory = "2Gi"\n'
    assert [problem.partition(":")[0] for problem in problem_of(defaults)] == ["defaults.builder.requests.memory"]
