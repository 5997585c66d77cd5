"""Facts of real git repositories. A hostile repository cannot make git run, write or fetch anything."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from mpbake.base.codes import Code
from mpbake.base.errors import PlanError
from mpbake.cli.loading import load_plan
from mpbake.cli.options import SourceOptions
from mpbake.resolve import git, git_program
from mpbake.resolve.git import GitRepository
from mpbake.resolve.git_program import GIT_VARIABLES
from mpbake.resolve.template.filters import GIT_FACTS, FilterError, GitFact
from tests.checkout import CHECKOUT, DOCS
from tests.unit.worlds import world

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.allow_subprocess

SYSTEM = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
"""An environment without any configuration of git."""


def run(folder: Path, *arguments: str, fine: bool = True) -> str:
    """Return the output of git as a user runs it. With `fine` it must succeed."""
    author = {"GIT_AUTHOR_NAME": "me", "GIT_AUTHOR_EMAIL": "me@example.com"}
    committer = {"GIT_COMMITTER_NAME": "me", "GIT_COMMITTER_EMAIL": "me@example.com"}
    command = ["git", "-c", "protocol.file.allow=always", *arguments]
    environment = SYSTEM | author | committer
    completed = subprocess.run(command, cwd=folder, env=environment, check=fine, capture_output=True)
    return os.fsdecode(completed.stdout).strip()


def new_repository(folder: Path) -> Path:
    """Create a repository on the branch main, with a plan in one commit."""
    folder.mkdir(parents=True)
    run(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "build.toml").write_text("version = 1\n")
    run(folder, "add", "--all")
    run(folder, "commit", "--quiet", "--message=one")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a plan. The folder is a repository."""
    return new_repository(tmp_path / "plan")


def fact(folder: Path, name: GitFact, **environment: str) -> str | bool:
    """Return a fact about a repository."""
    return GitRepository(folder, SYSTEM | environment).fact(name)


def refusal(folder: Path, name: GitFact, **environment: str) -> str:
    """Return the message and hint of the error."""
    with pytest.raises(FilterError) as caught:
        fact(folder, name, **environment)
    assert caught.value.code is Code.GIT_FAILED
    return str(caught.value)


# --- facts ------------------------------------------------------------------------------------------------------------


def test_a_commit_on_a_branch(folder: Path) -> None:
    assert re.fullmatch("[0-9a-f]{40}", str(fact(folder, "commit")))
    assert [fact(folder, name) for name in GIT_FACTS] == ["main", run(folder, "rev-parse", "HEAD"), False, ""]


def test_the_plan_may_lie_in_a_folder_of_the_repository(folder: Path) -> None:
    (folder / "images").mkdir()
    assert fact(folder / "images", "branch") == "main"
    (folder / "build.toml").write_text("version = 2\n")
    assert fact(folder / "images", "dirty") is True


def test_branches(folder: Path) -> None:
    run(folder, "tag", "feature/log-in")
    run(folder, "switch", "--quiet", "--create", "feature/log-in")
    assert fact(folder, "branch") == "feature/log-in", "also where a tag has that name"
    run(folder, "switch", "--quiet", "--detach")
    assert fact(folder, "branch") == ""
    run(folder, "symbolic-ref", "HEAD", "refs/tags/feature/log-in")
    assert fact(folder, "branch") == ""


@pytest.mark.parametrize(
    ("tags", "highest"),
    [
        ([], ""),
        (["v1.2.0"], "v1.2.0"),
        (["v1.9.0", "v1.10.0"], "v1.10.0"),
        (["v1.0.0-rc.1", "v1.0.0", "v1.0.0-rc.2"], "v1.0.0"),
        (["1.0.0", "v1.0.0"], "v1.0.0"),
        (["zzz", "nightly-99", "0.1.0"], "0.1.0"),
        (["nightly-9", "nightly-10"], "nightly-10"),
        (["team/web-1", "team/web-02"], "team/web-02"),
    ],
)
def test_the_highest_tag_of_the_commit(folder: Path, tags: list[str], highest: str) -> None:
    for number, tag in enumerate(tags):
        run(folder, "tag", tag, *(["--annotate", "--message=x"] if number % 2 else []))
    run(folder, "commit", "--quiet", "--allow-empty", "--message=two")
    run(folder, "tag", "v9.9.9")
    run(folder, "switch", "--quiet", "--detach", "HEAD~")
    assert fact(folder, "tag") == highest


