"""Plans as text, for reviewers.

The files in `golden/` contain the output of `mpbake plan` for the plans in `plans/`. To write them again, run

    UPDATE_GOLDEN=1 pytest tests/unit/report/plan/test_plan_text.py

and read the differences in git.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from mpbake.cli.commands import plan as plan_command
from mpbake.model.plan import Builder, Driver, Node, Target
from mpbake.model.steps import step_subject, step_verb
from mpbake.report.plan.list_text import list_text
from mpbake.report.plan.plan_text import plan_text
from tests.checkout import GOLDEN, PLANS, example_plan
from tests.unit.graphs import TWO_NODES, graph_of, graph_of_text, review_of
from tests.unit.plans import ROOT, resolve_text, text
from tests.unit.worlds import call, world, written

if TYPE_CHECKING:
    from pathlib import Path

_NAMES = sorted(path.parent.name for path in PLANS.glob("*/build.toml"))


@pytest.mark.parametrize("name", _NAMES)
def test_example_plans_are_printed_as_their_golden_files_show(name: str, tmp_path: Path) -> None:
    here = world(example_plan(name, tmp_path))
    assert call(plan_command.main, here, names=("release",)) == 0
    printed = written(here.stdout)
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(printed, encoding="utf-8")
    assert printed == golden.read_text(encoding="utf-8")


def test_the_readme_shows_what_is_printed() -> None:
    path = PLANS.parent / "README.md"
    readme, printed = path.read_text(encoding="utf-8"), (GOLDEN / "native.txt").read_text(encoding="utf-8")
    before, command, rest = readme.partition("$ mpbake plan release -C plans/native\n")
    shown, fence, after = rest.partition("```")
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(before + command + printed + fence + after, encoding="utf-8")
        shown = printed
    assert shown == printed


def test_every_golden_file_has_its_plan() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.txt")) == _NAMES
    assert len(_NAMES) >= 5


def printed(toml: str, *names: str, warnings: tuple[str, ...] = (), **facts: str) -> str:
    """Return the plan of some targets without the last line break. Keywords are the platforms of local nodes."""
    graph = graph_of_text(toml, *names, facts={f"{builder}/local": platforms for builder, platforms in facts.items()})
    review = review_of(graph, warnings)
    shown = plan_text(review)
    assert shown.endswith("\n")
    assert shown.split("\n")[1] == f"plan id: {review.plan_id}"
    shown = shown.replace(f"plan id: {review.plan_id}\n", "")
    assert not any(line != line.rstrip() for line in shown.split("\n"))
    return shown[:-1]


def test_everything_that_can_happen() -> None:
    plan = """
        [targets._image]
        builder = "release"
        platforms = ["linux/amd64", "linux/arm64"]
        [targets.web]
        inherits = ["_image"]
        contexts = { base = "target:base" }
        tags = ["r/web:1", "r/web:latest"]
        push = true
        [targets.base]
        inherits = ["_image"]
        [targets.tool]
        inherits = ["_image"]
        platforms = ["linux/amd64"]
        contexts = { base = "target:base" }
        needs = ["web"]
        tags = ["r/tool:1"]
        push = true
        load = true
        output = ["type=local,dest=out", "type=oci,dest=tool.tar"]
        [targets.small]
        """
    assert printed(plan + TWO_NODES.replace("\n", "\n        "), "web", "tool", "small") == text("""
        plan: 3 targets, 3 nodes, 12 steps

        nodes
          release/intel  remote                                                             tcp://intel:1234  \
linux/amd64, linux/386
          release/arm    remote                                                             tcp://arm:1234    \
