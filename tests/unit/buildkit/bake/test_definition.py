"""The bake definition of a build piece."""

from __future__ import annotations

import json
import posixpath
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.platforms import parse_platforms
from mpbake.buildkit.bake.definition import (
    DefinitionContext,
    DockerfilePath,
    bake_definition,
    check_definition,
    dockerfiles,
    entitlements,
    grants,
    outputs,
    piece_annotations,
)
from mpbake.model.annotations import index_annotations
from mpbake.model.bake_fields import Paths
from mpbake.model.plan import Driver
from mpbake.model.steps import BuildPiece, CheckPiece
from mpbake.report.plan.bake_definition import bake_json
from mpbake.spec.tables.target_tables import ATTRIBUTES
from tests.unit.graphs import TWO_NODES, graph_of, graph_of_text, piece_of
from tests.unit.plans import target_of_text

if TYPE_CHECKING:
    from collections.abc import Sequence

CONTAINER, ENGINE = Driver.DOCKER_CONTAINER, Driver.DOCKER


def pieces_of(attributes: str, *more: str) -> list[BuildPiece]:
    """Return the pieces of a target `web` on an Intel node and an ARM node."""
    rest = "\n".join(more)
    return _pieces(f"\n[targets.web]\nbuilder = 'release'\n{attributes}\n{rest}\n{TWO_NODES}")


def pieces_on(driver: Driver, attributes: str) -> list[BuildPiece]:
    """Return the pieces of a target `web` on the only node of a builder."""
    return _pieces(f"[targets.web]\nbuilder = 'x'\n{attributes}\n[builders.x]\ndriver = '{driver}'")


def _pieces(plan: str) -> list[BuildPiece]:
    return [
        step
        for step in graph_of_text(plan, "web", relative=False).steps
        if isinstance(step, BuildPiece) and not step.shared
    ]


