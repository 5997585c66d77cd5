"""A second comparison of two outputs of `bake --print`, deliberately simple: equal JSON, after a few conversions.

`mpbake import` has its own comparison, which knows more. This one shares no code with it, so that a mistake there
cannot hide a difference. It knows just enough that equal targets are never reported; each conversion names its reason.
"""

from __future__ import annotations

import csv
import json
import platform
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_TIME = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}):\d{2}:\d{2}")
_EMPTY: tuple[Any, ...] = ("", [], {}, None, False)
_TABLES_OF_TEXT = frozenset({"args", "labels", "contexts", "extra-hosts"})
_WITHOUT_ORDER = frozenset({"attest", "cache-from", "output", "secret", "ssh", "ulimits"})
"""Lists in which each entry has its own id, type, name or place, and caches: buildx itself changes their order."""
_MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
_SPELLINGS = {"/aarch64": "/arm64", "/arm64/v8": "/arm64", "/x86_64": "/amd64", "/i386": "/386"}
_PATHS = frozenset({"dest", "src", "context", "dockerfile"})


def differences(original: Mapping[str, Any], imported: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    """Return one line for each attribute that differs. `names` has the name in the plan for each target."""
    lines = []
    for name, plan_name in names.items():
        theirs = simplified(_without_clock(original["target"][name]))
        ours = simplified(_without_clock(imported["target"].get(plan_name, {"missing": True})))
        links = {f"target:{other}": f"target:{plan}" for other, plan in names.items()}
        theirs["contexts"] = {key: links.get(value, value) for key, value in theirs.get("contexts", {}).items()}
        ours.setdefault("contexts", {})
        lines += [
            f"{name}: {key}: {json.dumps(theirs.get(key))} is {json.dumps(ours.get(key))} in the plan"
            for key in sorted({*theirs, *ours})
            if theirs.get(key) != ours.get(key)
        ]
    return lines


def _without_clock(target: Mapping[str, Any]) -> dict[str, Any]:
    """Return a target without the minutes and seconds of times: bake prints the two files one after the other."""
    shown: dict[str, Any] = json.loads(_TIME.sub(r"\1", json.dumps(target)))
    return shown


def simplified(target: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes that have an effect, each in one form."""
    attributes = {name: _simplified(name, value) for name, value in target.items()}
    if attributes.get("dockerfile-inline"):
        attributes.pop("dockerfile", None)  # buildx reads no file then
    if attributes.get("call", "build") not in {"build", ""}:
        attributes.pop("output", None)  # a check, or a list of targets, makes no image
    if not attributes.get("tags"):  # buildx refuses to push an image that has no name
        outputs = attributes.get("output") or []
        attributes["output"] = [output for output in outputs if "name" in output or output.get("push") != "true"]
    return {name: value for name, value in attributes.items() if value not in _EMPTY}


def _simplified(name: str, value: Any) -> Any:
    if isinstance(value, dict) and name in _TABLES_OF_TEXT:
        return {key: _path(text) if name == "contexts" else text for key, text in value.items() if text is not None}
    if isinstance(value, list):
        if name == "platforms":  # an entry may list several
            value = [platform for entry in value for platform in entry.split(",")]
        entries = [_entry(name, entry) for entry in value]
        unique = [entry for index, entry in enumerate(entries) if entry not in entries[:index]]
        return sorted(unique, key=str) if name in _WITHOUT_ORDER else unique
    return _path(value) if name in _PATHS and isinstance(value, str) else value


def _entry(name: str, entry: Any) -> Any:
    """Return an entry of a list. Fields are a table, whether bake prints them as CSV or as an object."""
    if name == "tags" and isinstance(entry, str):
        return entry if ":" in entry.rpartition("/")[2] or "@" in entry else f"{entry}:latest"
    if name == "platforms" and isinstance(entry, str):
        return _platform(entry)
    if name not in {"attest", "cache-from", "cache-to", "output", "policy", "secret", "ssh"}:
        return entry
    fields = dict(entry) if isinstance(entry, dict) else _fields(name, entry)
    if name == "output" and fields.get("type") == "registry":  # short for an image that is pushed
        fields |= {"type": "image", "push": "true"}
    if name == "secret" and "source" in fields:
        fields["src"] = fields.pop("source")
    paths = fields.get("paths")
    fields |= {"paths": [_path(path) for path in paths]} if isinstance(paths, list) else {}
    shown = {key: value if isinstance(value, str | list) else json.dumps(value) for key, value in fields.items()}
    return {key: _path(str(value)) if key in _PATHS else value for key, value in shown.items() if value != ""}


def _platform(name: str) -> str:
    if name == "local":
        return f"linux/{_MACHINE}"
    full = name if "/" in name else f"linux/{name}"
    for spelling, common in _SPELLINGS.items():
        full = full.replace(spelling, common)
    return f"{full}/v7" if full.endswith("/arm") else full


def _fields(name: str, entry: str) -> dict[str, Any]:
    if name == "ssh":
        agent, _, paths = entry.partition("=")
        return {"id": agent, "paths": paths.split(",") if paths else ""}
    cells = next(csv.reader([entry]), [])
    if all("=" not in cell for cell in cells):
        return {"type": "local", "dest": entry} if name == "output" else {"type": "registry", "ref": entry}
    return dict(cell.partition("=")[::2] for cell in cells)


def _path(path: str) -> str:
    return path.removeprefix("cwd://").removeprefix("./").rstrip("/") or "."
