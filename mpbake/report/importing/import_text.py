"""The result of `mpbake import` as text for people, at most 80 columns wide. Pure."""

from __future__ import annotations

from dataclasses import replace
from textwrap import wrap
from typing import TYPE_CHECKING

from mpbake.base.text import abbreviated, count, one_line, shortened
from mpbake.conversion.bake_errors import VALIDATION
from mpbake.conversion.plan.conversion import NoteKind
from mpbake.conversion.proof import Verdict
from mpbake.conversion.secret_names import INVENTED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mpbake.conversion.comparison import Difference
    from mpbake.conversion.plan.conversion import Frozen
    from mpbake.conversion.proof import Comparison, Proof
    from mpbake.conversion.syntax import Place
    from mpbake.conversion.variations import Variation
    from mpbake.report.importing.import_report import ImportReport

_WIDTH = 80
_INDENT = "  "
_LONGEST_VALUE = 400
_MOST_DIFFERENCES = 40
_MOST_NAMES = 6
_MISSING = ": no such file or directory"
_HEADINGS = {
    NoteKind.RENAMED: "renamed",
    NoteKind.IGNORED: "bake ignores this, and the plan does not have it",
    NoteKind.LOST: "the plan does not have this",
}


def import_text(report: ImportReport) -> str:
    """Return what the plan has otherwise than the bake files, the differences, and a last line that counts targets."""
    lines: list[str] = []
    for kind, heading in _HEADINGS.items():
        notes = report.notes(kind)
        lines += _section(heading, [line for note in notes for line in _entry(_place(note.place), note.text)])
    lines += _section("frozen: the plan has the value, and the expression as a comment", _frozen_lines(report))
    lines += _section("errors of the plan", [f"{_INDENT}{line}" for line in _problem_lines(report)])
    lines += _section("different", [*_error_lines(report.proof), *_difference_lines(report)])
    lines += _section(
        "bake cannot evaluate the files with these values, and the plan can", _lenient_lines(report.proof)
    )
    lines += _section("bake refuses these values, and the plan does not check them", _unchecked_lines(report.proof))
    lines += _section("bake itself gives another value each time", _varying_lines(report.proof))
    lines += _not_compared_lines(report.proof)
    written = [f"wrote {one_line(report.plan)}", *([""] if lines else [])] if report.plan else []
    return "".join(f"{line}\n" for line in (*written, *lines, *_summary_lines(report)))


def _section(heading: str, lines: Iterable[str]) -> list[str]:
    content = list(lines)
    return [heading, *content, ""] if content else []


def _entry(place: str, text: str) -> list[str]:
    """Return a place and a sentence about it, on one line or with the sentence below the place."""
    line = f"{_INDENT}{place}  {one_line(text)}"
    if not place:
        return _wrapped(text, _INDENT)
    return [line] if len(line) <= _WIDTH else [f"{_INDENT}{place}", *_wrapped(text, _INDENT * 2)]


def _wrapped(text: str, indent: str, following: str = "") -> list[str]:
    """Return a text in lines that begin with `indent`, or after the first line with `following`."""
    return wrap(
        one_line(text),
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=following or indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _place(place: Place) -> str:
    line = f":{place.line}" if place.line else ""
    return one_line(f"{place.file}{line}")


def _frozen_lines(report: ImportReport) -> Iterator[str]:
    for entry in report.conversion.frozen:
        yield from _entry(_place(entry.place), _frozen_sentence(entry))
        yield f"{_INDENT * 2}{shortened(one_line(entry.expression.text.strip()), _WIDTH - 4)}"
    if report.invented:
        values = abbreviated([f"{name}={INVENTED}" for name in report.invented], most=4)
        yield from _wrapped(f"evaluated with {values}, since a plan must not hold a secret", _INDENT)


def _frozen_sentence(entry: Frozen) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in entry.key.path)
    return f"{entry.key.block} {entry.key.name}{path}: {entry.reason}"


def _problem_lines(report: ImportReport) -> Iterator[str]:
    for problem in report.problems:
        yield from str(problem).splitlines()


def _error_lines(proof: Proof) -> Iterator[str]:
    """Yield the values that only bake or only mpbake refuses. Values with one reason share an entry."""
    entries: dict[tuple[str, str], list[Comparison]] = {}
    for comparison in proof.failed:
        if any(comparison.reason) and not proof.repeats_first(comparison):
            entries.setdefault(comparison.reason, []).append(comparison)
    for (bake_error, plan_error), comparisons in entries.items():
        error = bake_error or plan_error
        theirs, ours = ("bake", "the plan") if bake_error else ("the plan", "bake")
        values = _values(comparisons) or "the present values"
        yield from _wrapped(f"{values}: {theirs} refuses this, and {ours} does not", _INDENT)
        yield from _wrapped(shortened(error, _LONGEST_VALUE), _INDENT * 2)


