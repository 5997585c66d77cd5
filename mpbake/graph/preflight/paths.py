"""What a plan names on this machine and is not there: told before anything starts, and with its line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.base.codes import Code, Severity
from mpbake.base.errors import PlanError
from mpbake.base.files import Kind, is_file, is_folder, kind_of
from mpbake.base.references import parse_fields
from mpbake.base.text import one_line
from mpbake.graph.links import linked_platforms, linked_targets
from mpbake.graph.preflight.deletions import deletion_problems
from mpbake.graph.preflight.tls import certificate_problems
from mpbake.model.bake_fields import PathAccess, Paths, paths_of, secret_source
from mpbake.spec.plan_files import SETTING
from mpbake.spec.problem import Problem
from mpbake.spec.target_tables import ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from mpbake.base.errors import KeyPath
    from mpbake.graph.dag import Selection
    from mpbake.model.plan import PlatformVariant, Target
    from mpbake.spec.plan_files import PlanFiles


def check_files(document: PlanFiles, chosen: Selection, environment: Mapping[str, str], now: datetime) -> None:
    """Raise PlanError for all that is missing of what was `chosen`, or cannot be right in the files of its nodes.

    See `missing_paths`, `deletions`, `certificate_problems`.
    """
    missing = missing_paths(chosen.targets, document.root, environment)
    deleted = deletion_problems(chosen.targets, document.root, os.path.realpath)
    found = (*missing, *deleted, *certificate_problems(chosen.targets, chosen.only, now))
    wrong = [each for each in found if each.code.severity is Severity.ERROR]
    if wrong:
        raise PlanError(document.diagnose(each) for each in wrong)


def missing_paths(targets: Iterable[Target], root: Path, environment: Mapping[str, str]) -> Iterator[Problem]:
    """Every folder and file that `targets`, or what they link to, name and that is not there.

    So is a secret of which there is only an id where `environment` has no such variable, nor `root` such a file.
    """
    for each in _with_links(targets):
        yield from _missing(each)
        yield from _unknown_secrets(each, root, environment)


def unset_secret_warnings(targets: Iterable[Target], environment: Mapping[str, str]) -> Iterator[str]:
    """A word on each build secret of `targets`, or of what they link to, that is empty: its variable is not set."""
    for target in _with_links(targets):
        for entry in target.attributes.get("secret", ()):
            source = secret_source(entry)
            if source.variable and source.variable not in environment and not source.or_file:
                secret = parse_fields(entry)["id"]
                yield one_line(f"{target.name}: secret {secret} is empty: {source.variable} is not set")


def _with_links(targets: Iterable[Target]) -> Iterable[Target]:
    """`targets` and all that is built within them; where nothing differs, one walk finds that of all."""
    targets = tuple(targets)
    same = linked_targets(*(each for each in targets if not each.varies))
    differing = (link for each in targets if each.varies for link in linked_platforms(each, ()))
    return dict.fromkeys((*targets, *same, *differing))


def _missing(target: Target) -> Iterator[Problem]:
    for variant, _ in target.split_by_variant(()):
        for name, value in variant.attributes.items():
            needed = ATTRIBUTES[name].paths if ATTRIBUTES[name].access is PathAccess.NEEDS else Paths.NONE
            for place, path in paths_of(needed, value):
                yield from _not_there(target, variant.where((name, *place)), needed, path)
        yield from _missing_dockerfile(target, variant)


def _not_there(target: Target, key: KeyPath, paths: Paths, path: str) -> Iterator[Problem]:
    """The problem of a path that an attribute with `paths` needs, if it is one."""
    match paths:
        case Paths.CONTEXT:
            code, is_there, what = Code.MISSING_FOLDER, is_folder(Path(path)), "folder"
        case Paths.SSH:  # an agent has a socket
            code, is_there, what = Code.MISSING_FILE, kind_of(Path(path)) not in {Kind.NOTHING, Kind.LOOSE_LINK}, "file"
        case _:
            code, is_there, what = Code.MISSING_FILE, is_file(Path(path)), "file"
    if not is_there:
        yield _problem(code, target, key, f"there is no {what} {path}")


def _missing_dockerfile(target: Target, variant: PlatformVariant) -> Iterator[Problem]:
    """That of a context which is there itself."""
    inline, path = variant.dockerfile
    if path and not inline and is_folder(Path(variant.attributes["context"])) and not is_file(Path(path)):
        key = variant.where(("dockerfile",))
        yield _problem(Code.MISSING_DOCKERFILE, target, key, f"there is no Dockerfile {path}")


def _unknown_secrets(target: Target, root: Path, environment: Mapping[str, str]) -> Iterator[Problem]:
    """Of those with an id only, the ones that are neither a variable nor a file."""
    for index, entry in enumerate(target.attributes.get("secret", ())):
        source = secret_source(entry)
        if source.or_file and source.variable not in environment and not is_file(root / source.variable):
            message = f"{target.name}: {source.variable} is no variable that is set, and no file in the plan's folder"
            hint = "set it, or say where the secret is: env=NAME or src=FILE"
            key = target.where(("secret", index))
            yield Problem(code=Code.MISSING_FILE, key=key, message=one_line(message), hint=hint)


def _problem(code: Code, target: Target, key: KeyPath, message: str) -> Problem:
    start = "the plan's folder" if key[:1] == (SETTING,) else "the folder of the file that states them"
    hint = f"paths count from {start}, that of a Dockerfile from its context"
    return Problem(code=code, key=key, message=f"{target.name}: {one_line(message)}", hint=hint)
