"""Options of nodes: which a driver knows, what their values must be, and what buildx and buildkitd are told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Code
from mpbake.base.text import did_you_mean, one_line
from mpbake.base.toml_text import toml_document
from mpbake.model.drivers.rules import Ability
from mpbake.resolve.names import key_below
from mpbake.spec.spec import OPTIONS, OptionForm, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mpbake.base.errors import KeyPath
    from mpbake.model.plan import Driver

_CONFIGURATIONS = ("config", "buildkitd")
_AMOUNT = (re.compile(r"\d+(\.\d+)?[bkmgt]?b?", re.IGNORECASE), "write an amount such as 512m or 8g")
_SET = (re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*"), "write numbers and ranges, such as 0-3 or 0,2")
_VALUES: Mapping[str, tuple[re.Pattern[str], str]] = {
    "memory": _AMOUNT,
    "memory-swap": (re.compile(rf"-1|{_AMOUNT[0].pattern}", re.IGNORECASE), f"{_AMOUNT[1]}, or -1 for no limit"),
    "cpuset-cpus": _SET,
    "cpuset-mems": _SET,
    "restart-policy": (
        re.compile(r"no|always|unless-stopped|on-failure(:\d+)?"),
        "known: no, always, unless-stopped, on-failure, on-failure:NUMBER",
    ),
    "loadbalance": (re.compile(r"sticky|random"), "known: sticky, random"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeOptions:
    """What buildx and buildkitd are told of one node; see `plan.Node`."""

    options: tuple[tuple[str, str], ...] = ()
    flags: tuple[str, ...] = ()
    config: str = ""
    config_names: tuple[Path, ...] = ()
    config_file: Path | None = None


def path_starts(folder: Callable[[KeyPath], Path], where: Callable[[KeyPath], KeyPath]) -> Callable[[KeyPath], Path]:
    """Where paths start, for those who know a key only by its path below a table: `where` tells the whole key."""
    return lambda path: folder(where(path))


def with_absolute_paths(stated: Mapping[str, Any], folder: Callable[[KeyPath], Path]) -> dict[str, Any]:
    """What a table states, the paths in its options absolute; `folder` is where one at a path below it starts."""
    found = dict(stated)
    if stated.get("config"):
        found["config"] = str(folder(("config",)) / stated["config"])
    if stated.get("buildkitd"):
        found["buildkitd"] = absolute_paths(stated["buildkitd"], path_starts(folder, key_below("buildkitd")))
    return found


def merge_over_general(general: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """What a table states itself, above what is `general`: of both ways to configure BuildKit it takes the own one."""
    if any(own.get(each) for each in _CONFIGURATIONS):
        general = {key: value for key, value in general.items() if key not in _CONFIGURATIONS}
    return {**general, **own}


def node_options(driver: Driver, builder: Mapping[str, Any], node: Mapping[str, Any]) -> NodeOptions:
    """The options of a node: its own stand in for its builder's. What `driver` does not know is left out.

    Paths in them are absolute.
    """
    given = {
        key: value
        for key, value in merge_over_general(builder, node).items()
        if key in OPTIONS and driver in OPTIONS[key].drivers
    }
    config = given.get("buildkitd", {})
    told = {key: value for key, value in given.items() if OPTIONS[key].to_driver}
    return NodeOptions(
        options=tuple(sorted(pair for key, value in told.items() for pair in _pairs(key, value, OPTIONS[key].form))),
        flags=tuple(given.get("flags", ())),
        config=toml_document(config),
        config_names=named_files(config),
        config_file=Path(given["config"]) if given.get("config") else None,
    )


def option_problems(key: KeyPath, driver: Driver, stated: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the options that the table at `key`, of a builder or node of `driver`, states itself."""
    known = {}
    for name, value in stated.items():
        if name not in OPTIONS or value is None:
            continue
        if driver in OPTIONS[name].drivers:
            known[name] = value
        else:
            message, hint = f"the {driver} driver has no {name}", _belongs(driver, OPTIONS[name].drivers)
            yield Problem(code=Code.OPTION_OF_OTHER_DRIVER, key=(*key, name), message=message, hint=hint, of_key=True)
    yield from value_problems(key, known)


