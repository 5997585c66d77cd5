"""Targets as a definition of `docker buildx bake`. Pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import UsageError
from mpbake.base.references import format_fields, parse_reference
from mpbake.base.text import abbreviated
from mpbake.model.bake_fields import enforced_policies

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mpbake.base.platforms import Platform
    from mpbake.model.plan import Plan, Target


def bake_json(definition: dict[str, Any], *, indent: int | None = None) -> str:
    """`definition` as JSON in which bake finds no template of its own; only ASCII, so nothing can control a screen."""
    return json.dumps(_escaped(definition), indent=indent)


def _escaped(value: Any) -> Any:
    """Bake reads `${` and `%{` in JSON strings as templates; doubling the first character takes that away."""
    match value:
        case str():
            return re.sub(r"([$%])\{", r"\1\1{", value)
        case dict():
            return {_escaped(key): _escaped(each) for key, each in value.items()}
        case list():
            return [_escaped(each) for each in value]
        case _:
            return value


def bake_text(plan: Plan, targets: Sequence[Target], only: Sequence[Platform] = ()) -> str:
    """`targets`, all that they link to, and the groups that hold nothing else, as a bake file in JSON.

    `only`, if given, stands in for the platforms of `targets`. Raises UsageError where two would have one name.
    """
    named, everything = set(targets), _with_linked(targets)
    groups = {
        name: {"targets": [each.name for each in group.targets]}
        for name, group in plan.groups.items()
        if group.targets and set(group.targets) <= set(everything)
    }
    definitions: dict[str, Any] = {}
    for target in everything:
        platforms = tuple(only) if only and target in named else target.platforms
        parts = _parts(target, platforms)
        others = {name for name in parts if name != target.name and (name in plan.targets or name in groups)}
        taken = [name for name in parts if name in definitions or name in others]
        if taken:
            kind = "a group and a target" if taken[0] in plan.groups else "two targets"
            raise UsageError(f'{kind} would be called "{taken[0]}"', hint="rename one of them")
        definitions |= parts
        if _is_in_parts(target):
            groups[target.name] = {"targets": list(parts)}
    # An empty table of groups is one that bake refuses.
    return bake_json(({"group": groups} if groups else {}) | {"target": definitions}, indent=2) + "\n"


def export_losses(targets: Iterable[Target]) -> Iterator[str]:
    """What a bake file cannot say of `targets`, in sentences."""
    everything = _with_linked(targets)
    builders: dict[str, list[str]] = {}
    for target in everything:
        if not target.builder.driver.rules.is_automatic:
            builders.setdefault(target.builder.name, []).append(target.name)
    for builder, names in builders.items():
        yield f"{abbreviated(names)}: bake has no builder: left out ({builder})"
    for target in everything:
        lost = [name for name in _OURS if getattr(target, name)]
        if lost:
            yield f"{target.name}: bake has no {', '.join(lost)}: left out"
        if _is_in_parts(target):
            outputs = ", which all write the same output" if target.outputs else ""
            yield f"{target.name}: bake has no values for single platforms: one target and tag for each{outputs}"
        elif not target.platforms and any(map(_is_in_parts, target.every_link)):
            yield f"{target.name}: names no platforms, but links to what differs from platform to platform"


_OURS = ("needs", "checks", "timeout", "retries")


def _with_linked(targets: Iterable[Target]) -> list[Target]:
    """`targets` and all that they link to, however far, each once."""
    found = dict.fromkeys(targets)
    queue = list(found)
    for target in queue:
        fresh = [link for link in target.every_link if link not in found]
        found |= dict.fromkeys(fresh)
        queue += fresh
    return queue


def _is_in_parts(target: Target) -> bool:
    """Whether a target, or one that it links to, differs from platform to platform: bake needs a target for each."""
    return bool(target.platforms) and any(each.variants for each in _with_linked([target]))


def _parts(target: Target, platforms: Sequence[Platform]) -> dict[str, dict[str, Any]]:
    """The bake targets that a target becomes, by name."""
    if not _is_in_parts(target):
        return {target.name: _definition(target, platforms, target.tags)}
    found = {}
    for platform in platforms:
        tags = [f"{parse_reference(tag)}-{platform.slug}" for tag in target.tags]
        found[_part_name(target, platform)] = _definition(target, (platform,), tags)
    return found


def _part_name(target: Target, platform: Platform) -> str:
    return f"{target.name}-{platform.slug}"


def _definition(target: Target, platforms: Sequence[Platform], tags: Sequence[str]) -> dict[str, Any]:
    variant = target.on(platforms)
    links = {name: f"target:{_name_for(link, platforms)}" for name, link in variant.links.items()}
    found = {"description": target.description, **variant.attributes}
    if "policy" in found:
        found["policy"] = enforced_policies(found["policy"])
    found["contexts"] = {**found.get("contexts", {}), **links}
    found |= {"tags": list(tags), "platforms": [str(each) for each in platforms], "output": _outputs(target)}
    return {name: value for name, value in found.items() if value not in ("", [], {})}


def _name_for(link: Target, platforms: Sequence[Platform]) -> str:
    """What a linked target is called for those who are built for `platforms`; of parts, the right one."""
    if not _is_in_parts(link):
        return link.name
    return _part_name(link, next((each for each in platforms if each in link.platforms), link.platforms[0]))


def _outputs(target: Target) -> list[str]:
    """What is pushed comes last: bake tells the digest of the last output."""
    loaded = ["type=docker"] if target.load else []
    pushed = [format_fields({"type": "registry", **target.push_options})] if target.push else []
    return [*loaded, *target.outputs, *pushed]
