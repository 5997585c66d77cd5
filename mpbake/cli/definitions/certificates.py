"""The commands of `mpbake certs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mpbake.cli.click_options import complete_paths, option
from mpbake.cli.definitions.command import Command, other_format
from mpbake.cli.shared_options import BUILDER_NAMES, READ_PLAN
from mpbake.report.formats import CERTIFICATE_FORMATS

if TYPE_CHECKING:
    from mpbake.cli.click_options import Parameter

AUTHORITY_DAYS = 3650
"""How many days a new certificate authority is valid by default."""
ISSUED_DAYS = 365
"""How many days a new certificate is valid by default."""
LONGEST_VALIDITY = 36_500
"""The maximum number of days that a certificate is valid."""
_CA_KEY = option(
    "--ca-key",
    default="",
    metavar="PATH",
    help="Key of the authority; default: NAME-key.pem beside its certificate NAME.pem.",
    shell_complete=complete_paths("file"),
)


def _days(default: int) -> Parameter:
    return click.option(
        "--days",
        type=click.IntRange(1, LONGEST_VALIDITY),
        default=None,
        metavar="N",
        help=f"Make certificates that are valid for N days; default: {default}.",
    )


def _certs_command(name: str, help_text: str, *parameters: Parameter, summary: str | None = None) -> Command:
    return Command(
        name=name, module="certs", options="CertsOptions", help=help_text, summary=summary, parameters=parameters
    )


CERTS = _certs_command(
    "certs",
    """Make the certificates of a plan's nodes and clients, and show until when they are valid.

    Without a command: show. Touches neither Docker nor the network.
    """,
    *READ_PLAN,
    summary="Make and show the certificates of nodes and clients.",
)
CERTS_COMMANDS = (
    _certs_command(
        "init",
        """Make the certificate authority that the plan names in `tls.ca`, and its key.

        Overwrites nothing. Git ignores the key if its folder belongs to the plan or to a repository.
        """,
        *(BUILDER_NAMES, *READ_PLAN, _CA_KEY, _days(AUTHORITY_DAYS)),
        summary="Make the certificate authority that the plan names.",
    ),
    _certs_command(
        "issue",
        """Issue the certificates of clients and of nodes with `deploy` that are missing or expire soon.

        Keeps keys and all other certificates. With --rekey it replaces all certificates, and their keys too.
        """,
        *(BUILDER_NAMES, *READ_PLAN, _CA_KEY, _days(ISSUED_DAYS)),
        click.option("--rekey", is_flag=True, help="Replace all certificates and their keys."),
        summary="Issue the certificates that are missing or expire soon.",
    ),
    _certs_command(
        "show",
        "Print whose certificates the plan names, what they are for, and until when.",
        *(BUILDER_NAMES, *READ_PLAN, other_format(CERTIFICATE_FORMATS, "text")),
        summary="Print the certificates, and until when they are valid.",
    ),
)
