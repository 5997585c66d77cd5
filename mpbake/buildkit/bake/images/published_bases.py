"""The base images of a target that this run has already published."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.base.files import read_bounded
from mpbake.base.references import parse_reference
from mpbake.graph.dag import with_dependencies
from mpbake.model.dockerfiles import may_mention, supports_named_contexts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.model.plan import PlatformVariant, Target


def published_contexts(target: Target, published: Mapping[str, str]) -> dict[str, str]:
    """Return named contexts for `target`: the tags of all dependencies, with the digests in `published`.

    With such a context, `FROM TAG` uses exactly the published image, even if an engine has another image under that
    tag. Only tags that a Dockerfile may mention get a context, for two reasons: a context claims that the target is
    built from the image, and old frontends reject all contexts.
    """
    dependencies = with_dependencies([target]) if published else []
    tags = [tag for dependency in dependencies for tag in dependency.tags if tag in published]
    variants = [variant for variant, _ in target.split_by_variant(())] if tags else []
    dockerfiles = [_dockerfile_text(variant) for variant in variants]
    if not all(text is None or supports_named_contexts(text) for text in dockerfiles):
        return {}
    args = [str(value) for variant in variants for value in variant.attributes.get("args", {}).values()]
    names = {tag: parse_reference(tag) for tag in tags}
    return {
        name.familiar: f"docker-image://{name.at(published[tag])}"
        for tag, name in names.items()
        if any(text is None or may_mention(text, name.repository.rpartition("/")[2]) for text in (*dockerfiles, *args))
    }


def _dockerfile_text(variant: PlatformVariant) -> str | None:
    """Return the text of the Dockerfile; None if the file is not on this machine or cannot be read.

    A Dockerfile without a known text may mention any image.
    """
    inline, path = variant.dockerfile
    try:
        return inline or (read_bounded(Path(path), pipe=False).decode() if path else None)
    except (OSError, ValueError):
        return None
