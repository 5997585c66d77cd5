"""Text for people: safe to print, aligned, and the nearest right name."""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from typing import TYPE_CHECKING

from mpbake.base.redaction import redact_credentials

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

# C0 (without tab and newline), DEL, C1, and the marks that reorder or hide text on a screen.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


def printable(text: str) -> str:
    r"""`text` with every control character shown as `\xNN`; tabs and newlines stay."""
    return _UNSAFE.sub(lambda found: _escaped(found.group()), text)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def is_unicode(text: str) -> bool:
    """Whether `text` can be written anywhere at all: half a character cannot, nor can bytes that were no UTF-8."""
    return text.isascii() or not _SURROGATE.search(text)


NOT_UTF_8 = "bytes in it are not UTF-8"
"""What is wrong with an argument that is no text."""


def one_line(text: str) -> str:
    """`printable`, with tabs and newlines escaped too: for names and values inside a sentence."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


LONGEST_NAME = 120
"""Characters of a name that messages show."""
LONGEST_MESSAGE = 2000
"""Characters that one message has."""


def short_name(name: str, longest: int = LONGEST_NAME) -> str:
    """`name`, or another value of any length, for a message: without credentials, and then cut."""
    return one_line(shortened(redact_credentials(name), longest))


def shortened(line: str, length: int) -> str:
    """`line`, cut off where it is longer than `length` characters."""
    return line if len(line) <= length else f"{line[: length - 1]}…"


def without_colour(text: str) -> str:
    """A program's own output as plain text: terminal sequences dropped, what is left made printable."""
    lines = _ESCAPE_SEQUENCE.sub("", text).replace("\r\n", "\n").split("\n")
    # A carriage return redraws the line: what a person would have seen is what came last.
    return printable("\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines))


_EXCERPT = 120
_BEFORE = 30


def marked_line(line: str, column: int, length: int) -> list[str]:
    """A line of a file and, below it, a mark under `length` characters from `column` (from 1; 0 marks nothing).

    Of a long line only what surrounds the mark is shown. No line gives none.
    """
    line = line.rstrip()
    indent = len(line) - len(line.lstrip())
    start = min(max(column - 1, indent), len(line))
    end = min(start + length, len(line))
    left = indent
    if len(line) - indent > _EXCERPT:
        left = max(indent, min(start - _BEFORE, len(line) - _EXCERPT))
    right = min(left + _EXCERPT, len(line))
    before, after = "…" * (left > indent), "…" * (right < len(line))
    shown = f"{before}{_on_screen(line[left:right])}{after}"
    if not shown or not column:
        return [shown] if shown else []
    blank = _width(before + _on_screen(line[left:start]))
    return [shown, " " * blank + "^" * max(_width(_on_screen(line[start : min(end, right)])), 1)]


def _on_screen(text: str) -> str:
    return one_line(text.replace("\t", "    "))


def _width(text: str) -> int:
    """How many columns of a terminal `text` takes."""
    wide = sum(unicodedata.east_asian_width(each) in "WF" for each in text)
    return len(text) + wide - sum(unicodedata.combining(each) > 0 for each in text)


_MOST_NAMES = 12


def closest_name(name: str, names: Iterable[str]) -> str:
    """The one of `names` that `name` most likely misspells, or the empty string."""
    found = difflib.get_close_matches(name, sorted(names), n=1, cutoff=0.6)
    return found[0] if found else ""


def did_you_mean(name: str, names: Iterable[str], *, kind: str = "") -> str:
    """A remedy for an unknown `name`: the nearest right one, else all that there are."""
    known = sorted(names)
    near = closest_name(name, known)
    if near:
        return f'did you mean "{short_name(near)}"?'
    if not known:
        return f"there are no {kind}" if kind else ""
    shown = ", ".join(short_name(each) for each in known[:_MOST_NAMES])
    return f"known {kind or 'names'}: {shown}{', …' if len(known) > _MOST_NAMES else ''}"


def abbreviated(names: Sequence[str], *, most: int = _MOST_NAMES) -> str:
    """`names` for a message: the first of them, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(short_name(each) for each in names[:most]) + more


_SHARED_NAMES = 3
"""Names that a line shows which several share."""


def split_subject(message: str) -> tuple[str, str]:
    """The name at the start of a message such as `web: not built`, and the rest; without a name all is the rest."""
    subject, colon, rest = message.partition(": ")
    return (subject, rest) if colon and " " not in subject else ("", message)


def join_shared(messages: Iterable[str], targets: Collection[str]) -> list[str]:
    """Join messages `TARGET: …` that differ in the name of the target alone, in the order of the first of each.

    A joined message is `20 targets (a, b, c and 17 more): …`.
    """
    shared: dict[str, dict[str, None]] = {}
    for message in messages:
        name, rest = split_subject(message)
        key, names = (rest, {name: None}) if name in targets else (message, {})
        shared.setdefault(key, {}).update(names)
    return [_shared_by(tuple(names), rest) for rest, names in shared.items()]


def _shared_by(names: Sequence[str], message: str) -> str:
    """A message on the targets `names`, of which there may be none."""
    if len(names) > 1:
        return f"{len(names)} targets ({shared_names(names)}): {message}"
    return ": ".join([*names, message])


def shared_names(names: Sequence[str]) -> str:
    """The first of `names` that share a message, and how many more there are."""
    return abbreviated(names, most=_SHARED_NAMES)


def duration(seconds: float) -> str:
    """`0.4s`, `12.3s`, `4m05s`, `1h02m`."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    return f"{minutes // 60}h{minutes % 60:02d}m"


_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")


def parse_duration(text: str, *, hours_at_most: int = 8760) -> float:
    """The seconds of `90s`, `30m`, `1h` or `1h30m`. Raises ValueError with a sentence for people."""
    found = _DURATION.fullmatch(text)
    if not text or found is None:
        msg = f'"{one_line(text)}" is not a duration: write 90s, 30m, 1h or 1h30m'
        raise ValueError(msg)
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    duration = hours * 3600 + minutes * 60 + seconds
    if duration > hours_at_most * 3600:
        msg = f'"{short_name(text)}" is too long: at most {hours_at_most}h'
        raise ValueError(msg)
    return duration


def count(number: int, noun: str) -> str:
    """`1 target`, `3 targets`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def json_lines(items: Iterable[object]) -> str:
    """A JSON list. A line for each item makes differences readable; only ASCII, so nothing can control a screen."""
    text = ",\n".join(map(json.dumps, items))
    return f"[\n{text}\n]" if text else "[]"


def columns(rows: Sequence[Sequence[str]], *, indent: str = "") -> list[str]:
    """`rows` as aligned lines, two spaces between columns, nothing cut off, no trailing blanks."""
    if not rows:
        return []
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return [(indent + line).rstrip() for line in padded]
