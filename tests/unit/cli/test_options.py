"""The options of commands, made from the parameters of click."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mpbake.cli.definitions.table import COMMANDS, GROUPS
from mpbake.cli.options import (
    InitOptions,
    OverrideOptions,
    PlanOptions,
    ShowOptions,
    SourceOptions,
    make_options,
    option_names,
)
from mpbake.cli.runs.run_results import call_all

if TYPE_CHECKING:
    from mpbake.cli.definitions.command import Command


def test_values_reach_the_options_that_commands_share() -> None:
    values = {"names": ("web",), "directory": "dir", "push": False, "origin": True}
    assert make_options(ShowOptions, values) == ShowOptions(
        names=("web",), source=SourceOptions(directory="dir"), overrides=OverrideOptions(push=False), origin=True
    )


def test_without_values_an_option_has_its_default() -> None:
    assert make_options(PlanOptions, {}) == PlanOptions()


def test_a_value_of_another_command_is_refused() -> None:
    with pytest.raises(TypeError, match="InitOptions has no format, strict"):
        make_options(InitOptions, {"directory": "dir", "strict": True, "format": "json"})


@pytest.mark.parametrize(
    "command", [*COMMANDS, *(command for group in GROUPS for command in (group.command, *group.commands))]
)
def test_every_command_has_its_options(command: Command) -> None:
    assert option_names(command.options_class)


def test_every_action_is_called_even_after_a_failure() -> None:
    called: list[str] = []

    def action(name: str, error: Exception | None = None) -> Any:
        def call() -> int:
            called.append(name)
            if error is not None:
                raise error
            return len(called)

        return call

    assert call_all(action("first"), action("second")) == [1, 2]
    with pytest.raises(OSError, match="later"):
        call_all(action("third", ValueError("earlier")), action("fourth"), action("fifth", OSError("later")))
    assert called == ["first", "second", "third", "fourth", "fifth"]
