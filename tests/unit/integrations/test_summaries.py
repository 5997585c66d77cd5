"""The summary of a run."""

from __future__ import annotations

from typing import Any

from mpbake.integrations.summaries import digests_of, fenced, run_summary
from tests.unit.plans import text

DIGEST = "sha256:" + "0" * 64
METADATA: dict[str, Any] = {
    "web": {
        "containerimage.digest": DIGEST,
        "mpbake": {
            "status": "done",
            "tags": ["r/web:1", "r/web:latest"],
            "platforms": {"linux/amd64": {"node": "release/intel"}, "linux/arm64": {"node": "release/arm"}},
            "errors": [],
        },
    },
    "bad": {
        "mpbake": {
            "status": "failed",
            "tags": [],
            "platforms": {"linux/amd64": {"node": "release/intel"}},
            "errors": ["exit code: 3\n``` <b>|@team", "second"],
        }
    },
}


def test_a_table_and_the_errors() -> None:
    places = "`linux/amd64 on release/intel`<br>`linux/arm64 on release/arm`"
    assert run_summary(METADATA, 1).rstrip() == text(f"""
        ### mpbake run: failed with exit code 1, 2 targets

        | target | result | digest | tags | platforms |
        | --- | --- | --- | --- | --- |
        | `web` | `done` | `{DIGEST}` | `r/web:1`<br>`r/web:latest` | {places} |
        | `bad` | `failed` |  |  | `linux/amd64 on release/intel` |

        <details><summary>errors of bad</summary>

        ````text
        exit code: 3
        ``` <b>|@team

        second
        ````

        </details>
        """)


def test_a_run_that_stopped_early() -> None:
    assert run_summary(None, 3) == (
        "### mpbake run: failed with exit code 3 before the first build\n\nThe log has the reason.\n"
    )


def test_values_cannot_leave_their_cell() -> None:
    hostile = {"web": {"mpbake": {"status": "done", "tags": ["a|b`c\n<img>"], "platforms": {}, "errors": []}}}
    row = run_summary(hostile, 0).splitlines()[4]
    assert row == "| `web` | `done` |  | `` a\\|b`c <img> `` |  |"


def test_digests() -> None:
    assert digests_of(METADATA) == {"web": DIGEST}


def test_a_block_that_its_text_cannot_end() -> None:
    assert fenced("````\n\x1b[31m") == "`````text\n````\n\\x1b[31m\n`````\n"
