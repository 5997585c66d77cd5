"""The command `mpbake import` on real folders, without buildx or with a simulated one."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.errors import MpbakeError, PlanError, UsageError
from mpbake.buildkit.bake.printing import NoBuildx
from mpbake.cli.commands import import_files
from mpbake.cli.importing import bake_import, reading_bake
from mpbake.conversion.comparison import parse_printed
from mpbake.conversion.plan import convert
from tests.unit.worlds import call, world, written

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mpbake.conversion.comparison import Printed

BAKE = """
# The tag.
variable "TAG" { default = "dev" }

target "web" {
  context = "web"
  tags = ["example.com/web:${TAG}"]
}
"""
PLAN = """\
version = 1

[variables]
# The tag.
tag = { default = "dev", env = "TAG" }

[targets.web]
context = "web"
tags = ["example.com/web:{{ tag }}"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with a bake file."""
    (tmp_path / "docker-bake.hcl").write_text(BAKE)
    return tmp_path


@pytest.fixture(autouse=True)
def without_buildx(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the machine no buildx."""

    def missing(*_: Any) -> Any:
        raise NoBuildx("docker has no buildx", hint="install buildx")

    monkeypatch.setattr(bake_import, "open_printer", missing)


@pytest.fixture
def with_buildx(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Give the machine a buildx that prints the bake file `BAKE`, with `context` as its context."""
    state = SimpleNamespace(context="web")

    def printed(_: Any, __: Any, environment: dict[str, str], ___: Any) -> Printed:
        tag = f"example.com/web:{environment.get('TAG', 'dev')}"
        return parse_printed(json.dumps({"target": {"web": {"context": state.context, "tags": [tag]}}}))

    printer = SimpleNamespace(
        version="0.36.0",
        printed=printed,
        printed_text=lambda text, *_: parse_printed(text),
        docker=SimpleNamespace(pause=lambda _: None),
    )

    @contextmanager
    def opened(*_: Any) -> Iterator[SimpleNamespace]:
        yield printer

    monkeypatch.setattr(bake_import, "open_printer", opened)
    return state


def refused(folder: Path, **options: Any) -> str:
    with pytest.raises(MpbakeError) as caught:
        call(import_files.main, world(folder), **options)
    assert caught.value.exit_code == 3
    return str(caught.value)


@pytest.mark.usefixtures("with_buildx")
def test_an_equal_plan_is_written(project: Path) -> None:
    here = world(project)
    assert call(import_files.main, here) == 0
    assert (project / "build.toml").read_text() == PLAN
    assert written(here.stdout) == (
        "wrote build.toml\n1 target: 1 equal (checked with buildx 0.36.0, 1 variable changed)\nnext: mpbake plan\n"
    )
    assert written(here.stderr) == ""
    assert sorted(path.name for path in project.iterdir()) == ["build.toml", "docker-bake.hcl"]


def test_a_plan_with_differences_is_written_too(project: Path, with_buildx: SimpleNamespace) -> None:
    with_buildx.context = "other"
    here = world(project)
    assert call(import_files.main, here) == 1
    assert (project / "build.toml").read_text() == PLAN
    assert 'target web: context\n    bake    "other"\n    mpbake  "web"\n' in written(here.stdout)


def test_without_buildx_the_plan_is_written_and_nothing_is_compared(project: Path) -> None:
    here = world(project)
    assert call(import_files.main, here) == 5
    assert (project / "build.toml").read_text() == PLAN
    assert "nothing was compared: docker has no buildx\n  = install buildx\n" in written(here.stdout)


@pytest.mark.usefixtures("with_buildx")
@pytest.mark.parametrize("options", [{"dry_run": True}, {"output": "-"}])
def test_a_printed_plan_is_alone_on_standard_output(project: Path, options: dict[str, Any]) -> None:
    (project / "build.toml").write_text("mine")
    here = world(project)
    assert call(import_files.main, here, **options) == 0
    assert written(here.stdout) == PLAN
    assert written(here.stderr) == "1 target: 1 equal (checked with buildx 0.36.0, 1 variable changed)\n"
    assert (project / "build.toml").read_text() == "mine"


@pytest.mark.usefixtures("with_buildx")
def test_json_is_one_document(project: Path) -> None:
    here = world(project)
    assert call(import_files.main, here, dry_run=True, format="json") == 0
    data = json.loads(written(here.stdout))
    assert (data["text"], data["equal"], data["plan"]) == (PLAN, True, "")
    assert written(here.stderr) == ""


@pytest.mark.usefixtures("with_buildx")
def test_a_plan_is_overwritten_only_by_force(project: Path) -> None:
    (project / "build.toml").write_text("mine")
    assert refused(project) == (
        f"{project} already has a build.toml, which mpbake does not overwrite\n"
        "  = add --force to overwrite it, or run `mpbake import --dry-run` to print the plan instead"
    )
    assert (project / "build.toml").read_text() == "mine"
    assert call(import_files.main, world(project), force=True) == 0
    assert (project / "build.toml").read_text() == PLAN


def test_a_failed_import_leaves_the_old_plan(project: Path) -> None:
    (project / "build.toml").write_text("mine")
    (project / "docker-bake.hcl").write_text('target "web" {\n')
    assert refused(project, force=True).startswith("docker-bake.hcl:")
    assert (project / "build.toml").read_text() == "mine"


@pytest.mark.usefixtures("with_buildx")
def test_the_plan_can_have_another_name_in_the_folder(project: Path) -> None:
    here = world(project.parent)
    assert call(import_files.main, here, directory=project.name, output="release.toml") == 0
    assert (project / "release.toml").read_text() == PLAN
    assert written(here.stdout).startswith(f"wrote {project.name}/release.toml\n")
    assert written(here.stdout).endswith(f"next: mpbake plan -C {project.name} -f release.toml\n")


@pytest.mark.parametrize(
    ("label", "environment", "command"),
    [
        ("timestamp()", {}, "SOURCE_DATE_EPOCH=$(date +%s) mpbake plan"),
        ("timestamp()", {"SOURCE_DATE_EPOCH": "0"}, "mpbake plan"),
        ('formatdate("YYYY", "2026-01-02T00:00:00Z") # not timestamp()', {}, "mpbake plan"),
    ],
)
def test_the_next_command_has_the_time_that_the_plan_needs(
    project: Path, label: str, environment: dict[str, str], command: str
) -> None:
    (project / "docker-bake.hcl").write_text(f'target "web" {{\n  labels = {{\n created = {label}\n}}\n}}\n')
    here = world(project, environment=environment)
    call(import_files.main, here, force=True)
    assert written(here.stdout).endswith(f"\nnext: {command}\n")


@pytest.mark.parametrize("output", ["../build.toml", "sub/build.toml", "/tmp/build.toml"])  # noqa: S108 - not written
def test_the_plan_stays_in_the_folder_in_which_bake_runs(project: Path, output: str) -> None:
    (project / "sub").mkdir()
    assert refused(project, output=output) == (
        f"-o {output}: the plan must be in the folder in which you run bake\n"
        "  = use -C DIR if you run bake in another folder, or print the plan: -o -"
    )


def test_a_folder_or_symlink_is_no_plan(project: Path) -> None:
    (project / "folder").mkdir()
    (project / "link").symlink_to("elsewhere")
    assert refused(project, output="folder").startswith("-o folder is a folder")
    assert refused(project, output="link", force=True).startswith("-o link is a symlink")


def test_a_folder_without_bake_files_has_another_start(tmp_path: Path) -> None:
    assert refused(tmp_path) == (
        f"there is no bake file in {tmp_path}\n"
        "  = name it: mpbake import FILE; for a first plan without one, run `mpbake init`"
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("-", "-: a bake file cannot be read from standard input\n  = write it to a file"),
        ("https://example.com/a.hcl", "https://example.com/a.hcl: a bake file must be a local file\n  = download it"),
        ("missing.hcl", "missing.hcl: there is no such file [file-unreadable]\n  = check the name, or use -C DIR"),
        (".", ".: is a folder [file-unreadable]"),
        (
            "a.hcl,b.hcl",
            "a.hcl,b.hcl: there is no such file [file-unreadable]\n  = name each file separately, as in -f a.hcl",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_named(project: Path, name: str, expected: str) -> None:
    assert refused(project, paths=(name,)).startswith(expected)
    assert refused(project, files=(name,)).startswith(expected)


def test_a_file_without_permission_has_a_hint(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(reading_bake, "read_bounded", denied)
    assert refused(project) == (
        "docker-bake.hcl: cannot be read: Permission denied [file-unreadable]\n"
        "  = change its permissions, or run mpbake as its owner"
    )


def test_all_files_that_cannot_be_read_are_named_at_once(project: Path) -> None:
    (project / "latin.hcl").write_bytes(b"\xe9")
    with pytest.raises(PlanError) as caught:
        call(import_files.main, world(project), paths=("missing.hcl", "latin.hcl"))
    assert [str(problem.location) for problem in caught.value.diagnostics] == ["latin.hcl", "missing.hcl"]


def test_files_are_named_in_one_way(project: Path) -> None:
    assert refused(project, paths=("a.hcl",), files=("b.hcl",)).startswith("FILE and -f cannot be combined")


def test_a_file_without_targets_needs_the_others(tmp_path: Path) -> None:
    (tmp_path / "docker-bake.hcl").write_text('variable "A" {}\n')
    assert refused(tmp_path) == (
        "docker-bake.hcl: no target that bake could build\n  = name all files that bake gets, in the same order"
    )


def test_targets_that_inherit_each_other_are_named(tmp_path: Path) -> None:
    (tmp_path / "docker-bake.hcl").write_text('target "a" { inherits = ["b"] }\ntarget "b" { inherits = ["a"] }\n')
    assert refused(tmp_path) == (
        "docker-bake.hcl:1: the targets inherit each other: a -> b -> a\n  = remove one of these references"
    )


MATRIX = """target "a" {
  name = "a-${a}-${b}-${c}"
  matrix = { a = range(100), b = range(100), c = range(100) }
  args = { ID = VALUE }
}
"""


def test_files_that_exceed_a_limit_never_reach_buildx(project: Path) -> None:
    (project / "docker-bake.hcl").write_text(MATRIX.replace("VALUE", '"x"'))
    here = world(project)
    assert call(import_files.main, here, dry_run=True) == 1, "without buildx, the exit code would be 5"
    assert "makes 1000000 targets; at most 20000 are allowed [matrix-too-large]\n" in written(here.stderr)
    assert "  = make this value or matrix smaller in the bake files\n" in written(here.stderr)


def test_no_expression_of_files_that_exceed_a_limit_is_evaluated(project: Path) -> None:
    (project / "docker-bake.hcl").write_text(MATRIX.replace("VALUE", "uuidv4()"))
    assert refused(project) == (
        "docker-bake.hcl: the plan would exceed a limit: targets.a.matrix: makes 1000000 targets; "
        "at most 20000 are allowed\n  = make this value or matrix smaller in the bake files"
    )


@pytest.mark.usefixtures("with_buildx")
def test_a_person_sees_the_progress(project: Path) -> None:
    here = world(project, live=True)
    assert call(import_files.main, here) == 0
    assert written(here.stderr).startswith("\r\x1b[Kcomparing: 0 of 3\r\x1b[Kcomparing: 1 of 3")
    assert written(here.stderr).endswith("\r\x1b[K")


def test_several_files_are_merged(project: Path, with_buildx: SimpleNamespace) -> None:
    (project / "more.json").write_text('{"target": {"web": {"context": "merged"}}}')
    with_buildx.context = "merged"
    here = world(project)
    assert call(import_files.main, here, paths=("cwd://docker-bake.hcl", "more.json")) == 0
    assert 'context = "merged"\n' in (project / "build.toml").read_text()


def test_an_expression_that_only_bake_knows_needs_buildx(project: Path) -> None:
    (project / "docker-bake.hcl").write_text('target "web" {\n  args = { ID = uuidv4() }\n}\n')
    error = refused(project)
    assert error.startswith("docker-bake.hcl:2: a plan cannot express this (")
    assert error.endswith("docker has no buildx\n  = install buildx")
    assert not (project / "build.toml").exists()


@pytest.mark.usefixtures("with_buildx")
def test_secrets_of_the_environment_are_not_printed(project: Path) -> None:
    text = BAKE + 'variable "NPM_TOKEN" {}\ntarget "api" {\n  args = { T = NPM_TOKEN }\n}\n'
    (project / "docker-bake.hcl").write_text(text)
    here = world(project, {"NPM_TOKEN": "s3cret-value", "TAG": "present"})
    assert call(import_files.main, here, dry_run=True, format="json") == 1, "the simulated buildx prints no api"
    assert here.redactor.redact("s3cret-value") != "s3cret-value"
    assert here.redactor.redact("present") == "present"


@pytest.mark.usefixtures("with_buildx")
def test_a_plan_with_errors_shows_them(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    def wrong(*arguments: Any) -> Any:
        conversion = convert(*arguments)
        return SimpleNamespace(
            **{
                name: getattr(conversion, name)
                for name in ("targets", "templates", "groups", "variables", "frozen", "notes")
            },
            text=f"{conversion.text}unknown = 1\n",
        )

    monkeypatch.setattr(bake_import, "convert", wrong)
    here = world(project)
    assert call(import_files.main, here, dry_run=True) == 1
    assert "errors of the plan\n  build.toml:" in written(here.stderr)
    assert "nothing was compared: the plan has errors\n" in written(here.stderr)


@pytest.mark.usefixtures("with_buildx")
def test_a_plan_cannot_be_written_everywhere(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(import_files, "write_whole", full)
    with pytest.raises(MpbakeError, match="No space left on device") as caught:
        call(import_files.main, world(project))
    assert caught.value.exit_code == 1
    assert not isinstance(caught.value, UsageError)


def test_the_plan_never_replaces_a_bake_file(project: Path) -> None:
    message = refused(project, output="docker-bake.hcl", force=True)

    assert "is one of the bake files" in message
    assert (project / "docker-bake.hcl").read_text() == BAKE


@pytest.mark.usefixtures("with_buildx")
def test_other_users_can_read_the_plan(project: Path) -> None:
    before = os.umask(0o022)
    try:
        assert call(import_files.main, world(project)) == 0
    finally:
        os.umask(before)

    assert (project / "build.toml").stat().st_mode & 0o777 == 0o644


def test_a_folder_instead_of_a_bake_file(project: Path) -> None:
    with pytest.raises(PlanError) as caught:
        call(import_files.main, world(project), paths=(".",))

    (problem,) = caught.value.diagnostics
    assert (problem.message, problem.hint) == ("is a folder", "name a bake file, or run in the folder with -C DIR")
