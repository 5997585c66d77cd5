"""The meaning of each kind of right, in a few words, for questions and for the documentation."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from mpbake.model.grants import GrantKind

if TYPE_CHECKING:
    from collections.abc import Mapping

MEANINGS: Mapping[GrantKind, str] = MappingProxyType(
    {
        GrantKind.INSECURE: "run build steps with all privileges on the machine of the node",
        GrantKind.PRIVILEGE: "give build steps a privilege that mpbake does not know",
        GrantKind.DEVICE: "give build steps a device of the machine of the node",
        GrantKind.HOST_NETWORK: "run build steps in the network of the machine of the node",
        GrantKind.WRITE: "write outside of the plan's folder, or to files of git, mpbake or the plan",
        GrantKind.READ: "read outside of the plan's folder",
        GrantKind.VARIABLE: "pass an environment variable to builds as a secret",
        GrantKind.SSH: "use your ssh agent",
        GrantKind.EMULATORS: "run an image with all privileges to install emulators",
        GrantKind.BUILDER_IMAGE: "start another image as BuildKit, with all privileges",
        GrantKind.BUILDER_FLAGS: "start the BuildKit of a builder with flags",
        GrantKind.BUILDER_CONFIG: "start the BuildKit of a builder with a configuration",
        GrantKind.BUILDER_ENV: "start the BuildKit of a builder with environment variables",
        GrantKind.BUILDER_NETWORK: "connect the container of a node to a network",
        GrantKind.ENDPOINT: "use an engine, a cluster or a BuildKit with your logins",
        GrantKind.EXTERNAL: "use an existing buildx builder",
    }
)
"""The meaning of a right of each kind: the end of the sentence `allow the plan to …`."""
