"""The entry point: the only place that turns an error into a message and an exit code."""

from __future__ import annotations

import contextlib
import sys

import click

from mpbake.base.errors import EXHAUSTED, MpbakeError, system_error
from mpbake.base.redaction import Redactor
from mpbake.base.streams import silence, standard_streams
from mpbake.base.text import printable
from mpbake.cli.app import cli
from mpbake.cli.click_options import is_completing


def main() -> None:
    """Run the command line and exit with its code. Prints neither a traceback nor a secret."""
    redactor = Redactor()
    if is_completing():
        _complete(redactor)
    with standard_streams():
        message, code = _outcome(redactor)
        if message is not None:
            _print_error(f"error: {redactor.redact(message)}")
    sys.exit(code)


def _complete(redactor: Redactor) -> None:
    """Answer a shell, on the streams as they are, since click writes bytes. Errors are not printed there."""
    with contextlib.suppress(Exception):
        cli.main(prog_name="mpbake", standalone_mode=False, obj=redactor)
    silence(sys.stdout)
    sys.exit(1)


def _print_error(message: str) -> None:
    """Print an error. If standard error is closed, the exit code is enough."""
    try:
        print(message, file=sys.stderr)  # noqa: T201 - this is where errors are printed
    except BrokenPipeError:
        silence(sys.stderr)


def _outcome(redactor: Redactor) -> tuple[str | None, int]:
    """Run the command line; return the error message, if there is one, and the exit code."""
    try:
        cli.main(prog_name="mpbake", standalone_mode=False, obj=redactor)
    except MpbakeError as error:
        return "\nerror: ".join(map(str, error.separate)), error.exit_code
    except click.UsageError as error:
        message = printable(error.format_message()).rstrip(".")
        end = "" if message.endswith("?") else ";"
        return f"{message}{end} try: {error.ctx.command_path} --help" if error.ctx else message, 3
    except click.ClickException as error:
        return printable(error.format_message()), 3
    except (KeyboardInterrupt, click.Abort):
        return None, 130
    except Exception as bug:  # noqa: BLE001 - the last resort
        if isinstance(bug, OSError) and bug.strerror and (bug.filename or bug.errno in EXHAUSTED):
            return str(system_error(bug, bug.filename or "a temporary file")), 1
        message = f"mpbake itself failed: {type(bug).__name__}: {printable(str(bug))}"
        return f"{message}\n  = please report this as a bug", 1
    return None, 0


if __name__ == "__main__":
    main()
