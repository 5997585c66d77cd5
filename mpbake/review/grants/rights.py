"""The rights of a run: those that were granted when it started, and the check that later calls need no others."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.base.errors import NotGranted
from mpbake.base.files import cached_real_path, real_path
from mpbake.base.text import count, one_line
from mpbake.model.grants import Allowances
from mpbake.review.grants.needs import PlanContext, needed_grants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mpbake.model.plan import Target


_EVERYTHING = Allowances(everything=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rights:
    """The granted rights of a plan in the folder `root`. By default, everything is granted.

    `real` resolves a path as when the rights were checked at the start of the run.
    """

    root: Path = Path()
    allowances: Allowances = _EVERYTHING
    context: PlanContext = field(default_factory=PlanContext)
    real: Callable[[str], str] = real_path

    def check(self, targets: Iterable[Target]) -> None:
        """Check that `targets` need no other rights than at the start of the run: a build can change symlinks.

        With `--progress rawjson`, buildx itself checks no paths. Raises NotGranted.
        """
        if self.allowances.everything:
            return
        needed = needed_grants(targets, self.root, cached_real_path(), self.context)
        missing = self.allowances.missing(needed, self.real)
        if missing:
            shown = ", ".join(one_line(grant.text) for grant in missing)
            message = f"a symlink has changed, so the plan needs {count(len(missing), 'other right')}: {shown}"
            raise NotGranted(message, hint="find out what changed the symlink, before you grant it with --allow")
