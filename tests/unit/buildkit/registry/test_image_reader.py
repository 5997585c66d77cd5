"""Images read back from a registry."""

from __future__ import annotations

import pytest

from mpbake.base.errors import BuildFailed, NoSuchTag, Unreachable
from mpbake.base.platforms import parse_platform
from mpbake.buildkit.registry.client import INDEX, Manifest
from mpbake.buildkit.registry.image_reader import ImageReader
from tests.unit.registries import MemoryRegistry, client_of, refusal

AMD64, ARM64 = parse_platform("linux/amd64"), parse_platform("linux/arm64")


def test_an_index_is_read_with_the_config_of_each_image() -> None:
    registry = MemoryRegistry()
    index = registry.add_index("r/web", "amd64", "arm64", tag="1", config={"Labels": {"a": "b"}})
    reading = ImageReader(client=client_of(registry))
    served = reading.served("r/web:1", reading.manifest("r/web:1"))
    assert served.digest == index.digest
    assert [(image.platform, image.configured) for image in served.images] == [(AMD64, AMD64), (ARM64, ARM64)]
    assert [image.labels for image in served.images] == [{"a": "b"}] * 2
    assert len(registry.asked) == 1 + 2 * 2


def test_an_image_without_an_index_says_itself_what_it_is() -> None:
    registry = MemoryRegistry()
    image = registry.add_image("r/web", "arm64")
    registry.add("r/web", image, "1")
    reading = ImageReader(client=client_of(registry))
    served = reading.served("r/web:1", reading.manifest("r/web:1"))
    assert (served.digest, [entry.platform for entry in served.images]) == (image.digest, [ARM64])


def test_a_tag_that_is_not_there() -> None:
    with pytest.raises(NoSuchTag, match=r"^r/web:1 cannot be read: docker\.io answers 404 Not Found: MANIFEST_"):
        ImageReader(client=client_of(MemoryRegistry())).manifest("r/web:1")
    down = MemoryRegistry(lambda *_: refusal(503))
    with pytest.raises(Unreachable, match=r"^r/web:1 cannot be read: docker\.io answers 503 "):
        ImageReader(client=client_of(down)).manifest("r/web:1")


@pytest.mark.parametrize("part", ["manifest", "config"])
def test_a_part_that_is_not_there_is_another_thing_than_a_tag(part: str) -> None:
    registry = MemoryRegistry()
    registry.add_index("r/web", "amd64", tag="1")
    if part == "config":
        registry.blobs.clear()
    else:
        registry.manifests = {name: manifest for name, manifest in registry.manifests.items() if manifest.is_index}
    reading = ImageReader(client=client_of(registry))
    with pytest.raises(BuildFailed, match=r"^r/web@sha256:.* cannot be read: docker\.io answers 404") as caught:
        reading.served("r/web:1", reading.manifest("r/web:1"))
    assert not isinstance(caught.value, NoSuchTag)


@pytest.mark.parametrize(
    "content", ["", "1", "[1]", '{"manifests": 1}', '{"manifests": [1]}', '{"manifests": [{}]}', '{"config": 1}']
)
def test_what_is_no_image_is_told(content: str) -> None:
    registry = MemoryRegistry()
    registry.add("r/web", Manifest(content=content.encode(), media_type=INDEX), "1")
    reading = ImageReader(client=client_of(registry))
    with pytest.raises(BuildFailed, match="the registry returned an invalid manifest"):
        reading.served("r/web:1", reading.manifest("r/web:1"))
