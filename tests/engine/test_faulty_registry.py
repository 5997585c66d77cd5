"""A registry that fails at each request in turn: a tag names the complete old or new image, never a partial one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from testbed.registry_client import platforms_of

from mpbake.base.text import shortened
from tests.checkout import CHECKOUT
from tests.engine.faulty import faulty_registry
from tests.engine.test_values import _two_nodes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from testbed.registry_client import RegistryClient
    from testbed.testbed import Testbed

    from tests.engine.conftest import RunMpbake
    from tests.engine.faulty import Fault, FaultyRegistry

BOTH = ["linux/amd64", "linux/arm64"]
_INDEX = "application/vnd.oci.image.index.v1+json"


def plan_of(testbed: Testbed, builder: str, repository: str) -> str:
    """Return a plan with a target whose layer depends on the variable `content`."""
    return f"""
version = 1
[variables]
content = "old"
[targets.web]
builder = "{builder}"
dockerfile-inline = '''
FROM {testbed.env()["BASE_IMAGE"]}
ARG CONTENT
RUN echo $CONTENT > /content
'''
args = {{ CONTENT = "{{{{ content }}}}" }}
platforms = ["linux/amd64", "linux/arm64"]
tags = ["{repository}:1", "{repository}:2"]
push = true
""" + _two_nodes(testbed)


def whole(client: RegistryClient, repository: str, tag: str, platforms: Sequence[str] = BOTH) -> str:
    """Return the digest of the index that a tag names. Assert that the registry has all its manifests and blobs."""
    digest, index = client.manifest(f"{repository}:{tag}")
    assert platforms_of(index) == list(platforms)
    for entry in json.loads(index)["manifests"]:
        manifest = json.loads(client.manifest(f"{repository}@{entry['digest']}")[1])
        for blob in (manifest["config"], *manifest["layers"]):
            assert client.ask("HEAD", f"/v2/{repository}/blobs/{blob['digest']}").status == 200
    return digest


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A fault that lasts for some requests. `status` and `headers` belong to the answers."""

    fault: Fault
    lasts: int = 1
    status: int = 403
    headers: Mapping[str, str] = field(default_factory=dict)
    heals: bool = False
    """Whether every run succeeds in spite of the fault."""
    only_tags: bool = False
    """Whether only requests that move a tag fail. BuildKit would wait for an answer to its own requests for ever."""


FOR_EVER = 10**6
CASES = {
    "403": Case(fault="refuses"),
    "500, once": Case(fault="refuses", status=500, heals=True),
    "503, once": Case(fault="refuses", status=503, heals=True),
    "503, for ever": Case(fault="refuses", status=503, lasts=FOR_EVER),
    "429, twice": Case(fault="refuses", status=429, lasts=2, headers={"Retry-After": "1"}, heals=True),
    "connection ends": Case(fault="dies", lasts=FOR_EVER),
    "accepted, connection ends, once": Case(fault="accepts", heals=True),
    "accepted, connection ends, for ever": Case(fault="accepts", lasts=FOR_EVER),
    "accepted, answer late": Case(fault="late", only_tags=True),
    "accepted, answer late, then silence": Case(fault="late", lasts=FOR_EVER, only_tags=True),
    "answer never": Case(fault="hangs", only_tags=True),
}


def patient(seconds: float) -> tuple[str, ...]:
    """Return the command of an mpbake that waits at most `seconds` for an answer of a registry."""
    module = "mpbake.buildkit.registry.registries"
    script = (
        f"import {module} as r; r.WRITE_TIMEOUT = r.READ_TIMEOUT = {seconds}; from mpbake.__main__ import main; main()"
    )
    return (sys.executable, "-c", script)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """The result of a run whose registry failed at one request."""

    request: str
    code: int
    claimed: tuple[str, ...]
    served: tuple[str, ...]

    @property
    def is_true(self) -> bool:
        """Whether the run's claim about each tag is true. The claim `may have moved` is true in both cases."""
        pairs = zip(self.claimed, self.served, strict=True)
        return all(claimed in {served, "may have moved"} for claimed, served in pairs)

    def __str__(self) -> str:
        """Return the row as a line of the table."""
        pairs = zip(self.claimed, self.served, strict=True)
        tags = "  ".join(f"{claimed:14} {served:9}" for claimed, served in pairs)
        return f"{self.code:4}  {tags}  {shortened(self.request.partition('?')[0], 70)}"


