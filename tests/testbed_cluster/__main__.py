"""`python -m tests.testbed_cluster up|down|env --dir DIR`, with PYTHONPATH=.:scripts."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.errors import TestbedError

from tests.testbed_cluster.cluster import RealCluster, exports

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Run one command; the exit code is 1 if something is missing or failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.testbed_cluster", description="A Kubernetes cluster here.")
    parser.add_argument("command", choices=("up", "down", "env"))
    parser.add_argument("--dir", type=Path, required=True, help="the folder of the cluster")
    options = parser.parse_args(arguments)
    cluster = RealCluster.at(options.dir)
    try:
        match options.command:
            case "up":
                cluster.up()
            case "down":
                cluster.down()
            case "env":
                print(exports(cluster.env()))
    except (TestbedError, OSError) as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
