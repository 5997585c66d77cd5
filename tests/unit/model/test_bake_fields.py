"""The checks of values for buildx, and the paths in them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.references import parse_fields
from mpbake.model.bake_fields import (
    Paths,
    SecretSource,
    check_annotation,
    check_attestation,
    check_cache,
    check_call,
    check_destination,
    check_entitlement,
    check_limit,
    check_network,
    check_output,
    check_policy,
    check_secret,
    check_size,
    check_ulimit,
    deletes,
    enabled_attestations,
    enforced_policies,
    is_set,
    map_paths,
    paths_of,
    pushes,
    secret_source,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("check", "texts"),
    [
        (check_secret, ["id=a", "ID=a,SRC=b", "id=a,source=b,type=file", "type=env,id=a,env=A", 'id=a,"src=b,c"']),
        (check_attestation, ["type=sbom", "type=provenance,mode=max,anything=1", "type=sbom,generator=x/y:1"]),
        (check_output, ["out", "-", "a,b", "odd=name", "type=local,dest=out", '"type=tar"', "TYPE=oci,dest=x"]),
        (
            check_output,
            ["type=image,name=a,push=T,unpack=0", "type=image,push=", "push=maybe", "type=oci,dest=a,tar=f"],
        ),
        (check_attestation, ["type=sbom,disabled=1", "type=sbom,DISABLED=F"]),
        (check_output, ["type=local,dest=a,mode=delete", "type=local,dest=a,mode=copy", "type=tar,dest=a,mode=x"]),
        (check_output, ["type=registry,oci-artifact=false,oci-mediatypes=F"]),
        (check_policy, ["filename=a.rego", "FILENAME=a,reset=1,strict=false,log-level=debug", "disabled=t", "new=1"]),
        (check_output, ["type=image,name=a,push=true", "type=cacheonly", "type=registry", "type=novelty,x=y"]),
        (check_destination, ["out", "a-", "dest=-", "type=docker", "type=tar,dest=x", "type=OCI", "type=image"]),
        (check_cache, ["user/app", "user/app:1,user/b", "type=gha,scope=x", "type=inline", "type=novelty", "type=s3"]),
        (check_size, ["0", "64m", "64M", "1.5g", "1.5 GiB", "128mb", "67108864", "1e6", "2kb"]),
        (check_network, ["default", "none", "host"]),
        (check_call, ["build", "check", "lint", "outline", "targets", "describe", "check,format=json"]),
        (check_entitlement, ["network.host", "security.insecure", "device", "device=vendor.com/gpu=0", "novelty"]),
        (check_annotation, ["a=b", "index,manifest[linux/arm64]:a=b", "a="]),
        (check_ulimit, ["nofile=10", "novelty=1"]),
        (check_limit, ["nofile=10", "nofile=1:2", "core=-1", "memlock=infinity:-1"]),
    ],
)
def test_what_buildx_takes_is_taken(check: Callable[[str], None], texts: list[str]) -> None:
    for text in texts:
        check(text)


@pytest.mark.parametrize(
    ("check", "text", "problem"),
    [
        (check_secret, "id=tok,scr=x", 'unknown field "scr"\ndid you mean "src"?'),
        (check_secret, "tok", '"tok" is not a key=value field\nwrite it like id=token,env=TOKEN'),
        (check_secret, "env=TOKEN", "a secret needs an id\nwrite it like id=token,env=TOKEN"),
        (check_secret, "id=a,type=evn", 'unknown type "evn"\ndid you mean "env"?'),
        (check_attestation, "type=prov", 'unknown type "prov"\nknown types: provenance, sbom'),
        (check_attestation, "type=sbmo", 'unknown type "sbmo"\ndid you mean "sbom"?'),
        (check_attestation, "mode=max", "a type is missing\nwrite it like type=provenance,mode=max"),
        (check_attestation, "sbom", '"sbom" is not a key=value field\nwrite it like type=provenance,mode=max'),
        (check_output, "type=lokal,dest=x", 'unknown type "lokal"\ndid you mean "local"?'),
        (check_output, "tpye=local,dest=x", 'a type is missing\ndid you mean "type"?'),
        (check_output, "type=", "a type is missing\nwrite it like type=local,dest=out"),
        (check_output, "type=oci,x", '"x" is not a key=value field\nwrite it like type=local,dest=out'),
        (check_output, "type=image,push=yes", 'push: "yes" is neither true nor false\nwrite push=true or push=false'),
        (check_output, "type=oci,dest=x,TAR=no", 'tar: "no" is neither true nor false\nwrite tar=true or tar=false'),
        (
            check_attestation,
            "type=sbom,disabled=",
            'disabled: "" is neither true nor false\nwrite disabled=true or disabled=false',
        ),
        *(
            (
                check_destination,
                text,
                f"{message}\nname a file: type={kind},dest=web.tar",
            )
            for text, kind, message in (
                ("-", "tar", "writing to standard output is not supported"),
                ("type=tar", "tar", "dest is missing"),
                ("type=tar,dest=-", "tar", "writing to standard output is not supported"),
                ("TYPE=oci,dest=", "oci", "dest is missing"),
                ("type=oci,tar=false", "oci", "dest is missing"),
                ("type=docker,DEST=-", "docker", "writing to standard output is not supported"),
            )
        ),
        (check_output, "type=local,dest=a,mode=delte", 'unknown mode "delte"\ndid you mean "delete"?'),
        (check_output, "type=local,dest=a,mode=sync", 'unknown mode "sync"\nknown modes: copy, delete'),
        (
            check_output,
            "type=registry,oci-artifact=no",
            'oci-artifact: "no" is neither true nor false\nwrite oci-artifact=true or oci-artifact=false',
        ),
        (check_policy, "extra.rego", '"extra.rego" is not a key=value field\nwrite it like filename=extra.rego'),
        (check_policy, "filname=a", 'unknown field "filname"\ndid you mean "filename"?'),
        (check_policy, "filename=", "filename is empty\nwrite it like filename=extra.rego"),
        (check_policy, "strict=yes", 'strict: "yes" is neither true nor false\nwrite strict=true or strict=false'),
        (check_cache, "type=registri,ref=x", 'unknown type "registri"\ndid you mean "registry"?'),
        (check_cache, "typ=registry,ref=x", 'a type is missing\ndid you mean "type"?'),
        (check_size, "lots", '"lots" is not a size\nwrite it like 512m or 2g'),
        (check_size, "-1", '"-1" is not a size\nwrite it like 512m or 2g'),
        (check_network, "foo", 'unknown network "foo"\nknown networks: default, host, none'),
        (check_call, "chekc", 'unknown call "chekc"\ndid you mean "check"?'),
        (check_entitlement, "network.hots", 'unknown entitlement "network.hots"\ndid you mean "network.host"?'),
        (check_annotation, "foo", '"foo" is not key=value\nwrite it like org.opencontainers.image.title=web'),
        (check_ulimit, "x", '"x" is not a limit\nwrite it like nofile=1024:2048'),
        (check_limit, "x", '"x" is not a limit\nwrite it like nofile=1024:2048'),
        (check_limit, "nofiel=1", 'unknown limit "nofiel"\ndid you mean "nofile"?'),
        (check_limit, "nofile=1:2:3", '"nofile=1:2:3" is not a limit\nwrite it like nofile=1024:2048'),
    ],
)
def test_what_no_buildx_takes_is_refused(check: Callable[[str], None], text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(problem)}$"):
        check(text)


@pytest.mark.parametrize(
    ("output", "does"),
    [
        ("type=registry", True),
        ("type=image,push=true", True),
        ("push=true,type=image,name=x", True),
        ("type=image,push=1", True),
        ("type=image,push=T", True),
        ("type=image,PUSH=True", True),
        ("type=image,push=", True),
        ("type=image", False),
        ("type=image,push=false", False),
        ("type=image,push=0", False),
        ("type=local,dest=registry", False),
        ("registry", False),
        ("push=true", False),
    ],
)
def test_which_outputs_push(output: str, *, does: bool) -> None:
    assert pushes(output) is does


@pytest.mark.parametrize(
    ("output", "does"),
    [
        ("type=local,dest=a,mode=delete", True),
        ("TYPE=local,MODE=delete,dest=a", True),
        ("type=local,dest=a,mode=copy", False),
        ("type=local,dest=a", False),
        ("type=tar,dest=a,mode=delete", False),
        ("mode=delete", False),
        ("out", False),
    ],
)
def test_which_outputs_delete(output: str, *, does: bool) -> None:
    assert deletes(output) is does


@pytest.mark.parametrize(
    ("policies", "enforced"),
    [
        (["filename=a,filename=b"], ["filename=a,filename=b,strict=true"]),
        (["log-level=debug"], ["log-level=debug,strict=true"]),
        (["filename=a.rego", "filename=b.rego"], ["filename=a.rego,strict=true", "filename=b.rego,strict=true"]),
        (["filename=a.rego", "strict=false"], ["filename=a.rego", "strict=false"]),
        (["disabled=true"], ["disabled=true"]),
        ([], []),
    ],
)
def test_policies_are_enforced_unless_they_say_otherwise(policies: list[str], enforced: list[str]) -> None:
    assert enforced_policies(policies) == enforced


@pytest.mark.parametrize(("text", "tar"), [("", True), ("tar=", True), ("tar=1", True), ("tar=F", False)])
def test_whether_an_archive_is_one_file(text: str, *, tar: bool) -> None:
    assert is_set(parse_fields(f"type=oci,{text}"), "tar", default=True) is tar


@pytest.mark.parametrize(
    ("text", "wanted"), [("type=sbom", ["sbom"]), ("type=sbom,disabled=0", ["sbom"]), ("type=sbom,Disabled=t", [])]
)
def test_which_attestations_are_asked_for(text: str, wanted: list[str]) -> None:
    assert enabled_attestations([text]) == wanted


@pytest.mark.parametrize(
    ("paths", "value", "expected"),
    [
        (Paths.NONE, ["type=local,src=a"], []),
        (Paths.CONTEXT, "", []),
        (Paths.CONTEXT, "a", [((), "a")]),
        (Paths.CONTEXT, "https://example.org/a.git", []),
        (Paths.CONTEXT, {"a": "../a", "b": "docker-image://b", "c": "target:c"}, [(("a",), "../a")]),
        (Paths.FIELDS, "type=local,src=a,dest=b", [((), "a"), ((), "b")]),
        (
            Paths.FIELDS,
            ["user/app", "source=a", "type=env,src=A", "dest=-,src=-", 'SRC=a,"dest=b,c"'],
            [((1,), "a"), ((3,), "-"), ((4,), "a"), ((4,), "b,c")],
        ),
        (Paths.SSH, ["default", "a=", "b=one.pem,/two.pem"], [((2,), "one.pem"), ((2,), "/two.pem")]),
    ],
)
def test_the_paths_in_a_value(paths: Paths, value: Any, expected: list[Any]) -> None:
    assert paths_of(paths, value) == expected
    moved = map_paths(paths, value, lambda place, path: f"/{len(place)}/{path}")
    assert paths_of(paths, moved) == [(place, f"/{len(place)}/{path}") for place, path in expected]


def test_fields_that_are_none_have_no_paths() -> None:
    with pytest.raises(ValueError, match="is not a list of key=value fields"):
        paths_of(Paths.FIELDS, ['"src=a'])


@pytest.mark.parametrize(
    ("secret", "source"),
    [
        ("id=a", SecretSource(variable="a", or_file=True)),
        ("type=env,id=a", SecretSource(variable="a", or_file=True)),
        ("type=file,id=a,src=", SecretSource(variable="a", or_file=True)),
        ("id=a,env=A", SecretSource(variable="A")),
        ("type=env,id=a,source=A", SecretSource(variable="A")),
        ("id=a,env=A,src=b", SecretSource(variable="A")),
        ("id=a,src=b", SecretSource()),
    ],
)
def test_where_a_secret_comes_from(secret: str, source: SecretSource) -> None:
    assert secret_source(secret) == source
