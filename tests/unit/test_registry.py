"""Tags given, and images read back."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.buildkit.instances import Ready
from mpbake.buildkit.registry import Registry, Served, compare, parse_served
from mpbake.errors import BuildFailed, Unreachable
from mpbake.placement import NodeFacts
from mpbake.plan import Driver, Node
from mpbake.platforms import Platform, parse_platforms
from tests.unit.dockers import FakeDocker, done, failed
from tests.unit.plans import target_of_text, text

if TYPE_CHECKING:
    from mpbake.buildkit.docker import Completed
    from mpbake.plan import Target


def platforms(*names: str) -> tuple[Platform, ...]:
    return parse_platforms(f"linux/{name}" for name in names)


def config(architecture: str, variant: str = "", system: str = "linux") -> dict[str, Any]:
    """The config of an image, as much of it as matters, in the order in which buildx prints it."""
    found = {"created": "2026-11-24T13:08:45.412776815Z", "architecture": architecture, "os": system}
    return found | ({"variant": variant} if variant else {}) | {"config": {"Cmd": ["sh"]}, "history": [{}]}


def entry(architecture: str, variant: str = "", system: str = "linux") -> dict[str, Any]:
    platform = {"architecture": architecture, "os": system} | ({"variant": variant} if variant else {})
    return {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:b2cf", "platform": platform}


def attestation() -> dict[str, Any]:
    marks = {"vnd.docker.reference.digest": "sha256:b2cf", "vnd.docker.reference.type": "attestation-manifest"}
    return entry("unknown", system="unknown") | {"annotations": marks}


def index(*entries: dict[str, Any], image: object, digest: str = "sha256:1") -> dict[str, Any]:
    manifest = {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": digest, "manifests": list(entries)}
    return {"name": "r/web:1", "manifest": manifest, "image": image}


MANY = index(
    entry("amd64"),
    entry("arm64", "v8"),
    attestation(),
    attestation(),
    image={"linux/amd64": config("amd64"), "linux/arm64": config("arm64", "v8")},
)
ONE = index(entry("amd64"), attestation(), image=config("amd64"))
"""One image beside its attestations: buildx then gives its config itself."""

UNKNOWN = parse_platforms(["unknown/unknown"])
PLAIN = {"name": "r/web:1", "manifest": {"digest": "sha256:1", "size": 855}, "image": config("arm", "v7")}


@pytest.mark.parametrize(
    ("data", "declared", "configured"),
    [
        (MANY, platforms("amd64", "arm64"), platforms("amd64", "arm64")),
        (ONE, platforms("amd64"), platforms("amd64")),
        (PLAIN, platforms("arm/v7"), platforms("arm/v7")),
        (index(entry("arm", "v6"), image=config("arm64")), platforms("arm/v6"), platforms("arm64")),
        (index(image={}), (), ()),
        (index(entry("amd64"), image=None), platforms("amd64"), ()),
        # an entry need not say for which platform it is
        (index({"digest": "sha256:b2cf"}, image=config("amd64")), UNKNOWN, platforms("amd64")),
        (index({"digest": "sha256:b2cf", "platform": None}, image=config("amd64")), UNKNOWN, platforms("amd64")),
        (
            index({"digest": "x", "platform": {"architecture": "arm64"}}, image=None),
            parse_platforms(["unknown/arm64"]),
            (),
        ),
    ],
)
def test_what_a_registry_serves(
    data: dict[str, Any], declared: tuple[Platform, ...], configured: tuple[Platform, ...]
) -> None:
    assert parse_served(data) == Served(digest="sha256:1", platforms=declared, configured=configured)


def served(*names: str, configured: tuple[str, ...] | None = None, digest: str = "sha256:1") -> Served:
    return Served(
        digest=digest,
        platforms=platforms(*names),
        configured=platforms(*(names if configured is None else configured)),
    )


@pytest.mark.parametrize(
    ("found", "differences"),
    [
        (served("amd64", "arm64"), []),
        (served("arm64", "amd64"), []),
        (served("amd64", "arm64", digest="sha256:2"), ["its digest is sha256:2, not sha256:1"]),
        (served("amd64"), ["it lacks linux/arm64"]),
        (served(), ["it lacks linux/amd64, linux/arm64"]),
        (served("amd64", "arm64", "s390x", "386"), ["it also holds linux/386, linux/s390x"]),
        (
            served("amd64", "arm64", configured=("amd64",)),
            ["its images say of themselves that they are linux/amd64"],
        ),
        (
            served("amd64", "riscv64", digest="sha256:2", configured=()),
            ["its digest is sha256:2, not sha256:1", "it lacks linux/arm64", "it also holds linux/riscv64"],
        ),
    ],
)
def test_differences(found: Served, differences: list[str]) -> None:
    assert compare(found, set(platforms("amd64", "arm64")), "sha256:1") == differences


# --- requests ---------------------------------------------------------------------------------------------------------


def web(attributes: str = "") -> Target:
    return target_of_text(f"[targets.web]\ntags = ['r/web:1', 'r/web:latest', 's:5000/web:1']\n{attributes}")


def registry(docker: FakeDocker) -> Registry:
    node = Node(builder="x", name="n", driver=Driver.REMOTE)
    facts = NodeFacts(driver=Driver.REMOTE)
    return Registry(docker=docker, through=Ready(node=node, facts=facts, builder="x-n", store=Path("/nodes/x-n")))


def test_pieces_become_one_index_under_all_tags() -> None:
    docker = FakeDocker({"--dry-run": done("{}\n"), "buildx imagetools create": done()})
    target = web("annotations = ['index:a=b', 'manifest:c=d', 'manifest,index-descriptor:e=f']")
    digest = registry(docker).join(target, ["sha256:1", "sha256:2"])
    create = (
        "buildx imagetools create --builder x-n --progress plain --annotation index:a=b --annotation "
        "index-descriptor:e=f --tag r/web:1 --tag r/web:latest --tag s:5000/web:1 r/web@sha256:1 r/web@sha256:2"
    )
    assert docker.commands == [f"{create} --dry-run", create]
    assert (
        docker.settings
        == [
            {"endpoint": "", "environment": {"BUILDX_CONFIG": "/nodes/x-n"}, "timeout": 300.0},
        ]
        * 2
    )
    assert digest == "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


@pytest.mark.parametrize(
    ("printed", "index"),
    [
        ("{}\n", b"{}"),
        ("{}", b"{}"),
        ("{}\n\n", b"{}\n"),
        ('{\n  "a": "ä"\n}\n', '{\n  "a": "ä"\n}'.encode()),
    ],
)
def test_the_digest_of_an_index_is_that_of_its_bytes(printed: str, index: bytes) -> None:
    docker = FakeDocker({"--dry-run": done(printed, "warning"), "buildx imagetools create": done("other")})
    assert registry(docker).join(web(), ["sha256:1"]) == f"sha256:{hashlib.sha256(index).hexdigest()}"


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        (failed("ERROR: r/web@sha256:1: not found\n"), BuildFailed, "r/web@sha256:1: not found"),
        (
            failed("", timed_out=True),
            Unreachable,
            "no answer in time\n  = is the registry up and reachable from this machine?",
        ),
    ],
)
def test_an_index_that_cannot_be_made_gives_no_tag(answer: Completed, kind: type[Exception], told: str) -> None:
    docker = FakeDocker({"--dry-run": answer})
    with pytest.raises(kind) as caught:
        registry(docker).join(web(), ["sha256:1"])
    assert str(caught.value) == f"the index of all platforms cannot be made: {told}"
    assert len(docker.commands) == 1


HALF = text("""
    #1 [internal] pushing s:5000/web:1
    #1 0.000 copying sha256:9b8d from r/web@sha256:1 to s:5000/web:1
    #1 ERROR: authorization failed: no basic auth credentials

    #2 [internal] pushing r/web:latest
    #2 0.000 pushing sha256:9b8d to r/web:latest

    #3 [internal] pushing r/web:1
    #3 0.090 pushing sha256:9b8d to r/web:1
    #3 DONE 0.1s
    ------
     > [internal] pushing s:5000/web:1:
    0.000 copying sha256:9b8d from r/web@sha256:1 to s:5000/web:1
    ------
    ERROR: authorization failed: no basic auth credentials
    """)


def test_it_is_told_exactly_which_tags_have_moved() -> None:
    docker = FakeDocker({"--dry-run": done("{}"), "buildx imagetools create": failed(HALF)})
    with pytest.raises(BuildFailed) as caught:
        registry(docker).join(web(), ["sha256:1"])
    assert str(caught.value) == text("""
        the tags could not be given (moved: r/web:1; not moved: r/web:latest, s:5000/web:1): authorization failed: \
