"""The references of targets to builders and to other targets, and the paths of targets."""

from __future__ import annotations

from typing import Any

import pytest

from mpbake.base.platforms import parse_platforms
from mpbake.model.plan import Check
from tests.unit.plans import clashes_of_text, problems_of_text, resolve_text, target_of_text, text

MATRIX = """
    [targets.php]
    matrix = { v = ["1", "2", "3"] }
    name = "php-{{ v }}"
    """


def test_needs_and_links_are_the_targets_themselves() -> None:
    plan = resolve_text("""
        [targets.web]
        needs = ["db", "cache", "db"]
        contexts = { base = "target:base", files = "files" }
        [targets.db]
        [targets.cache]
        [targets.base]
        """)
    web = plan.targets["web"]
    assert list(plan.targets) == ["web", "db", "cache", "base"]
    assert web.needs == (plan.targets["db"], plan.targets["cache"])
    assert web.links == {"base": plan.targets["base"]}
    assert web.attributes["contexts"] == {"files": "/plan/files"}
    assert repr(web) == "Target('web')"


def test_a_target_with_links_only_hands_no_contexts_on() -> None:
    target = target_of_text("""
        [targets.web]
        contexts = { base = "target:base", none = "" }
        [targets.base]
        """)
    assert target.attributes == {"context": "/plan"}


def test_a_need_of_a_matrix_means_all_its_rows() -> None:
    plan = resolve_text(f"""
        {MATRIX}
        [targets.web]
        needs = ["php-3", "php"]
        """)
    assert [target.name for target in plan.targets["web"].needs] == ["php-3", "php-1", "php-2"]


def test_rows_may_need_and_link_other_rows() -> None:
    plan = resolve_text("""
        [targets.base]
        matrix = { v = ["1", "2"] }
        name = "base-{{ v }}"
        [targets.web]
        matrix = { v = ["1", "2"] }
        name = "web-{{ v }}"
        needs = ["{{ 'web-1' if v == '2' else '' }}"]
        contexts = { base = "target:base-{{ v }}" }
        """)
    references = {
        name: ([needed.name for needed in target.needs], dict(target.links)) for name, target in plan.targets.items()
    }
    assert references == {
        "base-1": ([], {}),
        "base-2": ([], {}),
        "web-1": ([], {"base": plan.targets["base-1"]}),
        "web-2": (["web-1"], {"base": plan.targets["base-2"]}),
    }


def test_a_table_says_where_a_target_comes_from() -> None:
    plan = resolve_text(f"{MATRIX}\n    [targets.web]")
    assert {name: target.table for name, target in plan.targets.items()} == {
        "php-1": "php",
        "php-2": "php",
        "php-3": "php",
        "web": "web",
    }


def test_a_link_to_a_matrix_of_one_row() -> None:
    plan = resolve_text("""
        [targets.php]
        matrix = { v = ["1"] }
        name = "php-{{ v }}"
        [targets.web]
        contexts = { base = "target:php" }
        """)
    assert plan.targets["web"].links == {"base": plan.targets["php-1"]}


@pytest.mark.parametrize(("rows", "shown"), [(2, 2), (8, 8), (9, 8)])
def test_a_link_to_a_matrix_of_several_rows(rows: int, shown: int) -> None:
    names = ", ".join(f"php-{number}" for number in range(shown))
    assert problems_of_text(f"""
        [targets.php]
        matrix = {{ v = "{{{{ range({rows}) | list }}}}" }}
        name = "php-{{{{ v }}}}"
        [targets.web]
        contexts = {{ base = "target:php" }}
        """) == text(f"""
        build.toml:6: targets.web.contexts.base: links to a matrix of {rows} targets
            contexts = {{ base = "target:php" }}
          = link to one of them: {names}
        """)


