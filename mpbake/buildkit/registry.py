"""Tags given and images read back, through `docker buildx imagetools`."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpbake.buildkit.complaints import has_stumbled, is_absent, moved_of, moved_text, registry_error
from mpbake.buildkit.definition import annotations_of_index
from mpbake.buildkit.served import first_of, in_order, parse_served, understood
from mpbake.delivery import uploads
from mpbake.errors import BuildFailed, Cancelled, NoSuchTag, Unreachable
from mpbake.json_text import parse_json
from mpbake.references import parse_reference
from mpbake.text import duration, without_colour

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from mpbake.buildkit.docker import Completed, Docker
    from mpbake.buildkit.instances import Ready
    from mpbake.errors import MpbakeError
    from mpbake.expected import Served
    from mpbake.plan import Target
    from mpbake.steps import Publish

_TIMEOUT = 300.0
"""Seconds for a request that carries no layers."""
_READING = 30.0
"""Seconds in which what a registry serves must be read."""
_PAUSES = (0.5, 2.0)
"""Seconds to wait before each further try, where a registry fails for a reason of its own."""
_PUSHING = re.compile(r"^#(\d+) \[internal\] pushing (\S+)$", re.MULTILINE)
_INDEX = re.compile(r"^#\d+ [\d.]+ pushing (sha256:[0-9a-f]+) to ", re.MULTILINE)
_NO_ENGINE = re.compile(r"Cannot connect to the Docker daemon|error during connect", re.IGNORECASE)
_NO_SUCH = re.compile(r"No such image|not found", re.IGNORECASE)
_DONE = re.compile(r"^#(\d+) DONE ", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Registry:
    """Requests to registries from this machine, with the login and the registry settings of a node's instance.

    Each is made again, a few times, where a registry fails for a reason of its own.
    """

    docker: Docker
    through: Ready

    def join(self, step: Publish, digests: Sequence[str]) -> str:
        """Give the tags of a target to one index of all manifests behind `digests`; returns its digest.

        Every repository has those manifests already. Raises BuildFailed, Unreachable.
        """
        annotations = annotations_of_index(step.target)
        index, sources = self._plan_index(step, digests, annotations)
        digest = f"sha256:{hashlib.sha256(index.encode()).hexdigest()}"
        self._give(step, digest, sources, annotations)
        return digest

    def tag(self, step: Publish, digest: str) -> None:
        """Give the tags of a target to an index that every repository has already. Raises BuildFailed, Unreachable."""
        self._give(step, digest, [digest])

    def _give(self, step: Publish, digest: str, sources: Sequence[str], annotations: Sequence[str] = ()) -> None:
        """Give the tags of a target to the index with this digest, which is made of `sources`."""
        moved: list[str] = []
        # buildx copies what lies in another repository manifest by manifest under the very tag that it is to give.
        for tags in _by_repository(step.target.tags):
            end = self._move(step, self._create(tags, sources, annotations), moved)
            moved += tags
            if others := set(_INDEX.findall(end.stderr)) - {digest}:
                before = {*step.earlier_tags, *moved}
                message = f"{tags[0]} names {', '.join(sorted(others))}, not {digest}"
                raise BuildFailed(f"{message} ({moved_text(step.every_tag, before)})").after(before)

    def _create(self, tags: Sequence[str], digests: Sequence[str], annotations: Sequence[str]) -> list[str]:
        """The command that gives `tags`, which are of one repository, to an index of what `digests` name there.

        One that is the only one, and gets no annotations, stays as it is.
        """
        command = ["buildx", "imagetools", "create", "--builder", self.through.builder, "--progress", "plain"]
        for annotation in annotations:
            command += ["--annotation", annotation]
        for tag in tags:
            command += ["--tag", tag]
        return [*command, *map(parse_reference(tags[0]).at, digests)]

    def _plan_index(
        self, step: Publish, digests: Sequence[str], annotations: Sequence[str]
    ) -> tuple[str, Sequence[str]]:
        """The index that the tags are to name, and of which digests: in the order that one node would give it.

        What is read back later must be just that index.
        """
        tags = _by_repository(step.target.tags)[0]
        index = self._dry_run(step, self._create(tags, digests, annotations))
        found = json.loads(index)
        wanted = in_order(found, step.target.platforms)
        first = first_of(wanted, found)
        if not first:
            return index, digests
        # A manifest that is named twice stands where it is named first, and keeps what its own index says of it.
        again = [*first, *digests]
        better = self._dry_run(step, self._create(tags, again, annotations))
        return (better, again) if wanted == json.loads(better) else (index, digests)

    def _dry_run(self, step: Publish, command: Sequence[str]) -> str:
        """The index that `imagetools create` would push, byte for byte."""
        found = self._ask([*command, "--dry-run"])
        if found.returncode:
            what = "the index of all platforms cannot be made"
            moved = f" ({moved_text(step.every_tag, step.earlier_tags)})" if step.order else ""
            raise registry_error(f"{what}{moved}", found.error)
        return found.stdout.removesuffix("\n")

    def _ask(self, command: Sequence[str], timeout: float | None = _TIMEOUT) -> Completed:
        """Run a docker command as the node's instance would, again where the registry stumbled; how it ended at last.

        Some registries do when several images with the same layers arrive.
        """
        *_, last = self._attempts(command, timeout)
        return last

    def _attempts(self, command: Sequence[str], timeout: float | None = _TIMEOUT) -> Iterator[Completed]:
        """How each attempt ended, the last one for good."""
        for seconds in _PAUSES:
            found = self._once(command, timeout)
            yield found
            if not found.returncode or not has_stumbled(found.error):
                return
            self.docker.pause(seconds)
        yield self._once(command, timeout)

    def _once(self, command: Sequence[str], timeout: float | None = _TIMEOUT) -> Completed:
        return self.docker.run(
            command, endpoint=self.through.endpoint, environment=self.through.environment, timeout=timeout
        )

    def push(self, step: Publish, image: str) -> None:
        """Push `image` of the engine's own store under each tag of a target. Raises BuildFailed, Unreachable.

        Somebody else may have given a tag to another image there since it was built.
        """
        for position, tag in enumerate(step.target.tags):
            moved = (*step.earlier_tags, *step.target.tags[:position])
            with _unsure(moved):
                if image:
                    self._name(step, image, tag, "the tags could not be given", moved)
                end = self._push(step, tag)
            if end.returncode:
                raise _push_error(step, "the tags could not be given", moved, end)

    def _push(self, step: Publish, tag: str) -> Completed:
        """Layers take as long as they take, unless the target has a limit."""
        return self._ask(["push", "--quiet", tag], step.target.timeout or None)

    def upload(self, step: Publish, target: Target, digest: str) -> None:
        """Push an index of the engine's own store to each repository of `target`, so that it can be tagged by digest.

        Raises BuildFailed, Unreachable.
        """
        for tag in uploads(target):
            what = f"the image of {target.name} could not be pushed"
            try:
                self._name(step, digest, tag, what, step.earlier_tags)
                end = self._push(step, tag)
            finally:
                self.docker.clean(
                    ["image", "rm", tag], endpoint=self.through.endpoint, environment=self.through.environment
                )
            if end.returncode:
                raise _push_error(step, what, step.earlier_tags, end)

    def _name(self, step: Publish, image: str, tag: str, what: str, moved: Sequence[str]) -> None:
        """Have a tag name `image` in the engine's own store; `what` is what fails where that is not possible."""
        end = self._once(["tag", image, tag])
        if end.returncode and not _NO_SUCH.search(end.error):
            raise _push_error(step, what, moved, end)
        if end.returncode:
            hint = "another run has built these tags there meanwhile, or somebody has removed it: run again"
            message = f"{what} ({moved_text(step.every_tag, moved)}): it is not in the engine's store any more"
            raise BuildFailed(message, hint=hint).after(moved)

    def _move(self, step: Publish, command: Sequence[str], moved: Sequence[str]) -> Completed:
        """Have tags moved; `moved` are those that were before. What any attempt has pushed has moved."""
        with _unsure((*step.earlier_tags, *moved)):
            attempts = tuple(self._attempts(command))
        if not attempts[-1].returncode:
            return attempts[-1]
        pushed = {tag for each in attempts for tag in _pushed(each.stderr)}
        every = moved_of(step.every_tag, {*step.earlier_tags, *moved, *pushed})
        what = f"the tags could not be given ({moved_text(step.every_tag, every)})"
        raise registry_error(what, attempts[-1].error).after(every)

    def served(self, tag: str) -> Served:
        """Read back what `tag` is now. Raises NoSuchTag, BuildFailed, and Unreachable without an answer."""
        command = ["buildx", "imagetools", "inspect", "--builder", self.through.builder, "--format", "{{json .}}", tag]
        found = self._ask(command, _READING)
        if found.returncode:
            error = registry_error(f"{tag} could not be read back", without_colour(found.error))
            raise NoSuchTag(error.message) if is_absent(found.error) else error
        with understood(tag):
            return parse_served(parse_json(found.stdout))

    def raw(self, reference: str) -> dict[str, Any]:
        """A manifest or an index as it is. Raises BuildFailed when there is nothing, Unreachable without an answer."""
        command = ["buildx", "imagetools", "inspect", "--builder", self.through.builder, "--raw", reference]
        found = self._ask(command, _READING)
        if found.returncode:
            raise registry_error(f"{reference} could not be read back", without_colour(found.error))
        with understood(reference):
            return dict(parse_json(found.stdout))


