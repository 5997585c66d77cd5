"""What a plan names on this machine and is not there: told before anything starts, and with its line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.codes import Code
from mpbake.document import SETTING
from mpbake.entries import secret_source
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


def check_paths(document: Document, targets: Iterable[Target], environment: Mapping[str, str]) -> None:
    """Raise PlanError for all that `targets`, or what they link to, name and that is missing; see `missing_paths`."""
    problems = list(missing_paths(targets, document.root, environment))
    if problems:
        raise PlanError(document.diagnose(each) for each in problems)


def missing_paths(targets: Iterable[Target], root: Path, environment: Mapping[str, str]) -> Iterator[Problem]:
    """Every folder and file that `targets`, or what they link to, name and that is not there.

    So is a secret of which there is only an id where `environment` has no such variable, nor `root` such a file.
    """
    for each in _with_links(targets):
        yield from _missing(each)
        yield from _missing_secrets(each, root, environment)


def unset_variables(targets: Iterable[Target], environment: Mapping[str, str]) -> Iterator[str]:
    """A word on each build secret of `targets`, or of what they link to, that is empty: its variable is not set."""
    for target in _with_links(targets):
        for entry in target.attributes.get("secret", ()):
            source = secret_source(entry)
            if source.variable and source.variable not in environment and not source.either:
                secret = parse_fields(entry)["id"]
                yield one_line(f"{target.name}: secret {secret} is empty: {source.variable} is not set")


def _with_links(targets: Iterable[Target]) -> Iterable[Target]:
    """`targets` and all that is built within them; where nothing differs, one walk finds that of all."""
    targets = tuple(targets)
    same = linked(*(each for each in targets if not each.varies))
    differing = (link for each in targets if each.varies for link in linked_platforms(each, ()))
    return dict.fromkeys((*targets, *same, *differing))


def _missing(target: Target) -> Iterator[Problem]:
    for variant, _ in target.sides(()):
        yield from _missing_contexts(target, variant)
    for index, entry in enumerate(target.attributes.get("ssh", ())):
        for path in filter(None, entry.partition("=")[2].split(",")):
            if kind_of(Path(path)) in {Kind.NOTHING, Kind.LOOSE_LINK}:  # an agent has a socket
                yield _problem(Code.MISSING_FILE, target, target.where(("ssh", index)), f"there is no file {path}")


def _missing_secrets(target: Target, root: Path, environment: Mapping[str, str]) -> Iterator[Problem]:
    for index, entry in enumerate(target.attributes.get("secret", ())):
        source, key = secret_source(entry), target.where(("secret", index))
        if not source.file or is_file(root / source.file):
            continue
        if not source.either:
            yield _problem(Code.MISSING_FILE, target, key, f"there is no file {source.file}")
        elif source.variable not in environment:
            message = f"{target.name}: {source.variable} is no variable that is set, and no file in the plan's folder"
            hint = "set it, or say where the secret is: env=NAME or src=FILE"
            yield Problem(code=Code.MISSING_FILE, key=key, message=one_line(message), hint=hint)


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
