"""Folders and files that a plan names and that do not exist."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mpbake.base.errors import PlanError
from mpbake.cli.loading import load_plan
from mpbake.cli.options import SourceOptions
from mpbake.graph.dag import Selection, select_with_dependencies
from mpbake.graph.preflight.paths import unset_secret_warnings
from mpbake.model.bake_fields import Paths
from mpbake.spec.tables.target_tables import ATTRIBUTES
from tests.unit.plans import check_files, in_short, resolve_text, text
from tests.unit.worlds import NOON, world

if TYPE_CHECKING:
    from pathlib import Path

HINT = (
    "  = correct the path: it is relative to the folder of the file that contains it"
    "; the path of a Dockerfile is relative to the build context"
)


def checked(folder: Path, toml: str, *names: str, **environment: str) -> str:
    """Return the problems of the targets in `names`, or of all targets. Paths are relative to `folder`."""
    (folder / "build.toml").write_text("version = 1\n" + text(toml))
    plan_files, plan = load_plan(SourceOptions(), world(folder))
    try:
        targets = tuple(plan.targets[name] for name in names or plan.targets)
        check_files(plan_files, Selection(targets=targets, only={}), environment, NOON)
    except PlanError as error:
        return in_short(error).replace(f"{folder}/", "")
    return ""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a Dockerfile, a file and an empty folder."""
    for name in ("Dockerfile", "file"):
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    "attributes",
    [
        "",
        "dockerfile = 'file'",
        "context = 'empty'\ndockerfile = '../Dockerfile'",
        "context = 'empty'\ndockerfile-inline = 'FROM scratch'",
        "context = 'empty'\ndockerfile = 'https://example.com/Dockerfile'",
        "context = 'https://example.com/repo.git'\ndockerfile = 'nope'",
        "context = 'git@example.com:repo.git'",
        "contexts = { a = 'empty', b = 'docker-image://alpine', c = 'https://example.com/x.git' }",
        "secret = ['id=a,src=file', 'id=b,env=NOPE', 'id=file', 'type=env,id=d,src=nope']",
        "ssh = ['default', 'key=file']",
        # buildx creates these paths, or does not need them
        "output = ['nope']\ncache-from = ['type=local,src=nope']\ncache-to = ['type=local,dest=nope']",
    ],
)
def test_all_is_there(folder: Path, attributes: str) -> None:
    assert checked(folder, f"[targets.web]\n{attributes}") == ""


@pytest.mark.parametrize(
    ("attributes", "key", "message"),
    [
        ("context = 'nope'", "context", "there is no folder nope"),
        ("context = 'file'", "context", "there is no folder file"),
        ("context = 'nope'\ndockerfile-inline = 'FROM scratch'", "context", "there is no folder nope"),
        ("dockerfile = 'nope'", "dockerfile", "there is no Dockerfile nope"),
        ("dockerfile = 'empty'", "dockerfile", "there is no Dockerfile empty"),
        ('dockerfile = "no\\u001b"', "dockerfile", r"there is no Dockerfile no\x1b"),
        ("context = 'empty'", "dockerfile", "there is no Dockerfile empty/Dockerfile"),
        ("contexts = { a = 'empty', 'b c' = 'nope' }", 'contexts."b c"', "there is no folder nope"),
        ("contexts = { a = 'file' }", "contexts.a", "there is no folder file"),
        ("secret = ['id=a,src=file', 'id=b,src=nope']", "secret[1]", "there is no file nope"),
        ("secret = ['type=file,id=a,source=nope']", "secret[0]", "there is no file nope"),
        ("ssh = ['default', 'key=file,nope']", "ssh[1]", "there is no file nope"),
        ("secret = ['id=a,src=empty']", "secret[0]", "there is no file empty"),
    ],
)
def test_what_is_missing(folder: Path, attributes: str, key: str, message: str) -> None:
    printed = checked(folder, f"[targets.web]\n{attributes}")
    first, *_, hint = printed.split("\n")
    assert first.partition(": ")[2] == f"targets.web.{key}: web: {message}"
    assert hint == HINT


@pytest.mark.parametrize("secret", ["id=NAME", "type=file,id=NAME", "type=env,id=NAME"])
def test_a_secret_that_is_only_named(folder: Path, secret: str) -> None:
    plan = f"[targets.web]\nsecret = ['id=file', '{secret}']"
    assert checked(folder, plan) == text(f"""
        build.toml:3: targets.web.secret[1]: web: NAME is neither a set variable nor a file in the plan's folder
            secret = ['id=file', '{secret}']
          = set the variable, or set the source of the secret: env=NAME or src=FILE
        """)
    assert checked(folder, plan, NAME="") == ""
    (folder / "NAME").touch()
    assert checked(folder, plan) == ""


def test_a_secret_of_an_included_file_that_is_only_named_lies_in_the_plans_folder(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "common.toml").write_text('version = 1\n[defaults.target]\nsecret = ["id=token"]\n')
    plan = 'include = ["sub/common.toml"]\n[targets.web]'
    (folder / "sub" / "token").touch()
    assert "token is neither a set variable nor a file in the plan's folder" in checked(folder, plan)
    (folder / "token").touch()
    assert checked(folder, plan) == ""


def test_the_file_of_a_secret_that_has_a_variable_too_must_be_there(folder: Path) -> None:
    assert "there is no file nope" in checked(folder, "[targets.web]\nsecret = ['id=a,env=A,src=nope']", A="a")