def targets_of(piece: BuildPiece, driver: Driver = CONTAINER, built: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """Return the targets in the definition of a piece, by name. `built` names the linked targets."""
    links = {link.name: link for link in piece.target.links.values()}
    setting = DefinitionContext(driver=driver, built=[links[name] for name in built])
    definition = bake_definition(piece, setting)
    assert list(definition) == ["target"]
    targets: dict[str, dict[str, Any]] = definition["target"]
    return targets


# --- the target itself ------------------------------------------------------------------------------------------------


def test_a_whole_target_in_one_piece() -> None:
    (piece,) = pieces_of("""
        context = "web"
        dockerfile = "Dockerfile.prod"
        args = { A = "1", B = "" }
        labels = { "a.b" = "c" }
        platforms = ["linux/amd64", "linux/386"]
        tags = ["r/web:1", "r/web:latest"]
        push = true
        no-cache = true
        cache-to = ["type=local,dest=cache"]
        annotations = ["index:a=b", "manifest[linux/386]:c=d"]
        """)
    assert targets_of(piece) == {
        "web": {
            "context": "/plan/web",
            "dockerfile": "Dockerfile.prod",
            "args": {"A": "1", "B": ""},
            "labels": {"a.b": "c"},
            "platforms": ["linux/amd64", "linux/386"],
            "no-cache": True,
            "cache-to": ["type=local,dest=/plan/cache"],
            "annotations": ["index:a=b", "manifest[linux/386]:c=d"],
            "output": ["type=image,name=r/web,push=true,push-by-digest=true,name-canonical=true,store=false"],
        }
    }


def test_a_target_of_which_nothing_is_said() -> None:
    (piece,) = [step for step in graph_of_text("[targets.web]", relative=False).steps if isinstance(step, BuildPiece)]
    assert targets_of(piece) == {"web": {"context": "/plan", "output": ["type=cacheonly"], "tags": []}}


ANNOTATIONS = ["index:a=b", "manifest:c=d", "index,manifest:e=f", "manifest[linux/386]:g=h"]
EACH = ["index:a=b", "manifest:c=d", "index:e=f", "manifest:e=f", "manifest[linux/386]:g=h"]


@pytest.mark.parametrize(
    ("attributes", "annotations"),
    [
        # the image has no index, and buildx refuses annotations of an index
        ("platforms = ['linux/amd64']", ["manifest:c=d", "manifest:e=f"]),
        ("platforms = ['linux/amd64']\ntags = ['r/web:1']\nload = true", ["manifest:c=d", "manifest:e=f"]),
        ("platforms = ['linux/386']\noutput = ['type=oci,dest=x']", ["manifest:c=d", "manifest:e=f", ANNOTATIONS[3]]),
        # these images have an index
        ("platforms = ['linux/amd64', 'linux/386']", EACH),
        ("platforms = ['linux/amd64']\ntags = ['r/web:1']\npush = true", EACH),
    ],
)
def test_annotations_of_an_index_only_where_there_is_one(attributes: str, annotations: list[str]) -> None:
    (piece,) = pieces_of(f"{attributes}\nannotations = {json.dumps(ANNOTATIONS)}")
    assert targets_of(piece)["web"]["annotations"] == annotations


BY_DIGEST_TO_ONE = "type=image,name=r/web,push=true,push-by-digest=true,name-canonical=true,store=false"


@pytest.mark.parametrize(
    ("attributes", "output"),
    [
        ("push = true", BY_DIGEST_TO_ONE),
        ("push = true\nannotations = ['a=b', 'manifest[linux/arm64]:a=b']", BY_DIGEST_TO_ONE),
        ("push = true\nannotations = ['manifest-descriptor:a=b']", f"{BY_DIGEST_TO_ONE},oci-mediatypes=true"),
        ("push = true\nannotations = ['index:a=b']", f"{BY_DIGEST_TO_ONE},oci-mediatypes=true"),
        (
            "output = ['type=registry,oci-mediatypes=false']\nannotations = ['index:a=b']",
            f"{BY_DIGEST_TO_ONE},oci-mediatypes=false",
        ),
    ],
)
def test_all_pieces_have_the_media_types_that_annotations_bring(attributes: str, output: str) -> None:
    text = f"platforms = ['linux/amd64', 'linux/arm64']\ntags = ['r/web:1']\n{attributes}"
    assert [targets_of(piece)["web"]["output"] for piece in pieces_of(text)] == [[output]] * 2


def test_the_pieces_of_a_split_target_behave_as_parts_of_many() -> None:
    amd64, arm64 = pieces_of("""
        platforms = ["linux/amd64", "linux/arm64"]
        tags = ["r/web:1"]
        push = true
        args = { A = "1" }
        annotations = [
            "plain=1",
            "index:title=web",
            "manifest[linux/arm64]:arm=1",
            "index,manifest:both=1",
            "manifest[linux/amd64],manifest-descriptor[linux/arm64]:split=1",
        ]
        """)
    by_digest = f"{BY_DIGEST_TO_ONE},oci-mediatypes=true"
    assert targets_of(amd64) == {
        "web": {
            "context": "/plan",
            "args": {"A": "1", "BUILDKIT_MULTI_PLATFORM": "1"},
            "platforms": ["linux/amd64"],
            "annotations": ["manifest:plain=1", "manifest:both=1", "manifest[linux/amd64]:split=1"],
            "output": [by_digest],
        }
    }
    assert targets_of(arm64)["web"]["annotations"] == [
        "manifest:plain=1",
        "manifest[linux/arm64]:arm=1",
        "manifest:both=1",
        "manifest-descriptor[linux/arm64]:split=1",
    ]
    assert index_annotations(amd64.target.attributes["annotations"])["index"] == {"title": "web", "both": "1"}


@pytest.mark.parametrize(
    ("annotation", "part", "index"),
    [
        ("org.example=1", ["manifest:org.example=1"], {}),
        ("index:a=1", [], {"a": "1"}),
        ("index-descriptor:a=1", [], {}),
        ("index,index-descriptor:a=1", [], {"a": "1"}),
        ("manifest:a=b:c=d", ["manifest:a=b:c=d"], {}),
        ("manifest[linux/arm64/v8]:a=1", ["manifest[linux/arm64/v8]:a=1"], {}),
        ("manifest[linux/aarch64]:a=1", ["manifest[linux/aarch64]:a=1"], {}),
        ("manifest[linux/x86_64]:a=1", [], {}),
        ("manifest[linux/amd64],index:a=1", [], {"a": "1"}),
        # an unknown level belongs to the key
        ("https://x:y=1", ["manifest:https://x:y=1"], {}),
        ("other:a=1", ["manifest:other:a=1"], {}),
        ("index,other:a=1", ["manifest:index,other:a=1"], {}),
        ("manifest:a=two\nlines", ["manifest:a=two\nlines"], {}),
    ],
)
def test_annotations_go_where_they_belong(annotation: str, part: list[str], index: dict[str, str]) -> None:
    target = target_of_text(f"[targets.web]\nannotations = {json.dumps([annotation])}")
    assert piece_annotations(target, parse_platforms(["linux/arm64"])) == part
    assert index_annotations(target.attributes["annotations"])["index"] == index


# --- where the results go ---------------------------------------------------------------------------------------------

SEVERAL = "tags = ['r/web:1', 's:5000/web:1']"
ONE = "tags = ['r/web:1']"
PLAIN = "attest = ['type=provenance,disabled=true']"
DIGEST = "push=true,push-by-digest=true,name-canonical=true,store=false"
BY_DIGEST = f'type=image,"name=r/web,s:5000/web",{DIGEST}'
ONE_BY_DIGEST = f"type=image,name=r/web,{DIGEST}"
_UPLOAD = "mpbake-upload-6e63e60516ac"
UPLOAD = f"type=image,name=r/web:{_UPLOAD},push=true"
UPLOADS = f'type=image,"name=r/web:{_UPLOAD},s:5000/web:{_UPLOAD}",push=true'


@pytest.mark.parametrize(
    ("driver", "attributes", "output", "tags"),
    [
        (CONTAINER, "", ["type=cacheonly"], []),
        (CONTAINER, "tags = ['r/web:1']", ["type=cacheonly"], ["r/web:1"]),
        (CONTAINER, "tags = ['r/web:1']\npush = true", [ONE_BY_DIGEST], None),
        (ENGINE, f"tags = ['r/web:1']\npush = true\n{PLAIN}", [UPLOAD], None),
        (CONTAINER, f"{SEVERAL}\npush = true", [BY_DIGEST], None),
        # the docker driver cannot push by digest: it pushes under an unused tag
        (ENGINE, "tags = ['r/web:1']\npush = true", [UPLOAD], None),
        (ENGINE, f"{SEVERAL}\npush = true", [UPLOADS], None),
        (
            ENGINE,
            "tags = ['r/web:1']\noutput = ['type=registry,store=false,compression=zstd']",
            [f"{UPLOAD},compression=zstd"],
            None,
        ),
        (CONTAINER, "tags = ['r/web:1']\nload = true", ["type=docker"], ["r/web:1"]),
        (
            CONTAINER,
            "tags = ['r/web:1']\nload = true\npush = true",
            ["type=docker,name=r/web:1", ONE_BY_DIGEST],
            None,
        ),
        # the image is in the engine's store anyway, and gets its tags after the build
        (ENGINE, f"tags = ['r/web:1']\nload = true\npush = true\n{PLAIN}", [UPLOAD], None),
        (
            ENGINE,
            f"{PLAIN}\n{ONE}\npush = true\noutput = ['type=docker', 'type=image', 'type=docker,dest=web.tar']",
            ["type=docker,dest=/plan/web.tar,name=r/web:1", UPLOAD],
            None,
        ),
        (
            ENGINE,
            f"tags = ['r/web:1']\nload = true\n{PLAIN}\noutput = ['type=registry,store=false']",
            [UPLOAD],
            None,
        ),
        (ENGINE, f"{SEVERAL}\nload = true\npush = true", [UPLOADS], None),
        (
            CONTAINER,
            f"{SEVERAL}\nload = true\npush = true",
            ['type=docker,"name=r/web:1,s:5000/web:1"', BY_DIGEST],
            None,
        ),
        # these outputs do not conflict with the image
        (
            ENGINE,
            f"{PLAIN}\n{ONE}\npush = true\noutput = ['type=docker,name=own', 'type=docker,context=other']",
            ["type=docker,name=own", "type=docker,context=other,name=r/web:1", UPLOAD],
            None,
        ),
        (
            ENGINE,
            f"{PLAIN}\n{ONE}\npush = true\noutput = ['type=docker,compression=zstd']",
            [UPLOAD],
            None,
        ),
        (
            CONTAINER,
            f"{ONE}\noutput = ['type=oci,dest=web.tar']",
            ["type=oci,dest=/plan/web.tar"],
            ["r/web:1"],
        ),
        (
            CONTAINER,
            f"{SEVERAL}\npush = true\noutput = ['type=docker,dest=d.tar']",
            ['type=docker,dest=/plan/d.tar,"name=r/web:1,s:5000/web:1"', BY_DIGEST],
            None,
        ),
        (
            CONTAINER,
            f"{SEVERAL}\npush = true\noutput = ['type=oci,dest=web.tar', 'type=docker,dest=d.tar,name=own', 'out']",
            [
                'type=oci,dest=/plan/web.tar,"name=r/web:1,s:5000/web:1"',
                "type=docker,dest=/plan/d.tar,name=own",
                "type=local,dest=/plan/out",
                BY_DIGEST,
            ],
            None,
        ),
        (
            ENGINE,
            f"{SEVERAL}\npush = true\noutput = ['type=oci,dest=web.tar']",
            ['type=oci,dest=/plan/web.tar,"name=r/web:1,s:5000/web:1"', UPLOADS],
            None,
        ),
        (
            CONTAINER,
            "output = ['out', 'type=oci,dest=web.tar']",
            ["type=local,dest=/plan/out", "type=oci,dest=/plan/web.tar"],
            [],
        ),
        (
            CONTAINER,
            "tags = ['r/web:1']\npush = true\noutput = ['out']",
            ["type=local,dest=/plan/out", ONE_BY_DIGEST],
            None,
        ),
    ],
)
def test_outputs_and_tags(driver: Driver, attributes: str, output: list[str], tags: list[str] | None) -> None:
    (piece,) = pieces_on(driver, f"platforms = ['linux/amd64']\n{attributes}")
    assert outputs(piece, DefinitionContext(driver=driver)) == output
    target = targets_of(piece, driver)["web"]
    assert (target["output"], target.get("tags")) == (output, tags)


@pytest.mark.parametrize("load", ["", "load = true"])
def test_an_engine_with_the_classic_store_keeps_the_image_under_its_tags(load: str) -> None:
    (piece,) = pieces_on(ENGINE, f"platforms = ['linux/amd64']\n{SEVERAL}\npush = true\n{load}\noutput = ['out']")
    target = bake_definition(piece, DefinitionContext(driver=ENGINE, classic=True))["target"]["web"]
    assert target["output"] == ["type=local,dest=/plan/out", "type=image"]
    assert target["tags"] == ["r/web:1", "s:5000/web:1"]


def test_an_output_that_pushes_is_the_push_of_its_target() -> None:
    (piece,) = pieces_of("platforms = ['linux/amd64']\ntags = ['r/web:1']\noutput = ['type=registry', 'out']")
    assert outputs(piece, DefinitionContext(driver=CONTAINER)) == ["type=local,dest=/plan/out", ONE_BY_DIGEST]


NOWHERE = {"output": ["type=cacheonly"], "attest": ["type=provenance,disabled=true"]}

# --- links ------------------------------------------------------------------------------------------------------------

LINKS = """
    [targets.base]
    context = "base"
    platforms = ["linux/arm64", "linux/amd64"]
    contexts = { deep = "target:deep", files = "files", image = "docker-image://alpine" }
    tags = ["r/base:1"]
    push = true
    no-cache = true
    pull = true
    cache-to = ["type=local,dest=cache"]
    cache-from = ["type=local,src=cache"]
    output = ["out"]
    [targets.deep]
    context = "deep"
    [targets.files]
    context = "files"
    platforms = ["linux/amd64"]
    """


def test_links_are_built_within_and_leave_nothing_behind() -> None:
    _, arm64 = pieces_of(
        """
        platforms = ["linux/amd64", "linux/arm64"]
        contexts = { base = "target:base", again = "target:base", files = "target:files", own = "own" }
        """,
        LINKS,
    )
    assert targets_of(arm64) == {
        "web": {
            "context": "/plan",
            "contexts": {"own": "/plan/own", "base": "target:base", "again": "target:base", "files": "target:files"},
            "platforms": ["linux/arm64"],
            "args": {"BUILDKIT_MULTI_PLATFORM": "1"},
            "annotations": [],
            "tags": [],
            "output": ["type=cacheonly"],
        },
        "base": {
            "context": "/plan/base",
            "contexts": {"files": "/plan/files", "image": "docker-image://alpine", "deep": "target:deep"},
            "platforms": ["linux/arm64"],
            "no-cache": True,
            "pull": True,
            "cache-from": ["type=local,src=/plan/cache"],
            **NOWHERE,
        },
        "files": {"context": "/plan/files", "platforms": ["linux/amd64"], **NOWHERE},
        "deep": {"context": "/plan/deep", "platforms": ["linux/arm64"], **NOWHERE},
    }


def test_a_link_that_this_run_has_built_is_taken_from_the_cache() -> None:
    (piece,) = pieces_of("platforms = ['linux/arm64']\nno-cache = true\ncontexts = { base = 'target:base' }", LINKS)
    before, after = targets_of(piece), targets_of(piece, built=["base"])
    assert before["base"]["no-cache"] is before["base"]["pull"] is True
    assert {"no-cache", "pull"}.isdisjoint(after["base"])
    assert after["web"]["no-cache"] is True


def test_an_engine_goes_on_to_pull_since_it_may_have_an_older_image_by_that_name() -> None:
    (piece,) = pieces_of("platforms = ['linux/arm64']\ncontexts = { base = 'target:base' }", LINKS)
    base = targets_of(piece, Driver.DOCKER, built=["base"])["base"]
    assert "no-cache" not in base
    assert base["pull"] is True
    more = "checks = [{ run = ['true'] }]\npull = true\nno-cache = true"
    assert checked(more, driver=Driver.DOCKER)[1]["web"].keys() >= {"pull"}
    assert checked(more, driver=Driver.DOCKER)[1]["web"].keys().isdisjoint({"no-cache"})


def test_images_that_were_published_are_contexts_of_those_who_are_built_upon_them() -> None:
    """The plan's own named contexts have precedence."""
    (piece,) = pieces_of("platforms = ['linux/arm64']\ncontexts = { base = 'target:base', own = 'own' }", LINKS)
    (base,) = piece.target.links.values()
    published = {"r/a": "docker-image://r/a@sha256:1", "own": "docker-image://r/own@sha256:1"}
    setting = DefinitionContext(
        driver=CONTAINER, bases={piece.target: published, base: {"r/a": "docker-image://r/a@sha256:2"}}
    )
    targets = bake_definition(piece, setting)["target"]
    assert targets["web"]["contexts"] == {
        "r/a": "docker-image://r/a@sha256:1",
        "own": "/plan/own",
        "base": "target:base",
    }
    assert targets["base"]["contexts"]["r/a"] == "docker-image://r/a@sha256:2"


def test_links_of_a_target_whose_platform_only_the_node_knows() -> None:
    (piece,) = [
        step
        for step in graph_of_text(
            f"\n[targets.web]\ncontexts = {{ base = 'target:base' }}\n{LINKS}", "web", relative=False
        ).steps
        if isinstance(step, BuildPiece)
    ]
    targets = targets_of(piece, ENGINE)
    assert [targets[name].get("platforms") for name in ("web", "base", "deep")] == [
        None,
        ["linux/arm64", "linux/amd64"],
        ["linux/arm64", "linux/amd64"],
    ]


def test_a_shared_piece_stays_in_the_cache() -> None:
    graph = graph_of_text(
        f"""
        [targets.web]
        platforms = ["linux/amd64"]
        contexts = {{ base = "target:base" }}
        [targets.worker]
        platforms = ["linux/amd64"]
        contexts = {{ base = "target:base" }}
        {LINKS}
        """,
        "web",
        "worker",
        relative=False,
    )
    targets = targets_of(piece_of(graph, "base"))
    assert targets["base"] == {
        "context": "/plan/base",
        "contexts": {"files": "/plan/files", "image": "docker-image://alpine", "deep": "target:deep"},
        "platforms": ["linux/amd64"],
        "no-cache": True,
        "pull": True,
        "cache-from": ["type=local,src=/plan/cache"],
        "annotations": [],
        "output": ["type=cacheonly"],
    }
    assert list(targets) == ["base", "deep"]


def test_a_definition_changes_nothing_of_its_target() -> None:
    pieces = pieces_of("platforms = ['linux/amd64', 'linux/arm64']\nargs = { A = '1' }\nannotations = ['index:a=b']")
    first = [targets_of(piece) for piece in pieces]
    assert [targets_of(piece) for piece in pieces] == first
    assert pieces[0].target.attributes["args"] == {"A": "1"}


# --- platforms that differ --------------------------------------------------------------------------------------------


def test_each_part_is_told_what_holds_on_its_platforms() -> None:
    pieces = pieces_of("""
        platforms = ["linux/amd64", "linux/386", "linux/arm64"]
        args = { ALL = "1", BITS = "{{ '32' if platform.arch == '386' else '64' }}" }
        cache-to = ["type=local,dest=cache-{{ platform.slug }}"]
        """)
    definitions = [targets_of(piece)["web"] for piece in pieces]
    assert [(definition["platforms"], definition["args"], definition["cache-to"]) for definition in definitions] == [
        (
            [platform],
            {"ALL": "1", "BITS": bits, "BUILDKIT_MULTI_PLATFORM": "1"},
            [f"type=local,dest=/plan/cache-{platform.replace('/', '-')}"],
        )
        for platform, bits in (("linux/amd64", "64"), ("linux/386", "32"), ("linux/arm64", "64"))
    ]


BASES = """
    [targets.intel]
    [targets.arm]
    [targets.assets]
    platforms = ["linux/amd64"]
    contexts = { base = "target:base" }
    [targets.base]
    platforms = ["linux/amd64", "linux/arm64"]
    args = { ARCH = "{{ platform.arch }}" }
    [targets.base-2]
    """


def test_each_part_links_to_its_own_targets() -> None:
    pieces = pieces_of(
        """
        platforms = ["linux/amd64", "linux/arm64"]
        contexts = { base = "target:{{ 'arm' if platform.arch == 'arm64' else 'intel' }}", files = "files" }
        """,
        BASES,
    )
    definitions = [targets_of(piece) for piece in pieces]
    assert [list(definition) for definition in definitions] == [["web", "intel"], ["web", "arm"]]
    assert [definition["web"]["contexts"]["base"] for definition in definitions] == ["target:intel", "target:arm"]


def test_a_link_that_differs_is_told_the_same_platform() -> None:
    pieces = pieces_of('platforms = ["linux/amd64", "linux/arm64"]\ncontexts = { base = "target:base" }', BASES)
    definitions = [targets_of(piece)["base"] for piece in pieces]
    assert [(definition["platforms"], definition["args"]) for definition in definitions] == [
        (["linux/amd64"], {"ARCH": "amd64"}),
        (["linux/arm64"], {"ARCH": "arm64"}),
    ]


def test_what_is_needed_for_two_platforms_that_differ_is_there_twice() -> None:
    """The Intel node builds the assets and their links, for both platforms."""
    _, piece = pieces_of(
        """
        platforms = ["linux/amd64", "linux/arm64"]
        contexts = { base = "target:base", assets = "target:assets", other = "target:base-2" }
        """,
        BASES,
    )
    targets = targets_of(piece)
    shown = {
        name: (target["platforms"], target.get("args", {}).get("ARCH"), target.get("contexts", {}))
        for name, target in targets.items()
    }
    assert shown == {
        "web": (
            ["linux/arm64"],
            None,
            {"base": "target:base", "assets": "target:assets", "other": "target:base-2"},
        ),
        "base": (["linux/arm64"], "arm64", {}),
        "base-3": (["linux/amd64"], "amd64", {}),
        "assets": (["linux/amd64"], None, {"base": "target:base-3"}),
        "base-2": (["linux/arm64"], None, {}),
    }


def test_what_is_needed_for_more_platforms_that_differ_is_there_as_often() -> None:
    """The copy of a link never gets the name of another link or of the target itself."""
    targets = target_of_text(
        """
        [targets.base-2]
        platforms = ["linux/amd64"]
        contexts = { base = "target:base", arm = "target:arm", s390x = "target:s390x" }
        [targets.arm]
        platforms = ["linux/arm64"]
        contexts = { base = "target:base" }
        [targets.s390x]
        platforms = ["linux/s390x"]
        contexts = { base = "target:base" }
        [targets.base]
        platforms = ["linux/amd64", "linux/arm64", "linux/s390x"]
        args = { ARCH = "{{ platform.arch }}" }
        """,
        "base-2",
    )
    graph = graph_of([targets])
    definition = targets_of(piece_of(graph, "base-2"))
    assert {name: target.get("args", {}).get("ARCH") for name, target in definition.items()} == {
        "base-2": None,
        "base": "amd64",
        "base-3": "arm64",
        "base-4": "s390x",
        "arm": None,
        "s390x": None,
    }
    assert [definition[name]["contexts"]["base"] for name in ("base-2", "arm", "s390x")] == [
        "target:base",
        "target:base-3",
        "target:base-4",
    ]


def test_a_link_that_differs_is_there_for_one_whose_platform_only_the_node_knows() -> None:
    """The native platform is unknown until the node is probed."""
    graph = graph_of([target_of_text(f"[targets.web]\ncontexts = {{ base = 'target:base' }}\n{BASES}")])
    targets = targets_of(piece_of(graph, "web"))
    assert list(targets) == ["web", "base", "base-2"]
    assert targets["web"]["contexts"] == {"base": "target:base"}


# --- as JSON ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("${PATH}", "$${PATH}"),
        ("%{ if true }x%{ endif }", "%%{ if true }x%%{ endif }"),
        ("$${x}", "$$${x}"),
        ("$PATH 100% $(id) {}", "$PATH 100% $(id) {}"),
        ('ä 漢 " \\ \n', 'ä 漢 " \\ \n'),
    ],
)
def test_bake_finds_no_template_of_its_own(text: str, escaped: str) -> None:
    definition = {"target": {"web": {text: [text, {text: text}], "no-cache": True, "other": None}}}
    assert json.loads(bake_json(definition)) == {
        "target": {"web": {escaped: [escaped, {escaped: escaped}], "no-cache": True, "other": None}}
    }


