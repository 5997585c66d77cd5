"""Changes of the machine that several testbeds share: the first testbed makes them, the last one undoes them.

A file for the whole machine records which testbeds use each change. If something existed before all testbeds, it
belongs to none of them and stays.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_RUN = Path("/run")


@dataclass(frozen=True, kw_only=True, slots=True)
class Shared:
    """A change of the machine that testbeds share."""

    name: str
    exists: Callable[[], bool]
    make: Callable[[], object]
    undo: Callable[[], object]

    def join(self, root: Path) -> None:
        """Make the change unless it exists. Record this testbed as a user of the change if a testbed made it."""
        with _users() as users:
            if not self.exists():
                self.make()
                users[self.name] = []
            if self.name in users and str(root) not in users[self.name]:
                users[self.name].append(str(root))

    def leave(self, root: Path) -> None:
        """Remove this testbed from the users of the change. Undo the change if no living testbed uses it."""
        with _users() as users:
            if self.name not in users:
                return
            others = [user for user in users[self.name] if user != str(root) and Path(user).exists()]
            users[self.name] = others
            if not others:
                del users[self.name]
                self.undo()


@contextmanager
def _users() -> Iterator[dict[str, list[str]]]:
    """Yield the record of the machine, which maps a change to the roots of its users. Lock the record meanwhile."""
    file = _RUN / "mpbake-testbeds.json"
    with one_at_a_time():
        users: dict[str, list[str]] = json.loads(file.read_text()) if file.exists() else {}
        before = json.dumps(users)
        yield users
        if not users:
            file.unlink(missing_ok=True)
        elif json.dumps(users) != before:
            file.write_text(json.dumps(users))


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Wait until no other testbed changes this machine. Other testbeds wait until the block ends."""
    lock = os.open(_RUN, os.O_RDONLY)  # lock the folder, so that no lock file is left
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
