"""Target drafts: their values are resolved (inheritance, matrix, templates, overrides), their references are not."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Code
from mpbake.base.platforms import LOCAL, PlatformText, parse_platforms, split_platforms, suggest_platform
from mpbake.base.text import one_line
from mpbake.model.bake_fields import pushes
from mpbake.resolve.names import could_be, name_problem, strings_in
from mpbake.resolve.targets.absent import present_values
from mpbake.resolve.targets.inheritance import InheritedTable, TableLayers, overrides_for
from mpbake.resolve.targets.kept_items import (
    Values,
    first_occurrences,
    keep_items,
    without_empty_items,
    without_replaced_entries,
)
from mpbake.resolve.targets.local_names import LET, LocalNames
from mpbake.resolve.targets.missing_variables import report_missing_variables
from mpbake.resolve.targets.overrides import unmatched_overrides
from mpbake.resolve.targets.parents import Inheritance
from mpbake.resolve.targets.paths import PathResolver
from mpbake.resolve.template import PlanTooLargeError
from mpbake.resolve.values import drop_absent
from mpbake.spec.problem import Problem
from mpbake.spec.tables.attributes import Scope
from mpbake.spec.tables.target_tables import ATTRIBUTES, PLATFORM_ATTRIBUTES, PlatformSpec, TargetSpec
from mpbake.spec.tables.value_types import MARKER, NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mpbake.base.errors import KeyPath
    from mpbake.base.platforms import Platform
    from mpbake.resolve.inputs import Inputs, Overrides
    from mpbake.resolve.targets.matrix import Row
    from mpbake.resolve.targets.overrides import SetOverride
    from mpbake.resolve.values import ValueRenderer
    from mpbake.spec.tables.plan_tables import PlanSpec


MAX_TARGETS = 20_000
"""The maximum number of targets of a plan. mpbake needs half a millisecond and some kilobytes for each."""
# These attributes define the rows of a matrix or the names in templates.
_NOT_IN_ROWS = tuple(name for name, attribute in ATTRIBUTES.items() if attribute.scope is not Scope.TARGET)
# These attributes name other tables, or enable the target.
_REFERENCES = ("enabled", *(name for name, attribute in ATTRIBUTES.items() if attribute.refers))


@dataclass(frozen=True, kw_only=True, slots=True)
class PlatformPart:
    """The values of a target for one platform or for all, and the table that records where each value was written."""

    table: InheritedTable
    values: PlatformSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetDraft:
    """A target whose values are resolved, but whose references to other tables are not.

    `table` is the table that defines the target. A `broken` draft already has problems: other targets can still refer
    to the draft, but mpbake checks nothing except the draft's own references. `enabled_unknown` says that the value of
    `enabled` has a problem. If the platforms differ, `by_platform` holds, for each platform, the attributes that may
    differ, and `values` lacks these attributes.
    """

    name: str
    table: InheritedTable
    values: TargetSpec
    by_platform: Mapping[Platform, PlatformPart] = field(default_factory=dict)
    broken: bool = False
    enabled_unknown: bool = False

    @property
    def is_unnamed(self) -> bool:
        """Whether the draft is a matrix row with an unknown name."""
        return self.broken and self.name == self.table_name and self.table.has_matrix

    def could_be_named(self, name: str) -> bool:
        """Whether the draft is unnamed and could have the name `name`."""
        return self.is_unnamed and could_be(self.table.raw.get("name", ""), name)

    @property
    def table_name(self) -> str:
        """The name of the draft's table under `[targets]`."""
        return self.table.name

    @property
    def parts(self) -> Iterable[PlatformPart]:
        """The values that may differ between platforms: one `PlatformPart` for all platforms, or one for each."""
        return self.by_platform.values() or [PlatformPart(table=self.table, values=self.values)]


