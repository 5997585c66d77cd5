"""The command `import`, for bake files and with `--builder` for builders."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import click

from mpbake.cli.click_options import complete_buildx_builders, complete_paths, is_typed, option
from mpbake.cli.definitions.command import Command, other_format
from mpbake.cli.shared_options import DIRECTORY
from mpbake.report.formats import IMPORT_FORMATS

if TYPE_CHECKING:
    from mpbake.cli.definitions.command import Values


def _choose_import(context: click.Context, values: Values) -> tuple[Command, Values]:
    """Return the import of bake files, or with `--builder` the import of builders."""
    if not values["builders"]:
        return IMPORT, {name: value for name, value in values.items() if name != "builders"}
    if values["paths"] or values["files"]:
        raise click.UsageError("--builder cannot be combined with bake files", context)
    if is_typed(context, "format"):
        raise click.UsageError("--builder cannot be combined with --format", context)
    names = importlib.import_module("mpbake.cli.options").option_names(IMPORT_BUILDERS.options_class)
    return IMPORT_BUILDERS, {name: value for name, value in values.items() if name in names}


IMPORT = Command(
    name="import",
    module="import_files",
    options="ImportOptions",
    help="""Write a plan that builds the same as bake files, and prove it.

    Run it in the folder in which you run bake, with the same files. Without FILE it reads the files that bake would
    read: docker-bake.hcl, docker-bake.json, their overrides and compose.yaml. Several files are merged as by bake.

    Then buildx prints the bake files and the plan (bake --print), also with each variable changed, and mpbake
    compares them. Builds nothing. Exits with 0 if all targets are equal, and with 1 if one differs.
    """,
    summary="Write a plan that builds the same as bake files.",
    parameters=(
        click.argument("paths", nargs=-1, metavar="[FILE]...", shell_complete=complete_paths("file")),
        click.option(
            "-f",
            "--file",
            "files",
            multiple=True,
            metavar="FILE",
            help="Read this bake file; the same as FILE.",
            shell_complete=complete_paths("file"),
        ),
        DIRECTORY,
        click.option(
            "-o",
            "--output",
            default="",
            metavar="FILE",
            help="Write FILE, in the folder where you run bake; - prints it. Default: build.toml; with --builder, -.",
            shell_complete=complete_paths("file"),
        ),
        click.option("--force", is_flag=True, help="Overwrite FILE if it exists."),
        option("--dry-run", is_flag=True, help="Print the plan instead of writing it."),
        other_format(IMPORT_FORMATS, "text"),
        click.option(
            "--builder",
            "builders",
            multiple=True,
            metavar="NAME",
            help="Write the tables of a builder that `docker buildx ls` lists, instead of bake files; may be repeated.",
            shell_complete=complete_buildx_builders,
        ),
    ),
    choose=_choose_import,
)
IMPORT_BUILDERS = Command(
    name="import",
    module="import_builders",
    options="ImportBuildersOptions",
    help="Write the tables of builders that were made with docker buildx create: `mpbake import --builder NAME`.",
)
"""What `mpbake import --builder` runs."""
