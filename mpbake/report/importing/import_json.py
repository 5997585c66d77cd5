"""The result of `mpbake import` as JSON for programs. `docs/bake.md` lists the fields. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mpbake.base.json_text import printed_json
from mpbake.base.text import json_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mpbake.conversion.proof import Comparison
    from mpbake.conversion.syntax import Place
    from mpbake.report.importing.import_report import ImportReport

IMPORT_FORMAT = 1
"""Version of the format. The version rises when a field is removed or changes meaning, but not for a new field."""


def import_json(report: ImportReport) -> str:
    """Return the result as ASCII-only JSON, with each target, variable, note and difference on its own line."""
    proof = report.proof
    fields = [
        f'"format": {IMPORT_FORMAT}',
        f'"plan": {printed_json(report.plan)}',
        f'"text": {printed_json(report.conversion.text)}',
        f'"equal": {printed_json(report.is_equal)}',
        f'"buildx": {printed_json(proof.buildx)}',
        f'"reason": {printed_json(proof.reason)}',
        f'"needed": {printed_json({change.variable: change.value for change in proof.needed})}',
        f'"invented": {printed_json(report.invented)}',
        f'"varying": {json_lines(sorted(proof.varying))}',
        f'"targets": {json_lines(_targets(report))}',
        f'"variables": {json_lines(_variables(report))}',
        f'"frozen": {json_lines(_frozen(report))}',
        f'"notes": {json_lines(_notes(report))}',
        f'"problems": {json_lines(map(str, report.problems))}',
        f'"comparisons": {json_lines(map(_comparison, proof.comparisons))}',
    ]
    return "{\n" + ",\n".join(fields) + "\n}\n"


def _targets(report: ImportReport) -> Iterator[dict[str, Any]]:
    names = report.conversion.targets
    for name in report.targets:
        yield {"name": name, "plan": names.get(name, name), "verdict": report.proof.target(name)}


def _variables(report: ImportReport) -> Iterator[dict[str, Any]]:
    for name, plan_name in report.conversion.variables.items():
        yield {"name": name, "plan": plan_name, "verdict": report.proof.variable(name)}


def _frozen(report: ImportReport) -> Iterator[dict[str, Any]]:
    for entry in report.conversion.frozen:
        key = entry.key
        yield {
            "block": key.block,
            "name": key.name,
            "path": list(key.path),
            "expression": entry.expression.text,
            "reason": entry.reason,
            **_place(entry.place),
        }


def _notes(report: ImportReport) -> Iterator[dict[str, Any]]:
    for note in report.conversion.notes:
        yield {"kind": note.kind, "text": note.text, **_place(note.place)}


def _place(place: Place) -> dict[str, Any]:
    return {"file": place.file, "line": place.line}


def _comparison(comparison: Comparison) -> dict[str, Any]:
    variation = comparison.variation
    return {
        "variable": variation.variable if variation else "",
        "value": variation.value if variation else "",
        "equal": comparison.is_equal,
        "bake_error": comparison.bake_error,
        "plan_error": comparison.plan_error,
        "lenient": comparison.lenient,
        "unchecked": comparison.unchecked,
        "differences": [
            {
                "subject": difference.subject,
                "name": difference.name,
                "attribute": difference.attribute,
                "original": difference.original,
                "imported": difference.imported,
            }
            for difference in comparison.differences
        ],
    }
