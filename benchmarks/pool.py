"""The gain of equal nodes: uncached targets of one platform on one, two and four nodes.

    .venv/bin/python benchmarks/pool.py [--runs N] [--targets N] [--only one|two|waiting] [--slots N]

The benchmark runs mpbake and `docker buildx bake` alternately, on a builder with the same nodes. The power of the nodes
is limited. With real buildkitd nodes (NODE_IMAGE in the environment names their image), each node has
`max-parallelism = 1`, and a build sleeps. The BuildKit inside a Docker engine has no such limit. So there each node
container gets a fixed share of the CPU, and a build uses a known amount of CPU time. With --slots the plan declares the
slots of these nodes. Without it they have no slots.

Goals, as ratios of wall times mpbake/bake: one node at most 1.1, two nodes at most 0.6, four nodes at most 0.35.

With embedded BuildKit, the part `waiting` measures builds that only wait, as for a network. A node can run any number
of them at the same time, so equal nodes save nothing. Goal: at most 1.1 on one node, at most 1.0 on two and four.

The last part builds half as many targets, of two platforms each, on two nodes for each platform. A witness in front of
each node records every build that the node is asked for.
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
"""The share of one CPU for an embedded node. Four nodes fit on two cores."""
BURNED = 1.2
"""The CPU seconds of a build on an embedded node. It takes three seconds if no other build runs on the node."""
GOALS = {1: 1.1, 2: 0.6, 4: 0.35}
WAITING_GOALS = {1: 1.1, 2: 1.0, 4: 1.0}
PAIRS = ("linux/amd64", "linux/amd64", "linux/arm64", "linux/arm64")
MIXED = "mixed"
_NONCES = itertools.count()


class Nodes:
    """Up to four equal node containers that mpbake has made, each with a docker context of its own."""

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
        """Write the same new targets for both tools, on the nodes in `names`."""
        here, nonce = self.here, f"{next(_NONCES)}-{time.time()}"
        (here.folder / "Dockerfile").write_text(f"FROM {here.env['BASE_IMAGE']}\nARG NAME\nRUN echo $NAME; {work}\n")
        targets = {f"t{number}": f"{number}-{nonce}" for number in range(self.targets)}
        (here.folder / "build.toml").write_text(
            _plan(_containers(here, names, self.slots), BUILDER, PAIRS[:1], targets)
        )
        (here.folder / "docker-bake.json").write_text(json.dumps(_definition(targets, PAIRS[:1])))

    def prepare(self) -> None:
        """Let mpbake create the nodes one by one, and limit the CPU of each."""
        for name in self.names:
            self.write_plans([name], "true")
            self.here.mpbake("run")
            if self.here.embedded:
                self.here.docker("update", "--cpus", str(CPUS), _container(name))

    def store(self, names: Sequence[str]) -> Path:
        """Return a buildx store with one builder that has all nodes in `names`."""
        here, path = self.here, self.here.folder / f"store-{len(names)}"
        env = {**here.env, "BUILDX_CONFIG": str(path)}
        for name in names:
            inspected = here.docker("container", "inspect", "--format", "{{json .Config.Env}}", _container(name))
            mark = next(variable for variable in json.loads(inspected) if variable.startswith("MPBAKE_NODE="))
            options = (f"image={here.image}", "network=host", f"env.{mark}")
            flags = [part for option in options for part in ("--driver-opt", option)]
            append = ["--append"] if name != names[0] else []
            create = ["buildx", "create", "--name", BUILDER, "--node", f"{BUILDER}-{name}", *append]
            create += ["--driver", "docker-container", "--platform", "linux/amd64", *flags, _context(name)]
            replace(here, env=env).docker(*create)
        return path

    def remove(self) -> None:
        """Remove the nodes and their contexts from the engine."""
        for name in self.names:
            self.here.docker("rm", "--force", "--volumes", _container(name))
            self.here.docker("context", "rm", _context(name))


def _context(name: str) -> str:
    return f"mpbench-{name}"


def _container(name: str) -> str:
    return f"buildx_buildkit_{BUILDER}-{name}"


def _containers(here: Ground, names: Sequence[str], slots: str) -> str:
    """Return the tables of the builder with the nodes in `names`."""
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
    """Return a plan with the builder `name`. `targets` maps the names of targets to their values."""
    tables = "\n".join(
        f'[targets.{target}]\ninherits = ["_t"]\nargs = {{ NAME = "{value}" }}' for target, value in targets.items()
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
    """Two nodes for each of two platforms. Each node is a witness in front of one of the containers in `nodes`."""

    def __init__(self, nodes: Nodes) -> None:
        self.here = nodes.here
        self.slots = nodes.slots
        self.targets = nodes.targets // 2
        self.witnesses = [
            nodes.here.witness(_container(name), poses_as=platform)
            for name, platform in zip(nodes.names, PAIRS, strict=True)
        ]

    def store(self) -> Path:
        """Return a buildx store with one builder that has all four nodes."""
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
        """Clear the records of the witnesses."""
        for node in self.witnesses:
            node.forget()

    def builds_by_node(self) -> str:
        """Return the number of builds that each node was asked for, in the order of the plan."""
        return "+".join(str(len(node.builds())) for node in self.witnesses)


def cpu_loop(here: Ground, platform: str = PAIRS[0]) -> str:
    """Return a shell loop that uses `BURNED` CPU seconds on a node, measured in a container of the base image."""
    loop = "i=0; while [ $i -lt {} ]; do i=$((i+1)); done"
    base = ("run", "--rm", "--network", "none", "--platform", platform, here.env["BASE_IMAGE"], "sh", "-c")
    here.docker(*base, "true")
    probe = 1_000_000
    # wall time, since an emulated process does not report its CPU time
    uptime = "read -r now _ < /proc/uptime; echo $now"
    began, ended = map(float, here.docker(*base, f"{uptime}; {loop.format(probe)}; {uptime}").split())
    return loop.format(round(probe * BURNED / (ended - began)))


def main() -> None:
    """Measure with one, two and four nodes and print a row for each.

    Then measure two nodes for each of two platforms.
    """
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
                work = cpu_loop(here) if here.embedded else "sleep 3"
                measure_one(nodes, options.runs, work, GOALS)
            if options.only in {None, "waiting"} and here.embedded:
                measure_one(nodes, options.runs, "sleep 4", WAITING_GOALS)
            if options.only in {None, "two"}:
                measure_two(nodes, options.runs)
        finally:
            nodes.remove()


def measure_one(nodes: Nodes, runs: int, work: str, goals: Mapping[int, float]) -> None:
    """Measure targets of one platform, each with the instruction `work`, on one, two and four nodes."""
    work_name = "wait" if work.startswith("sleep") else "burn CPU"
    print(f"{nodes.targets} targets of one platform that {work_name}\nnodes  mpbake s  bake s  ratio  goal", flush=True)
    for count, goal in goals.items():
        ours, theirs = compare(nodes, nodes.names[:count], work, runs)
        print(f"{count:>5}  {ours:>8.2f}  {theirs:>6.2f}  {ours / theirs:>5.2f}  {goal:>4}", flush=True)


def measure_two(nodes: Nodes, runs: int) -> None:
    """Measure targets of two platforms, on two nodes for each."""
    here, pairs = nodes.here, Pairs(nodes)
    work = "sleep 3"
    if here.embedded:
        native, emulated = (cpu_loop(here, platform) for platform in dict.fromkeys(PAIRS))
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
            print(f"{tool:<6}  {taken[-1]:6.2f} s   builds by node: {pairs.builds_by_node()}", flush=True)
    ours, theirs = (median(taken) for taken in seconds.values())
    print(f"mpbake {ours:.2f} s, bake {theirs:.2f} s, ratio {ours / theirs:.2f}")


def compare(nodes: Nodes, names: Sequence[str], work: str, runs: int) -> tuple[float, float]:
    """Return the medians of mpbake and bake on the nodes in `names`, measured alternately."""
    here, store = nodes.here, nodes.store(names)
    ours, theirs = [], []
    for _ in range(runs):
        nodes.write_plans(names, work)
        (here.folder / ".mpbake/durations.json").unlink(missing_ok=True)  # new targets have no records
        ours.append(here.mpbake("run")[0])
        nodes.write_plans(names, work)
        theirs.append(here.bake(store, BUILDER))
    return median(ours), median(theirs)


if __name__ == "__main__":
    main()
