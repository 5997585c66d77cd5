"""The images of a cluster's registry."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from testbed.images import base_packages, build_busybox_image, build_pod_image, push_busybox
from testbed.oci import push_image

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from testbed.oci import Image
    from testbed.place import Place
    from testbed.registry_client import RegistryClient

_PAUSE = ("sleep", "2147483647")


def push_images(place: Place, registry: RegistryClient, environ: Mapping[str, str]) -> None:
    """Push what the registry lacks.

    These are the image of pods that kubelet asks for, BuildKit under the name that buildx uses by default, and `base:1`
    for builds.
    """
    images: dict[tuple[str, str], Callable[[], Image]] = {
        ("library/pause", "1"): partial(build_busybox_image, place, _PAUSE),
        ("moby/buildkit", "buildx-stable-1"): partial(build_pod_image, place),
    }
    for (repository, tag), build in images.items():
        if not registry.has(f"{repository}:{tag}"):
            push_image(registry, repository, tag, build())
    push_busybox(environ, registry, base_packages(place))
