"""First builds of the example plans: nothing is cached, and every image is pushed to a registry on this machine.

    .venv/bin/python benchmarks/cold.py [--runs N] [--seconds S]

The benchmark runs mpbake and `docker buildx bake` alternately, on the same nodes. Each run starts from a base image
that no node has seen. bake gets the output of `mpbake export`. Some plans and every `needs` are missing in this
comparison, because bake cannot express them. mpbake also reads back every tag from the registry, which bake does not
do. So the time after the last tag is a separate column.

The example plans build almost nothing, so most of the time is the start of processes. With --seconds, each image takes
S seconds longer to build on each platform, like an image that compiles or installs something.

Goal: with --seconds 20, mpbake without reading back takes at most 1.05 times as long as bake, for the sums of the
medians of all plans. There is no goal without --seconds: then the builds are shorter than the start of five Python
processes and thirty docker processes.
"""

from __future__ import annotations

import argparse
import itertools
import re
import shutil
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.real import CHECKOUT, ground, median, with_retries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.real import Ground

PLANS = {"quickstart": (), "qemu": (), "native": ("--set", "worker.needs=[]"), "ssh": (), "matrix": ()}
GROUP = "release"
_LAST = re.compile(r"^ *([0-9.]+)s  (?:build|publish) .*: done in ", re.MULTILINE)
_END = re.compile(r"^ *([0-9.]+)s  verify .*: done in ", re.MULTILINE)
_NUMBERS = itertools.count(1)


def with_new_base_image(here: Ground, seconds: int) -> Ground:
    """Return `here` with a base image that is new to every node. Each build from this image takes `seconds` longer."""
    name = f"{here.bed.registry.host}/base:cold-{next(_NUMBERS)}"
    folder = here.folder.parent / "fresh"
    folder.mkdir(exist_ok=True)
    slow = f"ONBUILD RUN sleep {seconds}\n" if seconds else ""
    (folder / "Dockerfile").write_text(f"FROM {here.bed.env()['BASE_IMAGE']}\nRUN echo {name} > /name\n{slow}")
    platforms = "linux/amd64,linux/arm64"
    command = ("buildx", "build", "--builder", "default", "--platform", platforms, "--push", "-t", name, str(folder))
    with_retries("a base image", lambda: here.docker(*command))
    return replace(here, env={**here.env, "BASE_IMAGE": name})


def measure(here: Ground, plan: str, runs: int, seconds: int) -> tuple[float, float, float]:
    """Return three medians of a plan: mpbake until its last tag, mpbake's reading back, and bake."""
    folder = here.folder / plan
    shutil.copytree(CHECKOUT / "plans" / plan, folder, ignore=shutil.ignore_patterns(".mpbake"))
    here, options = replace(here, folder=folder), PLANS[plan]
    builder = next(iter(tomllib.loads((folder / "build.toml").read_text()).get("builders", {})), "default")
    if builder != "default":
        here.mpbake("builders", "up")
    ours, reading, bakes = [], [], []
    for _ in range(runs):
        total, output = with_new_base_image(here, seconds).mpbake("run", GROUP, *options)
        rest = max(map(float, _END.findall(output))) - max(map(float, _LAST.findall(output)))
        ours.append(total - rest)
        reading.append(rest)
        bakes.append(bake_seconds(here, builder, options, seconds))
    return median(ours), median(reading), median(bakes)


def bake_seconds(here: Ground, builder: str, options: Sequence[str], seconds: int) -> float:
    """Return the seconds of one bake call."""

    def once() -> float:
        there = with_new_base_image(here, seconds)
        (here.folder / "docker-bake.json").write_text(there.printed("export", GROUP, *options))
        return there.bake(Path(here.env["BUILDX_CONFIG"]), builder)

    return with_retries(f"{here.folder.name}: bake", once)


def main() -> None:
    """Measure every plan. Print a row for each plan, and a row of sums."""
    parser = argparse.ArgumentParser(description="Times first builds of the example plans against bake.")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=0, help="how much longer each image takes to build")
    options = parser.parse_args()
    sums = [0.0, 0.0, 0.0]
    with ground("node-image", "ssh") as here:
        longer = f"; each image takes {options.seconds} s more" if options.seconds else ""
        print(f"nothing cached, pushed; medians of {options.runs} runs{longer}")
        print("plan        mpbake s  bake s  ratio  reading back s", flush=True)
        for plan in PLANS:
            medians = measure(here, plan, options.runs, options.seconds)
            print(_row(plan, *medians), flush=True)
            sums = [one + other for one, other in zip(sums, medians, strict=True)]
    print(_row("all", *sums))


def _row(name: str, ours: float, reading: float, bake: float) -> str:
    return f"{name:<10}  {ours:>8.2f}  {bake:>6.2f}  {ours / bake:>5.2f}  {reading:>14.2f}"


if __name__ == "__main__":
    main()
