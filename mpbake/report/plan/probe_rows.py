"""The facts of a probe and the expected duration of a plan document, as rows of a table. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.text import count, duration, one_line

if TYPE_CHECKING:
    from mpbake.review.document.plan_document import Document


def node_rows(document: Document) -> list[list[str]]:
    """Return a row for each probed node: its id, its BuildKit or its status, and its platforms."""
    return [
        [node["id"], f"BuildKit {node['version']}" if node["version"] else node["status"], _platforms(node)]
        for node in document.get("probe", {}).get("nodes", ())
    ]


def _platforms(node: Document) -> str:
    kinds = {"native": node["native"], "EMULATED": node["emulated"]}
    texts = [f"{', '.join(platforms)} {kind}" for kind, platforms in kinds.items() if platforms]
    return one_line("; ".join(texts) or node["trouble"].partition("\n")[0] or "platforms not known")


def change_rows(document: Document) -> list[list[str]]:
    """Return a row for each change that makes a builder match the plan, and for each part whose state is unknown."""
    probe = document.get("probe", {})
    rows = [
        [change["action"], f"{change['resource']} {change['name']}", _reason(change)]
        for change in probe.get("changes", ())
    ]
    rows += [["unknown", part["part"], f"of {part['builder']}"] for part in probe.get("unclear", ())]
    return [[one_line(cell) for cell in row] for row in rows]


def _reason(change: Document) -> str:
    return f"{change['reason']}: {'; '.join(change['differences'])}" if change["differences"] else change["reason"]


def tag_text(tag: Document) -> str:
    """Return what happens to a tag, with the whole digest to which it points now."""
    match tag["state"]:
        case "new":
            return "new"
        case "moves":
            return f"moves from {tag['digest']}"
        case _:
            return f"not known: {one_line(tag['trouble'])}"


def tag_rows(document: Document) -> list[list[str]]:
    """Return a row for each tag that a run moves: the tag, and where it points now."""
    return [[one_line(tag["tag"]), tag_text(tag)] for tag in document.get("probe", {}).get("tags", ())]


def expected_text(document: Document) -> str:
    """Return the expected duration, and how well it is known; empty without records."""
    expected = document.get("expected")
    if not expected:
        return ""
    known, builds = len(expected["builds"]), len(expected["builds"]) + expected["unrecorded"]
    records = "all builds are recorded" if known == builds else f"{known} of {count(builds, 'build')} recorded"
    return f"about {duration(expected['seconds'])}, estimated from earlier runs on this machine ({records})"


def path_texts(document: Document) -> list[str]:
    """Return the steps of the critical path, the builds with their expected durations."""
    expected = document.get("expected", {})
    builds = expected.get("builds", {})
    return [
        f"{one_line(key)} ({duration(builds[key])})" if key in builds else one_line(key)
        for key in expected.get("path", ())
    ]