CHANGES: dict[str, Callable[[Path], object]] = {
    "changed": lambda folder: (folder / "build.toml").write_text("version = 2\n"),
    "removed": lambda folder: (folder / "build.toml").unlink(),
    "staged": lambda folder: [(folder / "new").write_text(""), run(folder, "add", "new")],
    "mode": lambda folder: (folder / "build.toml").chmod(0o755),
    "renamed": lambda folder: run(folder, "mv", "build.toml", "mpbake.toml"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_dirty(folder: Path, change: Callable[[Path], object]) -> None:
    change(folder)
    assert fact(folder, "dirty") is True


def test_what_does_not_make_a_repository_dirty(folder: Path, tmp_path: Path) -> None:
    (folder / "untracked").touch()
    (folder / ".mpbake").mkdir()
    os.utime(folder / "build.toml", (1, 1))
    assert fact(folder, "dirty") is False
    copy = shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copyfile)
    assert fact(copy, "dirty") is False, "git's notes on its files are all wrong"


def test_line_ends_are_converted_as_git_does(folder: Path) -> None:
    run(folder, "config", "core.autocrlf", "true")
    (folder / "build.toml").unlink()
    run(folder, "checkout", "build.toml")
    os.utime(folder / "build.toml", (1, 1))
    assert (folder / "build.toml").read_bytes() == b"version = 1\r\n"
    assert fact(folder, "dirty") is False


def filtered(folder: Path) -> Path:
    """Add a file with a filter: upper case in the folder, lower case in the repository.

    Then make the index outdated.
    """
    (folder / "images").mkdir()
    (folder / ".gitattributes").write_text("*.txt filter=capitals\n")
    for name, command in (("clean", "tr A-Z a-z"), ("smudge", "tr a-z A-Z")):
        run(folder, "config", f"filter.capitals.{name}", command)
    file = folder / "images/a.txt"
    file.write_text("ABC")
    run(folder, "add", "--all")
    run(folder, "commit", "--quiet", "--message=two")
    for path in (file, folder / "build.toml"):
        os.utime(path, (1, 1))
    return file


def test_a_file_that_goes_through_a_filter(folder: Path) -> None:
    file = filtered(folder)
    for below in (folder, folder / "images"):
        assert refusal(below, "dirty") == (
            'git cannot tell whether images/a.txt has changed without the filter "capitals"\n'
            "run `git status` once, which updates git's index, or pass the value as a variable"
        )
    run(folder, "status")
    assert fact(folder, "dirty") is False
    (folder / "build.toml").write_text("version = 2\n")
    assert fact(folder, "dirty") is True
    run(folder, "checkout", "build.toml")
    file.unlink()
    assert fact(folder, "dirty") is True


def test_a_change_beside_files_that_go_through_a_filter(folder: Path) -> None:
    filtered(folder)
    (folder / "build.toml").write_text("version = 2\n")
    assert fact(folder / "images", "dirty") is True


def test_a_filter_that_nobody_defines(folder: Path) -> None:
    file = filtered(folder)
    run(folder, "config", "--remove-section", "filter.capitals")
    assert fact(folder, "dirty") is True
    file.write_text("abc")
    assert fact(folder, "dirty") is False


def test_a_submodule_counts_by_its_commit(folder: Path, tmp_path: Path) -> None:
    run(folder, "submodule", "--quiet", "add", str(new_repository(tmp_path / "other")), "sub")
    run(folder, "commit", "--quiet", "--message=two")
    (folder / "sub/build.toml").write_text("changed")
    assert fact(folder, "dirty") is False
    run(folder / "sub", "commit", "--quiet", "--all", "--message=changed")
    assert fact(folder, "dirty") is True


def test_a_great_many_changes(folder: Path) -> None:
    for number in range(2000):
        (folder / f"{'x' * 200}{number}").touch()
    run(folder, "add", "--all")
    assert fact(folder, "dirty") is True


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GIT_FACTS)
def test_no_git(folder: Path, name: GitFact) -> None:
    problem = "git is not on the PATH\ninstall git, or pass the value as a variable"
    assert refusal(folder, name, PATH="/nonexistent") == problem
    assert refusal(folder, name, PATH="") == problem


