"""Image references and lists of fields."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpbake.base.references import (
    Reference,
    check_pullable,
    format_fields,
    has_host,
    is_local_context,
    is_loopback,
    parse_fields,
    parse_flag,
    parse_reference,
)


@pytest.mark.parametrize(
    ("written", "repository", "tag"),
    [
        ("web", "web", "latest"),
        ("web:1.2", "web", "1.2"),
        ("team/web", "team/web", "latest"),
        ("localhost:5000/team/web:1.2-rc_1", "localhost:5000/team/web", "1.2-rc_1"),
        ("localhost:5000/web", "localhost:5000/web", "latest"),
        ("Registry.Example.COM/team/web:A", "Registry.Example.COM/team/web", "A"),
        ("[::1]:5000/web:1", "[::1]:5000/web", "1"),
        ("a__b/c-d/e--f/g.h", "a__b/c-d/e--f/g.h", "latest"),
        ("web:" + "t" * 128, "web", "t" * 128),
    ],
)
def test_a_reference(written: str, repository: str, tag: str) -> None:
    reference = parse_reference(written)
    assert reference == Reference(repository=repository, tag=tag)
    assert str(reference) == f"{repository}:{tag}"


def test_an_image_to_pull_may_have_a_digest() -> None:
    check_pullable("team/web:1")
    check_pullable(f"team/web@sha256:{'0' * 64}")
    for written, problem in (("Web", "is not an image name"), ("web@sha256:1", '"sha256:1" is not the digest')):
        with pytest.raises(ValueError, match=problem):
            check_pullable(written)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "Web",
        "team/Web",
        "web:",
        "web:-1",
        "web:a b",
        "web:a:b",
        "/web",
        "web/",
        "a//b",
        "a___b",
        "a..b",
        "-a",
        "https://registry.example.com/web",
        "web@sha256:" + "0" * 64,
        "web:" + "t" * 129,
        "web\n",
    ],
)
def test_what_is_no_name_for_an_image(written: str) -> None:
    with pytest.raises(ValueError, match="is not an image name: write"):
        parse_reference(written)


def test_the_sentence_about_a_bad_name() -> None:
    with pytest.raises(ValueError, match="image name") as caught:
        parse_reference("Team/Web:1\x00")
    assert str(caught.value) == (
        r'"Team/Web:1\x00" is not an image name: write [registry/]repository[:tag], the repository in lower case'
    )


@pytest.mark.parametrize("hard", ["a" * 50_000 + "!", "a-" * 25_000 + "!", "a." * 25_000 + "!", "a/" * 25_000 + "!"])
def test_a_long_bad_name_costs_no_time(hard: str) -> None:
    with pytest.raises(ValueError, match="is not an image name"):
        parse_reference(hard)


def test_a_reference_by_content() -> None:
    assert parse_reference("localhost:5000/web:1").at("sha256:abc") == "localhost:5000/web@sha256:abc"


@pytest.mark.parametrize(
    ("written", "registry", "canonical"),
    [
        ("web", "docker.io", "docker.io/library/web:latest"),
        ("web:1", "docker.io", "docker.io/library/web:1"),
        ("my.web:1", "docker.io", "docker.io/library/my.web:1"),
        ("localhost", "docker.io", "docker.io/library/localhost:latest"),
        ("library/web", "docker.io", "docker.io/library/web:latest"),
        ("docker.io/web", "docker.io", "docker.io/library/web:latest"),
        ("index.docker.io/web", "docker.io", "docker.io/library/web:latest"),
        ("index.docker.io/team/web", "docker.io", "docker.io/team/web:latest"),
        ("team/web", "docker.io", "docker.io/team/web:latest"),
        ("team/web/docker.io", "docker.io", "docker.io/team/web/docker.io:latest"),
        ("localhost/web", "localhost", "localhost/web:latest"),
        ("r:5000/web", "r:5000", "r:5000/web:latest"),
        ("Registry/web", "Registry", "Registry/web:latest"),
        ("[::1]:5000/web:1", "[::1]:5000", "[::1]:5000/web:1"),
        ("r.example.com/docker.io/web", "r.example.com", "r.example.com/docker.io/web:latest"),
    ],
)
def test_registry_and_canonical_name(written: str, registry: str, canonical: str) -> None:
    reference = parse_reference(written)
    assert (reference.registry, reference.canonical) == (registry, canonical)
    again = parse_reference(canonical)
    assert (again.registry, again.canonical) == (registry, canonical)


@pytest.mark.parametrize(
    ("written", "familiar"),
    [
        ("web", "web"),
        ("web:latest", "web"),
        ("docker.io/library/web:1", "web:1"),
        ("library/web:1", "web:1"),
        ("docker.io/library/team/web", "library/team/web"),
        ("index.docker.io/team/web:1", "team/web:1"),
        ("localhost:5000/library/web", "localhost:5000/library/web"),
        ("r.example.com/web:1", "r.example.com/web:1"),
    ],
)
def test_the_name_by_which_buildkit_looks_for_a_context(written: str, familiar: str) -> None:
    assert parse_reference(written).familiar == familiar


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("//localhost", True),
        ("//localhost:5000", True),
        ("//LOCALHOST", True),
        ("//registry.localhost:5000", True),
        ("//127.0.0.1:5000", True),
        ("//127.1.2.3", True),
        ("//[::1]:5000", True),
        ("tcp://127.0.0.1:1234", True),
        ("ssh://me@localhost", True),
        ("//localhost.example.com", False),
        ("//mylocalhost", False),
        ("//128.0.0.1", False),
        ("//[::2]:5000", False),
        ("//[1:2]", False),
        ("tcp://10.0.0.5:1234", False),
        ("ssh://127.0.0.1@far", False),
        ("unix:///run/x.sock", False),
        ("", False),
    ],
)
def test_what_is_this_machine(url: str, *, loopback: bool) -> None:
    assert is_loopback(url) is loopback


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("tcp://a", True),
        ("tcp://a:1", True),
        ("tcp://[::1]:65535", True),
        ("tcp://a:0", False),
        ("tcp://a:65536", False),
        ("tcp://a:b", False),
        ("tcp://:1", False),
        ("ssh://-oProxyCommand=x", False),
        ("", False),
    ],
)
def test_what_names_a_host(url: str, *, expected: bool) -> None:
    assert has_host(url) is expected


@pytest.mark.parametrize(
    ("context", "local"),
    [
        (".", True),
        ("web", True),
        ("../web", True),
        ("/srv/web", True),
        ("github.company/web", True),
        ("http.d", True),
        ("https://github.com/org/repo.git#main", False),
        ("HTTP://example.com/x.tar.gz", False),
        ("git://example.com/x", False),
        ("ssh://git@example.com/x", False),
        ("git@github.com:org/repo", False),
        ("github.com/org/repo", False),
        ("docker-image://alpine:3.20", False),
        ("oci-layout://./layout", False),
        ("target:base", False),
    ],
)
def test_which_contexts_are_folders(context: str, *, local: bool) -> None:
    assert is_local_context(context) is local


@pytest.mark.parametrize(
    ("written", "fields"),
    [
        ("", {}),
        ("type=local,dest=out", {"type": "local", "dest": "out"}),
        ('type=local,"dest=a,b"', {"type": "local", "dest": "a,b"}),
        ('type=local,"dest=say ""hi"""', {"type": "local", "dest": 'say "hi"'}),
        ("id=token, src = x", {"id": "token", "src": " x"}),
        ("default", {"default": ""}),
        ("a=b=c", {"a": "b=c"}),
        ("out", {"out": ""}),
        ("ID=Token, Src=X", {"id": "Token", "src": "X"}),
    ],
)
def test_fields(written: str, fields: dict[str, str]) -> None:
    assert parse_fields(written) == fields


