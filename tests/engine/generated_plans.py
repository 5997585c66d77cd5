"""Plans from a seed, small enough that a run takes about a second."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BOTH = ("linux/amd64", "linux/arm64")
_TLS_FILES = {"ca": "ca.crt", "cert": "client.crt", "key": "client.key"}


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """The parts of a testbed that plans use: the registry, the base image, and the nodes."""

    registry: str
    base: str
    node_image: str
    certificates: str
    endpoints: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class GeneratedPlan:
    """The text of a plan, and the words of the command line after `mpbake run`."""

    text: str
    words: tuple[str, ...]


def generated_plan(seed: int, here: Surroundings) -> GeneratedPlan:
    """Return the plan of a seed. Each seed has repositories of its own."""
    return _Generator(seed, here).plan()


class _Generator:
    """Draws the parts of one plan. `_platforms` holds the targets that others may link to."""

    def __init__(self, seed: int, here: Surroundings) -> None:
        self._random = random.Random(seed)  # noqa: S311 - plans for tests
        self._seed = seed
        self._here = here
        self._names: list[str] = []
        self._platforms: dict[str, tuple[str, ...]] = {}

    def plan(self) -> GeneratedPlan:
        kind = self._random.choice(["default", "container", "remote", "equal"])
        words = ["--publish", "together"] if self._chance(0.1) else []
        together = 'publish = "together"\n' if self._chance(0.25) else ""
        with_needs = not words and not together  # a target cannot need a target whose tags move together with its own
        targets = [self._target(number, kind, with_needs=with_needs) for number in range(self._random.randint(1, 4))]
        words += [] if self._chance(0.7) else [self._random.choice(self._names)]
        words += ["--no-push"] if self._chance(0.1) else []
        groups = f"[groups]\ndefault = {json.dumps(self._names)}"
        tables = "\n".join([*self._builder(kind), *targets, groups])
        return GeneratedPlan(text=f"version = 1\n{together}{tables}\n", words=tuple(words))

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def _builder(self, kind: str) -> Iterator[str]:
        """Yield the tables of the builder `exact`, and the settings of the default builder."""
        yield f'[defaults.builder]\nimage = "{self._here.node_image}"\nnetwork = "host"'
        match kind:
            case "container":
                yield '[builders.exact]\ndriver = "docker-container"\nnodes.local = {}'
            case "remote":
                yield from self._remote([["linux/amd64"], ["linux/arm64"]])
            case "equal":
                yield from self._remote([[*BOTH], [*BOTH]])

    def _remote(self, platforms: list[list[str]]) -> Iterator[str]:
        """Yield a builder whose nodes declare `platforms`."""
        tls = _toml({name: f"{self._here.certificates}/{file}" for name, file in _TLS_FILES.items()})
        yield '[builders.exact]\ndriver = "remote"'
        for number, endpoint in enumerate(self._here.endpoints.values()):
            node = f'endpoint = "{endpoint}"\ntls = {tls}\nplatforms = {json.dumps(platforms[number])}'
            yield f"[builders.exact.nodes.n{number}]\n{node}"

    def _target(self, number: int, kind: str, *, with_needs: bool) -> str:
        name, platforms = f"t{number}", self._random.choice([BOTH, BOTH[:1], BOTH[1:]])
        linked = [other for other in self._platforms if set(self._platforms[other]) >= set(platforms)]
        link = self._random.choice(linked) if linked and self._chance(0.5) else ""
        needs = [other for other in self._names if with_needs and other != link and self._chance(0.3)]
        values: dict[str, Any] = {"platforms": list(platforms), "needs": needs}
        if kind != "default" and self._chance(0.9):
            values["builder"] = "exact"
        values["checks"] = self._checks() if self._chance(0.35) else []
        values["dockerfile-inline"] = self._dockerfile(name, link, has_shell=bool(values["checks"]))
        if link:
            values["contexts"] = {"base": f"target:{link}"}
        if self._chance(0.2):
            values |= {"matrix": {"v": ["a", "b"]}, "name": f"{name}-{{{{ v }}}}", "args": {"V": "{{ v }}"}}
        values |= self._destination(name, "{{ v }}-" if "matrix" in values else "")
        self._names.append(name)
        if "matrix" not in values:
            self._platforms[name] = platforms
        entries = (f"{key} = {_toml(value)}\n" for key, value in values.items() if value != [])
        return f"[targets.{name}]\n{''.join(entries)}"

    def _dockerfile(self, name: str, link: str, *, has_shell: bool) -> str:
        """Return a Dockerfile that runs nothing in its image. `link` is the target that it copies a file from."""
        made = f"COPY <<EOF /{name}\n{self._seed} {name}\nEOF"
        start = self._here.base if has_shell or not self._chance(0.7) else "scratch"
        lines = [f"FROM {self._here.base} AS test", "RUN true", f"FROM {start}", "ARG V", "LABEL v=$V", made]
        lines += [f"COPY --from=base /{link} /linked"] if link else []
        return "\n".join(lines)

    def _checks(self) -> list[dict[str, Any]]:
        """Return a command in the image, and perhaps a stage of the Dockerfile."""
        checks: list[dict[str, Any]] = [{"run": ["true"]}]
        if self._chance(0.4):
            checks.append({"target": "test"})
        return checks

    def _destination(self, name: str, prefix: str) -> dict[str, Any]:
        """Return where the result of a target goes: pushed, loaded, into a folder, or nowhere."""
        repository = f"{self._here.registry}/exact/s{self._seed}-{name}"
        tags = [f"{repository}:{prefix}{tag}" for tag in ("1", "latest")[: self._random.randint(1, 2)]]
        if self._chance(0.2):
            tags.append(f"{self._here.registry}/exact/mirror-s{self._seed}-{name}:{prefix}1")
        values: dict[str, Any] = {}
        if self._chance(0.65):
            values = {"tags": tags, "push": True}
        if self._chance(0.2):
            values |= {"tags": tags, "load": True}
        if self._chance(0.2):
            values["output"] = [f"type=local,dest=out/{prefix}{name}"]
        return values


def _toml(value: Any) -> str:
    """Return a value as TOML, which differs from JSON in tables."""
    match value:
        case dict():
            return "{ " + ", ".join(f"{key} = {_toml(entry)}" for key, entry in value.items()) + " }"
        case list():
            return "[" + ", ".join(_toml(entry) for entry in value) + "]"
        case _:
            return json.dumps(value)
