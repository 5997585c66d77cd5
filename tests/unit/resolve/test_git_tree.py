"""The files of a revision of real git repositories. The working tree is neither read nor changed."""

from __future__ import annotations

import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from mpbake.base.errors import PlanError, UsageError
from mpbake.base.files import Kind
from mpbake.model.grants import parse_allowances
from mpbake.model.reading import ReadAccess
from mpbake.resolve import git_program, git_tree
from mpbake.resolve.git_tree import GitTree, open_revision
from mpbake.spec.files.loader import read_plan
from tests.unit.resolve.test_git import SYSTEM, everything, new_repository, partial, run, sprung, wrapped

pytestmark = pytest.mark.allow_subprocess


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a plan. The folder is a repository with one commit."""
    return new_repository(tmp_path / "plan")


def commit(folder: Path) -> None:
    """Commit all files of the folder, and then remove them from the working tree."""
    run(folder, "add", "--all")
    run(folder, "commit", "--quiet", "--message=more")
    run(folder, "rm", "--quiet", "-r", ".")


def tree(folder: Path, revision: str = "HEAD", **environment: str) -> GitTree:
    return open_revision(folder, revision, SYSTEM | environment)


def access(folder: Path, *allow: str) -> ReadAccess:
    """Return the access of a plan to the files of HEAD."""
    return ReadAccess(folder=folder, allowances=parse_allowances(allow, str(folder)), tree=tree(folder))


def refusal(folder: Path, revision: str, **environment: str) -> str:
    with pytest.raises(UsageError) as caught:
        tree(folder, revision, **environment)
    return f"{caught.value.message}\n{caught.value.hint}"


OTHERWISE = "compare with a saved plan: mpbake diff plan.json"
NO_REVISION = (
    'the git repository has no revision "{}"\n'
    "name a branch, a tag or a commit, such as HEAD~1 or origin/main, or a saved plan, whose name ends in .json"
)


# --- revisions --------------------------------------------------------------------------------------------------------


def test_revisions(folder: Path) -> None:
    first = run(folder, "rev-parse", "HEAD")
    (folder / "build.toml").write_text("version = 2\n")
    run(folder, "tag", "--annotate", "v1", "--message=x")
    commit(folder)
    names = ["HEAD~1", "v1", first[:10], first, "main^", "main@{1}", "HEAD^{/one}"]
    assert {tree(folder, name).read(folder / "build.toml") for name in names} == {b"version = 1\n"}
    assert tree(folder).read(folder / "build.toml") == b"version = 2\n"


@pytest.mark.parametrize(
    "revision",
    [
        "",
        "zzz",
        "--output=x",
        "-h",
        "--all",
        "HEAD:build.toml",
        "HEAD..HEAD",
        "HEAD^{tree}",
        "a\0b",
        "\udcff",
        "0" * 40,
    ],
)
def test_what_is_no_revision(folder: Path, revision: str) -> None:
    before = everything(folder)
    shown = {"a\0b": r"a\x00b", "\udcff": r"\udcff"}.get(revision, revision)
    assert refusal(folder, revision) == NO_REVISION.format(shown)
    assert everything(folder) == before


def test_a_shallow_clone(folder: Path, tmp_path: Path) -> None:
    commit_more(folder)
    run(tmp_path, "clone", "--quiet", "--depth=1", f"file://{folder}", "clone")
    assert refusal(tmp_path / "clone", "HEAD~1") == (
        'the git repository has no revision "HEAD~1"\n'
        "this clone is shallow: fetch the revision, such as with `git fetch --depth=1 origin main:main`"
    )


def commit_more(folder: Path) -> None:
    run(folder, "commit", "--quiet", "--allow-empty", "--message=two")


def test_no_repository(tmp_path: Path) -> None:
    assert refusal(tmp_path, "HEAD") == f"the plan is not in a git repository\n{OTHERWISE}"


def test_no_git(folder: Path) -> None:
    assert refusal(folder, "HEAD", PATH="") == f"git is not on the PATH\ninstall git, or {OTHERWISE}"


def test_a_repository_of_somebody_else(folder: Path, tmp_path: Path) -> None:
    path = wrapped(tmp_path / "bin", 'GIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec "$git" "$@"')
    assert refusal(folder, "HEAD", PATH=path).startswith("git does not trust the plan's repository: another user")


# --- files ------------------------------------------------------------------------------------------------------------


def test_files_and_folders(folder: Path) -> None:
    names = ["a/b/c.toml", "a/*.toml", ":(top)x", "-d", "né w", 'q"\\', "line\nbreak"]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    commit(folder)
    files = tree(folder)
    assert {name: files.read(folder / name).decode() for name in names} == {name: name for name in names}
    assert files.kind(folder / "a/../a/b") is Kind.FOLDER
    assert files.kind(folder) is Kind.FOLDER
    assert {files.kind(folder / name) for name in ("none", "a/none", "a/b/c.toml/d", "a/?.toml")} == {Kind.NOTHING}
    with pytest.raises(IsADirectoryError):
        files.read(folder / "a")
    with pytest.raises(FileNotFoundError):
        files.read(folder / "none")


def test_a_plan_in_a_folder_of_the_repository(folder: Path) -> None:
    (folder / "below").mkdir()
    (folder / "below/build.toml").write_text("include = ['../build.toml']\nversion = 1\n")
    commit(folder)
    (folder / "below").mkdir()
    plan_files, _ = read_plan([folder / "below/build.toml"], access=access(folder / "below", "fs.read=.."))
    assert [file.text for file in plan_files.sources] == ["version = 1\n", "include = ['../build.toml']\nversion = 1\n"]


@pytest.mark.parametrize(
    ("link", "kind", "reason"),
    [
        ("a/real.toml", Kind.FILE, ""),
        ("./a//../a/real.toml", Kind.FILE, ""),
        ("up/real.toml", Kind.FILE, ""),
        ("none", Kind.NOTHING, ""),
        ("a", Kind.FOLDER, ""),
        ("/etc/passwd", Kind.LOOSE_LINK, "it leads through a symlink to a path outside of the repository"),
        ("../../x", Kind.LOOSE_LINK, "it leads through a symlink to a path outside of the repository"),
        ("link", Kind.LOOSE_LINK, "it leads through a cycle of symlinks"),
        ("x" * 4097, Kind.LOOSE_LINK, "it leads through a symlink to a path outside of the repository"),
    ],
)
def test_symlinks(folder: Path, link: str, kind: Kind, reason: str) -> None:
    (folder / "a").mkdir()
    (folder / "a/real.toml").write_text("x")
    (folder / "up").symlink_to("a")
    if len(link) < 4096:
        (folder / "link").symlink_to(link)
    else:  # only git can store such a symlink
        name = subprocess.check_output(["git", "hash-object", "-w", "--stdin"], cwd=folder, input=link.encode())
        run(folder, "update-index", "--add", "--cacheinfo", f"120000,{name.decode().strip()},link")
        run(folder, "commit", "--quiet", "--message=link")
        run(folder, "reset", "--quiet", "--hard", fine=False)
        run(folder, "add", "a", "up")
        run(folder, "commit", "--quiet", "--message=others")
    if len(link) < 4096:
        commit(folder)
    files, path = tree(folder), folder / "link"
    assert (files.kind(path), files.access_error(path)) == (kind, reason)
    if kind is Kind.FILE:
        assert files.real_path(path) == str(folder.resolve() / "a/real.toml")
        assert files.read(path) == b"x"
    if reason:
        with pytest.raises(OSError, match=reason):
            files.read(path)


def test_a_path_outside_of_the_repository(folder: Path) -> None:
    files = tree(folder)
    assert files.kind(Path("/etc/passwd")) is Kind.NOTHING
    assert files.access_error(Path("/etc/passwd")) == "it is outside of the repository"
    (folder / "build.toml").write_text('version = 1\ninclude = ["/etc/passwd", "../x.toml"]\n')
    commit(folder)
    with pytest.raises(PlanError) as caught:
        read_plan([folder / "build.toml"], access=access(folder, "all"), show=lambda path: f"HEAD:{path.name}")
    assert [diagnostic.message for diagnostic in caught.value.diagnostics] == [
        "HEAD:passwd cannot be read: it is outside of the repository",
        "HEAD:x.toml cannot be read: it is outside of the repository",
    ]


@pytest.mark.parametrize(
    ("include", "message"),
    [
        ("../x.toml", "HEAD:x.toml is outside of the plan's folder"),
        ("/etc/passwd", "HEAD:passwd is outside of the plan's folder"),
        ("up.toml", "HEAD:up.toml is a link to {}/build.toml, outside of the plan's folder"),
        ("out.toml", "HEAD:out.toml cannot be read: it leads through a symlink to a path outside of the repository"),
        ("a\\u0000b", "there is no file HEAD:a\\x00b"),
        ("x" * 5000, "there is no file HEAD:" + "x" * 5000),
    ],
)
def test_includes_of_a_hostile_revision(folder: Path, include: str, message: str) -> None:
    (folder / "below").mkdir()
    (folder / "below/up.toml").symlink_to("../build.toml")
    (folder / "below/out.toml").symlink_to("/etc/passwd")
    (folder / "below/build.toml").write_text(f'version = 1\ninclude = ["{include}"]\n')
    commit(folder)
    with pytest.raises(PlanError) as caught:
        read_plan([folder / "below/build.toml"], access=access_below(folder), show=lambda path: f"HEAD:{path.name}")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.message[:200] == message.format(folder.resolve())[:200]


def access_below(folder: Path) -> ReadAccess:
    return ReadAccess(folder=folder / "below", tree=tree(folder))


def test_a_submodule(folder: Path, tmp_path: Path) -> None:
    run(folder, "submodule", "--quiet", "add", str(new_repository(tmp_path / "other")), "sub")
    run(folder, "commit", "--quiet", "--message=two")
    files = tree(folder)
    for path in (folder / "sub", folder / "sub/build.toml"):
        assert files.access_error(path) == "it is in a submodule, whose files are not part of the revision"
        assert files.kind(path) is Kind.NOTHING


def test_many_files_need_few_calls(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [folder / f"d{number % 7}/Dockerfile.{number}" for number in range(900)]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text(path.name)
    commit(folder)
    files = tree(folder)
    calls = []
    real = git_program.GitProgram.run

    def counted(*arguments: object, **options: object) -> object:
        calls.append(arguments[1])
        return real(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(git_program.GitProgram, "run", counted)
    files.prefetch_digests([*paths, folder / "none", Path("/etc/passwd"), folder / "d0"])
    assert [files.sha256(path) for path in paths] == [sha256(path.name.encode()).hexdigest() for path in paths]
    assert len(calls) <= 12


# --- limits -----------------------------------------------------------------------------------------------------------


def test_files_that_are_too_large_are_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        (folder / name).write_text(name * 400)
    commit(folder)
    monkeypatch.setattr(git_tree, "MAX_SIZE", 1000)
    files = tree(folder)
    assert files.read(folder / "a") == b"a" * 400
    assert files.read(folder / "a") == b"a" * 400
    files.read(folder / "b")
    with pytest.raises(OSError, match="the files of the revision are larger than 0 MB together"):
        files.read(folder / "c")


def test_digests_need_no_memory_for_all_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abcd":
        (folder / name).write_text(name * 400)
    (folder / "large").write_text("x" * 1001)
    commit(folder)
    monkeypatch.setattr(git_tree, "MAX_SIZE", 1000)
    files = tree(folder)
    paths = [folder / name for name in "abcd"]
    files.prefetch_digests([*paths, folder / "large"])
    assert [files.sha256(path) for path in paths] == [
        sha256(name * 400).hexdigest() for name in (b"a", b"b", b"c", b"d")
    ]
    with pytest.raises(OSError, match="larger than"):
        files.sha256(folder / "large")
    assert tree(folder).sha256(folder / "a") == sha256(b"a" * 400).hexdigest()


def test_too_many_paths(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_tree, "_MAX_CALLS", 3)
    files = tree(folder)
    for name in "abc":
        files.kind(folder / name)
    files.kind(folder / "a")
    with pytest.raises(UsageError, match="the plan reads more than 3 paths of the revision"):
        files.kind(folder / "d")


# --- a hostile repository ---------------------------------------------------------------------------------------------


def test_filters_conversions_and_replacements_have_no_effect(folder: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.write_text('#!/bin/sh\ntouch "$0.sprung"\n')
    trap.chmod(0o755)
    blob = run(folder, "rev-parse", "HEAD:build.toml")
    (folder / "other").write_text("version = 9\n")
    run(folder, "replace", blob, run(folder, "hash-object", "-w", "other"))
    for setting in ("filter.a.smudge", "filter.a.clean", "filter.a.process", "diff.a.textconv", "core.fsmonitor"):
        run(folder, "config", setting, str(trap))
    (folder / ".git/info/attributes").write_text("* filter=a diff=a text eol=crlf working-tree-encoding=UTF-16\n")
    before = everything(folder)
    assert tree(folder).read(folder / "build.toml") == b"version = 1\n"
    assert everything(folder) == before
    assert not sprung(trap)


def test_a_partial_clone_fetches_nothing(folder: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.write_text('#!/bin/sh\ntouch "$0.sprung"\n')
    trap.chmod(0o755)
    run(folder, "config", "remote.origin.url", str(folder))
    run(folder, "config", "remote.origin.uploadpack", str(trap))
    blob = run(folder, "rev-parse", "HEAD:build.toml")
    (folder / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(OSError, match="this clone lacks its content: run `git fetch --refetch`"):
        tree(folder).read(folder / "build.toml")
    tree(folder).prefetch_digests([folder / "build.toml"])
    partial(folder)
    with pytest.raises(UsageError, match="git failed: "):
        tree(folder).kind(folder / "build.toml")
    assert not sprung(trap)
