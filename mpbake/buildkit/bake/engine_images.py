"""Images in the store of an engine that builds by itself: pushed for the registry, named for the user."""

from __future__ import annotations

import contextlib
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from mpbake.base.errors import BuildFailed, Cancelled, MpbakeError, Unreachable
from mpbake.base.text import duration, one_line, without_colour
from mpbake.buildkit.process.docker import CommandFailed
from mpbake.buildkit.registry.client import RequestFailed, repository_of
from mpbake.graph.delivery import upload_tags
from mpbake.run.events import Warned

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mpbake.buildkit.nodes.instances import ReadyNode
    from mpbake.buildkit.process.docker import Client, Docker
    from mpbake.buildkit.registry.client import Client as RegistryClient
    from mpbake.buildkit.registry.client import Repository
    from mpbake.model.plan import Target
    from mpbake.run.events import Reporter

T = TypeVar("T")

_SECONDS = 60.0
_TRIES = 3
_PAUSE = 1.0
_AT_ONCE = 4
"""`docker tag` commands that run at the same time."""
_NO_ENGINE = re.compile(r"Cannot connect to the Docker daemon|error during connect", re.IGNORECASE)


class EngineImages:
    """Tags, pushes and removes images of engines; safe to use from several threads."""

    def __init__(self, docker: Docker) -> None:
        self._docker = docker
        self._taggers = ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="tag")
        self._uploads: dict[str, tuple[ReadyNode, dict[str, None]]] = {}

    def keep_in_mind(self, targets: Sequence[Target], ready: ReadyNode) -> None:
        """Have the names under which `targets` are about to be uploaded removed at the end of the run."""
        _, names = self._uploads.setdefault(ready.endpoint, (ready, {}))
        names.update(dict.fromkeys(name for target in targets for name in upload_tags(target)))

    def name(self, target: Target, image: str, ready: ReadyNode) -> None:
        """Have the tags of `target` name `image` in the engine. Raises BuildFailed, Unreachable."""
        for tag in target.tags:
            self._name(image, tag, ready)

    def name_later(self, target: Target, image: str, ready: ReadyNode, reporter: Reporter) -> None:
        """Do the same in the background. A failure is a warning."""
        self._taggers.submit(self._name_or_warn, target, image, ready, reporter)

    def finish(self) -> None:
        """Wait for the tags that are given in the background."""
        self._taggers.shutdown(wait=True)

    def upload(self, target: Target, image: str, ready: ReadyNode, client: RegistryClient) -> dict[str, str]:
        """Push `image` to each repository of `target`, under a tag that nobody uses; its digest by repository.

        For the classic image store, which can push by `docker push` only. Raises BuildFailed, Unreachable.
        """
        found = {}
        for tag in upload_tags(target):
            self._name(image, tag, ready)
            try:
                self._push(target, tag, ready, client)
                found[repository_of(tag).name] = self._pushed(image, tag, ready, client)
            finally:
                self._docker.clean(["image", "rm", tag], endpoint=ready.endpoint, environment=ready.environment)
        return found

    def close(self) -> None:
        """Remove the names of uploads, all of an engine at once."""
        self.finish()
        for ready, names in self._uploads.values():
            if names:
                self._docker.clean(["image", "rm", *names], endpoint=ready.endpoint, environment=ready.environment)

    def _name_or_warn(self, target: Target, image: str, ready: ReadyNode, reporter: Reporter) -> None:
        try:
            self.name(target, image, ready)
        except Cancelled:
            return
        except MpbakeError as error:
            what = f"{target.name}: published, but the engine's own tags do not name the new image"
            reporter.handle(Warned(message=f"{what}: {error.message}"))

    def _name(self, image: str, tag: str, ready: ReadyNode) -> None:
        try:
            self._call(lambda client: client.image.tag(image, tag), ready)
        except CommandFailed as failure:
            error = failure.completed.error
            message = f"the engine cannot name {tag}: {without_colour(error)}"
            if _NO_ENGINE.search(error):
                raise Unreachable(message, hint="is the engine still up?") from None
            hint = "another run may have built the same tags meanwhile, or the image was removed: run again"
            raise BuildFailed(message, hint=hint) from None

    def _push(self, target: Target, tag: str, ready: ReadyNode, client: RegistryClient) -> None:
        """Layers take as long as they take, unless the target has a timeout. A registry that fails is tried again."""
        repository = repository_of(tag)
        what = f"cannot push {target.name} to {repository.name}"
        for left in reversed(range(_TRIES)):
            try:
                self._call(lambda client: client.image.push_quietly(tag), ready, target.timeout or None)
            except CommandFailed as failed:
                end = failed.completed
            else:
                return
            if end.timed_out:
                message = f"{what}: took longer than its timeout of {duration(target.timeout)}"
                raise BuildFailed(message, hint="where that is too short, raise timeout")
            if _NO_ENGINE.search(end.error):
                raise Unreachable(f"{what}: {without_colour(end.error)}", hint="is the engine still up?")
            failure = client.probe(repository)
            if failure is not None and (failure.is_refusal or failure.lost is not None or not left):
                raise failure.error(f"{what}: {one_line(without_colour(end.error))}")
            if not left:
                raise BuildFailed(f"{what}: {without_colour(end.error)}")
            self._docker.pause(_PAUSE)

    def _pushed(self, image: str, tag: str, ready: ReadyNode, client: RegistryClient) -> str:
        """Return the digest under which the repository of `tag` serves `image`.

        The engine is asked for the image by its ID: another run may have moved `tag` to an image of its own meanwhile.
        The engine also lists digests of earlier pushes. Raises BuildFailed if the repository serves none of them.
        """
        repository = repository_of(tag)
        for digest in self._digests(image, repository, ready):
            with contextlib.suppress(RequestFailed):
                return client.manifest(repository, digest).digest
        hint = "another run may have pushed to the same tags at the same moment: run again"
        raise BuildFailed(f"{repository.name} does not serve the image that was pushed", hint=hint)

    def _digests(self, image: str, repository: Repository, ready: ReadyNode) -> list[str]:
        """The digests of an image in one repository, which the engine lists as `team/web@sha256:…`."""
        try:
            listed = self._call(lambda client: client.image.inspect(image).repo_digests, ready)
        except CommandFailed:
            return []
        references = [reference.partition("@") for reference in listed or ()]
        return [digest for name, _, digest in references if _is_same(repository_of(name), repository)]

    def _call(self, request: Callable[[Client], T], ready: ReadyNode, timeout: float | None = _SECONDS) -> T:
        return self._docker.call(request, endpoint=ready.endpoint, environment=ready.environment, timeout=timeout)


def _is_same(one: Repository, other: Repository) -> bool:
    """Whether two repositories are the same one, in whatever spelling: `web`, `docker.io/library/web`."""
    return (one.registry, one.path) == (other.registry, other.path)
