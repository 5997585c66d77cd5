"""The command line: options in, a frozen `Options` out; a command's module is imported only when it runs."""

from __future__ import annotations

import contextlib
import importlib
import os
import shlex
import sys
import time
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from mpbake import __version__
from mpbake.base.errors import UsageError
from mpbake.base.memory import freeze_objects, paused_collector
from mpbake.base.redaction import Redactor, redacting_stream
from mpbake.base.streams import OutputFailed, silence
from mpbake.cli.options import Options, World

if TYPE_CHECKING:
    from collections.abc import Callable


_SIGNALLED = 128
"""Exit codes above say which signal has ended a command."""


class _Lines(click.Option):
    """An option that may be given several times: its environment variable holds a value on each line."""

    def value_from_envvar(self, ctx: click.Context) -> Any:
        """The lines; click would split at every blank."""
        value = self.resolve_envvar_value(ctx)
        return value.splitlines() if value and self.multiple else super().value_from_envvar(ctx)


class _Either(click.Option):
    """An option and its opposite, `--push/--no-push`, each with a variable of its own."""

    def value_from_envvar(self, ctx: click.Context) -> Any:
        """What both variables say. That the opposite is not wanted says nothing: it must not make anything pushed."""
        given, opposite = (self._said(variable, ctx) for variable in self.envvar or ())
        if given and opposite:
            raise click.UsageError(f"{' and '.join(self.envvar or ())} contradict each other: unset one of them", ctx)
        return False if opposite else given

    def _said(self, variable: str, ctx: click.Context) -> Any:
        """What one of them says; None where it is not set, or empty."""
        value = os.environ.get(variable)
        return self.type.convert(value, self, ctx) if value else None


