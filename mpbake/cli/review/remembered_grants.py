"""The rights that this user has granted to plans on a terminal, in the user's own configuration."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.base.files import read_bounded, real_path, write_whole
from mpbake.base.json_text import parse_json
from mpbake.base.text import one_line
from mpbake.model.grants import Allowances, contains, parse_grant

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mpbake.model.grants import Grant
    from mpbake.spec.files.plan_files import PlanFiles

_FORMAT = 1
_MOST_PLANS = 500
_OTHERS = 0o077
_OTHER_FORMAT = "it has another format"


def content_digest(plan_files: PlanFiles, contents: Iterable[bytes] = ()) -> str:
    """Return a SHA-256 of the texts of a plan's files and of the plan's real path, as hexadecimal digits.

    `contents` are those of other files for which rights are granted, such as configurations of buildkitd.
    """
    texts = [real_path(str(plan_files.path)), *(file.text for file in plan_files.sources)]
    texts += [hashlib.sha256(content).hexdigest() for content in contents]
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


def grants_file(environment: Mapping[str, str], root: Path) -> Path | None:
    """Return the file with the granted rights.

    Return None if the environment names no folder, or if the file would be in the checkout of the plan in `root`: then
    the plan itself could grant rights.
    """
    named = environment.get("XDG_CONFIG_HOME", "")
    base = Path(named) if named.startswith("/") else Path(environment.get("HOME", ""), ".config")
    file = base / "mpbake" / "grants.json"
    if not file.is_absolute():
        return None
    return None if contains(_checkout(Path(real_path(str(root)))), real_path(str(file))) else file


def _checkout(root: Path) -> str:
    """Return the folder of the git repository that contains `root`; `root` itself if there is none."""
    return str(next((folder for folder in (root, *root.parents) if os.path.lexists(folder / ".git")), root))


@dataclass(frozen=True, kw_only=True, slots=True)
class RememberedGrants:
    """The rights that were granted to plans: texts of grants by the digest of the plan, the oldest first.

    `warning` says why the file could not be used; empty if it could.
    """

    file: Path | None
    plans: Mapping[str, tuple[str, ...]]
    warning: str = ""

    def allowances(self, digest: str, folder: Path) -> Allowances:
        """Return the rights that the plan with this digest has. Relative paths start at `folder`."""
        return Allowances(grants=frozenset(map(parse_grant, self.plans.get(digest, ()))), folder=str(folder))

    def add(self, digest: str, grants: Iterable[Grant]) -> None:
        """Store rights of a plan beside those that it already has. Raises OSError."""
        if self.file is None:
            return
        texts = tuple(dict.fromkeys((*self.plans.get(digest, ()), *(grant.text for grant in grants))))
        plans = {**{key: value for key, value in self.plans.items() if key != digest}, digest: texts}
        kept = dict(list(plans.items())[-_MOST_PLANS:])
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(self.file, json.dumps({"format": _FORMAT, "plans": kept}, indent=1) + "\n")


def read_grants(file: Path | None) -> RememberedGrants:
    """Return the stored rights. A damaged file, or a file that others can read, is ignored with a warning."""
    if file is None or not os.path.lexists(file):
        return RememberedGrants(file=file, plans={})
    try:
        _check_owner(file.lstat())
        plans = _checked(parse_json(read_bounded(file, pipe=False, link=False)))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).partition("\n")[0]
        warning = f"{file} is ignored, so mpbake asks for its rights again: {one_line(reason)}"
        return RememberedGrants(file=file, plans={}, warning=warning)
    return RememberedGrants(file=file, plans=plans)


def _check_owner(status: os.stat_result) -> None:
    """Raise ValueError if others can read or change a file: mpbake writes no such file, but a checkout may have one."""
    if status.st_uid != os.geteuid() or status.st_mode & _OTHERS:
        msg = "others can read or change it"
        raise ValueError(msg)


def _checked(value: Any) -> dict[str, tuple[str, ...]]:
    """Return the plans in the content of the file. Raises ValueError if the content has another form."""
    if not isinstance(value, dict) or value.get("format") != _FORMAT or not isinstance(value.get("plans"), dict):
        raise ValueError(_OTHER_FORMAT)
    plans = {str(digest): texts for digest, texts in value["plans"].items()}
    for texts in plans.values():
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise ValueError(_OTHER_FORMAT)
        for text in texts:
            parse_grant(text)
    return {digest: tuple(texts) for digest, texts in plans.items()}
