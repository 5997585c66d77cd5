"""Targets: their names, templates, attributes and outputs."""

from __future__ import annotations

import pytest

from mpbake.conversion.plan import convert
from mpbake.conversion.reading.hcl.files import read_hcl
from tests.unit.conversion.plan.conversions import converted, notes_of, plan_of, toml


def target_of(attributes: str) -> str:
    """Return the attributes of a target in the plan."""
    return plan_of(f'target "web" {{\n{attributes}\n}}').removeprefix("[targets.web]\n").rstrip()


# --- templates --------------------------------------------------------------------------------------------------------


def test_target_that_only_gives_values_becomes_a_template() -> None:
    hcl = """
        group "default" { targets = ["web"] }
        target "base" {
          dockerfile = "Dockerfile.base"
        }
        target "_labels" {
          labels = { team = "shop" }
        }
        target "web" {
          inherits = ["base", "_labels"]
        }
    """
    assert plan_of(hcl) == toml("""
        [groups]
        default = ["web"]

        [targets._base]
        dockerfile = "Dockerfile.base"

        [targets._labels]
        labels = { team = "shop" }

        [targets.web]
        inherits = ["_base", "_labels"]
    """)
    assert notes_of(hcl) == [
        'renamed: the target "base", which only gives values to others, becomes the template "_base"'
    ]
    conversion = converted(hcl)
    assert conversion.targets == {"web": "web"}
    assert conversion.templates == {"base": "_base", "_labels": "_labels"}
    assert conversion.groups == {"default": "default"}


@pytest.mark.parametrize(
    ("base", "rest"),
    [
        ('target "base" {\n tags = ["base"]\n}', ""),
        ('target "base" {\n target = "stage"\n}', ""),
        ('target "base" {\n tags = ["a"]\n output = ["type=registry"]\n}', ""),
        ('target "base" {\n output = ["out"]\n}', ""),
        ('target "base" {\n pull = true\n}', 'group "all" { targets = ["base"] }'),
        ('target "base" {\n pull = true\n}', 'group "all" { targets = [for x in ["se"]: "ba${x}"] }'),
        ('target "base" {\n pull = true\n}', 'target "user" {\n contexts = { x = "target:base" }\n}'),
        ('target "base" {\n pull = true\n}', 'target "user" {\n contexts = { x = "target:${"base"}" }\n}'),
        ('target "base" {\n inherits = ["docker-metadata-action"]\n}', 'target "docker-metadata-action" {}'),
        ('target "base" {\n pull = true\n}', 'x = "se"\ntarget "user" {\n inherits = ["ba${x}"]\n}'),
    ],
)
def test_target_that_can_be_built_stays_a_target(base: str, rest: str) -> None:
    hcl = f'{base}\n{rest}\ntarget "web" {{\n inherits = ["base"]\n}}'
    assert converted(hcl).targets["base"] == "base"


@pytest.mark.parametrize("name", ["docker-metadata-action", "meta-helper", "ghaction-docker-meta"])
def test_hook_of_ci_becomes_a_template_with_its_name(name: str) -> None:
    text = plan_of(f"""
        target "{name}" {{
          tags = ["shop:local"]
        }}
        target "web" {{
          inherits = ["{name}"]
        }}
    """)
    assert text == toml(f"""
        [targets._{name}]
        tags = ["shop:local"]

        [targets.web]
        inherits = ["_{name}"]
    """)


def test_parent_of_another_file_becomes_an_empty_template() -> None:
    text = plan_of("""
        target "web" {
          inherits = ["docker-metadata-action"]
        }
    """)
    assert text == toml("""
        # Its values come from another file, such as -f meta.json of docker/metadata-action.
        [targets._docker-metadata-action]

        [targets.web]
        inherits = ["_docker-metadata-action"]
    """)


def test_target_with_an_underscore_that_is_built_loses_the_underscore() -> None:
    hcl = """
        group "default" { targets = ["_web"] }
        target "_web" {}
        target "user" {
          contexts = { web = "target:_web" }
        }
    """
    assert plan_of(hcl) == toml("""
        [groups]
        default = ["web"]

        [targets.web]

        [targets.user]
        contexts = { web = "target:web" }
    """)
    assert notes_of(hcl) == ['renamed: the target "_web" is called "web" in the plan']


