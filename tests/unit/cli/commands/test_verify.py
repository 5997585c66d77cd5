"""The command `mpbake verify`, with a fake registry."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from mpbake.base.errors import Cancelled, NoSuchTag, Unreachable, UsageError
from mpbake.base.platforms import parse_platforms
from mpbake.cli.commands import verify
from mpbake.model.expected_images import ExpectedImages
from mpbake.run.state.published import write_published
from tests.unit.dockers import FakeDocker
from tests.unit.indexes import MANY, ONE, entry, index
from tests.unit.plans import text
from tests.unit.registries import FakeReading, verification_of
from tests.unit.worlds import call, world, written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from mpbake.buildkit.registry.verification import Verification
    from mpbake.model.plan import Builder

PLAN = """
version = 1
[groups]
default = ["*"]
[defaults.target]
platforms = ["linux/amd64", "linux/arm64"]
push = true
[targets.web]
tags = ["r/web:1"]
[targets.tool]
tags = ["r/tool:1"]
[targets.unpushed]
push = false
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "build.toml").write_text(PLAN)
    (tmp_path / ".mpbake").mkdir()
    return tmp_path


def answers(monkeypatch: pytest.MonkeyPatch, manifests: Mapping[str, Any]) -> None:
    """Make the registries of the command serve `manifests`. Their keys are the starts of tags."""

    @contextlib.contextmanager
    def open_verification(*_: object) -> Iterator[Callable[[Builder], Verification]]:
        yield lambda _: verification_of(FakeReading(manifests))

    monkeypatch.setattr(verify, "open_verification", open_verification)


def test_what_is_as_it_must_be(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = parse_platforms(["linux/amd64", "linux/arm64"])
    web = ExpectedImages(target="web", tags=("r/web:9", "r/web:8"), digest="sha256:1", platforms=both)
    write_published(folder / ".mpbake", {"web": web})
    answers(monkeypatch, {"": MANY})
    here = world(folder)
    assert call(verify.main, here) == 0
    assert (
        written(here.stdout)
        == text("""
        web: 2 tags as published (sha256:1)
        tool: 1 tag as the plan says
        web: 1 tag as the plan says
        """)
        + "\n"
    )
    assert written(here.stderr) == (
        "warning: web was last published as r/web:9, r/web:8; the plan now names r/web:1: mpbake verifies both\n"
    )


@pytest.mark.parametrize(
    ("default", "looked_at"),
    [("", ["web"]), ('[groups]\ndefault = ["tool"]', ["tool"]), ("[targets.default]\ntags = ['r/x']", ["default"])],
)
def test_without_a_name_and_a_default_all_that_was_published_is_looked_at(
    default: str, looked_at: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "build.toml").write_text(PLAN.replace('[groups]\ndefault = ["*"]', default))
    published = [
        ExpectedImages(target=name, tags=(tag,), digest="sha256:1")
        for name, tag in (("web", "r/web:1"), ("gone", "r/gone"))
    ]
    write_published(folder / ".mpbake", {images.target: images for images in published})
    answers(monkeypatch, {"": MANY})
    here = world(folder)
    call(verify.main, here)
    assert [line.partition(":")[0] for line in written(here.stdout).splitlines()] == looked_at


def test_without_a_name_and_a_default_something_must_have_been_published(folder: Path) -> None:
    (folder / "build.toml").write_text(PLAN.replace('[groups]\ndefault = ["*"]', ""))
    with pytest.raises(UsageError, match='the plan has no group "default"'):
        call(verify.main, world(folder))


@pytest.mark.parametrize("pushed_by", ["the plan", "run --push"])
def test_a_tag_that_the_plan_names_by_now_must_be_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch, pushed_by: str
) -> None:
    (folder / "build.toml").write_text(PLAN if pushed_by == "the plan" else PLAN.replace("push = true\n", ""))
    both = parse_platforms(["linux/amd64", "linux/arm64"])
    web = ExpectedImages(target="web", tags=("r/web:9",), digest="sha256:1", platforms=both)
    write_published(folder / ".mpbake", {"web": web})
    answers(monkeypatch, {"r/web:9": MANY, "r/web:1": NoSuchTag("not found")})
    here = world(folder)
    assert call(verify.main, here, names=("web",)) == 1
    assert "web     r/web:1  answer  an image  no such tag\n" in written(here.stdout)


def test_a_table_of_what_is_not(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, {"r/web:1": MANY, "r/tool:1": ONE})
    here = world(folder)
    assert call(verify.main, here) == 1
    assert (
        written(here.stdout)
        == text("""
        web: 1 tag as the plan says

        target  tag       what       expected                  found
        tool    r/tool:1  platforms  linux/amd64, linux/arm64  linux/amd64
        """)
        + "\n"
    )


