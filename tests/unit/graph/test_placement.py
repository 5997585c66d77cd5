"""Placement: the nodes that build each platform."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from mpbake.base.codes import Code
from mpbake.base.platforms import Platform, parse_platform, parse_platforms
from mpbake.graph.default_driver import default_driver
from mpbake.graph.delivery import repositories
from mpbake.graph.links import grouped_by_variant, link_platforms, linked_platforms
from mpbake.graph.node_facts import EngineFacts, NodeFacts, declaration_conflicts, declares, own_platform
from mpbake.graph.placement import Placement, nodes_to_probe, place
from mpbake.model.plan import Driver, Node, Target
from mpbake.spec.problem import Problem
from tests.unit.graphs import TWO_NODES, facts_of, graph_of
from tests.unit.plans import resolve_text, target_of_text, text


def shown(placement: Placement) -> str:
    """Return a line for each build piece, warning and problem."""
    pieces = [
        ", ".join(f"{placed.platform} {placed.execution}" for placed in piece.platforms)
        + f" on {' or '.join(node.name for node in piece.nodes)}: {piece.delivery.name}, one of {piece.piece_count}"
        for piece in placement.pieces
    ]
    problems = [f"problem: {problem.message} = {problem.hint}" for problem in placement.problems]
    return "\n".join([*pieces, *(f"warning: {warning.message}" for warning in placement.warnings), *problems])


def placed(nodes: str, platforms: str, *more: str, builder: str = "", **reported: str) -> str:
    """Return the placement of `platforms` on `nodes` (name = declared platforms). Keywords are the reports of nodes."""
    tables = tables_of(nodes)
    lines = "\n".join(more)
    plan = f"\n[targets.web]\nbuilder = 'x'\nplatforms = {_list(platforms)}\n{lines}\n[builders.x]\n{builder}\n{tables}"
    return shown(
        place(target_of_text(plan), facts_of({f"x/{node}": platforms for node, platforms in reported.items()}))
    )


def tables_of(nodes: str) -> str:
    """Return the tables of `nodes` (name = declared platforms)."""
    return "\n".join(
        f'nodes.{name.strip()} = {{ endpoint = "tcp://{name.strip()}", platforms = {_list(declared)}, {TLS} }}'
        for name, _, declared in (line.partition("=") for line in nodes.strip().splitlines())
    )


def _list(names: str) -> str:
    return str([name if name.startswith(("linux/", "windows/")) else f"linux/{name}" for name in names.split()])


def reported(names: str) -> str:
    """Expand short names such as `amd64 386` to platforms."""
    return " ".join(f"linux/{name}" for name in names.split())


# --- which nodes ------------------------------------------------------------------------------------------------------


def test_each_platform_goes_to_the_node_that_declares_it() -> None:
    assert placed("intel = amd64 386\narm = arm64", "arm64 amd64 386") == text("""
        linux/arm64 native on arm: KEEP, one of 2
        linux/amd64 native, linux/386 native on intel: KEEP, one of 2
        """)


SLOW = "warning: web: linux/amd64 emulated on x/b: 5 to 10 times slower than native"


@pytest.mark.parametrize(
    ("nodes", "reports", "where"),
    [
        # a node that declares the platform comes first, even if another node runs it natively
        ("a =\nb = amd64", {"a": "amd64"}, "linux/amd64 native on b: KEEP, one of 1"),
        # a native node comes before a node that was not probed, and this comes before an emulating node
        ("a =\nb =", {"b": "amd64"}, "linux/amd64 native on b: KEEP, one of 1"),
        ("a =\nb =", {"b": "arm64 amd64"}, "linux/amd64 not known yet on a: KEEP, one of 1"),
        # the first platform of a report is native
        ("a =\nb =", {"a": "arm64 amd64", "b": "amd64 arm64"}, "linux/amd64 native on b: KEEP, one of 1"),
        # a node that declares other platforms is chosen only if it reports this platform
        ("a = arm64\nb = amd64", {}, "linux/amd64 native on b: KEEP, one of 1"),
        # a node that declares the platform stays chosen whatever it reports: the run follows the printed plan
        ("a = arm64\nb = amd64", {"a": "amd64 arm64"}, "linux/amd64 native on b: KEEP, one of 1"),
        ("a = arm64\nb = amd64", {"a": "amd64 arm64", "b": "amd64"}, "linux/amd64 native on b: KEEP, one of 1"),
        # it equals a node without declared platforms, so the order of the plan decides
        ("a = arm64\nb =", {"a": "amd64", "b": "amd64"}, "linux/amd64 native on a: KEEP, one of 1"),
        ("a =\nb = arm64", {"a": "amd64 386", "b": "amd64"}, "linux/amd64 native on a: KEEP, one of 1"),
        ("a = arm64\nb =", {"a": "amd64 386", "b": "amd64"}, "linux/amd64 native on a: KEEP, one of 1"),
        # and it comes before a node that was not probed
        ("a =\nb = arm64", {"b": "amd64"}, "linux/amd64 native on b: KEEP, one of 1"),
        # an unreachable node comes after emulating nodes, and before having no node
        ("a =\nb =", {"a": "", "b": "arm64 amd64"}, "linux/amd64 emulated on b: KEEP, one of 1\n" + SLOW),
        ("a =\nb =", {"a": "", "b": "amd64"}, "linux/amd64 native on b: KEEP, one of 1"),
        ("a =\nb =\nc =", {"a": "", "b": "arm64 amd64"}, "linux/amd64 not known yet on c: KEEP, one of 1"),
        ("a =\nb =", {"a": "", "b": "s390x"}, "linux/amd64 not known yet on a: KEEP, one of 1"),
        ("a =\nb =", {"a": "", "b": ""}, "linux/amd64 not known yet on a or b: KEEP, one of 1"),
        # the declaration counts: the node may answer later, and mpbake does not silently emulate on another node
        ("a = amd64\nb =", {"a": "", "b": "arm64 amd64"}, "linux/amd64 native on a: KEEP, one of 1"),
    ],
)
def test_declared_before_detected_before_unknown_before_emulated(
    nodes: str, reports: dict[str, str], where: str
) -> None:
    assert placed(nodes, "amd64", **{node: reported(names) for node, names in reports.items()}) == where


def test_what_nobody_runs_natively_is_emulated_and_that_is_said() -> None:
    assert placed("intel =", "amd64 arm64 s390x", intel=reported("amd64 arm64 s390x")) == text("""
        linux/amd64 native, linux/arm64 emulated, linux/s390x emulated on intel: KEEP, one of 1
        warning: web: linux/arm64, linux/s390x emulated on x/intel: 5 to 10 times slower than native
        """)


def test_emulation_may_be_allowed_without_a_word() -> None:
    assert placed("intel =", "arm64", builder="emulation = 'allow'", intel=reported("amd64 arm64")) == (
        "linux/arm64 emulated on intel: KEEP, one of 1"
    )


def test_emulation_may_be_forbidden() -> None:
    assert placed("a =\nb =", "arm64", builder="emulation = 'forbid'", a=reported("amd64 arm64")) == (
        "linux/arm64 not known yet on b: KEEP, one of 1"
    )
    assert placed("a =\nb =", "arm64", builder="emulation = 'forbid'", a=reported("amd64 arm64"), b="") == (
        "linux/arm64 not known yet on b: KEEP, one of 1"
    ), "one that does not answer may be the native one"
    both = {"a": reported("amd64 arm64"), "b": reported("386")}
    assert placed("a =\nb =", "amd64 arm64", builder="emulation = 'forbid'", **both) == text("""
        linux/amd64 native on a: KEEP, one of 1
        problem: web: builder "x" forbids emulation, and has no native node for linux/arm64 \
