"""Check the options of nodes in a Kubernetes cluster, by the rules of the cluster and of buildx. Pure."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Code
from mpbake.base.text import did_you_mean, one_line
from mpbake.model.drivers.kubernetes import CLAIM, RESERVED_ANNOTATIONS, RESERVED_LABELS
from mpbake.spec.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mpbake.base.errors import KeyPath
    from mpbake.spec.tables.builder_tables import BuilderSpec

_QUANTITY = re.compile(r"(?P<number>[0-9]+(\.[0-9]*)?|\.[0-9]+)(?P<unit>[KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,3}|)")
_UNITS = {
    **{unit: Decimal(10) ** (3 * power) for power, unit in enumerate("kMGTPE", 1)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)},
    **{unit: Decimal(10) ** (-3 * power) for power, unit in enumerate("mun", 1)},
}
_QUANTITY_HINT = "write an amount such as 500m, 2, 512Mi or 4Gi"
_NAME = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_LABEL_VALUE = re.compile(_NAME)
_LABEL_HINT = "use at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends"
_DNS_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DNS_NAME = re.compile(rf"{_DNS_LABEL}(\.{_DNS_LABEL})*")
_KEY = re.compile(rf"({_DNS_NAME.pattern}/)?{_NAME}")
_KEY_HINT = "use NAME or PREFIX/NAME, as in example.com/pool"
_NAMES: Mapping[str, tuple[re.Pattern[str], str]] = {
    "namespace": (re.compile(_DNS_LABEL), "use at most 63 lower-case letters, digits and `-`"),
    "serviceaccount": (_DNS_NAME, "use lower-case letters, digits, `-` and `.`"),
}
_RESERVED = {"labels": RESERVED_LABELS, "annotations": RESERVED_ANNOTATIONS}
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_OPERATORS = ("Equal", "Exists")
_AMOUNTS = ("requests", "limits")
_CONFIGURATIONS = ("buildkitd", "config")


def cluster_value_problems(key: KeyPath, stated: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the problems of the option values `stated` in the table at `key` that a cluster or buildx would reject."""
    for path, amount in _amounts(stated):
        if amount and not _QUANTITY.fullmatch(str(amount)):
            yield _bad_amount((*key, *path), ".".join(path), str(amount))
    for name, (pattern, hint) in _NAMES.items():
        if stated.get(name) and not pattern.fullmatch(str(stated[name])):
            yield _bad((*key, name), f'"{one_line(str(stated[name]))}" is not a valid value for {name}', hint)
    for name in ("labels", "nodeselector", "annotations"):
        yield from _pair_problems((*key, name), name, stated.get(name) or {})
    yield from _toleration_problems((*key, "tolerations"), stated.get("tolerations") or ())


def cluster_conflicts(node: str, table: BuilderSpec, key_of: Callable[[KeyPath], KeyPath]) -> Iterator[Problem]:
    """Yield the problems of options of a node that contradict each other.

    `table` is the table of the node's builder. `key_of` maps a path in this table to a key.
    """
    general, own = table.written(), table.nodes[node].written() if node in table.nodes else {}
    merged = {**general, **own}

    def place(option: str) -> KeyPath:
        return key_of(("nodes", node, option) if option in own else (option,))

    requests, limits = merged.get("requests") or {}, merged.get("limits") or {}
    for resource in requests:
        wanted, limit = _amount(requests[resource]), _amount(limits.get(resource, ""))
        if wanted is not None and limit is not None and wanted > limit:
            amounts = f"{one_line(requests[resource])} > {one_line(limits[resource])}"
            message = f"requests.{resource} is greater than limits.{resource} ({amounts})"
            hint = f"raise limits.{resource}, or lower requests.{resource}"
            yield _bad((*place("requests"), resource), message, hint)
    configured = next((name for name in _CONFIGURATIONS if merged.get(name)), "")
    if configured and _claimed(merged) and not merged.get("rootless"):
        message = f"a persistent-volume-claim and {configured} cannot be used together"
        hint = "remove one of them, or set rootless = true: otherwise buildx mounts only the volume, so the pods lack "
        yield _bad(place(configured), message, f"{hint}{configured}")


def _claimed(merged: Mapping[str, Any]) -> str:
    claim = merged.get("persistent-volume-claim") or {}
    return str((claim.get("requests") or {}).get("storage", ""))


def _amounts(stated: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each amount of a resource in a table, with its path."""
    for name in _AMOUNTS:
        yield from (((name, resource), amount) for resource, amount in (stated.get(name) or {}).items())
    yield tuple(CLAIM.split(".")), _claimed(stated)
    yield ("buildkit-root-volume-memory",), stated.get("buildkit-root-volume-memory")


def _amount(text: str) -> Decimal | None:
    """Return an amount in the notation of Kubernetes as a number; None for a missing or invalid amount."""
    match = _QUANTITY.fullmatch(str(text))
    if match is None:
        return None
    unit = match["unit"]
    factor = _UNITS.get(unit) or Decimal(f"1{unit or 'e0'}")
    return Decimal(match["number"]) * factor


def _bad_amount(key: KeyPath, name: str, amount: str) -> Problem:
    without_byte = re.sub(r"(?<=[KMGTPE])B$|(?<=i)B$|^(.*\d) *B$", r"\1", amount.replace(" ", ""))
    meant = re.sub(r"K$", "k", without_byte)
    hint = f"write {meant}" if _QUANTITY.fullmatch(meant) else _QUANTITY_HINT
    return _bad(key, f'"{one_line(amount)}" is not a valid amount for {name}', hint)


def _pair_problems(key: KeyPath, option: str, pairs: Mapping[str, str]) -> Iterator[Problem]:
    for name, value in pairs.items():
        shown = one_line(name)
        if name in _RESERVED.get(option, ()):
            yield _bad(
                (*key, name), f"the {option[:-1]} {shown} is reserved", f"remove it, or rename the {option[:-1]}"
            )
        elif not _KEY.fullmatch(name):
            yield _bad((*key, name), f'"{shown}" is not a valid key in {option}', _KEY_HINT)
        elif option == "annotations":
            if "," in value or "=" in value:
                message = f"the value of the annotation {shown} contains a comma or an equals sign"
                yield _bad((*key, name), message, "write it without both: buildx cannot pass them")
        elif value and not _LABEL_VALUE.fullmatch(value):
            yield _bad((*key, name), f'"{one_line(value)}" is not a valid value of {shown} in {option}', _LABEL_HINT)


def _toleration_problems(key: KeyPath, rows: Iterable[Mapping[str, str]]) -> Iterator[Problem]:
    for index, row in enumerate(rows):
        for name, known in (("operator", _OPERATORS), ("effect", _EFFECTS)):
            value = row.get(name, "")
            if value and value not in known:
                message, hint = f'unknown {name} "{one_line(value)}"', did_you_mean(value, known, kind=f"{name}s")
                yield _bad((*key, index, name), message, hint)


def _bad(key: KeyPath, message: str, hint: str) -> Problem:
    return Problem(code=Code.BAD_OPTION, key=key, message=message, hint=hint)
