"""Preflight checks of base images in Dockerfiles that are targets of the plan."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.base.codes import Code
from mpbake.base.files import read_bounded
from mpbake.base.platforms import can_execute
from mpbake.graph.links import linked_platforms
from mpbake.model.dockerfiles import base_image, images_from
from mpbake.spec.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mpbake.base.platforms import Platform
    from mpbake.model.plan import PlatformVariant, Target
    from mpbake.model.reading import MayRead

_LARGEST = 1024 * 1024
"""The maximum size in bytes of a Dockerfile that mpbake reads. Most have thousands of bytes."""


def unlinked_bases(targets: Mapping[str, Target], may_read: MayRead) -> Iterator[Problem]:
    """Yield a warning for each FROM in a Dockerfile of `targets` that names a target to which there is no link."""
    read = _reader(may_read)
    for target in targets.values():
        for variant, _ in target.split_by_variant(()):
            linked = {_image_name(context) for context in (*variant.links, *variant.attributes.get("contexts", ()))}
            for name in images_from(read(*variant.dockerfile)):
                if name in targets and name not in {target.name, *linked}:
                    yield _unlinked(target, variant, name)


def foreign_bases(targets: Iterable[Target], may_read: MayRead) -> Iterator[Problem]:
    """Yield one warning for each target whose final base image is a linked target with another, single platform.

    A linked target with a single platform serves all platforms. Copying files from this target is fine. But an image
    that is built `FROM` this target contains programs for the single platform, on every platform.
    """
    read = _reader(may_read)
    reported: set[tuple[Target, str]] = set()
    for target in filter(_may_have_foreign_base, targets):
        for user, wanted in {target: target.platforms, **linked_platforms(target, target.platforms)}.items():
            for variant, platforms in user.split_by_variant(wanted):
                for context, link in variant.links.items():
                    foreign = _foreign_platforms(link, platforms)
                    is_base = foreign and _image_name(context) == _base_name(variant, read)
                    if is_base and (user, context) not in reported:
                        reported.add((user, context))
                        yield _foreign(user, variant, context, foreign)


def _may_have_foreign_base(target: Target) -> bool:
    """Whether `foreign_bases` must read the Dockerfile of `target`. In large plans, most targets must not need this."""
    single = [declared[0] for declared in target.platforms_of_links if len(declared) == 1]
    return any(not can_execute(platform, other) for platform in target.platforms for other in single)


def _foreign_platforms(link: Target, wanted: Sequence[Platform]) -> list[Platform]:
    """Return the `wanted` platforms that get the single platform of `link` and cannot run its programs."""
    if len(link.platforms) != 1:
        return []
    return [platform for platform in wanted if not can_execute(platform, link.platforms[0])]


def _base_name(variant: PlatformVariant, read: Callable[[str, str], str]) -> str:
    """Return the short name of the image from which the final stage of `variant` is built."""
    return _image_name(base_image(read(*variant.dockerfile), str(variant.attributes.get("target", ""))))


def _reader(may_read: MayRead) -> Callable[[str, str], str]:
    """Return a cached function that returns the text of a Dockerfile.

    The text is empty for a file that mpbake may not read, and for an unreadable file, which another check or buildx
    reports.
    """

    @cache
    def read(inline: str, path: str) -> str:
        if inline or not path or not may_read(Path(path)):
            return inline
        try:
            return read_bounded(Path(path), pipe=False, most=_LARGEST).decode()
        except (OSError, ValueError):
            return ""

    return read


def _image_name(context: str) -> str:
    """Return the short name of the image that a named context replaces."""
    return context.removeprefix("docker.io/").removeprefix("library/").removesuffix(":latest")


def _unlinked(target: Target, variant: PlatformVariant, name: str) -> Problem:
    message = f'{target.name}: its Dockerfile says FROM {name}, but it does not link to the target "{name}"'
    hint = f'set contexts = {{ {name} = "target:{name}" }}; if you mean another image, write its full name'
    key = variant.source_key(("contexts",))
    return Problem(code=Code.UNLINKED_BASE, key=key, message=message, hint=hint, culprit=name)


def _foreign(target: Target, variant: PlatformVariant, context: str, platforms: Sequence[Platform]) -> Problem:
    link = variant.links[context]
    names, only = ", ".join(map(str, platforms)), link.platforms[0]
    link_name = "" if context == link.name else f', the target "{link.name}"'
    message = f"{target.name}: its Dockerfile says FROM {context}{link_name}, which is built for {only} only"
    hint = f"add {names} to platforms of {link.name}: otherwise the image for {names} has programs for {only}"
    key = variant.source_key(("contexts", context))
    return Problem(code=Code.FOREIGN_BASE, key=key, message=message, hint=hint)