def _difference_lines(report: ImportReport) -> Iterator[str]:
    """Yield the differences. Targets with the same difference share an entry."""
    entries: dict[tuple[Difference, str], list[str]] = {}
    for difference, comparisons in report.differences().items():
        key = (replace(difference, name=""), _values(comparisons))
        entries.setdefault(key, []).append(difference.name)
    for (difference, values), names in [*entries.items()][:_MOST_DIFFERENCES]:
        yield from _one_difference(difference, names, values)
    if len(entries) > _MOST_DIFFERENCES:
        yield f"{_INDENT}and {len(entries) - _MOST_DIFFERENCES} more: --format json prints all of them"


def _one_difference(difference: Difference, names: Sequence[str], values: str) -> Iterator[str]:
    """Yield a difference of the targets or groups `names`. `values` are the variations that show it, as text."""
    attribute = f": {difference.attribute}" if difference.attribute else ""
    shown_names = abbreviated(names, most=_MOST_NAMES)
    yield from _wrapped(f"{difference.subject} {shown_names}{attribute}{f' with {values}' if values else ''}", _INDENT)
    if not difference.attribute:
        yield f"{_INDENT * 2}{'only in the bake file' if difference.original else 'only in the plan'}"
        return
    for side, value in (("bake  ", difference.original), ("mpbake", difference.imported)):
        shown = shortened(one_line(value), _LONGEST_VALUE) or "no value"
        yield from _wrapped(shown, f"{_INDENT * 2}{side}  ", following=_INDENT * 6)


def _lenient_lines(proof: Proof) -> Iterator[str]:
    entries: dict[str, list[Comparison]] = {}
    known = proof.first.bake_error if proof.first else ""
    for comparison in proof.comparisons:
        if comparison.lenient and comparison.bake_error != known:
            entries.setdefault(comparison.bake_error, []).append(comparison)
    for bake_error, comparisons in entries.items():
        yield from _wrapped(_values(comparisons), _INDENT)
        yield from _wrapped(shortened(bake_error, _LONGEST_VALUE), _INDENT * 2)


def _unchecked_lines(proof: Proof) -> Iterator[str]:
    unchecked = [comparison for comparison in proof.comparisons if comparison.unchecked]
    if unchecked:
        yield from _wrapped(_values(unchecked), _INDENT)


def _varying_lines(proof: Proof) -> Iterator[str]:
    for subject, name, attribute in sorted(proof.varying):
        yield from _wrapped(f"{subject} {name}: {attribute}", _INDENT)


def _values(comparisons: Iterable[Comparison]) -> str:
    """Return the variations of comparisons: `TAG=2, TAG=""`; empty if all used the present values."""
    return abbreviated([_variation(run.variation) for run in comparisons if run.variation], most=4)


def _variation(variation: Variation) -> str:
    if not variation.variable:
        return "values of docker/metadata-action"
    value = shortened(variation.value, _WIDTH // 2) or '""'
    return f"{variation.variable}={value}"


def _not_compared_lines(proof: Proof) -> list[str]:
    """Return why nothing was compared, if that is so."""
    first = proof.first
    if first is None:
        remedy = _wrapped(f"= {proof.hint}", _INDENT) if proof.hint else []
        return [*_wrapped(f"nothing was compared: {proof.reason}", ""), *remedy, ""]
    if not first.both_refuse:
        return []
    errors = [f"bake: {first.bake_error}", f"mpbake: {first.plan_error}"]
    if first.bake_error == first.plan_error:  # buildx prints both
        errors = [first.bake_error]
    lines = [line for error in errors for line in _wrapped(shortened(error, _LONGEST_VALUE), _INDENT)]
    hint = _wrapped(f"= {_advice(proof, first.bake_error)}, and import again", _INDENT)
    return ["neither bake nor mpbake accepts the present values", *lines, *hint, ""]


def _advice(proof: Proof, bake_error: str) -> str:
    """Return what to do if bake refuses its files."""
    if _MISSING in bake_error:
        return "create this file, which may be empty"
    is_about_values = VALIDATION in bake_error
    if not proof.unset:
        return "set other values" if is_about_values else "correct the bake file"
    advice = f"set the missing variables ({abbreviated(proof.unset, most=4)})"
    return advice if is_about_values else f"{advice} or correct the bake file"


def _summary_lines(report: ImportReport) -> Iterator[str]:
    verdicts = {verdict: report.number(verdict) for verdict in Verdict}
    numbers = ", ".join(f"{number} {verdict}" for verdict, number in verdicts.items() if number)
    if frozen := len(report.conversion.frozen):
        numbers += f", {count(frozen, 'expression')} frozen"
    proof = report.proof
    changed = f", {count(len(proof.changed_variables), 'variable')} changed" if proof.changed_variables else ""
    checked = f" (checked with buildx {proof.buildx}{changed})" if proof.targets else ""
    yield f"{count(len(report.targets), 'target')}{f': {numbers}' if numbers else ''}{checked}"
    if proof.needed:
        values = abbreviated([_variation(change) for change in proof.needed], most=4)
        them = "it" if len(proof.needed) == 1 and proof.needed[0].variable else "them"
        yield from _wrapped(f"compared with {values}, since bake refuses the files without {them}", "")
    different = [name for name in proof.changed_variables if proof.variable(name) is Verdict.DIFFERENT]
    if different:
        yield from _wrapped(f"the plan does not follow every change of {abbreviated(different)}", "")
    if report.plan:
        yield f"next: {one_line(report.next)}"
