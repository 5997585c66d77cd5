"""The one place that turns an error into a message and an exit code."""

from __future__ import annotations

import sys

import click

from mpbake.cli import cli
from mpbake.errors import MpbakeError
from mpbake.text import printable


def main() -> None:
    """Run the command line and exit with its code; never a traceback."""
    sys.exit(_exit_code())


def _exit_code() -> int:
    try:
        cli.main(prog_name="mpbake", standalone_mode=False)
    except MpbakeError as error:
        return _fail(str(error), error.exit_code)
    except click.UsageError as error:
        context = f"; try: {error.ctx.command_path} --help" if error.ctx else ""
        return _fail(f"{printable(error.format_message()).rstrip('.')}{context}", 3)
    except click.ClickException as error:
        return _fail(printable(error.format_message()), 3)
    except (KeyboardInterrupt, click.Abort):
        return 130
    except Exception as bug:  # noqa: BLE001 - the last line of defence
        return _fail(
            f"mpbake itself failed: {type(bug).__name__}: {printable(str(bug))}\n  = please report this as a bug", 1
        )
    return 0


def _fail(message: str, code: int) -> int:
    print(f"error: {message}", file=sys.stderr)  # noqa: T201 - this is where errors are printed
    return code


if __name__ == "__main__":
    main()
