"""The settings of the process that simulates a Kubernetes cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from testbed.node_settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterSettings:
    """The settings of a cluster.

    The cluster listens on `port` of 127.0.0.1 and stores its objects in the file `state`. `machines` maps each
    architecture to the BuildKit behind the `buildctl` of its pods; "" stands for pods that may run anywhere. The record
    of a Deployment's pods is the file `witness`/NAMESPACE/DEPLOYMENT.jsonl.
    """

    port: int
    state: str
    witness: str
    machines: Mapping[str, Settings]

    @classmethod
    def load(cls, fields: Mapping[str, Any]) -> ClusterSettings:
        """Return the settings in a JSON text."""
        machines = {name: Settings(**machine) for name, machine in fields["machines"].items()}
        return cls(**{**fields, "machines": machines})
