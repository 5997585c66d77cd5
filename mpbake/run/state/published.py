"""The images that earlier runs have published: `.mpbake/published.json`. `mpbake verify` uses the record.

The file may come from a checkout: mpbake only compares the images with registries, and runs nothing from the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

from mpbake.base.platforms import parse_platform, parse_platforms
from mpbake.base.references import parse_reference
from mpbake.model.annotations import Annotation
from mpbake.model.expected_images import ExpectedImages, expected_of
from mpbake.model.steps import BootstrapNode, BuildPiece, CheckPiece, JoinArchives, Publish, StepStatus, Verify
from mpbake.run.state.json_store import JsonStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from mpbake.model.plan import Target
    from mpbake.model.steps import Step, StepResult


def published_by(results: Iterable[StepResult]) -> dict[str, ExpectedImages]:
    """Return the images that a run has published, by target, whether or not verification has succeeded."""
    published = {}
    for result in results:
        target = _published_target(result.step)
        if target and result.status is StepStatus.DONE:
            published[target.name] = expected_of(target, result.outcome.platforms, result.outcome.digest)
    return published


def _published_target(step: Step) -> Target | None:
    """Return the target that is published when `step` is done, or None."""
    match step:
        case Publish() | Verify():
            return step.target
        case BootstrapNode() | BuildPiece() | JoinArchives() | CheckPiece():
            return None
        case _:
            assert_never(step)


def read_published(folder: Path) -> tuple[dict[str, ExpectedImages], str]:
    """Return the images recorded in `folder`, and a warning if the record is unusable. A missing file has no images."""
    return _store(folder).read(_parse_images)


def write_published(folder: Path, published: Mapping[str, ExpectedImages]) -> None:
    """Record `published`, by target, unless a newer mpbake wrote the record. Raises OSError."""
    _store(folder).write({name: _fields(expected) for name, expected in published.items()})


def remember_published(folder: Path, published: Mapping[str, ExpectedImages]) -> list[str]:
    """Add `published` to the record in `folder`, and return a warning for each failure."""
    if not published:
        return []
    known, warning = read_published(folder)
    warnings = [warning] if warning else []
    try:
        write_published(folder, {**known, **published})
    except OSError as error:
        warnings.append(f"{_store(folder).path}: {error.strerror}: mpbake verify will not know what was published")
    return warnings


def _store(folder: Path) -> JsonStore:
    loss = "what earlier runs published is not known"
    return JsonStore(path=folder / "published.json", key="targets", format=1, loss=loss)


def _fields(expected: ExpectedImages) -> dict[str, Any]:
    return {
        "tags": expected.tags,
        "digest": expected.digest,
        "platforms": list(map(str, expected.platforms)),
        "labels": {platform: dict(labels) for platform, labels in expected.labels.items()},
        "annotations": [
            {
                "kind": annotation.kind,
                "key": annotation.key,
                "value": annotation.value,
                "platform": str(annotation.platform or ""),
            }
            for annotation in expected.annotations
        ],
        "attestations": expected.attestations,
    }


def _parse_images(name: str, fields: dict[str, Any]) -> ExpectedImages:
    return ExpectedImages(
        target=name,
        tags=tuple(str(parse_reference(tag)) for tag in fields["tags"]),
        digest=str(fields["digest"]),
        platforms=parse_platforms(fields["platforms"]),
        labels={str(platform): _texts(labels) for platform, labels in fields["labels"].items()},
        annotations=tuple(map(_annotation, fields["annotations"])),
        attestations=tuple(map(str, fields["attestations"])),
    )


def _annotation(fields: dict[str, Any]) -> Annotation:
    platform = parse_platform(fields["platform"]) if fields["platform"] else None
    kind, key, value = (str(fields[name]) for name in ("kind", "key", "value"))
    return Annotation(kind=kind, key=key, value=value, platform=platform)


def _texts(labels: dict[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in labels.items()}