linux/arm64
          default/local  `docker` or `docker-container` driver, chosen when the run starts

        steps
            1  bootstrap  release/intel  check that it answers
            2  bootstrap  release/arm    check that it answers
            3  bootstrap  default/local  check that it answers; if a container, create or start it if needed
            4  build      base           linux/amd64 native on release/intel
                                         into the node's cache, for targets that link to it
            5  build      web            linux/amd64 native on release/intel
                                         with base (linked)
                                         push by digest, without a tag
            6  build      web            linux/arm64 native on release/arm
                                         with base (linked)
                                         push by digest, without a tag
            7  publish    web            tag r/web:1
                                         tag r/web:latest
            8  verify     web            2 platforms, 2 tags, one digest
            9  build      tool           linux/amd64 native on release/intel
                                         with base (linked)
                                         push by digest, without a tag
                                         load into the engine in use
                                         output type=local,dest=out
                                         output type=oci,dest=tool.tar
           10  publish    tool           tag r/tool:1
           11  verify     tool           1 platform, 1 tag, one digest
           12  build      small          the node's own platform on default/local
                                         no output: stays in the build cache (push, load or output would keep it)
        """)


def test_a_link_that_serves_all_with_its_only_platform_says_which() -> None:
    plan = """
        [targets.web]
        builder = "release"
        platforms = ["linux/amd64", "linux/arm64"]
        contexts = { files = "target:files", base = "target:base" }
        [targets.files]
        platforms = ["linux/amd64"]
        [targets.base]
        """
    output = printed(plan + TWO_NODES.replace("\n", "\n        "), "web")
    with_links = [line.strip() for line in output.splitlines() if "(linked)" in line]
    assert with_links == ["with files, base (linked)", "with files for linux/amd64, base (linked)"]


def test_how_a_platform_is_built_is_said_once_where_it_is_the_same() -> None:
    plan = """
        [targets.web]
        builder = "x"
        platforms = ["linux/amd64", "linux/386", "linux/arm64"]
        tags = ["r/web:1"]
        push = true
        [builders.x]
        """
    unknown, mixed, emulated = (
        printed(plan),
        printed(plan, x="linux/amd64 linux/arm64"),
        printed(plan, x="linux/s390x linux/amd64 linux/arm64"),
    )
    assert "linux/amd64, linux/386, linux/arm64 (native or emulated: not known yet) on x/local\n" in unknown
    assert "linux/amd64 native, linux/386 native, linux/arm64 EMULATED on x/local\n" in mixed
    assert "linux/amd64, linux/386, linux/arm64 EMULATED on x/local\n" in emulated


def test_nodes() -> None:
    plan = """
        [targets.a]
        builder = "a"
        [targets.b]
        builder = "b"
        [targets.c]
        builder = "c"
        tags = ["r/c:1"]
        push = true
        [builders.a]
        driver = "docker"
        [builders.b]
        nodes.far = { endpoint = "ssh://me@far", platforms = ["linux/arm64", "linux/arm/v7"] }
        [builders.c]
        nodes.one = { endpoint = "one" }
        [builders.k]
        driver = "kubernetes"
        [targets.k]
        builder = "k"
        """
    assert printed(plan).startswith(
        text("""
        plan: 4 targets, 4 nodes, 10 steps

        nodes
          a/local  docker            the engine in use   platforms: what the node reports
          b/far    docker-container  ssh://me@far        linux/arm64, linux/arm/v7
          c/one    docker-container  one                 platforms: what the node reports
          k/local  kubernetes        the cluster in use  platforms: what the node reports

        steps
        """)
    )
    assert "verify     c        its platform, 1 tag, one digest" in printed(plan)


@pytest.mark.parametrize(
    ("driver", "expected_own", "of_others"),
    [
        (Driver.DOCKER, "check that it answers", None),
        (Driver.REMOTE, "check that it answers", "check that it answers"),
        (
            Driver.DOCKER_CONTAINER,
            "create or start it if needed",
            "check that it answers; buildx starts it if needed",
        ),
        (Driver.KUBERNETES, "create or start it if needed", "check that it answers; buildx starts it if needed"),
        (Driver.AUTOMATIC, "check that it answers; if a container, create or start it if needed", None),
        (Driver.EXTERNAL, None, "check that it answers; buildx starts it if needed"),
    ],
)
def test_what_is_done_to_have_a_node(driver: Driver, expected_own: str | None, of_others: str | None) -> None:
    for external, expected in ((False, expected_own), (True, of_others)):
        if expected is not None:
            node = Node(builder="x", name="n", driver=driver, external=external)
            target = Target(name="web", builder=Builder(name="x", driver=driver, nodes=(node,), external=external))
            assert f"  1  bootstrap  x/n  {expected}\n" in plan_text(review_of(graph_of([target])))


def test_a_set_of_equal_nodes_is_named_in_full_the_preferred_first() -> None:
    shown = printed("""
        [targets.web]
        builder = "x"
        platforms = ["linux/amd64"]
        [builders.x]
        nodes.a = { endpoint = "tcp://a", platforms = ["linux/amd64"], tls = { ca = "ca.crt" } }
        nodes.b = { endpoint = "tcp://b", platforms = ["linux/amd64"], tls = { ca = "ca.crt" } }
        """)
    assert ("on x/a (preferred) or x/b" in shown) is not ("on x/b (preferred) or x/a" in shown)


def test_nodes_that_may_help_out_are_named() -> None:
    shown = printed("""
        [targets.web]
        builder = "x"
        platforms = ["linux/amd64"]
        [builders.x]
        emulation = "allow"
        nodes.a = { endpoint = "unix:///a", platforms = ["linux/amd64"] }
        nodes.b = { endpoint = "unix:///b", platforms = ["linux/arm64"] }
        """)
    assert "or EMULATED on x/b, if it can and finishes sooner" in shown


def test_warnings_stand_below() -> None:
    assert printed("[targets.a]", warnings=("slow", "old\nand \x1b[31mred")).endswith(
        "\n\nwarning: slow\nwarning: old\\nand \\x1b[31mred"
    )


def test_nothing_to_do() -> None:
    assert printed("") == "plan: 0 targets, 0 nodes, 0 steps"


def test_what_a_plan_states_cannot_control_the_screen() -> None:
    node = Node(builder="x", name="n", driver=Driver.REMOTE, endpoint="tcp://x\x1b[2J\n:1")
    builder = Builder(name="x", driver=Driver.REMOTE, nodes=(node,))
    target = Target(name="web", builder=builder, outputs=('type=local,"dest=\x07\r\u202e"',))
    shown = plan_text(review_of(graph_of([target])))
    assert r"tcp://x\x1b[2J\n:1" in shown
    assert r'output type=local,"dest=\x07\x0d\u202e"' in shown
    assert shown.replace("\n", "").isprintable()


def test_the_same_plan_is_printed_the_same() -> None:
    plan = (PLANS / "native" / "build.toml").read_text(encoding="utf-8").replace("version = 1\n", "", 1)
    assert plan_text(review_of(graph_of_text(plan))) == plan_text(review_of(graph_of_text(plan)))


def test_verbs_and_subjects() -> None:
    graph = graph_of_text("[targets.a]\ntags = ['r/a', 's/a']\npush = true")
    assert [(step_verb(step), step_subject(step)) for step in graph.steps] == [
        ("bootstrap", "default/local"),
        ("build", "a"),
        ("publish", "a"),
        ("verify", "a"),
    ]


# --- lists ------------------------------------------------------------------------------------------------------------


def test_list() -> None:
    plan = resolve_text("""
        [groups]
        release = { targets = ["web", "php"], description = "all that is published" }
        default = ["release"]
        nothing = []
        [targets._hidden]
        description = "a template"
        [targets.web]
        description = '''
        the front end
        in two lines'''
        [targets.php]
        matrix = { v = ["1", "2"] }
        name = "php-{{ v }}"
        platforms = ["linux/amd64", "linux/arm64"]
        builder = "x"
        [targets.escaped]
        description = "\\u001b[31m"
        [builders.x]
        """)
    assert plan.root == ROOT
    assert (
        list_text(plan)
        == text(r"""
        groups
          php      php-1, php-2
          release  all that is published
          default  web, php-1, php-2
          nothing

        targets
          web      the front end
          php-1    linux/amd64, linux/arm64 on x
          php-2    linux/amd64, linux/arm64 on x
          escaped  \x1b[31m
        """)
        + "\n"
    )


def test_a_target_with_the_name_of_a_group_is_listed_as_such() -> None:
    plan = resolve_text("""
        [groups]
        web = ["web", "api"]
        [targets.web]
        description = "the front end"
        [targets.api]
        """)
    assert list_text(plan) == (
        text("""
        groups
          web  web, api

        targets
          web  the front end (commands take this name for the group)
          api  the node's own platform on default
        """)
        + "\n"
    )


def test_variables_are_listed_with_what_gives_them_their_values() -> None:
    plan = resolve_text(
        """
        [variables]
        registry = "r"
        tag = { default = "{{ registry }}-dev", env = "TAG", description = "image tag" }
        token = { default = "of-plan", env = "TOKEN", sensitive = true, description = "of git" }
        login = "me:{{ token }}"
        many = { default = ["a", 8.10, 0o17], description = '''
        a long story, of which the first line alone would take more than there is room for in 80 columns
        ''' }
        given = { type = "int" }
        [targets.web]
        """,
        variables={"given": "5", "token": "of-var", "tag": "other"},
        environment={"TOKEN": "of-env"},
    )
    shown = list_text(plan)
    assert shown.partition("variables\n")[2] == (
        text("""
          registry  "r"
          tag       image tag
                    "{{ registry }}-dev", or from TAG
          token     of git
                    sensitive: from TOKEN or --var
          login     sensitive: from --var
          many      a long story, of which the first line alone would take more than th…
                    ["a", 8.10, 0o17]
          given     no default: from --var
        """)
        .replace("\n", "\n  ")
        .join(["  ", "\n"])
    )
    assert max(map(len, shown.splitlines())) == 80


def test_list_of_next_to_nothing() -> None:
    assert list_text(resolve_text("[targets.web]")) == "targets\n  web  the node's own platform on default\n"
    assert list_text(resolve_text("[groups]\na = []")) == "groups\n  a\n\nno targets\n"
    assert list_text(resolve_text("")) == "no targets\n"


def test_checks_archives_and_tags_that_move_together() -> None:
    plan = f"""
        [targets.web]
        builder = "release"
        platforms = ["linux/amd64", "linux/arm64"]
        tags = ["r/web:1"]
        push = true
        load = true
        output = ["type=oci,dest=web.tar", "out"]
        checks = [{{ run = ["php", "-r", "echo 1;"], platforms = ["linux/arm64"] }}, {{ target = "test" }}]
        {TWO_NODES}"""
    graph = graph_of_text(plan, together=True)
    steps = plan_text(review_of(graph)).partition("\nsteps\n")[2].splitlines()
    assert [" ".join(line.split()) for line in steps[2:]] == [
        "3 build web linux/amd64 native on release/intel",
        "push by digest, without a tag",
        "load into the engine in use, if that has this platform",
        "output type=oci,dest=web.tar (a part)",
        "output type=local,dest=out",
        "4 build web linux/arm64 native on release/arm",
        "push by digest, without a tag",
        "load into the engine in use, if that has this platform",
        "output type=oci,dest=web.tar (a part)",
        "output type=local,dest=out",
        "5 join web output type=oci,dest=web.tar",
        "6 check web linux/amd64: stage test",
        "7 check web linux/arm64: php -r 'echo 1;'",
        "8 check web linux/arm64: stage test",
        "9 publish web tag r/web:1",
        "when every target of the run is built and checked",
        "10 verify web 2 platforms, 1 tag, one digest",
    ]


def test_what_is_loaded_of_one_piece() -> None:
    several = graph_of_text("\n[targets.web]\nload = true\nplatforms = ['linux/amd64', 'linux/arm64']")
    single = graph_of_text("\n[targets.web]\nload = true\nplatforms = ['linux/amd64']")
    delivery = "load into the engine in use"
    assert f"{delivery}: all platforms, or its own if it holds one at a time\n" in plan_text(review_of(several))
    assert f"{delivery}\n" in plan_text(review_of(single))


def test_a_plain_plan_has_its_id_and_nothing_else_that_is_new() -> None:
    review = review_of(graph_of_text("\n[targets.web]\ntags = ['r/web:1']\npush = true"))
    assert (
        plan_text(review)
        == text(f"""
        plan: 1 target, 1 node, 4 steps
        plan id: {review.plan_id}

        nodes
          default/local  `docker` or `docker-container` driver, chosen when the run starts

        steps
            1  bootstrap  default/local  check that it answers; if a container, create or start it if needed
            2  build      web            the node's own platform on default/local
                                         push by digest, without a tag
                                         or push as r/web:mpbake-upload-*, if the `docker` driver builds it
            3  publish    web            tag r/web:1
            4  verify     web            its platform, 1 tag, one digest
        """)
        + "\n"
    )


def test_what_is_unusual_comes_first_and_cannot_control_the_screen() -> None:
    review = review_of(
        graph_of_text("""
        [targets.web]
        context = "../\\u001b[2J"
        entitlements = ["security.insecure"]
        """)
    )
    allowed = {"allow": "security.insecure", "kind": "security.insecure", "value": "", "users": ["web.entitlements"]}
    review.document["grants"] = [allowed]
    assert plan_text(review).split("\n\n")[1] == text(r"""
        unusual
          right  web.entitlements  security.insecure
          read   web               context ../\x1b[2J (outside of the plan's folder)
        """)


def test_many_subjects_of_a_remark_are_counted() -> None:
    targets = "".join(f"[targets.t{number}]\nssh = ['default']\n" for number in range(20))
    assert "  ssh  t0, t1, t2 and 17 more  default from the ssh agent\n" in plan_text(
        review_of(graph_of_text(f"\n{targets}"))
    )


def test_the_facts_of_a_probe_and_the_expected_time() -> None:
    review = review_of(graph_of_text("\n[targets.web]\ntags = ['r/web:1']\npush = true"))
    probe = {
        "nodes": [
            {
                "id": "x/a",
                "status": "running",
                "version": "v0.20",
                "native": ["linux/amd64"],
                "emulated": ["linux/arm64"],
                "trouble": "",
            },
            {"id": "x/b", "status": "missing", "version": "", "native": [], "emulated": [], "trouble": ""},
            {
                "id": "x/c",
                "status": "unusable",
                "version": "",
                "native": [],
                "emulated": [],
                "trouble": "\x1b[2J\nhint",
            },
        ],
        "changes": [
            {
                "action": "replace",
                "resource": "container",
                "name": "b",
                "reason": "differs",
                "differences": ["memory: 4g -> 8g", "image: a -> b"],
            }
        ],
        "unclear": [{"builder": "x", "part": "node x/c"}],
        "tags": [
            {"tag": "r/web:1", "state": "moves", "digest": "sha256:12", "trouble": ""},
            {"tag": "r/web:2", "state": "new", "digest": "", "trouble": ""},
            {"tag": "r/web:3", "state": "unknown", "digest": "", "trouble": "r: \x1b[2J"},
        ],
        "warnings": ["x/b was not asked"],
    }
    builds = {"build web native on default/local": 75}
    expected = {"seconds": 77, "builds": builds, "unrecorded": 2, "path": [*builds, "publish web"]}
    shown = plan_text(review.with_fields({"probe": probe, "expected": expected}, str))
    sections = {section.partition("\n")[0]: section for section in shown.split("\n\n")}
    assert list(sections)[1:] == [
        "nodes",
        "nodes now",
        "to create or correct (`mpbake builders up`)",
        "steps",
        "tags now",
        "expected time: about 1m17s, estimated from earlier runs on this machine (1 of 3 builds recorded)",
        "warning: x/b was not asked",
    ]
    assert sections["nodes now"] == text(r"""
        nodes now
          x/a  BuildKit v0.20  linux/amd64 native; linux/arm64 EMULATED
          x/b  missing         platforms not known
          x/c  unusable        \x1b[2J
        """)
    assert "\n  replace  container b  differs: memory: 4g -> 8g; image: a -> b\n  unknown  node x/c     of x\n" in shown
    assert "\n  r/web:1  moves from sha256:12\n  r/web:2  new\n  r/web:3  not known: r: \\x1b[2J\n" in shown
    assert "\ncritical path\n  build web native on default/local (1m15s)\n  publish web\n" in shown
    assert "(all builds are recorded)" in plan_text(review.with_fields({"expected": expected | {"unrecorded": 0}}, str))
