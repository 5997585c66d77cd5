"""What a regular expression certainly matches."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"(?P<empty>\\[bBAzZ]|[\^$])|(?P<open>\((?:\?P?<(?P<name>\w+)>|\?[a-zA-Z]*:)?)|(?P<flags>\(\?[a-zA-Z-]+\))|(?P<close>\))|(?P<or>\|)"
    r"|(?P<text>\\.|\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\]|[^\\])",
    re.DOTALL,
)
_OPTIONAL = re.compile(r"[*?]|\{0")
_QUANTIFIER = re.compile(r"(?:[*+?]|\{\d+(?:,\d*)?\})\??")


@dataclass(kw_only=True, slots=True)
class _Group:
    """A group of a pattern.

    `alternatives` says of each alternative whether it certainly consumes a character, `is_certain` whether the group
    is part of every match. `inner` is the position of the first capturing group inside of it.
    """

    name: str = ""
    inner: int = 0
    alternatives: list[bool] = field(default_factory=lambda: [False])
    is_certain: bool = True

    @property
    def consumes(self) -> bool:
        """Whether the group certainly consumes a character."""
        return all(self.alternatives)


def consumes_text(pattern: str, group: int | str = "") -> bool:
    """Whether every match of a pattern, or a group of every match, certainly contains a character.

    `group` is the position of a group, from 0, or its name. The pattern is valid.
    """
    whole, captured = _groups(pattern)
    if group == "":
        return whole.consumes
    selected = [known for known in captured if known.name == group] if isinstance(group, str) else captured[group:][:1]
    return bool(selected) and selected[0].consumes and selected[0].is_certain


def can_be_absent(pattern: str, group: int | str) -> bool:
    """Whether a group, by position from 0 or by name, may be absent from a match."""
    captured = _groups(pattern)[1]
    selected = [known for known in captured if known.name == group] if isinstance(group, str) else captured[group:][:1]
    return not selected or not selected[0].is_certain


def uncertain_groups(pattern: str) -> tuple[bool, ...]:
    """Return of each group whether it may be absent from a match. Raises ValueError if it can be empty as well."""
    groups = _groups(pattern)[1]
    if any(not group.is_certain and not group.consumes for group in groups):
        msg = "a group of the pattern can be absent or empty"
        raise ValueError(msg)
    return tuple(not group.is_certain for group in groups)


def _groups(pattern: str) -> tuple[_Group, list[_Group]]:
    """Return the whole pattern as a group, and its capturing groups."""
    stack = [_Group()]
    captured: list[_Group] = []
    position = 0
    while token := _TOKEN.match(pattern, position):
        position = token.end()
        if token["or"]:
            stack[-1].alternatives.append(False)
        elif token["open"]:
            group = _Group(name=token["name"] or "")
            if not token["open"].endswith(":"):
                captured.append(group)
            group.inner = len(captured)
            stack.append(group)
        elif token["close"] or token["text"]:
            is_optional = _OPTIONAL.match(pattern, position) is not None
            closed = stack.pop() if token["close"] else None
            if closed is not None:
                closed.is_certain = not is_optional
                _mark_inner(closed, captured)
            if not is_optional and (closed is None or closed.consumes):
                stack[-1].alternatives[-1] = True
            quantifier = _QUANTIFIER.match(pattern, position)
            position = quantifier.end() if quantifier else position
    _mark_inner(stack[0], captured)
    return stack[0], captured


def _mark_inner(group: _Group, captured: list[_Group]) -> None:
    """Mark the groups inside of a group that a match can leave out."""
    if not group.is_certain or len(group.alternatives) > 1:
        for inner in captured[group.inner :]:
            inner.is_certain = False
