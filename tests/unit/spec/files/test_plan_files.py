"""Plans of several files: the merged values, the file of each value, and the problems of single files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tomli

from mpbake import __version__
from mpbake.model.reading import ReadAccess
from mpbake.spec.files import plan_limits
from mpbake.spec.files.plan_files import PlanFile, PlanFiles
from tests.unit.plans import problems_of_files, read_files, resolve_files, text
from tests.unit.worlds import deny_access

if TYPE_CHECKING:
    from mpbake.base.errors import KeyPath

ACCESS = ReadAccess(folder=Path("/plan"))
COMMON = """
    [variables]
    tag = { default = "dev", env = "TAG" }
    [targets._image]
    context = "images"
    args = { A = 1, B = 1 }
    [targets.web]
    inherits = ["_image"]
    tags = ["web", "web:{{ tag }}"]
    """


# --- merged values ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "together"),
    [
        ("[targets.a]", "[targets.b]", {"targets": {"a": {}, "b": {}}}),
        # the later value wins, and a list is one value
        ("[targets.a]\nx = 1\ny = 1", "[targets.a]\ny = 2", {"targets": {"a": {"x": 1, "y": 2}}}),
        ("[targets.a]\ntags = ['x', 'y']", "[targets.a]\ntags = ['z']", {"targets": {"a": {"tags": ["z"]}}}),
        ("targets.a.args = { A = 1, B = 1 }", "targets.a.args.B = 2", {"targets": {"a": {"args": {"A": 1, "B": 2}}}}),
        # the same if only one of the values is a table
        ("targets.a.args = '{{ args }}'", "targets.a.args.B = 2", {"targets": {"a": {"args": {"B": 2}}}}),
        ("targets.a.args.B = 2", "targets.a.args = '{{ args }}'", {"targets": {"a": {"args": "{{ args }}"}}}),
        ("targets = 1", "[targets.a]", {"targets": {"a": {}}}),
        # short forms are merged like tables
        (
            "[variables]\nv = { default = 'x', env = 'V' }",
            "[variables]\nv = 'y'",
            {"variables": {"v": {"default": "y", "env": "V"}}},
        ),
        (
            "[variables]\nv = 'x'",
            "[variables.v]\ndescription = 'what it is'",
            {"variables": {"v": {"default": "x", "description": "what it is"}}},
        ),
        ("[variables]\nv = 'x'", "[variables]\nv = ['y']", {"variables": {"v": {"default": ["y"]}}}),
        (
            "[groups]\ng = ['a']",
            "[groups.g]\ntargets = ['b']\ndescription = 'all'",
            {"groups": {"g": {"targets": ["b"], "description": "all"}}},
        ),
        (
            "[groups.g]\ntargets = ['a']\ndescription = 'all'",
            "[groups]\ng = ['b']",
            {"groups": {"g": {"targets": ["b"], "description": "all"}}},
        ),
    ],
)
def test_files_are_merged_table_by_table_and_key_by_key(before: str, after: str, together: Any) -> None:
    sources = tuple(source(name, toml) for name, toml in (("before.toml", before), ("after.toml", after)))
    assert PlanFiles(main=sources[0], sources=sources, access=ACCESS).data == together


def test_one_file_says_what_it_says() -> None:
    only = source("build.toml", "[variables]\nv = 'x'")
    assert PlanFiles(main=only, sources=(only,), access=ACCESS).data == {"variables": {"v": "x"}}


def source(name: str, toml: str) -> PlanFile:
    return PlanFile(path=Path("/plan", name), shown=name, text=toml, data=tomli.loads(toml))


@pytest.mark.parametrize(
    ("files", "named", "order"),
    [
        ({"build.toml": []}, [], ["build.toml"]),
        # included files come first, in their order, before the file that includes them
        ({"build.toml": ["a", "b"], "a": [], "b": []}, [], ["a", "b", "build.toml"]),
        ({"build.toml": ["a"], "a": ["b"], "b": []}, [], ["b", "a", "build.toml"]),
        # each file counts once, at its first include
        ({"build.toml": ["a", "b"], "a": ["c"], "b": ["c"], "c": []}, [], ["c", "a", "b", "build.toml"]),
        ({"build.toml": ["a", "a", "./a", "x/../a"], "a": []}, [], ["a", "build.toml"]),
        # the files of -f keep their order
        ({"one": [], "two": []}, ["two", "one"], ["two", "one"]),
        ({"one": ["a"], "two": ["a"], "a": []}, ["one", "two"], ["a", "one", "two"]),
        ({"one": [], "two": ["one"]}, ["one", "two"], ["one", "two"]),
        ({"one": [], "two": ["one"]}, ["two", "one"], ["one", "two"]),
        ({"one": [], "two": []}, ["one", "two", "one"], ["one", "two"]),
        # paths are relative to the file that includes them
        ({"build.toml": ["x/a"], "x/a": ["b", "../c"], "x/b": [], "c": []}, [], ["x/b", "c", "x/a", "build.toml"]),
    ],
)
def test_the_order_in_which_files_count(
    tmp_path: Path, files: dict[str, list[str]], named: list[str], order: list[str]
) -> None:
    written = {name: f"version = 1\ninclude = {included}\n" for name, included in files.items()}
    plan_files, _ = read_files(tmp_path, written, *named)
    assert [file.shown for file in plan_files.sources] == order
    assert plan_files.root == tmp_path, "the plan's folder is that of the first file that was named"


def test_the_file_that_includes_has_the_last_word(tmp_path: Path) -> None:
    plan = resolve_files(
        tmp_path,
        {
            "build.toml": """
                include = ["common.toml"]
                [variables]
                tag = "1.0"
                [targets._image]
                args = { B = 2 }
                """,
            "common.toml": COMMON,
        },
    )
    web = plan.targets["web"]
    assert (web.tags, web.attributes["args"]) == (("web:latest", "web:1.0"), {"A": "1", "B": "2"})


def test_the_folder_of_a_plan_is_that_of_the_first_file(tmp_path: Path) -> None:
    plan_files, _ = read_files(tmp_path, {"a/one.toml": "\n", "b/two.toml": "\n"}, "a/one.toml", "b/two.toml")
    assert (plan_files.path, plan_files.root) == (tmp_path / "a/one.toml", tmp_path / "a")


# --- the file of a value ----------------------------------------------------------------------------------------------

MAIN = """
    include = ["sub/one.toml"]
    [variables]
    plain = "main"
    [groups]
    all = ["web"]
    [targets.web]
    tags = ["main"]
    args = { B = 2 }
    contexts = "{{ all }}"
    [targets.web.platform."linux/arm64"]
    target = "arm"
    """
ONE = """
    [variables]
    plain = { default = "one", description = "of one" }
    other = "one"
    all = { default = {} }
    [groups.all]
    targets = ["web", "*"]
    description = "of one"
    [targets.web]
    context = "."
    platforms = ["linux/arm64"]
    tags = ["one", "two"]
    args = { A = 1, B = 1 }
    contexts = { c = "c" }
    """


@pytest.mark.parametrize(
    ("key", "place"),
    [
        (("targets", "web", "context"), "sub/one.toml:10"),
        (("targets", "web", "args", "A"), "sub/one.toml:13"),
        (("targets", "web", "args", "B"), "build.toml:9"),
        (("targets", "web", "args", "C"), "build.toml:9"),
        (("targets", "web", "args"), "build.toml:9"),
        (("targets", "web", "tags", 0), "build.toml:8"),
        # a list that was replaced has no entries left
        (("targets", "web", "tags", 1), "build.toml:8"),
        (("targets", "web", "contexts", "c"), "build.toml:10"),
        (("targets", "web", "platform", "linux/arm64", "target"), "build.toml:12"),
        (("targets", "web"), "build.toml:7"),
        (("variables", "plain", "default"), "build.toml:4"),
        (("variables", "plain", "description"), "sub/one.toml:3"),
        (("variables", "other", "default"), "sub/one.toml:4"),
        (("groups", "all", "targets", 0), "build.toml:6"),
        (("groups", "all", "description"), "sub/one.toml:8"),
        (("builders",), "build.toml"),
        ((), "build.toml"),
    ],
)
def test_a_key_is_that_of_the_file_which_has_the_last_word_on_it(tmp_path: Path, key: KeyPath, place: str) -> None:
    plan_files, _ = read_files(tmp_path, {"build.toml": MAIN, "sub/one.toml": ONE})
    location = plan_files.locate(key)
    assert (f"{location.file}:{location.line}" if location.line else location.file) == place
    assert plan_files.folder(key) == (tmp_path / location.file).parent


def test_what_the_command_line_sets_counts_from_the_folder_of_the_plan(tmp_path: Path) -> None:
    plan_files, _ = read_files(tmp_path, {"build.toml": MAIN, "sub/one.toml": ONE}, settings=["web.context=x", "b"])
    key: KeyPath = ("--set", 0, "context")
    assert plan_files.folder(key) == tmp_path
    assert str(plan_files.locate(key)) == "--set web.context=x"
    assert str(plan_files.locate(("--set", 1))) == "--set b"


def test_a_line_is_gone_through_once_however_many_problems_it_has(tmp_path: Path) -> None:
    plan = 'version = 1\ntargets.web.args = { a = "x", b = "y", c = "https://me:hunter22@host/" }\n'
    plan_files, _ = read_files(tmp_path, {"build.toml": plan})
    first, second = (plan_files.locate(("targets", "web", "args", name)) for name in "ab")
    assert first.excerpt == 'targets.web.args = { a = "x", b = "y", c = "https://me:***@host/" }'
    assert second.excerpt is first.excerpt


@pytest.mark.parametrize(
    ("key", "stated"),
    [
        (("targets", "web", "context"), ("targets", "web", "context")),
        (("targets", "web", "dockerfile"), ()),
        (("targets", "nope", "dockerfile"), ()),
        (("targets", "web", "args", "B"), ("targets", "web", "args", "B")),
        (("targets", "web", "tags", 0), ("targets", "web", "tags", 0)),
        # an entry of a template has the location of the template
        (("targets", "web", "contexts", "c"), ("targets", "web", "contexts")),
        (("targets", "web", "contexts", 0), ("targets", "web", "contexts")),
        (("defaults", "target", "context"), ()),
        (("--set", 0, "args", "X"), ("--set", 0, "args", "X")),
    ],
)
def test_how_much_of_a_key_is_written(tmp_path: Path, key: KeyPath, stated: KeyPath) -> None:
    plan_files, _ = read_files(tmp_path, {"build.toml": MAIN, "sub/one.toml": ONE})
    assert plan_files.stated(key) == stated


# --- problems ---------------------------------------------------------------------------------------------------------


def test_a_mistake_is_told_of_the_file_in_which_it_is(tmp_path: Path) -> None:
    files = {
        "build.toml": """
            include = ["sub/one.toml"]
            [targets.web]
            contxt = "web"
            needs = ["db"]
            """,
        "sub/one.toml": """
            [targets.web]
            push = "yes"
            [groups]
            all = "web"
            """,
    }
    assert problems_of_files(tmp_path, files) == text("""
        build.toml:4: targets.web.contxt: unknown key "contxt"
            contxt = "web"
          = did you mean "context"?
        sub/one.toml:3: targets.web.push: must be true or false, not text
            push = "yes"
        sub/one.toml:5: groups.all: must be a list in square brackets, not text
            all = "web"
        """)


def test_a_reference_to_nothing_stands_where_it_is_written(tmp_path: Path) -> None:
    files = {
        "build.toml": """
            include = ["one.toml"]
            [targets.web]
            inherits = ["_image"]
            contexts = { base = "target:bsae" }
            [targets.base]
            """,
        "one.toml": """
            [targets._image]
            needs = ["bas"]
            [targets.web]
            contexts = { base = "target:base", other = "target:bass" }
            """,
    }
    assert problems_of_files(tmp_path, files) == text("""
        build.toml:5: targets.web.contexts.base: unknown target "bsae"
            contexts = { base = "target:bsae" }
          = did you mean "base"?
        one.toml:3: targets._image.needs[0]: unknown target "bas"
            needs = ["bas"]
          = did you mean "base"?
        one.toml:5: targets.web.contexts.other: unknown target "bass"
            contexts = { base = "target:base", other = "target:bass" }
          = did you mean "base"?
        """)


TRUST = "  = if you trust the plan with this file, add: --allow fs.read=../nope.toml"
WHERE = "  = write the path relative to the file that includes it"


@pytest.mark.parametrize(
    ("include", "problem"),
    [
        ("nope.toml", f"there is no file nope.toml\n    include = ['nope.toml']\n{WHERE}"),
        (
            "../nope.toml",
            "../nope.toml is outside of the plan's folder\n    include = ['../nope.toml']\n" + TRUST,
        ),
        ("folder", f"folder is not a file\n    include = ['folder']\n{WHERE}"),
        ("loop", f"there is no file loop\n    include = ['loop']\n{WHERE}"),
        (
            "build.toml",
            "a cycle: build.toml -> build.toml\n    include = ['build.toml']\n  = remove one of the includes",
        ),
        ("https://example.com/a.toml", '"https://example.com/a.toml" is not a local file\n    include = [{}]'),
        ("", '"" is not a local file\n    include = [{}]'),
    ],
)
def test_what_cannot_be_included(tmp_path: Path, include: str, problem: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    files = {"build.toml": f"version = 1\ninclude = ['{include}']\n"}
    assert problems_of_files(tmp_path, files) == f"build.toml:2: include[0]: {problem}".replace("{}", f"'{include}'")


def test_what_lies_in_a_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deny_access(monkeypatch, tmp_path / "p")
    assert problems_of_files(tmp_path, {"build.toml": "version = 1\ninclude = ['p/inc.toml']\n"}) == text("""
        build.toml:2: include[0]: p/inc.toml cannot be read: Permission denied
            include = ['p/inc.toml']
        """)


def test_all_that_cannot_be_included_at_once(tmp_path: Path) -> None:
    files = {
        "build.toml": "version = 1\ninclude = ['one', 'a.toml']",
        "a.toml": "version = 1\ninclude = ['two', 5, 'bad.toml']",
        "bad.toml": "version = 1\n[targets.web\n",
    }
    assert problems_of_files(tmp_path, files) == text(f"""
        a.toml:2: include[0]: there is no file two
            include = ['two', 5, 'bad.toml']
        {WHERE}
        a.toml:2: include[1]: must be text in quotes, not a number
            include = ['two', 5, 'bad.toml']
        bad.toml:2: not valid TOML: Expected ']' at the end of a table declaration
            [targets.web
          = close the name of the table with ]
        build.toml:2: include[0]: there is no file one
            include = ['one', 'a.toml']
        {WHERE}
        """)


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        (
            {"build.toml": ["a"], "a": ["b"], "b": ["build.toml"]},
            "b:2: include[0]: a cycle: build.toml -> a -> b -> build.toml",
        ),
        ({"build.toml": ["a"], "a": ["b"], "b": ["c"], "c": ["b"]}, "c:2: include[0]: a cycle: b -> c -> b"),
        ({"build.toml": ["x/a"], "x/a": ["./../x/a"]}, "x/a:2: include[0]: a cycle: x/a -> x/a"),
        # a symlink to a file is the same file
        ({"build.toml": ["a"], "a": ["link/a"]}, "a:2: include[0]: a cycle: a -> a"),
    ],
)
def test_files_that_include_one_another(tmp_path: Path, files: dict[str, list[str]], problem: str) -> None:
    (tmp_path / "link").symlink_to(".")
    written = {name: f"version = 1\ninclude = {included}\n" for name, included in files.items()}
    first, _, rest = problems_of_files(tmp_path, written).partition("\n")
    assert first == problem
    assert rest.endswith("  = remove one of the includes")


def test_files_may_include_one_another_only_so_deep(tmp_path: Path) -> None:
    files = {f"f{number}.toml": f"version = 1\ninclude = ['f{number + 1}.toml']" for number in range(60)}
    problem = problems_of_files(tmp_path, files, "f0.toml").partition("\n")[0]
    assert problem == "f50.toml:2: include[0]: files include each other more than 50 levels deep"


@pytest.mark.parametrize(
    ("files", "named", "problem"),
    [
        ({"build.toml": "version = 1\ninclude = ['a']", "a": "[targets.web]"}, [], 'a: "version" is missing'),
        ({"build.toml": "include = ['a']", "a": "version = 1"}, [], 'build.toml: "version" is missing'),
        ({"one": "[targets.web]", "two": "version = 1"}, ["one", "two"], 'one: "version" is missing'),
        ({"one": "version = 1", "two": "[targets.web]"}, ["one", "two"], 'two: "version" is missing'),
        ({"build.toml": "version = 1\ninclude = ['a']", "a": "version = 2"}, [], "a:1: version: must be 1"),
        ({"one": "version = '1'", "two": "version = 1"}, ["one", "two"], "one:1: version: must be 1"),
        (
            {"build.toml": "version = 1\ninclude = ['a']", "a": "version = 1\ninclude = 'b'"},
            [],
            "a:2: include: must be a list in square brackets, not text",
        ),
        (
            {"build.toml": "version = 1\ninclude = ['a']", "a": "version = 1\nrequires = '>=9000'"},
            [],
            f"a:2: requires: requires mpbake >=9000, but this is {__version__}",
        ),
    ],
)
def test_each_of_several_files_is_a_plan(tmp_path: Path, files: dict[str, str], named: list[str], problem: str) -> None:
    assert problems_of_files(tmp_path, files, *named).partition("\n")[0] == problem


# --- files outside the folder of the plan -----------------------------------------------------------------------------

PRIVATE = "TOKEN=hunter2"


@pytest.mark.parametrize("content", [f"{PRIVATE}\n", f"[x]\na = '{PRIVATE}'\n", f"a = '{PRIVATE}'\n\n[\n"])
@pytest.mark.parametrize("name", ["../elsewhere.toml", "link.toml"])
def test_no_line_of_a_file_from_elsewhere_that_is_no_plan_is_shown(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / "elsewhere.toml").write_text(content)
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan/link.toml").symlink_to("../elsewhere.toml")
    files = {"plan/build.toml": f"version = 1\ninclude = ['{name}']"}
    problems = problems_of_files(tmp_path, files, "plan/build.toml", allow=["fs.read=.."])
    assert "outside" not in problems
    assert PRIVATE not in problems


@pytest.mark.parametrize("name", ["../elsewhere.toml", "inside.toml"])
def test_lines_of_plans_are_shown_wherever_they_come_from(tmp_path: Path, name: str) -> None:
    files = {
        "plan/build.toml": f"version = 1\ninclude = ['{name}']",
        f"plan/{name}": "version = 1\n[targets.web]\ncontxt = 'x'\n",
    }
    assert "\n    contxt = 'x'\n" in problems_of_files(tmp_path, files, "plan/build.toml", allow=["all"])


@pytest.mark.parametrize("content", [f"{PRIVATE}\n", f"[x]\na = '{PRIVATE}'\n"])
@pytest.mark.parametrize("name", ["build.toml", "mpbake.toml"])
def test_no_line_of_a_file_to_which_the_plan_is_a_link_is_shown(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / "elsewhere.toml").write_text(content)
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / name).symlink_to("../elsewhere.toml")
    path = f"plan/{name}"
    assert problems_of_files(tmp_path, {}, path) == (
        f"{path}: is a link to {tmp_path}/elsewhere.toml, outside of its folder\n"
        "  = if you trust the plan with this file, add: --allow fs.read=../elsewhere.toml"
    )
    problems = problems_of_files(tmp_path, {}, path, allow=["fs.read=../elsewhere.toml"])
    assert "outside" not in problems
    assert PRIVATE not in problems


def test_files_from_elsewhere_are_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deny_access(monkeypatch, tmp_path / "elsewhere")
    (tmp_path / "plan/inner").mkdir(parents=True)
    (tmp_path / "plan/link.toml").symlink_to("../elsewhere/a.toml")
    (tmp_path / "plan/folder").symlink_to("../elsewhere")
    includes = ["../elsewhere/a.toml", "inner/../../elsewhere/a.toml", "folder/a.toml", "link.toml", "/dev/zero"]
    files = {"plan/build.toml": f"version = 1\ninclude = {includes}\n"}
    problems = problems_of_files(tmp_path, files, "plan/build.toml")
    real = tmp_path / "elsewhere/a.toml"
    assert [line.rpartition("include[")[2] for line in problems.splitlines() if "include[" in line] == [
        "0]: elsewhere/a.toml is outside of the plan's folder",
        "1]: elsewhere/a.toml is outside of the plan's folder",
        f"2]: plan/folder/a.toml is a link to {real}, outside of the plan's folder",
        f"3]: plan/link.toml is a link to {real}, outside of the plan's folder",
        f"4]: {os.path.relpath('/dev/zero', tmp_path)} is outside of the plan's folder",
    ]


def test_a_plan_that_is_a_link_within_its_folder_and_granted_includes(tmp_path: Path) -> None:
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan/build.toml").symlink_to("real.toml")
    files = {
        "plan/real.toml": "version = 1\ninclude = ['../base/a.toml']\n",
        "base/a.toml": "version = 1\ninclude = ['b.toml']\n",
        "base/b.toml": "version = 1\ntargets.web = {}\n",
    }
    for granted in (["fs.read=../base"], ["fs.read=../base/a.toml", "fs.read=../base/b.toml"], ["all"]):
        assert list(resolve_files(tmp_path, files, "plan/build.toml", allow=granted).targets) == ["web"]
    one = problems_of_files(tmp_path, files, "plan/build.toml", allow=["fs.read=../base/a.toml"])
    assert one.splitlines()[0] == "base/a.toml:2: include[0]: base/b.toml is outside of the plan's folder"


def test_lines_of_a_file_that_was_named_are_shown(tmp_path: Path) -> None:
    files = {"plan/build.toml": "version = 1", "elsewhere.toml": "targets.web\n"}
    assert "\n    targets.web\n" in problems_of_files(tmp_path, files, "plan/build.toml", "elsewhere.toml")


# --- plans that are too large -----------------------------------------------------------------------------------------

SPLIT = "  = split the plan: mpbake is made for plans of up to 10,000 targets"


@pytest.mark.parametrize(
    ("limit", "most", "problem"),
    [
        ("MAX_BYTES", 100, "the files of the plan have more than 0 MB"),
        ("MAX_VALUES", 16, "the files of the plan have more than 16 lines, commas and equals signs"),
    ],
)
def test_the_size_of_all_files_of_a_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, most: int, problem: str
) -> None:
    one = "version = 1\n[targets.web]\nargs = { A = 1, B = 2 }\n"
    monkeypatch.setattr(plan_limits, limit, most)
    assert read_files(tmp_path, {"build.toml": one})
    files = {"build.toml": "version = 1\ninclude = ['a.toml', 'b.toml']\n", "a.toml": one, "b.toml": one}
    assert problems_of_files(tmp_path, files) == f"b.toml: {problem}\n{SPLIT}"


@pytest.mark.parametrize("key", ["a" + ".b" * 20, "'a.b' . " * 20 + "c", '"\\"" . ' * 20 + '"="'])
@pytest.mark.parametrize("form", ["{} = 1", "[{}]", "[[{}]]", "x = {{ {} = 1 }}"])
def test_keys_with_many_parts(tmp_path: Path, key: str, form: str) -> None:
    files = {"build.toml": f"version = 1\n{form.format(key)}\n"}
    assert problems_of_files(tmp_path, files) == "build.toml:2: a key has more than 20 parts"


def test_texts_with_many_dots(tmp_path: Path) -> None:
    dots = ".".join("0123456789abcdef" * 2)
    lines = [f"A = '{dots}.ip6.arpa'", f"B = '{dots}/x={dots}.'", f"'{dots}' = 1", f"C = '''\n{dots}\n'''", f"# {dots}"]
    plan = "version = 1\n[targets.web.args]\n" + "\n".join(lines)
    assert read_files(tmp_path, {"build.toml": plan})
