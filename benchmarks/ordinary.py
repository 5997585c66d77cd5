"""The common setup: the engine's own builder or one container node, several CPUs, and no records of earlier runs.

    .venv/bin/python benchmarks/ordinary.py [--runs N] [--row NAME]… [--buildx PATH]…

The benchmark runs mpbake and one `docker buildx bake` of the same targets alternately, and prints medians. Each target
has two platforms and is pushed to a registry on this machine. mpbake also reads back every tag, which bake does not do,
and its times include this. The benchmark uses the installed buildx, or each buildx that `--buildx` names.

The rows: `waiting` has 8 independent targets that wait for 4 s, as for a network. `base` has a base and 6 targets that
link to it; nothing is cached. `cached` is the same with everything cached. `container` has 20 cached targets with 20
repositories and contexts, on one docker-container node. `first` has 20 small targets; nothing is cached. `failing` is
`first` with one target that fails, and is compared with mpbake's own time for `first`. mpbake has records of an earlier
run only in `cached` and `container`.

Goals: at most 1.10 times as long as bake; for `cached` at most 1.20. `failing` has no goal.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.real import Failed, ground, median, with_retries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.real import Ground

PLATFORMS = ["linux/amd64", "linux/arm64"]
NODE = "ordinary-local"
_NONCES = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Target:
    """A target for both tools: its folder, the instruction of its Dockerfile, and the base that it links to."""

    name: str
    work: str
    base: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the table. Its targets are named `prefix` and a number, and each has the instruction `work`."""

    name: str
    what: str
    goal: float
    count: int
    work: str = "RUN uname -m > /machine"
    base: bool = False
    cached: bool = False
    container: bool = False

    def targets(self, nonce: str) -> Iterator[Target]:
        """Return the targets. A new `nonce` changes every instruction, so that none of them is cached."""
        base = f"base{nonce}" if self.base else ""
        if base:
            yield Target(name="base", work=f"RUN echo {nonce} > /base; sleep 1")
        for number in range(self.count):
            work = f"RUN echo {number} {nonce} > /name\n{self.work}"
            yield Target(name=f"t{number}", work=work, base="base" if base else "")


ROWS = (
    Row(name="waiting", what="8 targets that wait 4 s", goal=1.10, count=8, work="RUN sleep 4"),
    Row(name="base", what="a base and 6 targets linked to it", goal=1.10, count=6, base=True),
    Row(name="cached", what="the same, all cached", goal=1.20, count=6, base=True, cached=True),
    Row(name="container", what="20 cached targets, a container node", goal=1.10, count=20, cached=True, container=True),
    Row(name="first", what="20 small targets", goal=1.10, count=20),
)
FAILING = Row(name="failing", what="20 small targets, one of which fails", goal=0, count=20)


def nonce() -> str:
    """Return a text that no earlier build contains."""
    return f"{next(_NONCES)}-{time.time()}"


def write_plans(here: Ground, row: Row, targets: Sequence[Target]) -> None:
    """Write the same targets for both tools, each with a context and a repository of its own."""
    image = here.env["BASE_IMAGE"]
    for target in targets:
        folder = here.folder / target.name
        folder.mkdir(exist_ok=True)
        (folder / "Dockerfile").write_text(f"FROM {'base' if target.base else image}\n{target.work}\n")
    repository = f"{here.bed.registry.host}/ordinary"
    builder = f"""
[builders.ordinary]
driver = "docker-container"
image = "{here.image}"
network = "host"
emulation = "allow"
"""
    tables = "\n".join(
        f'[targets.{target.name}]\ninherits = ["_t"]\ncontext = "{target.name}"\n'
        f'tags = ["{repository}-{target.name}:1"]\n'
        + (f'contexts = {{ base = "target:{target.base}" }}\n' if target.base else "")
        for target in targets
    )
    names = [target.name for target in targets]
    (here.folder / "build.toml").write_text(f"""
version = 1
[groups]
default = {json.dumps(names)}
{builder if row.container else ""}
[targets._t]
{'builder = "ordinary"' if row.container else ""}
platforms = {json.dumps(PLATFORMS)}
push = true
{tables}
""")
    definition = {
        target.name: {
            "context": target.name,
            "platforms": PLATFORMS,
            "tags": [f"{repository}-{target.name}:1"],
            "output": ["type=image,push=true"],
            **({"contexts": {"base": f"target:{target.base}"}} if target.base else {}),
        }
        for target in targets
    }
    text = json.dumps({"group": {"default": {"targets": names}}, "target": definition})
    (here.folder / "docker-bake.json").write_text(text)


