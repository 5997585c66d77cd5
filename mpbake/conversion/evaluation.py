"""Have bake evaluate the expressions that the plan language cannot express. Pure: texts for buildx, and its answers.

`bake --print` prints the arguments of a target. So each expression becomes an argument of a target of its own, which is
added to the bake file. An expression in a matrix gets a target with the same matrix.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from mpbake.conversion.hcl_text import hcl
from mpbake.conversion.syntax import BakeFile, Call, Expression, Literal, Target, Template

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mpbake.conversion.plan.conversion import Frozen, FrozenKey

PREFIX = "mpbake-import-"
"""The start of the names of targets and groups that mpbake adds to a bake file."""
_ROW = "row"
_VALUE = "value"


def evaluation_name(index: int) -> str:
    """Return the name of the target, or of the group of targets, that evaluates the expression with this index."""
    return f"{PREFIX}{index}"


def evaluation_text(frozen: Sequence[Frozen], file: BakeFile) -> str:
    """Return targets in HCL that evaluate expressions of a bake file, next to the blocks of this file."""
    targets = {block.name: block for block in file.blocks if isinstance(block, Target)}
    return "".join(_block(index, entry, targets) for index, entry in enumerate(frozen))


def _block(index: int, frozen: Frozen, targets: Mapping[str, Target]) -> str:
    name = evaluation_name(index)
    lines = [f'target "{name}" {{']
    # Without the encoding, `${` in a value would look different in old and in new buildx.
    arguments: dict[str, Expression] = {_VALUE: Call(function="base64encode", arguments=(_encoded(frozen.expression),))}
    if frozen.target:
        entries = {entry.name: entry.value for entry in targets[frozen.target].entries}
        row = entries.get("name", Literal(value=frozen.target))
        name_of_row = Template(parts=(Literal(value=f"{name}-"), row))
        lines += [f"  matrix = {hcl(entries['matrix'])}", f"  name = {hcl(name_of_row)}"]
        arguments[_ROW] = row
    lines += ["  args = {", *(f"    {key} = {hcl(value)}" for key, value in arguments.items()), "  }", "}", ""]
    return "\n".join(lines)


def _encoded(expression: Expression) -> Expression:
    return Call(function="jsonencode", arguments=(expression,))


def evaluated(frozen: Sequence[Frozen], targets: Mapping[str, Mapping[str, Any]]) -> dict[FrozenKey, Any]:
    """Return the values of expressions from the printed `targets`; for an expression in a matrix, a value for each row.

    Raises ValueError or LookupError if the answer cannot be read.
    """
    values: dict[FrozenKey, Any] = {}
    for index, entry in enumerate(frozen):
        name = evaluation_name(index)
        if not entry.target:
            values[entry.key] = _value(targets[name])
            continue
        rows = [target for row, target in targets.items() if row.startswith(f"{name}-")]
        values[entry.key] = {row["args"][_ROW]: _value(row) for row in rows}
    return values


def _value(target: Mapping[str, Any]) -> Any:
    return json.loads(base64.b64decode(target["args"][_VALUE]))
