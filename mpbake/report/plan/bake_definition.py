"""Targets as a definition for `docker buildx bake`. Pure."""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import UsageError
from mpbake.base.json_text import printed_json
from mpbake.base.references import format_fields, parse_reference
from mpbake.base.text import abbreviated
from mpbake.model.bake_fields import enforced_policies
from mpbake.report.formats import Export

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mpbake.base.platforms import Platform
    from mpbake.model.plan import Plan, Target


def bake_json(definition: dict[str, Any], *, indent: int | None = None) -> str:
    """Return a definition as JSON, with template markers escaped.

    The JSON is pure ASCII, so no value can control a terminal.
    """
    return printed_json(_escape(definition), indent=indent)


def _escape(value: Any) -> Any:
    """Double the first character of `${` and `%{` in strings, since bake reads these markers as templates."""
    match value:
        case str():
            return re.sub(r"([$%])\{", r"\1\1{", value)
        case dict():
            return {_escape(key): _escape(entry) for key, entry in value.items()}
        case list():
            return [_escape(entry) for entry in value]
        case _:
            return value


def export(plan: Plan, targets: Sequence[Target], platforms: Sequence[Platform]) -> Export:
    """Return `targets` as a bake file, with warnings about settings that bake cannot express.

    Raises UsageError as `bake_text` does.
    """
    return Export(text=bake_text(plan, targets, platforms), losses=tuple(export_losses(targets)))


def bake_text(plan: Plan, targets: Sequence[Target], only: Sequence[Platform] = ()) -> str:
    """Return a bake file in JSON, with the links of `targets` and the groups whose targets are all among `targets`.

    `only`, if given, replaces the platforms of `targets`. Raises UsageError if two bake targets would have the same
    name, or if bake would read a group otherwise.
    """
    named, exported = set(targets), _with_links(targets)
    definitions: dict[str, Any] = {}
    parts: dict[str, list[str]] = {}
    for target in exported:
        platforms = tuple(only) if only and target in named else target.platforms
        parts_of_target = _bake_targets(target, platforms)
        others = {name for name in parts_of_target if name != target.name and name in plan.targets}
        taken = [name for name in parts_of_target if name in definitions or name in others]
        if taken:
            raise UsageError(f'two targets would be called "{taken[0]}"', hint="rename one of them")
        definitions |= parts_of_target
        parts[target.name] = list(parts_of_target)
    groups = _bake_groups(plan, set(exported), parts)
    # bake rejects an empty table of groups.
    tables = {"group": {name: {"targets": members} for name, members in groups.items()}} if groups else {}
    return bake_json(tables | {"target": definitions}, indent=2) + "\n"


def _bake_groups(plan: Plan, exported: set[Target], parts: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Return the members of bake's groups: the groups of the plan, and the targets that differ by platform.

    `parts` maps the name of each exported target to its targets in bake. Raises UsageError if bake would take the name
    of a target in a group for another group.
    """
    complete = {name: group for name, group in plan.groups.items() if group.targets and exported >= {*group.targets}}
    split = {name: names for name, names in parts.items() if names != [name] and name not in complete}
    groups = {}
    for name, group in complete.items():
        members = [[target.name] if target.name in split else parts[target.name] for target in group.targets]
        groups[name] = list(chain.from_iterable(members))
    for name, names in (groups | split).items():
        misread = next((member for member in names if not {*groups.get(member, ())} <= {*names}), None)
        if misread:
            message = f'bake would take the target "{misread}" in the group "{name}" for the group "{misread}"'
            raise UsageError(message, hint="rename the group or the target")
    return groups | split


def export_losses(targets: Iterable[Target]) -> Iterator[str]:
    """Yield a sentence about each setting of `targets` that a bake file cannot express."""
    exported = _with_links(targets)
    builders: dict[str, list[str]] = {}
    for target in exported:
        if not target.builder.driver.rules.is_automatic:
            builders.setdefault(target.builder.name, []).append(target.name)
    for builder, names in builders.items():
        yield f"{abbreviated(names)}: bake files name no builder: {builder} is not exported"
    for target in exported:
        lost = [name for name in _MPBAKE_ONLY if getattr(target, name)]
        if lost:
            yield f"{target.name}: bake has no {', '.join(lost)}: not exported"
        if _differs_by_platform(target):
            outputs = ", all with the same output" if target.outputs else ""
            exported_as = f"exported as a target and a tag for each platform{outputs}"
            yield f"{target.name}: bake has no values for single platforms: {exported_as}"
        elif not target.platforms and any(map(_differs_by_platform, target.every_link)):
            yield f"{target.name}: has no platforms, but links to a target that differs by platform"


_MPBAKE_ONLY = ("needs", "checks", "timeout", "retries")
"""Attributes of a target that bake does not have, and that no other part of the exported file replaces."""


def _with_links(targets: Iterable[Target]) -> list[Target]:
    """Return `targets` and their direct and indirect links, each target once."""
    known = dict.fromkeys(targets)
    queue = list(known)
    for target in queue:
        fresh = [link for link in target.every_link if link not in known]
        known |= dict.fromkeys(fresh)
        queue += fresh
    return queue


def _differs_by_platform(target: Target) -> bool:
    """Return whether a target or a link of the target differs by platform.

    A target that differs by platform becomes several targets of bake.
    """
    return bool(target.platforms) and any(user.variants for user in _with_links([target]))


def _bake_targets(target: Target, platforms: Sequence[Platform]) -> dict[str, dict[str, Any]]:
    """Return the bake targets that replace `target`, by name: a single target, or a target for each platform."""
    if not _differs_by_platform(target):
        return {target.name: _definition(target, platforms, target.tags)}
    definitions = {}
    for platform in platforms:
        tags = [f"{parse_reference(tag)}-{platform.slug}" for tag in target.tags]
        definitions[_platform_name(target, platform)] = _definition(target, (platform,), tags)
    return definitions


def _platform_name(target: Target, platform: Platform) -> str:
    return f"{target.name}-{platform.slug}"


def _definition(target: Target, platforms: Sequence[Platform], tags: Sequence[str]) -> dict[str, Any]:
    variant = target.on(platforms)
    links = {name: f"target:{_linked_name(link, platforms)}" for name, link in variant.links.items()}
    fields = {"description": target.description, **variant.attributes}
    if "policy" in fields:
        fields["policy"] = enforced_policies(fields["policy"])
    fields["contexts"] = {**fields.get("contexts", {}), **links}
    fields |= {"tags": list(tags), "platforms": [str(platform) for platform in platforms], "output": _outputs(target)}
    return {name: value for name, value in fields.items() if value not in ("", [], {})}


def _linked_name(link: Target, platforms: Sequence[Platform]) -> str:
    """Return the name of the bake target for `link`, if the linking target is built for `platforms`."""
    if not _differs_by_platform(link):
        return link.name
    shared = (platform for platform in platforms if platform in link.platforms)
    return _platform_name(link, next(shared, link.platforms[0]))


def _outputs(target: Target) -> list[str]:
    """Return the outputs of a target. The push is last because bake reports the digest of the last output."""
    loaded = ["type=docker"] if target.load else []
    pushed = [format_fields({"type": "registry", **target.push_options})] if target.push else []
    return [*loaded, *target.outputs, *pushed]
