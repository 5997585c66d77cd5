"""Images that the `docker` driver has built: pushes these images to registries, and tags them for the user."""

from __future__ import annotations

import contextlib
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from mpbake.base.errors import BuildFailed, Cancelled, MpbakeError, Unreachable
from mpbake.base.text import duration, one_line, without_colour
from mpbake.buildkit.process.completed import CommandFailed
from mpbake.buildkit.registry.client import RequestFailed, repository_of
from mpbake.buildkit.registry.hints import OTHER_PUSH_HINT
from mpbake.graph.delivery import upload_tags
from mpbake.run.events import Warned

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mpbake.buildkit.nodes.instances.instances import ReadyNode
    from mpbake.buildkit.process.client import DockerCommands
    from mpbake.buildkit.process.docker import Docker
    from mpbake.buildkit.registry.client import RegistryClient, Repository
    from mpbake.model.plan import Target
    from mpbake.run.events import Reporter

T = TypeVar("T")

_TIMEOUT = 60.0
_TRIES = 3
_PAUSE = 1.0
_TAGGERS = 4
"""The number of `docker tag` commands that run in parallel."""
_NO_ENGINE = re.compile(r"Cannot connect to the Docker daemon|error during connect", re.IGNORECASE)


class EngineImages:
    """Tags, pushes and removes images of engines, for the plan in the folder `root`. Thread-safe."""

    def __init__(self, docker: Docker, root: Path) -> None:
        self._docker = docker
        self._root = root
        self._taggers = ThreadPoolExecutor(max_workers=_TAGGERS, thread_name_prefix="tag")
        self._uploads: dict[str, tuple[ReadyNode, dict[str, None]]] = {}

    def remember_uploads(self, targets: Sequence[Target], ready_node: ReadyNode) -> None:
        """Remember the temporary tags that the engine is about to push for `targets`; `close` removes these tags."""
        _, names = self._uploads.setdefault(ready_node.endpoint, (ready_node, {}))
        names.update(dict.fromkeys(name for target in targets for name in upload_tags(target, self._root)))

    def name(self, target: Target, image: str, ready_node: ReadyNode) -> None:
        """Give `image` in the engine the tags of `target`. Raises BuildFailed, Unreachable."""
        for tag in target.tags:
            self._tag(image, tag, ready_node)

    def name_later(self, target: Target, image: str, ready_node: ReadyNode, reporter: Reporter) -> None:
        """Give `image` the tags of `target` in the background. A failure is reported as a warning."""
        self._taggers.submit(self._name_or_warn, target, image, ready_node, reporter)

    def finish(self) -> None:
        """Wait for all tags from `name_later`."""
        self._taggers.shutdown(wait=True)

    def upload(self, target: Target, image: str, ready_node: ReadyNode, client: RegistryClient) -> dict[str, str]:
        """Push `image` to each repository of `target`, under a temporary tag. Return the digest by repository.

        This is necessary for the classic image store, whose images only `docker push` can push. Raises BuildFailed,
        Unreachable.
        """
        digests = {}
        for tag in upload_tags(target, self._root):
            self._tag(image, tag, ready_node)
            try:
                self._push(target, tag, ready_node, client)
                digests[repository_of(tag).name] = self._pushed_digest(image, tag, ready_node, client)
            finally:
                self._remove([tag], ready_node)
        return digests

    def close(self) -> None:
        """Remove the temporary tags of uploads, with one command for each engine."""
        self.finish()
        for ready_node, names in self._uploads.values():
            if names:
                self._remove([*names], ready_node)

    def _name_or_warn(self, target: Target, image: str, ready_node: ReadyNode, reporter: Reporter) -> None:
        try:
            self.name(target, image, ready_node)
        except Cancelled:
            return
        except MpbakeError as error:
            message = f"{target.name}: published, but the engine's own tags do not name the new image"
            reporter.handle(Warned(message=f"{message}: {error.message}"))

    def _tag(self, image: str, tag: str, ready_node: ReadyNode) -> None:
        try:
            self._call(lambda client: client.image.tag(image, tag), ready_node)
        except CommandFailed as failure:
            error = failure.completed.error
            message = f"the engine cannot give an image the tag {tag}: {without_colour(error)}"
            if _NO_ENGINE.search(error):
                raise Unreachable(message, hint="check that the engine is up") from None
            hint = "run again: another run may have built the same tags meanwhile, or the image was removed"
            raise BuildFailed(message, hint=hint) from None

    def _push(self, target: Target, tag: str, ready_node: ReadyNode, client: RegistryClient) -> None:
        """Push a tag, without a deadline unless the target has a timeout. Retry if the registry fails."""
        repository = repository_of(tag)
        problem = f"cannot push {target.name} to {repository.name}"
        for left in reversed(range(_TRIES)):
            try:
                self._call(lambda docker: docker.image.push_quietly(tag), ready_node, target.timeout or None)
            except CommandFailed as failed:
                completed = failed.completed
            else:
                return
            if completed.timed_out:
                message = f"{problem}: took longer than its timeout of {duration(target.timeout)}"
                raise BuildFailed(message, hint="raise timeout if that is too short")
            if _NO_ENGINE.search(completed.error):
                raise Unreachable(f"{problem}: {without_colour(completed.error)}", hint="check that the engine is up")
            failure = client.probe(repository)
            if failure is not None and (failure.is_refusal or failure.lost is not None or not left):
                raise failure.error(f"{problem}: {one_line(without_colour(completed.error))}")
            if not left:
                raise BuildFailed(f"{problem}: {without_colour(completed.error)}")
            self._docker.pause(_PAUSE)

    def _pushed_digest(self, image: str, tag: str, ready_node: ReadyNode, client: RegistryClient) -> str:
        """Return the digest of `image` in the repository of `tag`.

        mpbake queries the engine by the ID of the image, since another run may have moved `tag` to another image. The
        engine also lists digests of earlier pushes. Raises BuildFailed if the repository serves none of the digests.
        """
        repository = repository_of(tag)
        for digest in self._digests(image, repository, ready_node):
            with contextlib.suppress(RequestFailed):
                return client.manifest(repository, digest).digest
        hint = OTHER_PUSH_HINT
        raise BuildFailed(f"{repository.name} does not serve the image that was pushed", hint=hint)

    def _digests(self, image: str, repository: Repository, ready_node: ReadyNode) -> list[str]:
        """Return the digests of an image in one repository. The engine lists such a digest as `team/web@sha256:…`."""
        try:
            listed = self._call(lambda client: client.image.inspect(image).repo_digests, ready_node)
        except CommandFailed:
            return []
        references = [reference.partition("@") for reference in listed or ()]
        return [digest for name, _, digest in references if _is_same(repository_of(name), repository)]

    def _remove(self, names: Sequence[str], ready_node: ReadyNode) -> None:
        self._docker.clean(["image", "rm", *names], endpoint=ready_node.endpoint, environment=ready_node.environment)

    def _call(
        self, request: Callable[[DockerCommands], T], ready_node: ReadyNode, timeout: float | None = _TIMEOUT
    ) -> T:
        return self._docker.call(
            request, endpoint=ready_node.endpoint, environment=ready_node.environment, timeout=timeout
        )


def _is_same(one: Repository, other: Repository) -> bool:
    """Whether two repositories are the same in different notations, such as `web` and `docker.io/library/web`."""
    return (one.registry, one.path) == (other.registry, other.path)
