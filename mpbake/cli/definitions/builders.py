"""The commands of `mpbake builders`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mpbake.cli.click_options import option
from mpbake.cli.definitions.command import Command
from mpbake.cli.shared_options import BUILDER_NAMES, READ_PLAN

if TYPE_CHECKING:
    from mpbake.cli.click_options import Parameter

_FORGET = option("--forget", is_flag=True, help="Forget unreachable nodes, and print what may be left on them.")


def _builders_command(name: str, help_text: str, *parameters: Parameter) -> Command:
    return Command(name=name, module="builders", options="BuildersOptions", help=help_text, parameters=parameters)


BUILDERS = _builders_command("builders", "Compare declared and real builders, or make them match.", *READ_PLAN)
BUILDERS_COMMANDS = (
    _builders_command(
        "up",
        """Make all nodes match the plan, and check that they answer.

        Creates, starts or replaces containers and Deployments; deploys the BuildKit of `remote` nodes with `deploy`;
        and installs the emulators of builders with `emulators = "install"`. A replaced container keeps its cache.
        """,
        *(BUILDER_NAMES, *READ_PLAN),
        click.option("--adopt", is_flag=True, help="Take over builders that were made by hand, with their caches."),
    ),
    _builders_command(
        "plan",
        "Print the changes that `up` would make; changes nothing.",
        *(BUILDER_NAMES, *READ_PLAN),
        option("--detailed-exitcode", is_flag=True, help="Exit with 2 when there are changes to make."),
    ),
    _builders_command(
        "stop",
        "Stop idle containers; a run starts them again.",
        *(BUILDER_NAMES, *READ_PLAN),
    ),
    _builders_command(
        "rm",
        "Remove what mpbake created for the named builders, or for all.",
        *(BUILDER_NAMES, *READ_PLAN),
        option("--keep-state", is_flag=True, help="Keep the caches."),
        _FORGET,
    ),
    _builders_command(
        "prune",
        "Remove what mpbake created here and the plan no longer declares.",
        *READ_PLAN,
        _FORGET,
    ),
)
