"""The form of images: the options that build pieces state, and the detection of different forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.errors import BuildFailed
from mpbake.buildkit.bake.images.image_forms import ImageForms, form_of, in_common_form
from mpbake.model.steps import BuildPiece
from tests.unit.graphs import TWO_NODES, graph_of_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.buildkit.bake.images.image_forms import ImageForm
    from mpbake.model.plan import Node

PUSHED = "type=image,name=r/a,push=true"
STATED = "oci-mediatypes=true,oci-artifact=false"
PROVENANCE = "type=provenance,mode=min,inline-only=true,version=v0.2"
OCI = "application/vnd.oci.image.manifest.v1+json"


@pytest.mark.parametrize(
    ("entries", "stated"),
    [
        ([], [PROVENANCE]),
        (["type=sbom"], ["type=sbom", PROVENANCE]),
        (["type=provenance,mode=max"], ["type=provenance,mode=max,version=v0.2"]),
        (["type=provenance,version=v1"], ["type=provenance,version=v1"]),
        (["type=provenance,disabled=true"], ["type=provenance,disabled=true"]),
    ],
)
def test_provenance_gets_the_version_that_all_releases_write(entries: list[str], stated: list[str]) -> None:
    assert in_common_form({"output": [], "attest": entries})["attest"] == stated


@pytest.mark.parametrize(
    ("output", "stated"),
    [
        (PUSHED, f"{PUSHED},{STATED}"),
        ("type=oci,dest=a", f"type=oci,dest=a,{STATED}"),
        ("type=image,oci-artifact=true", "type=image,oci-artifact=true,oci-mediatypes=true"),
        ("type=docker", "type=docker"),
        ("type=local,dest=a", "type=local,dest=a"),
        ("type=cacheonly", "type=cacheonly"),
    ],
)
def test_outputs_of_images_state_media_types_and_the_form_of_attestations(output: str, stated: str) -> None:
    assert in_common_form({"output": [output]})["output"] == [stated]


class FakeNodes:
    """Nodes with these versions of BuildKit, by name. A node with an error fails with this error."""

    def __init__(self, versions: Mapping[str, str]) -> None:
        self._versions = versions

    def version(self, node: Node) -> str:
        return self._versions[node.name]


def pieces(attributes: str = "") -> list[BuildPiece]:
    platforms = "platforms = ['linux/amd64', 'linux/arm64']"
    plan = f"[targets.web]\nbuilder = 'release'\n{platforms}\n{attributes}\n{TWO_NODES}"
    return [step for step in graph_of_text(plan, "web").steps if isinstance(step, BuildPiece)]


def forms_of(first: str, second: str) -> ImageForms:
    names = [piece.node.name for piece in pieces()]
    return ImageForms(nodes=FakeNodes(dict(zip(names, (first, second), strict=True))))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("first", "second", "common"),
    [
        ("v0.32.0", "v0.32.0", False),
        ("v0.32.0", "v0.13.1", True),
        ("v0.32.0", "", True),
        ("", "", True),
        ("v0.0.0+unknown", "v0.0.0+unknown", True),
    ],
)
def test_pieces_state_the_common_form_unless_their_nodes_run_the_same_release(
    first: str, second: str, *, common: bool
) -> None:
    forms = forms_of(first, second)
    assert [forms.is_common(piece) for piece in pieces()] == [common, common]


def test_it_is_decided_once_for_a_target() -> None:
    forms = forms_of("v0.32.0", "v0.13.1")
    one, other = pieces()
    assert forms.is_common(one)
    forms = ImageForms(nodes=forms_of("v0.32.0", "v0.32.0").nodes, _common=forms._common)
    assert forms.is_common(other)


def checked(forms: ImageForms, own: list[BuildPiece], *read: ImageForm) -> None:
    by_piece = dict(zip(own, read, strict=True))
    forms.check(own[0].target, {piece: piece.node for piece in own}, by_piece.__getitem__)


def test_pieces_of_different_forms_are_refused() -> None:
    own = pieces('attest = ["type=provenance,version=v1"]')
    forms = forms_of("v0.32.0", "")
    assert all(map(forms.is_common, own))
    checked(forms, own, ("a", "b"), ("a", "b"))
    with pytest.raises(BuildFailed) as error:
        checked(forms, own, ("a", "b"), ("a", "c"))
    first, second = (piece.node.id for piece in own)
    assert error.value.message == (
        "the pieces of web cannot be one image: their nodes write different forms\n"
        f"  {first} (BuildKit v0.32.0): b\n"
        f"  {second} (BuildKit of an unknown version): c"
    )
    assert error.value.hint.startswith('run the same BuildKit release on all nodes of builder "release", or remove')


@pytest.mark.parametrize("second", ["v0.32.0", "v0.13.1"])
def test_nothing_is_read_where_the_pieces_cannot_differ(second: str) -> None:
    forms, own = forms_of("v0.32.0", second), pieces()
    assert forms.is_common(own[0]) is (second == "v0.13.1")
    forms.check(own[0].target, {piece: piece.node for piece in own}, lambda piece: pytest.fail(piece.key))


def test_a_piece_that_another_node_took_is_compared() -> None:
    """The pieces state no form, because all expected nodes have the same release."""
    own = pieces()
    forms = forms_of("v0.32.0", "v0.32.0")
    assert not forms.is_common(own[0])
    later = ImageForms(nodes=forms_of("v0.32.0", "v0.13.1").nodes, _common=forms._common)
    with pytest.raises(BuildFailed, match="cannot be one image"):
        checked(later, own, ("a",), ("b",))


def attestation(digest: str) -> dict[str, Any]:
    return {
        "mediaType": OCI,
        "digest": digest,
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
    }


def test_the_form_of_an_index() -> None:
    layers = [{"annotations": {"in-toto.io/predicate-type": "https://slsa.dev/provenance/v1"}}]
    manifests: dict[str, dict[str, Any]] = {
        "sha256:1": {"config": {"mediaType": "application/vnd.oci.image.config.v1+json"}, "layers": layers},
        "sha256:2": {"artifactType": "application/vnd.docker.attestation.manifest.v1+json", "layers": []},
    }
    index = {"manifests": [{"mediaType": OCI, "digest": "sha256:0"}, *map(attestation, manifests)]}
    assert form_of(index, manifests.__getitem__) == (
        "attestations as application/vnd.docker.attestation.manifest.v1+json",
        "attestations as application/vnd.oci.image.config.v1+json",
        "https://slsa.dev/provenance/v1",
        f"images as {OCI}",
    )
    assert form_of({"mediaType": OCI}, manifests.__getitem__) == (f"images as {OCI}",)
