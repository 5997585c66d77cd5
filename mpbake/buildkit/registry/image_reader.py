"""What registries serve, read back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import BuildFailed, NoSuchTag
from mpbake.base.json_text import parse_json
from mpbake.buildkit.registry.client import RequestFailed, repository_of
from mpbake.buildkit.registry.manifests import has_config, image_entries, parse_served, parsing

if TYPE_CHECKING:
    from mpbake.buildkit.registry.client import Client, Manifest, Repository
    from mpbake.model.expected_images import Served


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageReader:
    """Reads images by tag. Every method raises BuildFailed, and Unreachable without an answer."""

    client: Client

    def manifest(self, tag: str) -> Manifest:
        """What a tag names. Raises NoSuchTag where there is none."""
        name = tag.rpartition(":")[2]
        try:
            return self.client.manifest(repository_of(tag), name)
        except RequestFailed as error:
            raise error.failure.error(f"{tag} could not be read back") from None

    def served(self, tag: str, manifest: Manifest) -> Served:
        """What a manifest or index under a tag consists of, with each image's own manifest and config."""
        repository = repository_of(tag)
        with parsing(tag):
            data = dict(parse_json(manifest.content))
            if "manifests" not in data:
                return parse_served(manifest.digest, data, {manifest.digest: (data, self._config(repository, data))})
            details = {}
            for entry in image_entries(data):
                own = self.raw(f"{repository.name}@{entry['digest']}")
                details[entry["digest"]] = (own, self._config(repository, own))
            return parse_served(manifest.digest, data, details)

    def raw(self, reference: str) -> dict[str, Any]:
        """A manifest by digest, as `REPOSITORY@DIGEST`, or an index."""
        repository, digest = repository_of(reference), reference.partition("@")[2]
        try:
            content = self.client.manifest(repository, digest).content
        except RequestFailed as error:
            raise _incomplete(error, reference) from None
        with parsing(reference):
            return dict(parse_json(content))

    def _config(self, repository: Repository, manifest: dict[str, Any]) -> dict[str, Any] | None:
        """The config of an image; None where the manifest is of something else."""
        if not has_config(manifest):
            return None
        digest = manifest["config"]["digest"]
        try:
            return dict(parse_json(self.client.blob(repository, digest)))
        except RequestFailed as error:
            raise _incomplete(error, f"{repository.name}@{digest}") from None


def _incomplete(error: RequestFailed, reference: str) -> Exception:
    """A part of an image that is not there is no tag that is not there."""
    found = error.failure.error(f"{reference} could not be read back")
    return BuildFailed(found.message) if isinstance(found, NoSuchTag) else found
