"""Moves tags to pushed images, with one request for each tag. After a failure, reports which tags have moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import BuildFailed, Cancelled
from mpbake.base.json_text import parse_json
from mpbake.base.tag_moves import TagMoves
from mpbake.buildkit.registry.client import RequestFailed, repository_of
from mpbake.buildkit.registry.index import entries_of, joined_index
from mpbake.buildkit.registry.manifests import parsing
from mpbake.model.annotations import index_annotations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mpbake.base.errors import MpbakeError
    from mpbake.buildkit.registry.client import Manifest, RegistryClient, RegistryFailure, Repository
    from mpbake.model.plan import Target
    from mpbake.model.steps import Publish


@dataclass(frozen=True, kw_only=True, slots=True)
class TagPublisher:
    """Moves the tags of targets to their images."""

    client: RegistryClient

    def publish(self, step: Publish, sources: Mapping[str, Sequence[str]]) -> str:
        """Move the tags of a target to its image, and return the digest of the image.

        `sources` maps each repository to the digests of the pushed build pieces. The tags move to a single piece
        directly; several pieces are first joined by an index. Raises BuildFailed, Unreachable or Cancelled, each with
        the state of the tags.
        """
        tags = step.target.tags
        try:
            manifests = {name: self._manifest(step.target, name, digests) for name, digests in sources.items()}
        except RequestFailed as failed:
            error = failed.failure.error(f"cannot read the pushed images of {step.target.name}")
            raise self._with_moves(error, self._moves(step, [], [])) from None
        except BuildFailed as error:
            raise self._with_moves(error, self._moves(step, [], [])) from None
        wanted = {tag: manifests[repository_of(tag).name] for tag in tags}
        moved: list[str] = []
        for tag, manifest in wanted.items():
            try:
                failure, is_unsure = self._move(tag, manifest)
            except Cancelled as stop:
                raise Cancelled(stop.message).with_moves(self._moves(step, moved, [tag])) from stop
            if failure is not None:
                already = [other for other in tags[len(moved) + 1 :] if self._points_to(other, wanted[other])]
                moves = self._moves(step, [*moved, *already], [tag] if is_unsure else [])
                raise self._with_moves(failure.error(f"cannot move the tag {tag}"), moves)
            moved.append(tag)
        return manifests[repository_of(tags[0]).name].digest

    def _move(self, tag: str, manifest: Manifest) -> tuple[RegistryFailure | None, bool]:
        """Return the failure, if any, and whether the registry might still move the tag."""
        repository, name = _split(tag)
        try:
            self.client.put(repository, name, manifest)
        except RequestFailed as error:
            failure = error.failure
        else:
            return None, False
        try:
            is_moved = self.client.digest(repository, name) == manifest.digest
        except RequestFailed:
            is_moved = False
        return (None, False) if is_moved else (failure, not failure.not_applied)

    def _points_to(self, tag: str, manifest: Manifest) -> bool:
        """Whether a tag that this run has not moved already points to `manifest`, for example after an earlier run."""
        try:
            return self.client.without_retries.digest(*_split(tag)) == manifest.digest
        except (RequestFailed, Cancelled):
            return False

    @staticmethod
    def _with_moves(error: MpbakeError, moves: TagMoves) -> MpbakeError:
        """Return `error` with the state of the tags, both in a line of the message and as data."""
        return error.with_line(str(moves)).with_moves(moves)

    @staticmethod
    def _moves(step: Publish, moved: Sequence[str], unsure: Sequence[str]) -> TagMoves:
        """Return the state of all tags that move together. The tags of earlier targets have already moved."""
        moved = [*step.earlier_tags, *moved]
        decided = {*moved, *unsure}
        unmoved = tuple(tag for tag in step.every_tag if tag not in decided)
        return TagMoves(moved=tuple(moved), unsure=tuple(unsure), unmoved=unmoved)

    def _manifest(self, target: Target, name: str, digests: Sequence[str]) -> Manifest:
        """Return the manifest for the tags of a repository: the only build piece, or an index of all pieces."""
        repository = repository_of(name)
        pieces = [self.client.manifest(repository, digest) for digest in dict.fromkeys(digests)]
        annotations = index_annotations(target.attributes.get("annotations", ()))["index"]
        if len(pieces) == 1 and (pieces[0].is_index or not annotations):
            return pieces[0]
        with parsing(name):
            entries = [entry for piece in pieces for entry in entries_of(piece, self._platform(repository, piece))]
            return joined_index(entries, annotations, target.platforms)

    def _platform(self, repository: Repository, manifest: Manifest) -> dict[str, Any] | None:
        """Return the platform in the config of a single image; None for an index."""
        if manifest.is_index:
            return None
        config = parse_json(self.client.blob(repository, parse_json(manifest.content)["config"]["digest"]))
        names = ("architecture", "os", "os.version", "os.features", "variant")
        return {name: config[name] for name in names if config.get(name)}


def _split(tag: str) -> tuple[Repository, str]:
    """Split the reference of a tag into the repository and the name of the tag."""
    return repository_of(tag), tag.rpartition(":")[2]