def test_what_stands_in_a_plan_is_escaped_everywhere() -> None:
    (piece,) = pieces_of(r"""
        platforms = ["linux/amd64"]
        args = { "A${x}" = "${y}" }
        dockerfile-inline = "ENV A=${PATH}"
        context = "%{x}"
        """)
    definition = bake_json(bake_definition(piece, DefinitionContext(driver=CONTAINER)))
    assert [definition.count(template) for template in ("$${x}", "$${y}", "$${PATH}", "/%%{x}")] == [1, 1, 1, 1]
    assert definition.count("${") == 3


# --- Dockerfiles, as errors call them ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "path", "local"),
    [
        ({"context": "/plan"}, "Dockerfile", True),
        ({"context": "/plan/docker/web"}, "docker/web/Dockerfile", True),
        ({"context": "/plan/web", "dockerfile": "../docker/web.Dockerfile"}, "docker/web.Dockerfile", True),
        ({"context": "/planet"}, "/planet/Dockerfile", True),
        ({"context": "/plan/web", "dockerfile-inline": "FROM x"}, "Dockerfile", False),
        ({"context": "https://example.org/x.git", "dockerfile": "a/Dockerfile"}, "a/Dockerfile", False),
        (
            {"context": "/plan/web", "dockerfile": "https://example.org/Dockerfile"},
            "https://example.org/Dockerfile",
            False,
        ),
    ],
)
def test_where_a_dockerfile_is(target: dict[str, str], path: str, *, local: bool) -> None:
    assert dockerfiles({"target": {"web": target}}, Path("/plan")) == {"web": DockerfilePath(path=path, local=local)}