= add a native node, or set emulation = "warn" (nodes: a: linux/amd64, linux/arm64; b: linux/386)
        """)


def test_what_all_nodes_declare_is_forbidden_before_any_is_asked() -> None:
    error = text("""
        problem: web: builder "x" forbids emulation, and has no native node for linux/arm64 \
= add a native node, add the platform to a node that runs it natively, or set emulation = "warn" \
(nodes: a: linux/amd64; b: linux/386)
        """)
    assert placed("a = amd64\nb = 386", "arm64", builder="emulation = 'forbid'") == error
    asked = {"a": reported("arm64 amd64"), "b": reported("386")}
    assert placed("a = amd64\nb = 386", "arm64", builder="emulation = 'forbid'", **asked) == error, "nor after"
    assert placed("a = amd64\nb =", "arm64", builder="emulation = 'forbid'").startswith("linux/arm64 not known yet on ")


def test_no_node_at_all() -> None:
    assert placed("a = amd64\nb =", "s390x amd64", a=reported("amd64"), b=reported("arm64 amd64")) == text("""
        linux/amd64 native on a: KEEP, one of 1
        problem: web: no node of builder "x" builds linux/s390x (a: linux/amd64; b: linux/arm64, linux/amd64) = \
add a node for it, remove the platform, or install an emulator: `mpbake doctor` prints the command
        """)
    asks = placed(
        "a = amd64", "s390x", builder='driver = "docker-container"\nemulators = "install"', a=reported("amd64")
    )
    assert asks.endswith(" = install the emulators that the plan asks for: mpbake builders up x")


def test_a_node_that_declares_is_still_asked_whether_it_emulates() -> None:
    assert placed("a = amd64", "arm64") == "linux/arm64 not known yet on a: KEEP, one of 1"
    assert placed("a = amd64", "arm64", a=reported("amd64 arm64")) == text("""
        linux/arm64 emulated on a: KEEP, one of 1
        warning: web: linux/arm64 emulated on x/a: 5 to 10 times slower than native
        """)


@pytest.mark.parametrize(
    ("hardware", "wanted", "execution"),
    [
        ("linux/amd64", "linux/386", "native"),
        ("linux/386", "linux/amd64", "emulated"),
        ("linux/arm/v7", "linux/arm/v6", "native"),
        ("linux/amd64/v3", "linux/amd64", "native"),
        ("linux/arm64", "linux/arm/v7", "emulated"),
        ("windows/amd64", "linux/amd64", "emulated"),
    ],
)
def test_lower_variants_run_on_higher_hardware_never_the_other_way(hardware: str, wanted: str, execution: str) -> None:
    assert placed("a =", wanted, builder="emulation = 'allow'", a=f"{hardware} {wanted}") == (
        f"{parse_platform(wanted)} {execution} on a: KEEP, one of 1"
    )


@pytest.mark.parametrize(("hardware", "wanted"), [("arm/v6", "arm/v7"), ("amd64", "amd64/v3")])
def test_a_higher_variant_runs_only_on_hardware_that_says_so(hardware: str, wanted: str) -> None:
    """For variants, BuildKit reads the features of the CPU. It emulates other architectures only."""
    assert "no node of builder" in placed("a =", wanted, a=reported(hardware))
    pieces = placed("a =", wanted, builder="emulation = 'forbid'", a=reported(f"{hardware} {wanted}"))
    assert pieces == f"linux/{wanted} native on a: KEEP, one of 1"


@pytest.mark.parametrize(("declared", "wanted"), [("amd64", "386"), ("arm/v7", "arm/v6"), ("amd64/v2", "amd64")])
def test_a_declaration_includes_what_such_hardware_runs(declared: str, wanted: str) -> None:
    assert placed(f"other = s390x\na = {declared}", wanted) == f"linux/{wanted} native on a: KEEP, one of 1"


@pytest.mark.parametrize(
    ("emulation", "reports", "spare"),
    [
        ("allow", {}, {"linux/amd64": "arm other", "linux/arm64": "intel other"}),
        ("allow", {"x/intel": "linux/amd64"}, {"linux/amd64": "arm other", "linux/arm64": "other"}),
        ("allow", {"x/other": "linux/s390x linux/arm64"}, {"linux/amd64": "arm", "linux/arm64": "intel other"}),
        ("allow", {"x/other": ""}, {"linux/amd64": "arm", "linux/arm64": "intel"}),
        ("warn", {}, {"linux/amd64": "", "linux/arm64": ""}),
    ],
)
def test_spare_nodes_may_emulate_where_that_is_allowed(
    emulation: str, reports: dict[str, str], spare: dict[str, str]
) -> None:
    target = target_of_text(f"""
        [targets.web]
        builder = "x"
        platforms = ["linux/amd64", "linux/arm64"]
        [builders.x]
        driver = "remote"
        emulation = "{emulation}"
        nodes.intel = {{ endpoint = "unix:///intel", platforms = ["linux/amd64"] }}
        nodes.arm = {{ endpoint = "unix:///arm", platforms = ["linux/arm64"] }}
        nodes.other = {{ endpoint = "unix:///other", platforms = ["linux/s390x"] }}
        """)
    spare_nodes = {
        str(piece.platforms[0].platform): " ".join(node.name for node in piece.spare)
        for piece in place(target, facts_of(reports)).pieces
    }
    assert spare_nodes == spare


@pytest.mark.parametrize(
    ("wanted", "a", "b", "spare"),
    [
        ("amd64 386", "amd64 386", "s390x amd64 386", ["b"]),
        ("amd64 386", "amd64 386", "s390x 386", []),
        # this node builds only a part of the platforms natively
        ("amd64 arm64", "amd64 arm64", "s390x amd64 arm64", []),
    ],
)
def test_a_spare_node_emulates_a_whole_piece_that_its_own_nodes_run_natively(
    wanted: str, a: str, b: str, spare: list[str]
) -> None:
    target = target_of_text(f"""
        [targets.web]
        builder = "x"
        platforms = {_list(wanted)}
        [builders.x]
        emulation = "allow"
        {tables_of("a =")}
        {tables_of("b =")}
        """)
    (piece,) = place(target, facts_of({"x/a": reported(a), "x/b": reported(b)})).pieces
    assert [node.name for node in piece.nodes] == ["a"]
    assert [node.name for node in piece.spare] == spare


# --- equal nodes ------------------------------------------------------------------------------------------------------


def test_equal_nodes_form_a_set_and_unequal_ones_do_not() -> None:
    nodes = "a = amd64\nb = amd64 386\nc = amd64\nd = 386 amd64"
    # the abilities of the first node count
    assert placed(nodes, "amd64") in {f"linux/amd64 native on {set_}: KEEP, one of 1" for set_ in ("a or c", "c or a")}
    assert placed(nodes, "386").startswith("linux/386 native on ")


def test_nodes_that_reported_the_same_are_equal_when_equally_native() -> None:
    both = reported("amd64 arm64")
    swapped = reported("arm64 amd64")
    assert placed("a =\nb =\nc =", "amd64 arm64", builder="emulation = 'allow'", a=both, b=both, c=swapped) in {
        f"linux/amd64 native on {set_}: KEEP, one of 2\nlinux/arm64 native on c: KEEP, one of 2"
        for set_ in ("a or b", "b or a")
    }


def equal_nodes(names: str) -> dict[str, str]:
    """Return the preferred node of 200 targets among these equal nodes."""
    nodes = "\n".join(
        f'nodes.{name} = {{ endpoint = "tcp://{name}", platforms = ["linux/amd64"], tls = {{ ca = "ca.crt" }} }}'
        for name in names
    )
    plan = resolve_text(f"""
        [targets.web]
        matrix = {{ n = {list(range(200))} }}
        name = "web-{{{{ n }}}}"
        builder = "x"
        platforms = ["linux/amd64"]
        [builders.x]
        {nodes}
        """)
    placements = {name: place(target, {}) for name, target in plan.targets.items()}
    assert {len(placement.pieces[0].nodes) for placement in placements.values()} == {len(names)}
    return {name: placement.pieces[0].node.name for name, placement in placements.items()}


def test_targets_spread_over_equal_nodes_and_stay_there() -> None:
    preferred = equal_nodes("abcd")
    assert preferred == equal_nodes("abcd")
    assert preferred == equal_nodes("dcba"), "the order of the nodes does not matter"
    assert all(35 <= number <= 65 for number in Counter(preferred.values()).values())


def test_a_new_equal_node_takes_its_share_and_moves_nothing_else() -> None:
    before, after = equal_nodes("abcd"), equal_nodes("abcde")
    moved = {name for name in before if before[name] != after[name]}
    assert {after[name] for name in moved} == {"e"}
    assert 25 <= len(moved) <= 55  # a fifth of 200 is 40


def test_targets_prefer_the_node_of_what_they_are_built_upon() -> None:
    plan = resolve_text("""
        [targets._t]
        builder = "x"
        platforms = ["linux/amd64"]
        [targets.root]
        inherits = ["_t"]
        [targets.base]
        inherits = ["_t"]
        contexts = { root = "target:root" }
        [targets.web]
        matrix = { n = [1, 2, 3, 4, 5, 6, 7, 8] }
        name = "web-{{ n }}"
        inherits = ["_t"]
        contexts = { base = "target:base", files = "files" }
        [builders.x.nodes]
        a = { endpoint = "unix:///a", platforms = ["linux/amd64"] }
        b = { endpoint = "unix:///b", platforms = ["linux/amd64"] }
        c = { endpoint = "unix:///c", platforms = ["linux/amd64"] }
        """)
    assert len({place(target, {}).pieces[0].nodes for target in plan.targets.values()}) == 1


# --- targets without platforms ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodes", "reports", "where"),
    [
        ("a =\nb =", {}, " on a: KEEP, one of 1"),
        ("a =\nb =", {"a": "arm64 amd64"}, "linux/arm64 native on a: KEEP, one of 1"),
        ("a = 386 amd64\nb =", {}, "linux/386 native on a: KEEP, one of 1"),
        ("a = 386 amd64\nb =", {"a": "amd64 386"}, "linux/386 native on a: KEEP, one of 1"),
    ],
)
def test_no_platforms_means_the_own_one_of_the_first_node(nodes: str, reports: dict[str, str], where: str) -> None:
    assert placed(nodes, "", **{node: reported(names) for node, names in reports.items()}) == where


def test_own_platform() -> None:
    builder = resolve_text("[builders.x]\nnodes.a = {}").builders["x"]
    assert own_platform(builder, {}) == ()
    assert own_platform(builder, facts_of({"x/a": ""})) == ()
    assert own_platform(builder, facts_of({"x/a": "linux/arm64 linux/amd64"})) == parse_platforms(["linux/arm64"])


# --- the results of a target ------------------------------------------------------------------------------------------


TLS = 'tls = { ca = "ca.crt" }'
ONE = "tags = ['r/web:1', 'r/web:latest']"
SEVERAL = "tags = ['r/web:1', 'other:5000/web:1']"


@pytest.mark.parametrize(
    ("platforms", "attributes", "deliveries"),
    [
        ("amd64", ONE, ["KEEP"]),
        ("amd64", f"{ONE}\npush = true", ["UNTAGGED"]),
        ("amd64 386", f"{ONE}\npush = true", ["UNTAGGED"]),
        ("amd64", f"{SEVERAL}\npush = true", ["UNTAGGED"]),
        ("amd64 arm64", f"{ONE}\npush = true", ["UNTAGGED", "UNTAGGED"]),
        ("amd64 arm64", f"{SEVERAL}\npush = true", ["UNTAGGED", "UNTAGGED"]),
        ("amd64 arm64", SEVERAL, ["KEEP", "KEEP"]),
        ("amd64", "load = true", ["KEEP"]),
    ],
)
def test_what_is_pushed_is_pushed_without_a_tag(platforms: str, attributes: str, deliveries: list[str]) -> None:
    target = target_of_text(
        f"\n[targets.web]\nbuilder = 'release'\nplatforms = {_list(platforms)}\n{attributes}{TWO_NODES}"
    )
    assert [piece.delivery.name for piece in place(target, {}).pieces] == deliveries


def test_an_image_from_several_nodes_is_loaded_in_part() -> None:
    assert "problem" not in placed("intel = amd64\narm = arm64", "amd64 arm64", "load = true")


def test_an_archive_from_several_nodes_is_joined_if_it_is_a_file() -> None:
    output = "output = ['type=oci,dest=web.tar']"
    assert "problem" not in placed("intel = amd64\narm = arm64", "amd64 arm64", output)


@pytest.mark.parametrize("kind", ["tar", "docker"])
def test_an_output_of_one_file_cannot_come_from_several_nodes(kind: str) -> None:
    output = f"output = ['type={kind},dest=web.tar', 'out']"
    message = f"its output type={kind},dest=/plan/web.tar is one file, but its platforms are built on several nodes"
    assert placed("intel = amd64\narm = arm64", "amd64 arm64", output) == text(f"""
        linux/amd64 native on intel: KEEP, one of 2
        linux/arm64 native on arm: KEEP, one of 2
        problem: web: {message} (intel, arm) = use type=local, which writes a folder for each platform, \
