"""The complete testbed: an engine, a registry, nodes of every driver, and the settings to use them."""

from __future__ import annotations

import fcntl
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from testbed.buildkit import check_platforms, start_buildkit, upstream
from testbed.certs import ensure_certificates
from testbed.cleanup import undo_all
from testbed.dockerd import start_engine
from testbed.emulation import ensure_emulation
from testbed.engine import Engine, is_root_on_linux
from testbed.engine_choice import engine_file, ensure_engine
from testbed.errors import TestbedError
from testbed.images import base_packages, ensure_node_image, node_image, push_base_image
from testbed.nodes import mtls_node, unix_node
from testbed.place import Place
from testbed.registry import ProcessRegistry, find_registry
from testbed.sshd import SshNode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

    from testbed.buildkit import Release
    from testbed.nodes import Node, Upstream
    from testbed.registry import Registry

Extra = Literal["node-image", "ssh"]

AMD64, ARM64 = "linux-amd64", "linux-arm64"
_MARK = "mpbake-testbed"


def tell(message: str) -> None:
    """Print the progress of the testbed on standard error. Standard output is for the result of a command."""
    print(f"testbed: {message}", file=sys.stderr, flush=True)


class Testbed:
    """A testbed. Its whole state is in its folder, so several objects may represent the same testbed.

    `up` and `down` may be called at any time. All other methods need an `up` before them, by any process.
    """

    __test__: ClassVar[bool] = False  # pytest would collect a class whose name begins with "Test"

    def __init__(
        self, root: Path, *, environ: Mapping[str, str] = os.environ, say: Callable[[str], None] = tell
    ) -> None:
        self.place = Place(root=root.resolve(), environ=environ, say=say)

    def up(self, extras: Collection[Extra] = ()) -> None:
        """Start the parts that do not run. TestbedError says what is missing and how to get it."""
        self._claim()
        with self.locked(), ThreadPoolExecutor() as pool:
            packages = pool.submit(base_packages, self.place)
            if is_root_on_linux():
                ensure_emulation(self.place)
            engine = ensure_engine(self.place)
            if not is_root_on_linux():
                check_platforms(engine)
            self.registry.start()
            start_buildkit(self.place, engine)
            ensure_certificates(self.place.folder("certs"))
            for name in (AMD64, ARM64):
                self.node(name).start()
            push_base_image(engine, self.registry.client, packages.result())
        if "node-image" in extras:
            self.node_image()
        if "ssh" in extras:
            self.ssh.start()

    def down(self) -> None:
        """Stop all parts and undo all changes. Do nothing if there is no testbed."""
        if not self.place.root.exists():
            return
        self._claim()
        with self.locked():
            undo_all(self.place, Engine.load(engine_file(self.place), self.place.environ))

    def env(self) -> dict[str, str]:
        """Return the variables with which docker, buildx and the example plans use this testbed.

        `MPBAKE_ALLOW` grants the rights that the example plans need with these values.
        """
        env = {
            **self.engine.client,
            "REGISTRY": self.registry.host,
            "BASE_IMAGE": f"{self.registry.host}/base:1",
            "NODE_AMD64": self.node(AMD64).endpoint,
            "NODE_ARM64": self.node(ARM64).endpoint,
            "CERTS": str(self.certificates),
            "BUILDKIT_IMAGE": node_image(self.engine, self.registry.client),
            "BUILDKIT_NETWORK": "host",
        }
        rights = [f"fs.read={env['CERTS']}", f"builder.image={env['BUILDKIT_IMAGE']}", "builder.network=host"]
        if self.ssh.bin.exists():
            env["SSH_NODE"] = self.ssh.endpoint
            env["PATH"] = self.ssh.client_path
            rights.append(f"endpoint={self.ssh.endpoint}")
        return {**env, "MPBAKE_ALLOW": "\n".join(rights)}

    @property
    def engine(self) -> Engine:
        """The engine of this testbed."""
        engine = Engine.load(engine_file(self.place), self.place.environ)
        if engine is None:
            message = f"There is no testbed in {self.place.root}: start it first."
            raise TestbedError(message)
        return engine

    @property
    def registry(self) -> Registry:
        """The registry that holds the base image and receives pushed images."""
        return find_registry(self.place, self.engine)

    @property
    def certificates(self) -> Path:
        """The folder with ca.crt, client.crt and client.key."""
        return self.place.root / "certs"

    @property
    def ssh(self) -> SshNode:
        """The machine behind ssh. It runs after `up` with the extra "ssh", or after its own `start`."""
        return SshNode(place=self.place, client=self.engine.client)

    def upstream(self, platform: str, release: Release = "default") -> Upstream:
        """Return the BuildKit behind nodes that pose as a platform; empty for the machine's own."""
        return upstream(self.place, self.engine, platform, release)

    def node(self, name: str) -> Node:
        """Return the mTLS node of that name. The nodes linux-amd64 and linux-arm64 always exist.

        Each node reports its real platform. On one machine, one of the two emulates the platform in its name.
        """
        return mtls_node(self.place, name, self.upstream("linux/arm64" if name == ARM64 else ""))

    def add_node(
        self, name: str, *, poses_as: str = "", beside: str = "", release: Release = "default", states: bool = True
    ) -> Node:
        """Start another mTLS node.

        The node lists the platform `poses_as` first. `release` chooses its BuildKit, and `states` says whether it
        reports the version of its BuildKit.

        If the testbed has its own engines, all nodes that pose as linux/arm64 share one engine, and all other nodes
        share another. `beside` names another platform whose engine the node uses.
        """
        backend = self.upstream(beside or poses_as, release)
        node = mtls_node(self.place, name, backend if states else replace(backend, version=""), poses_as=poses_as)
        node.start()
        return node

    def add_node_with(self, name: str, certificates: Path) -> Node:
        """Start one more mTLS node, whose ca.crt, server.crt and server.key are in a folder."""
        node = mtls_node(self.place, name, self.upstream(""), certificates=certificates)
        node.start()
        return node

    def add_unix_node(self, name: str, *, poses_as: str = "", delay: float = 0.0) -> Node:
        """Start a node on a unix socket. Each connection waits for `delay` seconds before an answer."""
        node = unix_node(self.place, name, self.upstream(poses_as), poses_as=poses_as, delay=delay)
        node.start()
        return node

    def node_image(self, release: Release = "default") -> str:
        """Return an image for docker-container nodes. Build it if necessary. `release` chooses its BuildKit."""
        name = node_image(self.engine, self.registry.client, release)
        with self.locked():
            ensure_node_image(self.place, name, self.registry.client)
        return name

    def classic_engine(self) -> Engine:
        """Start a second engine of the testbed, with the classic image store."""
        with self.locked():
            return start_engine(self.place, "classic")

    def password_registry(self) -> ProcessRegistry:
        """Start a second registry. It answers 401 without the login USER, PASSWORD."""
        registry = ProcessRegistry(place=self.place, name="password-registry", password=True)
        registry.start()
        return registry

    def tls_registry(self) -> ProcessRegistry:
        """Start a third registry, behind TLS with a certificate of the testbed's CA and behind the same login."""
        registry = ProcessRegistry(place=self.place, name="tls-registry", password=True, tls=True)
        registry.start()
        return registry

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the testbed, so that only one process at a time starts or stops its parts."""
        lock = os.open(self.place.root, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _claim(self) -> None:
        """Mark the folder as a testbed. Refuse a folder with other contents, since `down` removes the folder."""
        root = self.place.root
        if root.exists() and any(root.iterdir()) and not (root / _MARK).exists():
            message = f"{root} holds something else than a testbed: choose another folder."
            raise TestbedError(message)
        self.place.prepare()
        (root / _MARK).touch()
