"""Turn drafts into targets, in which references to other targets and to builders are objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Code
from mpbake.base.platforms import parse_platforms
from mpbake.base.references import parse_fields, parse_reference
from mpbake.base.text import count, one_line, parse_duration
from mpbake.model.bake_fields import pushes
from mpbake.model.plan import Builder, Check, PlatformVariant, Target
from mpbake.resolve.builders.declared import DEFAULT_BUILDER
from mpbake.resolve.names import UnknownReferences, topological_order
from mpbake.resolve.targets.drafts import PlatformPart, TargetDraft
from mpbake.resolve.targets.paths import PathResolver
from mpbake.spec.problem import Problem
from mpbake.spec.tables.target_tables import ATTRIBUTES, TargetSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mpbake.base.errors import KeyPath
    from mpbake.spec.files.plan_files import PlanFiles
    from mpbake.spec.tables.plan_tables import PlanSpec


_LINK = "target:"
_DECIDED_BY_TAGS = {
    "name": ("`name` is not supported in an output that pushes", "list the image names in `tags`"),
    "push-by-digest": (
        "`push-by-digest` is not supported in an output that pushes",
        "remove it: mpbake pushes by digest and gives the tags when the image is complete",
    ),
}
"""Output fields that mpbake sets from a target's tags, each with message and hint for a plan that sets the field."""
_MAX_LISTED = 8
"""The maximum number of matrix rows that a hint lists."""
MAX_NEEDS = 1_000_000
"""The maximum number of dependencies of all targets of a plan together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _References:
    """The names of the targets that a draft refers to.

    `needs` maps the name of each dependency to the index of its entry in `needs`. `links` maps, for each `PlatformPart`
    of the draft, the name of each named context to the linked target.
    """

    needs: Mapping[str, int]
    links: tuple[Mapping[str, str], ...]


class _TargetNames:
    """The names that a reference may use, and a budget for dependencies.

    `rows` maps each name to the names of its targets: the target itself, or the rows of a matrix. `needs_left` is the
    number of dependencies that the plan may still have.
    """

    def __init__(self, drafts: Mapping[str, TargetDraft]) -> None:
        rows: dict[str, list[str]] = {}
        for draft in drafts.values():
            rows.setdefault(draft.table_name, []).append(draft.name)
        self.rows = rows | {name: [name] for name in drafts}
        self.unknown = UnknownReferences(Code.UNKNOWN_TARGET, self.rows)
        self.needs_left = MAX_NEEDS
        self._unnamed = [draft for draft in drafts.values() if draft.is_unnamed]

    def could_be_unnamed_row(self, name: str) -> bool:
        """Whether a row of a matrix with an unknown name could be called `name`."""
        return any(draft.could_be_named(name) for draft in self._unnamed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Linker:
    """Turns drafts into targets whose builder, dependencies and links are objects."""

    builders: Mapping[str, Builder]
    drafts: Mapping[str, TargetDraft]
    spec: PlanSpec
    plan_files: PlanFiles
    problems: list[Problem]

    def targets(self) -> dict[str, Target]:
        """Return every enabled target by name, in plan order."""
        names = _TargetNames(self.drafts)
        enabled = {name: draft for name, draft in self.drafts.items() if draft.values.enabled}
        references = {name: self._references(draft, names) for name, draft in enabled.items()}
        edges = {
            name: [*referred.needs, *(linked for links in referred.links for linked in links.values())]
            for name, referred in references.items()
        }
        targets: dict[str, Target] = {}
        for name in topological_order(edges, lambda name: ("targets", self.drafts[name].table_name), self.problems):
            targets[name] = self._target(self.drafts[name], references[name], targets)
        return {name: targets[name] for name in enabled}

    def _report(self, code: Code, key: KeyPath, message: str, hint: str) -> None:
        self.problems.append(Problem(code=code, key=key, message=message, hint=hint))

    def _references(self, draft: TargetDraft, names: _TargetNames) -> _References:
        needs: dict[str, int] = {}
        for index, name in enumerate(draft.values.needs):
            key = draft.table.key_of(("needs", index))
            targets = self._enabled(name, names, key, draft)
            self._count_needs(targets, names, key)
            needs |= {target: index for target in targets if names.needs_left >= 0 and target not in needs}
        if draft.values.context.startswith(_LINK):
            message, key = "a target cannot be the main context", draft.table.key_of(("context",))
            hint = f'use a named context: contexts = {{ base = "{one_line(draft.values.context)}" }}'
            self._report(Code.LINK_AS_CONTEXT, key, message, hint)
        links = tuple(self._links(draft, part, names) for part in draft.parts)
        return _References(needs=needs, links=links)

    def _count_needs(self, needed: Sequence[str], names: _TargetNames, key: KeyPath) -> None:
        """Count dependencies, and report too many: a matrix that needs another matrix can have millions."""
        before, names.needs_left = names.needs_left, names.needs_left - len(needed)
        if before >= 0 > names.needs_left:
            message = f"the plan has more than {MAX_NEEDS:,} dependencies between targets"
            hint = "name single rows in `needs`, or put one target between the two matrices"
            self._report(Code.TOO_MANY_NEEDS, key, message, hint)

    def _links(self, draft: TargetDraft, part: PlatformPart, names: _TargetNames) -> dict[str, str]:
        links = {}
        for context, value in part.values.contexts.items():
            if not value.startswith(_LINK):
                continue
            key = part.table.key_of(("contexts", context))
            targets = self._enabled(value.removeprefix(_LINK), names, key, draft)
            if len(targets) > 1:
                message = f"links to a matrix of {count(len(targets), 'target')}"
                hint = f"link to one of them: {', '.join(targets[:_MAX_LISTED])}"
                self._report(Code.LINK_TO_MATRIX, key, message, hint)
            elif targets:
                links[context] = targets[0]
        return links

    def _enabled(self, name: str, names: _TargetNames, key: KeyPath, draft: TargetDraft) -> list[str]:
        """Return the enabled targets that `name` at `key` refers to; report a problem if there are none."""
        if name not in names.rows:
            if not names.could_be_unnamed_row(name):
                self.problems.append(names.unknown.problem(name, key))
            return []
        enabled = [target for target in names.rows[name] if self.drafts[target].values.enabled]
        if not enabled and not draft.enabled_unknown:
            message = f'target "{one_line(name)}" is disabled'
            hint = "enable it under the same condition as this target, or remove the reference"
            self._report(Code.DISABLED_TARGET, key, message, hint)
        return enabled

    def _target(self, draft: TargetDraft, references: _References, targets: Mapping[str, Target]) -> Target:
        values = draft.values
        pushed = [output for output in values.output if pushes(output)]
        push = values.push or bool(pushed)
        self._check_push(draft, push=push)
        self._check_call(draft, push=push)
        resolver = PathResolver(table=draft.table, folder=self.plan_files.folder)
        variants = self._variants(draft, references, targets)
        common = variants[0]
        differ = any(variant != common for variant in variants)
        return Target(
            name=draft.name,
            builder=self._builder(draft),
            platforms=parse_platforms(values.platforms),
            tags=tuple(dict.fromkeys(str(parse_reference(tag)) for tag in values.tags)),
            push=push,
            push_options=self._push_options(draft, pushed),
            load=values.load,
            outputs=tuple(
                resolver.output(output, index) for index, output in enumerate(values.output) if output not in pushed
            ),
            # The only names that `targets` lacks are names on a cycle, which is reported already.
            needs=tuple(targets[name] for name in references.needs if name in targets),
            links=common.links,
            attributes=common.attributes,
            variants=dict(zip(draft.by_platform, variants, strict=True)) if differ else {},
            checks=_checks(values),
            timeout=parse_duration(values.timeout) if values.timeout else 0.0,
            stall_timeout=parse_duration(values.stall_timeout) if values.stall_timeout else 0.0,
            retries=values.retries,
            description=values.description,
            table=draft.table_name,
            source_key=common.source_key,
        )

    def _check_push(self, draft: TargetDraft, *, push: bool) -> None:
        values = draft.values
        if push and not values.tags and not draft.broken:
            key = draft.table.key_of(("push",) if values.push else ("output",))
            message, hint = "pushes, but has no tags", "add `tags`: they name where the image is pushed"
            self._report(Code.PUSH_WITHOUT_TAGS, key, message, hint)

    def _check_call(self, draft: TargetDraft, *, push: bool) -> None:
        """Report `push`, `load` or `output` of a target whose `call` builds nothing."""
        values = draft.values
        if values.call not in {"", "build"} and (push or values.load or values.output):
            message, hint = f'call = "{one_line(values.call)}" makes no image', "remove `push`, `load` and `output`"
            self._report(Code.CALL_MAKES_NOTHING, draft.table.key_of(("call",)), message, hint)

    def _variants(
        self, draft: TargetDraft, references: _References, targets: Mapping[str, Target]
    ) -> list[PlatformVariant]:
        """Return the variant of each `PlatformPart` of a draft; equal variants are the same object."""
        folder = self.plan_files.folder
        common = {"context": str(self.plan_files.context)}
        common |= _bake_attributes(
            PlatformPart(table=draft.table, values=draft.values), PathResolver(table=draft.table, folder=folder)
        )
        needs = list(references.needs.values())
        variants: list[PlatformVariant] = []
        for part, links in zip(draft.parts, references.links, strict=True):
            resolver = PathResolver(table=part.table, folder=folder)
            own = _bake_attributes(part, resolver) if draft.by_platform else {}
            linked = {context: targets[name] for context, name in links.items() if name in targets}
            table = part.table.keep_items({"needs": needs}) if needs else part.table
            variant = PlatformVariant(attributes=common | own, links=linked, source_key=table.key_of)
            variants.append(next((earlier for earlier in variants if earlier == variant), variant))
        return variants

    def _push_options(self, draft: TargetDraft, pushed: Iterable[str]) -> dict[str, str]:
        """Return further fields of `output` entries that push, such as `compression=zstd`; report names of images."""
        options: dict[str, str] = {}
        for output in pushed:
            options |= {key: value for key, value in parse_fields(output).items() if key not in {"type", "push"}}
        for option, (message, hint) in _DECIDED_BY_TAGS.items():
            if option in options:
                self._report(Code.OUTPUT_NAMES_IMAGE, draft.table.key_of(("output",)), message, hint)
        return options

    def _builder(self, draft: TargetDraft) -> Builder:
        name = draft.values.builder or DEFAULT_BUILDER
        if name not in self.builders:
            key = draft.table.key_of(("builder",))
            self.problems.append(UnknownReferences(Code.UNKNOWN_BUILDER, self.builders).problem(name, key))
            return self.builders[DEFAULT_BUILDER]
        builder = self.builders[name]
        if name not in self.spec.builders and builder.driver.rules.endpoint.is_required:
            message = f"the default driver is {builder.driver}, but no builder is named"
            hint = f"name a builder that has nodes, or declare [builders.{name}]"
            self._report(Code.DEFAULT_REMOTE, ("targets", draft.table_name), message, hint)
        return builder


def _bake_attributes(part: PlatformPart, resolver: PathResolver) -> dict[str, Any]:
    """Return the stated attributes that go to bake unchanged, with absolute local paths and without links."""
    attributes: dict[str, Any] = {}
    for name, value in part.values.written().items():
        if ATTRIBUTES[name].to_bake and value not in ("", [], {}, False):
            attributes[name] = resolver.absolute(name, value)
    if "contexts" in attributes:
        contexts = {
            name: context
            for name, context in attributes.pop("contexts").items()
            if context and not context.startswith(_LINK)
        }
        attributes |= {"contexts": contexts} if contexts else {}
    return attributes


def _checks(values: TargetSpec) -> tuple[Check, ...]:
    return tuple(
        Check(run=tuple(check.run), target=check.target, platforms=parse_platforms(check.platforms))
        for check in values.checks
    )


def tags_pushed_twice(targets: Iterable[Target]) -> Iterator[Problem]:
    """Yield a problem for each tag, in canonical form, that two of `targets` push: the second push would win."""
    owners: dict[str, str] = {}
    for target in targets:
        for tag in target.tags if target.push else ():
            owner = owners.setdefault(parse_reference(tag).canonical, target.name)
            if owner != target.name:
                message = f'"{owner}" and "{target.name}" both push {tag}'
                hint, key = "give each target its own tags", target.source_key(("tags",))
                culprit = tag.removesuffix(":latest")
                yield Problem(code=Code.TAG_TWICE, key=key, message=message, hint=hint, culprit=culprit)