@pytest.mark.parametrize("name", GIT_FACTS)
def test_no_repository(tmp_path: Path, name: GitFact) -> None:
    assert refusal(tmp_path, name) == "the plan is not in a git repository\npass the value as a variable"


def test_no_commit_yet(tmp_path: Path) -> None:
    run(tmp_path, "init", "--quiet", "--initial-branch=main")
    problem = "the plan's git repository has no commit yet\ncreate a commit first"
    assert refusal(tmp_path, "commit") == refusal(tmp_path, "tag") == problem
    assert fact(tmp_path, "branch") == "main"
    assert fact(tmp_path, "dirty") is False


def wrapped(folder: Path, script: str) -> str:
    """Return a PATH on which git is `script`. The script can call the real git as `"$git"`."""
    folder.mkdir()
    program = folder / "git"
    program.write_text(f"#!/bin/sh\ngit={shutil.which('git')}\n{script}\n")
    program.chmod(0o755)
    return f"{folder}{os.pathsep}{SYSTEM['PATH']}"


@pytest.mark.parametrize("name", GIT_FACTS)
def test_a_repository_of_somebody_else(folder: Path, tmp_path: Path, name: GitFact) -> None:
    path = wrapped(tmp_path / "bin", 'GIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec "$git" "$@"')
    assert refusal(folder, name, PATH=path) == (
        "git does not trust the plan's repository: another user owns it\n"
        "run `git status` in the plan's folder: it prints how to trust the repository"
    )
    (tmp_path / ".gitconfig").write_text(f"[safe]\n\tdirectory = {folder}\n")
    fact(folder, name, PATH=path, HOME=str(tmp_path))


@pytest.mark.parametrize("name", GIT_FACTS)
def test_a_damaged_repository(folder: Path, name: GitFact) -> None:
    (folder / ".git/config").write_text("[core\n")
    assert refusal(folder, name) == (
        "git failed: bad config line 1 in file .git/config\nrun `git status` in the plan's folder to see the reason"
    )


def test_git_that_does_not_start(folder: Path, tmp_path: Path) -> None:
    path = wrapped(tmp_path / "bin", "")
    (tmp_path / "bin/git").write_bytes(b"\x7fELF")
    assert refusal(folder, "commit", PATH=path) == (
        "git cannot be started: Exec format error\ncheck that `git --version` works"
    )


@pytest.mark.parametrize("script", ["exec sleep 60", "exec >&- 2>&-; exec sleep 60", "while :; do echo x >&2; done"])
def test_git_that_does_not_end(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setattr(git_program, "_TIMEOUT", 0.2)
    assert refusal(folder, "commit", PATH=wrapped(tmp_path / "bin", f'echo "$$" >"$0.pid"\n{script}')) == (
        "git rev-parse took more than 0 seconds\nrun `git status` in the plan's folder to see the reason"
    )
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "bin/git.pid").read_text()), 0)