or build one platform with --platform
        """)
    assert placed("one = amd64 arm64", "amd64 arm64", output) == (
        "linux/amd64 native, linux/arm64 native on one: KEEP, one of 1"
    )
    assert placed("intel = amd64\narm = arm64", "arm64", output) == "linux/arm64 native on arm: KEEP, one of 1"


def test_a_folder_from_several_nodes_cannot_be_emptied_by_each() -> None:
    output = "output = ['type=local,dest=out,mode=delete']"
    message = "its output type=local,dest=/plan/out,mode=delete would delete other platforms' files"
    assert placed("intel = amd64\narm = arm64", "amd64 arm64", output) == text(f"""
        linux/amd64 native on intel: KEEP, one of 2
        linux/arm64 native on arm: KEEP, one of 2
        problem: web: {message}: its platforms are built on several nodes (intel, arm) = remove mode=delete, or \
build all platforms on one node
        """)
    assert placed("one = amd64 arm64", "amd64 arm64", output) == (
        "linux/amd64 native, linux/arm64 native on one: KEEP, one of 1"
    )
    assert placed("intel = amd64\narm = arm64", "arm64", output) == "linux/arm64 native on arm: KEEP, one of 1"


def test_folders_may_come_from_several_nodes() -> None:
    assert placed("intel = amd64\narm = arm64", "amd64 arm64", "output = ['out', 'type=local,dest=x']") == text("""
        linux/amd64 native on intel: KEEP, one of 2
        linux/arm64 native on arm: KEEP, one of 2
        """)


def test_nodes_that_write_the_same_cache_are_warned_of() -> None:
    caches = "cache-to = ['type=registry,ref=r/cache', 'type=inline', 'type=local,dest=cache']"
    assert placed("intel = amd64\narm = arm64", "amd64 arm64", caches) == text("""
        linux/amd64 native on intel: KEEP, one of 2
        linux/arm64 native on arm: KEEP, one of 2
        warning: web: its builds overwrite each other's cache type=registry,ref=r/cache: only the last one stays
        warning: web: its builds overwrite each other's cache type=local,dest=/plan/cache: only the last one stays
        """)
    assert placed("one = amd64 arm64", "amd64 arm64", caches) == (
        "linux/amd64 native, linux/arm64 native on one: KEEP, one of 1"
    )


@pytest.mark.parametrize(
    ("declared", "platform", "does"),
    [("amd64", "amd64", True), ("amd64", "386", True), ("386", "amd64", False), ("", "amd64", False)],
)
def test_what_a_node_declares(declared: str, platform: str, *, does: bool) -> None:
    node = Node(builder="x", name="a", driver=Driver.REMOTE, platforms=platforms_of(*declared.split()))
    assert declares(node, parse_platform(f"linux/{platform}")) is does


@pytest.mark.parametrize(
    ("endpoint", "elsewhere"),
    [
        ("tcp://10.0.0.5:1234", True),
        ("tcp://buildbox", True),
        ("ssh://me@10.0.0.5", True),
        ("ssh://build.example.com", True),
        ("ssh://[fe80::1]", True),
        ("tcp://127.0.0.1:1234", False),
        ("tcp://localhost", False),
        ("ssh://jo.doe@[::1]:22", False),
        ("ssh://jo.doe@alias", False),
        ("unix:///run/docker.sock", False),
        ("a-context", False),
        ("", False),
    ],
)
def test_a_node_elsewhere_has_another_localhost(endpoint: str, *, elsewhere: bool) -> None:
    plan = f"""
        [builders.x.nodes.n]
        endpoint = "{endpoint}"
        insecure = true
        [targets.web]
        builder = "x"
        tags = ["localhost:5000/web", "localhost:5000/web:1", "example.com/web"]
        push = true
        """
    assert place(target_of_text(plan.replace("push = true", "")), {}).problems == ()
    message = f"web: node x/n ({endpoint}) cannot push to localhost:5000: on the node, that address is the node itself"
    for platforms in ("", 'platforms = ["linux/amd64"]'):
        problems = place(target_of_text(plan + platforms), {}).problems
        assert [problem.message for problem in problems] == ([message] if elsewhere else [])


# --- links ------------------------------------------------------------------------------------------------------------


def platforms_of(*names: str) -> tuple[Platform, ...]:
    return parse_platforms(f"linux/{name}" for name in names)


@pytest.mark.parametrize(
    ("declared", "wanted", "built"),
    [
        ("", "amd64 arm64", "amd64 arm64"),
        ("", "", ""),
        ("arm64", "amd64", "arm64"),
        ("arm64", "", "arm64"),
        ("amd64 arm64 386", "arm64 amd64", "amd64 arm64"),
        ("amd64 386", "amd64", "amd64"),
        ("amd64 386", "arm64", ""),
        ("amd64 386", "", "amd64 386"),
        # BuildKit looks for exactly this platform, or otherwise for an image with the name of the context
        ("arm/v6 amd64", "arm/v7", ""),
        ("386 arm64", "amd64", ""),
    ],
)
def test_what_a_link_is_built_for(declared: str, wanted: str, built: str) -> None:
    target = target_of_text(f"[targets.web]\nplatforms = {_list(declared)}")
    assert link_platforms(target, platforms_of(*wanted.split())) == platforms_of(*built.split())


LINKS = """
    [targets.web]
    builder = "release"
    platforms = ["linux/amd64", "linux/arm64"]
    contexts = { base = "target:base", files = "target:files" }
    [targets.base]
    contexts = { deep = "target:deep" }
    [targets.files]
    platforms = ["linux/amd64"]
    contexts = { deep = "target:deep", only = "target:only" }
    [targets.deep]
    [targets.only]
    """ + TWO_NODES.replace("\n", "\n    ")


def test_each_link_is_built_for_what_its_users_are_built_for() -> None:
    web = target_of_text(LINKS)
    arm64, amd64, both = platforms_of("arm64"), platforms_of("amd64"), platforms_of("arm64", "amd64")

    def built_for(wanted: tuple[Platform, ...]) -> dict[str, tuple[Platform, ...]]:
        return {target.name: platforms for target, platforms in linked_platforms(web, wanted).items()}

    assert built_for(arm64) == {"base": arm64, "files": amd64, "deep": both, "only": amd64}
    assert built_for(amd64) == {"base": amd64, "files": amd64, "deep": amd64, "only": amd64}
    assert built_for(()) == {"base": (), "files": amd64, "deep": amd64, "only": amd64}


def test_a_link_must_have_every_platform_of_its_user() -> None:
    web = target_of_text(
        LINKS.replace("[targets.deep]", '[targets.deep]\nplatforms = ["linux/arm64", "linux/386"]').replace(
            "[targets.only]", '[targets.only]\nplatforms = ["linux/386", "linux/s390x"]'
        )
    )
    problems = place(web, {}).problems
    assert [(problem.message, problem.hint) for problem in problems] == [
        ('base: links to "deep" (context deep), which is not built for linux/amd64', "add the platform to deep"),
        ('files: links to "deep" (context deep), which is not built for linux/amd64', "add the platform to deep"),
        ('files: links to "only" (context only), which is not built for linux/amd64', "add the platform to only"),
    ]


def test_a_link_must_have_the_platform_that_its_user_takes_from_the_node() -> None:
    web = target_of_text("""
        [targets.web]
        contexts = { base = "target:base" }
        [targets.base]
        platforms = ["linux/arm64", "linux/s390x"]
        """)
    (problem,) = place(web, facts_of({"default/local": "linux/amd64"})).problems
    assert problem == Problem(
        code=Code.LINK_LACKS_PLATFORM,
        key=("targets", "web", "contexts", "base"),
        message='web: links to "base" (context base), which is not built for linux/amd64',
        hint="add the platform to base",
    )
    assert place(web, {}).problems == ()


def test_many_layers_of_links_take_no_time() -> None:
    layers = "\n".join(
        f'[targets.l{n}]\nplatforms = ["linux/amd64"]\ncontexts = {{ a = "target:l{n + 1}", b = "target:r{n + 1}" }}\n'
        f'[targets.r{n}]\ncontexts = {{ a = "target:l{n + 1}", b = "target:r{n + 1}" }}'
        for n in range(60)
    )
    top = target_of_text(f"{layers}\n[targets.l60]\n[targets.r60]", "l0")
    assert len(linked_platforms(top, platforms_of("arm64"))) == 120


# --- platforms that differ --------------------------------------------------------------------------------------------

APART = 'args = { A = "{{ platform.arch }}" }'


def test_platforms_that_differ_are_built_one_by_one() -> None:
    assert placed("one = amd64 arm64", "amd64 arm64", APART) == text("""
        linux/amd64 native on one: KEEP, one of 2
        linux/arm64 native on one: KEEP, one of 2
        """)
    assert placed("one = amd64 arm64", "arm64", APART) == "linux/arm64 native on one: KEEP, one of 1"


def test_platforms_that_are_alike_are_built_together() -> None:
    alike = "args = { A = \"{{ 'arm' if platform.arch == 'arm64' else 'intel' }}\" }"
    assert placed("one = amd64 arm64 386", "amd64 arm64 386", alike) == text("""
        linux/amd64 native, linux/386 native on one: KEEP, one of 2
        linux/arm64 native on one: KEEP, one of 2
        """)


def test_parts_of_one_node_are_joined_under_the_tags() -> None:
    assert placed("one = amd64 arm64", "amd64 arm64", APART, "tags = ['r/web:1']\npush = true") == text("""
        linux/amd64 native on one: UNTAGGED, one of 2
        linux/arm64 native on one: UNTAGGED, one of 2
        """)


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        (
            "output = ['type=tar,dest=web.tar']",
            (
                "its output type=tar,dest=/plan/web.tar is one file, but its platforms differ and are built separately"
                " = use type=local, which writes a folder for each platform, or build one platform with --platform"
            ),
        ),
    ],
)
def test_what_cannot_be_done_in_parts(attributes: str, problem: str) -> None:
    lines = placed("one = amd64 arm64", "amd64 arm64", APART, attributes).splitlines()
    assert lines[-1] == f"problem: web: {problem}"
    assert "problem" not in placed("one = amd64 arm64", "amd64 arm64", attributes)


def test_the_engine_cannot_join_parts() -> None:
    plan = f"""
        [targets.web]
        builder = "x"
        platforms = ["linux/amd64", "linux/arm64"]
        {APART}
        tags = ["r/web:1"]
        push = true
        [builders.x]
        driver = "docker"
        """
    (problem,) = place(target_of_text(plan), {}).problems
    assert (problem.code, problem.message) == (
        Code.SPLIT_PUSH,
        "web: the docker driver cannot push it, since its platforms differ and are built separately",
    )
    assert place(target_of_text(plan.replace("push = true", "")), {}).problems == (), "it can build them"


def test_a_cache_for_each_platform_is_written_by_one() -> None:
    own = "cache-to = ['type=local,dest=cache-{{ platform.slug }}', 'type=inline']"
    assert placed("intel = amd64\narm = arm64", "amd64 arm64", own) == text("""
        linux/amd64 native on intel: KEEP, one of 2
        linux/arm64 native on arm: KEEP, one of 2
        """)
    assert placed("one = amd64 arm64", "amd64 arm64", APART, "cache-to = ['type=local,dest=cache']").endswith(
        "warning: web: its builds overwrite each other's cache type=local,dest=/plan/cache: only the last one stays"
    )


@pytest.mark.parametrize("between", ["base", "middle"])
def test_who_links_to_what_differs_is_built_one_by_one_too(between: str) -> None:
    links = f"""
        contexts = {{ base = "target:{between}" }}
        [targets.middle]
        contexts = {{ base = "target:base" }}
        [targets.base]
        platforms = ["linux/amd64", "linux/arm64"]
        {APART}
        """
    assert placed("one = amd64 arm64", "amd64 arm64", links) == text("""
        linux/amd64 native on one: KEEP, one of 2
        linux/arm64 native on one: KEEP, one of 2
        """)


def test_links_of_single_platforms_are_looked_at_for_these_only() -> None:
    plan = """
        [targets.web]
        builder = "x"
        platforms = ["linux/amd64", "linux/arm64"]
        platform."linux/amd64".contexts = { base = "target:intel" }
        platform."linux/arm64".contexts = { base = "target:arm" }
        [targets.intel]
        platforms = ["linux/amd64"]
        contexts = { deep = "target:deep" }
        [targets.arm]
        platforms = ["linux/arm64", "linux/386"]
        [targets.deep]
        [builders.x.nodes.one]
        platforms = ["linux/amd64", "linux/arm64"]
        """
    web = target_of_text(plan)
    arm64, amd64 = platforms_of("arm64"), platforms_of("amd64")
    platforms_of_links = {
        target.name: platforms for target, platforms in linked_platforms(web, (*amd64, *arm64)).items()
    }
    assert platforms_of_links == {"intel": amd64, "arm": arm64, "deep": amd64}
    assert place(web, {}).problems == ()
    # it is a problem if a linked target lacks a platform that the target needs
    wrong = target_of_text(plan.replace('["linux/arm64", "linux/386"]', '["linux/386", "linux/s390x"]'))
    assert [problem.message for problem in place(wrong, {}).problems] == [
        'web: links to "arm" (context base), which is not built for linux/arm64'
    ]


def test_groups_of_platforms_for_which_one_thing_is_built() -> None:
    plan = resolve_text(f"""
        [targets.web]
        contexts = {{ base = "target:base", assets = "target:assets" }}
        [targets.assets]
        platforms = ["linux/amd64"]
        contexts = {{ base = "target:base" }}
        [targets.base]
        platforms = ["linux/amd64", "linux/arm64"]
        {APART}
        """)
    amd64, arm64, both = platforms_of("amd64"), platforms_of("arm64"), platforms_of("amd64", "arm64")
    assert grouped_by_variant(plan.targets["base"], both) == [amd64, arm64]
    assert grouped_by_variant(plan.targets["web"], both) == [amd64, arm64]
    assert grouped_by_variant(plan.targets["assets"], amd64) == [amd64]
    assert grouped_by_variant(plan.targets["web"], ()) == [()]
    assert all(target.varies for target in plan.targets.values()), "also by what it links to"


def test_a_long_chain_of_links_is_walked_once_for_each_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each target records whether one of its linked targets varies, so that no chain is read twice."""
    chain = "".join(f'[targets.t{n}]\ncontexts = {{ base = "target:t{n - 1}" }}\n' for n in range(1, 50))
    targets = resolve_text(f"[targets.t0]\n{chain}").targets
    assert not any(target.varies for target in targets.values())
    walks = Counter[str]()

    def counted(target: Target, wanted: Any) -> Any:
        walks[target.name] += 1
        return linked_platforms(target, wanted)

    for module in ("graph.placement_problems", "graph.dag"):
        monkeypatch.setattr(f"mpbake.{module}.linked_platforms", counted)
    graph_of(targets.values(), {"default/local": "linux/amd64"})
    assert max(walks.values()) == 1, "for the graph; nothing within can lack a platform"


