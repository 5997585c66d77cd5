"""`mpbake verify`: compare the images in registries with the images of the last runs, or with the plan."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mpbake.base.errors import BuildFailed, Cancelled, MpbakeError, UsageError, most_severe
from mpbake.base.references import parse_reference
from mpbake.base.text import abbreviated, columns, count, one_line
from mpbake.buildkit import open_verification
from mpbake.cli.loading import NO_OVERRIDES, load_plan
from mpbake.cli.selection import select_for
from mpbake.model.expected_images import expected_of
from mpbake.report.progress.event_lines import short_digest
from mpbake.resolve import has_default_group
from mpbake.run.signals import stoppable, stopped_by_signals
from mpbake.run.state.directory import FOLDER
from mpbake.run.state.published import read_published

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mpbake.cli.options import VerifyOptions
    from mpbake.cli.world import World
    from mpbake.model.expected_images import ExpectedImages, Mismatch
    from mpbake.model.plan import Builder, Plan, Target
    from mpbake.run.executor import StopRequest

_HEADINGS = ["target", "tag", "what", "expected", "found"]
_WORKERS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class _Comparison:
    """The expected images of a target, and the differences in the registry or the error of the comparison."""

    expected: ExpectedImages
    mismatches: tuple[Mismatch, ...] = ()
    error: MpbakeError | None = None


def main(options: VerifyOptions, world: World) -> int:
    """Compare images and print a table of differences. Return 1 if an image differs."""
    return stoppable(lambda stop: _verify(options, world, stop))


def _verify(options: VerifyOptions, world: World, stop: StopRequest) -> int:
    _, plan = load_plan(options.source, world)
    published, warning = read_published(plan.root / FOLDER)
    published, ignored = _of_plan(plan, published)
    for text in filter(None, (warning, *ignored)):
        world.stderr.write(f"warning: {one_line(text)}\n")
    targets = select_for(plan, _names_to_verify(plan, options, published), NO_OVERRIDES).targets
    expected = _expected(targets, published)
    renamed = _renamed(targets, published)
    for images in renamed:
        world.stderr.write(f"warning: {_renaming_warning(images, published[images.target])}\n")
    builders = {target.name: target.builder for target in targets}
    with stopped_by_signals(stop):
        comparisons = _compare([*expected, *renamed], builders, world, stop)
    return _report(comparisons, world)


def _of_plan(plan: Plan, published: Mapping[str, ExpectedImages]) -> tuple[dict[str, ExpectedImages], tuple[str, ...]]:
    """Return the records of published images whose repositories the plan names, and a warning for each other record.

    The record may have come with a checkout, and must not make mpbake contact other registries.
    """
    known: dict[str, ExpectedImages] = {}
    warnings = []
    for name in plan.targets.keys() & published.keys():
        repositories = {_repository(tag) for tag in plan.targets[name].tags}
        images = published[name]
        tags = tuple(tag for tag in images.tags if _repository(tag) in repositories)
        if tags:
            known[name] = replace(images, tags=tags)
        if ignored := [tag for tag in images.tags if tag not in tags]:
            record = f"{FOLDER}/published.json names {abbreviated(ignored)}"
            warnings.append(f"{name}: {record}, a repository that the plan does not name: mpbake ignores it")
    return known, tuple(sorted(warnings))


def _repository(tag: str) -> tuple[str, str]:
    reference = parse_reference(tag)
    return reference.registry, reference.path


def _names_to_verify(plan: Plan, options: VerifyOptions, published: Mapping[str, ExpectedImages]) -> Sequence[str]:
    """Return the names on the command line; without names and without a group `default`, all published targets."""
    if options.names or has_default_group(plan):
        return options.names
    return tuple(name for name in plan.targets if name in published)


def _report(comparisons: Sequence[_Comparison], world: World) -> int:
    """Print the comparisons, then the errors. Return the exit code."""
    failed = [comparison for comparison in comparisons if comparison.error is not None]
    compared = [comparison for comparison in comparisons if comparison.error is None]
    world.stdout.write(_comparison_text(compared))
    world.stdout.flush()
    world.stderr.writelines(f"error: {failure.expected.target}: {failure.error}\n" for failure in failed)
    if any(comparison.mismatches for comparison in compared):
        return BuildFailed.exit_code
    return most_severe({failure.error.exit_code for failure in failed if failure.error is not None})


def _compare(
    expected: Iterable[ExpectedImages], builders: Mapping[str, Builder], world: World, stop: StopRequest
) -> list[_Comparison]:
    """Compare the `expected` images with the images in registries. `builders` maps target names to builders."""

    def compare(images: ExpectedImages) -> _Comparison:
        try:
            mismatches = tuple(verification(builders[images.target]).compare_each_tag(images))
        except Cancelled:
            raise
        except MpbakeError as error:
            return _Comparison(expected=images, error=error)
        return _Comparison(expected=images, mismatches=mismatches)

    with (
        open_verification(world.environment, world.redactor.redact, stop.then) as verification,
        ThreadPoolExecutor(max_workers=_WORKERS) as workers,
    ):
        return list(workers.map(compare, expected))


def _expected(targets: Iterable[Target], published: Mapping[str, ExpectedImages]) -> list[ExpectedImages]:
    """Return the images that registries must serve for `targets`. Raises UsageError if `targets` publish no image."""
    expected = [
        published.get(target.name) or expected_of(target, target.platforms)
        for target in targets
        if target.push or target.name in published
    ]
    if not expected:
        raise UsageError("none of these targets is pushed", hint="set push = true, or publish with: mpbake run --push")
    return expected


def _renamed(targets: Iterable[Target], published: Mapping[str, ExpectedImages]) -> list[ExpectedImages]:
    """Return the expected images under tags that the plan has added since a target was published."""
    renamed = []
    for target in targets:
        known = published.get(target.name)
        missing = _full_names(target.tags) - _full_names(known.tags) if known else ()
        if missing:
            renamed.append(replace(expected_of(target, target.platforms), tags=tuple(sorted(missing))))
    return renamed


def _renaming_warning(now: ExpectedImages, before: ExpectedImages) -> str:
    """Return a warning about tags that the plan has added since a target was published."""
    tags, published = ", ".join(now.tags), ", ".join(before.tags)
    return f"{now.target} was last published as {published}; the plan now names {tags}: mpbake verifies both"


def _full_names(tags: Iterable[str]) -> set[str]:
    return {str(parse_reference(tag)) for tag in tags}


def _comparison_text(comparisons: Sequence[_Comparison]) -> str:
    """Return a line for each target without differences, then a table of the differences."""
    matching = [comparison.expected for comparison in comparisons if not comparison.mismatches]
    rows = [
        [comparison.expected.target, *map(one_line, (mismatch.tag, mismatch.attribute, *_sides(mismatch)))]
        for comparison in comparisons
        for mismatch in comparison.mismatches
    ]
    lines = [f"{images.target}: {count(len(images.tags), 'tag')} as {_source(images)}" for images in matching]
    lines += [*([""] if matching else []), *columns([_HEADINGS, *rows])] if rows else []
    return "".join(f"{line}\n" for line in lines)


def _sides(mismatch: Mismatch) -> tuple[str, str]:
    """Return the expected and the actual value. Digests are shortened if the short digests differ."""
    whole = (mismatch.expected, mismatch.actual or "nothing")
    short = (short_digest(whole[0]), short_digest(whole[1]))
    return short if mismatch.attribute == "digest" and short[0] != short[1] else whole


def _source(expected: ExpectedImages) -> str:
    return f"published ({expected.digest})" if expected.digest else "the plan says"
