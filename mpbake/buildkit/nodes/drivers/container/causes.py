"""The known causes of failures of a container and its engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.buildkit.nodes.causes import NO_BUILDKIT, PAUSED, REFUSED, cause, engine_causes

if TYPE_CHECKING:
    from mpbake.buildkit.nodes.causes import Cause
    from mpbake.model.plan import Node

_OTHER_IMAGE = 'set image = "…" in the builder, or in [defaults.builder], to a BuildKit image that can be pulled'


def image_causes(other_image: str) -> tuple[Cause, ...]:
    """Return the causes of a failed pull. The hint `other_image` says how to name another image."""
    return (
        cause(
            r"pull access|basic auth credentials|authorization failed|failed to authorize|toomanyrequests"
            r"|https?://\S+/v2/.*(denied|unauthorized|forbidden)",
            "the registry denies the pull of its image",
            "log in to it (docker login); or " + other_image,
        ),
        cause(
            r"(failed to do request|https?://\S+/v2/).*(dial tcp|lookup |timeout|refused|reset|deadline|EOF|x509|tls:"
            r"|HTTP response to HTTPS client)|message.:.lookup ",
            "the registry of its image cannot be reached",
            "give the engine access to it, with a proxy or a mirror if necessary; or " + other_image,
        ),
        cause(
            r"resolve reference|manifest unknown|https?://\S+/v2/|no such image|short-name",
            "the image does not exist",
            other_image,
        ),
    )


_NO_INIT = cause(
    r"lookup init binary",
    "podman lacks the program that starts a container's processes",
    "install catatonit on the machine of the engine: sudo apt-get install catatonit",
)


def container_causes(_: Node, far_host: str) -> tuple[Cause, ...]:
    """Return the causes of a failure of a container's engine, or of the container itself."""
    return (REFUSED, PAUSED, *image_causes(_OTHER_IMAGE), _NO_INIT, NO_BUILDKIT, *engine_causes(far_host))
