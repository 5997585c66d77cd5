"""The command `python -m testbed up|down|env --dir DIR [--with node-image,ssh]`, with PYTHONPATH=scripts."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from testbed.errors import TestbedError
from testbed.testbed import Extra, Testbed

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Run one command, and return its exit code: 1 if something is missing or failed."""
    options = _parser().parse_args(arguments)
    testbed = Testbed(options.dir)
    try:
        match options.command:
            case "up":
                testbed.up(options.extras)
            case "down":
                testbed.down()
            case "env":
                print(_exports(testbed))
    except (TestbedError, OSError) as error:
        print(f"testbed: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m testbed", description="A testbed on this machine.")
    parser.add_argument("command", choices=("up", "down", "env"))
    parser.add_argument("--dir", type=Path, required=True, help="the folder of the testbed")
    parser.add_argument(
        "--with",
        dest="extras",
        type=_extras,
        default=(),
        metavar="EXTRA,…",
        help=f"what 'up' starts in addition: {', '.join(get_args(Extra))}",
    )
    return parser


def _extras(listed: str) -> tuple[str, ...]:
    extras = tuple(filter(None, listed.split(",")))
    if unknown := set(extras).difference(get_args(Extra)):
        message = f"unknown extra {', '.join(sorted(unknown))}"
        raise argparse.ArgumentTypeError(message)
    return extras


def _exports(testbed: Testbed) -> str:
    """Return the variables as `export` lines for a shell."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in testbed.env().items())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
