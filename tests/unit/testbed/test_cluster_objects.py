"""The Deployments of the testbed's cluster, and the selection of its objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.testbed_parts.kubernetes.objects import (
    DEPLOYMENTS,
    STATEFUL_SETS,
    ApiError,
    complete_workload,
    grown,
    pods_of,
    selected,
    workload_of,
)
from tests.testbed_parts.kubernetes.watch import changes

if TYPE_CHECKING:
    from tests.testbed_parts.kubernetes.objects import Resource


def _workload(resource: Resource, **changed: Any) -> dict[str, Any]:
    labels = {"app": "some"}
    spec = {
        "replicas": 2,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "image:1"}]}},
    }
    times = {"creationTimestamp": "2026-01-01T00:00:00Z", "resourceVersion": "1"}
    metadata = {"name": "some", "namespace": "default", "uid": "u", **times}
    made = {"kind": resource.kind, "metadata": metadata, "spec": {**spec, **changed}}
    complete_workload(resource, made)
    return made


def _deployment(**changed: Any) -> dict[str, Any]:
    return _workload(DEPLOYMENTS, **changed)


def _template(image: str) -> dict[str, Any]:
    return {"metadata": {"labels": {"app": "some"}}, "spec": {"containers": [{"name": "main", "image": image}]}}


def test_deployment_is_ready_with_its_pods() -> None:
    deployment = _deployment()
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


def test_deployment_without_its_image_never_is() -> None:
    deployment = _deployment(template=_template("registry.invalid:5000/image:1"))
    (pod, _) = pods_of(deployment)
    assert "readyReplicas" not in deployment["status"]
    assert pod["status"]["phase"] == "Pending"
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ImagePullBackOff"


@pytest.mark.parametrize(("seconds", "phase"), [(60, "Running"), (10**9, "Pending")])
def test_deployment_whose_image_is_pulled_for_a_while(seconds: int, phase: str) -> None:
    deployment = _deployment(template=_template(f"slow.invalid/image:{seconds}"))
    (pod, _) = pods_of(deployment)
    assert pod["status"]["phase"] == phase
    assert grown(deployment) is deployment
    deployment["status"] = {}
    assert grown(deployment)["status"].get("readyReplicas", 0) == (2 if phase == "Running" else 0)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"selector": {}}, r"spec\.selector: Required value"),
        ({"selector": {"matchLabels": {"app": "other"}}}, "`selector` does not match template `labels`"),
        ({"template": {"metadata": {"labels": {"app": "some"}}}}, r"spec\.template\.spec\.containers: Required value"),
    ],
)
def test_deployment_that_no_cluster_takes(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError, match=message):
        _deployment(**changed)


@pytest.mark.parametrize(
    ("labels", "fields", "expected"),
    [
        ("", "", True),
        ("app=some", "metadata.name=some", True),
        ("app==some,team!=red", "", True),
        ("app=other", "", False),
        ("app!=some", "", False),
        ("app", "", True),
        ("!app", "", False),
        ("!team", "", True),
        ("", "metadata.name=other", False),
        ("", "status.missing.deep=x", False),
    ],
)
def test_selectors(labels: str, fields: str, expected: bool) -> None:  # noqa: FBT001 (a row of the table)
    item = {"metadata": {"name": "some", "labels": {"app": "some"}}}
    assert selected(item, labels, fields) is expected


def test_selector_of_a_set_is_refused() -> None:
    with pytest.raises(ApiError, match="no such selector here"):
        selected({"metadata": {}}, "app in (a,b)", "")


def test_changes_are_told_once() -> None:
    def item(version: int) -> dict[str, Any]:
        return {"metadata": {"resourceVersion": str(version)}}

    events = changes({"a": item(1), "b": item(2), "c": item(3)}, {"b": item(2), "c": item(4), "d": item(5)})
    assert [(event["type"], event["object"]) for event in events] == [
        ("DELETED", item(1)),
        ("MODIFIED", item(4)),
        ("ADDED", item(5)),
    ]
