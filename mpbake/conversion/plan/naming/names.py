"""The names that the blocks of a bake file get in the plan."""

from __future__ import annotations

import keyword
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpbake.conversion.parts import walk
from mpbake.conversion.plan.blocks import blocks_of, matrix_entry, matrix_lists
from mpbake.conversion.plan.conversion import Note, NoteKind
from mpbake.conversion.plan.naming.target_names import TargetNames, valid_name
from mpbake.conversion.plan.rewriting.walks import all_expressions, loop_names, names_in
from mpbake.conversion.syntax import (
    BakeFile,
    ForList,
    ForObject,
    Function,
    Group,
    Target,
    TemplateFor,
    Variable,
)
from mpbake.conversion.translation.scope import GLOBALS, KEYWORDS, template_name
from mpbake.resolve.template import Renderer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mpbake.conversion.plan.naming.patterns import NamePatterns


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """The names in the plan, by the names in the bake file. `functions` and `variables` are names in templates.

    `templates` are those `targets` that become templates, and `untagged` the other targets without tags. `missing` are
    parents that the bake file does not define.
    `rows` are patterns for the names of all matrix rows.
    """

    variables: Mapping[str, str]
    functions: Mapping[str, str]
    groups: Mapping[str, str]
    targets: Mapping[str, str]
    templates: frozenset[str]
    untagged: frozenset[str]
    missing: tuple[str, ...]
    rows: NamePatterns
    notes: tuple[Note, ...]

    @property
    def members(self) -> Mapping[str, str]:
        """The names that a group can list."""
        return {**self.targets, **self.groups}

    def is_known(self, name: str) -> bool:
        """Whether a group can list `name`: a target, a group or a row of a matrix."""
        return name in self.members or self.rows.matches(name)


def plan_names(file: BakeFile) -> Names:
    """Return the names of everything in a bake file."""
    functions = _function_names(file)
    variables = _variable_names(file, functions)
    groups = {name: valid_name(name) for name in blocks_of(file, Group)}
    targets = TargetNames(file)
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
        untagged=targets.untagged,
        missing=targets.missing,
        rows=targets.rows,
        notes=tuple(notes),
    )


def _renamed(kind: str, blocks: Mapping[str, Variable | Function | Group], names: Mapping[str, str]) -> Iterator[Note]:
    for name, block in blocks.items():
        if names[name] != name:
            text = f'the {kind} "{name}" is called "{names[name]}" in the plan'
            yield Note(kind=NoteKind.RENAMED, text=text, place=block.place)


def _unless_lower_case(names: Mapping[str, str]) -> dict[str, str]:
    """Return `names` without the changes that every reader expects: lower case."""
    return {name: name if renamed == name.lower() else renamed for name, renamed in names.items()}


# --- functions and variables ------------------------------------------------------------------------------------------


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