class _Commands(click.Group):
    """The commands. An option of theirs that stands before the command is not unknown, only in the wrong place."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """What is left for the command."""
        words = tuple(args)  # click takes them away as it goes
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            name, typed = error.option_name, self._typed(words)
            able = [typed] if typed in self.commands else list(self.commands)
            if not any(name in self._options(command) for command in able):
                raise
            command = typed if typed in self.commands else "COMMAND"
            raise click.UsageError(f"{name} goes after the command: mpbake {command} {name} …", ctx) from None

    def _typed(self, words: tuple[str, ...]) -> str:
        """The first word that is neither an option nor the value of one; empty when there is none."""
        options = {name: option for command in self.commands for name, option in self._options(command).items()}
        left = iter(words)
        for word in left:
            if not word.startswith("-"):
                return word
            if word in options and not options[word].is_flag:
                next(left, None)
        return ""

    def _options(self, command: str) -> dict[str, click.Option]:
        """The options of a command, by each of their names."""
        found = (each for each in self.commands[command].params if isinstance(each, click.Option))
        return {name: each for each in found for name in (*each.opts, *each.secondary_opts)}


def _option(*names: str, **settings: Any) -> Callable[[Any], Any]:
    """An option that can also be given as `MPBAKE_NAME` in the environment."""
    long = next(each for each in names if each.startswith("--")).split("/")
    variables = [f"MPBAKE_{each[2:].replace('-', '_').upper()}" for each in long]
    return click.option(
        *names, envvar=variables, show_envvar=True, cls=_Either if len(variables) > 1 else _Lines, **settings
    )


def _names_of(kind: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """What completes names of the plan, `targets` or `builders`. Where that cannot be read there are none."""

    def complete(context: click.Context, _: click.Parameter, typed: str) -> list[str]:
        # Of `mpbake builders`, options of the plan may stand before the command's name, too.
        every = [*(context.parent.params.items() if context.parent else ()), *context.params.items()]
        given = {name: value for name, value in every if name in _OF_THE_PLAN and value}
        without = "!" if typed.startswith("!") and kind == "targets" else ""
        with contextlib.suppress(Exception):
            module = importlib.import_module("mpbake.cli.completion")
            names = getattr(module, kind)(Options(**given), _world(context.ensure_object(Redactor)))
            return [f"{without}{name}" for name in names if f"{without}{name}".startswith(typed)]
        return []

    return complete


def _path(kind: str) -> Callable[[click.Context, click.Parameter, str], list[Any]]:
    """What has the shell itself complete a path: of a `file`, or of a `dir`."""

    def complete(_: click.Context, __: click.Parameter, typed: str) -> list[Any]:
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - only shells need it

        return [CompletionItem(typed, type=kind)]

    return complete


_OF_THE_PLAN = ("files", "directory", "variables", "var_files", "settings")
_DIRECTORY = _option(
    "-C",
    "--directory",
    default="",
    metavar="DIR",
    help="Work as if started in DIR.",
    shell_complete=_path("dir"),
)
_FORGET = _option("--forget", is_flag=True, help="Give up what is out of reach, and say what may be left there.")
_COMMON = (
    _option(
        "-f",
        "--file",
        "files",
        multiple=True,
        metavar="FILE",
        help="The plan; default: build.toml or mpbake.toml, here or above. Of several, a later one wins.",
        shell_complete=_path("file"),
    ),
    _DIRECTORY,
    _option("--var", "variables", multiple=True, metavar="NAME=VALUE", help="Value of a variable of the plan."),
    _option(
        "--var-file",
        "var_files",
        multiple=True,
        metavar="FILE",
        help="TOML file with values of variables.",
        shell_complete=_path("file"),
    ),
    _option(
        "--set",
        "settings",
        multiple=True,
        metavar="GLOB.KEY[+]=VALUE",
        help="Set (or with += add to) an attribute of targets, such as web.args.DEBUG=1.",
    ),
    _option("--no-color", is_flag=True, help="No colours; NO_COLOR does the same."),
)
_NAMES = click.argument("names", nargs=-1, metavar="[GROUP|TARGET|GLOB]...", shell_complete=_names_of("targets"))
_CHANGES = (
    _option("--push/--no-push", default=None, help="Push every target that has tags, or none."),
    _option("--load", is_flag=True, help="Load the images into the engine in use, too."),
    _option("--platform", "platforms", multiple=True, metavar="OS/ARCH", help="Build only these platforms."),
    _option(
        "--builder",
        default="",
        metavar="NAME",
        help="Build all targets on this builder of the plan.",
        shell_complete=_names_of("builders"),
    ),
    _option("--no-cache", is_flag=True, help="Build without the cache."),
    _option("--pull", is_flag=True, help="Ask for newer base images."),
)
_PUBLISH = _option(
    "--publish",
    type=click.Choice(["each", "together"]),
    default=None,
    help="Move tags as each target is done, or all together when the whole run is built and checked.",
)
_SELECTION = (_NAMES, *_CHANGES, _PUBLISH)
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


def _is_typed(context: click.Context, name: str) -> bool:
    """Whether an option stands on the command line; one of the environment holds only where it fits."""
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _loudness(context: click.Context, given: dict[str, Any]) -> dict[str, bool]:
    """Which of `quiet` and `verbose` holds: the one that is typed, where the other is the environment's."""
    both = {name: given[name] for name in ("quiet", "verbose")}
    if not all(both.values()):
        return both
    typed = {name: _is_typed(context, name) for name in both}
    if len(set(typed.values())) == 1:
        raise click.UsageError("-q and -v contradict each other", context)
    return typed


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="First steps: mpbake init, mpbake plan, mpbake run. More about each: mpbake run --help.",
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


