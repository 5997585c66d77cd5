"""Images read back until they are what they must be, or for as long as is reasonable."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.buildkit.verification import Verification
from mpbake.errors import BuildFailed, Unreachable
from mpbake.expected import Expected, expected_of
from mpbake.platforms import parse_platforms
from tests.unit.dockers import FakeDocker, done, failed
from tests.unit.indexes import MANY, ONE, attestation, config, entry, index
from tests.unit.plans import target_of_text, text
from tests.unit.test_registry import registry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mpbake.buildkit.docker import Completed

BOTH = parse_platforms(["linux/amd64", "linux/arm64"])
ASK = "buildx imagetools inspect --builder x-n "


def inspected(data: object) -> Completed:
    return done(json.dumps(data, indent=2))


def expected(attributes: str = "", platforms: Sequence[str] = ("linux/amd64", "linux/arm64")) -> Expected:
    target = target_of_text(f"[targets.web]\ntags = ['r/web:1', 'r/web:2', 's:5000/web:1']\n{attributes}")
    return expected_of(target, parse_platforms(platforms), "sha256:1")


def verification(answers: Mapping[str, Any]) -> tuple[FakeDocker, Verification]:
    docker = FakeDocker(answers)
    return docker, Verification(registry=registry(docker))


def no_pause(seconds: float) -> None:
    pytest.fail(f"it waits for {seconds}")


def test_what_was_built_is_served_under_every_tag() -> None:
    docker, this = verification({ASK: inspected(MANY)})
    assert this.wait(expected(), no_pause).digest == "sha256:1"
    assert docker.commands == [f"{ASK}--format {{{{json .}}}} {tag}" for tag in ("r/web:1", "r/web:2", "s:5000/web:1")]


def test_more_is_asked_for_where_more_was_declared_and_once_for_each_image() -> None:
    image = index(entry("amd64"), attestation(), image=config("amd64"))
    manifest = {
        "annotations": {"a": "b"},
        "layers": [{"annotations": {"in-toto.io/predicate-type": "spdx.dev/Document"}}],
    }
    docker, this = verification({f"{ASK}--raw": inspected(manifest), ASK: inspected(image)})
    declared = expected("annotations = ['manifest:a=b']\nattest = ['type=sbom']", ["linux/amd64"])
    assert this.wait(declared, no_pause).digest == "sha256:1"
    assert [each for each in docker.commands if "--raw" in each] == [f"{ASK}--raw r/web@sha256:b2cf"] * 2


@pytest.mark.parametrize(
    ("annotation", "asked"),
    [
        ("manifest:a=b", ["sha256:amd64", "sha256:arm64"]),
        ("manifest[linux/arm64]:a=b", ["sha256:arm64"]),
        ("manifest-descriptor:a=b", []),
        ("index:a=b", []),
    ],
)
def test_a_manifest_is_read_only_where_something_is_declared_of_it(annotation: str, asked: list[str]) -> None:
    entries = (entry(name) | {"digest": f"sha256:{name}"} for name in ("amd64", "arm64"))
    both = index(*entries, image={f"linux/{name}": config(name) for name in ("amd64", "arm64")})
    docker, this = verification({f"{ASK}--raw": inspected({}), ASK: inspected(both)})
    this.compare(expected(f"annotations = ['{annotation}']"))
    assert [each.partition("@")[2] for each in docker.commands if "--raw" in each] == asked


def test_a_manifest_and_its_descriptor_are_annotated_each_for_itself() -> None:
    described = index(entry("amd64") | {"annotations": {"a": "b"}}, image=config("amd64"))
    _, this = verification({f"{ASK}--raw": inspected({"annotations": {"a": "b"}}), ASK: inspected(described)})
    declared = expected("annotations = ['manifest,manifest-descriptor:a=b']", ["linux/amd64"])
    assert this.compare(declared)[0] == ()


@pytest.mark.parametrize(
    "manifest",
    [[], {"annotations": []}, {"annotations": ["a"]}, {"layers": 1}, {"layers": [1]}, {"layers": [{"annotations": 1}]}],
)
def test_a_manifest_may_say_anything(manifest: object) -> None:
    image = index(entry("amd64"), attestation(), image=config("amd64"))
    _, this = verification({f"{ASK}--raw": inspected(manifest), ASK: inspected(image)})
    declared = expected("annotations = ['manifest:a=b']\nattest = ['type=sbom']", ["linux/amd64"])
    found = [str(each.found) for each in this.complaints(declared)]
    assert found
    assert all(
        not each or "@sha256:b2cf could not be read back: what is served is no image: " in each for each in found
    )


def test_a_registry_that_answers_late_is_asked_again() -> None:
    answers = iter([failed("r/web:1: not found"), inspected(ONE)])
    docker, this = verification({ASK: lambda _: next(answers, inspected(MANY))})
    pauses: list[float] = []
    assert this.wait(expected(), pauses.append, pauses=(1.0, 2.0, 4.0)).digest == "sha256:1"
    assert pauses == [1.0, 2.0]
    assert len(docker.commands) == 1 + 3 + 3


def test_a_registry_is_not_asked_for_ever() -> None:
    pauses: list[float] = []
    _, late = verification({ASK: inspected(ONE)})
    with pytest.raises(BuildFailed) as caught:
        late.wait(expected(), pauses.append)
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert str(caught.value) == text("""
        the registry does not serve what was built:
          r/web:1: platforms: linux/amd64, not linux/amd64, linux/arm64
          r/web:2: platforms: linux/amd64, not linux/amd64, linux/arm64
          s:5000/web:1: platforms: linux/amd64, not linux/amd64, linux/arm64
          = somebody else may have pushed the same tag meanwhile; run again
        """)
    _, gone = verification({ASK: failed("connection refused")})
    with pytest.raises(Unreachable):
        gone.wait(expected(), pauses.append, pauses=(1.0,))


def test_a_registry_that_does_not_answer_is_soon_left() -> None:
    now = 0.0

    def silence(_: object) -> Completed:
        nonlocal now
        now += 30.0
        return failed("", timed_out=True)

    docker, hangs = verification({ASK: silence})
    pauses: list[float] = []
    with pytest.raises(Unreachable, match="no answer in time"):
        hangs.wait(expected(), pauses.append, clock=lambda: now)
    assert (pauses, now) == ([0.5], 60.0)
    assert [each["timeout"] for each in docker.settings] == [30.0, 30.0]


def test_a_registry_that_answers_slowly_is_waited_for_as_often_as_another() -> None:
    now = 0.0
    answers = iter([failed("r/web:1: not found"), inspected(ONE), inspected(MANY), inspected(MANY)])

    def slowly(_: object) -> Completed:
        nonlocal now
        now += 25.0
        return next(answers, inspected(MANY))

    _, slow = verification({ASK: slowly})
    pauses: list[float] = []
    assert slow.wait(expected(), pauses.append, clock=lambda: now).digest == "sha256:1"
    assert pauses == [0.5, 1.0]


def test_the_first_tag_gives_the_digest_where_nobody_knows_it() -> None:
    other = MANY | {"manifest": MANY["manifest"] | {"digest": "sha256:2"}}
    _, this = verification({f"{ASK}--format {{{{json .}}}} s": inspected(other), ASK: inspected(MANY)})
    found, first = this.compare(expected_of(target_of_text(PLAN), BOTH))
    assert ([str(each) for each in found], first.digest) == (
        ["s:5000/web:1: digest: sha256:2, not sha256:1"],
        "sha256:1",
    )


def test_every_tag_must_name_what_the_first_one_names() -> None:
    other = MANY | {"manifest": MANY["manifest"] | {"digest": "sha256:2"}}
    _, this = verification({f"{ASK}--format {{{{json .}}}} r/web:2": inspected(other), ASK: inspected(MANY)})
    target = target_of_text("[targets.web]\ntags = ['r/web:1', 'r/web:2', 'r/web:3']")
    assert [str(each) for each in this.complaints(expected_of(target, BOTH))] == [
        "r/web:2: digest: sha256:2, not sha256:1"
    ]


PLAN = "[targets.web]\ntags = ['r/web:1', 's:5000/web:1']"


def test_a_tag_that_cannot_be_read_is_different_too() -> None:
    for said, told in (
        ("s:5000/web:1: not found", "no such tag"),
        ("manifest invalid", "s:5000/web:1 could not be read back: manifest invalid"),
    ):
        _, this = verification({f"{ASK}--format {{{{json .}}}} s": failed(said), ASK: inspected(MANY)})
        (found,) = this.complaints(expected_of(target_of_text(PLAN), BOTH))
        assert (found.tag, found.what, found.found) == ("s:5000/web:1", "answer", told)
    _, gone = verification({ASK: failed("connection refused")})
    with pytest.raises(Unreachable):
        list(gone.complaints(expected_of(target_of_text(PLAN), BOTH)))
