"""The command `mpbake init` on real folders: the Dockerfiles that it finds, its output files, and its refusals."""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from mpbake.base.errors import MpbakeError, UsageError
from mpbake.cli.commands import check, init, plan
from mpbake.cli.loading import load_plan
from mpbake.cli.options import SourceOptions
from mpbake.graph.dag import select_with_dependencies
from mpbake.spec.schema import schema_text
from mpbake.spec.starter import is_dockerfile, is_searched
from tests.unit.plans import check_files, refusals, text
from tests.unit.worlds import call, world, written

if TYPE_CHECKING:
    from collections.abc import Iterable

HEAD = "#:schema ./build.schema.json\n"


def project(folder: Path, *paths: str) -> Path:
    """Make a project with empty Dockerfiles at `paths`."""
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    return folder


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Return a project with two Dockerfiles."""
    return project(tmp_path / "shop", "api/Dockerfile", "web/Dockerfile")


def output_of(folder: Path, **options: Any) -> str:
    """Return the output of `mpbake init` in `folder`."""
    here = world(folder)
    assert call(init.main, here, **options) == 0
    assert written(here.stderr) == ""
    return written(here.stdout)


def test_a_project_with_a_bake_file_has_a_better_start(shop: Path) -> None:
    (shop / "docker-bake.hcl").touch()
    here = world(shop)
    assert call(init.main, here, dry_run=True) == 0
    assert written(here.stderr) == (
        "note: docker-bake.hcl: run `mpbake import` instead for a plan that builds the same\n"
    )


def refused(folder: Path, **options: Any) -> str:
    """Return the error of `mpbake init` in `folder`."""
    with pytest.raises(UsageError) as caught:
        call(init.main, world(folder), **options)
    return str(caught.value)


def dockerfiles(folder: Path) -> list[str]:
    """Return the Dockerfiles that `mpbake init` finds below `folder`."""
    return [str(path) for path in init.find_dockerfiles(folder, io.StringIO())]


def files(folder: Path) -> list[str]:
    """Return the names of the entries of `folder`."""
    return sorted(path.name for path in folder.iterdir())


# --- written files ----------------------------------------------------------------------------------------------------


def test_a_plan_and_its_schema(shop: Path) -> None:
    assert (
        output_of(shop)
        == text("""
        wrote build.toml: 2 targets
          api  api/Dockerfile
          web  web/Dockerfile
        wrote build.schema.json: with it, editors complete and check the plan
        next: mpbake plan
        """)
        + "\n"
    )
    assert files(shop) == ["api", "build.schema.json", "build.toml", "web"]
    assert (shop / "build.toml").read_text().startswith(HEAD)
    assert (shop / "build.schema.json").read_text() == schema_text()


def test_in_another_folder(shop: Path) -> None:
    shown = output_of(shop.parent, directory="shop")
    assert shown.startswith("wrote shop/build.toml: 2 targets\n")
    assert shown.endswith("\nnext: mpbake plan -C shop\n")
    project(shop / "a b", "Dockerfile")
    assert output_of(shop, directory="a b").endswith("\nnext: mpbake plan -C 'a b'\n")


def test_its_project_is_called_by_the_real_folder(shop: Path) -> None:
    link = shop.parent / "link"
    link.symlink_to(shop)
    assert 'registry = "localhost:5000/shop"' in output_of(link, dry_run=True)
    assert 'registry = "localhost:5000/shop"' in output_of(shop / "api", directory="..", dry_run=True)


def test_a_dry_run_prints_the_plan_and_writes_nothing(shop: Path) -> None:
    printed = output_of(shop, dry_run=True)
    assert files(shop) == ["api", "web"]
    output_of(shop)
    assert (shop / "build.toml").read_text() == printed
    assert output_of(shop, dry_run=True) == printed, "an existing plan makes no difference"


def test_what_it_writes_is_a_plan_at_once(shop: Path) -> None:
    output_of(shop)
    here = world(shop, {"TAG": "1.0"})
    assert call(plan.main, here, push=True) == 0
    printed = written(here.stdout)
    assert printed.startswith("plan: 2 targets, 1 node, ")
    assert "localhost:5000/shop/api:1.0\n" in printed
    assert "localhost:5000/shop/web:1.0\n" in printed


# --- files that stay unchanged ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["build.toml", "mpbake.toml"])
@pytest.mark.parametrize("content", ["version = 1\n", "[targets.web]\n", "no plan at all"])
def test_a_plan_is_not_written_over(shop: Path, name: str, content: str) -> None:
    (shop / name).write_text(content)
    assert refused(shop) == text(f"""
        {shop} already has a {name}, which mpbake does not overwrite
          = run `mpbake init --dry-run` to print the plan instead
        """)
    assert (shop / name).read_text() == content
    assert files(shop) == sorted(["api", name, "web"])


def test_the_file_of_another_tool_is_left_to_it(shop: Path) -> None:
    (shop / "build.toml").write_text("[tool]\n")
    assert output_of(shop).startswith("wrote mpbake.toml: 2 targets\n")
    assert (shop / "build.toml").read_text() == "[tool]\n"
    assert call(plan.main, world(shop)) == 0
    assert refused(shop).startswith(f"{shop} already has a mpbake.toml, which")


def test_both_names_are_taken(shop: Path) -> None:
    (shop / "build.toml").write_text("[tool]\n")
    (shop / "mpbake.toml").mkdir()
    assert refused(shop).startswith(f"{shop} already has a mpbake.toml, which")


def test_a_link_to_nowhere_is_not_followed(shop: Path) -> None:
    (shop / "build.toml").symlink_to(shop / "elsewhere.toml")
    (shop / "mpbake.toml").symlink_to(shop / "elsewhere.toml")
    assert refused(shop).startswith(f"{shop} already has a mpbake.toml, ")
    assert not (shop / "elsewhere.toml").exists()


def test_a_plan_further_up_does_not_matter(shop: Path) -> None:
    output_of(shop)
    assert output_of(shop, directory="web").startswith("wrote web/build.toml: 1 target\n")


def test_a_schema_that_is_there_is_kept(shop: Path) -> None:
    (shop / "build.schema.json").write_text("{}")
    assert "\nkept build.schema.json; to renew it: mpbake schema > build.schema.json\n" in output_of(shop)
    assert (shop / "build.schema.json").read_text() == "{}"


def test_somebody_else_was_faster(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(init, "_free_name", lambda _: "build.toml")
    (shop / "build.toml").write_text("version = 1\n")
    assert refused(shop).startswith(f"{shop} already has a build.toml, ")
    assert (shop / "build.toml").read_text() == "version = 1\n"


def test_a_folder_that_cannot_be_written(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(MpbakeError) as caught:
        call(init.main, world(shop))
    assert str(caught.value) == text(f"""
        cannot write {shop}/build.schema.json: Permission denied
          = run `mpbake init --dry-run` to print the plan instead
        """)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_disk_that_is_full_leaves_no_half_of_a_file(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.open

    def full(path: Path, *_: object, **__: object) -> Any:
        path.touch()
        return real(Path("/dev/full"), "w")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(MpbakeError, match="No space left on device"):
        call(init.main, world(shop))
    assert files(shop) == ["api", "web"]


# --- Dockerfiles in a project -----------------------------------------------------------------------------------------


def test_dockerfiles_in_the_order_of_their_paths(tmp_path: Path) -> None:
    project(tmp_path, "web/Dockerfile", "web/a/Dockerfile", "b.Dockerfile", "Dockerfile", "api/Dockerfile.dev", "api/x")
    assert dockerfiles(tmp_path) == [
        "Dockerfile",
        "b.Dockerfile",
        "api/Dockerfile.dev",
        "web/Dockerfile",
        "web/a/Dockerfile",
    ]


def test_folders_of_others_are_passed_over(tmp_path: Path) -> None:
    project(
        tmp_path, "Dockerfile", ".git/Dockerfile", "node_modules/x/Dockerfile", ".venv/Dockerfile", "vendor/Dockerfile"
    )
    assert dockerfiles(tmp_path) == ["Dockerfile"]


def test_links_are_not_followed(tmp_path: Path) -> None:
    project(tmp_path, "web/Dockerfile", "outside/Dockerfile")
    (tmp_path / "web/round").symlink_to(tmp_path)
    (tmp_path / "web/out").symlink_to(tmp_path / "outside")
    (tmp_path / "web/Dockerfile.link").symlink_to(tmp_path / "outside/Dockerfile")
    (tmp_path / "web/Dockerfile.folder").mkdir()
    os.mkfifo(tmp_path / "web/Dockerfile.pipe")
    assert dockerfiles(tmp_path) == ["outside/Dockerfile", "web/Dockerfile"]


def test_so_deep_and_no_deeper(tmp_path: Path) -> None:
    deep = "/".join("abcdef")
    assert len(deep.split("/")) == init.DEPTH
    project(tmp_path, f"{deep}/Dockerfile", f"{deep}/g/Dockerfile")
    assert dockerfiles(tmp_path) == [f"{deep}/Dockerfile"]


def test_none_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    project(tmp_path, "web/dockerfile.go")
    assert refused(tmp_path) == text(f"""
        no Dockerfile, Dockerfile.NAME, NAME.Dockerfile or Containerfile in {tmp_path} or below it
          = write one first, or run it in their folder: mpbake init -C DIR
        """)
    assert files(tmp_path) == ["web"]


def unreadable(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make `folder` unreadable, even for root."""
    real = os.scandir

    def scandir(path: str) -> Any:
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)


