"""Values of `--set`: their parsing, the targets that they match, and their precedence."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpbake.base.errors import PlanError, UsageError
from mpbake.base.platforms import parse_platform
from mpbake.resolve.targets.overrides import SetOverride, parse_overrides
from tests.unit.plans import problems_of_text, resolve_text, target_of_text, text
from tests.unit.resolve.targets.test_drafts import INHERITED, seen


def setting(written: str) -> SetOverride:
    (override,) = parse_overrides([written])
    return override


# --- parsing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "attribute", "value"),
    [
        # a text is taken literally
        ("web.context=a b", "context", "a b"),
        ("web.context=", "context", ""),
        ("web.dockerfile-inline=FROM x\nRUN y=1", "dockerfile-inline", "FROM x\nRUN y=1"),
        ("web.timeout=30m", "timeout", "30m"),
        ('web.target="quoted"', "target", '"quoted"'),
        ("web.context={{ folder }}", "context", "{{ folder }}"),
        # a flag or a number is TOML. An invalid one is reported with the other problems of the plan
        ("web.push=true", "push", True),
        ("web.push=yes", "push", "yes"),
        ("web.push={{ release }}", "push", "{{ release }}"),
        ("web.retries=2", "retries", 2),
        # a list is TOML, or a single item
        ('web.tags=["a", "b"]', "tags", ["a", "b"]),
        ('web.tags= ["a"]', "tags", ["a"]),
        ("web.tags=r/web:1.0", "tags", ["r/web:1.0"]),
        ("web.tags=", "tags", []),
        ("web.tags=[]", "tags", []),
        ("web.cache-to=type=local,dest=x", "cache-to", ["type=local,dest=x"]),
        ("web.tags={{ tag }}", "tags", ["{{ tag }}"]),
        ("web.checks=[{ run = ['php', '-v'] }]", "checks", [{"run": ["php", "-v"]}]),
        # a table is TOML, or a single value, which is a text
        ("web.args={ A = 1, B = 'x' }", "args", {"A": 1, "B": "x"}),
        ("web.args={}", "args", {}),
        ("web.args.A=1", "args", {"A": "1"}),
        ("web.args.A=", "args", {"A": ""}),
        ("web.args.A=b=c", "args", {"A": "b=c"}),
        ("web.args.A={ x = 1 }", "args", {"A": "{ x = 1 }"}),
        ("web.labels.org.example.title=x", "labels", {"org.example.title": "x"}),
        ('web.labels."a b".c=x', "labels", {"a b.c": "x"}),
        ("web.labels.'a.b'=x", "labels", {"a.b": "x"}),
        ("web.resources.memory=1g", "resources", {"memory": "1g"}),
    ],
)
def test_values(written: str, attribute: str, value: Any) -> None:
    override = setting(written)
    assert (override.attribute, override.value, override.platform) == (attribute, value, None)


@pytest.mark.parametrize(
    ("written", "attribute", "value"),
    [
        ("web.platform.linux/arm64.args.A=1", "args", {"A": "1"}),
        ("web.platform.linux/aarch64.args.A.B=1", "args", {"A.B": "1"}),
        ("web.platform.linux/arm64.target=x", "target", "x"),
        ("web.platform.'linux/arm64'.labels.'a.b'=x", "labels", {"a.b": "x"}),
        ("web.platform.linux/arm64.cache-to=[]", "cache-to", []),
    ],
)
def test_values_for_one_platform(written: str, attribute: str, value: Any) -> None:
    override = setting(written)
    assert (override.attribute, override.value, override.platform) == (attribute, value, parse_platform("linux/arm64"))


@pytest.mark.parametrize(
    ("written", "append", "adds"),
    [
        ("web.tags=a", False, False),
        ("web.tags+=a", True, True),
        ("web.args={ A = 1 }", False, False),
        ("web.args+={ A = 1 }", True, True),
        ("web.args.A=1", False, True),
        ("web.args.A=x+=y", False, True),
        ("web.context=+", False, False),
    ],
)
def test_which_values_are_added(written: str, *, append: bool, adds: bool) -> None:
    assert (setting(written).append, setting(written).adds) == (append, adds)


OF_TABLES = "change it in the plan: it belongs to the table, not to the targets that the table defines"
FORM = "\n  = write GLOB.KEY=VALUE, such as web.args.DEBUG=1, '*.platforms=[\"linux/arm64\"]' or web.tags+=NAME"
PLATFORM = (
    " names no platform and key\n"
    "  = write GLOB.platform.OS/ARCH.KEY=VALUE, or GLOB.platforms=… for the platforms to build"
)


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("", f" is not GLOB.KEY=VALUE{FORM}"),
        ("web", f" is not GLOB.KEY=VALUE{FORM}"),
        ("web=1", f" is not GLOB.KEY=VALUE{FORM}"),
        ("web.push", f" is not GLOB.KEY=VALUE{FORM}"),
        (".push=1", f" is not GLOB.KEY=VALUE{FORM}"),
        ("web.=1", f" is not GLOB.KEY=VALUE{FORM}"),
        ("web.pussh=true", ' unknown key "pussh"\n  = did you mean "push"?'),
        ("web.x\x1by=1", ' unknown key "x\\x1by"'),
        # `--set` cannot set the attributes that define the rows of a matrix
        *(
            (
                f"web.{name}=x",
                f" {name} cannot be set\n  = {OF_TABLES}",
            )
            for name in ("matrix", "name", "inherits", "exclude")
        ),
        ("web.args.=1", f" has an empty name{FORM}"),
        ("web.context.x=1", f" context has no keys{FORM}"),
        ("web.tags.0=x", f" tags has no keys{FORM}"),
        ("web.push.x=1", f" push has no keys{FORM}"),
        ("web.context+=x", " += adds to lists and tables only\n  = use = instead"),
        ("web.push+=true", " += adds to lists and tables only\n  = use = instead"),
        ("web.args.A+=x", " += adds to lists and tables only\n  = use = instead"),
        ('web.tags=["a"', f" is not a list{FORM}"),
        ("web.args=A", f" is not a table{FORM}"),
        ("web.args={ A = 1", f" is not a table{FORM}"),
        ("web.labels.'a.b=x", f" has an invalid key{FORM}"),
        ('web.labels."a"b=x', f" has an invalid key{FORM}"),
        ("web.platform=x", PLATFORM),
        ("web.platform.linux/arm64=x", PLATFORM),
        ("web.platform.arm64.args.A=1", PLATFORM),
        ("web.platform.linux/arm64.context=x", ' unknown key "context"\n  = did you mean "contexts"?'),
        ("web.platform.linux/arm64.tags=x", ' unknown key "tags"'),
    ],
)
def test_what_cannot_be_understood(written: str, problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_overrides(["web.push=true", written])
    shown = written.replace("\x1b", "\\x1b")
    assert str(caught.value).startswith(f"--set {shown}:{problem}")


@pytest.mark.parametrize(
    "written", ["web.args.A=\udcff", "web.args.\udcff=1", "\udcff.push=true", 'web.tags=["\ud800"]']
)
def test_what_is_no_text(written: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_overrides([written])
    shown = written.replace("\udcff", "\\udcff").replace("\ud800", "\\ud800")
    hint = "use UTF-8: a plan contains only text"
    assert str(caught.value) == f"--set {shown}: it contains bytes that are not UTF-8\n  = {hint}"


# --- matching ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("web", ["web"]),
        ("*", ["web", "worker"]),
        ("w?b", ["web"]),
        ("[x-z]*", []),
        ("_*", ["_image", "_web"]),
        ("_image", ["_image"]),
        ("WEB", []),
        ("w*", ["web", "worker"]),
    ],
)
def test_templates_are_reached_only_by_patterns_that_say_so(pattern: str, names: list[str]) -> None:
    override = setting(f"{pattern}.push=true")
    assert [name for name in ("web", "worker", "_image", "_web") if override.matches(name)] == names


PLAN = """
    [targets._image]
    args = { A = 1, B = 1 }
    no-cache-filter = ["image"]
    [targets.base]
    inherits = ["_image"]
    [targets.web]
    inherits = ["base"]
    args = { B = 2 }
    no-cache-filter = ["web"]
    tags = ["web"]
    [targets.php]
    inherits = ["_image"]
    matrix = { v = ["1", "2"] }
    name = "php-{{ v }}"
    args = { V = "{{ v }}" }
    """


def args_of(*settings: str) -> dict[str, str]:
    """Return the arguments of each target as short texts."""
    plan = resolve_text(PLAN, settings=settings)
    return {
        name: " ".join(f"{key}={value}" for key, value in target.attributes["args"].items())
        for name, target in plan.targets.items()
    }


@pytest.mark.parametrize(
    ("settings", "args"),
    [
        ([], {"base": "A=1 B=1", "web": "A=1 B=2", "php-1": "A=1 B=1 V=1", "php-2": "A=1 B=1 V=2"}),
        (["web.args.B=9"], {"web": "A=1 B=9"}),
        (["web.args.A={{ 3 * 3 }}"], {"web": "A=9 B=2"}),
        (["web.args={ C = 9 }"], {"web": "C=9"}),
        (["web.args+={ B = 9, C = 9 }"], {"web": "A=1 B=9 C=9"}),
        (["web.args={}", "web.args.C=9"], {"web": "C=9"}),
        # the later of two values wins
        (["web.args.A=8", "web.args.A=9"], {"web": "A=9 B=2"}),
        (["web.args.A=8", "web.args={ C = 9 }"], {"web": "C=9"}),
        # a table inherits an override of its parent, but its own values win over this override
        (["base.args.A=9", "base.args.B=9"], {"base": "A=9 B=9", "web": "A=9 B=2"}),
        (
            ["_image.args.A=9"],
            {"base": "A=9 B=1", "web": "A=9 B=2", "php-1": "A=9 B=1 V=1", "php-2": "A=9 B=1 V=2"},
        ),
        (
            ["*.args.B=9"],
            {"base": "A=1 B=9", "web": "A=1 B=9", "php-1": "A=1 B=9 V=1", "php-2": "A=1 B=9 V=2"},
        ),
        # the name of a row matches the row, and the name of a table matches the whole matrix
        (["php-1.args.B=9"], {"php-1": "A=1 B=9 V=1"}),
        (["php-*.args.B=9"], {"php-1": "A=1 B=9 V=1", "php-2": "A=1 B=9 V=2"}),
        (["php.args.B=9"], {"php-1": "A=1 B=9 V=1", "php-2": "A=1 B=9 V=2"}),
        (["php-2.args.V={{ v }}{{ v }}"], {"php-2": "A=1 B=1 V=22"}),
        (["php.args.B=8", "php-2.args.B=9"], {"php-1": "A=1 B=8 V=1", "php-2": "A=1 B=9 V=2"}),
        # an override of a row does not win over a later override of the whole table
        (["php-2.args.B=9", "php.args.B=8"], {"php-1": "A=1 B=8 V=1", "php-2": "A=1 B=8 V=2"}),
        (
            ["php-*.args.B=9", "*.args.B=8"],
            {"base": "A=1 B=8", "web": "A=1 B=8", "php-1": "A=1 B=8 V=1", "php-2": "A=1 B=8 V=2"},
        ),
        (["php-2.args={ C = 9 }", "php.args.B=8"], {"php-1": "A=1 B=8 V=1", "php-2": "C=9 B=8"}),
        (["php-2.args.C=9", "php.args={ B = 8 }"], {"php-1": "B=8", "php-2": "B=8"}),
    ],
)
def test_whom_a_setting_reaches(settings: list[str], args: dict[str, str]) -> None:
    assert args_of(*settings) == args_of() | args


@pytest.mark.parametrize(
    ("settings", "filters"),
    [
        ([], ["image", "web"]),
        (["web.no-cache-filter=x"], ["x"]),
        (["web.no-cache-filter=[]"], None),
        (["web.no-cache-filter+=x"], ["image", "web", "x"]),
        (["web.no-cache-filter+=x", "web.no-cache-filter+=y"], ["image", "web", "x", "y"]),
        (["web.no-cache-filter=x", "web.no-cache-filter+=y"], ["x", "y"]),
        (["web.no-cache-filter+=x", "web.no-cache-filter=y"], ["y"]),
        (['web.no-cache-filter+=["x", "y"]'], ["image", "web", "x", "y"]),
        (["base.no-cache-filter=x"], ["x", "web"]),
        (["base.no-cache-filter+=x"], ["image", "x", "web"]),
        # a value that is added by inheritance is not added twice
        (["*.no-cache-filter+=x"], ["image", "x", "web"]),
    ],
)
def test_lists(settings: list[str], filters: list[str] | None) -> None:
    assert target_of_text(PLAN, settings=settings).attributes.get("no-cache-filter") == filters


@pytest.mark.parametrize(
    ("table", "first"),
    [('tags = ["r/web:{{ v }}"]', "r/web:1"), ('[defaults.target]\ntags = ["r/all"]', "r/all:latest")],
)
def test_one_row_of_a_matrix_is_given_another_tag(table: str, first: str) -> None:
    plan = f"\n[targets.web]\nmatrix = {{ v = [1, 2] }}\nname = 'web-{{{{ v }}}}'\n{table}"
    one, two = resolve_text(plan, settings=["web-1.tags+=r/web:x"]).targets.values()
    assert one.tags == (first, "r/web:x")
    assert two.tags == (first.replace("1", "2"),)


def test_what_is_added_to_a_list_that_inheritance_would_replace() -> None:
    tags = {
        name: target.tags
        for name, target in resolve_text(PLAN, settings=["*.tags+=r/{{ v | default('x') }}"]).targets.items()
    }
    assert tags == {
        "base": ("r/x:latest",),
        "web": ("web:latest", "r/x:latest"),
        "php-1": ("r/1:latest",),
        "php-2": ("r/2:latest",),
    }


@pytest.mark.parametrize("default", ["", "[defaults.target]\ntags = ['all']"])
@pytest.mark.parametrize(
    ("settings", "first", "second"),
    [
        (["php-2.tags=x", "*.tags+=y"], ["php", "y"], ["x", "y"]),
        (["*.tags+=y", "php-2.tags=x"], ["php", "y"], ["x"]),
        (["php-2.tags+=x", "*.tags+=y"], ["php", "y"], ["php", "x", "y"]),
        (["php-2.tags+=x", "php.tags=y", "php-2.tags+=z"], ["y"], ["y", "z"]),
    ],
)
def test_lists_of_rows_are_set_in_the_order_given(
    default: str, settings: list[str], first: list[str], second: list[str]
) -> None:
    plan = f"""
        {default}
        [targets.php]
        matrix = {{ v = ["1", "2"] }}
        name = "php-{{{{ v }}}}"
        tags = ["php"]
        """
    targets = resolve_text(plan, settings=settings).targets
    expected = [tuple(f"{tag}:latest" for tag in tags) for tags in (first, second)]
    assert [target.tags for target in targets.values()] == expected


@pytest.mark.parametrize(
    ("settings", "tags"),
    [
        (['web.tags={{ ["x", "y"] }}'], ["x", "y"]),
        (['web.tags+={{ ["x", "y"] }}', "web.tags+=z"], ["web", "x", "y", "z"]),
        (["web.tags+={{ more }}"], ["web", "a", "b"]),
        (["web.tags={{ more }}", "web.tags+={{ one }}"], ["a", "b", "c"]),
        (["web.tags={{ one }}", "web.tags+={{ one }}-{{ one }}"], ["c", "c-c"]),
        (["web.tags={{ [] }}"], []),
        (["web.tags+={{ '' }}"], ["web"]),
    ],
)
def test_a_lone_template_may_give_a_whole_list(settings: list[str], tags: list[str]) -> None:
    plan = """
        [variables]
        more = ["a", "b"]
        one = "c"
        [targets.web]
        tags = ["web"]
        """
    assert target_of_text(plan, settings=settings).tags == tuple(f"{tag}:latest" for tag in tags)


def test_an_entry_with_an_identity_is_replaced_and_not_added_twice() -> None:
    plan = "\n[targets.web]\nsecret = ['id=a,env=A', 'id=b,env=B']"
    target = target_of_text(plan, settings=["web.secret+=env=X,id=b", "web.secret+=id=c,env=C"])
    assert target.attributes["secret"] == ["id=a,env=A", "env=X,id=b", "id=c,env=C"]


DEFAULTS = """
    [defaults.target]
    args = { A = 1 }
    no-cache-filter = ["all"]
    tags = ["all"]
    platforms = ["linux/amd64", "linux/arm64"]
    [defaults.target.platform."linux/arm64"]
    args = { P = 1 }
    cache-to = ["type=inline"]
    [targets.web]
    """


@pytest.mark.parametrize(
    ("settings", "tags", "attributes"),
    [
        ([], ["all"], {"args": {"A": "1", "P": "1"}, "no-cache-filter": ["all"], "cache-to": ["type=inline"]}),
        (["web.args.B=2"], ["all"], {"args": {"A": "1", "B": "2", "P": "1"}}),
        (["web.args={ B = 2 }"], ["all"], {"args": {"B": "2"}}),
        (["web.args.P=2"], ["all"], {"args": {"A": "1", "P": "2"}}),
        (["web.no-cache-filter=x"], ["all"], {"no-cache-filter": ["x"]}),
        (["web.no-cache-filter+=x"], ["all"], {"no-cache-filter": ["all", "x"]}),
        (["web.no-cache-filter=[]", "web.no-cache-filter+=x"], ["all"], {"no-cache-filter": ["x"]}),
        (["web.tags=x"], ["x"], {}),
        (["web.tags+=x"], ["all", "x"], {}),
        (["web.platform.linux/arm64.args.Q=2"], ["all"], {"args": {"A": "1", "P": "1", "Q": "2"}}),
        (["web.platform.linux/arm64.args={ Q = 2 }"], ["all"], {"args": {"A": "1", "Q": "2"}}),
        (["web.cache-to=[]"], ["all"], {"cache-to": None}),
        (["web.cache-to+=type=gha"], ["all"], {"cache-to": ["type=inline", "type=gha"]}),
    ],
)
def test_defaults_are_below_what_is_set(settings: list[str], tags: list[str], attributes: dict[str, Any]) -> None:
    target = target_of_text(DEFAULTS, settings=settings)
    unset = {"args": {"A": "1", "P": "1"}, "no-cache-filter": ["all"], "cache-to": ["type=inline"]}
    attributes_on_arm64 = target.on([parse_platform("linux/arm64")]).attributes
    assert {name: attributes_on_arm64.get(name) for name in unset} == unset | attributes
    assert target.tags == tuple(f"{tag}:latest" for tag in tags)


TWO = """
    [targets.web]
    platforms = ["linux/amd64", "linux/arm64"]
    args = { A = 1, B = 1 }
    cache-to = ["type=inline"]
    cache-from = ["x/all"]
    [targets.web.platform."linux/arm64"]
    args = { A = 2 }
    target = "arm"
    cache-from = ["x/arm"]
    """


@pytest.mark.parametrize(
    ("settings", "amd64", "arm64"),
    [
        ([], {"args": {"A": "1", "B": "1"}}, {"args": {"A": "2", "B": "1"}, "target": "arm"}),
        (["web.platform.linux/arm64.args.B=9"], {"args": {"A": "1", "B": "1"}}, {"args": {"A": "2", "B": "9"}}),
        (["web.platform.linux/amd64.target=x"], {"target": "x"}, {"target": "arm"}),
        # an override for all platforms applies to each of them
        (["web.args.A=9"], {"args": {"A": "9", "B": "1"}}, {"args": {"A": "9", "B": "1"}}),
        (["web.args={ C = 9 }"], {"args": {"C": "9"}}, {"args": {"C": "9"}}),
        (["web.target=x"], {"target": "x"}, {"target": "x"}),
        (
            ["web.platform.linux/arm64.args.A=8", "web.args.A=9"],
            {"args": {"A": "9", "B": "1"}},
            {"args": {"A": "9", "B": "1"}},
        ),
        (
            ["web.args.A=9", "web.platform.linux/arm64.args.A=8"],
            {"args": {"A": "9", "B": "1"}},
            {"args": {"A": "8", "B": "1"}},
        ),
        (["web.cache-from+=x"], {"cache-from": ["x/all", "x"]}, {"cache-from": ["x/all", "x", "x/arm"]}),
        (
            ["web.platform.linux/arm64.cache-to+=type=gha"],
            {"cache-to": ["type=inline"]},
            {"cache-to": ["type=inline", "type=gha"]},
        ),
        # a template may contain the name of the platform
        (["web.args.A={{ platform.arch }}"], {"args": {"A": "amd64", "B": "1"}}, {"args": {"A": "arm64", "B": "1"}}),
    ],
)
def test_platforms(settings: list[str], amd64: dict[str, Any], arm64: dict[str, Any]) -> None:
    target = target_of_text(TWO, settings=settings)
    for name, expected in (("linux/amd64", amd64), ("linux/arm64", arm64)):
        on_platform = target.on([parse_platform(name)]).attributes
        assert {attribute: on_platform.get(attribute) for attribute in expected} == expected


@pytest.mark.parametrize(
    ("settings", "second"),
    [
        (["web-2.platforms=linux/amd64", "*.platforms=linux/arm64"], "linux/arm64"),
        (["*.platforms=linux/arm64", "web-2.platforms=linux/amd64"], "linux/amd64"),
    ],
)
def test_platforms_of_a_row(settings: list[str], second: str) -> None:
    plan = "\n[targets.web]\nmatrix = { v = ['1', '2'] }\nname = 'web-{{ v }}'"
    targets = resolve_text(plan, settings=settings).targets
    assert [str(*target.platforms) for target in targets.values()] == ["linux/arm64", second]


def test_a_row_alone_may_be_made_to_differ() -> None:
    plan = """
        [targets.web]
        matrix = { v = ["1", "2"] }
        name = "web-{{ v }}"
        platforms = ["linux/amd64", "linux/arm64"]
        """
    targets = resolve_text(plan, settings=["web-2.args.A={{ platform.arch }}"]).targets
    assert [len(target.variants) for target in targets.values()] == [0, 2]


@pytest.mark.parametrize(("attribute", "parent", "own", "_inherited", "_merged"), INHERITED)
def test_every_attribute_can_be_set(attribute: str, parent: str, own: str, _inherited: Any, _merged: Any) -> None:
    """An override gives the same result as a value that only the target has."""
    if attribute in {"platform", "enabled"}:
        return
    around = "\n[builders.one]\n[builders.two]\n[targets.other]\n[targets.another]\n[targets.web]\n"
    around += "" if attribute == "tags" else "tags = ['t']\n"
    given = own.strip("'\"") if isinstance(_merged, str | float) and own[0] in "'\"" else own
    stated = target_of_text(f"{around}{attribute} = {own}")
    before = target_of_text(f"{around}{attribute} = {parent}", settings=[f"web.{attribute}={given}"])
    assert seen(before, attribute) == seen(stated, attribute)


# --- invalid overrides ------------------------------------------------------------------------------------------------


def test_patterns_that_match_nothing() -> None:
    settings = ["wbe.push=true", "image.push=true", "php-3.push=true", "\x1b*.push=true"]
    assert problems_of_text(PLAN, settings=settings) == text("""
        --set \\x1b*.push=true: no target matches "\\x1b*"
          = known targets: _image, base, php, php-1, php-2, web
        --set image.push=true: no target matches "image"
          = did you mean "_image"?
        --set php-3.push=true: no target matches "php-3"
          = did you mean "php-2"?
        --set wbe.push=true: no target matches "wbe"
          = did you mean "web"?
        """)


def test_a_target_that_is_disabled_is_there_all_the_same() -> None:
    plan = "\n[targets.web]\nenabled = false\n[targets.other]"
    assert list(resolve_text(plan, settings=["web.push=true"]).targets) == ["other"]
    assert list(resolve_text(plan, settings=["web.enabled=true"]).targets) == ["web", "other"]


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("web.tags={{ 5 }}", "must be text in quotes, not a number"),
        ("web.tags={{ [5] }}", "must be text in quotes, not a number"),
        ("web.tags+={{ {'a': 1} }}", "must be text in quotes, not a table"),
        ("web.push=yes", "must be true or false, not text"),
        ("web.retries=99", "must be at most 10"),
        ("web.retries=", "must be a whole number, not text"),
        ("web.args=5", "must be a table, not a number"),
        ("web.args={ A = [1] }", "must be text in quotes, not a list"),
        ("web.tags=[5]", "must be text in quotes, not a number"),
        ("web.args.A={{ nope }}", 'unknown variable "nope"\n  = there are no variables'),
        ("web.timeout=soon", '"soon" is not a duration: write 90s, 30m, 1h or 1h30m'),
        ("web.builder=nope", 'unknown builder "nope"\n  = known builders: default'),
        ("web.needs=nope", 'unknown target "nope"\n  = known targets: web'),
        ("web.checks=[{ run = [] }]", 'run is empty\n  = name a command: { run = ["php", "-v"] }'),
        ("web.output=type=registry", "pushes, but has no tags\n  = add `tags`: they name where the image is pushed"),
    ],
)
def test_a_wrong_value_is_a_problem_of_the_plan(written: str, problem: str) -> None:
    assert problems_of_text("\n[targets.web]", settings=[written]).startswith(f"--set {written}: {problem}")


PIECES = st.sampled_from(
    [
        *(
            "*",
            "web",
            "php-1",
            "_*",
            "_image",
            "[",
            ".",
            ".",
            "=",
            "=",
            "+=",
            "'",
            '"',
            "platform",
            "linux/arm64",
            "\x00",
        ),
        *("args", "tags", "push", "checks", "retries", "contexts", "cache-to", "platforms", "A", "1", "true", "['a']"),
        *("{ A = 1 }", "{{ v }}", "{{ platform.arch }}", "{{", "[{ run = ['x'] }]", "target:base", "type=local,dest=x"),
    ]
)


@given(st.lists(st.text() | st.lists(PIECES, min_size=3, max_size=9).map("".join), max_size=3))
def test_whatever_is_set_is_understood_or_explained(written: list[str]) -> None:
    assert outcome(written) not in {"", "nothing"}


def outcome(written: list[str]) -> str:
    """Return the targets of the plan with the override, or the problems. No other error may be raised."""
    try:
        return " ".join(resolve_text(PLAN, settings=written).targets) or "nothing"
    except (PlanError, UsageError) as error:
        return str(error)


OF_PLATFORMS = """
[targets._base]
[targets.web]
inherits = ["_base"]
platforms = ["linux/amd64", "linux/ppc64le"]
[targets.other]
"""


@pytest.mark.parametrize("name", ["web", "_base"])
def test_a_setting_for_a_platform_reaches_a_target_that_is_built_for_it(name: str) -> None:
    good = f"{name}.platform.linux/ppc64le.args.A=1"
    assert target_of_text(OF_PLATFORMS, settings=[good]).variants
    assert problems_of_text(OF_PLATFORMS, settings=[good.replace("ppc64le", "ppc64el")]) == (
        f"--set {name}.platform.linux/ppc64el.args.A=1: no matching target is built for linux/ppc64el\n"
        '  = did you mean "linux/ppc64le"?'
    )
    # a name that exists elsewhere in the plan is no typing error
    assert problems_of_text(OF_PLATFORMS, settings=[good.replace("ppc64le", "ppc64")]) == (
        f"--set {name}.platform.linux/ppc64.args.A=1: no matching target is built for linux/ppc64\n"
        "  = known platforms: linux/amd64, linux/ppc64le"
    )


def test_platforms_of_targets_that_a_setting_does_not_reach_are_not_told() -> None:
    plan = """
[targets.v]
platforms = ["linux/amd64"]
[targets.w]
platforms = ["linux/amd64", "linux/arm64"]
[targets.w.platform."linux/arm64"]
args = { A = 1 }
"""
    assert problems_of_text(plan, settings=["v.platform.linux/s390x.args.X=1"]) == (
        "--set v.platform.linux/s390x.args.X=1: no matching target is built for linux/s390x\n"
        "  = known platforms: linux/amd64"
    )
