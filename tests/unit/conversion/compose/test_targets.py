"""Each key of `build` and `x-bake` becomes the attribute that bake makes of it."""

from __future__ import annotations

import pytest

from tests.unit.conversion.compose.files import attributes, read, web

SECRETS = """
    secrets:
      token: { environment: TOKEN }
      key: { file: ./key.pem }
      plain: {}
"""


@pytest.mark.parametrize(
    ("build", "name", "value"),
    [
        ("dockerfile: prod.Dockerfile", "dockerfile", '"prod.Dockerfile"'),
        ("dockerfile_inline: |\n  FROM a\n  RUN b", "dockerfile-inline", r'"FROM a\nRUN b\n"'),
        ("context: ~/src", "context", '"${HOME}/src"'),
        ("additional_contexts: { a: ./a, b: service:web.1 }", "contexts", '{("a") = "./a", ("b") = "target:web_1"}'),
        ("args: { A: 1.10, B: true, C: 0777, D: 'x' }", "args", None),
        ('args: ["A=1=2", "B="]', "args", '{("A") = "1=2", ("B") = ""}'),
        ("labels: { a: 1, b: }", "labels", '{("a") = "1", ("b") = ""}'),
        ("labels: [a=1, b]", "labels", '{("a") = "1", ("b") = ""}'),
        ("tags: [a, b, a]", "tags", '["a", "b"]'),
        ("target: release", "target", '"release"'),
        ("platforms: [linux/amd64, linux/arm64]", "platforms", '["linux/amd64", "linux/arm64"]'),
        ("cache_from: [user/app, type=gha]", "cache-from", '["user/app", "type=gha"]'),
        ("cache_to: [type=inline]", "cache-to", '["type=inline"]'),
        ("ssh: [default, key=./id]", "ssh", '["default", "key=./id"]'),
        ("ssh: { default: , key: ./id }", "ssh", '["default", "key=./id"]'),
        ("provenance: true", "attest", '["type=provenance"]'),
        ("provenance: mode=max", "attest", '["type=provenance,mode=max"]'),
        ("sbom: false", "attest", '["type=sbom,disabled=true"]'),
        ("no_cache: true", "no-cache", "true"),
        ("pull: 'yes'", "pull", "true"),
        ("pull: ${PULL}", "pull", "PULL"),
        ("network: host", "network", '"host"'),
        ("shm_size: 128m", "shm-size", '"128MiB"'),
        ("shm_size: 2gb", "shm-size", '"2GiB"'),
        ("shm_size: 100000000", "shm-size", '"95.37MiB"'),
        ("shm_size: ${SIZE}", "shm-size", "SIZE"),
        ("ulimits: { nofile: { soft: 1, hard: 2 } }", "ulimits", '["nofile=1:2"]'),
        ('extra_hosts: ["a:1.1.1.1", "a=::2", "b:::1"]', "extra-hosts", '{("a") = "1.1.1.1,::2", ("b") = "::1"}'),
        ("extra_hosts: { a: '[::1]', b: [x, y] }", "extra-hosts", '{("a") = "::1", ("b") = "x,y"}'),
        ("x-bake: { tags: a  b }", "tags", '["a", "b"]'),
        ("x-bake: { tags: '${TAGS}' }", "tags", 'split(" ", TAGS)'),
        ("tags: [a]\nx-bake: { tags: '${TAGS}' }", "tags", 'concat(["a"], split(" ", TAGS))'),
        ("x-bake: { tags: 'a:${TAG:-x y} b' }", "tags", '["a:${((TAG != "") ? TAG : "x y")}", "b"]'),
        ("x-bake: { output: type=docker }", "output", '["type=docker"]'),
        ("x-bake: { no-cache: false }", "no-cache", "false"),
        ("x-bake: { no-cache-filter: [a] }", "no-cache-filter", '["a"]'),
        ("x-bake: { secret: 'id=a,src=b' }", "secret", '["id=a,src=b"]'),
        ("x-bake: { contexts: { a: target:web.1 } }", "contexts", '{("a") = "target:web_1"}'),
    ],
)  # fmt: skip
def test_a_key_becomes_an_attribute(build: str, name: str, value: str | None) -> None:
    expected = value or '{("A") = "1.1", ("B") = "true", ("C") = "511", ("D") = "x"}'
    assert web(build) == {name: expected}


@pytest.mark.parametrize(
    "build",
    [
        "no_cache: false",
        "pull: 'no'",
        "cache_from: []",
        "tags: []",
        "target: ''",
        "shm_size: 0",
        "provenance: ''",
        "labels: {}",
        "x-bake:",
        "x-bake: { tags: }",
        "x-other: 1",
    ],
)
def test_a_value_without_effect_is_left_out(build: str) -> None:
    assert web(build) == {}


def test_x_bake_adds_to_build() -> None:
    build = """
        tags: [a]
        platforms: [linux/amd64]
        cache_from: [user/app]
        additional_contexts: { a: ./a }
        pull: true
        x-bake:
          tags: [b, a]
          platforms: linux/amd64 linux/arm64
          cache-from: [type=gha, user/app]
          contexts: { a: ./other, b: ./b }
          pull: false
    """
    assert web(build) == {
        "tags": '["a", "b"]',
        "platforms": '["linux/amd64", "linux/arm64"]',
        "cache-from": '["user/app", "type=gha"]',
        "contexts": '{("a") = "./a", ("b") = "./b"}',
        "pull": "false",
    }


def test_secrets_have_the_source_that_the_file_declares() -> None:
    found = web("secrets: [token, { source: key, target: k }, plain]", rest=SECRETS)
    assert found == {"secret": '["id=token,env=TOKEN", "id=key,src=./key.pem", "id=plain"]'}


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("target: x", '["me/web"]'),
        ("tags: [a]", '["a"]'),
        ("x-bake: { tags: '${TAGS}' }", '((TAGS != "") ? split(" ", TAGS) : ["me/web"])'),
    ],
)
def test_the_image_is_the_tag_unless_there_are_others(tags: str, expected: str) -> None:
    assert web(tags, image="me/web")["tags"] == expected


def test_what_bake_ignores_in_a_build_is_named() -> None:
    file = read(
        """
        services:
          web:
            image: web
            build:
              tags: [a]
              privileged: true
              ulimits: { nofile: 10 }
              x-bake: { dockerfile: x }
        """
    )
    assert [ignored.what for ignored in file.ignored] == [
        "`privileged` in the build of the service `web`",
        "the number of `ulimits.nofile` of the service `web` (bake passes 0:0)",
        "`dockerfile` in `x-bake` of the service `web`",
        "`image` of the service `web`, since the target has other tags",
    ]
    assert attributes(file, "web")["ulimits"] == '["nofile=0:0"]'