# --- entitlements of newer buildx -------------------------------------------------------------------------------------


def granted(attributes: str, *more: str) -> list[str]:
    (piece,) = pieces_of(f"platforms = ['linux/amd64']\n{attributes}", *more)
    return grants(bake_definition(piece, DefinitionContext(driver=CONTAINER)), "/plan", posixpath.normpath)


@pytest.mark.parametrize(
    ("attributes", "allowed"),
    [
        ("", []),
        ("context = 'web'", []),
        ("context = '../other'", ["fs.read=/other"]),
        ("context = 'https://example.com/repo.git'", []),
        # buildx itself forwards the agent for these
        ("context = 'git@example.com:repo.git'", ["ssh"]),
        ("contexts = { a = 'git@example.com:repo.git' }", ["ssh"]),
        ("context = 'git@example.com:repo.git'\nssh = ['default']", ["ssh"]),
        ("context = 'ssh://git@example.com/repo.git'", ["ssh"]),
        ("contexts = { a = '/files', b = 'docker-image://alpine', c = 'files' }", ["fs.read=/files"]),
        ("contexts = { a = 'oci-layout:///x:1', b = 'cwd://../y' }", ["fs.read=/x", "fs.read=/y"]),
        ("dockerfile = './sub/../Dockerfile.prod'", []),
        ("dockerfile = '/etc/Dockerfile'", ["fs.read=/etc/Dockerfile"]),
        ("context = '/'\ndockerfile = '/etc/Dockerfile'", ["fs.read=/"]),
        ("context = '/web'\ndockerfile = 'sub/Dockerfile'", ["fs.read=/web"]),
        ("context = '/web'\ndockerfile = '../webs/Dockerfile'", ["fs.read=/web", "fs.read=/webs/Dockerfile"]),
        ("context = 'web'\ndockerfile = '../Dockerfile'", []),
        ("dockerfile = 'https://example.com/Dockerfile'", []),
        ("context = 'https://example.com/repo.git'\ndockerfile = '../Dockerfile'", []),
        ("secret = ['id=a,src=/a.txt', 'id=b,env=B', 'id=c']", ["fs.read=/a.txt"]),
        ("secret = ['id=a,src=']", []),
        ("secret = ['type=file,id=a,source=/a.txt']", ["fs.read=/a.txt"]),
        ("secret = ['type=env,id=a,src=/HOME']", []),
        ("ssh = ['default']", ["ssh"]),
        (
            "ssh = ['default=/one.pem,two.pem', 'other=/run/agent']",
            ["fs.read=/one.pem", "fs.read=/run/agent", "ssh"],
        ),
        ("policy = ['filename=../a.rego', 'filename=b.rego']", ["fs.read=/a.rego"]),
        (
            (
                "cache-from = ['type=local,src=/cache', 'type=registry,ref=r/cache']\n"
                "cache-to = ['type=local,dest=/cache,mode=max', 'type=inline']"
            ),
            ["fs.read=/cache", "fs.write=/cache"],
        ),
        ("output = ['/out', 'type=tar,dest=/out/x.tar', 'in']", ["fs.write=/out"]),
        ("tags = ['r/web:1']\npush = true", []),
    ],
)
def test_exactly_what_the_plan_names_is_granted(attributes: str, allowed: list[str]) -> None:
    assert granted(attributes) == allowed


