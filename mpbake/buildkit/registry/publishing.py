"""Tags moved to what a run has pushed, one request for each; what has moved is decided by asking the registry."""

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
    from mpbake.buildkit.registry.client import Client, Manifest, RegistryFailure, Repository
    from mpbake.model.plan import Target
    from mpbake.model.steps import Publish


@dataclass(frozen=True, kw_only=True, slots=True)
class TagPublisher:
    """Moves the tags of targets."""

    client: Client

    def publish(self, step: Publish, sources: Mapping[str, Sequence[str]]) -> str:
        """Have the tags of a target name one image; returns its digest.

        `sources` are the digests of the pieces that each repository has already, by repository: a single one is tagged
        as it is, several are joined by an index. Raises BuildFailed, Unreachable or Cancelled, each with what moved.
        """
        tags = step.target.tags
        try:
            manifests = {name: self._whole(step.target, name, digests) for name, digests in sources.items()}
        except RequestFailed as failed:
            error = failed.failure.error(f"cannot read what was pushed of {step.target.name}")
            raise self._telling(error, self._moves(step, [], [])) from None
        except BuildFailed as error:
            raise self._telling(error, self._moves(step, [], [])) from None
        wanted = {tag: manifests[repository_of(tag).name] for tag in tags}
        moved: list[str] = []
        for tag, manifest in wanted.items():
            try:
                failure, is_unsure = self._move(tag, manifest)
            except Cancelled as stop:
                raise Cancelled(stop.message).with_moves(self._moves(step, moved, [tag])) from stop
            if failure is not None:
                later = [each for each in tags[len(moved) + 1 :] if self._names(each, wanted[each])]
                moves = self._moves(step, [*moved, *later], [tag] if is_unsure else [])
                raise self._telling(failure.error(f"cannot move the tag {tag}"), moves)
            moved.append(tag)
        return manifests[repository_of(tags[0]).name].digest

    def _move(self, tag: str, manifest: Manifest) -> tuple[RegistryFailure | None, bool]:
        """Have a tag name a manifest: why it does not, and whether it may have moved all the same, or may yet."""
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
        return (None, False) if is_moved else (failure, not failure.settled)

    def _names(self, tag: str, manifest: Manifest) -> bool:
        """Whether a tag that was not to be moved yet names a manifest already, as after an earlier run."""
        try:
            return self.client.once.digest(*_split(tag)) == manifest.digest
        except (RequestFailed, Cancelled):
            return False

    @staticmethod
    def _telling(error: MpbakeError, moves: TagMoves) -> MpbakeError:
        """Return `error` with what became of the tags, as a line of its message and as data."""
        return error.with_line(str(moves)).with_moves(moves)

    @staticmethod
    def _moves(step: Publish, moved: Sequence[str], unsure: Sequence[str]) -> TagMoves:
        """What has become of all tags that move together; those of earlier targets moved before."""
        moved = [*step.earlier_tags, *moved]
        known = {*moved, *unsure}
        return TagMoves(
            moved=tuple(moved), unsure=tuple(unsure), unmoved=tuple(tag for tag in step.every_tag if tag not in known)
        )

    def _whole(self, target: Target, name: str, digests: Sequence[str]) -> Manifest:
        """The manifest that the tags of a repository are to name."""
        repository = repository_of(name)
        found = [self.client.manifest(repository, digest) for digest in dict.fromkeys(digests)]
        annotations = index_annotations(target.attributes.get("annotations", ()))["index"]
        if len(found) == 1 and (found[0].is_index or not annotations):
            return found[0]
        with parsing(name):
            entries = [entry for each in found for entry in entries_of(each, self._platform(repository, each))]
            return joined_index(entries, annotations, target.platforms)

    def _platform(self, repository: Repository, manifest: Manifest) -> dict[str, Any] | None:
        """The platform of an image without an index, as its config states it."""
        if manifest.is_index:
            return None
        config = parse_json(self.client.blob(repository, parse_json(manifest.content)["config"]["digest"]))
        names = ("architecture", "os", "os.version", "os.features", "variant")
        return {name: config[name] for name in names if config.get(name)}


def _split(tag: str) -> tuple[Repository, str]:
    return repository_of(tag), tag.rpartition(":")[2]
