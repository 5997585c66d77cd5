"""The gain of equal nodes: targets of one platform on one, two and four of them, with nothing cached.

    .venv/bin/python benchmarks/pool.py [--runs N] [--targets N] [--only one|two|waiting] [--slots N]

This runs mpbake and `docker buildx bake` alternately, on a builder with the same nodes, whose power is limited. With
real buildkitd nodes (NODE_IMAGE in the environment names their image) each has `max-parallelism = 1`, and a build
sleeps. An engine's embedded BuildKit knows no such limit: there each node container gets a fixed share of the CPU, and
a build uses a known amount of it. With --slots the plan declares the slots of these nodes; without, they have none.

Goals, as ratios of wall times mpbake/bake: one node at most 1.1, two at most 0.6, four at most 0.35.

With embedded nodes, `waiting` are builds that only wait, as for a network: a node can run any number of them at once,
so that equal nodes save nothing. Goal: at most 1.1 on one node, at most 1.0 on two and four.

Then half as many targets of two platforms each, on two nodes for either platform. The nodes themselves report what they
built: in front of each, a witness records every build that it is asked for.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.real import ground, median

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.real import Ground

BUILDER = "pool"
CPUS = 0.4
"""The share of one CPU for an embedded node: four fit on two cores."""
BURNED = 1.2
"""The seconds of CPU of a build there: three seconds of wall time if it has its node for itself."""
GOALS = {1: 1.1, 2: 0.6, 4: 0.35}
WAITING_GOALS = {1: 1.1, 2: 1.0, 4: 1.0}
PAIRS = ("linux/amd64", "linux/amd64", "linux/arm64", "linux/arm64")
MIXED = "mixed"
_NONCES = itertools.count()


class Nodes:
    """Up to four equal node containers, made by mpbake, each on a docker context of its own."""

    def __init__(self, here: Ground, count: int, targets: int, slots: int) -> None:
        self.here = here
        self.slots = f"slots = {slots}" if slots else ""
        self.names = [f"n{number}" for number in range(1, count + 1)]
        self.targets = targets
        if not here.embedded:
            config = Path(here.env["BUILDX_CONFIG"]) / "buildkitd.default.toml"
            config.write_text("[worker.oci]\nmax-parallelism = 1\n")
        for name in self.names:
            here.docker("context", "create", _context(name), "--docker", f"host={here.bed.engine.host}")

    def write_plans(self, names: Sequence[str], work: str) -> None:
        """Write the same new targets for both tools, on the nodes called `names`."""
        here, nonce = self.here, f"{next(_NONCES)}-{time.time()}"
        (here.folder / "Dockerfile").write_text(f"FROM {here.env['BASE_IMAGE']}\nARG NAME\nRUN echo $NAME; {work}\n")
        targets = {f"t{number}": f"{number}-{nonce}" for number in range(self.targets)}
        (here.folder / "build.toml").write_text(
            _plan(_containers(here, names, self.slots), BUILDER, PAIRS[:1], targets)
        )
        (here.folder / "docker-bake.json").write_text(json.dumps(_definition(targets, PAIRS[:1])))

    def prepare(self) -> None:
        """Have mpbake create every node, one by one, and limit it."""
        for name in self.names:
            self.write_plans([name], "true")
            self.here.mpbake("run")
            if self.here.embedded:
                self.here.docker("update", "--cpus", str(CPUS), _container(name))

    def store(self, names: Sequence[str]) -> Path:
        """Return a store of instances with one builder that has all nodes called `names`."""
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
            replace(here, env=env).docker(*create)
        return path

    def remove(self) -> None:
        """Leave nothing behind in an engine that stays."""
        for name in self.names:
            self.here.docker("rm", "--force", "--volumes", _container(name))
            self.here.docker("context", "rm", _context(name))


def _context(name: str) -> str:
    return f"mpbench-{name}"


def _container(name: str) -> str:
    return f"buildx_buildkit_{BUILDER}-{name}"


def _containers(here: Ground, names: Sequence[str], slots: str) -> str:
    """Return the builder of the nodes called `names`."""
    nodes = "\n".join(
        f'[builders.{BUILDER}.nodes.{name}]\nendpoint = "{_context(name)}"\nplatforms = ["linux/amd64"]'
        for name in names
    )
    return f"""
