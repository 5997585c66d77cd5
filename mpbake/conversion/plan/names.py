"""The names that the blocks of a bake file get in the plan."""

from __future__ import annotations

import keyword
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from mpbake.conversion.plan.conversion import Note, NoteKind
from mpbake.conversion.plan.walks import (
    all_expressions,
    literal_pairs,
    loop_names,
    names_in,
    possible_texts,
    walk,
)
from mpbake.conversion.syntax import (
    BakeFile,
    Expression,
    ForList,
    ForObject,
    Function,
    Group,
    Literal,
    Name,
    Target,
    Template,
    TemplateFor,
    Variable,
)
from mpbake.conversion.translation.scope import GLOBALS, KEYWORDS, template_name
from mpbake.resolve.template import Renderer
from mpbake.spec.tables.value_types import NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Kind = TypeVar("Kind", Variable, Function, Group, Target)
_HOOK = re.compile(r"metadata-action|docker-meta|meta-helper")
"""A part of the names of targets that a file from CI replaces, such as the file of docker/metadata-action."""
LINK = "target:"
_MAKES_SOMETHING = frozenset({"tags", "target", "output", "call"})
"""A target without any of these attributes builds nothing that a user could want: it only gives values to others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """The names in the plan, by the names in the bake file. `functions` and `variables` are names in templates.

    `templates` are those `targets` that become templates. `missing` are parents that the bake file does not define.
    `rows` are patterns for the names of all matrix rows.
    """

    variables: Mapping[str, str]
    functions: Mapping[str, str]
    groups: Mapping[str, str]
    targets: Mapping[str, str]
    templates: frozenset[str]
    missing: tuple[str, ...]
    rows: tuple[str, ...]
    notes: tuple[Note, ...]

    @property
    def members(self) -> Mapping[str, str]:
        """The names that a group can list."""
        return {**self.targets, **self.groups}

    def is_known(self, name: str) -> bool:
        """Whether a group can list `name`: a target, a group or a row of a matrix."""
        return name in self.members or _matches(name, self.rows)


def plan_names(file: BakeFile) -> Names:
    """Return the names of everything in a bake file."""
    functions = _function_names(file)
    variables = _variable_names(file, functions)
    groups = {name: _valid(name) for name in blocks_of(file, Group)}
    targets = _TargetNames(file)
    notes = [
        *_renamed("function", blocks_of(file, Function), functions),
        *_renamed("variable", blocks_of(file, Variable), _unless_lower_case(variables)),
        *_renamed("group", blocks_of(file, Group), groups),
        *targets.notes(),
    ]
    return Names(
        variables=variables,
        functions=functions,
        groups=groups,
        targets=targets.names,
        templates=targets.templates,
        missing=targets.missing,
        rows=targets.rows,
        notes=tuple(notes),
    )


def blocks_of(file: BakeFile, kind: type[Kind]) -> dict[str, Kind]:
    """Return the blocks of a kind, by name."""
    return {block.name: block for block in file.blocks if isinstance(block, kind)}


def _valid(name: str) -> str:
    """Return a name of a group or target that a plan accepts: bake also accepts names that begin with a hyphen."""
    return name if NAME.fullmatch(name) else name.lstrip("-") or "_"


def _renamed(kind: str, blocks: Mapping[str, Variable | Function | Group], names: Mapping[str, str]) -> Iterator[Note]:
    for name, block in blocks.items():
        if names[name] != name:
            text = f'the {kind} "{name}" is called "{names[name]}" in the plan'
            yield Note(kind=NoteKind.RENAMED, text=text, place=block.place)


def _unless_lower_case(names: Mapping[str, str]) -> dict[str, str]:
    """Return `names` without the changes that every reader expects: lower case."""
    return {name: name if renamed == name.lower() else renamed for name, renamed in names.items()}


# --- functions and variables ------------------------------------------------------------------------------------------


def matrix_lists(matrix: Expression, variables: Mapping[str, Variable]) -> dict[str, Expression]:
    """Return the lists of a matrix by name, as far as they are known: an object, or a variable with an object."""
    for _ in variables:
        default = variables[matrix.name].default if isinstance(matrix, Name) and matrix.name in variables else None
        matrix = default or matrix
    return literal_pairs(matrix) or {}


def _all_matrix_keys(file: BakeFile) -> set[str]:
    variables = blocks_of(file, Variable)
    matrices = [matrix_entry(target) for target in blocks_of(file, Target).values()]
    keys = {key for matrix in matrices if matrix is not None for key in matrix_lists(matrix, variables)}
    return {template_name(key) for key in keys}


def _function_names(file: BakeFile) -> dict[str, str]:
    """Return the names of the functions. A function must not have the name of a filter or of a matrix variable."""
    renderer = Renderer()
    taken = _all_matrix_keys(file)
    names: dict[str, str] = {}
    for name in blocks_of(file, Function):
        candidate = template_name(name)
        if renderer.has_filter(candidate) or candidate in taken or keyword.iskeyword(candidate):
            candidate = template_name(f"{candidate}_of", [*names.values(), *taken])
        names[name] = template_name(candidate, names.values())
    return names


def _variable_names(file: BakeFile, functions: Mapping[str, str]) -> dict[str, str]:
    """Return the names of the variables: in lower case if this hides nothing, and nothing hides it."""
    variables = blocks_of(file, Variable)
    lower = Counter(_word(_lower_case(name)) for name in variables)
    reserved = {*functions.values(), *_all_matrix_keys(file), *KEYWORDS, *GLOBALS}
    hidden = _hiding_names(file)
    names: dict[str, str] = {}
    for name in variables:
        taken = {*reserved, *hidden.get(name, ()), *names.values()}
        plain, lowered = _word(name), _word(_lower_case(name))
        candidates = [*([lowered] if lower[lowered] == 1 else []), plain, plain.upper()]
        names[name] = next((word for word in candidates if word not in taken), template_name(plain, taken))
    return names


def _word(name: str) -> str:
    """Return a name of HCL, which may contain hyphens, in the characters of a plan's names."""
    return name.replace("-", "_")


