"""`python -m tests.testbed_cluster.inside SETTINGS`: process 1 in the namespaces of a cluster.

It starts the programs and starts each one again that ends. When it ends, the kernel ends all processes of the
namespaces, and the network devices and mounts go with them.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.processes import find_tool, run, succeeds, wait_until

from tests.testbed_cluster.parts import Part, parts
from tests.testbed_cluster.settings import (
    API_SERVICE,
    DEVICE,
    KERNEL_SETTINGS,
    NAMESPACE_FOLDERS,
    Settings,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

_SECONDS = 90
_PAUSE_BEFORE_RESTART = 1.0


def main(file: Path) -> None:
    """Set up the namespaces and keep the programs running, until the process is killed."""
    settings = Settings.load(file)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for folder in NAMESPACE_FOLDERS:
        _command("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder)
    _freeze_kernel_settings(settings)
    # There are no names here: nothing answers at this address, so that a look-up fails at once.
    _command("mount", "--bind", str(settings.file("resolv.conf")), "/etc/resolv.conf")
    _connect(settings)
    keep_running(settings, parts(settings))


def keep_running(settings: Settings, programs: Iterable[Part]) -> None:
    """Start the programs, one after the other, and start each one again that ends."""
    running: dict[int, Part] = {}
    for part in programs:
        running[_start(settings, part)] = part
        if not wait_until(part.is_ready, seconds=_SECONDS):
            print(f"{part.name} did not get ready in {_SECONDS} s", flush=True)
    print("all programs run", flush=True)
    while True:
        pid, _ = os.wait()  # also of processes that lost their parent
        if pid in running:
            part = running.pop(pid)
            print(f"{part.name} ended, starting it again", flush=True)
            time.sleep(_PAUSE_BEFORE_RESTART)
            running[_start(settings, part)] = part


def _start(settings: Settings, part: Part) -> int:
    program = find_tool(part.argv[0], settings.path)
    if program is None:
        message = f"{part.name}: no program {part.argv[0]}"
        raise SystemExit(message)
    log = settings.file(f"logs/{part.name}.log").open("ab")
    with log:
        # The process is known by its number only, so that os.wait() sees its end.
        return os.posix_spawn(
            program,
            part.argv,
            os.environ,
            file_actions=((os.POSIX_SPAWN_DUP2, log.fileno(), 1), (os.POSIX_SPAWN_DUP2, log.fileno(), 2)),
            setsid=True,
        )


def _freeze_kernel_settings(settings: Settings) -> None:
    """Let kubelet read the values that it wants, so that it does not change those of the machine."""
    for name, value in KERNEL_SETTINGS.items():
        file = settings.file(f"kernel/{name}")
        file.write_text(f"{value}\n")
        _command("mount", "--bind", str(file), f"/proc/sys/{name}")


def _connect(settings: Settings) -> None:
    """Give the loopback and the device, once it is there, their addresses."""
    if not wait_until(lambda: succeeds(("ip", "link", "show", DEVICE), env=os.environ), seconds=_SECONDS):
        message = f"no network device {DEVICE}"
        raise SystemExit(message)
    for command in (
        ("link", "set", "lo", "up"),
        ("addr", "add", f"{API_SERVICE}/32", "dev", "lo"),
        ("addr", "add", f"{settings.address}/{settings.prefix}", "dev", DEVICE),
        ("link", "set", DEVICE, "up"),
        ("route", "add", "default", "via", settings.host),
    ):
        _command("ip", *command)


def _command(*argv: str) -> None:
    run(argv, env=os.environ)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
