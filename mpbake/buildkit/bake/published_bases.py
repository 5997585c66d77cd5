"""The images that a target is built upon, of those that the run has published before."""

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
    """Named contexts for `target`: the tags of what it needs, however far, by the digests that were `published`.

    So `FROM` such a tag is from just that image, whatever an engine may have under the name. Only those count that a
    Dockerfile may mean: a context says that it is built upon it, and old frontends refuse all of them.
    """
    tags = [tag for each in with_dependencies([target]) for tag in each.tags if tag in published] if published else []
    variants = [variant for variant, _ in target.split_by_variant(())] if tags else []
    texts = [_text(variant) for variant in variants]
    if not all(text is None or supports_named_contexts(text) for text in texts):
        return {}
    said = [*texts, *(str(value) for variant in variants for value in variant.attributes.get("args", {}).values())]
    names = {tag: parse_reference(tag) for tag in tags}
    return {
        name.familiar: f"docker-image://{name.at(published[tag])}"
        for tag, name in names.items()
        if any(text is None or may_mention(text, name.repository.rpartition("/")[2]) for text in said)
    }


def _text(variant: PlatformVariant) -> str | None:
    """The Dockerfile, or None where it is not on this machine or cannot be read: it may mean anything."""
    inline, path = variant.dockerfile
    try:
        return inline or (read_bounded(Path(path), pipe=False).decode() if path else None)
    except (OSError, ValueError):
        return None
