"""The time of `mpbake plan --format json` compared with `docker buildx bake --print`, for the same targets.

    .venv/bin/python benchmarks/plan.py [--sizes 100,1000,10000] [--runs 5] [--json FILE] [--keep FOLDER]

The benchmark needs the docker command with buildx, but no engine. For each size it writes a plan and a bake definition
of the same targets. They use inheritance, links, and tags and arguments from variables, and half of the targets are
rows of matrices. The benchmark first checks that both tools resolve the same targets with the same tags, arguments,
labels, contexts and platforms. Then it measures whole processes of both tools alternately, so that a slow moment of the
machine affects both. Times are medians in seconds. Memory is the maximum of one process; for bake this is docker or its
plugin.

Goals, as ratios mpbake/bake: at most 6 for 100 targets, at most 1 for 1,000 and at most 0.1 for 10,000. For 10,000
targets mpbake needs at most 300 MB, and at most 12 times as long as for 1,000.

Bake reads HCL a little faster than JSON of the same content. So it gets HCL, unless `--bake-format json` is given.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROWS = 10
"""The number of targets of one matrix."""

_VARIABLES = {"registry": "registry.example.com/team", "tag": "1.2.3", "revision": "4f2a9c1"}
_PLATFORMS = ["linux/amd64", "linux/arm64"]
_COMPARED = ("tags", "args", "labels", "contexts", "platforms", "context", "dockerfile", "target")


@dataclass(frozen=True, kw_only=True)
class Table:
    """A target that both languages can express. `{name}` in its strings is a variable."""

    name: str
    values: dict[str, Any]
    rows: list[str] = field(default_factory=list)


def tables(size: int) -> list[Table]:
    """Return tables for `size` targets, not counting templates: bases, services that link to a base, and matrices."""
    bases = max(1, size // 50)
    matrices = size // 2 // ROWS
    tables_ = [_image(), _compiled()]
    tables_ += [_base(number) for number in range(bases)]
    tables_ += [_service(number, bases) for number in range(size - bases - matrices * ROWS)]
    return tables_ + [_matrix(number, bases) for number in range(matrices)]


def _image() -> Table:
    labels = {"org.opencontainers.image.version": "{tag}", "org.opencontainers.image.revision": "{revision}"}
    return Table(name="_image", values={"platforms": _PLATFORMS, "labels": labels, "args": {"VERSION": "{tag}"}})


def _compiled() -> Table:
    return Table(name="_compiled", values={"inherits": ["_image"], "args": {"REVISION": "{revision}"}, "target": "out"})


def _base(number: int) -> Table:
    return Table(name=f"base-{number}", values={"inherits": ["_image"], "context": f"bases/{number}"})


def _service(number: int, bases: int) -> Table:
    name = f"service-{number}"
    values = {
        "inherits": ["_compiled" if number % 2 else "_image"],
        "context": f"services/{number}",
        "args": {"SERVICE": name},
        "contexts": {"base": f"target:base-{number % bases}"},
        "tags": ["{registry}/" + name + ":{tag}", "{registry}/" + name + ":latest"],
    }
    return Table(name=name, values=values)


def _matrix(number: int, bases: int) -> Table:
    name = f"runtime-{number}"
    values = {
        "inherits": ["_image"],
        "name": name + "-{version}",
        "context": f"runtimes/{number}",
        "args": {"RUNTIME": "{version}"},
        "contexts": {"base": f"target:base-{number % bases}"},
        "tags": ["{registry}/" + name + ":{version}-{tag}"],
    }
    return Table(name=name, values=values, rows=[f"r{row}" for row in range(ROWS)])


def plan_toml(size: int) -> str:
    """Return the plan for mpbake, as TOML."""
    lines = ["version = 1", "[variables]", *(f'{name} = "{value}"' for name, value in _VARIABLES.items())]
    lines += ["[groups]", f"default = {json.dumps(_names(size))}"]
    for table in tables(size):
        lines.append(f"\n[targets.{table.name}]")
        if table.rows:
            lines.append(f"matrix = {{ version = {json.dumps(table.rows)} }}")
        lines += [f"{key} = {_toml(_with_braces(value))}" for key, value in table.values.items()]
    return "\n".join(lines) + "\n"


def _names(size: int) -> list[str]:
    return [table.name for table in tables(size) if not table.name.startswith("_")]


def _with_braces(value: Any) -> Any:
    return _replaced(value, "{{ %s }}")


def _with_dollars(value: Any) -> Any:
    return _replaced(value, "${%s}")


def _replaced(value: Any, form: str) -> Any:
    """Return `value` with its variables in the syntax of one of the languages."""
    if isinstance(value, dict):
        return {key: _replaced(item, form) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, form) for item in value]
    for name in (*_VARIABLES, "version"):
        value = value.replace("{" + name + "}", form % name)
    return value


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)


def bake_hcl(size: int) -> str:
    """Return the plan for bake, as HCL."""
    lines = [f'variable "{name}" {{ default = "{value}" }}' for name, value in _VARIABLES.items()]
    lines.append(f'group "default" {{ targets = {json.dumps(_names(size))} }}')
    for table in tables(size):
        lines.append(f'\ntarget "{table.name}" {{')
        if table.rows:
            lines.append(f"  matrix = {{ version = {json.dumps(table.rows)} }}")
        lines += [f"  {key} = {_hcl(_with_dollars(value))}" for key, value in table.values.items()]
        lines.append("}")
    return "\n".join(lines) + "\n"


def _hcl(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_hcl(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)


def bake_json(size: int) -> str:
    """Return the plan for bake, as JSON."""
    targets = {
        table.name: ({"matrix": {"version": table.rows}} if table.rows else {}) | _with_dollars(table.values)
        for table in tables(size)
    }
    variables = {name: {"default": value} for name, value in _VARIABLES.items()}
    return json.dumps({"variable": variables, "group": {"default": {"targets": _names(size)}}, "target": targets})


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The seconds and megabytes of one command, measured as a whole process."""

    seconds: float
    megabytes: float


