"""Click's options and groups as mpbake uses them: environment variables, completion, misplaced options."""

from __future__ import annotations

import contextlib
import importlib
import os
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from mpbake.base.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.shell_completion import CompletionItem

    Parameter = Callable[[Any], Any]
    """A decorator that adds an option or an argument to a command."""


class MultiLineOption(click.Option):
    """An option with an environment variable.

    For an option that may be repeated, each line of the variable is a value.
    """

    def value_from_envvar(self, ctx: click.Context) -> Any:
        """Return the lines of the variable. click itself would split at every blank."""
        value = self.resolve_envvar_value(ctx)
        return value.splitlines() if value and self.multiple else super().value_from_envvar(ctx)


class SwitchOption(click.Option):
    """An option and its opposite, such as `--push/--no-push`, each with its own environment variable."""

    def value_from_envvar(self, ctx: click.Context) -> Any:
        """Return the value that both variables set together. `MPBAKE_NO_PUSH=false` does not mean `--push`."""
        value, opposite = (self._variable_value(variable, ctx) for variable in self.envvar or ())
        if value and opposite:
            raise click.UsageError(f"{' and '.join(self.envvar or ())} cannot be combined: unset one of them", ctx)
        return False if opposite else value

    def _variable_value(self, variable: str, ctx: click.Context) -> Any:
        """Return the value of one variable; None if the variable is not set, or empty."""
        value = os.environ.get(variable)
        return self.type.convert(value, self, ctx) if value else None


class CommandGroup(click.Group):
    """A group that reports an option of a command before the name of the command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the options of the group, and return the other arguments."""
        words = tuple(args)  # click removes words from `args` during parsing
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            name, typed = error.option_name, self._typed_command(words)
            candidates = [typed] if typed in self.commands else list(self.commands)
            if not any(name in self._options(command) for command in candidates):
                raise
            command = typed if typed in self.commands else "COMMAND"
            raise click.UsageError(f"{name} goes after the command: mpbake {command} {name} …", ctx) from None

    def _typed_command(self, words: tuple[str, ...]) -> str:
        """Return the first word that is neither an option nor an option's value; empty if every word is."""
        options = {name: option for command in self.commands for name, option in self._options(command).items()}
        rest = iter(words)
        for word in rest:
            if not word.startswith("-"):
                return word
            if word in options and not options[word].is_flag:
                next(rest, None)
        return ""

    def _options(self, command: str) -> dict[str, click.Option]:
        """Return the options of a command by name. An option with several names appears under each name."""
        options = (option for option in self.commands[command].params if isinstance(option, click.Option))
        return {name: option for option in options for name in (*option.opts, *option.secondary_opts)}


def option(*names: str, **settings: Any) -> Parameter:
    """Return an option that the environment variable `MPBAKE_NAME` can also set."""
    long = next(name for name in names if name.startswith("--")).split("/")
    variables = [f"MPBAKE_{name[2:].replace('-', '_').upper()}" for name in long]
    kind = SwitchOption if len(variables) > 1 else MultiLineOption
    return click.option(*names, envvar=variables, show_envvar=True, cls=kind, **settings)


def is_typed(context: click.Context, name: str) -> bool:
    """Return whether an option was set on the command line, not in the environment."""
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def complete_names(kind: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Return a function that completes the names of `targets` or `builders` in the plan.

    If the plan has errors, the function returns no names.
    """

    def complete(context: click.Context, _: click.Parameter, typed: str) -> list[str]:
        # With `mpbake builders`, options of the plan may also come before the name of the subcommand.
        parameters = [*(context.parent.params.items() if context.parent else ()), *context.params.items()]
        values = {name: value for name, value in parameters if value}
        exclusion = "!" if typed.startswith("!") and kind == "targets" else ""
        with contextlib.suppress(Exception):
            completion = importlib.import_module("mpbake.cli.completion")
            names = completion.NAMES[kind](values, context.ensure_object(Redactor))
            return [f"{exclusion}{name}" for name in names if f"{exclusion}{name}".startswith(typed)]
        return []

    return complete


def complete_buildx_builders(_: click.Context, __: click.Parameter, typed: str) -> list[str]:
    """Complete the names of builders in the user's buildx store. Runs no program."""
    with contextlib.suppress(Exception):
        store = importlib.import_module("mpbake.buildkit.nodes.instances.buildx_store")
        names = store.BuildxStore(folder=store.store_folder(os.environ)).names()
        return [name for name in names if name.startswith(typed)]
    return []


def complete_paths(kind: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Return a function that makes the shell complete a path of kind `file` or `dir`."""

    def complete(_: click.Context, __: click.Parameter, typed: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - only completion needs click's shell support

        return [CompletionItem(typed, type=kind)]

    return complete


def is_completing() -> bool:
    """Return whether a shell asks for completions or for the completion script. click answers these requests itself."""
    return bool(os.environ.get("_MPBAKE_COMPLETE"))