# --- nodes that must be probed ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodes", "platforms", "asked"),
    [
        ("a = amd64\nb = arm64", "amd64 arm64", []),
        ("a = amd64\nb = arm64", "", []),
        ("a =\nb = arm64", "arm64", []),
        ("a =\nb = arm64", "amd64", ["x/a", "x/b"]),
        ("a =\nb = arm64", "", ["x/a", "x/b"]),
        ("a = amd64\nb = arm64", "s390x", ["x/a", "x/b"]),
    ],
)
def test_nodes_are_asked_only_where_the_plan_leaves_something_open(
    nodes: str, platforms: str, asked: list[str]
) -> None:
    plan = resolve_text(f"""
        [targets.one]
        builder = "x"
        platforms = {_list(platforms)}
        [targets.two]
        builder = "x"
        platforms = {_list(platforms)}
        [builders.x]
        {tables_of(nodes)}
        """)
    assert [
        node.id for node in nodes_to_probe({target: place(target, {}) for target in plan.targets.values()})
    ] == asked


@pytest.mark.parametrize(("nodes", "asked"), [("a = amd64\nb = arm64", []), ("a =\nb = arm64", ["x/a", "x/b"])])
def test_nobody_is_asked_about_what_is_forbidden_whatever_they_say(nodes: str, asked: list[str]) -> None:
    target = target_of_text(f"""
        [targets.web]
        builder = "x"
        platforms = ["linux/s390x"]
        [builders.x]
        emulation = "forbid"
        {tables_of(nodes)}
        """)
    assert [node.id for node in nodes_to_probe({target: place(target, {})})] == asked


