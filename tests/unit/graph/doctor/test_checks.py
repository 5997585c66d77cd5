"""Judgements of single checks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.graph.doctor.checks import DOCTOR_CHECKS, diagnose
from mpbake.graph.doctor.facts import Place, Purpose, PushAccess, Space, Unanswered
from mpbake.graph.doctor.findings import Status
from mpbake.model.plan import Driver
from tests.unit.doctors import GB, engine_of, facts_of, lines_of, lost, report_of
from tests.unit.plans import text

if TYPE_CHECKING:
    from mpbake.graph.doctor.facts import Facts

PUSHED = """
    [builders.ci]
    {}
    [targets.web]
    builder = "ci"
    platforms = ["linux/amd64"]
    tags = ["{}/web:1"]
    push = true
    """
TWO_EQUAL = """
    [builders.pool]
    [builders.pool.nodes.a]
    endpoint = "ssh://a"
    platforms = ["linux/amd64"]
    [builders.pool.nodes.b]
    endpoint = "ssh://b"
    platforms = ["linux/amd64"]
    {}
    [targets.web]
    builder = "pool"
    platforms = ["linux/amd64"]
    """


def test_every_check_has_a_name_of_its_own_and_groups_stay_together() -> None:
    names = [check.name for check in DOCTOR_CHECKS]
    assert len(set(names)) == len(names)
    groups = [check.group for check in DOCTOR_CHECKS]
    assert groups == sorted(groups, key=list(dict.fromkeys(groups)).index)


def test_without_any_answer_nothing_is_ok() -> None:
    """The rule of all checks: what is not known is never called fine."""
    silent = Unanswered(reason="no answer within 75.0s")
    facts = facts_of(PUSHED.format('network = "host"', "localhost:5000"))
    facts = replace(
        facts,
        client=silent,
        buildx=silent,
        engine=silent,
        engine_platforms=silent,
        nodes=dict.fromkeys(facts.nodes, silent),
        engines=dict.fromkeys(facts.engines, silent),
        pushes=dict.fromkeys(facts.pushes, silent),
        registry_clocks=dict.fromkeys(facts.registry_clocks, silent),
        spaces=dict.fromkeys(facts.spaces, silent),
    )
    fine = [finding.message for result in diagnose(facts) for finding in result.findings if finding.status is Status.OK]
    assert fine == ["localhost:5000: the nodes that push there are on this machine"], "the plan itself says so"


# --- nodes ------------------------------------------------------------------------------------------------------------


def _with_lost(toml: str, *names: str) -> Facts:
    facts = facts_of(toml)
    dead = {
        node.id: lost(node, f"{node.id} is gone\n  = start it") for node in facts.subject.nodes if node.name in names
    }
    return replace(facts, nodes={**facts.nodes, **dead})


def test_a_lost_node_whose_work_others_do_is_a_warning() -> None:
    findings = lines_of(_with_lost(TWO_EQUAL.format(""), "b"), "nodes").splitlines()
    assert findings[1] == "warning: pool/b is gone (other nodes do its work) = start it"
    assert lines_of(_with_lost(TWO_EQUAL.format("required = true"), "b"), "nodes").splitlines()[1] == (
        "missing: pool/b is gone = start it"
    )
    both = lines_of(_with_lost(TWO_EQUAL.format(""), "a", "b"), "nodes")
    assert both == "missing: pool/a is gone = start it\nmissing: pool/b is gone = start it"


def test_a_lost_node_that_no_target_needs_is_a_warning() -> None:
    toml = "[builders.idle]\n[targets.web]\nplatforms = ['linux/amd64']"
    assert "warning: idle/local is gone (no target uses its builder)" in lines_of(_with_lost(toml, "local"), "nodes")


def test_the_first_node_builds_the_targets_without_platforms() -> None:
    toml = (
        TWO_EQUAL.format("").replace('    platforms = ["linux/amd64"]\n    ', "", 3)
        + '\n    [targets.own]\n    builder = "pool"'
    )
    assert lines_of(_with_lost(toml, "a"), "nodes").startswith("missing: pool/a is gone")
    assert "warning: pool/b is gone (other nodes do its work)" in lines_of(_with_lost(toml, "b"), "nodes")


def test_emulators_of_a_lost_node_are_not_known() -> None:
    toml = "[builders.ci]\n[targets.web]\nbuilder = 'ci'\nplatforms = ['linux/arm64']"
    assert lines_of(_with_lost(toml, "local"), "emulators") == "unknown: emulators: no report from ci/local"


@pytest.mark.parametrize(
    ("toml", "status", "message"),
    [
        ("[builders.ci]", "missing", "its container does not exist yet = run `mpbake builders up ci`, or let a run"),
        ("[builders.ci]", "exited", "its container is exited = run `mpbake builders up ci`, or let a run"),
        ("[targets.web]", "missing", "its container does not exist yet = nothing to do: a run creates and starts it"),
        (
            "[builders.ci]\nexternal = true",
            "inactive",
            "its BuildKit is inactive = start it: docker buildx",
        ),
    ],
)
def test_a_node_that_does_not_run_is_not_known(toml: str, status: str, message: str) -> None:
    facts = facts_of(toml)
    (node,) = facts.subject.nodes
    driver = Driver.DOCKER_CONTAINER
    stopped = report_of(replace(node, driver=driver), status=status, reported=())
    found = lines_of(replace(facts, nodes={node.id: stopped}), "nodes")
    assert found.startswith("unknown: ")
    assert message in found


DEPLOYED = """
    [builders.release]
    driver = "remote"
    [builders.release.nodes.one]
    endpoint = "docker-container://one?context=far"
    platforms = ["linux/amd64"]
    deploy = { host = "far" }
    [targets.web]
    builder = "release"
    platforms = ["linux/amd64"]
    """
SPARE = """
    [builders.release.nodes.spare]
    endpoint = "tcp://spare:1234"
    insecure = true
    platforms = ["linux/amd64"]
    """


def _with_one(toml: str, status: str) -> Facts:
    facts = facts_of(toml)
    node = facts.subject.nodes[0]
    absent = replace(report_of(node, status=status, reported=()), expected=node.platforms)
    return replace(facts, nodes={**facts.nodes, node.id: absent})


def test_a_node_that_is_not_deployed_is_missing() -> None:
    """A run starts a deployed container, but does not create it."""
    assert lines_of(_with_one(DEPLOYED, "missing"), "nodes") == (
        "missing: release/one (remote, docker-container://one?context=far): no BuildKit is deployed on far "
        "= run `mpbake builders up release`"
    )
    assert lines_of(_with_one(DEPLOYED, "exited"), "nodes").startswith("unknown: release/one ")
    spared = lines_of(_with_one(DEPLOYED + SPARE, "missing"), "nodes").splitlines()[0]
    assert spared.startswith("warning: release/one ")
    assert "deployed on far (other nodes do its work) = run" in spared


def test_drift_is_a_warning_but_not_that_of_an_entry() -> None:
    facts = facts_of("[builders.ci]")
    (node,) = facts.subject.nodes
    drifted = report_of(node, drift=("memory", "entry: endpoint", "no entry"))
    assert lines_of(replace(facts, nodes={node.id: drifted}), "nodes").splitlines()[1] == (
        "warning: ci/local differs from the plan: memory = run `mpbake builders up ci`"
    )


RELEASES = """
    [builders.two]
    driver = "remote"
    nodes.a = { endpoint = "unix:///run/a.sock", platforms = ["linux/amd64"] }
    nodes.b = { endpoint = "unix:///run/b.sock", platforms = ["linux/arm64"] }
    [targets.web]
    builder = "two"
    platforms = ["linux/amd64", "linux/arm64"]
    tags = ["r.example.com/web:1"]
    push = true
    """


@pytest.mark.parametrize(
    ("attest", "version", "finding"),
    [
        ("", "v0.24.0", "not needed: BuildKit releases: no image is built by two releases"),
        (
            "",
            "v0.13.0",
            "ok: two: different BuildKit releases build parts of one image (a v0.24.0, b v0.13.0): mpbake lets",
        ),
        (
            'attest = ["type=provenance,version=v1"]',
            "v0.13.0",
            "warning: two: different BuildKit releases build parts of one image (a v0.24.0, b v0.13.0), and the plan",
        ),
        ("", "", "not needed: "),
    ],
)
def test_releases_that_write_different_forms(attest: str, version: str, finding: str) -> None:
    facts = facts_of(f"{RELEASES}{attest}")
    old = report_of(facts.subject.nodes[1], version=version)
    assert lines_of(replace(facts, nodes={**facts.nodes, "two/b": old}), "buildkit-releases").startswith(finding)


# --- platforms --------------------------------------------------------------------------------------------------------

EMULATION = """
    [builders.ci]
    emulation = "{}"
    [targets.web]
    builder = "ci"
    platforms = ["linux/arm64"]
    """


_SLOW = "ci: linux/arm64 emulated on ci/local, 5 to 10 times slower = add a native node, or accept emulation"


@pytest.mark.parametrize(
    ("policy", "reported", "finding"),
    [
        ("allow", "linux/amd64 linux/arm64", "ok: ci: linux/arm64 emulated on ci/local"),
        ("warn", "linux/amd64 linux/arm64", f"warning: {_SLOW}"),
        ("forbid", "linux/amd64 linux/arm64", "missing: ci: linux/arm64 emulated on ci/local, and the builder forbids"),
        ("forbid", "linux/amd64", "missing: ci: no node builds linux/arm64 natively = add a native node"),
        ("forbid", "linux/arm64", "ok: ci: linux/arm64 native on ci/local"),
    ],
)
def test_the_policy_of_the_builder_decides_on_emulation(policy: str, reported: str, finding: str) -> None:
    assert lines_of(facts_of(EMULATION.format(policy), {"ci/local": reported}), "platforms").startswith(finding)


def test_a_node_that_declares_what_it_cannot_build_is_a_fault() -> None:
    toml = """
        [builders.far]
        driver = "remote"
        nodes.a = { endpoint = "unix:///run/a.sock", platforms = ["linux/arm64"] }
        [targets.web]
        builder = "far"
        platforms = ["linux/arm64"]
        """
    wrong = lines_of(facts_of(toml, {"far/a": "linux/amd64"}), "platforms")
    assert wrong == (
        "missing: far/a declares linux/arm64 but runs linux/amd64 natively: such builds will fail there = run on the "
        "machine of far/a: docker run --privileged --rm tonistiigi/binfmt:qemu-v10.2.3 --install arm64; then restart "
        "BuildKit there"
    )
    emulated = lines_of(facts_of(toml, {"far/a": "linux/amd64 linux/arm64"}), "platforms")
    assert emulated.startswith(
        "warning: far/a declares linux/arm64 but runs linux/amd64 natively: it is emulated there"
    )
    assert emulated.count("slower") == 1


@pytest.mark.parametrize(
    ("builder", "remedy"),
    [
        ('emulators = "install"', "run `mpbake builders up ci`, which installs emulators"),
        ('driver = "kubernetes"', "set qemu.install = true, which installs emulators in the pods"),
        ("", 'set emulators = "install" in ci and run `mpbake builders up ci`; or run: docker run --privileged --rm '),
        ("external = true", "run: docker --context ci run --privileged --rm tonistiigi/binfmt"),
    ],
)
def test_the_remedy_for_a_missing_emulator_fits_the_builder(builder: str, remedy: str) -> None:
    toml = f'\n[builders.ci]\n{builder}\n[targets.web]\nbuilder = "ci"\nplatforms = ["linux/s390x"]'
    found = lines_of(facts_of(toml, dict.fromkeys(["ci/local", "ci/ci"], "linux/amd64")), "platforms")
    assert found.startswith(f"missing: ci: no node builds linux/s390x, neither natively nor by an emulator = {remedy}")


def test_the_command_names_the_engine_of_the_node() -> None:
    toml = """
        [builders.far]
        nodes.a.endpoint = "ssh://a"
        [targets.web]
        builder = "far"
        platforms = ["linux/ppc64le"]
        """
    found = lines_of(facts_of(toml), "platforms")
    assert found.endswith(
        "or run: docker -H ssh://a run --privileged --rm tonistiigi/binfmt:qemu-v10.2.3 --install ppc64le"
    )


# --- registries -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("access", "finding"),
    [
        ({}, "ok: r.example.com/web: this user may push"),
        (
            {"status": 404, "message": "r answers 404 Not Found"},
            "missing: r.example.com/web: r answers 404 Not Found = create the repository, or correct its name",
        ),
        (
            {"status": 429, "message": "r answers 429", "hint": "run again later"},
            "unknown: r.example.com/web: r answers 429 = run again later",
        ),
        (
            {"status": 503, "message": "r answers 503", "hint": "run again later"},
            "missing: r.example.com/web: r answers 503 = run again later",
        ),
        (
            {"message": "r: connection refused", "hint": "start it"},
            "missing: r.example.com/web: r: connection refused = start it",
        ),
    ],
)
def test_answers_of_a_registry(access: dict[str, Any], finding: str) -> None:
    toml = PUSHED.format("", "r.example.com")
    pushes = {"r.example.com/web": PushAccess(has_login=True, **access)}
    assert lines_of(facts_of(toml, pushes=pushes), "push") == finding


@pytest.mark.parametrize(
    ("builder", "finding"),
    [
        ('network = "host"', "ok: localhost:5000: the nodes that push there are on this machine"),
        ('driver = "docker"', "ok: localhost:5000: the nodes that push there are on this machine"),
        (
            "",
            "warning: ci/local pushes to localhost:5000, which in its container is the container itself",
        ),
    ],
)
def test_localhost_is_another_machine_in_a_container(builder: str, finding: str) -> None:
    assert lines_of(facts_of(PUSHED.format(builder, "localhost:5000")), "registry-addresses").startswith(finding)


def test_a_registry_that_a_far_node_cannot_reach_is_one_fault() -> None:
    toml = PUSHED.format('nodes.far.endpoint = "ssh://build.example.com"', "localhost:5000")
    found = lines_of(facts_of(toml), "registry-addresses")
    assert found.startswith("missing: node ci/far (ssh://build.example.com) cannot push to localhost:5000")
    assert "\n" not in found


# --- machines ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("purpose", "space", "finding"),
    [
        (Purpose.ENGINE, {"free": 80 * GB}, "ok: 80.0 GB free for images and caches: /x"),
        (
            Purpose.ENGINE,
            {"free": 4 * GB},
            "warning: 4.0 GB free for images and caches: /x = free some disk space: docker",
        ),
        (
            Purpose.ENGINE,
            {"free": GB - 1},
            "missing: 999 MB free for images and caches: /x = free some disk space: docker",
        ),
        (Purpose.TEMPORARY, {"free": GB}, "ok: 1.0 GB free for temporary files: /x"),
        (Purpose.TEMPORARY, {"free": 0}, "missing: 0 MB free for temporary files: /x = free some disk space"),
        (
            Purpose.STATE,
            {"free": GB, "files": 1},
            "missing: room for 1 new file only, for logs of runs: /x = remove files",
        ),
        (
            Purpose.STATE,
            {"free": GB, "is_writable": False},
            "missing: this user may not write logs of runs: /x = correct",
        ),
    ],
)
def test_disks(purpose: Purpose, space: dict[str, Any], finding: str) -> None:
    spaces = {Place(path=Path("/x"), purpose=purpose): Space(**space)}
    assert lines_of(facts_of("", spaces=spaces), "disks").startswith(finding)


@pytest.mark.parametrize(
    ("ahead", "status"), [(0.0, "ok"), (60.0, "ok"), (-60.0, "ok"), (61.0, "warning"), (-61.0, "warning")]
)
def test_the_tolerance_of_clocks(ahead: float, status: str) -> None:
    assert lines_of(facts_of("", engine=engine_of(ahead=ahead)), "clocks").startswith(f"{status}: ")


def test_an_engine_without_a_clock_is_not_known() -> None:
    engine = replace(engine_of(), clock=Unanswered(reason="the engine does not report its time"))
    assert lines_of(facts_of("", engine=engine), "clocks") == text("""
        unknown: unix:///run/docker.sock: the engine does not report its time
        """)


# --- the image store --------------------------------------------------------------------------------------------------


def test_a_classic_store_loads_one_platform() -> None:
    toml = """
        [builders.ci]
        [targets.web]
        builder = "ci"
        platforms = ["linux/amd64", "linux/arm64"]
        load = true
        """
    classic = facts_of(toml, engine=engine_of(store="classic"))
    assert lines_of(classic, "image-store") == (
        "warning: web: the classic image store of the engine in use loads linux/amd64 only = enable the containerd "
        "image store of the engine"
    )
    assert lines_of(facts_of(toml), "image-store") == "ok: image store: containerd"
