"""A bake file and its plan are equal only if they build the same images."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from mpbake.conversion.comparison import Names, Printed, Subject, differences, parse_printed

MACHINE = "linux/amd64"
NEW: dict[str, Any] = {
    "description": "all attributes, as buildx 0.36 prints them",
    "annotations": ["index:a=1", "b=2"],
    "attest": [{"type": "provenance", "mode": "max"}, {"type": "sbom", "generator": "x"}],
    "context": "app",
    "contexts": {"base": "target:base", "files": "files", "image": "docker-image://alpine"},
    "dockerfile": "Dockerfile.app",
    "args": {"VERSION": "1"},
    "labels": {"title": "web"},
    "tags": ["example.com/web:1", "example.com/web"],
    "cache-from": [{"type": "gha", "scope": "x"}, {"type": "local", "src": "cache"}],
    "cache-to": [{"type": "inline"}],
    "target": "release",
    "secret": [{"id": "npm", "src": "npmrc"}, {"id": "token", "env": "TOKEN"}],
    "ssh": [{"id": "default"}, {"id": "key", "paths": ["id_rsa"]}],
    "platforms": ["linux/amd64", "linux/arm64"],
    "output": [{"type": "registry"}, {"type": "local", "dest": "out"}],
    "pull": True,
    "no-cache": True,
    "network": "host",
    "no-cache-filter": ["stage"],
    "shm-size": "64m",
    "ulimits": ["nofile=1:2"],
    "resources": {"memory": "1g"},
    "call": "build",
    "entitlements": ["network.host"],
    "extra-hosts": {"db": "10.0.0.1"},
    "policy": [{"filename": "a.rego", "strict": False}],
}
OLD: dict[str, Any] = NEW | {
    "attest": ["type=provenance,mode=max", "type=sbom,generator=x"],
    "cache-from": ["type=gha,scope=x", "type=local,src=cache"],
    "cache-to": ["type=inline"],
    "secret": ["id=npm,src=npmrc", "id=token,env=TOKEN"],
    "ssh": ["default", "key=id_rsa"],
    "output": ["type=registry", "out"],
    "policy": ["filename=a.rego,strict=false"],
}
"""The same target, as buildx 0.13 prints it."""


def printed(**targets: dict[str, Any]) -> Printed:
    return Printed(targets=targets, groups={})


def differing(original: dict[str, Any], imported: dict[str, Any]) -> list[str]:
    """Return the attributes in which two targets differ."""
    found = differences(printed(web=original), printed(web=imported), Names(), MACHINE)
    return [difference.attribute for difference in found]


def mutants(value: Any) -> list[Any]:
    """Return values that differ from `value` in one place, and that build another image."""
    match value:
        case bool():
            return [not value]
        case str():
            return [f"{value}x", *([""] if value else [])]
        case list():
            changed: list[Any] = [
                [*value[:at], new, *value[at + 1 :]] for at, item in enumerate(value) for new in mutants(item)
            ]
            removed: list[Any] = [[*value[:at], *value[at + 1 :]] for at in range(len(value))]
            return [*changed, *removed, [*value, "type=x,id=x,dest=x" if isinstance(value[0], dict) else "x=1"]]
        case dict():
            tables: list[Any] = [{**value, key: new} for key, item in value.items() for new in mutants(item)]
            shorter = [{name: item for name, item in value.items() if name != key} for key in value]
            return [*tables, *shorter, {**value, "new": "x"}]
        case _:
            raise AssertionError(value)


@pytest.mark.parametrize("target", [NEW, OLD], ids=["0.36", "0.13"])
@pytest.mark.parametrize("attribute", NEW)
def test_every_change_of_an_attribute_is_found(attribute: str, target: dict[str, Any]) -> None:
    for mutant in mutants(target[attribute]):
        changed = target | {attribute: mutant}
        found = differing(target, changed)
        assert found, f"{target[attribute]} and {mutant} are not the same"
        assert attribute in {name.partition(".")[0] for name in found}
        assert differing(changed, target), "a difference is one in both directions"


@pytest.mark.parametrize("attribute", NEW)
def test_a_missing_attribute_is_found(attribute: str) -> None:
    rest = {name: value for name, value in NEW.items() if name != attribute}
    expected = {attribute, "output"} if attribute == "tags" else {attribute}  # without tags, nothing is pushed
    assert {name.partition(".")[0] for name in differing(NEW, rest)} == expected
    assert {name.partition(".")[0] for name in differing(rest, NEW)} == expected


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("tags", ["example.com/web", "example.com/web:1"]),
        ("platforms", ["linux/arm64", "linux/amd64"]),
        ("annotations", ["b=2", "index:a=1"]),
    ],
)
def test_the_order_of_a_list_matters(attribute: str, value: list[Any]) -> None:
    assert differing(NEW, NEW | {attribute: value}) == [attribute]


def test_old_and_new_buildx_print_the_same_target() -> None:
    assert differing(OLD, NEW) == []
    assert differing(NEW, OLD) == []


@pytest.mark.parametrize(
    ("attribute", "first", "second"),
    [
        # An empty value is no value.
        ("tags", [], None),
        ("target", "", None),
        ("no-cache", False, None),
        ("args", {}, None),
        # null in a table is no entry.
        ("args", {"A": None, "B": "1"}, {"B": "1"}),
        ("labels", {"A": None}, None),
        # Paths, as buildx cleans them.
        ("context", "./app/", "app"),
        ("context", "cwd://app", "app"),
        ("contexts", {"a": "./x/../y"}, {"a": "y"}),
        ("dockerfile", "./docker/Dockerfile", "docker/Dockerfile"),
        ("output", ["./out"], [{"type": "local", "dest": "out"}]),
        ("output", ["type=docker", "out"], ["out", {"type": "docker"}]),
        ("cache-from", ["type=gha", "type=registry,ref=a"], [{"ref": "a", "type": "registry"}, {"type": "gha"}]),
        ("output", ["type=registry"], ["type=image,push=true"]),
        ("output", ["type=registry,compression=zstd"], [{"type": "image", "push": "1", "compression": "zstd"}]),
        ("output", ["-"], [{"type": "tar", "dest": "-"}]),
        ("output", ["type=docker,push=false"], ["type=docker"]),
        ("output", [{"type": "docker", "push": ""}], ["type=docker"]),
        # buildx refuses to push an image without a name.
        ("output", ["type=registry", "out"], ["out"]),
        ("cache-from", ["type=local,src=./cache"], ["type=local,src=cache"]),
        ("secret", ["id=a,src=./file"], [{"id": "a", "src": "file"}]),
        # Short forms.
        ("cache-from", ["user/app:a,user/app:b"], [{"type": "registry", "ref": "user/app:a"}, "user/app:b"]),
        ("secret", ["type=env,id=a,src=A"], [{"id": "a", "env": "A"}]),
        ("secret", ["type=file,id=a,source=A"], [{"id": "a", "src": "A"}]),
        ("ssh", ["default=a,b"], [{"id": "default", "paths": ["a", "b"]}]),
        ("attest", ["type=sbom,disabled=false"], [{"type": "sbom"}]),
        ("attest", [{"type": "sbom", "disabled": True}], ["type=sbom,disabled=true"]),
        # One entry for each id, type or name; the last one wins.
        ("secret", ["id=a,src=x", "id=b,src=y", "id=a,src=z"], ["id=b,src=y", "id=a,src=z"]),
        ("attest", ["type=sbom", "type=provenance,mode=max"], ["type=provenance,mode=max", "type=sbom"]),
        ("ulimits", ["nofile=1", "nproc=2", "nofile=3"], ["nofile=3", "nproc=2"]),
        # The same platforms.
        ("platforms", ["linux/amd64,linux/arm64/v8"], ["linux/amd64", "linux/arm64"]),
        ("platforms", ["local"], [MACHINE]),
        ("platforms", ["arm64"], ["linux/arm64"]),
        ("platforms", ["linux/arm64", "linux/aarch64"], ["linux/arm64"]),
        # Repeated entries.
        ("tags", ["a", "b", "a"], ["a", "b"]),
        ("tags", ["example.com/web"], ["example.com/web:latest"]),
        ("cache-from", ["type=gha", "type=gha"], ["type=gha"]),
        ("cache-from", ["type=gha", "type=local,src=a"], ["type=local,src=a", "type=gha"]),
        ("cache-to", ["type=gha", "type=inline"], ["type=inline", "type=gha"]),
        ("annotations", ["a=1", "b=2", "a=1"], ["b=2", "a=1"]),
        # What mpbake adds when it exports.
        ("policy", ["filename=a.rego"], ["filename=a.rego,strict=true"]),
        ("policy", [{"filename": "a.rego"}], [{"filename": "a.rego", "strict": True}]),
    ],
)
def test_two_forms_of_the_same_value_are_equal(attribute: str, first: Any, second: Any) -> None:
    ours = {} if second is None else {attribute: second}
    assert differing({attribute: first}, ours) == []
    assert differing(ours, {attribute: first}) == []


@pytest.mark.parametrize(
    ("attribute", "first", "second"),
    [
        ("args", {"A": ""}, {}),
        ("tags", ["example.com/web"], ["example.com/web:1"]),
        ("tags", ["web/"], ["web"]),
        ("args", {"A": "./x"}, {"A": "x"}),
        ("labels", {"A": "1"}, {"A": "1 "}),
        ("context", "https://example.com/a.git#./b", "https://example.com/a.git#b"),
        ("contexts", {"a": "docker-image://x//y"}, {"a": "docker-image://x/y"}),
        ("annotations", ["a=1", "a=2", "a=1"], ["a=1", "a=2"]),
        ("ulimits", ["nofile=1", "nofile=2", "nofile=1"], ["nofile=1", "nofile=2"]),
        ("secret", ["id=a,src=x", "id=a,src=y"], ["id=a,src=x"]),
        ("secret", ["id=a,src=A"], ["id=a,env=A"]),
        ("output", ["type=local,dest=out"], ["type=tar,dest=out"]),
        ("output", ["type=docker"], ["type=registry"]),
        ("output", ["type=image"], ["type=registry"]),
        ("output", ["type=image,push=false"], ["type=registry"]),
        ("output", ["type=image,push=true,name=a"], ["type=registry"]),
        ("attest", ["type=sbom"], ["type=sbom,disabled=true"]),
        ("attest", ["type=provenance,mode=max"], ["type=provenance,mode=min"]),
        ("platforms", ["linux/arm/v6"], ["linux/arm/v7"]),
        ("platforms", ["local"], ["linux/arm64"]),
        ("policy", ["filename=a.rego,strict=false"], ["filename=a.rego,strict=true"]),
        ("no-cache", True, False),
        ("cache-to", ["type=registry,ref=a,mode=max"], ["type=registry,ref=a"]),
    ],
)
def test_values_that_build_something_else_are_different(attribute: str, first: Any, second: Any) -> None:
    assert differing({attribute: first}, {attribute: second})
    assert differing({attribute: second}, {attribute: first})


def test_an_inline_dockerfile_is_built_instead_of_the_file() -> None:
    inline = {"dockerfile-inline": "FROM scratch"}
    assert differing(inline | {"dockerfile": "Dockerfile"}, inline | {"dockerfile": "other"}) == []
    assert "dockerfile-inline" in differing(inline | {"dockerfile": "Dockerfile"}, {"dockerfile": "Dockerfile"})


def test_line_ends_of_an_inline_dockerfile_matter_only_in_a_heredoc() -> None:
    plain, heredoc = "FROM alpine\nRUN true\n", "FROM alpine\nRUN <<EOT\ntrue\nEOT\n"
    for text, attributes in ((plain, set()), (heredoc, {"dockerfile-inline"})):
        windows = text.replace("\n", "\r\n")
        assert set(differing({"dockerfile-inline": windows}, {"dockerfile-inline": text})) == attributes


def test_an_output_is_compared_unless_the_call_makes_no_image() -> None:
    assert differing({"call": "check", "output": ["type=docker"]}, {"call": "check"}) == []
    assert differing({"call": "build", "output": ["type=docker"]}, {"call": "build"}) == ["output"]


def test_a_push_is_compared_if_the_image_has_a_name() -> None:
    tags, named = {"tags": ["web"]}, {"output": ["type=image,name=web,push=true"]}
    assert differing(tags | {"output": ["type=registry"]}, tags) == ["output"]
    assert differing(named, {}) == ["output"]
    both = {"output": ["type=docker", "type=registry"]}
    assert differing(tags | {"output": ["type=docker,push=true"]}, tags | both) == []


def test_an_unknown_attribute_is_compared_as_it_is() -> None:
    assert differing({"future": ["a", {"b": 1}]}, {"future": ["a", {"b": 1}]}) == []
    assert differing({"future": ["a"]}, {"future": ["b"]}) == ["future"]


@pytest.mark.parametrize("attribute", ["output", "cache-from", "secret", "attest", "policy"])
def test_entries_that_cannot_be_read_are_compared_as_they_are(attribute: str) -> None:
    broken = ['type="a']
    assert differing({attribute: broken}, {attribute: copy.copy(broken)}) == []
    assert differing({attribute: broken}, {attribute: ['type="b']})


def test_a_difference_names_the_entry_and_both_values() -> None:
    original, imported = {"args": {"A": "1", "B": "2"}}, {"args": {"A": "1", "B": "3", "C": "4"}}
    found = list(differences(printed(web=original), printed(web=imported), Names(), MACHINE))
    assert [(entry.attribute, entry.original, entry.imported) for entry in found] == [
        ("args.B", '"2"', '"3"'),
        ("args.C", "", '"4"'),
    ]


def test_a_target_that_exists_only_once_is_found() -> None:
    found = list(differences(printed(a={}, b={}), printed(a={}, c={}), Names(), MACHINE))
    assert [(entry.name, bool(entry.original), bool(entry.imported)) for entry in found] == [
        ("b", True, False),
        ("c", False, True),
    ]


def test_a_target_that_became_a_template_is_not_expected() -> None:
    assert not [*differences(printed(base={}, web={}), printed(web={}), Names(templates=frozenset({"base"})), MACHINE)]


def test_links_follow_new_names() -> None:
    names = Names(targets={"base": "base-image"})
    original = printed(base={}, web={"contexts": {"x": "target:base"}})
    imported = {"base-image": {}, "web": {"contexts": {"x": "target:base-image"}}}
    assert not [*differences(original, Printed(targets=imported, groups={}), names, MACHINE)]
    other = imported | {"web": {"contexts": {"x": "target:base"}}}
    assert [*differences(original, Printed(targets=other, groups={}), names, MACHINE)]


def grouped(**groups: tuple[str, ...]) -> Printed:
    return Printed(targets={"a": {}, "b": {}, "c": {}}, groups=groups)


@pytest.mark.parametrize(
    ("original", "imported"),
    [
        (grouped(all=("a", "b")), grouped(all=("b", "a"))),
        (grouped(all=("some", "c"), some=("a", "b")), grouped(all=("a", "b", "c"), some=("a", "b"))),
        (grouped(a=("a", "b")), grouped(a=("b", "a"))),
        (grouped(empty=()), grouped()),
    ],
)
def test_groups_that_select_the_same_targets_are_equal(original: Printed, imported: Printed) -> None:
    assert not [*differences(original, imported, Names(), MACHINE)]


@pytest.mark.parametrize(
    ("original", "imported"),
    [
        (grouped(all=("a", "b")), grouped(all=("a",))),
        (grouped(all=("a",)), grouped(all=("a", "b"))),
        (grouped(all=("a",)), grouped()),
        (grouped(all=("some",), some=("a",)), grouped(all=("some",), some=("b",))),
        (grouped(a=("b",)), grouped(a=("a", "b"))),
    ],
)
def test_groups_that_select_other_targets_are_different(original: Printed, imported: Printed) -> None:
    found = [*differences(original, imported, Names(), MACHINE)]
    assert {entry.subject for entry in found} == {Subject.GROUP}


def test_a_group_of_a_cycle_ends() -> None:
    assert grouped(a=("b",), b=("a",)).members("a") == frozenset()


def test_the_output_of_bake_is_read_without_the_group_that_mpbake_adds() -> None:
    text = json.dumps({"group": {"all": {"targets": ["web"]}, "default": {"targets": ["all", "web"]}}, "target": {}})
    assert parse_printed(text, without={"all"}).groups == {"default": ("web",)}
    assert parse_printed('{"target": {"web": {}}}').groups == {}