def test_references_to_nothing() -> None:
    assert problems_of_text("""
        [targets._template]
        [targets.web]
        needs = ["db", "wbe", "_template", "{{ 'x' }}"]
        contexts = { a = "target:dbb", b = "target:" }
        builder = "defalt"
        [targets.dbx]
        """) == text("""
        build.toml:4: targets.web.needs[0]: unknown target "db"
            needs = ["db", "wbe", "_template", "{{ 'x' }}"]
          = did you mean "dbx"?
        build.toml:4: targets.web.needs[1]: unknown target "wbe"
            needs = ["db", "wbe", "_template", "{{ 'x' }}"]
          = did you mean "web"?
        build.toml:4: targets.web.needs[2]: unknown target "_template"
            needs = ["db", "wbe", "_template", "{{ 'x' }}"]
          = known targets: dbx, web
        build.toml:4: targets.web.needs[3]: unknown target "x"
            needs = ["db", "wbe", "_template", "{{ 'x' }}"]
          = known targets: dbx, web
        build.toml:5: targets.web.contexts.a: unknown target "dbb"
            contexts = { a = "target:dbb", b = "target:" }
          = did you mean "dbx"?
        build.toml:5: targets.web.contexts.b: unknown target ""
            contexts = { a = "target:dbb", b = "target:" }
          = known targets: dbx, web
        build.toml:6: targets.web.builder: unknown builder "defalt"
            builder = "defalt"
          = did you mean "default"?
        """)


def test_a_wrong_reference_stands_where_it_is_inherited_from() -> None:
    assert problems_of_text("""
        [targets._image]
        builder = "relase"
        contexts = { base = "target:bsae", other = "x" }
        needs = ["db", "bd"]
        [targets.base]
        [targets.db]
        [targets.web]
        inherits = ["_image"]
        contexts = { other = "y" }
        [builders.release]
        """) == text("""
        build.toml:3: targets._image.builder: unknown builder "relase"
            builder = "relase"
          = did you mean "release"?
        build.toml:4: targets._image.contexts.base: unknown target "bsae"
            contexts = { base = "target:bsae", other = "x" }
          = did you mean "base"?
        build.toml:5: targets._image.needs[1]: unknown target "bd"
            needs = ["db", "bd"]
          = known targets: base, db, web
        """)


def test_one_mistake_of_a_matrix_is_told_once() -> None:
    assert problems_of_text("""
        [targets.php]
        matrix = { v = ["1", "2", "3"] }
        name = "php-{{ v }}"
        needs = ["nope"]
        """) == text("""
        build.toml:5: targets.php.needs[0]: unknown target "nope"
            needs = ["nope"]
          = known targets: php, php-1, php-2, php-3
        """)


@pytest.mark.parametrize("order", [("a", "b", "c"), ("c", "b", "a"), ("b", "c", "a"), ("b", "a", "c")])
@pytest.mark.parametrize("kind", ['needs = ["{}"]', 'contexts = {{ x = "target:{}" }}'])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_cycle_is_always_told_from_the_same_target(order: tuple[str, ...], kind: str, *, backwards: bool) -> None:
    after = {"a": "b", "b": "c", "c": "a"}
    if backwards:
        after = {to: source for source, to in after.items()}
    plan = "\n" + "".join(f"[targets.{name}]\n{kind.format(after[name])}\n" for name in order)
    line = 2 + 2 * order.index("a")
    assert problems_of_text(plan) == (
        f"build.toml:{line}: targets.a: references form a cycle: "
        f"{'a -> c -> b -> a' if backwards else 'a -> b -> c -> a'}\n"
        "    [targets.a]\n"
        "  = remove one of these references"
    )


def test_a_cycle_over_needs_and_links_and_a_target_that_needs_itself() -> None:
    assert problems_of_text("""
        [targets.web]
        needs = ["db"]
        [targets.db]
        contexts = { x = "target:web" }
        [targets.fine]
        needs = ["web"]
        [targets.self]
        needs = ["self", "fine"]
        """) == text("""
        build.toml:4: targets.db: references form a cycle: db -> web -> db
            [targets.db]
          = remove one of these references
        build.toml:8: targets.self: references form a cycle: self -> self
            [targets.self]
          = remove one of these references
        """)