def bake_seconds(here: Ground, row: Row) -> float:
    """Return the seconds of one bake call."""
    if row.container:
        return here.bake(here.folder / ".mpbake/nodes" / NODE, NODE)
    return here.bake(Path(here.env["BUILDX_CONFIG"]), "default")


def mpbake_seconds(here: Ground, row: Row) -> float:
    """Return the seconds of one mpbake run. Its records are removed before, unless the row is about cached targets."""
    if not row.cached:
        (here.folder / ".mpbake/durations.json").unlink(missing_ok=True)
    return here.mpbake("run")[0]


def once(here: Ground, row: Row, tool: str, same: str) -> float:
    """Return the seconds of a tool for the targets of a row. Cached rows use the nonce `same`, other rows a new one."""
    write_plans(here, row, list(row.targets(same if row.cached else nonce())))
    return mpbake_seconds(here, row) if tool == "mpbake" else bake_seconds(here, row)


def measure(here: Ground, row: Row, runs: int) -> tuple[float, float]:
    """Return the medians of mpbake and bake, measured alternately."""
    same = nonce()
    if row.cached:
        write_plans(here, row, list(row.targets(same)))
        for _ in range(2):  # the first run fills the cache, the next one records short durations
            mpbake_seconds(here, row)
            with_retries(f"{row.name}: bake", partial(bake_seconds, here, row))
    seconds: dict[str, list[float]] = {"mpbake": [], "bake": []}
    for number in range(runs):
        order = list(seconds) if number % 2 == 0 else list(reversed(seconds))
        for tool in order:
            seconds[tool].append(with_retries(f"{row.name}: {tool}", partial(once, here, row, tool, same)))
    return median(seconds["mpbake"]), median(seconds["bake"])


def measure_failing(here: Ground, runs: int) -> tuple[float, float]:
    """Return two medians of mpbake, measured alternately: one target fails, and no target fails."""
    failing, succeeding = [], []
    for _ in range(runs):
        targets = list(FAILING.targets(nonce()))
        targets[7] = replace(targets[7], work=f"{targets[7].work}\nRUN exit 3")
        write_plans(here, FAILING, targets)
        began = time.perf_counter()
        try:
            mpbake_seconds(here, FAILING)
        except Failed as failure:
            if "20 targets: 19 done, 1 failed" not in str(failure):
                raise
            failing.append(time.perf_counter() - began)
        write_plans(here, FAILING, list(FAILING.targets(nonce())))
        succeeding.append(mpbake_seconds(here, FAILING))
    return median(failing), median(succeeding)


def main() -> None:
    """Measure each row with each buildx, and print the table."""
    parser = argparse.ArgumentParser(description="Times mpbake against bake in the ordinary set-up.")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--row", action="append", choices=[row.name for row in (*ROWS, FAILING)], help="only this row")
    parser.add_argument("--buildx", action="append", type=Path, default=[], help="a buildx to measure with")
    options = parser.parse_args()
    chosen = options.row or [row.name for row in (*ROWS, FAILING)]
    with ground() as here, tempfile.TemporaryDirectory(prefix="mpbench") as config:
        for number, buildx in enumerate(options.buildx or [None]):
            there = here if buildx is None else here.with_buildx(buildx, Path(config) / str(number))
            print(f"{there.docker('buildx', 'version')}; medians of {options.runs} runs")
            print("row        what                                  mpbake s  bake s  ratio  goal", flush=True)
            for row in ROWS:
                if row.name in chosen:
                    print(table_row(row, *measure(there, row, options.runs)), flush=True)
            if FAILING.name in chosen:
                print(table_row(FAILING, *measure_failing(there, options.runs)), flush=True)
        if any(row.container for row in ROWS if row.name in chosen):
            here.docker("rm", "--force", "--volumes", f"buildx_buildkit_{NODE}")


def table_row(row: Row, ours: float, other: float) -> str:
    """Return a row of the table."""
    goal = f"{row.goal:>5.2f}" if row.goal else "     "
    return f"{row.name:<9}  {row.what:<36}  {ours:>8.2f}  {other:>6.2f}  {ours / other:>5.2f} {goal}"


if __name__ == "__main__":
    main()
