"""From drafts to targets that refer to one another as objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpbake.plan import Builder, Driver, Target
from mpbake.platforms import parse_platforms
from mpbake.references import format_fields, is_local, parse_fields, parse_reference
from mpbake.resolve.builders import DEFAULT_BUILDER
from mpbake.resolve.drafts import Draft, pushes
from mpbake.resolve.naming import ordered, unknown
from mpbake.spec import ATTRIBUTES, Attribute, Paths, PlanSpec, Problem, TargetSpec
from mpbake.text import count, one_line, parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from mpbake.errors import KeyPath


_LINK = "target:"


@dataclass(frozen=True, kw_only=True, slots=True)
class _References:
    """The names that a draft refers to: what it needs, and the target behind each linked context."""

    needs: tuple[str, ...]
    links: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Linker:
    """Turns drafts into targets whose builder, needs and links are objects."""

    builders: Mapping[str, Builder]
    drafts: Mapping[str, Draft]
    spec: PlanSpec
    root: Path
    problems: list[Problem]

    def targets(self) -> dict[str, Target]:
        """Every target by name, in the plan's order."""
        rows = self._rows()
        enabled = {name: draft for name, draft in self.drafts.items() if draft.values.enabled}
        references = {name: self._references(draft, rows) for name, draft in enabled.items()}
        edges = {name: [*each.needs, *each.links.values()] for name, each in references.items()}
        done: dict[str, Target] = {}
        for name in ordered(edges, lambda name: ("targets", self.drafts[name].table), self.problems):
            done[name] = self._target(self.drafts[name], references[name], done)
        return {name: done[name] for name in enabled}

    def _rows(self) -> dict[str, list[str]]:
        """The targets that each name means: itself, or the rows of a matrix."""
        rows: dict[str, list[str]] = {}
        for draft in self.drafts.values():
            rows.setdefault(draft.table, []).append(draft.name)
        return rows | {name: [name] for name in self.drafts}

    def _references(self, draft: Draft, rows: Mapping[str, list[str]]) -> _References:
        needs: list[str] = []
        for index, name in enumerate(draft.values.needs):
            needs += self._known(name, rows, draft.family.where(("needs", index)))
        links = {}
        for context, value in draft.values.contexts.items():
            if not value.startswith(_LINK):
                continue
            key = draft.family.where(("contexts", context))
            found = self._known(value.removeprefix(_LINK), rows, key)
            if len(found) > 1:
                message = f"links to a matrix of {count(len(found), 'target')}"
                hint = f"link to one of them: {', '.join(found[:8])}"
                self.problems.append(Problem(key=key, message=message, hint=hint))
            elif found:
                links[context] = found[0]
        context_key = draft.family.where(("context",))
        if draft.values.context.startswith(_LINK):
            hint = f'give it a name instead: contexts = {{ base = "{one_line(draft.values.context)}" }}'
            self.problems.append(Problem(key=context_key, message="a target cannot be the main context", hint=hint))
        return _References(needs=tuple(dict.fromkeys(needs)), links=links)

    def _known(self, name: str, rows: Mapping[str, list[str]], key: KeyPath) -> list[str]:
        if name not in rows:
            self.problems.append(unknown("target", name, rows, key))
            return []
        enabled = [each for each in rows[name] if self.drafts[each].values.enabled]
        if not enabled:
            hint = "enable it under the same condition as this one, or take the reference away"
            self.problems.append(Problem(key=key, message=f'target "{one_line(name)}" is disabled', hint=hint))
        return enabled

    def _target(self, draft: Draft, references: _References, done: Mapping[str, Target]) -> Target:
        values = draft.values
        pushed = [output for output in values.output if pushes(output)]
        push = values.push or bool(pushed)
        if push and not values.tags and not draft.broken:
            key = draft.family.where(("push",) if values.push else ("output",))
            hint = "tags name where the image goes"
            self.problems.append(Problem(key=key, message="pushes, but has no tags", hint=hint))
        return Target(
            name=draft.name,
            builder=self._builder(draft),
            platforms=parse_platforms(values.platforms),
            tags=tuple(dict.fromkeys(str(parse_reference(tag)) for tag in values.tags)),
            push=push,
            push_options=self._push_options(draft, pushed),
            load=values.load,
            outputs=tuple(_absolute_output(each, self.root) for each in values.output if each not in pushed),
            # A name is missing from `done` only when it lies on a cycle, which has been reported.
            needs=tuple(done[name] for name in references.needs if name in done),
            links={context: done[name] for context, name in references.links.items() if name in done},
            attributes=_attributes(values, self.root),
            timeout=parse_duration(values.timeout) if values.timeout else 0.0,
            retries=values.retries,
            description=values.description,
            table=draft.table,
        )

    def _push_options(self, draft: Draft, pushed: Iterable[str]) -> dict[str, str]:
        """What `output` entries that push say besides: `compression=zstd` and the like, but no names."""
        options: dict[str, str] = {}
        for entry in pushed:
            options |= {key: value for key, value in parse_fields(entry).items() if key not in {"type", "push"}}
        if "name" in options:
            hint = "give the names as tags"
            self.problems.append(Problem(key=draft.family.where(("output",)), message="names the image", hint=hint))
        return options

    def _builder(self, draft: Draft) -> Builder:
        name = draft.values.builder or DEFAULT_BUILDER
        if name not in self.builders:
            self.problems.append(unknown("builder", name, self.builders, draft.family.where(("builder",))))
            return self.builders[DEFAULT_BUILDER]
        builder = self.builders[name]
        if name not in self.spec.builders and builder.driver is Driver.REMOTE:
            message = "the default driver is remote, but no builder is named"
            hint = f"name a builder that has nodes, or declare [builders.{name}]"
            self.problems.append(Problem(key=("targets", draft.table), message=message, hint=hint))
        return builder


