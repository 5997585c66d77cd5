"""`mpbake verify`: whether registries serve what the last runs have published, or what the plan declares."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from mpbake.buildkit import open_verification
from mpbake.commands.load import load, selected
from mpbake.commands.signals import stopped_by_signals
from mpbake.errors import BuildFailed, MpbakeError, UsageError
from mpbake.executor import StopRequest, exit_code
from mpbake.expected import expected_of
from mpbake.published import read_published
from mpbake.references import parse_reference
from mpbake.state import FOLDER
from mpbake.text import columns, count, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mpbake.expected import Difference, Expected
    from mpbake.options import Options, World
    from mpbake.plan import Target

_HEAD = ["target", "tag", "what", "expected", "found"]
_AT_ONCE = 8


def main(options: Options, world: World) -> int:
    """Compare, and print a table of differences; 1 where there are any."""
    _, plan = load(options, world)
    published, warning = read_published(plan.root / FOLDER)
    if warning:
        world.stderr.write(f"warning: {one_line(warning)}\n")
    targets = selected(plan, options).targets
    asked = _expected(targets, published)
    world.stderr.writelines(f"warning: {each}\n" for each in _renamed(targets, published))
    stop = StopRequest()
    try:
        with stopped_by_signals(stop):
            found = _found(asked, world, stop)
    except MpbakeError:
        if stop.signal:  # whatever failed, failed because it was stopped
            return exit_code((), stop.signal)
        raise
    world.stdout.write(_text(asked, found))
    return BuildFailed.exit_code if any(found) else 0


def _found(asked: Iterable[Expected], world: World, stop: StopRequest) -> list[list[Difference]]:
    """How what is served of each differs."""
    with (
        open_verification(world.environment, world.hiding.hide, stop.then) as verification,
        ThreadPoolExecutor(max_workers=_AT_ONCE) as workers,
    ):
        return list(workers.map(lambda each: list(verification.complaints(each)), asked))


def _expected(targets: Iterable[Target], published: Mapping[str, Expected]) -> list[Expected]:
    """What must be served of `targets`. Raises UsageError where nothing must."""
    found = [
        published.get(each.name) or expected_of(each, each.platforms)
        for each in targets
        if each.push or each.name in published
    ]
    if not found:
        raise UsageError("none of these targets is pushed", hint="say push = true, or publish with: mpbake run --push")
    return found


def _renamed(targets: Iterable[Target], published: Mapping[str, Expected]) -> Iterator[str]:
    """A word on each target that was published under other tags than the plan gives it now."""
    for each in targets:
        known = published.get(each.name)
        missing = sorted(_names(each.tags) - _names(known.tags)) if known and each.push else []
        if known and missing:
            was, now = ", ".join(known.tags), ", ".join(missing)
            yield f"{each.name} was published as {was}; the plan names {now} by now, which nothing was published as"


def _names(tags: Iterable[str]) -> set[str]:
    return {str(parse_reference(tag)) for tag in tags}


def _text(asked: Sequence[Expected], found: Sequence[Sequence[Difference]]) -> str:
    """What is as it must be, and a table of what is not."""
    good = [each for each, different in zip(asked, found, strict=True) if not different]
    rows = [
        [each.target, *map(one_line, (one.tag, one.what, one.expected, one.found or "nothing"))]
        for each, different in zip(asked, found, strict=True)
        for one in different
    ]
    lines = [f"{each.target}: {count(len(each.tags), 'tag')} as {_source(each)}" for each in good]
    lines += [*([""] if good else []), *columns([_HEAD, *rows])] if rows else []
    return "\n".join(lines) + "\n"


def _source(expected: Expected) -> str:
    return f"published ({expected.digest})" if expected.digest else "the plan says"