def test_only_an_output_that_deletes_may_delete() -> None:
    delete = "buildx.local.delete"
    assert granted("output = ['type=local,dest=out,mode=delete']") == [delete]
    base = "[targets.base]\noutput = ['type=local,dest=out,mode=delete']"
    assert delete not in granted("output = ['out']\ncontexts = { base = 'target:base' }", base)


def test_a_node_that_knows_no_policies_is_to_refuse_them() -> None:
    base = "[targets.base]\npolicy = ['filename=base.rego,strict=false']"
    (piece,) = pieces_of(
        "platforms = ['linux/amd64']\npolicy = ['filename=a.rego', 'reset=true']\ncontexts = { base = 'target:base' }",
        base,
    )
    targets = targets_of(piece)
    assert targets["web"]["policy"] == ["filename=a.rego,strict=true", "reset=true,strict=true"]
    assert targets["base"]["policy"] == ["filename=base.rego,strict=false"]


@pytest.mark.parametrize(
    ("attributes", "allowed"),
    [
        ("", []),
        ("network = 'none'", []),
        ("network = 'host'", ["network.host"]),
        ("entitlements = ['security.insecure', 'device']", ["security.insecure", "device"]),
        ("entitlements = ['network.host']\nnetwork = 'host'", ["network.host"]),
        ("contexts = { base = 'target:privileged' }", ["network.host", "device"]),
    ],
)
def test_exactly_what_run_steps_may_do_is_allowed(attributes: str, allowed: list[str]) -> None:
    privileged = "[targets.privileged]\nentitlements = ['network.host', 'device']"
    (piece,) = pieces_of(f"platforms = ['linux/amd64']\n{attributes}", privileged)
    assert entitlements(bake_definition(piece, DefinitionContext(driver=CONTAINER))) == allowed


