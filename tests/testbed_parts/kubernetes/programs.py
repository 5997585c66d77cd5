"""The programs in the pods of a cluster: buildctl, and a program that lists the processes of the pod."""

from __future__ import annotations

import itertools
import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.node_proxy import Node, Witness

from tests.testbed_parts.kubernetes.objects import ARCHITECTURE, workload_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.testbed_parts.kubernetes.exec import Streams
    from tests.testbed_parts.kubernetes.objects import Object
    from tests.testbed_parts.kubernetes.settings import ClusterSettings

_DIAL = "buildctl dial-stdio"


@dataclass(frozen=True, kw_only=True, slots=True)
class Programs:
    """The programs that run in pods. `dialed` holds the process numbers of each pod's open connections to BuildKit."""

    settings: ClusterSettings
    connections: itertools.count[int]
    processes: itertools.count[int]
    dialed: dict[str, set[int]]

    @classmethod
    def of(cls, settings: ClusterSettings) -> Programs:
        """Return the programs of a new cluster."""
        return cls(settings=settings, connections=itertools.count(1), processes=itertools.count(100), dialed={})

    async def run(self, pod: Object, command: tuple[str, ...], streams: Streams) -> int:
        """Run the command in the pod, and return its exit code.

        A command that does not exist there has exit code 126.
        """
        match command:
            case ("buildctl", *_, "dial-stdio"):
                with self._process(pod):
                    await self._node(pod).bridge(streams.stdin, streams.stdout)
                return 0
            case ("buildctl", *rest) if rest[-2:] == ["debug", "workers"] or "--help" in rest:
                return 0
            case ("pgrep", "-f", pattern):
                return self._pgrep(pod, pattern, streams)
        streams.stderr.write(f"no such command in the pods of the testbed: {' '.join(command)}\n".encode())
        return 126

    @contextmanager
    def _process(self, pod: Object) -> Iterator[None]:
        number, running = next(self.processes), self.dialed.setdefault(pod["metadata"]["uid"], set())
        running.add(number)
        try:
            yield
        finally:
            running.discard(number)

    def _pgrep(self, pod: Object, pattern: str, streams: Streams) -> int:
        dialed = self.dialed.get(pod["metadata"]["uid"], set()) if re.search(pattern, _DIAL) else set()
        streams.stdout.write("".join(f"{number}\n" for number in sorted(dialed)).encode())
        return 0 if dialed else 1

    def _node(self, pod: Object) -> Node:
        """Return the BuildKit of the pod. All pods of a Deployment or StatefulSet share one record of builds."""
        machines = self.settings.machines
        machine = machines.get(pod["spec"].get("nodeSelector", {}).get(ARCHITECTURE, ""), machines[""])
        folder = Path(self.settings.witness) / pod["metadata"]["namespace"]
        folder.mkdir(parents=True, exist_ok=True)
        witness = Witness(file=folder / f"{workload_of(pod)}.jsonl")
        return Node(settings=machine, witness=witness, numbers=self.connections)
