"""Options of nodes: the drivers that support each option, its valid values, and its form for buildx and buildkitd."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Code
from mpbake.base.files import read_bounded
from mpbake.base.text import one_line
from mpbake.base.toml_text import toml_document
from mpbake.model.drivers.rules import Ability
from mpbake.resolve.builders.cluster_options import cluster_value_problems
from mpbake.resolve.names import key_below
from mpbake.spec.files.toml_values import read_values
from mpbake.spec.problem import Problem
from mpbake.spec.tables.attributes import OptionForm
from mpbake.spec.tables.builder_tables import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mpbake.base.errors import KeyPath
    from mpbake.model.plan import Driver

_CONFIG_KEYS = ("config", "buildkitd")
_DEPLOY_KEYS = {
    "buildkitd": "deploy.buildkitd",
    "config": "deploy.buildkitd",
    "image": "deploy.image",
    "restart-policy": "deploy.restart",
}
"""The key of a deployed node for each option of a node that the driver `remote` does not support."""
_AMOUNT = (re.compile(r"\d+(\.\d+)?[bkmgt]?b?", re.IGNORECASE), "write an amount such as 512m or 8g")
_NUMBER_SET = (re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*"), "write numbers and ranges, such as 0-3 or 0,2")
_VALUE_PATTERNS: Mapping[str, tuple[re.Pattern[str], str]] = {
    "memory": _AMOUNT,
    "memory-swap": (re.compile(rf"-1|{_AMOUNT[0].pattern}", re.IGNORECASE), f"{_AMOUNT[1]}, or -1 for no limit"),
    "cpuset-cpus": _NUMBER_SET,
    "cpuset-mems": _NUMBER_SET,
    "restart-policy": (
        re.compile(r"no|always|unless-stopped|on-failure(:\d+)?"),
        "use no, always, unless-stopped, on-failure or on-failure:NUMBER",
    ),
    "loadbalance": (re.compile(r"sticky|random"), "use sticky or random"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeOptions:
    """The options of one node for buildx and buildkitd; see `plan.Node`."""

    options: tuple[tuple[str, str], ...] = ()
    flags: tuple[str, ...] = ()
    config: str = ""
    config_names: tuple[Path, ...] = ()
    config_file: Path | None = None


def folder_of_path(
    folder: Callable[[KeyPath], Path], key_of: Callable[[KeyPath], KeyPath]
) -> Callable[[KeyPath], Path]:
    """Return a function that maps a path in a table to the folder of its key; `key_of` maps the path to the key."""
    return lambda path: folder(key_of(path))


def with_absolute_paths(stated: Mapping[str, Any], folder: Callable[[KeyPath], Path]) -> dict[str, Any]:
    """Return the values of a table with absolute paths; `folder` returns the folder for a path in the table."""
    values = dict(stated)
    if stated.get("config"):
        values["config"] = str(folder(("config",)) / stated["config"])
    if stated.get("buildkitd"):
        values["buildkitd"] = absolute_paths(stated["buildkitd"], folder_of_path(folder, key_below("buildkitd")))
    return values


def merge_over_general(general: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Merge a table's `own` values over the `general` values.

    A BuildKit configuration in `own` replaces the general configuration.
    """
    if any(own.get(key) for key in _CONFIG_KEYS):
        general = {key: value for key, value in general.items() if key not in _CONFIG_KEYS}
    return {**general, **own}


def node_options(driver: Driver, builder: Mapping[str, Any], node: Mapping[str, Any]) -> NodeOptions:
    """Return the options of a node, which override its builder's options.

    Leave out options that belong to other drivers. Paths in the values are absolute.
    """
    supported = {
        key: value
        for key, value in merge_over_general(builder, node).items()
        if key in OPTIONS and driver in OPTIONS[key].drivers
    }
    config = supported.get("buildkitd", {})
    to_driver = {key: value for key, value in supported.items() if OPTIONS[key].to_driver}
    return NodeOptions(
        options=tuple(
            sorted(pair for key, value in to_driver.items() for pair in _driver_options(key, value, OPTIONS[key].form))
        ),
        flags=tuple(supported.get("flags", ())),
        config=toml_document(config),
        config_names=named_files(config),
        config_file=Path(supported["config"]) if supported.get("config") else None,
    )


