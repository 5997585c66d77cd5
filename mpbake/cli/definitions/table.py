"""The table of all commands, in the order in which `mpbake --help` lists them."""

from __future__ import annotations

from mpbake.cli.definitions.builders import BUILDERS, BUILDERS_COMMANDS
from mpbake.cli.definitions.certificates import CERTS, CERTS_COMMANDS
from mpbake.cli.definitions.command import GroupDefinition
from mpbake.cli.definitions.imports import IMPORT
from mpbake.cli.definitions.plans import CHECK, DIFF, DOCTOR, EXPORT, INIT, LIST, SCHEMA, SHOW, VERIFY
from mpbake.cli.definitions.runs import PLAN, RUN

COMMANDS = (RUN, PLAN, DIFF, CHECK, DOCTOR, VERIFY, LIST, INIT, IMPORT, SHOW, EXPORT, SCHEMA)
GROUPS = (
    GroupDefinition(command=BUILDERS, action="list", commands=BUILDERS_COMMANDS),
    GroupDefinition(command=CERTS, action="show", commands=CERTS_COMMANDS),
)
