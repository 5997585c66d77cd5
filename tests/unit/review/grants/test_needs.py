"""The paths of rights: what is outside of the plan's folder, how it is named, and what one right includes."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from mpbake.model.grants import parse_allowances
from mpbake.resolve import Inputs, resolve
from mpbake.review.grants import PlanContext, needed_grants
from tests.unit.plans import read_files, resolve_files

if TYPE_CHECKING:
    from pathlib import Path

    from mpbake.model.grants import Grant


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a plan's folder that is deep enough for every relative path in these tests."""
    folder = tmp_path / "a" / "b" / "c" / "plan"
    folder.mkdir(parents=True)
    return folder


def _needed(root: Path, toml: str, *, relative: bool = False, as_written: bool = False) -> tuple[Grant, ...]:
    plan_files, spec = read_files(root, {"build.toml": f"\n{toml}"})
    plan = resolve(dataclasses.replace(plan_files, relative=relative), spec, Inputs())
    return needed_grants(plan.targets.values(), root, context=PlanContext(as_written=as_written))


def _texts(grants: tuple[Grant, ...]) -> list[str]:
    return [grant.text for grant in grants]


@pytest.mark.parametrize("relative", [False, True])
def test_a_near_path_is_named_relative_to_the_plan(root: Path, *, relative: bool) -> None:
    toml = '[targets.web]\ncontext = "../x/../shared/"\ncontexts = { far = "../../far" }'
    assert _texts(_needed(root, toml, relative=relative)) == ["fs.read=../shared", "fs.read=../../far"]


def test_a_distant_path_is_named_as_written_if_the_plan_is_relative(root: Path) -> None:
    toml = '[targets.web]\ncontext = "../../../distant"'
    assert _texts(_needed(root, toml, relative=True)) == ["fs.read=../../../distant"]
    assert _texts(_needed(root, toml)) == [f"fs.read={root.parents[2]}/distant"]


def test_an_absolute_path_can_stay_as_written(root: Path) -> None:
    toml = f'[targets.web]\ncontext = "{root.parent}/shared"'
    assert _texts(_needed(root, toml, relative=True)) == ["fs.read=../shared"]
    assert _texts(_needed(root, toml, relative=True, as_written=True)) == [f"fs.read={root.parent}/shared"]


def test_a_symlink_that_leaves_the_folder_needs_the_right_to_its_target(root: Path) -> None:
    (root / "inside").mkdir()
    (root / "to-inside").symlink_to("inside")
    (root / "to-home").symlink_to("../home")
    (root / "to-etc").symlink_to("/etc")
    toml = """
        [targets.web]
        contexts = { a = "to-inside", b = "to-home/x", c = "to-etc" }
        output = ["type=local,dest=to-home/out"]
    """
    assert _texts(_needed(root, toml)) == ["fs.write=../home/out", "fs.read=../home/x", "fs.read=/etc"]


def test_a_dockerfile_that_is_a_symlink_needs_the_right_to_its_target(root: Path) -> None:
    (root / "Dockerfile").symlink_to("/etc/passwd")
    (grant,) = _needed(root, "[targets.web]")
    assert (grant.text, grant.users) == ("fs.read=/etc/passwd", ("web.dockerfile",))


def test_a_dockerfile_in_its_context_needs_no_right_of_its_own(root: Path) -> None:
    (grant,) = _needed(root, '[targets.web]\ncontext = ".."\nsecret = ["id=a,src=../a.txt"]')
    assert (grant.text, grant.users) == ("fs.read=..", ("web.context",))


def test_linked_targets_count_and_unselected_targets_do_not(root: Path) -> None:
    toml = """
        [targets.web]
        contexts = { base = "target:base" }
        [targets.base]
        ssh = ["default"]
        [targets.other]
        network = "host"
    """
    targets = resolve_files(root, {"build.toml": f"\n{toml}"}).targets
    (grant,) = needed_grants([targets["web"]], root)
    assert (grant.text, grant.users) == ("ssh", ("base.ssh",))