def measure(command: list[str], folder: Path, output: Path | None = None) -> Measured:
    """Run `command` in `folder`, with its output to a file or to nowhere. The memory includes its child processes."""
    with (output or Path(os.devnull)).open("wb") as sink:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdout=sink, stderr=subprocess.PIPE)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        complaint = process.stderr.read().decode() if process.stderr else ""
        sys.exit(f"{' '.join(command)} failed: {complaint}")
    return Measured(seconds=seconds, megabytes=usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10))


def commands(bake_format: str) -> dict[str, list[str]]:
    """Return the two commands to compare, by tool."""
    return {
        "mpbake": [sys.executable, "-m", "mpbake", "plan", "--format", "json"],
        "bake": ["docker", "buildx", "bake", "-f", f"docker-bake.{bake_format}", "--print"],
    }


def prove_equal(folder: Path, compared: dict[str, list[str]]) -> int:
    """Return the number of targets that both tools resolve. Exit if the targets differ."""
    resolved = {}
    for tool, command in compared.items():
        measure(command, folder, folder / f"{tool}.json")
        resolved[tool] = json.loads((folder / f"{tool}.json").read_bytes())
    ours = {target["name"]: _ours(target) for target in resolved["mpbake"]["targets"]}
    theirs = {name: _theirs(target) for name, target in resolved["bake"]["target"].items()}
    if ours != theirs:
        differing = sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))
        name = differing[0]
        sys.exit(f"{len(differing)} targets differ, first {name}:\n{ours.get(name)}\n{theirs.get(name)}")
    return len(ours)


def _ours(target: dict[str, Any]) -> dict[str, Any]:
    attributes = target["attributes"] | {name: target[name] for name in _COMPARED if name in target}
    dockerfile = attributes.pop("dockerfile", None)
    if dockerfile is not None:
        attributes["dockerfile"] = str(Path(dockerfile["path"]).relative_to(attributes["context"]))
    return _stated(_without_default(attributes))


def _theirs(target: dict[str, Any]) -> dict[str, Any]:
    return _stated(_without_default({"context": "."} | target))


def _without_default(target: dict[str, Any]) -> dict[str, Any]:
    return target | ({"dockerfile": ""} if target.get("dockerfile") == "Dockerfile" else {})


def _stated(target: dict[str, Any]) -> dict[str, Any]:
    return {name: target[name] for name in _COMPARED if target.get(name)}


@dataclass(frozen=True, kw_only=True)
class Result:
    """The measured result for one size."""

    targets: int
    runs: int
    ratio: float
    mpbake_seconds: float
    bake_seconds: float
    mpbake_megabytes: float
    bake_megabytes: float


def compare(size: int, runs: int, folder: Path, bake_format: str) -> Result:
    """Write both plans, check that they are equal, and measure both tools alternately."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "build.toml").write_text(plan_toml(size), encoding="utf-8")
    definition = bake_hcl(size) if bake_format == "hcl" else bake_json(size)
    (folder / f"docker-bake.{bake_format}").write_text(definition, encoding="utf-8")
    compared = commands(bake_format)
    targets = prove_equal(folder, compared)
    measured: dict[str, list[Measured]] = {tool: [] for tool in compared}
    for _ in range(runs):
        for tool, command in compared.items():
            measured[tool].append(measure(command, folder))
    seconds = {tool: statistics.median(run.seconds for run in all_) for tool, all_ in measured.items()}
    megabytes = {tool: max(run.megabytes for run in all_) for tool, all_ in measured.items()}
    return Result(
        targets=targets,
        runs=runs,
        ratio=round(seconds["mpbake"] / seconds["bake"], 3),
        mpbake_seconds=round(seconds["mpbake"], 3),
        bake_seconds=round(seconds["bake"], 3),
        mpbake_megabytes=round(megabytes["mpbake"], 1),
        bake_megabytes=round(megabytes["bake"], 1),
    )


def _row(result: Result) -> str:
    return (
        f"{result.targets:>7,}  {result.ratio:>6.3f}  {result.mpbake_seconds:>8.3f}  {result.bake_seconds:>8.3f}"
        f"  {result.mpbake_megabytes:>9.1f}  {result.bake_megabytes:>7.1f}"
    )


def main() -> None:
    """Compare the tools at every size, and print each row as soon as it is known."""
    parser = argparse.ArgumentParser(description="Times mpbake plan against docker buildx bake --print.")
    parser.add_argument("--sizes", default="100,1000,10000", help="numbers of targets, with commas")
    parser.add_argument("--runs", type=int, default=5, help="runs of each command at each size")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write the plans there, and leave them")
    parser.add_argument("--bake-format", choices=("hcl", "json"), default="hcl", help="the language of bake's input")
    options = parser.parse_args()
    print("targets   ratio  mpbake s    bake s  mpbake MB  bake MB", flush=True)
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        for size in map(int, options.sizes.split(",")):
            folder = ((options.keep or Path(temporary)) / str(size)).resolve()
            results.append(compare(size, options.runs, folder, options.bake_format))
            print(_row(results[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps([asdict(result) for result in results], indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