def test_the_nearest_folder_that_exists_is_granted() -> None:
    (piece,) = pieces_of("""
        platforms = ["linux/amd64"]
        cache-from = ["type=local,src=/cache/old"]
        cache-to = ["type=local,dest=/cache/new"]
        output = ["/out/a", "/out/b"]
        """)
    definition = bake_definition(piece, DefinitionContext(driver=CONTAINER))
    assert grants(definition, "/plan", posixpath.normpath, posixpath.dirname) == [
        "fs.read=/cache",
        "fs.write=/cache",
        "fs.write=/out",
    ]


def test_a_path_is_granted_as_it_was_when_the_rights_were_checked() -> None:
    (piece,) = pieces_of("platforms = ['linux/amd64']\ncontext = 'link'\ncontexts = { a = 'folder' }")
    resolved = {"/plan/link": "/home/me/link", "/plan/folder": "/plan/folder"}
    definition = bake_definition(piece, DefinitionContext(driver=CONTAINER))
    assert grants(definition, "/plan", lambda path: resolved.get(path, path)) == ["fs.read=/home/me/link"]


def test_links_are_granted_theirs() -> None:
    links = LINKS + "\n[targets.far]\ncontext = '/far'\ncontexts = { deep = 'target:deep', old = '/old' }"
    assert granted("contexts = { far = 'target:far' }", links) == ["fs.read=/far", "fs.read=/old"]


