"""Targets with their own values known: inheritance, matrix, templates, overrides."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from mpbake.base.codes import Code
from mpbake.base.platforms import PlatformText, parse_platforms, suggest_platform
from mpbake.base.text import did_you_mean, one_line
from mpbake.model.bake_fields import pushes
from mpbake.resolve.names import name_problem, strings_in
from mpbake.resolve.targets.inheritance import InheritedTable, Lineage, last_by_identity, lineages, overrides_for
from mpbake.resolve.targets.matrix import matrix_rows
from mpbake.resolve.targets.paths import PathResolver
from mpbake.resolve.values import drop_empty_strings
from mpbake.spec.attributes import Merge, Scope
from mpbake.spec.problem import Problem
from mpbake.spec.target_tables import ATTRIBUTES, PLATFORM_ATTRIBUTES, PlatformSpec, TargetSpec
from mpbake.spec.value_types import MARKER, NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mpbake.base.errors import KeyPath
    from mpbake.base.platforms import Platform
    from mpbake.resolve.inputs import Inputs, Overrides
    from mpbake.resolve.targets.overrides import SetOverride
    from mpbake.resolve.values import ValueRenderer
    from mpbake.spec.plan_tables import PlanSpec


Values = TypeVar("Values", TargetSpec, PlatformSpec)
_BY_FIELD = tuple(name for name, each in ATTRIBUTES.items() if each.merge is Merge.BY_FIELD)
# They make the rows, and are no part of one.
_NOT_OF_A_ROW = tuple(name for name, attribute in ATTRIBUTES.items() if attribute.scope is not Scope.TARGET)
# What names other tables, and whether it counts at all.
_REFERRING = ("enabled", *(name for name, attribute in ATTRIBUTES.items() if attribute.refers))


@dataclass(frozen=True, kw_only=True, slots=True)
class PlatformPart:
    """Values of a target that hold on some platform, and the family that says where they were written."""

    family: InheritedTable
    values: PlatformSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetDraft:
    """A target whose own values are known, but not yet what they refer to.

    `family` is the table that made it. A `broken` one has been complained of already: it still exists for those who
    refer to it, but draws no further complaints except of its own references. With `perhaps` it is not known whether it
    is enabled. Where the platforms of a target differ, `special` holds for each the attributes that may, which `values`
    then lacks.
    """

    name: str
    family: InheritedTable
    values: TargetSpec
    special: Mapping[Platform, PlatformPart] = field(default_factory=dict)
    broken: bool = False
    perhaps: bool = False

    @property
    def is_unnamed(self) -> bool:
        """Whether it is a row of a matrix whose own name is not known."""
        return self.broken and self.name == self.table and _has_matrix(self.family)

    def may_be(self, name: str) -> bool:
        """Whether it is unnamed, and may be what `name` means."""
        if not self.is_unnamed:
            return False
        written = self.family.raw.get("name", "")
        return bool(written) and name.startswith(MARKER.split(written)[0])

    @property
    def table(self) -> str:
        """The table under `[targets]` that made it."""
        return self.family.table

    @property
    def parts(self) -> Iterable[PlatformPart]:
        """The values that may differ from platform to platform: one for all, or one for each."""
        return self.special.values() or [PlatformPart(family=self.family, values=self.values)]


def draft_targets(
    spec: PlanSpec, scope: dict[str, Any], rendering: ValueRenderer, inputs: Inputs, folder: Callable[[KeyPath], Path]
) -> dict[str, TargetDraft]:
    """One draft for each target, or for each row of its matrix, in the plan's order. `folder` is of a key's file."""
    drafts: dict[str, TargetDraft] = {}
    found = lineages(spec, inputs.settings, rendering.problems)
    for table, lineage in found.items():
        if table.startswith("_"):
            continue
        family = lineage.family(overrides_for(inputs.settings, table))
        drafting = _Drafting(
            lineage=lineage, family=family, scope=scope, rendering=rendering, inputs=inputs, folder=folder
        )
        for draft in drafting.rows():
            if draft.name in drafts and not draft.broken:
                message = f'two targets are called "{one_line(draft.name)}"'
                hint = "give each row of the matrix a name of its own"
                rendering.problems.append(
                    Problem(code=Code.TARGET_TWICE, key=("targets", table), message=message, hint=hint)
                )
            drafts[draft.name] = draft
    settings = [each for each in inputs.settings if not any(draft.may_be(each.pattern) for draft in drafts.values())]
    rendering.problems.extend(_pointless(settings, list(dict.fromkeys([*found, *drafts]))))
    rendering.problems.extend(_of_no_platform(inputs.settings, drafts.values()))
    return drafts


def _pointless(settings: Iterable[SetOverride], names: Sequence[str]) -> Iterator[Problem]:
    """Settings that match no target: misspelt, most likely."""
    for setting in settings:
        if not any(setting.matches(name) for name in names):
            message = f'no target matches "{one_line(setting.pattern)}"'
            hint = did_you_mean(setting.pattern, names, kind="targets")
            yield Problem(code=Code.SETTING_MATCHES_NOTHING, key=setting.key, message=message, hint=hint)


def _of_no_platform(settings: Iterable[SetOverride], drafts: Collection[TargetDraft]) -> Iterator[Problem]:
    """Settings for a platform for which no target that they reach is built: misspelt, most likely."""
    if any(each.broken for each in drafts):
        return
    reached = {platform for draft in drafts for platform in draft.special if platform in draft.family.platforms}
    for setting in settings:
        if setting.platform and setting.platform not in reached:
            own = (draft for draft in drafts if setting.platform in draft.family.platforms)
            built = dict.fromkeys(platform for draft in own for platform in draft.special)
            message = f"no target that it reaches is built for {setting.platform}"
            hint = suggest_platform(setting.platform, built)
            yield Problem(code=Code.SETTING_MATCHES_NOTHING, key=setting.key, message=message, hint=hint)


@dataclass(frozen=True, kw_only=True)
class _Drafting:
    """One family on its way to drafts."""

    lineage: Lineage
    family: InheritedTable
    scope: dict[str, Any]
    rendering: ValueRenderer
    inputs: Inputs
    folder: Callable[[KeyPath], Path]

    def rows(self) -> Iterable[TargetDraft]:
        """One draft for each row of the family's matrix; without a matrix, one."""
        if not _has_matrix(self.family):
            yield self._draft(self.family, self.scope)
            return
        rows = matrix_rows(self.family, self.scope, self.rendering)
        if not rows:
            yield self._broken(self.family.table, self.family, self._literal())
        for row in rows:
            scope = self.scope | row
            yield self._draft(self._row_family(scope), scope)

    def _literal(self) -> dict[str, Any]:
        """What holds for each row whatever its variables are: without templates, and the same on all platforms."""
        differing = {name for special in self.family.platforms.values() for name in special}
        common = self.family.without(differing).raw
        return {name: each for name, each in common.items() if not any(map(MARKER.search, strings_in(each)))}

    def _row_family(self, scope: dict[str, Any]) -> InheritedTable:
        """The family of one row: the command line may set something for this row only."""
        if not self.inputs.settings:
            return self.family
        name = str(self.rendering.value(self.family.raw.get("name", ""), scope, self.family.where, ("name",)))
        own = overrides_for(self.inputs.settings, name, self.family.table)
        # Those of the whole table are made once for all rows; a later one of them counts above an earlier one of a row.
        return (
            self.family if own == overrides_for(self.inputs.settings, self.family.table) else self.lineage.family(own)
        )

    def _draft(self, family: InheritedTable, scope: dict[str, Any]) -> TargetDraft:
        rendering = self.rendering
        before = len(rendering.problems)
        common = family.without((*_NOT_OF_A_ROW, *(PLATFORM_ATTRIBUTES if self._differs(family) else ())))
        rendered, family = family.spread(rendering.value(common.raw, scope, family.where))
        if "checks" in rendered:
            rendered["checks"] = drop_empty_strings(rendered["checks"])
        values = rendering.sound(TargetSpec, rendered, family.where)
        if values is None:
            return self._broken(_known_name(rendered, family), family, rendered)
        values, family = self._once(*_merged(*_compacted(values, family)))
        values, family = _overridden(values, family, self.inputs.overrides)
        sound = len(rendering.problems) == before
        special = self._special(family, values, scope) if sound and self._differs(family) else {}
        name = _name(family, values, rendering.problems) if len(rendering.problems) == before else values.name
        broken = len(rendering.problems) > before
        return TargetDraft(name=name or family.table, family=family, values=values, special=special, broken=broken)

    def _broken(self, name: str, family: InheritedTable, known: Mapping[str, Any]) -> TargetDraft:
        """What is left of a target that has been complained of: those of its references that are `known` and right."""
        right = {
            each: known[each]
            for each in _REFERRING
            if each in known and self.rendering.sound(TargetSpec, {each: known[each]}, family.where)
        }
        perhaps = "enabled" in family.attributes and "enabled" not in right
        values, family = _compacted(TargetSpec.model_validate(right), family)
        values, family = _overridden(values, family, self.inputs.overrides)
        return TargetDraft(name=name, family=family, values=values, broken=True, perhaps=perhaps)

    def _differs(self, family: InheritedTable) -> bool:
        """Whether a target is not the same on all its platforms."""
        mentions = self._own_mentions if family is self.family else self._mentions_platform(family)
        return bool(family.platforms) or mentions

    @cached_property
    def _own_mentions(self) -> bool:
        """The same answer for all rows of a matrix."""
        return self._mentions_platform(self.family)

    def _mentions_platform(self, family: InheritedTable) -> bool:
        values = [each.value for name, each in family.attributes.items() if name in PLATFORM_ATTRIBUTES]
        mentioning = (text for value in values for text in strings_in(value) if "platform" in text)
        return any("platform" in self.rendering.renderer.names(text) for text in mentioning)

    def _special(
        self, family: InheritedTable, values: TargetSpec, scope: dict[str, Any]
    ) -> dict[Platform, PlatformPart]:
        """What holds on each platform of a target, and on those that the command line asks for."""
        platforms = dict.fromkeys((*parse_platforms(values.platforms), *self.inputs.overrides.platforms))
        if not values.platforms:
            message = "differs from platform to platform, but does not say which it is built for"
            hint = 'for example platforms = ["linux/amd64", "linux/arm64"]'
            key = family.where(("platforms",))
            self.rendering.problems.append(Problem(code=Code.PLATFORM_UNKNOWN, key=key, message=message, hint=hint))
        return {platform: self._part(family.on(platform), platform, scope) for platform in platforms}

    def _part(self, family: InheritedTable, platform: Platform, scope: dict[str, Any]) -> PlatformPart:
        raw = {name: value for name, value in family.raw.items() if name in PLATFORM_ATTRIBUTES}
        scope = scope | {"platform": PlatformText(platform)}
        rendered, family = family.spread(self.rendering.value(raw, scope, family.where))
        values = self.rendering.table(PlatformSpec, rendered, family.where)
        values, family = self._once(*_compacted(values, family))
        return PlatformPart(family=family, values=values)

    def _once(self, values: Values, family: InheritedTable) -> tuple[Values, InheritedTable]:
        """Each item of a list where it stands first: bake drops the others, too. Paths of two files may be two."""
        locating = PathResolver(family=family, folder=self.folder)
        stated = {field.replace("_", "-"): getattr(values, field) for field in values.model_fields_set}
        written = {name: each for name, each in stated.items() if isinstance(each, list) and len(each) > 1}
        kept = {name: _first_of_each(locating.items(name, each)) for name, each in written.items()}
        return _keeping(values, family, {name: each for name, each in kept.items() if len(each) < len(written[name])})