def _push_error(step: Publish, what: str, moved: Collection[str], end: Completed) -> MpbakeError:
    """Why a push failed, after which those of the tags have moved that `moved` names."""
    what = f"{what} ({moved_text(step.every_tag, moved)})"
    if _NO_ENGINE.search(end.error):
        return Unreachable(f"{what}: {without_colour(end.error)}", hint="is the engine still up?").after(moved)
    if not end.timed_out:
        return registry_error(what, end.error).after(moved)
    message = f"{what}: took longer than its timeout of {duration(step.target.timeout)}"
    return BuildFailed(message, hint="where that is too short, raise timeout").after(moved)


@contextlib.contextmanager
def _unsure(moved: Collection[str]) -> Iterator[None]:
    """Within, tags move: whoever is stopped meanwhile cannot know which of them have, besides those that had before."""
    try:
        yield
    except Cancelled as stop:
        raise Cancelled(stop.message, unsure=True).after(moved) from stop


def _by_repository(tags: Sequence[str]) -> list[list[str]]:
    """`tags` in groups of one repository each, in their order."""
    groups: dict[str, list[str]] = {}
    for tag in tags:
        groups.setdefault(parse_reference(tag).repository, []).append(tag)
    return list(groups.values())


def _pushed(progress: str) -> set[str]:
    """The tags that `imagetools create` has given, from its progress in plain text."""
    done = set(_DONE.findall(progress))
    return {tag for number, tag in _PUSHING.findall(progress) if number in done}
