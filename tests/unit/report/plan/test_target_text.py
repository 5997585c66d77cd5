"""Resolved targets as tables of a plan."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpbake.base.errors import key_path_text
from mpbake.base.platforms import parse_platforms
from mpbake.base.toml_text import toml_key, toml_value
from mpbake.report.plan.target_text import target_text
from mpbake.spec.tables.value_types import MARKER
from tests.unit.plans import resolve_text, target_of_text, text
from tests.unit.resolve.targets.test_drafts import BUILDERS, INHERITED, OTHERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mpbake.base.errors import KeyPath
    from mpbake.model.plan import Plan, Target

PLAN = """
    [builders.release]
    [targets._image]
    builder = "release"
    platforms = ["linux/amd64", "linux/arm64"]
    labels = { team = "core", "org.example.title" = "the {{ 'site' }}" }
    [targets.web]
    inherits = ["_image"]
    description = "the front end"
    context = "web"
    contexts = { base = "target:base" }
    args = { COST = "5$", TEXT = "two\\nlines" }
    tags = ["r/web:1", "r/web"]
    output = ["type=registry,compression=zstd", "out"]
    needs = ["base"]
    checks = [{ run = ["web", "--version"], platforms = ["linux/amd64"] }, { target = "test" }]
    timeout = "1h30m"
    retries = 2
    no-cache = true
    [targets.base]
    """


def shown(toml: str, name: str = "web", only: Sequence[str] = (), **inputs: Any) -> str:
    return target_text(target_of_text(toml, name, **inputs), only=parse_platforms(only))


def test_everything_that_is_stated_or_follows() -> None:
    assert (
        shown(PLAN)
        == text(r"""
        [targets.web]
        description = "the front end"
        builder = "release"
        context = "/plan/web"
        contexts = { base = "target:base" }
        args = { COST = "5$", TEXT = "two\nlines" }
        labels = { team = "core", "org.example.title" = "the site" }
        tags = ["r/web:1", "r/web:latest"]
        platforms = ["linux/amd64", "linux/arm64"]
        output = ["type=registry,compression=zstd", "type=local,dest=/plan/out"]
        push = true
        needs = ["base"]
        checks = [{ run = ["web", "--version"], platforms = ["linux/amd64"] }, { target = "test" }]
        timeout = "5400s"
        retries = 2
        no-cache = true
        """)
        + "\n"
    )


def test_a_target_of_which_nothing_is_said() -> None:
    assert shown("\n[targets.web]") == '[targets.web]\nbuilder = "default"\ncontext = "/plan"\n'


def test_long_values_have_a_line_for_each_entry() -> None:
    long = "x" * 60
    assert (
        shown(f"""
        [targets.web]
        args = {{ A = "{long}", "B c" = "{long}" }}
        ulimits = ["a={long}", "b={long}"]
        target = "{long}{long}"
        checks = [{{ run = ["{long}"] }}, {{ run = ["{long}y"] }}]
        """)
        == text(f"""
        [targets.web]
        builder = "default"
        context = "/plan"
        args.A = "{long}"
        args."B c" = "{long}"
        target = "{long}{long}"
        checks = [
            {{ run = ["{long}"] }},
            {{ run = ["{long}y"] }},
        ]
        ulimits = [
            "a={long}",
            "b={long}",
        ]
        """)
        + "\n"
    )


APART = """
    [targets.web]
    platforms = ["linux/amd64", "linux/arm64"]
    args = { ARCH = "{{ platform.arch }}", V = 1 }
    labels = { os = "{{ platform.os }}" }
    [targets.web.platform."linux/arm64"]
    dockerfile = "arm.Dockerfile"
    contexts = { base = "target:arm" }
    [targets.arm]
    """


def test_platforms_that_differ_have_tables_of_their_own() -> None:
    assert (
        shown(APART)
        == text("""
        [targets.web]
        builder = "default"
        context = "/plan"
        labels = { os = "linux" }
        platforms = ["linux/amd64", "linux/arm64"]

        [targets.web.platform."linux/amd64"]
        args = { ARCH = "amd64", V = "1" }

        [targets.web.platform."linux/arm64"]
        dockerfile = "arm.Dockerfile"
        contexts = { base = "target:arm" }
        args = { ARCH = "arm64", V = "1" }
        """)
        + "\n"
    )


def test_platforms_of_the_command_line() -> None:
    assert (
        shown(APART, only=["linux/arm64"], platforms=parse_platforms(["linux/arm64"]))
        == text("""
        [targets.web]
        builder = "default"
        context = "/plan"
        dockerfile = "arm.Dockerfile"
        contexts = { base = "target:arm" }
        args = { ARCH = "arm64", V = "1" }
        labels = { os = "linux" }
        platforms = ["linux/arm64"]
        """)
        + "\n"
    )


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("{{ '{{' }}.Name}}", "{{ '{{' }}.Name}}"),
        ("{{ '{%' }} x %}", "{{ '{%' }} x %}"),
        ("{{ '${#' }}x}", "${{ '{#' }}x}"),
        ("{{ '{{{' }}", "{{ '{{' }}{"),
        ("{ {", "{ {"),
    ],
)
def test_what_looks_like_a_template_is_written_as_none(value: str, line: str) -> None:
    plan = f"\n[targets.web]\nlabels = {{ a = {toml_value(value)} }}"
    assert f"labels = {{ a = {toml_value(line)} }}\n" in shown(plan)


# --- sources of values ------------------------------------------------------------------------------------------------


def with_origins(toml: str, name: str = "web", **inputs: Any) -> str:
    return target_text(target_of_text(toml, name, **inputs), key_path_text)


def test_each_value_has_its_origin() -> None:
    assert (
        with_origins("""
        [targets._image]
        args = { A = 1, B = 1 }
        ulimits = ["a=", "b="]
        [targets.web]
        inherits = ["_image"]
        args = { B = 2 }
        ulimits = ["c="]
        labels = { a = 1, b = 2 }
        description = "the very long description of a target that takes more than one column of a screen"
        """)
        == text("""
        [targets.web]
        description = "the very long description of a target that takes more than one column of a screen"  \
