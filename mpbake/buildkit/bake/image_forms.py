"""The form of images: media types, how attestations are stored, the version of the provenance.

Each BuildKit release has its own defaults. The pieces of one target are joined to one index, so they need one form.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import BuildFailed
from mpbake.base.references import format_fields, parse_fields
from mpbake.buildkit.registry.manifests import is_attestation
from mpbake.model.bake_fields import attestations_declined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mpbake.buildkit.nodes.ready_nodes import ReadyNodes
    from mpbake.model.plan import Node, Target
    from mpbake.model.steps import BuildPiece

    Manifest = Mapping[str, Any]

ImageForm = tuple[str, ...]
"""The form of a piece in words, such as `https://slsa.dev/provenance/v1`, sorted."""

_PROVENANCE = "provenance"
# What all BuildKit releases can write: older ones write nothing else, and ignore the options.
_COMMON_OUTPUT = {"oci-mediatypes": "true", "oci-artifact": "false"}
_COMMON_PROVENANCE = {"version": "v0.2"}
# What buildx asks for where the plan says nothing: provenance, but none beside files of a local output.
_DEFAULT_PROVENANCE = {"type": _PROVENANCE, "mode": "min", "inline-only": "true"}
_WITH_FORM = ("image", "oci", "registry")
_UNRELEASED = "v0.0.0"
"""How the version of a BuildKit begins that was built without one."""


def in_common_form(target: dict[str, Any]) -> dict[str, Any]:
    """Return a target of a bake definition with the form stated that all BuildKit releases can write.

    What the plan states itself stays.
    """
    outputs = [_common_output(each) for each in target["output"]]
    return {**target, "output": outputs, "attest": _common_attestations(target.get("attest", ()))}


def _common_output(output: str) -> str:
    fields = parse_fields(output)
    return format_fields({**fields, **_missing(_COMMON_OUTPUT, fields)}) if fields.get("type") in _WITH_FORM else output


def _common_attestations(entries: Sequence[str]) -> list[str]:
    if _PROVENANCE in attestations_declined(entries):
        return list(entries)
    types = [parse_fields(each).get("type") for each in entries]
    default = [] if _PROVENANCE in types else [format_fields(_DEFAULT_PROVENANCE)]
    return [_common_attestation(each) for each in (*entries, *default)]


def _common_attestation(entry: str) -> str:
    fields = parse_fields(entry)
    if fields.get("type") != _PROVENANCE:
        return entry
    return format_fields({**fields, **_missing(_COMMON_PROVENANCE, fields)})


def _missing(wanted: Mapping[str, str], fields: Mapping[str, str]) -> dict[str, str]:
    return {key: wanted[key] for key in wanted if key not in fields}


def _states_form(target: Target) -> bool:
    """Whether the plan itself states a part of the form of a target's images."""
    provenance = [each for each in map(parse_fields, target.attributes.get("attest", ())) if "version" in each]
    outputs = (target.push_options, *map(parse_fields, target.outputs))
    return bool(provenance) or any(key in each for each in outputs for key in _COMMON_OUTPUT)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageForms:
    """Decides for each target of a run, once, whether its pieces state the common form."""

    nodes: ReadyNodes
    _common: dict[Target, bool] = field(default_factory=dict)

    def is_common(self, piece: BuildPiece) -> bool:
        """Whether `piece` states the common form: its target is built on nodes that may differ in their defaults.

        Waits until the preferred nodes of all pieces of the target have been started.
        """
        if piece.of == 1 or piece.node.driver.rules.is_engine:
            return False
        if piece.target not in self._common:
            self._common.setdefault(piece.target, not self._are_alike(piece.siblings))
        return self._common[piece.target]

    def check(
        self, target: Target, built_on: Mapping[BuildPiece, Node], form: Callable[[BuildPiece], ImageForm]
    ) -> None:
        """Raise BuildFailed unless the pieces of `target` have one form; `form` reads that of a piece.

        Nothing is read where the pieces cannot differ.
        """
        stated = self._common.get(target, False) and not _states_form(target)
        if len(built_on) > 1 and not stated and not self._are_alike(built_on.values()):
            _check_same(target, {self._called(node): form(piece) for piece, node in built_on.items()})

    def _called(self, node: Node) -> str:
        """A node in messages."""
        return f"{node.id} (BuildKit {self.nodes.version(node) or 'of an unknown version'})"

    def _are_alike(self, nodes: Iterable[Node]) -> bool:
        """Whether all nodes run the same release of BuildKit, as far as they say which they run."""
        versions = {self.nodes.version(node) for node in nodes}
        return len(versions) <= 1 and all(each and not each.startswith(_UNRELEASED) for each in versions)


def form_of(index: Manifest, read: Callable[[str], Manifest]) -> ImageForm:
    """Return the form of what an index lists, in words; `read` returns the manifest of a digest."""
    entries = index.get("manifests") or [index]
    found = {f"images as {each['mediaType']}" for each in entries if not is_attestation(each)}
    for manifest in (read(each["digest"]) for each in entries if is_attestation(each)):
        found.add(f"attestations as {manifest.get('artifactType') or manifest['config']['mediaType']}")
        predicates = ((each.get("annotations") or {}).get("in-toto.io/predicate-type") for each in manifest["layers"])
        found |= {str(each) for each in predicates if each}
    return tuple(sorted(found))


def _check_same(target: Target, forms: Mapping[str, ImageForm]) -> None:
    """Raise BuildFailed unless the pieces of `target` have one form; `forms` are by the node that built a piece."""
    every = set(forms.values())
    if len(every) <= 1:
        return
    common = set.intersection(*map(set, every))
    own = {node: [each for each in form if each not in common] for node, form in forms.items()}
    lines = "\n".join(f"  {node}: {', '.join(each)}" for node, each in own.items())
    raise BuildFailed(
        f"the pieces of {target.name} cannot be one image: their nodes write different forms\n{lines}",
        hint=f'run the same BuildKit release on all nodes of builder "{target.builder.name}", or take version '
        "(attest), oci-artifact and oci-mediatypes (output) away: mpbake then states what all nodes can write",
    )
