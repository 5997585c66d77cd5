"""The rights that targets and builders need. Pure, apart from `real`, which resolves the symlinks of paths."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.base.files import real_path
from mpbake.graph.links import linked_targets
from mpbake.model.grants import Grant, GrantKind, contains
from mpbake.review.grants.table import GRANT_ROWS, BuilderRow, TargetRow
from mpbake.spec.files.discovery import FILE_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping
    from typing import Any

    from mpbake.model.plan import Builder, Target

    _Use = tuple[GrantKind, str, str]
    """A use: the kind of right, the value, and the user."""

_PRIVATE_FOLDERS = (".git", ".mpbake")
_DISTANT = "../../../"


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanContext:
    """The facts that decide which rights a plan needs, besides its targets and builders.

    - `files`: the files of the plan, which no target may overwrite.
    - `named_in`: returns the files that a configuration of buildkitd names. By default, no configuration is read.
    - `as_written`: an absolute path stays absolute; otherwise it becomes relative to the plan's folder if it is near.
    """

    files: tuple[Path, ...] = ()
    named_in: Callable[[Path], Iterable[Path]] = lambda _: ()
    as_written: bool = False


_PLAIN = PlanContext()


def needed_grants(
    targets: Iterable[Target], root: Path, real: Callable[[str], str] = real_path, context: PlanContext = _PLAIN
) -> tuple[Grant, ...]:
    """Return the rights that a run of `targets`, their links and their builders needs, the most dangerous first.

    `root` is the plan's folder, where relative paths start. `real` resolves the symlinks of an absolute path.
    """
    targets = tuple(targets)
    every_target = tuple(dict.fromkeys((*targets, *linked_targets(*targets))))
    builders = {target.builder.name: target.builder for target in targets}.values()
    paths = _Paths(root=str(root), real=cache(real), context=context)
    return paths.grants([*_uses_of_targets(every_target), *paths.uses_of_builders(builders, up=False)])


def grants_of_builders(
    builders: Iterable[Builder], root: Path, real: Callable[[str], str] = real_path, context: PlanContext = _PLAIN
) -> tuple[Grant, ...]:
    """Return the rights that `mpbake builders up` needs for `builders`, as `needed_grants` does."""
    paths = _Paths(root=str(root), real=cache(real), context=context)
    return paths.grants(paths.uses_of_builders(builders, up=True))


def _uses_of_targets(targets: Iterable[Target]) -> Iterator[_Use]:
    rows = [row for row in GRANT_ROWS if isinstance(row, TargetRow)]
    for target in targets:
        for attributes in _attributes(target):
            for row in rows:
                yield from ((row.kind, value, f"{target.name}.{name}") for name, value in row.find(attributes))


def _attributes(target: Target) -> Iterator[Mapping[str, Any]]:
    """Yield the attributes of each variant of a target, with its outputs."""
    for variant, _ in target.split_by_variant(()):
        yield {**variant.attributes, **({"output": list(target.outputs)} if target.outputs else {})}


@dataclass(frozen=True, kw_only=True)
class _Paths:
    """The paths of a plan in the folder `root`: which of them need a right, and their names."""

    root: str
    real: Callable[[str], str]
    context: PlanContext

    def uses_of_builders(self, builders: Iterable[Builder], *, up: bool) -> Iterator[_Use]:
        """Yield the uses of builders by a run; with `up`, by `mpbake builders up`."""
        rows = [row for row in GRANT_ROWS if isinstance(row, BuilderRow) and (up or not row.only_up)]
        for builder, row in product(builders, rows):
            values = row.find(builder)
            if row.named_in_file:
                values = (str(path) for file in values for path in self.context.named_in(Path(self.root, file)))
            yield from ((row.kind, value, f"builder {builder.name}") for value in values)

    def grants(self, uses: Iterable[_Use]) -> tuple[Grant, ...]:
        """Return one grant for each right, with all its users. Rights of a kind are in the order of their uses."""
        needed = [
            (kind, value, user) for kind, value, user in uses if not kind.is_path or self._needs_right(kind, value)
        ]
        values: dict[tuple[GrantKind, str], str] = {}
        users: dict[tuple[GrantKind, str], dict[str, None]] = {}
        for kind, value, _ in needed:
            values.setdefault(self._key(kind, value), self._shown(value) if kind.is_path else value)
        for kind, value, user in needed:
            key = self._key(kind, value)
            widest = self._widest(key, values)
            owners = {owner.partition(".")[0] for owner in users.get(widest, ())}
            if key == widest or user.partition(".")[0] not in owners:  # a context includes its Dockerfile
                users.setdefault(widest, {})[user] = None
        order = list(GrantKind)
        return tuple(
            Grant(kind=key[0], value=values[key], users=tuple(users[key]))
            for key in sorted(users, key=lambda key: order.index(key[0]))
        )

    def _key(self, kind: GrantKind, value: str) -> tuple[GrantKind, str]:
        """Return what identifies a right: the resolved path, or the value."""
        return kind, self._real(value) if kind.is_path else value

    def _widest(self, key: tuple[GrantKind, str], needed: Container[tuple[GrantKind, str]]) -> tuple[GrantKind, str]:
        """Return the needed right that includes the right `key`: the right to the outermost folder around its path."""
        kind, path = key
        folders = [path] if kind.is_path else []
        while folders and folders[-1] != posixpath.dirname(folders[-1]):
            folders.append(posixpath.dirname(folders[-1]))
        return next(((kind, folder) for folder in reversed(folders) if (kind, folder) in needed), key)

    def _needs_right(self, kind: GrantKind, path: str) -> bool:
        resolved, folder = self._real(path), self.real(self.root)
        if not contains(folder, resolved):
            return True
        return kind is GrantKind.WRITE and self._is_private(resolved, folder)

    def _is_private(self, path: str, folder: str) -> bool:
        """Whether a path in the plan's folder belongs to git, to mpbake or to the plan, or contains such files."""
        if set(_PRIVATE_FOLDERS) & set(posixpath.relpath(path, folder).split("/")):
            return True
        private = [posixpath.join(folder, name) for name in (*_PRIVATE_FOLDERS, *FILE_NAMES)]
        private += [self.real(str(file)) for file in self.context.files]
        return any(contains(path, kept) for kept in private)

    def _real(self, path: str) -> str:
        return self.real(posixpath.join(self.root, path))

    def _shown(self, path: str) -> str:
        """Return a path as the value of a grant: the path as written, or the path to which symlinks lead."""
        resolved, folder = self._real(path), self.real(self.root)
        written = posixpath.normpath(posixpath.join(folder, path))
        if resolved == written and not posixpath.isabs(path):
            return posixpath.normpath(path)
        if resolved == written and self.context.as_written:
            return written
        relative = posixpath.relpath(resolved, folder)
        is_near = posixpath.commonpath((resolved, folder)) != "/" and not relative.startswith(_DISTANT)
        return relative if is_near else resolved