def _attributes(values: TargetSpec, root: Path) -> dict[str, Any]:
    """What is handed to BuildKit as it stands: only what the plan states, local paths absolute, links left out."""
    found: dict[str, Any] = {"context": str(root)}
    for name, value in values.written().items():
        attribute = ATTRIBUTES[name]
        if attribute.to_bake and value not in ("", [], {}, False):
            found[name] = _absolute(attribute, value, root)
    found["contexts"] = {
        name: each for name, each in found.get("contexts", {}).items() if each and not each.startswith(_LINK)
    }
    if not found["contexts"]:
        del found["contexts"]
    return found


def _absolute(attribute: Attribute, value: Any, root: Path) -> Any:
    match attribute.paths:
        case Paths.CONTEXT if isinstance(value, dict):
            return {name: _absolute_context(each, root) for name, each in value.items()}
        case Paths.CONTEXT:
            return _absolute_context(value, root)
        case Paths.FIELDS:
            return [_absolute_fields(each, root) for each in value]
        case Paths.SSH:
            return [_absolute_ssh(each, root) for each in value]
        case _:
            return value


def _absolute_context(value: str, root: Path) -> str:
    return str(root / value) if value and is_local(value) else value


def _absolute_fields(entry: str, root: Path) -> str:
    fields = parse_fields(entry)
    if fields.get("type") == "env":  # then src names a variable
        return entry
    names = [name for name in ("src", "source", "dest") if fields.get(name, "-") not in ("", "-")]
    return format_fields(fields | {name: str(root / fields[name]) for name in names}) if names else entry


def _absolute_output(entry: str, root: Path) -> str:
    """As `_absolute_fields`; an entry that is only a path means that folder, as with buildx."""
    if "=" in entry:
        return _absolute_fields(entry, root)
    return "type=tar,dest=-" if entry == "-" else format_fields({"type": "local", "dest": str(root / entry)})


def _absolute_ssh(entry: str, root: Path) -> str:
    name, equals, files = entry.partition("=")
    return name + equals + ",".join(str(root / each) for each in files.split(",") if each)


def check_tags(targets: Mapping[str, Target], drafts: Mapping[str, Draft], problems: list[Problem]) -> None:
    """Two targets that push one tag would overwrite each other."""
    owners: dict[str, str] = {}
    for target in targets.values():
        for tag in target.tags if target.push else ():
            owner = owners.setdefault(tag, target.name)
            if owner != target.name:
                key: KeyPath = ("targets", drafts[target.name].table, "tags")
                problems.append(
                    Problem(
                        key=key,
                        message=f'"{owner}" and "{target.name}" both push {tag}',
                        hint="give each target tags of its own",
                    )
                )
