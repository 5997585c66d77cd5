"""The targets of a plan document."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mpbake.base.platforms import Platform
    from mpbake.model.plan import PlatformVariant, Target

_SEPARATE = ("args", "labels", "contexts")
"""Attributes that are fields of a target instead of entries of `attributes`."""


def target_document(target: Target, digest: Callable[[str], str], *, only_linked: bool) -> dict[str, Any]:
    """Return a target with all its attributes. `digest` returns the digest of a Dockerfile."""
    return {
        "name": target.name,
        "description": target.description,
        "builder": target.builder.name,
        "platforms": platform_list(target.platforms),
        "tags": list(target.tags),
        **_variant(target.on(()), digest),
        "variants": {str(platform): _variant(variant, digest) for platform, variant in target.variants.items()},
        "push": target.push,
        "push_options": dict(target.push_options),
        "load": target.load,
        "outputs": list(target.outputs),
        "needs": [need.name for need in target.needs],
        "checks": [
            {"run": list(check.run), "target": check.target, "platforms": platform_list(check.platforms)}
            for check in target.checks
        ],
        "timeout": target.timeout,
        "stall_timeout": target.stall_timeout,
        "retries": target.retries,
        "only_linked": only_linked,
    }


def platform_list(platforms: Iterable[Platform]) -> list[str]:
    """Return platforms as JSON."""
    return [str(platform) for platform in platforms]


def _variant(variant: PlatformVariant, digest: Callable[[str], str]) -> dict[str, Any]:
    """Return the attributes whose values can differ between platforms."""
    attributes = variant.attributes
    links = {name: f"target:{link.name}" for name, link in variant.links.items()}
    return {
        "args": attributes.get("args", {}),
        "labels": attributes.get("labels", {}),
        "contexts": {**attributes.get("contexts", {}), **links},
        "attributes": {name: value for name, value in attributes.items() if name not in _SEPARATE},
        "dockerfile": _dockerfile(variant, digest),
    }


def _dockerfile(variant: PlatformVariant, digest: Callable[[str], str]) -> dict[str, str]:
    """Return the path and the digest of the Dockerfile; both empty for a Dockerfile that is inline or remote."""
    inline, path = variant.dockerfile
    if inline or not path:
        return {"path": "", "sha256": ""}
    path = posixpath.normpath(path)
    return {"path": path, "sha256": digest(path)}