def test_row_of_a_matrix_can_be_a_parent() -> None:
    text = plan_of("""
        target "php" {
          matrix = { v = ["8", "9"] }
          name = "php-${v}"
        }
        target "web" {
          inherits = ["php-8"]
        }
    """)
    assert text == toml("""
        [targets.php]
        matrix = { v = ["8", "9"] }
        name = "php-{{ v }}"

        [targets.web]
        inherits = ["php-8"]
    """)


# --- attributes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hcl", "toml_line"),
    [
        ('context = "web"', 'context = "web"'),
        ("context = BAKE_CMD_CONTEXT", 'context = "."'),
        ('context = "cwd://sub"', 'context = "sub"'),
        ('contexts = { a = "cwd://sub", b = "https://x.com" }', 'contexts = { a = "sub", b = "https://x.com" }'),
        ("args = { A = 1, B = true, C = null, D = 1.5 }", 'args = { A = 1, B = true, C = "{{ none }}", D = "1.5" }'),
        ("labels = { n = null }", 'labels = { n = "{{ none }}" }'),
        ("tags = []", "tags = []"),
        ("platforms = null", ""),
        ('description = ""', ""),
        ("no-cache = true", "no-cache = true"),
        ('shm-size = "1g"', 'shm-size = "1g"'),
        ('ulimits = ["nofile=1:2"]', 'ulimits = ["nofile=1:2"]'),
        ('extra-hosts = { a = "1.2.3.4" }', 'extra-hosts = { a = "1.2.3.4" }'),
        ('network = "host"', 'network = "host"'),
        ('resources = { memory = "1g", cpu-shares = 2 }', 'resources = { memory = "1g", cpu-shares = 2 }'),
        ('tags = ["a:${"{"}{x}}"]', "tags = [\"a:{{ '{' }}{x}}\"]"),
        ("dockerfile-inline = <<EOT\nFROM a\nRUN b\nEOT", 'dockerfile-inline = """\nFROM a\nRUN b\n"""'),
        ('cache-from = [{ type = "gha", scope = "web" }]', 'cache-from = ["type=gha,scope=web"]'),
        ('cache-from = ["user/app:cache"]', 'cache-from = ["user/app:cache"]'),
        ('secret = [{ id = "a", src = "x,y" }]', "secret = ['id=a,\"src=x,y\"']"),
        ('secret = [{ type = "env", id = "A", env = "B" }]', 'secret = ["type=env,id=A,env=B"]'),
        ('ssh = [{ id = "default" }, { id = "k", paths = ["a", "b"] }]', 'ssh = ["default", "k=a,b"]'),
        ('attest = [{ type = "sbom", disabled = true }]', 'attest = ["type=sbom,disabled=true"]'),
        ('cache-to = ""', "cache-to = []"),
    ],
)
def test_attribute_means_the_same(hcl: str, toml_line: str) -> None:
    assert target_of(hcl) == toml_line


def test_objects_of_functions_and_variables_become_fields() -> None:
    text = plan_of("""
        caches = [{ type = "gha" }]
        inline = true
        function "cache" {
          params = [name]
          result = [{ type = "registry", ref = "shop/${name}" }]
        }
        target "web" {
          cache-from = concat(cache("web"), caches)
          cache-to = inline ? [{ type = "inline" }] : []
        }
    """)
    assert text == toml("""
        [variables]
        caches = ["type=gha"]
        inline = true

        [functions.cache]
        params = ["name"]
        result = ["type=registry,ref=shop/{{ name }}"]

        [targets.web]
        cache-from = "{{ cache('web') + caches }}"
        cache-to = ["{{ 'type=inline' if inline }}"]
    """)


