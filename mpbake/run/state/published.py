"""What the last runs have published: `.mpbake/published.json`, from which `mpbake verify` knows what must be served.

The file may have come with a checkout: it is only compared with what registries serve, and names nothing to be run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mpbake.base.platforms import parse_platform, parse_platforms
from mpbake.base.references import parse_reference
from mpbake.model.annotations import Annotation
from mpbake.model.expected_images import ExpectedImages, expected_of
from mpbake.model.steps import Publish, StepStatus, Verify
from mpbake.run.state.json_store import JsonStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from mpbake.model.plan import Target
    from mpbake.model.steps import Step, StepResult


def published_by(results: Iterable[StepResult]) -> dict[str, ExpectedImages]:
    """What a run has published, by target, whether or not the registry serves it by now."""
    found = {}
    for result in results:
        target = _published(result.step)
        if target and result.status is StepStatus.DONE:
            found[target.name] = expected_of(target, result.outcome.platforms, result.outcome.digest)
    return found


def _published(step: Step) -> Target | None:
    """The target whose tags name what `step` has done, once that is done."""
    return step.target if isinstance(step, Publish | Verify) else None


def read_published(folder: Path) -> tuple[dict[str, ExpectedImages], str]:
    """What is remembered in `folder`, and a warning where it cannot be used. No file means that nothing was."""
    return _kept(folder).read(_parsed)


def write_published(folder: Path, published: Mapping[str, ExpectedImages]) -> None:
    """Remember `published`, by target, unless a newer mpbake wrote what is there. Raises OSError."""
    _kept(folder).write({name: _fields(each) for name, each in published.items()})


def remember_published(folder: Path, published: Mapping[str, ExpectedImages]) -> Iterator[str]:
    """Add `published` to what is remembered in `folder`; a warning of each thing that was in the way."""
    if not published:
        return
    known, warning = read_published(folder)
    if warning:
        yield warning
    try:
        write_published(folder, {**known, **published})
    except OSError as error:
        yield f"{_kept(folder).path}: {error.strerror}: mpbake verify will not know what was published"


def _kept(folder: Path) -> JsonStore:
    loss = "what was published counts as not known"
    return JsonStore(path=folder / "published.json", key="targets", format=1, loss=loss)


def _fields(expected: ExpectedImages) -> dict[str, Any]:
    return {
        "tags": expected.tags,
        "digest": expected.digest,
        "platforms": list(map(str, expected.platforms)),
        "labels": {platform: dict(labels) for platform, labels in expected.labels.items()},
        "annotations": [
            {"kind": each.kind, "key": each.key, "value": each.value, "platform": str(each.platform or "")}
            for each in expected.annotations
        ],
        "attestations": expected.attestations,
    }


def _parsed(name: str, fields: dict[str, Any]) -> ExpectedImages:
    return ExpectedImages(
        target=name,
        tags=tuple(str(parse_reference(tag)) for tag in fields["tags"]),
        digest=str(fields["digest"]),
        platforms=parse_platforms(fields["platforms"]),
        labels={str(platform): _texts(labels) for platform, labels in fields["labels"].items()},
        annotations=tuple(_annotation(each) for each in fields["annotations"]),
        attestations=tuple(str(each) for each in fields["attestations"]),
    )


def _annotation(fields: dict[str, Any]) -> Annotation:
    platform = parse_platform(fields["platform"]) if fields["platform"] else None
    kind, key, value = (str(fields[name]) for name in ("kind", "key", "value"))
    return Annotation(kind=kind, key=key, value=value, platform=platform)


def _texts(labels: dict[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in labels.items()}
