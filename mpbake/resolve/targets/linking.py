"""From drafts to targets that refer to one another as objects."""

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
from mpbake.spec.spec import ATTRIBUTES, PlanSpec, Problem, TargetSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mpbake.base.errors import KeyPath
    from mpbake.spec.plan_files import PlanFiles


_LINK = "target:"
_OF_TAGS = {
    "name": ("names the image", "give the names as tags"),
    "push-by-digest": (
        "says whether the image is pushed under its tags",
        "take push-by-digest away: tags move when the image is complete",
    ),
}
"""Fields of an output that a target's tags decide: what is wrong with them, and the remedy."""
MAX_NEEDS = 1_000_000
"""Targets that all targets of a plan together may need, each counted for each that needs it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _References:
    """The names that a draft refers to: what it needs, and, of each part, the target behind each linked context.

    `needs` maps each name to the item of the list that means it.
    """

    needs: Mapping[str, int]
    links: tuple[Mapping[str, str], ...]


class _Known:
    """The targets that each name means: itself, or the rows of a matrix; and what may be meant by other names.

    `left` is how many more may be needed.
    """

    def __init__(self, drafts: Mapping[str, TargetDraft]) -> None:
        rows: dict[str, list[str]] = {}
        for draft in drafts.values():
            rows.setdefault(draft.table, []).append(draft.name)
        self.rows = rows | {name: [name] for name in drafts}
        self.unknown = UnknownReferences(Code.UNKNOWN_TARGET, self.rows)
        self.left = MAX_NEEDS
        self._unnamed = [draft for draft in drafts.values() if draft.is_unnamed]

    def may_be(self, name: str) -> bool:
        """Whether a row of a matrix may be called `name`, though that cannot be told."""
        return any(each.may_be(name) for each in self._unnamed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Linker:
    """Turns drafts into targets whose builder, needs and links are objects."""

    builders: Mapping[str, Builder]
    drafts: Mapping[str, TargetDraft]
    spec: PlanSpec
    document: PlanFiles
    problems: list[Problem]

    def targets(self) -> dict[str, Target]:
        """Every target by name, in the plan's order."""
        known = _Known(self.drafts)
        enabled = {name: draft for name, draft in self.drafts.items() if draft.values.enabled}
        references = {name: self._references(draft, known) for name, draft in enabled.items()}
        edges = {
            name: [*each.needs, *(link for links in each.links for link in links.values())]
            for name, each in references.items()
        }
        done: dict[str, Target] = {}
        for name in topological_order(edges, lambda name: ("targets", self.drafts[name].table), self.problems):
            done[name] = self._target(self.drafts[name], references[name], done)
        return {name: done[name] for name in enabled}

    def _references(self, draft: TargetDraft, known: _Known) -> _References:
        needs: dict[str, int] = {}
        for index, name in enumerate(draft.values.needs):
            key = draft.family.where(("needs", index))
            found = self._enabled(name, known, key, draft)
            self._count(found, known, key)
            needs |= {each: index for each in found if known.left >= 0 and each not in needs}
        if draft.values.context.startswith(_LINK):
            hint = f'give it a name instead: contexts = {{ base = "{one_line(draft.values.context)}" }}'
            message, key = "a target cannot be the main context", draft.family.where(("context",))
            self.problems.append(Problem(code=Code.LINK_AS_CONTEXT, key=key, message=message, hint=hint))
        links = tuple(self._links(draft, part, known) for part in draft.parts)
        return _References(needs=needs, links=links)

    def _count(self, found: Sequence[str], known: _Known, key: KeyPath) -> None:
        """Count what is needed: a matrix that needs another one comes to millions in two lines."""
        before, known.left = known.left, known.left - len(found)
        if before >= 0 > known.left:
            message = f"with this, the plan's targets need more than {MAX_NEEDS:,} others"
            hint = "need just the row that is meant, or let one target stand between the two tables"
            self.problems.append(Problem(code=Code.TOO_MANY_NEEDS, key=key, message=message, hint=hint))

    def _links(self, draft: TargetDraft, part: PlatformPart, known: _Known) -> dict[str, str]:
        links = {}
        for context, value in part.values.contexts.items():
            if not value.startswith(_LINK):
                continue
            key = part.family.where(("contexts", context))
            found = self._enabled(value.removeprefix(_LINK), known, key, draft)
            if len(found) > 1:
                message = f"links to a matrix of {count(len(found), 'target')}"
                hint = f"link to one of them: {', '.join(found[:8])}"
                self.problems.append(Problem(code=Code.LINK_TO_MATRIX, key=key, message=message, hint=hint))
            elif found:
                links[context] = found[0]
        return links

    def _enabled(self, name: str, known: _Known, key: KeyPath, draft: TargetDraft) -> list[str]:
        """The targets that `name`, which stands at `key` for `draft`, means; none where that is a problem."""
        if name not in known.rows:
            if not known.may_be(name):
                self.problems.append(known.unknown.problem(name, key))
            return []
        enabled = [each for each in known.rows[name] if self.drafts[each].values.enabled]
        if not enabled and not draft.perhaps:
            hint = "enable it under the same condition as this one, or take the reference away"
            message = f'target "{one_line(name)}" is disabled'
            self.problems.append(Problem(code=Code.DISABLED_TARGET, key=key, message=message, hint=hint))
        return enabled

    def _target(self, draft: TargetDraft, references: _References, done: Mapping[str, Target]) -> Target:
        values = draft.values
        pushed = [output for output in values.output if pushes(output)]
        push = values.push or bool(pushed)
        if push and not values.tags and not draft.broken:
            key = draft.family.where(("push",) if values.push else ("output",))
            hint = "tags name where the image goes"
            message = "pushes, but has no tags"
            self.problems.append(Problem(code=Code.PUSH_WITHOUT_TAGS, key=key, message=message, hint=hint))
        self._check_call(draft, push=push)
        locating = PathResolver(family=draft.family, folder=self.document.folder)
        variants = self._variants(draft, references, done)
        same = variants[0]
        differ = any(each != same for each in variants)
        return Target(
            name=draft.name,
            builder=self._builder(draft),
            platforms=parse_platforms(values.platforms),
            tags=tuple(dict.fromkeys(str(parse_reference(tag)) for tag in values.tags)),
            push=push,
            push_options=self._push_options(draft, pushed),
            load=values.load,
            outputs=tuple(locating.output(each, at) for at, each in enumerate(values.output) if each not in pushed),
            # A name is missing from `done` only when it lies on a cycle, which has been reported.
            needs=tuple(done[name] for name in references.needs if name in done),
            links=same.links,
            attributes=same.attributes,
            variants=dict(zip(draft.special, variants, strict=True)) if differ else {},
            checks=_checks(values),
            timeout=parse_duration(values.timeout) if values.timeout else 0.0,
            stall_timeout=parse_duration(values.stall_timeout) if values.stall_timeout else 0.0,
            retries=values.retries,
            description=values.description,
            table=draft.table,
            where=same.where,
        )

    def _check_call(self, draft: TargetDraft, *, push: bool) -> None:
        """That a target which is not built has no result to go anywhere."""
        values = draft.values
        if values.call not in {"", "build"} and (push or values.load or values.output):
            message, hint = f'call = "{one_line(values.call)}" makes no image', "take push, load and output away"
            key = draft.family.where(("call",))
            self.problems.append(Problem(code=Code.CALL_MAKES_NOTHING, key=key, message=message, hint=hint))

    def _variants(
        self, draft: TargetDraft, references: _References, done: Mapping[str, Target]
    ) -> list[PlatformVariant]:
        """What is built for each part of a draft, equal ones as one."""
        folder = self.document.folder
        own = PlatformPart(family=draft.family, values=draft.values)
        common = {"context": str(self.document.context)}
        common |= _attributes(own, PathResolver(family=own.family, folder=folder))
        needs = list(references.needs.values())
        found: list[PlatformVariant] = []
        for part, links in zip(draft.parts, references.links, strict=True):
            special = _attributes(part, PathResolver(family=part.family, folder=folder)) if draft.special else {}
            linked = {context: done[name] for context, name in links.items() if name in done}
            family = part.family.keeping({"needs": needs}) if needs else part.family
            variant = PlatformVariant(attributes=common | special, links=linked, where=family.where)
            found.append(next((each for each in found if each == variant), variant))
        return found

    def _push_options(self, draft: TargetDraft, pushed: Iterable[str]) -> dict[str, str]:
        """What `output` entries that push say besides: `compression=zstd` and the like, but no names."""
        options: dict[str, str] = {}
        for entry in pushed:
            options |= {key: value for key, value in parse_fields(entry).items() if key not in {"type", "push"}}
        for message, hint in (said for field, said in _OF_TAGS.items() if field in options):
            key = draft.family.where(("output",))
            self.problems.append(Problem(code=Code.OUTPUT_NAMES_IMAGE, key=key, message=message, hint=hint))
        return options

    def _builder(self, draft: TargetDraft) -> Builder:
        name = draft.values.builder or DEFAULT_BUILDER
        if name not in self.builders:
            key = draft.family.where(("builder",))
            self.problems.append(UnknownReferences(Code.UNKNOWN_BUILDER, self.builders).problem(name, key))
            return self.builders[DEFAULT_BUILDER]
        builder = self.builders[name]
        if name not in self.spec.builders and builder.driver.rules.endpoint.is_required:
            message = f"the default driver is {builder.driver}, but no builder is named"
            hint = f"name a builder that has nodes, or declare [builders.{name}]"
            key = ("targets", draft.table)
            self.problems.append(Problem(code=Code.DEFAULT_REMOTE, key=key, message=message, hint=hint))
        return builder