def test_attributes_that_bake_ignores_are_noted() -> None:
    assert target_of("contekst = 1\npush = true\nplatforms = null") == ""
    assert notes_of('target "web" {\ncontekst = 1\npush = true\nplatforms = null\n}') == [
        'ignored: the target "web": bake ignores the attribute "contekst"',
        'ignored: the target "web": bake ignores the attribute "push"',
        'ignored: the target "web": null means that "platforms" is not written',
    ]


# --- matrix -----------------------------------------------------------------------------------------------------------


def test_matrix_keeps_its_values_and_its_comments() -> None:
    text = plan_of("""
        variable "VERSIONS" { default = ["8.1", "8.2"] }
        target "php" {
          name = "php-${replace(version, ".", "-")}-${item.tgt}"
          matrix = {
            version = VERSIONS
            # the stages
            item = [{ tgt = "cli", port = 80 }, { tgt = "fpm", port = 81 }]
          }
          target = item.tgt
          args = { PORT = item.port }
        }
    """)
    assert text == toml("""
        [variables]
        versions = ["8.1", "8.2"]

        [targets.php]
        name = "php-{{ version | replace('.', '-') }}-{{ item.tgt }}"
        matrix.version = "{{ versions }}"
        # the stages
        matrix.item = [{ tgt = "cli", port = 80 }, { tgt = "fpm", port = 81 }]
        target = "{{ item.tgt }}"
        args = { PORT = "{{ item.port }}" }
    """)


def test_matrix_of_a_variable_gives_its_names() -> None:
    text = plan_of("""
        variable "ROWS" { default = { git = ["a"] } }
        variable "ALIAS" { default = ROWS }
        target "app" {
          matrix = ALIAS
          name = "app-${git}"
        }
    """)
    assert 'name = "app-{{ git' in text


# --- outputs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "lines"),
    [
        ('["type=registry"]', "push = true"),
        ('[{ type = "registry" }]', "push = true"),
        ('["type=image,push=true"]', "push = true"),
        ('["type=docker"]', "load = true"),
        ('["type=docker", "type=registry"]', "load = true\npush = true"),
        ('["type=registry", "type=docker"]', 'output = ["type=registry", "type=docker"]'),
        ('["type=local,dest=out"]', 'output = ["type=local,dest=out"]'),
        ('["out"]', 'output = ["out"]'),
        ("[]", "output = []"),
        ('["type=image,name=a,push=true"]', "push = true"),
        ('["type=image,push-by-digest=true,name-canonical=true,push=true"]', "push = true"),
        ('["type=registry,compression=zstd"]', 'output = ["type=registry,compression=zstd"]'),
        ("null", ""),
    ],
)
def test_output_is_push_or_load_where_it_means_the_same(output: str, lines: str) -> None:
    text = target_of(f'output = {output}\ntags = ["web"]').removesuffix('tags = ["web"]').rstrip()
    assert "\n".join(line for line in text.splitlines() if not line.startswith("#")) == lines


def test_relatives_with_different_outputs_write_them_in_full() -> None:
    text = plan_of("""
        target "web" {
          tags = ["web"]
          output = ["type=registry"]
        }
        target "local" {
          inherits = ["web"]
          output = ["type=docker"]
        }
        target "files" {
          inherits = ["local"]
          output = ["out"]
        }
        target "other" {
          output = ["type=docker"]
        }
        target "same" {
          inherits = ["other"]
          output = ["type=docker"]
        }
    """)
    assert text == toml("""
        [targets.web]
        tags = ["web"]
        output = ["type=registry"]

        [targets.local]
        inherits = ["web"]
        output = ["type=docker"]

        [targets.files]
        inherits = ["local"]
        output = ["out"]

        [targets.other]
        load = true

        [targets.same]
        inherits = ["other"]
        load = true
    """)


def test_parents_with_different_outputs_write_them_in_full() -> None:
    text = plan_of("""
        target "a" {
          output = ["type=docker"]
        }
        target "b" {
          output = ["out"]
        }
        target "c" {
          inherits = ["a", "b"]
        }
    """)
    assert text == toml("""
        [targets.a]
        output = ["type=docker"]

        [targets.b]
        output = ["out"]

        [targets.c]
        inherits = ["a", "b"]
    """)


