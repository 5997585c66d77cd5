"""Preflight checks of files and folders that a plan names on this machine and that do not exist."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.base.codes import Code
from mpbake.base.files import Kind, is_file, is_folder, kind_of
from mpbake.base.references import parse_fields
from mpbake.base.text import one_line
from mpbake.graph.links import linked_platforms, linked_targets
from mpbake.model.bake_fields import PathAccess, Paths, paths_of, secret_source
from mpbake.spec.files.plan_files import SETTING
from mpbake.spec.problem import Problem
from mpbake.spec.tables.target_tables import ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mpbake.base.errors import KeyPath
    from mpbake.model.plan import PlatformVariant, Target


@dataclass(frozen=True, kw_only=True, slots=True)
class WrittenFolders:
    """The folders that targets write, and the folders above them, which such a build creates, too."""

    folders: frozenset[Path] = frozenset()
    above: frozenset[Path] = frozenset()

    def contain(self, path: Path) -> bool:
        """Whether a build writes the folder `path`, or a folder above or below it."""
        return path in self.above or any(folder in self.folders for folder in (path, *path.parents))


def missing_paths(
    targets: Iterable[Target], root: Path, environment: Mapping[str, str], written: WrittenFolders | None = None
) -> Iterator[Problem]:
    """Yield a problem for each missing folder or file that `targets` or their linked targets name.

    A secret with only an id is missing if `environment` has no variable and `root` no file of that name. The folders
    `written` need not exist yet.
    """
    for target in _with_links(targets):
        yield from _missing_paths_of(target, written or WrittenFolders())
        yield from _unknown_secrets(target, root, environment)


def written_folders(targets: Iterable[Target]) -> WrittenFolders:
    """Return the folders that the outputs of `targets` write."""
    outputs = (parse_fields(output) for target in targets for output in target.outputs)
    folders = {Path(fields["dest"]) for fields in outputs if fields.get("type") == "local" and fields.get("dest")}
    above = (parent for folder in folders for parent in folder.parents)
    return WrittenFolders(folders=frozenset(folders), above=frozenset(above))


def unset_secret_warnings(targets: Iterable[Target], environment: Mapping[str, str]) -> Iterator[str]:
    """Yield a warning for each build secret of `targets`, or of linked targets, whose variable is not set."""
    for target in _with_links(targets):
        for entry in target.attributes.get("secret", ()):
            source = secret_source(entry)
            if source.variable and source.variable not in environment and not source.or_file:
                secret = parse_fields(entry)["id"]
                yield one_line(f"{target.name}: secret {secret} is empty: {source.variable} is not set")


def _with_links(targets: Iterable[Target]) -> Iterable[Target]:
    """Return `targets` and all linked targets. One walk finds the links of all targets that do not vary."""
    targets = tuple(targets)
    of_uniform = linked_targets(*(target for target in targets if not target.varies))
    of_varying = (link for target in targets if target.varies for link in linked_platforms(target, ()))
    return dict.fromkeys((*targets, *of_uniform, *of_varying))


def _missing_paths_of(target: Target, written: WrittenFolders) -> Iterator[Problem]:
    for variant, _ in target.split_by_variant(()):
        for name, value in variant.attributes.items():
            paths = ATTRIBUTES[name].paths if ATTRIBUTES[name].access is PathAccess.NEEDS else Paths.NONE
            for place, path in paths_of(paths, value):
                if paths is Paths.CONTEXT and written.contain(Path(path)):
                    continue
                yield from _missing_path(target, variant.source_key((name, *place)), paths, path)
        yield from _missing_dockerfile(target, variant)


def _missing_path(target: Target, key: KeyPath, paths: Paths, path: str) -> Iterator[Problem]:
    """Yield a problem if `path` does not exist. `paths` is the kind of paths in the attribute at `key`."""
    match paths:
        case Paths.CONTEXT:
            code, exists, kind = Code.MISSING_FOLDER, is_folder(Path(path)), "folder"
        case Paths.SSH:  # the path of an ssh agent is a socket
            code, exists, kind = Code.MISSING_FILE, kind_of(Path(path)) not in {Kind.NOTHING, Kind.LOOSE_LINK}, "file"
        case _:
            code, exists, kind = Code.MISSING_FILE, is_file(Path(path)), "file"
    if not exists:
        yield _wrong_path(code, target, key, f"there is no {kind} {path}")


def _missing_dockerfile(target: Target, variant: PlatformVariant) -> Iterator[Problem]:
    """Yield a problem if the context exists but its Dockerfile does not."""
    inline, path = variant.dockerfile
    if path and not inline and is_folder(Path(variant.attributes["context"])) and not is_file(Path(path)):
        key = variant.source_key(("dockerfile",))
        yield _wrong_path(Code.MISSING_DOCKERFILE, target, key, f"there is no Dockerfile {path}")


def _unknown_secrets(target: Target, root: Path, environment: Mapping[str, str]) -> Iterator[Problem]:
    """Yield a problem for each secret with only an id, if neither a variable nor a file has this id as its name."""
    for index, entry in enumerate(target.attributes.get("secret", ())):
        source = secret_source(entry)
        if source.or_file and source.variable not in environment and not is_file(root / source.variable):
            message = f"{target.name}: {source.variable} is neither a set variable nor a file in the plan's folder"
            hint = "set the variable, or set the source of the secret: env=NAME or src=FILE"
            key = target.source_key(("secret", index))
            yield Problem(code=Code.MISSING_FILE, key=key, message=one_line(message), hint=hint)


def _wrong_path(code: Code, target: Target, key: KeyPath, message: str) -> Problem:
    start = "the plan's folder" if key[:1] == (SETTING,) else "the folder of the file that contains it"
    hint = f"correct the path: it is relative to {start}; the path of a Dockerfile is relative to the build context"
    return Problem(code=code, key=key, message=f"{target.name}: {one_line(message)}", hint=hint)
