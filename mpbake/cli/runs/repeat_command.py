"""The command that repeats a build, for error messages."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from mpbake.model.steps import BuildPiece

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mpbake.cli.options import RunOptions, SourceOptions
    from mpbake.model.plan import Target


def repeat_command(options: RunOptions, built: BuildPiece | Target) -> str:
    """Return a command that repeats a build piece or a whole target, with the same plan and the same values.

    If the build piece is only a part of an image, the command neither pushes nor loads that part.
    """
    if isinstance(built, BuildPiece):
        is_part, name = built.piece_count > 1 or built.shared, built.target.name
        narrowed = is_part or options.overrides.platforms
        platforms = tuple(str(placed.platform) for placed in built.platforms) if narrowed else ()
    else:
        is_part, name, platforms = False, built.name, options.overrides.platforms
    words = ["mpbake", "run", *plan_words(options.source, options.overrides.builder), name]
    words += [*_repeated("--platform", platforms), *_flags(options, is_part=is_part)]
    return shlex.join(words)


def plan_words(source: SourceOptions, builder: str = "") -> list[str]:
    """Return the words of a command line that select the same plan, with the same values.

    The words grant no rights, since others may copy them from a log: who repeats the command decides about rights.
    """
    return [
        *_repeated("-C", filter(None, [source.directory])),
        *_repeated("--builder", filter(None, [builder])),
        *_repeated("-f", source.files),
        *_repeated("--var", source.variables),
        *_repeated("--var-file", source.var_files),
        *_repeated("--set", source.settings),
        *(["--untrusted"] if source.untrusted else []),
    ]


def _repeated(option: str, values: Iterable[str]) -> list[str]:
    return [word for value in values for word in (option, value)]


def _flags(options: RunOptions, *, is_part: bool) -> list[str]:
    overrides = options.overrides
    push = False if is_part else overrides.push
    flags = {
        "--no-cache": overrides.no_cache,
        "--pull": overrides.pull,
        "--load": overrides.load and not is_part,
        "--push": push is True,
        "--no-push": push is False,
    }
    return [flag for flag, is_set in flags.items() if is_set]
