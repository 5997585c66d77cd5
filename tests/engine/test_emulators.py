"""`mpbake builders up` installs emulators, with an image that has the options of tonistiigi/binfmt.

The test uses an architecture that nothing else on the machine emulates, and takes its emulator away at the end.
"""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.engine.test_builders import container_plan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.testbed import Testbed

    from tests.engine.conftest import Docker, Mpbake

pytestmark = pytest.mark.one_release

_BINFMT = Path("/proc/sys/fs/binfmt_misc")
_ARCHITECTURES = ("riscv64", "s390x", "mips64le")
_INSTALL = """\
#!/bin/sh
[ "$1" = --install ] || exit 2
[ -e /proc/sys/fs/binfmt_misc/register ] || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
for architecture in $(echo "$2" | tr , ' '); do
  cat "/$architecture.conf" >/proc/sys/fs/binfmt_misc/register || exit 1
  echo "installing: $architecture OK" >&2
done
"""


@pytest.fixture
def architecture(docker: Docker) -> Iterator[str]:
    """An architecture without an emulator; one test at a time on this machine. Its emulator goes afterwards."""
    lock = Path("/run/mpbake-emulator-test.lock")
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        known = docker("buildx", "inspect", "default")
        free = (name for name in _ARCHITECTURES if f"linux/{name}" not in known)
        chosen = next(name for name in free if not (_BINFMT / f"qemu-{name}").exists())
        try:
            yield chosen
        finally:
            if (_BINFMT / f"qemu-{chosen}").exists():
                (_BINFMT / f"qemu-{chosen}").write_text("-1")
            lock.unlink()


@pytest.fixture
def installer(testbed: Testbed, docker: Docker, architecture: str, unique: str, tmp_path: Path) -> Iterator[str]:
    """An image with Debian's emulator, which registers it as the image of users does."""
    conf = Path(f"/usr/lib/binfmt.d/qemu-{architecture}.conf").read_text().splitlines()
    line = next(line for line in conf if line.startswith(":"))
    program = line.split(":")[-2]
    folder = tmp_path / "installer"
    folder.mkdir()
    shutil.copy(Path(program).resolve(), folder / "emulator")
    (folder / f"{architecture}.conf").write_text(f"{line}\n")
    (folder / "install").write_text(_INSTALL)
    (folder / "install").chmod(0o755)
    (folder / "Dockerfile").write_text(
        f'FROM {testbed.env()["BASE_IMAGE"]}\nCOPY emulator {program}\nCOPY *.conf install /\nENTRYPOINT ["/install"]\n'
    )
    docker("build", "--tag", f"{unique}:1", str(folder))
    yield f"{unique}:1"
    docker("image", "rm", "--force", f"{unique}:1")


def test_up_installs_emulators_once(
    testbed: Testbed, mpbake: Mpbake, architecture: str, installer: str, tmp_path: Path
) -> None:
    name, platform = f"emu-{architecture}", f"linux/{architecture}"
    options = f'emulators = "install"\nemulators-image = "{installer}"'
    plan = container_plan(testbed, name, options=options)
    (tmp_path / "build.toml").write_text(plan.replace('["linux/amd64"]', f'["linux/amd64", "{platform}"]'))

    diagnosed = " ".join(mpbake("doctor", code=5).stdout.split())
    assert f"missing {name}: no node builds {platform}, neither natively nor by an emulator" in diagnosed
    assert f"= run `mpbake builders up {name}`, which installs emulators" in diagnosed
    change = f"+ install emulators for {platform} on the engine in use: the plan builds for it"
    assert change in mpbake("builders", "plan").stdout
    refused = mpbake("run", "web", code=3).stderr
    assert f"= install the emulators that the plan asks for: mpbake builders up {name}\n" in refused
    assert not (_BINFMT / f"qemu-{architecture}").exists(), "doctor, plan and run install nothing"

    try:
        said = mpbake("builders", "up").stderr
        assert f"{name}: installing emulators for {platform} on the engine in use\n" in said
        assert f"{name}: emulators for {platform} work on the engine in use\n" in said
        assert mpbake("builders", "plan").stdout.endswith("as declared\nnothing to do\n")
        assert "emulators" not in mpbake("builders", "up").stderr
    finally:
        mpbake("builders", "rm")
