"""Rights of plans: refused without a grant, asked for on a terminal, and remembered."""

from __future__ import annotations

import dataclasses
import io
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.errors import NotGranted, UsageError
from mpbake.cli.commands import builders, run
from mpbake.cli.loading import load_plan
from mpbake.cli.review.granting import grant_run, plan_grants
from mpbake.cli.review.remembered_grants import RememberedGrants, content_digest, grants_file, read_grants
from mpbake.model.emulators import EMULATORS_IMAGE
from tests.unit.worlds import call, options_for, world, written

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mpbake.cli.review.granting import Granted
    from mpbake.cli.world import World

PLAN = """version = 1
[targets.web]
context = "../shared"
secret = ["id=a,env=TOKEN"]
ssh = ["default"]
"""
EVERYTHING = ("fs.read=../shared", "env=TOKEN", "ssh")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return the folder of a plan that needs three rights."""
    folder = tmp_path / "a" / "project"
    folder.mkdir(parents=True)
    (folder / "build.toml").write_text(PLAN)
    (folder.parent / "shared").mkdir()
    return folder


def _person(folder: Path, answer: str = "", **environment: str) -> World:
    """Return the world of a person at a terminal, who types `answer`."""
    config = {"XDG_CONFIG_HOME": str(folder.parents[1] / "config"), **environment}
    return dataclasses.replace(world(folder, config), stdin=io.StringIO(answer), asks=True)


def _grant(here: World, *allow: str, **values: Any) -> Granted:
    plan_files, plan = load_plan(options_for("run", allow=allow, **values).source, here)
    return grant_run(plan_files, tuple(plan.targets.values()), here)


def _stored(folder: Path) -> Path:
    return folder.parents[1] / "config" / "mpbake" / "grants.json"


def test_missing_rights_are_refused_with_the_options_that_grant_them(project: Path) -> None:
    here = world(project)
    with pytest.raises(NotGranted) as caught:
        call(run.main, here, allow=(), names=("web",))
    assert str(caught.value) == (
        "the plan needs 3 rights on this machine that are not granted:\n"
        "  fs.read=../shared  web.context\n"
        "  env=TOKEN          web.secret\n"
        "  ssh                web.ssh\n"
        "  = if you trust the plan with them, add: --allow fs.read=../shared --allow env=TOKEN --allow ssh"
    )
    assert caught.value.exit_code == 3
    assert written(here.stderr) == ""
    assert not (project / ".mpbake").exists()


@pytest.mark.parametrize("allow", [EVERYTHING, ("all",), ("ssh", "env=TOKEN", "fs.read=..")])
def test_granted_rights_are_not_asked(project: Path, allow: tuple[str, ...]) -> None:
    here = _person(project)
    granted = _grant(here, *allow)
    assert written(here.stderr) == ""
    assert granted.plan_files.access.may_read(project.parent / "shared" / "file")
    assert not _stored(project).exists()


def test_only_what_is_missing_is_named(project: Path) -> None:
    with pytest.raises(NotGranted) as caught:
        _grant(world(project), "ssh", "env=OTHER", "fs.read=../shared/web")
    assert caught.value.hint.endswith("add: --allow fs.read=../shared --allow env=TOKEN")


def test_a_wrong_right_is_a_usage_error(project: Path) -> None:
    with pytest.raises(UsageError, match=r"--allow: unknown right") as caught:
        _grant(world(project), "fs.reed=..")
    assert caught.value.hint == 'did you mean "fs.read"?'


def test_the_options_are_quoted_and_escaped(project: Path) -> None:
    (project / "build.toml").write_text('version = 1\n[targets.web]\ncontext = "/a b;$(x)\\u001b[31m\\n\'"\n')
    with pytest.raises(NotGranted) as caught:
        _grant(world(project))
    assert caught.value.hint.endswith("--allow 'fs.read=/a b;$(x)\\x1b[31m\\n'\"'\"''")
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("answer", ["y\n", "Y\n", " yes \n", "YES"])
def test_a_yes_on_a_terminal_grants_and_is_remembered(project: Path, answer: str) -> None:
    asked = _person(project, answer)
    granted = _grant(asked)
    assert granted.plan_files.access.may_read(project.parent / "shared" / "file")
    assert "Allow? [y/N] " in written(asked.stderr)
    again = world(project, _person(project).environment)
    assert _grant(again).plan_files.access.may_read(project.parent / "shared" / "file")
    assert written(again.stderr) == ""
    assert stat.S_IMODE(_stored(project).stat().st_mode) == 0o600
    assert stat.S_IMODE(_stored(project).parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("answer", ["", "\n", "n\n", "no\n", "yay\n", "y n\n"])
def test_every_other_answer_is_a_no(project: Path, answer: str) -> None:
    with pytest.raises(NotGranted):
        _grant(_person(project, answer))
    assert not _stored(project).exists()


def test_ctrl_c_is_a_no(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> str:
        raise KeyboardInterrupt

    here = _person(project)
    monkeypatch.setattr(here.stdin, "readline", interrupt)
    with pytest.raises(NotGranted):
        _grant(here)
    assert written(here.stderr).endswith("[y/N] \n")


def test_an_answer_is_for_the_content_of_the_plan_and_for_its_rights(project: Path) -> None:
    _grant(_person(project, "y\n"))
    (project / "build.toml").write_text(f"{PLAN}# changed\n")
    with pytest.raises(NotGranted):
        _grant(_person(project))
    (project / "build.toml").write_text(PLAN)
    _grant(_person(project))
    with pytest.raises(NotGranted, match=r"1 right") as caught:
        _grant(_person(project), settings=('web.ssh=["x=/etc/key"]',))
    assert caught.value.hint.endswith("add: --allow fs.read=/etc/key")


def test_an_answer_is_for_one_folder(project: Path) -> None:
    _grant(_person(project, "y\n"))
    other = project.parent / "other"
    other.mkdir()
    (other / "build.toml").write_text(PLAN)
    with pytest.raises(NotGranted):
        _grant(_person(other))


def test_an_answer_is_for_what_the_symlinks_lead_to(project: Path) -> None:
    (project / "build.toml").write_text('version = 1\n[targets.web]\ncontext = "link"\n')
    (project / "link").symlink_to("../shared")
    _grant(_person(project, "y\n"))
    _grant(_person(project))
    (project / "link").unlink()
    (project / "link").symlink_to("../other")
    with pytest.raises(NotGranted, match=r"fs.read=../other"):
        _grant(_person(project))


def test_paths_stay_resolved_as_when_they_were_granted(project: Path) -> None:
    (project / "build.toml").write_text('version = 1\n[targets.web]\ncontext = "link"\n')
    (project / "link").symlink_to("../shared")
    granted = _grant(world(project), "fs.read=../shared")
    (project / "link").unlink()
    (project / "link").symlink_to("/etc")
    assert granted.rights.real(str(project / "link")) == str(project.parent / "shared")


def test_the_question_fits_on_a_screen(project: Path) -> None:
    contexts = "".join(f'c{number} = "/{number}{"x" * 200}", ' for number in range(30))
    (project / "build.toml").write_text(
        f'{PLAN}entitlements = ["security.insecure"]\ncontexts = {{ {contexts} evil = "/\\u001b[2J" }}\n'
    )
    here = _person(project)
    with pytest.raises(NotGranted):
        _grant(here)
    lines = written(here.stderr).splitlines()
    assert lines[:4] == [
        "This plan needs rights on this machine, to:",
        "  run build steps with all privileges on the machine of the node",
        "    security.insecure  web.entitlements",
        "  read outside of the plan's folder",
    ]
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 100
    assert lines[-2] == "  and 19 other rights: `mpbake plan` lists them"
    assert "\x1b" not in written(here.stderr)


def test_a_right_with_a_sensitive_value_is_not_stored(project: Path) -> None:
    (project / "build.toml").write_text(
        'version = 1\n[variables]\nkey = { sensitive = true }\n[targets.web]\nssh = ["default"]\n'
        'context = "cwd:///x/{{ key }}"\n'
    )
    here = _person(project, "y\n")
    _grant(here, variables=("key=hunter22",))
    assert "hunter22" not in _stored(project).read_text()
    with pytest.raises(NotGranted, match=r"1 right "):
        _grant(_person(project), variables=("key=hunter22",))


# --- the file ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "Expecting"),
        ("[" * 100_000, "nested too deep"),
        ("\xff", "decode"),
        ("[]", "it has another format"),
        ('{"format": 2, "plans": {}}', "it has another format"),
        ('{"format": 1, "plans": {"x": "ssh"}}', "it has another format"),
        ('{"format": 1, "plans": {"x": ["magic"]}}', "unknown right"),
    ],
)
def test_a_damaged_file_is_ignored_and_replaced(project: Path, content: str, reason: str) -> None:
    _stored(project).parent.mkdir(parents=True)
    _stored(project).write_bytes(content.encode("latin-1"))
    _stored(project).chmod(0o600)
    here = _person(project, "y\n")
    _grant(here)
    assert written(here.stderr).startswith(
        f"warning: {_stored(project)} is ignored, so mpbake asks for its rights again: "
    )
    assert reason in written(here.stderr).splitlines()[0]
    _grant(_person(project))


def test_a_file_that_others_can_read_is_ignored(project: Path) -> None:
    _grant(_person(project, "y\n"))
    _stored(project).chmod(0o644)
    here = _person(project)
    with pytest.raises(NotGranted):
        _grant(here)
    assert "others can read or change it" in written(here.stderr)


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_another_kind_of_file_is_ignored(project: Path, kind: str) -> None:
    _grant(_person(project, "y\n"))
    real = _stored(project).rename(_stored(project).with_name("real.json"))
    match kind:
        case "link":
            _stored(project).symlink_to(real)
        case "folder":
            _stored(project).mkdir(mode=0o700)
        case _:
            os.mkfifo(_stored(project), 0o600)
    with pytest.raises(NotGranted):
        _grant(_person(project))


def test_a_symlink_is_replaced_and_not_followed(project: Path, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    _stored(project).parent.mkdir(parents=True)
    _stored(project).symlink_to(tmp_path / "victim")
    _grant(_person(project, "y\n"))
    assert (tmp_path / "victim").read_text() == "precious"
    assert not _stored(project).is_symlink()
    _grant(_person(project))


def test_a_folder_that_cannot_be_written_is_a_warning(project: Path) -> None:
    _stored(project).parents[1].write_text("no folder")
    here = _person(project, "y\n")
    _grant(here)
    assert "warning: the answer is not remembered: " in written(here.stderr)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"XDG_CONFIG_HOME": "/c", "HOME": "/h"}, "/c/mpbake/grants.json"),
        ({"XDG_CONFIG_HOME": "", "HOME": "/h"}, "/h/.config/mpbake/grants.json"),
        ({"XDG_CONFIG_HOME": "relative", "HOME": "/h"}, "/h/.config/mpbake/grants.json"),
        ({"HOME": "/h"}, "/h/.config/mpbake/grants.json"),
        ({"HOME": "relative"}, ""),
        ({}, ""),
    ],
)
def test_where_the_file_is(project: Path, environment: dict[str, str], expected: str) -> None:
    assert str(grants_file(environment, project) or "") == expected


def test_a_checkout_cannot_grant_rights_to_itself(project: Path) -> None:
    """The home folder may be the checkout, for example in the container of a CI job."""
    for home in (project, project / "sub"):
        assert grants_file({"HOME": str(home)}, project) is None
    assert grants_file({"HOME": str(project.parent)}, project) is not None
    (project.parent / ".git").write_text("gitdir: elsewhere")
    assert grants_file({"HOME": str(project.parent)}, project) is None


def test_old_answers_are_forgotten(project: Path, tmp_path: Path) -> None:
    (grant,) = plan_grants(*_loaded(project, 'version = 1\n[targets.web]\nssh = ["default"]\n'))
    plans = {f"digest {number}": ("ssh",) for number in range(503)}
    RememberedGrants(file=tmp_path / "grants.json", plans=plans).add("digest 7", [grant])
    kept = read_grants(tmp_path / "grants.json").plans
    assert (next(iter(kept)), list(kept)[-1], len(kept)) == ("digest 3", "digest 7", 500)


def _loaded(folder: Path, plan: str) -> tuple[Any, Iterable[Any]]:
    (folder / "build.toml").write_text(plan)
    plan_files, resolved = load_plan(options_for("run").source, world(folder))
    return plan_files, resolved.targets.values()


def test_the_digest_covers_every_file_of_a_plan(project: Path) -> None:
    plan = PLAN.replace("[targets", 'include = ["more.toml"]\n[targets')
    (project / "more.toml").write_text("version = 1\n")
    before = content_digest(_loaded(project, plan)[0])
    (project / "more.toml").write_text("version = 1 # more\n")
    assert content_digest(_loaded(project, plan)[0]) != before


# --- configurations and builders --------------------------------------------------------------------------------------

CONTAINER = 'version = 1\n[builders.b]\nconfig = "CONFIG"\n[targets.web]\nbuilder = "b"\n'


def test_the_files_that_a_configuration_names_need_rights(project: Path) -> None:
    (project / "build.toml").write_text(CONTAINER.replace("CONFIG", "buildkitd.toml"))
    (project / "buildkitd.toml").write_text(
        'registry."r.example.com" = { ca = ["../ca.pem", "/etc/ca.pem", "ca.pem"] }\n'
    )
    with pytest.raises(NotGranted) as caught:
        _grant(world(project))
    options = "--allow fs.read=../ca.pem --allow fs.read=/etc/ca.pem --allow builder.config=b"
    assert caught.value.hint.endswith(f"add: {options}")


def test_an_answer_is_for_the_content_of_a_configuration(project: Path) -> None:
    (project / "build.toml").write_text(CONTAINER.replace("CONFIG", "buildkitd.toml"))
    (project / "buildkitd.toml").write_text("debug = true\n")
    _grant(_person(project, "y\n"))
    _grant(_person(project))
    (project / "buildkitd.toml").write_text('insecure-entitlements = ["security.insecure"]\n')
    with pytest.raises(NotGranted):
        _grant(_person(project))


def test_a_configuration_elsewhere_is_read_only_when_it_is_granted(project: Path) -> None:
    (project / "build.toml").write_text(CONTAINER.replace("CONFIG", "../shared/buildkitd.toml"))
    (project.parent / "shared" / "buildkitd.toml").write_text('registry."r.example.com" = { ca = ["/etc/ca.pem"] }\n')
    with pytest.raises(NotGranted) as caught:
        _grant(world(project))
    assert caught.value.hint.endswith("add: --allow fs.read=../shared/buildkitd.toml --allow builder.config=b")
    with pytest.raises(NotGranted) as caught:
        _grant(world(project), "fs.read=../shared/buildkitd.toml", "builder.config=b")
    assert caught.value.hint.endswith("add: --allow fs.read=/etc/ca.pem")
    here = _person(project, "y\ny\n")
    _grant(here)
    assert written(here.stderr).count("Allow?") == 2


def test_a_damaged_configuration_is_reported_later(project: Path) -> None:
    (project / "build.toml").write_text(CONTAINER.replace("CONFIG", "buildkitd.toml"))
    (project / "buildkitd.toml").write_text("registry = [[[")
    _grant(world(project), "builder.config=b")


BUILDERS = """version = 1
[builders.b]
emulators = "install"
[builders.b.nodes.one]
endpoint = "ssh://far"
[builders.plain]
[builders.mine]
external = true
"""


def test_builders_up_needs_the_rights_of_the_builders_that_it_changes(project: Path) -> None:
    (project / "build.toml").write_text(BUILDERS)
    with pytest.raises(NotGranted) as caught:
        call(builders.main, world(project), action="up", allow=())
    assert caught.value.message.splitlines()[0] == "the plan needs 2 rights on this machine that are not granted:"
    assert caught.value.hint.endswith(f"--allow builder.emulators={EMULATORS_IMAGE} --allow endpoint=ssh://far")


@pytest.mark.parametrize("action", ["list", "plan", "stop", "rm", "prune"])
def test_only_up_needs_rights(project: Path, monkeypatch: pytest.MonkeyPatch, action: str) -> None:
    (project / "build.toml").write_text(BUILDERS)
    monkeypatch.setattr(builders, "stoppable", lambda _: 7)
    assert call(builders.main, world(project), action=action, allow=()) == 7


def test_a_named_builder_needs_only_its_own_rights(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "build.toml").write_text(BUILDERS)
    monkeypatch.setattr(builders, "stoppable", lambda _: 7)
    assert call(builders.main, world(project), action="up", names=("plain",), allow=()) == 7


def test_the_grants_of_a_plan_are_named_as_in_the_plan(project: Path) -> None:
    (project / "build.toml").write_text(f'{PLAN}contexts = {{ abs = "{project.parent}/x", far = "../../../far" }}\n')
    plan_files, plan = load_plan(options_for("run").source, world(project), relative=True)
    texts = [grant.text for grant in plan_grants(plan_files, plan.targets.values())]
    assert texts == ["fs.read=../shared", f"fs.read={project.parent}/x", "fs.read=../../../far", "env=TOKEN", "ssh"]
