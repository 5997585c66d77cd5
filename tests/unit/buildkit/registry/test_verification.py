"""Verification: mpbake reads images until they equal the expected images, or until a deadline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.errors import BuildFailed, NoSuchTag, Unreachable
from mpbake.base.platforms import parse_platforms
from mpbake.model.expected_images import ExpectedImages, expected_of
from tests.unit.indexes import MANY, ONE, attestation, config, entry, index
from tests.unit.plans import target_of_text, text
from tests.unit.registries import FakeReading, verification_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mpbake.buildkit.registry.verification import Verification

BOTH = parse_platforms(["linux/amd64", "linux/arm64"])


def expected(attributes: str = "", platforms: Sequence[str] = ("linux/amd64", "linux/arm64")) -> ExpectedImages:
    target = target_of_text(f"[targets.web]\ntags = ['r/web:1', 'r/web:2', 's:5000/web:1']\n{attributes}")
    return expected_of(target, parse_platforms(platforms), "sha256:1")


def verification(answer: Any, by_digest: Any = None, **others: Any) -> tuple[FakeReading, Verification]:
    """Return a verification. The answer for a tag is `answer`, or the value in `others` whose key starts the tag."""
    reading = FakeReading({name.replace("_", ":"): other for name, other in others.items()} | {"": answer}, by_digest)
    return reading, verification_of(reading)


def no_pause(seconds: float) -> None:
    pytest.fail(f"it waits for {seconds}")


def test_what_was_built_is_served_under_every_tag() -> None:
    reading, checker = verification(MANY)
    assert checker.wait(expected(), no_pause).digest == "sha256:1"
    assert reading.asked == ["r/web:1", "r/web:2", "s:5000/web:1"]


def test_attestations_are_read_only_where_they_are_declared_and_once_for_each_image() -> None:
    image = index(entry("amd64"), attestation(), image=config("amd64"))
    manifest = {"layers": [{"annotations": {"in-toto.io/predicate-type": "spdx.dev/Document"}}]}
    reading, checker = verification(image, manifest)
    assert checker.wait(expected("attest = ['type=sbom']", ["linux/amd64"]), no_pause).digest == "sha256:1"
    assert [reference for reference in reading.asked if "@" in reference] == ["r/web@sha256:unknown"]
    reading, checker = verification(image)
    checker.wait(expected("", ["linux/amd64"]), no_pause)
    assert not [reference for reference in reading.asked if "@" in reference]


def test_a_manifest_and_its_descriptor_are_annotated_each_for_itself() -> None:
    described = index(entry("amd64") | {"annotations": {"a": "b"}}, image=config("amd64"))
    declared = expected("annotations = ['manifest,manifest-descriptor:a=b']", ["linux/amd64"])
    _, checker = verification(described | {"own": {"annotations": {"a": "b"}}})
    assert checker.compare(declared)[0] == ()
    _, checker = verification(described)
    assert [mismatch.attribute for mismatch in checker.compare(declared)[0]] == [
        "linux/amd64: annotation of its manifest a"
    ] * 3


@pytest.mark.parametrize("manifest", [[], {"layers": 1}, {"layers": [1]}, {"layers": [{"annotations": 1}]}])
def test_an_attestation_may_say_anything(manifest: object) -> None:
    image = index(entry("amd64"), attestation(), image=config("amd64"))
    _, checker = verification(image, manifest)
    answers = [
        mismatch.actual for mismatch in checker.compare_each_tag(expected("attest = ['type=sbom']", ["linux/amd64"]))
    ]
    assert answers
    assert all("cannot be read: the registry returned an invalid manifest: " in answer for answer in answers)


def test_a_registry_that_answers_late_is_asked_again() -> None:
    answers: Iterator[Any] = iter([NoSuchTag("r/web:1: not found"), ONE])
    reading, checker = verification(lambda: next(answers, MANY))
    pauses: list[float] = []
    assert checker.wait(expected(), pauses.append, pauses=(1.0, 2.0, 4.0)).digest == "sha256:1"
    assert pauses == [1.0, 2.0]
    assert len(reading.asked) == 1 + 3 + 3


def test_a_registry_is_not_asked_for_ever() -> None:
    pauses: list[float] = []
    _, late = verification(ONE)
    with pytest.raises(BuildFailed) as caught:
        late.wait(expected(), pauses.append)
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert str(caught.value) == text("""
        the registry does not serve the built image:
          r/web:1: platforms: linux/amd64, not linux/amd64, linux/arm64
          r/web:2: platforms: linux/amd64, not linux/amd64, linux/arm64
          s:5000/web:1: platforms: linux/amd64, not linux/amd64, linux/arm64
          = run again: another run may have pushed the same tags at the same time
        """)
    _, unreachable = verification(Unreachable("connection refused"))
    with pytest.raises(Unreachable):
        unreachable.wait(expected(), pauses.append, pauses=(1.0,))


def test_a_registry_that_does_not_answer_is_soon_left() -> None:
    now = 0.0

    def silence() -> Exception:
        nonlocal now
        now += 30.0
        return Unreachable("no answer in time")

    _, hangs = verification(silence)
    pauses: list[float] = []
    with pytest.raises(Unreachable, match="no answer in time"):
        hangs.wait(expected(), pauses.append, clock=lambda: now)
    assert (pauses, now) == ([0.5], 60.0)


def test_a_registry_that_answers_slowly_is_waited_for_as_often_as_another() -> None:
    now = 0.0
    answers: Iterator[Any] = iter([NoSuchTag("r/web:1: not found"), ONE, MANY, MANY])

    def slowly() -> Any:
        nonlocal now
        now += 25.0
        return next(answers, MANY)

    _, slow = verification(slowly)
    pauses: list[float] = []
    assert slow.wait(expected(), pauses.append, clock=lambda: now).digest == "sha256:1"
    assert pauses == [0.5, 1.0]


OTHER = MANY | {"manifest": MANY["manifest"] | {"digest": "sha256:2"}}


def test_the_first_tag_gives_the_digest_where_nobody_knows_it() -> None:
    _, checker = verification(MANY, s=OTHER)
    differences, served = checker.compare(expected_of(target_of_text(PLAN), BOTH))
    assert (list(map(str, differences)), served.digest) == (
        ["s:5000/web:1: digest: sha256:2, not sha256:1"],
        "sha256:1",
    )


def test_every_tag_must_name_what_the_first_one_names() -> None:
    reading = FakeReading({"r/web:2": OTHER, "": MANY})
    target = target_of_text("[targets.web]\ntags = ['r/web:1', 'r/web:2', 'r/web:3']")
    assert [str(mismatch) for mismatch in verification_of(reading).compare_each_tag(expected_of(target, BOTH))] == [
        "r/web:2: digest: sha256:2, not sha256:1"
    ]


PLAN = "[targets.web]\ntags = ['r/web:1', 's:5000/web:1']"


def test_a_tag_that_cannot_be_read_is_different_too() -> None:
    for error, answer in (
        (NoSuchTag("not found"), "no such tag"),
        (BuildFailed("manifest invalid"), "manifest invalid"),
    ):
        _, checker = verification(MANY, s=error)
        (mismatch,) = checker.compare_each_tag(expected_of(target_of_text(PLAN), BOTH))
        assert (mismatch.tag, mismatch.attribute, mismatch.actual) == ("s:5000/web:1", "answer", answer)
    _, unreachable = verification(Unreachable("connection refused"))
    with pytest.raises(Unreachable):
        list(unreachable.compare_each_tag(expected_of(target_of_text(PLAN), BOTH)))
