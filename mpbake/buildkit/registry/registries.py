"""Registries as the builders of a plan reach them: shared connections and logins, host settings of each builder."""

from __future__ import annotations

import base64
import contextlib
import threading
from typing import TYPE_CHECKING

from mpbake.base.errors import MpbakeError
from mpbake.buildkit.nodes.buildx_store import BuildxStore, store_folder
from mpbake.buildkit.nodes.declaration import declare
from mpbake.buildkit.registry.authorization import Authorization
from mpbake.buildkit.registry.client import READING, SECONDS, Client
from mpbake.buildkit.registry.credentials import Credentials
from mpbake.buildkit.registry.hosts import Hosts, registry_settings
from mpbake.buildkit.registry.transport import Transport, import_urllib3

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mpbake.buildkit.process.docker import Completed, Docker
    from mpbake.model.plan import Builder, Node

CONFIG = "buildkitd.default.toml"
"""The user's defaults for BuildKit containers, in the folder of buildx."""
_KEPT_CONFIG = "buildkitd.toml"
_HELPER_SECONDS = 60.0
"""Seconds that a credential helper may take: it may ask a server."""


class Registries:
    """Makes clients for registries; safe to use from several threads. Credential helpers run through `docker`."""

    def __init__(self, docker: Docker, environment: Mapping[str, str], redact: Callable[[str], str] = str) -> None:
        self._environment = environment
        transport = Transport(lambda: docker.cancelled)
        credentials = Credentials(environment, _helper(docker))
        self._transport = transport
        self._client = Client(
            transport=transport,
            authorization=Authorization(transport, credentials),
            hosts=Hosts(environment=environment),
            pause=docker.pause,
            redact=redact,
            seconds=SECONDS,
            reading=READING,
        )
        self._clients: dict[str, Client] = {}
        self._lock = threading.Lock()
        self._is_imported = False

    def import_ahead(self) -> None:
        """Import the HTTP library in a thread, so that nothing waits for that when it is needed."""
        with self._lock:
            if not self._is_imported:
                threading.Thread(target=import_urllib3, daemon=True).start()
            self._is_imported = True

    def client(self, builder: Builder) -> Client:
        """A client that reaches registries as the nodes of `builder` do. Raises UsageError as `declare` does."""
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
    """The texts of `buildkitd.toml` of a builder's nodes, as far as they are known on this machine."""
    if builder.external:
        yield from _kept_configs(builder, environment)
    for node in () if builder.external else builder.nodes:
        if declared := declare(node).config:
            yield declared
        elif _takes_defaults(node):
            with contextlib.suppress(OSError, ValueError):
                yield (store_folder(environment) / CONFIG).read_text(encoding="utf-8")


def _takes_defaults(node: Node) -> bool:
    """Whether mpbake makes a container for a node, or may, which then has the user's defaults."""
    return node.driver.rules.takes_default_config


def _kept_configs(builder: Builder, environment: Mapping[str, str]) -> Iterator[str]:
    """What buildx keeps of the configuration of a builder that somebody else made."""
    with contextlib.suppress(MpbakeError, LookupError, TypeError, ValueError, AttributeError):
        entry = BuildxStore(folder=store_folder(environment)).read(builder.name.lower()) or {}
        for node in entry.get("Nodes") or ():
            kept = (node.get("Files") or {}).get(_KEPT_CONFIG, "")
            yield base64.b64decode(kept).decode()


def _helper(docker: Docker) -> Callable[[tuple[str, ...], str], Completed]:
    return lambda command, given: docker.run_program(command, timeout=_HELPER_SECONDS, given=given)
