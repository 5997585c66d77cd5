"""Finds the user's logins to registries in the same places as docker and buildx."""

from __future__ import annotations

import base64
import binascii
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import BuildFailed, Unreachable
from mpbake.base.files import read_bounded
from mpbake.base.json_text import parse_json
from mpbake.base.text import one_line
from mpbake.buildkit.nodes.instances.buildx_store import store_folder
from mpbake.buildkit.registry.hosts import DOCKER_HUB, HUB_HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from mpbake.buildkit.process.completed import Completed

_HUB_KEY = "https://index.docker.io/v1/"
_ALSO_HUB = ("dhi.io", "registry.scout.docker.com")
"""Hosts that use the login to Docker Hub if there is no login for the host, as in buildx."""
_DOCKER_CONFIG = "config.json"
_FRESH = 290.0
"""Seconds for which a login is cached. A token from a helper may expire after five minutes."""
_HELPER_SECONDS = 30.0
_TOKEN_NAME = "<token>"  # noqa: S105 - the user name under which helpers store identity tokens
_NOT_FOUND = "credentials not found in native keychain"
"""The text that a credential helper prints if there is no login, as its protocol requires."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Login:
    """A login: a user name with a password, an `identity` token that replaces both, or a `bearer` token."""

    name: str = ""
    password: str = field(default="", repr=False)
    identity: str = field(default="", repr=False)
    bearer: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of a basic Authorization header; empty if there is no password."""
        if not self.password:
            return ""
        return f"Basic {base64.b64encode(f'{self.name}:{self.password}'.encode()).decode()}"

    def __bool__(self) -> bool:
        """Whether the login contains any credential."""
        return bool(self.password or self.identity or self.bearer)


class Credentials:
    """Finds the user's logins. Thread-safe. `run_helper(command, input)` runs a credential helper."""

    def __init__(
        self,
        environment: Mapping[str, str],
        run_helper: Callable[[tuple[str, ...], str], Completed],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._environment = environment
        self._run_helper = run_helper
        self._clock = clock
        self._cache: dict[tuple[Path, str], tuple[float, Login]] = {}
        self._lock = threading.Lock()

    def login(self, registry: str, path: str, actions: Collection[str]) -> Login:
        """Return the login for `actions` (`pull`, `push`) on the repository `path`; an empty login if there is none.

        Raises BuildFailed if a configuration cannot be read or a helper fails.
        """
        host = HUB_HOST if registry == DOCKER_HUB else registry
        with self._lock:
            login = self._of_host(host, path, actions)
            return login or (self._of_host(HUB_HOST, path, actions) if host in _ALSO_HUB else login)

    def _of_host(self, host: str, path: str, actions: Collection[str]) -> Login:
        folder = self._scoped(host, path, actions) or config_folder(self._environment)
        key = (folder, host)
        read_at, login = self._cache.get(key, (-_FRESH, Login()))
        if self._clock() - read_at >= _FRESH:
            login = self._read(folder, _HUB_KEY if host == HUB_HOST else host)
            self._cache[key] = (self._clock(), login)
        return login

    def _scoped(self, host: str, path: str, actions: Collection[str]) -> Path | None:
        """Return buildx's folder with the configuration for a host, repository and actions; None if there is none."""
        base = store_folder(self._environment) / "config"
        if not base.is_dir():
            return None
        keys = {_scope_of(file.parent.relative_to(base)): file.parent for file in sorted(base.rglob(_DOCKER_CONFIG))}
        fitting = [key for key in keys if key[0] == host and key[1] in {"", path} and set(key[2]) <= set(actions)]
        # As in buildx, folders that name the repository come first, then folders that name more actions.
        return keys[min(fitting, key=lambda key: (key[1] == "", -len(key[2])))] if fitting else None

    def _read(self, folder: Path, key: str) -> Login:
        """Return the login in a configuration.

        If the configuration names a helper for the host, query only the helper.
        """
        if login := _entry(self._environment_logins(), key):
            return login
        config = self._config(folder)
        helper = _text_or_empty(_table_or_empty(config, "credHelpers").get(key)) or _text_or_empty(
            config.get("credsStore")
        )
        return self._ask_helper(helper, key) if helper else _entry(_table_or_empty(config, "auths"), key)

    def _environment_logins(self) -> Mapping[str, Any]:
        """Return the logins in the variable DOCKER_AUTH_CONFIG, which CI servers set."""
        text = self._environment.get("DOCKER_AUTH_CONFIG", "")
        try:
            return _table_or_empty(dict(parse_json(text)), "auths") if text else {}
        except (ValueError, TypeError):
            raise BuildFailed("DOCKER_AUTH_CONFIG is not a JSON object", hint="correct or unset it") from None

    @staticmethod
    def _config(folder: Path) -> dict[str, Any]:
        path = folder / _DOCKER_CONFIG
        try:
            return dict(parse_json(read_bounded(path, pipe=False)))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not a JSON object"
            raise BuildFailed(
                f"{one_line(str(path))} cannot be read: {reason}", hint="correct the file or its permissions"
            ) from None

    def _ask_helper(self, helper: str, key: str) -> Login:
        command = f"docker-credential-{helper}"
        try:
            completed = self._run_helper((command, "get"), key)
        except Unreachable as error:
            raise BuildFailed(error.message, hint=f"install it: docker's {_DOCKER_CONFIG} names it") from None
        if completed.returncode:
            if _NOT_FOUND in completed.stdout:
                return Login()
            raise BuildFailed(f"{command} get {key}: {one_line(completed.error)}", hint="run `docker login`")
        try:
            answer = dict(parse_json(completed.stdout))
        except (ValueError, TypeError):
            raise BuildFailed(f"{command} get {key}: it does not print JSON", hint="run `docker login`") from None
        name, secret = _text_or_empty(answer.get("Username")), _text_or_empty(answer.get("Secret"))
        return Login(identity=secret) if name == _TOKEN_NAME else Login(name=name, password=secret)


def config_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder of docker's configuration."""
    configured = environment.get("DOCKER_CONFIG")
    return Path(configured) if configured else Path(environment.get("HOME", "/")) / ".docker"


def _scope_of(folder: Path) -> tuple[str, str, tuple[str, ...]]:
    """Return the host, repository and actions of a folder such as `registry.example.com/team/web@push`."""
    main, _, actions = folder.as_posix().partition("@")
    host, _, path = main.partition("/")
    return host, path, tuple(sorted(filter(None, (action.strip() for action in actions.split(",")))))


def _entry(logins: Mapping[str, Any], key: str) -> Login:
    """Return the login for a host from the entries of a configuration. Some keys of the entries are URLs."""
    entry = logins.get(key) or next((login for name, login in logins.items() if _host(name) == _host(key)), None)
    if not isinstance(entry, dict):
        return Login()
    name, password = _decoded(_text_or_empty(entry.get("auth")))
    return Login(
        name=name or _text_or_empty(entry.get("username")),
        password=password or _text_or_empty(entry.get("password")),
        identity=_text_or_empty(entry.get("identitytoken")),
        bearer=_text_or_empty(entry.get("registrytoken")),
    )


def _decoded(auth: str) -> tuple[str, str]:
    try:
        name, _, password = base64.b64decode(auth).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return name, password.rstrip("\0")


def _host(name: str) -> str:
    return name.partition("://")[2].partition("/")[0] if "://" in name else name.partition("/")[0]


def _table_or_empty(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = config.get(name)
    return table if isinstance(table, dict) else {}


def _text_or_empty(value: Any) -> str:
    return value if isinstance(value, str) else ""