def draft_targets(
    spec: PlanSpec, scope: dict[str, Any], renderer: ValueRenderer, inputs: Inputs, folder: Callable[[KeyPath], Path]
) -> dict[str, TargetDraft]:
    """Return one draft for each target or matrix row, in plan order. `folder` returns the folder of a key's file."""
    inheritance = Inheritance(spec, scope, renderer, inputs.set_overrides)
    names = [name for name in spec.targets if not name.startswith("_")]
    _check_count(names, inheritance)
    drafts: dict[str, TargetDraft] = {}
    for name in names:
        table = _TableDrafter(
            name=name, inheritance=inheritance, scope=scope, renderer=renderer, inputs=inputs, folder=folder
        )
        for draft in table.drafts():
            if draft.name in drafts and not draft.broken:
                message = f'two targets are called "{one_line(draft.name)}"'
                hint = "give each row of the matrix its own name"
                renderer.problems.append(
                    Problem(code=Code.TARGET_TWICE, key=("targets", name), message=message, hint=hint)
                )
            drafts[draft.name] = draft
    overrides = [
        override
        for override in inputs.set_overrides
        if not any(draft.could_be_named(override.pattern) for draft in drafts.values())
    ]
    renderer.problems.extend(unmatched_overrides(overrides, list(dict.fromkeys([*spec.targets, *drafts]))))
    renderer.problems.extend(_overrides_without_platform(inputs.set_overrides, drafts.values()))
    return drafts


def _check_count(names: Sequence[str], inheritance: Inheritance) -> None:
    """Raise PlanTooLargeError if the tables and matrix rows are more targets than a plan may have."""
    targets = 0
    for name in names:
        targets += len(inheritance.rows(name)) if inheritance.has_matrix(name) else 1
        if targets > MAX_TARGETS:
            raise PlanTooLargeError(f"the plan has more than {MAX_TARGETS} targets", key=("targets", name))


def _overrides_without_platform(overrides: Iterable[SetOverride], drafts: Collection[TargetDraft]) -> Iterator[Problem]:
    """Yield a problem for each override whose platform no matching target builds for, most likely a typo."""
    if any(draft.broken for draft in drafts):
        return
    effective = {platform for draft in drafts for platform in draft.by_platform if platform in draft.table.platforms}
    for override in overrides:
        if override.platform and override.platform not in effective:
            matched = (draft for draft in drafts if override.platform in draft.table.platforms)
            built = dict.fromkeys(platform for draft in matched for platform in draft.by_platform)
            message = f"no matching target is built for {override.platform}"
            hint = suggest_platform(override.platform, built)
            yield Problem(code=Code.SETTING_MATCHES_NOTHING, key=override.key, message=message, hint=hint)


@dataclass(frozen=True, kw_only=True)
class _TableDrafter:
    """Makes the drafts of one table: of its only target, or of each row of its matrix."""

    name: str
    inheritance: Inheritance
    scope: dict[str, Any]
    renderer: ValueRenderer
    inputs: Inputs
    folder: Callable[[KeyPath], Path]

    def drafts(self) -> Iterator[TargetDraft]:
        """Yield one draft for each row of the table's matrix, or a single draft if the table has no matrix."""
        if not self.inheritance.has_matrix(self.name):
            yield self._draft({}, {})
            return
        rows = self.inheritance.rows(self.name)
        if not rows:
            yield self._drafter(self.inheritance.own_layers(self.name)).without_rows()
        drafters: dict[TableLayers, _Drafter] = {}
        for row in rows:
            yield self._draft(row, drafters)

    def _draft(self, row: Row, drafters: dict[TableLayers, _Drafter]) -> TargetDraft:
        """Return the draft of a row; it is empty without a matrix. `drafters` holds the drafters of earlier rows."""
        self.renderer.templates.budget.spend(len(self.scope) if row else 0)
        scope = self.scope | row
        problems = self.renderer.problems
        problems_before = len(problems)
        layers = self.inheritance.layers(self.name, scope)
        if layers not in drafters:
            drafters[layers] = self._drafter(layers)
        draft = drafters[layers].draft(scope)
        if len(problems) > problems_before:
            report_missing_variables(problems, problems_before, self.name, row, self.inheritance)
        return draft

    def _drafter(self, layers: TableLayers) -> _Drafter:
        table = layers.merged(overrides_for(self.inputs.set_overrides, self.name))
        return _Drafter(layers=layers, table=table, renderer=self.renderer, inputs=self.inputs, folder=self.folder)


