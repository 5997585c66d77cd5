"""The time of `mpbake --help` as a whole process, compared with an empty Python process.

    .venv/bin/python benchmarks/startup.py [RUNS]

The benchmark prints medians in milliseconds and their ratio. Goal: less than 150 ms on a machine where an empty Python
needs about 20 ms.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "mpbake --help": [sys.executable, "-m", "mpbake", "--help"],
    "mpbake run --help": [sys.executable, "-m", "mpbake", "run", "--help"],
}


def milliseconds(command: list[str]) -> float:
    """Return the wall time of one run of `command`, in milliseconds."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Run the commands alternately, so that a slow moment of the machine affects all of them. Print the medians."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(runs):
        for name, command in COMMANDS.items():
            times[name].append(milliseconds(command))
    base = statistics.median(times["python -c pass"])
    for name, measured in times.items():
        median = statistics.median(measured)
        print(f"{name:20} median of {runs}: {median:6.1f} ms   ratio {median / base:4.1f}")


if __name__ == "__main__":
    main()