def _lower_case(name: str) -> str:
    """Return a name of capitals in lower case, and any other name as it is."""
    return name.lower() if name == name.upper() else name


def _hiding_names(file: BakeFile) -> dict[str, set[str]]:
    """Return, for each variable, the parameters and loop variables that its new name must not have.

    These are the names that exist where the variable is used.
    """
    hiding: dict[str, set[str]] = {}
    for function in blocks_of(file, Function).values():
        for name in names_in(function.result):
            hiding.setdefault(name, set()).update({*function.params, function.variadic})
    for expression in all_expressions(file):
        for part in walk(expression):
            if isinstance(part, ForList | ForObject | TemplateFor):
                for name in names_in(part):
                    hiding.setdefault(name, set()).update(loop_names(part))
    return hiding


# --- targets ----------------------------------------------------------------------------------------------------------


class _TargetNames:
    """Decides which targets become templates, and how targets are called."""

    def __init__(self, file: BakeFile) -> None:
        self._targets = blocks_of(file, Target)
        groups = blocks_of(file, Group)
        self._members = [pattern for group in groups.values() for pattern in possible_texts(group.targets)]
        self._links = [*_links(file)]
        self._parents = [pattern for target in self._targets.values() for pattern in _parents(target)]
        self.rows = tuple(pattern for target in self._targets.values() for pattern in _row_names(target))
        self.templates = frozenset(name for name in self._targets if self._is_template(name))
        self.names = self._names()
        self.missing = self._missing()

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
        return tuple(name for name in dict.fromkeys(parents) if name not in known and not _matches(name, self.rows))

    def _is_template(self, name: str) -> bool:
        target = self._targets[name]
        if _matches(name, self._members) or _matches(name, self._links) or matrix_entry(target):
            return False
        if name.startswith("_"):
            return True
        if name == "default" or not _matches(name, self._parents):
            return False
        return bool(_HOOK.search(name)) or not target.entries or not self._makes_something(name, set())

    def _makes_something(self, name: str, visited: set[str]) -> bool:
        """Whether a target makes an image with a name, a stage or a file, by its own attributes or inherited ones."""
        if name in visited:
            return False
        visited.add(name)
        if _HOOK.search(name) or name not in self._targets:
            return True  # a file from CI gives tags
        target = self._targets[name]
        if not _MAKES_SOMETHING.isdisjoint(entry.name for entry in target.entries):
            return True
        return any(self._makes_something(parent, visited) for parent in _literal_parents(target))

    def _names(self) -> dict[str, str]:
        computed = [pattern for pattern in self._parents if not _is_literal(pattern)]
        names: dict[str, str] = {}
        for name in self._targets:
            wanted = _valid(name)
            if name in self.templates:
                is_free = f"_{name}" not in self._targets and not _matches(name, computed)
                wanted = f"_{name}" if is_free and not name.startswith("_") else name
            elif name.startswith("_"):
                wanted = name.lstrip("_-") or "target"
            while wanted != name and (wanted in self._targets or wanted in names.values()):
                wanted += "-target"
            names[name] = wanted
        self.templates = frozenset(name for name in self.templates if names[name].startswith("_"))
        return names


def matrix_entry(target: Target) -> Expression | None:
    """Return the matrix of a target."""
    return next((entry.value for entry in target.entries if entry.name == "matrix"), None)


def _parents(target: Target) -> Iterator[str]:
    """Yield patterns for the parents of a target."""
    for entry in target.entries:
        if entry.name == "inherits":
            yield from possible_texts(entry.value)


def _literal_parents(target: Target) -> Iterator[str]:
    """Yield the parents of a target that are written as literal names."""
    for pattern in _parents(target):
        if _is_literal(pattern):
            name = re.sub(r"\\(.)", r"\1", pattern)
            if name:
                yield name


def _row_names(target: Target) -> Iterator[str]:
    for entry in target.entries:
        if entry.name == "name":
            yield from possible_texts(entry.value)


def _links(file: BakeFile) -> Iterator[str]:
    """Yield patterns for the targets that `target:NAME` refers to, wherever such a text is in the file."""
    prefix = re.escape(LINK)
    for expression in all_expressions(file):
        for part in walk(expression):
            if isinstance(part, Literal | Template):
                for pattern in possible_texts(part):
                    if pattern.startswith(prefix):
                        yield pattern.removeprefix(prefix)


def _is_literal(pattern: str) -> bool:
    return re.fullmatch(r"(?:[\w-]|\\.)*", pattern) is not None


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(re.fullmatch(pattern, name, re.DOTALL) for pattern in patterns)