@dataclass(frozen=True, kw_only=True)
class _Drafter:
    """Makes the drafts of the rows of a table that share their parents, or of a table without a matrix."""

    layers: TableLayers
    table: InheritedTable
    renderer: ValueRenderer
    inputs: Inputs
    folder: Callable[[KeyPath], Path]

    def draft(self, scope: dict[str, Any]) -> TargetDraft:
        """Return the draft of the target whose templates use the values of `scope`."""
        return self._draft(self._table_of_row(scope) if self.table.has_matrix else self.table, scope)

    def without_rows(self) -> TargetDraft:
        """Return the draft of a matrix whose rows are unknown because of a problem."""
        return self._broken(self.table.name, self.table, self._literal_values())

    def _literal_values(self) -> dict[str, Any]:
        """Return the values that are the same in each row and on each platform: values without templates."""
        differing = {name for attributes in self.table.platforms.values() for name in attributes}
        common = self.table.without(differing).raw
        return {name: value for name, value in common.items() if not any(map(MARKER.search, strings_in(value)))}

    def _table_of_row(self, scope: dict[str, Any]) -> InheritedTable:
        """Return the table with the overrides of one row: `--set` may change a single row."""
        overrides = self.inputs.set_overrides
        if not overrides:
            return self.table
        scope = self._local_names.scope(scope)
        name = str(self.renderer.render(self.table.raw.get("name", ""), scope, self.table.key_of, ("name",)) or "")
        row_overrides = overrides_for(overrides, name, self.table.name)
        if row_overrides == overrides_for(overrides, self.table.name):
            return self.table  # rows without overrides of their own share one table
        # Apply all overrides again, in order: a later override of the table wins over an earlier override of the row.
        return self.layers.merged(row_overrides)

    def _draft(self, table: InheritedTable, scope: dict[str, Any]) -> TargetDraft:
        renderer = self.renderer
        problems_before = len(renderer.problems)
        if LET in table.attributes:
            names = self._local_names if table is self.table else LocalNames(table=table, renderer=renderer)
            scope = names.scope(scope)
        common = table.without((*_NOT_IN_ROWS, *(PLATFORM_ATTRIBUTES if self._platforms_differ(table) else ())))
        rendered, table = table.expand(renderer.render(common.raw, scope, table.key_of))
        rendered, table = present_values(table, rendered, scope, renderer)
        if "checks" in rendered:
            rendered["checks"] = drop_absent(rendered["checks"])
        rendered, table = self._with_plain_platforms(rendered, table)
        values = renderer.validated_or_none(TargetSpec, rendered, table.key_of)
        if values is None:
            return self._broken(_name_of_broken(rendered, table), table, rendered)
        values, table = self._without_duplicates(*without_replaced_entries(*without_empty_items(values, table)))
        values, table = _with_global_overrides(values, table, self.inputs.overrides)
        is_valid = len(renderer.problems) == problems_before
        by_platform = self._by_platform(table, values, scope) if is_valid and self._platforms_differ(table) else {}
        is_valid = len(renderer.problems) == problems_before
        name = _checked_name(table, values, renderer.problems) if is_valid else values.name
        broken = len(renderer.problems) > problems_before
        return TargetDraft(name=name or table.name, table=table, values=values, by_platform=by_platform, broken=broken)

    def _with_plain_platforms(
        self, rendered: dict[str, Any], table: InheritedTable
    ) -> tuple[dict[str, Any], InheritedTable]:
        """Split platforms with commas between them, and replace `local` by the platform of this machine."""
        items = rendered.get("platforms")
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            return rendered, table
        if not any("," in item or item.lower() == LOCAL for item in items):
            return rendered, table
        parts = [(index, part) for index, item in enumerate(items) for part in split_platforms(item)]
        local = next((index for index, part in parts if part.lower() == LOCAL), None)
        if local is not None and not self.inputs.machine:
            message, hint = "the platform of this machine is unknown", "name the platform: linux/amd64"
            key = table.key_of(("platforms", local))
            self.renderer.problems.append(Problem(code=Code.BAD_PLATFORM, key=key, message=message, hint=hint))
        platforms = [self.inputs.machine if part.lower() == LOCAL else part for _, part in parts]
        return {**rendered, "platforms": platforms}, table.keep_items({"platforms": [index for index, _ in parts]})

    def _broken(self, name: str, table: InheritedTable, known: Mapping[str, Any]) -> TargetDraft:
        """Return the draft of a target with problems. The draft keeps those `known` references that are valid."""
        valid = {
            attribute: known[attribute]
            for attribute in _REFERENCES
            if attribute in known
            and self.renderer.validated_or_none(TargetSpec, {attribute: known[attribute]}, table.key_of)
        }
        enabled_unknown = "enabled" in table.attributes and "enabled" not in valid
        values, table = without_empty_items(TargetSpec.model_validate(valid), table)
        values, table = _with_global_overrides(values, table, self.inputs.overrides)
        return TargetDraft(name=name, table=table, values=values, broken=True, enabled_unknown=enabled_unknown)

    def _platforms_differ(self, table: InheritedTable) -> bool:
        """Whether the values of a target may differ between its platforms."""
        mentions = self._table_mentions_platform if table is self.table else self._mentions_platform(table)
        return bool(table.platforms) or mentions

    @cached_property
    def _local_names(self) -> LocalNames:
        return LocalNames(table=self.table, renderer=self.renderer)

    @cached_property
    def _table_mentions_platform(self) -> bool:
        """Whether the table mentions the platform (`_mentions_platform`); cached for all rows that share the table."""
        return self._mentions_platform(self.table)

    def _mentions_platform(self, table: InheritedTable) -> bool:
        values = [written.value for name, written in table.attributes.items() if name in PLATFORM_ATTRIBUTES]
        candidates = (text for value in values for text in strings_in(value) if "platform" in text)
        return any("platform" in self.renderer.templates.names(text) for text in candidates)

    def _by_platform(
        self, table: InheritedTable, values: TargetSpec, scope: dict[str, Any]
    ) -> dict[Platform, PlatformPart]:
        """Return the values for each platform of the target, and for each platform on the command line."""
        platforms = dict.fromkeys((*parse_platforms(values.platforms), *self.inputs.overrides.platforms))
        if not values.platforms:
            message = "values depend on the platform, but `platforms` is not set"
            hint = 'set `platforms`, for example platforms = ["linux/amd64", "linux/arm64"]'
            key = table.key_of(("platforms",))
            self.renderer.problems.append(Problem(code=Code.PLATFORM_UNKNOWN, key=key, message=message, hint=hint))
        return {platform: self._part(table.on(platform), platform, scope) for platform in platforms}

    def _part(self, table: InheritedTable, platform: Platform, scope: dict[str, Any]) -> PlatformPart:
        raw = {name: value for name, value in table.raw.items() if name in PLATFORM_ATTRIBUTES}
        scope = scope | {"platform": PlatformText(platform)}
        rendered, table = table.expand(self.renderer.render(raw, scope, table.key_of))
        rendered, table = present_values(table, rendered, scope, self.renderer)
        values = self.renderer.validated(PlatformSpec, rendered, table.key_of)
        values, table = self._without_duplicates(*without_empty_items(values, table))
        return PlatformPart(table=table, values=values)

    def _without_duplicates(self, values: Values, table: InheritedTable) -> tuple[Values, InheritedTable]:
        """Remove repeated list items, as bake does. Compare paths as absolute paths: each file has its own folder."""
        resolver = PathResolver(table=table, folder=self.folder)
        stated = {field.replace("_", "-"): getattr(values, field) for field in values.model_fields_set}
        lists = {name: value for name, value in stated.items() if isinstance(value, list) and len(value) > 1}
        kept = {name: first_occurrences(resolver.items(name, items)) for name, items in lists.items()}
        return keep_items(
            values, table, {name: indices for name, indices in kept.items() if len(indices) < len(lists[name])}
        )