def test_each_variant_of_a_target_counts(root: Path) -> None:
    toml = """
        [targets.web]
        platforms = ["linux/amd64", "linux/arm64"]
        platform."linux/arm64".contexts = { arm = "../arm" }
    """
    assert _texts(_needed(root, toml)) == ["fs.read=../arm"]


def test_the_files_of_a_plan_are_protected(root: Path) -> None:
    toml = '[targets.web]\noutput = ["type=local,dest=OUT"]'
    written = {
        dest: _texts(
            needed_grants(
                resolve_files(root, {"build.toml": f"\n{toml.replace('OUT', dest)}"}).targets.values(),
                root,
                context=PlanContext(files=(root / "conf" / "more.toml",)),
            )
        )
        for dest in ("conf", "conf/more.toml", "mpbake.toml", "sub/.git/hooks", ".mpbake/x", ".", "out", "conf2")
    }
    assert written == {
        "conf": ["fs.write=conf"],
        "conf/more.toml": ["fs.write=conf/more.toml"],
        "mpbake.toml": ["fs.write=mpbake.toml"],
        "sub/.git/hooks": ["fs.write=sub/.git/hooks"],
        ".mpbake/x": ["fs.write=.mpbake/x"],
        ".": ["fs.write=."],
        "out": [],
        "conf2": [],
    }


def test_an_impossible_path_needs_a_right_if_it_leaves_the_folder(root: Path) -> None:
    assert _texts(_needed(root, '[targets.web]\ncontext = "../\\u0000"')) == ["fs.read=../\0"]


def test_contexts_that_buildx_takes_for_folders_need_a_right(root: Path) -> None:
    toml = """
        [targets.web]
        contexts = { a = "git@x/../../a", b = "GitHub.com/../../b", c = "foo://x/../../../c", d = "cwd://../d" }
        [targets.api]
        context = "https://github.com/team/api.git#main:sub"
        dockerfile = "../Dockerfile"
        contexts = { a = "git@github.com:team/lib.git", b = "docker-image://alpine:3", c = "oci-layout://layout:1" }
    """
    reads = [text for text in _texts(_needed(root, toml)) if text.startswith("fs.")]
    assert reads == [f"fs.read=../{name}" for name in "abcd"]


def test_a_main_context_with_an_unknown_scheme_needs_a_right_if_it_leaves_the_folder(root: Path) -> None:
    toml = '[targets.web]\ncontext = "oci-layout://a:/../../../secrets"\ndockerfile-inline = "FROM scratch"'
    assert _texts(_needed(root, toml)) == ["fs.read=../secrets"]


@pytest.mark.parametrize("attribute", ['dockerfile = "{}"', 'policy = ["filename={}"]'])
def test_files_beside_a_context_that_looks_remote_need_a_right_if_they_leave_the_folder(
    root: Path, attribute: str
) -> None:
    toml = f'[targets.web]\ncontext = "foo://x"\n{attribute.format("../../../secrets/key")}'
    assert _texts(_needed(root, toml)) == ["fs.read=../secrets/key"]


def test_grants_are_covered_by_the_options_that_they_name(root: Path) -> None:
    toml = '[targets.web]\ncontext = "../shared"\nsecret = ["id=a,src=/etc/a"]\nssh = ["default"]\nnetwork = "host"'
    grants = _needed(root, toml)
    assert parse_allowances([grant.text for grant in grants], str(root)).missing(grants) == ()
    assert parse_allowances((), str(root)).missing(grants) == grants


def test_many_targets_outside_of_the_folder_take_little_time(root: Path) -> None:
    toml = "\n".join(f'[targets.t{number}]\ncontext = "../services/s{number}"' for number in range(300))
    grants = _needed(root, toml)
    assert len(grants) == 300
    assert grants[7].users == ("t7.context",)
