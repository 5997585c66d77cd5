"""A Compose file becomes the variables, the group and the targets that bake makes of it."""

from __future__ import annotations

from textwrap import dedent

from mpbake.conversion.compose import read_compose_files
from mpbake.conversion.syntax import Format, Group, Target, Variable
from tests.unit.conversion.compose.files import attributes, group, kinds, read, target, variables

SHOP = """
    # The shop

    services:
      # The web server
      web:
        build: ./web  # all of it
        image: ${REGISTRY:-example.com}/web
        ports: ["80:80"]
      api.v1:
        profiles: [debug]
        platform: linux/arm64
        build:
          context: api
          # for the compiler
          args:
            VERSION: "1"  # of the API
            MODE: fast
        environment: { LEVEL: info }
      db:
        image: postgres
"""


def test_services_with_build_become_targets() -> None:
    file = read(SHOP)
    assert file.format is Format.COMPOSE
    assert kinds(file) == [Variable, Group, Target, Target]
    assert variables(file) == {"REGISTRY": '""'}
    assert group(file) == '["web", "api_v1"]'
    assert attributes(file, "web") == {
        "context": '"./web"',
        "tags": '["${((REGISTRY != "") ? REGISTRY : "example.com")}/web"]',
    }
    assert attributes(file, "api_v1") == {"context": '"api"', "args": '{("VERSION") = "1", ("MODE") = "fast"}'}


def test_comments_stay_with_what_they_describe() -> None:
    file = read(SHOP)
    assert file.heading == ("The shop",)
    assert target(file, "web").comments.before == ("The web server",)
    context, tags = target(file, "web").entries
    assert context.comments.after == "all of it"
    assert tags.comments.after == ""
    args = target(file, "api_v1").entries[1]
    assert args.comments.before == ("for the compiler",)
    version = args.value.pairs[0]  # type: ignore[union-attr]
    assert version.comments.after == "of the API"


def test_a_number_sign_in_a_text_is_no_comment() -> None:
    file = read(
        """
        services:
          web:
            build:
              context: "https://example.com/a.git#main"
              dockerfile_inline: |
                # syntax=docker/dockerfile:1
                FROM scratch # empty
              target: x#y
        """
    )
    assert all(entry.comments.after == "" and entry.comments.before == () for entry in target(file, "web").entries)


def test_what_bake_ignores_is_named_in_few_lines() -> None:
    assert [(ignored.what, ignored.place.line) for ignored in read(SHOP).ignored] == [
        ("the service `db`, which has no `build`", 20),
        ("`platform` of services: use `platforms` in `build`", 12),
        ("settings of services that only concern containers: `ports`, `environment`", 9),
    ]


def test_several_documents_are_one_file() -> None:
    file = read(
        """
        services:
          web: { build: { context: web, args: { A: 1 } } }
        ---
        ---
        services:
          web: { build: { args: ["B=2"], target: debug } }
          api: { build: api }
        """
    )
    assert attributes(file, "web") == {
        "context": '"web"',
        "args": '{("A") = "1", ("B") = "2"}',
        "target": '"debug"',
    }
    assert group(file) == '["web", "api"]'


def test_several_files_are_merged_before_their_targets_are_read() -> None:
    base = "services:\n  web:\n    build: { context: web, tags: [a], labels: { x: 1, y: 2 } }\n  db: { image: db }\n"
    over = "services:\n  web:\n    build: { tags: [b], labels: [y=3] }\n    image: c\n  db: { ports: [] }\n"
    file = read_compose_files([("compose.yaml", base), ("compose.prod.yaml", over)])
    assert file.path == "compose.yaml"
    assert attributes(file, "web") == {
        "context": '"web"',
        "tags": '["a", "b"]',
        "labels": '{("x") = "1", ("y") = "3"}',
    }


def test_reset_and_override_replace_what_another_file_has() -> None:
    base = "services:\n  web:\n    build: { context: web, target: debug, tags: [a], args: { A: 1 } }\n"
    over = "services:\n  web:\n    build: { target: !reset null, tags: !override [b], args: !reset {} }\n"
    file = read_compose_files([("compose.yaml", base), ("compose.prod.yaml", over)])
    assert attributes(file, "web") == {"context": '"web"', "tags": '["b"]'}