@pytest.mark.parametrize("written", ['"type=local', '"type=local"x', "a\nb", "x" * 200_000])
def test_what_is_no_list_of_fields(written: str) -> None:
    with pytest.raises(ValueError, match=r"is not a list of key=value fields separated by commas$"):
        parse_fields(written)


@pytest.mark.parametrize(
    ("texts", "value"), [("1 t T TRUE true True", True), ("0 f F FALSE false False", False)], ids=["true", "false"]
)
def test_fields_that_are_true_or_false_as_go_reads_them(texts: str, *, value: bool) -> None:
    assert {parse_flag(text) for text in texts.split()} == {value}


@pytest.mark.parametrize("text", ["", "yes", "on", "tRUE", " true", "2"])
def test_what_go_does_not_take_for_true_or_false(text: str) -> None:
    with pytest.raises(ValueError, match=f'^"{text}" is neither true nor false$'):
        parse_flag(text)


@pytest.mark.parametrize(
    ("fields", "written"),
    [
        ({}, ""),
        ({"type": "local", "dest": "a,b"}, 'type=local,"dest=a,b"'),
        ({"default": ""}, "default"),
        ({"type": "image", "name": ""}, "type=image,name="),
        ({"dest": 'say "hi"'}, '"dest=say ""hi"""'),
    ],
)
def test_fields_are_written_as_buildkit_reads_them(fields: dict[str, str], written: str) -> None:
    assert format_fields(fields) == written


@given(st.dictionaries(st.from_regex(r"[a-z][a-z.-]{0,8}", fullmatch=True), st.text("ab ,\"'=/\\", max_size=8)))
def test_written_fields_read_as_themselves(fields: dict[str, str]) -> None:
    assert parse_fields(format_fields(fields)) == fields
