"""Linked targets (`target:x`): which targets are built as parts of others, and for which platforms. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mpbake.base.platforms import Platform
    from mpbake.model.plan import PlatformVariant, Target

    VariantKey = tuple[tuple[Target, Platform], ...]


def linked_targets(*targets: Target) -> tuple[Target, ...]:
    """Return all targets that `targets` link to, directly or indirectly, the nearest first."""
    linked: dict[Target, None] = {}
    queue = [link for target in targets for link in target.every_link]
    for target in queue:
        if target not in linked:
            linked[target] = None
            queue += target.every_link
    return tuple(linked)


def link_platforms(target: Target, wanted: Sequence[Platform]) -> tuple[Platform, ...]:
    """Return the platforms for which a linked `target` is built if the linking targets are built for `wanted`.

    A target without `platforms` is built for all `wanted` platforms. A target with one platform is built for this
    platform and serves all others, too: files that do not depend on the platform are often built this way. A target
    with several platforms serves only these platforms; for any other platform, BuildKit takes the name of the named
    context for the name of an image. If `wanted` is empty (not known), the target is built for all its platforms.
    """
    if not target.platforms:
        return tuple(wanted)
    if len(target.platforms) == 1 or not wanted:
        return target.platforms
    return tuple(platform for platform in target.platforms if platform in wanted)


def linked_platforms(target: Target, wanted: Sequence[Platform]) -> dict[Target, tuple[Platform, ...]]:
    """Return all directly and indirectly linked targets of `target` for `wanted`, nearest first, with platforms."""
    linked: dict[Target, dict[Platform, None]] = {}
    queue = [(link, link_platforms(link, platforms)) for _, link, platforms in links_in(target, wanted)]
    for user, needed in queue:
        added = tuple(platform for platform in needed if platform not in linked.get(user, ()))
        if added or user not in linked:
            linked.setdefault(user, {}).update(dict.fromkeys(added))
            queue += [(link, link_platforms(link, platforms)) for _, link, platforms in links_in(user, added)]
    return {user: tuple(platforms) for user, platforms in linked.items()}


def links_in(target: Target, wanted: Sequence[Platform]) -> Iterator[tuple[str, Target, tuple[Platform, ...]]]:
    """Yield the links of `target` for `wanted`: context name, linked target, and the platforms that use the link."""
    for variant, platforms in target.split_by_variant(wanted) if target.variants else [(target, tuple(wanted))]:
        for context, link in variant.links.items():
            yield context, link, platforms


def variant_key(target: Target, platforms: Sequence[Platform]) -> VariantKey:
    """Return a key for `platforms`: one solve can build platforms with equal keys, since no value differs.

    The key names each variant, also of linked targets, by target and first platform.
    """
    if not target.varies:
        return ()
    everything = {target: tuple(platforms), **linked_platforms(target, platforms)}
    varying = ((varied, wanted) for varied, wanted in everything.items() if varied.variants)
    return tuple(
        (varied, _first_platform(varied, variant))
        for varied, wanted in varying
        for variant, _ in varied.split_by_variant(wanted)
    )


def _first_platform(target: Target, variant: PlatformVariant) -> Platform:
    """Return the first platform of `variant`. Without a variant for `platform`, the first platform is returned."""
    platforms = (platform for platform, other in target.variants.items() if other is variant)
    return next(platforms, next(iter(target.variants)))


def grouped_by_variant(target: Target, platforms: Sequence[Platform]) -> list[tuple[Platform, ...]]:
    """Divide `platforms` into groups that one solve can build. Without platforms, return one empty group."""
    groups: dict[VariantKey, tuple[Platform, ...]] = {}
    for platform in platforms:
        key = variant_key(target, (platform,))
        groups[key] = (*groups.get(key, ()), platform)
    return list(groups.values()) or [()]