def test_relatives_of_a_target_without_tags_turn_off_what_they_inherit() -> None:
    text = plan_of("""
        target "base" {
          output = ["type=registry"]
        }
        target "web" {
          inherits = ["base"]
          tags = ["web"]
          output = ["type=docker"]
        }
        target "untagged" {
          inherits = ["base"]
        }
    """)
    assert text == toml("""
        [targets._base]
        push = true

        [targets.web]
        inherits = ["_base"]
        tags = ["web"]
        push = false
        load = true

        [targets.untagged]
        inherits = ["_base"]
        # bake: the target "untagged" pushes, but has no tags: use `mpbake run --push` where it has some
        push = false
    """)


def test_output_to_standard_output_is_lost() -> None:
    hcl = 'target "web" {\ntags = ["web"]\noutput = ["type=tar", "type=registry"]\n}'
    note = 'the target "web": mpbake cannot write the output "type=tar" to standard output'
    assert plan_of(hcl) == f'[targets.web]\ntags = ["web"]\n# bake: {note}\npush = true\n'
    assert notes_of(hcl) == [f"lost: {note}"]


def test_name_in_an_output_that_pushes_is_lost() -> None:
    hcl = 'target "web" {\ntags = ["a"]\noutput = ["type=image,name=a,push=true"]\n}'
    (note,) = notes_of(hcl)
    assert note.startswith(
        'lost: the target "web": mpbake names pushed images itself, so the output "type=image,name=a'
    )
    assert note.endswith('" is "type=registry"')


def test_target_that_builds_nothing_has_no_output() -> None:
    hcl = """
        target "web" {
          tags = ["web"]
          output = ["type=registry"]
        }
        target "check" {
          inherits = ["web"]
          call = "check"
          output = ["type=cacheonly"]
        }
        target "outline" {
          inherits = ["web"]
          call = "outline"
        }
        target "lint" {
          call = "check"
        }
        target "built" {
          inherits = ["check"]
          call = "build"
          output = ["out"]
        }
    """
    assert plan_of(hcl) == toml("""
        [targets.web]
        tags = ["web"]
        output = ["type=registry"]

        [targets.check]
        inherits = ["web"]
        call = "check"
        output = []

        [targets.outline]
        inherits = ["web"]
        call = "outline"
        output = []

        [targets.lint]
        call = "check"

        [targets.built]
        inherits = ["check"]
        call = "build"
        output = ["out"]
    """)
    assert notes_of(hcl) == ['ignored: the target "check": bake ignores `output` because of call = "check"']


def test_target_that_pushes_without_tags_is_a_template_or_does_not_push() -> None:
    hcl = """
        target "base" {
          target = "stage"
          output = ["type=registry"]
        }
        target "web" {
          inherits = ["base"]
          tags = ["web"]
        }
        target "inherited" {
          inherits = ["base"]
        }
        target "own" {
          output = ["type=registry", "type=local,dest=out"]
        }
    """
    no_tags = "pushes, but has no tags: use `mpbake run --push` where it has some"
    assert plan_of(hcl) == toml(f"""
        [targets._base]
        target = "stage"
        push = true

        [targets.web]
        inherits = ["_base"]
        tags = ["web"]

        [targets.inherited]
        inherits = ["_base"]
        # bake: the target "inherited" {no_tags}
        push = false

        [targets.own]
        # bake: the target "own" {no_tags}
        output = ["type=local,dest=out"]
    """)
    assert notes_of(hcl)[1:] == [f'lost: the target "{name}" {no_tags}' for name in ("inherited", "own")]


