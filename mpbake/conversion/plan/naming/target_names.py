"""The names of targets in the plan, and which targets become templates."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from mpbake.conversion.parts import walk
from mpbake.conversion.plan.blocks import blocks_of, entry_of, matrix_entry
from mpbake.conversion.plan.conversion import Note, NoteKind
from mpbake.conversion.plan.fields import with_field_texts
from mpbake.conversion.plan.naming.patterns import NamePatterns, literal_name, name_patterns
from mpbake.conversion.plan.naming.row_names import row_patterns
from mpbake.conversion.plan.rewriting.walks import all_expressions, possible_texts
from mpbake.conversion.syntax import BakeFile, Function, Group, Item, ListOf, Literal, Target, Template, Variable
from mpbake.model.bake_fields import pushes
from mpbake.spec.tables.value_types import NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mpbake.conversion.syntax import Expression

LINK = "target:"
_HOOK = re.compile(r"metadata-action|docker-meta|meta-helper")
"""A part of the names of targets that a file from CI replaces, such as the file of docker/metadata-action."""
_MAKES_SOMETHING = frozenset({"tags", "target", "call"})
"""A target without any of these attributes, and without output, builds nothing that a user could want."""


def valid_name(name: str) -> str:
    """Return a name of a group or target that a plan accepts: bake also accepts names that begin with a hyphen."""
    return name if NAME.fullmatch(name) else name.lstrip("-") or "_"


class TargetNames:
    """Decides which targets become templates, and how targets are called.

    `templates` are those targets that only give values to others. `untagged` are the others without any tag, not even
    an inherited one. `missing` are parents that the file does not define. `rows` are patterns for the names of all
    matrix rows. All names are those of the bake file; `names` maps them to the plan's.
    """

    def __init__(self, file: BakeFile) -> None:
        self._targets = blocks_of(file, Target)
        groups = blocks_of(file, Group)
        self._members = {name: name_patterns(possible_texts(group.targets)) for name, group in groups.items()}
        self._links = name_patterns(_links(file))
        self._parents = name_patterns(pattern for target in self._targets.values() for pattern in _parents(target))
        variables = blocks_of(file, Variable)
        functions = blocks_of(file, Function)
        rows = (row_patterns(target, variables, functions) for target in self._targets.values())
        self.rows = name_patterns(itertools.chain.from_iterable(rows))
        self.templates = frozenset(name for name in self._targets if self._is_template(name))
        self.names = self._names()
        self.missing = self._missing()
        self.untagged = frozenset(name for name in self._targets if self._is_untagged(name))

    def notes(self) -> Iterator[Note]:
        """Yield a note for each target with another name, and for each parent that the file does not define."""
        for name, plan_name in self.names.items():
            if name == plan_name:
                continue
            place = self._targets[name].place
            text = f'the target "{name}" is called "{plan_name}" in the plan'
            if name in self.templates:
                text = f'the target "{name}", which only gives values to others, becomes the template "{plan_name}"'
            yield Note(kind=NoteKind.RENAMED, text=text, place=place)

    def _missing(self) -> tuple[str, ...]:
        """Return the parents that no block defines, in order, such as the target that docker/metadata-action makes."""
        parents = [text for target in self._targets.values() for text in _literal_parents(target)]
        known = {*self._targets}
        return tuple(name for name in dict.fromkeys(parents) if name not in known and not self.rows.matches(name))

    def _is_template(self, name: str) -> bool:
        target = self._targets[name]
        if self._is_member(name) or self._links.matches(name) or matrix_entry(target):
            return False
        if name.startswith("_"):
            return True
        if name == "default" or not self._parents.matches(name):
            return False
        return bool(_HOOK.search(name)) or not self._is_useful(name)

    def _is_member(self, name: str) -> bool:
        """Whether a group lists a target. A name that is also a group means the target only in this group."""
        groups = [self._members[name]] if name in self._members else self._members.values()
        return any(patterns.matches(name) for patterns in groups)

    def _is_useful(self, name: str) -> bool:
        """Whether `bake NAME` makes something: an image with a name, a stage or a file.

        An image that is pushed needs a name, which can come from CI.
        """
        lineage = list(self._lineage(name))
        if any(_HOOK.search(parent) for target in lineage for parent in _literal_parents(target)):
            return True
        attributes = {entry.name for target in lineage for entry in target.entries}
        outputs = [output for target in lineage if (output := entry_of(target, "output"))]
        if outputs and all(map(_only_pushes, outputs)):
            return "tags" in attributes
        return bool(outputs) or not _MAKES_SOMETHING.isdisjoint(attributes)

    def _is_untagged(self, name: str) -> bool:
        """Whether a target that can be built has no tags, and inherits none unless CI gives some."""
        if name in self.templates:
            return False
        lineage = list(self._lineage(name))
        tags = [tags for target in lineage if (tags := entry_of(target, "tags")) is not None]
        if entry_of(self._targets[name], "tags") is not None:
            return _is_empty(tags[0])
        if not all(map(_is_empty, tags)):
            return False
        parents = [pattern for target in lineage for pattern in _parents(target)]
        literal = [parent for target in lineage for parent in _literal_parents(target)]
        known = {*self._targets, *self.missing}
        return len(parents) == len(literal) and all(parent in known for parent in literal)

    def _lineage(self, name: str) -> Iterator[Target]:
        """Yield a target and all targets that it inherits, as far as their names are literal."""
        names = dict.fromkeys([name])
        pending = [name]
        for current in pending:
            target = self._targets[current]
            yield target
            parents = [parent for parent in _literal_parents(target) if parent in self._targets and parent not in names]
            names |= dict.fromkeys(parents)
            pending += parents

    def _names(self) -> dict[str, str]:
        computed = NamePatterns(computed=self._parents.computed)
        names: dict[str, str] = {}
        for name in self._targets:
            wanted = valid_name(name)
            if name in self.templates:
                is_free = f"_{name}" not in self._targets and not computed.matches(name)
                wanted = f"_{name}" if is_free and not name.startswith("_") else name
            elif name.startswith("_"):
                wanted = name.lstrip("_-") or "target"
            while wanted != name and (wanted in self._targets or wanted in names.values()):
                wanted += "-target"
            names[name] = wanted
        self.templates = frozenset(name for name in self.templates if names[name].startswith("_"))
        return names


def _only_pushes(output: Expression) -> bool:
    """Whether a literal output only pushes images."""
    listed = with_field_texts("output", output)
    texts = [item.value.value if isinstance(item.value, Literal) else None for item in _items(listed)]
    return bool(texts) and all(isinstance(text, str) and pushes(text) for text in texts)


def _is_empty(entries: Expression) -> bool:
    return isinstance(entries, ListOf) and not entries.items


def _items(output: Expression) -> tuple[Item, ...]:
    return output.items if isinstance(output, ListOf) else ()


def _parents(target: Target) -> Iterator[str]:
    """Yield patterns for the parents of a target."""
    inherits = entry_of(target, "inherits")
    if inherits is not None:
        yield from possible_texts(inherits)


def _literal_parents(target: Target) -> Iterator[str]:
    """Yield the parents of a target that are written as literal names."""
    for pattern in _parents(target):
        name = literal_name(pattern)
        if name:
            yield name


def _links(file: BakeFile) -> Iterator[str]:
    """Yield patterns for the targets that `target:NAME` refers to, wherever such a text is in the file."""
    prefix = re.escape(LINK)
    for expression in all_expressions(file):
        for part in walk(expression):
            if isinstance(part, Literal | Template):
                for pattern in possible_texts(part):
                    if pattern.startswith(prefix):
                        yield pattern.removeprefix(prefix)
