"""A machine behind ssh: an ssh server on this machine, with its own keys, for the testbed's engine."""

from __future__ import annotations

import getpass
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.packages import ensure_tools, tool_path
from testbed.processes import Background, find_tool, run
from testbed.shared import Shared

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed.place import Place
    from testbed.processes import Daemon

ALIAS = "mpbake-node"
_PRIVILEGES = Path("/run/sshd")


def privilege_folder() -> Shared:
    """Return the folder that must exist if root starts sshd."""
    return Shared(name=str(_PRIVILEGES), exists=_PRIVILEGES.is_dir, make=_PRIVILEGES.mkdir, undo=_PRIVILEGES.rmdir)


@dataclass(frozen=True, kw_only=True, slots=True)
class SshNode(Background):
    """The server, and what a client needs to reach it as `mpbake-node` or `mpbake-node-ANYTHING`.

    Another `alias` needs another `name`. The command `within` enters a network namespace, in which the server listens
    on `address`. With `shares_connections`, commands within some seconds use one connection.
    """

    place: Place
    client: Mapping[str, str]
    alias: str = ALIAS
    name: str = "ssh"
    address: str = "127.0.0.1"
    within: tuple[str, ...] = ()
    shares_connections: bool = False

    @property
    def endpoint(self) -> str:
        """The endpoint for buildx; with a suffix such as `-2` it is another endpoint of the same machine."""
        return f"ssh://{self.alias}"

    @property
    def bin(self) -> Path:
        """A folder for the start of PATH. Its `ssh` reads only the testbed's configuration."""
        return self.place.root / "bin"

    @property
    def client_path(self) -> str:
        """The PATH with this folder first."""
        return f"{self.bin}:{self._path_without_ours()}"

    def start(self) -> None:
        """Start the server unless it runs."""
        ensure_tools(self.place, "sshd", "ssh", "ssh-keygen")
        self._ensure_keys()
        server = self._folder / "sshd_config"
        server.write_text(self._server_config())
        self._write_client()
        if os.getuid() == 0:
            self.place.note("shared", privilege_folder().name)
            privilege_folder().join(self.place.root)
        self.place.note("daemon", self._daemon.name)
        program = tool_path("sshd", self.place.environ) or "sshd"  # sshd requires an absolute path
        argv = (*self.within, program, "-D", "-e", "-f", str(server))
        self._daemon.start(argv, env=self.place.environ, ready=self._listens)

    @property
    def _folder(self) -> Path:
        return self.place.folder(f"ssh/{self.name}")

    @property
    def _daemon(self) -> Daemon:
        return self.place.daemon("sshd" if self.name == "ssh" else f"sshd-{self.name}")

    @property
    def _port(self) -> int:
        return self.place.port("sshd")

    def _path_without_ours(self) -> str:
        """Return the PATH of the environment without this folder, which the testbed may already have added."""
        folders = self.place.environ.get("PATH", os.defpath).split(os.pathsep)
        return os.pathsep.join(folder for folder in folders if folder != str(self.bin))

    def _listens(self) -> bool:
        with socket.socket() as probe, suppress(OSError):
            probe.connect((self.address, self._port))
            return True
        return False

    def _ensure_keys(self) -> None:
        for name in ("host_key", "user_key"):
            if not (self._folder / name).exists():
                keygen = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self._folder / name))
                run(keygen, env=self.place.environ)

    def _server_config(self) -> str:
        """Return a configuration with separate keys, without passwords, in which `docker` uses the testbed's engine."""
        env = {**self.client, "PATH": self._path_without_ours()}
        variables = " ".join(f'"{name}={value}"' for name, value in env.items())
        return (
            f"ListenAddress {self.address}\nPort {self._port}\n"
            f"HostKey {self._folder}/host_key\nPidFile none\n"
            f"AuthorizedKeysFile {self._folder}/user_key.pub\n"
            "AuthenticationMethods publickey\nPermitRootLogin prohibit-password\nUsePAM no\n"
            "StrictModes no\n"  # the folder may be below /tmp, where every user may write
            "MaxStartups 100\nMaxSessions 100\n"
            f"SetEnv {variables}\n"
        )

    def _sharing(self) -> str:
        """Return the client's settings for shared connections, as docs/builders.md recommends them."""
        if not self.shares_connections:
            return ""
        return f"  ControlMaster auto\n  ControlPath {self.place.sockets}/%C\n  ControlPersist 20\n"

    def _write_client(self) -> None:
        known = self._folder / "known_hosts"
        host_key = (self._folder / "host_key.pub").read_text()
        known.write_text(f"[{self.address}]:{self._port} {host_key}")
        config = self._folder / "config"
        config.write_text(
            f"Host {self.alias} {self.alias}-*\n  HostName {self.address}\n  Port {self._port}\n"
            f"  User {getpass.getuser()}\n  IdentityFile {self._folder}/user_key\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {known}\n  StrictHostKeyChecking yes\n  LogLevel ERROR\n{self._sharing()}"
        )
        every = self.place.folder("ssh") / "config"
        every.write_text(f"Include {every.parent}/*/config\n")
        self.bin.mkdir(exist_ok=True)
        program = find_tool("ssh", self._path_without_ours())
        (self.bin / "ssh").write_text(f'#!/bin/sh\nexec "{program}" -F "{every}" "$@"\n')
        (self.bin / "ssh").chmod(0o755)