@cli.command(short_help="Build, publish and verify targets.")
@_with(*_SELECTION, *_COMMON, *_TELLING)
@_option(
    "--metadata-file",
    default="",
    metavar="FILE",
    help="Write what came of each target to FILE, as JSON.",
    shell_complete=_path("file"),
)
@_option("--dry-run", is_flag=True, help="Print the plan and stop, like mpbake plan.")
@_FORMAT
@click.pass_context
def run(context: click.Context, /, **given: Any) -> None:
    """Build, publish and verify targets; without a name, the group "default"."""
    if not given["dry_run"] and _is_typed(context, "format"):
        raise click.UsageError("--format goes with --dry-run", context)
    _call("plan" if given["dry_run"] else "run", given | _loudness(context, given))


@cli.command()
@_with(*_SELECTION, *_COMMON, _FORMAT)
@_option(
    "--explain",
    default="",
    metavar="TARGET",
    help="Say of each of its platforms where it is built, and why there.",
    shell_complete=_names_of("targets"),
)
@_option("--probe", is_flag=True, help="Ask the nodes what they build; starts and changes nothing.")
@click.pass_context
def plan(context: click.Context, /, **given: Any) -> None:
    """Print what a run would do, for review; touches nothing."""
    explained = given["explain"]
    if explained and given["names"]:
        hint = f"it names itself what is explained, a target, group or pattern: {shlex.join(['--explain', explained])}"
        raise UsageError("--explain goes with no other name", hint=hint)
    if explained and given["format"] == "json" and _is_typed(context, "format"):
        raise UsageError("--explain prints text, and no JSON", hint="leave out --format json, or --explain")
    _call("plan", given)


@cli.command(short_help="Print everything that is wrong with a plan.")
@_with(*_COMMON)
@_option("--strict", is_flag=True, help="Take warnings for errors.")
@click.option(  # without MPBAKE_FORMAT, which is the format of plans
    "--format",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    help="For people, for programs, or as annotations of a GitHub workflow.",
)
def check(**given: Any) -> None:
    """Print everything that is wrong with a plan, and what is probably not meant; touches nothing."""
    _call("check", given)


@cli.command(short_help="Compare what registries serve with what was published.")
@_with(_NAMES, *_COMMON)
def verify(**given: Any) -> None:
    """Compare what registries serve with what the last run published, or, without one, with what the plan declares.

    Without a name, the group "default", or all that was published where the plan has none. Prints a table of
    differences.
    """
    _call("verify", given)


@cli.command("list")
@_with(*_COMMON)
def list_(**given: Any) -> None:
    """Print groups, targets and variables with their descriptions."""
    _call("list", given)


_BUILDERS = click.argument("names", nargs=-1, metavar="[BUILDER]...", shell_complete=_names_of("builders"))


@cli.group(invoke_without_command=True, subcommand_metavar="[COMMAND] [ARGS]...")
@_with(*_COMMON)
@click.pass_context
def builders(context: click.Context, /, **given: Any) -> None:
    """Print declared builders beside real ones, or make them match."""
    context.obj = given
    if context.invoked_subcommand is None:
        _call("builders", {**given, "action": "list"})


def _of_builders(context: click.Context, action: str, given: dict[str, Any]) -> None:
    """Options of the plan may stand before a command's name or after it; the environment yields to both."""
    typed = {name for name in given if _is_typed(context, name)}
    stated = {name: value for name, value in given.items() if name in typed or name not in context.obj}
    _call("builders", {**context.obj, **stated, "action": action})


@builders.command("up")
@_with(_BUILDERS, *_COMMON)
@click.pass_context
def builders_up(context: click.Context, /, **given: Any) -> None:
    """Create what is missing, correct what differs, and see that every node answers."""
    _of_builders(context, "up", given)


@builders.command("plan")
@_with(_BUILDERS, *_COMMON)
@_option("--detailed-exitcode", is_flag=True, help="Exit with 2 when there is something to do.")
@click.pass_context
def builders_plan(context: click.Context, /, **given: Any) -> None:
    """Print what `up` would do; changes nothing."""
    _of_builders(context, "plan", given)


