"""The Deployments and StatefulSets of the simulated cluster, and the selection of its objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.testbed_parts.kubernetes.objects import (
    DEPLOYMENTS,
    STATEFUL_SETS,
    ApiError,
    pods_of,
    selected,
    with_status,
    workload_of,
)

if TYPE_CHECKING:
    from tests.testbed_parts.kubernetes.objects import Resource


def _workload(resource: Resource, image: str = "image:1") -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "some"}}, "spec": {"containers": [{"name": "main", "image": image}]}}
    metadata = {"name": "some", "namespace": "default", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return with_status({"kind": resource.kind, "metadata": metadata, "spec": {"replicas": 2, "template": template}})


def test_deployment_is_ready_with_its_pods() -> None:
    deployment = _workload(DEPLOYMENTS)
    pods = pods_of(deployment)
    assert deployment["status"]["readyReplicas"] == 2
    assert [pod["status"]["phase"] for pod in pods] == ["Running", "Running"]
    assert len({pod["metadata"]["name"] for pod in pods}) == 2
    assert {workload_of(pod) for pod in pods} == {"some"}
    assert pods == pods_of(deployment)


def test_the_pods_of_a_stateful_set_are_numbered() -> None:
    pods = pods_of(_workload(STATEFUL_SETS))
    assert [pod["metadata"]["name"] for pod in pods] == ["some-0", "some-1"]
    assert {workload_of(pod) for pod in pods} == {"some"}


@pytest.mark.parametrize(("seconds", "phase"), [(60, "Running"), (10**9, "Pending")])
def test_deployment_whose_image_is_pulled_for_a_while(seconds: int, phase: str) -> None:
    deployment = _workload(DEPLOYMENTS, f"slow.invalid/image:{seconds}")
    (pod, _) = pods_of(deployment)
    assert pod["status"]["phase"] == phase
    assert deployment["status"].get("readyReplicas", 0) == (2 if phase == "Running" else 0)


@pytest.mark.parametrize(
    ("labels", "expected"), [("", True), ("app=some", True), ("app=other", False), ("app=some,team=red", False)]
)
def test_selectors(labels: str, expected: bool) -> None:  # noqa: FBT001 (a row of the table)
    assert selected({"metadata": {"name": "some", "labels": {"app": "some"}}}, labels) is expected


@pytest.mark.parametrize("labels", ["app in (a,b)", "app!=some", "app"])
def test_other_selectors_are_refused(labels: str) -> None:
    with pytest.raises(ApiError, match="no such selector here"):
        selected({"metadata": {}}, labels)