def option_problems(key: KeyPath, driver: Driver, stated: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the problems of the options `stated` in the table at `key`, which is a builder or node of `driver`."""
    known = {}
    for name, value in stated.items():
        if name not in OPTIONS or value is None:
            continue
        if driver in OPTIONS[name].drivers:
            known[name] = value
        else:
            message, hint = f"the {driver} driver does not support {name}", _driver_hint(driver, OPTIONS[name].drivers)
            if name in _DEPLOY_KEYS and _is_deployed(stated):
                hint = f"set {_DEPLOY_KEYS[name]} of the node instead"
            yield Problem(code=Code.OPTION_OF_OTHER_DRIVER, key=(*key, name), message=message, hint=hint, of_key=True)
    yield from value_problems(key, known)


def _is_deployed(stated: Mapping[str, Any]) -> bool:
    """Whether mpbake deploys the BuildKit of a node, or of a node of a builder, from the table as written."""
    return "deploy" in stated or any("deploy" in node for node in stated.get("nodes", {}).values())


def value_problems(key: KeyPath, stated: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the problems of the option values `stated` in the table at `key`, for any driver."""
    for name, value in stated.items():
        if name in _VALUE_PATTERNS and value is not None:
            yield from _pattern_problems((*key, name), name, str(value))
    yield from cluster_value_problems(key, stated)
    if all(stated.get(name) for name in _CONFIG_KEYS):
        message, hint = "config and buildkitd both configure BuildKit", "keep one of them"
        yield Problem(code=Code.TWO_CONFIGURATIONS, key=(*key, "config"), message=message, hint=hint, of_key=True)


def restart_problems(key: KeyPath, policy: str) -> Iterator[Problem]:
    """Yield a problem if a container cannot have this restart policy."""
    yield from _pattern_problems(key, "restart-policy", policy)


def _pattern_problems(key: KeyPath, option: str, value: str) -> Iterator[Problem]:
    pattern, hint = _VALUE_PATTERNS[option]
    if value and not pattern.fullmatch(value):
        message = f'"{one_line(value)}" is not a valid value for {key[-1]}'
        yield Problem(code=Code.BAD_OPTION, key=key, message=message, hint=hint)


def _driver_hint(driver: Driver, drivers: tuple[Driver, ...]) -> str:
    of_clusters = not any(other.rules.endpoint.is_engine for other in drivers)
    if driver.rules.abilities.configuration is Ability.ELSEWHERE and not of_clusters:
        return "remove it: a remote BuildKit is configured where it is started"
    return f"remove it, or use driver = {alternatives_text(drivers)}"


def alternatives_text(drivers: Iterable[Driver]) -> str:
    """Return the names of drivers as in `"docker-container" or "remote"`."""
    return " or ".join(f'"{driver}"' for driver in drivers)


def _driver_options(key: str, value: Any, form: OptionForm) -> Iterator[tuple[str, str]]:
    """Yield the driver options for one key of the plan; an empty value gives no options."""
    if value is None or value in ("", {}, []):
        return
    match form, value:
        case OptionForm.PLAIN, dict():
            for name, inner in value.items():
                yield from _driver_options(f"{key}.{name}", inner, form)
        case OptionForm.PAIRS, dict():
            yield key, _pairs_text(value)
        case OptionForm.ROWS, list():
            yield key, ";".join(map(_pairs_text, value))
        case _, bool():
            yield key, "true" if value else "false"
        case _:
            yield key, str(value)


def _pairs_text(table: Mapping[str, Any]) -> str:
    return ",".join(f"{name}={value}" for name, value in table.items() if value != "")


def absolute_paths(config: Mapping[str, Any], folder: Callable[[KeyPath], Path]) -> dict[str, Any]:
    """Return a configuration of buildkitd with absolute paths for the files of registries, which buildx reads.

    `folder` returns the folder for a path in the configuration.
    """
    registries = config.get("registry")
    if not isinstance(registries, dict):
        return dict(config)
    resolved = {
        name: _absolute_registry(registry, folder_of_path(folder, key_below("registry", name)))
        for name, registry in registries.items()
    }
    return {**config, "registry": resolved}


def _absolute_registry(registry: Any, folder: Callable[[KeyPath], Path]) -> Any:
    if not isinstance(registry, dict):
        return registry
    resolved = dict(registry)
    if isinstance(registry.get("ca"), list):
        resolved["ca"] = [str(folder(("ca", index)) / str(path)) for index, path in enumerate(registry["ca"])]
    if isinstance(registry.get("keypair"), list):
        resolved["keypair"] = [
            _absolute_pair(pair, folder(("keypair", index))) for index, pair in enumerate(registry["keypair"])
        ]
    return resolved


def _absolute_pair(pair: Any, folder: Path) -> Any:
    if not isinstance(pair, dict):
        return pair
    return {name: str(folder / str(value)) if name in {"key", "cert"} else value for name, value in pair.items()}


def read_config(path: Path, read: Callable[[Path], bytes] = read_bounded) -> dict[str, Any]:
    """Read a configuration file of buildkitd, and return it with absolute paths. Raises PlanError."""
    return absolute_paths(read_values(path, shown=str(path), read=read), lambda _: path.parent)


def named_files(config: Mapping[str, Any]) -> tuple[Path, ...]:
    """Return the certificates and keys that the registries of a configuration name."""
    registries = config.get("registry")
    tables = registries.values() if isinstance(registries, dict) else ()
    return tuple(Path(path) for table in tables if isinstance(table, dict) for path in _paths_in_registry(table))


def _paths_in_registry(registry: Mapping[str, Any]) -> Iterator[str]:
    for name in ("ca", "keypair"):
        entries = registry.get(name)
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict):
                yield from (str(entry[part]) for part in ("key", "cert") if part in entry)
            else:
                yield str(entry)
