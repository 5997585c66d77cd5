"""The program of the pre-commit hook: check each plan to which a changed file belongs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.base.errors import most_severe
from mpbake.integrations.calls import MpbakeProcess
from mpbake.integrations.program import exit_code_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mpbake.integrations.calls import Mpbake

PLANS = ("build.toml", "mpbake.toml")


def main() -> int:
    """Check the plans of the files in the arguments. Options are options of `mpbake check`."""
    mpbake = MpbakeProcess(environment=os.environ)
    return exit_code_of(lambda: check(sys.argv[1:], mpbake), lambda error: f"error: {error}\n")


def check(arguments: Sequence[str], mpbake: Mpbake) -> int:
    """Check each plan once, and return the most severe exit code."""
    options, files = _split(arguments)
    codes = [mpbake.run(["check", "-f", str(plan), *options]) for plan in plans_of(map(Path, files))]
    return most_severe(codes) or max(codes, default=0)


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split the arguments at the first `--`. Without it, all arguments that begin with `-` are options."""
    if "--" in arguments:
        index = arguments.index("--")
        return list(arguments[:index]), list(arguments[index + 1 :])
    options = [argument for argument in arguments if argument.startswith("-")]
    return options, [argument for argument in arguments if not argument.startswith("-")]


def plans_of(files: Iterable[Path]) -> list[Path]:
    """Return the plans of changed files: the file itself if it is a plan, else the nearest plan beside or above it.

    Files without a plan, such as those of another project, are ignored.
    """
    plans = dict.fromkeys(plan for file in files for plan in [_plan_of(file)] if plan is not None)
    return sorted(plans)


def _plan_of(file: Path) -> Path | None:
    if file.name in PLANS and file.is_file():
        return file
    folders = file.parents
    return next((folder / name for folder in folders for name in PLANS if (folder / name).is_file()), None)


if __name__ == "__main__":
    sys.exit(main())
