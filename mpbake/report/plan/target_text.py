"""A resolved target as a table of a plan, for `mpbake show`. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from mpbake.base.ci_commands import without_commands_in_strings
from mpbake.base.references import format_fields
from mpbake.base.text import parse_duration
from mpbake.base.toml_text import toml_key, toml_value
from mpbake.spec.tables.target_tables import ATTRIBUTES, PLATFORM_ATTRIBUTES, TargetSpec
from mpbake.spec.tables.value_types import MARKER

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from mpbake.base.errors import KeyPath
    from mpbake.base.platforms import Platform
    from mpbake.model.plan import PlatformVariant, Target

    Origin = Callable[[KeyPath], str]
    """Returns a description of the place where the value of a key was written."""

_WIDTH = 100
_STALL_TIMEOUT = parse_duration(TargetSpec.model_fields["stall_timeout"].default)
_ORIGIN_COLUMN = 60
"""Column at which the origin begins if the line is short."""


def target_text(target: Target, origin: Origin | None = None, only: Sequence[Platform] = ()) -> str:
    """Return `target` as a TOML table, followed by a table for each platform with different values.

    With `origin`, a comment after each value describes where the value was written. `only`, if given, replaces the
    platforms of the target.
    """
    platforms = tuple(only) or target.platforms
    common, by_platform = _split(target, platforms)
    lines = list(_table_lines(f"targets.{toml_key(target.name)}", common, target.on(platforms).source_key, origin))
    for platform, values in by_platform.items():
        header = f"targets.{toml_key(target.name)}.platform.{toml_value(str(platform))}"
        lines += ["", *_table_lines(header, values, target.on((platform,)).source_key, origin)]
    return without_commands_in_strings("\n".join(lines) + "\n")


def values_of(target: Target, platforms: Sequence[Platform]) -> dict[str, Any]:
    """Return the attributes of a target that have a value, in the order of the reference.

    If an attribute differs by platform, the value for the first of `platforms` is returned.
    """
    values = _with_links(target.on(platforms)) | {
        "description": target.description,
        "builder": target.builder.name,
        "platforms": [str(platform) for platform in platforms],
        "tags": list(target.tags),
        "push": target.push,
        "load": target.load,
        "output": _outputs(target),
        "needs": [need.name for need in target.needs],
        "checks": _checks(target),
        "timeout": _duration(target.timeout) if target.timeout else "",
        "stall-timeout": _duration(target.stall_timeout) if target.stall_timeout != _STALL_TIMEOUT else "",
        "retries": target.retries,
    }
    return {name: _literal(values[name]) for name in ATTRIBUTES if values.get(name) not in (None, "", [], {}, 0, False)}


def _literal(value: Any) -> Any:
    """Return `value` in the notation of a plan, with each template marker as a template that produces the marker."""
    match value:
        case str() if MARKER.search(value):
            # Jinja would treat a carriage return as a line break.
            return re.sub(rf"{MARKER.pattern}|\r", lambda match: f"{{{{ {match.group()!r} }}}}", value)
        case list():
            return [_literal(entry) for entry in value]
        case dict():
            return {key: _literal(entry) for key, entry in value.items()}
        case _:
            return value


def _duration(seconds: float) -> str:
    return f"{Decimal(str(seconds)).normalize():f}s"


def _with_links(variant: PlatformVariant) -> dict[str, Any]:
    """Return the attributes of a target. The named contexts include the linked targets."""
    attributes = dict(variant.attributes)
    links = {name: f"target:{link.name}" for name, link in variant.links.items()}
    if links:
        attributes["contexts"] = {**attributes.get("contexts", {}), **links}
    return attributes


def _outputs(target: Target) -> list[str]:
    pushed = [format_fields({"type": "registry", **target.push_options})] if target.push_options else []
    return [*pushed, *target.outputs]


def _checks(target: Target) -> list[dict[str, Any]]:
    tables = (
        {"run": list(check.run), "target": check.target, "platforms": list(map(str, check.platforms))}
        for check in target.checks
    )
    return [{name: value for name, value in table.items() if value} for table in tables]


def _split(target: Target, platforms: Sequence[Platform]) -> tuple[dict[str, Any], dict[Platform, dict[str, Any]]]:
    """Return the values that are equal on all `platforms`, and for each platform the values that differ."""
    values = values_of(target, platforms)
    if not target.variants:
        return values, {}
    by_platform = {platform: values_of(target, (platform,)) for platform in platforms}
    differing = {
        name for name in PLATFORM_ATTRIBUTES if any(own.get(name) != values.get(name) for own in by_platform.values())
    }
    tables = {platform: _only(own, differing) for platform, own in by_platform.items()}
    common = {name: value for name, value in values.items() if name not in differing}
    return common, {platform: table for platform, table in tables.items() if table}


def _only(values: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in names}


def _table_lines(
    header: str, values: Mapping[str, Any], source_key: Callable[[KeyPath], KeyPath], origin: Origin | None
) -> Iterator[str]:
    yield f"[{header}]"
    for name, value in values.items():
        yield from _Attribute(name=name, value=value, source_key=source_key, origin=origin).lines()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Attribute:
    """An attribute in a table, and the origins of its entries."""

    name: str
    value: Any
    source_key: Callable[[KeyPath], KeyPath]
    origin: Origin | None

    def lines(self) -> Iterator[str]:
        """Yield the attribute on one line.

        If the line is too long, or if the entries have different origins, yield one line for each entry.
        """
        line = f"{toml_key(self.name)} = {toml_value(self.value)}"
        origins = self._origins()
        if len(line) <= _WIDTH and len(set(origins)) <= 1:
            yield self._comment(line, origins[0] if origins else self._origin((self.name,)))
        elif isinstance(self.value, dict):
            for (key, value), origin in zip(self.value.items(), origins, strict=True):
                yield self._comment(f"{toml_key(self.name)}.{toml_key(key)} = {toml_value(value)}", origin)
        elif isinstance(self.value, list):
            yield f"{toml_key(self.name)} = ["
            for value, origin in zip(self.value, origins, strict=True):
                yield self._comment(f"    {toml_value(value)},", origin)
            yield "]"
        else:
            yield self._comment(line, self._origin((self.name,)))

    def _origins(self) -> Sequence[str]:
        """Return the origin of each entry of a list or table."""
        match self.value:
            case dict():
                return [self._origin((self.name, key)) for key in self.value]
            case list():
                return [self._origin((self.name, index)) for index in range(len(self.value))]
            case _:
                return ()

    def _origin(self, path: KeyPath) -> str:
        return self.origin(self.source_key(path)) if self.origin else ""

    def _comment(self, line: str, origin: str) -> str:
        return f"{line.ljust(_ORIGIN_COLUMN)}  # {origin}" if origin else line