@pytest.mark.parametrize("rows", [1, 2, 200])
def test_a_matrix_that_needs_itself_is_told_once(rows: int) -> None:
    assert problems_of_text(f"""
        [targets.php]
        matrix = {{ v = "{{{{ range({rows}) | list }}}}" }}
        name = "php-{{{{ v }}}}"
        needs = ["php"]
        """) == text("""
        build.toml:2: targets.php: references form a cycle: php-0 -> php-0
            [targets.php]
          = remove one of these references
        """)


def test_two_matrices_that_need_each_other() -> None:
    assert problems_of_text("""
        [targets.web]
        matrix = { v = "{{ range(60) | list }}" }
        name = "web-{{ v }}"
        needs = ["php"]
        [targets.php]
        matrix = { v = "{{ range(60) | list }}" }
        name = "php-{{ v }}"
        needs = ["web"]
        """) == text("""
        build.toml:6: targets.php: references form a cycle: php-0 -> web-0 -> php-0
            [targets.php]
          = remove one of these references
        """)


def test_platforms_are_normalised_and_listed_once() -> None:
    target = target_of_text('\n[targets.web]\nplatforms = ["linux/x86_64", "linux/arm", "linux/amd64"]')
    assert [str(platform) for platform in target.platforms] == ["linux/amd64", "linux/arm/v7"]


def test_tags_are_completed_and_listed_once() -> None:
    target = target_of_text('\n[targets.web]\ntags = ["web", "{{ \'\' }}", "web:latest", "localhost:5000/web:1"]')
    assert target.tags == ("web:latest", "localhost:5000/web:1")


@pytest.mark.parametrize(
    ("output", "push", "outputs"),
    [
        ("[]", False, ()),
        ('["type=registry"]', True, ()),
        ('["type=image,push=true"]', True, ()),
        ('["type=image,push=false"]', False, ("type=image,push=false",)),
        ('["type=registry", "type=local,dest=out"]', True, ("type=local,dest=/plan/out",)),
        ('["type=local,dest=out", "{{ \'\' }}"]', False, ("type=local,dest=/plan/out",)),
        ('["type=docker"]', False, ("type=docker",)),
        ('["type=oci,dest=a.tar"]', False, ("type=oci,dest=/plan/a.tar",)),
        ('["type=tar,dest=a/b.tar"]', False, ("type=tar,dest=/plan/a/b.tar",)),
        ("""['type=local,"dest=a,b"']""", False, ('type=local,"dest=/plan/a,b"',)),
        ('["out"]', False, ("type=local,dest=/plan/out",)),
        ('["/out"]', False, ("type=local,dest=/out",)),
        ('["type=image,name="]', False, ("type=image,name=",)),
    ],
)
def test_outputs(output: str, outputs: tuple[str, ...], *, push: bool) -> None:
    target = target_of_text(f'\n[targets.web]\ntags = ["web"]\noutput = {output}')
    assert (target.push, target.outputs) == (push, outputs)


@pytest.mark.parametrize("output", ["-", "type=tar,dest=-", "type=oci", "{{ 'type=oci' }}"])
def test_an_output_that_is_one_file_names_it(output: str) -> None:
    kind = "oci" if "oci" in output else "tar"
    message = "writing to standard output is not supported" if "-" in output else "dest is missing"
    rest = f'    output = ["{output}"]\n  = name a file: type={kind},dest=web.tar'
    assert problems_of_text(f'\n[targets.web]\noutput = ["{output}"]') == (
        f"build.toml:3: targets.web.output[0]: {message}\n{rest}"
    )


@pytest.mark.parametrize("written", ["push = true", 'output = ["type=registry"]', 'output = ["type=image,push=true"]'])
def test_what_pushes_needs_tags(written: str) -> None:
    key = written.split(" ", maxsplit=1)[0]
    assert problems_of_text(f"\n[targets._p]\n{written}\n[targets.web]\ninherits = ['_p']") == (
        f"build.toml:3: targets._p.{key}: pushes, but has no tags\n    {written}\n"
        "  = add `tags`: they name where the image is pushed"
    )