def test_another_attribute_that_holds_paths_is_granted_them(monkeypatch: pytest.MonkeyPatch) -> None:
    attributes = {**ATTRIBUTES, "labels": replace(ATTRIBUTES["labels"], paths=Paths.CONTEXT)}
    for module in ("resolve.targets.paths", "review.grants.attributes"):
        monkeypatch.setattr(f"mpbake.{module}.ATTRIBUTES", attributes)
    assert granted("labels = { a = '/files' }") == ["fs.read=/files"]


# --- checks -----------------------------------------------------------------------------------------------------------


def checked(
    attributes: str, platforms: str = "'linux/amd64'", *, uploaded: str = "", driver: Driver = CONTAINER
) -> tuple[str, dict[str, Any]]:
    """Return the definition of the first check of a target."""
    graph = graph_of_text(f"\n[targets.web]\nplatforms = [{platforms}]\n{attributes}\n{LINKS}", "web", relative=False)
    check = next(step for step in graph.steps if isinstance(step, CheckPiece))
    name, definition = check_definition(check, DefinitionContext(driver=driver), uploaded)
    return name, definition["target"]


def test_a_command_runs_upon_the_target_as_it_has_been_built() -> None:
    name, targets = checked("""
        checks = [{ run = ["php", "-r", "echo '${x}' <<EOF;", "ä"] }]
        contexts = { base = "target:base" }
        no-cache = true
        pull = true
        no-cache-filter = ["build"]
        cache-to = ["type=local,dest=cache"]
        attest = ["type=sbom"]
        annotations = ["index:a=b"]
        ulimits = ["nofile=10"]
        tags = ["r/web:1"]
        """)
    assert name == "web-check-1"
    assert targets[name] == {
        "context": ".",
        "contexts": {"checked": "target:web"},
        "dockerfile-inline": ('FROM checked\nRUN ["php", "-r", "echo \'${x}\' \\u003c<EOF;", "\\u00e4"]\n'),
        "no-cache": True,
        "platforms": ["linux/amd64"],
        "ulimits": ["nofile=10"],
        "output": ["type=cacheonly"],
    }
    assert targets["web"] == {
        "context": "/plan",
        "contexts": {"base": "target:base"},
        "ulimits": ["nofile=10"],
        "platforms": ["linux/amd64"],
        **NOWHERE,
    }
    assert {"no-cache", "pull", "cache-to"}.isdisjoint(targets["base"])


