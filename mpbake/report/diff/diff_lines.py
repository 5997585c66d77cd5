"""The lines of a diff, in sections, which the formats for people share. Texts are printable and limited in length."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import TYPE_CHECKING, Any, assert_never

from mpbake.base.errors import key_path_text
from mpbake.base.text import count, one_line, parse_duration, shortened
from mpbake.model.plan import BOOT_TIMEOUT, CERTIFICATE_DAYS
from mpbake.model.steps import Execution
from mpbake.review.diff.plan_diff import ItemState
from mpbake.review.diff.security import SecurityKind
from mpbake.review.diff.value_changes import Change, ChangeKind
from mpbake.spec.tables.target_tables import TargetSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mpbake.review.diff.placements import PlacementChange, Spot, TagChange
    from mpbake.review.diff.plan_diff import ItemDiff, PlanDiff
    from mpbake.review.diff.security import SecurityChange

_LONGEST_VALUE = 240
"""The maximum number of characters of a value. If two values are longer, a line shows the part that differs."""
_LONGEST_NAME = 400
_CONTEXT = 20
"""The number of equal characters before the first difference of two long values."""
_MOST_USERS = 12
_DIGEST = "sha256"
_DIGEST_LENGTH = 12
_DEFAULTS: Mapping[tuple[str, ...], Any] = {
    ("stall_timeout",): parse_duration(TargetSpec.model_fields["stall_timeout"].default),
    ("boot_timeout",): BOOT_TIMEOUT,
    ("certificate_days",): CERTIFICATE_DAYS,
}
_PLACED = {"platform", "how", "why"}
"""The fields of an entry in the platforms of a build."""
_ATTRIBUTES = "attributes"
_VARIANTS = "variants"


class Sign(StrEnum):
    """The change of the subject of a line."""

    ADDED = "+"
    REMOVED = "-"
    CHANGED = "~"


@dataclass(frozen=True, kw_only=True, slots=True)
class DiffLine:
    """A line about one subject, below `depth` other lines. A changed value has the texts `before` and `after`."""

    sign: Sign
    subject: str
    before: str = ""
    after: str = ""
    depth: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A part of a diff. `is_detail`: it follows from the other parts, or few readers need it."""

    title: str
    lines: tuple[DiffLine, ...]
    is_detail: bool = False


def sections_of(diff: PlanDiff) -> tuple[Section, ...]:
    """Return the sections of a diff that have lines: what is new for security first."""
    sections = (
        Section(title="security", lines=tuple(map(_security_line, diff.security))),
        Section(title="targets", lines=_item_lines(diff.targets)),
        Section(title="tags", lines=tuple(map(_tag_line, diff.tags))),
        Section(title="placement", lines=tuple(map(_placement_line, diff.placements))),
        Section(title="builders", lines=_item_lines(diff.builders)),
        Section(title="nodes", lines=_item_lines(diff.nodes)),
        Section(title="warnings", lines=tuple(chain.from_iterable(map(_warning_lines, diff.warnings)))),
        Section(title="other fields", lines=tuple(_change_line(change, 0) for change in diff.other)),
        Section(title="steps", lines=_step_lines(diff.steps), is_detail=True),
        Section(title="order", lines=tuple(_change_line(change, 0) for change in diff.order), is_detail=True),
    )
    return tuple(section for section in sections if section.lines)


def summary_of(diff: PlanDiff) -> str:
    """Return the numbers of changes: `2 targets changed, 1 tag newly pushed`; "no changes" if nothing differs."""
    new = sum(change.is_new for change in diff.security)
    parts = [f"{new} new for security"] if new else []
    for noun, items in (("target", diff.targets), ("builder", diff.builders), ("node", diff.nodes)):
        for state in ItemState:
            number = sum(item.state is state for item in items)
            parts += [f"{count(number, noun)} {state}"] if number else []
    pushed = sum(not change.before for change in diff.tags)
    unpushed = sum(not change.after for change in diff.tags)
    parts += [f"{count(pushed, 'tag')} newly pushed"] if pushed else []
    parts += [f"{count(unpushed, 'tag')} no longer pushed"] if unpushed else []
    parts += [f"{count(len(diff.placements), 'platform')} placed differently"] if diff.placements else []
    numbers = ", ".join(parts) or ("other changes" if diff else "no changes")
    return numbers if diff.before_id else f"a new plan: {numbers}"


