"""The form of images: media types, how attestations are stored, the version of the provenance.

Each BuildKit release has its own defaults. The build pieces of one target are joined to one index, so all pieces need
the same form.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import BuildFailed
from mpbake.base.references import format_fields, parse_fields
from mpbake.buildkit.registry.manifests import is_attestation
from mpbake.graph.stated_form import OUTPUT_OPTIONS, states_form
from mpbake.model.bake_fields import disabled_attestations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mpbake.buildkit.nodes.ready_nodes import ReadyNodes
    from mpbake.model.plan import Node, Target
    from mpbake.model.steps import BuildPiece

    Manifest = Mapping[str, Any]

ImageForm = tuple[str, ...]
"""The form of a build piece's images in words, such as `https://slsa.dev/provenance/v1`, sorted."""

_PROVENANCE = "provenance"
# Every BuildKit release can write this form. Older releases write only this form, and ignore the options.
_COMMON_OUTPUT = dict(zip(OUTPUT_OPTIONS, ("true", "false"), strict=True))
_COMMON_PROVENANCE = {"version": "v0.2"}
# buildx's default if the plan names no attestation: provenance, but not as a file in a local output.
_DEFAULT_PROVENANCE = {"type": _PROVENANCE, "mode": "min", "inline-only": "true"}
_TYPES_WITH_FORM = ("image", "oci", "registry")
_UNRELEASED = "v0.0.0"
"""The start of the version of a BuildKit that was built without a version number."""


def in_common_form(target: dict[str, Any]) -> dict[str, Any]:
    """Return `target`, a target of a bake definition, with options for the form that every BuildKit release can write.

    Options that are already set in the plan are kept.
    """
    outputs = [_common_output(output) for output in target["output"]]
    return {**target, "output": outputs, "attest": _common_attestations(target.get("attest", ()))}


def _common_output(output: str) -> str:
    fields = parse_fields(output)
    if fields.get("type") not in _TYPES_WITH_FORM:
        return output
    return format_fields({**fields, **_missing(_COMMON_OUTPUT, fields)})


def _common_attestations(entries: Sequence[str]) -> list[str]:
    if _PROVENANCE in disabled_attestations(entries):
        return list(entries)
    types = [parse_fields(entry).get("type") for entry in entries]
    default = [] if _PROVENANCE in types else [format_fields(_DEFAULT_PROVENANCE)]
    return [_common_attestation(entry) for entry in (*entries, *default)]


def _common_attestation(entry: str) -> str:
    fields = parse_fields(entry)
    if fields.get("type") != _PROVENANCE:
        return entry
    return format_fields({**fields, **_missing(_COMMON_PROVENANCE, fields)})


def _missing(options: Mapping[str, str], fields: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in options.items() if key not in fields}


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageForms:
    """Decides once for each target of a run whether the build pieces of the target must use the common form."""

    nodes: ReadyNodes
    _common: dict[Target, bool] = field(default_factory=dict)

    def is_common(self, piece: BuildPiece) -> bool:
        """Return whether `piece` must use the common form, because the nodes of the target may have different defaults.

        Waits until the preferred nodes of all pieces of the target have been started.
        """
        if piece.piece_count == 1 or piece.node.driver.rules.is_engine:
            return False
        if piece.target not in self._common:
            self._common.setdefault(piece.target, not self._have_same_release(piece.siblings))
        return self._common[piece.target]

    def check(
        self, target: Target, built_on: Mapping[BuildPiece, Node], form: Callable[[BuildPiece], ImageForm]
    ) -> None:
        """Raise BuildFailed unless all build pieces of `target` have the same form; `form` reads the form of a piece.

        Pieces that cannot differ are not read.
        """
        is_stated = self._common.get(target, False) and not states_form(target)
        if len(built_on) > 1 and not is_stated and not self._have_same_release(built_on.values()):
            _check_same_form(target, {self._node_text(node): form(piece) for piece, node in built_on.items()})

    def _node_text(self, node: Node) -> str:
        """Return a node with its BuildKit release, for messages."""
        return f"{node.id} (BuildKit {self.nodes.version(node) or 'of an unknown version'})"

    def _have_same_release(self, nodes: Iterable[Node]) -> bool:
        """Whether all nodes report the same release of BuildKit."""
        versions = {self.nodes.version(node) for node in nodes}
        return len(versions) <= 1 and all(version and not version.startswith(_UNRELEASED) for version in versions)


def form_of(index: Manifest, read: Callable[[str], Manifest]) -> ImageForm:
    """Return the form, in words, of the images in an index. `read` returns the manifest with a given digest."""
    entries = index.get("manifests") or [index]
    words = {f"images as {entry['mediaType']}" for entry in entries if not is_attestation(entry)}
    for manifest in (read(entry["digest"]) for entry in entries if is_attestation(entry)):
        words.add(f"attestations as {manifest.get('artifactType') or manifest['config']['mediaType']}")
        annotations = [layer.get("annotations") or {} for layer in manifest["layers"]]
        predicates = [entries.get("in-toto.io/predicate-type") for entries in annotations]
        words |= {str(predicate) for predicate in predicates if predicate}
    return tuple(sorted(words))


def _check_same_form(target: Target, forms: Mapping[str, ImageForm]) -> None:
    """Raise BuildFailed unless all `forms` are equal. The keys of `forms` are the nodes that built `target`."""
    distinct = set(forms.values())
    if len(distinct) <= 1:
        return
    common = set.intersection(*map(set, distinct))
    own = {node: [word for word in form if word not in common] for node, form in forms.items()}
    lines = "\n".join(f"  {node}: {', '.join(words)}" for node, words in own.items())
    raise BuildFailed(
        f"the pieces of {target.name} cannot be one image: their nodes write different forms\n{lines}",
        hint=f'run the same BuildKit release on all nodes of builder "{target.builder.name}", or remove version '
        "(attest), oci-artifact and oci-mediatypes (output): mpbake then states a form that all nodes can write",
    )