def _compacted(values: Values, family: InheritedTable) -> tuple[Values, InheritedTable]:
    """The lists in `values` without empty strings, which mean nothing, and where the rest was written."""
    lists = ((name, value) for name, value in values.written().items() if isinstance(value, list) and "" in value)
    return _keeping(
        values, family, {name: [at for at, item in enumerate(value) if item != ""] for name, value in lists}
    )


def _merged(values: TargetSpec, family: InheritedTable) -> tuple[TargetSpec, InheritedTable]:
    """Entries that templates have made merged with the others, as they would have been if written out."""
    written = values.written()
    kept = {name: last_by_identity(name, written[name]) for name in _BY_FIELD if name in written}
    return _keeping(values, family, {name: each for name, each in kept.items() if len(each) < len(written[name])})


def _first_of_each(items: Sequence[Any]) -> list[int]:
    """Where each of `items` stands first; they may be tables."""
    first: dict[str, int] = {}
    for at, item in enumerate(items):
        first.setdefault(repr(item), at)
    return list(first.values())


def _keeping(
    values: Values, family: InheritedTable, kept: Mapping[str, Sequence[int]]
) -> tuple[Values, InheritedTable]:
    """Only the items at `kept` of the lists that it names, and where they were written."""
    if not kept:
        return values, family
    fields = {name: name.replace("-", "_") for name in kept}
    left = {field: [getattr(values, field)[at] for at in kept[name]] for name, field in fields.items()}
    return values.model_copy(update=left), family.keeping(kept)