@builders.command("stop")
@_with(_BUILDERS, *_COMMON)
@click.pass_context
def builders_stop(context: click.Context, /, **given: Any) -> None:
    """Stop the containers in which nobody builds; a run starts them again."""
    _of_builders(context, "stop", given)


@builders.command("rm")
@_with(_BUILDERS, *_COMMON)
@_option("--keep-state", is_flag=True, help="Keep the caches.")
@_FORGET
@click.pass_context
def builders_rm(context: click.Context, /, **given: Any) -> None:
    """Remove what mpbake made of builders: of those named, or of all."""
    _of_builders(context, "rm", given)


@builders.command("prune")
@_with(*_COMMON)
@_FORGET
@click.pass_context
def builders_prune(context: click.Context, /, **given: Any) -> None:
    """Remove what mpbake made here of nodes and builders that are no longer in the plan."""
    _of_builders(context, "prune", given)


@cli.command()
@_with(_DIRECTORY)
@_option("--dry-run", is_flag=True, help="Print the plan instead of writing it.")
def init(**given: Any) -> None:
    """Write a first build.toml for the Dockerfiles that it finds.

    It looks here and six levels below, asks nothing, and writes over nothing. Beside the plan it puts its schema,
    build.schema.json, for editors.
    """
    _call("init", given)


@cli.command(short_help="Print targets as resolved, in the words of the plan.")
@_with(_NAMES, *_CHANGES, *_COMMON)
@_option("--origin", is_flag=True, help="Say of each value where it was written.")
def show(**given: Any) -> None:
    """Print targets as resolved, in the words of the plan.

    Paths count from the folder of the plan. Those that the plan gives as absolute stay absolute.
    """
    _call("show", given)


@cli.command(short_help="Print resolved targets for another tool.")
@_with(_NAMES, *_CHANGES, *_COMMON)
@click.option("--format", type=click.Choice(["bake"]), default="bake", help="For docker buildx bake, as JSON.")
def export(**given: Any) -> None:
    """Print resolved targets for another tool; without a name, all of them.

    Run bake in the folder of the plan, where its relative paths count from: mpbake export | docker buildx bake -f -
    """
    _call("export", given)


@cli.command()
@click.option(  # without MPBAKE_FORMAT, which is the format of plans
    "--format",
    type=click.Choice(["json", "markdown", "diagnostics"]),
    default="json",
    help="The schema, or a page for people: the reference, or all that can be wrong.",
)
def schema(**given: Any) -> None:
    """Print the JSON Schema of build.toml, for editors and validators."""
    _call("schema", given)


def is_completing() -> bool:
    """Whether a shell asks what it may complete, or for the script by which it does: click answers on its own."""
    return bool(os.environ.get("_MPBAKE_COMPLETE"))


def _call(module: str, given: dict[str, Any]) -> None:
    with paused_collector():
        command = importlib.import_module(f"mpbake.cli.commands.{module}")
    freeze_objects()
    try:
        code = command.main(Options(**given), _world(click.get_current_context().ensure_object(Redactor)))
        with suppress(OutputFailed) if code > _SIGNALLED else nullcontext():  # as when its terminal was closed
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read us has had enough; click would call that 1, and Python complain about it at exit.
        silence(sys.stdout)
        code = 141
    sys.exit(code)


def _folder() -> Path:
    """Where the user is. Raises UsageError where that is gone."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise UsageError("the folder that you are in does not exist any more", hint="go to another one") from None


def _world(redactor: Redactor) -> World:
    environment = dict(os.environ)
    watched = sys.stderr.isatty() and environment.get("TERM") != "dumb" and not environment.get("CI")
    return World(
        environment=environment,
        folder=_folder(),
        stdout=redacting_stream(sys.stdout, redactor),
        stderr=redacting_stream(sys.stderr, redactor),
        live=watched,
        clock=time.monotonic,
        now=lambda: datetime.now(UTC),
        redactor=redactor,
    )
