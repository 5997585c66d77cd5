"""Comments that head a part of a file."""

from __future__ import annotations

import pytest

from tests.unit.conversion.plan.conversions import converted, toml

VARIABLES = 'variable "TAG" { default = "dev" }\n'
TARGET = 'target "web" { context = "." }\n'


def text_of(hcl: str) -> str:
    """Return the whole text of a plan."""
    return converted(hcl).text


@pytest.mark.parametrize(
    "title",
    [
        "# ==== Baking variables ====",
        "# -----------\n# Variables\n# -----------",
        "#\n# arguments\n#",
        "### Arguments ###",
    ],
)
def test_a_title_of_the_variables_stands_above_their_table(title: str) -> None:
    table = '[variables]\ntag = { default = "dev", env = "TAG" }\n'
    assert text_of(f"{title}\n\n{VARIABLES}") == f"version = 1\n\n{title}\n{table}"
    assert text_of(f"{title}\n{VARIABLES}") == f"version = 1\n\n{title}\n{table}"


def test_the_last_title_at_the_top_of_a_file_is_about_its_first_part() -> None:
    assert text_of(f"# The images of the shop.\n\n# Settings\n\n{VARIABLES}") == toml("""
        # The images of the shop.

        version = 1

        [variables]
        # Settings
        tag = { default = "dev", env = "TAG" }
    """)


@pytest.mark.parametrize(
    "heading",
    [
        "# The images of the shop, and the variables of all targets.",
        "# ====\n# The shop\n# ====",
        "# The shop\n\n# Its images are built by a job that sets the variables of this file.\n# See the wiki.",
    ],
)
def test_a_heading_about_the_file_stays_at_its_top(heading: str) -> None:
    assert text_of(f"{heading}\n\n{TARGET}") == f'{heading}\n\nversion = 1\n\n[targets.web]\ncontext = "."\n'


def test_a_title_of_the_groups_stands_above_their_table() -> None:
    hcl = f"""
        {TARGET}
        # ---- Groups ----

        # Everything
        group "default" {{ targets = ["web"] }}

        # A second one
        # for the nightly job
        group "night" {{ targets = ["web"] }}
    """
    assert text_of(hcl) == toml("""
        version = 1

        # ---- Groups ----
        [groups]
        # Everything
        default = ["web"]

        # A second one
        # for the nightly job
        night = ["web"]

        [targets.web]
        context = "."
    """)