def _has_matrix(family: InheritedTable) -> bool:
    """An empty table is no matrix; an empty list is one without rows, which is a mistake."""
    return bool(family.raw.get("matrix", {}) != {})


def _name(family: InheritedTable, values: TargetSpec, problems: list[Problem]) -> str:
    """What a target is called: as its table, or as a matrix says. What is wrong with that becomes a problem."""
    matrix = _has_matrix(family)
    if values.name and not matrix:
        message, hint = "only a matrix names its targets", "a target is called by its table; take the name away"
        problems.append(Problem(code=Code.NAME_WITHOUT_MATRIX, key=family.where(("name",)), message=message, hint=hint))
    name = values.name if matrix else family.table
    if not NAME.fullmatch(name):
        key = family.where(("name",)) if values.name else ("targets", family.table)
        problems.append(name_problem(key, name, matrix=matrix))
    return name


def _known_name(rendered: Mapping[str, Any], family: InheritedTable) -> str:
    """What a target is called whose values are wrong: as its table where its name is one of them."""
    name = rendered.get("name") if _has_matrix(family) else ""
    return name if isinstance(name, str) and NAME.fullmatch(name) else family.table


def _overridden(values: TargetSpec, family: InheritedTable, overrides: Overrides) -> tuple[TargetSpec, InheritedTable]:
    changes: dict[str, Any] = {}
    if overrides.push is not None:
        changes["push"] = overrides.push and bool(values.tags)
    if overrides.push is False and any(map(pushes, values.output)):
        kept = [at for at, each in enumerate(values.output) if not pushes(each)]
        values, family = _keeping(values, family, {"output": kept})
    if overrides.builder:
        changes["builder"] = overrides.builder
    changes |= {name: True for name in ("load", "no_cache", "pull") if getattr(overrides, name)}
    return values.model_copy(update=changes) if changes else values, family
