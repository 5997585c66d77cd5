"""A registry on this machine that stores its contents in the testbed's folder."""

from __future__ import annotations

import http.client
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from testbed.errors import TestbedError
from testbed.packages import ensure_tools
from testbed.processes import Background, succeeds, wait_until
from testbed.registry_client import RegistryClient

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.engine import Engine
    from testbed.place import Place
    from testbed.processes import Daemon

USER, PASSWORD = "tester", "push-allowed"
# A bcrypt hash of the password. The registry supports only bcrypt, which neither Python nor every machine can compute.
_HTPASSWD = f"{USER}:$2b$05$abcdefghijklmnopqrstuuJI6OJygcGQ7LLZLdLIriLpYnp3gciPa\n"
_IMAGE = "registry:2"
_SERVER = {"certificate": "crt", "key": "key"}
_SECONDS = 20


class Registry(Protocol):
    """A registry that keeps its contents when it is stopped and started again."""

    @property
    def host(self) -> str:
        """The host in image references."""

    @property
    def client(self) -> RegistryClient:
        """A client that reads the registry."""

    def start(self) -> None:
        """Start the registry unless it runs, and wait until it answers."""

    def stop(self) -> None:
        """Stop the registry. Afterwards it refuses connections."""


def find_registry(place: Place, engine: Engine) -> Registry:
    """Return the testbed's registry. It is not started yet.

    The registry is a process if the engine reaches this machine's ports and the program is available. Otherwise it is a
    container.
    """
    if engine.local:
        with suppress(TestbedError):
            ensure_tools(place, "docker-registry")
            return ProcessRegistry(place=place, name="registry")
    return ContainerRegistry(place=place, engine=engine, name="registry")


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessRegistry(Background):
    """Debian's docker-registry as a background process.

    With `password` the registry requires a login. With `tls` it accepts only TLS, and has a certificate of the
    testbed's CA. With `storage` it has the contents of the registry of that name. It listens on `address`.
    """

    place: Place
    name: str
    password: bool = False
    tls: bool = False
    storage: str = ""
    address: str = "127.0.0.1"

    @property
    def host(self) -> str:
        """The host in its image references."""
        host = "localhost" if self.address == "127.0.0.1" else self.address
        return f"{host}:{self.place.port(self.name)}"

    @property
    def client(self) -> RegistryClient:
        """A client that reads the registry."""
        ca = self._certificate("ca.crt") if self.tls else None
        return RegistryClient(host=self.host, login=(USER, PASSWORD) if self.password else None, ca=ca)

    def start(self) -> None:
        """Start the registry unless it runs, and wait until it answers."""
        ensure_tools(self.place, "docker-registry")
        config = self.place.folder(self.name) / "config.json"
        config.write_text(json.dumps(self._config()))  # the configuration is YAML, and JSON is valid YAML
        self.place.note("daemon", self.name)
        argv = ("docker-registry", "serve", str(config))
        self._daemon.start(argv, env=self.place.environ, ready=lambda: answers(self.client))

    @property
    def _daemon(self) -> Daemon:
        return self.place.daemon(self.name)

    def _config(self) -> dict[str, object]:
        storage = {"rootdirectory": str(self.place.folder(f"{self.storage or self.name}/storage"))}
        served: dict[str, object] = {"addr": f"{self.address}:{self.place.port(self.name)}"}
        if self.tls:
            served["tls"] = {part: str(self._certificate(f"server.{end}")) for part, end in _SERVER.items()}
        config: dict[str, object] = {
            "version": "0.1",
            "storage": {"filesystem": storage, "delete": {"enabled": True}},
            "http": served,
        }
        if self.password:
            passwords = self.place.folder(self.name) / "htpasswd"
            passwords.write_text(_HTPASSWD)
            config["auth"] = {"htpasswd": {"realm": "testbed", "path": str(passwords)}}
        return config

    def _certificate(self, name: str) -> Path:
        return self.place.folder("certs") / name


@dataclass(frozen=True, kw_only=True, slots=True)
class ContainerRegistry:
    """The image registry:2 in an engine that publishes the registry's port on this machine."""

    place: Place
    engine: Engine
    name: str

    @property
    def host(self) -> str:
        """The host in image references."""
        return f"localhost:{self.place.port(self.name)}"

    @property
    def client(self) -> RegistryClient:
        """A client that reads the registry."""
        return RegistryClient(host=self.host, login=None)

    def start(self) -> None:
        """Start the registry unless it runs, and wait until it answers."""
        if answers(self.client):
            return
        if succeeds(("docker", "container", "inspect", self._container), env=self.engine.env):
            self.engine.docker("start", self._container)
        else:
            self._create()
        if not wait_until(lambda: answers(self.client), seconds=_SECONDS):
            message = f"{self._container} does not answer:\n{self.engine.docker('logs', self._container)}"
            raise TestbedError(message)

    def stop(self) -> None:
        """Stop the registry. Afterwards it refuses connections."""
        self.engine.docker("stop", self._container)

    @property
    def _container(self) -> str:
        return f"mpbake-{self.place.key}-{self.name}"

    def _create(self) -> None:
        self.place.note("container", self._container)
        port = f"127.0.0.1:{self.place.port(self.name)}:5000"
        deletes = "REGISTRY_STORAGE_DELETE_ENABLED=true"
        try:
            self.engine.docker(
                "run", "--detach", "--name", self._container, "--publish", port, "--env", deletes, _IMAGE,
                timeout=300,
            )  # fmt: skip
        except TestbedError as error:
            message = f"No registry: install Debian's docker-registry, or let the engine pull.\n{error}"
            raise TestbedError(message) from error


def answers(client: RegistryClient) -> bool:
    """Return whether a registry answers. An answer that asks for a login counts, too."""
    try:
        return client.ask("GET", "/v2/").status in {200, 401}
    except (OSError, http.client.HTTPException):
        return False
