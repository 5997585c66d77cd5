"""The outputs of a target: `push` and `load` where they mean the same, and else texts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mpbake.base.references import format_fields, parse_fields
from mpbake.conversion.plan.conversion import Note, NoteKind
from mpbake.conversion.plan.fields import with_field_texts
from mpbake.conversion.syntax import Entry, Expression, Item, ListOf, Literal, Template
from mpbake.model.bake_fields import check_destination, is_folder_output, pushes

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from mpbake.conversion.syntax import Target

_FLAGS = {"type=registry": "push", "type=image,push=true": "push", "type=docker": "load"}
_BY_DIGEST = frozenset({"name", "push-by-digest", "name-canonical", "dangling-name-prefix"})
"""Fields that mpbake writes itself when it pushes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outputs:
    """The outputs of one target. `flags` are `push` and `load`; `texts` is the rest, or None if nothing is written."""

    flags: Mapping[str, bool | Expression]
    texts: Expression | None
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputForms:
    """How targets write their outputs. Those in `spelt` write `output` even if a flag has the same meaning."""

    spelt: frozenset[str] = frozenset()

    def own(self, target: Target, *, untagged: bool = False) -> Outputs | None:
        """Return the outputs that a target itself has, or None."""
        return _own_outputs(target, untagged=untagged, spelt=target.name in self.spelt)

    def all(self, targets: Iterable[Target]) -> list[Outputs]:
        """Return the outputs of those `targets` that have their own."""
        return [outputs for outputs in map(self.own, targets) if outputs]


def output_forms(families: Iterable[Sequence[Target]], untagged: Container[str]) -> OutputForms:
    """Return how targets write their outputs, such that a child rarely has to turn off a flag of its parents.

    Each family is a target with its ancestors. If the members of a family have different outputs, all of them write
    `output`, which is inherited as in bake. A family that pushes keeps its flags if it has an `untagged` target: this
    target turns off `push`.
    """
    mixed: list[frozenset[str]] = []
    flagged = set[str]()
    for family in families:
        outputs = {target.name: own for target in family if (own := _own_outputs(target))}
        flags = {frozenset(own.flags) for own in outputs.values()}
        if any("push" in own for own in flags) and any(target.name in untagged for target in family):
            flagged |= outputs.keys()
        elif len(flags) > 1:
            mixed.append(frozenset(outputs))
    return OutputForms(spelt=frozenset().union(*(names for names in mixed if names.isdisjoint(flagged))))


def outputs_of(
    target: Target, ancestors: Sequence[Target], forms: OutputForms, *, untagged: bool = False
) -> Outputs | None:
    """Return the outputs of a target, or None if the target has no `output` of its own.

    In bake, `output` replaces all outputs of the `ancestors`. In a plan, `push`, `load` and `output` are inherited
    separately. So the result also turns off what an ancestor turns on. An `untagged` target must not push.
    """
    own = forms.own(target, untagged=untagged)
    if own is None:
        return _without_push(target, ancestors, forms) if untagged else None
    inherited = no_outputs(ancestors, forms)
    flags = {flag: off for flag, off in inherited.flags.items() if flag not in own.flags} | dict(own.flags)
    texts = inherited.texts if own.texts is None else own.texts
    if texts is None and not flags:
        texts = ListOf(items=())
    return Outputs(flags=flags, texts=texts, notes=own.notes)


def _without_push(target: Target, ancestors: Sequence[Target], forms: OutputForms) -> Outputs | None:
    """Return the outputs that turn off an inherited push, or None if nothing is pushed."""
    inherited = no_outputs(ancestors, forms)
    if "push" not in inherited.flags:
        return None
    note = Note(kind=NoteKind.LOST, text=_no_tags(target), place=target.place)
    return Outputs(flags={"push": False}, texts=None, notes=(note,))


def _no_tags(target: Target) -> str:
    return f'the target "{target.name}" pushes, but has no tags: use `mpbake run --push` where it has some'