def test_what_another_attribute_that_holds_paths_names_is_looked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attributes = {**ATTRIBUTES, "labels": replace(ATTRIBUTES["labels"], paths=Paths.CONTEXT)}
    for module in ("resolve.targets.paths", "graph.preflight.paths"):
        monkeypatch.setattr(f"mpbake.{module}.ATTRIBUTES", attributes)
    message = checked(folder, "[targets.web]\nlabels = { a = 'empty', b = 'nope' }")
    assert message.startswith("build.toml:3: targets.web.labels.b: web: there is no folder nope\n")


def test_the_line_is_told_and_everything_at_once(folder: Path) -> None:
    assert checked(
        folder,
        """
        [targets._image]
        context = "nope"
        [targets.web]
        inherits = ["_image"]
        secret = [
            "id=a,src=gone",
        ]
        [targets.php]
        matrix = { v = ["1", "2"] }
        name = "php-{{ v }}"
        context = "php{{ v }}"
        """,
    ) == text(f"""
        build.toml:3: targets._image.context: web: there is no folder nope
            context = "nope"
        {HINT}
        build.toml:7: targets.web.secret[0]: web: there is no file gone
            "id=a,src=gone",
        {HINT}
        build.toml:12: targets.php.context: php-1: there is no folder php1
            context = "php{{{{ v }}}}"
        {HINT}
        build.toml:12: targets.php.context: php-2: there is no folder php2
            context = "php{{{{ v }}}}"
        {HINT}
        """)


def test_what_single_platforms_name_is_looked_at(folder: Path) -> None:
    plan = """
        [targets.web]
        platforms = ["linux/amd64", "linux/arm64"]
        dockerfile = "{{ 'file' if platform.arch == 'amd64' else 'gone' }}"
        [targets.web.platform."linux/arm64"]
        contexts = { files = "nope" }
        [targets.web.platform."linux/386"]
        contexts = { files = "never built" }
        """
    assert checked(folder, plan) == text(f"""
        build.toml:4: targets.web.dockerfile: web: there is no Dockerfile gone
            dockerfile = "{{{{ 'file' if platform.arch == 'amd64' else 'gone' }}}}"
        {HINT}
        build.toml:6: targets.web.platform."linux/arm64".contexts.files: web: there is no folder nope
            contexts = {{ files = "nope" }}
        {HINT}
        """)


def test_a_file_is_looked_for_where_the_file_that_names_it_is(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "common.toml").write_text('version = 1\n[targets._image]\nsecret = ["id=a,src=file"]\n')
    plan = """
        include = ["sub/common.toml"]
        [targets.web]
        inherits = ["_image"]
        """
    assert checked(folder, plan) == text(f"""
        sub/common.toml:3: targets._image.secret[0]: web: there is no file sub/file
            secret = ["id=a,src=file"]
        {HINT}
        """)
    (folder / "sub" / "file").touch()
    assert checked(folder, plan) == ""


def test_links_are_looked_at_once_and_other_targets_not_at_all(folder: Path) -> None:
    plan = """
        [targets.web]
        contexts = { base = "target:base" }
        [targets.worker]
        contexts = { base = "target:base" }
        [targets.base]
        contexts = { deep = "target:deep" }
        [targets.deep]
        context = "nope"
        [targets.other]
        context = "none"
        """
    assert checked(folder, plan, "web", "worker") == text(f"""
        build.toml:9: targets.deep.context: deep: there is no folder nope
            context = "nope"
        {HINT}
        """)


def test_one_walk_finds_what_all_targets_link_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = "".join(f'[targets.t{n}]\ncontexts = {{ base = "target:t{n - 1}" }}\n' for n in range(1, 50))
    # a separate walk for each target would call this function
    monkeypatch.setattr("mpbake.graph.preflight.paths.linked_platforms", None)
    assert "targets.t0.context: t0: there is no folder nope" in checked(
        folder, f"[targets.t0]\ncontext='nope'\n{chain}"
    )


def test_the_files_of_nodes_are_told_with_those_of_targets(folder: Path) -> None:
    message = checked(
        folder,
        """
        [builders.x]
        config = "gone.toml"
        [targets.web]
        builder = "x"
        context = "nope"
        """,
    )
    assert "builders.x.config: there is no file gone.toml" in message
    assert "targets.web.context: web: there is no folder nope" in message


def test_a_path_of_the_command_line_counts_from_the_plans_folder(folder: Path) -> None:
    (folder / "build.toml").write_text("version = 1\n[targets.web]\n")
    plan_files, plan = load_plan(SourceOptions(settings=("web.context=nix",)), world(folder))
    with pytest.raises(PlanError) as caught:
        check_files(plan_files, select_with_dependencies(tuple(plan.targets.values())), {}, NOON)
    assert in_short(caught.value).endswith(
        "\n  = correct the path: it is relative to the plan's folder"
        "; the path of a Dockerfile is relative to the build context"
    )


def test_secrets_whose_variable_is_not_set() -> None:
    plan = resolve_text("""
        [targets.base]
        secret = ["id=deep,env=DEEP"]
        [targets.web]
        contexts = { base = "target:base" }
        secret = ["id=a,env=SET", "id=b,env=UNSET", "id=c,type=env,src=GONE", "id=d,src=file", "id=e", "id=f,env=EMPTY"]
        """)
    warnings = unset_secret_warnings([plan.targets["web"]], {"SET": "x", "EMPTY": ""})
    assert list(warnings) == [
        "web: secret b is empty: UNSET is not set",
        "web: secret c is empty: GONE is not set",
        "base: secret deep is empty: DEEP is not set",
    ]
