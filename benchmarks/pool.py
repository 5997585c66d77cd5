"""What equal nodes are good for: targets of one platform on one, two and four of them, with nothing cached.

    .venv/bin/python benchmarks/pool.py [--runs N] [--targets N]

mpbake and `docker buildx bake` in turn, on a builder with the very same nodes, whose strength is limited. With real
buildkitd nodes (NODE_IMAGE in the environment names their image) each has `max-parallelism = 1`, and a build sleeps. An
engine's embedded BuildKit knows no such limit: there each node container gets a fixed share of the CPU, a build burns a
known amount of it, and the plan says that a node has two slots.

Goals, as ratios of wall times mpbake/bake: one node at most 1.1, two at most 0.6, four at most 0.35.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.real import ground, median

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.real import Ground

BUILDER = "pool"
CPUS = 0.4
"""The share of one CPU that an embedded node gets: four fit on two cores."""
BURNED = 1.2
"""Seconds of CPU that a build burns there: three in wall time, when it has its node for itself."""
GOALS = {1: 1.1, 2: 0.6, 4: 0.35}
_NONCES = itertools.count()


class Nodes:
    """Up to four equal node containers, made by mpbake, each on a docker context of its own."""

    def __init__(self, here: Ground, count: int, targets: int) -> None:
        self.here = here
        self.names = [f"n{number}" for number in range(1, count + 1)]
        self.targets = targets
        if not here.embedded:
            config = Path(here.env["BUILDX_CONFIG"]) / "buildkitd.default.toml"
            config.write_text("[worker.oci]\nmax-parallelism = 1\n")
        for name in self.names:
            here.docker("context", "create", _context(name), "--docker", f"host={here.bed.engine.host}")

    def write_plans(self, names: Sequence[str], work: str) -> None:
        """The same new targets for both tools, on the nodes called `names`."""
        here, nonce = self.here, f"{next(_NONCES)}-{time.time()}"
        (here.folder / "Dockerfile").write_text(f"FROM {here.env['BASE_IMAGE']}\nARG NAME\nRUN echo $NAME; {work}\n")
        targets = {f"t{number}": f"{number}-{nonce}" for number in range(self.targets)}
        (here.folder / "build.toml").write_text(_plan(here, names, targets))
        (here.folder / "docker-bake.json").write_text(json.dumps(_definition(targets)))

    def prepare(self) -> None:
        """Have mpbake make every node, by itself, and limit it."""
        for name in self.names:
            self.write_plans([name], "true")
            self.here.mpbake("run")
            if self.here.embedded:
                self.here.docker("update", "--cpus", str(CPUS), _container(name))

    def store(self, names: Sequence[str]) -> Path:
        """A store of instances with one builder that has all of the nodes called `names`."""
        here, path = self.here, self.here.folder / f"store-{len(names)}"
        env = {**here.env, "BUILDX_CONFIG": str(path)}
        for name in names:
            inspected = here.docker("container", "inspect", "--format", "{{json .Config.Env}}", _container(name))
            mark = next(each for each in json.loads(inspected) if each.startswith("MPBAKE_NODE="))
            options = (f"image={here.image}", "network=host", f"env.{mark}")
            flags = [part for option in options for part in ("--driver-opt", option)]
            append = ["--append"] if name != names[0] else []
            create = ["buildx", "create", "--name", BUILDER, "--node", f"{BUILDER}-{name}", *append]
            create += ["--driver", "docker-container", "--platform", "linux/amd64", *flags, _context(name)]
            type(here)(folder=here.folder, bed=here.bed, env=env, image=here.image).docker(*create)
        return path

    def remove(self) -> None:
        """Leave nothing behind in an engine that lives on."""
        for name in self.names:
            self.here.docker("rm", "--force", "--volumes", _container(name))
            self.here.docker("context", "rm", _context(name))


def _context(name: str) -> str:
    return f"mpbench-{name}"


def _container(name: str) -> str:
    return f"buildx_buildkit_{BUILDER}-{name}"


def _plan(here: Ground, names: Sequence[str], targets: dict[str, str]) -> str:
    nodes = "\n".join(
        f'[builders.{BUILDER}.nodes.{name}]\nendpoint = "{_context(name)}"\nplatforms = ["linux/amd64"]'
        for name in names
    )
    tables = "\n".join(
        f'[targets.{name}]\ninherits = ["_t"]\nargs = {{ NAME = "{value}" }}' for name, value in targets.items()
    )
    return f"""
version = 1
[groups]
default = {json.dumps(list(targets))}
[builders.{BUILDER}]
driver = "docker-container"
image = "{here.image}"
network = "host"
{"slots = 2" if here.embedded else ""}
{nodes}
[targets._t]
builder = "{BUILDER}"
platforms = ["linux/amd64"]
{tables}
"""


def _definition(targets: dict[str, str]) -> dict[str, Any]:
    tables = {
        name: {"context": ".", "platforms": ["linux/amd64"], "args": {"NAME": value}, "output": ["type=cacheonly"]}
        for name, value in targets.items()
    }
    return {"group": {"default": {"targets": list(targets)}}, "target": tables}


def calibrated(here: Ground) -> str:
    """A shell loop that burns `BURNED` seconds of CPU on a node, measured in the base image itself."""
    loop = "i=0; while [ $i -lt {} ]; do i=$((i+1)); done"
    base = ("run", "--rm", "--network", "none", here.env["BASE_IMAGE"], "sh", "-c")
    here.docker(*base, "true")
    probe = 1_000_000
    times = here.docker(*base, f"{loop.format(probe)}; cat /proc/$$/stat").split()
    ticks = int(times[13]) + int(times[14])
    return loop.format(round(probe * BURNED / (ticks / 100)))


def main() -> None:
    """Measure with one, two and four nodes, and print a row for each."""
    parser = argparse.ArgumentParser(description="Times runs on equal nodes against bake.")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--targets", type=int, default=8)
    options = parser.parse_args()
    with ground() as here:
        nodes = Nodes(here, max(GOALS), options.targets)
        try:
            nodes.prepare()
            work = calibrated(here) if here.embedded else "sleep 3"
            kind = f"engines, {CPUS} CPU each" if here.embedded else "buildkitd, max-parallelism = 1"
            print(f"{options.targets} targets, nothing cached; nodes: {kind}; medians of {options.runs} runs")
            print("nodes  mpbake s  bake s  ratio  goal", flush=True)
            for count, goal in GOALS.items():
                names = nodes.names[:count]
                ours, theirs = compare(nodes, names, work, options.runs)
                print(f"{count:>5}  {ours:>8.2f}  {theirs:>6.2f}  {ours / theirs:>5.2f}  {goal:>4}", flush=True)
        finally:
            nodes.remove()


def compare(nodes: Nodes, names: Sequence[str], work: str, runs: int) -> tuple[float, float]:
    """The medians of mpbake and bake on the nodes called `names`, in turn."""
    here, store = nodes.here, nodes.store(names)
    ours, theirs = [], []
    for _ in range(runs):
        nodes.write_plans(names, work)
        (here.folder / ".mpbake/durations.json").unlink(missing_ok=True)  # nothing is known of new targets
        ours.append(here.mpbake("run")[0])
        nodes.write_plans(names, work)
        theirs.append(here.bake(store, BUILDER))
    return median(ours), median(theirs)


if __name__ == "__main__":
    main()