def test_two_targets_push_one_tag() -> None:
    assert clashes_of_text("""
        [targets.a]
        tags = ["web", "web:1"]
        push = true
        [targets.quiet]
        tags = ["web"]
        [targets.b]
        tags = ["web:2", "web:latest", "web:1"]
        output = ["type=registry"]
        """) == text("""
        build.toml:8: targets.b.tags: "a" and "b" both push web:latest
            tags = ["web:2", "web:latest", "web:1"]
          = give each target its own tags
        build.toml:8: targets.b.tags: "a" and "b" both push web:1
            tags = ["web:2", "web:latest", "web:1"]
          = give each target its own tags
        """)


def test_one_tag_may_be_spelt_in_many_ways() -> None:
    assert clashes_of_text("""
        [targets.a]
        tags = ["web"]
        push = true
        [targets._image]
        tags = ["docker.io/library/web:latest"]
        [targets.b]
        inherits = ["_image"]
        push = true
        """) == text("""
        build.toml:6: targets._image.tags: "a" and "b" both push docker.io/library/web:latest
            tags = ["docker.io/library/web:latest"]
          = give each target its own tags
        """)


def test_two_rows_push_one_tag() -> None:
    assert clashes_of_text("""
        [targets.web]
        matrix = { v = ["1", "2"] }
        name = "web-{{ v }}"
        tags = ["web"]
        push = true
        """) == text("""
        build.toml:5: targets.web.tags: "web-1" and "web-2" both push web:latest
            tags = ["web"]
          = give each target its own tags
        """)


@pytest.mark.parametrize(
    ("written", "attributes"),
    [
        ("", {"context": "/plan"}),
        ('context = ""', {"context": "/plan"}),
        ('context = "."', {"context": "/plan"}),
        ('context = "web"', {"context": "/plan/web"}),
        ('context = "./web/"', {"context": "/plan/web"}),
        ('context = "../web"', {"context": "/plan/../web"}),
        ('context = "/srv/web"', {"context": "/srv/web"}),
        ('context = "https://github.com/o/r.git#main"', {"context": "https://github.com/o/r.git#main"}),
        ('context = "git@github.com:o/r"', {"context": "git@github.com:o/r"}),
        ('context = "github.com/o/r"', {"context": "github.com/o/r"}),
        ('dockerfile = "a/Dockerfile"', {"context": "/plan", "dockerfile": "a/Dockerfile"}),
        (
            'contexts = { a = "a", b = "/b", c = "docker-image://c", d = "oci-layout://d", e = "https://e", f = "" }',
            {
                "context": "/plan",
                "contexts": {
                    "a": "/plan/a",
                    "b": "/b",
                    "c": "docker-image://c",
                    "d": "oci-layout://d",
                    "e": "https://e",
                },
            },
        ),
        (
            'secret = ["id=a,src=a", "id=b,source=../b", "type=file,id=c,src=/c", "id=d,env=D", "id=e"]',
            {
                "context": "/plan",
                "secret": [
                    "id=a,src=/plan/a",
                    "id=b,source=/plan/../b",
                    "type=file,id=c,src=/c",
                    "id=d,env=D",
                    "id=e",
                ],
            },
        ),
        ('secret = ["type=env,id=a,src=A"]', {"context": "/plan", "secret": ["type=env,id=a,src=A"]}),
        (
            'cache-from = ["type=local,src=cache", "type=gha,scope=", "user/app:cache"]',
            {"context": "/plan", "cache-from": ["type=local,src=/plan/cache", "type=gha,scope=", "user/app:cache"]},
        ),
        (
            'cache-to = ["type=local,dest=cache,mode=max", "type=inline"]',
            {"context": "/plan", "cache-to": ["type=local,dest=/plan/cache,mode=max", "type=inline"]},
        ),
        (
            'ssh = ["default", "a=a.pem", "b=b.pem,/c.pem,d.pem", "e="]',
            {"context": "/plan", "ssh": ["default", "a=/plan/a.pem", "b=/plan/b.pem,/c.pem,/plan/d.pem", "e="]},
        ),
        ('attest = ["type=sbom"]', {"context": "/plan", "attest": ["type=sbom"]}),
        ('args = { A = "", B = "b" }\nlabels = {}', {"context": "/plan", "args": {"A": "", "B": "b"}}),
        ("no-cache = false\npull = true", {"context": "/plan", "pull": True}),
        (
            'annotations = ["a=1", ""]\nulimits = []\nno-cache-filter = ["x"]',
            {"context": "/plan", "annotations": ["a=1"], "no-cache-filter": ["x"]},
        ),
        (
            'builder = "default"\ntags = ["x"]\nplatforms = ["linux/arm64"]\npush = true\nload = true\nneeds = ["o"]',
            {"context": "/plan"},
        ),
    ],
)
def test_what_buildkit_is_handed(written: str, attributes: dict[str, Any]) -> None:
    assert target_of_text(f"\n[targets.o]\n[targets.web]\n{written}").attributes == attributes


