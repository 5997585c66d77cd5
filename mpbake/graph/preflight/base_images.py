"""What the Dockerfiles of a plan are built from, as far as the plan has a say in it."""

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


def unlinked_bases(targets: Mapping[str, Target]) -> Iterator[Problem]:
    """Every FROM in a Dockerfile of `targets` that names another of them to which its target does not link."""
    read = cache(_text_of)
    for target in targets.values():
        for variant, _ in target.split_by_variant(()):
            linked = {_as_image(name) for name in (*variant.links, *variant.attributes.get("contexts", ()))}
            for name in images_from(read(*variant.dockerfile)):
                if name in targets and name not in {target.name, *linked}:
                    yield _unlinked(target, variant, name)


def foreign_bases(targets: Iterable[Target]) -> Iterator[Problem]:
    """Every target that is at last built FROM one that is linked and built for another platform only, each once.

    One that declares a single platform serves all with it. Files may be copied from that; but whoever is built `FROM`
    it has the programs of that platform in every one of its images.
    """
    read = cache(_text_of)
    told: set[tuple[Target, str]] = set()
    for target in filter(_may_be_upon_a_foreign_base, targets):
        for user, wanted in {target: target.platforms, **linked_platforms(target, target.platforms)}.items():
            for variant, platforms in user.split_by_variant(wanted):
                for context, link in variant.links.items():
                    others = _others(link, platforms)
                    if others and (user, context) not in told and _as_image(context) == _base_of(variant, read):
                        told.add((user, context))
                        yield _foreign(user, variant, context, others)


def _may_be_upon_a_foreign_base(target: Target) -> bool:
    """Whether it is worth a look: plans are large."""
    single = [declared[0] for declared in target.platforms_of_links if len(declared) == 1]
    return any(not can_execute(each, other) for each in target.platforms for other in single)


def _others(link: Target, wanted: Sequence[Platform]) -> list[Platform]:
    """Those of `wanted` that get the only platform of `link`, and would not run it."""
    return [each for each in wanted if len(link.platforms) == 1 and not can_execute(each, link.platforms[0])]


def _base_of(variant: PlatformVariant, read: Callable[[str, str], str]) -> str:
    """The image that what is built of a target is built upon, by its short name."""
    return _as_image(base_image(read(*variant.dockerfile), str(variant.attributes.get("target", ""))))


def _text_of(inline: str, path: str) -> str:
    """A Dockerfile; nothing where it cannot be read: that is told elsewhere, or by buildx."""
    try:
        return inline or (read_bounded(Path(path), pipe=False).decode() if path else "")
    except (OSError, ValueError):
        return ""


def _as_image(context: str) -> str:
    """The short name of the image that a named context stands in for."""
    return context.removeprefix("docker.io/").removeprefix("library/").removesuffix(":latest")


def _unlinked(target: Target, variant: PlatformVariant, name: str) -> Problem:
    message = f'{target.name}: its Dockerfile says FROM {name}, but it does not link to the target "{name}"'
    hint = f'contexts = {{ {name} = "target:{name}" }}; if an image from elsewhere is meant, write where it is from'
    key = variant.where(("contexts",))
    return Problem(code=Code.UNLINKED_BASE, key=key, message=message, hint=hint, culprit=name)


def _foreign(target: Target, variant: PlatformVariant, context: str, platforms: Sequence[Platform]) -> Problem:
    link = variant.links[context]
    names, only = ", ".join(map(str, platforms)), link.platforms[0]
    is_that = "" if context == link.name else f', the target "{link.name}"'
    message = f"{target.name}: its Dockerfile says FROM {context}{is_that}, which is built for {only} only: "
    message += f"what is published for {names} has its programs"
    hint = f"add {names} to platforms of {link.name}"
    key = variant.where(("contexts", context))
    return Problem(code=Code.FOREIGN_BASE, key=key, message=message, hint=hint)
