"""The builders that a command line names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.errors import UsageError
from mpbake.base.text import did_you_mean
from mpbake.report.plan.builder_text import DEFAULT_BUILDER_TEXT
from mpbake.resolve import DEFAULT_BUILDER

if TYPE_CHECKING:
    from mpbake.model.plan import Builder, Plan


def named_builders(plan: Plan, names: tuple[str, ...]) -> tuple[Builder, ...]:
    """Return the declared builders with these names; without names, all builders. Raises UsageError."""
    declared = {name: builder for name, builder in plan.builders.items() if not builder.driver.rules.is_automatic}
    unknown = [name for name in names if name not in declared]
    if unknown:
        hint = (
            DEFAULT_BUILDER_TEXT
            if unknown[0] == DEFAULT_BUILDER
            else did_you_mean(unknown[0], declared, kind="builders")
        )
        raise UsageError(f'no builder "{unknown[0]}" is declared', hint=hint)
    return tuple(declared[name] for name in dict.fromkeys(names or declared))