def no_outputs(ancestors: Iterable[Target], forms: OutputForms) -> Outputs:
    """Return the outputs that turn off what a target inherits."""
    inherited = forms.all(ancestors)
    flags: dict[str, bool | Expression] = {flag: False for outputs in inherited for flag in outputs.flags}
    has_texts = any(outputs.texts is not None for outputs in inherited)
    return Outputs(flags=flags, texts=ListOf(items=()) if has_texts else None)


def _own_outputs(target: Target, *, untagged: bool = False, spelt: bool = False) -> Outputs | None:
    entry = next((entry for entry in target.entries if entry.name == "output"), None)
    if entry is None or (isinstance(entry.value, Literal) and entry.value.value is None):
        return None
    expression = with_field_texts("output", entry.value)
    if not isinstance(expression, ListOf):
        return Outputs(flags={}, texts=expression)
    if not untagged and len(expression.items) == 1 and (flags := _load_and_push(expression.items[0].value)):
        return Outputs(flags=flags, texts=None)
    items, notes = _supported(expression.items, target, entry)
    if untagged:
        kept = [item for item in items if not _pushes(item)]
        notes += [Note(kind=NoteKind.LOST, text=_no_tags(target), place=entry.place)] if len(kept) < len(items) else []
        items = kept
    texts = [item.value.value if isinstance(item.value, Literal) else None for item in items]
    is_short = bool(texts) and all(text in _FLAGS for text in texts) and texts == sorted(texts, key=str)
    if is_short and not expression.trailing and not spelt:
        flags = {_FLAGS[str(text)]: True for text in texts}
        return Outputs(flags=flags, texts=None, notes=tuple(notes))
    if not items and expression.items and notes:
        return Outputs(flags={}, texts=None, notes=tuple(notes))
    return Outputs(flags={}, texts=replace(expression, items=tuple(items)), notes=tuple(notes))


def _load_and_push(output: Expression) -> dict[str, bool | Expression]:
    """Return the flags for `type=docker,push=…`, which loads an image and also pushes it; none for another output."""
    match output:
        case Literal(value="type=docker,push=true"):
            return {"load": True, "push": True}
        case Template(parts=(Literal(value="type=docker,push="), push)):
            return {"load": True, "push": push}
        case _:
            return {}


def _supported(items: Iterable[Item], target: Target, entry: Entry) -> tuple[list[Item], list[Note]]:
    """Return the outputs that a plan can have, and notes on all others."""
    kept, notes = [], []
    for item in items:
        text = item.value.value if isinstance(item.value, Literal) else None
        if not isinstance(text, str) or (is_folder_output(text) and text != "-"):
            kept.append(item)
            continue
        if _writes_to_standard_output(text):
            problem = f'the target "{target.name}": mpbake cannot write the output "{text}" to standard output'
            notes.append(Note(kind=NoteKind.LOST, text=problem, place=entry.place))
            continue
        plain = _without_names(text)
        if plain != text:
            problem = (
                f'the target "{target.name}": mpbake names pushed images itself, so the output "{text}" is "{plain}"'
            )
            notes.append(Note(kind=NoteKind.LOST, text=problem, place=entry.place))
        kept.append(replace(item, value=Literal(value=plain, place=item.value.place, text=item.value.text)))
    return kept, notes


def _pushes(item: Item) -> bool:
    return isinstance(item.value, Literal) and isinstance(item.value.value, str) and pushes(item.value.value)


def _writes_to_standard_output(text: str) -> bool:
    try:
        check_destination(text)
    except ValueError:
        return True
    return False


def _without_names(text: str) -> str:
    """Return an output that pushes without the fields that mpbake sets itself."""
    if not pushes(text):
        return text
    fields = parse_fields(text)
    kept = {key: value for key, value in fields.items() if key not in _BY_DIGEST}
    if kept == fields:
        return text
    return "type=registry" if kept in ({"type": "image", "push": "true"}, {"type": "registry"}) else format_fields(kept)