def value_problems(key: KeyPath, stated: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the values of the options that the table at `key` states, whichever driver takes them."""
    for name, value in stated.items():
        if name in _VALUES and value and not _VALUES[name][0].fullmatch(str(value)):
            message, hint = f'"{one_line(str(value))}" is no {name}', _VALUES[name][1]
            yield Problem(code=Code.BAD_OPTION, key=(*key, name), message=message, hint=hint)
    yield from _toleration_problems((*key, "tolerations"), stated.get("tolerations", ()))
    if all(stated.get(name) for name in _CONFIGURATIONS):
        message, hint = "config and buildkitd are two configurations of one BuildKit", "keep one of them"
        yield Problem(code=Code.TWO_CONFIGURATIONS, key=(*key, "config"), message=message, hint=hint, of_key=True)


def _belongs(driver: Driver, drivers: tuple[Driver, ...]) -> str:
    of_clusters = not any(other.rules.endpoint.is_engine for other in drivers)
    if driver.rules.abilities.configuration is Ability.ELSEWHERE and not of_clusters:
        return "a remote BuildKit is set up where it is started; take the key away"
    return f"take it away, or use driver = {alternatives_text(drivers)}"


def alternatives_text(drivers: Iterable[Driver]) -> str:
    """`"docker-container" or "remote"`."""
    return " or ".join(f'"{each}"' for each in drivers)


def _toleration_problems(key: KeyPath, rows: Iterable[Mapping[str, str]]) -> Iterator[Problem]:
    known = ("Equal", "Exists")
    for index, row in enumerate(rows):
        operator = row.get("operator", "Equal")
        if operator not in known:
            message, hint = f'unknown operator "{one_line(operator)}"', did_you_mean(operator, known, kind="operators")
            yield Problem(code=Code.BAD_OPTION, key=(*key, index, "operator"), message=message, hint=hint)


def _pairs(key: str, value: Any, form: OptionForm) -> Iterator[tuple[str, str]]:
    """The driver options that one key of the plan means; an empty value means nothing."""
    if value is None or value in ("", {}, []):
        return
    match form, value:
        case OptionForm.PLAIN, dict():
            for name, inner in value.items():
                yield from _pairs(f"{key}.{name}", inner, form)
        case OptionForm.PAIRS, dict():
            yield key, _row(value)
        case OptionForm.ROWS, list():
            yield key, ";".join(map(_row, value))
        case _, bool():
            yield key, "true" if value else "false"
        case _:
            yield key, str(value)


def _row(table: Mapping[str, Any]) -> str:
    return ",".join(f"{name}={value}" for name, value in table.items() if value != "")


def absolute_paths(config: Mapping[str, Any], folder: Callable[[KeyPath], Path]) -> dict[str, Any]:
    """A configuration of buildkitd in which the files of registries are named from the root; buildx reads them.

    `folder` is where a path at a key of it starts.
    """
    registries = config.get("registry")
    if not isinstance(registries, dict):
        return dict(config)
    found = {
        name: _absolute(each, path_starts(folder, key_below("registry", name))) for name, each in registries.items()
    }
    return {**config, "registry": found}


def _absolute(registry: Any, folder: Callable[[KeyPath], Path]) -> Any:
    if not isinstance(registry, dict):
        return registry
    found = dict(registry)
    if isinstance(found.get("ca"), list):
        found["ca"] = [str(folder(("ca", at)) / str(each)) for at, each in enumerate(found["ca"])]
    if isinstance(found.get("keypair"), list):
        found["keypair"] = [_absolute_pair(each, folder(("keypair", at))) for at, each in enumerate(found["keypair"])]
    return found


def _absolute_pair(pair: Any, folder: Path) -> Any:
    if not isinstance(pair, dict):
        return pair
    return {name: str(folder / str(value)) if name in {"key", "cert"} else value for name, value in pair.items()}


def named_files(config: Mapping[str, Any]) -> tuple[Path, ...]:
    """The certificates and keys that the registries of a configuration name."""
    registries = config.get("registry")
    tables = registries.values() if isinstance(registries, dict) else ()
    return tuple(Path(each) for table in tables if isinstance(table, dict) for each in _names(table))


def _names(registry: Mapping[str, Any]) -> Iterator[str]:
    for name in ("ca", "keypair"):
        for each in registry.get(name, ()) if isinstance(registry.get(name), list) else ():
            yield from (
                (str(each[part]) for part in ("key", "cert") if part in each) if isinstance(each, dict) else [str(each)]
            )