@pytest.mark.parametrize("emulation", ["warn", "allow", "forbid"])
def test_a_node_that_was_asked_and_contradicts_its_declaration(emulation: str) -> None:
    """The conflict counts only for platforms that are built on the node: node a does not build 386."""
    reports = {"a": reported("amd64 arm64"), "b": reported("amd64")}
    message = "x/a declares linux/arm64, linux/s390x but runs linux/amd64 natively: such builds will fail there"
    ending = {"forbid": f'problem: web: {message} = correct the platforms of x/a: builder "x" forbids emulation'}
    assert placed("a = arm64 s390x\nb = amd64", "arm64 amd64", builder=f"emulation = '{emulation}'", **reports) == text(
        f"""
        linux/arm64 native on a: KEEP, one of 2
        linux/amd64 native on b: KEEP, one of 2
        {ending.get(emulation, f"warning: {message}")}
        """
    )
    assert "problem" not in placed("a = arm64\nb = amd64", "amd64", builder=f"emulation = '{emulation}'", **reports)


# --- a node against its declaration -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "platforms", "reported_names", "complaint"),
    [
        ("", "arm64", "amd64", ""),
        ("arm64", "arm64", "", ""),
        ("arm64", "arm64", "arm64 amd64", ""),
        ("amd64", "386", "amd64", ""),
        # a platform that is not declared: placement already reports the emulation
        ("amd64", "arm64", "amd64 arm64", ""),
        ("arm64", "arm64", "amd64 arm64", "linux/arm64 {but}: it is emulated there, 5 to 10 times slower"),
        (
            "arm64 s390x",
            "arm64 s390x",
            "amd64 arm64 s390x",
            "linux/arm64, linux/s390x {but}: they are emulated there, 5 to 10 times slower",
        ),
        ("amd64 arm64", "amd64 arm64", "amd64", "linux/arm64 {but}: such builds will fail there"),
        ("arm64 s390x", "arm64 s390x", "amd64 arm64", "linux/arm64, linux/s390x {but}: such builds will fail there"),
    ],
)
def test_contradictions(declared: str, platforms: str, reported_names: str, complaint: str) -> None:
    node = Node(builder="x", name="a", driver=Driver.REMOTE, platforms=platforms_of(*declared.split()))
    facts = NodeFacts(driver=Driver.REMOTE, platforms=platforms_of(*reported_names.split()))
    expected = f"x/a declares {complaint.format(but='but runs linux/amd64 natively')}"
    assert declaration_conflicts(node, platforms_of(*platforms.split()), facts) == ((expected,) if complaint else ())


