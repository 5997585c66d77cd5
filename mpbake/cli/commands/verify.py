"""`mpbake verify`: whether registries serve what the last runs have published, or what the plan declares."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.base.errors import BuildFailed, Cancelled, MpbakeError, UsageError, most_severe
from mpbake.base.references import parse_reference
from mpbake.base.text import columns, count, one_line
from mpbake.buildkit import open_verification
from mpbake.cli.loading import load_plan, select_for
from mpbake.model.expected_images import expected_of
from mpbake.report.event_lines import short_digest
from mpbake.resolve import has_default_group
from mpbake.run.signals import stoppable, stopped_by_signals
from mpbake.run.state.directory import FOLDER
from mpbake.run.state.published import read_published

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mpbake.cli.options import Options, World
    from mpbake.model.expected_images import ExpectedImages, Mismatch
    from mpbake.model.plan import Builder, Target
    from mpbake.run.executor import StopRequest

_HEAD = ["target", "tag", "what", "expected", "found"]
_AT_ONCE = 8


def main(options: Options, world: World) -> int:
    """Compare, and print a table of differences; 1 where there are any."""
    return stoppable(lambda stop: _compare(options, world, stop))


def _compare(options: Options, world: World, stop: StopRequest) -> int:
    _, plan = load_plan(options, world)
    published, warning = read_published(plan.root / FOLDER)
    if warning:
        world.stderr.write(f"warning: {one_line(warning)}\n")
    if not options.names and not has_default_group(plan):
        options = replace(options, names=tuple(name for name in plan.targets if name in published))
    targets = select_for(plan, options).targets
    renamed = _renamed(targets, published)
    world.stderr.writelines(f"warning: {_renaming(each, published[each.target])}\n" for each in renamed)
    asked = [*_expected(targets, published), *renamed]
    builders = {each.name: each.builder for each in targets}
    with stopped_by_signals(stop):
        found = _found(asked, builders, world, stop)
    pairs = list(zip(asked, found, strict=True))
    told = [(each, one) for each, one in pairs if not isinstance(one, MpbakeError)]
    errors = [(each, one) for each, one in pairs if isinstance(one, MpbakeError)]
    world.stdout.write(_text(told))
    world.stdout.flush()
    world.stderr.writelines(f"error: {each.target}: {error}\n" for each, error in errors)
    if any(different for _, different in told):
        return BuildFailed.exit_code
    return most_severe({error.exit_code for _, error in errors})


def _found(
    asked: Iterable[ExpectedImages], builders: Mapping[str, Builder], world: World, stop: StopRequest
) -> list[list[Mismatch] | MpbakeError]:
    """How what is served of each differs, or why nobody can tell. `builders` are those of the targets, by name."""

    def compare(each: ExpectedImages) -> list[Mismatch] | MpbakeError:
        try:
            return list(verification(builders[each.target]).compare_each_tag(each))
        except Cancelled:
            raise
        except MpbakeError as error:
            return error

    with (
        open_verification(world.environment, world.redactor.redact, stop.then) as verification,
        ThreadPoolExecutor(max_workers=_AT_ONCE) as workers,
    ):
        return list(workers.map(compare, asked))


def _expected(targets: Iterable[Target], published: Mapping[str, ExpectedImages]) -> list[ExpectedImages]:
    """What must be served of `targets`. Raises UsageError where nothing must."""
    found = [
        published.get(each.name) or expected_of(each, each.platforms)
        for each in targets
        if each.push or each.name in published
    ]
    if not found:
        raise UsageError("none of these targets is pushed", hint="say push = true, or publish with: mpbake run --push")
    return found


def _renamed(targets: Iterable[Target], published: Mapping[str, ExpectedImages]) -> list[ExpectedImages]:
    """What must be served, as the plan says, of targets that were published under other tags than it gives them now."""
    found = []
    for each in targets:
        known = published.get(each.name)
        missing = _names(each.tags) - _names(known.tags) if known else ()
        if missing:
            found.append(replace(expected_of(each, each.platforms), tags=tuple(sorted(missing))))
    return found


def _renaming(now: ExpectedImages, was: ExpectedImages) -> str:
    """A word on a target that was published as `was`, and of which the plan names more by now."""
    named, known = ", ".join(now.tags), ", ".join(was.tags)
    return f"{now.target} was published as {known} the last time; the plan names {named} by now: that is looked at, too"


def _names(tags: Iterable[str]) -> set[str]:
    return {str(parse_reference(tag)) for tag in tags}


def _text(found: Sequence[tuple[ExpectedImages, Sequence[Mismatch]]]) -> str:
    """What is as it must be, and a table of what is not."""
    good = [each for each, different in found if not different]
    rows = [
        [each.target, *map(one_line, (one.tag, one.what, *_shown(one)))]
        for each, different in found
        for one in different
    ]
    lines = [f"{each.target}: {count(len(each.tags), 'tag')} as {_source(each)}" for each in good]
    lines += [*([""] if good else []), *columns([_HEAD, *rows])] if rows else []
    return "".join(f"{line}\n" for line in lines)


def _shown(one: Mismatch) -> tuple[str, str]:
    """What must be and what is; of two digests as much as tells them apart."""
    whole = (one.expected, one.found or "nothing")
    short = (short_digest(whole[0]), short_digest(whole[1]))
    return short if one.what == "digest" and short[0] != short[1] else whole


def _source(expected: ExpectedImages) -> str:
    return f"published ({expected.digest})" if expected.digest else "the plan says"
