"""Targets that are built within others (`target:x`): which, and in which platforms. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mpbake.base.platforms import Platform
    from mpbake.model.plan import Target


def linked_targets(*targets: Target) -> tuple[Target, ...]:
    """Every target that is built within one of `targets`, nearest first."""
    found: dict[Target, None] = {}
    queue = [link for target in targets for link in target.every_link]
    for each in queue:
        if each not in found:
            found[each] = None
            queue += each.every_link
    return tuple(found)


def link_platforms(target: Target, wanted: Sequence[Platform]) -> tuple[Platform, ...]:
    """The platforms in which a linked `target` is built for those who want `wanted`.

    One that declares none is built in all of them; one that declares a single one serves all with it (files that do
    not depend on the platform are commonly made so). One that declares several serves just these: for any other,
    BuildKit takes the context's name for that of an image. While nobody knows what is wanted, it is built in all.
    """
    if not target.platforms:
        return tuple(wanted)
    if len(target.platforms) == 1 or not wanted:
        return target.platforms
    return tuple(each for each in target.platforms if each in wanted)


def linked_platforms(target: Target, wanted: Sequence[Platform]) -> dict[Target, tuple[Platform, ...]]:
    """Every target that is built within `target` for `wanted`, nearest first, each in what its users are built for."""
    found: dict[Target, dict[Platform, None]] = {}
    queue = [(link, link_platforms(link, platforms)) for _, link, platforms in links_in(target, wanted)]
    for user, wanted_of in queue:
        fresh = tuple(each for each in wanted_of if each not in found.get(user, ()))
        if fresh or user not in found:
            found.setdefault(user, {}).update(dict.fromkeys(fresh))
            queue += [(link, link_platforms(link, platforms)) for _, link, platforms in links_in(user, fresh)]
    return {user: tuple(platforms) for user, platforms in found.items()}


def links_in(target: Target, wanted: Sequence[Platform]) -> Iterator[tuple[str, Target, tuple[Platform, ...]]]:
    """The links of `target` in `wanted`: the context's name, the linked target, and what needs it."""
    for variant, platforms in target.split_by_variant(wanted) if target.variants else [(target, tuple(wanted))]:
        for context, link in variant.links.items():
            yield context, link, platforms


def variant_key(target: Target, platforms: Sequence[Platform]) -> tuple[int, ...]:
    """What tells apart the things that are built for `platforms`: equal where one solve can build them together."""
    if not target.varies:
        return ()
    everything = {target: tuple(platforms), **linked_platforms(target, platforms)}
    differing = ((each, wanted) for each, wanted in everything.items() if each.variants)
    return tuple(id(variant) for each, wanted in differing for variant, _ in each.split_by_variant(wanted))


def grouped_by_variant(target: Target, platforms: Sequence[Platform]) -> list[tuple[Platform, ...]]:
    """`platforms` in groups for each of which `target`, with what it links to, is one thing. Of none: one group."""
    groups: dict[tuple[int, ...], tuple[Platform, ...]] = {}
    for platform in platforms:
        key = variant_key(target, (platform,))
        groups[key] = (*groups.get(key, ()), platform)
    return list(groups.values()) or [()]