def row_of(
    completed: subprocess.CompletedProcess[str], folder: Path, tags: Sequence[str], moved: Sequence[bool]
) -> Row:
    """Return what a run claims about its tags and what the registry serves.

    Its text, metadata and exit code must agree.
    """
    metadata = json.loads((folder / "m.json").read_bytes())["web"]["mpbake"]
    sure, unsure = metadata["tags"], metadata["may-have-moved"]
    claimed = ["moved" if tag in sure else "may have moved" if tag in unsure else "not moved" for tag in tags]
    for claim in re.finditer(
        r"\bmoved: (.*?); (?:may have moved: (.*?); )?not moved: (.*)$", completed.stderr, re.MULTILINE
    ):
        words = [[] if not group or group == "none" else group.split(", ") for group in claim.groups()]
        assert words == [sure, unsure, [tag for tag in tags if tag not in (*sure, *unsure)]], completed.stderr
    if completed.returncode == 0:
        assert claimed == ["moved"] * len(tags)
    served = tuple("moved" if has_moved else "not moved" for has_moved in moved)
    return Row(request="", code=completed.returncode, claimed=tuple(claimed), served=served)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("builder", "name", "stride"),
    [
        ("two", "403", 26),
        ("default", "403", 26),
        pytest.param("two", "500, once", 46, marks=pytest.mark.one_release),
        pytest.param("two", "503, for ever", 47, marks=pytest.mark.long),
        pytest.param("two", "429, twice", 29, marks=pytest.mark.long),
        pytest.param("two", "connection ends", 37, marks=pytest.mark.long),
        ("two", "accepted, connection ends, once", 58),
        pytest.param("two", "accepted, connection ends, for ever", 29, marks=pytest.mark.long),
        pytest.param("two", "accepted, answer late", 1, marks=pytest.mark.one_release),
        pytest.param("two", "accepted, answer late, then silence", 1, marks=pytest.mark.long),
        ("default", "answer never", 1),
        *(
            pytest.param(builder, name, stride, marks=pytest.mark.long)
            for builder, name, stride in (
                ("two", "403", 1),
                ("default", "403", 1),
                ("two", "connection ends", 3),
                ("two", "500, once", 1),
                ("two", "503, once", 1),
                ("default", "503, once", 3),
                ("two", "503, for ever", 4),
                ("default", "503, for ever", 9),
                ("two", "429, twice", 3),
                ("default", "429, twice", 5),
                ("two", "accepted, connection ends, once", 3),
                ("default", "accepted, connection ends, once", 5),
                ("two", "accepted, connection ends, for ever", 7),
                ("default", "accepted, answer late", 1),
                ("default", "accepted, answer late, then silence", 1),
            )
        ),
    ],
)
def test_what_is_claimed_is_what_is_served_whichever_request_fails(  # noqa: PLR0913, PLR0917 - fixtures
    builder: str, name: str, stride: int, testbed: Testbed, testbed_env: dict[str, str], unique: str, tmp_path: Path
) -> None:
    case, client = CASES[name], testbed.registry.client

    def run(*args: str, seconds: float = 30.0) -> subprocess.CompletedProcess[str]:
        command = (*patient(seconds), "run", "web", "--metadata-file", "m.json", *args)
        env = {**testbed_env, "PYTHONPATH": str(CHECKOUT), "XDG_STATE_HOME": str(tmp_path / "state")}
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=240, check=False)

    with faulty_registry(testbed.registry.host) as registry:
        tags = [f"{registry.host}/{unique}:{tag}" for tag in "12"]
        (tmp_path / "build.toml").write_text(plan_of(testbed, builder, f"{registry.host}/{unique}"))
        completed = run()
        assert completed.returncode == 0, completed.stderr
        old = whole(client, unique, "1")
        index = client.manifest(f"{unique}:1")[1]
        registry.reset(().__contains__)
        assert run("--var", "content=new").returncode == 0
        requests = registry.asked
        positions = [
            position
            for position, request in enumerate(requests, 1)
            if not case.only_tags or re.fullmatch(rf"PUT /v2/{unique}/manifests/[12]", request)
        ][::stride]
        rows = []
        for position in positions:
            for tag in "12":
                client.put_manifest(unique, tag, _INDEX, index)
            fails = range(position, position + case.lasts)
            # The number of requests before a request that moves a tag differs between runs.
            after = requests[position - 1] if case.only_tags else ""
            registry.reset(fails.__contains__, case.fault, status=case.status, headers=case.headers)
            registry.after, registry.lasts = after, case.lasts
            completed = run("--quiet", "--var", f"content={position}", seconds=2.0 if case.only_tags else 30.0)
            reached = len(registry.asked) >= position
            registry.reset(().__contains__)
            served = [whole(client, unique, tag) for tag in "12"]
            assert completed.returncode in {0, 1, 5}, completed.stderr
            assert "Traceback" not in completed.stderr
            assert "mpbake itself failed" not in completed.stderr
            row = replace(
                row_of(completed, tmp_path, tags, [digest != old for digest in served]), request=requests[position - 1]
            )
            rows.append(row)
            assert row.is_true, f"{row}\n{completed.stderr}"
            if case.heals and reached:
                assert completed.returncode == 0, f"{row}\n{completed.stderr}"
        head = (
            f"\n{buildx_version(testbed_env)}, builder {builder}, {name}:\nexit  {'claimed and served of each tag':50}"
        )
        sys.stdout.write("\n".join([head, *map(str, rows), ""]))
        assert case.lasts < FOR_EVER or any(row.code for row in rows), "a fault that lasts is noticed"