def test_options_of_an_output_that_pushes_are_kept() -> None:
    target = target_of_text("""
        [targets.web]
        tags = ["r/web:1"]
        output = ["type=registry,compression=zstd", "type=local,dest=out"]
    """)
    assert target.push
    assert target.push_options == {"compression": "zstd"}
    assert target.outputs == ("type=local,dest=/plan/out",)


def test_an_output_that_pushes_takes_no_name() -> None:
    problems = problems_of_text("""
        [targets.web]
        tags = ["r/web:1"]
        output = ["type=image,name=r/other:1,push=true"]
    """)
    assert problems == (
        "build.toml:4: targets.web.output: `name` is not supported in an output that pushes\n"
        '    output = ["type=image,name=r/other:1,push=true"]\n'
        "  = list the image names in `tags`"
    )


def test_an_output_that_pushes_does_not_say_how() -> None:
    problems = problems_of_text("""
        [targets.web]
        tags = ["r/web:1"]
        output = ["type=image,push=1,Push-By-Digest=false"]
    """)
    assert problems == (
        "build.toml:4: targets.web.output: `push-by-digest` is not supported in an output that pushes\n"
        '    output = ["type=image,push=1,Push-By-Digest=false"]\n'
        "  = remove it: mpbake pushes by digest and gives the tags when the image is complete"
    )


# --- platforms that differ --------------------------------------------------------------------------------------------

APART = """
    [targets.web]
    platforms = ["linux/amd64", "linux/arm64"]
    contexts = { tools = "target:tools", files = "files" }
    [targets.web.platform."linux/amd64"]
    contexts = { base = "target:intel" }
    [targets.web.platform."linux/arm64"]
    contexts = { base = "target:arm", tools = "" }
    [targets.intel]
    [targets.arm]
    [targets.tools]
    """


def test_each_platform_may_link_to_a_target_of_its_own() -> None:
    plan = resolve_text(APART)
    web, intel, arm, tools = (plan.targets[name] for name in ("web", "intel", "arm", "tools"))
    links = {str(platform): dict(variant.links) for platform, variant in web.variants.items()}
    assert links == {"linux/amd64": {"tools": tools, "base": intel}, "linux/arm64": {"base": arm}}
    assert web.every_link == (tools, intel, arm)
    # both platforms have the same files
    assert {str(variant.attributes["contexts"]) for variant in web.variants.values()} == {"{'files': '/plan/files'}"}


def test_a_template_may_choose_the_target_by_platform() -> None:
    plan = resolve_text("""
        [targets.web]
        platforms = ["linux/amd64", "linux/arm64"]
        contexts = { base = "target:base-{{ platform.arch }}" }
        [targets.base-amd64]
        [targets.base-arm64]
        """)
    assert [linked.name for linked in plan.targets["web"].every_link] == ["base-amd64", "base-arm64"]


