"""The variables of the templates in these tests."""

from __future__ import annotations

from typing import Any

SCOPE: dict[str, Any] = {
    "tag": "1.2",
    "version": "8.10",
    "n": 5,
    "ratio": 0.5,
    "debug": True,
    "platforms": ["linux/amd64", "linux/arm64"],
    "row": {"os": "alpine"},
    "empty": "",
    "braces": "{{ tag }}",
    "result": "a variable may have this name",
}
