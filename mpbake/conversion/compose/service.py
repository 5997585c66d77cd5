"""A service of a Compose file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpbake.conversion.compose.values import Mapping, Scalar, Value


def target_name(service: str) -> str:
    """Return the name of a service's target: bake replaces dots."""
    return service.replace(".", "_")


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """A service with its name, and the variables of its `environment` and `env_file`."""

    key: Scalar
    table: Mapping
    environment: dict[str, Value | None]

    @property
    def name(self) -> str:
        """The name of the service."""
        return self.key.text
