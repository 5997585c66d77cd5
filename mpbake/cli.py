"""The command line: options in, a frozen `Options` out; a command's module is imported only when it runs."""

from __future__ import annotations

import importlib
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from mpbake import __version__
from mpbake.memory import no_garbage
from mpbake.options import Options, World

if TYPE_CHECKING:
    from collections.abc import Callable


class _Lines(click.Option):
    """An option that may be given several times: its environment variable holds a value on each line."""

    def value_from_envvar(self, ctx: click.Context) -> Any:
        """The lines; click would split at every blank."""
        value = self.resolve_envvar_value(ctx)
        return value.splitlines() if value and self.multiple else super().value_from_envvar(ctx)


def _option(*names: str, **settings: Any) -> Callable[[Any], Any]:
    """An option that can also be given as `MPBAKE_NAME` in the environment."""
    name = next(each for each in names if each.startswith("--")).partition("/")[0]
    return click.option(
        *names, envvar=f"MPBAKE_{name[2:].replace('-', '_').upper()}", show_envvar=True, cls=_Lines, **settings
    )


_COMMON = (
    _option(
        "-f", "--file", default="", metavar="FILE", help="The plan; default: build.toml or mpbake.toml, here or above."
    ),
    _option("-C", "--directory", default="", metavar="DIR", help="Work as if started in DIR."),
    _option("--var", "variables", multiple=True, metavar="NAME=VALUE", help="Value of a variable of the plan."),
    _option("--var-file", "var_files", multiple=True, metavar="FILE", help="TOML file with values of variables."),
    _option("--no-color", is_flag=True, help="No colours; NO_COLOR does the same."),
)
_SELECTION = (
    click.argument("names", nargs=-1, metavar="[GROUP|TARGET|GLOB]..."),
    _option("--push/--no-push", default=None, help="Push every target that has tags, or none."),
    _option("--load", is_flag=True, help="Load the images into the engine in use."),
    _option("--platform", "platforms", multiple=True, metavar="OS/ARCH", help="Build only these platforms."),
    _option("--builder", default="", metavar="NAME", help="Build all targets on this builder of the plan."),
    _option("--no-cache", is_flag=True, help="Build without the cache."),
    _option("--pull", is_flag=True, help="Ask for newer base images."),
)
_FORMAT = _option(
    "--format", type=click.Choice(["text", "json"]), default="text", help="How the plan is printed: text or json."
)
_TELLING = (
    _option("-q", "--quiet", is_flag=True, help="Say nothing but errors."),
    _option("-v", "--verbose", is_flag=True, help="Show the builds' own output."),
)


def _with(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@click.group(
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", prog_name="mpbake", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Build images for several platforms from one plan.

    The plan, build.toml, declares builders, nodes and targets; every platform is built on the node that runs it
    natively, and a tag moves only when all platforms are there.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@cli.command()
@_with(*_SELECTION, *_COMMON, *_TELLING)
@_option("--dry-run", is_flag=True, help="Print the plan and stop, like mpbake plan.")
@_FORMAT
@click.pass_context
def run(context: click.Context, /, **given: Any) -> None:
    """Build, publish and verify targets; without a name, the group "default"."""
    if not given["dry_run"] and context.get_parameter_source("format") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--format goes with --dry-run", context)
    _call("plan" if given["dry_run"] else "run", given)


@cli.command()
@_with(*_SELECTION, *_COMMON, _FORMAT)
def plan(**given: Any) -> None:
    """Print what a run would do, for review; touches nothing."""
    _call("plan", given)


@cli.command("list")
@_with(*_COMMON)
def list_(**given: Any) -> None:
    """Print groups and targets with their descriptions."""
    _call("names", given)


@cli.command()
@click.option(  # without MPBAKE_FORMAT, which is the format of plans
    "--format", type=click.Choice(["json", "markdown"]), default="json", help="The schema, or a page for people."
)
def schema(**given: Any) -> None:
    """Print the JSON Schema of build.toml, for editors and validators."""
    _call("schema", given)


def _call(module: str, given: dict[str, Any]) -> None:
    with no_garbage():
        command = importlib.import_module(f"mpbake.commands.{module}")
    try:
        code = command.main(Options(**given), _world())
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read us has had enough; click would call that 1, and Python complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    sys.exit(code)


def _world() -> World:
    environment = dict(os.environ)
    watched = sys.stderr.isatty() and environment.get("TERM") != "dumb" and not environment.get("CI")
    return World(
        environment=environment,
        folder=Path.cwd(),
        stdout=sys.stdout,
        stderr=sys.stderr,
        live=watched,
        clock=time.monotonic,
        now=lambda: datetime.now(UTC),
    )