# --- lines ------------------------------------------------------------------------------------------------------------


def _security_line(change: SecurityChange) -> DiffLine:
    sign = Sign.ADDED if change.is_new else Sign.REMOVED
    kind = "right" if change.kind is SecurityKind.GRANT else change.kind  # the word of plans and of refusals
    subject = f"{kind} {shortened(one_line(change.value), _LONGEST_NAME)}"
    if change.users:
        word = "to" if change.kind is SecurityKind.REGISTRY else "for"
        also = "also " if change.known and change.is_new else ""
        subject += f" ({also}{word} {_names(change.users)})"
    return DiffLine(sign=sign, subject=subject)


def _item_lines(items: Iterable[ItemDiff]) -> tuple[DiffLine, ...]:
    """Return a line for each item, each followed by its changes. The values of removed items are not listed."""
    lines: list[DiffLine] = []
    for item in items:
        lines.append(_item_line(item))
        match item.state:
            case ItemState.ADDED:
                lines += _change_lines([change for change in item.changes if not _is_usual(change)])
            case ItemState.CHANGED | ItemState.RENAMED:
                lines += _change_lines(item.changes)
            case ItemState.REMOVED:
                pass
            case _:
                assert_never(item.state)
    return tuple(lines)


def _is_usual(change: Change) -> bool:
    """Whether a value of a new item says nothing to a reviewer."""
    return change.path[-1] == _DIGEST or _DEFAULTS.get(change.path) == change.after


def _item_line(item: ItemDiff) -> DiffLine:
    match item.state:
        case ItemState.ADDED:
            return DiffLine(sign=Sign.ADDED, subject=_name(item.after))
        case ItemState.REMOVED:
            return DiffLine(sign=Sign.REMOVED, subject=_name(item.before))
        case ItemState.CHANGED:
            return DiffLine(sign=Sign.CHANGED, subject=_name(item.after))
        case ItemState.RENAMED:
            return DiffLine(sign=Sign.CHANGED, subject=f"{_name(item.after)} (renamed from {_name(item.before)})")
        case _:
            assert_never(item.state)


def _change_lines(changes: Sequence[Change]) -> Iterator[DiffLine]:
    """Yield the lines of an item. A change of all platforms is shown once, although every variant has it."""
    common = {_shown_change(change) for change in changes if change.path[:1] != (_VARIANTS,)}
    for change in changes:
        if change.path[:1] != (_VARIANTS,) or _shown_change(change, skip=2) not in common:
            yield _change_line(change, 1)


def _shown_change(change: Change, skip: int = 0) -> tuple[object, ...]:
    return change.path[skip:], change.kind, json.dumps([change.before, change.after])


def _change_line(change: Change, depth: int) -> DiffLine:
    name = _path_text(change.path)
    match change.kind:
        case ChangeKind.ORDER:
            before, after = _two_values(change.before, change.after)
            return DiffLine(
                sign=Sign.CHANGED, subject=f"{name} in another order", before=before, after=after, depth=depth
            )
        case ChangeKind.VALUE | ChangeKind.ENTRY:
            if change.before is None or change.after is None:
                sign, value = (Sign.ADDED, change.after) if change.before is None else (Sign.REMOVED, change.before)
                return DiffLine(sign=sign, subject=f"{name}: {shortened(_value(value), _LONGEST_VALUE)}", depth=depth)
            if change.path[-1:] == (_DIGEST,):
                before, after = (str(value)[:_DIGEST_LENGTH] for value in (change.before, change.after))
                before, after = _name(before) or "none", _name(after) or "none"
            else:
                before, after = _two_values(change.before, change.after)
            return DiffLine(sign=Sign.CHANGED, subject=name, before=before, after=after, depth=depth)
        case _:
            assert_never(change.kind)


