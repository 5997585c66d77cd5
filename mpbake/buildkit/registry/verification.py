"""Images read back from registries and compared with what they must be."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mpbake.base.errors import BuildFailed, Cancelled, MpbakeError, NoSuchTag, Unreachable
from mpbake.base.references import parse_reference
from mpbake.buildkit.registry.manifests import attestation_types, parsing
from mpbake.model.expected_images import Mismatch, Served, mismatches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mpbake.buildkit.registry.image_reader import ImageReader
    from mpbake.model.expected_images import ExpectedImages, ServedImage

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds after which a registry is asked again that does not serve yet what it was given."""
PATIENCE = 60.0
"""Seconds after which one that does not answer is not asked again; each question may take half of that."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """Compares what registries serve with what they must."""

    reading: ImageReader

    def wait(
        self,
        expected: ExpectedImages,
        pause: Callable[[float], object],
        pauses: Sequence[float] = PAUSES,
        clock: Callable[[], float] = time.monotonic,
    ) -> Served:
        """Compare until there is no difference, after each of `pauses` again; returns what is served.

        A registry that does not answer is not asked again once `clock` has gone on by `PATIENCE`. Raises BuildFailed
        with the differences that are left, or what the registry said instead; Unreachable.
        """
        end = clock() + PATIENCE
        left = iter(pauses)
        while True:
            try:
                return self._without_difference(expected)
            except (BuildFailed, Unreachable) as error:
                seconds = next(left, math.inf)
                late = isinstance(error, Unreachable) and clock() + seconds >= end
                if late or seconds == math.inf:
                    raise
            pause(seconds)

    def _without_difference(self, expected: ExpectedImages) -> Served:
        """What is served, as `compare` tells. Raises BuildFailed where it differs."""
        found, served = self.compare(expected)
        if found:
            raise _failed(found)
        return served

    def compare(self, expected: ExpectedImages) -> tuple[tuple[Mismatch, ...], Served]:
        """How every tag differs from what it must be, and what is served under the first.

        Raises BuildFailed, Unreachable.
        """
        known: dict[str, Served] = {}
        found: list[Mismatch] = []
        digest = expected.digest
        for tag in expected.tags:
            manifest = self.reading.manifest(tag)
            digest = digest or manifest.digest
            if manifest.digest not in known:
                known[manifest.digest] = self._attested(expected, tag, self.reading.served(tag, manifest))
            found += mismatches(expected, tag, known[manifest.digest], digest)
        return tuple(found), next(iter(known.values()))

    def complaints(self, expected: ExpectedImages) -> Iterator[Mismatch]:
        """As `compare`, a tag at a time: one that cannot be read differs too. Raises Unreachable, Cancelled."""
        digest = expected.digest
        for tag in expected.tags:
            try:
                found, first = self.compare(replace(expected, tags=(tag,), digest=digest))
            except (Cancelled, Unreachable):
                raise
            except MpbakeError as error:
                said = "no such tag" if isinstance(error, NoSuchTag) else error.message
                yield Mismatch(tag=tag, what="answer", expected="an image", found=said)
            else:
                digest = digest or first.digest
                yield from found

    def _attested(self, expected: ExpectedImages, tag: str, served: Served) -> Served:
        """`served` with the types of its images' attestations, where any are expected."""
        if not expected.attestations:
            return served
        repository = parse_reference(tag)

        def types(image: ServedImage) -> tuple[str, ...]:
            statements = map(repository.at, served.statements.get(image.digest, ()))
            return tuple(kind for reference in statements for kind in self._types(reference))

        return replace(served, images=tuple(replace(image, attestations=types(image)) for image in served.images))

    def _types(self, reference: str) -> tuple[str, ...]:
        """What an attestation manifest attests."""
        with parsing(reference):
            return attestation_types(self.reading.raw(reference))


def _failed(found: Sequence[Mismatch]) -> BuildFailed:
    lines = "\n".join(f"  {each}" for each in found)
    return BuildFailed(
        f"the registry does not serve what was built:\n{lines}",
        hint="somebody else may have pushed the same tag meanwhile; run again",
    )
