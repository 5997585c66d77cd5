"""The recorder of engine calls sees every call that a plan does not list. Needs no engine."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.engine.recorder import DockerCall, DockerRecorder, PlannedRun, as_planned, observed_calls

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.one_release

HOST = "localhost:5000"
STORE = "/plan/.mpbake/nodes/ci-a"
DOCUMENT: dict[str, Any] = {
    "targets": [
        {
            "name": "web",
            "tags": [f"{HOST}/web:1"],
            "outputs": ["type=local,dest=out"],
            "variants": {},
            "attributes": {"cache-to": [f"type=registry,ref={HOST}/cache:web"]},
        }
    ],
    "probe": {"nodes": [{"id": "ci/a", "status": "missing"}]},
    "steps": [
        {"key": "bootstrap ci/a", "kind": "bootstrap", "node": "ci/a", "after": []},
        {"key": "bootstrap ci/b", "kind": "bootstrap", "node": "ci/b", "after": []},
        {
            "key": "build web",
            "kind": "build",
            "target": "web",
            "nodes": ["ci/a", "ci/b"],
            "spare": [],
            "platforms": [{"platform": "linux/amd64", "how": "native"}],
            "delivery": "untagged",
            "load": "all",
            "shared": False,
            "after": ["bootstrap ci/a"],
        },
        {
            "key": "check web linux/amd64 (1)",
            "kind": "check",
            "target": "web",
            "platforms": ["linux/amd64"],
            "after": ["build web"],
        },
        {
            "key": "publish web",
            "kind": "publish",
            "target": "web",
            "tags": [f"{HOST}/web:1"],
            "uploads": [],
            "names": [],
            "after": ["build web"],
        },
    ],
}
BUILD = {
    "target": {
        "web": {
            "platforms": ["linux/amd64"],
            "output": ["type=docker,name=x", "type=local,dest=out", f"type=image,name={HOST}/web,push=true"],
        }
    }
}
CHECK = {"target": {"web-check-1": {"platforms": ["linux/amd64"], "output": ["type=cacheonly"]}}}
BAKE = ("buildx", "bake", "--builder", "ci-a", "--file", "-", "--progress", "rawjson")
CALLS = [
    DockerCall(words=("version",), store="", definition={}),
    DockerCall(words=("volume", "create", "buildx_buildkit_ci-a_state"), store="", definition={}),
    DockerCall(words=("buildx", "inspect", "ci-a", "--bootstrap"), store=STORE, definition={}),
    DockerCall(words=("buildx", "inspect", "ci-a"), store=STORE, definition={}),
    DockerCall(words=(*BAKE, "--metadata-file", "m.json", "web"), store=STORE, definition=BUILD),
    DockerCall(words=(*BAKE, "web-check-1"), store=STORE, definition=CHECK),
]
REQUESTS = [
    "GET /v2/",
    "PUT /v2/web/manifests/sha256:1",
    "PUT /v2/cache/manifests/web",
    "PUT /v2/web/manifests/1",
    "GET /v2/web/manifests/1",
]


def differences(calls: list[DockerCall], requests: list[str]) -> tuple[Counter[Any], Counter[Any]]:
    """Return the calls that the plan does not list, and the calls that it lists in addition."""
    observed = observed_calls(calls, requests, HOST)
    planned = PlannedRun(document=DOCUMENT, engine_platform="linux/amd64", observed=observed).calls()
    seen = as_planned(observed, DOCUMENT)
    return seen - planned, planned - seen


def test_a_run_as_planned() -> None:
    more, fewer = differences(CALLS, REQUESTS)
    assert (more, fewer) == (Counter(), Counter())


@pytest.mark.parametrize("missing", range(1, len(CALLS)))
def test_every_missing_call_is_noticed(missing: int) -> None:
    more, fewer = differences(CALLS[:missing] + CALLS[missing + 1 :], REQUESTS)
    queries = {2, 3}  # several queries to a node count as one
    assert (sum(fewer.values()) > 0) == (missing not in queries)
    assert not more


def test_a_node_that_is_used_but_not_prepared() -> None:
    assert differences([*CALLS[:2], *CALLS[4:]], REQUESTS)[1] == Counter([("bootstrap", "ci-a")])


@pytest.mark.parametrize(
    "call",
    [
        CALLS[4],
        CALLS[5],
        DockerCall(words=("buildx", "inspect", "ci-c"), store="/plan/.mpbake/nodes/ci-c", definition={}),
        DockerCall(words=("buildx", "imagetools", "create", "x"), store="", definition={}),
        DockerCall(words=("--host", "ssh://far", "container", "stop", "x"), store="", definition={}),
        DockerCall(words=("image", "tag", "a", "b"), store="", definition={}),
    ],
)
def test_every_further_call_is_noticed(call: DockerCall) -> None:
    more, fewer = differences([*CALLS, call], REQUESTS)
    assert sum(more.values()) >= 1
    assert not fewer


def test_every_tag_counts() -> None:
    assert differences(CALLS, REQUESTS[:-2])[1] == Counter([("tag", f"{HOST}/web:1")])
    assert differences(CALLS, [*REQUESTS, "PUT /v2/web/manifests/1"])[0] == Counter([("tag", f"{HOST}/web:1")])
    assert differences(CALLS, [*REQUESTS, "PUT /v2/web/manifests/latest"])[0] == Counter(
        [("tag", f"{HOST}/web:latest")]
    )
    upload = ["PUT /v2/web/manifests/mpbake-upload-1"] * 2
    assert differences(CALLS, [*REQUESTS, *upload])[0] == Counter([("upload", f"{HOST}/web")])


def test_an_equal_node_may_build() -> None:
    elsewhere = [
        DockerCall(words=call.words, store=call.store.replace("ci-a", "ci-b"), definition=call.definition)
        for call in CALLS
    ]
    assert differences(elsewhere, REQUESTS) == (Counter(), Counter())


def test_docker_is_recorded_and_called(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (real / "docker").write_text('#!/bin/sh\necho "$@"; cat\n')
    (real / "docker").chmod(0o755)
    recorder = DockerRecorder(tmp_path / "recorder", f"{real}{os.pathsep}{os.environ['PATH']}")
    env = {"PATH": recorder.path, "BUILDX_CONFIG": "/store"}
    words = ["docker", "buildx", "bake", "--file", "-", "a b"]
    done = subprocess.run(words, input='{"target": {}}', env=env, capture_output=True, text=True, check=True)
    assert done.stdout == 'buildx bake --file - a b\n{"target": {}}'
    (call,) = recorder.calls()
    assert call == DockerCall(words=tuple(words[1:]), store="/store", definition={"target": {}})
    recorder.forget()
    assert recorder.calls() == []
