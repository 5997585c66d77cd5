"""Tags given and images read back, through `docker buildx imagetools`."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpbake.buildkit.complaints import moved_text, registry_error
from mpbake.buildkit.definition import annotations_of_index
from mpbake.errors import BuildFailed
from mpbake.platforms import Platform, platform_of
from mpbake.references import parse_reference
from mpbake.text import without_colour

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mpbake.buildkit.docker import Completed, Docker
    from mpbake.buildkit.instances import Ready
    from mpbake.plan import Target

_TIMEOUT = 300.0
_PUSHING = re.compile(r"^#(\d+) \[internal\] pushing (\S+)$", re.MULTILINE)
_DONE = re.compile(r"^#(\d+) DONE ", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """What a registry serves under a tag: platforms as the index says them, and as each image's own config does."""

    digest: str
    platforms: tuple[Platform, ...]
    configured: tuple[Platform, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Registry:
    """Requests to registries from this machine, with the login and the registry settings of a node's instance."""

    docker: Docker
    through: Ready

    def join(self, target: Target, digests: Sequence[str]) -> str:
        """Give the tags of `target` to one index of all manifests behind `digests`; returns its digest.

        Raises BuildFailed, Unreachable.
        """
        source = parse_reference(target.tags[0])
        command = ["buildx", "imagetools", "create", "--builder", self.through.builder, "--progress", "plain"]
        for annotation in annotations_of_index(target):
            command += ["--annotation", annotation]
        for tag in target.tags:
            command += ["--tag", tag]
        command += [source.at(digest) for digest in digests]
        digest = self._digest_of([*command, "--dry-run"])
        self._move(target, command)
        return digest

    def _digest_of(self, dry_run: Sequence[str]) -> str:
        """The digest of what `imagetools create` would push: what is read back later must be just that."""
        found = self._ask(dry_run)
        if found.returncode:
            raise registry_error("the index of all platforms cannot be made", found.error)
        return f"sha256:{hashlib.sha256(found.stdout.removesuffix(chr(10)).encode()).hexdigest()}"

    def _ask(self, command: Sequence[str]) -> Completed:
        """Run a docker command as the node's instance would."""
        return self.docker.run(
            command, endpoint=self.through.endpoint, environment=self.through.environment, timeout=_TIMEOUT
        )

    def push(self, target: Target) -> None:
        """Push each tag of `target` from the engine's own store. Raises BuildFailed, Unreachable."""
        for position, tag in enumerate(target.tags):
            self._move(target, ["push", "--quiet", tag], moved=target.tags[:position])

    def _move(self, target: Target, command: Sequence[str], moved: Sequence[str] = ()) -> None:
        found = self._ask(command)
        if not found.returncode:
            return
        what = moved_text(target.tags, {*moved, *_pushed(found.stderr)})
        raise registry_error(f"the tags could not be given ({what})", found.error)

    def served(self, tag: str) -> Served:
        """Read back what `tag` is now. Raises BuildFailed when there is nothing, Unreachable without an answer."""
        command = ["buildx", "imagetools", "inspect", "--builder", self.through.builder, "--format", "{{json .}}", tag]
        found = self._ask(command)
        if found.returncode:
            raise registry_error(f"{tag} could not be read back", without_colour(found.error))
        return parse_served(json.loads(found.stdout))

    def verify(self, target: Target, platforms: Iterable[Platform], digest: str) -> str:
        """Compare what every tag of `target` serves with what was to be; returns the digest. Raises BuildFailed."""
        wanted = set(platforms)
        differences = []
        for tag in target.tags:
            served = self.served(tag)
            digest = digest or served.digest
            differences += [f"{tag}: {each}" for each in compare(served, wanted, digest)]
        if differences:
            lines = "\n".join(f"  {each}" for each in differences)
            raise BuildFailed(
                f"the registry does not serve what was built:\n{lines}",
                hint="somebody else may have pushed the same tag meanwhile; run again",
            )
        return digest


def _pushed(progress: str) -> set[str]:
    """The tags that `imagetools create` has given, from its progress in plain text."""
    done = set(_DONE.findall(progress))
    return {tag for number, tag in _PUSHING.findall(progress) if number in done}


def compare(served: Served, wanted: set[Platform], digest: str) -> list[str]:
    """In words, how `served` differs from an image of exactly the `wanted` platforms with `digest`."""
    found = []
    if served.digest != digest:
        found.append(f"its digest is {served.digest}, not {digest}")
    missing, extra = wanted - set(served.platforms), set(served.platforms) - wanted
    if missing:
        found.append(f"it lacks {', '.join(map(str, sorted(missing)))}")
    if extra:
        found.append(f"it also holds {', '.join(map(str, sorted(extra)))}")
    if not missing and not extra and set(served.configured) != set(served.platforms):
        found.append(f"its images say of themselves that they are {', '.join(map(str, sorted(served.configured)))}")
    return found


def parse_served(data: dict[str, Any]) -> Served:
    """Read `imagetools inspect --format '{{json .}}'`, of an index or of a single image."""
    manifest, image = data["manifest"], data.get("image") or {}
    # buildx maps platforms to configs only where there are several; one stands by itself.
    configs = [image] if "architecture" in image else list(image.values())
    configured = tuple(platform_of(config) for config in configs)
    if "manifests" not in manifest:
        return Served(digest=manifest["digest"], platforms=configured, configured=configured)
    entries = [each.get("platform") or {} for each in manifest["manifests"] if not _is_attestation(each)]
    return Served(digest=manifest["digest"], platforms=tuple(map(platform_of, entries)), configured=configured)


def _is_attestation(entry: dict[str, Any]) -> bool:
    return (entry.get("annotations") or {}).get("vnd.docker.reference.type") == "attestation-manifest"
