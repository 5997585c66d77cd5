"""The programs in the pods of a cluster: `buildctl`, and `pgrep`, by which mpbake asks whether a build runs."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.node_proxy import Node, Witness

from tests.testbed_parts.kubernetes.objects import ARCHITECTURE, workload_of

if TYPE_CHECKING:
    from tests.testbed_parts.kubernetes.exec import Streams
    from tests.testbed_parts.kubernetes.objects import Object
    from tests.testbed_parts.kubernetes.settings import ClusterSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class Programs:
    """The programs that run in pods. `connections` numbers the connections to BuildKit."""

    settings: ClusterSettings
    connections: itertools.count[int]

    @classmethod
    def of(cls, settings: ClusterSettings) -> Programs:
        """Return the programs of a new cluster."""
        return cls(settings=settings, connections=itertools.count(1))

    async def run(self, pod: Object, command: tuple[str, ...], streams: Streams) -> int:
        """Run the command in the pod, and return its exit code.

        A command that does not exist there has exit code 126.
        """
        match command:
            case ("buildctl", *_, "dial-stdio"):
                await self._node(pod).bridge(streams.stdin, streams.stdout)
                return 0
            case ("pgrep", *_):
                return 1  # no process matches: tests on a real cluster build in a pod meanwhile
        streams.stderr.write(f"no such command in the pods of the testbed: {' '.join(command)}\n".encode())
        return 126

    def _node(self, pod: Object) -> Node:
        """Return the BuildKit of the pod. All pods of a Deployment or StatefulSet share one record of builds."""
        machines = self.settings.machines
        machine = machines.get(pod["spec"].get("nodeSelector", {}).get(ARCHITECTURE, ""), machines[""])
        folder = Path(self.settings.witness)
        folder.mkdir(parents=True, exist_ok=True)
        witness = Witness(file=folder / f"{workload_of(pod)}.jsonl")
        return Node(settings=machine, witness=witness, numbers=self.connections)