def test_target_whose_tags_are_empty_does_not_push() -> None:
    hcl = """
        target "base" {
          tags = ["base"]
          output = ["type=registry"]
        }
        target "empty" {
          inherits = ["base"]
          tags = []
        }
        target "again" {
          inherits = ["empty"]
          tags = ["again"]
        }
        group "all" { targets = ["plain"] }
        target "plain" { target = "x" }
        target "tagged" {
          inherits = ["plain", "base"]
          tags = ["tagged"]
        }
    """
    assert plan_of(hcl) == toml("""
        [groups]
        all = ["plain"]

        [targets.base]
        tags = ["base"]
        push = true

        [targets.empty]
        inherits = ["base"]
        tags = []
        # bake: the target "empty" pushes, but has no tags: use `mpbake run --push` where it has some
        push = false

        [targets.again]
        inherits = ["empty"]
        tags = ["again"]
        push = true

        [targets.plain]
        target = "x"

        [targets.tagged]
        inherits = ["plain", "base"]
        tags = ["tagged"]
    """)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("type=docker,push=true", "load = true\npush = true\n"),
        ("type=docker,push=${NOW}", 'load = true\npush = "{{ now }}"\n'),
        ("type=docker,push=${PUSH}", "load = true\npush = \"{{ push in ['true', '1'] }}\"\n"),
    ],
)
def test_image_that_is_loaded_and_pushed_has_both_flags(output: str, expected: str) -> None:
    text = plan_of(f"""
        variable "NOW" {{ default = true }}
        variable "PUSH" {{ default = "false" }}
        target "web" {{
          tags = ["web"]
          output = ["{output}"]
        }}
    """)
    assert text.endswith(f'tags = ["web"]\n{expected}')


def test_matrix_without_name_is_a_target_with_names_of_its_own() -> None:
    # bake refuses such a matrix if it has several rows.
    text = plan_of("""
        variable "TAG" { default = "alpine" }
        variable "BASES" { default = ["alpine"] }
        target "web" {
          matrix = {
            base = [TAG]
            pg   = [{ version = "17", extras = ["gis"] }]
            kind = BASES
          }
          args = { BASE = base, PG = pg.version, KIND = kind }
        }
    """)
    assert text.endswith("""
[targets.web]
args = { BASE = "{{ base }}", PG = "{{ pg.version }}", KIND = "{{ kind }}" }

[targets.web.let]
base = "{{ tag }}"
pg = { version = "17", extras = ["gis"] }
kind = "{{ bases[0] }}"
""")


def test_parent_that_an_expression_chooses_may_give_tags() -> None:
    text = plan_of("""
        x = "a"
        target "a" {
          tags = ["web"]
        }
        target "web" {
          inherits = ["${x}"]
          output = ["type=registry"]
        }
    """)
    assert text.endswith('inherits = ["{{ x }}"]\npush = true\n')


def test_children_of_a_target_without_tags_push_by_themselves() -> None:
    text = plan_of("""
        group "all" { targets = ["base"] }
        target "base" {
          output = ["type=registry"]
        }
        target "web" {
          inherits = ["base"]
          tags = ["web"]
        }
    """)
    assert text == toml("""
        [groups]
        all = ["base"]

        [targets.base]
        # bake: the target "base" pushes, but has no tags: use `mpbake run --push` where it has some
        output = []

        [targets.web]
        inherits = ["base"]
        tags = ["web"]
        push = true
    """)


def test_group_of_the_same_name_does_not_make_a_template_a_target() -> None:
    hcl = """
        group "default" { targets = ["base"] }
        group "base" { targets = ["web"] }
        target "base" {
          pull = true
        }
        target "web" {
          inherits = ["base"]
        }
    """
    assert converted(hcl).templates == {"base": "_base"}


def test_cycle_of_parents_ends() -> None:
    text = plan_of("""
        target "a" {
          inherits = ["b"]
          tags = ["a"]
        }
        target "b" {
          inherits = ["a"]
        }
    """)
    assert text == toml("""
        [targets.a]
        inherits = ["b"]
        tags = ["a"]

        [targets.b]
        inherits = ["a"]
    """)


def test_rows_of_a_matrix_may_have_lists_of_different_lengths() -> None:
    hcl = """
        target "db" {
          name = "db-${pg.major}"
          matrix = { pg = [{ major = "17", extras = ["a", "b"] }, { major = "16", extras = ["a"] }] }
          tags = [for extra in pg.extras : "db-${extra}:${pg.major}"]
        }
    """
    assert "tags = \"{{ ['db-' ~ extra ~ ':' ~ pg.major for extra in pg.extras] }}\"" in plan_of(hcl)


