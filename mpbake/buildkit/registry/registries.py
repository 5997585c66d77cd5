"""Makes clients for registries.

All builders of a plan share connections and logins, but each has its own host settings.
"""

from __future__ import annotations

import base64
import contextlib
import threading
from typing import TYPE_CHECKING

from mpbake.base.errors import MpbakeError
from mpbake.buildkit.nodes.instances.buildx_store import BuildxStore, store_folder
from mpbake.buildkit.nodes.instances.declaration import declare
from mpbake.buildkit.registry.authorization import Authorization
from mpbake.buildkit.registry.client import READ_TIMEOUT, WRITE_TIMEOUT, RegistryClient
from mpbake.buildkit.registry.credentials import Credentials
from mpbake.buildkit.registry.hosts import Hosts, registry_settings
from mpbake.buildkit.registry.transport import Transport, import_urllib3

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mpbake.buildkit.process.completed import Completed
    from mpbake.buildkit.process.docker import Docker
    from mpbake.model.plan import Builder, Node

CONFIG = "buildkitd.default.toml"
"""The file with the user's default configuration for BuildKit containers, in buildx's folder."""
_STORED_CONFIG = "buildkitd.toml"
_HELPER_SECONDS = 60.0
"""The timeout in seconds of a credential helper, which may query a server."""


class Registries:
    """Makes clients for registries. Thread-safe. Credential helpers run through `docker`."""

    def __init__(self, docker: Docker, environment: Mapping[str, str], redact: Callable[[str], str] = str) -> None:
        self._environment = environment
        transport = Transport(lambda: docker.cancelled)
        credentials = Credentials(environment, _helper(docker))
        self._transport = transport
        self._client = RegistryClient(
            transport=transport,
            authorization=Authorization(transport, credentials),
            hosts=Hosts(environment=environment),
            pause=docker.pause,
            redact=redact,
            write_timeout=WRITE_TIMEOUT,
            read_timeout=READ_TIMEOUT,
        )
        self._clients: dict[str, RegistryClient] = {}
        self._lock = threading.Lock()
        self._is_imported = False

    def import_ahead(self) -> None:
        """Import the HTTP library in a background thread, so that no step waits for the import."""
        with self._lock:
            if not self._is_imported:
                threading.Thread(target=import_urllib3, daemon=True).start()
            self._is_imported = True

    def client(self, builder: Builder) -> RegistryClient:
        """Return a client with the registry settings of the builder's nodes. Raises UsageError as `declare` does."""
        with self._lock:
            if builder.name not in self._clients:
                settings = registry_settings(configs_of(builder, self._environment))
                hosts = Hosts(environment=self._environment, settings=settings)
                self._clients[builder.name] = self._client.with_hosts(hosts)
            return self._clients[builder.name]

    def close(self) -> None:
        """Close idle connections."""
        self._transport.close()


def configs_of(builder: Builder, environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the texts of the `buildkitd.toml` files of a builder's nodes, if the files are on this machine."""
    if builder.external:
        yield from _stored_configs(builder, environment)
    for node in () if builder.external else builder.nodes:
        if declared := declare(node).config:
            yield declared
        elif _takes_defaults(node):
            with contextlib.suppress(OSError, ValueError):
                yield (store_folder(environment) / CONFIG).read_text(encoding="utf-8")


def _takes_defaults(node: Node) -> bool:
    """Whether mpbake creates a container for a node, or may create one. Such a container uses the user's defaults."""
    return node.driver.rules.takes_default_config


def _stored_configs(builder: Builder, environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the configurations in buildx's store for the nodes of a foreign builder."""
    with contextlib.suppress(MpbakeError, LookupError, TypeError, ValueError, AttributeError):
        entry = BuildxStore(folder=store_folder(environment)).read(builder.name.lower()) or {}
        for node in entry.get("Nodes") or ():
            encoded = (node.get("Files") or {}).get(_STORED_CONFIG, "")
            yield base64.b64decode(encoded).decode()


def _helper(docker: Docker) -> Callable[[tuple[str, ...], str], Completed]:
    return lambda command, text: docker.run_program(command, timeout=_HELPER_SECONDS, given=text)
