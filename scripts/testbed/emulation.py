"""QEMU for the processors that this machine does not have, registered with the kernel."""

from __future__ import annotations

import os
import platform
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.packages import ensure_tools
from testbed.processes import run
from testbed.shared import Shared

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed.place import Place

_BINFMT = Path("/proc/sys/fs/binfmt_misc")
# For each machine, the emulators of the testbed's platforms that the machine does not run natively.
_EMULATORS: Mapping[str, tuple[str, ...]] = {
    "x86_64": ("qemu-aarch64", "qemu-arm"),
    "aarch64": ("qemu-x86_64",),
}


def ensure_emulation(place: Place) -> None:
    """Register the emulators, as root. Start engines afterwards: an engine looks for emulators only once."""
    ensure_tools(place, *missing_emulators())
    for change in shared_changes():
        place.note("shared", change.name)
        change.join(place.root)


def missing_emulators() -> tuple[str, ...]:
    """Return the emulators that are not registered with the kernel."""
    return tuple(name for name in _emulators() if not (_BINFMT / name).exists())


def shared_changes() -> tuple[Shared, ...]:
    """Return the changes of the machine that register the emulators, in their order."""
    mount = Shared(
        name="binfmt_misc",
        exists=(_BINFMT / "register").exists,
        make=partial(run, ("mount", "-t", "binfmt_misc", "binfmt_misc", str(_BINFMT)), env=os.environ),
        undo=partial(run, ("umount", str(_BINFMT)), env=os.environ),
    )
    return (mount, *(_registration(name) for name in _emulators()))


def _registration(name: str) -> Shared:
    return Shared(
        name=name,
        exists=(_BINFMT / name).exists,
        make=partial(_register, name),
        undo=partial((_BINFMT / name).write_text, "-1"),
    )


def _register(name: str) -> None:
    """Register the emulator with the kernel, with the line in Debian's package.

    The flag F in this line makes the kernel open the emulator now, so that it works inside containers.
    """
    lines = Path(f"/usr/lib/binfmt.d/{name}.conf").read_text().splitlines()
    line = next(line for line in lines if line.startswith(f":{name}:"))
    (_BINFMT / "register").write_text(line)


def _emulators() -> tuple[str, ...]:
    return _EMULATORS.get(platform.machine(), ())
