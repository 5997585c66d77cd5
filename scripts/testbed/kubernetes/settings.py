"""What the process that stands for a Kubernetes cluster is told by those who start it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from testbed.node_settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterSettings:
    """What the cluster does.

    It listens on `port` of 127.0.0.1 and keeps its objects in the file `state`. `machines` says for each
    architecture, and with "" for pods that may run anywhere, to which BuildKit their `buildctl` leads. The
    witness of a Deployment's pods is `witness`/NAMESPACE/DEPLOYMENT.jsonl.
    """

    port: int
    state: str
    witness: str
    machines: Mapping[str, Settings]

    @classmethod
    def load(cls, fields: Mapping[str, Any]) -> ClusterSettings:
        """The settings that were written as JSON."""
        machines = {name: Settings(**machine) for name, machine in fields["machines"].items()}
        return cls(**{**fields, "machines": machines})