# --- the driver of the default builder --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "driver"),
    [
        ("", Driver.DOCKER),
        ('platforms = ["linux/amd64"]', Driver.DOCKER),
        ('platforms = ["linux/386"]', Driver.DOCKER),
        ('platforms = ["linux/arm64"]', Driver.DOCKER_CONTAINER),
        ('platforms = ["linux/amd64", "linux/386"]', Driver.DOCKER_CONTAINER),
        ('cache-to = ["type=inline"]', Driver.DOCKER),
        ('cache-to = ["type=registry,ref=r/cache"]', Driver.DOCKER_CONTAINER),
        ('cache-from = ["type=registry,ref=r/cache"]', Driver.DOCKER),
        ('output = ["type=local,dest=out"]', Driver.DOCKER),
        ('output = ["type=oci,dest=out.tar"]', Driver.DOCKER_CONTAINER),
        ('tags = ["r/web"]\npush = true', Driver.DOCKER),
        ('tags = ["r/web"]\npush = true\noutput = ["out"]', Driver.DOCKER_CONTAINER),
    ],
)
def test_the_classic_image_store_will_do_for_simple_targets_only(attributes: str, driver: Driver) -> None:
    plan = resolve_text(f"\n[targets.simple]\n[targets.web]\n{attributes}")
    amd64 = parse_platform("linux/amd64")
    classic = EngineFacts(platform=amd64, containerd_store=False)
    containerd = EngineFacts(platform=amd64, containerd_store=True)
    assert default_driver(plan.targets.values(), classic) is driver
    assert default_driver(plan.targets.values(), containerd) is Driver.DOCKER