def _checked_name(table: InheritedTable, values: TargetSpec, problems: list[Problem]) -> str:
    """Return the name of a target, from its table or its matrix, and report problems with this name."""
    matrix = table.has_matrix
    if values.name and not matrix:
        message, hint = "`name` requires `matrix`", "remove it: the target is named after its table"
        problems.append(Problem(code=Code.NAME_WITHOUT_MATRIX, key=table.key_of(("name",)), message=message, hint=hint))
    name = values.name if matrix else table.name
    if not NAME.fullmatch(name):
        key = table.key_of(("name",)) if values.name else ("targets", table.name)
        problems.append(name_problem(key, name, matrix=matrix))
    return name


def _name_of_broken(rendered: Mapping[str, Any], table: InheritedTable) -> str:
    """Return the name of a target with invalid values; if this name is invalid too, return the name of the table."""
    name = rendered.get("name") if table.has_matrix else ""
    return name if isinstance(name, str) and NAME.fullmatch(name) else table.name


def _with_global_overrides(
    values: TargetSpec, table: InheritedTable, overrides: Overrides
) -> tuple[TargetSpec, InheritedTable]:
    changes: dict[str, Any] = {}
    if overrides.push is not None:
        changes["push"] = overrides.push and bool(values.tags)
    if overrides.push is False and any(map(pushes, values.output)):
        kept = [index for index, output in enumerate(values.output) if not pushes(output)]
        values, table = keep_items(values, table, {"output": kept})
    if overrides.builder:
        changes["builder"] = overrides.builder
    changes |= {name: True for name in ("load", "no_cache", "pull") if getattr(overrides, name)}
    return values.model_copy(update=changes) if changes else values, table