def test_a_folder_that_cannot_be_read(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unreadable(monkeypatch, shop)
    assert refused(shop) == f"{shop} cannot be read: Permission denied"


def test_a_folder_below_that_cannot_be_read_is_told(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unreadable(monkeypatch, shop / "api")
    here = world(shop)
    assert call(init.main, here) == 0
    assert written(here.stderr) == "warning: api cannot be read: Permission denied: its Dockerfiles are ignored\n"
    assert "web/Dockerfile" in written(here.stdout)


@pytest.mark.parametrize(("limit", "value"), [("MOST_FOLDERS", 2), ("MOST_DOCKERFILES", 1)])
def test_no_end_of_them(shop: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int) -> None:
    monkeypatch.setattr(init, limit, value)
    message, _, hint = refused(shop).partition("\n")
    assert message == f"{shop} holds more than {init.MOST_FOLDERS} folders or {init.MOST_DOCKERFILES} Dockerfiles"
    assert hint == "  = run it in the folder of one project: mpbake init -C DIR"
    assert files(shop) == ["api", "web"]


def test_no_such_folder(tmp_path: Path) -> None:
    assert refused(tmp_path, directory="nowhere") == "there is no folder nowhere"


# --- unusual projects -------------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [*"abAB19_-. ~$'\"\\{}%#:@,;=[]()*?!", "é", "日", "ß", "{{", "}}", "{%", "git@", "target:", "github.com", "default"]
)
COMPONENTS = st.lists(PIECES, min_size=1, max_size=5).map("".join).filter(lambda name: name not in {".", ".."})
NAMES = st.one_of(
    st.sampled_from(["Dockerfile", "Containerfile"]),
    COMPONENTS.map("Dockerfile.{}".format),
    COMPONENTS.map("{}.Dockerfile".format),
)
PATHS = st.tuples(st.lists(COMPONENTS, max_size=3), NAMES).map(lambda parts: "/".join([*parts[0], parts[1]]))


def expected(paths: Iterable[str]) -> set[str]:
    """Return the Dockerfiles of the project among `paths`."""
    split = [(path, path.split("/")) for path in paths]
    return {path for path, (*folders, name) in split if is_dockerfile(name) and all(map(is_searched, folders))}


@given(st.lists(PATHS, min_size=1, max_size=6), COMPONENTS)
def test_whatever_they_are_called_the_plan_builds_them_all(paths: list[str], name: str) -> None:
    root = Path(tempfile.mkdtemp()) / name
    try:
        made = {path for path in paths if _made(root / path)}
        if not expected(made):
            return
        output_of(root)
        here = world(root)
        plan_files, loaded = load_plan(SourceOptions(), here)
        assert call(plan.main, here, push=True) == 0
        check_files(plan_files, select_with_dependencies(tuple(loaded.targets.values())), {}, here.now())
        dockerfiles = [
            Path(target.attributes["context"], target.attributes.get("dockerfile", "Dockerfile"))
            for target in loaded.targets.values()
        ]
        assert {str(path.relative_to(root)) for path in dockerfiles} == expected(made)
        assert len(dockerfiles) == len(expected(made))
        assert refusals(tomli.loads((root / "build.toml").read_text(encoding="utf-8"))) == []
    finally:
        shutil.rmtree(root.parent)


def _made(path: Path) -> bool:
    """Make an empty file, unless another file has the name of one of its folders."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except (FileExistsError, NotADirectoryError):
        return False
    return path.is_file()


def test_the_schema_beside_it_is_json(shop: Path) -> None:
    output_of(shop)
    assert json.loads((shop / "build.schema.json").read_text())["title"] == "build.toml"


def test_what_is_built_from_another_is_linked_to_it(tmp_path: Path) -> None:
    said_by = {
        "base": "FROM alpine\n",
        "api": "FROM --platform=$BUILDPLATFORM golang AS build\nFROM base\n",
        "web": "FROM base AS own\nFROM api\nFROM own\n",
        "own": "FROM own\n",
        "one": "FROM two\n",
        "two": "FROM one\n",
    }
    for name, dockerfile in said_by.items():
        (project(tmp_path, f"{name}/Dockerfile") / name / "Dockerfile").write_text(dockerfile)
    output_of(tmp_path)
    _, loaded = load_plan(SourceOptions(), world(tmp_path))
    links = {name: list(target.links) for name, target in loaded.targets.items()}
    assert links == {"api": ["base"], "base": [], "one": ["two"], "own": [], "two": [], "web": ["base", "api"]}
    assert 'contexts = { base = "target:base", api = "target:api" }\n' in (tmp_path / "build.toml").read_text()
    here = world(tmp_path)
    call(check.main, here)
    message = 'two: its Dockerfile says FROM one, but it does not link to the target "one" [unlinked-base]'
    assert written(here.stdout).count("[unlinked-base]") == 1
    assert f"warning: targets.two.contexts: {message}\n" in written(here.stdout)