def buildx_version(env: dict[str, str]) -> str:
    version = subprocess.run(("docker", "buildx", "version"), env=env, capture_output=True, text=True, check=True)
    return f"buildx {version.stdout.split()[1]}"


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("builder", "platforms", "where"),
    [
        ("two", BOTH, "one repository"),
        ("two", BOTH, "two registries"),
        ("default", BOTH, "two repositories"),
        ("default", BOTH[:1], "one repository"),
        *(
            pytest.param(builder, platforms, where, marks=pytest.mark.long)
            for builder, platforms, where in (
                ("two", BOTH, "two repositories"),
                ("default", BOTH, "one repository"),
                ("default", BOTH, "two registries"),
                ("default", BOTH[:1], "two repositories"),
                ("default", BOTH[:1], "two registries"),
            )
        ),
    ],
)
def test_a_tag_is_given_to_whole_indexes_only(  # noqa: PLR0913, PLR0917 - fixtures
    builder: str,
    platforms: Sequence[str],
    where: str,
    testbed: Testbed,
    run_mpbake: RunMpbake,
    unique: str,
    tmp_path: Path,
) -> None:
    client = testbed.registry.client
    with faulty_registry(testbed.registry.host) as near, faulty_registry(testbed.registry.host) as far:
        other = unique if where == "one repository" else f"{unique}/copy"
        places = [(near, unique, "1"), (far if where == "two registries" else near, other, "2"), (near, unique, "3")]
        tags = [f"{registry.host}/{path}:{tag}" for registry, path, tag in places]
        plan = plan_of(testbed, builder, "HERE").replace('["HERE:1", "HERE:2"]', json.dumps(tags))
        plan = plan.replace(json.dumps(BOTH), json.dumps(platforms))
        (tmp_path / "build.toml").write_text(plan)
        completed = run_mpbake(["run", "web"])
        assert completed.returncode == 0, completed.stderr
        now = {whole(client, path, tag, platforms) for _, path, tag in places}
        assert len(now) == 1
        for registry, path, tag in places:
            for proxy in (near, far):
                proxy.reset(().__contains__)
            registry.guarded = f"/v2/{path}/manifests/{tag}"
            completed = run_mpbake(["run", "web", "--var", f"content={tag}"])
            assert completed.returncode == 1, completed.stderr
            claim = re.search(r"^moved: (.*?); not moved: (.*)$", completed.stderr, re.MULTILINE)
            assert claim, completed.stderr
            assert f"{registry.host}/{path}:{tag}" in claim[2].split(", "), completed.stderr
            assert whole(client, path, tag, platforms) in now, completed.stderr
            served = {
                other: whole(client, path, tag, platforms) for other, (_, path, tag) in zip(tags, places, strict=True)
            }
            moved = [] if claim[1] == "none" else claim[1].split(", ")
            assert [other for other in tags if served[other] not in now] == moved, completed.stderr
            _none_but_indexes(near, far)
            for registry_, path_, tag_ in places:
                registry_.guarded = ""
                client.put_manifest(path_, tag_, _INDEX, client.manifest(f"{path}:{tag}")[1])
        for proxy in (near, far):
            proxy.reset(().__contains__)
        assert run_mpbake(["run", "web", "--var", "content=new"]).returncode == 0
        _none_but_indexes(near, far)
        given = [path for proxy in (near, far) for path, _ in proxy.given if "mpbake-upload" not in path]
        assert len(given) == len(tags)


def _none_but_indexes(*registries: FaultyRegistry) -> None:
    """Assert that clients put only indexes under the tags of the plan."""
    for registry in registries:
        for path, body in registry.given:
            assert "mpbake-upload" in path or "manifests" in json.loads(body), path