no basic auth credentials
          = check docker login and the repository's rights
        """)


def test_names_on_docker_hub_are_known_in_full() -> None:
    docker = FakeDocker(
        {
            "--dry-run": done("{}"),
            "buildx imagetools create": failed("#1 [internal] pushing docker.io/team/web:1\n#1 DONE 0.1s\n"),
        }
    )
    target = target_of_text("[targets.web]\ntags = ['team/web:1', 'team/web:2']")
    with pytest.raises(BuildFailed, match=r"\(moved: team/web:1; not moved: team/web:2\)"):
        registry(docker).join(target, ["sha256:1"])


def test_a_registry_that_does_not_answer() -> None:
    docker = FakeDocker({"--dry-run": done("{}"), "buildx imagetools create": failed("", timed_out=True)})
    with pytest.raises(Unreachable) as caught:
        registry(docker).join(web(), ["sha256:1"])
    assert str(caught.value) == text("""
        the tags could not be given (moved: none; not moved: r/web:1, r/web:latest, s:5000/web:1): no answer in time
          = is the registry up and reachable from this machine?
        """)


def test_the_engine_pushes_tag_after_tag() -> None:
    docker = FakeDocker({"push --quiet": done()})
    registry(docker).push(web())
    assert docker.commands == ["push --quiet r/web:1", "push --quiet r/web:latest", "push --quiet s:5000/web:1"]


def test_where_the_engine_stopped_pushing() -> None:
    docker = FakeDocker(
        {"push --quiet r/web:latest": failed("denied: requested access to the resource is denied"), "push": done()}
    )
    with pytest.raises(BuildFailed, match=r"\(moved: r/web:1; not moved: r/web:latest, s:5000/web:1\): denied"):
        registry(docker).push(web())


def inspected(data: dict[str, Any]) -> Completed:
    return done(json.dumps(data, indent=2))


def test_what_was_built_is_served_under_every_tag() -> None:
    docker = FakeDocker({"buildx imagetools inspect": inspected(MANY)})
    assert registry(docker).verify(web(), platforms("amd64", "arm64"), "sha256:1") == "sha256:1"
    assert docker.commands == [
        f"buildx imagetools inspect --builder x-n --format {{{{json .}}}} {tag}"
        for tag in ("r/web:1", "r/web:latest", "s:5000/web:1")
    ]


def test_the_first_tag_gives_the_digest_where_nobody_knows_it() -> None:
    other = MANY | {"manifest": MANY["manifest"] | {"digest": "sha256:2"}}
    docker = FakeDocker(
        {"buildx imagetools inspect --builder x-n --format {{json .}} s": inspected(other), "buildx": inspected(MANY)}
    )
    with pytest.raises(BuildFailed) as caught:
        registry(docker).verify(web(), platforms("amd64", "arm64"), "")
    assert str(caught.value) == text("""
        the registry does not serve what was built:
          s:5000/web:1: its digest is sha256:2, not sha256:1
          = somebody else may have pushed the same tag meanwhile; run again
        """)


def test_every_difference_is_told() -> None:
    docker = FakeDocker({"buildx imagetools inspect": inspected(ONE)})
    with pytest.raises(BuildFailed) as caught:
        registry(docker).verify(
            target_of_text("[targets.web]\ntags = ['r/web:1', 'r/web:2']"), platforms("arm64"), "sha256:9"
        )
    assert caught.value.message == text("""
        the registry does not serve what was built:
          r/web:1: its digest is sha256:1, not sha256:9
          r/web:1: it lacks linux/arm64
          r/web:1: it also holds linux/amd64
          r/web:2: its digest is sha256:1, not sha256:9
          r/web:2: it lacks linux/arm64
          r/web:2: it also holds linux/amd64
        """)


@pytest.mark.parametrize(
    ("complaint", "kind", "hint"),
    [
        ("r/web:1: not found", BuildFailed, ""),
        ("dial tcp: connection refused", Unreachable, "\n  = is the registry up and reachable from this machine?"),
    ],
)
def test_what_cannot_be_read_back(complaint: str, kind: type[Exception], hint: str) -> None:
    docker = FakeDocker({"buildx imagetools inspect": failed(f"more\nERROR: {complaint}\n")})
    with pytest.raises(kind) as caught:
        registry(docker).verify(web(), platforms("amd64"), "")
    assert str(caught.value) == f"r/web:1 could not be read back: {complaint}{hint}"