[builders.{BUILDER}]
driver = "docker-container"
image = "{here.image}"
network = "host"
{slots}
{nodes}
"""


def _plan(builder: str, name: str, platforms: Sequence[str], targets: dict[str, str]) -> str:
    """Return a plan of `targets`, which maps names to values, on the builder of that name."""
    tables = "\n".join(
        f'[targets.{each}]\ninherits = ["_t"]\nargs = {{ NAME = "{value}" }}' for each, value in targets.items()
    )
    return f"""
version = 1
[groups]
default = {json.dumps(list(targets))}
{builder}
[targets._t]
builder = "{name}"
platforms = {json.dumps(platforms)}
{tables}
"""


def _definition(targets: dict[str, str], platforms: Sequence[str]) -> dict[str, Any]:
    tables = {
        name: {"context": ".", "platforms": platforms, "args": {"NAME": value}, "output": ["type=cacheonly"]}
        for name, value in targets.items()
    }
    return {"group": {"default": {"targets": list(targets)}}, "target": tables}


class Pairs:
    """Two nodes for each of two platforms, in front of the containers of `nodes`, each with a witness."""

    def __init__(self, nodes: Nodes) -> None:
        self.here = nodes.here
        self.slots = nodes.slots
        self.targets = nodes.targets // 2
        self.witnesses = [
            nodes.here.witness(_container(name), poses_as=platform)
            for name, platform in zip(nodes.names, PAIRS, strict=True)
        ]

    def store(self) -> Path:
        """Return a store of instances with one builder of all four nodes."""
        path = self.here.folder / f"store-{MIXED}"
        there = replace(self.here, env={**self.here.env, "BUILDX_CONFIG": str(path)})
        for number, (node, platform) in enumerate(zip(self.witnesses, PAIRS, strict=True)):
            append = ["--append"] if number else []
            create = ["buildx", "create", "--name", MIXED, "--node", f"{MIXED}-{number}", *append]
            there.docker(*create, "--driver", "remote", "--platform", platform, node.endpoint)
        return path

    def write_plans(self, work: str) -> None:
        """Write the same new targets for both tools."""
        here, nonce = self.here, f"{next(_NONCES)}-{time.time()}"
        (here.folder / "Dockerfile").write_text(f"FROM {here.env['BASE_IMAGE']}\nARG NAME\nRUN echo $NAME; {work}\n")
        targets = {f"t{number}": f"{number}-{nonce}" for number in range(self.targets)}
        nodes = "\n".join(
            f'[builders.{MIXED}.nodes.n{number}]\nendpoint = "{node.endpoint}"\nplatforms = ["{platform}"]'
            for number, (node, platform) in enumerate(zip(self.witnesses, PAIRS, strict=True))
        )
        slots = self.slots if here.embedded else "slots = 1"  # a remote node does not report its limit
        platforms = list(dict.fromkeys(PAIRS))
        builder = f'[builders.{MIXED}]\ndriver = "remote"\n{slots}\n{nodes}'
        (here.folder / "build.toml").write_text(_plan(builder, MIXED, platforms, targets))
        (here.folder / "docker-bake.json").write_text(json.dumps(_definition(targets, platforms)))

    def forget(self) -> None:
        """Let the witnesses begin anew."""
        for node in self.witnesses:
            node.forget()

    def told(self) -> str:
        """Return how many builds each node was asked for, in the order of the plan."""
        return "+".join(str(len(node.builds())) for node in self.witnesses)


def calibrated(here: Ground, platform: str = PAIRS[0]) -> str:
    """Return a shell loop that uses `BURNED` seconds of CPU on a node, measured in the base image itself."""
    loop = "i=0; while [ $i -lt {} ]; do i=$((i+1)); done"
    base = ("run", "--rm", "--network", "none", "--platform", platform, here.env["BASE_IMAGE"], "sh", "-c")
    here.docker(*base, "true")
    probe = 1_000_000
    uptime = "read -r now _ < /proc/uptime; echo $now"  # an emulator does not account for its time
    began, ended = map(float, here.docker(*base, f"{uptime}; {loop.format(probe)}; {uptime}").split())
    return loop.format(round(probe * BURNED / (ended - began)))


def main() -> None:
    """Measure with one, two and four nodes, and print a row for each; then on two nodes for each of two platforms."""
    parser = argparse.ArgumentParser(description="Times runs on equal nodes against bake.")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--targets", type=int, default=8)
    parser.add_argument(
        "--only",
        choices=("one", "two", "waiting"),
        help="only the part with targets of one platform, of two platforms, or that wait",
    )
    parser.add_argument("--slots", type=int, default=0, help="the slots of each embedded node; default: none")
    options = parser.parse_args()
    with ground() as here:
        nodes = Nodes(here, max(GOALS), options.targets, options.slots if here.embedded else 0)
        try:
            nodes.prepare()
            kind = f"engines, {CPUS} CPU each" if here.embedded else "buildkitd, max-parallelism = 1"
            print(f"nothing cached; nodes: {kind}; medians of {options.runs} runs")
            if options.only in {None, "one"}:
                work = calibrated(here) if here.embedded else "sleep 3"
                measure_one(nodes, options.runs, work, GOALS)
            if options.only in {None, "waiting"} and here.embedded:
                measure_one(nodes, options.runs, "sleep 4", WAITING_GOALS)
            if options.only in {None, "two"}:
                measure_two(nodes, options.runs)
        finally:
            nodes.remove()


def measure_one(nodes: Nodes, runs: int, work: str, goals: Mapping[int, float]) -> None:
    """Measure targets of one platform, each of which does so much `work`, on one, two and four nodes."""
    what = "wait" if work.startswith("sleep") else "burn CPU"
    print(f"{nodes.targets} targets of one platform that {what}\nnodes  mpbake s  bake s  ratio  goal", flush=True)
    for count, goal in goals.items():
        ours, theirs = compare(nodes, nodes.names[:count], work, runs)
        print(f"{count:>5}  {ours:>8.2f}  {theirs:>6.2f}  {ours / theirs:>5.2f}  {goal:>4}", flush=True)


def measure_two(nodes: Nodes, runs: int) -> None:
    """Measure targets of two platforms, on two nodes for each."""
    here, pairs = nodes.here, Pairs(nodes)
    work = "sleep 3"
    if here.embedded:
        native, emulated = (calibrated(here, platform) for platform in dict.fromkeys(PAIRS))
        work = f"if [ $(uname -m) = x86_64 ]; then {native}; else {emulated}; fi"
    store = pairs.store()
    seconds: dict[str, list[float]] = {"mpbake": [], "bake": []}
    print(f"{pairs.targets} targets of two platforms, two nodes for each platform", flush=True)
    for _ in range(runs):
        for tool, taken in seconds.items():
            pairs.write_plans(work)
            pairs.forget()
            if tool == "mpbake":
                (here.folder / ".mpbake/durations.json").unlink(missing_ok=True)
                taken.append(here.mpbake("run")[0])
            else:
                taken.append(here.bake(store, MIXED))
            print(f"{tool:<6}  {taken[-1]:6.2f} s   builds by node: {pairs.told()}", flush=True)
    ours, theirs = (median(taken) for taken in seconds.values())
    print(f"mpbake {ours:.2f} s, bake {theirs:.2f} s, ratio {ours / theirs:.2f}")


def compare(nodes: Nodes, names: Sequence[str], work: str, runs: int) -> tuple[float, float]:
    """Return the medians of mpbake and bake on the nodes called `names`, measured alternately."""
    here, store = nodes.here, nodes.store(names)
    ours, theirs = [], []
    for _ in range(runs):
        nodes.write_plans(names, work)
        (here.folder / ".mpbake/durations.json").unlink(missing_ok=True)  # there is no record of new targets
        ours.append(here.mpbake("run")[0])
        nodes.write_plans(names, work)
        theirs.append(here.bake(store, BUILDER))
    return median(ours), median(theirs)


if __name__ == "__main__":
    main()
