"""Checks of the platforms on the command line. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.errors import UsageError
from mpbake.base.platforms import check_platform, is_known
from mpbake.base.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mpbake.base.platforms import Platform
    from mpbake.model.plan import Target


def check_platforms(targets: Iterable[Target], platforms: Sequence[Platform]) -> None:
    """Raise UsageError if a target declares platforms, and not all of `platforms` are among them."""
    for target in targets:
        declared = [str(platform) for platform in target.platforms]
        for platform in platforms if declared else ():
            if platform not in target.platforms:
                message = f"--platform {platform}: {target.name} is built for {', '.join(declared)} only"
                # For a known platform the message is enough: it lists the declared platforms.
                hint = "" if is_known(platform) else did_you_mean(str(platform), declared, kind="platforms")
                raise UsageError(message, hint=hint)


def platform_warnings(platforms: Iterable[Platform]) -> Iterator[str]:
    """Yield a warning, not an error, for each platform that looks misspelt: a later BuildKit may know the platform."""
    for platform in platforms:
        try:
            check_platform(str(platform))
        except ValueError as error:
            yield f"--platform {platform}: {', '.join(str(error).splitlines())}"