def _attributes(part: PlatformPart, locating: PathResolver) -> dict[str, Any]:
    """What is handed to BuildKit as it stands: only what the plan states, local paths absolute, links left out."""
    found: dict[str, Any] = {}
    for name, value in part.values.written().items():
        if ATTRIBUTES[name].to_bake and value not in ("", [], {}, False):
            found[name] = locating.absolute(name, value)
    if "contexts" in found:
        contexts = {name: each for name, each in found.pop("contexts").items() if each and not each.startswith(_LINK)}
        found |= {"contexts": contexts} if contexts else {}
    return found


def _checks(values: TargetSpec) -> tuple[Check, ...]:
    return tuple(
        Check(run=tuple(each.run), target=each.target, platforms=parse_platforms(each.platforms))
        for each in values.checks
    )


def tags_pushed_twice(targets: Iterable[Target]) -> Iterator[Problem]:
    """The tags that two of `targets` push, however each target spells them: the second push would win."""
    owners: dict[str, str] = {}
    for target in targets:
        for tag in target.tags if target.push else ():
            owner = owners.setdefault(parse_reference(tag).canonical, target.name)
            if owner != target.name:
                message = f'"{owner}" and "{target.name}" both push {tag}'
                hint, key = "give each target tags of its own", target.where(("tags",))
                culprit = tag.removesuffix(":latest")
                yield Problem(code=Code.TAG_TWICE, key=key, message=message, hint=hint, culprit=culprit)
