"""Text for users: escaping for terminals, alignment, shortening, and suggestions for misspelt names."""

from __future__ import annotations

import difflib
import re
import unicodedata
from typing import TYPE_CHECKING

from mpbake.base.ci_commands import without_commands
from mpbake.base.json_text import printed_json
from mpbake.base.redaction import redact_credentials

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

# C0 (without tab and newline), DEL, C1, and characters that reorder or hide text on a screen.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


def printable(text: str) -> str:
    r"""Escape every control character in `text` as `\xNN`, except tabs and newlines, and the commands of CI systems."""
    return without_commands(_UNSAFE.sub(lambda match: _escaped(match.group()), text))


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def is_unicode(text: str) -> bool:
    """Whether `text` can be encoded. Surrogates, which stand for bytes that are not UTF-8, cannot."""
    return text.isascii() or not _SURROGATE.search(text)


NOT_UTF_8 = "it contains bytes that are not UTF-8"
"""The message for an argument that is not valid text."""


def one_line(text: str) -> str:
    """Escape control characters including tabs and newlines: for names and values inside a sentence."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


LONGEST_NAME = 120
"""The maximum number of characters of a name in a message."""
LONGEST_MESSAGE = 2000
"""The maximum number of characters of a message."""


def short_name(name: str, longest: int = LONGEST_NAME) -> str:
    """Format a name or value of any length for a message: redact its credentials, then shorten it."""
    return one_line(shortened(redact_credentials(name), longest))


def shortened(line: str, length: int) -> str:
    """Cut `line` to `length` characters; a cut line ends with `…`."""
    return line if len(line) <= length else f"{line[: length - 1]}…"


def without_colour(text: str) -> str:
    """Convert terminal output to plain text: remove escape sequences and make the rest printable."""
    lines = _ESCAPE_SEQUENCE.sub("", text).replace("\r\n", "\n").split("\n")
    # A carriage return redraws the line: a terminal shows only the last text.
    return printable("\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines))


_EXCERPT = 120
_BEFORE = 30


def marked_line(line: str, column: int, length: int) -> list[str]:
    """Return a source line and below it a marker under `length` characters from `column` (from 1; 0: no marker).

    A long line is cut to the text around the marker. Return an empty list for an empty line.
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
    """Return the number of terminal columns that `text` occupies."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) > 0 for character in text)


_MOST_NAMES = 12


def closest_name(name: str, names: Iterable[str]) -> str:
    """Return the known name that `name` probably misspells, or the empty string."""
    matches = difflib.get_close_matches(name, sorted(names), n=1, cutoff=0.6)
    return matches[0] if matches else ""


def did_you_mean(name: str, names: Iterable[str], *, kind: str = "") -> str:
    """Return a hint for an unknown `name`: the closest known name, or else the list of known names.

    `kind` is the plural noun for the names, such as `targets`.
    """
    known = sorted(names)
    closest = closest_name(name, known)
    if closest:
        return f'did you mean "{short_name(closest)}"?'
    if not known:
        return f"there are no {kind}" if kind else ""
    listed = ", ".join(map(short_name, known[:_MOST_NAMES]))
    return f"known {kind or 'names'}: {listed}{', …' if len(known) > _MOST_NAMES else ''}"


def abbreviated(names: Sequence[str], *, most: int = _MOST_NAMES) -> str:
    """Return the first `most` names for a message, and the number of the other names: `a, b and 3 more`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(short_name, names[:most])) + more


_SHARED_NAMES = 3
"""The maximum number of names in a message that several targets share."""


def split_subject(message: str) -> tuple[str, str]:
    """Split a message such as `web: not built` into name and rest; without a name, the first string is empty."""
    subject, colon, rest = message.partition(": ")
    return (subject, rest) if colon and " " not in subject else ("", message)


def join_shared(messages: Iterable[str], targets: Collection[str]) -> list[str]:
    """Join messages of the form `TARGET: …` that differ only in the name; keep the order of first occurrences.

    A joined message is `20 targets (a, b, c and 17 more): …`.
    """
    shared: dict[str, dict[str, None]] = {}
    for message in messages:
        name, rest = split_subject(message)
        key, names = (rest, {name: None}) if name in targets else (message, {})
        shared.setdefault(key, {}).update(names)
    return [_with_targets(tuple(names), rest) for rest, names in shared.items()]


def _with_targets(names: Sequence[str], message: str) -> str:
    """Put the names of the targets, if any, before a message."""
    if len(names) > 1:
        return f"{len(names)} targets ({shared_names(names)}): {message}"
    return ": ".join([*names, message])


def shared_names(names: Sequence[str]) -> str:
    """Abbreviate the names of targets that share a message."""
    return abbreviated(names, most=_SHARED_NAMES)


def duration(seconds: float) -> str:
    """Format a duration: `0.4s`, `12.3s`, `4m05s`, `1h02m`."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    return f"{minutes // 60}h{minutes % 60:02d}m"


_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")


def parse_duration(text: str, *, hours_at_most: int = 8760) -> float:
    """Parse `90s`, `30m`, `1h` or `1h30m` into seconds. Raises ValueError with a message for users."""
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        msg = f'"{one_line(text)}" is not a duration: write 90s, 30m, 1h or 1h30m'
        raise ValueError(msg)
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    total = hours * 3600 + minutes * 60 + seconds
    if total > hours_at_most * 3600:
        msg = f'"{short_name(text)}" is too long: at most {hours_at_most}h'
        raise ValueError(msg)
    return total


def count(number: int, noun: str) -> str:
    """Format a number with its noun: `1 target`, `3 targets`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def json_lines(items: Iterable[object]) -> str:
    """Format a JSON list with one line for each item, for readable diffs. ASCII only: safe to print."""
    text = ",\n".join(map(printed_json, items))
    return f"[\n{text}\n]" if text else "[]"


def columns(rows: Sequence[Sequence[str]], *, indent: str = "") -> list[str]:
    """Format `rows` as aligned lines: two spaces between columns, nothing cut off, no trailing blanks."""
    if not rows:
        return []
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return [(indent + line).rstrip() for line in padded]
