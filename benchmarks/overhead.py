"""The overhead of mpbake over one bake call if there is nothing to build: every target is cached, and pushed anyway.

    .venv/bin/python benchmarks/overhead.py [--runs N] [--targets N]

mpbake and `docker buildx bake` build targets for two platforms alternately, on the same node, and push to a registry on
this machine. mpbake has run before and knows that its build pieces are short, so they share calls. It also reads back
every tag from the registry, which bake does not do. So the time after the last build is a separate figure.

Goal: mpbake without reading back takes at most 1.25 times as long as bake (medians).
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.real import ground, median

if TYPE_CHECKING:
    from benchmarks.real import Ground

NODE = "overhead-local"
PLATFORMS = ["linux/amd64", "linux/arm64"]
_BUILT = re.compile(r"^ *([0-9.]+)s  build .*: done in ", re.MULTILINE)
_LAST = re.compile(r"^ *([0-9.]+)s  verify .*: done in ", re.MULTILINE)


def write_plans(here: Ground, targets: int) -> None:
    """Write the same targets for both tools."""
    dockerfile = f"FROM {here.env['BASE_IMAGE']}\nARG NAME\nRUN echo $NAME > /name\nRUN uname -m\n"
    (here.folder / "Dockerfile").write_text(dockerfile)
    repository = f"{here.bed.registry.host}/overhead"
    names = [f"t{number}" for number in range(targets)]
    (here.folder / "build.toml").write_text(f"""
version = 1
[builders.overhead]
driver = "docker-container"
image = "{here.image}"
network = "host"
emulation = "allow"
[groups]
default = {json.dumps(names)}
[targets.t]
matrix = {{ name = {json.dumps(names)} }}
name = "{{{{ name }}}}"
builder = "overhead"
platforms = {json.dumps(PLATFORMS)}
args = {{ NAME = "{{{{ name }}}}" }}
tags = ["{repository}:{{{{ name }}}}"]
push = true
""")
    tables = {
        name: {
            "context": ".",
            "platforms": PLATFORMS,
            "args": {"NAME": name},
            "tags": [f"{repository}:{name}"],
            "output": ["type=image,push=true"],
        }
        for name in names
    }
    definition = {"group": {"default": {"targets": names}}, "target": tables}
    (here.folder / "docker-bake.json").write_text(json.dumps(definition))


def building(output: str) -> float:
    """Return the seconds until the last build was done, from the output of mpbake."""
    return max(map(float, _BUILT.findall(output)))


def main() -> None:
    """Measure both tools, and print medians."""
    parser = argparse.ArgumentParser(description="Times cached builds with mpbake against one bake call.")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--targets", type=int, default=20)
    options = parser.parse_args()
    with ground() as here:
        write_plans(here, options.targets)
        store = here.folder / ".mpbake/nodes" / NODE
        for _ in range(3):  # the first run fills the cache, and the next runs record short durations
            here.mpbake("run")
        here.bake(store, NODE)
        totals, until_built, reading, bakes = [], [], [], []
        for _ in range(options.runs):
            total, output = here.mpbake("run")
            rest = max(map(float, _LAST.findall(output))) - building(output)
            totals.append(total)
            reading.append(rest)
            until_built.append(total - rest)
            bakes.append(here.bake(store, NODE))
        here.docker("rm", "--force", "--volumes", f"buildx_buildkit_{NODE}")
    bake = median(bakes)
    print(f"{options.targets} targets of {len(PLATFORMS)} platforms, cached, pushed; medians of {options.runs} runs")
    print(f"bake                        {bake:6.2f} s")
    print(f"mpbake                      {median(until_built):6.2f} s   ratio {median(until_built) / bake:.2f}")
    print(f"mpbake, reading tags back   {median(reading):6.2f} s   all in all {median(totals):.2f} s")


if __name__ == "__main__":
    main()
