"""A target as resolved, in the words of a plan: what `mpbake show` prints. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from mpbake.base.references import format_fields
from mpbake.base.text import parse_duration
from mpbake.base.toml_text import toml_key, toml_value
from mpbake.spec.target_tables import ATTRIBUTES, PLATFORM_ATTRIBUTES, TargetSpec
from mpbake.spec.value_types import MARKER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mpbake.base.errors import KeyPath
    from mpbake.base.platforms import Platform
    from mpbake.model.plan import PlatformVariant, Target

    Origin = Callable[[KeyPath], str]
    """Tells where the value of a key was written, in words."""

_WIDTH = 100
_STALL_TIMEOUT = parse_duration(TargetSpec.model_fields["stall_timeout"].default)
_COLUMN = 60
"""Where the origins of short lines begin."""


def target_text(target: Target, origin: Origin | None = None, only: Sequence[Platform] = ()) -> str:
    """The table of `target`, and of the platforms on which it differs; with `origin`, where each value comes from.

    `only`, if given, stands in for the platforms of the target.
    """
    platforms = tuple(only) or target.platforms
    everywhere, special = _split(target, platforms)
    lines = list(_table(f"targets.{toml_key(target.name)}", everywhere, target.on(platforms).where, origin))
    for platform, values in special.items():
        header = f"targets.{toml_key(target.name)}.platform.{toml_value(str(platform))}"
        lines += ["", *_table(header, values, target.on((platform,)).where, origin)]
    return "\n".join(lines) + "\n"


def values_of(target: Target, platforms: Sequence[Platform]) -> dict[str, Any]:
    """All that is stated of a target, or follows from what is, in the order of the reference.

    Of what differs from platform to platform, that which holds on the first of `platforms`.
    """
    found = _with_links(target.on(platforms)) | {
        "description": target.description,
        "builder": target.builder.name,
        "platforms": [str(each) for each in platforms],
        "tags": list(target.tags),
        "push": target.push,
        "load": target.load,
        "output": _outputs(target),
        "needs": [each.name for each in target.needs],
        "checks": _checks(target),
        "timeout": _duration(target.timeout) if target.timeout else "",
        "stall-timeout": _duration(target.stall_timeout) if target.stall_timeout != _STALL_TIMEOUT else "",
        "retries": target.retries,
    }
    return {name: _literal(found[name]) for name in ATTRIBUTES if found.get(name) not in (None, "", [], {}, 0, False)}


def _literal(value: Any) -> Any:
    """`value` as a plan states it: what looks like a template in it is none."""
    match value:
        case str() if MARKER.search(value):
            # Jinja would take a carriage return for a line break.
            return re.sub(rf"{MARKER.pattern}|\r", lambda found: f"{{{{ {found.group()!r} }}}}", value)
        case list():
            return [_literal(each) for each in value]
        case dict():
            return {key: _literal(each) for key, each in value.items()}
        case _:
            return value


def _duration(seconds: float) -> str:
    return f"{Decimal(str(seconds)).normalize():f}s"


def _with_links(variant: PlatformVariant) -> dict[str, Any]:
    """The attributes of a target, its links among the contexts."""
    found = dict(variant.attributes)
    links = {name: f"target:{link.name}" for name, link in variant.links.items()}
    if links:
        found["contexts"] = {**found.get("contexts", {}), **links}
    return found


def _outputs(target: Target) -> list[str]:
    pushed = [format_fields({"type": "registry", **target.push_options})] if target.push_options else []
    return [*pushed, *target.outputs]


def _checks(target: Target) -> list[dict[str, Any]]:
    checks = (
        {"run": list(each.run), "target": each.target, "platforms": list(map(str, each.platforms))}
        for each in target.checks
    )
    return [{name: value for name, value in check.items() if value} for check in checks]


def _split(target: Target, platforms: Sequence[Platform]) -> tuple[dict[str, Any], dict[Platform, dict[str, Any]]]:
    """What holds on all of `platforms`, and what only on some."""
    values = values_of(target, platforms)
    if not target.variants:
        return values, {}
    each_of = {platform: values_of(target, (platform,)) for platform in platforms}
    differing = [
        name for name in PLATFORM_ATTRIBUTES if any(each.get(name) != values.get(name) for each in each_of.values())
    ]
    special = {platform: {name: each[name] for name in differing if name in each} for platform, each in each_of.items()}
    stated = {platform: each for platform, each in special.items() if each}
    return {name: each for name, each in values.items() if name not in differing}, stated


def _table(
    header: str, values: Mapping[str, Any], where: Callable[[KeyPath], KeyPath], origin: Origin | None
) -> Iterator[str]:
    yield f"[{header}]"
    for name, value in values.items():
        table = _Entries(name=name, value=value, where=where, origin=origin)
        yield from table.lines()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Entries:
    """One attribute and where its parts come from."""

    name: str
    value: Any
    where: Callable[[KeyPath], KeyPath]
    origin: Origin | None

    def lines(self) -> Iterator[str]:
        """One line; several for what is long, or has a place for each entry."""
        line = f"{toml_key(self.name)} = {toml_value(self.value)}"
        places = self._places()
        if len(line) <= _WIDTH and len(set(places)) <= 1:
            yield self._with(line, places[0] if places else self._place((self.name,)))
        elif isinstance(self.value, dict):
            for (key, value), place in zip(self.value.items(), places, strict=True):
                yield self._with(f"{toml_key(self.name)}.{toml_key(key)} = {toml_value(value)}", place)
        elif isinstance(self.value, list):
            yield f"{toml_key(self.name)} = ["
            for value, place in zip(self.value, places, strict=True):
                yield self._with(f"    {toml_value(value)},", place)
            yield "]"
        else:
            yield self._with(line, self._place((self.name,)))

    def _places(self) -> Sequence[str]:
        """The place of each entry of a list or table."""
        if not isinstance(self.value, list | dict):
            return ()
        return [
            self._place((self.name, key))
            for key in (self.value if isinstance(self.value, dict) else range(len(self.value)))
        ]

    def _place(self, path: KeyPath) -> str:
        return self.origin(self.where(path)) if self.origin else ""

    def _with(self, line: str, place: str) -> str:
        return f"{line.ljust(_COLUMN)}  # {place}" if place else line
