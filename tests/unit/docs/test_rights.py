"""The table of rights in the documentation is the table in the code. `UPDATE_GOLDEN=1` rewrites it."""

from __future__ import annotations

import os
import re

from mpbake.model.grants import GrantKind
from mpbake.review.grants.meanings import MEANINGS
from mpbake.review.grants.table import GRANT_ROWS, BuilderRow
from tests.checkout import DOCS

PAGE = DOCS / "security.md"
_VALUES = {
    GrantKind.PRIVILEGE: "NAME",
    GrantKind.DEVICE: "NAME",
    GrantKind.WRITE: "PATH",
    GrantKind.READ: "PATH",
    GrantKind.VARIABLE: "NAME",
    GrantKind.EMULATORS: "IMAGE",
    GrantKind.BUILDER_IMAGE: "IMAGE",
    GrantKind.BUILDER_FLAGS: "BUILDER",
    GrantKind.BUILDER_CONFIG: "BUILDER",
    GrantKind.BUILDER_ENV: "BUILDER",
    GrantKind.BUILDER_NETWORK: "NAME",
    GrantKind.ENDPOINT: "URL-OR-CONTEXT",
    GrantKind.EXTERNAL: "BUILDER",
}


def table() -> str:
    """Return the table of rights in Markdown."""
    lines = ["| right | needed for | asked by |", "|---|---|---|"]
    for row in GRANT_ROWS:
        right = f"{row.kind}={_VALUES[row.kind]}" if row.kind in _VALUES else str(row.kind)
        only_up = isinstance(row, BuilderRow) and row.only_up
        commands = "`builders up`" if only_up else "`run`, `builders up`" if isinstance(row, BuilderRow) else "`run`"
        lines.append(f"| `{right}` | {row.about} | {commands} |")
    return "\n".join(lines)


def test_the_page_lists_every_row() -> None:
    text = PAGE.read_text(encoding="utf-8")
    written = re.sub(
        r"(<!-- rights: begin -->\n).*?(<!-- rights: end -->)",
        lambda match: f"{match[1]}\n{table()}\n\n{match[2]}",
        text,
        flags=re.DOTALL,
    )
    if os.environ.get("UPDATE_GOLDEN"):
        PAGE.write_text(written, encoding="utf-8")
    assert written == PAGE.read_text(encoding="utf-8")


def test_each_kind_has_a_meaning_and_a_value() -> None:
    assert set(MEANINGS) == set(GrantKind)
    assert set(_VALUES) == {kind for kind in GrantKind if kind.has_value}