def test_git_ends_with_us(folder: Path, tmp_path: Path) -> None:
    path = wrapped(tmp_path / "bin", 'echo "$$" >"$0.pid"\nkill -TERM "$PPID"\nexec sleep 60')
    asked = f"GitRepository(Path({str(folder)!r}), {{'PATH': {path!r}}}).fact('commit')"
    script = f"from pathlib import Path; from mpbake.resolve.git import GitRepository; {asked}"
    completed = subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, check=False)
    assert completed.returncode == -signal.SIGTERM
    for _ in range(50):
        try:
            os.kill(int((tmp_path / "bin/git.pid").read_text()), 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("git is still there")


def test_git_that_says_too_much(folder: Path, tmp_path: Path) -> None:
    path = wrapped(tmp_path / "bin", "exec yes")
    assert refusal(folder, "commit", PATH=path) == (
        "git rev-parse printed more than 1000000 bytes\nrun `git status` in the plan's folder to see the reason"
    )
    path = wrapped(tmp_path / "other", "yes | head -c 3000000 >&2; echo 'fatal: the\tend' >&2; exit 128")
    assert refusal(folder, "commit", PATH=path).startswith("git failed: y\n"), "the end is not read"


# --- in a plan --------------------------------------------------------------------------------------------------------

PLAN = """\
version = 1
[variables]
release = "{{ git.tag | semver if git.tag else 'none' }}"
[targets.web]
tags = ["r/web:{{ git.branch | slug }}", "r/web:{{ release }}", "{{ 'r/web:dirty' if git.dirty }}"]
labels = { revision = "{{ git.commit }}", created = "{{ timestamp() }}" }
"""


def test_a_plan_knows_its_own_repository(folder: Path, tmp_path: Path) -> None:
    (folder / "build.toml").write_text(PLAN)
    run(folder, "commit", "--quiet", "--all", "--message=two")
    run(folder, "tag", "v1.2.3")
    other = new_repository(tmp_path / "other")
    here = world(other, SYSTEM | {"SOURCE_DATE_EPOCH": "0"})
    target = load_plan(SourceOptions(directory="../plan"), here)[1].targets["web"]
    assert target.tags == ("r/web:main", "r/web:1.2.3")
    commit = run(folder, "rev-parse", "HEAD")
    assert target.attributes["labels"] == {"revision": commit, "created": "1970-01-01T00:00:00Z"}


def test_a_plan_without_a_repository(tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text(PLAN)
    with pytest.raises(PlanError) as caught:
        load_plan(SourceOptions(), world(tmp_path, SYSTEM))
    problems = {(diagnostic.code, diagnostic.message) for diagnostic in caught.value.diagnostics}
    assert (Code.GIT_FAILED, "the plan is not in a git repository") in problems
    assert {code for code, _ in problems} >= {Code.GIT_FAILED, Code.TEMPLATE_FAILED}


# --- a hostile repository ---------------------------------------------------------------------------------------------


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """Create a program that leaves a file when it runs."""
    path = tmp_path / "trap"
    path.write_text('#!/bin/sh\ntouch "$0.sprung"\n')
    path.chmod(0o755)
    return path


def sprung(trap: Path) -> bool:
    """Return whether the trap has run since the last call."""
    file = trap.with_name("trap.sprung")
    was_run = file.exists()
    file.unlink(missing_ok=True)
    return was_run


def monitor(folder: Path, trap: Path) -> None:
    run(folder, "config", "core.fsmonitor", str(trap))


def hooks(folder: Path, trap: Path) -> None:
    shutil.copy(trap, folder / ".git/hooks/post-index-change")
    (folder / ".git/hooks/post-index-change").write_text(f"#!/bin/sh\nexec {trap}\n")
    os.utime(folder / "build.toml", (1, 1))


def hooks_elsewhere(folder: Path, trap: Path) -> None:
    hooks(folder, trap)
    (folder / ".git/hooks").rename(folder / "hooks")
    run(folder, "config", "core.hooksPath", "hooks")


def clean_filter(folder: Path, trap: Path) -> None:
    (folder / ".git/info/attributes").write_text("* filter=a.b\n")
    run(folder, "config", "filter.a.b.clean", str(trap))
    os.utime(folder / "build.toml", (1, 1))


def clean_filter_of_an_included_file(folder: Path, trap: Path) -> None:
    clean_filter(folder, trap)
    run(folder, "config", "--unset", "filter.a.b.clean")
    run(folder, "config", "includeIf.onbranch:main.path", "../more")
    (folder / "more").write_text(f'[FILTER "a.b"]\n\tCLEAN = {trap}\n')


def clean_filter_of_the_worktree(folder: Path, trap: Path) -> None:
    clean_filter(folder, trap)
    run(folder, "config", "--unset", "filter.a.b.clean")
    run(folder, "config", "extensions.worktreeConfig", "true")
    run(folder, "config", "--worktree", "filter.a.b.clean", str(trap))


def clean_filter_without_a_name(folder: Path, trap: Path) -> None:
    (folder / ".git/info/attributes").write_text("* filter=\n")
    run(folder, "config", "filter..clean", str(trap))
    os.utime(folder / "build.toml", (1, 1))


def process_filter(folder: Path, trap: Path) -> None:
    (folder / ".gitattributes").write_bytes(b"* filter=\xff\xe9\n")
    with (folder / ".git/config").open("ab") as config:
        config.write(b'[filter "\xff\xe9"]\n\tprocess = %s\n\trequired\n' % bytes(trap))
    os.utime(folder / "build.toml", (1, 1))


def diff_drivers(folder: Path, trap: Path) -> None:
    (folder / ".gitattributes").write_text("* diff=evil\n")
    (folder / "build.toml").write_text("version = 2\n")
    for name in ("diff.external", "diff.evil.command", "diff.evil.textconv"):
        run(folder, "config", name, str(trap))


def submodule(folder: Path, trap: Path) -> None:
    new_repository(folder / "sub")
    run(folder, "-c", "advice.addEmbeddedRepo=false", "add", "sub")
    run(folder, "commit", "--quiet", "--message=two")
    monitor(folder / "sub", trap)


def program_of_a_remote(folder: Path, trap: Path) -> None:
    run(folder, "config", "remote.origin.url", str(folder))
    run(folder, "config", "remote.origin.uploadpack", str(trap))
    partial(folder)


def program_as_a_remote(folder: Path, trap: Path) -> None:
    run(folder, "config", "remote.origin.url", f"ext::{trap}")
    run(folder, "config", "protocol.ext.allow", "always")
    partial(folder)


def partial(folder: Path) -> None:
    """Make the repository a partial clone: it lacks the tree of its commit and has a promisor remote."""
    tree = run(folder, "rev-parse", "HEAD^{tree}")
    run(folder, "config", "remote.origin.promisor", "true")
    run(folder, "config", "extensions.partialClone", "origin")
    run(folder, "config", "core.repositoryFormatVersion", "1")
    (folder / ".git/objects" / tree[:2] / tree[2:]).unlink()


TRAPS = {
    setup.__name__: setup
    for setup in (
        monitor,
        hooks,
        hooks_elsewhere,
        clean_filter,
        clean_filter_of_an_included_file,
        clean_filter_of_the_worktree,
        clean_filter_without_a_name,
        process_filter,
        diff_drivers,
        submodule,
        program_of_a_remote,
        program_as_a_remote,
    )
}


@pytest.mark.parametrize("lay", TRAPS.values(), ids=TRAPS)
def test_a_repository_runs_nothing_and_nothing_is_written(
    folder: Path, trap: Path, lay: Callable[[Path, Path], None]
) -> None:
    lay(folder, trap)
    before = everything(folder)
    for name in GIT_FACTS:
        fact_or_error(folder, name)
    assert not sprung(trap)
    assert everything(folder) == before
    run(folder, "diff" if lay is diff_drivers else "status", fine=False)
    assert sprung(trap), "it is no trap"


def fact_or_error(folder: Path, name: GitFact) -> str | bool:
    """Return the fact, or the error if a partial clone lacks it."""
    try:
        return fact(folder, name)
    except FilterError as refused:
        return str(refused)


def everything(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return all files with their modification times and inodes."""
    return {path: (path.lstat().st_mtime_ns, path.lstat().st_ino) for path in folder.rglob("*")}


@pytest.mark.parametrize("lay", [program_of_a_remote, program_as_a_remote])
def test_nothing_is_fetched_by_a_git_that_cannot_be_told_not_to(
    folder: Path, trap: Path, monkeypatch: pytest.MonkeyPatch, lay: Callable[[Path, Path], None]
) -> None:
    monkeypatch.delitem(git_program._FIXED_ENVIRONMENT, "GIT_NO_LAZY_FETCH")
    lay(folder, trap)
    assert refusal(folder, "dirty").startswith("git failed: ")
    assert not sprung(trap)


def test_a_folder_that_only_looks_like_a_repository(folder: Path, trap: Path) -> None:
    below = folder / "below"
    below.mkdir()
    shutil.copytree(folder / ".git", below, dirs_exist_ok=True)
    run(folder, "config", "--file=below/config", "core.fsmonitor", str(trap))
    run(folder, "config", "--file=below/config", "core.worktree", str(folder))
    for name in GIT_FACTS:
        assert refusal(below, name).startswith("git failed: cannot use bare repository")
    assert not sprung(trap)
    run(below, "status")
    assert sprung(trap), "it is no trap"


def test_a_filter_that_cannot_be_switched_off(folder: Path, trap: Path) -> None:
    clean_filter(folder, trap)
    (folder / ".git/info/attributes").write_text("* filter=a=b\n")
    run(folder, "config", "filter.a=b.clean", str(trap))
    assert refusal(folder, "dirty") == (
        "a filter in git's configuration has an equals sign in its name\nrename the filter"
    )
    assert not sprung(trap)
    assert fact(folder, "branch") == "main"


def test_git_of_the_plan_is_not_run(folder: Path, trap: Path) -> None:
    shutil.copy(trap, folder / "git")
    assert fact(folder, "branch", PATH=f":.:./:{SYSTEM['PATH']}") == "main"
    assert not (folder / "git.sprung").exists()


# --- the environment --------------------------------------------------------------------------------------------------


def test_the_environment_of_git(folder: Path, tmp_path: Path) -> None:
    path = wrapped(tmp_path / "bin", f'env >"$0.env"; pwd -P >"$0.pwd"; exec {shutil.which("git")} "$@"')
    answer = fact(
        folder,
        "branch",
        PATH=path,
        GIT_DIR="/other",
        GIT_INDEX_FILE="/x",
        GIT_CONFIG_COUNT="1",
        LD_PRELOAD="x",
        LANG="de",
    )
    assert answer == "main"
    shell = {"PWD", "SHLVL", "_", "OLDPWD"}
    seen = dict(line.split("=", 1) for line in (tmp_path / "bin/git.env").read_text().splitlines())
    assert {
        name: value for name, value in seen.items() if name not in shell
    } == SYSTEM | git_program._FIXED_ENVIRONMENT | {"PATH": path}
    assert (tmp_path / "bin/git.pwd").read_text().strip() == str(folder.resolve())


def test_the_documentation_lists_the_variables_that_are_passed() -> None:
    documentation = (DOCS / "environment.md").read_text(encoding="utf-8")
    _, _, section = documentation.partition("## Passed to git")
    assert re.findall("`([A-Z_]+)`", section.partition("\n## ")[0]) == list(GIT_VARIABLES)


# --- ignored and tracked files ----------------------------------------------------------------------------------------


def test_files_that_git_ignores_or_tracks(folder: Path) -> None:
    names = ["a.key", "b.key", ":(top)c.key", "*.key", 'q"\n.key', "-d", "build.toml"]
    (folder / ".gitignore").write_text("a.key\n-d\n:(top)c.key\nq*\n!b.key\n")
    repository = GitRepository(folder, SYSTEM)
    assert repository.unignored(names) == {"b.key", "*.key", "build.toml"}
    assert repository.unignored(["a.key", "-d"]) == set()
    assert repository.unignored(["b.key"]) == {"b.key"}
    assert repository.tracked(names) == {"build.toml"}
    for name in names:
        (folder / name).touch()
    run(folder, "add", "--force", "--", ":(literal)a.key", ":(literal)*.key")
    assert repository.tracked(names) == {"a.key", "*.key", "build.toml"}
    assert repository.unignored(names) == {"a.key", "b.key", "*.key", "build.toml"}


def test_files_outside_of_a_repository(tmp_path: Path) -> None:
    assert not git.has_repository(tmp_path)
    with pytest.raises(FilterError, match="the plan is not in a git repository"):
        GitRepository(tmp_path, SYSTEM).unignored(["a.key"])
    new_repository(tmp_path / "plan")
    (tmp_path / "plan/certs").mkdir()
    assert git.has_repository(tmp_path / "plan/certs")


# --- programs and folders of a checkout -------------------------------------------------------------------------------


def test_git_in_the_checkout_is_not_started(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/git"
    program.write_text("#!/bin/sh\ntouch ran\n")
    program.chmod(0o755)
    with pytest.raises(FilterError, match="git is not on the PATH"):
        GitRepository(tmp_path, {"PATH": f"{tmp_path}/bin:{tmp_path}"}).fact("commit")
    assert not (tmp_path / "ran").exists()


@pytest.mark.allow_subprocess
def test_another_work_tree_is_not_compared(tmp_path: Path) -> None:
    checkout, home = tmp_path / "checkout", tmp_path / "home"
    home.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    subprocess.run(["git", "init", "-q", str(checkout)], env=environment, check=True)
    assert GitRepository(checkout, environment).fact("dirty") is False
    (checkout / ".git/config").write_text(f"[core]\nrepositoryformatversion = 0\nworktree = {home}\n")
    with pytest.raises(FilterError, match="names another folder as its work tree"):
        GitRepository(checkout, environment).fact("dirty")