# targets.web.description
        builder = "default"                                           # targets.web.builder
        context = "/plan"                                             # targets.web.context
        args.A = "1"                                                  # targets._image.args.A
        args.B = "2"                                                  # targets.web.args.B
        labels.a = "1"                                                # targets.web.labels.a
        labels.b = "2"                                                # targets.web.labels.b
        ulimits = [
            "a=",                                                     # targets._image.ulimits[0]
            "b=",                                                     # targets._image.ulimits[1]
            "c=",                                                     # targets.web.ulimits[0]
        ]
        """)
        + "\n"
    )


def test_entries_that_come_from_one_place_share_a_line() -> None:
    def file_and_line(key: KeyPath) -> str:
        return f"build.toml:{len(key[1:2])}"

    target = target_of_text("\n[targets.web]\nargs = { A = 1, B = 2 }\nulimits = ['a=', 'b=']")
    assert target_text(target, file_and_line).splitlines()[3:] == [
        'args = { A = "1", B = "2" }                                   # build.toml:1',
        'ulimits = ["a=", "b="]                                        # build.toml:1',
    ]


def test_the_origin_of_what_holds_on_one_platform() -> None:
    output = with_origins(APART)
    assert 'args.V = "1"                                                  # targets.web.args.V\n' in output
    assert output.count("# targets.web.args.ARCH\n") == 2
    assert '# targets.web.platform."linux/arm64".dockerfile\n' in output
    assert '# targets.web.platform."linux/arm64".contexts.base\n' in output


# --- the output is a plan ---------------------------------------------------------------------------------------------


def facts(target: Target) -> dict[str, Any]:
    """Return the fields of a target without locations. Other targets are represented by their names."""
    values = {field.name: getattr(target, field.name) for field in dataclasses.fields(target)}
    for name in ("source_key", "table", "attributes", "links"):
        del values[name]
    values["builder"] = target.builder.name
    values["needs"] = [need.name for need in target.needs]
    variants = {"": target.on(()), **{str(platform): variant for platform, variant in target.variants.items()}}
    values["variants"] = {
        platform: (variant.attributes, {name: link.name for name, link in variant.links.items()})
        for platform, variant in variants.items()
    }
    return values


def again(plan: Plan) -> Plan:
    """Resolve the output of `mpbake show` as a plan."""
    builders = "".join(f"[builders.{name}]\n" for name in plan.builders if name != "default")
    return resolve_text("\n" + builders + "\n".join(map(target_text, plan.targets.values())))


def check(plan: Plan) -> None:
    reread = again(plan)
    assert {name: facts(target) for name, target in reread.targets.items()} == {
        name: facts(target) for name, target in plan.targets.items()
    }
    assert list(map(target_text, reread.targets.values())) == list(map(target_text, plan.targets.values()))


@pytest.mark.parametrize("toml", [PLAN, APART])
def test_what_is_shown_means_the_same(toml: str) -> None:
    check(resolve_text(toml))


@pytest.mark.parametrize(("attribute", "parent", "own", "_inherited", "_merged"), INHERITED)
def test_every_attribute_is_shown(attribute: str, parent: str, own: str, _inherited: Any, _merged: Any) -> None:
    around = {"tags": '["t"]', "platforms": '["linux/amd64", "linux/arm64"]'}
    lines = [f"{name} = {value}" for name, value in around.items() if name != attribute]
    common = "\n".join([BUILDERS, OTHERS, "[targets._p]", *lines, f"{attribute} = {parent}"])
    plan = resolve_text(f"{common}\n[targets.web]\ninherits = ['_p']\n{attribute} = {own}\n")
    check(plan)
    if attribute != "enabled" and own != "false":  # `show` omits false values
        line = "[targets.web.platform." if attribute == "platform" else f"{attribute} = "
        assert f"\n{line}" in target_text(plan.targets["web"])


PLAIN = st.text(max_size=12).filter(lambda text: not MARKER.search(text))
LOOKALIKES = st.sampled_from(["{{ '{{' }}", "{{ '{#' }}x", "a{{ '{%' }}b\r\n", "{{ '\\r' }}{{ '{{' }}", "$" + "{x}"])
BY_PLATFORM = st.sampled_from(
    ["{{ platform }}", "x-{{ platform.slug }}", "{{ platform.os }}", "{{ platform.variant }}"]
)
KEYS = st.text(min_size=1, max_size=8)
NAMES = st.text("abc-_", min_size=1, max_size=4)
PATHS = st.sampled_from(["", ".", "a", "../a b", "/c", "https://example.com/a.git", "a,b", 'a"b'])
FIELDS = st.sampled_from(
    ["type=local,dest=a", "type=inline", 'type=local,"dest=a,b"', "type=local,dest=/c", "user/app"]
)
TEXTS = PLAIN | LOOKALIKES
ANYWHERE: Mapping[str, st.SearchStrategy[Any]] = {
    "description": TEXTS,
    "builder": st.sampled_from(["", "one", "default"]),
    "context": PATHS,
    "dockerfile-inline": TEXTS,
    "annotations": st.lists(TEXTS.map(lambda name: f"a={name}"), max_size=2),
    "tags": st.lists(st.sampled_from(["r/a", "r/b:1", "localhost:5000/c:x"]), max_size=3),
    "secret": st.lists(st.sampled_from(["id=a,env=A", "id=b,src=b", "id=b"]), max_size=3),
    "ssh": st.lists(st.sampled_from(["default", "k=a.pem,/b.pem", "e="]), max_size=2),
    "output": st.lists(st.sampled_from(["out", "a-b", "type=docker", 'type=tar,"dest=a,b"']), max_size=2),
    "load": st.booleans(),
    "checks": st.lists(
        st.fixed_dictionaries({"run": st.lists(TEXTS.filter(bool), min_size=1, max_size=2)}), max_size=2
    ),
    "timeout": st.sampled_from(["", "90s", "1h1m1.5s", "8760h", "0.000001s"]),
    "stall-timeout": st.sampled_from(["", "0s", "5m", "90s"]),
    "retries": st.integers(0, 10),
    "no-cache": st.booleans(),
    "shm-size": st.sampled_from(["", "1g"]),
    "network": st.sampled_from(["", "none", "host"]),
    "extra-hosts": st.dictionaries(KEYS, TEXTS, max_size=2),
    "resources": st.dictionaries(st.sampled_from(["memory", "cpu-shares"]), st.integers(0, 9) | st.just("1g")),
}
ON_PLATFORMS: Mapping[str, st.SearchStrategy[Any]] = {
    "dockerfile": PLAIN | BY_PLATFORM,
    "target": PLAIN | BY_PLATFORM,
    "args": st.dictionaries(KEYS, TEXTS | BY_PLATFORM, max_size=3),
    "labels": st.dictionaries(KEYS, TEXTS | BY_PLATFORM, max_size=2),
    "contexts": st.dictionaries(KEYS, PATHS | st.just("target:base"), max_size=2),
    "cache-to": st.lists(FIELDS | st.just("type=local,dest={{ platform.slug }}"), max_size=2),
}
PLATFORM_LISTS = [["linux/amd64"], ["linux/amd64", "linux/arm64"], ["linux/arm", "linux/x86_64", "linux/386"]]


@st.composite
def plans(draw: st.DrawFn) -> str:
    """Generate a plan of a few targets with most attributes."""
    tables: dict[str, Any] = {"base": {}}
    for name in draw(st.lists(NAMES.filter(lambda name: name[0] not in "_-"), max_size=2, unique=True)):
        platforms = draw(st.sampled_from(PLATFORM_LISTS))
        values = draw(st.fixed_dictionaries({}, optional=ANYWHERE))
        values |= draw(st.fixed_dictionaries({}, optional=ON_PLATFORMS))
        special = draw(st.dictionaries(st.sampled_from(platforms), st.fixed_dictionaries({}, optional=ON_PLATFORMS)))
        tables[name] = {**values, "platforms": platforms, "platform": special, "needs": ["base"]}
    lines = [f"[targets.{toml_key(name)}]\n{_lines(table)}" for name, table in tables.items()]
    return "\n[builders.one]\n" + "\n".join(lines)


def _lines(table: Mapping[str, Any]) -> str:
    return "\n".join(f"{toml_key(name)} = {toml_value(value)}" for name, value in table.items())


@given(plans())
def test_what_is_shown_of_any_plan_means_the_same(toml: str) -> None:
    check(resolve_text(toml))
