"""The summary of a run for people, as Markdown, from the metadata file of the run. Pure."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any

from mpbake.base.text import count, printable, shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_DIGEST = "containerimage.digest"
_LONGEST_ERROR = 2000
_LONGEST_CELL = 300
_BACKTICKS = re.compile("`+")


def digests_of(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return the digest of each target that has one."""
    return {target: result[_DIGEST] for target, result in metadata.items() if result.get(_DIGEST)}


def run_summary(metadata: Mapping[str, Any] | None, code: int) -> str:
    """Return a table of all targets, and below it the errors. `code` is the exit code of the run.

    `metadata` is None if the run stopped before the first build.
    """
    verdict = "done" if code == 0 else f"failed with exit code {code}"
    if metadata is None:
        return f"### mpbake run: {verdict} before the first build\n\nThe log has the reason.\n"
    head = f"### mpbake run: {verdict}, {count(len(metadata), 'target')}\n\n"
    rows = [_row(target, result, result.get("mpbake", {})) for target, result in metadata.items()]
    table = "| target | result | digest | tags | platforms |\n| --- | --- | --- | --- | --- |\n" + "".join(rows)
    errors = [_error(target, result.get("mpbake", {})) for target, result in metadata.items()]
    return f"{head}{table}{''.join(errors)}"


def _row(target: str, result: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    platforms = own.get("platforms", {})
    places = [f"{platform} on {facts.get('node', '')}" for platform, facts in platforms.items()]
    cells = [[target], [str(own.get("status", ""))], [result.get(_DIGEST, "")], own.get("tags", ()), places]
    return f"| {' | '.join(map(_cell, cells))} |\n"


def _cell(values: Iterable[str]) -> str:
    """Return values as code, each on its own line of a table's cell, so that no value is Markdown or HTML."""
    return "<br>".join(_code(shortened(value, _LONGEST_CELL)) for value in values if value)


def _code(text: str) -> str:
    # Within a table, a `|` ends a cell even in code.
    text = printable(text).replace("\n", " ").replace("|", "\\|")
    fence = "`" * (1 + max(map(len, _BACKTICKS.findall(text)), default=0))
    return f"{fence} {text} {fence}" if "`" in text else f"{fence}{text}{fence}"


def _error(target: str, own: Mapping[str, Any]) -> str:
    errors = [shortened(error, _LONGEST_ERROR) for error in own.get("errors", ())]
    if not errors:
        return ""
    block = fenced("\n\n".join(errors))
    return f"\n<details><summary>errors of {escape(target)}</summary>\n\n{block}\n</details>\n"


def fenced(text: str) -> str:
    """Return `text` as a block of code that the text cannot end."""
    fence = "`" * max(3, 1 + max(map(len, _BACKTICKS.findall(text)), default=0))
    return f"{fence}text\n{printable(text).rstrip()}\n{fence}\n"