def _path_text(path: Sequence[str]) -> str:
    """Return the path to a value as users know it from the plan file."""
    parts = [part for index, part in enumerate(path) if part != _ATTRIBUTES or index not in {0, 2}]
    if parts[:1] == [_VARIANTS]:
        parts[0] = "platform"
    return shortened(one_line(key_path_text(tuple(parts))), _LONGEST_NAME)


def _tag_line(change: TagChange) -> DiffLine:
    tag = _name(change.tag)
    if change.before and change.after:
        before, after = _names(change.before), _names(change.after)
        return DiffLine(sign=Sign.CHANGED, subject=tag, before=before, after=after)
    sign = Sign.ADDED if change.after else Sign.REMOVED
    return DiffLine(sign=sign, subject=f"{tag} ({_names(change.after or change.before)})")


def _placement_line(change: PlacementChange) -> DiffLine:
    subject = f"{_name(change.target)} {_name(change.platform) or 'on the platform of the node'}"
    before, after = _spots(change.before), _spots(change.after)
    if before and after:
        return DiffLine(sign=Sign.CHANGED, subject=subject, before=before, after=after)
    return DiffLine(sign=Sign.ADDED if after else Sign.REMOVED, subject=f"{subject}: {after or before}")


def _spots(spots: Iterable[Spot]) -> str:
    texts = (f"{' or '.join(map(_name, spot.nodes))}{_how(spot)}" for spot in spots)
    return shortened(" and ".join(texts), _LONGEST_NAME)


def _how(spot: Spot) -> str:
    """Return how a node builds a platform; empty for the own platform of the node."""
    how = "native or emulated" if spot.how == Execution.UNKNOWN.name.lower() else _name(spot.how)
    return f" ({how})" if how else ""


def _warning_lines(change: Change) -> Iterator[DiffLine]:
    if change.kind is ChangeKind.ENTRY:
        sign, text = (Sign.ADDED, change.after) if change.before is None else (Sign.REMOVED, change.before)
        yield DiffLine(sign=sign, subject=_name(text))
    else:
        yield DiffLine(sign=Sign.CHANGED, subject="the order of the warnings")


def _step_lines(steps: Iterable[ItemDiff]) -> tuple[DiffLine, ...]:
    """Return the steps by their keys; the values of new steps follow from targets and nodes."""
    lines: list[DiffLine] = []
    others = 0
    for step in steps:
        changes = [change for change in step.changes if change.path[:1] != ("after",)]
        if step.state is not ItemState.CHANGED:
            lines.append(_item_line(step))
        elif changes:
            lines += [_item_line(step), *_change_lines(changes)]
        else:
            others += 1
    if others:
        verb = "waits" if others == 1 else "wait"
        lines.append(DiffLine(sign=Sign.CHANGED, subject=f"{count(others, 'step')} {verb} for different steps"))
    return tuple(lines)


# --- texts ------------------------------------------------------------------------------------------------------------


def _name(text: str) -> str:
    return shortened(one_line(text), _LONGEST_NAME)


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_USERS} more" if len(names) > _MOST_USERS else ""
    return shortened(", ".join(map(one_line, names[:_MOST_USERS])), _LONGEST_NAME) + more


def _value(value: Any) -> str:
    """Return a value as JSON; how a step builds a platform as words."""
    if isinstance(value, dict) and value.keys() == _PLACED:
        return one_line(f"{value['platform']} {value['how']}: {value['why']}")
    return one_line(json.dumps(value, ensure_ascii=False))


def _two_values(before: Any, after: Any) -> tuple[str, str]:
    """Return two different values as text. If a value is long, return the part around the first difference."""
    texts = [_value(before), _value(after)]
    if max(map(len, texts)) > _LONGEST_VALUE:
        pairs = enumerate(zip(*texts, strict=False))
        start = max(0, next((index for index, (old, new) in pairs if old != new), 0) - _CONTEXT)
        texts = [f"…{text[start:]}" if start else text for text in texts]
    return shortened(texts[0], _LONGEST_VALUE), shortened(texts[1], _LONGEST_VALUE)