@pytest.mark.parametrize(
    ("attribute", "written"),
    [
        ("network", "'none'"),
        ("extra-hosts", "{ db = '10.0.0.1' }"),
        ("shm-size", "'64m'"),
        ("ulimits", "['nofile=10']"),
        ("resources", "{ memory = '1g' }"),
    ],
)
def test_a_command_runs_in_the_surroundings_that_its_target_is_built_in(attribute: str, written: str) -> None:
    attributes = f"checks = [{{ run = ['true'] }}]\n{attribute} = {written}"
    for uploaded in ("", "r/web@sha256:1"):
        name, targets = checked(attributes, uploaded=uploaded)
        (piece,) = pieces_of(f"platforms = ['linux/amd64']\n{attributes}")
        assert targets[name][attribute] == targets_of(piece)["web"][attribute]


def test_a_command_runs_upon_what_was_uploaded_and_nothing_else_is_built() -> None:
    attributes = "checks = [{ run = ['true'] }]\ncontexts = { base = 'target:base' }\nulimits = ['nofile=10']"
    _, cached = checked(attributes)
    name, targets = checked(attributes, uploaded="r/web@sha256:1")
    assert targets == {name: cached[name] | {"contexts": {"checked": "docker-image://r/web@sha256:1"}}}


def test_a_stage_is_built_from_its_dockerfile_whatever_was_uploaded() -> None:
    attributes = "checks = [{ target = 'test' }]\ncontexts = { base = 'target:base' }"
    assert checked(attributes, uploaded="r/web@sha256:1") == checked(attributes)


def test_a_check_finds_a_name_of_its_own() -> None:
    name, targets = checked("""
        checks = [{ run = ["true"] }]
        contexts = { base = "target:web-check-1" }
        [targets.web-check-1]
        """)
    assert name == "web-check-1-"
    assert set(targets) == {"web", "web-check-1", "web-check-1-"}


@pytest.mark.parametrize(
    ("attributes", "fresh"),
    [
        ("", None),
        ("no-cache = true", ["test"]),
        ("no-cache-filter = ['build', 'test']", ["test"]),
        ("no-cache-filter = ['build']", None),
    ],
)
def test_a_stage_is_built_and_nothing_else_anew(attributes: str, fresh: list[str] | None) -> None:
    name, targets = checked(f"{attributes}\nargs = {{ A = '1' }}\ntarget = 'app'\nchecks = [{{ target = 'test' }}]")
    assert (targets[name]["target"], targets["web"]["target"]) == ("test", "app")
    assert targets[name]["args"] == {"A": "1"}
    assert targets[name].get("no-cache-filter") == fresh
    assert "no-cache" not in targets[name]


def test_each_level_of_an_annotation_is_an_entry_of_its_own() -> None:
    graph = graph_of_text(
        """
        [targets.web]
        platforms = ["linux/amd64", "linux/arm64"]
        tags = ["r/web:1"]
        push = true
        annotations = ["index,manifest[linux/arm64]:a=b", "c=d"]
        """,
        relative=False,
    )
    assert targets_of(piece_of(graph, "web"))["web"]["annotations"] == [
        "index:a=b",
        "manifest[linux/arm64]:a=b",
        "manifest:c=d",
    ]