def test_anchors_and_merge_keys_are_replaced() -> None:
    file = read(
        """
        x-args: &args
          A: "1"
          B: "2"
        x-build: &build
          context: .
          target: release
        services:
          web:
            build:
              <<: *build
              args:
                <<: *args
                B: "3"
          api:
            build:
              <<: [*build, { target: debug, platforms: [linux/amd64] }]
        """
    )
    assert attributes(file, "web") == {
        "context": '"."',
        "target": '"release"',
        "args": '{("A") = "1", ("B") = "3"}',
    }
    assert attributes(file, "api") == {"context": '"."', "target": '"release"', "platforms": '["linux/amd64"]'}


def test_a_service_extends_another_one() -> None:
    file = read(
        """
        services:
          base:
            build: { context: base, args: { A: 1, B: 2 }, platforms: [linux/amd64] }
            image: base
          web:
            extends: base
            build: { args: [B=3], platforms: [linux/arm64] }
          shop:
            extends: { service: web }
            image: shop
        """
    )
    assert attributes(file, "web") == {
        "context": '"base"',
        "args": '{("A") = "1", ("B") = "3"}',
        "platforms": '["linux/amd64", "linux/arm64"]',
        "tags": '["base"]',
    }
    assert attributes(file, "shop")["tags"] == '["shop"]'


def test_paths_of_an_extended_or_included_file_start_at_its_folder() -> None:
    base = """
        services:
          base:
            build:
              context: .
              additional_contexts: [docs=../docs, image=docker-image://alpine, base=service:other]
          other: { build: https://example.com/a.git }
          third: { build: { dockerfile: Dockerfile.third, secrets: [token] } }
        secrets:
          token: { file: ./token.txt }
    """
    file = read(
        """
        include: [lib/compose.yaml]
        services:
          web:
            extends: { file: lib/compose.yaml, service: base }
            build: { target: web }
        """,
        others={"lib/compose.yaml": dedent(base)},
    )
    contexts = '{("docs") = "docs", ("image") = "docker-image://alpine", ("base") = "target:other"}'
    assert attributes(file, "base") == {"context": '"lib"', "contexts": contexts}
    assert attributes(file, "other") == {"context": '"https://example.com/a.git"'}
    assert attributes(file, "third") == {
        "context": '"lib"',
        "dockerfile": '"Dockerfile.third"',
        "secret": '["id=token,src=lib/token.txt"]',
    }
    assert attributes(file, "web") == {"context": '"lib"', "contexts": contexts, "target": '"web"'}


def test_an_argument_without_a_value_comes_from_the_environment() -> None:
    file = read(
        """
        services:
          web:
            build:
              context: .
              args: [LEVEL, COLOUR, HOME, TOKEN, "EMPTY="]
            environment: { LEVEL: "info$$", TOKEN: }
            env_file: web.env
        """,
        dotenv="HOME=/home/me",
        others={"web.env": "COLOUR='$blue'\nLEVEL=debug\n"},
    )
    assert attributes(file, "web")["args"] == (
        '{("LEVEL") = "info$", ("COLOUR") = "$blue", ("HOME") = HOME, ("TOKEN") = TOKEN, ("EMPTY") = ""}'
    )
    assert variables(file) == {"HOME": '"/home/me"', "TOKEN": "null"}
    assert file.ignored == ()


def test_variables_that_only_containers_require_are_named() -> None:
    file = read(
        """
        services:
          web: { build: ".", image: "web:${TAG}", environment: { P: "${PASSWORD:?}", T: "${TAG:?no tag}" } }
          db: { image: postgres, environment: ["Q=${PASSWORD?}", "H=${HOST:?}"] }
        """,
        dotenv="HOST=db",
    )
    assert (file.required, file.mentioned) == (("PASSWORD",), ("PASSWORD", "HOST"))
    assert "the requirement that `PASSWORD` is set, in a setting that only concerns containers" in {
        ignored.what for ignored in file.ignored
    }
    (tag,) = (block for block in file.blocks if isinstance(block, Variable))
    assert (tag.name, len(tag.validations)) == ("TAG", 1)
