"""Functions and groups."""

from __future__ import annotations

import pytest

from tests.unit.conversion.plan.conversions import converted, notes_of, plan_of, toml

# --- functions --------------------------------------------------------------------------------------------------------


def test_function_keeps_its_parameters_and_its_comment() -> None:
    text = plan_of("""
        # the name of an image
        function "image" {
          params = [name, tag]
          result = "ghcr.io/shop/${name}:${tag}"
        }
        function "images" {
          params = []
          variadic_params = names
          result = [for name in names: image(name, "1")]
        }
        target "web" {
          tags = images("web", "shop")
        }
    """)
    assert text == toml("""
        # the name of an image
        [functions.image]
        params = ["name", "tag"]
        result = "ghcr.io/shop/{{ name }}:{{ tag }}"

        [functions.images]
        variadic-param = "names"
        result = "{{ [image(name, '1') for name in names] }}"

        [targets.web]
        tags = "{{ images('web', 'shop') }}"
    """)


@pytest.mark.parametrize(
    ("name", "plan_name"),
    [("image", "image"), ("semver", "semver_of"), ("my-image", "my_image"), ("import", "import_of"), ("git", "git_")],
)
def test_function_has_a_name_that_nothing_else_has(name: str, plan_name: str) -> None:
    hcl = f'function "{name}" {{\n params = [x]\n result = x\n}}\ntarget "a" {{\n tags = [{name}("b")]\n}}'
    assert plan_of(hcl) == toml(f"""
        [functions.{plan_name}]
        params = ["x"]
        result = "{{{{ x }}}}"

        [targets.a]
        tags = ["{{{{ {plan_name}('b') }}}}"]
    """)
    renamed = [f'renamed: the function "{name}" is called "{plan_name}" in the plan'] if name != plan_name else []
    assert notes_of(hcl) == renamed


def test_parameter_gives_way_to_a_function() -> None:
    text = plan_of("""
        function "tag" {
          params = [class]
          result = class
        }
        function "image" {
          params = [tag]
          result = "shop:${tag}"
        }
    """)
    assert text == toml("""
        [functions.tag]
        params = ["class_value"]
        result = "{{ class_value }}"

        [functions.image]
        params = ["tag_value"]
        result = "shop:{{ tag_value }}"
    """)


def test_calls_of_a_function_that_the_plan_cannot_express_are_evaluated() -> None:
    hcl = """
        function "secret" {
          params = [text]
          result = bcrypt(text)
        }
        function "outer" {
          params = [text]
          result = "x${secret(text)}"
        }
        target "web" {
          labels = { hash = outer("a"), title = "web" }
        }
    """
    assert plan_of(hcl) == toml("""
        [targets.web.labels]
        # bake: outer("a")
        hash = ""
        title = "web"
    """)
    assert notes_of(hcl) == [
        'lost: the plan cannot express the function "secret": its calls are evaluated',
        'lost: the plan cannot express the function "outer": its calls are evaluated',
    ]
    (frozen,) = converted(hcl).frozen
    assert (frozen.key.path, frozen.expression.text, frozen.written) == (("labels", "hash"), 'outer("a")', False)


# --- groups -----------------------------------------------------------------------------------------------------------

_TARGETS = """
target "web" {}
target "php" {
  matrix = { v = ["8.1", "8.2"] }
  name = "php-${replace(v, ".", "-")}"
}
"""


@pytest.mark.parametrize(
    ("group", "line"),
    [
        ('group "default" { targets = ["web"] }', 'default = ["web"]'),
        ('group "none" { targets = [] }', "none = []"),
        ('group "all" { targets = ["web", "php", "php-8-1"] }', 'all = ["web", "php", "php-8-1"]'),
        ('group "web" { targets = ["web"] }', 'web = ["web"]'),
        (
            'group "all" {\n targets = ["web"]\n description = "everything"\n}',
            'all = { targets = ["web"], description = "everything" }',
        ),
        (
            'group "all" { targets = [for v in ["8-1"]: "php-${v}"] }',
            "all = { targets = \"{{ ['php-' ~ v for v in ['8-1']] }}\" }",
        ),
        (
            '# before\ngroup "all" {\n targets = [\n "web", # end\n ]\n}',
            '# before\nall = [\n  "web", # end\n]',
        ),
    ],
)
def test_group_lists_the_same_targets(group: str, line: str) -> None:
    assert plan_of(f"{group}\n{_TARGETS}").startswith(f"[groups]\n{line}\n\n[targets.web]\n")


def test_group_loses_members_that_do_not_exist() -> None:
    hcl = 'group "all" { targets = ["web", "gone", "php-8-1", "php-9-0"] }' + _TARGETS
    assert plan_of(hcl).startswith(
        toml("""
            [groups]
            # bake: "gone" is neither a target nor a group
            # bake: "php-9-0" is neither a target nor a group
            all = ["web", "php-8-1"]
        """)
    )
    assert notes_of(hcl) == [
        'lost: the group "all" lists "gone", which is neither a target nor a group',
        'lost: the group "all" lists "php-9-0", which is neither a target nor a group',
    ]


def test_names_of_rows_from_a_function_decide_which_members_exist() -> None:
    hcl = """
        function "named" {
          params = [prefix, parts]
          result = join("-", [prefix, join("_", parts)])
        }
        group "all" { targets = ["app-1_9", "app", "web-1_9", "gone"] }
        target "apps" {
          matrix = { v = ["1"], w = ["9"] }
          name = named("app", [v, w])
        }
    """
    assert [line for line in plan_of(hcl).splitlines() if line.startswith(("all", "# bake"))] == [
        '# bake: "app" is neither a target nor a group',
        '# bake: "web-1_9" is neither a target nor a group',
        '# bake: "gone" is neither a target nor a group',
        'all = ["app-1_9"]',
    ]


@pytest.mark.parametrize(
    ("matrix", "name"),
    [
        ("v = versions", "app-${v}"),
        ('v = split(",", "1,2")', "app-${v}"),
        ("v = [1, 2]", "app-${upper(v)}"),
        ("v = [1, 2]", 'app-${replace(v, "/[0-9]/", "x")}'),
        ("v = [{ a = 1 }]", "app-${v.a}"),
        ("v = [1, 2]", "app-${v}${suffix}"),
    ],
)
def test_member_that_may_be_the_row_of_a_matrix_stays(matrix: str, name: str) -> None:
    hcl = f"""
        variable "versions" {{
          type = list(string)
          default = ["1"]
        }}
        variable "suffix" {{}}
        group "all" {{ targets = ["app-9"] }}
        target "app" {{
          matrix = {{ {matrix} }}
          name = "{name}"
        }}
    """
    assert 'all = ["app-9"]' in plan_of(hcl)
