"""The options of a container, as an engine reports them, compared with the options of a node. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpbake.model.marks import CONTAINER_LABEL, MARK, SETTING_LABEL
from mpbake.model.node_state import NodeResource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mpbake.model.node_state import Pairs

DEFAULT_IMAGE = "moby/buildkit:buildx-stable-1"
"""The image that buildx uses for a container if none is declared."""
_DEFAULT_NETWORKS = frozenset({"", "default", "bridge", "nat", "pasta", "slirp4netns"})
_DEFAULT_GROUPS = frozenset({"", "/docker/buildx"})
_DEFAULT_POLICIES = frozenset({"", "no", "unless-stopped"})
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?) ?([bkmgt]?)(?:i?b)?", re.IGNORECASE)
_ENVIRONMENT = "env."


@dataclass(frozen=True, kw_only=True, slots=True)
class ContainerOptions:
    """The options of a container. `config` and `host` are parts of docker's description of the container."""

    config: Mapping[str, Any]
    host: Mapping[str, Any]

    def reports(self, option: str) -> bool:
        """Return whether an engine reports the value of an option."""
        return option in NAMES or option.startswith(_ENVIRONMENT)

    def agrees(self, option: str, text: str) -> bool:
        """Return whether an option has the value `text`; an empty text is the default."""
        value = self.value(option)
        match option:
            case "image":
                return value.partition("@")[0] == text.partition("@")[0] if text else value == DEFAULT_IMAGE
            case "network":
                return value == text if text else value in _DEFAULT_NETWORKS
            case "cgroup-parent":
                return value == text if text else value in _DEFAULT_GROUPS
            case "restart-policy":
                return value == text if text else value in _DEFAULT_POLICIES
            case "memory":
                return _bytes(text) == _bytes(value)
            case "memory-swap":
                # Without a limit of its own, docker allows as much swap as memory.
                is_default = _bytes(value) in {0, -1, 2 * _bytes(self.value("memory"))}
                return _bytes(text) == _bytes(value) if text else is_default
            case _:
                return value == (text if text != "0" else "")

    def value(self, option: str) -> str:
        """Return the value of an option as text; empty if the option is not set."""
        if option.startswith(_ENVIRONMENT):
            return variables_of(self.config).get(option.removeprefix(_ENVIRONMENT), "")
        return str(_VALUES[option](self) or "")


def variables_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment variables of a container, by name."""
    return dict(variable.partition("=")[::2] for variable in config.get("Env") or ())


def reported_settings(options: ContainerOptions) -> tuple[tuple[str, str], ...]:
    """Return the options with which a container was made, without unset options."""
    settings = {name: options.value(name) for name in NAMES}
    settings |= {f"{_ENVIRONMENT}{name}": value for name, value in variables_of(options.config).items() if name != MARK}
    return tuple(sorted((name, value) for name, value in settings.items() if value))


def container_of(inspected: dict[str, Any]) -> NodeResource:
    """Return a container from docker's description, without the mark of an adopted container."""
    config, host = inspected["Config"], inspected.get("HostConfig", {})
    labels = config.get("Labels") or {}
    return NodeResource(
        id=inspected["Id"],
        name=inspected["Name"].lstrip("/"),
        status=inspected["State"]["Status"],
        mark=variables_of(config).get(MARK) or labels.get(CONTAINER_LABEL, ""),
        busy=bool(inspected.get("ExecIDs")),
        settings=_labelled_settings(labels) or reported_settings(ContainerOptions(config=config, host=host)),
    )


def _labelled_settings(labels: Mapping[str, str]) -> Pairs:
    """Return the settings in the labels of a container that mpbake itself created."""
    return tuple(
        sorted(
            (label.removeprefix(SETTING_LABEL), value)
            for label, value in labels.items()
            if label.startswith(SETTING_LABEL)
        )
    )


def _policy(options: ContainerOptions) -> str:
    policy = options.host.get("RestartPolicy") or {}
    count = policy.get("MaximumRetryCount")
    return f"{policy.get('Name') or ''}{f':{count}' if count else ''}"


_HOST_KEYS = {
    "network": "NetworkMode",
    "memory": "Memory",
    "memory-swap": "MemorySwap",
    "cpu-quota": "CpuQuota",
    "cpu-period": "CpuPeriod",
    "cpu-shares": "CpuShares",
    "cpuset-cpus": "CpusetCpus",
    "cpuset-mems": "CpusetMems",
    "cgroup-parent": "CgroupParent",
}
"""Docker's name in the description of a container for each option."""


def _host_value(key: str) -> Callable[[ContainerOptions], Any]:
    return lambda options: options.host.get(key)


_VALUES: Mapping[str, Callable[[ContainerOptions], Any]] = {
    "image": lambda options: options.config.get("Image"),
    **{option: _host_value(key) for option, key in _HOST_KEYS.items()},
    "restart-policy": _policy,
}
NAMES = tuple(_VALUES)
"""The options that an engine reports, besides environment variables."""


def _bytes(text: str) -> int:
    """Return an amount of memory in docker's notation, such as `1.5g`, in bytes; -1 if it is not an amount."""
    match = _AMOUNT.fullmatch(text or "0")
    return int(float(match[1]) * _UNITS[match[2].lower()]) if match else -1
