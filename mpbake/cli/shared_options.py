"""The options and arguments that several commands share."""

from __future__ import annotations

import click

from mpbake.cli.click_options import complete_names, complete_paths, option
from mpbake.report.formats import PLAN_FORMATS, format_help

DIRECTORY = option(
    "-C",
    "--directory",
    default="",
    metavar="DIR",
    help="Work as if started in DIR.",
    shell_complete=complete_paths("dir"),
)
SOURCE_OPTIONS = (
    option(
        "-f",
        "--file",
        "files",
        multiple=True,
        metavar="FILE",
        help="Plan file; default: build.toml or mpbake.toml, here or above. May be repeated: a later file wins.",
        shell_complete=complete_paths("file"),
    ),
    DIRECTORY,
    option("--var", "variables", multiple=True, metavar="NAME=VALUE", help="Set a variable of the plan."),
    option(
        "--var-file",
        "var_files",
        multiple=True,
        metavar="FILE",
        help="Set variables from a TOML or JSON file.",
        shell_complete=complete_paths("file"),
    ),
    option(
        "--set",
        "settings",
        multiple=True,
        metavar="GLOB.KEY[+]=VALUE",
        help="Set (or with += add to) an attribute of targets, such as web.args.DEBUG=1.",
    ),
    option(
        "--allow",
        multiple=True,
        metavar="RIGHT",
        help="Grant the plan a right on this machine, such as fs.read=../certs; all grants everything.",
    ),
    option("--untrusted", is_flag=True, help="Read no environment variable for the variables of the plan."),
)
COLOUR_HELP = "No colours; NO_COLOR does the same."
NO_COLOR = option("--no-color", is_flag=True, help=COLOUR_HELP)
NO_COLOR_ACCEPTED = option("--no-color", is_flag=True, expose_value=False, help=COLOUR_HELP)
"""Accepted without effect by commands without colours, since all commands that read a plan have the same options."""
READ_PLAN = (*SOURCE_OPTIONS, NO_COLOR_ACCEPTED)
NAMES = click.argument("names", nargs=-1, metavar="[GROUP|TARGET|GLOB]...", shell_complete=complete_names("targets"))
OVERRIDES = (
    option("--push/--no-push", default=None, help="Push every target that has tags, or none."),
    option("--load", is_flag=True, help="Also load the images into the engine in use."),
    option("--platform", "platforms", multiple=True, metavar="OS/ARCH", help="Build only these platforms."),
    option(
        "--builder",
        default="",
        metavar="NAME",
        help="Build all targets on this builder of the plan.",
        shell_complete=complete_names("builders"),
    ),
    option("--no-cache", is_flag=True, help="Build without the cache."),
    option("--pull", is_flag=True, help="Check registries for newer base images."),
)
PUBLISH = option(
    "--publish",
    type=click.Choice(["each", "together"]),
    default=None,
    help="each: move the tags of a target when it is built and checked. "
    "together: move all tags after the whole run is built and checked.",
)
SELECTION = (NAMES, *OVERRIDES, PUBLISH)
PLAN_FORMAT = option("--format", type=click.Choice(list(PLAN_FORMATS)), default="text", help=format_help(PLAN_FORMATS))
BUILDER_NAMES = click.argument("names", nargs=-1, metavar="[BUILDER]...", shell_complete=complete_names("builders"))
