"""The groups, targets and variables of a plan as text, for `mpbake list`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.text import columns, one_line, shortened
from mpbake.base.toml_text import toml_value

if TYPE_CHECKING:
    from mpbake.model.plan import Group, Plan, Target, Variable

_WIDTH = 80


def list_text(plan: Plan) -> str:
    """Return groups and targets with their descriptions, and variables with the sources of their values."""
    groups = [[group.name, _group_description(group)] for group in plan.groups.values()]
    targets = [[target.name, _target_description(target, plan)] for target in plan.targets.values()]
    lines = []
    if groups:
        lines += ["groups", *columns(groups, indent="  "), ""]
    lines += ["targets", *columns(targets, indent="  ")] if targets else ["no targets"]
    if plan.variables:
        rows = [row for variable in plan.variables for row in _variable_rows(variable)]
        lines += ["", "variables", *(shortened(line, _WIDTH) for line in columns(rows, indent="  "))]
    return "\n".join(lines) + "\n"


def _group_description(group: Group) -> str:
    return _first_line(group.description) or ", ".join(target.name for target in group.targets)


def _target_description(target: Target, plan: Plan) -> str:
    platforms = ", ".join(map(str, target.platforms)) or "the node's own platform"
    description = _first_line(target.description) or f"{platforms} on {target.builder.name}"
    return f"{description} (commands take this name for the group)" if target.name in plan.groups else description


def _variable_rows(variable: Variable) -> list[list[str]]:
    """Return a row with the description of a variable, if there is one, then rows with the sources of the value."""
    described = [text] if (text := _first_line(variable.description)) else []
    names = [variable.name] + [""] * len(described)
    return [list(row) for row in zip(names, [*described, _source(variable)], strict=True)]


def _source(variable: Variable) -> str:
    options = f"{one_line(variable.env)} or --var" if variable.env else "--var"
    if variable.sensitive:
        return f"sensitive: from {options}"
    if variable.default is None:
        return f"no default: from {options}"
    default = one_line(toml_value(variable.default))
    return f"{default}, or from {one_line(variable.env)}" if variable.env else default


def _first_line(text: str) -> str:
    return one_line(text.strip().partition("\n")[0])
