"""No output of mpbake contains a command that the runner of a CI obeys."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
import tomli
from hypothesis import example, given
from hypothesis import strategies as st

from mpbake.base.ci_commands import without_commands, without_commands_in_strings
from mpbake.base.errors import PlanError, UsageError
from mpbake.base.json_text import printed_json
from mpbake.base.text import one_line, without_colour
from mpbake.cli.commands import check, export, plan, show
from mpbake.cli.commands import list as list_command
from tests.unit.worlds import call, world, written

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("::set-output name=x::y", "\\x3a:set-output name=x::y"),
        ("a\n \t::error::b\n::add-mask::c", "a\n \t\\x3a:error::b\n\\x3a:add-mask::c"),
        ("##[set-output name=x;]y ##vso[task.x]", "#\\x23[set-output name=x;]y #\\x23vso[task.x]"),
        ("###[group]", "##\\x23[group]"),
        ("##teamcity[x]", "#\\x23teamcity[x]"),
        (" \u00a0\u3000::error::no", " \u00a0\u3000\\x3a:error::no"),
        ("::1 a::b ::ffff x", "::1 a::b ::ffff x"),
        ("## heading [link]", "## heading [link]"),
        (" \t\u00a0\u3000::error::no", "\x20\t\u00a0\u3000\\x3a:error::no"),
        ("std::vector::size", "std::vector::size"),
        ("##[##[error]a]b", "#\\x23[#\\x23[error]a]b"),
    ],
)
def test_commands_in_text(text: str, expected: str) -> None:
    assert without_commands(text) == expected


_KNOWN_COMMANDS = "add-mask|add-matcher|debug|endgroup|error|group|set-output|stop-commands|warning"


def is_command(line: str) -> bool:
    """Return whether the runner finds a command in a line, by the rules of actions/runner, `ActionCommand.cs`."""
    new, old = line.lstrip(), line.partition("##[")[2]
    return bool(
        re.match(rf"::(?:{_KNOWN_COMMANDS})(?: .*?)?::", new) or re.match(rf"(?:{_KNOWN_COMMANDS})(?: .*?)?\]", old)
    )


PIECES = st.sampled_from(["::", "##[", "#", "[", "]", " ", "\t", "\u2003", "\x85", "\x1c", "\r", "error", "group", "x"])


@given(st.lists(PIECES, max_size=8).map("".join))
@example("\x85::error::")
@example("a\r::error::b")
def test_no_output_of_a_build_is_a_command(output: str) -> None:
    """`without_colour` converts the output of builds before a reporter sees it."""
    for line in without_colour(output).split("\n"):
        assert not is_command(without_commands(line))
        assert "\r" not in line


def test_commands_in_names_and_logs() -> None:
    assert one_line("::error::x") == "\\x3a:error::x"
    assert without_colour("\x1b[1m::error::x\r\n ok\r##[error]y") == "\\x3a:error::x\n#\\x23[error]y"
    assert one_line("section_start:1:x\r\x1b[0K") == "section_start:1:x\\x0d\\x1b[0K"
    assert str(UsageError("a\n::error::b", hint="##[error]")) == "a\n\\x3a:error::b\n  = #\\x23[error]"


def test_the_values_of_json_and_toml_stay() -> None:
    value = {"##[a]": ["\\##[b]", "###vso[c]", "::d::"]}
    assert "##[" not in printed_json(value)
    assert json.loads(printed_json(value)) == value
    toml = 'a = "##[x]"'
    assert tomli.loads(without_commands_in_strings(toml)) == tomli.loads(toml)


COMMANDS = "::set-output name=x::y ##[error]z"
PLAN = f"""
version = 1
[variables]
v = {{ default = "{COMMANDS}", description = "{COMMANDS}" }}
[groups]
default = {{ targets = ["web"], description = "{COMMANDS}" }}
[targets.web]
description = "{COMMANDS}"
labels = {{ "{COMMANDS}" = "{COMMANDS}" }}
args = {{ A = '''
{COMMANDS}
''' }}
output = ["type=local,dest={COMMANDS}"]
"""


def lines_of(folder: Path, text: str, **options: str) -> list[str]:
    """Return the output of all commands that read a plan."""
    (folder / "Dockerfile").touch()
    (folder / "build.toml").write_text(text)
    lines = []
    for main in (plan.main, check.main, list_command.main, show.main, export.main):
        here = world(folder)
        try:
            call(main, here, **options if main is check.main else {})
        except (PlanError, UsageError) as error:
            lines += str(error).splitlines()
        lines += [*written(here.stdout).splitlines(), *written(here.stderr).splitlines()]
    return lines


@pytest.mark.parametrize(
    "text",
    [
        PLAN,
        "version = 1\n::error::x\n##[error]z\n",
        f"version = 1\nx = [\n   {COMMANDS}\n]",
        f"version = 1\n[targets.web]\nargs = '''\n{COMMANDS}\n'''\n",
        f"version = 1\n[targets.web]\ncontext = '''\n{COMMANDS}\n'''\nneeds = ['''\n{COMMANDS}\n''']\n",
        f"version = 1\n[targets.'{COMMANDS}']\n",
        f"version = 1\ninclude = ['{COMMANDS}']\n",
        f"version = 1\nrequires = '{COMMANDS}'\n",
        f"version = 1\n[variables]\na = {{ default = '{COMMANDS}', choices = ['''\n{COMMANDS}'''] }}\n",
        f"version = 1\n[targets.web]\nplatforms = ['''\n{COMMANDS}''']\ntags = ['{COMMANDS}']\n",
        f"version = 1\n[targets.web]\nargs.A = '''{{{{ '{COMMANDS}' | int + undefined }}}}'''\n",
    ],
)
@pytest.mark.parametrize("form", ["text", "json"])
def test_no_output_of_a_plan_contains_a_command(tmp_path: Path, text: str, form: str) -> None:
    lines = lines_of(tmp_path, text, format=form)
    assert lines
    assert [line for line in lines if line.lstrip().startswith("::") or "##[" in line] == []


def test_annotations_of_github_stay_commands(tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text(f"version = 1\n[targets.web]\nneeds = ['''\n{COMMANDS}''']\n")
    here = world(tmp_path)
    call(check.main, here, format="github")
    (line,) = written(here.stdout).splitlines()
    assert line.startswith("::error file=build.toml,line=4,")
    assert "##[" not in line
