"""What a plan names on this machine and is not there: told before anything starts, and with its line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.codes import Code
from mpbake.document import SETTING
from mpbake.errors import PlanError
from mpbake.files import Kind, is_file, is_folder, kind_of
from mpbake.links import linked, linked_platforms
from mpbake.references import is_local, parse_fields
from mpbake.spec import Problem
from mpbake.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mpbake.document import Document
    from mpbake.errors import KeyPath
    from mpbake.plan import Target, Variant


def check_paths(document: Document, targets: Iterable[Target]) -> None:
    """Raise PlanError for every folder and file that `targets`, or what they link to, name and that is missing."""
    problems = list(missing_paths(targets))
    if problems:
        raise PlanError(document.diagnose(each) for each in problems)


def missing_paths(targets: Iterable[Target]) -> Iterator[Problem]:
    """Every folder and file that `targets`, or what they link to, name and that is not there."""
    for each in _with_links(targets):
        yield from _missing(each)


def unset_variables(targets: Iterable[Target], environment: Mapping[str, str]) -> Iterator[str]:
    """A word on each build secret of `targets`, or of what they link to, that is empty: its variable is not set."""
    for target in _with_links(targets):
        for entry in target.attributes.get("secret", ()):
            fields = parse_fields(entry)
            source = fields.get("src") or fields.get("source", "") if fields.get("type") == "env" else ""
            name = fields.get("env") or source
            if name and name not in environment:
                yield one_line(f"{target.name}: secret {fields.get('id', '')} is empty: {name} is not set")


def _with_links(targets: Iterable[Target]) -> Iterable[Target]:
    """`targets` and all that is built within them; where nothing differs, one walk finds that of all."""
    targets = tuple(targets)
    same = linked(*(each for each in targets if not each.varies))
    differing = (link for each in targets if each.varies for link in linked_platforms(each, ()))
    return dict.fromkeys((*targets, *same, *differing))


def _missing(target: Target) -> Iterator[Problem]:
    for variant, _ in target.sides(()):
        yield from _missing_contexts(target, variant)
    for index, entry in enumerate(target.attributes.get("secret", ())):
        fields = parse_fields(entry)
        source = fields.get("src") or fields.get("source")
        if source and fields.get("type") != "env" and not is_file(Path(source)):
            key = target.where(("secret", index))
            yield _problem(Code.MISSING_FILE, target, key, f"there is no file {source}")
    for index, entry in enumerate(target.attributes.get("ssh", ())):
        for path in filter(None, entry.partition("=")[2].split(",")):
            if kind_of(Path(path)) in {Kind.NOTHING, Kind.LOOSE_LINK}:  # an agent has a socket
                yield _problem(Code.MISSING_FILE, target, target.where(("ssh", index)), f"there is no file {path}")


def _missing_contexts(target: Target, variant: Variant) -> Iterator[Problem]:
    attributes = variant.attributes
    context, dockerfile = str(attributes["context"]), str(attributes.get("dockerfile", "Dockerfile"))
    if is_local(context) and not is_folder(Path(context)):
        yield _problem(Code.MISSING_FOLDER, target, target.where(("context",)), f"there is no folder {context}")
    elif is_local(context) and is_local(dockerfile) and "dockerfile-inline" not in attributes:
        path = Path(context, dockerfile)
        if not is_file(path):
            key = variant.where(("dockerfile",))
            yield _problem(Code.MISSING_DOCKERFILE, target, key, f"there is no Dockerfile {path}")
    for name, value in attributes.get("contexts", {}).items():
        if is_local(value) and not is_folder(Path(value)):
            key = variant.where(("contexts", name))
            yield _problem(Code.MISSING_FOLDER, target, key, f"there is no folder {value}")


def _problem(code: Code, target: Target, key: KeyPath, message: str) -> Problem:
    start = "the plan's folder" if key[:1] == (SETTING,) else "the folder of the file that states them"
    hint = f"paths count from {start}, that of a Dockerfile from its context"
    return Problem(code=code, key=key, message=f"{target.name}: {one_line(message)}", hint=hint)