@pytest.mark.parametrize(
    ("table", "driver"),
    [
        ("", Driver.DOCKER),
        ('[targets.web.platform."linux/arm64"]\nargs = { A = "2" }', Driver.DOCKER_CONTAINER),
        ('[targets.web.platform."linux/arm64"]\nargs = { A = "1" }', Driver.DOCKER),
        ('[targets.base.platform."linux/arm64"]\nargs = { A = "2" }', Driver.DOCKER_CONTAINER),
    ],
)
def test_parts_that_are_to_be_joined_are_not_for_the_engines_own_builder(table: str, driver: Driver) -> None:
    common = """
        [defaults.target]
        platforms = ["linux/amd64", "linux/arm64"]
        [targets.base]
        [targets.web]
        args = { A = "1" }
        contexts = { base = "target:base" }
        tags = ["web"]
        push = true
        """
    plan = resolve_text(f"\n{text(common)}\n{table}")
    engine = EngineFacts(platform=parse_platform("linux/amd64"), containerd_store=True)
    assert default_driver([plan.targets["web"]], engine) is driver


def test_repositories_each_once() -> None:
    target = target_of_text("[targets.web]\ntags = ['r/b:1', 'localhost:5000/a', 'r/b:2', 'c']")
    assert repositories(target) == ["r/b", "localhost:5000/a", "c"]
