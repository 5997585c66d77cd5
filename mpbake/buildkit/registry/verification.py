"""Reads images from registries, and compares these images with the expected images."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mpbake.base.errors import BuildFailed, Cancelled, MpbakeError, NoSuchTag, Unreachable
from mpbake.base.references import parse_reference
from mpbake.buildkit.registry.hints import OTHER_PUSH_HINT
from mpbake.buildkit.registry.manifests import attestation_types, parsing
from mpbake.model.expected_images import Mismatch, Served, mismatches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mpbake.buildkit.registry.image_reader import ImageReader
    from mpbake.model.expected_images import ExpectedImages, ServedImage

VERIFY_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds to wait before each retry if a registry does not yet serve the pushed image."""
PATIENCE = 60.0
"""Seconds after which an unreachable registry is not queried again. Each request may take half of this time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """Compares images in registries with the expected images."""

    reader: ImageReader

    def wait(
        self,
        expected: ExpectedImages,
        pause: Callable[[float], object],
        pauses: Sequence[float] = VERIFY_PAUSES,
        clock: Callable[[], float] = time.monotonic,
    ) -> Served:
        """Compare, and repeat after each of `pauses` until there is no difference. Return the served image.

        After `PATIENCE` seconds of `clock`, an unreachable registry is not queried again. Raises Unreachable, and
        BuildFailed with the remaining differences or the registry's error.
        """
        deadline = clock() + PATIENCE
        remaining = iter(pauses)
        while True:
            try:
                return self._require_match(expected)
            except (BuildFailed, Unreachable) as error:
                seconds = next(remaining, math.inf)
                is_late = isinstance(error, Unreachable) and clock() + seconds >= deadline
                if is_late or seconds == math.inf:
                    raise
            pause(seconds)

    def _require_match(self, expected: ExpectedImages) -> Served:
        """Compare, and return the served image. Raises BuildFailed if there are differences."""
        differences, served = self.compare(expected)
        if differences:
            raise _failed(differences)
        return served

    def compare(self, expected: ExpectedImages) -> tuple[tuple[Mismatch, ...], Served]:
        """Return the differences of all tags, and the served image of the first tag.

        Raises BuildFailed, Unreachable.
        """
        served: dict[str, Served] = {}
        differences: list[Mismatch] = []
        digest = expected.digest
        for tag in expected.tags:
            manifest = self.reader.manifest(tag)
            digest = digest or manifest.digest
            if manifest.digest not in served:
                served[manifest.digest] = self._attested(expected, tag, self.reader.served(tag, manifest))
            differences += mismatches(expected, tag, served[manifest.digest], digest)
        return tuple(differences), next(iter(served.values()))

    def compare_each_tag(self, expected: ExpectedImages) -> Iterator[Mismatch]:
        """Compare one tag after another. A tag that cannot be read is a difference. Raises Unreachable, Cancelled.

        Unlike in `compare`, one unreadable tag does not hide the differences of other tags.
        """
        digest = expected.digest
        for tag in expected.tags:
            try:
                differences, served = self.compare(replace(expected, tags=(tag,), digest=digest))
            except (Cancelled, Unreachable):
                raise
            except MpbakeError as error:
                answer = "no such tag" if isinstance(error, NoSuchTag) else error.message
                yield Mismatch(tag=tag, attribute="answer", expected="an image", actual=answer)
            else:
                digest = digest or served.digest
                yield from differences

    def _attested(self, expected: ExpectedImages, tag: str, served: Served) -> Served:
        """Return `served` with the types of attestations, if any are expected."""
        if not expected.attestations:
            return served
        repository = parse_reference(tag)

        def types(image: ServedImage) -> tuple[str, ...]:
            statements = map(repository.at, served.statements.get(image.digest, ()))
            return tuple(kind for reference in statements for kind in self._types(reference))

        return replace(served, images=tuple(replace(image, attestations=types(image)) for image in served.images))

    def _types(self, reference: str) -> tuple[str, ...]:
        """Return the types of attestations in an attestation manifest."""
        with parsing(reference):
            return attestation_types(self.reader.raw(reference))


def _failed(differences: Sequence[Mismatch]) -> BuildFailed:
    lines = "\n".join(f"  {difference}" for difference in differences)
    return BuildFailed(
        f"the registry does not serve the built image:\n{lines}",
        hint=OTHER_PUSH_HINT,
    )
