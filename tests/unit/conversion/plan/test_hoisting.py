"""Large tables inside of expressions."""

from __future__ import annotations

from tests.unit.conversion.plan.conversions import notes_of, plan_of, toml

_ENTRIES = "\n".join(f'    release{number} = "1.{number}" # number {number}' for number in range(6))


def test_large_table_in_a_template_becomes_a_variable() -> None:
    hcl = f"""
function "goVersion" {{
  params = [release]
  result = lookup({{
{_ENTRIES}
  }}, release, "1.0")
}}
target "web" {{
  args = {{ GO = goVersion("release1") }}
}}
"""
    entries = "\n".join(f'release{number} = "1.{number}" # number {number}' for number in range(6))
    assert plan_of(hcl) == (
        f"[variables.go_version_table.default]\n{entries}\n\n"
        + toml("""
            [functions.goVersion]
            params = ["release"]
            result = "{{ go_version_table.get(release, '1.0') }}"

            [targets.web]
            args = { GO = "{{ goVersion('release1') }}" }
        """)
    )
    assert notes_of(hcl) == ['renamed: a table in "goVersion" is the variable "go_version_table" in the plan']


def test_entries_that_are_not_constant_stay_in_the_template() -> None:
    hcl = f"""
go_version_table = "taken"
function "go-version" {{
  params = [release]
  result = {{
{_ENTRIES}
    own = release
  }}[release]
}}
"""
    text = plan_of(hcl)
    assert "[variables.go_version_table_2.default]\n" in text
    assert "go_version_table_2 | merge({'own': release})" in text


def test_tables_that_the_plan_writes_as_tables_and_small_tables_stay() -> None:
    hcl = f"""
target "web" {{
  labels = {{
{_ENTRIES}
  }}
  args = {{ A = {{ a = 1 }}["a"] }}
}}
"""
    assert "variables" not in plan_of(hcl)
    assert notes_of(hcl) == []