@pytest.mark.parametrize(
    ("digest", "shown"),
    [("b" * 64, "aaaaaaaaaaaa  bbbbbbbbbbbb"), ("a" * 63 + "b", f"sha256:{'a' * 64}  sha256:{'a' * 63}b")],
    ids=["another", "one that begins alike"],
)
def test_digests_are_as_short_as_differs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, digest: str, shown: str
) -> None:
    both = parse_platforms(["linux/amd64", "linux/arm64"])
    web = ExpectedImages(target="web", tags=("r/web:1",), digest=f"sha256:{'a' * 64}", platforms=both)
    write_published(folder / ".mpbake", {"web": web})
    served = MANY | {"manifest": MANY["manifest"] | {"digest": f"sha256:{digest}"}}
    answers(monkeypatch, {"": served})
    here = world(folder)
    assert call(verify.main, here, names=("web",)) == 1
    assert written(here.stdout).splitlines()[1:] == [f"web     r/web:1  digest  {shown}"]


def test_what_is_no_image_is_a_difference(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For example, the config of a Helm chart names no platform."""
    config = {"architecture": "", "os": "", "config": {}, "rootfs": {"type": "", "diff_ids": None}}
    chart = {"name": "r/web:1", "manifest": {"digest": "sha256:1", "size": 5}, "image": config}
    answers(monkeypatch, {"": chart})
    here = world(folder)
    assert call(verify.main, here, names=("web",)) == 1
    assert "web     r/web:1  platforms  linux/amd64, linux/arm64  unknown/unknown" in written(here.stdout)


def test_a_platform_that_is_none_is_a_difference(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, {"": index(entry("amd64", system="a b"), image=None)})
    here = world(folder)
    assert call(verify.main, here, names=("web",)) == 1
    assert "web     r/web:1  platforms  linux/amd64, linux/arm64  a b/amd64" in written(here.stdout)


def test_a_registry_that_does_not_answer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, {"": Unreachable("r/web:1: connection refused", hint="up?")})
    here = world(folder)
    assert call(verify.main, here, names=("web",)) == 5
    assert written(here.stdout) == ""
    assert written(here.stderr).startswith("error: web: r/web:1: connection refused\n  = ")


def test_a_registry_that_does_not_answer_hides_no_other(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, {"r/web:1": Unreachable("connection refused"), "r/tool:1": ONE})
    here = world(folder)
    assert call(verify.main, here) == 1
    assert "tool    r/tool:1  platforms  linux/amd64, linux/arm64  linux/amd64\n" in written(here.stdout)
    assert "error: web: connection refused" in written(here.stderr)


@pytest.mark.parametrize("when", ["while it opens", "while it asks"])
def test_a_signal_ends_it(folder: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    docker = FakeDocker({})

    def interrupted(*_: object, **__: object) -> NoReturn:
        os.kill(os.getpid(), signal.SIGINT)
        for _each in range(1000):
            if docker.cancelled:
                raise Cancelled("cancelled")
            time.sleep(0.01)
        pytest.fail("nobody told docker")

    @contextlib.contextmanager
    def open_verification(
        _: object, redact: object, on_stop: Callable[[Callable[[], None]], None]
    ) -> Iterator[Callable[[Builder], Verification]]:
        del redact
        on_stop(docker.cancel)
        if when == "while it opens":
            interrupted()
        yield lambda _: verification_of(FakeReading({"": interrupted}))

    monkeypatch.setattr(verify, "open_verification", open_verification)
    # the process may ignore the signal
    here, ours = world(folder), signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert call(verify.main, here) == 130
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, ours)
    assert (written(here.stdout), written(here.stderr)) == ("", "")


def test_nothing_to_be_read_back(folder: Path) -> None:
    with pytest.raises(UsageError, match="none of these targets is pushed"):
        call(verify.main, world(folder), names=("unpushed",))


def test_a_damaged_record_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".mpbake/published.json").write_text("x")
    answers(monkeypatch, {"": MANY})
    here = world(folder)
    assert call(verify.main, here, names=("web",)) == 0
    assert "is damaged: what earlier runs published is not known" in written(here.stderr)


def test_a_record_contacts_no_repository_that_the_plan_does_not_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = parse_platforms(["linux/amd64", "linux/arm64"])
    tags = {"web": ("evil.example/web:1", "r/web:9", "r/other:1"), "tool": ("127.0.0.1:1/tool:1",), "gone": ("evil/x",)}
    published = {
        name: ExpectedImages(target=name, tags=names, digest="sha256:1", platforms=both) for name, names in tags.items()
    }
    write_published(folder / ".mpbake", published)
    answers(monkeypatch, {"r/web": MANY, "r/tool:1": MANY})  # the fake registry fails the test for any other tag
    here = world(folder)
    assert call(verify.main, here) == 0
    end = "a repository that the plan does not name: mpbake ignores it"
    assert written(here.stderr).splitlines() == [
        f"warning: tool: .mpbake/published.json names 127.0.0.1:1/tool:1, {end}",
        f"warning: web: .mpbake/published.json names evil.example/web:1, r/other:1, {end}",
        "warning: web was last published as r/web:9; the plan now names r/web:1: mpbake verifies both",
    ]