# --- flags ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ('"true"', "true"),
        ('"0"', "false"),
        ("true", "true"),
        ("FRESH", "\"{{ fresh in ['true', '1'] }}\""),
        ('"${FRESH}"', "\"{{ fresh in ['true', '1'] }}\""),
        ("UNSET", "\"{{ unset in ['true', '1'] }}\""),
        ('FRESH == "" ? "false" : FRESH', "\"{{ fresh in ['true', '1'] if fresh else false }}\""),
        ('"${FRESH != "" ? "1" : "0"}"', "\"{{ fresh != '' }}\""),
        ("SLOW", '"{{ slow }}"'),
        ("!SLOW", '"{{ not slow }}"'),
    ],
)
def test_text_that_bake_takes_for_a_flag_becomes_one(flag: str, expected: str) -> None:
    hcl = f"""
        variable "FRESH" {{ default = "false" }}
        variable "SLOW" {{ default = true }}
        variable "UNSET" {{}}
        target "web" {{
          no-cache = {flag}
        }}
    """
    assert plan_of(hcl).split("no-cache = ")[1].rstrip() == expected


# --- lists with optional items ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ('tags = compact(["a:1", TAG != "" ? "a:${TAG}" : ""])', """tags = ["a:1", "{{ 'a:' ~ tag if tag }}"]"""),
        ('tags = concat(["a:1"], TAG == "" ? [] : ["b:1"])', """tags = ["a:1", "{{ 'b:1' if tag }}"]"""),
        ("cache-from = compact([TAG])", 'cache-from = ["{{ tag }}"]'),
        (
            'tags = concat(["a:1"], TAG == "" ? [] : ["b:1", "c:1", "d:1", "e:1"])',
            """tags = "{{ ['a:1'] + (['b:1', 'c:1', 'd:1', 'e:1'] if tag else []) }}\"""",
        ),
        ('tags = TAG == "" ? [] : ["b:1"]', """tags = ["{{ 'b:1' if tag }}"]"""),
    ],
)
def test_list_with_optional_items_stays_a_list(attribute: str, expected: str) -> None:
    hcl = f'variable "TAG" {{ default = "" }}\ntarget "web" {{\n {attribute}\n}}'
    assert plan_of(hcl).split("[targets.web]\n")[1].rstrip() == expected


# --- links and line ends ----------------------------------------------------------------------------------------------


def test_link_to_a_target_that_no_file_has_is_noted_with_its_place() -> None:
    hcl = """
        target "base" {}
        target "php" {
          matrix = { v = ["8"] }
          name = "php-${v}"
        }
        target "web" {
          contexts = {
            a = "target:base"
            b = "target:php-8"
            c = "target:gone"
          }
        }
    """
    (note,) = converted(hcl).notes
    assert note.text == (
        'the target "gone", to which the context "c" of "web" links: '
        "import the file that defines it as well, or remove the context"
    )
    assert (note.kind, note.place.line) == ("lost", 11)


@pytest.mark.parametrize(
    ("dockerfile", "expected"),
    [
        ("FROM alpine\r\nRUN true\r\n", "FROM alpine\nRUN true\n"),
        ("FROM alpine:${TAG}\r\nRUN true\r\n", "FROM alpine:{{ tag }}\nRUN true\n"),
        ("FROM alpine\r\nRUN <<END\r\ntrue\r\nEND\r\n", "FROM alpine{{ '\\r' }}\nRUN <<END{{ '\\r' }}\ntrue"),
    ],
)
def test_inline_dockerfile_of_windows_gets_plain_line_ends_unless_it_has_a_heredoc(
    dockerfile: str, expected: str
) -> None:
    hcl = f'variable "TAG" {{}}\r\ntarget "web" {{\r\n  dockerfile-inline = <<EOT\r\n{dockerfile}EOT\r\n}}\r\n'
    assert expected in convert(read_hcl(hcl, "docker-bake.hcl")).text