def test_links_alone_make_platforms_differ_and_equal_ones_do_not() -> None:
    plan = resolve_text("""
        [targets.apart]
        platforms = ["linux/amd64", "linux/arm64"]
        contexts = { base = "target:{{ 'arm' if platform.arch == 'arm64' else 'intel' }}" }
        [targets.alike]
        platforms = ["linux/amd64", "linux/arm64"]
        contexts = { base = "target:{{ 'arm' if platform.os == 'linux' else 'intel' }}" }
        [targets.intel]
        [targets.arm]
        """)
    assert len(plan.targets["apart"].variants) == 2
    assert plan.targets["alike"].variants == {}
    assert plan.targets["alike"].links == {"base": plan.targets["arm"]}


def test_a_reference_to_nothing_on_one_platform() -> None:
    assert problems_of_text(APART.replace('base = "target:arm"', 'base = "target:amr"')) == text("""
        build.toml:8: targets.web.platform."linux/arm64".contexts.base: unknown target "amr"
            contexts = { base = "target:amr", tools = "" }
          = did you mean "arm"?
        """)


def test_a_cycle_over_one_platform_is_one_all_the_same() -> None:
    problems = problems_of_text(f'{APART}\n    contexts = {{ web = "target:web" }}')
    assert problems.partition("\n")[0] == "build.toml:11: targets.tools: references form a cycle: tools -> web -> tools"


# --- other values -----------------------------------------------------------------------------------------------------


def test_checks() -> None:
    target = target_of_text("""
        [variables]
        php = "8.4"
        [targets.web]
        platforms = ["linux/amd64", "linux/arm64"]
        checks = [
            { run = ["php", "-r", "exit(PHP_VERSION < {{ php }});", "{{ '' }}"] },
            { target = "test", platforms = ["linux/x86_64", "{{ '' }}"] },
        ]
        """)
    assert target.checks == (
        Check(run=("php", "-r", "exit(PHP_VERSION < 8.4);")),
        Check(target="test", platforms=parse_platforms(["linux/amd64"])),
    )


def test_a_check_of_which_nothing_is_left() -> None:
    assert problems_of_text("""
        [targets.web]
        checks = [
            { run = ["php"] },
            { target = "{{ '' }}" },
            { run = ["{{ '' }}"] },
        ]
        """) == text("""
        build.toml:5: targets.web.checks[1]: a check must have either run or target
            { target = "{{ '' }}" },
          = write { run = ["php", "-v"] } or { target = "test" }
        build.toml:6: targets.web.checks[2]: run is empty
            { run = ["{{ '' }}"] },
          = name a command: { run = ["php", "-v"] }
        """)


@pytest.mark.parametrize("written", ["push = true\ntags = ['r/web']", "load = true", "output = ['out']"])
def test_what_is_not_built_has_no_result(written: str) -> None:
    assert problems_of_text(f"\n[targets.web]\ncall = 'check'\n{written}") == text("""
        build.toml:3: targets.web.call: call = "check" makes no image
            call = 'check'
          = remove `push`, `load` and `output`
        """)
    assert target_of_text(f"\n[targets.web]\ncall = 'build'\n{written}").attributes["call"] == "build"


def test_rows_that_a_need_means_stand_where_it_is_written() -> None:
    target = target_of_text("""
        [targets.php]
        matrix = { v = [1, 2] }
        name = "php-{{ v }}"
        [targets.db]
        [targets._image]
        needs = ["php"]
        [targets.web]
        inherits = ["_image"]
        needs = ["db"]
        """)
    assert [(need.name, target.source_key(("needs", at))) for at, need in enumerate(target.needs)] == [
        ("php-1", ("targets", "_image", "needs", 0)),
        ("php-2", ("targets", "_image", "needs", 0)),
        ("db", ("targets", "web", "needs", 0)),
    ]
