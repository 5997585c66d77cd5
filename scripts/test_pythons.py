#!/usr/bin/env python3
"""Test mpbake with every supported Python of this machine. Install it with the oldest pips that these Pythons bring.

    scripts/test_pythons.py                  install with each of these pips, and run the unit tests on each Python
    scripts/test_pythons.py --install 3.11   only install, on Python 3.11 and with the oldest pip

The script looks for Pythons on PATH and in pyenv. It prints which ones it uses, and which versions are missing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLDEST_PIPS = {"3.11": ("22.3", "23.0"), "3.12": ("23.2.1",), "3.13": ("24.2",), "3.14": ("25.2",)}
"""The oldest pips of each Python: that of its first release, and for 3.11 also that of Debian 12."""
_USABLE = "import ensurepip, sys; sys.exit('%d.%d' % sys.version_info[:2] != {version!r})"


def main() -> int:
    """Test with each Python. Return 1 if one of them fails or none is found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install", action="store_true", help="only install, and with the oldest pip")
    parser.add_argument("versions", nargs="*", metavar="VERSION", help="such as 3.11; all without one")
    arguments = parser.parse_args()
    versions = arguments.versions or list(OLDEST_PIPS)
    if unknown := sorted(set(versions) - set(OLDEST_PIPS)):
        parser.error(f"{', '.join(unknown)}: the versions are {', '.join(OLDEST_PIPS)}")
    pythons = {version: find(version) for version in versions}
    for version, python in pythons.items():
        print(f"Python {version}: {python or 'not available on this machine, not tested'}", flush=True)
    available = {version: python for version, python in pythons.items() if python}
    failed = [
        why for version, python in available.items() for why in failures(version, python, install=arguments.install)
    ]
    print("\n".join(failed) or f"passed with Python {', '.join(available) or 'none'}")
    return 1 if failed or not available else 0


def find(version: str) -> Path | None:
    """Return a Python of this version that can make virtual environments."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    folders += sorted(pyenv.glob(f"{version}.*/bin"))
    return next(
        (path for path in (folder / f"python{version}" for folder in folders) if is_usable(path, version)), None
    )


def is_usable(path: Path, version: str) -> bool:
    """Return whether `path` is a Python of this version with ensurepip.

    pyenv's shims and Debian's Pythons may have none.
    """
    if not path.is_file():
        return False
    command = [str(path), "-c", _USABLE.format(version=version)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def failures(version: str, python: Path, *, install: bool) -> list[str]:
    """Return what fails with a Python: the installation with a pip, or the unit tests in the first environment."""
    failed = []
    for number, pip in enumerate(OLDEST_PIPS[version][: 1 if install else None]):
        with tempfile.TemporaryDirectory(prefix=f"mpbake-{version}-") as folder:
            print(f"Python {version}, pip {pip}: installing", flush=True)
            if not runs("scripts/make-venv", folder, PYTHON=str(python), PIP=pip):
                failed.append(f"Python {version}: pip {pip} does not install requirements.lock")
            elif not runs(f"{folder}/bin/mpbake", "--version"):
                failed.append(f"Python {version}: mpbake does not start")
            elif not install and not number and not runs(f"{folder}/bin/python", *_TESTS):
                failed.append(f"Python {version}: unit tests fail")
    return failed


_TESTS = ("-m", "pytest", "-q", "-n", "2", "-m", "not long", "tests/unit")


def runs(*command: str, **environment: str) -> bool:
    """Run a command in the checkout; return whether it succeeds."""
    return subprocess.run(command, check=False, cwd=ROOT, env={**os.environ, **environment}).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
