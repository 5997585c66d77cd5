"""Reads images from registries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import BuildFailed, NoSuchTag
from mpbake.base.json_text import parse_json
from mpbake.buildkit.registry.client import RequestFailed, repository_of
from mpbake.buildkit.registry.manifests import has_config, image_entries, parse_served, parsing

if TYPE_CHECKING:
    from mpbake.buildkit.registry.client import Manifest, RegistryClient, Repository
    from mpbake.model.expected_images import Served


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageReader:
    """Reads images by tag. Every method raises BuildFailed, or Unreachable if the registry does not answer."""

    client: RegistryClient

    def manifest(self, tag: str) -> Manifest:
        """Return the manifest or index of a tag. Raises NoSuchTag if the tag does not exist."""
        name = tag.rpartition(":")[2]
        try:
            return self.client.manifest(repository_of(tag), name)
        except RequestFailed as error:
            raise error.failure.error(f"{tag} cannot be read") from None

    def served(self, tag: str, manifest: Manifest) -> Served:
        """Return the images of a manifest or index, including the manifest and config of each image."""
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
        """Return the parsed manifest or index of a reference `REPOSITORY@DIGEST`."""
        repository, digest = repository_of(reference), reference.partition("@")[2]
        try:
            content = self.client.manifest(repository, digest).content
        except RequestFailed as error:
            raise _incomplete(error, reference) from None
        with parsing(reference):
            return dict(parse_json(content))

    def _config(self, repository: Repository, manifest: dict[str, Any]) -> dict[str, Any] | None:
        """Return the config of an image; None if the manifest does not belong to an image."""
        if not has_config(manifest):
            return None
        digest = manifest["config"]["digest"]
        try:
            return dict(parse_json(self.client.blob(repository, digest)))
        except RequestFailed as error:
            raise _incomplete(error, f"{repository.name}@{digest}") from None


def _incomplete(error: RequestFailed, reference: str) -> Exception:
    """Return the error for a part of an image that cannot be read. The error for a missing part is not NoSuchTag."""
    failure = error.failure.error(f"{reference} cannot be read")
    return BuildFailed(failure.message) if isinstance(failure, NoSuchTag) else failure
